/* calendar - ISO 8601 dates and times (RFC 3339 and what people write) to numbers and back:
 * days and microseconds since 1970-01-01 in UTC, proleptic Gregorian, years 1 to 9999. */
#pragma once
#include "base/str.h"

#define CALENDAR_DAY_US 86400000000LL

enum { CALENDAR_TEXT_BYTES = 32 };

/* "2024-02-29". -1 when it is no such day. */
int calendar_parse_date(struct str s, int64_t *days) MUST_USE;
/* "2024-02-29T08:00:00.5+08:00": T or a space, seconds and fraction optional, then nothing (UTC),
 * Z, +08:00, +0800 or +08. -1 for anything else, and for digits finer than a microsecond. */
int calendar_parse_time(struct str s, int64_t *us) MUST_USE;

/* Whether the year is one of those that have a text. */
bool calendar_has_text(int64_t days);
/* The parts of a day that has a text; months and days from 1. */
void calendar_date_of(int64_t days, int *year, int *month, int *day);
/* The day `months` later, the last of its month where that one is shorter; `day` from 1. */
int64_t calendar_month_on(int64_t days, int64_t months, int day);
/* "2024-02-29" and "2024-02-29T00:00:00Z", with as many digits behind the point as it takes (0, 3
 * or 6). Returns `out`. */
char *calendar_format_date(int64_t days, char out[CALENDAR_TEXT_BYTES]);
char *calendar_format_time(int64_t us, char out[CALENDAR_TEXT_BYTES]);
