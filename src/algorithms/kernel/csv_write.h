/* csv_write - a table as text: RFC 4180, UTF-8, LF; values as as_format() has them, nothing between
 * separators for a missing one, "" for an empty text. read_csv finds the same types again. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

void csv_write(const struct table *t, struct binw *w);
