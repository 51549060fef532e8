#include "algorithms/modules/gbdt_loss.h"

#include "algorithms/kernel/failure.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_MAX = 4096 };
static const double h_least = 1e-16; /* as XGBoost has it */

bool gbdt_by_residuals(enum gbdt_objective objective)
{
    return objective == GBDT_L1 || objective == GBDT_QUANTILE || objective == GBDT_HUBER;
}

int gbdt_check_targets(enum gbdt_objective objective, const double *targets, size_t n,
                       const char *label, struct err *e)
{
    for (size_t r = 0; r < n; r++) {
        if (fabs(targets[r]) > 1e30) {
            return err_set(e, ERR_DATA, "label column '%s', row %zu: %g is too large: scale it",
                           label, r + 1, targets[r]);
        }
        if (objective == GBDT_POISSON && targets[r] < 0) {
            return err_set(e, ERR_DATA,
                           "label column '%s', row %zu: %g is negative, and objective=poisson is "
                           "for counts: take objective=l2",
                           label, r + 1, targets[r]);
        }
    }
    return 0;
}

/* --- derivatives ------------------------------------------------------------------------------ */

static void derive_two(const struct gbdt_loss *l, const uint32_t *y, const double *w, size_t n,
                       const double *scores, float *pairs)
{
    double t[ROWS_MAX];

    for (size_t i = 0; i < n; i++) {
        t[i] = -scores[i];
    }
    l->simd->exp_f64(t, n);
    for (size_t i = 0; i < n; i++) {
        double p = 1 / (1 + t[i]), h = p * (1 - p), weight = w ? w[i] : 1;

        pairs[2 * i] = (float)(weight * (p - y[i]));
        pairs[2 * i + 1] = (float)(weight * (h > h_least ? h : h_least));
    }
}

static void derive_many(const struct gbdt_loss *l, const uint32_t *y, const double *w, size_t score,
                        size_t n, const double *scores, const double *log_sums, float *pairs)
{
    double p[ROWS_MAX];

    for (size_t i = 0; i < n; i++) {
        p[i] = scores[i] - log_sums[i];
    }
    l->simd->exp_f64(p, n);
    for (size_t i = 0; i < n; i++) {
        double h = 2 * p[i] * (1 - p[i]), weight = w ? w[i] : 1;

        pairs[2 * i] = (float)(weight * (p[i] - (y[i] == score)));
        pairs[2 * i + 1] = (float)(weight * (h > h_least ? h : h_least));
    }
}

static double first_derivative(const struct gbdt_loss *l, double score, double y)
{
    double d = score - y;

    switch (l->objective) {
    case GBDT_L1:
        return d > 0 ? 1 : d < 0 ? -1 : 0;
    case GBDT_QUANTILE:
        return d >= 0 ? 1 - l->alpha : -l->alpha;
    case GBDT_HUBER:
        return d > l->delta ? l->delta : d < -l->delta ? -l->delta : d;
    default:
        return d;
    }
}

void gbdt_derive(const struct gbdt_loss *l, const struct gbdt_rows *of, size_t score, size_t first,
                 size_t n, const double *scores, const double *log_sums, float *pairs)
{
    const double *w = of->weights ? of->weights + first : NULL;

    if (l->objective == GBDT_CLASSES && l->n_scores == 1) {
        derive_two(l, of->classes + first, w, n, scores, pairs);
        return;
    }
    if (l->objective == GBDT_CLASSES) {
        derive_many(l, of->classes + first, w, score, n, scores, log_sums + first, pairs);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double weight = w ? w[i] : 1, y = of->targets[first + i], g, h = 1;

        if (l->objective == GBDT_POISSON) {
            h = exp(scores[i]);
            g = h - y;
            h *= exp(0.7); /* steps are held short, as in XGBoost (max_delta_step) */
        } else {
            g = first_derivative(l, scores[i], y);
        }
        pairs[2 * i] = (float)(weight * g);
        pairs[2 * i + 1] = (float)(weight * h);
    }
}

