/* log - the write-ahead log: wal/00000001, ... segments of records.
 *
 *   [mark u32][length u32][crc u32][type][payload]
 *
 * Written by the leader alone. A record that is cut short or damaged is passed over when it is
 * read: the next mark is looked for. */
#pragma once
#include "base/buf.h"

enum { WAL_HEAD = 13, WAL_SERIES = 1, WAL_SAMPLES = 2, WAL_LATE = 3, WAL_DELETED = 4 };

struct wal {
    int dir, fd;
    uint32_t segment; /* being written; 0: none yet */
    uint64_t offset;  /* in it */
    uint64_t written; /* since the start, of all */
    uint64_t samples; /* logged since the last checkpoint */
    bool broken;      /* a write failed half way and could not be taken back, or a sync failed */
};

/* Between two records. */
struct wal_place {
    uint32_t segment;
    uint64_t offset;
};

/* A record is put together in a buffer: begin, payload, end. */
size_t wal_begin(struct buf *b, uint8_t type);
void wal_end(struct buf *b, size_t begun);
/* Takes `dir`; there is no segment yet. `last`: the highest there is. */
void wal_init(struct wal *w, int dir, uint32_t last);
void wal_done(struct wal *w);
/* The next record needs another segment: wal_rotate() before wal_write(). */
bool wal_is_over(const struct wal *w);
/* All or nothing. */
int wal_write(struct wal *w, struct str bytes, struct err *e) MUST_USE;
/* Syncs the segment and begins the next. *lost, also without an error: the sync failed. */
int wal_rotate(struct wal *w, bool *lost, struct err *e) MUST_USE;
struct wal_place wal_end_place(const struct wal *w); /* what is written next stands there */
bool wal_is_before(struct wal_place a, struct wal_place b);

struct wal_found {
    uint64_t records, damaged; /* places that were passed over */
    bool torn;                 /* the last of it: a write that did not end */
};
typedef int wal_record(void *ctx, uint8_t type, struct str payload);
/* The next whole record in *in, its type first; false when there is none. WAL_MORE: other bytes
 * follow on *in, which is left where a record may begin that ends in them. */
enum wal_rest { WAL_ALL, WAL_MORE };
bool wal_next(struct str *in, enum wal_rest rest, struct str *body, bool *passed_over);
int wal_replay(struct str bytes, wal_record *take, void *ctx, struct wal_found *found);
