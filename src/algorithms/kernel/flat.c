#include "algorithms/kernel/flat.h"

#include <string.h>

/* --- reading --------------------------------------------------------------------------------- */

/* `size` bytes at `at` as an unsigned number. */
static uint64_t number_at(struct flat_bytes *b, size_t at, size_t size)
{
    uint64_t v = 0;

    if (at > b->s.len || size > b->s.len - at) {
        b->bad = true;
        return 0;
    }
    memcpy(&v, b->s.p + at, size); /* little endian, as all we run on */
    return v;
}

static struct flat_table table_at(struct flat_bytes *b, size_t at)
{
    struct flat_table t = {.in = b, .at = at};
    int32_t back = (int32_t)number_at(b, at, 4);
    int64_t vtable = (int64_t)at - back;

    if (b->bad || at == 0 || vtable < 0 || vtable > (int64_t)b->s.len) {
        b->bad = true;
        return (struct flat_table){.in = b};
    }
    t.vtable = (size_t)vtable;
    t.n_vtable = number_at(b, t.vtable, 2);
    t.n_table = number_at(b, t.vtable + 2, 2);
    if (b->bad || t.n_vtable < 4 || t.n_vtable > b->s.len - t.vtable || t.n_table < 4 ||
        t.n_table > b->s.len - at) {
        b->bad = true;
        return (struct flat_table){.in = b};
    }
    return t;
}

struct flat_table flat_root(struct flat_bytes *b)
{
    return table_at(b, number_at(b, 0, 4));
}

/* Where a field of `size` bytes lies; 0 when it is not there. */
static size_t field_at(const struct flat_table *t, unsigned field, size_t size)
{
    size_t slot = 4 + 2 * (size_t)field, offset;

    if (t->at == 0 || slot + 2 > t->n_vtable) {
        return 0;
    }
    offset = number_at(t->in, t->vtable + slot, 2);
    if (offset == 0) {
        return 0;
    }
    if (offset < 4 || offset + size > t->n_table) {
        t->in->bad = true;
        return 0;
    }
    return t->at + offset;
}

int64_t flat_int(const struct flat_table *t, unsigned field, size_t size, int64_t otherwise)
{
    size_t at = field_at(t, field, size);
    uint64_t v = at > 0 ? number_at(t->in, at, size) : 0;

    if (at == 0) {
        return otherwise;
    }
    return size == 1 ? (int8_t)v : size == 2 ? (int16_t)v : size == 4 ? (int32_t)v : (int64_t)v;
}

/* Where the ref at `at` points. */
static size_t follow(struct flat_bytes *b, size_t at)
{
    size_t to = number_at(b, at, 4);

    if (to == 0 || to > b->s.len - at) {
        b->bad = true;
        return 0;
    }
    return at + to;
}

struct flat_table flat_sub(const struct flat_table *t, unsigned field)
{
    size_t at = field_at(t, field, 4);

    at = at > 0 ? follow(t->in, at) : 0;
    return at > 0 ? table_at(t->in, at) : (struct flat_table){.in = t->in};
}

struct flat_vector flat_list(const struct flat_table *t, unsigned field, size_t item_bytes)
{
    struct flat_vector v = {.in = t->in, .items = STR_EMPTY};
    size_t at = field_at(t, field, 4), n;

    at = at > 0 ? follow(t->in, at) : 0;
    if (at == 0) {
        return v;
    }
    n = number_at(t->in, at, 4);
    if (t->in->bad || n > (t->in->s.len - at - 4) / item_bytes) {
        t->in->bad = true;
        return v;
    }
    v.at = at + 4;
    v.n = n;
    v.items = str_n(t->in->s.p + v.at, n * item_bytes);
    return v;
}

struct str flat_text(const struct flat_table *t, unsigned field)
{
    return flat_list(t, field, 1).items;
}

struct flat_table flat_item(const struct flat_vector *v, size_t i)
{
    size_t at = i < v->n ? follow(v->in, v->at + 4 * i) : 0;

    return at > 0 ? table_at(v->in, at) : (struct flat_table){.in = v->in};
}

/* --- writing --------------------------------------------------------------------------------- */

static void add_zeros(struct buf *b, size_t n)
{
    char *p = buf_reserve(b, n);

    if (p) {
        memset(p, 0, n);
        b->len += n;
    }
}

/* Zeros until `ahead` bytes further on is a multiple of `unit`. */
static void pad(struct buf *b, size_t ahead, size_t unit)
{
    add_zeros(b, (unit - (b->len + ahead) % unit) % unit);
}

void flat_put(struct buf *b, size_t at, const void *p, size_t len)
{
    if (!b->failed && len > 0) {
        memcpy(b->p + at, p, len);
    }
}

void flat_begin(struct buf *b)
{
    buf_clear(b);
    add_zeros(b, 4);
}

void flat_link(struct buf *b, size_t from, size_t to)
{
    uint32_t distance = (uint32_t)(to - from);

    flat_put(b, from, &distance, 4);
}

size_t flat_add_table(struct buf *b, struct flat_slot *slots, size_t n)
{
    uint16_t vtable[2 + 16] = {(uint16_t)(4 + 2 * n), 0};
    size_t end = 4, at;
    int32_t back;

    for (size_t i = 0; i < n; i++) {
        if (slots[i].size > 0) {
            end = (end + slots[i].size - 1) & ~(slots[i].size - 1);
            vtable[2 + i] = (uint16_t)end;
            end += slots[i].size;
        }
    }
    vtable[1] = (uint16_t)end;
    pad(b, vtable[0], 8);
    (void)buf_add(b, str_n((const char *)vtable, vtable[0]));
    at = b->len;
    back = vtable[0];
    add_zeros(b, end);
    flat_put(b, at, &back, 4);
    for (size_t i = 0; i < n; i++) {
        slots[i].at = at + vtable[2 + i];
        flat_put(b, slots[i].at, &slots[i].value, slots[i].size);
    }
    return at;
}

size_t flat_add_vector(struct buf *b, size_t n, size_t item_bytes, size_t align, size_t *items)
{
    uint32_t count = (uint32_t)n;
    size_t at;

    pad(b, 0, 4);
    pad(b, 4, align);
    at = b->len;
    (void)buf_add(b, str_n((const char *)&count, 4));
    *items = b->len;
    add_zeros(b, n * item_bytes);
    return at;
}

size_t flat_add_text(struct buf *b, struct str s)
{
    size_t items, at = flat_add_vector(b, s.len, 1, 1, &items);

    flat_put(b, items, s.p, s.len);
    add_zeros(b, 1);
    return at;
}
