#include "tsdb/run.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers of 1, 2, 4 or 8 bytes; NULL: all are 0. */
struct narrow {
    uint16_t room; /* bytes in `at` */
    uint8_t width;
    uint8_t needed; /* by those that were put in since it was empty */
    uint32_t unused;
    char at[];
};

static uint8_t width_of(int64_t x)
{
    return x == 0 ? 0 : x == (int8_t)x ? 1 : x == (int16_t)x ? 2 : x == (int32_t)x ? 4 : 8;
}

static int64_t narrow_get(const struct narrow *n, size_t i)
{
    const char *p = n->at + i * n->width;
    int64_t x8;
    int32_t x4;
    int16_t x2;

    switch (n->width) {
    case 1:
        return *(const signed char *)p;
    case 2:
        memcpy(&x2, p, sizeof(x2));
        return x2;
    case 4:
        memcpy(&x4, p, sizeof(x4));
        return x4;
    default:
        memcpy(&x8, p, sizeof(x8));
        return x8;
    }
}

static void narrow_put(struct narrow *n, size_t i, int64_t x)
{
    /* little-endian: the low bytes come first */
    char *p = n->at + i * n->width;

    switch (n->width) {
    case 1:
        memcpy(p, &x, 1);
        break;
    case 2:
        memcpy(p, &x, 2);
        break;
    case 4:
        memcpy(p, &x, 4);
        break;
    default:
        memcpy(p, &x, 8);
    }
}

/* Room for one more than `len`, of at least that width; the numbers stay. */
static struct narrow *narrow_grow(struct narrow *old, size_t len, uint8_t width)
{
    enum { ROOM_MIN = 16 }; /* with the head of it and that of malloc, a multiple of 16 */
    uint16_t room = ROOM_MIN;
    struct narrow *n;

    width = old != NULL && old->width > width ? old->width : width;
    while (room < (len + 1) * width) {
        room = (uint16_t)(room * 2);
    }
    n = xcalloc(1, sizeof(*n) + room);
    n->room = room;
    n->width = width;
    for (size_t i = 0; old != NULL && i < len; i++) {
        narrow_put(n, i, narrow_get(old, i));
    }
    n->needed = old != NULL ? old->needed : 0;
    free(old);
    return n;
}

static bool has_room(const struct narrow *n, size_t len, uint8_t width)
{
    return n == NULL ? width == 0 : n->width >= width && (len + 1) * n->width <= n->room;
}

static void note_needed(struct narrow *n, uint8_t width)
{
    n->needed = width > n->needed ? width : n->needed;
}

/* What was wider than it had to be, is made anew. */
static void narrow_clear(struct narrow **n)
{
    if (*n != NULL && (*n)->needed < (*n)->width) {
        free(*n);
        *n = NULL;
    } else if (*n != NULL) {
        (*n)->needed = 0;
    }
}

/* --- times --- */

static int64_t regular_time(const struct run *r, size_t i)
{
    return r->t0 + (int64_t)(i * (uint64_t)r->step);
}

static void add_time(struct run *r, int64_t ts)
{
    int64_t far;
    uint8_t width;

    if (r->len == 0) {
        r->t0 = ts;
        r->step = 0;
    } else if (r->len == 1) {
        r->step = ts - r->t0 > UINT32_MAX ? 0 : (uint32_t)(ts - r->t0);
    }
    far = ts - regular_time(r, r->len);
    width = width_of(far);
    if (!has_room(r->times, r->len, width)) {
        r->times = narrow_grow(r->times, r->len, width);
    }
    if (r->times != NULL) {
        note_needed(r->times, width);
        narrow_put(r->times, r->len, far);
    }
}

/* --- values --- */

enum { RAW = 8 };

static uint64_t bits_of(double v)
{
    uint64_t b;

    memcpy(&b, &v, sizeof(b));
    return b;
}

static double value_from(double first, int64_t far)
{
    return far == 0 ? first : first + (double)far; /* -0 + 0 would be 0 */
}

/* The width that v needs. */
static uint8_t how_far(double first, double v, int64_t *far)
{
    double d = v - first;

    *far = fabs(d) <= INT32_MAX ? (int64_t)d : 0;
    return bits_of(value_from(first, *far)) == bits_of(v) ? width_of(*far) : RAW;
}

static double get_value(const struct run *r, size_t i)
{
    int64_t x = r->values == NULL ? 0 : narrow_get(r->values, i);
    double v;

    if (r->values == NULL || r->values->width < RAW) {
        return value_from(r->first, x);
    }
    memcpy(&v, &x, sizeof(v));
    return v;
}

static void make_raw(struct run *r)
{
    double v[RUN_MAX];

    for (size_t i = 0; i < r->len; i++) {
        v[i] = get_value(r, i);
    }
    r->values = narrow_grow(r->values, r->len, RAW);
    for (size_t i = 0; i < r->len; i++) {
        narrow_put(r->values, i, (int64_t)bits_of(v[i]));
    }
}

static void add_value(struct run *r, double v)
{
    int64_t far;
    uint8_t width;

    r->first = r->len == 0 ? v : r->first;
    width = how_far(r->first, v, &far);
    if (width == RAW && (r->values == NULL || r->values->width < RAW)) {
        make_raw(r);
    } else if (!has_room(r->values, r->len, width)) {
        r->values = narrow_grow(r->values, r->len, width);
    }
    if (r->values != NULL) {
        note_needed(r->values, width);
        narrow_put(r->values, r->len, r->values->width == RAW ? (int64_t)bits_of(v) : far);
    }
}

/* --- both --- */

void run_push(struct run *r, int64_t ts, double v)
{
    add_time(r, ts);
    add_value(r, v);
    r->len++;
}

void run_fetch(const struct run *r)
{
    __builtin_prefetch(r->values, 1);
}

void run_fetch_place(const struct run *r)
{
    if (r->values != NULL) {
        __builtin_prefetch(r->values->at + (size_t)r->len * r->values->width, 1);
    }
}

size_t run_copy(const struct run *r, int64_t *ts, double *v)
{
    for (size_t i = 0; i < r->len; i++) {
        ts[i] = regular_time(r, i) + (r->times == NULL ? 0 : narrow_get(r->times, i));
        v[i] = get_value(r, i);
    }
    return r->len;
}

void run_clear(struct run *r)
{
    narrow_clear(&r->times);
    narrow_clear(&r->values);
    r->len = 0;
}

void run_done(struct run *r)
{
    free(r->times);
    free(r->values);
    *r = (struct run){0};
}
