#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dense.h"
#include "algorithms/kernel/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 60 };

/* B B^T of random numbers: positive definite when `columns` >= n, of that rank when less. */
static void random_matrix(double *a, size_t n, size_t columns)
{
    static double b[MOST * MOST];
    struct rng rng;

    rng_init(&rng, n, columns);
    for (size_t i = 0; i < n * columns; i++) {
        b[i] = rng_unit(&rng) - 0.5;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            a[i * n + j] = 0;
            for (size_t k = 0; k < columns; k++) {
                a[i * n + j] += b[i * columns + k] * b[j * columns + k];
            }
        }
    }
}

static void a_system_is_solved_by_its_factor(void **state)
{
    static double a[MOST * MOST], l[MOST * MOST];

    (void)state;
    for (size_t n = 1; n <= MOST; n += 7) {
        double x[MOST], b[MOST];

        random_matrix(a, n, n);
        memcpy(l, a, n * n * sizeof(*a));
        assert_int_equal(dense_cholesky(l, n, 0), 0);
        for (size_t i = 0; i < n; i++) {
            b[i] = (double)i - 3;
        }
        memcpy(x, b, sizeof(b));
        dense_cholesky_solve(l, n, x);
        for (size_t i = 0; i < n; i++) {
            double sum = 0;

            for (size_t j = 0; j < n; j++) {
                sum += a[i * n + j] * x[j];
            }
            assert_true(fabs(sum - b[i]) < 1e-6);
        }
    }
    random_matrix(a, 20, 10);
    assert_int_equal(dense_cholesky(a, 20, 1e-12), -1);
}

static void check_eigen(size_t n, size_t rank)
{
    static double a[MOST * MOST], q[MOST * MOST];
    double values[MOST];
    struct err e = {0};

    random_matrix(a, n, rank);
    memcpy(q, a, n * n * sizeof(*a));
    assert_int_equal(dense_eigen(q, n, values, &e), 0);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || values[i] <= values[i - 1]);
        assert_true(i < rank ? values[i] > 1e-9 || rank == n : fabs(values[i]) < 1e-12);
        for (size_t j = 0; j < n; j++) { /* a q = value q; rows of q are orthonormal */
            double sum = 0, product = 0;

            for (size_t k = 0; k < n; k++) {
                sum += a[j * n + k] * q[i * n + k];
                product += q[i * n + k] * q[j * n + k];
            }
            assert_true(fabs(sum - values[i] * q[i * n + j]) < 1e-12);
            assert_true(fabs(product - (i == j)) < 1e-12);
        }
    }
}

static void vectors_are_orthonormal_and_give_the_matrix_back(void **state)
{
    (void)state;
    for (size_t n = 1; n <= MOST; n++) {
        check_eigen(n, n);
    }
    check_eigen(40, 3);
    check_eigen(40, 1);
}

static void diagonal_and_zero_matrices_are_no_trouble(void **state)
{
    double a[9] = {2, 0, 0, 0, 5, 0, 0, 0, 3}, zero[9] = {0}, values[3];
    struct err e = {0};

    (void)state;
    assert_int_equal(dense_eigen(a, 3, values, &e), 0);
    assert_true(values[0] == 5 && values[1] == 3 && values[2] == 2);
    assert_true(a[1] == 1 && a[5] == 1 && a[6] == 1);
    assert_int_equal(dense_eigen(zero, 3, values, &e), 0);
    assert_true(values[0] == 0 && values[2] == 0);
    zero[4] = NAN;
    assert_int_equal(dense_eigen(zero, 3, values, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_is_solved_by_its_factor),
        cmocka_unit_test(vectors_are_orthonormal_and_give_the_matrix_back),
        cmocka_unit_test(diagonal_and_zero_matrices_are_no_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
