/* query and query_range: Grafana's bread and butter. */
#include "metrics_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/number.h"
#include "promql/promql.h"
#include "tsdb/tsdb.h"

struct work { /* one query */
    struct ask ask;
    struct sight sight;
    struct patience patience;
    struct promql_range range;
    struct promql_limits limits;
    size_t limit;
    bool with_stats;
    struct {
        int64_t began_us, entered_us, done_us;
    } took;
    struct promql_answer out;
};

/* --- what is asked for --- */

static int read_query(struct work *w, struct promql_node **out, struct err *e)
{
    struct ask *a = &w->ask;
    int64_t lookback = a->m->lookback_ms;

    if (ask_limit(a, "limit", &w->limit, e) < 0 || ask_patience(a, &w->patience, e) < 0 ||
        ask_duration(a, "lookback_delta", &lookback, e) < 0) {
        return -1;
    }
    if (lookback <= 0) {
        lookback = a->m->lookback_ms;
    }
    w->with_stats = ask_str(a, "stats").len > 0;
    w->limits = (struct promql_limits){.samples = a->m->max_samples,
                                       .lookback_ms = lookback,
                                       .default_step_ms = 60 * 1000,
                                       .is_over = patience_is_over,
                                       .ctx = &w->patience};
    *out = promql_parse(&a->arena, ask_str(a, "query"), e);
    if (*out == NULL) {
        return err_wrap(e, "invalid parameter \"query\"");
    }
    if (ask_sight(a, &w->sight, e) < 0) {
        return -1;
    }
    if (!w->sight.all) {
        promql_restrict(*out, &a->arena, w->sight.m, w->sight.n);
    }
    return 0;
}

static int need(const struct ask *a, const char *name, const char *what, struct err *e)
{
    return ask_str(a, name).len > 0
               ? 0
               : err_set(e, ERR_INVALID,
                         "invalid parameter \"%s\": cannot parse \"\" to a valid %s", name, what);
}

static int read_range(struct work *w, struct err *e)
{
    struct ask *a = &w->ask;
    struct promql_range *r = &w->range;

    if (need(a, "start", "timestamp", e) < 0 || ask_time(a, "start", &r->start_ms, e) < 0 ||
        need(a, "end", "timestamp", e) < 0 || ask_time(a, "end", &r->end_ms, e) < 0) {
        return -1;
    }
    if (r->end_ms < r->start_ms) {
        return err_set(e, ERR_INVALID,
                       "invalid parameter \"end\": end timestamp must not be before start time");
    }
    if (need(a, "step", "duration", e) < 0 || ask_duration(a, "step", &r->step_ms, e) < 0) {
        return -1;
    }
    if (r->step_ms <= 0) {
        return err_set(e, ERR_INVALID,
                       "invalid parameter \"step\": zero or negative query resolution step widths "
                       "are not accepted. Try a positive integer");
    }
    if ((r->end_ms - r->start_ms) / r->step_ms > LIMIT_QUERY_POINTS) {
        return err_set(e, ERR_INVALID,
                       "exceeded maximum resolution of 11,000 points per timeseries. Try "
                       "decreasing the query resolution (?step=XX)");
    }
    return 0;
}

/* --- working it out --- */

/* -1: *e says why; the place in the gate is given back. */
static int work_out(struct work *w, const struct promql_node *query, struct err *e)
{
    struct gate *g = &w->ask.m->gate;
    struct tsdb_view *view;
    int64_t from, to;
    int result;

    w->took.began_us = clock_mono_us();
    if (gate_enter(g, &w->patience, e) < 0) {
        return -1;
    }
    w->took.entered_us = clock_mono_us();
    promql_times(query, &w->range, &w->limits, &from, &to);
    view = tsdb_view_open(w->ask.m->db, from, to);
    result = promql_run(view, query, &w->range, &w->limits, &w->ask.arena, &w->out, e);
    tsdb_view_close(view);
    w->took.done_us = clock_mono_us();
    gate_leave(g, result == 0 ? w->ask.arena.used_bytes : 0);
    return result;
}

/* --- the answer --- */

static const char *type_of(enum promql_type t)
{
    return t == PROMQL_SCALAR   ? "scalar"
           : t == PROMQL_STRING ? "string"
           : t == PROMQL_MATRIX ? "matrix"
                                : "vector";
}

static void write_sample(struct buf *b, int64_t ts_ms, double v)
{
    (void)buf_add(b, STR("["));
    put_time(b, ts_ms);
    (void)buf_add(b, STR(","));
    put_value(b, v);
    (void)buf_add(b, STR("]"));
}

static int write_row(struct answer *out, enum promql_type type, const struct promql_row *row,
                     struct err *e)
{
    struct buf *b = &out->buf;

    (void)buf_add(b, STR("{\"metric\":"));
    put_labels(b, row->labels);
    (void)buf_add(b, type == PROMQL_MATRIX ? STR(",\"values\":[") : STR(",\"value\":"));
    for (size_t i = 0; i < row->len; i++) {
        (void)buf_add(b, i > 0 ? STR(",") : STR_EMPTY);
        write_sample(b, row->ts_ms[i], row->v[i]);
        if (answer_more(out, e) < 0) {
            return -1;
        }
    }
    (void)buf_add(b, type == PROMQL_MATRIX ? STR("]}") : STR("}"));
    return answer_more(out, e);
}

