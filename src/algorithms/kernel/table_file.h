/* table_file - tables on disk: binary (docs/formats/table.md), or CSV (RFC 4180) when the name
 * ends in ".csv". Reading believes nothing: limits, bounds and codes are checked. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

int table_save(const struct table *t, const char *path, struct err *e) MUST_USE;
struct table *table_load(const char *path, struct err *e) MUST_USE;
/* From bytes in memory; for the fuzzer and tests. */
struct table *table_read(struct binr *r, struct err *e) MUST_USE;
