/* naive_bayes - the body of its models: docs/formats/model.md. Private to modules. */
#pragma once
#include "algorithms/kernel/model.h"

enum kind { GAUSSIAN, MULTINOMIAL, BERNOULLI };

struct bayes {
    uint32_t kind;
    double binarize;
    size_t d, k;
    size_t *first;  /* [feature]: its numbers begin there */
    double *priors; /* [class] logarithms */
    /* Per feature, [class][width]: GAUSSIAN mean, 1 / (2 variance), log of the factor in front; a
     * text: the logarithm of each category's share. MULTINOMIAL: log share. BERNOULLI: log p,
     * log (1 - p). Big memory. */
    double *numbers;
};

/* How many numbers a class has of feature j. */
size_t bayes_width(const struct bayes *b, const struct features *f, size_t j);
/* Room for d x k distributions; the kind is set. */
int bayes_init(struct bayes *b, const struct model *m, struct err *e) MUST_USE;
