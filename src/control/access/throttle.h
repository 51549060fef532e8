/* throttle - slows guessing of passwords down, without letting a guesser lock the owner out.
 *
 * Failures are counted for the user at one address, for the user anywhere and for the address
 * with any user. A few are free, then each doubles the wait, up to a minute at most: nobody is
 * locked for ever. Who has signed in from an address before is only measured by his own failures
 * there, whatever strangers do elsewhere. In memory, bounded, oldest forgotten first.
 * Threads: any. Times are clock_mono_ms(). */
#pragma once
#include "base/str.h"

struct throttle;

struct throttle *access_throttle_new(size_t max_entries) MUST_USE;
void access_throttle_free(struct throttle *t);
DEFINE_SCOPED(struct throttle, access_throttle_free)

/* ERR_THROTTLED says when to try again. Counts nothing. */
int access_throttle_check(struct throttle *t, struct str user, const char *peer, int64_t now_ms,
                          struct err *e) MUST_USE;
/* Checks and counts the try as failed already, so that tries side by side are seen. */
int access_throttle_begin(struct throttle *t, struct str user, const char *peer, int64_t now_ms,
                          struct err *e) MUST_USE;
/* It was right after all. */
void access_throttle_success(struct throttle *t, struct str user, const char *peer, int64_t now_ms);
/* A change of the user's own password, which costs as much as two sign-ins: five a minute. When it
 * is ERR_THROTTLED, `wait_ms` says for how long. */
int access_throttle_change(struct throttle *t, struct str user, int64_t now_ms, int64_t *wait_ms,
                           struct err *e) MUST_USE;
size_t access_throttle_entries(struct throttle *t);
