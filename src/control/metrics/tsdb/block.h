/* block - samples of some hours that do not change any more: one file, blocks/00000001, ...
 *
 *   "strataB1"  data pages  pairs  postings  series  table of pages  meta  end
 *
 * A page is runs of up to 960 samples, in the order of their series, packed by zstd. A pair is a
 * label with a value, numbered in their order; a series is the list of its pairs and where its runs
 * are. What cannot be read is an error; no bytes make the reader go astray. Threads: any; the index
 * is loaded when it is asked for. */
#pragma once
#include "tsdb/choose.h"
#include "tsdb/tsdb.h"

#include "base/buf.h"

enum { BLOCK_RUN = 960, BLOCK_PAGE_BYTES = 64 * 1024, BLOCK_PARENTS = 64 };

struct block_meta {
    int64_t min_ts, max_ts;
    int64_t floor;     /* the head held nothing older when it was cut; INT64_MIN: it was not cut */
    int64_t window_ms; /* of what was made of each; 0: it has every sample */
    uint64_t n_samples, n_runs;
    uint32_t n_series, n_pairs, n_pages;
    uint64_t pairs_at, postings_at, series_at, table_at; /* sections */
    uint32_t n_parents;
    uint32_t parents[BLOCK_PARENTS]; /* what it was made of, and replaces */
};

struct block_pair {
    struct str name, value;
    uint32_t at, n; /* in postings */
};

struct block_index {
    _Atomic unsigned refs;
    struct buf texts, postings, series, table;
    struct block_pair *pairs; /* n_pairs */
    uint32_t n_pairs, n_series, n_pages;
    uint32_t *series_at;
    uint64_t *pages; /* offsets */
};

struct deleted {
    uint32_t series;
    int64_t from, to; /* both of them too */
};

struct block {
    _Atomic unsigned refs;
    uint32_t number;
    int fd;
    uint64_t bytes;
    struct block_meta meta;
    struct block_index *index; /* guarded by whoever has the block's list; NULL: not loaded */
    int64_t used_mono_ms;
    /* By series; replaced as a whole. */
    struct deleted *deleted;
    size_t n_deleted;
    bool unreadable; /* some of it, when it was to be merged */
    bool reported;   /* that it is damaged */
};

struct block *block_open(int dir, uint32_t number, struct err *e) MUST_USE;
void block_unref(struct block *b);
struct block_index *block_index_load(const struct block *b, struct err *e) MUST_USE;
/* Takes the bytes of the sections apart, which are in `x`; -1: they are damaged. */
int block_index_find(struct block_index *x) MUST_USE;
void block_index_unref(struct block_index *x);

/* For choose_series(). Pairs are numbered from 1, series too. */
extern const struct index_ops block_ops; /* ctx: struct block_index */
struct labels block_labels(const struct block_index *x, uint32_t series, struct arena *a);

/* Whether it may have samples with from < ts <= to. */
bool block_has(const struct block *b, const struct block_index *x, uint32_t series, int64_t from_ms,
               int64_t to_ms);

void samples_reserve(struct tsdb_samples *s, size_t n);

/* The last page that was read, for the next series is in it, too. */
struct block_cursor {
    struct buf page;
    uint32_t number; /* from 1; 0: none */
};
void block_cursor_done(struct block_cursor *c);
/* Adds the samples of a series with from < ts <= to, but deleted ones. The number of runs that
 * could not be read is added to *damaged. */
void block_read(const struct block *b, const struct block_index *x, uint32_t series,
                int64_t from_ms, int64_t to_ms, struct block_cursor *c, struct tsdb_samples *out,
                uint64_t *damaged);

/* --- block_write.c --- */
struct block_writer;
struct block_writer *block_writer_new(int dir, uint32_t number, struct err *e) MUST_USE;
/* Without finish: nothing is left of it. */
void block_writer_free(struct block_writer *w);
/* Samples of a series, ascending; series in the order of their labels. */
int block_writer_add(struct block_writer *w, struct labels l, const int64_t *ts, const double *v,
                     size_t n, struct err *e) MUST_USE;
/* Durable. `meta`: floor, window and parents are taken from it. */
int block_writer_finish(struct block_writer *w, const struct block_meta *meta,
                        struct err *e) MUST_USE;
uint32_t block_writer_number(const struct block_writer *w);
uint64_t block_writer_samples(const struct block_writer *w);
DEFINE_SCOPED(struct block_writer, block_writer_free)

/* --- shared by reader and writer --- */
#define BLOCK_MAGIC "strataB1"
#define BLOCK_END "strataBE"
enum { BLOCK_FRAME = 12, BLOCK_TAIL = 24, BLOCK_PIECE = 1 << 20 };
