#include "algorithms/kernel/ranks.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/order.h"

uint32_t *ranks_order(const double *v, size_t stride, size_t n, struct err *e)
{
    struct column c = {.kind = COLUMN_NUMBER, .numbers = (double *)v};
    const struct order_key key = {.column = &c};
    SCOPED(big_freep) double *packed = NULL;

    if (stride > 1) {
        packed = big_alloc(n, sizeof(*packed), "the order of the rows", e);
        if (packed == NULL) {
            return NULL;
        }
        for (size_t i = 0; i < n; i++) {
            packed[i] = v[i * stride];
        }
        c.numbers = packed;
    }
    return order_rows(&key, 1, n, e);
}

int ranks_of(const double *v, size_t n, double *ranks, struct err *e)
{
    SCOPED(big_freep) uint32_t *order = ranks_order(v, 1, n, e);

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
