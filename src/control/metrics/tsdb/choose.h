/* choose - which series the matchers take, by whatever index there is (the head's or a block's). */
#pragma once
#include "tsdb/index.h"

/* A value of a label, and what its index calls it. */
struct index_value {
    struct str value;
    uint32_t pair;
};
struct index_values {
    struct index_value *p;
    size_t len, cap;
};

struct index_ops {
    uint32_t (*find)(void *ctx, struct str name, struct str value); /* 0: none */
    void (*values)(void *ctx, struct str name, struct index_values *out);
    int (*series_of)(void *ctx, uint32_t pair, struct ids *out, struct err *e); /* adds */
    void (*all)(void *ctx, struct ids *out);
};

/* Asked now and then, while expressions are tried on many values. */
struct choose_patience {
    bool (*is_over)(void *ctx); /* NULL: without end */
    void *ctx;
};

/* Numbers of series, ascending. */
int choose_series(const struct index_ops *ops, void *ctx, struct choose_patience patience,
                  const struct label_matcher *m, size_t n, struct ids *out, struct err *e) MUST_USE;
