#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/zone.h"

#include <string.h>

/* A file of version 2 with two changes: +1 h before, +2 h from 1,000,000 s, +1 h from 2,000,000 s.
 */
static size_t make(char *p)
{
    static const unsigned char v1[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 1};
    static const unsigned char v2[44] = {'T', 'Z', 'i', 'f', '2', [35] = 2, [39] = 2, [43] = 1};
    size_t n = 0;

    memcpy(p, v1, 44);
    n = 44 + 6 + 1; /* one type, one byte of names */
    memset(p + 44, 0, 7);
    memcpy(p + n, v2, 44);
    n += 44;
    for (int i = 0; i < 2; i++) {
        uint64_t at = i == 0 ? 1000000 : 2000000;

        for (int k = 0; k < 8; k++) {
            p[n++] = (char)(at >> (56 - 8 * k));
        }
    }
    p[n++] = 1;
    p[n++] = 0;
    memcpy(p + n, "\0\0\x0e\x10\0\0\0\0\x1c\x20\1\0", 12);
    memset(p + n + 12, 0, 1);
    return n + 13;
}

static void changes_count_from_their_second_on(void **state UNUSED)
{
    struct zone z;
    struct err e;
    char file[512];
    size_t n = make(file);

    assert_int_equal(zone_parse(str_n(file, n), &z, &e), 0);
    assert_int_equal(zone_offset_ms(&z, 999999999), 3600000);
    assert_int_equal(zone_offset_ms(&z, 1000000000), 7200000);
    assert_int_equal(zone_offset_ms(&z, 2000000000), 3600000);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(zone_parse(str_n(file, cut), &z, &e), -1);
    }
}

static void fixed_zones_need_no_file(void **state UNUSED)
{
    struct zone z;
    struct cron c;
    struct err e;
    int64_t at;

    assert_int_equal(zone_open(STR("+08:00"), &z, &e), 0);
    assert_int_equal(cron_parse(STR("30 3 * * *"), &c, &e), 0);
    assert_int_equal(clock_parse(STR("2026-11-28T17:00:00Z"), &at), 0);
    assert_int_equal(zone_cron_next(&z, &c, at), at + (2 * 60 + 30) * 60000);
    assert_int_equal(zone_open(STR("UTC"), &z, &e), 0);
    assert_int_equal(zone_cron_next(&z, &c, at), at + (10 * 60 + 30) * 60000);
    assert_int_equal(zone_open(STR("-03:30"), &z, &e), 0);
    assert_int_equal(zone_offset_ms(&z, at), -210 * 60000);
}

static void names_that_lead_elsewhere_are_no_zones(void **state UNUSED)
{
    static const char *const bad[] = {
        "", "/etc/passwd", "../../etc/passwd", "Nowhere/Town", "+25:00", "+8", "Asia/"};
    struct zone z;
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(zone_open(str_of(bad[i]), &z, &e), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_count_from_their_second_on),
        cmocka_unit_test(fixed_zones_need_no_file),
        cmocka_unit_test(names_that_lead_elsewhere_are_no_zones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
