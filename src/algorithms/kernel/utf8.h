/* utf8 - RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
#pragma once
#include "base/buf.h"
#include "base/utf8.h"

/* Position of the first byte that is not UTF-8, or -1. */
ptrdiff_t utf8_check(struct str s);
/* Appends Latin-1 bytes as UTF-8. */
void utf8_from_latin1(struct str s, struct buf *out);
/* The character at s.p, and its bytes; a byte that is no UTF-8 stands for itself (1). s.len > 0. */
size_t utf8_next(struct str s, uint32_t *c);
/* Letters of Latin, Greek and Cyrillic scripts that have a pair; others as they are. Pairs take as
 * many bytes as each other. */
uint32_t utf8_lower(uint32_t c);
uint32_t utf8_upper(uint32_t c);
