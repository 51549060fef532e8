/* utf8 - characters beyond ASCII: their bytes, and their case as Unicode has it. */
#pragma once
#include "base/arena.h"

/* The bytes of a code point: how many, 0 for what is none. */
size_t utf8_put(char out[4], uint32_t c);
/* The code point of `n` bytes, as str_utf8_len() gave it. */
uint32_t utf8_get(const unsigned char *p, size_t n);

enum utf8_case { UTF8_LOWER, UTF8_UPPER, UTF8_TITLE /* the first letter of each word */ };

/* Bytes that are no UTF-8 stay as they are. */
struct str utf8_cased(struct arena *a, struct str s, enum utf8_case to);
