/* linear_regression - a number from numbers: ordinary least squares, ridge, lasso, elastic net.
 *
 *   minimise  sum_i w_i (y_i - x_i b - b0)^2 / (2 sum_i w_i)  +  l1 |b|_1  +  l2 / 2 |b|_2^2
 *
 * Rows are read twice, into the covariance of features and label. What is left is small: it is
 * solved for features and label of deviation 1, with the penalties scaled to match, by a Cholesky
 * factor (l1 = 0) or by coordinate descent (Friedman, Hastie, Tibshirani 2010). Features that
 * depend on others share their weight: the smallest of all that fit. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/covariance.h"
#include "algorithms/kernel/dense.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/importance.h"
#include "algorithms/kernel/linear.h"
#include "algorithms/kernel/number.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

struct line {
    struct linear l; /* one score */
    double *spread;  /* deviation of each feature; big memory */
    double r2, rmse; /* on the training rows */
};

static void line_free(void *body)
{
    struct line *m = body;

    linear_done(&m->l);
    big_free(m->spread);
    free(m);
}

static void *scratch(const struct model *m, struct err *e)
{
    return big_alloc(m->features.n, MODEL_SLICE_ROWS * sizeof(double), "prediction", e);
}

static void model_rows(const struct model *m, const double *const *columns, size_t first, size_t n,
                       void *x, double *out)
{
    const struct line *b = m->body;

    features_gather_f64(&m->features, columns, /* rows */ NULL, first, n, x);
    linear_score(&b->l, x, n, out);
}

static void model_body(const struct model *m, struct binw *w)
{
    const struct line *b = m->body;

    linear_write(&b->l, w);
    binw_f64s(w, b->spread, b->l.n_features);
    binw_f64(w, b->r2);
    binw_f64(w, b->rmse);
}

static int line_init(struct line *b, size_t d, struct err *e)
{
    b->spread = big_alloc(d, sizeof(double), "the model", e);
    return b->spread ? 0 : -1;
}

static int model_from(struct model *m, struct binr *r, struct err *e)
{
    struct line *b = m->body = xnew(struct line);

    if (m->task != TASK_NUMBER) {
        return err_set(e, ERR_DATA, "damaged: linear regression predicts a number");
    }
    if (linear_read(r, &b->l, m->features.n, 2, e) < 0 || line_init(b, m->features.n, e) < 0) {
        return -1;
    }
    binr_f64s(r, b->spread, m->features.n);
    b->r2 = binr_f64(r);
    b->rmse = binr_f64(r);
    return r->bad ? err_set(e, ERR_DATA, "damaged: it ends inside the weights") : 0;
}

static void model_describe(const struct model *m, struct jw *w)
{
    const struct line *b = m->body;
    SCOPED(freep) double *size = xnew_array(double, m->features.n + 1);

    for (size_t j = 0; j < m->features.n; j++) {
        size[j] = fabs(b->l.weights[j]) * b->spread[j];
    }
    importance_json(&m->features, size, w);
    jw_key(w, "figures");
    jw_object(w);
    number_json_kv(w, "r2", b->r2);
    number_json_kv(w, "rmse", b->rmse);
    number_json_kv(w, "intercept", b->l.weights[m->features.n]);
    jw_end(w);
}

const struct model_type model_linear_regression = {
    .kind = 20,
    .module = "linear_regression",
    .range = FEATURES_F64,
    .scratch = scratch,
    .scratch_free = big_free,
    .predict = model_rows,
    .write = model_body,
    .read = model_from,
    .free = line_free,
    .describe = model_describe,
};

static const struct training_wants wants = {
    .type = &model_linear_regression, .task = TASK_NUMBER, .kinds = FEATURES_NUMBERS};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "Rows with the number to learn."},
                                     {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_LABEL,
    TRAINING_FEATURES("@numeric"),
    TRAINING_WEIGHT,
    TRAINING_MISSING,
    {"l1", PARAM_REAL, "0", 0, 1e9, NULL,
     "Strength of the penalty on absolute weights (lasso); alpha x l1_ratio of scikit-learn."},
    {"l2", PARAM_REAL, "0", 0, 1e9, NULL,
     "Strength of the squared penalty (ridge); alpha / rows of scikit-learn's Ridge."},
    {"standardize", PARAM_BOOL, "true", 0, 0, NULL,
     "Penalise weights of features scaled to deviation 1; the model holds those of the unscaled."},
    {"intercept", PARAM_BOOL, "true", 0, 0, NULL, "Whether there is a constant term."},
    {"max_iter", PARAM_INT, "10000", 1, 100000000, NULL,
     "Most rounds over all weights; only with l1."},
    {"epsilon", PARAM_REAL, "0.0000001", 0, 1, NULL,
     "Done when a round moves no weight (of scaled features and label) by more; only with l1."},
    {0},
};

