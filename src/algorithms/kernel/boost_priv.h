/* boost_priv - what the files boost*.c share. */
#pragma once
#include "algorithms/kernel/boost.h"

#include <stdbool.h>

/* Work of fewer additions than this is done by one thread. */
enum { BOOST_ALONE = 1 << 17 };

struct boost_sum {
    int64_t g, h;
};

struct boost_split {
    double gain; /* 0: there is none */
    uint32_t feature, bin;
    bool missing_left, by_set;
    struct tree_set set;
    struct boost_sum left;
};

struct boost_node {
    struct boost_leaf leaf;
    struct boost_sum sum;
    struct boost_split split;
    unsigned depth;
    int slot; /* of its histogram, or -1 */
};

struct boost {
    const struct bins *bins;
    struct boost_options o;
    struct threads *threads;
    size_t workers;
    uint64_t *words;        /* [worker][n_cells]: sums of one chunk */
    struct boost_sum *part; /* [worker][n_cells]: of a worker's chunks */
    bool *used;             /* [worker] */
    struct boost_sum *pool; /* [n_slots + 1][n_cells]; the last one is nobody's */
    int *free_slots;
    size_t n_slots, n_free;
    struct boost_split *found; /* [feature] */
    struct boost_node *open;   /* may be split */
    size_t n_open, open_cap;
    struct boost_leaf *done;
    size_t n_done, done_cap;
    uint32_t *scratch;
    size_t *counts; /* for partition_rows() */
    /* of the tree being grown: */
    struct trees *t;
    const struct boost_sums *sums;
    const uint32_t *features;
    size_t n_features;
    uint32_t *rows;
    double rate;
};

static inline struct boost_sum boost_minus(struct boost_sum a, struct boost_sum b)
{
    return (struct boost_sum){a.g - b.g, a.h - b.h};
}

/* boost_histogram.c: the sums of a leaf's rows by feature and bin. */
void boost_count(struct boost *b, const struct boost_leaf *l, struct boost_sum *to);

/* boost_split.c: the best split of a leaf whose histogram is there. A gain within the rounding of
 * one derivative is none. */
void boost_find_split(struct boost *b, struct boost_node *l, const struct boost_sum *cells);
