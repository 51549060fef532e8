#include "base/attrs.h"
#include "promql/window.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { POINTS = 8 };

static bool over(promql_window_fn fn, const double *v, size_t n, double parameter, double *out)
{
    int64_t ts[POINTS];
    double scratch[POINTS];
    struct promql_window w = {ts, v, n, 0, 60000, 60000, parameter, scratch, NULL, 0};

    for (size_t i = 0; i < n; i++) { /* 10 s apart; the last one 5 s before the end */
        ts[i] = 55000 - (int64_t)(n - 1 - i) * 10000;
    }
    return fn(&w, out);
}

static void functions_give_what_prometheus_gives(void **state UNUSED)
{
    static const struct {
        promql_window_fn fn;
        double v[POINTS];
        size_t n;
        double parameter, result;
    } rows[] = {
        /* 5 s are added at both ends: 60 s of 50 sampled */
        {promql_increase, {100, 110, 120, 130, 140, 150}, 6, 0, 60},
        {promql_rate, {100, 110, 120, 130, 140, 150}, 6, 0, 1},
        {promql_delta, {100, 90, 80, 70, 60, 50}, 6, 0, -60},
        {promql_increase, {100, 110, 5, 15, 25, 35}, 6, 0, 54}, /* 110-100 + 5 + 30 = 45, of 50 s */
        {promql_increase, {0, 10, 20, 30, 40, 50}, 6, 0, 55},   /* never below zero */
        {promql_increase, {100, 110}, 2, 0, 20}, /* 45 s away: half of 10 s; and 5 s */
        {promql_irate, {100, 110, 130}, 3, 0, 2},
        {promql_irate, {100, 110, 30}, 3, 0, 3},
        {promql_idelta, {100, 110, 30}, 3, 0, -80},
        {promql_deriv, {0, 20, 40, 60}, 4, 0, 2},
        {promql_predict_linear, {0, 20, 40, 60}, 4, 10, 90},
        {promql_changes, {1, 1, 2, (double)NAN, (double)NAN, 2}, 6, 0, 3},
        {promql_resets, {3, 1, 2, 0}, 4, 0, 2},
        {promql_avg_over_time, {1, 2, 6}, 3, 0, 3},
        {promql_avg_over_time, {1e308, 1e308, 1e308}, 3, 0, 1e308},
        {promql_sum_over_time, {1, 1e100, 1, -1e100}, 4, 0, 2},
        {promql_min_over_time, {(double)NAN, 3, 1, 2}, 4, 0, 1},
        {promql_max_over_time, {(double)NAN, 3, 1, 2}, 4, 0, 3},
        {promql_count_over_time, {1, 2, 3}, 3, 0, 3},
        {promql_last_over_time, {1, 2, 3}, 3, 0, 3},
        {promql_present_over_time, {7}, 1, 0, 1},
        {promql_stddev_over_time, {2, 4, 4, 4, 5, 5, 7, 9}, 8, 0, 2},
        {promql_stdvar_over_time, {2, 4, 4, 4, 5, 5, 7, 9}, 8, 0, 4},
        {promql_quantile_over_time, {4, 1, 3, 2}, 4, 0.5, 2.5},
        {promql_quantile_over_time, {4, 1, 3, 2}, 4, 2, (double)INFINITY},
        {promql_quantile_over_time, {5}, 1, 0.9, 5},
    };
    double out;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(over(rows[i].fn, rows[i].v, rows[i].n, rows[i].parameter, &out));
        if (!(fabs(out - rows[i].result) <= 1e-12 * fabs(rows[i].result)) &&
            out != rows[i].result) {
            fail_msg("row %zu: %.17g, not %.17g", i, out, rows[i].result);
        }
    }
}

static void one_sample_has_no_slope(void **state UNUSED)
{
    static const promql_window_fn fns[] = {promql_rate,          promql_increase, promql_delta,
                                           promql_irate,         promql_idelta,   promql_deriv,
                                           promql_predict_linear};
    double v = 1, out;

    for (size_t i = 0; i < ARRAY_LEN(fns); i++) {
        assert_false(over(fns[i], &v, 1, 0, &out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_give_what_prometheus_gives),
        cmocka_unit_test(one_sample_has_no_slope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
