/* number - text to double and back, exactly: parsing rounds correctly, and what number_format()
 * writes reads back as the same bits. No locale. */
#pragma once
#include "base/json.h"

enum { NUMBER_TEXT_BYTES = 32 };

/* Optional sign, digits with an optional point, optional exponent; inf and infinity in any case.
 * -1 when the text is anything else. At most 400 characters. */
int number_parse(struct str s, double *out) MUST_USE;

/* What is lost when `s`, which number_parse() read as `v`, is kept as a number: leading zeros, or
 * the last digits of an integer beyond 2^53. Digits behind a point are rounded as they are
 * everywhere. */
enum number_loss { NUMBER_KEPT, NUMBER_ZEROS, NUMBER_ROUNDED };
enum number_loss number_loss(struct str s, double v);

/* The shortest of 15, 16 or 17 digits that reads back; "nan" for NaN. Returns `out`. */
char *number_format(double v, char out[NUMBER_TEXT_BYTES]);

/* The same as JSON: null for NaN and infinities. */
void number_json(struct jw *w, double v);
void number_json_kv(struct jw *w, const char *key, double v);
