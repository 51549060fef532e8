/* transform - what a module fitted on one table and others must repeat exactly on theirs: a scaler,
 * an imputer, an encoder. Fitted once, then immutable and shared by reference: a table lists the
 * transforms that were applied to it, a model those it was trained behind, and
 * transform_catch_up() applies what a table lacks.
 *
 * Each kind is one row of functions in the file of the module that fits it; modules/modules.c lists
 * them. References are counted without locks: main thread only. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

struct transform_type {
    uint32_t kind;      /* in files; a number is never given twice */
    const char *module; /* that fits it */
    bool same_columns;  /* only values change: columns, their names and kinds stay */
    /* A new table, from table_copy() or empty: `t` with columns replaced, added or left out. Rows
     * keep number and order.
     * What was not learned (an unknown category) must have an answer; ERR_DATA names the column. */
    struct table *(*apply)(const void *body, const struct table *t, struct err *e);
    void (*write)(const void *body, struct binw *w);
    /* From hostile bytes: NULL and ERR_DATA, or a body that apply() can use. */
    void *(*read)(struct binr *r, struct err *e);
    void (*free)(void *body);
};

extern const struct transform_type *const transform_types[]; /* ends with NULL */

struct transform {
    const struct transform_type *type;
    void *body;
    unsigned refs;
};

/* Takes ownership of the body. */
struct transform *transform_new(const struct transform_type *type, void *body) MUST_USE;
struct transform *transform_ref(struct transform *x) MUST_USE;
void transform_free(struct transform *x); /* gives a reference back; NULL is fine */
DEFINE_SCOPED(struct transform, transform_free)

/* A checksum of kind and contents. */
uint64_t transform_id(const struct transform *x);
/* A new table, which lists the transforms of `t` and this one. */
struct table *transform_apply(struct transform *x, const struct table *t, struct err *e) MUST_USE;
/* `t` as the list demands: a new table when something had to be applied (*owned), else `t` itself.
 * ERR_DATA when `t` went through other transforms than the list begins with. */
const struct table *transform_catch_up(struct transform *const *list, size_t n,
                                       const struct table *t, struct table **owned,
                                       struct err *e) MUST_USE;

void transform_write(const struct transform *x, struct binw *w);
struct transform *transform_read(struct binr *r, struct err *e) MUST_USE;
void transform_write_list(struct transform *const *list, size_t n, struct binw *w);
int transform_read_list(struct binr *r, struct transform ***list, size_t *n,
                        struct err *e) MUST_USE;
