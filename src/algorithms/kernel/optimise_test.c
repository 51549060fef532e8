#include "algorithms/kernel/optimise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Rosenbrock's valley in 20 dimensions; its floor is at (1, 1, ...). */
static double valley(void *ctx, const double *x, double *g)
{
    size_t n = *(size_t *)ctx;
    double f = 0;

    for (size_t i = 0; i < n; i++) {
        g[i] = 0;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];

        f += 100 * a * a + b * b;
        g[i] += -400 * a * x[i] - 2 * b;
        g[i + 1] += 200 * a;
    }
    return f;
}

static void the_floor_of_a_curved_valley_is_found(void **state)
{
    size_t n = 20;
    double x[20];
    struct optimise o = {.fn = valley, .ctx = &n, .max_iter = 500, .epsilon = 1e-8};
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < n; i++) {
        x[i] = i % 2 ? 1 : -1.2;
    }
    assert_int_equal(optimise_lbfgs(&o, n, x, &e), 0);
    assert_true(o.converged && o.iterations < 300);
    for (size_t i = 0; i < n; i++) {
        assert_true(fabs(x[i] - 1) < 1e-6);
    }
}

/* Badly scaled: one direction is a million times steeper. */
static double bowl(void *ctx, const double *x, double *g)
{
    (void)ctx;
    g[0] = 2e6 * (x[0] - 3);
    g[1] = 2 * (x[1] + 5);
    return 1e6 * (x[0] - 3) * (x[0] - 3) + (x[1] + 5) * (x[1] + 5);
}

static void badly_scaled_bowls_take_few_steps(void **state)
{
    double x[2] = {0, 0};
    struct optimise o = {.fn = bowl, .max_iter = 100, .epsilon = 1e-6};
    struct err e = {0};

    (void)state;
    assert_int_equal(optimise_lbfgs(&o, 2, x, &e), 0);
    assert_true(o.converged && o.iterations < 20);
    assert_true(fabs(x[0] - 3) < 1e-9 && fabs(x[1] + 5) < 1e-6);
}

static void the_number_of_steps_is_bounded(void **state)
{
    size_t n = 20;
    double x[20] = {0};
    struct optimise o = {.fn = valley, .ctx = &n, .max_iter = 3, .epsilon = 1e-12};
    struct err e = {0};

    (void)state;
    assert_int_equal(optimise_lbfgs(&o, n, x, &e), 0);
    assert_false(o.converged);
    assert_int_equal(o.iterations, 3);
}

static double hole(void *ctx, const double *x, double *g)
{
    (void)ctx;
    (void)x;
    g[0] = 1;
    return NAN;
}

static void a_start_without_a_value_is_an_error(void **state)
{
    double x[1] = {0};
    struct optimise o = {.fn = hole, .max_iter = 3};
    struct err e = {0};

    (void)state;
    assert_int_equal(optimise_lbfgs(&o, 1, x, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_floor_of_a_curved_valley_is_found),
        cmocka_unit_test(badly_scaled_bowls_take_few_steps),
        cmocka_unit_test(the_number_of_steps_is_bounded),
        cmocka_unit_test(a_start_without_a_value_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
