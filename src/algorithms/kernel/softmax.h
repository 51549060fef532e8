/* softmax - the loss of many classes: a score for each, of which the exponentials are shares. Pure:
 * any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct softmax {
    const uint32_t *classes; /* of each row */
    const double *weights;   /* of each row; NULL: all 1 */
    size_t k, width;         /* scores of a row, and how far the next row is */
};

/* z[row][width]: scores become derivatives of the loss by them. Returns the loss. */
double softmax_loss(const struct softmax *s, size_t rows, double *z);
