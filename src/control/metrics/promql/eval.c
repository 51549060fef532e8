#include "promql/eval.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- memory --- */

static void note_peak(struct eval_query *q, size_t samples)
{
    q->peak = samples > q->peak ? samples : q->peak;
}

int eval_held_too_much(const struct eval *ev, struct err *e)
{
    return err_set(
        e, ERR_LIMIT,
        "query processing would load too many samples into memory: more than %zu; ask for fewer "
        "series, a shorter range or a longer step",
        ev->query->limits->samples);
}

static int hold_bytes(struct eval *ev, size_t bytes, struct err *e)
{
    size_t n = bytes / sizeof(double);

    if (n > ev->query->limits->samples - ev->query->samples) {
        return eval_held_too_much(ev, e);
    }
    ev->query->samples += n;
    note_peak(ev->query, ev->query->samples);
    return 0;
}

int eval_hold_labels(struct eval *ev, struct labels s, struct err *e)
{
    size_t bytes = sizeof(struct eval_series) + s.len * sizeof(struct label);

    for (size_t i = 0; i < s.len; i++) {
        bytes += s.p[i].name.len + s.p[i].value.len;
    }
    return hold_bytes(ev, bytes, e);
}

double *eval_take(struct eval *ev, size_t n, struct err *e)
{
    if (n > ev->query->limits->samples - ev->query->samples) {
        (void)eval_held_too_much(ev, e);
        return NULL;
    }
    ev->query->samples += n;
    note_peak(ev->query, ev->query->samples);
    return xcalloc(n > 0 ? n : 1, sizeof(double));
}

void eval_give(struct eval *ev, double *v, size_t n)
{
    if (v != NULL) {
        ev->query->samples -= n;
        free(v);
    }
}

int eval_go_on(const struct eval *ev, struct err *e)
{
    const struct promql_limits *l = ev->query->limits;

    return l->is_over != NULL && l->is_over(l->ctx)
               ? err_set(e, ERR_TIMEOUT,
                         "query timed out or was cancelled in expression evaluation")
               : 0;
}

/* --- labels --- */

static bool is_listed(const struct promql_names *names, struct str name)
{
    for (size_t i = 0; i < names->len; i++) {
        if (str_eq(names->p[i], name)) {
            return true;
        }
    }
    return false;
}

/* Those for which is_listed() gives `listed`; the name of the metric only when it is listed. */
static struct labels chosen(struct arena *a, struct labels s, const struct promql_names *names,
                            bool listed)
{
    struct labels out = {arena_new_array(a, struct label, s.len + 1), 0};

    for (size_t i = 0; i < s.len; i++) {
        bool is_name = str_eq(s.p[i].name, STR(LABEL_NAME));

        if (is_listed(names, s.p[i].name) == listed && (listed || !is_name)) {
            out.p[out.len++] = s.p[i];
        }
    }
    return out;
}

struct labels eval_only(struct arena *a, struct labels s, const struct promql_names *names)
{
    return chosen(a, s, names, true);
}

struct labels eval_without(struct arena *a, struct labels s, const struct promql_names *names)
{
    return chosen(a, s, names, false);
}

struct labels eval_without_name(struct arena *a, struct labels s)
{
    return chosen(a, s, &(struct promql_names){NULL, 0}, false);
}

struct labels eval_with(struct arena *a, struct labels s, struct str name, struct str value)
{
    struct labels out = {arena_new_array(a, struct label, s.len + 2), 0};
    bool done = value.len == 0;

    for (size_t i = 0; i < s.len; i++) {
        int order = str_cmp(s.p[i].name, name);

        if (!done && order >= 0) {
            out.p[out.len++] = (struct label){name, value};
            done = true;
        }
        if (order != 0) {
            out.p[out.len++] = s.p[i];
        }
    }
    if (!done) {
        out.p[out.len++] = (struct label){name, value};
    }
    return out;
}

struct str eval_key(struct labels s, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < s.len; i++) {
        uint32_t len[2] = {(uint32_t)s.p[i].name.len, (uint32_t)s.p[i].value.len};

        (void)buf_add(out, str_n((const char *)len, sizeof(len)));
        (void)buf_add(out, s.p[i].name);
        (void)buf_add(out, s.p[i].value);
    }
    return buf_str(out);
}

/* --- notes --- */

static void note(struct eval *ev, const struct promql_node *at, const char *kind,
                 const char ***list, size_t *n, const char *fmt, va_list ap)
{
    char what[400], text[480];
    const char **grown;

    vsnprintf(what, sizeof(what), fmt, ap);
    snprintf(text, sizeof(text), "PromQL %s: %s (1:%zu)", kind, what, at->from + 1);
    for (size_t i = 0; i < *n; i++) {
        if (strcmp((*list)[i], text) == 0) {
            return;
        }
    }
    if (*n == LIMIT_QUERY_NOTES) {
        return;
    }
    grown = arena_new_array(ev->query->arena, const char *, *n + 1);
    if (*n > 0) {
        memcpy(grown, *list, *n * sizeof(char *));
    }
    grown[(*n)++] = arena_strdup(ev->query->arena, str_of(text));
    *list = grown;
}

