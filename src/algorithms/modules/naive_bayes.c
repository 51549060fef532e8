/* naive_bayes - classes from features that are taken one by one: for each class the distribution
 * of each feature, and Bayes' rule.
 *
 *   gaussian      a normal distribution; a text: the share of each category
 *   multinomial   counts (words of a text): the share of each feature in all counts
 *   bernoulli     there or not: above `binarize`
 *
 * A missing value says nothing: it is left out, in training and in prediction. Each feature is one
 * task, which reads its column in order. */
#include "algorithms/modules/naive_bayes.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "Rows with their labels."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_LABEL,
    TRAINING_FEATURES("@numeric"),
    TRAINING_WEIGHT,
    {"kind", PARAM_CHOICE, "gaussian", 0, 0, "gaussian|multinomial|bernoulli",
     "gaussian: measurements and texts; multinomial: counts; bernoulli: there or not."},
    {"smoothing", PARAM_REAL, "1", 1e-10, 1e9, NULL,
     "Added to every count, so that what was never seen is not impossible (not for measurements)."},
    {"var_smoothing", PARAM_REAL, "0.000000001", 0, 1e9, NULL,
     "Part of the largest variance added to all; kind=gaussian."},
    {"binarize", PARAM_REAL, "0", -1e300, 1e300, NULL,
     "A value above it counts as there; kind=bernoulli."},
    {"prior", PARAM_CHOICE, "data", 0, 0, "data|equal",
     "How likely classes are beforehand: as often as in the rows, or all the same."},
    {0},
};

struct fit {
    struct training *t;
    struct bayes *b;
    const struct step *s;
    double *of_class;  /* [class] sum of weights */
    double *sums;      /* [feature][class]: of weights where the value is there */
    double *variances; /* [feature] over all rows */
    uint8_t *negative; /* [feature]: a count below 0 */
};

static double weight_of(const struct fit *f, size_t row)
{
    return f->t->weights ? f->t->weights[row] : 1;
}

/* Mean and variance of each class, in two passes; the variance lies where its use will be. */
static void learn_number(struct fit *f, size_t j)
{
    const double *x = f->t->columns[j];
    double *p = f->b->numbers + f->b->first[j], *sums = f->sums + j * f->b->k;
    double mean = 0, all = 0, square = 0;

    for (size_t i = 0; i < f->t->table->n_rows; i++) {
        if (!isnan(x[i])) {
            uint32_t k = f->t->classes[i];

            sums[k] += weight_of(f, i);
            p[3 * (size_t)k] += weight_of(f, i) * x[i];
        }
    }
    for (size_t k = 0; k < f->b->k; k++) {
        all += sums[k];
        mean += p[3 * k];
        p[3 * k] /= sums[k] > 0 ? sums[k] : 1;
    }
    mean /= all > 0 ? all : 1;
    for (size_t i = 0; i < f->t->table->n_rows; i++) {
        if (!isnan(x[i])) {
            uint32_t k = f->t->classes[i];
            double by = x[i] - p[3 * (size_t)k];

            p[3 * (size_t)k + 1] += weight_of(f, i) * by * by;
            square += weight_of(f, i) * (x[i] - mean) * (x[i] - mean);
        }
    }
    for (size_t k = 0; k < f->b->k; k++) {
        p[3 * k + 1] /= sums[k] > 0 ? sums[k] : 1;
    }
    f->variances[j] = square / (all > 0 ? all : 1);
}

/* The sum of each class's counts of the feature, or of its weight of each category. */
static void learn_counts(struct fit *f, size_t j, size_t width)
{
    const double *x = f->t->columns[j];
    double *p = f->b->numbers + f->b->first[j], *sums = f->sums + j * f->b->k;

    for (size_t i = 0; i < f->t->table->n_rows; i++) {
        size_t k = f->t->classes[i];

        if (isnan(x[i])) {
            continue;
        }
        sums[k] += weight_of(f, i);
        if (f->t->model->features.categories[j].names) {
            p[k * width + (size_t)x[i]] += weight_of(f, i);
        } else if (f->b->kind == MULTINOMIAL) {
            f->negative[j] |= x[i] < 0;
            p[k] += weight_of(f, i) * x[i];
        } else if (x[i] > f->b->binarize) {
            p[2 * k] += weight_of(f, i);
        }
    }
}

static void learn_feature(void *ctx, size_t j, unsigned worker UNUSED)
{
    struct fit *f = ctx;
    size_t width = bayes_width(f->b, &f->t->model->features, j);

    if (f->b->kind == GAUSSIAN && f->t->model->features.categories[j].names == NULL) {
        learn_number(f, j);
    } else {
        learn_counts(f, j, width);
    }
}

/* Mean and variance to what prediction uses; a class that has no value takes the broadest guess. */
static void finish_number(const struct fit *f, size_t j, double added)
{
    double *p = f->b->numbers + f->b->first[j];

    for (size_t k = 0; k < f->b->k; k++) {
        double variance = p[3 * k + 1] + added;

        variance = f->sums[j * f->b->k + k] > 0 ? variance : f->variances[j] + added;
        variance = variance > 1e-290 ? variance : 1;
        p[3 * k + 1] = 0.5 / variance;
        p[3 * k + 2] = -0.5 * log(2 * M_PI * variance);
    }
}

static void finish_shares(const struct fit *f, size_t j, double smoothing)
{
    size_t width = f->t->model->features.categories[j].n;
    double *p = f->b->numbers + f->b->first[j];

    for (size_t k = 0; k < f->b->k; k++) {
        double all = f->sums[j * f->b->k + k] + smoothing * (double)width;

        for (size_t c = 0; c < width; c++) {
            p[k * width + c] = log((p[k * width + c] + smoothing) / all);
        }
    }
}

