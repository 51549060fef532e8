/* map - string keys to pointers. Keys are copied, values are not owned. Open addressing, keyed
 * hash (SipHash-like seed per process), so hostile keys cannot pile up. Not thread-safe. */
#pragma once
#include "base/str.h"

struct map {
    struct map_slot *slots;
    size_t cap, len, tombs;
};

void map_done(struct map *m); /* frees keys, not values */
void *map_get(const struct map *m, struct str key);
/* Returns the value that was there before, or NULL. `value` is not NULL. */
void *map_put(struct map *m, struct str key, void *value);
void *map_del(struct map *m, struct str key); /* returns the value that was there */
/* for (size_t i = 0; map_next(m, &i, &key, &value);) - in no order; no changes meanwhile. */
bool map_next(const struct map *m, size_t *i, struct str *key, void **value);
