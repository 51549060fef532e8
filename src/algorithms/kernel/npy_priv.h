/* npy_priv - what npy_head.c (the head of a file) and npy.c (its values) share. */
#pragma once
#include "algorithms/kernel/npy.h"

struct npy_type {
    char kind;    /* b i u f U S M */
    bool swapped; /* big endian */
    size_t bytes; /* of one value */
    char unit;    /* M: D s m u n for days, seconds, milli-, micro-, nanoseconds */
};

struct npy_field {
    char *name; /* NULL: not structured */
    struct npy_type type;
    size_t offset; /* in an item */
};

struct npy_shape {
    struct npy_field *fields;
    size_t n_fields;
    size_t item_bytes;
    bool fortran;
    unsigned n_dims;
    uint64_t dims[2]; /* rows, columns; 1 where there are fewer dimensions */
    size_t head_bytes;
};

void npy_shape_done(struct npy_shape *s);
/* The head of a file. ERR_DATA, ERR_UNSUPPORTED. */
int npy_shape_parse(struct npy_shape *s, struct str bytes, struct err *e) MUST_USE;
size_t npy_n_columns(const struct npy_shape *s);
