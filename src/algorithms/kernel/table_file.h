/* table_file - tables on disk: Arrow IPC (arrow.h, docs/formats/table.md), or CSV when the name
 * ends in ".csv". A file appears whole or not at all. */
#pragma once
#include "algorithms/kernel/table.h"

int table_save(const struct table *t, const char *path, struct err *e) MUST_USE;
/* Arrow only; CSV is read by csv.h. Columns may lie in the mapped file: it must not change. */
struct table *table_load(const char *path, struct err *e) MUST_USE;
