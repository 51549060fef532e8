#include "tsdb/tsdb_priv.h"

#include <math.h>

/* What is kept of a window of 5 minutes or an hour are samples as they were: the last one, the
 * least and the greatest, and both sides of where a counter began anew. So every function of PromQL
 * goes on working on them, and graphs show the same peaks. A counter is what seldom falls. */

struct window {
    size_t least, greatest, last;
};

static void keep(bool *kept, const struct window *w, const struct tsdb_samples *s)
{
    kept[w->last] = true;
    if (s->v[w->least] != s->v[w->greatest]) {
        kept[w->least] = kept[w->greatest] = true;
    }
}

static int64_t window_of(int64_t ts, int64_t ms)
{
    return ts >= 0 ? ts / ms : -((-ts + ms - 1) / ms);
}

static bool is_counter(const struct tsdb_samples *s)
{
    size_t falls = 0;

    for (size_t i = 1; i < s->len; i++) {
        falls += s->v[i] < s->v[i - 1];
    }
    return falls <= s->len / 50 + 1;
}

static void step(struct window *w, const struct tsdb_samples *s, size_t i)
{
    w->last = i;
    w->least = isnan(s->v[w->least]) || s->v[i] < s->v[w->least] ? i : w->least;
    w->greatest = isnan(s->v[w->greatest]) || s->v[i] > s->v[w->greatest] ? i : w->greatest;
}

static void mark(const struct tsdb_samples *s, int64_t window_ms, bool *kept)
{
    bool counter = is_counter(s);
    struct window w = {0};

    for (size_t i = 1; i < s->len; i++) {
        bool ended = isnan(s->v[i]) && !isnan(s->v[i - 1]); /* or it is no number; both tell */

        if (window_of(s->ts_ms[i], window_ms) != window_of(s->ts_ms[i - 1], window_ms)) {
            keep(kept, &w, s);
            w = (struct window){i, i, i};
        }
        step(&w, s, i);
        if (ended || (counter && s->v[i] < s->v[i - 1])) {
            kept[i - 1] = kept[i] = true;
        }
    }
    keep(kept, &w, s);
}

void samples_thin(struct tsdb_samples *s, int64_t window_ms)
{
    bool *kept = xnew_array(bool, s->len + 1);
    size_t n = 0;

    if (s->len > 0) {
        mark(s, window_ms, kept);
    }
    for (size_t i = 0; i < s->len; i++) {
        if (kept[i]) {
            s->ts_ms[n] = s->ts_ms[i];
            s->v[n++] = s->v[i];
        }
    }
    s->len = n;
    free(kept);
}
