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

/* From t0 on; the first is 0. Who shares it has the first ones of it, as many as its run has. */
struct run_times {
    int64_t t0;
    uint32_t refs, len;
    uint32_t at[RUN_MAX];
};

static void times_unref(struct run_times *t)
{
    if (t != NULL && --t->refs == 0) {
        free(t);
    }
}

void run_memo_done(struct run_memo *m)
{
    for (size_t i = 0; i < sizeof(m->last) / sizeof(m->last[0]); i++) {
        times_unref(m->last[i]);
        m->last[i] = NULL;
    }
}

static uint32_t time_at(const struct run *r, size_t i)
{
    return r->times != NULL ? r->times->at[i] : (uint32_t)(i * r->step);
}

/* Whether it begins with those of the run and then `next`, or can be made to. */
static bool times_go_on(struct run_times *t, const struct run *r, uint32_t next)
{
    if (t == NULL || t->t0 != r->t0 || t->len < r->len) {
        return false;
    }
    for (size_t i = 0; i < r->len; i++) {
        if (t->at[i] != time_at(r, i)) {
            return false;
        }
    }
    if (t->len == r->len) {
        t->at[t->len++] = next;
    }
    return t->at[r->len] == next;
}

static struct run_times *times_for(const struct run *r, struct run_memo *m, uint32_t next)
{
    struct run_times **last = &m->last[(uint64_t)r->t0 % (sizeof(m->last) / sizeof(m->last[0]))];

    if (!times_go_on(*last, r, next)) {
        struct run_times *t = xnew(struct run_times);

        t->t0 = r->t0;
        t->refs = 1;
        for (; t->len < r->len; t->len++) {
            t->at[t->len] = time_at(r, t->len);
        }
        t->at[t->len++] = next;
        times_unref(*last);
        *last = t;
    }
    (*last)->refs++;
    return *last;
}

bool run_has_room(const struct run *r, int64_t ts)
{
    return r->len == 0 || (r->len < RUN_MAX && (uint64_t)ts - (uint64_t)r->t0 <= UINT32_MAX);
}

static void add_time(struct run *r, struct run_memo *m, int64_t ts)
{
    uint32_t next = (uint32_t)((uint64_t)ts - (uint64_t)r->t0);
    struct run_times *t = r->times;

    if (r->len == 0) {
        r->t0 = ts;
    } else if (r->len == 1) {
        r->step = next;
    } else if (t != NULL && t->len > r->len && t->at[r->len] == next) {
        return;
    } else if (t != NULL && t->len == r->len) {
        t->at[t->len++] = next;
    } else if (t != NULL || next != (uint64_t)r->len * r->step) {
        r->times = times_for(r, m, next);
        times_unref(t);
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

void run_push(struct run *r, struct run_memo *m, int64_t ts, double v)
{
    add_time(r, m, ts);
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
        ts[i] = (int64_t)((uint64_t)r->t0 + time_at(r, i));
        v[i] = get_value(r, i);
    }
    return r->len;
}

void run_clear(struct run *r)
{
    times_unref(r->times);
    r->times = NULL;
    narrow_clear(&r->values);
    r->len = 0;
}

void run_done(struct run *r)
{
    times_unref(r->times);
    free(r->values);
    *r = (struct run){0};
}
