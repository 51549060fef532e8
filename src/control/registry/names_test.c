#include "names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define D "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static struct err e;

static void repository_names_follow_the_grammar(void **state)
{
    static const char *const good[] = {"a/b", "demo/app", "p0/a.b_c__d-e---f", "a/b/c/d/e"};
    static const char *const bad[] = {
        "",     "a",      "/a",      "a/",   "a//b",  "A/b",   "a/B",  "a/.b",  "a/b.",  "a/b-",
        "a/b_", "a/b..c", "a/b___c", "-a/b", "a/b c", "a/b%c", "a/..", "a/.-b", "a/b@c", "a:1/b"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(name_check(str_of(good[i]), &e), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(name_check(str_of(bad[i]), &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

static void a_wrong_letter_is_named_by_its_position(void **state)
{
    (void)state;
    assert_int_equal(name_check(STR("demo/my App"), &e), -1);
    assert_non_null(strstr(e.msg, "position 8"));
}

static void a_name_without_project_says_how_to_give_one(void **state)
{
    (void)state;
    assert_int_equal(name_check(STR("alpine"), &e), -1);
    assert_non_null(strstr(e.msg, "library/alpine"));
}

static void names_end_at_255_bytes(void **state)
{
    char name[257];

    (void)state;
    memset(name, 'a', sizeof(name));
    name[4] = '/';
    assert_int_equal(name_check(str_n(name, 255), &e), 0);
    assert_int_equal(name_check(str_n(name, 256), &e), -1);
}

static void tags_follow_the_grammar(void **state)
{
    char tag[130];

    (void)state;
    memset(tag, 'x', sizeof(tag));
    assert_int_equal(tag_check(STR("latest"), &e), 0);
    assert_int_equal(tag_check(STR("_V1.2-rc_3"), &e), 0);
    assert_int_equal(tag_check(str_n(tag, 128), &e), 0);
    assert_int_equal(tag_check(str_n(tag, 129), &e), -1);
    assert_int_equal(tag_check(STR(""), &e), -1);
    assert_int_equal(tag_check(STR(".x"), &e), -1);
    assert_int_equal(tag_check(STR("-x"), &e), -1);
    assert_int_equal(tag_check(STR("a/b"), &e), -1);
}

static void references_have_a_tag_or_a_digest(void **state)
{
    struct reference r;

    (void)state;
    assert_int_equal(reference_parse(STR("demo/app"), &r, &e), 0);
    assert_true(str_eq_c(r.repository, "demo/app"));
    assert_true(str_eq_c(r.tag, "latest"));
    assert_int_equal(reference_parse(STR("demo/a/b:v1"), &r, &e), 0);
    assert_true(str_eq_c(r.repository, "demo/a/b"));
    assert_true(str_eq_c(r.tag, "v1"));
    assert_int_equal(reference_parse(STR("demo/app:v1@" D), &r, &e), 0);
    assert_null(r.tag.p);
    assert_string_equal(r.digest, D);
    assert_int_equal(reference_parse(STR("demo/app@sha256:12"), &r, &e), -1);
    assert_int_equal(reference_parse(STR("demo/app:"), &r, &e), -1);
    assert_int_equal(reference_parse(STR("demo/app@"), &r, &e), -1);
}

static void a_foreign_host_is_refused_by_name(void **state)
{
    struct reference r;

    (void)state;
    assert_int_equal(reference_parse(STR("docker.io/library/alpine:3"), &r, &e), -1);
    assert_non_null(strstr(e.msg, "leave \"docker.io/\" out"));
    assert_int_equal(reference_parse(STR("localhost:5000/library/alpine"), &r, &e), -1);
}

static void scopes_are_split_at_the_outer_colons(void **state)
{
    struct scope s;

    (void)state;
    assert_int_equal(scope_parse(STR("repository:demo/app:pull,push"), &s, &e), 0);
    assert_true(str_eq_c(s.type, "repository"));
    assert_true(str_eq_c(s.name, "demo/app"));
    assert_int_equal(s.actions, SCOPE_PULL | SCOPE_PUSH);
    assert_int_equal(scope_parse(STR("repository:h:5/demo:*"), &s, &e), 0);
    assert_true(str_eq_c(s.name, "h:5/demo"));
    assert_int_equal(s.actions, SCOPE_ALL);
    assert_int_equal(scope_parse(STR("registry:catalog:*"), &s, &e), 0);
    assert_int_equal(scope_parse(STR("repository:x:fly"), &s, &e), 0);
    assert_int_equal(s.actions, 0);
    assert_int_equal(scope_parse(STR("repository:x"), &s, &e), -1);
    assert_int_equal(scope_parse(STR(":x:pull"), &s, &e), -1);
    assert_int_equal(scope_parse(STR(""), &s, &e), -1);
}

static void chunk_ranges_are_inclusive(void **state)
{
    static const char *const bad[] = {"",      "-",    "1-",          "-1",
                                      "5-4",   "0-x",  "0x1",         "0--1",
                                      "bytes", "+0-1", "bytes=0-100", "0-99999999999999999999"};
    int64_t a, b;

    (void)state;
    assert_int_equal(chunk_range_parse(STR("0-1023"), &a, &b, &e), 0);
    assert_int_equal(a, 0);
    assert_int_equal(b, 1023);
    assert_int_equal(chunk_range_parse(STR("bytes 10-19/*"), &a, &b, &e), 0);
    assert_int_equal(a, 10);
    assert_int_equal(b, 19);
    assert_int_equal(chunk_range_parse(STR("34359738368-34359738368"), &a, &b, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(chunk_range_parse(str_of(bad[i]), &a, &b, &e), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repository_names_follow_the_grammar),
        cmocka_unit_test(a_wrong_letter_is_named_by_its_position),
        cmocka_unit_test(a_name_without_project_says_how_to_give_one),
        cmocka_unit_test(names_end_at_255_bytes),
        cmocka_unit_test(tags_follow_the_grammar),
        cmocka_unit_test(references_have_a_tag_or_a_digest),
        cmocka_unit_test(a_foreign_host_is_refused_by_name),
        cmocka_unit_test(scopes_are_split_at_the_outer_colons),
        cmocka_unit_test(chunk_ranges_are_inclusive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
