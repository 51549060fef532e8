#include "algorithms/kernel/simd.h"

#include "algorithms/kernel/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const size_t shapes[][3] = {{1, 1, 1},   {3, 5, 7},    {12, 32, 256}, {13, 33, 257},
                                   {64, 10, 9}, {5, 64, 600}, {25, 17, 1},   {4, 100, 300}};

static float *random_f32(struct rng *r, size_t n)
{
    float *v = malloc(n * sizeof(*v));

    for (size_t i = 0; i < n; i++) {
        v[i] = (float)(rng_unit(r) * 2 - 1);
    }
    return v;
}

static double *random_f64(struct rng *r, size_t n)
{
    double *v = malloc(n * sizeof(*v));

    for (size_t i = 0; i < n; i++) {
        v[i] = rng_unit(r) * 2 - 1;
    }
    return v;
}

/* The same product with plain loops; transposed operands by swapped strides. */
static void check_f64(const struct simd *s, const size_t shape[3], int ta, int tb)
{
    size_t m = shape[0], n = shape[1], k = shape[2];
    struct rng r;
    double *a, *b, *c, *want;
    struct gemm_f64 g;

    rng_init(&r, m * 1000 + n, k);
    a = random_f64(&r, m * k), b = random_f64(&r, k * n), c = random_f64(&r, m * n);
    want = malloc(m * n * sizeof(*want));
    g = (struct gemm_f64){m, n, k, a, ta ? 1 : k, ta ? m : 1, b, tb ? 1 : n, tb ? k : 1, c, n};
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            long double sum = c[i * n + j];

            for (size_t p = 0; p < k; p++) {
                sum += (long double)a[i * g.a_row + p * g.a_col] * b[p * g.b_row + j * g.b_col];
            }
            want[i * n + j] = (double)sum;
        }
    }
    s->gemm_f64(&g);
    for (size_t i = 0; i < m * n; i++) {
        assert_true(fabs(c[i] - want[i]) < 1e-12 * (double)(k + 10));
    }
    free(a), free(b), free(c), free(want);
}

static void check_f32(const struct simd *s, const size_t shape[3], int ta, int tb)
{
    size_t m = shape[0], n = shape[1], k = shape[2];
    struct rng r;
    float *a, *b, *c, *before;
    struct gemm_f32 g;

    rng_init(&r, m * 1000 + n, k);
    a = random_f32(&r, m * k), b = random_f32(&r, k * n), c = random_f32(&r, m * n);
    before = malloc(m * n * sizeof(*before));
    memcpy(before, c, m * n * sizeof(*before));
    g = (struct gemm_f32){m, n, k, a, ta ? 1 : k, ta ? m : 1, b, tb ? 1 : n, tb ? k : 1, c, n};
    s->gemm_f32(&g);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = (double)before[i * n + j];

            for (size_t p = 0; p < k; p++) {
                sum += (double)a[i * g.a_row + p * g.a_col] * (double)b[p * g.b_row + j * g.b_col];
            }
            assert_true(fabs((double)c[i * n + j] - sum) < 1e-6 * (double)(k + 10));
        }
    }
    free(a), free(b), free(c), free(before);
}

static void products_equal_those_of_plain_loops(void **state)
{
    const struct simd *s;

    (void)state;
    for (size_t i = 0; (s = simd_nth(i)); i++) {
        for (size_t k = 0; k < ARRAY_LEN(shapes); k++) {
            for (int t = 0; t < 4; t++) {
                check_f64(s, shapes[k], t & 1, t >> 1);
                check_f32(s, shapes[k], t & 1, t >> 1);
            }
        }
    }
}

static void exponentials_are_exact_to_a_last_place(void **state)
{
    const struct simd *s;

    (void)state;
    for (size_t i = 0; (s = simd_nth(i)); i++) {
        for (double x = -707; x < 708; x += 0.37) {
            double d = x;

            s->exp_f64(&d, 1);
            assert_true(fabs(d / exp(x) - 1) < 4e-16);
        }
        for (float x = -86.9F; x < 87; x += 0.11F) {
            float f = x;

            s->exp_f32(&f, 1);
            assert_true(fabs((double)f / exp((double)x) - 1) < 2e-7);
        }
    }
}

static void row_sums_equal_plain_ones(void **state)
{
    enum { ROWS = 11, N = 29 };
    const struct simd *s;
    struct rng r;
    double *x, *w, *z;

    (void)state;
    rng_init(&r, 5, 5);
    x = random_f64(&r, ROWS * N), w = random_f64(&r, N), z = random_f64(&r, ROWS);
    for (size_t i = 0; (s = simd_nth(i)); i++) {
        double got[ROWS], g[N] = {0};

        s->rows_dot(ROWS, N, x, w, got);
        s->rows_add(ROWS, N, x, z, g);
        for (size_t k = 0; k < ROWS; k++) {
            double sum = 0;

            for (size_t j = 0; j < N; j++) {
                sum += x[k * N + j] * w[j];
            }
            assert_true(fabs(sum - got[k]) < 1e-13);
        }
        for (size_t j = 0; j < N; j++) {
            double sum = 0;

            for (size_t k = 0; k < ROWS; k++) {
                sum += z[k] * x[k * N + j];
            }
            assert_true(fabs(sum - g[j]) < 1e-13);
        }
    }
    free(x), free(w), free(z);
}

/* Sets with fused multiply-add give the same bytes whatever the width of their vectors. */
static void avx2_and_avx512_agree_to_the_byte(void **state)
{
    const struct simd *a = simd_nth(0), *b = simd_nth(1);
    enum { M = 37, N = 45, K = 333 };
    struct rng r;
    float *x, *y, *c[2];

    (void)state;
    if (a == NULL || b == NULL || strcmp(a->name, "avx512") != 0) {
        skip();
    }
    rng_init(&r, 9, 9);
    x = random_f32(&r, M * K), y = random_f32(&r, K * N);
    for (int i = 0; i < 2; i++) {
        c[i] = calloc(M * N, sizeof(float));
        simd_nth((size_t)i)->gemm_f32(&(struct gemm_f32){M, N, K, x, K, 1, y, N, 1, c[i], N});
        simd_nth((size_t)i)->exp_f32(c[i], M * N);
    }
    assert_memory_equal(c[0], c[1], M * N * sizeof(float));
    free(x), free(y), free(c[0]), free(c[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_those_of_plain_loops),
        cmocka_unit_test(exponentials_are_exact_to_a_last_place),
        cmocka_unit_test(row_sums_equal_plain_ones),
        cmocka_unit_test(avx2_and_avx512_agree_to_the_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
