/* recommending - what the modules als and recommend share: the body of the model. */
#pragma once
#include "algorithms/kernel/ratings.h"

struct factors {
    struct ratings known;
    size_t rank;
    double *users, *items; /* [n][rank]; big memory */
};
