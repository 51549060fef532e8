/* logistic_regression - multinomial, by L-BFGS; with l1 by OWL-QN.
 *
 *   minimise  sum_i w_i (-log p(y_i | x_i)) / sum_i w_i  +  l1 |W|_1  +  l2 / 2 |W|^2
 *
 * Intercepts are free. Two classes of few features without l1 are left to Newton (logit.h).
 *
 * Rows are cut into stripes whose borders depend on the table alone. A stripe is one task: forward
 * and backward over pieces of rows that stay in the cache, into a gradient of its own; gradients
 * are added in the order of the stripes. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/linear.h"
#include "algorithms/kernel/logit.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/optimise.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/kernel/softmax.h"
#include "algorithms/kernel/standard.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

static int model_from(struct model *m, struct binr *r, struct err *e)
{
    if (m->task != TASK_CLASSES) {
        return err_set(e, ERR_DATA, "damaged: logistic regression predicts classes");
    }
    m->body = xnew(struct linear);
    return linear_read(r, m->body, m->features.n, m->classes.n, e);
}

const struct model_type model_logistic_regression = {
    .kind = 1,
    .module = "logistic_regression",
    .range = FEATURES_F64,
    .scratch = linear_scratch,
    .scratch_free = linear_scratch_free,
    .predict = linear_model_predict,
    .write = linear_model_write,
    .read = model_from,
    .free = linear_free,
};

static const struct training_wants wants = {
    .type = &model_logistic_regression, .task = TASK_CLASSES, .kinds = FEATURES_NUMBERS};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "Rows with their labels."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_PARAMS,
    {"l1", PARAM_REAL, "0", 0, 1e9, NULL,
     "Strength of the penalty on absolute weights, which makes many of them 0."},
    {"l2", PARAM_REAL, "0.0001", 0, 1e9, NULL,
     "Strength of the squared penalty on weights; 1 / (C x rows) of scikit-learn."},
    {"standardize", PARAM_BOOL, "true", 0, 0, NULL,
     "Scale features for training and penalty; the model holds weights of the unscaled ones."},
    {"intercept", PARAM_BOOL, "true", 0, 0, NULL, "Whether scores have a constant term."},
    {"max_iter", PARAM_INT, "200", 1, 1000000, NULL, "Most steps of the optimiser."},
    {"epsilon", PARAM_REAL, "0.000001", 0, 1, NULL,
     "Done when no component of the gradient is larger."},
    {0},
};

enum {
    STRIPE_ROWS = 1024,
    STRIPES_MAX = 64,
    PIECE_NUMBERS = 32768,
    PIECE_ROWS_MAX = LOGIT_PIECE_ROWS
};
enum { TILE_WIDTH = 16 }; /* of the widest instruction set, in doubles */
static const size_t gradient_bytes_max = 256 * MIB;

struct fit {
    struct training *t;
    struct step *s;
    size_t d, k;
    size_t width; /* scores with their padding: a full tile of the product */
    /* features, scores */
    size_t n_params, n_padded;
    double *x; /* [row][feature] */
    double l2;
    bool intercept;
    const struct simd *simd;
    size_t stripes, stripe_rows, piece_rows;
    double *gradients; /* [stripe][n_padded] */
    double *losses;    /* [stripe] */
    double *z;         /* [worker][piece_rows * width] */
    double *padded;    /* the parameters being tried, [feature][width], then intercepts */
    unsigned max_iter;
};

static void fit_done(struct fit *f)
{
    big_free(f->x);
    big_free(f->gradients);
    big_free(f->losses);
    big_free(f->z);
    big_free(f->padded);
}

/* Scores become derivatives of the loss; returns the loss. */
static double loss_of(const struct fit *f, size_t first, size_t rows, double *z)
{
    const uint32_t *classes = f->t->classes + first;
    const double *weights = f->t->weights ? f->t->weights + first : NULL;

    return f->k == 1 ? logit_loss(classes, weights, rows, z, /* second */ NULL)
                     : softmax_loss(&(struct softmax){classes, weights, f->k, f->width}, rows, z);
}

/* g += x^T r, and the sums of r behind it for the intercepts. */
static void add_gradient(const struct fit *f, const double *x, const double *r, size_t rows,
                         double *g)
{
    if (f->k == 1) {
        f->simd->rows_add(rows, f->d, x, r, g);
    } else {
        f->simd->gemm_f64(&(struct gemm_f64){.m = f->d,
                                             .n = f->width,
                                             .k = rows,
                                             .a = x,
                                             .a_row = 1,
                                             .a_col = f->d,
                                             .b = r,
                                             .b_row = f->width,
                                             .b_col = 1,
                                             .c = g,
                                             .c_row = f->width});
    }
    for (size_t i = 0; f->intercept && i < rows; i++) {
        for (size_t k = 0; k < f->k; k++) {
            g[f->d * f->width + k] += r[i * f->width + k];
        }
    }
}

