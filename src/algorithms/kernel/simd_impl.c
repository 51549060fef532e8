/* The inner loops for one instruction set. Compiled several times, each time with
 * SIMD_TABLE (name of the table), SIMD_NAME (its word for people), SIMD_BYTES (of a vector
 * register) and SIMD_ROWS (rows of a product tile: what fits the registers). */
#include "algorithms/kernel/simd.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define GLUE_(a, b) a##_##b
#define GLUE(a, b) GLUE_(a, b)

typedef float vf __attribute__((vector_size(SIMD_BYTES), aligned(4), may_alias));
typedef double vd __attribute__((vector_size(SIMD_BYTES), aligned(8), may_alias));

extern const struct simd SIMD_TABLE;

#define MR SIMD_ROWS

#define REAL float
#define VEC vf
#define LANES (SIMD_BYTES / 4)
#define GEMM gemm_float
#define GEMM_ARGS gemm_f32
#include "algorithms/kernel/gemm_template.h"
#undef REAL
#undef VEC
#undef LANES
#undef GEMM
#undef GEMM_ARGS

#define REAL double
#define VEC vd
#define LANES (SIMD_BYTES / 8)
#define GEMM gemm_double
#define GEMM_ARGS gemm_f64
#include "algorithms/kernel/gemm_template.h"

/* Eight sums side by side on every machine, added in one order. */
enum { DOT_LANES = 8 };

static double dot(size_t n, const double *a, const double *b)
{
    double s[DOT_LANES] = {0};
    size_t i = 0;

    for (; i + DOT_LANES <= n; i += DOT_LANES) {
        for (size_t l = 0; l < DOT_LANES; l++) {
            s[l] += a[i + l] * b[i + l];
        }
    }
    for (size_t l = 0; i < n; i++, l++) {
        s[l] += a[i] * b[i];
    }
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static void rows_dot(size_t rows, size_t n, const double *x, const double *w, double *z)
{
    for (size_t i = 0; i < rows; i++) {
        z[i] = dot(n, x + i * n, w);
    }
}

/* Four rows at a time: g is read and written once for them. */
static void rows_add(size_t rows, size_t n, const double *x, const double *r, double *restrict g)
{
    size_t i = 0;

    for (; i + 4 <= rows; i += 4) {
        const double *x0 = x + i * n, *x1 = x0 + n, *x2 = x1 + n, *x3 = x2 + n;

        for (size_t j = 0; j < n; j++) {
            g[j] = g[j] + r[i] * x0[j] + r[i + 1] * x1[j] + r[i + 2] * x2[j] + r[i + 3] * x3[j];
        }
    }
    for (; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            g[j] += r[i] * x[i * n + j];
        }
    }
}

/* exp(x) = 2^k exp(r), |r| <= ln 2 / 2: k by the rounding of an addition, exp(r) by its Taylor
 * polynomial, 2^k put into the exponent bits. */
static void exp_float(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = x[i] < -87.0F ? -87.0F : x[i] > 88.0F ? 88.0F : x[i];
        float magic = v * 1.44269504F + 12582912.0F;
        float k = magic - 12582912.0F;
        float r = (v - k * 0.693359375F) - k * -2.12194440e-4F;
        float p = 1.9841270e-4F, scale;
        uint32_t bits;

        memcpy(&bits, &magic, sizeof(bits)); /* k lies in the low bits */
        p = p * r + 1.3888889e-3F;
        p = p * r + 8.3333333e-3F;
        p = p * r + 4.1666667e-2F;
        p = p * r + 1.6666667e-1F;
        p = p * r + 0.5F;
        p = p * r * r + r + 1.0F;
        bits = (bits + 127) << 23;
        memcpy(&scale, &bits, sizeof(scale));
        x[i] = p * scale;
    }
}

static void exp_double(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v = x[i] < -708.0 ? -708.0 : x[i] > 709.0 ? 709.0 : x[i];
        double magic = v * 1.4426950408889634 + 6755399441055744.0;
        double k = magic - 6755399441055744.0;
        double r = (v - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
        double p = 1.0 / 6227020800.0, scale;
        uint64_t bits;

        memcpy(&bits, &magic, sizeof(bits)); /* k lies in the low bits */
        p = p * r + 1.0 / 479001600.0;
        p = p * r + 1.0 / 39916800.0;
        p = p * r + 1.0 / 3628800.0;
        p = p * r + 1.0 / 362880.0;
        p = p * r + 1.0 / 40320.0;
        p = p * r + 1.0 / 5040.0;
        p = p * r + 1.0 / 720.0;
        p = p * r + 1.0 / 120.0;
        p = p * r + 1.0 / 24.0;
        p = p * r + 1.0 / 6.0;
        p = p * r + 0.5;
        p = p * r * r + r + 1.0;
        bits = (bits + 1023) << 52;
        memcpy(&scale, &bits, sizeof(scale));
        x[i] = p * scale;
    }
}

static void add_float(float *restrict to, const float *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] += from[i];
    }
}

static void adam_float(const struct adam_f32 *a)
{
    float *restrict w = a->w, *restrict m = a->m, *restrict v = a->v;
    const float *restrict g = a->g;
    float rate = a->rate, beta1 = a->beta1, beta2 = a->beta2, epsilon = a->epsilon;

    for (size_t i = 0; i < a->n; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
        w[i] -= rate * m[i] / (__builtin_sqrtf(v[i]) + epsilon);
    }
}

const struct simd SIMD_TABLE = {
    .name = SIMD_NAME,
    .gemm_f32 = gemm_float,
    .gemm_f64 = gemm_double,
    .rows_dot = rows_dot,
    .rows_add = rows_add,
    .dot_f64 = dot,
    .exp_f32 = exp_float,
    .exp_f64 = exp_double,
    .add_f32 = add_float,
    .adam_f32 = adam_float,
};
