/* trees - many decision trees as one array of nodes: made by growing, walked by predict, kept in
 * models (docs/formats/model.md).
 *
 *   node 0: feature 3 <= 2.5 ?   children 1 (yes) and 2 (no)
 *   node 1: a leaf               node 2: feature 0 in {a, c} ?   children 3 and 4
 *
 * Children stand side by side behind their parent. Built by one thread, then read by any. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/bins.h"
#include "base/json.h"

/* In `feature`, beside its number. */
#define TREE_MISSING_LEFT 0x80000000U
#define TREE_SET 0x40000000U /* not <= but a set of categories */
#define TREE_FEATURE 0x3fffffffU

struct tree_node {
    union {
        double value;  /* <= goes to the first child; of a leaf with one output: that */
        uint64_t slot; /* TREE_SET: which set; of a leaf with several outputs: which leaf */
    };
    uint32_t feature;
    uint32_t child; /* the first of two; 0: a leaf */
};

struct tree_set {
    uint64_t bits[4]; /* bins (bins.h) that go to the first child */
};

struct trees {
    size_t n_features, width; /* outputs */
    uint32_t *roots;          /* [n_trees]: the first node of each; all in big memory */
    size_t n_trees, trees_cap;
    struct tree_node *nodes;
    size_t n_nodes, nodes_cap;
    struct tree_set *sets;
    size_t n_sets, sets_cap;
    float *outputs; /* [leaf][width], when width > 1 */
    size_t n_outputs, outputs_cap;
    uint32_t *pure; /* [output]: 1 + the leaf outputs that are 1 there and 0 elsewhere; or 0 */
    double *gains;  /* [feature]: what its splits brought, all trees */
    uint8_t **of_category; /* [feature]: as in bins */
    uint32_t *n_categories;
    /* Of each node, when there is one tree to be looked at: rows (weights), and outputs. */
    double *node_rows, *node_outputs;
};

/* Takes copies of what it needs of the bins (NULL: numbers only). */
int trees_init(struct trees *t, size_t n_features, size_t width, const struct bins *b,
               const struct features *f, struct err *e) MUST_USE;
void trees_done(struct trees *t);

/* A new tree of one leaf with output 0. */
int trees_add_root(struct trees *t, uint32_t *node, struct err *e) MUST_USE;
/* Makes a leaf an inner node with two leaves; `set` NULL: by value. */
int trees_split(struct trees *t, uint32_t node, uint32_t feature, double value,
                const struct tree_set *set, struct err *e) MUST_USE;
/* Outputs of a leaf, when there are several. */
int trees_set_outputs(struct trees *t, uint32_t node, const double *outputs,
                      struct err *e) MUST_USE;
/* The same of a leaf where one output is 1 and the others 0: such leaves share them. */
int trees_set_pure(struct trees *t, uint32_t node, uint32_t output, struct err *e) MUST_USE;
/* Forgets the trees from number n on. */
void trees_cut(struct trees *t, size_t n);

enum { TREES_SLICE = 256 };
/* The leaf (its node) of each of n <= TREES_SLICE rows; rows NULL: first ..; else rows[first ..] */
void trees_walk(const struct trees *t, size_t tree, const double *const *columns,
                const uint32_t *rows, size_t first, size_t n, uint32_t *leaves);

void trees_write(const struct trees *t, struct binw *w);
/* Hostile bytes. What could be read can be walked by features that features_bind() made. */
int trees_read(struct binr *r, struct trees *t, const struct features *f, size_t width,
               struct err *e) MUST_USE;

/* "importance": the share of each feature in all gains, the largest first. */
void trees_describe_importance(const struct trees *t, const struct features *f, struct jw *w);
/* "tree": of one tree with rows and outputs of its nodes, the first 200 of them. n_classes 0: of a
 * number. */
void trees_describe_tree(const struct trees *t, const struct features *f, size_t n_classes,
                         struct jw *w);
