/* clock - the one place that asks what time it is. Wall time is for people and expiry, monotonic
 * time for durations and deadlines. Tests put their own wall time in. */
#pragma once
#include "base/str.h"

int64_t clock_wall_ms(void); /* since 1970-01-01T00:00:00Z */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
/* Which boot of the machine monotonic time counts from. */
enum { CLOCK_BOOT_ID = 40 };
int clock_boot_id(char out[CLOCK_BOOT_ID], struct err *e) MUST_USE;
/* Tests: the wall time from now on; 0 gives the real one back. */
void clock_set_wall_ms(int64_t ms);

/* RFC 3339 in UTC with milliseconds, "2026-11-23T18:04:37.123Z"; 25 bytes with the NUL. */
char *clock_format(int64_t wall_ms, char out[32]);
/* The same back; the fraction may be left out. -1: it is no such time. */
int clock_parse(struct str text, int64_t *wall_ms) MUST_USE;
/* RFC 9110 5.6.7, "Mon, 23 Nov 2026 18:04:37 GMT"; 30 bytes with the NUL. */
char *clock_format_http(int64_t wall_ms, char out[32]);
/* "0.8 s", "12 s", "3 min 5 s", "2 h 4 min". */
char *clock_format_duration(int64_t ms, char out[32]);
