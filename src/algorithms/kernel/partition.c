#include "algorithms/kernel/partition.h"

#include <string.h>

enum { CHUNK_ROWS = 16384, AHEAD = 16 };

struct job {
    const struct partition *p;
    size_t *counts; /* lefts of each chunk, later where they begin */
    size_t lefts;
};

/* Lefts to the front of `to`, the others from its end backwards. */
static size_t divide(const struct partition *p, size_t first, size_t n, uint32_t *to)
{
    const uint8_t *cells = p->b->cells + p->feature;
    size_t d = p->b->n_features, l = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t r = p->rows[first + i];
        uint8_t left;

        __builtin_prefetch(cells + p->rows[i + AHEAD < n ? first + i + AHEAD : first] * d);
        left = p->left[cells[r * d]];
        to[l] = r;
        to[n - 1 - (i - l)] = r;
        l += left;
    }
    return l;
}

/* The two parts of a chunk to where they belong. */
static void place(const uint32_t *from, size_t n, size_t l, uint32_t *left, uint32_t *right)
{
    memcpy(left, from, l * sizeof(*left));
    for (size_t i = 0; i < n - l; i++) {
        right[i] = from[n - 1 - i];
    }
}

size_t partition_chunks(size_t n)
{
    return (n + CHUNK_ROWS - 1) / CHUNK_ROWS;
}

static size_t chunk_rows(const struct partition *p, size_t c)
{
    size_t left = p->n - c * CHUNK_ROWS;

    return left < CHUNK_ROWS ? left : CHUNK_ROWS;
}

static void divide_chunk(void *ctx, size_t c, unsigned worker)
{
    struct job *j = ctx;
    size_t first = c * CHUNK_ROWS;

    (void)worker;
    j->counts[c] = divide(j->p, first, chunk_rows(j->p, c), j->p->scratch + first);
}

static void place_chunk(void *ctx, size_t c, unsigned worker)
{
    struct job *j = ctx;
    const struct partition *p = j->p;
    size_t first = c * CHUNK_ROWS, n = chunk_rows(p, c), before = j->counts[c];
    size_t l = (c + 1 < partition_chunks(p->n) ? j->counts[c + 1] : j->lefts) - before;

    (void)worker;
    place(p->scratch + first, n, l, p->rows + before, p->rows + j->lefts + (first - before));
}

size_t partition_rows(const struct partition *p, size_t *counts, struct threads *threads)
{
    struct job j = {.p = p, .counts = counts};
    size_t chunks = partition_chunks(p->n);

    if (threads == NULL || chunks < 2) {
        size_t l = divide(p, 0, p->n, p->scratch);

        place(p->scratch, p->n, l, p->rows, p->rows + l);
        return l;
    }
    threads_each(threads, chunks, divide_chunk, &j);
    for (size_t c = 0; c < chunks; c++) {
        size_t l = counts[c];

        counts[c] = j.lefts;
        j.lefts += l;
    }
    threads_each(threads, chunks, place_chunk, &j);
    return j.lefts;
}
