#include "algorithms/kernel/stack.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool has_value(const struct column *c, size_t n_rows)
{
    for (size_t r = 0; r < n_rows; r++) {
        if (c->kind == COLUMN_TEXT ? c->codes[r] != DICT_MISSING : !isnan(c->numbers[r])) {
            return true;
        }
    }
    return false;
}

/* The names of all columns, as they come; in a table without rows. */
static struct table *names_of(struct table *const *parts, size_t n, struct err *e)
{
    SCOPED(table_freep) struct table *all = table_new(0);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < parts[i]->n_columns; k++) {
            struct str name = str_of(parts[i]->columns[k].name);

            if (table_column(all, name) == NULL && table_add_numbers(all, name, e) == NULL) {
                return NULL;
            }
        }
    }
    return TAKE(all);
}

/* The column of that name as a whole. */
struct stacked {
    const char *name;
    bool has_text, has_number;
    size_t text, number; /* the first part that has it so */
    enum column_as as;   /* of the numbers */
};

static enum column_as both(enum column_as a, enum column_as b)
{
    return a == b                                                             ? a
           : (a == AS_DATE || a == AS_TIME) && (b == AS_DATE || b == AS_TIME) ? AS_TIME
                                                                              : AS_REAL;
}

static struct stacked look_at(struct table *const *parts, size_t n, const char *name)
{
    struct stacked s = {.name = name};

    for (size_t i = 0; i < n; i++) {
        const struct column *c = table_column(parts[i], str_of(name));

        if (c && c->kind == COLUMN_TEXT && !s.has_text) {
            s.has_text = true;
            s.text = i;
        }
        if (c && c->kind == COLUMN_NUMBER && has_value(c, parts[i]->n_rows)) {
            s.as = s.has_number ? both(s.as, c->as) : c->as;
            s.number = s.has_number ? s.number : i;
            s.has_number = true;
        }
    }
    return s;
}

bool stack_find_clash(struct table *const *parts, size_t n, const struct map *known,
                      struct stack_clash *clash)
{
    struct err ignored;
    SCOPED(table_freep) struct table *all = names_of(parts, n, &ignored);

    for (size_t k = 0; all && k < all->n_columns; k++) {
        struct stacked s = look_at(parts, n, all->columns[k].name);

        if (s.has_text && s.has_number && (known == NULL || !map_get(known, str_of(s.name)))) {
            *clash = (struct stack_clash){table_column(parts[s.text], str_of(s.name))->name, s.text,
                                          s.number};
            return true;
        }
    }
    return false;
}

/* The part's values are gone afterwards. */
static void drop_values(struct column *c)
{
    shared_unref(c->data);
    dict_free(c->dict);
    c->data = NULL;
    c->dict = NULL;
    c->numbers = NULL;
    c->codes = NULL;
}

static struct column *column_of(struct table *part, const char *name)
{
    const struct column *c = table_column(part, str_of(name));

    return c ? &part->columns[c - part->columns] : NULL;
}

static int stack_numbers(struct table *to, struct table *const *parts, size_t n,
                         const struct stacked *s, struct err *e)
{
    struct column *out = table_add_numbers(to, str_of(s->name), e);
    size_t at = 0;

    for (size_t i = 0; out && i < n; i++) {
        struct column *c = column_of(parts[i], s->name);
        double times = c && s->as == AS_TIME && c->as == AS_DATE ? (double)CALENDAR_DAY_US : 1;

        for (size_t r = 0; r < parts[i]->n_rows; r++) {
            out->numbers[at++] = c ? c->numbers[r] * times : NAN;
        }
        if (c) {
            drop_values(c);
        }
    }
    if (out) {
        out->as = s->as;
        out->as = column_as_is(out, to->n_rows);
    }
    return out ? 0 : -1;
}

/* The texts of a part by codes of `dict`. */
static int stack_text(struct dict *dict, const struct column *c, size_t n_rows, uint32_t *codes,
                      struct err *e)
{
    SCOPED(big_freep) uint32_t *known = big_alloc(c->dict->len, sizeof(*known), "the table", e);

