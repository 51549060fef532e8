/* cart - one decision tree by impurity (Breiman et al. 1984), for forests and for trees to look at.
 *
 *   drawn rows -> cart_grow() -> every node with its weight, output and risk -> cart_emit(), pruned
 *
 * A node counts the bins of some features, drawn anew for each node, and takes the best split of
 * them even when it brings nothing yet. Counts and sums are whole numbers. One thread each. */
#pragma once
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/trees.h"

enum cart_criterion { CART_GINI, CART_ENTROPY, CART_SQUARES };

struct cart_options {
    enum cart_criterion criterion; /* CART_SQUARES: of numbers */
    unsigned max_depth;            /* 0: no end */
    size_t max_features;           /* looked at in a node, of those that are not constant there */
    size_t min_leaf;               /* fewest rows of a leaf; drawn twice counts once */
};

/* What is told of rows. */
struct cart_data {
    const struct bins *bins;
    const uint32_t *classes; /* or NULL */
    size_t n_classes;
    const double *targets; /* or NULL */
    const double *weights; /* of mean 1, or NULL */
};

struct cart;

struct cart *cart_new(const struct cart_data *data, const struct cart_options *o,
                      struct err *e) MUST_USE;
void cart_free(struct cart *c);
DEFINE_SCOPED(struct cart, cart_free)

/* The same tree whatever was grown before. `draws`: how often each row counts; NULL: once. Only features and never rows are drawn by rng. */
int cart_grow(struct cart *c, const uint8_t *draws, struct rng *rng, struct err *e) MUST_USE;

/* The grown tree behind those of `t`, less the branches that lower the risk (impurity x share of
 * the weight) by no more than alpha for each of their leaves. `looked_at`: with rows and outputs of
 * all nodes. Outputs: of two classes the share of the second, else a share for each, or a mean. */
int cart_emit(const struct cart *c, double alpha, bool looked_at, struct trees *t,
              struct err *e) MUST_USE;

static inline size_t cart_width(size_t n_classes)
{
    return n_classes > 2 ? n_classes : 1;
}
