#include "algorithms/kernel/boost_priv.h"

#include <string.h>

enum { AHEAD = 16 };

static void add_all(const struct boost *b, const uint32_t *rows, size_t n, uint64_t *words)
{
    const uint32_t *offsets = b->bins->offsets;
    size_t d = b->bins->n_features;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *cell = b->bins->cells + rows[i] * d;
        uint64_t v = b->sums->words[rows[i]];

        __builtin_prefetch(b->bins->cells + rows[i + AHEAD < n ? i + AHEAD : i] * d);
        __builtin_prefetch(b->sums->words + rows[i + AHEAD < n ? i + AHEAD : i]);
        for (size_t j = 0; j < d; j++) {
            words[offsets[j] + cell[j]] += v;
        }
    }
}

static void add_some(const struct boost *b, const uint32_t *rows, size_t n, uint64_t *words)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *cell = b->bins->cells + rows[i] * b->bins->n_features;
        uint64_t v = b->sums->words[rows[i]];

        for (size_t j = 0; j < b->n_features; j++) {
            uint32_t f = b->features[j];

            words[b->bins->offsets[f] + cell[f]] += v;
        }
    }
}

static size_t chunk_rows(size_t c, size_t n)
{
    return n - c * BOOST_CHUNK_ROWS < BOOST_CHUNK_ROWS ? n - c * BOOST_CHUNK_ROWS
                                                       : BOOST_CHUNK_ROWS;
}

/* Words apart again, into the wide sums; `first`: nothing is there yet. */
static void empty_words(const struct boost *b, uint64_t *words, struct boost_sum *to, size_t first)
{
    const uint64_t low = ((uint64_t)1 << BOOST_H_SUM_BITS) - 1;

    for (size_t i = 0; i < b->bins->n_cells; i++) {
        int64_t g = (int64_t)words[i] >> BOOST_H_SUM_BITS, h = (int64_t)(words[i] & low);

        to[i].g = first ? g : to[i].g + g;
        to[i].h = first ? h : to[i].h + h;
        words[i] = 0;
    }
}

static void add_chunk(const struct boost *b, const struct boost_leaf *l, size_t c, unsigned worker,
                      struct boost_sum *to, size_t first)
{
    uint64_t *words = b->words + worker * b->bins->n_cells;
    const uint32_t *rows = b->rows + l->first + c * BOOST_CHUNK_ROWS;

    if (b->n_features == b->bins->n_features) {
        add_all(b, rows, chunk_rows(c, l->n), words);
    } else {
        add_some(b, rows, chunk_rows(c, l->n), words);
    }
    empty_words(b, words, to, first);
}

struct count {
    struct boost *b;
    const struct boost_leaf *l;
};

static void count_chunk(void *ctx, size_t c, unsigned worker)
{
    const struct count *j = ctx;
    struct boost *b = j->b;

    add_chunk(b, j->l, c, worker, b->part + worker * b->bins->n_cells, !b->used[worker]);
    b->used[worker] = true;
}

static void add_parts(const struct boost *b, struct boost_sum *to)
{
    size_t cells = b->bins->n_cells;

    memset(to, 0, cells * sizeof(*to));
    for (size_t w = 0; w < b->workers; w++) {
        for (size_t i = 0; b->used[w] && i < cells; i++) {
            to[i].g += b->part[w * cells + i].g;
            to[i].h += b->part[w * cells + i].h;
        }
    }
}

/* Whole numbers: whoever adds which of them. */
void boost_count(struct boost *b, const struct boost_leaf *l, struct boost_sum *to)
{
    size_t chunks = (l->n + BOOST_CHUNK_ROWS - 1) / BOOST_CHUNK_ROWS;

    if (chunks == 0) {
        memset(to, 0, b->bins->n_cells * sizeof(*to));
        return;
    }
    if (b->workers == 1 || chunks < 2 || l->n * b->n_features < BOOST_ALONE) {
        for (size_t c = 0; c < chunks; c++) {
            add_chunk(b, l, c, 0, to, c == 0);
        }
        return;
    }
    memset(b->used, 0, b->workers * sizeof(*b->used));
    threads_each(b->threads, chunks, count_chunk, &(struct count){b, l});
    add_parts(b, to);
}