    if (known == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < c->dict->len; i++) {
        if (dict_intern(dict, dict_text(c->dict, i), &known[i], e) < 0) {
            return -1;
        }
    }
    for (size_t r = 0; r < n_rows; r++) {
        codes[r] = c->codes[r] == DICT_MISSING ? DICT_MISSING : known[c->codes[r]];
    }
    return 0;
}

static int stack_texts(struct table *to, struct table *const *parts, size_t n,
                       const struct stacked *s, struct err *e)
{
    SCOPED(dict_freep) struct dict *dict = dict_new();
    SCOPED(big_freep) uint32_t *codes = big_alloc(to->n_rows, sizeof(*codes), "the table", e);
    struct shared *data;
    struct column *out;
    size_t at = 0;

    if (codes == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        struct column *c = column_of(parts[i], s->name);
        bool has_text = c && c->kind == COLUMN_TEXT;

        if (has_text && stack_text(dict, c, parts[i]->n_rows, codes + at, e) < 0) {
            return err_wrap(e, "column '%s'", s->name);
        }
        for (size_t r = 0; !has_text && r < parts[i]->n_rows; r++) {
            codes[at + r] = DICT_MISSING;
        }
        at += parts[i]->n_rows;
        if (c) {
            drop_values(c);
        }
    }
    dict_seal(dict);
    data = shared_of_big(codes);
    out = table_put_text(to, str_of(s->name), TAKE(codes), data, dict, e);
    shared_unref(data);
    return out ? 0 : -1;
}

int stack_spread(struct table *to, const struct column *from, const size_t *ends, size_t n,
                 struct err *e)
{
    struct dict *dict = from->dict ? dict_ref(from->dict) : NULL;
    struct column *out = from->kind == COLUMN_TEXT ? table_add_text(to, str_of(from->name), dict, e)
                                                   : table_add_numbers(to, str_of(from->name), e);
    size_t at = 0;

    if (out == NULL) {
        dict_free(dict);
        return e->kind == ERR_INVALID
                   ? err_set(e, ERR_DATA,
                             "the files have a column '%s' already, as a folder or file_col has",
                             from->name)
                   : -1;
    }
    out->as = from->as;
    for (size_t i = 0; i < n; i++) {
        for (; at < ends[i]; at++) {
            if (out->kind == COLUMN_TEXT) {
                out->codes[at] = from->codes[i];
            } else {
                out->numbers[at] = from->numbers[i];
            }
        }
    }
    return 0;
}

struct table *stack_tables(struct table *const *parts, size_t n, const struct table *each,
                           struct err *e)
{
    SCOPED(table_freep) struct table *all = names_of(parts, n, e);
    SCOPED(table_freep) struct table *out = NULL;
    SCOPED(freep) size_t *ends = xnew_array(size_t, n + 1);
    uint64_t n_rows = 0;

    for (size_t i = 0; i < n; i++) {
        n_rows += parts[i]->n_rows;
        ends[i] = (size_t)n_rows;
    }
    if (n_rows > ML_LIMIT_ROWS) {
        (void)err_set(e, ERR_DATA, "together they have %llu rows, and at most %llu are taken",
                      (unsigned long long)n_rows, ML_LIMIT_ROWS);
        return NULL;
    }
    out = all ? table_new((size_t)n_rows) : NULL;
    for (size_t k = 0; out && k < all->n_columns; k++) {
        struct stacked s = look_at(parts, n, all->columns[k].name);

        if ((s.has_text ? stack_texts(out, parts, n, &s, e) : stack_numbers(out, parts, n, &s, e)) <
            0) {
            return NULL;
        }
    }
    for (size_t k = 0; out && each && k < each->n_columns; k++) {
        if (stack_spread(out, &each->columns[k], ends, n, e) < 0) {
            return NULL;
        }
    }
    return TAKE(out);
}
