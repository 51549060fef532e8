/* bins - columns of features as small whole numbers: what learners of trees look at.
 *
 *   number:  <= cut 0 | <= cut 1 | ... | above the last cut | missing
 *   text:    a bin per category; of more than fit, the rarest share the last one
 *
 * The cuts are midpoints between values next to each other: as many bins as there are different
 * values when they fit, else about equally many rows in each. Made once, then read by any thread.
 */
#pragma once
#include "algorithms/kernel/features.h"
#include "algorithms/kernel/threads.h"

enum { BINS_MAX = 255 }; /* of values; the missing one is number 255 at most */

struct bins {
    size_t n_rows, n_features, n_cells;
    uint8_t *cells;    /* [row][feature]: the bin; big memory */
    uint32_t *offsets; /* [feature + 1]: where a feature's bins begin in a histogram of n_cells */
    double *cuts;      /* a cut per bin, at the offsets; big memory */
    uint8_t **of_category; /* [feature]: the bin of each category; NULL: a number */
};

/* Rows of weight 0 do not count for the cuts; weights may be NULL. */
int bins_init(struct bins *b, const struct features *f, const struct bound *bound,
              const double *weights, unsigned max_bins, struct threads *threads,
              struct err *e) MUST_USE;
void bins_done(struct bins *b);

/* Bins of values; the bin of missing ones has this number. */
static inline uint32_t bins_of(const struct bins *b, size_t feature)
{
    return b->offsets[feature + 1] - b->offsets[feature] - 1;
}
