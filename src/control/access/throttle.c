#include "throttle.h"

#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum scope {
    SCOPE_PAIR,
    SCOPE_USER,
    SCOPE_PEER,
    SIGN_IN_SCOPES,
    SCOPE_CHANGE = SIGN_IN_SCOPES, /* counts what is done, not what fails */
    SCOPES
};

/* A user anywhere and an address with any user are shared by more people, so more is free. */
static const struct {
    char letter;
    unsigned free;
    int64_t longest_ms;
} rules[SCOPES] = {
    [SCOPE_PAIR] = {'b', 5, 60000},
    [SCOPE_USER] = {'u', 30, 30000},
    [SCOPE_PEER] = {'p', 30, 60000},
    [SCOPE_CHANGE] = {'c', 5, 60000},
};

enum { FORGET_MS = 15 * 60 * 1000, KEY_SIZE = 160 };

struct entry {
    struct list link; /* oldest first */
    char key[KEY_SIZE];
    unsigned failures;
    int64_t until_ms, last_ms;
    bool known; /* of a pair: has signed in */
};

struct throttle {
    struct lock lock; /* guards all */
    struct map by_key;
    struct list all;
    size_t max;
};

struct throttle *access_throttle_new(size_t max_entries)
{
    struct throttle *t = xnew(struct throttle);

    lock_init(&t->lock, LOCK_access);
    list_init(&t->all);
    t->max = max_entries;
    return t;
}

static void entry_remove(struct throttle *t, struct entry *en)
{
    (void)map_del(&t->by_key, str_of(en->key));
    list_remove(&en->link);
    free(en);
}

void access_throttle_free(struct throttle *t)
{
    if (t == NULL) {
        return;
    }
    list_each(it, &t->all)
    {
        entry_remove(t, list_entry(it, struct entry, link));
    }
    map_done(&t->by_key);
    lock_done(&t->lock);
    free(t);
}

/* One house has 2^64 addresses of IPv6: its network counts. */
static void peer_text(const char *peer, char out[64])
{
    struct in6_addr a;

    if (inet_pton(AF_INET6, peer, &a) == 1 && !IN6_IS_ADDR_V4MAPPED(&a)) {
        memset(a.s6_addr + 8, 0, 8);
        (void)inet_ntop(AF_INET6, &a, out, 64);
        return;
    }
    (void)snprintf(out, 64, "%s", peer);
}

static void make_key(enum scope scope, struct str user, const char *peer, char key[KEY_SIZE])
{
    char net[64];
    struct str name = scope == SCOPE_PEER ? STR_EMPTY : str_first(user, 65);

    peer_text(scope == SCOPE_USER ? "" : peer, net);
    (void)snprintf(key, KEY_SIZE, "%c %s %.*s", rules[scope].letter, net, STR_ARG(name));
}

static struct entry *find_locked(struct throttle *t, enum scope scope, struct str user,
                                 const char *peer, int64_t now_ms)
{
    char key[KEY_SIZE];
    struct entry *en;

    make_key(scope, user, peer, key);
    en = map_get(&t->by_key, str_of(key));
    if (en && now_ms - en->last_ms > FORGET_MS && now_ms >= en->until_ms) {
        en->failures = 0;
    }
    return en;
}

static struct entry *need_locked(struct throttle *t, enum scope scope, struct str user,
                                 const char *peer, int64_t now_ms)
{
    struct entry *en = find_locked(t, scope, user, peer, now_ms);

    if (en) {
        list_remove(&en->link);
        list_append(&t->all, &en->link);
        return en;
    }
    if (t->by_key.len >= t->max) {
        entry_remove(t, list_entry(t->all.next, struct entry, link));
    }
    en = xnew(struct entry);
    make_key(scope, user, peer, en->key);
    (void)map_put(&t->by_key, str_of(en->key), en);
    list_append(&t->all, &en->link);
    return en;
}

static bool is_known_locked(struct throttle *t, struct str user, const char *peer, int64_t now_ms)
{
    const struct entry *pair = find_locked(t, SCOPE_PAIR, user, peer, now_ms);

    return pair && pair->known;
}

