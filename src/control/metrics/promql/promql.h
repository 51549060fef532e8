/* promql - queries over what tsdb holds: PromQL of Prometheus 3.
 *
 *   text --promql_parse--> tree --promql_run--> rows of samples
 *
 * A query is worked out series by series for all moments of its range at once: an aggregation over
 * a thousand series holds its groups and one series, not a thousand. Ranges are open at their left,
 * as in Prometheus 3. A step of a range where a series has no sample is marked by the bits of
 * tsdb_stale(), which no sample has when it is asked for.
 *
 * Threads: any; a query on one. Memory: the arena, and what the limits allow beside it.
 * Errors are what Prometheus says, where people may know them. */
#pragma once
#include "promql/parse.h"

struct tsdb_view;

struct promql_range {
    int64_t start_ms, end_ms;
    int64_t step_ms; /* 0: one moment, start_ms */
};

struct promql_limits {
    size_t samples;          /* held at once: values of steps and what is read */
    int64_t lookback_ms;     /* 5 m */
    int64_t default_step_ms; /* of a subquery without one; 1 m */
    /* Asked now and then; true ends the query (the client went away, or its time is over). */
    bool (*is_over)(void *ctx);
    void *ctx;
};

struct promql_row {
    struct labels labels;
    size_t len;
    const int64_t *ts_ms;
    const double *v;
};

/* What is odd with a query that has an answer: "PromQL warning: ...", each once. */
struct promql_notes {
    const char **warnings, **infos;
    size_t n_warnings, n_infos;
};

struct promql_answer {
    enum promql_type type; /* of one moment; of a range: MATRIX */
    struct promql_row *rows;
    size_t n_rows;
    double scalar;   /* SCALAR */
    struct str text; /* STRING */
    struct promql_notes notes;
    uint64_t samples_read, samples_peak; /* from the store; held at once, as the limit counts */
};

/* Everything in the arena. Rows of a range are in the order of their labels. */
int promql_run(struct tsdb_view *view, const struct promql_node *query,
               const struct promql_range *range, const struct promql_limits *limits,
               struct arena *a, struct promql_answer *out, struct err *e) MUST_USE;
/* The times that a query reads, for tsdb_view_open(). */
void promql_times(const struct promql_node *query, const struct promql_range *range,
                  const struct promql_limits *limits, int64_t *from_ms, int64_t *to_ms);
/* Puts matchers into every selector: what somebody may see. */
void promql_restrict(struct promql_node *query, struct arena *a, const struct label_matcher *m,
                     size_t n);
