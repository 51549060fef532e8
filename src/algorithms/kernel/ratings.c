#include "algorithms/kernel/ratings.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void ids_done(struct ids *ids)
{
    for (size_t i = 0; i < ids->n && ids->names; i++) {
        free(ids->names[i]);
    }
    free(ids->names);
    free(ids->column);
}

void ratings_done(struct ratings *r)
{
    ids_done(&r->users);
    ids_done(&r->items);
    big_free(r->start);
    big_free(r->entry);
    *r = (struct ratings){0};
}

/* A cell and its row; sorted, equal ones stand together. */
struct cell {
    struct str text;
    double number;
    uint32_t row;
};

static int by_text(const void *a, const void *b)
{
    return str_cmp(((const struct cell *)a)->text, ((const struct cell *)b)->text);
}

static int by_number(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static int take_ids(struct ids *ids, const struct column *c, size_t n, uint32_t *of, struct err *e)
{
    SCOPED(big_freep) struct cell *cells = big_alloc(n, sizeof(*cells), "the users and items", e);
    int (*order)(const void *, const void *) = c->kind == COLUMN_TEXT ? by_text : by_number;
    size_t cap = 0;

    for (uint32_t r = 0; cells && r < n; r++) {
        cells[r].row = r;
        if (c->kind == COLUMN_TEXT ? c->codes[r] == DICT_MISSING : !isfinite(c->numbers[r])) {
            return err_set(e, ERR_DATA, "column '%s', row %u: the value is missing", c->name,
                           r + 1);
        }
        cells[r].text = c->kind == COLUMN_TEXT ? dict_text(c->dict, c->codes[r]) : STR_EMPTY;
        cells[r].number = c->kind == COLUMN_TEXT ? 0 : c->numbers[r];
    }
    if (cells == NULL) {
        return -1;
    }
    qsort(cells, n, sizeof(*cells), order);
    *ids = (struct ids){.column = xstrdup(c->name), .kind = c->kind, .as = c->as};
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || order(&cells[i - 1], &cells[i]) != 0) {
            char text[AS_TEXT_BYTES];

            if (ids->n == cap) {
                cap = cap ? 2 * cap : 64;
                ids->names = xrealloc(ids->names, cap * sizeof(char *));
            }
            ids->names[ids->n++] = c->kind == COLUMN_TEXT
                                       ? str_dup(cells[i].text)
                                       : xstrdup(as_format(c->as, cells[i].number, text));
        }
        of[cells[i].row] = (uint32_t)(ids->n - 1);
    }
    return 0;
}

struct triple {
    uint32_t user, item, row;
    double value;
};

static int by_user(const void *a, const void *b)
{
    const struct triple *x = a, *y = b;

    if (x->user != y->user) {
        return x->user < y->user ? -1 : 1;
    }
    return x->item != y->item ? (x->item < y->item ? -1 : 1)
                              : (x->row > y->row) - (x->row < y->row);
}

static void fill(struct ratings *r, const struct triple *v, size_t n, bool add_up)
{
    for (size_t i = 0, end; i < n; i = end) {
        double sum = 0;

        for (end = i; end < n && v[end].user == v[i].user && v[end].item == v[i].item; end++) {
            sum += v[end].value;
        }
        r->entry[r->n++] = (struct rating){v[i].item, add_up ? sum : sum / (double)(end - i)};
        r->start[v[i].user + 1] = r->n;
    }
}

