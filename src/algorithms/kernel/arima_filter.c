#include "algorithms/kernel/arima_priv.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"

#include <math.h>
#include <string.h>

unsigned arima_coefs(const struct arima_order *o)
{
    return o->p + o->q + o->sp + o->sq;
}

size_t arima_lost(const struct arima_order *o)
{
    return o->d + (size_t)o->sd * o->period;
}

size_t arima_states(const struct arima_order *o)
{
    size_t ar = o->p + (size_t)o->sp * o->period, ma = o->q + (size_t)o->sq * o->period + 1;

    return ar > ma ? ar : ma;
}

static void minus_earlier(double *w, size_t n, size_t lag)
{
    for (size_t i = 0; i + lag < n; i++) {
        w[i] = w[i + lag] - w[i];
    }
}

void arima_difference(const struct arima_order *o, const double *y, size_t n, double *w)
{
    memcpy(w, y, n * sizeof(*w));
    for (unsigned i = 0; i < o->sd && n > o->period; i++, n -= o->period) {
        minus_earlier(w, n, o->period);
    }
    for (unsigned i = 0; i < o->d && n > 1; i++, n--) {
        minus_earlier(w, n, 1);
    }
}

/* (1 + sign a1 B + ...)(1 + sign b1 B^s + ...), without the 1, times sign; out[lag - 1]. */
static void multiply(const double *a, unsigned na, const double *b, unsigned nb, unsigned period,
                     double sign, double *out)
{
    for (unsigned i = 0; i < na; i++) {
        out[i] += a[i];
    }
    for (unsigned j = 0; j < nb; j++) {
        double *at = out + (size_t)(j + 1) * period - 1;

        at[0] += b[j];
        for (unsigned i = 0; i < na; i++) {
            at[i + 1] += sign * a[i] * b[j];
        }
    }
}

void arima_expand(const struct arima_order *o, const double *coef, struct arima_lags *to)
{
    const double *ma = coef + o->p, *sar = ma + o->q, *sma = sar + o->sp;

    memset(to->ar, 0, to->r * sizeof(double));
    memset(to->shock, 0, to->r * sizeof(double));
    multiply(coef, o->p, sar, o->sp, o->period, -1, to->ar);
    to->shock[0] = 1;
    multiply(ma, o->q, sma, o->sq, o->period, 1, to->shock + 1);
}

/* Partial autocorrelations between -1 and 1 to coefficients: Durbin, Levinson. */
static void stationary(const double *x, unsigned n, double sign, double *out)
{
    double before[ARIMA_LAGS_MAX];

    for (unsigned k = 0; k < n; k++) {
        double r = x[k] / sqrt(1 + x[k] * x[k]);

        memcpy(before, out, k * sizeof(double));
        for (unsigned i = 0; i < k; i++) {
            out[i] = before[i] - r * before[k - 1 - i];
        }
        out[k] = r;
    }
    for (unsigned i = 0; i < n; i++) {
        out[i] *= sign;
    }
}

void arima_bound(const struct arima_order *o, const double *x, double *coef)
{
    const unsigned n[] = {o->p, o->q, o->sp, o->sq};

    for (unsigned k = 0, at = 0; k < 4; at += n[k++]) {
        stationary(x + at, n[k], k % 2 ? -1 : 1, coef + at);
    }
}

void arima_filter_done(struct arima_filter *f)
{
    big_free(f->memory);
    f->memory = NULL;
}

int arima_filter_init(struct arima_filter *f, const struct arima_order *o, const double *w,
                      size_t n, struct err *e)
{
    size_t r = arima_states(o);
    double *at = big_alloc(r, (2 * r + 5) * sizeof(double), "the filter", e);

    *f = (struct arima_filter){.order = o, .w = w, .n = n, .memory = at, .lags.r = r};
    if (at == NULL) {
        return -1;
    }
    f->lags.ar = at;
    f->lags.shock = at + r;
    f->a = at + 2 * r;
    f->one = at + 3 * r;
    f->p = at + 4 * r;
    f->system = f->p + r * r;
    return 0;
}

/* Gauss with pivots; the right side stands in the last column and becomes the result in x. */
static bool solve(double *m, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) {
        double *top = m + k * (n + 1);
        size_t best = k;

        for (size_t i = k + 1; i < n; i++) {
            best = fabs(m[i * (n + 1) + k]) > fabs(m[best * (n + 1) + k]) ? i : best;
        }
        if (!(fabs(m[best * (n + 1) + k]) > 0)) {
            return false;
        }
        for (size_t j = k; best != k && j <= n; j++) {
            double swap = top[j];

            top[j] = m[best * (n + 1) + j];
            m[best * (n + 1) + j] = swap;
        }
        for (size_t i = k + 1; i < n; i++) {
            double by = m[i * (n + 1) + k] / top[k];

            for (size_t j = k; by != 0 && j <= n; j++) {
                m[i * (n + 1) + j] -= by * top[j];
            }
        }
    }
    for (size_t k = n; k-- > 0;) {
        x[k] = m[k * (n + 1) + n];
        for (size_t j = k + 1; j < n; j++) {
            x[k] -= m[k * (n + 1) + j] * x[j];
        }
        x[k] /= m[k * (n + 1) + k];
    }
    return true;
}

