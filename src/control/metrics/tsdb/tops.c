#include "tsdb/tsdb_priv.h"

#include <string.h>

static int by_size(const void *a, const void *b)
{
    const struct tsdb_count *x = a, *y = b;

    return x->n != y->n ? (x->n > y->n ? -1 : 1)
                        : str_cmp(x->name, y->name) * 2 + str_cmp(x->value, y->value);
}

/* The largest `limit` seen so far, kept in twice the room. */
struct top {
    struct tsdb_count *p;
    size_t len, limit;
};

static void note(struct top *t, struct str name, struct str value, uint64_t n)
{
    if (n == 0) {
        return;
    }
    t->p[t->len++] = (struct tsdb_count){name, value, n};
    if (t->len == 2 * t->limit) {
        qsort(t->p, t->len, sizeof(*t->p), by_size);
        t->len = t->limit;
    }
}

static struct tsdb_count *top_end(struct top *t, struct arena *a, size_t *n)
{
    qsort(t->p, t->len, sizeof(*t->p), by_size);
    *n = t->len < t->limit ? t->len : t->limit;
    for (size_t i = 0; i < *n; i++) {
        t->p[i].name = arena_str(a, t->p[i].name);
        t->p[i].value = arena_str(a, t->p[i].value);
    }
    return t->p;
}

static struct top top_new(struct arena *a, size_t limit)
{
    return (struct top){arena_new_array(a, struct tsdb_count, 2 * limit + 1), 0, limit};
}

void tsdb_tops(struct tsdb *db, size_t limit, struct arena *a, struct tsdb_tops *out)
{
    struct top names, labels, bytes, pairs;
    const struct index *x;
    struct str key;
    void *value;

    limit = limit == 0 ? 1 : limit;
    names = top_new(a, limit);
    labels = top_new(a, limit);
    bytes = top_new(a, limit);
    pairs = top_new(a, limit);
    *out = (struct tsdb_tops){0};
    WITH_LOCK(&db->head_lock);
    x = db->head.index;
    for (size_t i = 0; map_next(&x->names, &i, &key, &value);) {
        const struct index_name *n = value;
        uint64_t live = 0, size = 0;

        for (size_t k = 0; k < n->pairs.len; k++) {
            const struct pair *p = index_at(x, n->pairs.p[k]);

            live += p->len > 0;
            size += p->value.len * (uint64_t)p->len;
            note(&pairs, p->name, p->value, p->len);
            if (str_eq_c(key, LABEL_NAME)) {
                note(&names, p->value, STR_EMPTY, p->len);
            }
        }
        out->label_pairs += live;
        note(&labels, key, STR_EMPTY, live);
        note(&bytes, key, STR_EMPTY, size);
    }
    out->series_by_name = top_end(&names, a, &out->n_names);
    out->values_by_label = top_end(&labels, a, &out->n_labels);
    out->bytes_by_label = top_end(&bytes, a, &out->n_bytes);
    out->series_by_pair = top_end(&pairs, a, &out->n_pairs);
}
