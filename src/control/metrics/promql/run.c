/* run - a query from its tree to its answer. */
#include "promql/eval.h"

#include "base/buf.h"
#include "base/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- scalars --- */

struct lone {
    const struct eval *ev;
    double *v;
    size_t *seen; /* how many series have a value at a step */
};

static int note_lone(void *ctx, struct labels labels UNUSED, const double *v, struct err *e UNUSED)
{
    struct lone *l = ctx;

    for (size_t k = 0; k < l->ev->steps; k++) {
        if (!tsdb_is_stale(v[k])) {
            l->v[k] = l->seen[k]++ == 0 ? v[k] : (double)NAN;
        }
    }
    return 0;
}

static int eval_lone(struct eval *ev, const struct promql_node *n, double *v, struct err *e)
{
    struct lone l = {ev, v, xnew_array(size_t, ev->steps)};
    int result;

    for (size_t k = 0; k < ev->steps; k++) {
        v[k] = (double)NAN;
    }
    result = eval_vector(ev, n->children[0], (struct eval_sink){note_lone, &l}, e);
    free(l.seen);
    return result;
}

static int eval_scalars(struct eval *ev, const struct promql_node *n, double *v, struct err *e)
{
    double *right = eval_take(ev, ev->steps, e);
    int result = right == NULL || eval_scalar(ev, n->children[0], v, e) < 0 ||
                         eval_scalar(ev, n->children[1], right, e) < 0
                     ? -1
                     : 0;

    for (size_t k = 0; result == 0 && k < ev->steps; k++) {
        v[k] = promql_op_compares(n->op) ? (eval_compare(n->op, v[k], right[k]) ? 1 : 0)
                                         : eval_arithmetic(n->op, v[k], right[k]);
    }
    eval_give(ev, right, ev->steps);
    return result;
}

static int eval_scalar_call(struct eval *ev, const struct promql_node *n, double *v, struct err *e)
{
    bool is_time = strcmp(n->function->name, "time") == 0;

    if (strcmp(n->function->name, "scalar") == 0) {
        return eval_lone(ev, n, v, e);
    }
    for (size_t k = 0; k < ev->steps; k++) {
        v[k] = is_time ? (double)eval_time(ev, k) / 1000 : M_PI;
    }
    return 0;
}

int eval_scalar(struct eval *ev, const struct promql_node *n, double *v, struct err *e)
{
    switch (n->kind) {
    case PROMQL_NUMBER:
        for (size_t k = 0; k < ev->steps; k++) {
            v[k] = n->number;
        }
        return 0;
    case PROMQL_PAREN:
        return eval_scalar(ev, n->children[0], v, e);
    case PROMQL_UNARY:
        if (eval_scalar(ev, n->children[0], v, e) < 0) {
            return -1;
        }
        for (size_t k = 0; k < ev->steps; k++) {
            v[k] = n->op == PROMQL_SUB ? -v[k] : v[k];
        }
        return 0;
    case PROMQL_BINARY:
        return eval_scalars(ev, n, v, e);
    default:
        return eval_scalar_call(ev, n, v, e);
    }
}

/* --- the answer --- */

struct answering {
    struct eval *ev;
    struct promql_answer *out;
    VEC(struct promql_row) rows;
};

static int keep_row(struct answering *a, struct labels labels, const int64_t *ts_ms,
                    const double *v, size_t n, struct err *e)
{
    struct eval_query *q = a->ev->query;

    if (eval_hold_labels(a->ev, labels, e) < 0) {
        return -1;
    }
    if (n > q->limits->samples - q->samples) {
        return eval_held_too_much(a->ev, e);
    }
    q->samples += n;
    *vec_push(&a->rows) = (struct promql_row){labels_copy(q->arena, labels), n, ts_ms, v};
    return 0;
}

static int keep_steps(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct answering *a = ctx;
    struct arena *arena = a->ev->query->arena;
    size_t n = 0, steps = a->ev->steps;
    int64_t *ts;
    double *kept;

    for (size_t k = 0; k < steps; k++) {
        n += !tsdb_is_stale(v[k]);
    }
    if (n == 0) {
        return 0;
    }
    ts = arena_new_array(arena, int64_t, n);
    kept = arena_new_array(arena, double, n);
    n = 0;
    for (size_t k = 0; k < steps; k++) {
        if (!tsdb_is_stale(v[k])) {
            ts[n] = eval_time(a->ev, k);
            kept[n++] = v[k];
        }
    }
    return keep_row(a, labels, ts, kept, n, e);
}

/* A range that is asked for itself: the samples as they are. */
static int keep_samples(void *ctx, struct labels labels, const struct tsdb_samples *s,
                        struct err *e)
{
    struct answering *a = ctx;
    struct arena *arena = a->ev->query->arena;
    int64_t *ts = arena_new_array(arena, int64_t, s->len);
    double *v = arena_new_array(arena, double, s->len);

    memcpy(ts, s->ts_ms, s->len * sizeof(int64_t));
    memcpy(v, s->v, s->len * sizeof(double));
    return keep_row(a, labels, ts, v, s->len, e);
}

static int by_labels(const void *x, const void *y)
{
    return labels_cmp(((const struct promql_row *)x)->labels,
                      ((const struct promql_row *)y)->labels);
}

