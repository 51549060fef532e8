/* binary - the envelope of models and transforms: a head with kind, version, length and checksum,
 * then a stream of little-endian numbers, written and read in order.
 *
 *   0   8  89 'S' 'T' 'R' K 0d 0a 1a     K: 'M' model, 'X' transform
 *   8   4  version                       a reader refuses newer ones
 *   12  4  zero
 *   16  8  bytes after the head
 *   24  8  XXH64 of those bytes
 *   32     ...
 *
 * Writing: into a temporary file beside the target, then fsync, rename, fsync of the directory: a
 * file appears whole or not at all. Errors stick (w->failed) and come out in binw_commit().
 * Reading: the whole file is mapped and its checksum verified before a byte is believed; every
 * read is bounded, and past the end r->bad is set and zeroes come out. One thread each. */
#pragma once
#include "algorithms/kernel/checksum.h"
#include "base/buf.h"

enum binary_kind { BINARY_MODEL = 'M', BINARY_TRANSFORM = 'X' };
/* ERR_INVALID when what is there is not a regular file: a rename would replace the device or link.
 */
int binw_check(const char *path, struct err *e) MUST_USE;

enum { BINARY_HEAD_BYTES = 32, BINARY_VERSION = 2 }; /* 1 is read, too */

struct binw {
    char *path, *tmp; /* NULL: in memory */
    int fd;
    struct buf *memory; /* or NULL */
    char kind;          /* 0: text, without a head */
    char *block;        /* not yet written; len counts it already */
    size_t block_len;
    uint64_t len;
    struct checksum sum;
    struct err err; /* the first failure */
    bool failed;
};

struct binw *binw_open(const char *path, enum binary_kind kind, struct err *e) MUST_USE;
/* Bytes as they are, without a head: for formats of their own that want the same durable
 * appearance. */
struct binw *binw_open_text(const char *path, struct err *e) MUST_USE;
/* The same for a path that the user has named: folders that are missing are made. */
struct binw *binw_open_named(const char *path, struct err *e) MUST_USE;
/* Bytes into a buffer that outlives it, or nowhere when that is NULL: w->sum is their checksum. */
struct binw *binw_open_memory(struct buf *to) MUST_USE;
void binw_close(struct binw *w); /* without a commit nothing is left behind */
DEFINE_SCOPED(struct binw, binw_close)
int binw_commit(struct binw *w, struct err *e) MUST_USE;
/* Whole, but its name is durable only with the next commit in the same directory. */
int binw_commit_beside(struct binw *w, struct err *e) MUST_USE;

void binw_bytes(struct binw *w, const void *p, size_t len);
void binw_u32(struct binw *w, uint32_t v);
void binw_u64(struct binw *w, uint64_t v);
void binw_f64(struct binw *w, double v);
void binw_str(struct binw *w, struct str s); /* u32 length, bytes */
void binw_f64s(struct binw *w, const double *v, size_t n);
void binw_f32s(struct binw *w, const float *v, size_t n);
void binw_u32s(struct binw *w, const uint32_t *v, size_t n);

struct binr {
    const char *p;
    size_t left;
    bool bad;
    uint32_t version; /* of the file */
    void *map;        /* of a file */
    size_t map_len;
};

/* From bytes that outlive it; checks the envelope. ERR_DATA. */
int binr_init(struct binr *r, struct str bytes, enum binary_kind kind, struct err *e) MUST_USE;
int binr_open(struct binr *r, const char *path, enum binary_kind kind, struct err *e) MUST_USE;
void binr_done(struct binr *r);

uint32_t binr_u32(struct binr *r);
uint64_t binr_u64(struct binr *r);
double binr_f64(struct binr *r);
struct str binr_str(struct binr *r); /* a view */
/* A heap copy of a name: 1 to ML_LIMIT_NAME_BYTES bytes, no NUL. NULL and bad otherwise. */
char *binr_name(struct binr *r);
void binr_f64s(struct binr *r, double *v, size_t n);
void binr_f32s(struct binr *r, float *v, size_t n);
void binr_u32s(struct binr *r, uint32_t *v, size_t n);
void binr_bytes(struct binr *r, void *to, size_t len);
/* ERR_DATA unless everything was read and nothing was missing. */
int binr_end(const struct binr *r, struct err *e) MUST_USE;

/* Maps a regular file read-only; an empty file gives an empty view and no map. */
int map_file(const char *path, void **map, size_t *len, struct err *e) MUST_USE;
void unmap_file(void *map, size_t len);
/* Whole pages of it leave memory until they are read again. */
void map_rest(const char *from, const char *to);
