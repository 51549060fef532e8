/* unit - a file of tests for rules, as it was read; private to rules. */
#pragma once
#include "rules/rules.h"

#include "base/vec.h"
#include "promql/series.h"

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

/* All mistakes in *e. The suite's memory is its caller's to give back, also then. */
int rules_suite_read(struct suite *s, const char *path, struct err *e) MUST_USE;
