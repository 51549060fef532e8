/* platt - scores to probabilities by a logistic curve: 1 / (1 + exp(a f + b)) (Platt 2000; Newton's
 * steps of Lin, Lin, Weng 2007), and probabilities of pairs to those of classes (Wu, Lin, Weng
 * 2004, the second way). Pure functions. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct platt {
    double a, b;
};

enum { PLATT_FOLDS = 5 }; /* scores are of rows that were not learned from */

/* From n scores and on which side (1, -1) their rows are; `weights` NULL: all alike. */
struct platt platt_fit(const double *scores, const int8_t *side, const double *weights, size_t n);
/* Of side 1. */
double platt_probability(const struct platt *p, double score);
/* r[i * k + j]: how likely i is among i and j; all of i != j. `work` holds k * (k + 1) numbers. */
void platt_couple(const double *r, size_t k, double *work, double *out);
