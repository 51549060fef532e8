/* json_line - one JSON object (RFC 8259) cut into its fields. Private to jsonl.
 *
 * Everything is checked before the first field is given out: grammar, UTF-8, escapes, nesting of at
 * most ML_LIMIT_JSON_DEPTH, texts of at most ML_LIMIT_CELL_BYTES. Nothing recurses. */
#pragma once
#include "base/buf.h"

enum json_line_type {
    JSON_LINE_NULL,
    JSON_LINE_TRUE,
    JSON_LINE_FALSE,
    JSON_LINE_NUMBER,
    JSON_LINE_TEXT,
    JSON_LINE_NESTED, /* an object or an array */
};

struct json_line_field {
    struct str key, value; /* as they are spelled; texts without their quotes */
    enum json_line_type type;
    bool key_escaped, value_escaped; /* json_line_unescape() makes the text of it */
    bool is_whole;                   /* a number without point and exponent */
};

struct json_line {
    struct json_line_field *fields;
    size_t n, cap;
};

void json_line_done(struct json_line *l);
/* `text` outlives the fields. ERR_DATA: "column 7: ..." counts bytes from 1. */
int json_line_parse(struct json_line *l, struct str text, struct err *e) MUST_USE;
/* The characters of a text that was checked, behind what `out` holds. */
void json_line_unescape(struct str spelled, struct buf *out);
