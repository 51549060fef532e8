/* parquet - Apache Parquet files (format 2.10): the tables that the rest of the world has.
 *
 *   PAR1 | row group: a chunk per column, of pages | row group ... | metadata (thrift) | PAR1
 *
 * Reading: every encoding and page version in use, snappy, gzip, zstd and LZ4_RAW; the columns are
 * decoded by the pool's threads, each by one thread from its first page to its last, so that the
 * result is the same for any number of them. Columns of lists, maps and structs are left out and
 * named. Nothing is believed; memory is taken within the budget.
 * Writing: pages of version 1, numbers plain, text by dictionary where that is shorter. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"
#include "algorithms/kernel/threads.h"

enum parquet_codec { PARQUET_PLAIN = 0, PARQUET_SNAPPY = 1, PARQUET_GZIP = 2, PARQUET_ZSTD = 6 };

struct parquet_options {
    struct str columns; /* a selector (select.h) of those to read; empty: all */
};

struct parquet_report {
    size_t left_out;  /* columns that a table cannot hold */
    struct buf names; /* of the first of them: "a, b"; the caller's to free */
    int64_t rows;     /* as the metadata says, before a run */
};

struct table *parquet_read(struct str bytes, const struct parquet_options *o,
                           struct threads *threads, struct parquet_report *r,
                           struct err *e) MUST_USE;

/* Before a run. The last PARQUET_TAIL_BYTES of a file say how long its metadata is, which lies in
 * front of them; 0: ERR_DATA. Of the metadata, the columns without rows. */
enum { PARQUET_TAIL_BYTES = 8 };
size_t parquet_tail(struct str tail, uint64_t file_bytes, struct err *e);
struct table *parquet_columns(struct str metadata, const struct parquet_options *o,
                              struct parquet_report *r, struct err *e) MUST_USE;

int parquet_write(const struct table *t, enum parquet_codec codec, size_t group_rows,
                  struct binw *w, struct err *e) MUST_USE;
