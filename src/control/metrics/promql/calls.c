/* calls - the functions of PromQL over what their arguments give. */
#include "promql/eval.h"
#include "promql/histogram.h"
#include "promql/numbers.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call {
    struct eval *ev;
    const struct promql_node *node;
    struct eval_sink out;
    double *v;            /* a value for each step */
    double *parameter[2]; /* scalars, a value for each step */
    const struct promql_number *math;
    promql_window_fn window;
    bool keeps_name, any_told;
    double *scratch;
    uint32_t *falls;
    size_t scratch_len; /* of both */
};

static const struct promql_node *bare(const struct promql_node *n)
{
    while (n->kind == PROMQL_PAREN) {
        n = n->children[0];
    }
    return n;
}

static const struct {
    const char *name;
    promql_window_fn fn;
} windows[] = {
    {"rate", promql_rate},
    {"increase", promql_increase},
    {"delta", promql_delta},
    {"irate", promql_irate},
    {"idelta", promql_idelta},
    {"deriv", promql_deriv},
    {"predict_linear", promql_predict_linear},
    {"changes", promql_changes},
    {"resets", promql_resets},
    {"avg_over_time", promql_avg_over_time},
    {"sum_over_time", promql_sum_over_time},
    {"min_over_time", promql_min_over_time},
    {"max_over_time", promql_max_over_time},
    {"count_over_time", promql_count_over_time},
    {"last_over_time", promql_last_over_time},
    {"present_over_time", promql_present_over_time},
    {"stddev_over_time", promql_stddev_over_time},
    {"stdvar_over_time", promql_stdvar_over_time},
    {"quantile_over_time", promql_quantile_over_time},
};

static bool is_called(const struct promql_node *n, const char *name)
{
    return strcmp(n->function->name, name) == 0;
}

/* --- what several share --- */

/* The scalar argument number `arg`, or `otherwise` where it was left out. */
static int take_scalar(struct call *c, int i, size_t arg, double otherwise, struct err *e)
{
    struct eval *ev = c->ev;

    c->parameter[i] = eval_take(ev, ev->steps, e);
    if (c->parameter[i] == NULL) {
        return -1;
    }
    if (arg < c->node->n_children) {
        return eval_scalar(ev, c->node->children[arg], c->parameter[i], e);
    }
    for (size_t k = 0; k < ev->steps; k++) {
        c->parameter[i][k] = otherwise;
    }
    return 0;
}

static void call_done(struct call *c)
{
    eval_give(c->ev, c->v, c->ev->steps);
    eval_give(c->ev, c->parameter[0], c->ev->steps);
    eval_give(c->ev, c->parameter[1], c->ev->steps);
    free(c->scratch);
    free(c->falls);
}

/* Through a table, as a name that goes may make two series one. */
static int through_table(struct call *c, const struct promql_node *from, bool times, eval_told *fn,
                         struct err *e)
{
    struct eval_table t = {.ev = c->ev};
    struct eval_sink out = c->out, in = {fn, c};
    int result;

    c->out = (struct eval_sink){eval_table_tell, &t};
    result = times ? eval_sample_times(c->ev, from, in, e) : eval_vector(c->ev, from, in, e);
    c->out = out;
    result = result < 0 ? -1 : eval_table_tell_all(&t, out, e);
    eval_table_done(&t);
    return result;
}

static int tell_unnamed(struct call *c, struct labels labels, struct err *e)
{
    return c->out.fn(c->out.ctx, eval_without_name(c->ev->query->arena, labels), c->v, e);
}

/* --- numbers --- */

static void apply(const struct call *c, const double *v)
{
    for (size_t k = 0; k < c->ev->steps; k++) {
        double a = c->parameter[0] ? c->parameter[0][k] : 0,
               b = c->parameter[1] ? c->parameter[1][k] : 0;

        c->v[k] = tsdb_is_stale(v[k]) || (c->math->needs_order && a > b) ? tsdb_stale()
                                                                         : c->math->fn(v[k], a, b);
    }
}

static int tell_number(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct call *c = ctx;

    apply(c, v);
    return tell_unnamed(c, labels, e);
}

