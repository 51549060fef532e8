#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_done(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t want;

    if (b->failed || n > b->max || b->len > b->max - n) {
        b->failed = true;
        return NULL;
    }
    want = b->len + n + 1;
    if (want > b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 256;

        b->cap = cap > want ? cap : want;
        b->p = xrealloc(b->p, b->cap);
        b->p[b->len] = '\0';
    }
    return b->p + b->len;
}

int buf_add(struct buf *b, struct str s)
{
    char *at = buf_reserve(b, s.len);

    if (at == NULL) {
        return -1;
    }
    if (s.len > 0) {
        memcpy(at, s.p, s.len);
    }
    b->len += s.len;
    b->p[b->len] = '\0';
    return 0;
}

int buf_add_c(struct buf *b, const char *cstr)
{
    return buf_add(b, str_of(cstr));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    int n;
    char *at;
    va_list ap;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    at = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (at == NULL) {
        b->failed = true;
        return -1;
    }
    va_start(ap, fmt);
    (void)vsnprintf(at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return 0;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->p) {
        b->p[0] = '\0';
    }
}

struct str buf_str(const struct buf *b)
{
    return b->p ? (struct str){b->p, b->len} : STR_EMPTY;
}

char *buf_take(struct buf *b)
{
    char *out = b->p ? b->p : xstrdup("");

    *b = (struct buf){.max = b->max};
    return out;
}
