/* partitions - what the paths of files say of their rows: a table of one row a file.
 *
 *   year=2024/city=Taipei/a.csv   ->   year 2024 (int), city "Taipei", and the name when asked for
 *
 * Values are unescaped (%20), __HIVE_DEFAULT_PARTITION__ is missing; types are found as in cells.
 */
#pragma once
#include "algorithms/kernel/files.h"
#include "algorithms/kernel/table.h"

/* `name_column` (empty: none) gets the name of each file. ERR_DATA: the files lie below folders of
 * different keys. */
struct table *partitions_of(const struct files *f, struct str name_column, struct err *e) MUST_USE;
