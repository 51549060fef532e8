/* Which rows of a page have a value: a bit each, the first row the lowest bit of the first byte. */
#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/failure.h"

#include <math.h>
#include <string.h>

/* Of old writers, who put the first row into the highest bit. */
static void turn_bits(struct str in, unsigned char *there, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        there[i / 8] |= (unsigned char)(((unsigned char)in.p[i / 8] >> (7 - i % 8) & 1) << i % 8);
    }
}

static size_t count_bits(const unsigned char *there, size_t bytes)
{
    size_t n = 0, i = 0;

    for (; i + 8 <= bytes; i += 8) {
        uint64_t v;

        memcpy(&v, there + i, sizeof(v));
        n += (size_t)__builtin_popcountll(v);
    }
    for (; i < bytes; i++) {
        n += (size_t)__builtin_popcount(there[i]);
    }
    return n;
}

int parquet_levels(const struct parquet_page *p, unsigned char *there, size_t *n, struct err *e)
{
    size_t bytes = (p->n + 7) / 8;
    struct parquet_runs r;

    memset(there, 0, bytes);
    if (p->levels_packed) {
        turn_bits(p->levels, there, p->n);
    } else {
        parquet_runs_init(&r, p->levels, 1);
        if (parquet_runs_bits(&r, there, p->n) < 0) {
            return err_set(e, ERR_DATA, "damaged: a page has fewer levels than values");
        }
    }
    *n = count_bits(there, bytes);
    return 0;
}

/* Inlined with a constant width, so that each value is one word. */
static inline void spread(char *to, const char *from, const unsigned char *there, size_t n,
                          size_t width, const void *missing)
{
    for (size_t i = 0; i < n; i += 8) {
        unsigned bits = there[i / 8];

        if (bits == 0xff) {
            memcpy(to, from, 8 * width);
            to += 8 * width;
            from += 8 * width;
            continue;
        }
        for (size_t k = i; k < n && k < i + 8; k++, bits >>= 1, to += width) {
            memcpy(to, bits & 1 ? from : missing, width);
            from += bits & 1 ? width : 0;
        }
    }
}

void parquet_spread_numbers(double *to, const void *from, const unsigned char *there, size_t n)
{
    static const double missing = NAN;

    spread((char *)to, from, there, n, sizeof(*to), &missing);
}

void parquet_spread_codes(uint32_t *to, const uint32_t *from, const unsigned char *there, size_t n)
{
    static const uint32_t missing = DICT_MISSING;

    spread((char *)to, (const char *)from, there, n, sizeof(*to), &missing);
}
