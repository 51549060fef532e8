#include "algorithms/modules/svm_rbf.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void rbf_free(void *body)
{
    struct rbf *b = body;

    big_free(b->shift);
    big_free(b->factor);
    big_free(b->first);
    big_free(b->rho);
    big_free(b->rows);
    big_free(b->squares);
    big_free(b->weights);
    big_free(b->curves);
    free(b);
}

int rbf_vectors(struct rbf *b, size_t n, struct err *e)
{
    b->n = n;
    if (n * (b->d + b->k) > ML_LIMIT_PARAMETERS) {
        return err_set(e, ERR_DATA,
                       "%zu support vectors x %zu features are more than the %llu numbers of a "
                       "model: take a sample, or svm_linear",
                       n, b->d, ML_LIMIT_PARAMETERS);
    }
    b->rows = big_alloc(n * b->d, sizeof(double), "the support vectors", e);
    b->squares = b->rows ? big_alloc(n, sizeof(double), "the support vectors", e) : NULL;
    b->weights =
        b->squares ? big_alloc(n * (b->k - 1), sizeof(double), "the support vectors", e) : NULL;
    return b->weights ? 0 : -1;
}

int rbf_init(struct rbf *b, const struct model *m, struct err *e)
{
    b->d = m->features.n;
    b->k = m->classes.n;
    b->pairs = b->k * (b->k - 1) / 2;
    b->shift = big_alloc(b->d, sizeof(double), "the model", e);
    b->factor = b->shift ? big_alloc(b->d, sizeof(double), "the model", e) : NULL;
    b->first = b->factor ? big_alloc(b->k + 1, sizeof(uint32_t), "the model", e) : NULL;
    b->rho = b->first ? big_alloc(b->pairs, sizeof(double), "the model", e) : NULL;
    return b->rho ? 0 : -1;
}

int rbf_curves(struct rbf *b, struct err *e)
{
    b->curves = big_alloc(b->pairs, sizeof(*b->curves), "the model", e);
    return b->curves ? 0 : -1;
}

void rbf_squares(struct rbf *b)
{
    for (size_t i = 0; i < b->n; i++) {
        b->squares[i] = simd_get()->dot_f64(b->d, b->rows + i * b->d, b->rows + i * b->d);
    }
}

enum { GROUP = 32 }; /* rows predicted together */

struct scratch {
    double *x, *kernel, *sums;
    double *pairs; /* [k][k] and what coupling needs */
};

static void scratch_free(void *p)
{
    struct scratch *w = p;

    big_free(w->x);
    big_free(w->kernel);
    big_free(w->sums);
    big_free(w->pairs);
    free(w);
}

static void *scratch(const struct model *m, struct err *e)
{
    const struct rbf *b = m->body;
    struct scratch *w = xnew(struct scratch);

    w->x = big_alloc(b->d, MODEL_SLICE_ROWS * sizeof(double), "prediction", e);
    w->kernel = w->x ? big_alloc(b->n, GROUP * sizeof(double), "prediction", e) : NULL;
    w->sums = w->kernel ? big_alloc(b->k * (b->k - 1), sizeof(double), "prediction", e) : NULL;
    w->pairs = w->sums ? big_alloc(b->k * (2 * b->k + 1), sizeof(double), "prediction", e) : NULL;
    if (w->pairs == NULL) {
        scratch_free(w);
        return NULL;
    }
    return w;
}

