#include "volume/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void paths_that_stay_inside_are_taken(void **state UNUSED)
{
    static const char *const good[] = {"a",       "a/b/c",     "...",      "a..b",
                                       ".hidden", "a/.strata", ".strata2", "sp ace/\xff\xfe",
                                       "-",       "a\nb"};
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(volume_path_check(str_of(good[i]), VOLUME_PATH_BELOW_ROOT, &e), 0);
    }
    assert_int_equal(volume_path_check(STR_EMPTY, VOLUME_PATH_OR_ROOT, &e), 0);
}

static void paths_that_could_leave_or_mean_two_things_are_refused(void **state UNUSED)
{
    static const struct str bad[] = {
        {"", 0},        {"/a", 2},        {"a/", 2},        {"a//b", 4},        {"..", 2},
        {".", 1},       {"a/../b", 6},    {"a/..", 4},      {"a/./b", 5},       {"a\0b", 3},
        {".strata", 7}, {".strata/u", 9}, {"../../etc", 9}, {"/etc/passwd", 11}};
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(volume_path_check(bad[i], VOLUME_PATH_BELOW_ROOT, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

static void lengths_end_at_255_and_4096(void **state UNUSED)
{
    char text[5000];
    struct err e;

    memset(text, 'a', sizeof(text));
    assert_int_equal(volume_path_check(str_n(text, 255), VOLUME_PATH_BELOW_ROOT, &e), 0);
    assert_int_equal(volume_path_check(str_n(text, 256), VOLUME_PATH_BELOW_ROOT, &e), -1);
    for (size_t i = 200; i < sizeof(text); i += 200) {
        text[i] = '/';
    }
    assert_int_equal(volume_path_check(str_n(text, 4096), VOLUME_PATH_BELOW_ROOT, &e), 0);
    assert_int_equal(volume_path_check(str_n(text, 4097), VOLUME_PATH_BELOW_ROOT, &e), -1);
    assert_non_null(strstr(e.msg, "4096"));
}

static void names_of_volumes_are_lower_case_words(void **state UNUSED)
{
    struct err e;
    char longest[66];

    memset(longest, 'x', sizeof(longest));
    assert_int_equal(volume_name_check(STR("digits-2.v_1"), &e), 0);
    assert_int_equal(volume_name_check(str_n(longest, 64), &e), 0);
    assert_int_equal(volume_name_check(str_n(longest, 65), &e), -1);
    assert_int_equal(volume_name_check(STR(""), &e), -1);
    assert_int_equal(volume_name_check(STR(".."), &e), -1);
    assert_int_equal(volume_name_check(STR("-a"), &e), -1);
    assert_int_equal(volume_name_check(STR("A"), &e), -1);
    assert_int_equal(volume_name_check(STR("a/b"), &e), -1);
    assert_int_equal(volume_name_check(str_n("a\0", 2), &e), -1);
}

static void ids_are_one_component_and_nothing_else(void **state UNUSED)
{
    assert_true(volume_id_ok(STR("v-abcdef2345")));
    assert_false(volume_id_ok(STR("v-abcdef234")));
    assert_false(volume_id_ok(STR("v-abcde/2345")));
    assert_false(volume_id_ok(STR("../abcdef234")));
    assert_true(volume_upload_name_ok(STR("abcdefgh-0123456789abcdef")));
    assert_false(volume_upload_name_ok(STR("a.b")));
    assert_false(volume_upload_name_ok(STR("")));
}

static void utf8_is_told_from_other_bytes(void **state UNUSED)
{
    assert_true(volume_is_utf8(STR("plain")));
    assert_true(volume_is_utf8(STR("\xe5\x9c\x96\xf0\x9f\x98\x80\xc3\xa4")));
    assert_false(volume_is_utf8(STR("\xff")));
    assert_false(volume_is_utf8(STR("\xc0\xaf")));         /* overlong */
    assert_false(volume_is_utf8(STR("\xed\xa0\x80")));     /* surrogate */
    assert_false(volume_is_utf8(STR("\xf4\x90\x80\x80"))); /* past U+10FFFF */
    assert_false(volume_is_utf8(STR("a\xe5\x9c")));        /* cut */
}

static void every_name_survives_percent_encoding(void **state UNUSED)
{
    struct buf text = BUF_MAX(1024), back = BUF_MAX(256);
    char all[255];
    struct err e;

    for (size_t i = 0; i < sizeof(all); i++) {
        all[i] = (char)(i + 1);
    }
    assert_int_equal(volume_percent_add(&text, str_n(all, sizeof(all))), 0);
    assert_true(volume_is_utf8(buf_str(&text)));
    assert_int_equal(volume_percent_decode(buf_str(&text), &back, &e), 0);
    assert_true(str_eq(buf_str(&back), str_n(all, sizeof(all))));
    buf_clear(&back);
    assert_int_equal(volume_percent_decode(STR("a%2"), &back, &e), -1);
    assert_int_equal(volume_percent_decode(STR("%zz"), &back, &e), -1);
    assert_int_equal(volume_percent_decode(STR("%"), &back, &e), -1);
    buf_done(&text);
    buf_done(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_stay_inside_are_taken),
        cmocka_unit_test(paths_that_could_leave_or_mean_two_things_are_refused),
        cmocka_unit_test(lengths_end_at_255_and_4096),
        cmocka_unit_test(names_of_volumes_are_lower_case_words),
        cmocka_unit_test(ids_are_one_component_and_nothing_else),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(every_name_survives_percent_encoding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