static int answer_scalar(struct answering *a, const struct promql_node *n, bool is_range,
                         struct err *e)
{
    struct eval *ev = a->ev;
    double *v = eval_take(ev, ev->steps, e);
    int result = v == NULL || eval_scalar(ev, n, v, e) < 0 ? -1 : 0;

    if (result == 0 && is_range) {
        result = keep_steps(a, (struct labels){NULL, 0}, v, e);
    } else if (result == 0) {
        a->out->scalar = v[0];
    }
    eval_give(ev, v, ev->steps);
    return result;
}

static int answer(struct answering *a, const struct promql_node *n, bool is_range, struct err *e)
{
    switch (n->type) {
    case PROMQL_STRING:
        while (n->kind == PROMQL_PAREN) {
            n = n->children[0];
        }
        a->out->text = n->text;
        return 0;
    case PROMQL_SCALAR:
        return answer_scalar(a, n, is_range, e);
    case PROMQL_MATRIX:
        return eval_each_range(a->ev, n, keep_samples, a, e);
    default:
        return eval_vector(a->ev, n, (struct eval_sink){keep_steps, a}, e);
    }
}

int promql_run(struct tsdb_view *view, const struct promql_node *query,
               const struct promql_range *range, const struct promql_limits *limits,
               struct arena *arena, struct promql_answer *out, struct err *e)
{
    bool is_range = range->step_ms > 0;
    struct eval_query q = {
        .view = view, .limits = limits, .arena = arena, .range = *range, .notes = &out->notes};
    struct eval ev = {&q, range->start_ms, range->step_ms,
                      is_range ? (size_t)((range->end_ms - range->start_ms) / range->step_ms) + 1
                               : 1};
    struct answering a = {.ev = &ev, .out = out};
    int result;

    tsdb_view_heed(view, limits->is_over, limits->ctx);
    *out = (struct promql_answer){.type = is_range ? PROMQL_MATRIX : query->type};
    if (is_range && query->type != PROMQL_SCALAR && query->type != PROMQL_VECTOR) {
        return err_set(
            e, ERR_INVALID,
            "invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
            promql_type_name(query->type));
    }
    result = answer(&a, query, is_range, e);
    out->samples_read = q.read;
    out->samples_peak = q.samples > q.peak ? q.samples : q.peak;
    if (result == 0) {
        if (a.rows.len > 0 && (is_range || query->type == PROMQL_MATRIX)) {
            qsort(a.rows.p, a.rows.len, sizeof(struct promql_row), by_labels);
        }
        out->n_rows = a.rows.len;
        out->rows = arena_new_array(arena, struct promql_row, a.rows.len + 1);
        if (a.rows.len > 0) {
            memcpy(out->rows, a.rows.p, a.rows.len * sizeof(struct promql_row));
        }
    }
    vec_done(&a.rows);
    return result;
}

/* --- before a query --- */

/* As far as a selector may look: further where the store keeps less than every sample. */
static int64_t reach(const struct promql_limits *l)
{
    return l->lookback_ms > TSDB_WINDOW_MAX_MS ? l->lookback_ms : TSDB_WINDOW_MAX_MS;
}

static void widen(const struct promql_node *n, const struct promql_range *asked,
                  const struct promql_limits *l, int64_t start, int64_t end, int64_t *from,
                  int64_t *to)
{
    const struct promql_node *s = n->kind == PROMQL_RANGE ? n->children[0] : n;

    if (n->kind == PROMQL_SELECTOR || n->kind == PROMQL_RANGE || n->kind == PROMQL_SUBQUERY) {
        if (s->at != PROMQL_AT_NONE) {
            start = end = s->at == PROMQL_AT_TIME    ? s->at_ms
                          : s->at == PROMQL_AT_START ? asked->start_ms
                                                     : asked->end_ms;
        }
        start -= s->offset_ms + (n->kind == PROMQL_SELECTOR ? reach(l) : n->range_ms);
        end -= s->offset_ms;
    }
    if (n->kind == PROMQL_SELECTOR || n->kind == PROMQL_RANGE) {
        *from = start < *from ? start : *from;
        *to = end > *to ? end : *to;
        return;
    }
    for (size_t i = 0; i < n->n_children; i++) {
        widen(n->children[i], asked, l, start, end, from, to);
    }
}

void promql_times(const struct promql_node *query, const struct promql_range *range,
                  const struct promql_limits *limits, int64_t *from_ms, int64_t *to_ms)
{
    *from_ms = INT64_MAX;
    *to_ms = INT64_MIN;
    widen(query, range, limits, range->start_ms,
          range->step_ms > 0 ? range->end_ms : range->start_ms, from_ms, to_ms);
}

void promql_restrict(struct promql_node *query, struct arena *a, const struct label_matcher *m,
                     size_t n)
{
    if (query->kind == PROMQL_SELECTOR) {
        struct label_matcher *all = arena_new_array(a, struct label_matcher, query->n_matchers + n);

        memcpy(all, m, n * sizeof(*all)); /* first: others look at what is left by them */
        if (query->n_matchers > 0) {
            memcpy(all + n, query->matchers, query->n_matchers * sizeof(*all));
        }
        query->matchers = all;
        query->n_matchers += n;
    }
    for (size_t i = 0; i < query->n_children; i++) {
        promql_restrict(query->children[i], a, m, n);
    }
}
