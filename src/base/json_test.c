#include "base/json.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void nesting_is_limited_before_the_recursion(void **state UNUSED)
{
    char deep[400];
    struct err e;

    memset(deep, '[', sizeof(deep));
    assert_null(json_parse(str_n(deep, sizeof(deep)), &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    /* Brackets in strings do not count. */
    deep[0] = deep[sizeof(deep) - 1] = '"';
    {
        SCOPED(json_decrefp) json_t *j = json_parse(str_n(deep, sizeof(deep)), &e);

        assert_non_null(j);
    }
}

static void duplicate_keys_are_refused_with_the_line(void **state UNUSED)
{
    struct err e;

    assert_null(json_parse(STR("{\"a\":1,\n\"a\":2}"), &e));
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "line 2"));
}

static void unknown_keys_come_with_a_suggestion(void **state UNUSED)
{
    static const char *const names[] = {"name", "password"};
    struct err e;
    SCOPED(json_decrefp) json_t *j = json_parse(STR("{\"pasword\":\"x\"}"), &e);

    assert_int_equal(json_only_keys(j, names, 2, &e), -1);
    assert_non_null(strstr(e.msg, "did you mean 'password'"));
}

static void types_are_checked(void **state UNUSED)
{
    struct err e;
    SCOPED(json_decrefp) json_t *j = json_parse(STR("{\"n\":\"1\",\"s\":2}"), &e);
    struct str s = STR("old");
    int64_t n = 5;

    assert_int_equal(json_get_i64(j, "n", &n, &e), -1);
    assert_int_equal(json_get_str(j, "s", &s, &e), -1);
    assert_int_equal(json_get_i64(j, "missing", &n, &e), 0);
    assert_int_equal(n, 5);
    assert_int_equal(json_need_str(j, "missing", &s, &e), -1);
    assert_int_equal(json_need_str(NULL, "missing", &s, &e), -1);
}

static void the_writer_places_commas_and_escapes(void **state UNUSED)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(1000);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_c(&w, "a", "x\"\\\n\x01");
    jw_key(&w, "list");
    jw_array(&w);
    jw_i64(&w, -1);
    jw_object(&w);
    jw_end(&w);
    jw_null(&w);
    jw_bool(&w, true);
    jw_end(&w);
    jw_kv_c(&w, "none", NULL);
    jw_end(&w);
    assert_string_equal(b.p,
                        "{\"a\":\"x\\\"\\\\\\n\\u0001\",\"list\":[-1,{},null,true],\"none\":null}");
}

static void bytes_that_are_no_utf8_stay_valid_json(void **state UNUSED)
{
    static const struct str wrong[] = {{"\xff", 1},         {"\xc0\xaf", 2},
                                       {"\xed\xa0\x80", 3}, {"\xf4\x90\x80\x80", 4},
                                       {"a\xe2\x82", 3},    {"\x00", 1}};

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        SCOPED(buf_done) struct buf b = BUF_MAX(1000);
        struct jw w = JW(&b);
        struct err e;

        jw_array(&w);
        jw_str(&w, wrong[i]);
        jw_end(&w);
        {
            SCOPED(json_decrefp) json_t *j = json_loadb(b.p, b.len, JSON_ALLOW_NUL, NULL);

            assert_non_null(j);
        }
        (void)e;
    }
}

static void a_full_buffer_is_remembered(void **state UNUSED)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(10);
    struct jw w = JW(&b);

    jw_array(&w);
    jw_str(&w, STR("longer than ten bytes"));
    jw_end(&w);
    assert_true(b.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_is_limited_before_the_recursion),
        cmocka_unit_test(duplicate_keys_are_refused_with_the_line),
        cmocka_unit_test(unknown_keys_come_with_a_suggestion),
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(the_writer_places_commas_and_escapes),
        cmocka_unit_test(bytes_that_are_no_utf8_stay_valid_json),
        cmocka_unit_test(a_full_buffer_is_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
