#include "algorithms/kernel/dict.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/checksum.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

/* What the index holds for one text besides its bytes: a slot (at most half full, doubled) and the
 * allocator's share of the key. */
enum { INDEX_BYTES = 160 };

struct dict *dict_new(void)
{
    struct dict *d = xnew(struct dict);

    atomic_init(&d->refs, 1);
    return d;
}

struct dict *dict_of(struct shared *keep, const char *bytes, const uint64_t *ends, uint32_t len)
{
    struct dict *d = dict_new();

    d->keep = shared_ref(keep);
    d->bytes = (char *)bytes; /* read only: dict_own() copies before anyone writes */
    d->ends = (uint64_t *)ends;
    d->len = len;
    return d;
}

struct dict *dict_ref(struct dict *d)
{
    (void)atomic_fetch_add(&d->refs, 1);
    return d;
}

void dict_seal(struct dict *d)
{
    map_done(&d->index);
    big_refund(d->charged);
    d->charged = 0;
}

void dict_free(struct dict *d)
{
    if (d == NULL || atomic_fetch_sub(&d->refs, 1) > 1) {
        return;
    }
    dict_seal(d);
    if (d->keep) {
        shared_unref(d->keep);
    } else {
        big_free(d->bytes);
        big_free(d->ends);
    }
    free(d);
}

static uint64_t start_of(const struct dict *d, uint32_t code)
{
    return code == 0 ? 0 : d->ends[code - 1];
}

struct str dict_text(const struct dict *d, uint32_t code)
{
    uint64_t at = start_of(d, code);

    return str_n(d->bytes + at, d->ends[code] - at);
}

static int charge(struct dict *d, size_t text_len, struct err *e)
{
    size_t bytes = text_len + INDEX_BYTES;

    if (big_charge(bytes, "the different texts of a column", e) < 0) {
        return -1;
    }
    d->charged += bytes;
    return 0;
}

/* Builds the index again for a dictionary that was sealed or copied. */
static int index_all(struct dict *d, struct err *e)
{
    if (d->index.len == d->len) {
        return 0;
    }
    for (uint32_t i = 0; i < d->len; i++) {
        if (charge(d, dict_text(d, i).len, e) < 0) {
            return -1;
        }
        (void)map_put(&d->index, dict_text(d, i), (void *)(uintptr_t)(i + 1ULL));
    }
    return 0;
}

static int make_room(struct dict *d, size_t more, struct err *e)
{
    uint64_t used = start_of(d, d->len);

    if (used + more > ML_LIMIT_DICT_BYTES || d->len == DICT_MISSING - 1) {
        return err_set(e, ERR_DATA, "a column of text has more than %llu GiB of different texts",
                       ML_LIMIT_DICT_BYTES / GIB);
    }
    if (used + more > d->bytes_cap) {
        size_t cap = (used + more) * 3 / 2 + 64;

        if (big_resize(&d->bytes, cap, 1, "the different texts of a column", e) < 0) {
            return -1;
        }
        d->bytes_cap = cap;
    }
    if (d->len == d->ends_cap) {
        size_t cap = d->ends_cap * 3 / 2 + 16;

        if (big_resize(&d->ends, cap, sizeof(*d->ends), "the different texts of a column", e) < 0) {
            return -1;
        }
        d->ends_cap = cap;
    }
    return 0;
}

int dict_intern(struct dict *d, struct str text, uint32_t *code, struct err *e)
{
    void *known;
    uint64_t used;

    assert(d->keep == NULL && atomic_load(&d->refs) == 1);
    if (index_all(d, e) < 0) {
        return -1;
    }
    known = map_get(&d->index, text);
    if (known) {
        *code = (uint32_t)((uintptr_t)known - 1);
        return 0;
    }
    if (charge(d, text.len, e) < 0 || make_room(d, text.len, e) < 0) {
        return -1;
    }
    used = start_of(d, d->len);
    if (text.len > 0) {
        memcpy(d->bytes + used, text.p, text.len);
    }
    d->ends[d->len] = used + text.len;
    (void)map_put(&d->index, text, (void *)(uintptr_t)(d->len + 1ULL));
    *code = d->len++;
    return 0;
}

uint32_t dict_find(struct dict *d, struct str text)
{
    for (uint32_t i = 0; d->index.len != d->len && i < d->len; i++) {
        if (str_eq(dict_text(d, i), text)) {
            return i;
        }
    }
    return (uint32_t)((uintptr_t)map_get(&d->index, text) - 1);
}

struct dict *dict_copy(const struct dict *d, struct err *e)
{
    SCOPED(dict_freep) struct dict *c = dict_new();
    uint64_t used = start_of(d, d->len);

    if (big_resize(&c->bytes, used + 1, 1, "the different texts of a column", e) < 0 ||
        big_resize(&c->ends, d->len + 1ULL, sizeof(*c->ends), "the different texts of a column",
                   e) < 0) {
        return NULL;
    }
    c->bytes_cap = used + 1;
    c->ends_cap = d->len + 1ULL;
    c->len = d->len;
    if (d->len > 0) {
        memcpy(c->bytes, d->bytes, used);
        memcpy(c->ends, d->ends, d->len * sizeof(*d->ends));
    }
    return TAKE(c);
}

int dict_own(struct dict **d, struct err *e)
{
    struct dict *copy;

    if ((*d)->keep == NULL && atomic_load(&(*d)->refs) == 1) {
        return 0;
    }
    copy = dict_copy(*d, e);
    if (copy == NULL) {
        return -1;
    }
    dict_free(*d);
    *d = copy;
    return 0;
}

/* A table of codes + 1 at most half full, searched from the checksum of the text on. */
int dict_is_distinct(const struct dict *d, struct err *e)
{
    size_t cap = 16;
    SCOPED(big_freep) uint32_t *slots = NULL;

    while (cap < 2 * (size_t)d->len) {
        cap *= 2;
    }
    slots = big_alloc(cap, sizeof(*slots), "the different texts of a column", e);
    if (slots == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < d->len; i++) {
        struct str s = dict_text(d, i);
        size_t at = checksum_of(s.p, s.len) & (cap - 1);

        for (; slots[at] != 0; at = (at + 1) & (cap - 1)) {
            if (str_eq(dict_text(d, slots[at] - 1), s)) {
                return 0;
            }
        }
        slots[at] = i + 1;
    }
    return 1;
}
