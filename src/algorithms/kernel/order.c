#include "algorithms/kernel/order.h"

#include "algorithms/kernel/bigmem.h"

#include <string.h>

enum { DIGIT_BITS = 11, DIGITS = 6, BUCKETS = 1 << DIGIT_BITS };

struct item {
    uint64_t key;
    uint32_t index;
};

/* Larger numbers have larger keys: IEEE 754 read as an integer, negative ones the other way. */
static uint64_t key_of(double v)
{
    uint64_t bits;

    v += 0.0; /* -0 is 0 */
    memcpy(&bits, &v, sizeof(bits));
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

/* One digit; false when all have the same one and nothing was moved. */
static bool pass(const struct item *from, struct item *to, size_t n, unsigned digit)
{
    size_t at[BUCKETS] = {0}, sum = 0;
    unsigned shift = digit * DIGIT_BITS;

    for (size_t i = 0; i < n; i++) {
        at[from[i].key >> shift & (BUCKETS - 1)]++;
    }
    if (at[from[0].key >> shift & (BUCKETS - 1)] == n) {
        return false;
    }
    for (size_t b = 0; b < BUCKETS; b++) {
        size_t count = at[b];

        at[b] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++) {
        to[at[from[i].key >> shift & (BUCKETS - 1)]++] = from[i];
    }
    return true;
}

uint32_t *order_numbers(const double *v, size_t stride, size_t n, struct err *e)
{
    SCOPED(big_freep) struct item *items = big_alloc(n, 2 * sizeof(*items), "the order", e);
    SCOPED(big_freep) uint32_t *order = items ? big_alloc(n, sizeof(*order), "the order", e) : NULL;
    struct item *a = items, *b = items + n;

    if (order == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        a[i] = (struct item){key_of(v[i * stride]), (uint32_t)i};
    }
    for (unsigned d = 0; n > 0 && d < DIGITS; d++) {
        if (pass(a, b, n, d)) {
            struct item *c = a;

            a = b;
            b = c;
        }
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = a[i].index;
    }
    return TAKE(order);
}

int order_ranks(const double *v, size_t n, double *ranks, struct err *e)
{
    SCOPED(big_freep) uint32_t *order = order_numbers(v, 1, n, e);

    if (order == NULL) {
        return -1;
    }
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && v[order[end]] == v[order[i]]; end++) {
        }
        for (size_t k = i; k < end; k++) {
            ranks[order[k]] = (double)(i + end + 1) / 2;
        }
    }
    return 0;
}
