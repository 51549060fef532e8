#include "algorithms/kernel/transform.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/checksum.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct transform *transform_new(size_t n, struct err *e)
{
    SCOPED(transform_freep) struct transform *x = xnew(struct transform);

    x->kind = TRANSFORM_SCALE;
    x->columns = xnew_array(char *, n + 1);
    x->n = n;
    x->shift = big_alloc(n, sizeof(*x->shift), "a transform", e);
    x->factor = x->shift ? big_alloc(n, sizeof(*x->factor), "a transform", e) : NULL;
    return x->factor ? TAKE(x) : NULL;
}

void transform_free(struct transform *x)
{
    if (x == NULL) {
        return;
    }
    for (size_t i = 0; i < x->n; i++) {
        free(x->columns[i]);
    }
    free(x->columns);
    big_free(x->shift);
    big_free(x->factor);
    free(x);
}

struct transform *transform_copy(const struct transform *x, struct err *e)
{
    struct transform *c = transform_new(x->n, e);

    if (c == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < x->n; i++) {
        c->columns[i] = xstrdup(x->columns[i]);
        c->shift[i] = x->shift[i];
        c->factor[i] = x->factor[i];
    }
    return c;
}

uint64_t transform_id(const struct transform *x)
{
    struct checksum c;

    checksum_init(&c);
    for (size_t i = 0; i < x->n; i++) {
        checksum_add(&c, x->columns[i], strlen(x->columns[i]) + 1);
    }
    checksum_add(&c, x->shift, x->n * sizeof(*x->shift));
    checksum_add(&c, x->factor, x->n * sizeof(*x->factor));
    return checksum_value(&c);
}

int transform_apply(const struct transform *x, struct table *t, struct err *e)
{
    for (size_t i = 0; i < x->n; i++) {
        if (table_need_numbers(t, str_of(x->columns[i]), e) == NULL) {
            e->kind = ERR_DATA;
            return err_wrap(e, "the transform was fitted on column '%s'", x->columns[i]);
        }
    }
    for (size_t i = 0; i < x->n; i++) {
        struct column *c = table_own_numbers(t, str_of(x->columns[i]), e);
        double *v = c ? c->numbers : NULL;

        if (v == NULL) {
            return -1;
        }
        c->as = AS_REAL;
        for (size_t r = 0; r < t->n_rows; r++) {
            v[r] = (v[r] - x->shift[i]) * x->factor[i];
        }
    }
    return table_note_applied(t, x, e);
}

const struct table *transform_catch_up(struct transform *const *list, size_t n,
                                       const struct table *t, struct table **owned, struct err *e)
{
    SCOPED(table_freep) struct table *out = NULL;

    for (size_t i = 0; i < t->n_applied; i++) {
        if (i >= n || transform_id(t->applied[i]) != transform_id(list[i])) {
            err_set(e, ERR_DATA,
                    "the table went through a transform that the model was not trained behind: "
                    "give predict the table as it was before");
            return NULL;
        }
    }
    if (t->n_applied == n) {
        return t;
    }
    out = table_copy(t, e);
    for (size_t i = t->n_applied; out && i < n; i++) {
        if (transform_apply(list[i], out, e) < 0) {
            return NULL;
        }
    }
    return *owned = TAKE(out);
}

void transform_write(const struct transform *x, struct binw *w)
{
    binw_u32(w, x->kind);
    binw_u32(w, (uint32_t)x->n);
    for (size_t i = 0; i < x->n; i++) {
        binw_str(w, str_of(x->columns[i]));
    }
    binw_f64s(w, x->shift, x->n);
    binw_f64s(w, x->factor, x->n);
}

struct transform *transform_read(struct binr *r, struct err *e)
{
    SCOPED(transform_freep) struct transform *x = NULL;
    uint32_t kind = binr_u32(r), n = binr_u32(r);

    if (r->bad || kind != TRANSFORM_SCALE || n > ML_LIMIT_COLUMNS) {
        err_set(e, ERR_DATA, "the file holds a transform that this version does not know");
        return NULL;
    }
    x = transform_new(n, e);
    for (uint32_t i = 0; x && i < n; i++) {
        x->columns[i] = binr_name(r);
        if (x->columns[i] == NULL) {
            err_set(e, ERR_DATA, "the file is damaged: column %u of a transform has no name", i);
            return NULL;
        }
    }
    if (x == NULL) {
        return NULL;
    }
    binr_f64s(r, x->shift, n);
    binr_f64s(r, x->factor, n);
    if (r->bad) {
        err_set(e, ERR_DATA, "the file is damaged: it ends inside a transform");
        return NULL;
    }
    return TAKE(x);
}

void transform_write_list(struct transform *const *list, size_t n, struct binw *w)
{
    binw_u32(w, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        transform_write(list[i], w);
    }
}

int transform_read_list(struct binr *r, struct transform ***list, size_t *n, struct err *e)
{
    uint32_t count = binr_u32(r);

    if (r->bad || count > ML_LIMIT_TRANSFORMS) {
        return err_set(e, ERR_DATA, "the file is damaged: it claims %u transforms", count);
    }
    *list = xnew_array(struct transform *, count + 1);
    for (*n = 0; *n < count; ++*n) {
        (*list)[*n] = transform_read(r, e);
        if ((*list)[*n] == NULL) {
            return -1;
        }
    }
    return 0;
}
