/* gbdt_loss - what boosted trees minimise: derivatives, outputs of leaves, losses. Private to
 * modules. */
#pragma once
#include "algorithms/kernel/simd.h"
#include "algorithms/modules/gbdt.h"

struct gbdt_loss {
    enum gbdt_objective objective;
    size_t n_scores;
    double alpha; /* quantile: which; huber: the share of residuals that count squared */
    double delta; /* huber: where squared ends */
    const struct simd *simd;
};

/* What is told of rows; weights may be NULL. */
struct gbdt_rows {
    const uint32_t *classes;
    const double *targets;
    const double *weights;
};

struct gbdt_weighted {
    double value, weight;
};

/* Whether outputs of leaves are medians and the like rather than -G / (H + lambda). */
bool gbdt_by_residuals(enum gbdt_objective objective);
/* Labels that the objective can take. */
int gbdt_check_targets(enum gbdt_objective objective, const double *targets, size_t n,
                       const char *label, struct err *e) MUST_USE;

/* Pairs of derivatives (first, second) times weight, of rows first .. first + n - 1, n <= 4096.
 * `scores` begin at `first`; `log_sums` (more than two classes) at row 0. */
void gbdt_derive(const struct gbdt_loss *l, const struct gbdt_rows *of, size_t score, size_t first,
                 size_t n, const double *scores, const double *log_sums, float *pairs);
/* log of the sum of exp(score) of each row; `scores` as [score][n_rows]. */
void gbdt_log_sums(const struct gbdt_loss *l, const double *scores, size_t n_rows, size_t first,
                   size_t n, double *log_sums);

/* What minimises the loss of sorted residuals. */
double gbdt_output(const struct gbdt_loss *l, const double *residuals, size_t n);
/* The same of some rows, whose words are not 0, with weights; room for n pairs. */
double gbdt_weighted_output(const struct gbdt_loss *l, const struct gbdt_rows *of,
                            const uint32_t *rows, size_t n, const double *scores,
                            const uint64_t *words, struct gbdt_weighted *room);

/* Mean over some rows (NULL: all of the table); `scores` as [score][n], in their order. */
double gbdt_mean_loss(const struct gbdt_loss *l, const struct gbdt_rows *of, const uint32_t *rows,
                      size_t n, const double *scores);