static void run_stripe(void *ctx, size_t task, unsigned worker)
{
    struct fit *f = ctx;
    struct linear l = {f->d, f->width, f->padded, NULL};
    size_t first = task * f->stripe_rows, end = first + f->stripe_rows;
    double *g = f->gradients + task * f->n_padded;
    double *z = f->z + worker * f->piece_rows * f->width;
    double loss = 0;

    end = end < f->t->table->n_rows ? end : f->t->table->n_rows;
    memset(g, 0, f->n_padded * sizeof(*g));
    while (first < end) {
        size_t rows = end - first < f->piece_rows ? end - first : f->piece_rows;
        const double *x = f->x + first * f->d;

        linear_score(&l, x, rows, z);
        loss += loss_of(f, first, rows, z);
        add_gradient(f, x, z, rows, g);
        first += rows;
    }
    f->losses[task] = loss;
}

/* A stripe's gradient without its padding. */
static void add_part(const struct fit *f, const double *part, double *g)
{
    for (size_t j = 0; j <= f->d; j++) {
        for (size_t k = 0; k < f->k; k++) {
            g[j * f->k + k] += part[j * f->width + k];
        }
    }
}

static double objective(void *ctx, const double *params_at, double *g)
{
    struct fit *f = ctx;
    size_t n_weights = f->d * f->k;
    double loss = 0, squares = 0, scale = 1 / f->t->weight_sum;

    for (size_t j = 0; j <= f->d; j++) {
        memcpy(f->padded + j * f->width, params_at + j * f->k, f->k * sizeof(double));
    }
    threads_each(f->s->threads, f->stripes, run_stripe, f);
    memset(g, 0, f->n_params * sizeof(*g));
    for (size_t i = 0; i < f->stripes; i++) {
        loss += f->losses[i];
        add_part(f, f->gradients + i * f->n_padded, g);
    }
    for (size_t j = 0; j < f->n_params; j++) {
        g[j] *= scale;
    }
    for (size_t j = 0; j < n_weights; j++) {
        g[j] += f->l2 * params_at[j];
        squares += params_at[j] * params_at[j];
    }
    return loss * scale + f->l2 / 2 * squares;
}

static void each(void *ctx, unsigned iteration, double value, double gradient)
{
    struct fit *f = ctx;
    const struct metric m[] = {{"iteration", iteration}, {"loss", value}, {"gradient", gradient}};

    progress_update(f->s->progress, (double)iteration / f->max_iter, m, ARRAY_LEN(m),
                    "iteration %u of at most %u, loss %.6g", iteration, f->max_iter, value);
}

static int take_memory(struct fit *f, struct err *e)
{
    size_t n = f->t->table->n_rows, numbers = f->n_padded > 0 ? f->n_padded : 1;
    size_t most = gradient_bytes_max / (numbers * sizeof(double));

    f->stripes = (n + STRIPE_ROWS - 1) / STRIPE_ROWS;
    f->stripes = f->stripes < STRIPES_MAX ? f->stripes : STRIPES_MAX;
    f->stripes = f->stripes < most ? f->stripes : most < 1 ? 1 : most;
    f->stripe_rows = (n + f->stripes - 1) / f->stripes;
    f->stripes = (n + f->stripe_rows - 1) / f->stripe_rows;
    f->piece_rows = PIECE_NUMBERS / f->d;
    f->piece_rows = f->piece_rows < 16               ? 16
                    : f->piece_rows > PIECE_ROWS_MAX ? PIECE_ROWS_MAX
                                                     : f->piece_rows;
    f->x = big_alloc(n * f->d, sizeof(double), "the matrix of features", e);
    f->gradients =
        f->x ? big_alloc(f->stripes * f->n_padded, sizeof(double), "the gradients", e) : NULL;
    f->losses = f->gradients ? big_alloc(f->stripes, sizeof(double), "the gradients", e) : NULL;
    f->z = f->losses ? big_alloc(threads_count(f->s->threads) * f->piece_rows * f->width,
                                 sizeof(double), "the scores", e)
                     : NULL;
    f->padded = f->z ? big_alloc(f->n_padded, sizeof(double), "the scores", e) : NULL;
    return f->padded ? 0 : -1;
}

static void say(const struct fit *f, double loss, unsigned iterations, int done)
{
    progress_say(f->s->progress,
                 "%zu rows, %zu features, %zu classes: loss %.6g after %u iterations%s",
                 f->t->table->n_rows, f->d, f->t->model->classes.n, loss, iterations,
                 done ? "" : ", not converged: raise max_iter or l2");
}