static void write_lone(struct buf *b, const struct work *w)
{
    char text[NUMBER_TEXT_MAX];

    (void)buf_add(b, STR("["));
    put_time(b, w->range.start_ms);
    (void)buf_add(b, STR(","));
    put_text(b, w->out.type == PROMQL_STRING ? w->out.text
                                             : str_n(text, number_plain(w->out.scalar, text)));
    (void)buf_add(b, STR("]"));
}

/* Adds what Prometheus says of a cut answer. */
static void note_limit(struct work *w)
{
    struct promql_notes *n = &w->out.notes;
    const char **more = arena_new_array(&w->ask.arena, const char *, n->n_warnings + 1);

    for (size_t i = 0; i < n->n_warnings; i++) {
        more[i] = n->warnings[i];
    }
    more[n->n_warnings++] = LIMIT_WARNING;
    n->warnings = more;
    w->out.n_rows = w->limit;
}

static void write_stats(struct buf *b, const struct work *w)
{
    double queue = (double)(w->took.entered_us - w->took.began_us) / 1e6,
           eval = (double)(w->took.done_us - w->took.entered_us) / 1e6;

    (void)buf_printf(b,
                     ",\"stats\":{\"timings\":{\"evalTotalTime\":%.6f,\"execQueueTime\":%.6f,"
                     "\"execTotalTime\":%.6f},\"samples\":{\"totalQueryableSamples\":%llu,"
                     "\"peakSamples\":%llu}}",
                     eval, queue, queue + eval, (unsigned long long)w->out.samples_read,
                     (unsigned long long)w->out.samples_peak);
}

static int write_result(struct work *w, struct answer *out, struct err *e)
{
    answer_json(out, w->ask.req);
    (void)buf_printf(&out->buf, "{\"resultType\":\"%s\",\"result\":", type_of(w->out.type));
    if (w->out.type == PROMQL_SCALAR || w->out.type == PROMQL_STRING) {
        write_lone(&out->buf, w);
    } else {
        if (w->limit > 0 && w->out.n_rows > w->limit) {
            note_limit(w);
        }
        (void)buf_add(&out->buf, STR("["));
        for (size_t i = 0; i < w->out.n_rows; i++) {
            (void)buf_add(&out->buf, i > 0 ? STR(",") : STR_EMPTY);
            if (write_row(out, w->out.type, &w->out.rows[i], e) < 0) {
                return -1;
            }
        }
        (void)buf_add(&out->buf, STR("]"));
    }
    if (w->with_stats) {
        write_stats(&out->buf, w);
    }
    (void)buf_add(&out->buf, STR("}"));
    return answer_json_end(out, &w->out.notes, e);
}

static int answer_work(struct work *w, const struct promql_node *query, struct err *e)
{
    SCOPED(answer_done) struct answer out = {0};
    size_t bytes;
    int result;

    if (work_out(w, query, e) < 0) {
        return answer_refuse(w->ask.req, &w->patience, e);
    }
    bytes = w->ask.arena.used_bytes;
    result = write_result(w, &out, e);
    gate_sent(&w->ask.m->gate, bytes);
    return result;
}

static int instant(struct work *w, struct err *e)
{
    struct promql_node *query;

    w->range.start_ms = clock_wall_ms();
    if (ask_time(&w->ask, "time", &w->range.start_ms, e) < 0 || read_query(w, &query, e) < 0) {
        return -1;
    }
    w->range.end_ms = w->range.start_ms;
    return answer_work(w, query, e);
}

static int range(struct work *w, struct err *e)
{
    struct promql_node *query;

    if (read_range(w, e) < 0 || read_query(w, &query, e) < 0) {
        return -1;
    }
    if (query->type != PROMQL_SCALAR && query->type != PROMQL_VECTOR) {
        return err_set(e, ERR_INVALID,
                       "invalid parameter \"query\": invalid expression type \"%s\" for range "
                       "query, must be Scalar or instant Vector",
                       query->type == PROMQL_MATRIX ? "range vector" : "string");
    }
    return answer_work(w, query, e);
}

static int serve(struct http_req *req, int (*how)(struct work *w, struct err *e), struct err *e)
{
    struct work w = {0};
    int result = ask_init(&w.ask, req, e) < 0 ? -1 : how(&w, e);

    ask_done(&w.ask);
    return result;
}

int prom_query(struct http_req *req, struct err *e)
{
    return serve(req, instant, e);
}

int prom_query_range(struct http_req *req, struct err *e)
{
    return serve(req, range, e);
}

/* We keep no exemplars: what Prometheus answers without a store for them. */
static int exemplars(struct work *w, struct err *e)
{
    SCOPED(answer_done) struct answer out = {0};
    struct promql_node *query;
    int64_t from = TIME_MIN, to = TIME_MAX;

    if (ask_time(&w->ask, "start", &from, e) < 0 || ask_time(&w->ask, "end", &to, e) < 0) {
        return -1;
    }
    if (to < from) {
        return err_set(e, ERR_INVALID, "end timestamp must not be before start timestamp");
    }
    if (read_query(w, &query, e) < 0) {
        return -1;
    }
    answer_json(&out, w->ask.req);
    (void)buf_add(&out.buf, STR("[]"));
    return answer_json_end(&out, NULL, e);
}

int prom_exemplars(struct http_req *req, struct err *e)
{
    return serve(req, exemplars, e);
}
