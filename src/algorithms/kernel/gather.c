#include "algorithms/kernel/gather.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"

#include <math.h>

static struct column *gather_text(struct table *to, struct str name, const struct column *from,
                                  const uint32_t *rows, struct err *e)
{
    struct dict *dict = dict_ref(from->dict);
    struct column *c = table_add_text(to, name, dict, e);

    if (c == NULL) {
        dict_free(dict);
        return NULL;
    }
    for (size_t i = 0; i < to->n_rows; i++) {
        c->codes[i] = rows[i] == GATHER_NONE ? DICT_MISSING : from->codes[rows[i]];
    }
    return c;
}

struct column *gather_column(struct table *to, struct str name, const struct column *from,
                             const uint32_t *rows, struct err *e)
{
    struct column *c;

    if (from->kind == COLUMN_TEXT) {
        return gather_text(to, name, from, rows, e);
    }
    c = table_add_numbers(to, name, e);
    if (c == NULL) {
        return NULL;
    }
    c->as = from->as;
    for (size_t i = 0; i < to->n_rows; i++) {
        c->numbers[i] = rows[i] == GATHER_NONE ? NAN : from->numbers[rows[i]];
    }
    return c;
}

struct dict *dict_both(struct dict *a, const struct dict *b, uint32_t **codes, struct err *e)
{
    SCOPED(dict_freep) struct dict *both = NULL;

    *codes = NULL;
    if (a == b) {
        return dict_ref(a);
    }
    both = dict_copy(a, e);
    *codes =
        both ? big_alloc(b->len, sizeof(**codes), "the different texts of two columns", e) : NULL;
    for (uint32_t i = 0; *codes && i < b->len; i++) {
        if (dict_intern(both, dict_text(b, i), &(*codes)[i], e) < 0) {
            big_free(*codes);
            *codes = NULL;
        }
    }
    if (*codes == NULL) {
        return NULL;
    }
    dict_seal(both);
    return TAKE(both);
}

static struct column *two_texts(struct table *to, struct str name, const struct column *a,
                                const uint32_t *rows_a, const struct column *b,
                                const uint32_t *rows_b, struct err *e)
{
    SCOPED(big_freep) uint32_t *codes = NULL;
    SCOPED(dict_freep) struct dict *both = dict_both(a->dict, b->dict, &codes, e);
    struct column *c = both ? table_add_text(to, name, both, e) : NULL;

    if (c == NULL) {
        return NULL;
    }
    (void)TAKE(both);
    for (size_t i = 0; i < to->n_rows; i++) {
        uint32_t code = rows_a[i] != GATHER_NONE   ? a->codes[rows_a[i]]
                        : rows_b[i] != GATHER_NONE ? b->codes[rows_b[i]]
                                                   : DICT_MISSING;

        if (rows_a[i] == GATHER_NONE && code != DICT_MISSING && codes) {
            code = codes[code];
        }
        c->codes[i] = code;
    }
    return c;
}

struct column *gather_two(struct table *to, struct str name, const struct column *a,
                          const uint32_t *rows_a, const struct column *b, const uint32_t *rows_b,
                          struct err *e)
{
    struct column *c;

    if (a->kind != b->kind) {
        err_set(e, ERR_DATA, "column '%s' holds %s, and '%s' of the other table holds %s", a->name,
                column_type_name(a), b->name, column_type_name(b));
        return NULL;
    }
    if (a->kind == COLUMN_TEXT) {
        return two_texts(to, name, a, rows_a, b, rows_b, e);
    }
    c = table_add_numbers(to, name, e);
    if (c == NULL) {
        return NULL;
    }
    c->as = a->as == b->as ? a->as : AS_REAL;
    for (size_t i = 0; i < to->n_rows; i++) {
        c->numbers[i] = rows_a[i] != GATHER_NONE   ? a->numbers[rows_a[i]]
                        : rows_b[i] != GATHER_NONE ? b->numbers[rows_b[i]]
                                                   : NAN;
    }
    return c;
}
