#include "algorithms/kernel/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double parsed(const char *text)
{
    double v = NAN;

    assert_int_equal(number_parse(str_of(text), &v), 0);
    return v;
}

static void numbers_are_read_as_strtod_reads_them(void **state)
{
    static const char *const texts[] = {"0",
                                        "-0",
                                        "1",
                                        "+1",
                                        "3.25",
                                        ".5",
                                        "5.",
                                        "1e3",
                                        "1E-3",
                                        "123456789012345",
                                        "9007199254740993",
                                        "0.1",
                                        "1e22",
                                        "1e23",
                                        "1e-23",
                                        "4.9e-324",
                                        "1.7976931348623157e308",
                                        "1e400",
                                        "1e-400",
                                        "00012.50",
                                        "0.000001",
                                        "179769313486231570000000000000000000000",
                                        "2.2250738585072011e-308",
                                        "3.14159265358979323846264338327950288419716939937510"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        double want = strtod(texts[i], NULL), got = parsed(texts[i]);

        assert_memory_equal(&got, &want, sizeof(want));
    }
    assert_true(isinf(parsed("inf")) && parsed("-Infinity") < 0);
}

/* Every number of digits on either side of the point. */
static void decimals_of_any_length_are_read_as_strtod_reads_them(void **state)
{
    uint64_t x = 88172645463325252ULL;

    (void)state;
    for (unsigned whole = 0; whole < 20; whole++) {
        for (unsigned fraction = whole == 0; fraction < 20; fraction++) {
            char text[64];
            size_t n = 0;
            double want, got;

            for (unsigned i = 0; i < whole + 1 + fraction; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                text[n++] = i == whole ? '.' : (char)('0' + x % 10);
            }
            text[n] = '\0';
            want = strtod(text, NULL);
            got = parsed(text);
            assert_memory_equal(&got, &want, sizeof(want));
            text[n - 1] = ':'; /* follows '9' */
            assert_int_equal(number_parse(str_of(text), &got), -1);
        }
    }
}

static enum number_loss loss_of(const char *text)
{
    return number_loss(str_of(text), parsed(text));
}

static void what_a_number_would_lose_is_told(void **state)
{
    static const char *const kept[] = {
        "0",      "-0",   "0.5", "12",  "9007199254740992",  "1e300",
        "0.1000", "-100", "0e5", "inf", "18014398509481984", "3.14159265358979323846"};
    static const char *const rounded[] = {"9007199254740993", "-9007199254740993",
                                          "123456789012345678901234567890"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        assert_int_equal(loss_of(kept[i]), NUMBER_KEPT);
    }
    for (size_t i = 0; i < ARRAY_LEN(rounded); i++) {
        assert_int_equal(loss_of(rounded[i]), NUMBER_ROUNDED);
    }
    assert_int_equal(loss_of("0012"), NUMBER_ZEROS);
    assert_int_equal(loss_of("-00.5"), NUMBER_ZEROS);
}

static void words_and_halves_of_numbers_are_refused(void **state)
{
    static const char *const texts[] = {"",    "-",    "+",  ".",     "e5",  "1e",
                                        "1e+", "0x10", "1 ", " 1",    "1,5", "1.2.3",
                                        "nan", "--1",  "1f", "infin", "1_0"};
    double v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(number_parse(str_of(texts[i]), &v), -1);
    }
}

static void what_is_written_reads_back_as_the_same_bits(void **state)
{
    uint64_t bits = 88172645463325252ULL;
    char text[NUMBER_TEXT_BYTES];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double v, again;

        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v)) {
            continue;
        }
        again = parsed(number_format(v, text));
        assert_memory_equal(&v, &again, sizeof(v));
    }
    assert_string_equal(number_format(0.1, text), "0.1");
    assert_string_equal(number_format(3, text), "3");
    assert_string_equal(number_format(NAN, text), "nan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_as_strtod_reads_them),
        cmocka_unit_test(decimals_of_any_length_are_read_as_strtod_reads_them),
        cmocka_unit_test(what_a_number_would_lose_is_told),
        cmocka_unit_test(words_and_halves_of_numbers_are_refused),
        cmocka_unit_test(what_is_written_reads_back_as_the_same_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
