#include "promql/functions.h"

#define S PROMQL_SCALAR
#define V PROMQL_VECTOR
#define M PROMQL_MATRIX
#define T PROMQL_STRING

/* clang-format off */
static const struct promql_function functions[] = {
    {"abs",                 V, {V}, 1, 0, false, false},
    {"absent",              V, {V}, 1, 0, false, false},
    {"absent_over_time",    V, {M}, 1, 0, false, false},
    {"acos",                V, {V}, 1, 0, false, false},
    {"acosh",               V, {V}, 1, 0, false, false},
    {"asin",                V, {V}, 1, 0, false, false},
    {"asinh",               V, {V}, 1, 0, false, false},
    {"atan",                V, {V}, 1, 0, false, false},
    {"atanh",               V, {V}, 1, 0, false, false},
    {"avg_over_time",       V, {M}, 1, 0, false, false},
    {"ceil",                V, {V}, 1, 0, false, false},
    {"changes",             V, {M}, 1, 0, false, false},
    {"clamp",               V, {V, S, S}, 3, 0, false, false},
    {"clamp_max",           V, {V, S}, 2, 0, false, false},
    {"clamp_min",           V, {V, S}, 2, 0, false, false},
    {"cos",                 V, {V}, 1, 0, false, false},
    {"cosh",                V, {V}, 1, 0, false, false},
    {"count_over_time",     V, {M}, 1, 0, false, false},
    {"day_of_month",        V, {V}, 1, 1, false, false},
    {"day_of_week",         V, {V}, 1, 1, false, false},
    {"day_of_year",         V, {V}, 1, 1, false, false},
    {"days_in_month",       V, {V}, 1, 1, false, false},
    {"deg",                 V, {V}, 1, 0, false, false},
    {"delta",               V, {M}, 1, 0, false, false},
    {"deriv",               V, {M}, 1, 0, false, false},
    {"exp",                 V, {V}, 1, 0, false, false},
    {"floor",               V, {V}, 1, 0, false, false},
    {"histogram_avg",       V, {V}, 1, 0, false, true},
    {"histogram_count",     V, {V}, 1, 0, false, true},
    {"histogram_fraction",  V, {S, S, V}, 3, 0, false, false},
    {"histogram_quantile",  V, {S, V}, 2, 0, false, false},
    {"histogram_stddev",    V, {V}, 1, 0, false, true},
    {"histogram_stdvar",    V, {V}, 1, 0, false, true},
    {"histogram_sum",       V, {V}, 1, 0, false, true},
    {"hour",                V, {V}, 1, 1, false, false},
    {"idelta",              V, {M}, 1, 0, false, false},
    {"increase",            V, {M}, 1, 0, false, false},
    {"irate",               V, {M}, 1, 0, false, false},
    {"label_join",          V, {V, T, T, T}, 4, 1, true, false},
    {"label_replace",       V, {V, T, T, T, T}, 5, 0, false, false},
    {"last_over_time",      V, {M}, 1, 0, false, false},
    {"ln",                  V, {V}, 1, 0, false, false},
    {"log10",               V, {V}, 1, 0, false, false},
    {"log2",                V, {V}, 1, 0, false, false},
    {"max_over_time",       V, {M}, 1, 0, false, false},
    {"min_over_time",       V, {M}, 1, 0, false, false},
    {"minute",              V, {V}, 1, 1, false, false},
    {"month",               V, {V}, 1, 1, false, false},
    {"pi",                  S, {S}, 0, 0, false, false},
    {"predict_linear",      V, {M, S}, 2, 0, false, false},
    {"present_over_time",   V, {M}, 1, 0, false, false},
    {"quantile_over_time",  V, {S, M}, 2, 0, false, false},
    {"rad",                 V, {V}, 1, 0, false, false},
    {"rate",                V, {M}, 1, 0, false, false},
    {"resets",              V, {M}, 1, 0, false, false},
    {"round",               V, {V, S}, 2, 1, false, false},
    {"scalar",              S, {V}, 1, 0, false, false},
    {"sgn",                 V, {V}, 1, 0, false, false},
    {"sin",                 V, {V}, 1, 0, false, false},
    {"sinh",                V, {V}, 1, 0, false, false},
    {"sort",                V, {V}, 1, 0, false, false},
    {"sort_desc",           V, {V}, 1, 0, false, false},
    {"sqrt",                V, {V}, 1, 0, false, false},
    {"stddev_over_time",    V, {M}, 1, 0, false, false},
    {"stdvar_over_time",    V, {M}, 1, 0, false, false},
    {"sum_over_time",       V, {M}, 1, 0, false, false},
    {"tan",                 V, {V}, 1, 0, false, false},
    {"tanh",                V, {V}, 1, 0, false, false},
    {"time",                S, {S}, 0, 0, false, false},
    {"timestamp",           V, {V}, 1, 0, false, false},
    {"vector",              V, {S}, 1, 0, false, false},
    {"year",                V, {V}, 1, 1, false, false},
};
/* clang-format on */

const struct promql_function *promql_function_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (str_eq_c(name, functions[i].name)) {
            return &functions[i];
        }
    }
    return NULL;
}
