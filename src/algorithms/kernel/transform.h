/* transform - what a module fitted on one table and others must repeat exactly on theirs: today
 * the standard scaler, x -> (x - shift) x factor per column.
 *
 * Identified by a checksum of its contents: a table lists the transforms applied to it, a model
 * those it was trained behind; transform_catch_up() applies what a table lacks. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

enum transform_kind { TRANSFORM_SCALE = 1 };

struct transform {
    enum transform_kind kind;
    char **columns;
    double *shift, *factor; /* big memory */
    size_t n;
};

/* Zeroed shift and factor for n columns, names NULL: the caller fills them (heap copies). */
struct transform *transform_new(size_t n, struct err *e) MUST_USE;
void transform_free(struct transform *x);
DEFINE_SCOPED(struct transform, transform_free)
struct transform *transform_copy(const struct transform *x, struct err *e) MUST_USE;

uint64_t transform_id(const struct transform *x);
/* The columns must be there and hold numbers. Notes itself on the table. */
int transform_apply(const struct transform *x, struct table *t, struct err *e) MUST_USE;
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
