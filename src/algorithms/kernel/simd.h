/* simd - the inner loops, once for every instruction set, chosen when the program starts.
 *
 * One source (simd_impl.c, with gemm_template.h for float and double) is compiled for the plain
 * instruction set of the architecture and, on x86-64, for AVX2+FMA and AVX-512. Sums run in an
 * order that does not depend on the width of a vector, so AVX2 and AVX-512 give the same bytes;
 * the plain set rounds products (no fused multiply-add) and differs in last places.
 * STRATA_ISA=plain|avx2|avx512 chooses by hand. Pure functions: any thread. */
#pragma once
#include "base/attrs.h"

#include <stddef.h>

/* C += A B, with A(i,p) = a[i*a_row + p*a_col], B(p,j) = b[p*b_row + j*b_col], C row-major.
 * Every element of C is one chain of additions in the order of p. */
struct gemm_f32 {
    size_t m, n, k;
    const float *a;
    size_t a_row, a_col;
    const float *b;
    size_t b_row, b_col;
    float *c;
    size_t c_row;
};
struct gemm_f64 {
    size_t m, n, k;
    const double *a;
    size_t a_row, a_col;
    const double *b;
    size_t b_row, b_col;
    double *c;
    size_t c_row;
};

/* One step of Adam (Kingma, Ba 2014) over n parameters. */
struct adam_f32 {
    float *w, *m, *v;
    const float *g;
    size_t n;
    float rate; /* learning rate with both bias corrections in it */
    float beta1, beta2, epsilon;
};

struct simd {
    const char *name;
    void (*gemm_f32)(const struct gemm_f32 *g);
    void (*gemm_f64)(const struct gemm_f64 *g);
    /* z[i] = x[i,:] . w   and   g[j] += sum over i of r[i] x[i,j] */
    void (*rows_dot)(size_t rows, size_t n, const double *x, const double *w, double *z);
    void (*rows_add)(size_t rows, size_t n, const double *x, const double *r, double *g);
    double (*dot_f64)(size_t n, const double *a, const double *b);
    void (*exp_f32)(float *x, size_t n);  /* relative error < 2e-7; below -87: 1e-38 */
    void (*exp_f64)(double *x, size_t n); /* relative error < 4e-16; below -708: 3e-308 */
    void (*add_f32)(float *to, const float *from, size_t n);
    void (*adam_f32)(const struct adam_f32 *a);
};

/* The best the CPU has, or what STRATA_ISA names. */
const struct simd *simd_get(void);
/* For tests: each set this CPU can run; NULL past the last. */
const struct simd *simd_nth(size_t i);
