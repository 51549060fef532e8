/* ast - a query of PromQL as a tree. All of it lives in the arena of the query; nothing is changed
 * after promql_parse but the marks of the evaluator.
 *
 *   sum by (job) (rate(http_requests_total{code=~"5.."}[5m] offset 1h)) > 0.1
 *
 *   BINARY >
 *     AGGREGATE sum by (job)
 *       CALL rate
 *         RANGE 5m
 *           SELECTOR __name__="http_requests_total", code=~"5.."   offset 1h
 *     NUMBER 0.1
 *
 * Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ (3.x). */
#pragma once
#include "labels/labels.h"

enum promql_type { PROMQL_NONE, PROMQL_SCALAR, PROMQL_VECTOR, PROMQL_MATRIX, PROMQL_STRING };

enum promql_kind {
    PROMQL_NUMBER,
    PROMQL_TEXT, /* a string */
    PROMQL_SELECTOR,
    PROMQL_RANGE, /* child: a SELECTOR, which holds offset and @ */
    PROMQL_SUBQUERY,
    PROMQL_CALL,
    PROMQL_AGGREGATE,
    PROMQL_BINARY,
    PROMQL_UNARY, /* op: SUB, or ADD, which changes nothing */
    PROMQL_PAREN
};

enum promql_op {
    PROMQL_ADD,
    PROMQL_SUB,
    PROMQL_MUL,
    PROMQL_DIV,
    PROMQL_MOD,
    PROMQL_POW,
    PROMQL_ATAN2,
    PROMQL_EQ,
    PROMQL_NE,
    PROMQL_GT,
    PROMQL_LT,
    PROMQL_GE,
    PROMQL_LE,
    PROMQL_AND,
    PROMQL_OR,
    PROMQL_UNLESS,
    PROMQL_OPS
};

enum promql_aggregation {
    PROMQL_SUM,
    PROMQL_AVG,
    PROMQL_MIN,
    PROMQL_MAX,
    PROMQL_COUNT,
    PROMQL_GROUP,
    PROMQL_STDDEV,
    PROMQL_STDVAR,
    PROMQL_TOPK,
    PROMQL_BOTTOMK,
    PROMQL_QUANTILE,
    PROMQL_COUNT_VALUES,
    PROMQL_AGGREGATIONS
};

enum promql_at { PROMQL_AT_NONE, PROMQL_AT_TIME, PROMQL_AT_START, PROMQL_AT_END };
enum promql_card { PROMQL_ONE_TO_ONE, PROMQL_MANY_TO_ONE, PROMQL_ONE_TO_MANY, PROMQL_MANY_TO_MANY };

struct promql_names {
    struct str *p;
    size_t len;
};

struct promql_function; /* functions.h */

struct promql_node {
    enum promql_kind kind;
    enum promql_type type;
    size_t from, to; /* bytes of the text */
    unsigned height; /* of the tree below */

    struct promql_node **children; /* RANGE, SUBQUERY, UNARY, PAREN: 1; BINARY: left, right; */
    size_t n_children;             /* CALL: arguments; AGGREGATE: expression [, parameter] */

    double number;   /* NUMBER */
    bool is_seconds; /* ...that was written as a duration */
    struct str text; /* TEXT */

    /* SELECTOR. The name, when it was given as one, is a matcher too. */
    struct label_matcher *matchers;
    size_t n_matchers;
    bool has_name;
    struct str name;

    /* SELECTOR, SUBQUERY */
    int64_t offset_ms;
    enum promql_at at;
    int64_t at_ms;

    int64_t range_ms; /* RANGE, SUBQUERY */
    int64_t step_ms;  /* SUBQUERY; 0: the default */

    const struct promql_function *function; /* CALL */

    enum promql_aggregation aggregation;
    bool without;
    struct promql_names grouping; /* AGGREGATE */

    enum promql_op op; /* BINARY, UNARY */
    bool returns_bool;
    bool has_matching, on; /* on(...) or ignoring(...) stands there */
    enum promql_card card;
    struct promql_names matching, include; /* include: the labels of group_left, group_right */
};

/* "+", "and", ... */
const char *promql_op_name(enum promql_op op);
bool promql_op_compares(enum promql_op op);
bool promql_op_is_set(enum promql_op op); /* and, or, unless */
const char *promql_aggregation_name(enum promql_aggregation a);
bool promql_aggregation_takes(enum promql_aggregation a); /* a parameter before the expression */
const char *promql_type_name(enum promql_type t);         /* as in Prometheus' messages */