/* kernel[row][vector] of up to GROUP rows. */
static void kernel_of(const struct rbf *b, const double *x, size_t rows, double *kernel)
{
    memset(kernel, 0, rows * b->n * sizeof(*kernel));
    simd_get()->gemm_f64(&(struct gemm_f64){.m = rows,
                                            .n = b->n,
                                            .k = b->d,
                                            .a = x,
                                            .a_row = b->d,
                                            .a_col = 1,
                                            .b = b->rows,
                                            .b_row = 1,
                                            .b_col = b->d,
                                            .c = kernel,
                                            .c_row = b->n});
    for (size_t i = 0; i < rows; i++) {
        double own = simd_get()->dot_f64(b->d, x + i * b->d, x + i * b->d);

        for (size_t j = 0; j < b->n; j++) {
            double far = own + b->squares[j] - 2 * kernel[i * b->n + j];

            kernel[i * b->n + j] = far > 0 ? -b->gamma * far : 0;
        }
    }
    simd_get()->exp_f64(kernel, rows * b->n);
}

static double logistic(double z)
{
    double t = exp(-fabs(z));

    return z >= 0 ? 1 / (1 + t) : t / (1 + t);
}

/* f of a pair, in the order of rho. */
static double score_of(const struct rbf *b, const double *sums, size_t i, size_t j, double rho)
{
    return sums[i * (b->k - 1) + j - 1] + sums[j * (b->k - 1) + i] - rho;
}

static void couple(const struct rbf *b, const double *sums, double *pairs, double *out)
{
    const double edge = 1e-7; /* nothing is certain, or the others would not count */
    size_t at = 0, k = b->k;

    for (size_t i = 0; i < k; i++) {
        for (size_t j = i + 1; j < k; j++, at++) {
            double p = platt_probability(&b->curves[at], score_of(b, sums, i, j, b->rho[at]));

            p = p < edge ? edge : p > 1 - edge ? 1 - edge : p;
            pairs[i * k + j] = p;
            pairs[j * k + i] = 1 - p;
        }
    }
    if (k == 2) {
        out[0] = pairs[1];
        out[1] = pairs[2];
        return;
    }
    platt_couple(pairs, k, pairs + k * k, out);
}

/* The class with most votes wins; of equals the one whose votes are clearest. */
static void vote(const struct rbf *b, const double *sums, double *out)
{
    double all = 0, sure = 1 / (double)b->k;
    const double *rho = b->rho;

    memset(out, 0, b->k * sizeof(*out));
    for (size_t i = 0; i < b->k; i++) {
        for (size_t j = i + 1; j < b->k; j++) {
            double f = score_of(b, sums, i, j, *rho++);
            double p = logistic(f);

            if (b->k == 2) {
                out[0] = p;
                out[1] = logistic(-f);
                return;
            }
            out[i] += p * sure + (f > 0);
            out[j] += (1 - p) * sure + !(f > 0);
        }
    }
    for (size_t i = 0; i < b->k; i++) {
        all += out[i];
    }
    for (size_t i = 0; i < b->k; i++) {
        out[i] /= all;
    }
}

static void answer(const struct rbf *b, const double *kernel, const struct scratch *w, double *out)
{
    double *sums = w->sums;

    memset(sums, 0, b->k * (b->k - 1) * sizeof(*sums));
    for (size_t c = 0; c < b->k; c++) {
        simd_get()->rows_add(b->first[c + 1] - b->first[c], b->k - 1,
                             b->weights + b->first[c] * (b->k - 1), kernel + b->first[c],
                             sums + c * (b->k - 1));
    }
    if (b->curves) {
        couple(b, sums, w->pairs, out);
    } else {
        vote(b, sums, out);
    }
}

static void scale_rows(const struct rbf *b, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < b->d; j++) {
            x[i * b->d + j] = (x[i * b->d + j] - b->shift[j]) * b->factor[j];
        }
    }
}

static void model_rows(const struct model *m, const double *const *columns, size_t first, size_t n,
                       void *p, double *out)
{
    const struct rbf *b = m->body;
    struct scratch *w = p;

    features_gather_f64(&m->features, columns, /* rows */ NULL, first, n, w->x);
    scale_rows(b, n, w->x);
    for (size_t at = 0; at < n; at += GROUP) {
        size_t rows = n - at < GROUP ? n - at : GROUP;

        kernel_of(b, w->x + at * b->d, rows, w->kernel);
        for (size_t i = 0; i < rows; i++) {
            answer(b, w->kernel + i * b->n, w, out + (at + i) * b->k);
        }
    }
}

