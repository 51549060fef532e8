#include "cache.h"

#include "base/lock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    struct cache_key key;
    uint64_t epoch;
    int64_t until_mono_ms; /* 0: empty */
    unsigned char value[];
};

struct cache {
    struct lock lock; /* guards slots */
    size_t n_slots, value_size, slot_size;
    int64_t ttl_ms;
    unsigned char *slots;
};

struct cache *access_cache_new(size_t n_slots, size_t value_size, int64_t ttl_ms)
{
    struct cache *c = xnew(struct cache);

    lock_init(&c->lock, LOCK_access);
    c->n_slots = n_slots;
    c->value_size = value_size;
    c->slot_size = (sizeof(struct slot) + value_size + 15) & ~(size_t)15;
    c->ttl_ms = ttl_ms;
    c->slots = xcalloc(n_slots, c->slot_size);
    return c;
}

void access_cache_free(struct cache *c)
{
    if (c == NULL) {
        return;
    }
    explicit_bzero(c->slots, c->n_slots * c->slot_size);
    free(c->slots);
    lock_done(&c->lock);
    free(c);
}

static struct slot *slot_of(struct cache *c, const struct cache_key *key)
{
    uint64_t n;

    memcpy(&n, key->hash, sizeof(n));
    return (struct slot *)(c->slots + n % c->n_slots * c->slot_size);
}

bool access_cache_get(struct cache *c, const struct cache_key *key, uint64_t epoch,
                      int64_t now_mono_ms, void *value)
{
    struct slot *s = slot_of(c, key);

    WITH_LOCK(&c->lock);
    if (s->until_mono_ms <= now_mono_ms || s->epoch != epoch ||
        memcmp(&s->key, key, sizeof(*key)) != 0) {
        return false;
    }
    memcpy(value, s->value, c->value_size);
    return true;
}

void access_cache_put(struct cache *c, const struct cache_key *key, uint64_t epoch,
                      int64_t now_mono_ms, const void *value)
{
    struct slot *s = slot_of(c, key);

    WITH_LOCK(&c->lock);
    s->key = *key;
    s->epoch = epoch;
    s->until_mono_ms = now_mono_ms + c->ttl_ms;
    memcpy(s->value, value, c->value_size);
}
