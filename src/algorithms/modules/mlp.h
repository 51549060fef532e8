/* mlp - a network while it is trained. Private to modules. */
#pragma once
#include "algorithms/kernel/net.h"
#include "algorithms/modules/training.h"

enum { SLICE_ROWS = 64 };
enum { STREAM_WEIGHTS = 11, STREAM_HOLD_BACK, STREAM_SHUFFLE };

struct mlp_fit {
    struct training *t;
    struct step *s;
    const struct simd *simd;
    struct net *net;
    size_t n_rows, d; /* rows to learn from; those held back follow them in `order` */
    size_t n_held;
    float *x;              /* [row][feature] of the table */
    float *weights;        /* of rows, mean 1; or NULL */
    uint32_t *order;       /* rows of the table: shuffled, then held back */
    struct net_work *work; /* per worker */
    float *gather;         /* per worker: weights of a slice */
    uint32_t *labels;      /* per worker: classes of a slice */
    float *targets;        /* or numbers to predict, less shift, by scale */
    float *gradients;      /* [slice][parameter] */
    double *losses;        /* [slice] */
    float *m, *v;          /* Adam */
    size_t batch, slices;  /* most in one batch */
    /* the batch at hand: */
    const uint32_t *rows;
    size_t n_batch, n_slices;
    uint64_t steps;
    double rate, l2;
};

/* The best parameters so far on the rows held back. */
struct mlp_best {
    float *params; /* big memory */
    double loss;
    unsigned epoch;
};

/* All epochs, over fit's rows. `best` has room for the parameters when rows are held back. */
int mlp_train(struct mlp_fit *f, struct mlp_best *best, struct err *e) MUST_USE;