void eval_warn(struct eval *ev, const struct promql_node *at, const char *fmt, ...)
{
    struct promql_notes *notes = ev->query->notes;
    va_list ap;

    va_start(ap, fmt);
    note(ev, at, "warning", &notes->warnings, &notes->n_warnings, fmt, ap);
    va_end(ap);
}

void eval_inform(struct eval *ev, const struct promql_node *at, const char *fmt, ...)
{
    struct promql_notes *notes = ev->query->notes;
    va_list ap;

    va_start(ap, fmt);
    note(ev, at, "info", &notes->infos, &notes->n_infos, fmt, ap);
    va_end(ap);
}

void eval_warn_of_quantile(struct eval *ev, const struct promql_node *at, double q)
{
    char text[NUMBER_TEXT_MAX];
    int n = (int)number_short(q, text);

    eval_warn(ev, at, "quantile value should be between 0 and 1, got %.*s", n, text);
}

/* --- tables --- */

static int merge(const struct eval_table *t, double *into, const double *v, struct err *e)
{
    for (size_t k = 0; k < t->ev->steps; k++) {
        if (tsdb_is_stale(v[k])) {
            continue;
        }
        if (!tsdb_is_stale(into[k])) {
            return err_set(e, ERR_INVALID, "vector cannot contain metrics with the same labelset");
        }
        into[k] = v[k];
    }
    return 0;
}

int eval_table_tell(void *table, struct labels labels, const double *v, struct err *e)
{
    struct eval_table *t = table;
    struct buf key =
        BUF_MAX(LIMIT_SERIES_LABELS * (LIMIT_LABEL_NAME_BYTES + LIMIT_LABEL_VALUE_BYTES));
    struct str k = eval_key(labels, &key);
    size_t index = (size_t)(uintptr_t)map_get(&t->by_labels, k);
    int r = 0;

    if (index > 0) {
        r = merge(t, t->p[index - 1].v, v, e);
    } else {
        double *copy =
            eval_hold_labels(t->ev, labels, e) < 0 ? NULL : eval_take(t->ev, t->ev->steps, e);

        if (copy == NULL) {
            r = -1;
        } else {
            memcpy(copy, v, t->ev->steps * sizeof(double));
            *vec_push(t) = (struct eval_series){labels_copy(t->ev->query->arena, labels), copy};
            (void)map_put(&t->by_labels, k, (void *)(uintptr_t)t->len);
        }
    }
    buf_done(&key);
    return r;
}

void eval_table_done(struct eval_table *t)
{
    for (size_t i = 0; i < t->len; i++) {
        eval_give(t->ev, t->p[i].v, t->ev->steps);
    }
    map_done(&t->by_labels);
    vec_done(t);
}

int eval_table_fill(struct eval *ev, const struct promql_node *n, struct eval_table *t,
                    struct err *e)
{
    *t = (struct eval_table){.ev = ev};
    return eval_vector(ev, n, (struct eval_sink){eval_table_tell, t}, e);
}

