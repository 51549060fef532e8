/* utf8 - RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
#pragma once
#include "base/buf.h"

/* Position of the first byte that is not UTF-8, or -1. */
ptrdiff_t utf8_check(struct str s);
/* Appends Latin-1 bytes as UTF-8. */
void utf8_from_latin1(struct str s, struct buf *out);