/* What stands in P[i][j] besides P[i + 1][j + 1], from its first row g. */
static double own_part(const struct arima_lags *l, const double *g, size_t i, size_t j)
{
    double next_i = i + 1 < l->r ? g[i + 1] : 0, next_j = j + 1 < l->r ? g[j + 1] : 0;

    return l->ar[i] * l->ar[j] * g[0] + l->ar[i] * next_j + l->ar[j] * next_i +
           l->shock[i] * l->shock[j];
}

/* P = T P T' + R R', the covariance before the first value. T shifts, so that the first row decides
 * all of P: r equations instead of r^2. */
static bool stationary_spread(struct arima_filter *f)
{
    const struct arima_lags *l = &f->lags;
    size_t r = l->r, width = r + 1;
    double *g = f->a;

    memset(f->system, 0, r * width * sizeof(double));
    for (size_t j = 0; j < r; j++) {
        double *row = f->system + j * width;

        row[j] += 1;
        for (size_t k = 0; j + k < r; k++) {
            row[0] -= l->ar[k] * l->ar[j + k];
            row[r] += l->shock[k] * l->shock[j + k];
            if (j + k + 1 < r) {
                row[j + k + 1] -= l->ar[k];
            }
            if (k + 1 < r) {
                row[k + 1] -= l->ar[j + k];
            }
        }
    }
    if (!solve(f->system, r, g)) {
        return false;
    }
    for (size_t i = r; i-- > 0;) {
        for (size_t j = r; j-- > 0;) {
            f->p[i * r + j] =
                own_part(l, g, i, j) + (i + 1 < r && j + 1 < r ? f->p[(i + 1) * r + j + 1] : 0);
        }
    }
    return f->p[0] > 0 && isfinite(f->p[0]);
}

/* The states a step on, when one of them erred by `miss`. */
static void step_state(const struct arima_lags *l, double *a, const double *gain, double miss)
{
    double now = a[0] + miss;

    for (size_t i = 0; i < l->r; i++) {
        a[i] = l->ar[i] * now + (i + 1 < l->r ? a[i + 1] + gain[i + 1] * miss : 0);
    }
}

/* Having seen a value, its own state is known: what is left of the others moves up. False: nothing
 * is left, and all steps to come are alike. */
static bool step_spread(const struct arima_lags *l, double *p, const double *gain)
{
    size_t r = l->r;
    double left = 0, before = p[0];

    for (size_t i = 1; i < r; i++) {
        for (size_t j = 1; j < r; j++) {
            p[(i - 1) * r + j - 1] = p[i * r + j] - gain[i] * gain[j] * before;
        }
        left += p[(i - 1) * r + i - 1];
    }
    for (size_t i = 0; i < r; i++) {
        p[i * r + r - 1] = p[(r - 1) * r + i] = 0;
    }
    for (size_t i = 0; i < r; i++) {
        for (size_t j = 0; j < r; j++) {
            p[i * r + j] = (left > 1e-13 ? p[i * r + j] : 0) + l->shock[i] * l->shock[j];
        }
    }
    return left > 1e-13;
}

/* What an error of the value says of each state, while the covariance still moves. */
static void find_gain(const struct arima_filter *f, double *gain)
{
    for (size_t i = 0; i < f->lags.r; i++) {
        gain[i] = f->p[i * f->lags.r] / f->p[0];
    }
}

double arima_filter_run(struct arima_filter *f, const double *coef)
{
    double *gain = f->system, yy = 0, xy = 0, xx = 0;
    size_t r = f->lags.r;
    bool moves = true;

    arima_expand(f->order, coef, &f->lags);
    if (!stationary_spread(f)) {
        return -INFINITY;
    }
    memset(f->a, 0, r * sizeof(double));
    memset(f->one, 0, r * sizeof(double));
    f->logs = 0;
    for (size_t t = 0; t < f->n; t++) {
        double v = f->w[t] - f->a[0], one = f->order->constant ? 1 - f->one[0] : 0, s = f->p[0];

        find_gain(f, gain);
        yy += v * v / s;
        xy += v * one / s;
        xx += one * one / s;
        f->logs += moves ? log(s) : 0;
        if (f->errors) {
            f->errors[t] = v - one * f->mean;
        }
        step_state(&f->lags, f->a, gain, v);
        if (f->order->constant) {
            step_state(&f->lags, f->one, gain, one);
        }
        moves = moves && step_spread(&f->lags, f->p, gain);
    }
    f->ones = xx;
    f->mean = xx > 0 ? xy / xx : 0;
    f->sigma2 = (yy - f->mean * xy) / (double)f->n;
    return f->sigma2 > 0 && isfinite(f->sigma2)
               ? -0.5 * ((double)f->n * (log(2 * M_PI * f->sigma2) + 1) + f->logs)
               : -INFINITY;
}
