/* cron - schedules as crontab(5) writes them, in UTC.
 *
 *   30 3 * * 1-5      minute, hour, day of month, month, day of week (0 and 7: Sunday)
 *   0 30 3 * * 1-5    the same with seconds in front, as Harbor writes it: they must be a number
 *   @hourly @daily @weekly @monthly @yearly
 *
 * A field is `*`, or numbers, ranges and steps: 1,5-10,*\/15. Months and days also by their names
 * (jan, mon). When both days are restricted, either will do, as crontab(5) has it. */
#pragma once
#include "base/str.h"

enum { CRON_BYTES_MAX = 128 };

struct cron {
    uint64_t minutes; /* bit i: at minute i; the same for the others */
    uint32_t hours, days, months, weekdays;
    bool any_day, any_weekday;
    unsigned char second;
};

/* ERR_INVALID names the field and what it may be. */
int cron_parse(struct str text, struct cron *out, struct err *e) MUST_USE;
/* The first time after `ms` (Unix time); -1 when there is none in the next eight years (30
 * February). */
int64_t cron_next(const struct cron *c, int64_t ms);
