#include "base/clock.h"
#include "base/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct err e;

static int64_t ms_of(const char *text)
{
    struct tm t = {0};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &t));
    return (int64_t)timegm(&t) * 1000;
}

static void the_next_time_is_what_crontab_says(void **state UNUSED)
{
    static const struct {
        const char *schedule, *from, *next; /* next NULL: never */
    } rows[] = {
        {"* * * * *", "2026-11-27 23:59:59", "2026-11-28 00:00:00"},
        {"* * * * *", "2026-11-27 23:59:00", "2026-11-28 00:00:00"},
        {"30 3 * * *", "2026-11-27 03:30:00", "2026-11-28 03:30:00"},
        {"30 3 * * *", "2026-11-27 03:29:59", "2026-11-27 03:30:00"},
        {"*/15 * * * *", "2026-12-31 23:46:00", "2027-01-01 00:00:00"},
        {"5/20 * * * *", "2026-01-01 00:06:00", "2026-01-01 00:25:00"},
        {"0 0 29 2 *", "2026-03-01 00:00:00", "2028-02-29 00:00:00"},
        {"0 0 30 2 *", "2026-03-01 00:00:00", NULL},
        {"0 9 * * mon-fri", "2026-11-27 09:00:00", "2026-11-30 09:00:00"},
        {"0 9 * * 7", "2026-11-27 09:00:00", "2026-11-29 09:00:00"},
        {"0 0 13 * 5", "2026-11-01 00:00:00", "2026-11-06 00:00:00"},  /* either day */
        {"0 0 */2 * 5", "2026-11-05 00:00:00", "2026-11-13 00:00:00"}, /* "*": both, vixie cron */
        {"0 0 1 JAN,jul *", "2026-02-01 00:00:00", "2026-07-01 00:00:00"},
        {"@hourly", "2026-11-27 23:00:00", "2026-11-28 00:00:00"},
        {"@weekly", "2026-11-27 23:00:00", "2026-11-29 00:00:00"},
        {"@yearly", "2026-11-27 23:00:00", "2027-01-01 00:00:00"},
        {"15 30 3 * * *", "2026-11-27 03:30:14", "2026-11-27 03:30:15"},
        {"15 30 3 * * *", "2026-11-27 03:30:15", "2026-11-28 03:30:15"},
        {"  0   0  1 1   * ", "2026-11-27 00:00:00", "2027-01-01 00:00:00"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cron c;
        int64_t got;

        if (cron_parse(str_of(rows[i].schedule), &c, &e) < 0) {
            fail_msg("%s: %s", rows[i].schedule, e.msg);
        }
        got = cron_next(&c, ms_of(rows[i].from));
        if (got != (rows[i].next ? ms_of(rows[i].next) : -1)) {
            fail_msg("%s after %s gives %lld", rows[i].schedule, rows[i].from, (long long)got);
        }
    }
}

static void a_wrong_field_is_named(void **state UNUSED)
{
    static const struct {
        const char *schedule, *says;
    } rows[] = {
        {"", "expected minute, hour"},    {"* * * *", "expected minute, hour"},
        {"* * * * * * *", "expected"},    {"60 * * * *", "\"60\" is no minute"},
        {"* 24 * * *", "no hour"},        {"* * 0 * *", "no day of month"},
        {"* * * 13 *", "no month"},       {"* * * * 8", "no day of week"},
        {"5-1 * * * *", "\"5-1\" is no"}, {"*/0 * * * *", "\"*/0\" is no"},
        {"1,,2 * * * *", "\"\" is no"},   {"1- * * * *", "\"\" is no"},
        {"-1 * * * *", "is no minute"},   {"99 * * * * *", "seconds"},
        {"@reboot", "expected minute"},   {"* * * foo *", "no month"},
        {"*5 * * * *", "\"*5\" is no"},
    };
    struct cron c;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(cron_parse(str_of(rows[i].schedule), &c, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        if (strstr(e.msg, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].schedule, e.msg);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_time_is_what_crontab_says),
        cmocka_unit_test(a_wrong_field_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
