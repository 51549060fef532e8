/* refusals - so that nobody fills the disk with entries about what was refused to him.
 *
 *   access_audit -> access_refusals_note: the first ones of a user in a minute are written down,
 * the rest is counted -> access_refusals_sum, when the minute is over: one entry for all of them
 *
 * In memory, bounded; a minute that a crash cuts short loses its count. Any thread. */
#pragma once
#include "base/limits.h"
#include "base/str.h"

struct refusals;

struct refusals *access_refusals_new(void) MUST_USE;
void access_refusals_free(struct refusals *r);
DEFINE_SCOPED(struct refusals, access_refusals_free)

/* The last one stands for those that were only counted. */
struct refusal {
    char user[LIMIT_LOGIN_BYTES + 1], peer[64], request_id[17];
    int status;
};

/* true: write it down. */
bool access_refusals_note(struct refusals *r, const struct refusal *one, int64_t now_ms) MUST_USE;
/* How many more there were of a user in a minute that is over, and the last of them; 0: no (more)
 * users to tell about. */
unsigned access_refusals_sum(struct refusals *r, int64_t now_ms, struct refusal *last) MUST_USE;