static const double dependent = 1e-12; /* what is left of a feature's variance beside the others */

/* The problem for features and label of deviation 1. */
struct problem {
    size_t d;
    const struct step *s;
    double *r;         /* [d][d] correlations */
    double *q;         /* with the label */
    double *l1, *l2;   /* of each */
    double *deviation; /* of each feature, 0: constant; then of the label */
    double *b;         /* the result */
    unsigned rounds;   /* of coordinate descent */
    bool converged;
};

/* c of features and label, the label last; mean of each. */
static void scale_problem(struct problem *p, const double *c, const double *mean)
{
    size_t d = p->d, n = d + 1;
    bool standardize = step_true(p->s, "standardize");
    double label;

    for (size_t j = 0; j < n; j++) {
        double v = sqrt(c[j * n + j]);

        p->deviation[j] = v > 1e-14 * fabs(mean[j]) ? v : 0;
    }
    label = p->deviation[d];
    for (size_t i = 0; i < d; i++) {
        double own = p->deviation[i], size = standardize ? 1 : own;

        for (size_t j = 0; j < d; j++) {
            double both = own * p->deviation[j];

            p->r[i * d + j] = both > 0 ? c[i * n + j] / both : 0;
        }
        p->r[i * d + i] = 1; /* a constant feature keeps the weight 0 */
        p->q[i] = own * label > 0 ? c[i * n + d] / (own * label) : 0;
        p->l1[i] = own * label > 0 ? step_real(p->s, "l1") / (size * label) : 0;
        p->l2[i] = own > 0 ? step_real(p->s, "l2") / (size * size) : 0;
    }
}

/* Features depend on each other: the smallest weights that fit, by the eigenvectors. */
static int solve_dependent(struct problem *p, double *a, struct err *e)
{
    size_t d = p->d;
    SCOPED(big_freep) double *values = big_alloc(d, sizeof(double), "the eigenvalues", e);

    if (values == NULL || dense_eigen(a, d, values, e) < 0) {
        return -1;
    }
    memset(p->b, 0, d * sizeof(double));
    for (size_t i = 0; i < d && values[i] > dependent * values[0]; i++) {
        double f = 0;

        for (size_t j = 0; j < d; j++) {
            f += a[i * d + j] * p->q[j];
        }
        for (size_t j = 0; j < d; j++) {
            p->b[j] += f / values[i] * a[i * d + j];
        }
    }
    return 0;
}

static void penalised(const struct problem *p, double *a)
{
    memcpy(a, p->r, p->d * p->d * sizeof(double));
    for (size_t j = 0; j < p->d; j++) {
        a[j * p->d + j] += p->l2[j];
    }
}

static int solve_squares(struct problem *p, struct err *e)
{
    SCOPED(big_freep)
    double *a = big_alloc(p->d * p->d, sizeof(double), "the products of the columns", e);

    if (a == NULL) {
        return -1;
    }
    penalised(p, a);
    if (dense_cholesky(a, p->d, dependent) == 0) {
        memcpy(p->b, p->q, p->d * sizeof(double));
        dense_cholesky_solve(a, p->d, p->b);
        return 0;
    }
    penalised(p, a);
    return solve_dependent(p, a, e);
}

static double shrink(double v, double by)
{
    return v > by ? v - by : v < -by ? v + by : 0;
}

/* `left` is what each feature still correlates with of the label. */
static int descend(struct problem *p, struct err *e)
{
    double epsilon = step_real(p->s, "epsilon"), largest = 1;
    unsigned most = (unsigned)step_int(p->s, "max_iter");
    SCOPED(big_freep) double *left = big_alloc(p->d, sizeof(double), "the model", e);

    if (left == NULL) {
        return -1;
    }
    memcpy(left, p->q, p->d * sizeof(double));
    while (!p->converged && p->rounds < most) {
        largest = 0;
        for (size_t j = 0; j < p->d; j++) {
            double next = shrink(left[j] + p->b[j], p->l1[j]) / (1 + p->l2[j]);
            double by = next - p->b[j];
            const double *row = p->r + j * p->d;

            if (by == 0) {
                continue;
            }
            p->b[j] = next;
            largest = fmax(largest, fabs(by));
            for (size_t k = 0; k < p->d; k++) {
                left[k] -= by * row[k];
            }
        }
        p->rounds++;
        p->converged = largest <= epsilon;
        progress_update(p->s->progress, (double)p->rounds / most, NULL, 0, "round %u of at most %u",
                        p->rounds, most);
    }
    return 0;
}

