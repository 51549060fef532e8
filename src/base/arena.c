#include "base/arena.h"

#include "base/limits.h"
#include "base/mem.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    alignas(max_align_t) char bytes[];
};

static void free_blocks(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;

        free(b);
        b = next;
    }
}

void arena_done(struct arena *a)
{
    free_blocks(a->blocks);
    *a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
    struct arena_block *first = a->blocks;

    a->used_bytes = 0;
    if (first == NULL) {
        return;
    }
    free_blocks(first->next);
    first->next = NULL;
    if (first->size > BLOCK_BYTES) {
        free(first);
        a->blocks = NULL;
        return;
    }
    memset(first->bytes, 0, first->used);
    first->used = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *b = a->blocks;
    size_t need = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

    if (b == NULL || b->size - b->used < need) {
        size_t room = need > BLOCK_BYTES ? need : BLOCK_BYTES;

        b = xcalloc(1, sizeof(*b) + room);
        b->size = room;
        b->next = a->blocks;
        a->blocks = b;
    }
    b->used += need;
    a->used_bytes += need;
    return b->bytes + b->used - need;
}

char *arena_strdup(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.len + 1);

    if (s.len > 0) {
        memcpy(out, s.p, s.len);
    }
    return out;
}

struct str arena_str(struct arena *a, struct str s)
{
    return (struct str){arena_strdup(a, s), s.len};
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    char *out;
    int n;
    va_list ap;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return arena_strdup(a, STR_EMPTY);
    }
    out = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(out, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return out;
}
