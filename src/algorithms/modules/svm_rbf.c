/* svm_rbf - support vectors with the kernel exp(-gamma |x - y|^2): each class against each other,
 * and every pair votes. A pair of classes is one task. */
#include "algorithms/modules/svm_rbf.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/standard.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct training_wants wants = {
    .type = &model_svm_rbf, .task = TASK_CLASSES, .kinds = FEATURES_NUMBERS};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {
    {"train", VALUE_TABLE, 0, "Rows with their labels; scale them first (standard_scaler)."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_PARAMS,
    {"C", PARAM_REAL, "1", 1e-9, 1e9, NULL, "How much a row on the wrong side costs, at most."},
    {"gamma", PARAM_TEXT, "scale", 0, 0, NULL,
     "How fast likeness falls with distance: a number, scale (1 / (features x variance)) or auto "
     "(1 / features)."},
    {"standardize", PARAM_BOOL, "false", 0, 0, NULL,
     "Scale features to mean 0 and deviation 1 first, so that their units do not matter."},
    {"max_iter", PARAM_INT, "10000000", 1, 9007199254740992, NULL,
     "Most steps for each pair of classes."},
    {"epsilon", PARAM_REAL, "0.001", 1e-12, 1, NULL,
     "Done when no row violates its condition by more."},
    {"probability", PARAM_BOOL, "false", 0, 0, NULL,
     "Calibrated probabilities, learned in five more rounds of rows left out (Platt)."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992, NULL, "probability: which folds."},
    {0},
};

static void fit_done(struct rbf_fit *f)
{
    for (unsigned i = 0; f->pairs && i < f->n_pairs; i++) {
        rbf_pair_done(&f->pairs[i]);
    }
    free(f->pairs);
    free(f->pair_of);
    free(f->first);
    free(f->converged);
    big_free(f->x);
    big_free(f->sorted);
    big_free(f->alpha);
    folds_done(&f->folds);
}

/* Rows by class; the two largest together are the largest pair. */
static int sort_rows(struct rbf_fit *f, size_t *largest, struct err *e)
{
    size_t one = 0, two = 0, at = 0;

    f->sorted = big_alloc(f->n, sizeof(uint32_t), "the support vectors", e);
    f->first = xnew_array(size_t, f->b->k + 1);
    if (f->sorted == NULL) {
        return -1;
    }
    for (size_t i = 0; i < f->n; i++) {
        f->first[f->t->classes[i] + 1] += f->t->weights == NULL || f->t->weights[i] > 0;
    }
    for (size_t c = 0; c < f->b->k; c++) {
        size_t n = f->first[c + 1];

        two = n > one ? one : n > two ? n : two;
        one = n > one ? n : one;
        f->first[c + 1] += f->first[c];
    }
    *largest = one + two;
    for (size_t i = 0; i < f->n; i++) {
        uint32_t c = f->t->classes[i];

        if (f->t->weights == NULL || f->t->weights[i] > 0) {
            f->sorted[f->first[c]++] = (uint32_t)i;
        }
    }
    for (size_t c = 0; c <= f->b->k; c++) { /* back from the ends to the beginnings */
        size_t end = c < f->b->k ? f->first[c] : at;

        f->first[c] = at;
        at = end;
    }
    return 0;
}

/* The curves and folds that probabilities need. */
static int take_folds(struct rbf_fit *f, struct err *e)
{
    return step_true(f->s, "probability") &&
                   (rbf_curves(f->b, e) < 0 ||
                    folds_make(&f->folds, PLATT_FOLDS, f->t->classes, f->b->k, f->n,
                               (uint64_t)step_int(f->s, "seed"), e) < 0)
               ? -1
               : 0;
}

static int take_memory(struct rbf_fit *f, struct err *e)
{
    unsigned workers = threads_count(f->s->threads);
    size_t most;

    if (f->n * (f->b->k - 1) > ML_LIMIT_PARAMETERS) {
        return err_set(e, ERR_DATA,
                       "%zu rows x %zu classes are more than %llu numbers: take a sample", f->n,
                       f->b->k, ML_LIMIT_PARAMETERS);
    }
    f->converged = xnew_array(uint8_t, f->b->pairs);
    f->alpha = big_alloc(f->n * (f->b->k - 1), sizeof(double), "the support vectors", e);
    if (f->alpha == NULL || sort_rows(f, &most, e) < 0) {
        return -1;
    }
    f->n_pairs = workers < f->b->pairs ? workers : (unsigned)f->b->pairs;
    f->pair_of = xnew_array(unsigned, workers);
    f->pairs = xnew_array(struct rbf_pair, f->n_pairs);
    for (unsigned i = 0; i < f->n_pairs; i++) {
        if (rbf_pair_memory(&f->pairs[i], f, most, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Rows with a weight in some pair are the support vectors. */
static bool supports(const struct rbf_fit *f, uint32_t row)
{
    for (size_t k = 0; k + 1 < f->b->k; k++) {
        if (f->alpha[row * (f->b->k - 1) + k] != 0) {
            return true;
        }
    }
    return false;
}

static int keep(struct rbf_fit *f, struct err *e)
{
    struct rbf *b = f->b;
    size_t n = 0, d = b->d, others = b->k - 1;

    for (size_t i = 0; i < f->first[b->k]; i++) {
        n += supports(f, f->sorted[i]);
    }
    if (rbf_vectors(b, n, e) < 0) {
        return -1;
    }
    n = 0;
    for (size_t c = 0; c < b->k; c++) {
        b->first[c] = (uint32_t)n;
        for (size_t i = f->first[c]; i < f->first[c + 1]; i++) {
            uint32_t row = f->sorted[i];

            if (supports(f, row)) {
                memcpy(b->rows + n * d, f->x + row * d, d * sizeof(double));
                memcpy(b->weights + n * others, f->alpha + row * others, others * sizeof(double));
                n++;
            }
        }
    }
    b->first[b->k] = (uint32_t)n;
    rbf_squares(b);
    return 0;
}

/* "scale", "auto" or a number. */
static int parse_gamma(const struct step *s, double *out, struct err *e)
{
    struct str text = step_text(s, "gamma");

    *out = str_eq(text, STR("scale")) ? -1 : -2;
    if (*out == -1 || str_eq(text, STR("auto"))) {
        return 0;
    }
    if (number_parse(text, out) < 0 || !(*out > 0) || isinf(*out)) {
        return err_set(e, ERR_INVALID, "parameter gamma: write scale, auto or a number above 0");
    }
    return 0;
}

/* The variance of all numbers of the matrix together, as scikit-learn has it. */
static int find_gamma(struct rbf_fit *f, struct err *e)
{
    size_t n = f->n * f->b->d;
    double mean = 0, variance = 0;

    if (parse_gamma(f->s, &f->b->gamma, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        mean += f->x[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        variance += (f->x[i] - mean) * (f->x[i] - mean) / (double)n;
    }
    if (!isfinite(variance)) {
        return err_set(e, ERR_DATA, "the values are too large for distances: scale the columns");
    }
    if (f->b->gamma < 0) {
        variance = f->b->gamma == -2 || !(variance > 0) ? 1 : variance;
        f->b->gamma = 1 / ((double)f->b->d * variance);
    }
    return isfinite(f->b->gamma)
               ? 0
               : err_set(e, ERR_DATA, "the features hardly differ: scale them (standard_scaler)");
}

static int fit(struct rbf_fit *f, struct err *e)
{
    struct training *t = f->t;
    struct rbf *b = f->b;
    size_t open = 0;

    if (rbf_init(b, t->model, e) < 0) {
        return -1;
    }
    f->x = big_alloc(f->n * b->d, sizeof(double), "the matrix of features", e);
    if (f->x == NULL) {
        return -1;
    }
    features_gather_all_f64(&t->model->features, &t->bound, f->x);
    if (step_true(f->s, "standardize")) {
        standardise(f->x, f->n, b->d, t->weights, t->weight_sum, /* centre */ true, b->shift,
                    b->factor);
    }
    for (size_t j = 0; j < b->d; j++) {
        b->factor[j] = b->factor[j] > 0 ? b->factor[j] : 1;
    }
    if (find_gamma(f, e) < 0 || take_folds(f, e) < 0 || take_memory(f, e) < 0) {
        return -1;
    }
    threads_each(f->s->threads, b->pairs, rbf_solve_pair, f);
    if (keep(f, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < b->pairs; i++) {
        open += !f->converged[i];
    }
    progress_say(f->s->progress,
                 "%zu rows, %zu features, %zu classes: %zu support vectors, gamma "
                 "%.6g%s",
                 f->n, b->d, b->k, b->n, b->gamma,
                 open ? ", not converged: scale the features or raise max_iter" : "");
    return 0;
}

static int run(struct step *s, struct err *e)
{
    struct training t;
    struct rbf_fit f = {.t = &t, .s = s};
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    f.b = t.model->body = xnew(struct rbf);
    f.n = t.table->n_rows;
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
    struct err e = {0};
    double gamma;

    training_check(c, &wants);
    if (parse_gamma(&c->step, &gamma, &e) < 0) {
        check_mistake(c, NULL, "gamma", NULL, "%s", e.msg);
    }
}

const struct module module_svm_rbf = {
    .name = "svm_rbf",
    .title = "Support vectors with RBF kernel (SVM)",
    .description = "Learns two or more classes from numbers, with borders of any shape: every pair "
                   "of classes has support vectors of its own, and votes.",
    .category = "classification",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+24*cells+64*rows+512Mi",
    .run = run,
    .check = check,
};
