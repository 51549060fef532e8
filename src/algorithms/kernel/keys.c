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

static bool is_gone(const struct column *c, size_t r)
{
    return c->kind == COLUMN_TEXT ? c->codes[r] == DICT_MISSING : isnan(c->numbers[r]);
}

/* `codes`: of each text of the dictionary, in numbers that both tables share; NULL: as they are. */
static uint64_t value_at(const struct column *c, const uint32_t *codes, size_t r)
{
    if (c->kind != COLUMN_TEXT) {
        return bits_of(c->numbers[r]);
    }
    if (c->codes[r] == DICT_MISSING) {
        return UINT32_MAX;
    }
    return codes ? codes[c->codes[r]] : c->codes[r];
}

enum { AHEAD = 16 };

static int add_column(struct pairs *p, const struct column *c, const uint32_t *codes, size_t n_rows,
                      enum keys_missing missing, uint32_t *of_row, struct err *e)
{
    for (size_t r = 0; r < n_rows; r++) {
        bool gone = is_gone(c, r);
        uint64_t value = value_at(c, codes, r);
        struct slot *s;

        if (r + AHEAD < n_rows) {
            __builtin_prefetch(
                &p->slots[place(p, value_at(c, codes, r + AHEAD), of_row[r + AHEAD])]);
        }
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

/* Values that are few whole numbers, as texts are by their codes: a table of all pairs that there
 * may be takes the place of the hash table. */
struct few {
    double least; /* of numbers */
    size_t width; /* different values, the missing one among them; 0: too many */
    size_t before;
    uint32_t *numbers; /* [before][width]: + 1; big memory */
    size_t len;
};

static void look_at_numbers(const struct column *c, size_t n_rows, double *least, double *most)
{
    for (size_t r = 0; r < n_rows; r++) {
        double v = c->numbers[r];

        if (v != floor(v) && !isnan(v)) {
            *most = INFINITY;
            return;
        }
        *least = v < *least ? v : *least;
        *most = v > *most ? v : *most;
    }
}

/* Eight places a row at most, no more than the hash table would take. */
static void look_for_few(struct few *f, const struct table *const tables[2],
                         const struct column *const c[2], size_t n_texts)
{
    double least = INFINITY, most = -INFINITY, width = (double)n_texts + 1;
    size_t rows = tables[0]->n_rows + (c[1] ? tables[1]->n_rows : 0);

    for (int i = 0; c[0]->kind == COLUMN_NUMBER && i < 2 && c[i]; i++) {
        look_at_numbers(c[i], tables[i]->n_rows, &least, &most);
    }
    if (c[0]->kind == COLUMN_NUMBER) {
        width = least <= most ? most - least + 2 : 1;
    }
    f->least = least;
    f->width = width * (double)f->before <= 8 * (double)rows ? (size_t)width : 0;
}

static void add_few(struct few *f, const struct column *c, const uint32_t *codes, size_t n_rows,
                    enum keys_missing missing, uint32_t *of_row)
{
    for (size_t r = 0; r < n_rows; r++) {
        bool gone = is_gone(c, r);
        size_t value;
        uint32_t *number;

        if (of_row[r] == KEYS_NONE || (gone && missing == KEYS_MISSING_NEVER)) {
            of_row[r] = KEYS_NONE;
            continue;
        }
        value = gone                     ? f->width - 1
                : c->kind == COLUMN_TEXT ? value_at(c, codes, r)
                                         : (size_t)(c->numbers[r] - f->least);
        number = &f->numbers[of_row[r] * f->width + value];
        if (*number == 0) {
            *number = (uint32_t)++f->len;
        }
        of_row[r] = *number - 1;
    }
}

static int add_columns(struct keys *k, const struct table *const tables[2],
                       const struct column *const c[2], enum keys_missing missing, struct err *e)
{
    struct pairs p = {0};
    struct few few = {.before = k->n > 0 ? k->n : 1};
    uint32_t *codes = NULL;
    struct dict *both = NULL;
    int rc = 0;

    if (c[1] && c[0]->kind == COLUMN_TEXT) {
        both = dict_both(c[0]->dict, c[1]->dict, &codes, e);
        rc = both ? 0 : -1;
    }
    look_for_few(&few, tables, c, c[0]->kind == COLUMN_TEXT ? (both ? both : c[0]->dict)->len : 0);
    if (few.width > 0) {
        few.numbers = big_alloc(few.before * few.width, sizeof(*few.numbers),
                                "the different keys of rows", e);
    }
    if (rc == 0 && (few.width > 0 ? few.numbers == NULL : grow(&p, e) < 0)) {
        rc = -1;
    }
    for (int i = 0; rc == 0 && i < 2 && c[i]; i++) {
        const uint32_t *of = i == 1 ? codes : NULL;

        if (few.width > 0) {
            add_few(&few, c[i], of, tables[i]->n_rows, missing, k->of_row[i]);
        } else {
            rc = add_column(&p, c[i], of, tables[i]->n_rows, missing, k->of_row[i], e);
        }
    }
    k->n = p.len + few.len;
    big_free(few.numbers);
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
