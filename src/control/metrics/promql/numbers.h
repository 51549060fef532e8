/* numbers - the functions of PromQL that make one number of another: of mathematics, and of moments
 * in seconds since 1970, UTC. */
#pragma once
#include <stdbool.h>

struct promql_number {
    const char *name;
    double (*fn)(double v, double a, double b); /* a, b: further arguments */
    bool needs_order;                           /* nothing comes of a > b */
};

/* NULL: no such function. */
const struct promql_number *promql_number(const char *name);
