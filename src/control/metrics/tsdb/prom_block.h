/* prom_block - blocks of Prometheus, as its documentation has them: read, never written.
 *
 *   BLOCK/index            symbols, series with their labels and chunks (version 2)
 *   BLOCK/chunks/000001    XOR chunks
 *   BLOCK/tombstones       what was deleted
 *
 * Source: https://github.com/prometheus/prometheus/tree/main/tsdb/docs/format. Bytes are hostile.
 */
#pragma once
#include "labels/labels.h"

#include "base/vec.h"

struct prom_chunk {
    int64_t min_ts, max_ts;
    uint64_t ref; /* (file - 1) << 32 | offset */
};

struct prom_series {
    uint64_t ref; /* as tombstones say it: its place / 16 */
    struct labels labels;
    struct prom_chunk *chunks;
    size_t n_chunks;
};

struct prom_index {
    struct str bytes;
    struct str *symbols;
    size_t n_symbols;
    size_t at, end; /* of the series that are left */
};

/* `bytes` stay with the caller. */
int prom_index_open(struct prom_index *x, struct str bytes, struct err *e) MUST_USE;
void prom_index_done(struct prom_index *x);
/* The next series: 1; 0 behind the last; -1. In the arena. */
int prom_index_next(struct prom_index *x, struct arena *a, struct prom_series *out, struct err *e);

enum { PROM_CHUNK_SAMPLES = 65535, PROM_XOR = 1 };
/* The samples of an XOR chunk (behind its encoding): at most PROM_CHUNK_SAMPLES. */
int prom_xor_decode(struct str bytes, int64_t *ts, double *v, size_t *n, struct err *e) MUST_USE;
/* [length][encoding][data][crc] at the front of `bytes`; `need`: how many bytes it takes, when they
 * are not all there (returns 0 then, 1 when it is whole). */
int prom_chunk_open(struct str bytes, int *encoding, struct str *data, size_t *need,
                    struct err *e) MUST_USE;

struct prom_tombstone {
    uint64_t ref;
    int64_t from, to;
};
int prom_tombstones_read(struct str bytes, struct prom_tombstone **out, size_t *n,
                         struct err *e) MUST_USE;
