#include "base/attrs.h"
#include "base/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void numbers_are_as_short_as_they_can_be(void **state UNUSED)
{
    static const struct {
        double v;
        const char *plain, *brief; /* brief NULL: the same */
    } rows[] = {
        {0, "0", NULL},
        {-0.0, "-0", NULL},
        {1, "1", NULL},
        {-1.5, "-1.5", NULL},
        {0.1, "0.1", NULL},
        {0.1 + 0.2, "0.30000000000000004", NULL},
        {100, "100", NULL},
        {1e6, "1000000", "1e+06"},
        {123456789.125, "123456789.125", "1.23456789125e+08"},
        {1e20, "100000000000000000000", "1e+20"},
        {1e21, "1000000000000000000000", "1e+21"},
        {0.0001, "0.0001", NULL},
        {0.00001, "0.00001", "1e-05"},
        {5e-324, NULL, "5e-324"},
        {1.7976931348623157e308, NULL, "1.7976931348623157e+308"},
        {9007199254740993.0, "9007199254740992", "9.007199254740992e+15"},
        {(double)INFINITY, "+Inf", NULL},
        {-(double)INFINITY, "-Inf", NULL},
        {(double)NAN, "NaN", NULL},
        {1433.5, "1433.5", NULL},
        {0.25e-3, "0.00025", NULL},
    };
    char text[NUMBER_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = number_plain(rows[i].v, text);

        assert_int_equal(n, strlen(text));
        assert_true(!isfinite(rows[i].v) || strtod(text, NULL) == rows[i].v);
        if (rows[i].plain != NULL) {
            assert_string_equal(text, rows[i].plain);
        }
        n = number_short(rows[i].v, text);
        assert_int_equal(n, strlen(text));
        assert_string_equal(text, rows[i].brief != NULL ? rows[i].brief : rows[i].plain);
    }
}

static void alerts_have_an_exponent(void **state UNUSED)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {{1, "1e+00"},      {0, "0e+00"},   {-12.5, "-1.25e+01"},      {1e-300, "1e-300"},
                {1e100, "1e+100"}, {0.5, "5e-01"}, {(double)INFINITY, "+Inf"}};
    char text[NUMBER_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(number_exponent(rows[i].v, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

static void every_number_reads_back_as_itself(void **state UNUSED)
{
    uint64_t bits = 88172645463325252ULL;
    char text[NUMBER_TEXT_MAX];

    for (int i = 0; i < 20000; i++) {
        double v, decimal = (double)(bits % 100000000) / (double[]){1, 10, 100, 1000, 1e5}[i % 5];

        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&v, &bits, 8);
        if (isfinite(v)) {
            (void)number_short(v, text);
            assert_true(strtod(text, NULL) == v);
        }
        (void)number_plain(decimal, text);
        assert_true(strtod(text, NULL) == decimal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_as_short_as_they_can_be),
        cmocka_unit_test(alerts_have_an_exponent),
        cmocka_unit_test(every_number_reads_back_as_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
