#include "base/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static bool matches(const char *pattern, const char *name)
{
    struct glob g;

    assert_int_equal(glob_compile(&g, str_of(pattern), &e), 0);
    return glob_match(&g, str_of(name));
}

static void each_construct_matches_what_it_says(void **state UNUSED)
{
    static const struct {
        const char *pattern, *yes[4], *no[4];
    } rows[] = {
        {"**", {"", "a", "a/b", "a/b/c"}, {0}},
        {"*", {"", "a", "ab"}, {"a/b", "/"}},
        {"v*", {"v", "v1", "v1.2"}, {"1v", "v/1", "V1"}},
        {"a?c", {"abc", "a-c"}, {"ac", "abbc", "a/c"}},
        {"team/*", {"team/app"}, {"team", "team/a/b", "teams/app"}},
        {"team/**", {"team/app", "team/a/b"}, {"teams/app", "x/team/a"}},
        {"**/app", {"app", "x/app", "x/y/app"}, {"xapp", "app/x"}},
        {"a/**/b", {"a/b", "a/x/b", "a/x/y/b"}, {"ab", "a/xb"}},
        {"a**b", {"ab", "a/x/b"}, {"a", "b"}},
        {"{dev,prod}-*", {"dev-1", "prod-"}, {"test-1", "dev"}},
        {"{a,b{c,d}}x", {"ax", "bcx", "bdx"}, {"bx", "cx", "abcx"}},
        {"{,x}y", {"y", "xy"}, {"xxy", "x"}},
        {"[a-c]x", {"ax", "cx"}, {"dx", "x"}},
        {"[!a-c]x", {"dx"}, {"ax", "/x"}},
        {"[^0-9]", {"a"}, {"5", ""}},
        {"[]a]", {"]", "a"}, {"b"}},
        {"[a-]", {"a", "-"}, {"b"}},
        {"\\*", {"*"}, {"a", ""}},
        {"a,b", {"a,b"}, {"a", "b"}},
        {"版本*", {"版本1"}, {"1版本"}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < 4; k++) {
            if (rows[i].yes[k] != NULL && !matches(rows[i].pattern, rows[i].yes[k])) {
                fail_msg("%s does not match %s", rows[i].pattern, rows[i].yes[k]);
            }
            if (rows[i].no[k] != NULL && matches(rows[i].pattern, rows[i].no[k])) {
                fail_msg("%s matches %s", rows[i].pattern, rows[i].no[k]);
            }
        }
    }
}

static void a_broken_pattern_is_refused_with_its_position(void **state UNUSED)
{
    static const struct {
        const char *pattern, *says;
    } rows[] = {
        {"", "1 to 256 characters"}, {"a[b", "character 2"},           {"a[", "character 2"},
        {"[]", "character 1"},       {"x{a,b", "\"{\" without \"}\""}, {"a}", "character 2"},
        {"a\\", "nothing behind"},   {"{{{{{{{{{", "too many \"{\""},
    };
    char longest[GLOB_BYTES_MAX + 2];
    struct glob g;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(glob_compile(&g, str_of(rows[i].pattern), &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, rows[i].says));
    }
    memset(longest, '*', sizeof(longest));
    assert_int_equal(glob_compile(&g, str_n(longest, GLOB_BYTES_MAX), &e), 0);
    assert_int_equal(glob_compile(&g, str_n(longest, GLOB_BYTES_MAX + 1), &e), -1);
}

/* Backtracking would need longer than the world is old. */
static void no_pattern_takes_exponential_time(void **state UNUSED)
{
    char pattern[GLOB_BYTES_MAX + 1], name[4096];

    for (size_t i = 0; i + 1 < sizeof(pattern); i++) {
        pattern[i] = "*a"[i % 2];
    }
    pattern[GLOB_BYTES_MAX] = '\0';
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 2] = 'b';
    name[sizeof(name) - 1] = '\0';
    assert_false(matches(pattern, name));
    name[sizeof(name) - 2] = 'a';
    assert_true(matches(pattern, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_construct_matches_what_it_says),
        cmocka_unit_test(a_broken_pattern_is_refused_with_its_position),
        cmocka_unit_test(no_pattern_takes_exponential_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
