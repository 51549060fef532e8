/* jsonl - JSON Lines: one object a line, into the columns of its keys.
 *
 *   lines -> json_line: fields -> cells: columns in the order in which their keys were first seen
 *
 * A key that a line lacks, or null, is missing. Values that are nested are kept as JSON text, as
 * they are spelled. Empty lines are passed over; a byte order mark at the beginning, too. Errors
 * are ERR_DATA and name the line; with `skip` or `null` a bad line is left out or gives a row of
 * nothing. Several files may be read into the same cells. */
#pragma once
#include "algorithms/kernel/cells.h"

enum jsonl_bad_row { JSONL_BAD_ERROR, JSONL_BAD_SKIP, JSONL_BAD_NULL };
enum jsonl_nested { JSONL_NESTED_TEXT, JSONL_NESTED_REFUSED };

struct jsonl_options {
    enum jsonl_bad_row bad_row;
    enum jsonl_nested nested;
    struct str text_columns; /* keys whose values are text whatever they are, comma-separated */
    uint64_t max_rows;       /* of all files; 0: all */
};

struct jsonl_report {
    uint64_t bad; /* lines left out or empty */
};

int jsonl_read(struct cells *c, struct str text, const struct jsonl_options *o,
               struct jsonl_report *r, struct err *e) MUST_USE;
/* After the last file: ERR_INVALID when a text column is none of the keys. */
int jsonl_check_names(const struct cells *c, const struct jsonl_options *o, struct err *e) MUST_USE;

/* One object a row; infinity is written as null. */
struct binw;
enum jsonl_missing { JSONL_MISSING_NULL, JSONL_MISSING_LEFT_OUT };
int jsonl_write(const struct table *t, enum jsonl_missing missing, struct binw *w,
                struct err *e) MUST_USE;
