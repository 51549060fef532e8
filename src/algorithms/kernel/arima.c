#include "algorithms/kernel/arima.h"

#include "algorithms/kernel/arima_priv.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/optimise.h"

#include <math.h>
#include <string.h>

void arima_done(struct arima *m)
{
    big_free(m->state);
    big_free(m->spread);
    big_free(m->last);
    m->state = m->spread = m->last = NULL;
}

int arima_memory(struct arima *m, struct err *e)
{
    size_t r = arima_states(&m->order);

    m->state = big_alloc(r, sizeof(double), "the model", e);
    m->spread = m->state ? big_alloc(r * r, sizeof(double), "the model", e) : NULL;
    m->last =
        m->spread ? big_alloc(arima_lost(&m->order) + 1, sizeof(double), "the model", e) : NULL;
    return m->last ? 0 : -1;
}

/* --- fitting ---------------------------------------------------------------------------------- */

enum { MAX_ITER = 300, STARTS = 3 };

struct search {
    struct arima_filter filter;
    double *w; /* differences, less centre, by scale; big memory */
    double centre, scale;
    unsigned k, start, starts;
    struct progress *progress; /* or NULL */
};

/* Mean of the negative log likelihood at free numbers. */
static double value_at(struct search *s, const double *x)
{
    double coef[ARIMA_COEFS] = {0}, v;

    arima_bound(s->filter.order, x, coef);
    v = arima_filter_run(&s->filter, coef);
    return isfinite(v) ? -v / (double)s->filter.n : 1e10;
}

static double objective(void *ctx, const double *x, double *g)
{
    struct search *s = ctx;
    double moved[ARIMA_COEFS];

    memcpy(moved, x, s->k * sizeof(double));
    for (unsigned i = 0; i < s->k; i++) {
        double h = 1e-5 * (1 + fabs(x[i])), up;

        moved[i] = x[i] + h;
        up = value_at(s, moved);
        moved[i] = x[i] - h;
        g[i] = (up - value_at(s, moved)) / (2 * h);
        moved[i] = x[i];
    }
    return value_at(s, x);
}

static void told(void *ctx, unsigned iteration, double value, double gradient)
{
    const struct search *s = ctx;

    (void)gradient;
    if (s->progress == NULL) {
        return;
    }
    progress_update(s->progress, (s->start + (double)iteration / MAX_ITER) / STARTS, NULL, 0,
                    "start %u of %d, iteration %u: log likelihood %.6g", s->start + 1, STARTS,
                    iteration, -value * (double)s->filter.n);
}

/* From several starts: a likelihood may have more than one top. */
static int search(struct search *s, double *best, struct err *e)
{
    static const double starts[STARTS] = {0.1, 0.6, -0.6};
    double least = INFINITY;

    memset(best, 0, ARIMA_COEFS * sizeof(double));
    for (s->start = 0; s->k > 0 && s->start < s->starts; s->start++) {
        double x[ARIMA_COEFS];
        struct optimise o = {.fn = objective,
                             .each = told,
                             .ctx = s,
                             .max_iter = MAX_ITER,
                             .epsilon = 1e-8,
                             .f_epsilon = 1e-13};

        for (unsigned i = 0; i < s->k; i++) {
            x[i] = starts[s->start];
        }
        if (optimise_lbfgs(&o, s->k, x, e) < 0) {
            return -1;
        }
        if (o.value < least) {
            least = o.value;
            memcpy(best, x, s->k * sizeof(double));
        }
    }
    return 0;
}

/* Inverse in place by Gauss and Jordan; false: a pivot is not above 0. */
static bool invert(double *m, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        double pivot = m[k * n + k];

        if (!(pivot > 1e-12)) {
            return false;
        }
        m[k * n + k] = 1;
        for (unsigned j = 0; j < n; j++) {
            m[k * n + j] /= pivot;
        }
        for (unsigned i = 0; i < n; i++) {
            double by = m[i * n + k];

            if (i == k) {
                continue;
            }
            m[i * n + k] = 0;
            for (unsigned j = 0; j < n; j++) {
                m[i * n + j] -= by * m[k * n + j];
            }
        }
    }
    return true;
}

/* Second derivatives of the negative log likelihood. */
static void curvature(struct search *s, const double *x, double *out)
{
    double moved[ARIMA_COEFS];
    const double h = 1e-3;

    memcpy(moved, x, s->k * sizeof(double));
    for (unsigned i = 0; i < s->k; i++) {
        for (unsigned j = 0; j <= i; j++) {
            double sum = 0;

            for (int side = 0; side < 4; side++) {
                double a = side & 1 ? h : -h, b = side & 2 ? h : -h;

                moved[i] += a;
                moved[j] += b;
                sum += (a * b > 0 ? 1 : -1) * value_at(s, moved);
                moved[i] = x[i];
                moved[j] = x[j];
            }
            out[i * s->k + j] = out[j * s->k + i] = sum * (double)s->filter.n / (4 * h * h);
        }
    }
}

