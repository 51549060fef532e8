/* unit_read - files of tests for rules, as promtool has them, with a line for every mistake. */
#include "rules/rules_priv.h"
#include "rules/unit.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/yaml.h"

#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

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

int rules_suite_read(struct suite *s, const char *path, struct err *e)
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