static double residual_variance(const struct problem *p)
{
    double left = 1;

    for (size_t i = 0; i < p->d; i++) {
        double sum = 0;

        for (size_t j = 0; j < p->d; j++) {
            sum += p->r[i * p->d + j] * p->b[j];
        }
        left += p->b[i] * (sum - 2 * p->q[i]);
    }
    return left > 0 ? left : 0;
}

static int keep(const struct problem *p, const double *mean, struct line *m, struct err *e)
{
    double label = p->deviation[p->d], left = residual_variance(p), bias = mean[p->d];

    for (size_t j = 0; j < p->d; j++) {
        double w = p->deviation[j] > 0 ? p->b[j] * label / p->deviation[j] : 0;

        m->l.weights[j] = w;
        m->spread[j] = p->deviation[j];
        bias -= w * mean[j];
        if (!isfinite(w)) {
            return err_set(e, ERR_DATA, "the weights grow without bound: give l2 a value above 0");
        }
    }
    m->l.weights[p->d] = bias;
    m->r2 = label > 0 ? 1 - left : 0;
    m->rmse = label * sqrt(left);
    return 0;
}

static int solve(struct problem *p, struct training *t, struct line *m, struct err *e)
{
    size_t d = p->d, n = d + 1, at = 0;
    SCOPED(big_freep) double *c = big_alloc(n, (n + 1) * sizeof(double), "the covariance", e);
    SCOPED(big_freep) double *all = big_alloc(d + 6, n * sizeof(double), "the covariance", e);
    double *mean = c ? c + n * n : NULL, **parts[] = {&p->q, &p->l1, &p->l2, &p->deviation, &p->b};
    SCOPED(freep) const double **columns = xnew_array(const double *, n);
    SCOPED(freep) double *fill = xnew_array(double, n);
    struct covariance_of of = {.columns = columns,
                               .fill = fill,
                               .d = n,
                               .n_rows = t->table->n_rows,
                               .weights = t->weights,
                               .weight_sum = t->weight_sum,
                               .centre = step_true(p->s, "intercept"),
                               .bound = &t->bound};

    if (c == NULL || all == NULL) {
        return -1;
    }
    for (at = 0; at < d; at++) {
        columns[at] = t->columns[at];
        fill[at] = t->model->features.fill[at];
    }
    columns[d] = t->targets;
    p->r = all;
    for (at = 0; at < ARRAY_LEN(parts); at++) {
        *parts[at] = all + (d + at) * n;
    }
    if (covariance(&of, p->s->threads, mean, c, e) < 0) {
        return -1;
    }
    scale_problem(p, c, mean);
    if ((step_real(p->s, "l1") > 0 ? descend(p, e) : solve_squares(p, e)) < 0) {
        return -1;
    }
    return keep(p, mean, m, e);
}

static void say(const struct problem *p, const struct training *t, const struct line *m)
{
    size_t used = 0;
    bool stopped = step_real(p->s, "l1") > 0 && !p->converged;

    for (size_t j = 0; j < p->d; j++) {
        used += m->l.weights[j] != 0;
    }
    progress_say(p->s->progress, "%zu rows, %zu of %zu features used: R2 %.6g, RMSE %.6g%s",
                 t->table->n_rows, used, p->d, m->r2, m->rmse,
                 stopped ? ", not converged: raise max_iter" : "");
}

static int run(struct step *s, struct err *e)
{
    struct training t;
    struct problem p = {.s = s};
    struct line *m;
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    m = t.model->body = xnew(struct line);
    p.d = t.model->features.n;
    rc = linear_init(&m->l, p.d, 2, e) < 0 || line_init(m, p.d, e) < 0 ? -1 : solve(&p, &t, m, e);
    if (rc == 0) {
        say(&p, &t, m);
        step_out_model(s, "model", TAKE(t.model));
    }
    training_done(&t);
    return rc;
}

static void check(struct check *c)
{
    training_check(c, &wants);
}

const struct module module_linear_regression = {
    .name = "linear_regression",
    .title = "Linear regression",
    .description = "Learns a number from numbers by a linear model: ordinary least squares, ridge "
                   "(l2), lasso (l1) or elastic net (both).",
    .category = "regression",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+8*cells+8*rows+16*columns*columns*cpus+64Mi",
    .run = run,
    .check = check,
};