/* hour() is hour(vector(time())). */
static int now_number(struct call *c, struct err *e)
{
    for (size_t k = 0; k < c->ev->steps; k++) {
        c->v[k] = (double)eval_time(c->ev, k) / 1000;
    }
    apply(c, c->v);
    return c->out.fn(c->out.ctx, (struct labels){NULL, 0}, c->v, e);
}

static int call_math(struct call *c, struct err *e)
{
    const struct promql_node *n = c->node;

    if (n->function->n_optional == 1 && n->function->n_args == 1 && n->n_children == 0) {
        return now_number(c, e);
    }
    if ((n->function->n_args > 1 && take_scalar(c, 0, 1, 1, e) < 0) ||
        (n->function->n_args > 2 && take_scalar(c, 1, 2, 0, e) < 0)) {
        return -1;
    }
    return through_table(c, n->children[0], false, tell_number, e);
}

/* --- windows --- */

static bool counts_up(promql_window_fn fn)
{
    return fn == promql_rate || fn == promql_increase;
}

/* Room that a series with n samples needs. */
static void prepare_windows(struct call *c, const struct tsdb_samples *s)
{
    if (s->len > c->scratch_len) {
        free(c->scratch);
        free(c->falls);
        c->scratch_len = s->len;
        c->scratch = xnew_array(double, s->len);
        c->falls = xnew_array(uint32_t, s->len);
    }
    if (counts_up(c->window)) {
        promql_find_falls(s->v, s->len, c->falls);
    }
}

enum { SAMPLES_BETWEEN_LOOKS = 1 << 20 }; /* some milliseconds */

/* 1: there is a value. -1: the query is over; long windows are read again for each step. */
static int work_windows(struct call *c, const struct promql_node *range,
                        const struct tsdb_samples *s, struct err *e)
{
    size_t first = 0, behind = 0, unlooked = 0;
    int any = 0;
    int64_t end, length = range->range_ms, step = eval_moves(range) ? c->ev->step_ms : 0, from;

    eval_window(c->ev, range, 0, &from, &end);
    for (size_t k = 0; k < c->ev->steps; k++, end += step) {
        struct promql_window w = {.now_ms = eval_time(c->ev, k),
                                  .parameter = c->parameter[0] ? c->parameter[0][k] : 0,
                                  .scratch = c->scratch,
                                  .start_ms = end - length,
                                  .end_ms = end};

        while (behind < s->len && s->ts_ms[behind] <= end) {
            behind++;
        }
        while (first < behind && s->ts_ms[first] <= w.start_ms) {
            first++;
        }
        w.ts_ms = s->ts_ms + first;
        w.v = s->v + first;
        w.n = behind - first;
        w.falls = counts_up(c->window) && w.n > 0 ? c->falls + first : NULL;
        w.first = (uint32_t)first;
        if (w.n == 0 || !c->window(&w, &c->v[k])) {
            c->v[k] = tsdb_stale();
        } else {
            any = 1;
        }
        unlooked += w.n;
        if (unlooked > SAMPLES_BETWEEN_LOOKS) {
            unlooked = 0;
            if (eval_go_on(c->ev, e) < 0) {
                return -1;
            }
        }
    }
    return any;
}

static int tell_windows(void *ctx, struct labels labels, const struct tsdb_samples *s,
                        struct err *e)
{
    struct call *c = ctx;
    size_t argument = c->node->n_children == 2 && c->node->function->args[0] == PROMQL_SCALAR;

    int any;

    prepare_windows(c, s);
    any = work_windows(c, bare(c->node->children[argument]), s, e);
    if (any <= 0) {
        return any;
    }
    c->any_told = true;
    return c->keeps_name ? c->out.fn(c->out.ctx, labels, c->v, e) : tell_unnamed(c, labels, e);
}

static bool ends_like_a_counter(struct str name)
{
    return str_ends(name, STR("_total")) || str_ends(name, STR("_sum")) ||
           str_ends(name, STR("_count")) || str_ends(name, STR("_bucket"));
}

