/* functions - what PromQL can call: names and signatures, one table.
 * Source: https://prometheus.io/docs/prometheus/latest/querying/functions/ (3.x, the stable ones
 * that need no native histograms; those that do are known by name, and refused with a sentence that
 * says so). */
#pragma once
#include "promql/ast.h"

enum { PROMQL_ARGS = 5 };

struct promql_function {
    const char *name;
    enum promql_type returns;
    enum promql_type args[PROMQL_ARGS];
    unsigned n_args; /* at most; what is past it repeats the last when `any_more` */
    unsigned n_optional;
    bool any_more;
    bool histograms; /* of native histograms alone */
};

/* The function of that name, or NULL. Names are case sensitive. */
const struct promql_function *promql_function_find(struct str name);
