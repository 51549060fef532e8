/* neighbours - the nearest rows of a table, exactly, by comparing with all of them.
 *
 *   queries x rows, in single precision by the matrix product, tile by tile
 *        -> a few more candidates than asked for -> their distances in double precision
 *        -> certain by the error bound of the product?  else all rows in double precision
 *
 * So the answer is that of plain double arithmetic; of equal distances the smaller row comes first.
 * Made once, then read by any thread; a neighbours_work belongs to one. */
#pragma once
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* COSINE: 1 - cos; a row of zeroes has the distance 1 from all. */
enum distance { DISTANCE_EUCLID, DISTANCE_COSINE };

struct neighbours {
    enum distance distance;
    size_t n, d;
    double *rows; /* [row][feature]; COSINE: of length 1. Big memory, as all here */
    double *centre;
    float *near; /* the same less the centre, the longest of them of length 1 */
    float *norms;
    double scale;  /* 1 / the longest */
    double offset; /* how far from 0 the rows lie, in lengths of the longest */
};

struct neighbour {
    double distance;
    uint32_t row;
};

enum { NEIGHBOURS_QUERIES = 256, NEIGHBOURS_TILE = 256 };

struct neighbours_work {
    size_t k, candidates;
    float *x;        /* [query][feature] */
    float *products; /* [query][NEIGHBOURS_TILE] */
    double *lengths; /* [query] squared */
    struct near_heap {
        float distance;
        uint32_t row;
    } * heaps;       /* [query][candidates] */
    double *queries; /* [query][feature] as compared exactly */
};

/* Takes the rows (n > 0, finite, big memory) whatever comes of it. ERR_DATA: too large. */
int neighbours_init(struct neighbours *b, double *rows, size_t n, size_t d, enum distance distance,
                    struct err *e) MUST_USE;
void neighbours_done(struct neighbours *b);

int neighbours_work_init(struct neighbours_work *w, const struct neighbours *b, size_t k,
                         struct err *e) MUST_USE;
void neighbours_work_done(struct neighbours_work *w);

/* The w->k nearest of each of m <= NEIGHBOURS_QUERIES rows, the nearest first: out[m][w->k];
 * w->k <= b->n. */
void neighbours_find(const struct neighbours *b, const double *rows, size_t m,
                     struct neighbours_work *w, struct neighbour *out);