static void inform_of_counter(struct call *c, const struct promql_node *range)
{
    struct str name = range->kind == PROMQL_RANGE && range->children[0]->has_name
                          ? range->children[0]->name
                          : STR_EMPTY;

    if ((c->window == promql_rate || c->window == promql_increase || c->window == promql_irate) &&
        name.len > 0 && !ends_like_a_counter(name)) {
        eval_inform(c->ev, range,
                    "metric might not be a counter, name does not end in "
                    "_total/_sum/_count/_bucket: \"%.*s\"",
                    STR_ARG(name));
    }
}

/* Series that stay different without their name need no table: one after the other goes on. */
static bool has_one_name(const struct promql_node *range)
{
    return range->kind == PROMQL_RANGE && range->children[0]->has_name;
}

static int call_window(struct call *c, struct err *e)
{
    const struct promql_node *n = c->node;
    size_t range = n->function->args[0] == PROMQL_SCALAR ? 1 : 0;
    struct eval_table t = {.ev = c->ev};
    struct eval_sink out = c->out;
    const double *quantiles;
    int result;

    if (n->function->n_args == 2 && take_scalar(c, 0, 1 - range, 0, e) < 0) {
        return -1;
    }
    quantiles = c->window == promql_quantile_over_time ? c->parameter[0] : NULL;
    for (size_t k = 0; quantiles != NULL && k < c->ev->steps; k++) {
        if (!(quantiles[k] >= 0 && quantiles[k] <= 1)) {
            eval_warn_of_quantile(c->ev, n->children[0], quantiles[k]);
            break;
        }
    }
    c->keeps_name = c->window == promql_last_over_time;
    if (!c->keeps_name && !has_one_name(bare(n->children[range]))) {
        c->out = (struct eval_sink){eval_table_tell, &t};
    }
    result = eval_each_range(c->ev, n->children[range], tell_windows, c, e);
    c->out = out;
    if (result == 0 && c->any_told) {
        inform_of_counter(c, bare(n->children[range]));
    }
    result = result < 0 ? -1 : eval_table_tell_all(&t, out, e);
    eval_table_done(&t);
    return result;
}

/* --- absent --- */

/* The labels that a series would have, as far as the selector says: those with one matcher, for
 * equality. */
static struct labels said(const struct call *c, const struct promql_node *n)
{
    struct labels s = {NULL, 0};

    n = bare(n);
    n = n->kind == PROMQL_RANGE ? n->children[0] : n;
    for (size_t i = 0; n->kind == PROMQL_SELECTOR && i < n->n_matchers; i++) {
        const struct label_matcher *m = &n->matchers[i];
        size_t times = 0;

        for (size_t j = 0; j < n->n_matchers; j++) {
            times += str_eq(n->matchers[j].name, m->name);
        }
        if (m->op == LABEL_IS && times == 1 && !str_eq(m->name, STR(LABEL_NAME))) {
            s = eval_with(c->ev->query->arena, s, m->name, m->value);
        }
    }
    return s;
}

static int note_present(void *ctx, struct labels labels UNUSED, const double *v,
                        struct err *e UNUSED)
{
    struct call *c = ctx;

    for (size_t k = 0; k < c->ev->steps; k++) {
        c->v[k] = tsdb_is_stale(v[k]) ? c->v[k] : tsdb_stale();
    }
    return 0;
}

static int note_window(void *ctx, struct labels labels UNUSED, const struct tsdb_samples *s,
                       struct err *e UNUSED)
{
    struct call *c = ctx;
    size_t first = 0;

    for (size_t k = 0; k < c->ev->steps; k++) {
        int64_t from, to;

        eval_window(c->ev, bare(c->node->children[0]), k, &from, &to);
        while (first < s->len && s->ts_ms[first] <= from) {
            first++;
        }
        if (first < s->len && s->ts_ms[first] <= to) {
            c->v[k] = tsdb_stale();
        }
    }
    return 0;
}

