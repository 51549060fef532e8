/* series - a line of the notation in which tests of rules write series.
 *
 *   http_requests_total{job="a"}  0+10x3 _ 5x2 stale NaN
 *                                 0 10 20 30, none, 5 5 5, the series ends, not a number
 *
 * Threads: any. Limits: LIMIT_TEST_POINTS on a line. Source: https://prometheus.io/docs/prometheus/
 * latest/configuration/unit_testing_rules/#series; histograms ({{...}}) are refused. */
#pragma once
#include "labels/labels.h"

struct promql_point {
    bool there; /* false: _ */
    double v;   /* tsdb_stale() where the series ends */
};

struct promql_series {
    struct labels labels;
    struct promql_point *points;
    size_t len;
};

/* The name and the labels, as in {__name__="a", b="c"} or a{b="c"}. In the arena; views of the
 * text. */
int promql_parse_labels(struct arena *a, struct str text, struct labels *out,
                        struct err *e) MUST_USE;
int promql_parse_points(struct arena *a, struct str text, struct promql_series *out,
                        struct err *e) MUST_USE;
/* Both, one after the other. */
int promql_parse_series(struct arena *a, struct str text, struct promql_series *out,
                        struct err *e) MUST_USE;
