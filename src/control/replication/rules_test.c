#include "replication_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static struct rule blank(void)
{
    return (struct rule){.name = STR("r"),
                         .registry = STR("hub"),
                         .repositories = {.text = STR("**")},
                         .tags = {.text = STR("**")},
                         .destination = STR_EMPTY,
                         .schedule = STR_EMPTY,
                         .created_by = STR_EMPTY};
}

static int read_text(struct arena *a, const char *text, struct rule *rule)
{
    SCOPED(json_decrefp) json_t *doc = json_parse(str_of(text), &e);

    assert_non_null(doc);
    *rule = blank();
    return rule_read_json(a, doc, rule, &e);
}

static void a_name_goes_below_the_destination(void **arg UNUSED)
{
    static const struct {
        const char *destination, *name, *result;
        int64_t strip;
    } rows[] = {
        {"", "demo/app", "demo/app", 0},
        {"mirror", "demo/app", "mirror/demo/app", 0},
        {"mirror", "demo/app", "mirror/app", 1},
        {"mirror", "demo/app", "mirror/app", 8}, /* the last part always stays */
        {"mirror/hub", "library/alpine", "mirror/hub/alpine", 1},
        {"", "a/b/c", "c", 2},
    };
    SCOPED(arena_done) struct arena a = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rule rule = blank();
        struct str to;

        rule.destination = str_of(rows[i].destination);
        rule.strip_parts = rows[i].strip;
        assert_int_equal(rule_destination(&rule, &a, str_of(rows[i].name), &to, &e), 0);
        assert_string_equal(to.p, rows[i].result);
    }
}

static void patterns_without_wildcards_are_plain_names(void **arg UNUSED)
{
    SCOPED(arena_done) struct arena a = {0};
    struct pattern p;

    assert_int_equal(pattern_parse(&a, STR("library/alpine"), "x", &p, &e), 0);
    assert_true(p.is_plain && pattern_matches(&p, STR("library/alpine")));
    assert_int_equal(pattern_parse(&a, STR("!v*"), "x", &p, &e), 0);
    assert_true(!p.is_plain && pattern_matches(&p, STR("latest")));
    assert_false(pattern_matches(&p, STR("v1")));
    assert_int_equal(pattern_parse(&a, STR("!"), "tags", &p, &e), -1);
    assert_non_null(strstr(e.msg, "tags"));
    assert_int_equal(pattern_parse(&a, STR(""), "tags", &p, &e), -1);
    assert_int_equal(pattern_parse(&a, STR("[a"), "tags", &p, &e), -1);
}

static void wrong_rules_are_refused_with_a_reason(void **arg UNUSED)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"{\"direction\":\"up\"}", "push, pull"},
        {"{\"direction\":\"pull\",\"trigger\":\"event\"}", "does not tell us"},
        {"{\"trigger\":\"schedule\"}", "schedule is missing"},
        {"{\"trigger\":\"schedule\",\"schedule\":\"each day\"}", "schedule"},
        {"{\"schedule\":\"@daily\"}", "only with the trigger"},
        {"{\"destination\":\"/x\"}", "slash"},
        {"{\"destination\":\"Demo\"}", "destination"},
        {"{\"rate_bytes\":1}", "rate_bytes"},
        {"{\"rate_bytes\":-5}", "rate_bytes"},
        {"{\"strip_parts\":9}", "strip_parts"},
        {"{\"name\":\"A b\"}", "name"},
        {"{\"repositories\":\"\"}", "repositories"},
        {"{\"what\":1}", "what"},
        {"{\"labels\":\"a\"}", "list of names"},
        {"{\"labels\":[\"a,b\"]}", "without commas"},
        {"{\"labels\":[1]}", "without commas"},
        {"{\"direction\":\"pull\",\"labels\":[\"a\"]}", "does not tell us of its labels"},
        {"{\"mirror_deletions\":true,\"labels\":[\"a\"]}", "not together with labels"},
    };
    SCOPED(arena_done) struct arena a = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rule rule;

        assert_int_equal(read_text(&a, rows[i].json, &rule), -1);
        if (strstr(e.msg, rows[i].why) == NULL) {
            fail_msg("%s: %s", rows[i].json, e.msg);
        }
    }
}

static void a_rule_reads_back_what_it_writes(void **arg UNUSED)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(buf_done) struct buf b = BUF_MAX(4096);
    SCOPED(json_decrefp)
    json_t *doc = json_parse(STR("{\"direction\":\"pull\",\"trigger\":\"schedule\",\"schedule\":"
                                 "\"@daily\",\"kind\":\"artifacts\",\"rate_bytes\":65536}"),
                             &e);
    struct jw w = JW(&b);
    struct rule rule = blank();

    assert_int_equal(rule_read_json(&a, doc, &rule, &e), 0);
    assert_true(rule.direction == PULLS && rule.kind == COPY_ARTIFACTS);
    rule_write_json(&rule, &w);
    assert_non_null(strstr(b.p, "\"schedule\":\"@daily\""));
    assert_non_null(strstr(b.p, "\"kind\":\"artifacts\""));
    assert_non_null(strstr(b.p, "\"labels\":[]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_goes_below_the_destination),
        cmocka_unit_test(patterns_without_wildcards_are_plain_names),
        cmocka_unit_test(wrong_rules_are_refused_with_a_reason),
        cmocka_unit_test(a_rule_reads_back_what_it_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
