/* cart_priv - what cart.c grows and cart_emit.c puts out. */
#pragma once
#include "algorithms/kernel/cart_split.h"

/* A node waiting for its split. */
struct cart_open {
    uint32_t node;
    unsigned depth;
    size_t first, n;
};

/* Of a class with rows in a node. */
struct cart_share {
    uint32_t class;
    double share;
};

/* A node's: so many of c->shares, by rising class. */
struct cart_shares {
    size_t first, n;
};

struct cart {
    struct cart_data data;
    struct cart_options o;
    struct cart_finder finder;
    struct trees grown;   /* one tree; outputs of leaves only in `outputs` */
    struct cart_row *row; /* [n_rows] */
    double *weight;       /* [n_rows]: with draws */
    uint32_t *rows;       /* those drawn */
    uint32_t *scratch;
    size_t n;
    double mean, weight_sum;
    struct cart_open *open;
    size_t n_open, open_cap;
    double *risk, *heavy, *outputs; /* [node]; outputs when there is one */
    struct cart_shares *of_node;    /* [node]: instead of outputs, of more than two classes */
    size_t cap;
    struct cart_share *shares;
    size_t n_shares, shares_cap;
    double *sums; /* [class] */
};

/* All t->width outputs of a node. */
void cart_outputs(const struct cart *c, uint32_t node, double *out);
