/* as - what the numbers of a column mean to people. Every column of numbers is stored as double
 * (missing: NaN), whatever it means, so modules compute with all of them alike; only readers,
 * writers, previews and schemas ask.
 *
 *   AS_REAL  any number              AS_DATE  days since 1970-01-01
 *   AS_INT   whole, up to 2^53       AS_TIME  microseconds since 1970-01-01T00:00:00Z
 *   AS_BOOL  0 and 1 */
#pragma once
#include "base/str.h"

enum column_as { AS_REAL, AS_INT, AS_BOOL, AS_DATE, AS_TIME };

#define AS_LARGEST 9007199254740992.0 /* 2^53: up to here every whole number is a double */

enum { AS_TEXT_BYTES = 40 };

const char *as_name(enum column_as as); /* "real" "int" "bool" "date" "time" */
/* Whether the number is one of the type; NaN is one of every. */
bool as_holds(enum column_as as, double v);
/* The text that as_parse() reads back as the same number: "true", "2024-02-29", "0.1". A number
 * that is none of the type is written as a number. "nan" for NaN. Returns `out`. */
char *as_format(enum column_as as, double v, char out[AS_TEXT_BYTES]);
/* -1 when the text is none of the type, or not one that the type holds exactly. "true" and "false"
 * in any case; numbers of number.h; dates and times of calendar.h. */
int as_parse(enum column_as as, struct str s, double *v) MUST_USE;
