/* recommending - what the module recommend needs of the models that it takes. Private to modules.
 */
#pragma once
#include "algorithms/kernel/ratings.h"

struct model;
struct model_type;

/* What als learns. */
struct factors {
    struct ratings known;
    size_t rank;
    double *users, *items; /* [n][rank]; big memory */
};

/* A kind of model that recommends: recommending.c lists them. */
struct recommender {
    const struct model_type *type;
    const struct ratings *(*known)(const struct model *m);
    /* What a user would think of each item, NaN: the model cannot tell. `scratch` holds a number
     * for each item. */
    void (*score)(const struct model *m, uint32_t user, double *scratch, double *scores);
};
extern const struct recommender recommender_als, recommender_item_cf;
/* NULL: it does not recommend. */
const struct recommender *recommender_of(const struct model_type *type);

struct offer {
    double score;
    uint32_t item;
};
/* Takes an offer into the n best of those seen, highest first, the first of equals. */
void offers_keep(struct offer *best, uint32_t *found, size_t n, struct offer o);
