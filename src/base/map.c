#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct map_slot {
    char *key; /* NULL: never used */
    size_t key_len;
    uint64_t hash;
    void *value; /* NULL with a key: deleted */
};

static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    random_bytes(seed, sizeof(seed));
}

static uint64_t rotl(uint64_t v, int n)
{
    return (v << n) | (v >> (64 - n));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein 2012). */
static uint64_t hash_of(struct str s)
{
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575ULL, seed[1] ^ 0x646f72616e646f6dULL,
                     seed[0] ^ 0x6c7967656e657261ULL, seed[1] ^ 0x7465646279746573ULL};

    for (size_t i = 0; i <= s.len; i += 8) {
        size_t left = s.len - i;
        uint64_t m = left < 8 ? (uint64_t)s.len << 56 : 0;

        if (left > 0) {
            memcpy(&m, s.p + i, left < 8 ? left : 8);
        }
        if (left < 8) {
            m |= (uint64_t)s.len << 56;
        }
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot with the key, or where it would go. The table is never full. */
static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
    size_t mask = m->cap - 1;
    struct map_slot *tomb = NULL;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *s = &m->slots[i];

        if (s->key == NULL) {
            return tomb ? tomb : s;
        }
        if (s->hash == hash && str_eq(str_n(s->key, s->key_len), key)) {
            return s;
        }
        if (s->value == NULL && tomb == NULL) {
            tomb = s;
        }
    }
}

static void grow(struct map *m)
{
    struct map old = *m;

    m->cap = old.len >= old.cap / 4 ? (old.cap ? old.cap * 2 : 16) : old.cap;
    m->slots = xnew_array(struct map_slot, m->cap);
    m->tombs = 0;
    for (size_t i = 0; i < old.cap; i++) {
        struct map_slot *s = &old.slots[i];

        if (s->value == NULL) {
            free(s->key);
            continue;
        }
        *find(m, str_n(s->key, s->key_len), s->hash) = *s;
    }
    free(old.slots);
}

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++) {
        free(m->slots[i].key);
    }
    free(m->slots);
    *m = (struct map){0};
}

void *map_get(const struct map *m, struct str key)
{
    if (m->cap == 0) {
        return NULL;
    }
    return find(m, key, hash_of(key))->value;
}

void *map_put(struct map *m, struct str key, void *value)
{
    struct map_slot *s;
    uint64_t hash;
    void *before;

    (void)pthread_once(&seed_once, make_seed);
    if ((m->len + m->tombs + 1) * 2 > m->cap) {
        grow(m);
    }
    hash = hash_of(key);
    s = find(m, key, hash);
    before = s->value;
    if (before == NULL) {
        m->tombs -= s->key != NULL;
        m->len++;
        free(s->key);
        *s = (struct map_slot){str_dup(key), key.len, hash, NULL};
    }
    s->value = value;
    return before;
}

void *map_del(struct map *m, struct str key)
{
    struct map_slot *s;
    void *before;

    if (m->cap == 0) {
        return NULL;
    }
    s = find(m, key, hash_of(key));
    before = s->value;
    if (before) {
        s->value = NULL;
        m->len--;
        m->tombs++;
    }
    return before;
}

bool map_next(const struct map *m, size_t *i, struct str *key, void **value)
{
    while (*i < m->cap) {
        const struct map_slot *s = &m->slots[(*i)++];

        if (s->value) {
            *key = str_n(s->key, s->key_len);
            *value = s->value;
            return true;
        }
    }
    return false;
}
