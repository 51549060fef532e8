/* eval - what the files that work out a query share. A result is told series by series: `told` is
 * called with labels and a value for each step, both only valid during the call. */
#pragma once
#include "base/map.h"
#include "base/vec.h"
#include "promql/functions.h"
#include "promql/promql.h"
#include "promql/window.h"
#include "tsdb/tsdb.h"

struct eval_query { /* of the whole query */
    struct tsdb_view *view;
    const struct promql_limits *limits;
    struct arena *arena;
    struct promql_range range; /* what @ start() and @ end() mean */
    size_t samples;            /* held now */
    size_t peak;               /* the most of it */
    uint64_t read;             /* samples, from the store */
    struct promql_notes *notes;
};

struct eval { /* of an expression: those in a subquery have other steps */
    struct eval_query *query;
    int64_t start_ms, step_ms;
    size_t steps;
};

typedef int eval_told(void *ctx, struct labels labels, const double *v, struct err *e);
struct eval_sink {
    eval_told *fn;
    void *ctx;
};

static inline int64_t eval_time(const struct eval *ev, size_t step)
{
    return ev->start_ms + (int64_t)step * ev->step_ms;
}

/* -1 when the query is over: its time, or who asked went away. */
int eval_go_on(const struct eval *ev, struct err *e) MUST_USE;
/* Any expression of type VECTOR. */
int eval_vector(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                struct err *e) MUST_USE;
/* Of a selector the times of its samples, in seconds, in place of their values. */
int eval_sample_times(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                      struct err *e) MUST_USE;
/* Of type SCALAR: a value for each step, into v. */
int eval_scalar(struct eval *ev, const struct promql_node *n, double *v, struct err *e) MUST_USE;

int eval_held_too_much(const struct eval *ev, struct err *e); /* -1, with the limit */
/* Labels that stay in the arena until the query ends count as samples too, by their bytes: a
 * million series of one sample are not small. */
int eval_hold_labels(struct eval *ev, struct labels s, struct err *e) MUST_USE;
/* Room for samples; counts against the limit. */
double *eval_take(struct eval *ev, size_t n, struct err *e) MUST_USE;
void eval_give(struct eval *ev, double *v, size_t n);

/* A table of series that are kept. One that comes again with the same labels is merged where the
 * two have no value at the same step, and is an error otherwise. */
struct eval_series {
    struct labels labels;
    double *v;
};
struct eval_table {
    struct eval *ev;
    struct eval_series *p;
    size_t len, cap;
    struct map by_labels;
};
int eval_table_tell(void *table, struct labels labels, const double *v, struct err *e) MUST_USE;
void eval_table_done(struct eval_table *t);
int eval_table_fill(struct eval *ev, const struct promql_node *n, struct eval_table *t,
                    struct err *e) MUST_USE;
int eval_table_tell_all(const struct eval_table *t, struct eval_sink out, struct err *e) MUST_USE;

/* --- labels --- */
struct labels eval_without_name(struct arena *a, struct labels s);
/* Only those named, or all but those and the name of the metric. */
struct labels eval_only(struct arena *a, struct labels s, const struct promql_names *names);
struct labels eval_without(struct arena *a, struct labels s, const struct promql_names *names);
/* With another value for one; empty takes it away. */
struct labels eval_with(struct arena *a, struct labels s, struct str name, struct str value);
/* Bytes that are the same for equal sets and for no others: a key for a map. */
struct str eval_key(struct labels s, struct buf *out);

/* --- other files --- */
int eval_call(struct eval *ev, const struct promql_node *n, struct eval_sink out,
              struct err *e) MUST_USE;
int eval_aggregate(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                   struct err *e) MUST_USE;
int eval_binary(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                struct err *e) MUST_USE;
double eval_arithmetic(enum promql_op op, double a, double b);
/* Whether a comparison holds. */
bool eval_compare(enum promql_op op, double a, double b);

/* Series by series the samples of a RANGE or SUBQUERY, for each step a window. */
typedef int eval_windows(void *ctx, struct labels labels, const struct tsdb_samples *s,
                         struct err *e);
int eval_each_range(struct eval *ev, const struct promql_node *n, eval_windows *fn, void *ctx,
                    struct err *e) MUST_USE;
/* Whether windows move with the steps: not when @ fixes them. */
bool eval_moves(const struct promql_node *n);
/* (from, to] of a step in the time of the samples. */
void eval_window(const struct eval *ev, const struct promql_node *n, size_t step, int64_t *from_ms,
                 int64_t *to_ms);

void eval_warn(struct eval *ev, const struct promql_node *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void eval_inform(struct eval *ev, const struct promql_node *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void eval_warn_of_quantile(struct eval *ev, const struct promql_node *at, double q);
