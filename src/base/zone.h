/* zone - time zones by their name, from the files that tzdata installs (RFC 8536), and fixed ones.
 *
 *   Asia/Taipei · Europe/Berlin      as in /usr/share/zoneinfo
 *   UTC · +08:00 · -03:30            also without tzdata
 *
 * Plain value; hostile files are refused. Behind the last change that a file tells, its last offset
 * goes on. */
#pragma once
#include "base/cron.h"

enum { ZONE_CHANGES = 2048 };

struct zone {
    size_t n;
    int64_t at_sec[ZONE_CHANGES]; /* from then on... */
    int32_t offset_sec[ZONE_CHANGES];
    int32_t first_sec; /* ...and before all of them */
};

/* ERR_INVALID: there is none of that name. */
int zone_open(struct str name, struct zone *out, struct err *e) MUST_USE;
/* The bytes of such a file. */
int zone_parse(struct str bytes, struct zone *out, struct err *e) MUST_USE;
/* Local time minus UTC. */
int64_t zone_offset_ms(const struct zone *z, int64_t utc_ms);
/* cron_next by the clocks of the zone. What falls into the hour that a change leaves out comes at
 * the hour behind it; what falls into one that is there twice comes once. */
int64_t zone_cron_next(const struct zone *z, const struct cron *c, int64_t utc_ms);