static int optimise(struct fit *f, double *weights, struct err *e)
{
    const struct step *s = f->s;
    double l1 = step_real(s, "l1");
    SCOPED(big_freep) double *penalties = NULL;
    struct optimise o = {.fn = objective,
                         .each = each,
                         .ctx = f,
                         .max_iter = f->max_iter,
                         .epsilon = step_real(s, "epsilon"),
                         .f_epsilon = step_real(s, "epsilon") * 1e-4};

    if (l1 > 0) {
        penalties = big_alloc(f->n_params, sizeof(double), "the memory of the optimiser", e);
        if (penalties == NULL) {
            return -1;
        }
        for (size_t j = 0; j < f->d * f->k; j++) {
            penalties[j] = l1;
        }
        o.l1 = penalties;
    }
    if (optimise_lbfgs(&o, f->n_params, weights, e) < 0) {
        return -1;
    }
    say(f, o.value, o.iterations, o.converged || o.iterations < f->max_iter);
    return 0;
}

/* By L-BFGS, with all rows as a matrix. */
static int fit_matrix(struct fit *f, double *mean, double *weights, struct err *e)
{
    struct training *t = f->t;

    if (take_memory(f, e) < 0) {
        return -1;
    }
    features_gather_all_f64(&t->model->features, &t->bound, f->x);
    if (mean) {
        standardise(f->x, t->table->n_rows, f->d, t->weights, t->weight_sum, f->intercept, mean,
                    mean + f->d);
    }
    return optimise(f, weights, e);
}

/* 1: this is not for Newton. */
static int fit_newton(struct fit *f, double *mean, double *weights, struct err *e)
{
    struct training *t = f->t;
    struct logit l = {.features = &t->model->features,
                      .bound = &t->bound,
                      .classes = t->classes,
                      .weights = t->weights,
                      .weight_sum = t->weight_sum,
                      .intercept = f->intercept,
                      .l2 = f->l2,
                      .max_iter = f->max_iter,
                      .epsilon = step_real(f->s, "epsilon"),
                      .each = each,
                      .ctx = f};
    int rc;

    if (f->k > 1 || f->d > LOGIT_FEATURES_MAX || step_real(f->s, "l1") > 0) {
        return 1;
    }
    if (mean) {
        logit_standards(&l, f->s->threads, mean, mean + f->d);
    }
    rc = logit_newton(&l, f->s->threads, mean, mean ? mean + f->d : NULL, weights, e);
    if (rc == 0) {
        say(f, l.value, l.iterations, l.converged);
    } else if (mean) {
        memset(mean, 0, 2 * f->d * sizeof(*mean));
    }
    return rc;
}

static int fit(struct fit *f, struct err *e)
{
    struct linear *l = f->t->model->body;
    SCOPED(big_freep) double *mean = NULL;
    int rc;

    if (linear_init(l, f->d, f->t->model->classes.n, e) < 0) {
        return -1;
    }
    f->n_params = linear_parameters(l);
    f->width = f->k == 1 ? 1 : (f->k + TILE_WIDTH - 1) / TILE_WIDTH * TILE_WIDTH;
    f->n_padded = (f->d + 1) * f->width;
    if (step_true(f->s, "standardize")) {
        mean = big_alloc(f->d, 2 * sizeof(double), "the matrix of features", e);
        if (mean == NULL) {
            return -1;
        }
    }
    rc = fit_newton(f, mean, l->weights, e);
    if (rc < 0 || (rc > 0 && fit_matrix(f, mean, l->weights, e) < 0)) {
        return -1;
    }
    if (mean) {
        unstandardise(l->weights, f->d, f->k, mean, mean + f->d);
    }
    for (size_t j = 0; j < f->n_params; j++) {
        if (!isfinite(l->weights[j])) {
            return err_set(e, ERR_DATA, "the weights grow without bound: give l2 a value above 0");
        }
    }
    return 0;
}

static int run(struct step *s, struct err *e)
{
    struct training t;
    struct fit f = {.t = &t, .s = s, .simd = simd_get()};
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    t.model->body = xnew(struct linear);
    f.d = t.model->features.n;
    f.k = linear_scores(t.model->classes.n);
    f.l2 = step_real(s, "l2");
    f.intercept = step_true(s, "intercept");
    f.max_iter = (unsigned)step_int(s, "max_iter");
    rc = fit(&f, e);
    if (rc == 0) {
        step_out_model(s, "model", TAKE(t.model));
    }
    fit_done(&f);
    training_done(&t);
    return rc;
}

static void check(struct check *c)
{
    training_check(c, &wants);
}

const struct module module_logistic_regression = {
    .name = "logistic_regression",
    .title = "Logistic regression",
    .description = "Learns two or more classes from numbers by a linear model with a squared "
                   "penalty, or one on absolute weights (multinomial).",
    .category = "classification",
    .version = "1.2.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+16*cells+16*rows+64Mi",
    .run = run,
    .check = check,
};