static void model_body(const struct model *m, struct binw *w)
{
    const struct rbf *b = m->body;

    binw_f64(w, b->gamma);
    binw_f64s(w, b->shift, b->d);
    binw_f64s(w, b->factor, b->d);
    binw_u32s(w, b->first, b->k + 1);
    binw_f64s(w, b->rho, b->pairs);
    binw_f64s(w, b->rows, b->n * b->d);
    binw_f64s(w, b->weights, b->n * (b->k - 1));
    for (size_t i = 0; b->curves && i < b->pairs; i++) {
        binw_f64s(w, (const double[]){b->curves[i].a, b->curves[i].b}, 2);
    }
}

static int check_numbers(const double *v, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            return err_set(e, ERR_DATA, "damaged: number %zu of the vectors is not finite", i);
        }
    }
    return 0;
}

/* Behind all else, where probabilities were asked for. */
static int read_curves(struct rbf *b, struct binr *r, struct err *e)
{
    if (rbf_curves(b, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < b->pairs; i++) {
        b->curves[i].a = binr_f64(r);
        b->curves[i].b = binr_f64(r);
        if (r->bad || !isfinite(b->curves[i].a) || !isfinite(b->curves[i].b)) {
            return err_set(e, ERR_DATA, "damaged: curve %zu of the probabilities", i);
        }
    }
    return 0;
}

static int read_vectors(struct rbf *b, struct binr *r, struct err *e)
{
    size_t n = b->first[b->k];

    assert(b->k > 1);
    for (size_t c = 0; c < b->k; c++) {
        if (b->first[0] != 0 || b->first[c] > b->first[c + 1]) {
            return err_set(e, ERR_DATA, "damaged: the support vectors are not in order");
        }
    }
    if (n > r->left / sizeof(double) / (b->d + b->k - 1)) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the support vectors");
    }
    if (rbf_vectors(b, n, e) < 0) {
        return -1;
    }
    binr_f64s(r, b->rows, n * b->d);
    binr_f64s(r, b->weights, n * (b->k - 1));
    rbf_squares(b);
    return check_numbers(b->squares, n, e) < 0 ? -1 : check_numbers(b->weights, n * (b->k - 1), e);
}

static int model_from(struct model *m, struct binr *r, struct err *e)
{
    struct rbf *b = m->body = xnew(struct rbf);
    size_t k = m->classes.n, d = m->features.n;

    b->gamma = binr_f64(r);
    if (r->bad || m->task != TASK_CLASSES || !(b->gamma >= 0) || isinf(b->gamma)) {
        return err_set(e, ERR_DATA, "damaged: a kernel of width %g", b->gamma);
    }
    if (2 * d + k * (k - 1) / 2 > r->left / sizeof(double)) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the support vectors");
    }
    if (rbf_init(b, m, e) < 0) {
        return -1;
    }
    binr_f64s(r, b->shift, d);
    binr_f64s(r, b->factor, d);
    binr_u32s(r, b->first, k + 1);
    binr_f64s(r, b->rho, b->pairs);
    if (check_numbers(b->shift, d, e) < 0 || check_numbers(b->factor, d, e) < 0 ||
        check_numbers(b->rho, b->pairs, e) < 0) {
        return -1;
    }
    return read_vectors(b, r, e) < 0 || (r->left > 0 && read_curves(b, r, e) < 0) ? -1 : 0;
}

const struct model_type model_svm_rbf = {
    .kind = 24,
    .module = "svm_rbf",
    .range = FEATURES_F64,
    .scratch = scratch,
    .scratch_free = scratch_free,
    .predict = model_rows,
    .write = model_body,
    .read = model_from,
    .free = rbf_free,
};
