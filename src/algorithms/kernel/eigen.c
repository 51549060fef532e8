#include "algorithms/kernel/eigen.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/simd.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { ITERATIONS_MAX = 100 };

struct work {
    size_t n;
    double *a;           /* rows of reflectors, then the vectors */
    double *vectors;     /* [n][n] */
    double *d, *off, *p; /* diagonal, beside it, scratch */
    double *beta;
    const struct simd *simd;
};

/* The reflector that turns `x` of n numbers into (alpha, 0, ...): x becomes its vector. */
static double reflector(size_t n, double *x, double *alpha, const struct simd *simd)
{
    double scale = 0, norm;

    for (size_t i = 0; i < n; i++) {
        scale = fabs(x[i]) > scale ? fabs(x[i]) : scale;
    }
    *alpha = 0;
    if (scale == 0) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] /= scale;
    }
    norm = sqrt(simd->dot_f64(n, x, x));
    norm = x[0] > 0 ? -norm : norm;
    *alpha = norm * scale;
    x[0] -= norm;
    return -1 / (norm * x[0]); /* 2 / |x|^2 */
}

static void reduce(struct work *w)
{
    size_t n = w->n;

    for (size_t k = 0; k + 2 < n; k++) {
        size_t m = n - k - 1;
        double *v = w->a + k * n + k + 1, *p = w->p, half;

        w->d[k] = w->a[k * n + k];
        w->beta[k] = reflector(m, v, &w->off[k], w->simd);
        if (w->beta[k] == 0) {
            continue;
        }
        for (size_t i = 0; i < m; i++) {
            p[i] = w->beta[k] * w->simd->dot_f64(m, w->a + (k + 1 + i) * n + k + 1, v);
        }
        half = w->beta[k] / 2 * w->simd->dot_f64(m, p, v);
        for (size_t i = 0; i < m; i++) {
            p[i] -= half * v[i];
        }
        for (size_t i = 0; i < m; i++) {
            double *restrict row = w->a + (k + 1 + i) * n + k + 1;

            for (size_t j = 0; j < m; j++) {
                row[j] -= v[i] * p[j] + p[i] * v[j];
            }
        }
    }
    for (size_t k = n < 2 ? 0 : n - 2; k < n; k++) {
        w->d[k] = w->a[k * n + k];
        w->off[k] = k + 1 < n ? w->a[k * n + k + 1] : 0;
    }
}

/* The product of the reflectors, transposed. */
static void accumulate(struct work *w)
{
    size_t n = w->n;

    for (size_t i = 0; i < n; i++) {
        w->vectors[i * n + i] = 1;
    }
    for (size_t k = n < 2 ? 0 : n - 2; k-- > 0;) {
        const double *v = w->a + k * n + k + 1;

        for (size_t r = k + 1; w->beta[k] != 0 && r < n; r++) {
            double *restrict row = w->vectors + r * n + k + 1;
            double by = w->beta[k] * w->simd->dot_f64(n - k - 1, row, v);

            for (size_t j = 0; j < n - k - 1; j++) {
                row[j] -= by * v[j];
            }
        }
    }
}

static void rotate(double *restrict x, double *restrict y, size_t n, double c, double s)
{
    for (size_t k = 0; k < n; k++) {
        double old = y[k];

        y[k] = s * x[k] + c * old;
        x[k] = c * x[k] - s * old;
    }
}

/* One sweep over l .. m with a shift from the upper corner. */
static void sweep(struct work *w, size_t l, size_t m)
{
    double *d = w->d, *off = w->off, s = 1, c = 1, p = 0;
    double g = (d[l + 1] - d[l]) / (2 * off[l]);

    g = d[m] - d[l] + off[l] / (g + copysign(hypot(g, 1), g));
    for (size_t i = m; i-- > l;) {
        double f = s * off[i], b = c * off[i], r = hypot(f, g);

        off[i + 1] = r;
        if (r == 0) {
            d[i + 1] -= p;
            off[m] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        rotate(w->vectors + i * w->n, w->vectors + (i + 1) * w->n, w->n, c, s);
    }
    d[l] -= p;
    off[l] = g;
    off[m] = 0;
}

static int iterate(struct work *w, struct err *e)
{
    for (size_t l = 0; l < w->n; l++) {
        for (unsigned turn = 0;; turn++) {
            size_t m = l;

            while (m + 1 < w->n &&
                   fabs(w->off[m]) > DBL_EPSILON * (fabs(w->d[m]) + fabs(w->d[m + 1]))) {
                m++;
            }
            if (m == l) {
                break;
            }
            if (turn == ITERATIONS_MAX) {
                return err_set(e, ERR_DATA, "the eigenvalues do not converge: scale the columns");
            }
            sweep(w, l, m);
        }
    }
    return 0;
}

/* By falling value, into `a`; the largest part of each vector positive. */
static void order(struct work *w, double *values)
{
    size_t n = w->n;

    for (size_t k = 0; k < n; k++) {
        size_t best = 0, top = 0;
        double *to = w->a + k * n;

        for (size_t i = 1; i < n; i++) {
            best = w->d[i] > w->d[best] ? i : best;
        }
        values[k] = w->d[best];
        memcpy(to, w->vectors + best * n, n * sizeof(double));
        w->d[best] = -INFINITY;
        for (size_t j = 1; j < n; j++) {
            top = fabs(to[j]) > fabs(to[top]) * (1 + 1e-9) ? j : top;
        }
        for (size_t j = 0, flip = to[top] < 0; flip && j < n; j++) {
            to[j] = -to[j];
        }
    }
}

int eigen_symmetric(size_t n, double *a, double *values, struct err *e)
{
    struct work w = {.n = n, .a = a, .simd = simd_get()};
    SCOPED(big_freep) double *memory = big_alloc(n + 4, n * sizeof(double), "the eigenvectors", e);

    if (memory == NULL) {
        return -1;
    }
    w.vectors = memory;
    w.d = memory + n * n;
    w.off = w.d + n;
    w.p = w.off + n;
    w.beta = w.p + n;
    reduce(&w);
    accumulate(&w);
    if (iterate(&w, e) < 0) {
        return -1;
    }
    order(&w, values);
    return 0;
}
