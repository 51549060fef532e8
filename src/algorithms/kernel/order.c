#include "algorithms/kernel/order.h"

#include "algorithms/kernel/bigmem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A radix sort (least significant digit first, so equal keys keep their order) by a whole number
 * per row that is in the order of the column. */
struct pair {
    uint64_t key;
    uint32_t row;
};

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

static int compare_texts(const void *a, const void *b, void *dict)
{
    return str_cmp(dict_text(dict, *(const uint32_t *)a), dict_text(dict, *(const uint32_t *)b));
}

uint32_t *order_texts(const struct dict *d, struct err *e)
{
    SCOPED(big_freep)
    uint32_t *codes = big_alloc(d->len, sizeof(*codes), "the order of texts", e);
    uint32_t *place = codes ? big_alloc(d->len, sizeof(*place), "the order of texts", e) : NULL;

    for (uint32_t i = 0; place && i < d->len; i++) {
        codes[i] = i;
    }
    if (place) {
        qsort_r(codes, d->len, sizeof(*codes), compare_texts, (void *)d);
    }
    for (uint32_t i = 0; place && i < d->len; i++) {
        place[codes[i]] = i;
    }
    return place;
}

/* Bits in the order of the numbers. */
static uint64_t ordered_bits(double v)
{
    uint64_t bits;

    v += 0.0; /* -0 is 0 */
    memcpy(&bits, &v, sizeof(bits));
    return bits >> 63 ? ~bits : bits | 1ULL << 63;
}

/* Whole numbers that lie near each other have short keys: fewer passes. */
static void number_keys(const struct column *c, bool descending, struct pair *p, size_t n)
{
    double low = INFINITY, high = -INFINITY;
    bool whole = true;

    for (size_t i = 0; i < n; i++) {
        double v = c->numbers[i];

        low = v < low ? v : low;
        high = v > high ? v : high;
        whole = whole && (isnan(v) || (fabs(v) <= AS_LARGEST / 2 && v == floor(v)));
    }
    for (size_t i = 0; i < n; i++) {
        double v = c->numbers[p[i].row];
        uint64_t key = whole && !isnan(v) ? (uint64_t)(descending ? high - v : v - low)
                       : descending       ? ~ordered_bits(v)
                                          : ordered_bits(v);

        p[i].key = !isnan(v) ? key : whole && high >= low ? (uint64_t)(high - low) + 1 : UINT64_MAX;
    }
}

static int text_keys(const struct column *c, bool descending, struct pair *p, size_t n,
                     struct err *e)
{
    SCOPED(big_freep) uint32_t *place = order_texts(c->dict, e);

    for (size_t i = 0; place && i < n; i++) {
        uint32_t code = c->codes[p[i].row];

        p[i].key = code == DICT_MISSING ? c->dict->len
                   : descending         ? c->dict->len - 1 - place[code]
                                        : place[code];
    }
    return place ? 0 : -1;
}

/* One digit; false when all rows have the same, and nothing moved. */
static bool sort_digit(const struct pair *from, struct pair *to, size_t n, unsigned shift)
{
    size_t at[DIGITS + 1] = {0};

    for (size_t i = 0; i < n; i++) {
        at[((from[i].key >> shift) & (DIGITS - 1)) + 1]++;
    }
    if (at[((from[0].key >> shift) & (DIGITS - 1)) + 1] == n) {
        return false;
    }
    for (size_t d = 0; d < DIGITS; d++) {
        at[d + 1] += at[d];
    }
    for (size_t i = 0; i < n; i++) {
        to[at[(from[i].key >> shift) & (DIGITS - 1)]++] = from[i];
    }
    return true;
}

uint32_t *order_rows(const struct order_key *keys, size_t n_keys, size_t n_rows, struct err *e)
{
    SCOPED(big_freep) struct pair *a = big_alloc(n_rows, sizeof(*a), "the order of the rows", e);
    SCOPED(big_freep)
    struct pair *b = a ? big_alloc(n_rows, sizeof(*b), "the order of the rows", e) : NULL;
    uint32_t *rows = NULL;

    for (size_t i = 0; b && i < n_rows; i++) {
        a[i].row = (uint32_t)i;
    }
    for (size_t k = n_keys; b && k-- > 0;) {
        if (keys[k].column->kind == COLUMN_NUMBER) {
            number_keys(keys[k].column, keys[k].descending, a, n_rows);
        } else if (text_keys(keys[k].column, keys[k].descending, a, n_rows, e) < 0) {
            return NULL;
        }
        for (unsigned shift = 0; n_rows > 0 && shift < 64; shift += DIGIT_BITS) {
            if (sort_digit(a, b, n_rows, shift)) {
                struct pair *t = a;

                a = b;
                b = t;
            }
        }
    }
    rows = b ? big_alloc(n_rows, sizeof(*rows), "the order of the rows", e) : NULL;
    for (size_t i = 0; rows && i < n_rows; i++) {
        rows[i] = a[i].row;
    }
    return rows;
}