static int check_locked(struct throttle *t, struct str user, const char *peer, int64_t now_ms,
                        struct err *e)
{
    int scopes = is_known_locked(t, user, peer, now_ms) ? SCOPE_PAIR + 1 : SIGN_IN_SCOPES;
    int64_t until_ms = 0;

    for (int s = 0; s < scopes; s++) {
        const struct entry *en = find_locked(t, (enum scope)s, user, peer, now_ms);

        if (en && en->until_ms > until_ms) {
            until_ms = en->until_ms;
        }
    }
    if (until_ms <= now_ms) {
        return 0;
    }
    return err_set(e, ERR_THROTTLED,
                   "too many failed sign-ins: try again in %lld s, or use a personal token",
                   (long long)(until_ms - now_ms + 999) / 1000);
}

int access_throttle_check(struct throttle *t, struct str user, const char *peer, int64_t now_ms,
                          struct err *e)
{
    WITH_LOCK(&t->lock);
    return check_locked(t, user, peer, now_ms, e);
}

static void count_locked(struct throttle *t, enum scope scope, struct str user, const char *peer,
                         int64_t now_ms)
{
    struct entry *en = need_locked(t, scope, user, peer, now_ms);
    int64_t wait_ms;

    en->failures++;
    en->last_ms = now_ms;
    en->until_ms = 0; /* not now_ms: who read the clock a moment earlier is not to wait */
    if (en->failures > rules[scope].free) {
        unsigned over = en->failures - rules[scope].free - 1;

        wait_ms = 1000LL << (over < 10 ? over : 10);
        en->until_ms =
            now_ms + (wait_ms < rules[scope].longest_ms ? wait_ms : rules[scope].longest_ms);
    }
}

int access_throttle_begin(struct throttle *t, struct str user, const char *peer, int64_t now_ms,
                          struct err *e)
{
    WITH_LOCK(&t->lock);
    if (check_locked(t, user, peer, now_ms, e) < 0) {
        return -1;
    }
    if (!is_known_locked(t, user, peer, now_ms)) {
        count_locked(t, SCOPE_USER, user, peer, now_ms);
        count_locked(t, SCOPE_PEER, user, peer, now_ms);
    }
    count_locked(t, SCOPE_PAIR, user, peer, now_ms);
    return 0;
}

/* The shared counters only forget this try: somebody's own success does not excuse his guessing at
 * others, nor that of strangers. */
static void uncount_locked(struct throttle *t, enum scope scope, struct str user, const char *peer,
                           int64_t now_ms)
{
    struct entry *en = find_locked(t, scope, user, peer, now_ms);

    if (en) {
        en->failures -= en->failures > 0;
        en->until_ms = 0;
    }
}

void access_throttle_success(struct throttle *t, struct str user, const char *peer, int64_t now_ms)
{
    struct entry *pair;

    WITH_LOCK(&t->lock);
    if (!is_known_locked(t, user, peer, now_ms)) {
        uncount_locked(t, SCOPE_USER, user, peer, now_ms);
        uncount_locked(t, SCOPE_PEER, user, peer, now_ms);
    }
    pair = need_locked(t, SCOPE_PAIR, user, peer, now_ms);
    pair->failures = 0;
    pair->until_ms = 0;
    pair->known = true;
    pair->last_ms = now_ms;
}

int access_throttle_change(struct throttle *t, struct str user, int64_t now_ms, int64_t *wait_ms,
                           struct err *e)
{
    struct entry *en;

    WITH_LOCK(&t->lock);
    en = need_locked(t, SCOPE_CHANGE, user, "", now_ms);
    if (now_ms >= en->until_ms) {
        en->failures = 0;
        en->until_ms = now_ms + rules[SCOPE_CHANGE].longest_ms;
    }
    if (en->failures < rules[SCOPE_CHANGE].free) {
        en->failures++;
        en->last_ms = now_ms;
        return 0;
    }
    *wait_ms = en->until_ms - now_ms;
    return err_set(e, ERR_THROTTLED, "too many changes of a password: try again in %lld s",
                   (long long)(*wait_ms + 999) / 1000);
}

size_t access_throttle_entries(struct throttle *t)
{
    WITH_LOCK(&t->lock);
    return t->by_key.len;
}
