/* folds - rows dealt into parts of equal size: by chance, classes evenly (the same by seed); whole
 * groups; or one after the other in time, each to be predicted from what was before.
 *
 *   fold[row]: which part     turn[row]: 0 .. 1, when the row was dealt within its class, so that
 *                             rows of turn < x are about the part x of each class in each fold */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct folds {
    uint32_t *fold;
    double *turn;
    size_t n_rows;
    uint32_t k;
    bool in_time; /* learned from: rows of earlier folds only. Fold k: the first, never predicted */
};

void folds_done(struct folds *f);
/* `classes` NULL: all rows are alike. Every class is one below n_classes. ERR_MEMORY. */
int folds_make(struct folds *f, uint32_t k, const uint32_t *classes, size_t n_classes,
               size_t n_rows, uint64_t seed, struct err *e) MUST_USE;
/* No group in two folds; as many rows in each as that allows: the largest group next to the fold
 * with fewest rows. Every group is one below n_groups. */
int folds_by_group(struct folds *f, uint32_t k, const uint32_t *groups, size_t n_groups,
                   size_t n_rows, uint64_t seed, struct err *e) MUST_USE;
/* `times` are not NaN; of equal ones the first row is the earlier. Folds have n_rows / (k + 1)
 * rows, the last ones; what is left stands before them. */
int folds_by_time(struct folds *f, uint32_t k, const double *times, size_t n_rows, uint64_t seed,
                  struct err *e) MUST_USE;
/* The rows of turn < part that are of the fold, or those to learn from for it, in the order of the
 * table; how many. */
size_t folds_rows(const struct folds *f, uint32_t fold, bool in_it, double part, uint32_t *rows);
