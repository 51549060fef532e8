/* unit - files of tests for rules, as promtool runs them: series of the test go into a store of
 * their own, the rules run over it at every interval, and what came is compared. */
#include "rules/rules.h"
#include "rules/rules_priv.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/vec.h"
#include "base/yaml.h"
#include "promql/series.h"
#include "tsdb/tsdb.h"

#include <fcntl.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct promql_limits limits = {50000000, 300000, 60000, NULL, NULL};

struct expected_alert {
    struct labels labels, annotations;
};

struct alert_case {
    unsigned line;
    int64_t at_ms;
    struct str name;
    struct expected_alert *alerts;
    size_t n_alerts;
};

struct expected_sample {
    struct labels labels;
    double v;
};

struct query_case {
    unsigned line;
    int64_t at_ms;
    struct str text;
    const struct promql_node *query;
    struct expected_sample *samples;
    size_t n_samples;
};

struct test {
    struct str name;
    unsigned line;
    int64_t interval_ms;
    struct promql_series *series;
    size_t n_series;
    struct alert_case *alerts;
    size_t n_alerts;
    struct query_case *queries;
    size_t n_queries;
    struct labels external;
    struct str external_url;
};

struct loaded {
    const struct rule_group *group;
};

struct suite {
    struct arena arena;
    int64_t interval_ms;
    bool fuzzy;
    VEC(struct loaded) groups;
    struct test *tests;
    size_t n_tests;
    struct err_list errors;
    struct buf *report;
};

/* --- reading --- */

static int read_whole(struct arena *a, const char *path, struct str *out, struct err *e)
{
    struct buf b = BUF_MAX(LIMIT_SPEC_BYTES);
    int result = fs_read(AT_FDCWD, path, &b, e);

    *out = arena_str(a, buf_str(&b));
    buf_done(&b);
    return result;
}

/* A list of a map, or NULL; `n` is how many. */
static const struct yaml_node *list_of(const struct yaml_node *map, const char *key, size_t *n,
                                       struct err_list *l)
{
    const struct yaml_node *list = yaml_get(map, key);

    *n = 0;
    if (yaml_is_null(list)) {
        return NULL;
    }
    if (list->kind != YAML_LIST) {
        rules_mistake(l, list, "\"%s\" is a list", key);
        return NULL;
    }
    *n = list->n_children;
    return list->children;
}

static void parse_series(struct suite *s, const struct yaml_node *n, struct promql_series *out)
{
    static const char *const keys[] = {"series", "values"};
    struct err e;

    if (!rules_only_keys(n, keys, ARRAY_LEN(keys), "an input series", &s->errors)) {
        return;
    }
    if (promql_parse_labels(&s->arena, rules_text(n, "series", &s->errors), &out->labels, &e) < 0 ||
        promql_parse_points(&s->arena, rules_text(n, "values", &s->errors), out, &e) < 0) {
        rules_mistake(&s->errors, n, "%s", e.msg);
    }
}

static void parse_alert_case(struct suite *s, const struct yaml_node *n, struct alert_case *out)
{
    static const char *const keys[] = {"eval_time", "alertname", "exp_alerts"};
    static const char *const alert_keys[] = {"exp_labels", "exp_annotations"};
    const struct yaml_node *c;
    size_t count;

    if (!rules_only_keys(n, keys, ARRAY_LEN(keys), "a test of an alert", &s->errors)) {
        return;
    }
    *out = (struct alert_case){.line = n->line,
                               .at_ms = rules_duration(n, "eval_time", 0, &s->errors),
                               .name = rules_text(n, "alertname", &s->errors)};
    if (out->name.len == 0) {
        rules_mistake(&s->errors, n, "an item under alert_rule_test misses attribute alertname");
    }
    c = list_of(n, "exp_alerts", &count, &s->errors);
    out->alerts = arena_new_array(&s->arena, struct expected_alert, count + 1);
    for (; c != NULL; c = c->next) {
        struct expected_alert *a = &out->alerts[out->n_alerts];
        struct labels given;

        if (!rules_only_keys(c, alert_keys, 2, "an expected alert", &s->errors)) {
            continue;
        }
        given = rules_labels(&s->arena, c, "exp_labels", &s->errors);
        a->labels.p = arena_new_array(&s->arena, struct label, given.len + 1);
        for (size_t i = 0; i < given.len; i++) {
            if (!str_eq(given.p[i].name, STR("alertname"))) {
                a->labels.p[a->labels.len++] = given.p[i];
            }
        }
        a->labels.p[a->labels.len++] = (struct label){STR("alertname"), out->name};
        (void)!labels_normalize(&a->labels, &(struct err){.msg = ""});
        a->annotations = rules_labels(&s->arena, c, "exp_annotations", &s->errors);
        out->n_alerts++;
    }
}

