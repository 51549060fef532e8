/* template - Go's text/template, which labels and annotations of alerts are written in.
 *
 *   {{ $labels.instance }} has {{ $value | humanize1024 }}B
 *   {{ with query "node_load1" }}{{ . | first | value | printf "%.2f" }}{{ else }}none{{ end }}
 *
 * The whole language: actions, pipelines, variables, if, with, range, break, define, template,
 * block, comments and trim markers; the functions of Go and those of Prometheus. A text is read to
 * a tree and the tree is worked out, both within limits: see template_priv.h.
 *
 * Threads: any. Sources: https://pkg.go.dev/text/template,
 * https://prometheus.io/docs/prometheus/latest/configuration/template_reference/ */
#pragma once
#include "base/buf.h"
#include "labels/labels.h"

struct promql_answer;

struct rule_values {
    struct labels labels, external;
    struct str external_url;
    double value;
    int64_t at_ms;
    /* Works out {{ query "..." }} in the arena; NULL: every query gives nothing. */
    int (*query)(void *ctx, struct str text, struct arena *a, struct promql_answer *out,
                 struct err *e);
    /* Asked at each step; true ends the template. May be NULL. */
    bool (*is_over)(void *ctx);
    void *ctx;
};

/* Only reads the text: 0 when it can be worked out. */
int rule_template_check(struct str text, struct err *e) MUST_USE;
int rule_template(struct str text, const struct rule_values *v, struct buf *out,
                  struct err *e) MUST_USE;
