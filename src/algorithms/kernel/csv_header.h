/* csv_header - whether the first record of a text table names the columns. Private to csv.
 *
 * A wrong guess costs a row or makes one up, so whoever reads says in a line what was taken, and
 * what cannot be told is the user's to say. */
#pragma once
#include "algorithms/kernel/csv_scan.h"

struct csv_reader;

enum csv_first { CSV_FIRST_DATA, CSV_FIRST_NAMES, CSV_FIRST_UNCLEAR };

/* `scan` has just read the first record, and is not moved. */
enum csv_first csv_first_record(const struct csv_reader *r, const struct csv_scan *scan);

/* csv.c: whether an unquoted cell means that a value is missing. */
bool csv_is_null(const struct csv_reader *r, struct str s);