static bool number_of(struct str s, double *v)
{
    char text[64], *end;

    if (s.len == 0 || str_copy(s, text, sizeof(text)) < 0) {
        return false;
    }
    *v = strtod(text, &end);
    return *end == '\0';
}

static void parse_query_case(struct suite *s, const struct yaml_node *n, struct query_case *out)
{
    static const char *const keys[] = {"expr", "eval_time", "exp_samples"};
    static const char *const sample_keys[] = {"labels", "value", "histogram"};
    const struct yaml_node *c;
    struct err e;
    size_t count;

    if (!rules_only_keys(n, keys, ARRAY_LEN(keys), "a test of an expression", &s->errors)) {
        return;
    }
    *out = (struct query_case){.line = n->line,
                               .at_ms = rules_duration(n, "eval_time", 0, &s->errors),
                               .text = rules_text(n, "expr", &s->errors)};
    out->query = promql_parse(&s->arena, out->text, &e);
    if (out->query == NULL) {
        rules_mistake(&s->errors, n, "%s", e.msg);
    }
    c = list_of(n, "exp_samples", &count, &s->errors);
    out->samples = arena_new_array(&s->arena, struct expected_sample, count + 1);
    for (; c != NULL; c = c->next) {
        struct expected_sample *x = &out->samples[out->n_samples++];
        struct str labels;

        if (!rules_only_keys(c, sample_keys, ARRAY_LEN(sample_keys), "an expected sample",
                             &s->errors)) {
            continue;
        }
        if (yaml_get(c, "histogram")) {
            rules_mistake(&s->errors, c, "native histograms are not stored here");
        }
        labels = rules_text(c, "labels", &s->errors);
        if (labels.len > 0 && promql_parse_labels(&s->arena, labels, &x->labels, &e) < 0) {
            rules_mistake(&s->errors, c, "%s", e.msg);
        }
        if (yaml_get(c, "value") && !number_of(rules_text(c, "value", &s->errors), &x->v)) {
            rules_mistake(&s->errors, c, "\"value\" is a number");
        }
    }
}

static void parse_test(struct suite *s, const struct yaml_node *n, struct test *t)
{
    static const char *const keys[] = {
        "interval",        "name",        "input_series", "alert_rule_test", "promql_expr_test",
        "external_labels", "external_url"};
    const struct yaml_node *c;
    size_t count;

    if (!rules_only_keys(n, keys, ARRAY_LEN(keys), "a test", &s->errors)) {
        return;
    }
    *t = (struct test){.name = rules_text(n, "name", &s->errors),
                       .line = n->line,
                       .interval_ms = rules_duration(n, "interval", s->interval_ms, &s->errors),
                       .external = rules_labels(&s->arena, n, "external_labels", &s->errors),
                       .external_url = rules_text(n, "external_url", &s->errors)};
    if (t->interval_ms <= 0) {
        rules_mistake(&s->errors, n, "\"interval\" is more than zero");
    }
    c = list_of(n, "input_series", &count, &s->errors);
    t->series = arena_new_array(&s->arena, struct promql_series, count + 1);
    for (; c != NULL; c = c->next) {
        parse_series(s, c, &t->series[t->n_series++]);
    }
    c = list_of(n, "alert_rule_test", &count, &s->errors);
    t->alerts = arena_new_array(&s->arena, struct alert_case, count + 1);
    for (; c != NULL; c = c->next) {
        parse_alert_case(s, c, &t->alerts[t->n_alerts++]);
    }
    c = list_of(n, "promql_expr_test", &count, &s->errors);
    t->queries = arena_new_array(&s->arena, struct query_case, count + 1);
    for (; c != NULL; c = c->next) {
        parse_query_case(s, c, &t->queries[t->n_queries++]);
    }
}

