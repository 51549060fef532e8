/* svm_rbf - the body of its models (docs/formats/model.md), and what training shares. Private to
 * modules. */
#pragma once
#include "algorithms/kernel/folds.h"
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/platt.h"
#include "algorithms/kernel/smo.h"
#include "algorithms/modules/training.h"

#include <stdatomic.h>

/* f(a,b) > 0: class a. Support vectors lie class by class; each has a weight for each other class.
 */
struct rbf {
    double gamma;
    size_t d, k, pairs, n;
    double *shift, *factor; /* of features */
    uint32_t *first;        /* [class]: its support vectors begin there; then n */
    double *rho;            /* [pair]: 0-1, 0-2, ..., 1-2, ... */
    double *rows;           /* [vector][feature], less shift, times factor; big memory */
    double *squares;        /* [vector] |x|^2 */
    double *weights;        /* [vector][k - 1] */
    struct platt *curves;   /* [pair] f to the probability of class a, or NULL: votes */
};

/* All but the vectors; of a model whose features and classes are known. */
int rbf_init(struct rbf *b, const struct model *m, struct err *e) MUST_USE;
/* Room for n vectors. */
int rbf_vectors(struct rbf *b, size_t n, struct err *e) MUST_USE;
int rbf_curves(struct rbf *b, struct err *e) MUST_USE;
/* Once the rows are there. */
void rbf_squares(struct rbf *b);

/* --- training --------------------------------------------------------------------------------- */

/* Scratch of one worker that has pairs to solve: the rows of a pair, and what smo needs. */
struct rbf_pair {
    const struct rbf *b;
    double *x, *squares, *c, *row;
    int8_t *y;
    uint32_t *of;             /* row of the table */
    double *scores, *weights; /* probability: of each row of the pair, and its side */
    int8_t *side;
    struct smo smo;
};

struct rbf_fit {
    struct training *t;
    struct step *s;
    struct rbf *b;
    size_t n;
    double *x;        /* [row][feature] */
    uint32_t *sorted; /* rows by class; those that weigh nothing are left out */
    size_t *first;    /* [class] of sorted; then all */
    double *alpha;    /* [row][k - 1] times y */
    struct rbf_pair
        *pairs;       /* one for each worker that takes part, in the order in which they come */
    unsigned n_pairs; /* no more than tasks */
    atomic_uint came;
    unsigned *pair_of;  /* [worker] of pairs, from 1; 0: it has not come yet */
    uint8_t *converged; /* [pair] */
    struct folds folds; /* probability: else without rows */
};

/* For pairs of up to `most` rows. */
int rbf_pair_memory(struct rbf_pair *p, const struct rbf_fit *f, size_t most,
                    struct err *e) MUST_USE;
void rbf_pair_done(struct rbf_pair *p);
/* A task: one pair of classes, with its curve when those are wanted. */
void rbf_solve_pair(void *ctx, size_t task, unsigned worker);
