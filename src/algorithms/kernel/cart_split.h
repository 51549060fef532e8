/* cart_split - the best split of one node (cart.h). Private to the kernel. */
#pragma once
#include "algorithms/kernel/cart.h"

enum { CART_BINS = 256, CART_BATCH_MAX = 32 };

/* A row as it counts in this tree. */
struct cart_row {
    int32_t g;  /* its class, or weight x distance from the mean */
    uint32_t h; /* its weight; 0: not drawn */
};

/* Of numbers. Of classes: a weight for each, and behind them the rows when those are asked for. */
struct cart_lanes {
    int64_t g;
    uint64_t h; /* weights; rows times CART_ROW */
};
#define CART_ROW ((uint64_t)1 << 33)

struct cart_best {
    bool found, missing_left, by_set;
    double purity; /* of both sides; of the whole node it would be the same for all */
    uint32_t feature;
    uint32_t bin;  /* by value: the last on the left */
    uint32_t next; /* the first on the right that is there; or past all */
    struct tree_set set;
};

/* Rows of a node of few rows and many classes. */
struct cart_sorted {
    struct cart_row *rows;                     /* those of a bin side by side */
    uint32_t first[CART_BINS], end[CART_BINS]; /* of bins that hold rows */
    uint32_t *present;                         /* [n_present]: classes of the node, rising */
    size_t n_present;
};

struct cart_finder {
    const struct cart_data *data;
    const struct cart_options *o;
    const struct cart_row *row; /* [n_rows] */
    double g_unit, h_unit;
    bool counted;  /* weight does not tell how many rows there are, and a leaf must have some */
    size_t stride; /* of classes: numbers in a cell */
    size_t batch;  /* features counted at a time */
    void *cells;   /* [batch][CART_BINS] of lanes, zero between nodes */
    struct cart_sorted sorted;
    uint32_t *order;        /* [feature]: drawn from its front */
    uint64_t *left, *total; /* [class] */
    struct rng *rng;
};

int cart_finder_init(struct cart_finder *f, const struct cart_data *data,
                     const struct cart_options *o, struct err *e) MUST_USE;
void cart_finder_done(struct cart_finder *f);

/* Before each tree. */
void cart_finder_start(struct cart_finder *f);
/* Of some rows, all with weight. `best` is written anyway. */
void cart_find(struct cart_finder *f, const uint32_t *rows, size_t n, struct cart_best *best);