static int call_absent(struct call *c, struct err *e)
{
    const struct promql_node *n = c->node->children[0];
    bool any = false;

    for (size_t k = 0; k < c->ev->steps; k++) {
        c->v[k] = 1;
    }
    if ((n->type == PROMQL_MATRIX
             ? eval_each_range(c->ev, n, note_window, c, e)
             : eval_vector(c->ev, n, (struct eval_sink){note_present, c}, e)) < 0) {
        return -1;
    }
    for (size_t k = 0; k < c->ev->steps; k++) {
        any = any || !tsdb_is_stale(c->v[k]);
    }
    return any ? c->out.fn(c->out.ctx, said(c, n), c->v, e) : 0;
}

/* --- timestamp --- */

static int tell_step_time(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct call *c = ctx;

    for (size_t k = 0; k < c->ev->steps; k++) {
        c->v[k] = tsdb_is_stale(v[k]) ? v[k] : (double)eval_time(c->ev, k) / 1000;
    }
    return tell_unnamed(c, labels, e);
}

static int tell_sample_time(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct call *c = ctx;

    memcpy(c->v, v, c->ev->steps * sizeof(double));
    return tell_unnamed(c, labels, e);
}

/* --- labels --- */

struct relabel {
    struct call *call;
    struct str to, with, separator;
    struct label_regex *regex;
    struct str from;
    const struct promql_node *node;
};

static struct str text_of(const struct promql_node *n)
{
    return bare(n)->text;
}

static int tell_replaced(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct relabel *r = ctx;
    struct arena *a = r->call->ev->query->arena;
    struct buf out = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    int matched = label_regex_expand(r->regex, labels_get(labels, r->from), r->with, &out, e);

    if (matched > 0) {
        labels = eval_with(a, labels, r->to, arena_str(a, buf_str(&out)));
    }
    buf_done(&out);
    return matched < 0 ? -1 : r->call->out.fn(r->call->out.ctx, labels, v, e);
}

static int tell_joined(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct relabel *r = ctx;
    struct arena *a = r->call->ev->query->arena;
    struct buf out = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct labels joined;

    for (size_t i = 3; i < r->node->n_children; i++) {
        (void)buf_add(&out, i > 3 ? r->separator : STR_EMPTY);
        (void)buf_add(&out, labels_get(labels, text_of(r->node->children[i])));
    }
    joined = eval_with(a, labels, r->to, arena_str(a, buf_str(&out)));
    buf_done(&out);
    return r->call->out.fn(r->call->out.ctx, joined, v, e);
}

static int call_relabel(struct call *c, bool joins, struct err *e)
{
    const struct promql_node *n = c->node;
    struct relabel r = {.call = c, .node = n, .to = text_of(n->children[1])};
    struct eval_table t = {.ev = c->ev};
    struct eval_sink out = c->out;
    int result;

    if (!label_name_is_valid(r.to)) {
        return err_set(e, ERR_INVALID, "invalid destination label name in %s(): %.*s",
                       n->function->name, STR_ARG(r.to));
    }
    r.separator = joins ? text_of(n->children[2]) : STR_EMPTY;
    for (size_t i = 3; joins && i < n->n_children; i++) {
        if (!label_name_is_valid(text_of(n->children[i]))) {
            return err_set(e, ERR_INVALID, "invalid source label name in label_join(): %.*s",
                           STR_ARG(text_of(n->children[i])));
        }
    }
    if (!joins) {
        r.with = text_of(n->children[2]);
        r.from = text_of(n->children[3]);
        r.regex = label_regex_new(c->ev->query->arena, text_of(n->children[4]), e);
        if (r.regex == NULL) {
            return err_wrap(e, "invalid regular expression in label_replace()");
        }
    }
    c->out = (struct eval_sink){eval_table_tell, &t};
    result = eval_vector(c->ev, n->children[0],
                         (struct eval_sink){joins ? tell_joined : tell_replaced, &r}, e);
    c->out = out;
    result = result < 0 ? -1 : eval_table_tell_all(&t, out, e);
    eval_table_done(&t);
    return result;
}

/* --- order --- */

static int by_last_value(const void *a, const void *b)
{
    double x = *((const struct eval_series *)a)->v, y = *((const struct eval_series *)b)->v;

    if (isnan(x) || isnan(y)) {
        return isnan(x) - isnan(y);
    }
    return x < y ? -1 : x > y;
}

