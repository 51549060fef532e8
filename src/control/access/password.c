#include "password.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORD_MIN = 8, SLOT_WAIT_MS = 10000 };

/* The setting of crypt_gensalt("$y$") with the default cost and a salt of ours: work without a
 * result, so that the time of an answer does not tell who has an account. */
static const char nobody_hash[] = "$y$j9T$zt2Dyz2zEbEGXCOGQEt.F/";

void access_password_slots_init(struct password_slots *s)
{
    lock_init(&s->lock, LOCK_access);
    list_init(&s->waiters);
    s->free = PASSWORD_AT_ONCE;
}

void access_password_slots_done(struct password_slots *s)
{
    lock_done(&s->lock);
}

struct waiter {
    struct list link;
    struct str user;
};

static size_t count_waiters_locked(struct password_slots *s, struct str user)
{
    size_t n = 0;

    list_each(it, &s->waiters)
    {
        n += str_eq(list_entry(it, struct waiter, link)->user, user);
    }
    return n;
}

static bool wait_locked(struct password_slots *s, struct str user)
{
    struct waiter me = {.user = user};
    int64_t deadline_ms = clock_mono_ms() + SLOT_WAIT_MS;
    bool in_time = true;

    list_append(&s->waiters, &me.link);
    while (s->free == 0 && in_time) {
        in_time = lock_wait_until(&s->lock, deadline_ms);
    }
    list_remove(&me.link);
    return s->free > 0;
}

int access_password_slot_take(struct password_slots *s, struct str user, struct err *e)
{
    WITH_LOCK(&s->lock);
    if (s->free == 0 &&
        (count_waiters_locked(s, user) >= LIMIT_PASSWORD_WAITS || !wait_locked(s, user))) {
        return err_set(e, ERR_UNAVAILABLE, "too many sign-ins at a time: try again");
    }
    s->free--;
    return 0;
}

void access_password_slot_drop(struct password_slots *s)
{
    WITH_LOCK(&s->lock);
    s->free++;
    lock_signal(&s->lock);
}

int access_password_check_rules(struct str user, struct str password, struct err *e)
{
    if (password.len < PASSWORD_MIN) {
        return err_set(e, ERR_INVALID, "password: give at least %d characters", PASSWORD_MIN);
    }
    if (password.len > LIMIT_PASSWORD_BYTES) {
        return err_set(e, ERR_INVALID, "password: give at most %d bytes", LIMIT_PASSWORD_BYTES);
    }
    if (str_find_char(password, '\0') >= 0) {
        return err_set(e, ERR_INVALID, "password: a zero byte is not allowed");
    }
    if (str_eq(user, password)) {
        return err_set(e, ERR_INVALID, "password: is the user's name, choose another");
    }
    if (str_starts(password, STR("strata_"))) {
        return err_set(e, ERR_INVALID, "password: looks like a token, choose another");
    }
    return 0;
}

/* crypt_data is 32 KiB: too much for the stack of a worker. */
static bool run_crypt(struct str password, const char *setting, char out[PASSWORD_HASH_SIZE])
{
    char phrase[LIMIT_PASSWORD_BYTES + 1];
    struct crypt_data *data = xnew(struct crypt_data);
    const char *r = NULL;
    bool ok;

    if (str_copy(password, phrase, sizeof(phrase)) == 0) {
        r = crypt_r(phrase, setting, data);
    }
    ok = r && r[0] != '*' && str_copy(str_of(r), out, PASSWORD_HASH_SIZE) == 0;
    explicit_bzero(phrase, sizeof(phrase));
    explicit_bzero(data, sizeof(*data));
    free(data);
    return ok;
}

int access_password_hash(struct str password, char out[PASSWORD_HASH_SIZE], struct err *e)
{
    char salt[CRYPT_GENSALT_OUTPUT_SIZE], random[32];

    random_bytes(random, sizeof(random));
    if (crypt_gensalt_rn("$y$", 0, random, sizeof(random), salt, sizeof(salt)) == NULL ||
        !run_crypt(password, salt, out)) {
        return err_set(e, ERR_INTERNAL, "this libcrypt cannot make a yescrypt hash");
    }
    return 0;
}

bool access_password_matches(struct str password, struct str hash)
{
    char setting[PASSWORD_HASH_SIZE], again[PASSWORD_HASH_SIZE] = "";
    bool is_real = hash.len > 0 && str_copy(hash, setting, sizeof(setting)) == 0;
    bool ok = run_crypt(password, is_real ? setting : nobody_hash, again);
    bool same = secret_eq(str_of(again), hash);

    explicit_bzero(again, sizeof(again));
    return ok && is_real && same;
}
