/* rows - what import_postgres brings: the types of columns, then PostgreSQL's COPY in text format
 * (docs/formats/rows.md).
 *
 *   strata-rows 1
 *   id<TAB>int<TAB>born<TAB>date
 *   7<TAB>\N
 *
 * Hostile input: a damaged file is ERR_DATA with its line. One thread. */
#pragma once
#include "algorithms/kernel/table.h"

#define ROWS_MARK "strata-rows 1\n"

struct rows_report {
    size_t as_text;    /* columns of numbers that are text: a cell did not fit a number */
    const char *first; /* of them, in the table */
};

/* NULL: ERR_DATA, ERR_MEMORY. */
struct table *rows_read(struct str bytes, struct rows_report *report, struct err *e) MUST_USE;
