#include "algorithms/kernel/as.h"

#include "algorithms/kernel/calendar.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void every_day_of_the_calendar_reads_back(void **state)
{
    (void)state;
    for (int64_t day = -719162; day <= 2932896; day += 97) {
        char text[CALENDAR_TEXT_BYTES], want[CALENDAR_TEXT_BYTES];
        time_t seconds = (time_t)day * 86400;
        struct tm tm;
        int64_t again;

        (void)gmtime_r(&seconds, &tm);
        (void)snprintf(want, sizeof(want), "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                       tm.tm_mday);
        assert_string_equal(calendar_format_date(day, text), want);
        assert_int_equal(calendar_parse_date(str_of(text), &again), 0);
        assert_int_equal(again, day);
    }
    assert_true(calendar_has_text(-719162) && !calendar_has_text(-719163));
    assert_true(calendar_has_text(2932896) && !calendar_has_text(2932897));
}

static void what_is_no_day_or_time_is_refused(void **state)
{
    static const char *const texts[] = {"2023-02-29",
                                        "1900-02-29",
                                        "0000-01-01",
                                        "2024-13-01",
                                        "2024-00-10",
                                        "2024-1-1",
                                        "2024-01-32",
                                        "20240101",
                                        "2024-01-01 ",
                                        "2024-01-01T24:00",
                                        "2024-01-01T10:60",
                                        "2024-01-01T10:00:60",
                                        "2024-01-01T10:00:00.",
                                        "2024-01-01T10:00:00.0000001",
                                        "2024-01-01T10:00+8",
                                        "2024-01-01T10:00+24:00",
                                        "2024-01-01T10:00Zz",
                                        "2024-01-01T10",
                                        ""};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int64_t v;

        if (calendar_parse_date(str_of(texts[i]), &v) == 0 ||
            calendar_parse_time(str_of(texts[i]), &v) == 0) {
            fail_msg("'%s' was taken", texts[i]);
        }
    }
}

static void times_know_zones_and_fractions(void **state)
{
    static const struct {
        const char *text, *utc;
    } rows[] = {
        {"2024-02-29T08:00:00+08:00", "2024-02-29T00:00:00Z"},
        {"2024-02-29 08:00:00.5+0800", "2024-02-29T00:00:00.500Z"},
        {"2024-02-29 08:00+08", "2024-02-29T00:00:00Z"},
        {"1969-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999Z"},
        {"2024-02-28t20:00:00-04:30", "2024-02-29T00:30:00Z"},
        {"2024-02-29T00:00:00.123000000z", "2024-02-29T00:00:00.123Z"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[AS_TEXT_BYTES];
        double v, again;

        assert_int_equal(as_parse(AS_TIME, str_of(rows[i].text), &v), 0);
        assert_string_equal(as_format(AS_TIME, v, text), rows[i].utc);
        assert_int_equal(as_parse(AS_TIME, str_of(text), &again), 0);
        assert_true(again == v);
    }
}

static void types_hold_what_they_hold_exactly(void **state)
{
    char text[AS_TEXT_BYTES];
    double v;

    (void)state;
    assert_true(as_holds(AS_INT, 9007199254740992.0) && !as_holds(AS_INT, 9007199254740994.0));
    assert_true(!as_holds(AS_INT, 0.5) && !as_holds(AS_INT, -0.0) && !as_holds(AS_INT, INFINITY));
    assert_true(as_holds(AS_BOOL, NAN) && as_holds(AS_BOOL, 1) && !as_holds(AS_BOOL, 2));
    assert_int_equal(as_parse(AS_TIME, STR("2300-01-01T00:00:00"), &v), -1); /* past 2^53 us */
    assert_int_equal(as_parse(AS_INT, STR("1.5"), &v), -1);
    assert_int_equal(as_parse(AS_BOOL, STR("TrUe"), &v), 0);
    assert_string_equal(as_format(AS_BOOL, v, text), "true");
    assert_string_equal(as_format(AS_INT, 1e15, text), "1000000000000000");
    assert_string_equal(as_format(AS_INT, 0.5, text), "0.5"); /* not one of the type: a number */
    assert_string_equal(as_format(AS_DATE, 1e300, text), "1e+300");
    assert_string_equal(as_format(AS_TIME, NAN, text), "nan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_the_calendar_reads_back),
        cmocka_unit_test(what_is_no_day_or_time_is_refused),
        cmocka_unit_test(times_know_zones_and_fractions),
        cmocka_unit_test(types_hold_what_they_hold_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
