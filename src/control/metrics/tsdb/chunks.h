/* chunks - files of full runs, append only: head/00000001, ...
 *
 *   [length u32][crc u32][series][previous of the series u64][first time][n][late][times][values]
 *
 * A chunk's position is the number of its file and its offset; chunks of a series are a chain from
 * the newest back. What is not written yet is in `filling` and `writing`, in memory. */
#pragma once
#include "base/buf.h"
#include "base/vec.h"
#include "tsdb/column.h"

#include <stdatomic.h>

struct chunk_file {
    _Atomic unsigned refs;
    uint32_t number;
    int fd;
    int64_t min_ts, max_ts;
    uint64_t size;
    bool is_unsure; /* a sync of it failed; whoever is `working` */
};

struct chunk_files {
    int dir;
    uint64_t n;                     /* chunks written since the start */
    VEC(struct chunk_file *) files; /* the last one is written to */
    struct column_times times;      /* of the last chunk */
    struct buf filling, writing;
    uint64_t writing_at, filling_at; /* offsets in the last file */
};

struct chunk {
    uint32_t series;
    uint64_t before;
    int64_t min_ts, max_ts;
    size_t n;
    struct str times_values;
};

enum { CHUNK_HEAD = 8, CHUNK_SAMPLES = 64, CHUNK_MAX_BYTES = 4096 };

void chunk_files_init(struct chunk_files *c, int dir); /* takes `dir` */
void chunk_files_done(struct chunk_files *c);
/* Into memory; the position. */
uint64_t chunk_files_add(struct chunk_files *c, uint32_t series, uint64_t before, const int64_t *ts,
                         const double *v, size_t n);
/* What is in memory, to the file: begin under the lock (false: nothing to do), write without, end
 * under it. */
bool chunk_files_write_begin(struct chunk_files *c, size_t at_least);
int chunk_files_write(struct chunk_files *c, struct err *e) MUST_USE;
void chunk_files_write_end(struct chunk_files *c);
size_t chunk_files_pending(const struct chunk_files *c);
/* The next file: made without the lock, written to from the push on (under it). Nothing may be
 * pending. */
struct chunk_file *chunk_files_next(const struct chunk_files *c, uint32_t after,
                                    struct err *e) MUST_USE;
void chunk_files_push(struct chunk_files *c, struct chunk_file *f);
/* What an earlier process wrote; NULL: not there. */
struct chunk_file *chunk_file_open(int dir, uint32_t number, struct err *e) MUST_USE;
void chunk_file_unref(struct chunk_file *f);
/* The bytes of the chunk when they are still in memory. */
struct str chunk_files_in_memory(const struct chunk_files *c, uint64_t position);
/* From the file; into room of CHUNK_MAX_BYTES. */
int chunk_file_read(const struct chunk_file *f, uint64_t position, char *room, struct str *bytes,
                    struct err *e) MUST_USE;
/* What it has up to `size`, so that it is synced again: each run when its checksum fits. */
int chunk_file_write_again(const struct chunk_file *f, uint64_t size, struct err *e) MUST_USE;
/* Its times, by reading all of it. */
void chunk_file_note_times(struct chunk_file *f);
/* The last whole chunk of a series before the offset, found by reading all that stand there: a
 * chain is broken. 0: none. */
uint64_t chunk_file_find(const struct chunk_file *f, uint32_t series, uint64_t before_offset);
int chunk_parse(struct str bytes, struct chunk *c, struct err *e) MUST_USE;
int chunk_parse_body(struct str body, struct chunk *c, struct err *e) MUST_USE; /* behind the crc */
int chunk_decode(const struct chunk *c, int64_t *ts, double *v, struct err *e) MUST_USE;
uint32_t chunk_file_of(uint64_t position);