int ratings_of(struct ratings *r, const struct table *t, const struct column *user,
               const struct column *item, const struct column *value, bool add_up, struct err *e)
{
    size_t n = t->n_rows;
    SCOPED(big_freep) struct triple *v = big_alloc(n, sizeof(*v), "the ratings", e);
    SCOPED(big_freep) uint32_t *of = v ? big_alloc(2 * n, sizeof(*of), "the ratings", e) : NULL;

    *r = (struct ratings){0};
    if (of == NULL) {
        return -1;
    }
    if (n == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    if (take_ids(&r->users, user, n, of, e) < 0 || take_ids(&r->items, item, n, of + n, e) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = (struct triple){of[i], of[n + i], i, value ? value->numbers[i] : 1};
        if (!(fabs(v[i].value) < 1e100)) {
            return err_set(e, ERR_DATA, "column '%s', row %u: the rating is %s",
                           value ? value->name : "", i + 1,
                           isnan(v[i].value) ? "missing" : "too large");
        }
    }
    qsort(v, n, sizeof(*v), by_user);
    r->start = big_alloc(r->users.n + 1, sizeof(size_t), "the ratings", e);
    r->entry = r->start ? big_alloc(n, sizeof(*r->entry), "the ratings", e) : NULL;
    if (r->entry == NULL) {
        return -1;
    }
    fill(r, v, n, add_up); /* every user has a rating */
    return 0;
}

int ratings_by_item(const struct ratings *r, size_t **start, struct rating **entry, struct err *e)
{
    SCOPED(big_freep) size_t *at = big_alloc(r->items.n + 2, sizeof(*at), "the ratings", e);
    SCOPED(big_freep) struct rating *v = at ? big_alloc(r->n, sizeof(*v), "the ratings", e) : NULL;

    if (v == NULL) {
        return -1;
    }
    for (size_t i = 0; i < r->n; i++) {
        at[r->entry[i].other + 2]++;
    }
    for (size_t i = 2; i < r->items.n + 2; i++) {
        at[i] += at[i - 1];
    }
    for (uint32_t u = 0; u < r->users.n; u++) {
        for (size_t i = r->start[u]; i < r->start[u + 1]; i++) {
            v[at[r->entry[i].other + 1]++] = (struct rating){u, r->entry[i].value};
        }
    }
    *start = TAKE(at);
    *entry = TAKE(v);
    return 0;
}

static void write_ids(const struct ids *ids, struct binw *w)
{
    binw_str(w, str_of(ids->column));
    binw_u32(w, ids->kind);
    binw_u32(w, ids->as);
    binw_u32(w, (uint32_t)ids->n);
    for (size_t i = 0; i < ids->n; i++) {
        binw_str(w, str_of(ids->names[i]));
    }
}

void ratings_write(const struct ratings *r, struct binw *w)
{
    write_ids(&r->users, w);
    write_ids(&r->items, w);
    for (size_t u = 0; u < r->users.n; u++) {
        binw_u32(w, (uint32_t)(r->start[u + 1] - r->start[u]));
        for (size_t i = r->start[u]; i < r->start[u + 1]; i++) {
            binw_u32(w, r->entry[i].other);
        }
    }
}

static int read_ids(struct ids *ids, struct binr *r, struct err *e)
{
    uint32_t kind, as, n;

    ids->column = binr_name(r);
    kind = binr_u32(r);
    as = binr_u32(r);
    n = binr_u32(r);
    if (r->bad || kind < COLUMN_NUMBER || kind > COLUMN_TEXT || as > AS_TIME || n < 1 ||
        n > r->left / sizeof(uint32_t)) {
        return err_set(e, ERR_DATA, "damaged: users or items without names");
    }
    ids->kind = (enum column_kind)kind;
    ids->as = (enum column_as)as;
    ids->names = xnew_array(char *, n);
    for (; ids->n < n; ids->n++) {
        struct str name = binr_str(r);
        double v;

        if (r->bad || name.len > ML_LIMIT_CELL_BYTES || str_find_char(name, '\0') >= 0 ||
            (kind == COLUMN_NUMBER && as_parse(ids->as, name, &v) < 0)) {
            return err_set(e, ERR_DATA, "damaged: the name of a user or item");
        }
        ids->names[ids->n] = str_dup(name);
    }
    return 0;
}

/* What was rated comes without the values: predictions do not need them. */
int ratings_read(struct ratings *r, struct binr *from, struct err *e)
{
    if (read_ids(&r->users, from, e) < 0 || read_ids(&r->items, from, e) < 0) {
        return -1;
    }
    r->start = big_alloc(r->users.n + 1, sizeof(size_t), "the ratings", e);
    r->entry = r->start
                   ? big_alloc(from->left / sizeof(uint32_t), sizeof(*r->entry), "the ratings", e)
                   : NULL;
    for (size_t u = 0; r->entry && u < r->users.n; u++) {
        uint32_t n = binr_u32(from);

        for (uint32_t i = 0; !from->bad && i < n; i++) {
            r->entry[r->n].other = binr_u32(from);
            if (from->bad || r->entry[r->n].other >= r->items.n) {
                return err_set(e, ERR_DATA, "damaged: a rating of an item that is not there");
            }
            r->n++;
        }
        r->start[u + 1] = r->n;
    }
    if (r->entry && from->bad) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the ratings");
    }
    return r->entry ? 0 : -1;
}
