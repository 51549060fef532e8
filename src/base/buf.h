/* buf - owned bytes that grow up to a ceiling named where the buffer is made.
 *
 *   struct buf b = BUF_MAX(LIMIT_MANIFEST_BYTES);   ...   buf_done(&b);
 *
 * Appending past the ceiling fails with -1 and keeps what was there; the first failure sticks
 * (b.failed), so a writer may append many times and check once. There is always a NUL after the
 * last byte. */
#pragma once
#include "base/str.h"

struct buf {
    char *p;
    size_t len;
    size_t cap;
    size_t max;
    bool failed;
};

#define BUF_MAX(max_bytes) ((struct buf){.max = (max_bytes)})

void buf_done(struct buf *b); /* frees and zeroes; may be called twice */
int buf_add(struct buf *b, struct str s);
int buf_add_c(struct buf *b, const char *cstr);
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Room for n more bytes at b->p + b->len; the caller then adds to b->len. NULL past the ceiling. */
char *buf_reserve(struct buf *b, size_t n);
void buf_clear(struct buf *b);
struct str buf_str(const struct buf *b);
/* The bytes as a string for free(3); the buffer is empty afterwards. */
char *buf_take(struct buf *b);
