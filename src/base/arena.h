/* arena - memory of one request or query: taken piece by piece, given back at once.
 * One thread at a time. Allocation never fails (program-sized memory); data-sized pieces are
 * checked against a limit by the caller first. */
#pragma once
#include "base/str.h"

struct arena {
    struct arena_block *blocks;
    size_t used_bytes; /* handed out since the last reset */
};

void arena_done(struct arena *a);
/* Forgets all pieces, keeps one block for the next request. */
void arena_reset(struct arena *a);
/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size) MUST_USE;
char *arena_strdup(struct arena *a, struct str s) MUST_USE; /* with a NUL */
struct str arena_str(struct arena *a, struct str s) MUST_USE;
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;

#define arena_new(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define arena_new_array(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (n)))
