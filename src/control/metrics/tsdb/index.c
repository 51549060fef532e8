#include "tsdb/index.h"

#include <string.h>

void ids_done(struct ids *s)
{
    free(s->p);
    *s = (struct ids){0};
}

void ids_add(struct ids *s, const uint32_t *p, size_t n)
{
    if (s->len + n > s->cap) {
        s->cap = s->len + n > 2 * s->cap ? s->len + n : 2 * s->cap;
        s->p = xrealloc(s->p, s->cap * sizeof(*s->p));
    }
    if (n > 0) {
        memcpy(s->p + s->len, p, n * sizeof(*p));
    }
    s->len += n;
}

/* --- numbers by hash --- */

enum { GONE = UINT32_MAX };

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash ^ hash >> 32);
}

void id_table_done(struct id_table *t)
{
    free(t->slots);
    *t = (struct id_table){0};
}

uint32_t id_table_find(const struct id_table *t, uint64_t hash, id_is *is, const void *ctx)
{
    uint32_t tag = tag_of(hash);

    for (size_t i = tag; t->cap > 0; i++) {
        const struct id_slot *s = &t->slots[i & (t->cap - 1)];

        if (s->id == 0) {
            return 0;
        }
        if (s->tag == tag && s->id != (uint32_t)GONE && is(ctx, s->id)) {
            return s->id;
        }
    }
    return 0;
}

static void put(struct id_table *t, uint32_t tag, uint32_t id)
{
    size_t i = tag & (t->cap - 1);

    while (t->slots[i].id != 0) {
        i = (i + 1) & (t->cap - 1);
    }
    t->slots[i] = (struct id_slot){id, tag};
    t->used++;
}

static void grow(struct id_table *t)
{
    struct id_table bigger = {.cap = 64};
    size_t live = 0;

    for (size_t i = 0; i < t->cap; i++) {
        live += t->slots[i].id != 0 && t->slots[i].id != (uint32_t)GONE;
    }
    while (bigger.cap < live * 2 + 32) {
        bigger.cap *= 2;
    }
    bigger.slots = xnew_array(struct id_slot, bigger.cap);
    for (size_t i = 0; i < t->cap; i++) {
        if (t->slots[i].id != 0 && t->slots[i].id != (uint32_t)GONE) {
            put(&bigger, t->slots[i].tag, t->slots[i].id);
        }
    }
    id_table_done(t);
    *t = bigger;
}

void id_table_add(struct id_table *t, uint64_t hash, uint32_t id)
{
    if ((t->used + 1) * 4 > t->cap * 3) {
        grow(t);
    }
    put(t, tag_of(hash), id);
}

void id_table_del(struct id_table *t, uint64_t hash, uint32_t id)
{
    uint32_t tag = tag_of(hash);

    for (size_t i = tag; t->cap > 0 && t->slots[i & (t->cap - 1)].id != 0; i++) {
        struct id_slot *s = &t->slots[i & (t->cap - 1)];

        if (s->id == id) {
            s->id = GONE;
            return;
        }
    }
}

/* --- pairs --- */

struct index *index_new(void)
{
    struct index *x = xnew(struct index);

    x->refs = 1;
    return x;
}

struct index *index_ref(struct index *x)
{
    x->refs++;
    return x;
}

static void free_all(struct index *x)
{
    struct str key;
    void *value;

    for (uint32_t i = 1; i <= x->n_pairs; i++) {
        struct pair *p = index_at(x, i);

        if (p->cap > ARRAY_LEN(p->in)) {
            free(p->p);
        }
    }
    for (size_t i = 0; i < x->pages.len; i++) {
        free(x->pages.p[i]);
    }
    vec_done(&x->pages);
    for (size_t i = 0; map_next(&x->names, &i, &key, &value);) {
        struct index_name *name = value;

        vec_done(&name->pairs);
        free(name);
    }
    map_done(&x->names);
    id_table_done(&x->by_text);
    arena_done(&x->texts);
    free(x);
}

void index_unref(struct index *x)
{
    if (x != NULL && --x->refs == 0) {
        free_all(x);
    }
}

struct pair *pair_at(struct pair *const *pages, uint32_t pair)
{
    return &pages[(pair - 1) / PAIRS_PER_PAGE][(pair - 1) % PAIRS_PER_PAGE];
}

struct pair *index_at(const struct index *x, uint32_t pair)
{
    return pair_at(x->pages.p, pair);
}

struct sought {
    const struct index *x;
    struct str name, value;
};

static bool is_sought(const void *ctx, uint32_t id)
{
    const struct sought *s = ctx;
    const struct pair *p = index_at(s->x, id);

    return str_eq(p->value, s->value) && str_eq(p->name, s->name);
}

static uint64_t hash_of(struct str name, struct str value)
{
    return labels_hash((struct labels){&(struct label){name, value}, 1});
}

uint32_t index_find(const struct index *x, struct str name, struct str value)
{
    struct sought s = {x, name, value};

    return id_table_find(&x->by_text, hash_of(name, value), is_sought, &s);
}

static void note_name(struct index *x, struct pair *p, uint32_t id)
{
    struct index_name *n = map_get(&x->names, p->name);

    if (n == NULL) {
        n = xnew(struct index_name);
        (void)map_put(&x->names, p->name, n);
        p->name = arena_str(&x->texts, p->name);
    } else {
        p->name = index_at(x, n->pairs.p[0])->name;
    }
    *vec_push(&n->pairs) = id;
}

uint32_t index_intern(struct index *x, struct str name, struct str value)
{
    uint64_t hash = hash_of(name, value);
    struct sought s = {x, name, value};
    uint32_t id = id_table_find(&x->by_text, hash, is_sought, &s);
    struct pair *p;

    if (id != 0) {
        return id;
    }
    if (x->n_pairs % PAIRS_PER_PAGE == 0) {
        *vec_push(&x->pages) = xnew_array(struct pair, PAIRS_PER_PAGE);
    }
    id = ++x->n_pairs;
    p = index_at(x, id);
    *p = (struct pair){.name = name, .value = arena_str(&x->texts, value), .cap = 2};
    note_name(x, p, id);
    id_table_add(&x->by_text, hash, id);
    return id;
}

const uint32_t *pair_ids(const struct pair *p)
{
    return p->cap > ARRAY_LEN(p->in) ? p->p : p->in;
}

void pair_add(struct pair *p, uint32_t series)
{
    if (p->len == p->cap) {
        uint32_t cap = p->cap < 8 ? 8 : p->cap + p->cap / 2;
        uint32_t *ids = xnew_array(uint32_t, cap);

        memcpy(ids, pair_ids(p), p->len * sizeof(*ids));
        if (p->cap > ARRAY_LEN(p->in)) {
            free(p->p);
        }
        p->p = ids;
        p->cap = cap;
    }
    if (p->cap > ARRAY_LEN(p->in)) {
        p->p[p->len++] = series;
    } else {
        p->in[p->len++] = series;
    }
}

void pair_sweep(struct pair *p, id_is *dead, const void *ctx)
{
    uint32_t *ids = p->cap > ARRAY_LEN(p->in) ? p->p : p->in, kept = 0;

    for (uint32_t i = 0; i < p->len; i++) {
        if (!dead(ctx, ids[i])) {
            ids[kept++] = ids[i];
        }
    }
    p->len = kept;
}
