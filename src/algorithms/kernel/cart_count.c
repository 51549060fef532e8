#include "algorithms/kernel/cart_count.h"

#include <string.h>

/* Fewer rows than FEW_ROWS leave most bins empty: then only those that were met are looked at. A
 * row takes as long to sort as SORT_CELLS cells to add up. */
enum { FEW_ROWS = 192, SORT_CELLS = 8, BITS = 64, WORDS = CART_BINS / BITS };

size_t cart_lane_bytes(const struct cart_finder *f)
{
    return f->data->classes ? f->stride * sizeof(uint32_t) : sizeof(struct cart_lanes);
}

bool cart_sorts(size_t n_classes, size_t n)
{
    return n_classes * (n < CART_BINS ? n : CART_BINS) > n * SORT_CELLS;
}

size_t cart_sorted_rows(size_t n_classes, size_t n)
{
    size_t most = n_classes * CART_BINS / SORT_CELLS;

    return n_classes <= SORT_CELLS ? 0 : n < most ? n : most;
}

/* --- many rows -------------------------------------------------------------------------------- */

static inline void meet(struct cart_met *met, size_t j, uint8_t bin)
{
    if (met) {
        met[j].bits[bin / BITS] |= (uint64_t)1 << bin % BITS;
    }
}
static inline void count_numbers(const struct cart_finder *f, const uint32_t *rows, size_t n,
                                 const uint32_t *features, size_t n_features, struct cart_met *met)
{
    const struct bins *b = f->data->bins;
    struct cart_lanes *cells = f->cells;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *cell = b->cells + rows[i] * b->n_features;
        struct cart_row row = f->row[rows[i]];

        for (size_t j = 0; j < n_features; j++) {
            uint8_t bin = cell[features[j]];

            cells[j * CART_BINS + bin].g += row.g;
            cells[j * CART_BINS + bin].h += row.h + CART_ROW;
            meet(met, j, bin);
        }
    }
}

static inline void count_classes(const struct cart_finder *f, const uint32_t *rows, size_t n,
                                 const uint32_t *features, size_t n_features, struct cart_met *met)
{
    const struct bins *b = f->data->bins;
    size_t k = f->stride, counted = f->counted;
    uint32_t *cells = f->cells;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *cell = b->cells + rows[i] * b->n_features;
        struct cart_row row = f->row[rows[i]];

        for (size_t j = 0; j < n_features; j++) {
            uint8_t bin = cell[features[j]];

            cells[(j * CART_BINS + bin) * k + (size_t)row.g] += row.h;
            if (counted) {
                cells[(j * CART_BINS + bin) * k + k - 1]++;
            }
            meet(met, j, bin);
        }
    }
}

void cart_count(struct cart_finder *f, const uint32_t *rows, size_t n, const uint32_t *features,
                size_t n_features, struct cart_met met[CART_BATCH_MAX])
{
    bool few = n < FEW_ROWS;

    if (few) {
        memset(met, 0, n_features * sizeof(*met));
    }
    if (f->data->classes && few) {
        count_classes(f, rows, n, features, n_features, met);
    } else if (f->data->classes) {
        count_classes(f, rows, n, features, n_features, NULL);
    } else if (few) {
        count_numbers(f, rows, n, features, n_features, met);
    } else {
        count_numbers(f, rows, n, features, n_features, NULL);
    }
}

static bool is_empty(const struct cart_finder *f, size_t cell)
{
    const uint32_t *classes = (const uint32_t *)f->cells + cell * f->stride;
    uint32_t any = 0;

    if (f->data->classes == NULL) {
        return ((const struct cart_lanes *)f->cells)[cell].h == 0;
    }
    for (size_t k = 0; k < f->data->n_classes; k++) {
        any |= classes[k];
    }
    return any == 0;
}

static void list_met(const struct cart_met *met, uint32_t missing, struct cart_list *l)
{
    l->n = 0;
    for (uint32_t w = 0; w < WORDS; w++) {
        for (uint64_t bits = met->bits[w]; bits; bits &= bits - 1) {
            l->bins[l->n++] = (uint8_t)(w * BITS + (uint32_t)__builtin_ctzll(bits));
        }
    }
    l->missing = l->n > 0 && l->bins[l->n - 1] == missing;
    l->n -= l->missing;
}

void cart_list_bins(const struct cart_finder *f, size_t n, size_t j, uint32_t feature,
                    const struct cart_met *met, struct cart_list *l)
{
    uint32_t missing = bins_of(f->data->bins, feature);

    if (n < FEW_ROWS) {
        list_met(&met[j], missing, l);
        return;
    }
    l->n = 0;
    for (uint32_t i = 0; i < missing; i++) {
        l->bins[l->n] = (uint8_t)i;
        l->n += !is_empty(f, j * CART_BINS + i);
    }
    l->missing = !is_empty(f, j * CART_BINS + missing);
}

/* Of the usual sizes a store, not a call. */
static inline void clear(char *cells, size_t bin, size_t bytes)
{
    if (bytes == sizeof(uint64_t)) {
        memset(cells + bin * sizeof(uint64_t), 0, sizeof(uint64_t));
    } else if (bytes == sizeof(struct cart_lanes)) {
        memset(cells + bin * sizeof(struct cart_lanes), 0, sizeof(struct cart_lanes));
    } else {
        memset(cells + bin * bytes, 0, bytes);
    }
}

void cart_clear(struct cart_finder *f, size_t n, size_t j, uint32_t feature,
                const struct cart_list *l)
{
    size_t bytes = cart_lane_bytes(f), missing = bins_of(f->data->bins, feature);
    char *cells = (char *)f->cells + j * CART_BINS * bytes;

    if (n >= FEW_ROWS) {
        memset(cells, 0, (missing + 1) * bytes);
        return;
    }
    for (size_t i = 0; i < l->n + l->missing; i++) {
        clear(cells, i < l->n ? l->bins[i] : missing, bytes);
    }
}

/* --- few rows, many classes ------------------------------------------------------------------- */

void cart_sort(struct cart_finder *f, const uint32_t *rows, size_t n, uint32_t feature,
               struct cart_list *l)
{
    const struct bins *b = f->data->bins;
    const uint8_t *cells = b->cells + feature;
    struct cart_sorted *s = &f->sorted;
    uint32_t counts[CART_BINS] = {0}, sum = 0;
    struct cart_met met = {0};

    for (size_t i = 0; i < n; i++) {
        uint8_t bin = cells[rows[i] * b->n_features];

        counts[bin]++;
        meet(&met, 0, bin);
    }
    list_met(&met, bins_of(b, feature), l);
    for (size_t i = 0; i < l->n + l->missing; i++) {
        uint8_t bin = i < l->n ? l->bins[i] : (uint8_t)bins_of(b, feature);

        s->first[bin] = s->end[bin] = sum;
        sum += counts[bin];
    }
    for (size_t i = 0; i < n; i++) {
        s->rows[s->end[cells[rows[i] * b->n_features]]++] = f->row[rows[i]];
    }
}
