/* kdtree - points cut in halves along their widest side, so that those near to one are found
 * without looking at all. Built by one thread; then any number of readers. */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { KDTREE_LEAF = 32 };

struct kdnode {
    uint32_t from, to;      /* points, in the order of the tree */
    uint32_t first, second; /* nodes; 0: a leaf */
    uint32_t parent;
};

struct kdtree {
    size_t n, d, n_nodes;
    bool manhattan;         /* |x| + |y| instead of straight lines */
    double *points;         /* [n][d], in the order of the tree */
    uint32_t *rows, *place; /* of each point its row, and back */
    struct kdnode *nodes;   /* parents before their children */
    double *boxes;          /* [node][2][d]: least and largest */
};

/* `x` is [n][d] by row. */
int kdtree_init(struct kdtree *t, const double *x, size_t n, size_t d, struct err *e) MUST_USE;
void kdtree_done(struct kdtree *t);
/* How to compare: squared for straight lines. */
double kdtree_radius(const struct kdtree *t, double radius);
double kdtree_distance(const struct kdtree *t, const double *a, const double *b);
/* The least and the largest distance that a point of the node can have. */
double kdtree_least(const struct kdtree *t, uint32_t node, const double *p);
double kdtree_most(const struct kdtree *t, uint32_t node, const double *p);
