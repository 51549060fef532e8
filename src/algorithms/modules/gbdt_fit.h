/* gbdt_fit - a boosting under way: what the files gbdt*.c share. Private to modules. */
#pragma once
#include "algorithms/kernel/boost.h"
#include "algorithms/modules/gbdt_loss.h"

/* Uses of the seed. */
enum { STREAM_HOLD_BACK, STREAM_FEATURES, STREAM_ROWS };
enum { GBDT_CHUNK_ROWS = 4096 };

/* Rows whose loss is watched: those held back, or the table at the port "valid". */
struct gbdt_watched {
    const double *const *columns;
    const uint32_t *rows; /* NULL: all of the table */
    size_t n;
    struct gbdt_rows of; /* of the table */
    struct table *owned; /* that table behind the transforms of the other; or NULL */
    struct bound bound;
    uint32_t *classes; /* owned, of the table at "valid" */
    double *scores;    /* [score][n] */
};

struct gbdt_fit {
    struct step *s;
    struct training *t;
    struct gbdt_model *m;
    struct gbdt_loss loss;
    struct gbdt_rows of;
    struct bins bins;
    struct boost *boost;
    size_t n, n_learned; /* rows; of those, seen by trees */
    uint32_t *rows;      /* the learned ones in front */
    uint32_t *order;     /* of the tree being grown */
    double *scores;      /* [score][n] */
    double *log_sums;    /* [n]: of exp(score), more than two classes */
    uint64_t *words;     /* [n]: derivatives */
    double *maxima;      /* [chunk][2] */
    double *residuals;   /* [n], and 2 n words for sorting; only with medians */
    uint64_t *sorting;
    uint32_t *features, *chosen;
    size_t n_chosen;
    struct gbdt_watched watched;
    double subsample;
    size_t round, score; /* of the tree being grown */
    struct boost_sums sums;
};

static inline size_t gbdt_chunks(size_t n)
{
    return (n + GBDT_CHUNK_ROWS - 1) / GBDT_CHUNK_ROWS;
}

static inline size_t gbdt_chunk_rows(size_t c, size_t n)
{
    return n - c * GBDT_CHUNK_ROWS < GBDT_CHUNK_ROWS ? n - c * GBDT_CHUNK_ROWS : GBDT_CHUNK_ROWS;
}

/* A use of the seed in this round. */
static inline uint64_t gbdt_stream(const struct gbdt_fit *f, uint64_t use, size_t part)
{
    return (uint64_t)f->round << 34 | (uint64_t)part << 2 | use;
}

/* gbdt_rows.c: which rows are learned from, and which are watched. */
int gbdt_by_number(const void *a, const void *b); /* for qsort(3), of uint32_t */
int gbdt_divide_rows(struct gbdt_fit *f, struct err *e) MUST_USE;
int gbdt_take_valid(struct gbdt_fit *f, struct err *e) MUST_USE;
int gbdt_make_room(struct gbdt_fit *f, struct err *e) MUST_USE;
/* gbdt_start.c: scores before the first tree. */
void gbdt_start(struct gbdt_fit *f);
/* gbdt_tree.c: one tree from the scores, and the scores behind it. */
int gbdt_grow_tree(struct gbdt_fit *f, struct err *e) MUST_USE;
void gbdt_sum_logs(void *ctx, size_t chunk, unsigned worker); /* a task */
