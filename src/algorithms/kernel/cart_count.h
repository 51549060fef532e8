/* cart_count - rows of a node by their bins, for cart_split.c. Private to the kernel.
 *
 *   many rows:                cells[bin][class] += weight
 *   few rows, many classes:   the rows themselves, those of a bin side by side */
#pragma once
#include "algorithms/kernel/cart_split.h"

/* Bins with rows, in the order in which they go left. */
struct cart_list {
    uint8_t bins[CART_BINS];
    size_t n;
    bool missing; /* there are rows with none; not in the list */
};

/* Which bins hold rows, of features of a batch; used when rows are few. */
struct cart_met {
    uint64_t bits[CART_BINS / 64];
};

/* Bytes of a cell. */
size_t cart_lane_bytes(const struct cart_finder *f);
/* Whether a node of n rows is better sorted than counted. */
bool cart_sorts(size_t n_classes, size_t n);
/* The most rows of a table of n that are ever sorted. */
size_t cart_sorted_rows(size_t n_classes, size_t n);

/* Into f->cells; `met` is written when rows are few. */
void cart_count(struct cart_finder *f, const uint32_t *rows, size_t n, const uint32_t *features,
                size_t n_features, struct cart_met met[CART_BATCH_MAX]);
/* The bins of feature number j of the batch. */
void cart_list_bins(const struct cart_finder *f, size_t n, size_t j, uint32_t feature,
                    const struct cart_met *met, struct cart_list *l);
/* Those bins' cells are zero again. */
void cart_clear(struct cart_finder *f, size_t n, size_t j, uint32_t feature,
                const struct cart_list *l);

/* Into f->sorted, by one feature. */
void cart_sort(struct cart_finder *f, const uint32_t *rows, size_t n, uint32_t feature,
               struct cart_list *l);