static int by_last_value_down(const void *a, const void *b)
{
    double x = *((const struct eval_series *)a)->v, y = *((const struct eval_series *)b)->v;

    if (isnan(x) || isnan(y)) {
        return isnan(x) - isnan(y);
    }
    return x > y ? -1 : x < y;
}

/* Only an answer for one moment has an order. */
static int call_sort(struct call *c, bool down, struct err *e)
{
    struct eval_table t;
    int result;

    if (c->ev->steps > 1) {
        return eval_vector(c->ev, c->node->children[0], c->out, e);
    }
    result = eval_table_fill(c->ev, c->node->children[0], &t, e);
    if (result == 0 && t.len > 0) {
        qsort(t.p, t.len, sizeof(struct eval_series), down ? by_last_value_down : by_last_value);
        result = eval_table_tell_all(&t, c->out, e);
    }
    eval_table_done(&t);
    return result;
}

/* --- histograms --- */

struct bucket_row {
    double upper;
    const double *v;
};

struct histogram {
    struct labels labels;
    struct str name; /* of the first of its buckets */
    VEC(struct bucket_row) buckets;
};

struct histograms {
    VEC(struct histogram) list;
    struct map by_labels;
};

static void histograms_done(struct histograms *h)
{
    for (size_t i = 0; i < h->list.len; i++) {
        vec_done(&h->list.p[i].buckets);
    }
    vec_done(&h->list);
    map_done(&h->by_labels);
}

/* "le" as a number; false for what is none. */
static bool upper_of(struct labels s, double *upper)
{
    char text[64], *end;
    struct str le = labels_get(s, STR("le"));

    if (le.len == 0 || str_copy(le, text, sizeof(text)) < 0) {
        return false;
    }
    *upper = strtod(text, &end);
    return *end == '\0' && end != text;
}

/* ` for metric name "x"`, when there is one; for notes. */
static const char *of_metric(struct str name, char out[200])
{
    out[0] = '\0';
    if (name.len > 0) {
        snprintf(out, 200, " for metric name \"%.*s\"", STR_ARG(name));
    }
    return out;
}

static void sort_into(struct call *c, const struct eval_table *t, struct histograms *h)
{
    struct str le = STR("le");
    struct buf key =
        BUF_MAX(LIMIT_SERIES_LABELS * (LIMIT_LABEL_NAME_BYTES + LIMIT_LABEL_VALUE_BYTES));

    for (size_t i = 0; i < t->len; i++) {
        struct labels s =
            eval_without(c->ev->query->arena, t->p[i].labels, &(struct promql_names){&le, 1});
        struct str k;
        size_t index;
        double upper;
        char metric[200];

        if (!upper_of(t->p[i].labels, &upper)) {
            eval_warn(c->ev, c->node->children[c->node->n_children - 1],
                      "bucket label \"le\" is missing or has a malformed value of \"%.*s\"%s",
                      STR_ARG(labels_get(t->p[i].labels, le)),
                      of_metric(labels_get(t->p[i].labels, STR(LABEL_NAME)), metric));
            continue;
        }
        k = eval_key(s, &key);
        index = (size_t)(uintptr_t)map_get(&h->by_labels, k);
        if (index == 0) {
            *vec_push(&h->list) = (struct histogram){
                .labels = s, .name = labels_get(t->p[i].labels, STR(LABEL_NAME))};
            index = h->list.len;
            (void)map_put(&h->by_labels, k, (void *)(uintptr_t)index);
        }
        *vec_push(&h->list.p[index - 1].buckets) = (struct bucket_row){upper, t->p[i].v};
    }
    buf_done(&key);
}

static double of_buckets(struct call *c, const struct histogram *h, size_t k,
                         struct promql_bucket *room)
{
    size_t n = 0;
    bool forced = false;
    double result;

