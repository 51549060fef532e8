#include "algorithms/kernel/folds.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/rng.h"

void folds_done(struct folds *f)
{
    big_free(f->fold);
    big_free(f->turn);
    *f = (struct folds){0};
}

/* The rows by class, those of class c from start[c] on. */
static void sort_rows(const uint32_t *classes, size_t n_classes, size_t n, size_t *start,
                      uint32_t *rows)
{
    for (size_t i = 0; i < n; i++) {
        start[(classes ? classes[i] : 0) + 1]++;
    }
    for (size_t c = 0; c < n_classes; c++) {
        start[c + 1] += start[c];
    }
    for (size_t i = 0; i < n; i++) {
        rows[start[classes ? classes[i] : 0]++] = (uint32_t)i;
    }
    for (size_t c = n_classes; c > 0; c--) { /* each has become the start of the next */
        start[c] = start[c - 1];
    }
    start[0] = 0;
}

int folds_make(struct folds *f, uint32_t k, const uint32_t *classes, size_t n_classes,
               size_t n_rows, uint64_t seed, struct err *e)
{
    SCOPED(big_freep) uint32_t *rows = big_alloc(n_rows, sizeof(*rows), "the folds", e);
    SCOPED(big_freep)
    size_t *start = rows ? big_alloc(n_classes + 2, sizeof(*start), "the folds", e) : NULL;
    struct rng rng;
    size_t dealt = 0;

    *f = (struct folds){.n_rows = n_rows, .k = k};
    f->fold = start ? big_alloc(n_rows, sizeof(*f->fold), "the folds", e) : NULL;
    f->turn = f->fold ? big_alloc(n_rows, sizeof(*f->turn), "the folds", e) : NULL;
    if (f->turn == NULL) {
        folds_done(f);
        return -1;
    }
    n_classes = classes ? n_classes : 1;
    sort_rows(classes, n_classes, n_rows, start, rows);
    rng_init(&rng, seed, 2);
    for (size_t c = 0; c < n_classes; c++) {
        size_t n = start[c + 1] - start[c];

        rng_shuffle(&rng, rows + start[c], n);
        for (size_t i = 0; i < n; i++, dealt++) {
            f->fold[rows[start[c] + i]] = (uint32_t)(dealt % k);
            f->turn[rows[start[c] + i]] = ((double)i + 0.5) / (double)n;
        }
    }
    return 0;
}

size_t folds_rows(const struct folds *f, uint32_t fold, bool in_it, double part, uint32_t *rows)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n_rows; i++) {
        if ((f->fold[i] == fold) == in_it && f->turn[i] < part) {
            rows[n++] = (uint32_t)i;
        }
    }
    return n;
}
