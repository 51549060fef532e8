#include "algorithms/kernel/folds.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/rng.h"

#include <stdlib.h>

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

static int take_memory(struct folds *f, uint32_t k, size_t n_rows, struct err *e)
{
    *f = (struct folds){.n_rows = n_rows, .k = k};
    f->fold = big_alloc(n_rows, sizeof(*f->fold), "the folds", e);
    f->turn = f->fold ? big_alloc(n_rows, sizeof(*f->turn), "the folds", e) : NULL;
    if (f->turn == NULL) {
        folds_done(f);
        return -1;
    }
    return 0;
}

int folds_make(struct folds *f, uint32_t k, const uint32_t *classes, size_t n_classes,
               size_t n_rows, uint64_t seed, struct err *e)
{
    SCOPED(big_freep) uint32_t *rows = big_alloc(n_rows, sizeof(*rows), "the folds", e);
    SCOPED(big_freep)
    size_t *start = rows ? big_alloc(n_classes + 2, sizeof(*start), "the folds", e) : NULL;
    struct rng rng;
    size_t dealt = 0;

    if (start == NULL || take_memory(f, k, n_rows, e) < 0) {
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

/* By chance within each fold. */
static int deal_turns(struct folds *f, uint64_t seed, struct err *e)
{
    SCOPED(big_freep) uint32_t *rows = big_alloc(f->n_rows, sizeof(*rows), "the folds", e);
    SCOPED(big_freep)
    size_t *count = rows ? big_alloc(2 * ((size_t)f->k + 1), sizeof(*count), "the folds", e) : NULL;
    size_t *seen = count ? count + f->k + 1 : NULL;
    struct rng rng;

    if (count == NULL) {
        folds_done(f);
        return -1;
    }
    rng_init(&rng, seed, 2);
    for (size_t i = 0; i < f->n_rows; i++) {
        rows[i] = (uint32_t)i;
        count[f->fold[i]]++;
    }
    rng_shuffle(&rng, rows, f->n_rows);
    for (size_t i = 0; i < f->n_rows; i++) {
        uint32_t fold = f->fold[rows[i]];

        f->turn[rows[i]] = ((double)seen[fold]++ + 0.5) / (double)count[fold];
    }
    return 0;
}

struct group {
    size_t rows;
    uint32_t number, fold;
};

static int by_size(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    return x->rows != y->rows ? (x->rows < y->rows ? 1 : -1)
                              : (x->number > y->number) - (x->number < y->number);
}

static int by_number(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

int folds_by_group(struct folds *f, uint32_t k, const uint32_t *groups, size_t n_groups,
                   size_t n_rows, uint64_t seed, struct err *e)
{
    SCOPED(big_freep) struct group *of = big_alloc(n_groups, sizeof(*of), "the folds", e);
    SCOPED(big_freep) size_t *rows = of ? big_alloc(k, sizeof(*rows), "the folds", e) : NULL;

    if (rows == NULL || take_memory(f, k, n_rows, e) < 0) {
        return -1;
    }
    for (size_t g = 0; g < n_groups; g++) {
        of[g].number = (uint32_t)g;
    }
    for (size_t i = 0; i < n_rows; i++) {
        of[groups[i]].rows++;
    }
    qsort(of, n_groups, sizeof(*of), by_size);
    for (size_t g = 0; g < n_groups; g++) {
        uint32_t least = 0;

        for (uint32_t i = 1; i < k; i++) {
            least = rows[i] < rows[least] ? i : least;
        }
        of[g].fold = least;
        rows[least] += of[g].rows;
    }
    qsort(of, n_groups, sizeof(*of), by_number);
    for (size_t i = 0; i < n_rows; i++) {
        f->fold[i] = of[groups[i]].fold;
    }
    return deal_turns(f, seed, e);
}

struct moment {
    double time;
    uint32_t row;
};

static int by_time(const void *a, const void *b)
{
    const struct moment *x = a, *y = b;

    return x->time < y->time ? -1 : x->time > y->time ? 1 : (x->row > y->row) - (x->row < y->row);
}

int folds_by_time(struct folds *f, uint32_t k, const double *times, size_t n_rows, uint64_t seed,
                  struct err *e)
{
    SCOPED(big_freep) struct moment *order = big_alloc(n_rows, sizeof(*order), "the folds", e);
    size_t size = n_rows / ((size_t)k + 1), first = n_rows - k * size;

    if (order == NULL || take_memory(f, k, n_rows, e) < 0) {
        return -1;
    }
    f->in_time = true;
    for (size_t i = 0; i < n_rows; i++) {
        order[i] = (struct moment){times[i], (uint32_t)i};
    }
    qsort(order, n_rows, sizeof(*order), by_time);
    for (size_t i = 0; i < n_rows; i++) {
        f->fold[order[i].row] = i < first ? k : (uint32_t)((i - first) / size);
    }
    return deal_turns(f, seed, e);
}

/* Whether a row of fold `of` is predicted, or learned from, when it is the turn of `fold`. */
static bool takes_part(const struct folds *f, uint32_t of, uint32_t fold, bool in_it)
{
    return in_it ? of == fold : f->in_time ? of < fold || of == f->k : of != fold;
}

size_t folds_rows(const struct folds *f, uint32_t fold, bool in_it, double part, uint32_t *rows)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n_rows; i++) {
        if (takes_part(f, f->fold[i], fold, in_it) && f->turn[i] < part) {
            rows[n++] = (uint32_t)i;
        }
    }
    return n;
}
