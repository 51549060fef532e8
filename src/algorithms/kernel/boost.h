/* boost - one tree of gradient boosting: second-order, by histograms (Chen, Guestrin 2016).
 *
 *   gain of a split = GL^2 / (HL + lambda) + GR^2 / (HR + lambda) - G^2 / (H + lambda)
 *   output of a leaf = -rate G / (H + lambda)
 *
 * First and second derivative of a row are whole numbers in one word, so that a histogram takes one
 * addition per row and feature, and sums are exact: the same bytes in any order, for any number of
 * threads. Of two children only the smaller is counted, the other is the difference. */
#pragma once
#include "algorithms/kernel/trees.h"

/* A word: g x 2^BOOST_H_SUM_BITS + h. So many rows can be added before a sum could run over. */
enum { BOOST_CHUNK_ROWS = 4096, BOOST_H_SUM_BITS = 30 };
enum { BOOST_G_MAX = (1 << 21) - 1, BOOST_H_MAX = (1 << 18) - 1 };

struct boost_options {
    double lambda, gamma, min_child_weight;
    unsigned max_depth;
    unsigned max_leaves; /* 0: what max_depth allows; else the largest gain is split first */
};

struct boost_leaf {
    uint32_t node;
    size_t first, n; /* of the rows given */
};

struct boost;

struct boost *boost_new(const struct bins *b, const struct boost_options *o, struct threads *threads,
                        struct err *e) MUST_USE;
void boost_free(struct boost *b);
DEFINE_SCOPED(struct boost, boost_free)

/* The derivatives of all rows of the bins. */
struct boost_sums {
    const uint64_t *words;
    double g_unit, h_unit; /* what 1 stands for */
};

/* Adds a tree that splits by some features. `rows` are put in the order of the leaves, which hold
 * until the next tree. */
int boost_tree(struct boost *b, struct trees *t, const struct boost_sums *sums,
               const uint32_t *features, size_t n_features, uint32_t *rows, size_t n, double rate,
               struct err *e) MUST_USE;
const struct boost_leaf *boost_leaves(const struct boost *b, size_t *n);
