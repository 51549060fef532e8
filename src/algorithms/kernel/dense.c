#include "algorithms/kernel/dense.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/simd.h"

#include <float.h>
#include <math.h>
#include <string.h>

int dense_cholesky(double *a, size_t n, double least)
{
    const struct simd *simd = simd_get();

    for (size_t i = 0; i < n; i++) {
        double *row = a + i * n;

        for (size_t j = 0; j <= i; j++) {
            double v = row[j] - simd->dot_f64(j, row, a + j * n);

            if (j < i) {
                row[j] = v / a[j * n + j];
            } else if (v > least) {
                row[j] = sqrt(v);
            } else {
                return -1;
            }
        }
    }
    return 0;
}

void dense_cholesky_solve(const double *l, size_t n, double *b)
{
    for (size_t i = 0; i < n; i++) {
        b[i] = (b[i] - simd_get()->dot_f64(i, l + i * n, b)) / l[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        b[i] /= l[i * n + i];
        for (size_t j = 0; j < i; j++) {
            b[j] -= l[i * n + j] * b[i];
        }
    }
}

/* --- eigenvalues ------------------------------------------------------------------------------ */

static void add_scaled(size_t n, double f, const double *x, double *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] += f * x[i];
    }
}

/* x becomes v of the reflection I - b v v^T that makes x a multiple of the first unit vector;
 * returns b, and that multiple in *to. */
static double reflection(double *x, size_t n, double *to)
{
    double length = sqrt(simd_get()->dot_f64(n, x, x)), square;

    *to = x[0] > 0 ? -length : length;
    x[0] -= *to;
    square = simd_get()->dot_f64(n, x, x);
    return square > 0 ? 2 / square : 0;
}

/* a := Q^T a Q is tridiagonal: d on the diagonal, e beside it. Row k of `a` keeps its v from
 * column k + 1 on, b[k] its factor. `p` is scratch. */
static void tridiagonal(double *a, size_t n, double *d, double *e, double *b, double *p)
{
    const struct simd *simd = simd_get();

    for (size_t k = 0; k + 2 < n; k++) {
        double *v = a + k * n + k + 1, half;
        size_t m = n - k - 1;

        b[k] = reflection(v, m, &e[k]);
        for (size_t i = 0; i < m; i++) {
            p[i] = b[k] * simd->dot_f64(m, a + (k + 1 + i) * n + k + 1, v);
        }
        half = b[k] / 2 * simd->dot_f64(m, p, v);
        add_scaled(m, -half, v, p);
        for (size_t i = 0; i < m; i++) {
            double *row = a + (k + 1 + i) * n + k + 1;

            add_scaled(m, -v[i], p, row);
            add_scaled(m, -p[i], v, row);
        }
    }
    if (n > 1) {
        e[n - 2] = a[(n - 2) * n + n - 1];
    }
    for (size_t i = 0; i < n; i++) {
        d[i] = a[i * n + i];
    }
}

/* q := Q^T, the product of the reflections, the last one first. `p` is scratch. */
static void collect(const double *a, size_t n, const double *b, double *q, double *p)
{
    memset(q, 0, n * n * sizeof(*q));
    for (size_t i = 0; i < n; i++) {
        q[i * n + i] = 1;
    }
    for (size_t k = n < 2 ? 0 : n - 2; k-- > 0;) { /* from the right: rows k + 1 .. change */
        const double *v = a + k * n + k + 1;
        size_t m = n - k - 1;

        for (size_t i = 0; i < m; i++) {
            p[i] = b[k] * simd_get()->dot_f64(m, q + (k + 1 + i) * n + k + 1, v);
        }
        for (size_t i = 0; i < m; i++) {
            add_scaled(m, -p[i], v, q + (k + 1 + i) * n + k + 1);
        }
    }
}

static void rotate(size_t n, double c, double s, double *restrict x, double *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        double t = c * x[i] + s * y[i];

        y[i] = c * y[i] - s * x[i];
        x[i] = t;
    }
}

/* One QR step on rows low .. high of the tridiagonal matrix; the rows of q follow. */
static void qr_step(double *d, double *e, size_t low, size_t high, double *q, size_t n)
{
    double half = (d[high - 1] - d[high]) / 2, last = e[high - 1];
    double shift = d[high] - last * last / (half + copysign(hypot(half, last), half));
    double x = d[low] - shift, z = e[low];

    for (size_t k = low; k < high; k++) {
        double r = hypot(x, z), c = r > 0 ? x / r : 1, s = r > 0 ? z / r : 0;
        double d0 = d[k], d1 = d[k + 1], between = e[k];

        if (k > low) {
            e[k - 1] = r;
        }
        d[k] = c * c * d0 + 2 * c * s * between + s * s * d1;
        d[k + 1] = s * s * d0 - 2 * c * s * between + c * c * d1;
        e[k] = c * s * (d1 - d0) + (c * c - s * s) * between;
        x = e[k];
        if (k + 1 < high) {
            z = s * e[k + 1];
            e[k + 1] *= c;
        }
        rotate(n, c, s, q + k * n, q + (k + 1) * n);
    }
}

/* Always ends: a step that does not converge after many is taken for zero. */
static void diagonal(double *d, double *e, size_t n, double *q)
{
    size_t high = n - 1, steps = 0;

    while (high > 0) {
        size_t low = high;

        while (low > 0 && fabs(e[low - 1]) > DBL_EPSILON * (fabs(d[low - 1]) + fabs(d[low]))) {
            low--;
        }
        if (low == high || ++steps > 60) {
            e[high - 1] = 0;
            high--;
            steps = 0;
        } else {
            qr_step(d, e, low, high, q, n);
        }
    }
}

static void sort_falling(double *values, double *q, size_t n, double *p)
{
    for (size_t i = 0; i < n; i++) {
        size_t best = i, top = 0;

        for (size_t j = i + 1; j < n; j++) {
            best = values[j] > values[best] ? j : best;
        }
        if (best != i) {
            double v = values[i];

            values[i] = values[best];
            values[best] = v;
            memcpy(p, q + i * n, n * sizeof(*p));
            memcpy(q + i * n, q + best * n, n * sizeof(*p));
            memcpy(q + best * n, p, n * sizeof(*p));
        }
        for (size_t j = 1; j < n; j++) {
            top = fabs(q[i * n + j]) > fabs(q[i * n + top]) ? j : top;
        }
        for (size_t j = 0; q[i * n + top] < 0 && j < n; j++) {
            if (j != top) {
                q[i * n + j] = -q[i * n + j];
            }
        }
        q[i * n + top] = fabs(q[i * n + top]);
    }
}

int dense_eigen(double *a, size_t n, double *values, struct err *e)
{
    SCOPED(big_freep) double *q = NULL;
    double *beside, *b, *p;

    for (size_t i = 0; i < n * n; i++) {
        if (!isfinite(a[i])) {
            return err_set(e, ERR_DATA, "a matrix holds values that are not finite");
        }
    }
    q = n == 0 ? NULL : big_alloc((n + 3) * n, sizeof(*q), "the eigenvalues", e);
    if (q == NULL) {
        return n == 0 ? 0 : -1;
    }
    beside = q + n * n;
    b = beside + n;
    p = b + n;
    tridiagonal(a, n, values, beside, b, p);
    collect(a, n, b, q, p);
    diagonal(values, beside, n, q);
    sort_falling(values, q, n, p);
    memcpy(a, q, n * n * sizeof(*a));
    return 0;
}
