#include "algorithms/kernel/linear.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/simd.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void linear_done(struct linear *l)
{
    big_free(l->weights);
    big_free(l->curves);
    *l = (struct linear){0};
}

void linear_free(void *l)
{
    linear_done(l);
    free(l);
}

size_t linear_parameters(const struct linear *l)
{
    return (l->n_features + 1) * l->n_scores;
}

int linear_init(struct linear *l, size_t n_features, size_t n_classes, struct err *e)
{
    *l = (struct linear){.n_features = n_features, .n_scores = linear_scores(n_classes)};
    if (linear_parameters(l) > ML_LIMIT_PARAMETERS) {
        return err_set(e, ERR_DATA, "%zu features x %zu classes are more than %llu parameters",
                       n_features, n_classes, ML_LIMIT_PARAMETERS);
    }
    l->weights = big_alloc(linear_parameters(l), sizeof(double), "the model", e);
    return l->weights ? 0 : -1;
}

int linear_curves(struct linear *l, struct err *e)
{
    l->curves = big_alloc(l->n_scores, sizeof(*l->curves), "the model", e);
    return l->curves ? 0 : -1;
}

void linear_score(const struct linear *l, const double *x, size_t rows, double *z)
{
    const double *bias = l->weights + l->n_features * l->n_scores;
    const struct simd *simd = simd_get();

    if (l->n_scores == 1) {
        simd->rows_dot(rows, l->n_features, x, l->weights, z);
        for (size_t i = 0; i < rows; i++) {
            z[i] += bias[0];
        }
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        memcpy(z + i * l->n_scores, bias, l->n_scores * sizeof(*z));
    }
    simd->gemm_f64(&(struct gemm_f64){.m = rows,
                                      .n = l->n_scores,
                                      .k = l->n_features,
                                      .a = x,
                                      .a_row = l->n_features,
                                      .a_col = 1,
                                      .b = l->weights,
                                      .b_row = l->n_scores,
                                      .b_col = 1,
                                      .c = z,
                                      .c_row = l->n_scores});
}

static void softmax_row(double *p, size_t n)
{
    double top = p[0], sum = 0;

    for (size_t k = 1; k < n; k++) {
        top = p[k] > top ? p[k] : top;
    }
    for (size_t k = 0; k < n; k++) {
        p[k] -= top;
    }
    simd_get()->exp_f64(p, n);
    for (size_t k = 0; k < n; k++) {
        sum += p[k];
    }
    for (size_t k = 0; k < n; k++) {
        p[k] /= sum;
    }
}

/* Each class against the rest by its curve; together they are 1. */
static void calibrate_row(const struct linear *l, const double *z, double *p)
{
    double sum = 0;

    if (l->n_scores == 1) {
        p[1] = platt_probability(&l->curves[0], z[0]);
        p[0] = 1 - p[1];
        return;
    }
    for (size_t k = 0; k < l->n_scores; k++) {
        p[k] = platt_probability(&l->curves[k], z[k]);
        sum += p[k];
    }
    for (size_t k = 0; k < l->n_scores; k++) {
        p[k] = sum > 0 ? p[k] / sum : 1 / (double)l->n_scores;
    }
}

void linear_predict(const struct linear *l, const double *x, size_t rows, double *z, double *p)
{
    linear_score(l, x, rows, l->n_scores == 1 ? z : p);
    for (size_t i = 0; i < rows; i++) {
        if (l->curves) {
            calibrate_row(l, l->n_scores == 1 ? z + i : p + i * l->n_scores,
                          p + i * (l->n_scores == 1 ? 2 : l->n_scores));
        } else if (l->n_scores == 1) {
            double t = exp(-fabs(z[i]));

            p[2 * i + 1] = z[i] >= 0 ? 1 / (1 + t) : t / (1 + t);
            p[2 * i] = z[i] >= 0 ? t / (1 + t) : 1 / (1 + t);
        } else {
            softmax_row(p + i * l->n_scores, l->n_scores);
        }
    }
}

void linear_write(const struct linear *l, struct binw *w)
{
    binw_f64s(w, l->weights, linear_parameters(l));
    for (size_t k = 0; l->curves && k < l->n_scores; k++) {
        binw_f64s(w, (const double[]){l->curves[k].a, l->curves[k].b}, 2);
    }
}

int linear_read(struct binr *r, struct linear *l, size_t n_features, size_t n_classes,
                struct err *e)
{
    size_t n = (n_features + 1) * linear_scores(n_classes);

    if (n > r->left / sizeof(double)) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the weights");
    }
    if (linear_init(l, n_features, n_classes, e) < 0) {
        return -1;
    }
    binr_f64s(r, l->weights, n);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(l->weights[i])) {
            return err_set(e, ERR_DATA, "damaged: weight %zu is not a finite number", i);
        }
    }
    return 0;
}

int linear_read_curves(struct binr *r, struct linear *l, struct err *e)
{
    if (linear_curves(l, e) < 0) {
        return -1;
    }
    for (size_t k = 0; k < l->n_scores; k++) {
        l->curves[k].a = binr_f64(r);
        l->curves[k].b = binr_f64(r);
        if (r->bad || !isfinite(l->curves[k].a) || !isfinite(l->curves[k].b)) {
            return err_set(e, ERR_DATA, "damaged: curve %zu of the probabilities", k);
        }
    }
    return 0;
}

/* --- as the body of a model ------------------------------------------------------------------- */

struct scratch {
    double *x, *z;
};

void linear_scratch_free(void *p)
{
    struct scratch *w = p;

    big_free(w->x);
    big_free(w->z);
    free(w);
}

void *linear_scratch(const struct model *m, struct err *e)
{
    const struct linear *l = m->body;
    struct scratch *w = xnew(struct scratch);

    w->x = big_alloc(m->features.n, MODEL_SLICE_ROWS * sizeof(double), "prediction", e);
    w->z = w->x ? big_alloc(l->n_scores, MODEL_SLICE_ROWS * sizeof(double), "prediction", e) : NULL;
    if (w->z == NULL) {
        linear_scratch_free(w);
        return NULL;
    }
    return w;
}

void linear_model_predict(const struct model *m, const double *const *columns, size_t first,
                          size_t n, void *p, double *out)
{
    struct scratch *w = p;

    features_gather_f64(&m->features, columns, /* rows */ NULL, first, n, w->x);
    linear_predict(m->body, w->x, n, w->z, out);
}

void linear_model_write(const struct model *m, struct binw *w)
{
    linear_write(m->body, w);
}
