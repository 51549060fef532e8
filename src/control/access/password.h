/* password - yescrypt hashes as in /etc/shadow ("$y$", crypt(5)), about 15 ms of CPU and 16 MiB of
 * memory each; at most two are computed at a time, others wait their turn. Any thread. */
#pragma once
#include "base/list.h"
#include "base/lock.h"
#include "base/str.h"

enum { PASSWORD_HASH_SIZE = 384, PASSWORD_AT_ONCE = 2 };

struct password_slots {
    struct lock lock;
    unsigned free;       /* guarded by lock */
    struct list waiters; /* guarded by lock */
};
void access_password_slots_init(struct password_slots *s);
void access_password_slots_done(struct password_slots *s);
/* ERR_UNAVAILABLE after 10 s of waiting, or when LIMIT_PASSWORD_WAITS wait for the same user. */
int access_password_slot_take(struct password_slots *s, struct str user, struct err *e) MUST_USE;
void access_password_slot_drop(struct password_slots *s);

/* 8 to LIMIT_PASSWORD_BYTES bytes, no NUL, not the user's name. */
int access_password_check_rules(struct str user, struct str password, struct err *e) MUST_USE;
/* Under a slot. */
int access_password_hash(struct str password, char out[PASSWORD_HASH_SIZE], struct err *e) MUST_USE;
/* Under a slot. `hash` empty (no such user, no password): false after the same work. */
bool access_password_matches(struct str password, struct str hash);
