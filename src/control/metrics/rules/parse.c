/* parse - rule files, with a line for every mistake. */
#include "rules/rules.h"
#include "rules/rules_priv.h"
#include "rules/template.h"

#include "base/limits.h"
#include "base/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rules_mistake(struct err_list *l, const struct yaml_node *at, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_list_add(l, at->line, at->column, NULL, "%s", text);
}

bool rules_only_keys(const struct yaml_node *map, const char *const *keys, size_t n,
                     const char *where, struct err_list *l)
{
    if (map->kind != YAML_MAP) {
        rules_mistake(l, map, "%s is a map of keys", where);
        return false;
    }
    for (const struct yaml_node *c = map->children; c != NULL; c = c->next) {
        size_t i = 0;

        while (i < n && !str_eq_c(c->key, keys[i])) {
            i++;
        }
        if (i == n) {
            const char *near = str_nearest(c->key, keys, n);

            rules_mistake(l, c, "%s has no key \"%.*s\"%s%s%s", where,
                          STR_ARG(str_first(c->key, 100)), near ? "; is it \"" : "",
                          near ? near : "", near ? "\"?" : "");
        }
    }
    return true;
}

struct str rules_text(const struct yaml_node *map, const char *key, struct err_list *l)
{
    const struct yaml_node *n = yaml_get(map, key);

    if (n != NULL && n->kind != YAML_SCALAR) {
        rules_mistake(l, n, "\"%s\" is a text", key);
        return STR_EMPTY;
    }
    return n == NULL || yaml_is_null(n) ? STR_EMPTY : n->scalar;
}

int64_t rules_duration(const struct yaml_node *map, const char *key, int64_t otherwise,
                       struct err_list *l)
{
    const struct yaml_node *n = yaml_get(map, key);
    int64_t ms = otherwise;

    if (!yaml_is_null(n) && (n->kind != YAML_SCALAR || promql_duration(n->scalar, &ms) < 0)) {
        rules_mistake(l, n, "\"%s\" is a duration, as in 1h30m or 15s", key);
        return otherwise;
    }
    return ms;
}

struct labels rules_labels(struct arena *a, const struct yaml_node *map, const char *key,
                           struct err_list *l)
{
    const struct yaml_node *n = yaml_get(map, key);
    struct labels s = {NULL, 0};

    if (yaml_is_null(n)) {
        return s;
    }
    if (n->kind != YAML_MAP || n->n_children > LIMIT_SERIES_LABELS) {
        rules_mistake(l, n, "\"%s\" is a map of at most %d names and values", key,
                      LIMIT_SERIES_LABELS);
        return s;
    }
    s.p = arena_new_array(a, struct label, n->n_children + 1);
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        if (c->kind != YAML_SCALAR) {
            rules_mistake(l, c, "the value of %.*s is a text", STR_ARG(c->key));
        } else {
            s.p[s.len++] = (struct label){c->key, yaml_is_null(c) ? STR_EMPTY : c->scalar};
        }
    }
    for (size_t i = 1; i < s.len; i++) { /* by name; empty ones stay: they take a label away */
        for (size_t k = i; k > 0 && str_cmp(s.p[k].name, s.p[k - 1].name) < 0; k--) {
            struct label t = s.p[k];

            s.p[k] = s.p[k - 1];
            s.p[k - 1] = t;
        }
    }
    return s;
}

static void check_labels(const struct yaml_node *at, struct labels s, bool annotations,
                         struct err_list *l)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!label_name_is_valid(s.p[i].name) ||
            (!annotations && str_eq(s.p[i].name, STR(LABEL_NAME)))) {
            rules_mistake(l, at, "\"%.*s\" is no name of %s", STR_ARG(str_first(s.p[i].name, 100)),
                          annotations ? "an annotation" : "a label");
        }
    }
}

static void check_templates(const struct yaml_node *map, struct err_list *l)
{
    for (const struct yaml_node *c = map != NULL ? map->children : NULL; c != NULL; c = c->next) {
        struct err e;

        if (c->kind == YAML_SCALAR && rule_template_check(c->scalar, &e) < 0) {
            rules_mistake(l, c, "%.*s: %s", STR_ARG(str_first(c->key, 100)), e.msg);
        }
    }
}

static void check_rule(const struct yaml_node *n, const struct rule *r, struct err_list *l)
{
    const struct yaml_node *labels = yaml_get(n, "labels");
    const struct yaml_node *annotations = yaml_get(n, "annotations");

    check_labels(labels ? labels : n, r->labels, false, l);
    if (!r->is_alert) {
        if (!str_is_utf8(r->name)) {
            rules_mistake(l, n, "\"%.*s\" is no name of a series", STR_ARG(r->name));
        }
        if (annotations != NULL || yaml_get(n, "for") || yaml_get(n, "keep_firing_for")) {
            rules_mistake(l, n, "a recording rule has no %s",
                          annotations          ? "annotations"
                          : yaml_get(n, "for") ? "for"
                                               : "keep_firing_for");
        }
        return;
    }
    check_labels(annotations ? annotations : n, r->annotations, true, l);
    check_templates(labels, l);
    check_templates(annotations, l);
}

static void parse_rule(struct arena *a, const struct yaml_node *n, struct rule *r,
                       struct err_list *l)
{
    static const char *const keys[] = {"record",          "alert",  "expr",       "for",
                                       "keep_firing_for", "labels", "annotations"};
    struct str record, alert;
    struct err e;

