/* store_test - the reading half of tsdb over memory, for tests: include it once in a program. */
#pragma once
#include "base/mem.h"
#include "base/vec.h"
#include "tsdb/tsdb.h"

#include <stdlib.h>
#include <string.h>

struct stored {
    struct labels labels;
    VEC(int64_t) ts;
    VEC(double) v;
};

struct tsdb_view {
    struct arena arena;
    VEC(struct stored) series;
    int64_t window_ms, thin_until; /* up to there only one sample of a window is kept */
};

static struct stored *stored_of(struct tsdb_view *s, struct labels labels)
{
    size_t i = 0;

    while (i < s->series.len && labels_cmp(s->series.p[i].labels, labels) < 0) {
        i++;
    }
    if (i == s->series.len || !labels_eq(s->series.p[i].labels, labels)) {
        (void)vec_push(&s->series);
        memmove(s->series.p + i + 1, s->series.p + i,
                (s->series.len - 1 - i) * sizeof(struct stored));
        s->series.p[i] = (struct stored){.labels = labels_copy(&s->arena, labels)};
    }
    return &s->series.p[i];
}

static void store_sample(struct stored *s, int64_t ts, double v)
{
    *vec_push(&s->ts) = ts;
    *vec_push(&s->v) = v;
}

UNUSED static void store_done(struct tsdb_view *s)
{
    for (size_t i = 0; i < s->series.len; i++) {
        vec_done(&s->series.p[i].ts);
        vec_done(&s->series.p[i].v);
    }
    vec_done(&s->series);
    arena_done(&s->arena);
}

double tsdb_stale(void)
{
    uint64_t bits = TSDB_STALE_BITS;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

bool tsdb_is_stale(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(v));
    return bits == TSDB_STALE_BITS;
}

void tsdb_samples_done(struct tsdb_samples *s)
{
    free(s->ts_ms);
    free(s->v);
    memset(s, 0, sizeof(*s));
}

void tsdb_view_heed(struct tsdb_view *v UNUSED, bool (*is_over)(void *ctx) UNUSED, void *ctx UNUSED)
{
}

int64_t tsdb_view_window_ms(const struct tsdb_view *v)
{
    return v->window_ms;
}

int64_t tsdb_view_window_at(const struct tsdb_view *v, int64_t ts_ms)
{
    return ts_ms <= v->thin_until ? v->window_ms : 0;
}

int tsdb_select(struct tsdb_view *v, const struct label_matcher *m, size_t n, struct arena *a,
                struct tsdb_found **out, size_t *len, struct err *e)
{
    *out = arena_new_array(a, struct tsdb_found, v->series.len + 1);
    *len = 0;
    for (size_t i = 0; i < v->series.len; i++) {
        int r = label_matchers_match(m, n, v->series.p[i].labels, e);

        if (r < 0) {
            return -1;
        }
        if (r > 0) {
            (*out)[(*len)++] = (struct tsdb_found){v->series.p[i].labels, i};
        }
    }
    return 0;
}

int tsdb_read(struct tsdb_view *v, const struct tsdb_found *f, int64_t from, int64_t to,
              struct tsdb_samples *out, struct err *e UNUSED)
{
    const struct stored *s = &v->series.p[f->id];
    size_t low = 0, high = s->ts.len;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (s->ts.p[mid] <= from) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    for (; low < s->ts.len && s->ts.p[low] <= to; low++) {
        if (out->len == out->cap) {
            out->cap = out->cap * 2 + 64;
            out->ts_ms = xrealloc(out->ts_ms, out->cap * sizeof(int64_t));
            out->v = xrealloc(out->v, out->cap * sizeof(double));
        }
        out->ts_ms[out->len] = s->ts.p[low];
        out->v[out->len++] = s->v.p[low];
    }
    return 0;
}