void gbdt_log_sums(const struct gbdt_loss *l, const double *scores, size_t n_rows, size_t first,
                   size_t n, double *log_sums)
{
    double top[ROWS_MAX], sums[ROWS_MAX] = {0}, t[ROWS_MAX];

    for (size_t i = 0; i < n; i++) {
        top[i] = scores[first + i];
    }
    for (size_t k = 1; k < l->n_scores; k++) {
        const double *s = scores + k * n_rows + first;

        for (size_t i = 0; i < n; i++) {
            top[i] = s[i] > top[i] ? s[i] : top[i];
        }
    }
    for (size_t k = 0; k < l->n_scores; k++) {
        const double *s = scores + k * n_rows + first;

        for (size_t i = 0; i < n; i++) {
            t[i] = s[i] - top[i];
        }
        l->simd->exp_f64(t, n);
        for (size_t i = 0; i < n; i++) {
            sums[i] += t[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        log_sums[first + i] = top[i] + log(sums[i]);
    }
}

/* --- outputs ---------------------------------------------------------------------------------- */

/* The least value so that at least this share of all is not above it. */
static double quantile(const double *v, size_t n, double share)
{
    double at = ceil(share * (double)n * (1 - 1e-12));

    return n == 0 ? 0 : v[at < 1 ? 0 : at > (double)n ? n - 1 : (size_t)at - 1];
}

static double share_of(const struct gbdt_loss *l)
{
    return l->objective == GBDT_QUANTILE ? l->alpha : 0.5;
}

/* Friedman 2001, equation 24: from the median towards the mean of what is near. */
static double huber_step(const struct gbdt_loss *l, double residual, double median)
{
    double d = residual - median, size = fabs(d) < l->delta ? fabs(d) : l->delta;

    return d > 0 ? size : -size;
}

double gbdt_output(const struct gbdt_loss *l, const double *residuals, size_t n)
{
    double at = quantile(residuals, n, share_of(l)), sum = 0;

    if (l->objective != GBDT_HUBER || n == 0) {
        return at;
    }
    for (size_t i = 0; i < n; i++) {
        sum += huber_step(l, residuals[i], at);
    }
    return at + sum / (double)n;
}

static int by_value(const void *a, const void *b)
{
    double x = ((const struct gbdt_weighted *)a)->value, y = ((const struct gbdt_weighted *)b)->value;

    return (x > y) - (x < y);
}

static double weighted_quantile(const struct gbdt_weighted *v, size_t n, double share)
{
    double all = 0, sum = 0;

    for (size_t i = 0; i < n; i++) {
        all += v[i].weight;
    }
    for (size_t i = 0; i < n; i++) {
        sum += v[i].weight;
        if (sum >= share * all * (1 - 1e-12)) {
            return v[i].value;
        }
    }
    return 0;
}

double gbdt_weighted_output(const struct gbdt_loss *l, const struct gbdt_rows *of,
                            const uint32_t *rows, size_t n, const double *scores,
                            const uint64_t *words, struct gbdt_weighted *room)
{
    double at, sum = 0, all = 0;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        room[count] = (struct gbdt_weighted){of->targets[rows[i]] - scores[rows[i]],
                                             of->weights[rows[i]]};
        count += words[rows[i]] != 0;
    }
    qsort(room, count, sizeof(*room), by_value);
    at = weighted_quantile(room, count, share_of(l));
    if (l->objective != GBDT_HUBER || count == 0) {
        return at;
    }
    for (size_t i = 0; i < count; i++) {
        sum += room[i].weight * huber_step(l, room[i].value, at);
        all += room[i].weight;
    }
    return at + sum / all;
}

/* --- losses ----------------------------------------------------------------------------------- */

static double class_loss(const struct gbdt_loss *l, uint32_t y, const double *scores, size_t n)
{
    double top = scores[0], sum = 0;

    if (l->n_scores == 1) {
        double s = y ? -scores[0] : scores[0];

        return (s > 0 ? s : 0) + log1p(exp(-fabs(s)));
    }
    for (size_t k = 1; k < l->n_scores; k++) {
        top = scores[k * n] > top ? scores[k * n] : top;
    }
    for (size_t k = 0; k < l->n_scores; k++) {
        sum += exp(scores[k * n] - top);
    }
    return top + log(sum) - scores[y * n];
}

static double number_loss(const struct gbdt_loss *l, double y, double score)
{
    double d = fabs(score - y);

    switch (l->objective) {
    case GBDT_L1:
        return d;
    case GBDT_QUANTILE:
        return score >= y ? (1 - l->alpha) * d : l->alpha * d;
    case GBDT_HUBER:
        return d <= l->delta ? d * d / 2 : l->delta * (d - l->delta / 2);
    case GBDT_POISSON:
        return exp(score) - y * score;
    default:
        return d * d;
    }
}

double gbdt_mean_loss(const struct gbdt_loss *l, const struct gbdt_rows *of, const uint32_t *rows,
                      size_t n, const double *scores)
{
    double sum = 0, all = 0;

    for (size_t i = 0; i < n; i++) {
        size_t r = rows ? rows[i] : i;
        double w = of->weights ? of->weights[r] : 1;

        sum += w * (l->objective == GBDT_CLASSES ? class_loss(l, of->classes[r], scores + i, n)
                                                 : number_loss(l, of->targets[r], scores[i]));
        all += w;
    }
    return all > 0 ? sum / all : NAN;
}