    for (size_t i = 0; i < h->buckets.len; i++) {
        if (!tsdb_is_stale(h->buckets.p[i].v[k])) {
            room[n++] = (struct promql_bucket){h->buckets.p[i].upper, h->buckets.p[i].v[k]};
        }
    }
    if (n == 0) {
        return tsdb_stale();
    }
    if (c->parameter[1] != NULL) {
        return promql_bucket_fraction(c->parameter[0][k], c->parameter[1][k], room, n);
    }
    result = promql_bucket_quantile(c->parameter[0][k], room, n, &forced);
    if (forced) {
        char metric[200];

        eval_inform(c->ev, c->node->children[1],
                    "input to histogram_quantile needed to be fixed for monotonicity (see "
                    "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                    "#histogram_quantile)%s",
                    of_metric(h->name, metric));
    }
    return result;
}

static int tell_histograms(struct call *c, const struct histograms *h, struct err *e)
{
    for (size_t i = 0; i < h->list.len; i++) {
        const struct histogram *one = &h->list.p[i];
        struct promql_bucket *room = xnew_array(struct promql_bucket, one->buckets.len);
        int result;

        for (size_t k = 0; k < c->ev->steps; k++) {
            c->v[k] = of_buckets(c, one, k, room);
        }
        free(room);
        result = c->out.fn(c->out.ctx, one->labels, c->v, e);
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}

static int call_histogram(struct call *c, bool fraction, struct err *e)
{
    const struct promql_node *n = c->node;
    struct eval_table t = {.ev = c->ev};
    struct histograms h = {.list = {0}};
    int result;

    if (take_scalar(c, 0, 0, 0, e) < 0 || (fraction && take_scalar(c, 1, 1, 0, e) < 0)) {
        return -1;
    }
    for (size_t k = 0; !fraction && k < c->ev->steps; k++) {
        if (!(c->parameter[0][k] >= 0 && c->parameter[0][k] <= 1)) {
            eval_warn_of_quantile(c->ev, n->children[0], c->parameter[0][k]);
            break;
        }
    }
    result = eval_table_fill(c->ev, n->children[n->n_children - 1], &t, e);
    if (result == 0) {
        sort_into(c, &t, &h);
        result = tell_histograms(c, &h, e);
    }
    histograms_done(&h);
    eval_table_done(&t);
    return result;
}

/* --- the table --- */

static int call_vector(struct call *c, struct err *e)
{
    return eval_scalar(c->ev, c->node->children[0], c->v, e) < 0
               ? -1
               : c->out.fn(c->out.ctx, (struct labels){NULL, 0}, c->v, e);
}

static int call_timestamp(struct call *c, struct err *e)
{
    const struct promql_node *n = bare(c->node->children[0]);
    bool stored = n->kind == PROMQL_SELECTOR;

    return through_table(c, n, stored, stored ? tell_sample_time : tell_step_time, e);
}

static int call_by_name(struct call *c, struct err *e)
{
    const struct promql_node *n = c->node;

    c->math = promql_number(n->function->name);
    if (c->math != NULL) {
        return call_math(c, e);
    }
    for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
        if (is_called(n, windows[i].name)) {
            c->window = windows[i].fn;
            return call_window(c, e);
        }
    }
    if (is_called(n, "label_replace") || is_called(n, "label_join")) {
        return call_relabel(c, is_called(n, "label_join"), e);
    }
    if (is_called(n, "sort") || is_called(n, "sort_desc")) {
        return call_sort(c, is_called(n, "sort_desc"), e);
    }
    if (is_called(n, "histogram_quantile") || is_called(n, "histogram_fraction")) {
        return call_histogram(c, is_called(n, "histogram_fraction"), e);
    }
    if (is_called(n, "absent") || is_called(n, "absent_over_time")) {
        return call_absent(c, e);
    }
    if (is_called(n, "timestamp")) {
        return call_timestamp(c, e);
    }
    return is_called(n, "vector")
               ? call_vector(c, e)
               : err_set(e, ERR_INTERNAL, "%s gives no vector", n->function->name);
}

int eval_call(struct eval *ev, const struct promql_node *n, struct eval_sink out, struct err *e)
{
    struct call c = {.ev = ev, .node = n, .out = out, .v = eval_take(ev, ev->steps, e)};
    int result = c.v == NULL ? -1 : call_by_name(&c, e);

    call_done(&c);
    return result;
}
