/* unit - files of tests for rules, as promtool runs them: series of the test go into a store of
 * their own, the rules run over it at every interval, and what came is compared. */
#include "rules/unit.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "tsdb/tsdb.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static const struct promql_limits limits = {50000000, 300000, 60000, NULL, NULL};

struct world {
    struct suite *suite;
    const struct test *test;
    struct tsdb *db;
    struct rule_run **runs;
    size_t loaded; /* steps of the input series that are in the store */
    size_t failed;
};

/* Input series up to and with the moment. */
static int load_until(struct world *w, int64_t at_ms, struct err *e)
{
    SCOPED(tsdb_appender_freep) struct tsdb_appender *a = tsdb_appender_new(w->db);
    const struct test *t = w->test;

    for (; (int64_t)w->loaded * t->interval_ms <= at_ms; w->loaded++) {
        for (size_t i = 0; i < t->n_series; i++) {
            const struct promql_series *s = &t->series[i];

            if (w->loaded < s->len && s->points[w->loaded].there) {
                (void)tsdb_append(a, tsdb_series(a, s->labels), (int64_t)w->loaded * t->interval_ms,
                                  s->points[w->loaded].v);
            }
        }
    }
    return tsdb_commit(a, TSDB_SOON, e);
}

static void put_quoted(struct buf *out, struct str s)
{
    (void)buf_add(out, STR("\""));
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        (void)buf_add(out, c == '"'    ? STR("\\\"")
                           : c == '\\' ? STR("\\\\")
                           : c == '\n' ? STR("\\n")
                                       : str_n(s.p + i, 1));
    }
    (void)buf_add(out, STR("\""));
}

static void put_labels(struct buf *out, struct labels s, bool named)
{
    struct str name = named ? labels_get(s, STR(LABEL_NAME)) : STR_EMPTY;
    size_t n = 0;

    (void)buf_add(out, name);
    (void)buf_add(out, STR("{"));
    for (size_t i = 0; i < s.len; i++) {
        if (name.len == 0 || !str_eq(s.p[i].name, STR(LABEL_NAME))) {
            (void)buf_printf(out, "%s%.*s=", n++ > 0 ? ", " : "", STR_ARG(s.p[i].name));
            put_quoted(out, s.p[i].value);
        }
    }
    (void)buf_add(out, STR("}"));
}

static void begin_failure(struct world *w, unsigned line, const char *what, struct str subject,
                          int64_t at_ms)
{
    struct buf *out = w->suite->report;

    w->failed++;
    (void)buf_printf(out, "    FAILED: line %u: ", line);
    if (w->test->name.len > 0) {
        (void)buf_printf(out, "name: %.*s, ", STR_ARG(w->test->name));
    }
    (void)buf_printf(out, "%s: %.*s, time: %gs\n", what, STR_ARG(subject), (double)at_ms / 1000);
}

static bool same_alert(const struct expected_alert *x, const struct rule_alert *a)
{
    return labels_eq(x->labels, a->labels) && labels_eq(x->annotations, a->annotations);
}

static void put_alert(struct buf *out, struct labels labels, struct labels annotations)
{
    (void)buf_add(out, STR("          labels "));
    put_labels(out, labels, false);
    (void)buf_add(out, STR(" annotations "));
    put_labels(out, annotations, false);
    (void)buf_add(out, STR("\n"));
}

static void check_alerts(struct world *w, const struct alert_case *c)
{
    VEC(struct rule_alert) firing = {0}; /* views */
    size_t matched = 0;

    for (size_t g = 0; g < w->suite->groups.len; g++) {
        const struct rule_group *group = w->suite->groups.p[g].group;

        for (size_t i = 0; i < group->n_rules; i++) {
            size_t n;
            const struct rule_alert *all = rule_run_alerts(w->runs[g], i, &n);

            for (size_t k = 0; str_eq(group->rules[i].name, c->name) && k < n; k++) {
                if (all[k].state == RULE_FIRING) {
                    *vec_push(&firing) = all[k];
                }
            }
        }
    }
    for (size_t x = 0; x < c->n_alerts; x++) {
        for (size_t i = 0; i < firing.len; i++) {
            if (same_alert(&c->alerts[x], &firing.p[i])) {
                matched++;
                break;
            }
        }
    }
    if (matched != c->n_alerts || firing.len != c->n_alerts) {
        begin_failure(w, c->line, "alertname", c->name, c->at_ms);
        (void)buf_add(w->suite->report, STR("        expected:\n"));
        for (size_t x = 0; x < c->n_alerts; x++) {
            put_alert(w->suite->report, c->alerts[x].labels, c->alerts[x].annotations);
        }
        (void)buf_add(w->suite->report, STR("        came:\n"));
        for (size_t i = 0; i < firing.len; i++) {
            put_alert(w->suite->report, firing.p[i].labels, firing.p[i].annotations);
        }
    }
    vec_done(&firing);
}

static bool same_value(const struct suite *s, double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) && isnan(b);
    }
    return a == b || (s->fuzzy && fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b)));
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(((const struct expected_sample *)a)->labels,
                      ((const struct expected_sample *)b)->labels);
}

static void put_samples(struct buf *out, const struct expected_sample *s, size_t n)
{
    char text[NUMBER_TEXT_MAX];

    for (size_t i = 0; i < n; i++) {
        (void)buf_add(out, STR("          "));
        put_labels(out, s[i].labels, true);
        (void)buf_add(out, STR(" "));
        (void)buf_add(out, str_n(text, number_short(s[i].v, text)));
        (void)buf_add(out, STR("\n"));
    }
}

