/* rng - random numbers that are the same on every machine for the same seed: xoshiro256** 1.0
 * (Blackman, Vigna 2018), seeded by splitmix64. Not for secrets. */
#pragma once
#include "base/attrs.h"

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* `stream` separates the uses of one seed (shuffle, weights, split). */
void rng_init(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 .. n-1, unbiased; n > 0 */
double rng_unit(struct rng *r);                /* [0, 1), 53 bits */
void rng_shuffle(struct rng *r, uint32_t *v, size_t n);