int eval_table_tell_all(const struct eval_table *t, struct eval_sink out, struct err *e)
{
    for (size_t i = 0; i < t->len; i++) {
        if (out.fn(out.ctx, t->p[i].labels, t->p[i].v, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- selectors --- */

/* What a step means for a selector or subquery: moved by its offset, or fixed by @. */
static int64_t moved(const struct eval *ev, const struct promql_node *n, size_t step)
{
    int64_t t = n->at == PROMQL_AT_NONE    ? eval_time(ev, step)
                : n->at == PROMQL_AT_TIME  ? n->at_ms
                : n->at == PROMQL_AT_START ? ev->query->range.start_ms
                                           : ev->query->range.end_ms;

    return t - n->offset_ms;
}

static const struct promql_node *carrier(const struct promql_node *n)
{
    return n->kind == PROMQL_RANGE ? n->children[0] : n;
}

bool eval_moves(const struct promql_node *n)
{
    return carrier(n)->at == PROMQL_AT_NONE;
}

void eval_window(const struct eval *ev, const struct promql_node *n, size_t step, int64_t *from_ms,
                 int64_t *to_ms)
{
    *to_ms = moved(ev, carrier(n), step);
    *from_ms = *to_ms - n->range_ms;
}

/* How far each step looks back: where the store keeps a sample of each hour only, an hour. NULL: as
 * far as the query says, everywhere. */
static int64_t *look_backs(const struct eval *ev, const struct promql_node *n, int64_t *widest)
{
    int64_t t = moved(ev, n, 0), step = eval_moves(n) ? ev->step_ms : 0, *out;

    *widest = ev->query->limits->lookback_ms;
    if (tsdb_view_window_ms(ev->query->view) <= *widest) {
        return NULL;
    }
    out = arena_new_array(ev->query->arena, int64_t, ev->steps);
    for (size_t k = 0; k < ev->steps; k++, t += step) {
        int64_t window = tsdb_view_window_at(ev->query->view, t);

        out[k] = window > ev->query->limits->lookback_ms ? window : ev->query->limits->lookback_ms;
        *widest = out[k] > *widest ? out[k] : *widest;
    }
    return out;
}

/* The last sample at or before each step, when it is younger than the lookback and no marker. */
static bool last_samples(const struct eval *ev, const struct promql_node *n,
                         const struct tsdb_samples *s, const int64_t *look_back, bool times,
                         double *v)
{
    int64_t lookback = ev->query->limits->lookback_ms, t = moved(ev, n, 0);
    int64_t step = eval_moves(n) ? ev->step_ms : 0;
    size_t behind = 0;
    bool any = false;

    for (size_t k = 0; k < ev->steps; k++, t += step) {
        while (behind < s->len && s->ts_ms[behind] <= t) {
            behind++;
        }
        lookback = look_back ? look_back[k] : lookback;
        v[k] = behind > 0 && s->ts_ms[behind - 1] > t - lookback ? s->v[behind - 1] : tsdb_stale();
        if (!tsdb_is_stale(v[k])) {
            any = true;
            v[k] = times ? (double)s->ts_ms[behind - 1] / 1000 : v[k];
        }
    }
    return any;
}

struct reading {
    struct eval *ev;
    const struct promql_node *selector;
    struct tsdb_found *found;
    size_t len;
};

static int find_series(struct reading *r, struct err *e)
{
    const struct promql_node *n = r->selector;

    return tsdb_select(r->ev->query->view, n->matchers, n->n_matchers, r->ev->query->arena,
                       &r->found, &r->len, e);
}

static int read_series(const struct reading *r, size_t i, int64_t before_ms, struct tsdb_samples *s,
                       struct err *e)
{
    struct eval *ev = r->ev;

    /* What is found, and the labels that functions make of it, stay in the arena. */
    s->len = 0;
    if (eval_go_on(ev, e) < 0 ||
        hold_bytes(ev, (r->found[i].labels.len + 1) * sizeof(struct label), e) < 0 ||
        tsdb_read(ev->query->view, &r->found[i], moved(ev, r->selector, 0) - before_ms,
                  moved(ev, r->selector, ev->steps - 1), s, e) < 0) {
        return -1;
    }
    ev->query->read += s->len;
    note_peak(ev->query, ev->query->samples + s->len);
    return s->len > ev->query->limits->samples - ev->query->samples ? eval_held_too_much(ev, e) : 0;
}

static int select_last(struct eval *ev, const struct promql_node *n, bool times,
                       struct eval_sink out, struct err *e)
{
    struct reading r = {.ev = ev, .selector = n};
    struct tsdb_samples s = {0};
    double *v = eval_take(ev, ev->steps, e);
    int result = v == NULL || find_series(&r, e) < 0 ? -1 : 0;
    int64_t widest, *look_back = result == 0 ? look_backs(ev, n, &widest) : NULL;

    for (size_t i = 0; result == 0 && i < r.len; i++) {
        result = read_series(&r, i, widest, &s, e);
        if (result == 0 && last_samples(ev, n, &s, look_back, times, v)) {
            result = out.fn(out.ctx, r.found[i].labels, v, e);
        }
    }
    tsdb_samples_done(&s);
    eval_give(ev, v, ev->steps);
    return result;
}

int eval_sample_times(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                      struct err *e)
{
    return select_last(ev, n, true, out, e);
}

/* --- ranges --- */

static void drop_markers(struct tsdb_samples *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->len; i++) {
        if (!tsdb_is_stale(s->v[i])) {
            s->ts_ms[kept] = s->ts_ms[i];
            s->v[kept++] = s->v[i];
        }
    }
    s->len = kept;
}

static int each_stored(struct eval *ev, const struct promql_node *n, eval_windows *fn, void *ctx,
                       struct err *e)
{
    struct reading r = {.ev = ev, .selector = n->children[0]};
    struct tsdb_samples s = {0};
    int result = find_series(&r, e);

    for (size_t i = 0; result == 0 && i < r.len; i++) {
        result = read_series(&r, i, n->range_ms, &s, e);
        drop_markers(&s);
        if (result == 0 && s.len > 0) {
            result = fn(ctx, r.found[i].labels, &s, e);
        }
    }
    tsdb_samples_done(&s);
    return result;
}

/* The steps of a subquery are multiples of its step, whatever the moment it is asked for. */
static struct eval inner_steps(struct eval *ev, const struct promql_node *n)
{
    int64_t step = n->step_ms > 0 ? n->step_ms : ev->query->limits->default_step_ms, from, to, last;
    int64_t start;

    eval_window(ev, n, 0, &from, &to);
    last = moved(ev, n, ev->steps - 1);
    start = from / step * step;
    while (start <= from) {
        start += step;
    }
    return (struct eval){ev->query, start, step,
                         start > last ? 0 : (size_t)((last - start) / step) + 1};
}

struct subquery {
    struct eval inner;
    eval_windows *fn;
    void *ctx;
    struct tsdb_samples s;
};

static int tell_steps(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct subquery *q = ctx;

    q->s.len = 0;
    for (size_t k = 0; k < q->inner.steps; k++) {
        if (!tsdb_is_stale(v[k])) {
            q->s.ts_ms[q->s.len] = eval_time(&q->inner, k);
            q->s.v[q->s.len++] = v[k];
        }
    }
    return q->s.len > 0 ? q->fn(q->ctx, labels, &q->s, e) : 0;
}

static int each_scalar(struct subquery *q, const struct promql_node *n, struct err *e)
{
    double *v = eval_take(&q->inner, q->inner.steps, e);
    int result = v == NULL || eval_scalar(&q->inner, n, v, e) < 0
                     ? -1
                     : tell_steps(q, (struct labels){NULL, 0}, v, e);

    eval_give(&q->inner, v, q->inner.steps);
    return result;
}

static int each_step(struct eval *ev, const struct promql_node *n, eval_windows *fn, void *ctx,
                     struct err *e)
{
    struct subquery q = {.inner = inner_steps(ev, n), .fn = fn, .ctx = ctx};
    const struct promql_node *child = n->children[0];
    int result = -1;

    if (q.inner.steps == 0) {
        return 0;
    }
    q.s.v = eval_take(ev, q.inner.steps, e);
    if (q.s.v != NULL) {
        q.s.ts_ms = xnew_array(int64_t, q.inner.steps);
        result = child->type == PROMQL_SCALAR
                     ? each_scalar(&q, child, e)
                     : eval_vector(&q.inner, child, (struct eval_sink){tell_steps, &q}, e);
    }
    eval_give(ev, q.s.v, q.inner.steps);
    free(q.s.ts_ms);
    return result;
}

int eval_each_range(struct eval *ev, const struct promql_node *n, eval_windows *fn, void *ctx,
                    struct err *e)
{
    while (n->kind == PROMQL_PAREN) {
        n = n->children[0];
    }
    return n->kind == PROMQL_SUBQUERY ? each_step(ev, n, fn, ctx, e)
                                      : each_stored(ev, n, fn, ctx, e);
}

/* --- expressions --- */

struct sign {
    struct eval *ev;
    struct eval_sink out;
    double *v;
};

static int tell_negative(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct sign *s = ctx;

    for (size_t k = 0; k < s->ev->steps; k++) {
        s->v[k] = tsdb_is_stale(v[k]) ? v[k] : -v[k];
    }
    return s->out.fn(s->out.ctx, eval_without_name(s->ev->query->arena, labels), s->v, e);
}

static int eval_unary(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                      struct err *e)
{
    struct eval_table t = {.ev = ev};
    struct sign s = {ev, {eval_table_tell, &t}, NULL};
    int result;

    if (n->op == PROMQL_ADD) {
        return eval_vector(ev, n->children[0], out, e);
    }
    s.v = eval_take(ev, ev->steps, e);
    result = s.v == NULL
                 ? -1
                 : eval_vector(ev, n->children[0], (struct eval_sink){tell_negative, &s}, e);
    result = result < 0 ? -1 : eval_table_tell_all(&t, out, e);
    eval_table_done(&t);
    eval_give(ev, s.v, ev->steps);
    return result;
}

int eval_vector(struct eval *ev, const struct promql_node *n, struct eval_sink out, struct err *e)
{
    if (eval_go_on(ev, e) < 0) {
        return -1;
    }
    switch (n->kind) {
    case PROMQL_SELECTOR:
        return select_last(ev, n, false, out, e);
    case PROMQL_PAREN:
        return eval_vector(ev, n->children[0], out, e);
    case PROMQL_UNARY:
        return eval_unary(ev, n, out, e);
    case PROMQL_CALL:
        return eval_call(ev, n, out, e);
    case PROMQL_AGGREGATE:
        return eval_aggregate(ev, n, out, e);
    case PROMQL_BINARY:
        return eval_binary(ev, n, out, e);
    default:
        return err_set(e, ERR_INTERNAL, "an expression of type %s is asked for a vector",
                       promql_type_name(n->type));
    }
}
