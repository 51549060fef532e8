#include "net/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(const char *form, const char *json)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct err e;

    assert_int_equal(schema_write(&w, str_of(form), &e), 0);
    assert_string_equal(b.p, json);
    buf_done(&b);
}

static void scalars_components_and_lists_are_written(void **state UNUSED)
{
    expect("string", "{\"type\":\"string\"}");
    expect(" time ", "{\"format\":\"date-time\",\"type\":\"string\"}");
    expect("any", "{}");
    expect("User", "{\"$ref\":\"#/components/schemas/User\"}");
    expect("[User]", "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/User\"}}");
}

static void an_object_refuses_other_keys_and_requires_what_has_no_question_mark(void **state UNUSED)
{
    expect(
        "{}",
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{},\"required\":[]}");
    expect("{a: integer, b?: {c: null}}",
           "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
           "\"a\":{\"type\":\"integer\"},"
           "\"b\":{\"type\":\"object\",\"additionalProperties\":false,"
           "\"properties\":{\"c\":{\"type\":\"null\"}},\"required\":[\"c\"]}},"
           "\"required\":[\"a\"]}");
    expect("{*: number}", "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\"}}");
}

static void literals_become_one_enum_beside_what_else_may_stand_there(void **state UNUSED)
{
    expect("| 'a, |' | 'b'", "{\"type\":\"string\",\"enum\":[\"a, |\",\"b\"]}");
    expect("'a' | null | 'b'", "{\"anyOf\":[{\"type\":\"string\",\"enum\":[\"a\",\"b\"]},"
                               "{\"type\":\"null\"}]}");
    expect("[{*: string | null}]",
           "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalProperties\":"
           "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}}}");
}

static void what_is_no_form_is_named(void **state UNUSED)
{
    static const char *const wrong[] = {"",          "text",    "{a}",        "{a: }",
                                        "{a: text}", "[string", "{a: string", "{: null}",
                                        "[]",        "'a",      "{a: null,}", "string | text"};

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct buf b = BUF_MAX(4096);
        struct jw w = JW(&b);
        struct err e = {0};

        assert_int_equal(schema_write(&w, str_of(wrong[i]), &e), -1);
        assert_int_equal(e.kind, ERR_INTERNAL);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_components_and_lists_are_written),
        cmocka_unit_test(an_object_refuses_other_keys_and_requires_what_has_no_question_mark),
        cmocka_unit_test(literals_become_one_enum_beside_what_else_may_stand_there),
        cmocka_unit_test(what_is_no_form_is_named),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
