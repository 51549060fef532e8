/* lloyd - k-means over rows in blocks (centres.h): first centres by greedy k-means++ (Arthur,
 * Vassilvitskii 2007) or by chance, then Lloyd's iteration.
 *
 * Some blocks are a stripe, a stripe is one task with sums of its own per cluster; a row moves from
 * sum to sum when its cluster changes. Sums are added in the order of the stripes, so any number of
 * threads gives the same bytes. */
#pragma once
#include "algorithms/kernel/centres.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/threads.h"

#include <stdbool.h>

struct lloyd {
    /* in: */
    struct centres *centres; /* borrowed; `at` holds the result of a run */
    struct threads *threads;
    const double *weights; /* of each row; NULL: all 1 */
    bool unit;             /* centres get length 1 */
    size_t n, d, k;
    double epsilon; /* done when the centres move less, squared and summed */
    unsigned max_iter;
    /* big memory: */
    double *x;         /* [block][feature][row], filled by the caller */
    double *norm;      /* |x|^2 of each row */
    double *far;       /* of each row: squared distance from its centre */
    float *tried;      /* [block][trial][row]: the same, if the trial were a centre */
    uint32_t *cluster; /* of each row */
    double *sums;      /* [stripe][k][d + 1], the weights last */
    double *stripe;    /* [stripe][trials]: figures of each */
    double *z;         /* [worker][rows][CENTRES_BLOCK] */
    struct centres trial;
    double least; /* a cluster of less weight is empty: only rounding is left of it */
    size_t n_trials, blocks, stripes, stripe_blocks;
    /* out: */
    unsigned iterations;
    bool converged;
};

/* Memory for n rows; the fields in front are set. */
int lloyd_init(struct lloyd *f, struct err *e) MUST_USE;
void lloyd_done(struct lloyd *f);
/* First rows of a block, and how many it has. */
size_t lloyd_block_rows(const struct lloyd *f, size_t block);
/* After x was filled: norms, and the mean variance of a feature. */
double lloyd_measure(struct lloyd *f);
/* First centres; ERR_DATA when the rows do not hold k different points. */
int lloyd_start_apart(struct lloyd *f, struct rng *rng, struct err *e) MUST_USE;
void lloyd_start_anywhere(struct lloyd *f, struct rng *rng);
/* From the centres that are there; the sum of weight x squared distance. */
double lloyd_run(struct lloyd *f);
