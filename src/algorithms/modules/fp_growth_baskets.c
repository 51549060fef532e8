#include "algorithms/modules/fp_growth.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/itemsets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void shop_done(struct shop *b)
{
    dict_free(b->names);
    big_free(b->entries);
    big_free(b->by_rank);
    big_free(b->baskets.start);
    big_free(b->baskets.items);
    itemsets_done(&b->sets);
}

static struct str trim(struct str s)
{
    while (s.len > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s = str_n(s.p + 1, s.len - 1);
    }
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

static int add_entry(struct shop *b, uint32_t basket, struct str item, struct err *e)
{
    uint32_t code;

    item = trim(item);
    if (item.len == 0) {
        return 0;
    }
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 1024;

        if (big_resize(&b->entries, cap, sizeof(*b->entries), "the baskets", e) < 0) {
            return -1;
        }
        b->cap = cap;
    }
    if (dict_intern(b->names, item, &code, e) < 0) {
        return -1;
    }
    b->entries[b->n++] = (struct entry){basket, code};
    return 0;
}

static int add_row(struct shop *b, uint32_t basket, struct str text, struct str separator,
                   struct err *e)
{
    const char *at;

    while (separator.p && separator.len > 0 &&
           (at = memmem(text.p, text.len, separator.p, separator.len)) != NULL) {
        size_t len = (size_t)(at - text.p);

        if (add_entry(b, basket, str_n(text.p, len), e) < 0) {
            return -1;
        }
        text = str_n(at + separator.len, text.len - len - separator.len);
    }
    return add_entry(b, basket, text, e);
}

/* Which basket each row belongs to; big memory. */
static uint32_t *baskets_of(struct shop *b, const struct step *s, const struct table *t,
                            struct err *e)
{
    struct str name = step_text(s, "basket_col");
    const struct column *c = name.len > 0 ? table_need(t, name, e) : NULL;
    SCOPED(dict_freep) struct dict *ids = dict_new();
    SCOPED(big_freep) uint32_t *of = NULL;

    if (name.len > 0 && c == NULL) {
        err_wrap(e, "basket_col");
        return NULL;
    }
    of = big_alloc(t->n_rows, sizeof(*of), "the baskets", e);
    for (uint32_t r = 0; of && r < t->n_rows; r++) {
        char text[AS_TEXT_BYTES];
        bool missing =
            c && (c->kind == COLUMN_TEXT ? c->codes[r] == DICT_MISSING : isnan(c->numbers[r]));

        if (missing) {
            err_set(e, ERR_DATA, "column '%s', row %u: the basket is missing", c->name, r + 1);
            return NULL;
        }
        if (c == NULL) {
            of[r] = r;
        } else if (dict_intern(ids,
                               c->kind == COLUMN_TEXT
                                   ? dict_text(c->dict, c->codes[r])
                                   : str_of(as_format(c->as, c->numbers[r], text)),
                               &of[r], e) < 0) {
            return NULL;
        }
    }
    b->n_baskets = c ? ids->len : t->n_rows;
    return TAKE(of);
}

int shop_collect(struct shop *b, const struct step *s, const struct table *t, struct err *e)
{
    const struct column *c = table_need(t, step_text(s, "items_col"), e);
    bool single = step_text(s, "basket_col").len > 0;
    SCOPED(big_freep) uint32_t *of = NULL;

    if (c == NULL) {
        return err_wrap(e, "items_col");
    }
    of = baskets_of(b, s, t, e);
    b->names = dict_new();
    for (uint32_t r = 0; of && r < t->n_rows; r++) {
        char text[AS_TEXT_BYTES];
        struct str item =
            c->kind == COLUMN_TEXT
                ? (c->codes[r] == DICT_MISSING ? STR_EMPTY : dict_text(c->dict, c->codes[r]))
            : isnan(c->numbers[r]) ? STR_EMPTY
                                   : str_of(as_format(c->as, c->numbers[r], text));

        if ((single ? add_entry(b, of[r], item, e)
                    : add_row(b, of[r], item, step_text(s, "separator"), e)) < 0) {
            return -1;
        }
    }
    return of ? 0 : -1;
}

struct ranked {
    uint64_t count;
    uint32_t code;
    struct str name;
};

static int by_frequency(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return x->count != y->count ? (x->count < y->count ? 1 : -1) : str_cmp(x->name, y->name);
}

static int by_basket(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->basket != y->basket ? (x->basket < y->basket ? -1 : 1)
                                  : (x->item > y->item) - (x->item < y->item);
}

/* Once a basket and item; returns how many are left. */
static size_t unique(struct entry *v, size_t n)
{
    size_t kept = 0;

    qsort(v, n, sizeof(*v), by_basket);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || by_basket(&v[kept - 1], &v[i]) != 0) {
            v[kept++] = v[i];
        }
    }
    return kept;
}

int shop_arrange(struct shop *b, uint64_t min_count, struct err *e)
{
    size_t n_items = b->names->len, frequent = 0;
    SCOPED(big_freep) struct ranked *order = big_alloc(n_items, sizeof(*order), "the items", e);
    SCOPED(big_freep) uint32_t *rank = big_alloc(n_items, sizeof(*rank), "the items", e);

    b->by_rank = order && rank ? big_alloc(n_items, sizeof(uint32_t), "the items", e) : NULL;
    b->n = b->by_rank && b->n > 0 ? unique(b->entries, b->n) : 0;
    b->baskets.start =
        b->by_rank ? big_alloc(b->n_baskets + 1, sizeof(size_t), "the baskets", e) : NULL;
    b->baskets.items =
        b->baskets.start ? big_alloc(b->n, sizeof(uint32_t), "the baskets", e) : NULL;
    if (b->baskets.items == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < n_items; i++) {
        order[i] = (struct ranked){0, i, dict_text(b->names, i)};
    }
    for (size_t i = 0; i < b->n; i++) {
        order[b->entries[i].item].count++;
    }
    qsort(order, n_items, sizeof(*order), by_frequency);
    for (uint32_t i = 0; i < n_items; i++) {
        b->by_rank[i] = order[i].code;
        rank[order[i].code] = order[i].count >= min_count ? i : UINT32_MAX;
        frequent += order[i].count >= min_count;
    }
    for (size_t i = 0; i < b->n; i++) {
        b->entries[i].item = rank[b->entries[i].item];
    }
    b->n = b->n > 0 ? unique(b->entries, b->n) : 0;
    b->baskets.n = b->n_baskets;
    b->baskets.n_items = frequent;
    for (size_t i = 0, at = 0, basket = 0; basket < b->n_baskets; basket++) {
        for (; i < b->n && b->entries[i].basket == basket; i++) {
            if (b->entries[i].item != UINT32_MAX) {
                b->baskets.items[at++] = b->entries[i].item;
            }
        }
        b->baskets.start[basket + 1] = at;
    }
    return 0;
}