static int load_rules(struct suite *s, const char *path, struct err *e)
{
    struct rule_file file;
    struct err_list errors = {0};
    struct str text;
    int result = read_whole(&s->arena, path, &text, e);

    if (result == 0 && rules_parse(&s->arena, text, &file, &errors) < 0) {
        (void)err_list_result(&errors, path, e);
        result = -1;
    }
    for (size_t i = 0; result == 0 && i < file.n_groups; i++) {
        *vec_push(&s->groups) = (struct loaded){&file.groups[i]};
    }
    err_list_done(&errors);
    return result;
}

/* One row of rule_files: a path or a pattern, relative to the file of tests. */
static int load_pattern(struct suite *s, const char *path, const struct yaml_node *n, struct err *e)
{
    const char *slash = strrchr(path, '/');
    const char *pattern =
        n->scalar.len > 0 && n->scalar.p[0] == '/'
            ? arena_strdup(&s->arena, n->scalar)
            : arena_printf(&s->arena, "%.*s%.*s", slash ? (int)(slash - path) + 1 : 0, path,
                           STR_ARG(n->scalar));
    glob_t found = {0};
    int result = 0;

    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc == 0) {
        result =
            err_set(e, ERR_NOT_FOUND, "%s line %u: no file is named %s", path, n->line, pattern);
    }
    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++) {
        result = load_rules(s, found.gl_pathv[i], e);
    }
    globfree(&found);
    return result;
}

/* The groups in the order of group_eval_order; those it does not name come first. */
static void order_groups(struct suite *s, const struct yaml_node *names)
{
    for (const struct yaml_node *n = names; n != NULL; n = n->next) {
        for (size_t i = 0; i < s->groups.len; i++) {
            struct loaded g = s->groups.p[i];

            if (str_eq(g.group->name, n->scalar)) {
                memmove(s->groups.p + i, s->groups.p + i + 1,
                        (s->groups.len - i - 1) * sizeof(struct loaded));
                s->groups.p[s->groups.len - 1] = g;
                break;
            }
        }
    }
}

static int read_suite(struct suite *s, const char *path, struct err *e)
{
    static const char *const keys[] = {"rule_files", "evaluation_interval", "group_eval_order",
                                       "tests", "fuzzy_compare"};
    const struct yaml_node *root, *c, *files;
    struct str text;
    size_t n;

    if (read_whole(&s->arena, path, &text, e) < 0) {
        return -1;
    }
    root = yaml_parse(&s->arena, text, e);
    if (root == NULL) {
        return err_wrap(e, "%s", path);
    }
    if (rules_only_keys(root, keys, ARRAY_LEN(keys), "a file of tests", &s->errors)) {
        s->interval_ms = rules_duration(root, "evaluation_interval", 60000, &s->errors);
        s->interval_ms = s->interval_ms > 0 ? s->interval_ms : 60000;
        s->fuzzy = str_eq(rules_text(root, "fuzzy_compare", &s->errors), STR("true"));
        files = list_of(root, "rule_files", &n, &s->errors);
        for (; files != NULL; files = files->next) {
            if (files->kind != YAML_SCALAR) {
                rules_mistake(&s->errors, files, "a rule file is a path");
            } else if (load_pattern(s, path, files, e) < 0) {
                return -1;
            }
        }
        order_groups(s, list_of(root, "group_eval_order", &n, &s->errors));
        c = list_of(root, "tests", &n, &s->errors);
        s->tests = arena_new_array(&s->arena, struct test, n + 1);
        for (; c != NULL; c = c->next) {
            parse_test(s, c, &s->tests[s->n_tests++]);
        }
    }
    return err_list_result(&s->errors, path, e);
}

/* --- running --- */

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
    struct rule_host host = {w->db, t->external, t->external_url, &limits};
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
    int failed = 0, result = read_suite(&s, path, e);

    for (size_t i = 0; result >= 0 && i < s.n_tests; i++) {
        result = run_test(&s, &s.tests[i], e);
        failed += result > 0;
    }
    vec_done(&s.groups);
    err_list_done(&s.errors);
    arena_done(&s.arena);
    return result < 0 ? -1 : failed;
}
