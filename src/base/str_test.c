#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void cutting_gives_every_part_and_then_ends(void **state UNUSED)
{
    struct str rest = STR("a,,b");

    assert_true(str_eq(str_cut(&rest, ','), STR("a")));
    assert_true(str_eq(str_cut(&rest, ','), STR("")));
    assert_non_null(rest.p);
    assert_true(str_eq(str_cut(&rest, ','), STR("b")));
    assert_null(rest.p);
}

static void slices_are_clamped(void **state UNUSED)
{
    assert_int_equal(str_from(STR("abc"), 9).len, 0);
    assert_int_equal(str_first(STR("abc"), 9).len, 3);
    assert_true(str_eq(str_trim(STR(" \tx y\t ")), STR("x y")));
    assert_int_equal(str_trim(STR("  ")).len, 0);
}

static void order_is_bytewise_then_by_length(void **state UNUSED)
{
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("b"), STR("ab")) > 0);
    assert_int_equal(str_cmp(STR(""), STR("")), 0);
}

static void numbers_are_digits_only_and_fit(void **state UNUSED)
{
    uint64_t v = 7;

    assert_int_equal(str_to_u64(STR("18446744073709551615"), &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(str_to_u64(STR("18446744073709551616"), &v), -1);
    assert_int_equal(str_to_u64(STR("-1"), &v), -1);
    assert_int_equal(str_to_u64(STR("+1"), &v), -1);
    assert_int_equal(str_to_u64(STR(" 1"), &v), -1);
    assert_int_equal(str_to_u64(STR(""), &v), -1);
    assert_true(v == UINT64_MAX);
}

static void a_nul_byte_is_never_copied_into_a_c_string(void **state UNUSED)
{
    char out[4];

    assert_int_equal(str_copy(str_n("a\0b", 3), out, sizeof(out)), -1);
    assert_int_equal(str_copy(STR("abcd"), out, sizeof(out)), -1);
    assert_int_equal(str_copy(STR("abc"), out, sizeof(out)), 0);
    assert_string_equal(out, "abc");
}

static void the_nearest_name_is_suggested_and_far_ones_are_not(void **state UNUSED)
{
    static const char *const names[] = {"memory", "cpu", "gpu", "pids"};

    assert_string_equal(str_nearest(STR("memroy"), names, 4), "memory");
    assert_string_equal(str_nearest(STR("cpus"), names, 4), "cpu");
    assert_null(str_nearest(STR("volumes"), names, 4));
    assert_null(str_nearest(STR(""), names, 4));
}

static void amounts_have_units(void **state UNUSED)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } bytes[] = {{"512Mi", 512LL << 20},
                 {"1.5GiB", 3LL << 29},
                 {"1G", 1000000000},
                 {"0", 0},
                 {"7 KiB", 7168},
                 {"1024", 1024},
                 {"", -1},
                 {"Mi", -1},
                 {"1.2.3", -1},
                 {"-1", -1},
                 {"9999999999Ti", -1},
                 {"1X", -1},
                 {"0.0000000001", -1},
                 {"99999999999999999999999", -1}};
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
        int64_t v = -1;

        assert_int_equal(str_parse_bytes(str_of(bytes[i].text), &v, &e),
                         bytes[i].want < 0 ? -1 : 0);
        assert_true(v == bytes[i].want);
    }
}

static void cores_and_times_have_units(void **state UNUSED)
{
    int64_t v;
    struct err e;

    assert_int_equal(str_parse_milli(STR("250m"), &v, &e), 0);
    assert_int_equal(v, 250);
    assert_int_equal(str_parse_milli(STR("1.5"), &v, &e), 0);
    assert_int_equal(v, 1500);
    assert_int_equal(str_parse_seconds(STR("2h"), &v, &e), 0);
    assert_int_equal(v, 7200);
    assert_int_equal(str_parse_seconds(STR("soon"), &v, &e), -1);
    assert_non_null(strstr(e.msg, "90s"));
}

static void sizes_read_like_sizes(void **state UNUSED)
{
    char out[16];

    assert_string_equal(str_format_bytes(0, out), "0 B");
    assert_string_equal(str_format_bytes(1536, out), "1.5 KiB");
    assert_string_equal(str_format_bytes(1LL << 40, out), "1.0 TiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting_gives_every_part_and_then_ends),
        cmocka_unit_test(slices_are_clamped),
        cmocka_unit_test(order_is_bytewise_then_by_length),
        cmocka_unit_test(numbers_are_digits_only_and_fit),
        cmocka_unit_test(a_nul_byte_is_never_copied_into_a_c_string),
        cmocka_unit_test(the_nearest_name_is_suggested_and_far_ones_are_not),
        cmocka_unit_test(amounts_have_units),
        cmocka_unit_test(cores_and_times_have_units),
        cmocka_unit_test(sizes_read_like_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
