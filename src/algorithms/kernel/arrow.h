/* arrow - tables as Apache Arrow IPC files (Feather V2): the one binary form of our tables, which
 * pandas, polars, R and DuckDB read too. docs/formats/table.md says what we write and take.
 *
 *   ARROW1 | schema | dictionary of each text column | one record batch | footer | ARROW1
 *
 * Reading: of a file in memory or mapped, columns that lie there as we keep them (float64, codes
 * and texts without a missing value) are used where they are; `keep` is what holds the bytes, and
 * every such column refers to it. What others write is converted: several batches, all numbers,
 * compressed buffers, the stream form. Nothing is believed; files of ours carry a checksum of all
 * their bytes, and a file that promises one is refused when it is wrong. The bytes must not change
 * while the table lives: inputs of a step are mounted read-only. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

int arrow_write(const struct table *t, struct binw *w, struct err *e) MUST_USE;

enum arrow_trust { ARROW_CHECK, ARROW_SKIP_CHECKSUM /* fuzzers */ };

/* ERR_DATA says what is damaged, or which column has a type that a table cannot hold. */
struct table *arrow_read(struct str bytes, struct shared *keep, enum arrow_trust trust,
                         struct err *e) MUST_USE;
