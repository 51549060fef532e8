/* index - which series have which labels, in memory: the inverted index of the head.
 *
 *   pair 7: instance="n1:9100" --> series 3, 4, 9, ...        a series is a list of numbers of
 * pairs
 *
 * Not thread-safe (the head locks), but texts and pairs stay where they are as long as somebody
 * holds the index. Numbers of series and pairs begin with 1. */
#pragma once
#include "labels/labels.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"

/* Numbers, ascending, each once. */
struct ids {
    uint32_t *p;
    size_t len, cap;
};

void ids_done(struct ids *s);
void ids_add(struct ids *s, const uint32_t *p, size_t n);

/* Numbers by a hash; the caller compares what they stand for. */
struct id_slot {
    uint32_t id, tag;
};
struct id_table {
    struct id_slot *slots;
    size_t cap, used; /* used: with what was taken out */
};
typedef bool id_is(const void *ctx, uint32_t id);

void id_table_done(struct id_table *t);
uint32_t id_table_find(const struct id_table *t, uint64_t hash, id_is *is, const void *ctx);
void id_table_add(struct id_table *t, uint64_t hash, uint32_t id);
void id_table_del(struct id_table *t, uint64_t hash, uint32_t id);

enum { PAIRS_PER_PAGE = 512 };

struct pair {
    struct str name, value;
    union {
        uint32_t *p;
        uint32_t in[2];
    };
    uint32_t len, cap; /* cap 2: inside */
};

struct index_name {
    VEC(uint32_t) pairs;
};

struct index {
    struct arena texts;
    struct map names; /* -> struct index_name */
    struct id_table by_text;
    VEC(struct pair *) pages;
    uint32_t n_pairs;
    _Atomic unsigned refs;
};

struct index *index_new(void);
struct index *index_ref(struct index *x);
void index_unref(struct index *x);
struct pair *pair_at(struct pair *const *pages, uint32_t pair);
struct pair *index_at(const struct index *x, uint32_t pair);
uint32_t index_find(const struct index *x, struct str name, struct str value); /* 0: none */
uint32_t index_intern(struct index *x, struct str name, struct str value);
void pair_add(struct pair *p, uint32_t series);
/* Takes the series out for which `dead` says so. */
void pair_sweep(struct pair *p, id_is *dead, const void *ctx);
const uint32_t *pair_ids(const struct pair *p);
