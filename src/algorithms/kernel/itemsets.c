#include "algorithms/kernel/itemsets.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"

#include <string.h>

struct node {
    uint32_t item, parent; /* node 0 is the root */
    uint32_t same;         /* the next node of the item; 0: none */
    uint32_t child, sibling;
    uint64_t count;
};

struct tree {
    struct node *nodes;
    size_t n, cap;
    uint32_t *first; /* [n_items]: the first node of the item, 0: none */
    uint32_t *top;   /* [n_items]: the root's child of the item */
    uint64_t *count; /* [n_items] */
    size_t n_items;
};

struct mining {
    struct itemsets *out;
    uint64_t min_count;
    uint32_t max_len;
    size_t most;
    uint32_t *suffix; /* the set so far, falling */
    uint32_t n;
};

void itemsets_done(struct itemsets *s)
{
    big_free(s->items);
    big_free(s->sets);
    *s = (struct itemsets){0};
}

static void tree_done(struct tree *t)
{
    big_free(t->nodes);
    big_free(t->first);
    big_free(t->top);
    big_free(t->count);
}

static int tree_init(struct tree *t, size_t n_items, struct err *e)
{
    *t = (struct tree){.n_items = n_items, .n = 1, .cap = 64};
    t->nodes = big_alloc(t->cap, sizeof(*t->nodes), "the tree of baskets", e);
    t->first = t->nodes ? big_alloc(n_items, sizeof(uint32_t), "the tree of baskets", e) : NULL;
    t->top = t->first ? big_alloc(n_items, sizeof(uint32_t), "the tree of baskets", e) : NULL;
    t->count = t->top ? big_alloc(n_items, sizeof(uint64_t), "the tree of baskets", e) : NULL;
    return t->count ? 0 : -1;
}

static uint32_t find_child(const struct tree *t, uint32_t parent, uint32_t item)
{
    uint32_t at = parent == 0 ? t->top[item] : t->nodes[parent].child;

    while (at && t->nodes[at].item != item) {
        at = t->nodes[at].sibling;
    }
    return at;
}

static int add_child(struct tree *t, uint32_t parent, uint32_t item, uint32_t *out, struct err *e)
{
    if (t->n == t->cap) {
        if (t->n >= UINT32_MAX / 2 ||
            big_resize(&t->nodes, t->cap * 2, sizeof(*t->nodes), "the tree of baskets", e) < 0) {
            return t->n >= UINT32_MAX / 2 ? err_set(e, ERR_DATA, "too many baskets") : -1;
        }
        t->cap *= 2;
    }
    *out = (uint32_t)t->n++;
    t->nodes[*out] = (struct node){.item = item,
                                   .parent = parent,
                                   .same = t->first[item],
                                   .sibling = parent == 0 ? 0 : t->nodes[parent].child};
    t->first[item] = *out;
    if (parent == 0) {
        t->top[item] = *out;
    } else {
        t->nodes[parent].child = *out;
    }
    return 0;
}

/* Items rising: the most frequent have the smallest numbers. */
static int tree_add(struct tree *t, const uint32_t *items, size_t n, uint64_t count, struct err *e)
{
    uint32_t at = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t next = find_child(t, at, items[i]);

        if (next == 0 && add_child(t, at, items[i], &next, e) < 0) {
            return -1;
        }
        t->nodes[next].count += count;
        t->count[items[i]] += count;
        at = next;
    }
    return 0;
}

static int emit(struct mining *m, uint64_t count, struct err *e)
{
    struct itemsets *s = m->out;

    if (s->n == m->most) {
        return err_set(e, ERR_DATA,
                       "there are more than %zu sets: raise min_support or lower max_len", m->most);
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 256;

        if (big_resize(&s->sets, cap, sizeof(*s->sets), "the sets", e) < 0) {
            return -1;
        }
        s->cap = cap;
    }
    if (s->n_items + m->n > s->items_cap) {
        size_t cap = (s->items_cap + m->n) * 2;

        if (big_resize(&s->items, cap, sizeof(*s->items), "the sets", e) < 0) {
            return -1;
        }
        s->items_cap = cap;
    }
    s->sets[s->n++] = (struct itemset){s->n_items, m->n, count};
    for (uint32_t i = 0; i < m->n; i++) {
        s->items[s->n_items++] = m->suffix[m->n - 1 - i];
    }
    return 0;
}

/* The paths above an item, those of its items that stay frequent. */
static int condition(const struct mining *m, const struct tree *t, uint32_t item, struct tree *to,
                     struct err *e)
{
    SCOPED(big_freep) uint64_t *count = big_alloc(item, sizeof(*count), "the tree of baskets", e);
    SCOPED(big_freep) uint32_t *path = big_alloc(item, sizeof(*path), "the tree of baskets", e);

    if (count == NULL || path == NULL || tree_init(to, item, e) < 0) {
        return -1;
    }
    for (uint32_t at = t->first[item]; at; at = t->nodes[at].same) {
        for (uint32_t up = t->nodes[at].parent; up; up = t->nodes[up].parent) {
            count[t->nodes[up].item] += t->nodes[at].count;
        }
    }
    for (uint32_t at = t->first[item]; at; at = t->nodes[at].same) {
        size_t n = item;

        for (uint32_t up = t->nodes[at].parent; up; up = t->nodes[up].parent) {
            if (count[t->nodes[up].item] >= m->min_count) {
                path[--n] = t->nodes[up].item; /* falls on the way up */
            }
        }
        if (tree_add(to, path + n, item - n, t->nodes[at].count, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* As deep as the longest set: max_len. */
static int mine(struct mining *m, const struct tree *t, struct err *e)
{
    int rc = 0;

    for (uint32_t item = 0; rc == 0 && item < t->n_items; item++) {
        if (t->count[item] < m->min_count) {
            continue;
        }
        m->suffix[m->n++] = item;
        rc = emit(m, t->count[item], e);
        if (rc == 0 && m->n < m->max_len && item > 0) {
            struct tree smaller = {0};

            rc = condition(m, t, item, &smaller, e) < 0 ? -1 : mine(m, &smaller, e);
            tree_done(&smaller);
        }
        m->n--;
    }
    return rc;
}

static int by_count(const void *a, const void *b, void *items)
{
    const struct itemset *x = a, *y = b;
    const uint32_t *of = items;

    if (x->count != y->count) {
        return x->count < y->count ? 1 : -1;
    }
    if (x->n != y->n) {
        return x->n < y->n ? -1 : 1;
    }
    for (uint32_t i = 0; i < x->n; i++) {
        uint32_t u = of[x->at + i], v = of[y->at + i];

        if (u != v) {
            return u < v ? -1 : 1;
        }
    }
    return 0;
}

int itemsets_find(struct itemsets *s, const struct baskets *b, uint64_t min_count, uint32_t max_len,
                  size_t most, struct err *e)
{
    struct tree t = {0};
    SCOPED(big_freep) uint32_t *suffix = big_alloc(max_len, sizeof(*suffix), "the sets", e);
    struct mining m = {s, min_count, max_len, most, suffix, 0};
    int rc = suffix ? tree_init(&t, b->n_items, e) : -1;

    for (size_t i = 0; rc == 0 && i < b->n; i++) {
        rc = tree_add(&t, b->items + b->start[i], b->start[i + 1] - b->start[i], 1, e);
    }
    rc = rc == 0 ? mine(&m, &t, e) : -1;
    tree_done(&t);
    if (rc == 0 && s->n > 0) {
        qsort_r(s->sets, s->n, sizeof(*s->sets), by_count, s->items);
    }
    return rc;
}
