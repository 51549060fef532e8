#include "algorithms/kernel/sort.h"

#include <string.h>

/* Bits that sort as the numbers do: negative ones turned over, the sign of the others set. */
static uint64_t key_of(double v)
{
    uint64_t bits;

    v += 0.0; /* -0 is 0 */
    memcpy(&bits, &v, sizeof(bits));
    return bits >> 63 ? ~bits : bits | 1ULL << 63;
}

static double number_of(uint64_t key)
{
    uint64_t bits = key >> 63 ? key & ~(1ULL << 63) : ~key;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static void insertion(double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double x = v[i] + 0.0;
        size_t j = i;

        for (; j > 0 && v[j - 1] > x; j--) {
            v[j] = v[j - 1];
        }
        v[j] = x;
    }
}

enum { DIGIT_BITS = 8, DIGITS = 256, PASSES = 8, FEW = 48 };

static size_t digit(uint64_t key, unsigned pass)
{
    return key >> (DIGIT_BITS * pass) & (DIGITS - 1);
}

/* One pass; false when all keys have the same byte there, and nothing was moved. */
static int pass_over(const uint64_t *from, uint64_t *to, size_t n, size_t *counts, unsigned pass)
{
    size_t at = 0;

    if (counts[digit(from[0], pass)] == n) {
        return 0;
    }
    for (size_t d = 0; d < DIGITS; d++) {
        size_t count = counts[d];

        counts[d] = at;
        at += count;
    }
    for (size_t i = 0; i < n; i++) {
        to[counts[digit(from[i], pass)]++] = from[i];
    }
    return 1;
}

void sort_f64(double *v, uint64_t *scratch, size_t n)
{
    uint64_t *from = scratch, *to = scratch + n;
    size_t counts[PASSES][DIGITS] = {0};

    if (n < FEW) {
        insertion(v, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        from[i] = key_of(v[i]);
        for (unsigned p = 0; p < PASSES; p++) {
            counts[p][digit(from[i], p)]++;
        }
    }
    for (unsigned p = 0; p < PASSES; p++) {
        if (pass_over(from, to, n, counts[p], p)) {
            uint64_t *t = from;

            from = to;
            to = t;
        }
    }
    for (size_t i = 0; i < n; i++) {
        v[i] = number_of(from[i]);
    }
}
