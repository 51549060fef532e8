#include "retention.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY (24 * 3600 * 1000LL)

static struct arena a;
static struct err e;

static int teardown(void **state UNUSED)
{
    arena_done(&a);
    return 0;
}

/* Three images; the first has two tags, the last has none. Times are days ago; 0: never pulled. */
static void decide(const char *policy, const char *repository, struct retained out[4])
{
    static const struct {
        const char *tag;
        int image, pushed, pulled;
        const char *labels;
    } rows[4] = {{"v1", 1, 40, 1, "eu\nrelease"},
                 {"old-name", 1, 45, 1, "eu\nrelease"},
                 {"v2", 2, 10, 20, "release"},
                 {NULL, 3, 5, 0, NULL}};
    const int64_t now = 1800000000000LL;
    struct policy p;

    if (policy_parse(&a, str_of(policy), &p, &e) < 0) {
        fail_msg("%s", e.msg);
    }
    for (size_t i = 0; i < 4; i++) {
        out[i] =
            (struct retained){.tag = rows[i].tag ? str_of(rows[i].tag) : (struct str){0},
                              .manifest_id = rows[i].image,
                              .labels = rows[i].labels ? str_of(rows[i].labels) : (struct str){0},
                              .pushed_ms = now - rows[i].pushed * DAY,
                              .pulled_ms = rows[i].pulled ? now - rows[i].pulled * DAY : 0};
    }
    retention_decide(&p, &a, str_of(repository), out, 4, now);
}

static void each_rule_keeps_what_it_says(void **state UNUSED)
{
    static const struct {
        const char *rules;
        const char *kept; /* of v1, old-name, v2, untagged: y, n */
    } rows[] = {
        {"{\"keep\":\"latest_pushed\",\"n\":1}", "nnyy"},
        {"{\"keep\":\"latest_pushed\",\"n\":1,\"untagged\":true}", "nnny"},
        {"{\"keep\":\"latest_pushed\",\"n\":2,\"untagged\":true}", "nnyy"},
        {"{\"keep\":\"latest_pushed\",\"n\":2}", "yyyy"}, /* two tags are one image */
        {"{\"keep\":\"latest_pulled\",\"n\":1}", "yyny"},
        {"{\"keep\":\"latest_pulled\",\"n\":9,\"untagged\":true}", "yyyn"},
        {"{\"keep\":\"pushed_days\",\"n\":42}", "ynyy"},
        {"{\"keep\":\"pushed_days\",\"n\":10}", "nnyy"}, /* ten days ago is within ten days */
        {"{\"keep\":\"pulled_days\",\"n\":5}", "yyny"},
        {"{\"keep\":\"always\",\"tags\":\"v*\"}", "yyyy"},
        /* All of its labels, whole names; what has not all of them the rule is not about. */
        {"{\"keep\":\"latest_pushed\",\"n\":1,\"labels\":[\"release\"]}", "nnyy"},
        {"{\"keep\":\"pushed_days\",\"n\":1,\"labels\":[\"release\",\"eu\"]}", "nnyy"},
        {"{\"keep\":\"pushed_days\",\"n\":1,\"labels\":[\"rel\"]}", "yyyy"},
        {"{\"keep\":\"pushed_days\",\"n\":1,\"tags\":\"!v*\"}", "ynyy"},
        {"{\"keep\":\"pushed_days\",\"n\":1},{\"keep\":\"always\",\"tags\":\"old-*\"}", "nyny"},
        {"{\"keep\":\"pushed_days\",\"n\":1,\"repositories\":\"other\"}", "yyyy"},
    };
    struct retained out[4];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char got[5] = "";

        decide(arena_printf(&a, "{\"retention\":{\"rules\":[%s]}}", rows[i].rules), "app", out);
        for (size_t k = 0; k < 4; k++) {
            got[k] = out[k].is_kept ? 'y' : 'n';
            assert_non_null(out[k].why);
        }
        if (strcmp(got, rows[i].kept) != 0) {
            fail_msg("%s keeps %s, not %s", rows[i].rules, got, rows[i].kept);
        }
    }
}

static void others_go_only_where_a_rule_is_about_the_repository(void **state UNUSED)
{
    static const char policy[] =
        "{\"immutable\":[{\"tags\":\"old-*\"}],\"retention\":{\"others\":\"remove\","
        "\"rules\":[{\"repositories\":\"app\",\"tags\":\"v2\",\"keep\":\"always\"}]}}";
    struct retained out[4];
    struct policy p;

    decide(policy, "app", out);
    assert_false(out[0].is_kept);
    assert_string_equal(out[1].why, "immutable (rule 1)");
    assert_true(out[2].is_kept && out[3].is_kept);
    assert_int_equal(policy_parse(&a, str_of(policy), &p, &e), 0);
    assert_true(retention_is_about(&p, STR("app")));
    assert_false(retention_is_about(&p, STR("app/x")));
}

/* An image that goes, one that stays, and what cosign put beside them; image 9 is one of an index.
 */
static void signatures_are_no_images_and_stay_with_theirs(void **state UNUSED)
{
    static const struct {
        const char *tag, *why;
        int image, subject, pushed;
    } rows[] = {{"v1", "no rule keeps it", 1, SUBJECT_NONE, 9},
                {"v2", "among the latest 1 pushed (rule 1)", 2, SUBJECT_NONE, 8},
                {"sha256-1.sig", "goes with its image", 3, 1, 3},
                {"sha256-2.sig", "stays with its image", 4, 2, 3},
                {"sha256-3.sig", "goes with its image", 8, 3, 3}, /* what is signed is an SBOM */
                {"sha256-9.sig", "stays with its image", 5, 9, 3},
                {"sha256-8.sig", "its image is gone", 6, SUBJECT_GONE, 3},
                {"sha256-6.sig", "stays with its image", 10, SUBJECT_STAYS, 3},
                {"sha256-7.sig", "pushed less than a day ago: its image may still come", 7,
                 SUBJECT_GONE, 0}};
    const int64_t now = 1800000000000LL;
    struct retained out[ARRAY_LEN(rows)];
    struct policy p;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        out[i] = (struct retained){.tag = str_of(rows[i].tag),
                                   .manifest_id = rows[i].image,
                                   .subject_id = rows[i].subject,
                                   .pushed_ms = now - rows[i].pushed * DAY};
    }
    assert_int_equal(policy_parse(&a,
                                  STR("{\"retention\":{\"rules\":[{\"keep\":\"latest_pushed\","
                                      "\"n\":1}]}}"),
                                  &p, &e),
                     0);
    retention_decide(&p, &a, STR("app"), out, ARRAY_LEN(rows), now);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(out[i].why, rows[i].why);
    }
    assert_true(out[1].is_kept && out[3].is_kept && out[5].is_kept && out[7].is_kept &&
                out[8].is_kept);
    assert_false(out[0].is_kept || out[2].is_kept || out[4].is_kept || out[6].is_kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_rule_keeps_what_it_says, teardown),
        cmocka_unit_test_teardown(others_go_only_where_a_rule_is_about_the_repository, teardown),
        cmocka_unit_test_teardown(signatures_are_no_images_and_stay_with_theirs, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
