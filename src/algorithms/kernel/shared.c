#include "algorithms/kernel/shared.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/binary.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

struct shared {
    _Atomic size_t refs;
    void *big; /* or */
    void *map;
    size_t map_len;
};

static struct shared *new_shared(void *big, void *map, size_t map_len)
{
    struct shared *s = xnew(struct shared);

    atomic_init(&s->refs, 1);
    s->big = big;
    s->map = map;
    s->map_len = map_len;
    return s;
}

struct shared *shared_of_big(void *big)
{
    return new_shared(big, /* map */ NULL, 0);
}

struct shared *shared_of_map(void *map, size_t len)
{
    return new_shared(/* big */ NULL, map, len);
}

struct shared *shared_ref(struct shared *s)
{
    if (s) {
        (void)atomic_fetch_add(&s->refs, 1);
    }
    return s;
}

void shared_unref(struct shared *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
        big_free(s->big);
        unmap_file(s->map, s->map_len);
        free(s);
    }
}

bool shared_is_mine(const struct shared *s)
{
    return s->big && atomic_load(&s->refs) == 1;
}

enum { PAGE = 4096 };

/* Pages that are cut by the ends leave too: whoever reads beside them faults once. */
void shared_rest(const struct shared *s, const void *p, size_t len)
{
    uintptr_t from = (uintptr_t)p & ~(uintptr_t)(PAGE - 1);

    if (s && s->map && len > 0) {
        (void)madvise((void *)from, (uintptr_t)p + len - from, MADV_DONTNEED);
    }
}
