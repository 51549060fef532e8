#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "metrics_priv.h"

static int64_t time_of(const char *text)
{
    int64_t ms = -1;

    assert_int_equal(parse_time(str_of(text), &ms), 0);
    return ms;
}

static void times_are_seconds_or_rfc_3339(void **arg UNUSED)
{
    int64_t ms;

    assert_int_equal(time_of("4"), 4000);
    assert_int_equal(time_of("1435781430.781"), 1435781430781);
    assert_int_equal(time_of("-1.5e3"), -1500000);
    assert_int_equal(time_of("1e300"), TIME_MAX);
    assert_int_equal(time_of("2015-07-01T20:10:51.781Z"), 1435781451781);
    assert_int_equal(time_of("2015-07-01T20:10:51.781999999+02:00"), 1435774251781);
    assert_int_equal(time_of("-292273086-05-16T16:47:06Z"), TIME_MIN);
    assert_int_equal(parse_time(STR("2015-07-01T20:10:51"), &ms), -1);
    assert_int_equal(parse_time(STR("2015-13-01T20:10:51Z"), &ms), -1);
    assert_int_equal(parse_time(STR("NaN"), &ms), -1);
    assert_int_equal(parse_time(STR(" 4"), &ms), -1);
    assert_int_equal(parse_time(STR(""), &ms), -1);
}

static void durations_are_seconds_or_units_from_large_to_small(void **arg UNUSED)
{
    int64_t ms = 0;

    assert_int_equal(parse_duration(STR("15"), &ms), 0);
    assert_int_equal(ms, 15000);
    assert_int_equal(parse_duration(STR("1h30m500ms"), &ms), 0);
    assert_int_equal(ms, 5400500);
    assert_int_equal(parse_duration(STR("30m1h"), &ms), -1);
    assert_int_equal(parse_duration(STR("1h1h"), &ms), -1);
    assert_int_equal(parse_duration(STR("99999999999999y"), &ms), -1);
    assert_int_equal(parse_duration(STR("m"), &ms), -1);
}

static void escaped_names_are_read(void **arg UNUSED)
{
    struct arena a = {0};

    assert_true(str_eq_c(unescape_name(&a, STR("U__my_2e_dotted__name")), "my.dotted_name"));
    assert_true(str_eq_c(unescape_name(&a, STR("U___4e2d_")), "\xe4\xb8\xad"));
    assert_true(str_eq_c(unescape_name(&a, STR("U___d800_")), "U___d800_"));
    assert_true(str_eq_c(unescape_name(&a, STR("plain_name")), "plain_name"));
    arena_done(&a);
}

static void what_one_sees_is_by_project(void **arg UNUSED)
{
    struct str mine[] = {STR("demo")};
    struct label p = {STR("project"), STR("demo")}, q = {STR("project"), STR("demo2")};
    struct sight s = {.projects = mine, .n_projects = 1}, all = {.all = true};

    assert_true(sight_takes(&s, (struct labels){&p, 1}));
    assert_false(sight_takes(&s, (struct labels){&q, 1}));
    assert_false(sight_takes(&s, (struct labels){NULL, 0}));
    assert_true(sight_takes(&all, (struct labels){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_seconds_or_rfc_3339),
        cmocka_unit_test(durations_are_seconds_or_units_from_large_to_small),
        cmocka_unit_test(escaped_names_are_read),
        cmocka_unit_test(what_one_sees_is_by_project),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
