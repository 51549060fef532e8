#include "algorithms/modules/naive_bayes.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void bayes_free(void *body)
{
    struct bayes *b = body;

    free(b->first);
    big_free(b->priors);
    big_free(b->numbers);
    free(b);
}

size_t bayes_width(const struct bayes *b, const struct features *f, size_t j)
{
    static const size_t widths[] = {3, 1, 2};

    return f->categories[j].names ? f->categories[j].n : widths[b->kind];
}

int bayes_init(struct bayes *b, const struct model *m, struct err *e)
{
    size_t n = 0;

    b->d = m->features.n;
    b->k = m->classes.n;
    b->first = xnew_array(size_t, b->d + 1);
    for (size_t j = 0; j < b->d; j++) {
        b->first[j] = n;
        n += bayes_width(b, &m->features, j) * b->k;
    }
    b->first[b->d] = n;
    if (n > ML_LIMIT_PARAMETERS) {
        return err_set(e, ERR_DATA, "%zu features x %zu classes are more than %llu parameters",
                       b->d, b->k, ML_LIMIT_PARAMETERS);
    }
    b->priors = big_alloc(b->k, sizeof(double), "the model", e);
    b->numbers = b->priors ? big_alloc(n, sizeof(double), "the model", e) : NULL;
    return b->numbers ? 0 : -1;
}

static void *scratch(const struct model *m, struct err *e)
{
    return big_alloc(m->features.n, MODEL_SLICE_ROWS * sizeof(double), "prediction", e);
}

/* Adds what one value says for each class. */
static void add_number(const struct bayes *b, const double *p, double v, double *score)
{
    for (size_t k = 0; k < b->k; k++) {
        double by = v - p[3 * k];

        score[k] += p[3 * k + 2] - by * by * p[3 * k + 1];
    }
}

static void add_value(const struct bayes *b, const struct features *f, size_t j, double v,
                      double *score)
{
    const double *p = b->numbers + b->first[j];
    size_t width = f->categories[j].names ? f->categories[j].n : 0;

    if (width > 0) {
        for (size_t k = 0; k < b->k; k++) {
            score[k] += p[k * width + (size_t)v];
        }
    } else if (b->kind == GAUSSIAN) {
        add_number(b, p, v, score);
    } else if (b->kind == MULTINOMIAL) {
        for (size_t k = 0; k < b->k; k++) {
            score[k] += v * p[k];
        }
    } else {
        for (size_t k = 0; k < b->k; k++) {
            score[k] += p[2 * k + (v > b->binarize ? 0 : 1)];
        }
    }
}

static void to_shares(double *score, size_t n)
{
    double top = score[0], sum = 0;

    for (size_t k = 1; k < n; k++) {
        top = score[k] > top ? score[k] : top;
    }
    for (size_t k = 0; k < n; k++) {
        score[k] -= top;
    }
    simd_get()->exp_f64(score, n);
    for (size_t k = 0; k < n; k++) {
        sum += score[k];
    }
    for (size_t k = 0; k < n; k++) {
        score[k] /= sum;
    }
}

static void model_rows(const struct model *m, const double *const *columns, size_t first, size_t n,
                       void *p, double *out)
{
    const struct bayes *b = m->body;
    double *x = p;

    features_gather_f64(&m->features, columns, /* rows */ NULL, first, n, x);
    for (size_t i = 0; i < n; i++) {
        double *score = out + i * b->k;

        memcpy(score, b->priors, b->k * sizeof(double));
        for (size_t j = 0; j < b->d; j++) {
            if (!isnan(x[i * b->d + j])) {
                add_value(b, &m->features, j, x[i * b->d + j], score);
            }
        }
        to_shares(score, b->k);
    }
}

static void model_body(const struct model *m, struct binw *w)
{
    const struct bayes *b = m->body;

    binw_u32(w, b->kind);
    binw_f64(w, b->binarize);
    binw_f64s(w, b->priors, b->k);
    binw_f64s(w, b->numbers, b->first[b->d]);
}

static int all_finite(const double *v, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            return err_set(e, ERR_DATA, "damaged: number %zu is not finite", i);
        }
    }
    return 0;
}

static int model_from(struct model *m, struct binr *r, struct err *e)
{
    struct bayes *b = m->body = xnew(struct bayes);

    b->kind = binr_u32(r);
    b->binarize = binr_f64(r);
    if (r->bad || m->task != TASK_CLASSES || b->kind > BERNOULLI || !isfinite(b->binarize)) {
        return err_set(e, ERR_DATA, "damaged: naive Bayes of kind %u", b->kind);
    }
    for (size_t j = 0; j < m->features.n; j++) {
        if (m->features.categories[j].names &&
            (b->kind != GAUSSIAN || m->features.categories[j].n == 0)) {
            return err_set(e, ERR_DATA, "damaged: feature %zu cannot be text", j);
        }
        if (bayes_width(b, &m->features, j) * m->classes.n > r->left / sizeof(double)) {
            return err_set(e, ERR_DATA, "damaged: it ends inside the distributions");
        }
    }
    if (m->classes.n > r->left / sizeof(double) || bayes_init(b, m, e) < 0) {
        return e->msg[0] ? -1 : err_set(e, ERR_DATA, "damaged: it ends inside the distributions");
    }
    binr_f64s(r, b->priors, b->k);
    binr_f64s(r, b->numbers, b->first[b->d]);
    return all_finite(b->priors, b->k, e) < 0 ? -1 : all_finite(b->numbers, b->first[b->d], e);
}

const struct model_type model_naive_bayes = {
    .kind = 21,
    .module = "naive_bayes",
    .range = FEATURES_F64,
    .scratch = scratch,
    .scratch_free = big_free,
    .predict = model_rows,
    .write = model_body,
    .read = model_from,
    .free = bayes_free,
};
