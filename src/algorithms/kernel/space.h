/* space - which parameters a search tries, as text:
 *
 *   l2=log(1e-4..1):8 ; max_depth=2,4,6 ; layers=64|128,64 ; subsample=0.5..1
 *
 * A list has ',' between values, or '|' where values have commas. A range "from..to" is uniform, or
 * uniform in its logarithm as log(from..to); ":8" is how many points of it a grid has, 5 by
 * default. */
#pragma once
#include "algorithms/kernel/module.h"
#include "algorithms/kernel/rng.h"

enum { SPACE_DIMENSIONS = MODULE_PARAMS, SPACE_VALUES = 64, SPACE_POINTS = 5 };

struct dimension {
    const struct param *param;
    char *values[SPACE_VALUES]; /* a list; else a range */
    size_t n_values;            /* of the list, or points of the range in a grid */
    bool is_range, logarithmic, whole;
    double from, to;
};

struct space {
    struct dimension of[SPACE_DIMENSIONS];
    size_t n;
};

void space_done(struct space *s);
/* For parameters of `m` but `label_col`; every value is checked. ERR_INVALID. */
int space_parse(struct space *s, const struct module *m, struct str text, struct err *e) MUST_USE;
/* How many points the grid has, at most `most` + 1. */
size_t space_grid(const struct space *s, size_t most);
/* The value of one dimension at a point of the grid (the first dimension turns slowest), or by
 * chance; for free(3). */
char *space_at(const struct space *s, size_t point, size_t dimension) MUST_USE;
char *space_draw(const struct space *s, size_t dimension, struct rng *rng) MUST_USE;
