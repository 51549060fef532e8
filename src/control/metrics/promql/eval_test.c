#include "base/buf.h"
#include "base/limits.h"
#include "base/number.h"
#include "promql/promql.h"
#include "promql/series.h"
#include "promql/store_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct err e;

struct world {
    struct tsdb_view view;
    struct arena arena;
    struct promql_limits limits;
    struct buf out;
};

static struct world world(void)
{
    return (struct world){.limits = {1000000, 300000, 60000, NULL, NULL}, .out = BUF_MAX(1 << 20)};
}

static void world_done(struct world *w)
{
    store_done(&w->view);
    arena_done(&w->arena);
    buf_done(&w->out);
}

/* Lines of the notation of tests, a value each `every_ms` from zero. */
static void load(struct world *w, int64_t every_ms, const char *lines)
{
    struct str rest = str_of(lines);

    while (rest.p != NULL) {
        struct str line = str_trim(str_cut(&rest, '\n'));
        struct promql_series s = {0};

        if (line.len == 0) {
            continue;
        }
        if (promql_parse_series(&w->arena, line, &s, &e) < 0) {
            fail_msg("%.*s: %s", STR_ARG(line), e.msg);
        }
        struct stored *to = stored_of(&w->view, s.labels);
        for (size_t i = 0; i < s.len; i++) {
            if (s.points[i].there) {
                store_sample(to, (int64_t)i * every_ms, s.points[i].v);
            }
        }
    }
}

static void put_labels(struct buf *out, struct labels s)
{
    struct str name = labels_get(s, STR(LABEL_NAME));
    bool any = false;

    (void)buf_add(out, name);
    for (size_t i = 0; i < s.len; i++) {
        if (!str_eq(s.p[i].name, STR(LABEL_NAME))) {
            (void)buf_printf(out, "%s%.*s=%.*s", any ? "," : "{", STR_ARG(s.p[i].name),
                             STR_ARG(s.p[i].value));
            any = true;
        }
    }
    (void)buf_add(out, any ? STR("} ") : name.len > 0 ? STR(" ") : STR("{} "));
}

static void put_value(struct buf *out, double v)
{
    char text[32];

    snprintf(text, sizeof(text), "%.10g", v);
    (void)buf_add_c(out, isnan(v) ? "NaN" : text);
}

static void put_answer(struct world *w, const struct promql_answer *a, const struct promql_range *r)
{
    if (a->type == PROMQL_SCALAR) {
        put_value(&w->out, a->scalar);
    }
    if (a->type == PROMQL_STRING) {
        (void)buf_add(&w->out, a->text);
    }
    for (size_t i = 0; i < a->n_rows; i++) {
        const struct promql_row *row = &a->rows[i];
        int64_t t = r->start_ms;

        (void)buf_add(&w->out, i > 0 ? STR("; ") : STR_EMPTY);
        put_labels(&w->out, row->labels);
        for (size_t k = 0; k < row->len; k++, t += r->step_ms) {
            for (; r->step_ms > 0 && t < row->ts_ms[k]; t += r->step_ms) {
                (void)buf_add(&w->out, STR("_ "));
            }
            if (r->step_ms == 0 && a->type == PROMQL_MATRIX) {
                (void)buf_printf(&w->out, "%g:", (double)row->ts_ms[k] / 1000);
            }
            put_value(&w->out, row->v[k]);
            (void)buf_add(&w->out, k + 1 < row->len ? STR(" ") : STR_EMPTY);
        }
    }
    for (size_t i = 0; i < a->notes.n_warnings; i++) {
        (void)buf_printf(&w->out, " | %s", a->notes.warnings[i]);
    }
    for (size_t i = 0; i < a->notes.n_infos; i++) {
        (void)buf_printf(&w->out, " | %s", a->notes.infos[i]);
    }
}

