/* ml_gemm - our matrix product against OpenBLAS (serial), GFLOP/s of one thread; the figures of
 * docs/decisions/0009-strata-ml-static.md.
 *
 *   apt install libopenblas-serial-dev libgfortran-12-dev
 *   gcc -O2 -Isrc bench/ml_gemm.c build/src/algorithms/lib{algorithms,ml-plain,ml-avx2,ml-avx512}.a
 *       /usr/lib/x86_64-linux-gnu/openblas-serial/libopenblas.a -lgfortran -lm -o /tmp/ml_gemm */
#include "algorithms/kernel/simd.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 }; /* of cblas.h */
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                 int lda, const float *b, int ldb, float beta, float *c, int ldc);
void cblas_dgemm(int order, int ta, int tb, int m, int n, int k, double alpha, const double *a,
                 int lda, const double *b, int ldb, double beta, double *c, int ldc);

struct shape {
    int m, n, k, ta;
};

static double cpu(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print(const char *type, struct shape s, const char *who, double seconds, int reps)
{
    printf("%s %4d x %4d x %4d%s %-9s %6.1f GFLOP/s\n", type, s.m, s.n, s.k, s.ta ? " A'" : "   ",
           who, 2e-9 * s.m * s.n * s.k * reps / seconds);
}

/* The best of three of `reps` calls of `call`, a statement. */
#define MEASURE(reps, call)                                                                        \
    ({                                                                                             \
        double best_ = 1e9;                                                                        \
        for (int round_ = 0; round_ < 3; round_++) {                                               \
            double start_ = cpu();                                                                 \
            for (int rep_ = 0; rep_ < (reps); rep_++) {                                            \
                call;                                                                              \
            }                                                                                      \
            best_ = cpu() - start_ < best_ ? cpu() - start_ : best_;                               \
        }                                                                                          \
        best_;                                                                                     \
    })

static void measure_f32(struct shape s)
{
    size_t m = (size_t)s.m, n = (size_t)s.n, k = (size_t)s.k;
    float *a = calloc(m * k, 4), *b = calloc(k * n, 4), *c = calloc(m * n, 4);
    int reps = (int)(1e9 / (2.0 * s.m * s.n * s.k)) + 1;
    struct gemm_f32 g = {m, n, k, a, s.ta ? 1 : k, s.ta ? m : 1, b, n, 1, c, n};

    for (size_t i = 0; simd_nth(i); i++) {
        print("f32", s, simd_nth(i)->name, MEASURE(reps, simd_nth(i)->gemm_f32(&g)), reps);
    }
    print("f32", s, "openblas",
          MEASURE(reps, cblas_sgemm(ROW_MAJOR, s.ta ? TRANSPOSED : PLAIN, PLAIN, s.m, s.n, s.k, 1,
                                    a, s.ta ? s.m : s.k, b, s.n, 1, c, s.n)),
          reps);
    free(a), free(b), free(c);
}

static void measure_f64(struct shape s)
{
    size_t m = (size_t)s.m, n = (size_t)s.n, k = (size_t)s.k;
    double *a = calloc(m * k, 8), *b = calloc(k * n, 8), *c = calloc(m * n, 8);
    int reps = (int)(1e9 / (2.0 * s.m * s.n * s.k)) + 1;
    struct gemm_f64 g = {m, n, k, a, s.ta ? 1 : k, s.ta ? m : 1, b, n, 1, c, n};

    for (size_t i = 0; simd_nth(i); i++) {
        print("f64", s, simd_nth(i)->name, MEASURE(reps, simd_nth(i)->gemm_f64(&g)), reps);
    }
    print("f64", s, "openblas",
          MEASURE(reps, cblas_dgemm(ROW_MAJOR, s.ta ? TRANSPOSED : PLAIN, PLAIN, s.m, s.n, s.k, 1,
                                    a, s.ta ? s.m : s.k, b, s.n, 1, c, s.n)),
          reps);
    free(a), free(b), free(c);
}

int main(void)
{
    static const struct shape f32[] = {
        {512, 512, 512, 0}, {64, 128, 784, 0}, {784, 128, 64, 1}, {64, 64, 64, 0}};
    static const struct shape f64[] = {{512, 512, 512, 0}, {256, 10, 784, 0}, {784, 10, 256, 1}};

    for (size_t i = 0; i < ARRAY_LEN(f32); i++) {
        measure_f32(f32[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(f64); i++) {
        measure_f64(f64[i]);
    }
    return 0;
}