    if (!rules_only_keys(n, keys, ARRAY_LEN(keys), "a rule", l)) {
        return;
    }
    record = rules_text(n, "record", l);
    alert = rules_text(n, "alert", l);
    if ((record.len > 0) == (alert.len > 0)) {
        rules_mistake(l, n,
                      record.len > 0 ? "a rule has \"record\" or \"alert\", not both"
                                     : "one of \"record\" and \"alert\" must be set");
        return;
    }
    *r = (struct rule){.is_alert = alert.len > 0,
                       .line = n->line,
                       .name = alert.len > 0 ? alert : record,
                       .text = rules_text(n, "expr", l),
                       .labels = rules_labels(a, n, "labels", l),
                       .annotations = rules_labels(a, n, "annotations", l),
                       .for_ms = rules_duration(n, "for", 0, l),
                       .keep_firing_ms = rules_duration(n, "keep_firing_for", 0, l)};
    check_rule(n, r, l);
    if (r->text.len == 0) {
        rules_mistake(l, n, "field \"expr\" must be set in rule \"%.*s\"", STR_ARG(r->name));
        return;
    }
    r->expression = promql_parse(a, r->text, &e);
    if (r->expression == NULL) {
        rules_mistake(l, yaml_get(n, "expr"), "could not parse expression: %s", e.msg);
    } else if (r->expression->type != PROMQL_VECTOR && r->expression->type != PROMQL_SCALAR) {
        rules_mistake(l, yaml_get(n, "expr"), "a rule is a vector or a number, not a %s",
                      promql_type_name(r->expression->type));
    }
}

/* Labels of the group, where the rule has no other value. */
static struct labels with_group(struct arena *a, struct labels group, struct labels rule)
{
    struct labels s = {arena_new_array(a, struct label, group.len + rule.len + 1), 0};
    size_t i = 0, k = 0;

    while (i < group.len || k < rule.len) {
        int order = i == group.len  ? 1
                    : k == rule.len ? -1
                                    : str_cmp(group.p[i].name, rule.p[k].name);

        s.p[s.len++] = order < 0 ? group.p[i] : rule.p[k];
        i += order <= 0;
        k += order >= 0;
    }
    return s;
}

static void parse_group(struct arena *a, const struct yaml_node *n, struct rule_group *g,
                        struct err_list *l)
{
    static const char *const keys[] = {"name",  "interval", "query_offset",
                                       "limit", "labels",   "rules"};
    const struct yaml_node *rules, *limit;
    struct labels labels;

    if (!rules_only_keys(n, keys, ARRAY_LEN(keys), "a group", l)) {
        return;
    }
    *g = (struct rule_group){.name = rules_text(n, "name", l),
                             .interval_ms = rules_duration(n, "interval", 0, l),
                             .query_offset_ms = rules_duration(n, "query_offset", 0, l)};
    limit = yaml_get(n, "limit");
    if (g->name.len == 0) {
        rules_mistake(l, n, "a group has a name");
    }
    if (!yaml_is_null(limit) &&
        (limit->kind != YAML_SCALAR || str_to_u64(limit->scalar, &g->limit) < 0)) {
        rules_mistake(l, limit, "\"limit\" is a number of series, or 0");
    }
    labels = rules_labels(a, n, "labels", l);
    check_labels(n, labels, false, l);
    rules = yaml_get(n, "rules");
    if (!yaml_is_null(rules) && rules->kind != YAML_LIST) {
        rules_mistake(l, rules, "\"rules\" is a list");
        return;
    }
    if (yaml_is_null(rules)) {
        return;
    }
    g->rules = arena_new_array(a, struct rule, rules->n_children + 1);
    for (const struct yaml_node *c = rules->children; c != NULL; c = c->next) {
        struct rule *r = &g->rules[g->n_rules++];

        parse_rule(a, c, r, l);
        r->labels = with_group(a, labels, r->labels);
    }
}

int rules_parse(struct arena *a, struct str text, struct rule_file *out, struct err_list *l)
{
    static const char *const keys[] = {"groups"};
    const struct yaml_node *groups;
    struct yaml_node *n;
    struct err e;

    *out = (struct rule_file){NULL, 0};
    if (str_trim(text).len == 0) {
        return 0;
    }
    n = yaml_parse(a, text, &e);
    if (n == NULL) {
        err_list_add(l, 0, 0, NULL, "%s", e.msg);
        return -1;
    }
    if (yaml_is_null(n)) {
        return 0;
    }
    groups =
        rules_only_keys(n, keys, ARRAY_LEN(keys), "a rule file", l) ? yaml_get(n, "groups") : NULL;
    if (groups == NULL || yaml_is_null(groups)) {
        return l->len > 0 ? -1 : 0;
    }
    if (groups->kind != YAML_LIST) {
        rules_mistake(l, groups, "\"groups\" is a list");
    } else {
        out->groups = arena_new_array(a, struct rule_group, groups->n_children + 1);
        for (const struct yaml_node *c = groups->children; c != NULL; c = c->next) {
            struct rule_group *g = &out->groups[out->n_groups++];

            parse_group(a, c, g, l);
            for (size_t i = 0; i + 1 < out->n_groups; i++) {
                if (g->name.len > 0 && str_eq(out->groups[i].name, g->name)) {
                    rules_mistake(l, c, "groupname: \"%.*s\" is repeated in the same file",
                                  STR_ARG(g->name));
                }
            }
        }
    }
    return l->len > 0 ? -1 : 0;
}