/* What a query answers, or its error. */
static const char *ask(struct world *w, struct promql_range range, const char *text)
{
    struct promql_node *n = promql_parse(&w->arena, str_of(text), &e);
    struct promql_answer a;

    buf_clear(&w->out);
    if (n == NULL || promql_run(&w->view, n, &range, &w->limits, &w->arena, &a, &e) < 0) {
        return e.msg;
    }
    put_answer(w, &a, &range);
    return w->out.len > 0 ? w->out.p : "";
}

struct row {
    int64_t at_sec;
    const char *query, *answer;
};

static void answers_are(struct world *w, const struct row *rows, size_t n)
{
    size_t wrong = 0;

    for (size_t i = 0; i < n; i++) {
        const char *got =
            ask(w, (struct promql_range){rows[i].at_sec * 1000, rows[i].at_sec * 1000, 0},
                rows[i].query);

        if (strcmp(got, rows[i].answer) != 0) {
            print_error("%s at %lld:\n  is   %s\n  not  %s\n", rows[i].query,
                        (long long)rows[i].at_sec, got, rows[i].answer);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void range_is(struct world *w, int64_t from, int64_t to, int64_t step, const char *query,
                     const char *answer)
{
    const char *got = ask(w, (struct promql_range){from * 1000, to * 1000, step * 1000}, query);

    if (strcmp(got, answer) != 0) {
        fail_msg("%s:\n  is   %s\n  not  %s", query, got, answer);
    }
}

static void ranges_and_lookback_are_open_at_their_left(void **state UNUSED)
{
    static const struct row rows[] = {
        {600, "m[10m]", "m 300:1 600:2"},
        {600, "m[10m1ms]", "m 0:0 300:1 600:2"},
        {600, "count_over_time(m[5m])", "{} 1"},
        {600, "sum_over_time(m[10m])", "{} 3"},
        {600, "rate(m[5m])", ""},
        {600, "count_over_time(m[10m:5m])", "{} 2"},
        {600, "count_over_time(m[9m59s:5m])", "{} 2"},
        {600, "count_over_time(m[5m:5m])", "{} 1"},
        {599, "count_over_time(m[5m:1m])", "{} 5"},
        {1499, "gone", "gone 5"},
        {1500, "gone", ""},
        {1200, "last_over_time(gone[5m])", "gone 5"},
        {1500, "last_over_time(gone[5m])", ""},
        {1500, "present_over_time(gone[301])", "{} 1"},
    };
    struct world w = world();

    load(&w, 300000, "m 0+1x10\n gone 1 2 3 4 5");
    answers_are(&w, rows, ARRAY_LEN(rows));
    world_done(&w);
}

static void where_samples_are_few_selectors_look_further(void **state UNUSED)
{
    static const struct row rows[] = {
        {3000, "m", "m 1"},           {3600, "m", "m 2"}, {7199, "m", "m 2"},
        {7201, "m", "m 3"},           {7500, "m", ""},    {3000, "timestamp(m)", "{} 0"},
        {7200, "m offset 1h", "m 2"},
    };
    struct world w = world();

    load(&w, 3600000, "m 1+1x2");
    w.view.window_ms = 3600000;
    w.view.thin_until = 7200000;
    answers_are(&w, rows, ARRAY_LEN(rows));
    range_is(&w, 1800, 7800, 1800, "m", "m 1 2 2 3");
    world_done(&w);
}

static void a_marker_ends_a_series_at_once(void **state UNUSED)
{
    static const struct row rows[] = {
        {60, "m", "m 1"},
        {120, "m", ""},
        {179, "m", ""},
        {180, "m", "m 4"},
        {180, "m[5m]", "m 0:0 60:1 180:4"},
        {180, "count_over_time(m[5m])", "{} 3"},
        {180, "changes(m[5m])", "{} 2"},
        {150, "absent(m)", "{} 1"},
        {150, "absent_over_time(m[20s])", "{} 1"},
        {240, "n", "n NaN"},
        {240, "sum(n)", "{} NaN"},
    };
    struct world w = world();

    load(&w, 60000, "m 0 1 stale 4\n n NaNx4");
    answers_are(&w, rows, ARRAY_LEN(rows));
    range_is(&w, 0, 240, 60, "m", "m 0 1 _ 4 4");
    range_is(&w, 0, 240, 60, "m * 2", "{} 0 2 _ 8 8");
    range_is(&w, 0, 240, 60, "sum(m) or vector(7)", "{} 0 1 7 4 4");
    world_done(&w);
}

static void a_rate_reaches_the_edges_but_not_below_zero(void **state UNUSED)
{
    static const struct row rows[] = {
        {300, "rate(up_total[5m])", "{} 0.1666666667"},
        {300, "increase(up_total[5m])", "{} 50"},
        {300, "increase(late_total[5m])",
         "{} 25"}, /* from 8 at 180 s: half a distance back, not to zero */
        {300, "increase(high_total[5m])", "{} 25"},
        {300, "delta(down[5m])", "{} -50"},
        {300, "irate(up_total[5m])", "{} 0.1666666667"},
        {300, "idelta(down[5m])", "{} -10"},
        {300, "increase(reset_total[5m])", "{} 42.5"},
        {300, "resets(reset_total[5m])", "{} 1"},
        {300, "rate(one_total[5m])", ""},
        {300, "deriv(up_total[5m])", "{} 0.1666666667"},
        {300, "predict_linear(up_total[5m], 60)", "{} 60"},
        {300, "rate(down[5m])",
         "{} 1.083333333 | PromQL info: metric might not be a counter, name does not end in "
         "_total/_sum/_count/_bucket: \"down\" (1:6)"},
    };
    struct world w = world();

    load(&w, 60000,
         "up_total 0+10x10\n late_total _ _ _ 8 18 28\n high_total _ _ _ 1000 1010 1020\n"
         "down 100-10x10\n reset_total 0 10 20 4 14 24\n one_total _ _ _ _ _ 3");
    answers_are(&w, rows, ARRAY_LEN(rows));
    world_done(&w);
}

static void aggregations_group_by_labels(void **state UNUSED)
{
    static const struct row rows[] = {
        {0, "sum(m)", "{} 21"},
        {0, "sum by (a) (m)", "{a=x} 3; {a=y} 18"},
        {0, "sum without (a) (m)", "{b=1} 5; {b=2} 7; {b=3} 6; {b=3,c=z} 3"},
        {0, "sum by (none) (m)", "{} 21"},
        {0, "sum by (__name__) (m)", "m 21"},
        {0, "avg(m)", "{} 3.5"},
        {0, "min by (a) (m)", "{a=x} 1; {a=y} 3"},
        {0, "max by (a) (m)", "{a=x} 2; {a=y} 6"},
        {0, "count by (a) (m)", "{a=x} 2; {a=y} 4"},
        {0, "group by (a) (m)", "{a=x} 1; {a=y} 1"},
        {0, "stddev(m)", "{} 1.707825128"},
        {0, "stdvar(m)", "{} 2.916666667"},
        {0, "stddev(infinite)", "{} NaN"},
        {0, "topk(2, m)", "m{a=y,b=3} 6; m{a=y,b=2} 5"},
        {0, "bottomk(2, m)", "m{a=x,b=1} 1; m{a=x,b=2} 2"},
        {0, "topk by (a) (1, m)", "m{a=x,b=2} 2; m{a=y,b=3} 6"},
        {0, "topk(0, m)", ""},
        {0, "topk(scalar(none), m)", "Parameter value is NaN"},
        {0, "topk(1e30, m)", "Scalar value 1e+30 overflows int64"},
        {0, "quantile(0.5, m)", "{} 3.5"},
        {0, "quantile by (a) (1, m)", "{a=x} 2; {a=y} 6"},
        {0, "quantile(1.5, m)",
         "{} inf | PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"},
        {0, "quantile(NaN, m)",
         "{} NaN | PromQL warning: quantile value should be between 0 and 1, got NaN (1:10)"},
        {0, "count_values(\"v\", m > bool 3)", "{v=0} 3; {v=1} 3"},
        {0, "count_values by (a) (\"a\", m > bool 3)", "{a=0} 3; {a=1} 3"},
        {0, "count_values without (b) (\"b\", m * 0)", "{a=x} 2; {a=y} 3; {a=y,c=z} 1"},
        {0, "sum(none)", ""},
        {0, "sum(big)", "{} 2"},
        {0, "avg(big)", "{} 0.5"},
        {0, "avg(huge)", "{} 1.7e+308"},
        {0, "min(infinite) + max(infinite)", "{} inf"},
    };
    struct world w = world();

    load(&w, 60000,
         "m{a=\"x\",b=\"1\"} 1\n m{a=\"x\",b=\"2\"} 2\n m{a=\"y\",b=\"1\"} 4\n"
         "m{a=\"y\",b=\"2\"} 5\n m{a=\"y\",b=\"3\"} 6\n m{a=\"y\",b=\"3\",c=\"z\"} 3\n infinite "
         "Inf\n"
         "big{a=\"1\"} 1\n big{a=\"2\"} 1e100\n big{a=\"3\"} 1\n big{a=\"4\"} -1e100\n"
         "huge{a=\"1\"} 1.7e308\n huge{a=\"2\"} 1.7e308");
    answers_are(&w, rows, ARRAY_LEN(rows));
    world_done(&w);
}

static void vectors_match_by_labels(void **state UNUSED)
{
    static const struct row rows[] = {
        {0, "a + b", "{i=1} 11; {i=2} 22"},
        {0, "a > b", ""},
        {0, "b > a", "b{i=1} 10; b{i=2} 20"},
        {0, "b > bool a", "{i=1} 1; {i=2} 1"},
        {0, "a atan2 b", "a{i=1} 0.09966865249; a{i=2} 0.09966865249"},
        {0, "-a", "{i=1} -1; {i=2} -2; {i=3} -3"},
        {0, "+a", "a{i=1} 1; a{i=2} 2; a{i=3} 3"},
        {0, "a * 2", "{i=1} 2; {i=2} 4; {i=3} 6"},
        {0, "a > 1", "a{i=2} 2; a{i=3} 3"},
        {0, "1 < a", "a{i=2} 2; a{i=3} 3"},
        {0, "a == bool 1", "{i=1} 1; {i=2} 0; {i=3} 0"},
        {0, "a and b", "a{i=1} 1; a{i=2} 2"},
        {0, "a unless b", "a{i=3} 3"},
        {0, "b or a", "b{i=1} 10; b{i=2} 20; a{i=3} 3"},
        {0, "a and on () vector(1)", "a{i=1} 1; a{i=2} 2; a{i=3} 3"},
        {0, "many * on (i) group_left (role) a", "{i=1,k=x} 100; {i=1,k=y} 101; {i=2,k=x} 400"},
        {0, "many * on (i) group_left (role) info",
         "{i=1,k=x,role=db} 100; {i=1,k=y,role=db} 101; {i=2,k=x,role=web} 200"},
        {0, "info * on (i) group_right (role) many",
         "{i=1,k=x,role=db} 100; {i=1,k=y,role=db} 101; {i=2,k=x,role=web} 200"},
        {0, "a * on (i) many",
         "found duplicate series for the match group {i=\"1\"} on the right hand-side of the "
         "operation: [{__name__=\"many\", i=\"1\", k=\"x\"}, {__name__=\"many\", i=\"1\", "
         "k=\"y\"}];many-to-many matching not allowed: matching labels must be unique on one side"},
        {0, "many * on (i) a",
         "multiple matches for labels: many-to-one matching must be explicit "
         "(group_left/group_right)"},
        {0, "many * ignoring (k) group_left a", "{i=1,k=x} 100; {i=1,k=y} 101; {i=2,k=x} 400"},
        {0, "many * on (i) group_left (k) a",
         "multiple matches for labels: grouping labels must ensure unique matches"},
        {0, "-{__name__=~\"a|b\"}", "vector cannot contain metrics with the same labelset"},
        {0, "abs({__name__=~\"a|b\"})", "vector cannot contain metrics with the same labelset"},
        {0, "sum_over_time({__name__=~\"a|b\"}[1m])",
         "vector cannot contain metrics with the same labelset"},
        {0, "none * on (k) many", ""},
        {0, "1 + 2 * 3 ^ 2", "19"},
        {0, "2 ^ 3 ^ 2", "512"},
        {0, "-2 ^ 2", "-4"},
        {0, "5 % 3", "2"},
        {0, "-5 % 3", "-2"},
        {0, "1 / 0", "inf"},
        {0, "0 / 0", "NaN"},
        {0, "1 > bool 2", "0"},
        {0, "\"a\\tb\"", "a\tb"},
    };
    struct world w = world();

    load(&w, 60000,
         "a{i=\"1\"} 1\n a{i=\"2\"} 2\n a{i=\"3\"} 3\n b{i=\"1\"} 10\n b{i=\"2\"} 20\n"
         "many{i=\"1\",k=\"x\"} 100\n many{i=\"1\",k=\"y\"} 101\n many{i=\"2\",k=\"x\"} 200\n"
         "info{i=\"1\",role=\"db\"} 1\n info{i=\"2\",role=\"web\"} 1");
    answers_are(&w, rows, ARRAY_LEN(rows));
    world_done(&w);
}

static void functions_do_what_they_say(void **state UNUSED)
{
    static const struct row rows[] = {
        {0, "abs(neg)", "{} 1.5"},
        {0, "ceil(neg)", "{} -1"},
        {0, "floor(neg)", "{} -2"},
        {0, "round(neg)", "{} -1"},
        {0, "round(neg, 0.4)", "{} -1.6"},
        {0, "sgn(neg)", "{} -1"},
        {0, "sqrt(neg)", "{} NaN"},
        {0, "clamp(neg, -1, 1)", "{} -1"},
        {0, "clamp(neg, 1, -1)", ""},
        {0, "clamp_min(neg, 3)", "{} 3"},
        {0, "clamp_max(neg, -3)", "{} -3"},
        {0, "exp(vector(1))", "{} 2.718281828"},
        {0, "ln(vector(0))", "{} -inf"},
        {0, "deg(vector(pi()))", "{} 180"},
        {0, "scalar(a)", "NaN"},
        {0, "scalar(neg)", "-1.5"},
        {0, "vector(time())", "{} 0"},
        {90, "time()", "90"},
        {0, "timestamp(a{i=\"1\"})", "{i=1} 0"},
        {90, "timestamp(a{i=\"1\"})", "{i=1} 60"},
        {90, "timestamp(a{i=\"1\"} + 0)", "{i=1} 90"},
        {0, "absent(a)", ""},
        {0, "absent(none{i=\"1\",j!=\"2\",k=~\"x\"})", "{i=1} 1"},
        {0, "absent(none{i=\"1\",i=\"2\"})", "{} 1"},
        {0, "absent(sum(none{i=\"1\"}))", "{} 1"},
        {0, "sort(a)", "a{i=2} 1; a{i=1} 2; a{i=3} NaN"},
        {0, "sort_desc(a)", "a{i=1} 2; a{i=2} 1; a{i=3} NaN"},
        {0, "label_replace(a, \"j\", \"x$1\", \"i\", \"([12])\")",
         "a{i=1,j=x1} 2; a{i=2,j=x2} 1; a{i=3} NaN"},
        {0, "label_replace(neg, \"__name__\", \"pos\", \"\", \"\")", "pos -1.5"},
        {0, "label_replace(a, \"i\", \"\", \"i\", \".*\")",
         "vector cannot contain metrics with the same labelset"},
        {0, "label_replace(a, \"j\", \"\", \"i\", \"(\")",
         "invalid regular expression in label_replace(): the regular expression \"(\" cannot be "
         "read: "
         "missing closing parenthesis"},
        {0, "label_join(neg, \"j\", \"-\", \"__name__\", \"none\")", "neg{j=neg-} -1.5"},
        {0, "label_join(neg, \"j\", \"-\")", "neg -1.5"},
        {0, "minute(vector(1136239445))", "{} 4"},
        {0, "hour(vector(1136239445))", "{} 22"},
        {0, "day_of_week(vector(1136239445))", "{} 1"},
        {0, "day_of_month(vector(1136239445))", "{} 2"},
        {0, "day_of_year(vector(1136239445))", "{} 2"},
        {0, "days_in_month(vector(1454284800))", "{} 29"},
        {0, "month(vector(1136239445))", "{} 1"},
        {0, "year(vector(-1))", "{} 1969"},
        {0, "year()", "{} 1970"},
        {0, "avg_over_time(a{i=\"2\"}[2m] @ 60)", "{i=2} 1.5"},
        {0, "quantile_over_time(0.5, a{i=\"2\"}[2m] @ 60)", "{i=2} 1.5"},
        {0, "stddev_over_time(a{i=\"2\"}[2m] @ 60)", "{i=2} 0.5"},
        {0, "max_over_time(a{i=\"2\"}[2m] @ 60)", "{i=2} 2"},
        {0, "sum_over_time(vector(1)[1h:1m])", "{} 60"},
        {0, "max_over_time(time()[1h:1m])", "{} 0"},
        {0, "histogram_sum(a)",
         "1:1: parse error: histogram_sum is about native histograms, which are not stored here; "
         "classic ones have _bucket, _sum and _count"},
        {0, "holt_winters(a[5m], 0.5, 0.5)",
         "1:1: parse error: unknown function with name \"holt_winters\""},
    };
    struct world w = world();

    load(&w, 60000, "neg -1.5\n a{i=\"1\"} 2 3\n a{i=\"2\"} 1 2\n a{i=\"3\"} NaN");
    answers_are(&w, rows, ARRAY_LEN(rows));
    world_done(&w);
}

static void histograms_have_quantiles_and_fractions(void **state UNUSED)
{
    static const struct row rows[] = {
        {0, "histogram_quantile(0.5, h_bucket)", "{} 1.5"},
        {0, "histogram_quantile(0, h_bucket)", "{} 0"},
        {0, "histogram_quantile(1, h_bucket)", "{} 2"},
        {0, "histogram_quantile(0.1, h_bucket)", "{} 0.5"},
        {0, "histogram_quantile(NaN, h_bucket)",
         "{} NaN | PromQL warning: quantile value should be between 0 and 1, got NaN (1:20)"},
        {0, "histogram_fraction(0, 1, h_bucket)", "{} 0.2"},
        {0, "histogram_fraction(-Inf, +Inf, h_bucket)", "{} 1"},
        {0, "histogram_quantile(0.5, no_bucket)", "{} NaN"},
        {0, "histogram_quantile(0.5, h_bucket * NaN)", "{} 2"}, /* as Prometheus searches */
        {0, "histogram_quantile(0.9, broken_bucket)",
         "{} 0.9 | PromQL info: input to histogram_quantile needed to be fixed for monotonicity "
         "(see "
         "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for "
         "metric name \"broken_bucket\" (1:25)"},
        {0, "histogram_quantile(0.5, bad)",
         " | PromQL warning: bucket label \"le\" is missing or has a malformed value of \"x\" for "
         "metric name \"bad\" (1:25)"},
    };
    struct world w = world();

    load(&w, 60000,
         "h_bucket{le=\"1\"} 2\n h_bucket{le=\"2\"} 8\n h_bucket{le=\"+Inf\"} 10\n"
         "no_bucket{le=\"1\"} 2\n no_bucket{le=\"2\"} 8\n bad{le=\"x\"} 1\n"
         "broken_bucket{le=\"1\"} 8\n broken_bucket{le=\"2\"} 4\n broken_bucket{le=\"+Inf\"} 8");
    answers_are(&w, rows, ARRAY_LEN(rows));
    world_done(&w);
}

static void moments_are_moved_and_fixed(void **state UNUSED)
{
    static const struct row rows[] = {
        {600, "m offset 5m", "m 5"},
        {600, "m offset -2m", "m 12"},
        {0, "m @ 300", "m 5"},
        {0, "m @ 300 offset 1m", "m 4"},
        {0, "m offset 1m @ 300", "m 4"},
        {600, "m @ start() + m @ end()", "{} 20"},
        {600, "sum_over_time(m[3m] @ 300)", "{} 12"},
        {600, "max_over_time((m offset 1m)[3m:1m] @ 300 offset 1m)", "{} 3"},
        {660, "max_over_time(m[5m:2m])", "{} 10"},
    };
    struct world w = world();

    load(&w, 60000, "m 0+1x20");
    answers_are(&w, rows, ARRAY_LEN(rows));
    range_is(&w, 60, 240, 60, "m @ start()", "m 1 1 1 1");
    range_is(&w, 60, 240, 60, "m @ end()", "m 4 4 4 4");
    range_is(&w, 60, 240, 60, "timestamp(m @ 120)", "{} 120 120 120 120");
    range_is(&w, 60, 240, 60, "max_over_time(m[5m:1m] @ end())", "{} 4 4 4 4");
    range_is(&w, 0, 1, 1, "time()", "{} 0 1");
    range_is(&w, 0, 1, 1, "m[5m]",
             "invalid expression type \"range vector\" for range query, must be Scalar or instant "
             "Vector");
    range_is(&w, 60, 180, 60, "m == 2", "m _ 2");
    range_is(&w, 60, 180, 60, "topk(1, label_replace(m, \"a\", \"b\", \"\", \"\") or m * -1)",
             "m{a=b} 1 2 3");
    world_done(&w);
}

static void too_much_is_refused_with_the_number(void **state UNUSED)
{
    struct world w = world();

    load(&w, 1000, "m{a=\"1\"} 0+1x5000\n m{a=\"2\"} 0+1x5000");
    w.limits.samples = 4000;
    assert_string_equal(
        ask(&w, (struct promql_range){5000000, 5000000, 0}, "sum(rate(m[2h]))"),
        "query processing would load too many samples into memory: more than 4000; ask for fewer "
        "series, a shorter range or a longer step");
    assert_int_equal(e.kind, ERR_LIMIT);
    range_is(&w, 0, 3000, 1, "m",
             "query processing would load too many samples into memory: more than 4000; ask for "
             "fewer series, a shorter range or a longer step");
    world_done(&w);
}

static bool over(void *ctx)
{
    return ++*(int *)ctx > 3;
}

static void a_query_ends_when_it_is_told_to(void **state UNUSED)
{
    struct world w = world();
    int asked = 0;

    load(&w, 1000, "m{a=\"1\"} 1\n m{a=\"2\"} 1\n m{a=\"3\"} 1\n m{a=\"4\"} 1\n");
    w.limits.is_over = over;
    w.limits.ctx = &asked;
    assert_string_equal(ask(&w, (struct promql_range){0, 0, 0}, "sum(m)"),
                        "query timed out or was cancelled in expression evaluation");
    assert_int_equal(e.kind, ERR_TIMEOUT);
    world_done(&w);
}

static void a_query_says_what_times_it_reads(void **state UNUSED)
{
    static const struct {
        const char *query;
        int64_t from, to;
    } rows[] = {
        {"m", -2600, 2000}, /* an hour, where the store may keep so little */
        {"m offset 1m", -2660, 1940},
        {"rate(m[10m])", 400, 2000},
        {"rate(m[10m] @ 100)", -500, 100},
        {"max_over_time(m[10m:1m])", -3200, 2000},
        {"a @ end() + b @ start()", -2600, 2000},
    };
    struct world w = world();

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct promql_range r = {1000000, 2000000, 1000};
        struct promql_node *n = promql_parse(&w.arena, str_of(rows[i].query), &e);
        int64_t from, to;

        assert_non_null(n);
        promql_times(n, &r, &w.limits, &from, &to);
        assert_int_equal(from, rows[i].from * 1000);
        assert_int_equal(to, rows[i].to * 1000);
    }
    world_done(&w);
}

static void what_one_may_not_see_is_in_no_answer(void **state UNUSED)
{
    struct world w = world();
    struct label_matcher m;
    struct promql_answer a;
    struct promql_range now = {0, 0, 0};
    struct promql_node *n =
        promql_parse(&w.arena, STR("count(m) + count(count_over_time({a=~\".+\"}[5m:]))"), &e);

    load(&w, 1000, "m{a=\"1\"} 1\n m{a=\"2\"} 1\n m{a=\"3\"} 1");
    assert_int_equal(label_matcher_init(&m, &w.arena, STR("a"), LABEL_LIKE, STR("1|2"), &e), 0);
    assert_non_null(n);
    promql_restrict(n, &w.arena, &m, 1);
    assert_int_equal(promql_run(&w.view, n, &now, &w.limits, &w.arena, &a, &e), 0);
    assert_int_equal(a.n_rows, 1);
    assert_true(a.rows[0].v[0] == 4);
    world_done(&w);
}

static void series_are_written_as_in_tests_of_rules(void **state UNUSED)
{
    static const struct {
        const char *text, *printed;
    } rows[] = {
        {"m 1 2.5 -3e2", "m 1 2.5 -300"},
        {"m{a=\"b c\",d=\"}\"} 1", "m{a=b c,d=}} 1"},
        {"{} 1", "{} 1"},
        {"{\"a.b\", c=\"d\"} 1", "a.b{c=d} 1"},
        {"m 0+10x3", "m 0 10 20 30"},
        {"m 1+0x2 0-0x1", "m 1 1 1 0 0"},
        {"m 10-5x2 1x2", "m 10 5 0 1 1 1"},
        {"m -1-1x1 _ _x2 7", "m -1 -2 _ _ _ 7"},
        {"m 0x2 stale NaN Inf -Inf", "m 0 0 0 stale NaN inf -inf"},
        {"m 1+1", "\"1+1\" is no value: write a number, 1+2x3, 1x3, _, _x3 or stale"},
        {"m x", "\"x\" is no value: write a number, 1+2x3, 1x3, _, _x3 or stale"},
        {"m {{schema:0 sum:1}}", "native histograms are not stored here: {{schema:0"},
        {"m 1x99999999", "a series of a test has at most 1000000 values"},
        {"m{a!=\"b\"} 1", "a series is named by labels with '=', not '!=': m{a!=\"b\"}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world w = world();
        struct promql_series s = {0};

        if (promql_parse_series(&w.arena, str_of(rows[i].text), &s, &e) < 0) {
            assert_string_equal(e.msg, rows[i].printed);
            world_done(&w);
            continue;
        }
        put_labels(&w.out, s.labels);
        for (size_t k = 0; k < s.len; k++) {
            (void)buf_add(&w.out, k > 0 ? STR(" ") : STR_EMPTY);
            if (!s.points[k].there || tsdb_is_stale(s.points[k].v)) {
                (void)buf_add(&w.out, s.points[k].there ? STR("stale") : STR("_"));
            } else {
                put_value(&w.out, s.points[k].v);
            }
        }
        assert_string_equal(w.out.p, rows[i].printed);
        world_done(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_and_lookback_are_open_at_their_left),
        cmocka_unit_test(where_samples_are_few_selectors_look_further),
        cmocka_unit_test(a_marker_ends_a_series_at_once),
        cmocka_unit_test(a_rate_reaches_the_edges_but_not_below_zero),
        cmocka_unit_test(aggregations_group_by_labels),
        cmocka_unit_test(vectors_match_by_labels),
        cmocka_unit_test(functions_do_what_they_say),
        cmocka_unit_test(histograms_have_quantiles_and_fractions),
        cmocka_unit_test(moments_are_moved_and_fixed),
        cmocka_unit_test(too_much_is_refused_with_the_number),
        cmocka_unit_test(a_query_ends_when_it_is_told_to),
        cmocka_unit_test(a_query_says_what_times_it_reads),
        cmocka_unit_test(what_one_may_not_see_is_in_no_answer),
        cmocka_unit_test(series_are_written_as_in_tests_of_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
