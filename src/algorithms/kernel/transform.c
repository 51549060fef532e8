#include "algorithms/kernel/transform.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <stdlib.h>

struct transform *transform_new(const struct transform_type *type, void *body)
{
    struct transform *x = xnew(struct transform);

    *x = (struct transform){type, body, 1};
    return x;
}

struct transform *transform_ref(struct transform *x)
{
    x->refs++;
    return x;
}

void transform_free(struct transform *x)
{
    if (x && --x->refs == 0) {
        x->type->free(x->body);
        free(x);
    }
}

uint64_t transform_id(const struct transform *x)
{
    SCOPED(binw_closep) struct binw *w = binw_open_memory(/* kept nowhere */ NULL);

    transform_write(x, w);
    return checksum_value(&w->sum);
}

struct table *transform_apply(struct transform *x, const struct table *t, struct err *e)
{
    SCOPED(table_freep) struct table *out = x->type->apply(x->body, t, e);

    if (out == NULL) {
        return NULL;
    }
    for (size_t i = out->n_applied; i < t->n_applied; i++) {
        if (table_note_applied(out, t->applied[i], e) < 0) {
            return NULL;
        }
    }
    return table_note_applied(out, x, e) < 0 ? NULL : TAKE(out);
}

const struct table *transform_catch_up(struct transform *const *list, size_t n,
                                       const struct table *t, struct table **owned, struct err *e)
{
    SCOPED(table_freep) struct table *out = NULL;

    for (size_t i = 0; i < t->n_applied; i++) {
        if (i >= n || transform_id(t->applied[i]) != transform_id(list[i])) {
            err_set(e, ERR_DATA,
                    "the table went through a transform that the model was not trained behind: "
                    "take the table as it was before");
            return NULL;
        }
    }
    for (size_t i = t->n_applied; i < n; i++) {
        struct table *next = transform_apply(list[i], out ? out : t, e);

        table_free(out);
        out = next;
        if (out == NULL) {
            return NULL;
        }
    }
    return out ? *owned = TAKE(out) : t;
}

void transform_write(const struct transform *x, struct binw *w)
{
    binw_u32(w, x->type->kind);
    x->type->write(x->body, w);
}

struct transform *transform_read(struct binr *r, struct err *e)
{
    uint32_t kind = binr_u32(r);
    const struct transform_type *const *type = transform_types;
    void *body;

    while (*type && (*type)->kind != kind) {
        type++;
    }
    if (r->bad || *type == NULL) {
        err_set(e, ERR_DATA, "the file holds a transform that this version does not know");
        return NULL;
    }
    body = (*type)->read(r, e);
    return body ? transform_new(*type, body) : NULL;
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