static void finish_bernoulli(const struct fit *f, size_t j, double smoothing)
{
    double *p = f->b->numbers + f->b->first[j];

    for (size_t k = 0; k < f->b->k; k++) {
        double all = f->sums[j * f->b->k + k], there = p[2 * k];

        p[2 * k] = log((there + smoothing) / (all + 2 * smoothing));
        p[2 * k + 1] = log((all - there + smoothing) / (all + 2 * smoothing));
    }
}

/* Shares of the features in all counts of a class. */
static void finish_multinomial(const struct fit *f, double smoothing)
{
    for (size_t k = 0; k < f->b->k; k++) {
        double all = 0;

        for (size_t j = 0; j < f->b->d; j++) {
            all += f->b->numbers[f->b->first[j] + k] + smoothing;
        }
        for (size_t j = 0; j < f->b->d; j++) {
            double *p = f->b->numbers + f->b->first[j] + k;

            *p = log((*p + smoothing) / all);
        }
    }
}

static void finish(const struct fit *f)
{
    double smoothing = step_real(f->s, "smoothing"), added = 0;

    for (size_t j = 0; j < f->b->d; j++) {
        added = fmax(added, f->variances[j]);
    }
    added *= step_real(f->s, "var_smoothing");
    for (size_t j = 0; j < f->b->d; j++) {
        if (f->t->model->features.categories[j].names) {
            finish_shares(f, j, smoothing);
        } else if (f->b->kind == GAUSSIAN) {
            finish_number(f, j, added);
        } else if (f->b->kind == BERNOULLI) {
            finish_bernoulli(f, j, smoothing);
        }
    }
    if (f->b->kind == MULTINOMIAL) {
        finish_multinomial(f, smoothing);
    }
}

/* A class whose rows all weigh nothing is as good as impossible. */
static void learn_priors(const struct fit *f)
{
    bool equal = step_choice(f->s, "prior") == 1;

    for (size_t i = 0; i < f->t->table->n_rows; i++) {
        f->of_class[f->t->classes[i]] += weight_of(f, i);
    }
    for (size_t k = 0; k < f->b->k; k++) {
        double share = equal ? 1 / (double)f->b->k : f->of_class[k] / f->t->weight_sum;

        f->b->priors[k] = share > 0 ? log(share) : -700;
    }
}

static int check_kind(const struct fit *f, struct err *e)
{
    const struct features *names = &f->t->model->features;

    for (size_t j = 0; j < f->b->d; j++) {
        if (names->categories[j].names && f->b->kind != GAUSSIAN) {
            return err_set(e, ERR_DATA,
                           "column '%s' holds text: kind=gaussian takes texts as they are, others "
                           "need one_hot first",
                           names->names[j]);
        }
        if (names->categories[j].names && names->categories[j].n == 0) {
            return err_set(e, ERR_DATA, "column '%s': all its values are missing", names->names[j]);
        }
    }
    return 0;
}

static int check_learned(const struct fit *f, struct err *e)
{
    const struct features *names = &f->t->model->features;

    for (size_t j = 0; j < f->b->d; j++) {
        if (f->negative[j]) {
            return err_set(e, ERR_DATA,
                           "column '%s' holds a value below 0, and kind=multinomial counts: take "
                           "kind=gaussian",
                           names->names[j]);
        }
        for (size_t i = f->b->first[j]; i < f->b->first[j + 1]; i++) {
            if (!isfinite(f->b->numbers[i])) {
                return err_set(e, ERR_DATA,
                               "column '%s': its values are too large for sums of their squares",
                               names->names[j]);
            }
        }
    }
    return 0;
}

static int fit(struct fit *f, struct err *e)
{
    SCOPED(big_freep) double *sums = NULL;
    size_t d = f->t->model->features.n, k = f->t->model->classes.n;
    SCOPED(freep) uint8_t *negative = xnew_array(uint8_t, d + 1);

    f->b->kind = step_choice(f->s, "kind");
    f->b->binarize = step_real(f->s, "binarize");
    if (bayes_init(f->b, f->t->model, e) < 0 || check_kind(f, e) < 0) {
        return -1;
    }
    sums = f->sums = big_alloc(d * k + d + k, sizeof(double), "the sums of the classes", e);
    if (sums == NULL) {
        return -1;
    }
    f->variances = sums + d * k;
    f->of_class = f->variances + d;
    f->negative = negative;
    learn_priors(f);
    threads_each(f->s->threads, d, learn_feature, f);
    finish(f);
    return check_learned(f, e);
}

static const struct training_wants wants = {.type = &model_naive_bayes,
                                            .task = TASK_CLASSES,
                                            .kinds = FEATURES_WITH_TEXT,
                                            .missing_kept = true};

static int run(struct step *s, struct err *e)
{
    struct training t;
    struct fit f = {.t = &t, .s = s};
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    f.b = t.model->body = xnew(struct bayes);
    rc = fit(&f, e);
    if (rc == 0) {
        progress_say(s->progress, "%zu rows, %zu features, %zu classes", t.table->n_rows, f.b->d,
                     f.b->k);
        step_out_model(s, "model", TAKE(t.model));
    }
    training_done(&t);
    return rc;
}

static void check(struct check *c)
{
    struct training_wants now = wants;

    now.kinds = step_choice(&c->step, "kind") == GAUSSIAN ? FEATURES_WITH_TEXT : FEATURES_NUMBERS;
    training_check(c, &now);
}

const struct module module_naive_bayes = {
    .name = "naive_bayes",
    .title = "Naive Bayes",
    .description = "Learns classes from features taken one by one: normal distributions and "
                   "categories, counts, or what is there and what not. Fast, and a baseline.",
    .category = "classification",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+8*cells+8*rows+64Mi",
    .run = run,
    .check = check,
};