static void compare(struct world *w, const struct query_case *c, struct expected_sample *came,
                    size_t n)
{
    bool same = n == c->n_samples;

    qsort(came, n, sizeof(*came), by_labels);
    qsort(c->samples, c->n_samples, sizeof(*came), by_labels);
    for (size_t i = 0; same && i < n; i++) {
        same = labels_eq(came[i].labels, c->samples[i].labels) &&
               same_value(w->suite, came[i].v, c->samples[i].v);
    }
    if (!same) {
        begin_failure(w, c->line, "expr", c->text, c->at_ms);
        (void)buf_add(w->suite->report, STR("        expected:\n"));
        put_samples(w->suite->report, c->samples, c->n_samples);
        (void)buf_add(w->suite->report, STR("        came:\n"));
        put_samples(w->suite->report, came, n);
    }
}

static void check_query(struct world *w, const struct query_case *c)
{
    struct promql_range now = {c->at_ms, c->at_ms, 0};
    struct arena *a = &w->suite->arena;
    struct expected_sample *came;
    struct promql_answer out;
    struct err e;
    int64_t from, to;

    promql_times(c->query, &now, &limits, &from, &to);

    SCOPED(tsdb_view_closep) struct tsdb_view *view = tsdb_view_open(w->db, from, to);

    if (promql_run(view, c->query, &now, &limits, a, &out, &e) < 0) {
        begin_failure(w, c->line, "expr", c->text, c->at_ms);
        (void)buf_printf(w->suite->report, "        %s\n", e.msg);
        return;
    }
    came = arena_new_array(a, struct expected_sample, out.n_rows + 1);
    if (out.type == PROMQL_SCALAR) {
        came[0] = (struct expected_sample){.v = out.scalar};
        compare(w, c, came, 1);
        return;
    }
    for (size_t i = 0; i < out.n_rows; i++) {
        came[i] = (struct expected_sample){out.rows[i].labels, out.rows[i].v[out.rows[i].len - 1]};
    }
    compare(w, c, came, out.n_rows);
}

static int64_t last_moment(const struct test *t)
{
    int64_t last = 0;

    for (size_t i = 0; i < t->n_alerts; i++) {
        last = t->alerts[i].at_ms > last ? t->alerts[i].at_ms : last;
    }
    for (size_t i = 0; i < t->n_queries; i++) {
        last = t->queries[i].at_ms > last ? t->queries[i].at_ms : last;
    }
    return last;
}

static int run_steps(struct world *w, struct err *e)
{
    const struct suite *s = w->suite;
    const struct test *t = w->test;
    struct rule_host host = {w->db, t->external, t->external_url, &limits, 0};
    int64_t last = last_moment(t);

    for (int64_t at = 0; at <= last; at += s->interval_ms) {
        if (load_until(w, at, e) < 0) {
            return -1;
        }
        for (size_t g = 0; g < s->groups.len; g++) {
            rule_run_eval(w->runs[g], &host, at);
            for (size_t i = 0; i < s->groups.p[g].group->n_rules; i++) {
                const struct rule_health *h = rule_run_health(w->runs[g], i);

                if (h->error[0] != '\0') {
                    begin_failure(w, t->line, "rule", s->groups.p[g].group->rules[i].name, at);
                    (void)buf_printf(s->report, "        %s\n", h->error);
                }
            }
        }
        for (size_t i = 0; i < t->n_alerts; i++) {
            if (t->alerts[i].at_ms >= at && t->alerts[i].at_ms < at + s->interval_ms) {
                check_alerts(w, &t->alerts[i]);
            }
        }
    }
    if (load_until(w, last, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < t->n_queries; i++) {
        check_query(w, &t->queries[i]);
    }
    return 0;
}

/* 1: it failed; 0: it did not; -1: it could not be run. */
static int run_test(struct suite *s, const struct test *t, struct err *e)
{
    static const struct tsdb_options options = {.block_ms = 2 * 3600 * 1000,
                                                .max_series = LIMIT_TEST_POINTS};
    const char *tmp = getenv("TMPDIR");
    char *dir = xasprintf("%s/strata-rules-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    struct world w = {.suite = s, .test = t};
    struct err ignored;
    int result = -1;

    w.runs = xnew_array(struct rule_run *, s->groups.len + 1);
    for (size_t g = 0; g < s->groups.len; g++) {
        w.runs[g] = rule_run_new(s->groups.p[g].group);
    }
    if (mkdtemp(dir) == NULL) {
        err_sys(e, "mkdtemp %s", dir);
    } else {
        w.db = tsdb_open(dir, &options, e);
        result = w.db == NULL ? -1 : run_steps(&w, e);
        tsdb_close(w.db);
        (void)!fs_remove_tree(AT_FDCWD, dir, &ignored);
    }
    for (size_t g = 0; g < s->groups.len; g++) {
        rule_run_free(w.runs[g]);
    }
    free(w.runs);
    free(dir);
    return result < 0 ? -1 : w.failed > 0;
}

int rules_test(const char *path, struct buf *report, struct err *e)
{
    struct suite s = {.report = report};
    int failed = 0, result = rules_suite_read(&s, path, e);

    for (size_t i = 0; result >= 0 && i < s.n_tests; i++) {
        result = run_test(&s, &s.tests[i], e);
        failed += result > 0;
    }
    vec_done(&s.groups);
    err_list_done(&s.errors);
    arena_done(&s.arena);
    return result < 0 ? -1 : failed;
}
