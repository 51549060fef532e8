/* cache - a small table of recent answers: fixed size, one slot a key, newest wins. Entries die by
 * age and, all at once, when the epoch they were read under is over. Any thread. */
#pragma once
#include "base/hash.h"

struct cache;

struct cache_key {
    unsigned char hash[SHA256_BYTES]; /* keyed by the process, so that nobody aims at a slot */
};

struct cache *access_cache_new(size_t n_slots, size_t value_size, int64_t ttl_ms) MUST_USE;
void access_cache_free(struct cache *c); /* wipes */
DEFINE_SCOPED(struct cache, access_cache_free)

/* `value` receives value_size bytes. */
bool access_cache_get(struct cache *c, const struct cache_key *key, uint64_t epoch,
                      int64_t now_mono_ms, void *value);
/* `epoch` is what the caller read before it looked at the state: an answer that was overtaken by a
 * change is never found. */
void access_cache_put(struct cache *c, const struct cache_key *key, uint64_t epoch,
                      int64_t now_mono_ms, const void *value);
