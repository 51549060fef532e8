#include "algorithms/kernel/keys.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/gather.h"

#include <math.h>
#include <string.h>

struct slot {
    uint64_t value;
    uint32_t before; /* number by the columns before */
    uint32_t number; /* + 1; 0: empty */
};

struct pairs {
    struct slot *slots;
    size_t cap, len; /* cap: a power of two, at most half full */
};

static size_t place(const struct pairs *p, uint64_t value, uint32_t before)
{
    uint64_t h = (value ^ (uint64_t)before << 32) * 0x9e3779b97f4a7c15ULL;

    h ^= before * 0xc2b2ae3d27d4eb4fULL;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ULL;
    h ^= h >> 32;
    return h & (p->cap - 1);
}

static struct slot *find(const struct pairs *p, uint64_t value, uint32_t before)
{
    size_t at = place(p, value, before);

    while (p->slots[at].number != 0 &&
           (p->slots[at].value != value || p->slots[at].before != before)) {
        at = (at + 1) & (p->cap - 1);
    }
    return &p->slots[at];
}

static int grow(struct pairs *p, struct err *e)
{
    struct pairs more = {.cap = p->cap ? p->cap * 2 : 4096, .len = p->len};

    more.slots = big_alloc(more.cap, sizeof(*more.slots), "the different keys of rows", e);
    if (more.slots == NULL) {
        return -1;
    }
    for (size_t i = 0; i < p->cap; i++) {
        if (p->slots[i].number != 0) {
            *find(&more, p->slots[i].value, p->slots[i].before) = p->slots[i];
        }
    }
    big_free(p->slots);
    *p = more;
    return 0;
}

/* The bits that equal numbers have in common. */
static uint64_t bits_of(double v)
{
    uint64_t bits;

    v = isnan(v) ? (double)NAN : v + 0.0;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

/* `codes`: of each text of the dictionary, in numbers that both tables share; NULL: as they are. */
static int add_column(struct pairs *p, const struct column *c, const uint32_t *codes, size_t n_rows,
                      enum keys_missing missing, uint32_t *of_row, struct err *e)
{
    for (size_t r = 0; r < n_rows; r++) {
        bool text = c->kind == COLUMN_TEXT;
        bool gone = text ? c->codes[r] == DICT_MISSING : isnan(c->numbers[r]);
        uint64_t value = !text  ? bits_of(c->numbers[r])
                         : gone ? UINT32_MAX
                                : (codes ? codes[c->codes[r]] : c->codes[r]);
        struct slot *s;

        if (of_row[r] == KEYS_NONE || (gone && missing == KEYS_MISSING_NEVER)) {
            of_row[r] = KEYS_NONE;
            continue;
        }
        if (2 * p->len >= p->cap && grow(p, e) < 0) {
            return -1;
        }
        s = find(p, value, of_row[r]);
        if (s->number == 0) {
            *s = (struct slot){value, of_row[r], (uint32_t)++p->len};
        }
        of_row[r] = s->number - 1;
    }
    return 0;
}

static int add_columns(struct keys *k, const struct table *const tables[2],
                       const struct column *const c[2], enum keys_missing missing, struct err *e)
{
    struct pairs p = {0};
    uint32_t *codes = NULL;
    struct dict *both = NULL;
    int rc = 0;

    if (c[1] && c[0]->kind == COLUMN_TEXT) {
        both = dict_both(c[0]->dict, c[1]->dict, &codes, e);
        rc = both ? 0 : -1;
    }
    if (rc == 0 && grow(&p, e) < 0) {
        rc = -1;
    }
    for (int i = 0; rc == 0 && i < 2 && c[i]; i++) {
        rc = add_column(&p, c[i], i == 1 ? codes : NULL, tables[i]->n_rows, missing, k->of_row[i],
                        e);
    }
    k->n = p.len;
    big_free(p.slots);
    big_free(codes);
    dict_free(both);
    return rc;
}

void keys_done(struct keys *k)
{
    big_free(k->of_row[0]);
    big_free(k->of_row[1]);
    *k = (struct keys){0};
}

int keys_of(struct keys *k, const struct table *const tables[2], const uint32_t *const columns[2],
            size_t n_columns, enum keys_missing missing, struct err *e)
{
    *k = (struct keys){0};
    for (int i = 0; i < (tables[1] ? 2 : 1); i++) {
        k->of_row[i] =
            big_alloc(tables[i]->n_rows, sizeof(*k->of_row[i]), "the keys of the rows", e);
        if (k->of_row[i] == NULL) {
            keys_done(k);
            return -1;
        }
    }
    for (size_t i = 0; i < n_columns; i++) {
        const struct column *c[2] = {&tables[0]->columns[columns[0][i]],
                                     tables[1] ? &tables[1]->columns[columns[1][i]] : NULL};

        if (add_columns(k, tables, c, missing, e) < 0) {
            keys_done(k);
            return -1;
        }
    }
    return 0;
}

int keys_refine(struct keys *k, const struct column *c, size_t n_rows, struct err *e)
{
    struct table rows = {.n_rows = n_rows};
    const struct table *const tables[2] = {&rows, NULL};
    const struct column *const columns[2] = {c, NULL};

    return add_columns(k, tables, columns, KEYS_MISSING_EQUAL, e);
}