/* From the curvature over the free numbers, by how fast the coefficients follow them. */
static void find_errors(struct search *s, const double *x, struct arima *m)
{
    double h[ARIMA_COEFS * ARIMA_COEFS], slope[ARIMA_COEFS][ARIMA_COEFS];
    unsigned k = s->k;
    bool known;

    curvature(s, x, h);
    known = invert(h, k);
    for (unsigned j = 0; j < k; j++) {
        double moved[ARIMA_COEFS], up[ARIMA_COEFS], down[ARIMA_COEFS];

        memcpy(moved, x, k * sizeof(double));
        moved[j] = x[j] + 1e-6;
        arima_bound(&m->order, moved, up);
        moved[j] = x[j] - 1e-6;
        arima_bound(&m->order, moved, down);
        for (unsigned i = 0; i < k; i++) {
            slope[i][j] = (up[i] - down[i]) / 2e-6;
        }
    }
    for (unsigned c = 0; c < k; c++) {
        double sum = 0;

        for (unsigned i = 0; i < k; i++) {
            for (unsigned j = 0; known && j < k; j++) {
                sum += slope[c][i] * h[i * k + j] * slope[c][j];
            }
        }
        m->error[c] = sum > 0 ? sqrt(sum) : NAN;
    }
}

static int check_series(const struct arima_order *o, size_t n, const double *w, double *centre,
                        double *scale, struct err *e)
{
    size_t lost = arima_lost(o), least = lost + arima_coefs(o) + o->constant + 3;
    double squares = 0, size = 0;

    if (n < least) {
        return err_set(e, ERR_DATA, "%zu values are too few: this order needs at least %zu", n,
                       least);
    }
    n -= lost;
    *centre = 0;
    for (size_t i = 0; o->constant && i < n; i++) {
        *centre += w[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        squares += (w[i] - *centre) * (w[i] - *centre) / (double)n;
        size = fmax(size, fabs(w[i]));
    }
    *scale = sqrt(squares);
    if (!isfinite(squares) || size > 1e150) {
        return err_set(e, ERR_DATA, "the values are too large: scale the series");
    }
    return *scale > 1e-12 * size
               ? 0
               : err_set(e, ERR_DATA, "the series does not vary%s: there is nothing to learn",
                         lost > 0 ? " after its differences" : "");
}

static void judge(struct arima *m, double loglik)
{
    double k = arima_coefs(&m->order) + m->order.constant + 1, n = (double)m->n;

    m->loglik = loglik;
    m->aic = 2 * (k - loglik);
    m->aicc = n > k + 1 ? m->aic + 2 * k * (k + 1) / (n - k - 1) : INFINITY;
    m->bic = k * log(n) - 2 * loglik;
}

/* The filter once more, at the coefficients found, for all that it leaves behind. */
static int keep(struct arima *m, struct search *s, const double *y, size_t n, double scale,
                double *fitted, struct err *e)
{
    struct arima_filter *f = &s->filter;
    size_t lost = arima_lost(&m->order), r = f->lags.r;

    f->errors = fitted + lost;
    judge(m, arima_filter_run(f, m->coef) - (double)m->n * log(scale));
    m->mean += f->mean * scale;
    m->mean_error = f->ones > 0 ? sqrt(f->sigma2 / f->ones) * scale : 0;
    m->sigma2 = f->sigma2 * scale * scale;
    for (size_t i = 0; i < n; i++) {
        fitted[i] = i < lost ? NAN : y[i] - fitted[i] * scale;
    }
    if (arima_memory(m, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < r; i++) {
        m->state[i] = (f->a[i] - f->mean * f->one[i]) * scale;
    }
    memcpy(m->spread, f->p, r * r * sizeof(double));
    memcpy(m->last, y + n - lost, lost * sizeof(double));
    return 0;
}

static void search_done(struct search *s)
{
    arima_filter_done(&s->filter);
    big_free(s->w);
}

static int search_init(struct search *s, const struct arima_order *o, const double *y, size_t n,
                       struct err *e)
{
    size_t left = n - arima_lost(o);

    s->k = arima_coefs(o);
    s->w = big_alloc(n + 1, sizeof(double), "the differences", e);
    if (s->w == NULL) {
        return -1;
    }
    arima_difference(o, y, n, s->w);
    if (check_series(o, n, s->w, &s->centre, &s->scale, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < left; i++) {
        s->w[i] = (s->w[i] - s->centre) / s->scale;
    }
    return arima_filter_init(&s->filter, o, s->w, left, e);
}

static int fit(struct arima *m, struct search *s, const double *y, size_t n, double *fitted,
               struct err *e)
{
    double x[ARIMA_COEFS];

    if (search_init(s, &m->order, y, n, e) < 0 || search(s, x, e) < 0) {
        return -1;
    }
    m->n = n - arima_lost(&m->order);
    m->mean = s->centre;
    arima_bound(&m->order, x, m->coef);
    find_errors(s, x, m);
    (void)arima_filter_run(&s->filter, m->coef); /* its mean */
    return keep(m, s, y, n, s->scale, fitted, e);
}

int arima_fit(struct arima *m, const double *y, size_t n, double *fitted, struct progress *progress,
              struct err *e)
{
    struct search s = {.starts = STARTS, .progress = progress};
    int rc = fit(m, &s, y, n, fitted, e);

    search_done(&s);
    return rc;
}

int arima_aicc(const struct arima_order *o, const double *y, size_t n, double *out, struct err *e)
{
    struct search s = {.starts = 1};
    struct arima m = {.order = *o};
    double x[ARIMA_COEFS];
    int rc = search_init(&s, o, y, n, e) < 0 || search(&s, x, e) < 0 ? -1 : 0;

    if (rc == 0) {
        m.n = s.filter.n;
        judge(&m, -value_at(&s, x) * (double)m.n - (double)m.n * log(s.scale));
        *out = m.aicc;
        for (unsigned i = 0; i < s.k; i++) {
            *out = fabs(x[i]) > ARIMA_BOUND ? INFINITY : *out;
        }
    }
    search_done(&s);
    return rc;
}

/* --- forecasting ------------------------------------------------------------------------------ */

/* The differences undone: out[i] += what the values before it say. */
static void undo(const struct arima_order *o, double *poly)
{
    size_t lost = arima_lost(o);

    memset(poly, 0, (lost + 1) * sizeof(double));
    poly[0] = 1;
    for (unsigned i = 0; i < o->sd + o->d; i++) {
        size_t lag = i < o->sd ? o->period : 1;

        for (size_t j = lost; j >= lag && j <= lost; j--) {
            poly[j] -= poly[j - lag];
        }
    }
}

/* What a step of the series is when its difference is `w`: y[-1] is the value before. */
static double integrate(const double *poly, size_t lost, const double *y, size_t seen, double w)
{
    for (size_t j = 1; j <= lost && j <= seen; j++) {
        w -= poly[j] * y[-(ptrdiff_t)j];
    }
    return w;
}

struct ahead {
    struct arima_lags lags;
    double *poly;   /* [lost + 1] */
    double *y;      /* [lost + h] */
    double *psi;    /* [h] what an error does to later values */
    double *effect; /* [states][h] what a state does to later values */
};

/* How a unit in state i moves the differences to come, and these the series. */
static void spread_unit(const struct ahead *a, size_t lost, size_t h, double *state, double *out)
{
    for (size_t t = 0; t < h; t++) {
        double w = state[0];

        out[t] = integrate(a->poly, lost, out + t, t, w);
        for (size_t i = 0; i < a->lags.r; i++) {
            state[i] = a->lags.ar[i] * w + (i + 1 < a->lags.r ? state[i + 1] : 0);
        }
    }
}

static double variance_at(const struct arima *m, const struct ahead *a, size_t h, size_t t)
{
    size_t r = a->lags.r;
    double sum = 0;

    for (size_t i = 0; i < r; i++) {
        double row = 0;

        for (size_t j = 0; j < r; j++) {
            row += m->spread[i * r + j] * a->effect[j * h + t];
        }
        sum += row * a->effect[i * h + t];
    }
    for (size_t j = 0; j < t; j++) { /* errors behind the first step: it is in spread */
        sum += a->psi[j] * a->psi[j];
    }
    return sum * m->sigma2;
}

int arima_forecast(const struct arima *m, size_t h, double *mean, double *deviation, struct err *e)
{
    size_t r = arima_states(&m->order), lost = arima_lost(&m->order);
    SCOPED(big_freep)
    double *memory =
        big_alloc(3 * r + 2 * lost + 1 + 2 * h + r * h, sizeof(double), "the forecast", e);
    struct ahead a = {.lags = {r, memory, memory + r}};
    double *state = memory + 2 * r;

    if (memory == NULL) {
        return -1;
    }
    a.poly = memory + 3 * r;
    a.y = a.poly + lost + 1;
    a.psi = a.y + lost + h;
    a.effect = a.psi + h;
    arima_expand(&m->order, m->coef, &a.lags);
    undo(&m->order, a.poly);
    memcpy(a.y, m->last, lost * sizeof(double));
    memcpy(state, m->state, r * sizeof(double));
    for (size_t t = 0; t < h; t++) {
        double w = state[0];

        mean[t] = a.y[lost + t] = integrate(a.poly, lost, a.y + lost + t, lost, w + m->mean);
        for (size_t i = 0; i < r; i++) {
            state[i] = a.lags.ar[i] * w + (i + 1 < r ? state[i + 1] : 0);
        }
    }
    memcpy(state, a.lags.shock, r * sizeof(double));
    spread_unit(&a, lost, h, state, a.psi);
    for (size_t i = 0; i < r; i++) {
        memset(state, 0, r * sizeof(double));
        state[i] = 1;
        spread_unit(&a, lost, h, state, a.effect + i * h);
    }
    for (size_t t = 0; t < h; t++) {
        deviation[t] = sqrt(variance_at(m, &a, h, t));
        if (!isfinite(mean[t]) || !isfinite(deviation[t])) {
            return err_set(e, ERR_DATA, "step %zu: the forecast is too large for a number", t + 1);
        }
    }
    return 0;
}
