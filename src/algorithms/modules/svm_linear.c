/* svm_linear - support vectors without a kernel, by coordinate descent on the dual (Hsieh, Chang,
 * Lin, Keerthi, Sundararajan 2008).
 *
 *   minimise  |w|^2 / 2  +  C sum_i c_i max(0, 1 - y_i w x_i)^2      (or without the square)
 *
 * One problem for two classes, else one for each class against the rest. A problem is one task,
 * with an order of rows of its own. The intercept is the weight of a feature that is always 1. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/folds.h"
#include "algorithms/kernel/linear.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/kernel/standard.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/svm_newton.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the model: scores as those of logistic regression, docs/formats/model.md ----------------- */

static int model_from(struct model *m, struct binr *r, struct err *e)
{
    if (m->task != TASK_CLASSES) {
        return err_set(e, ERR_DATA, "damaged: these support vectors predict classes");
    }
    m->body = xnew(struct linear);
    return linear_read(r, m->body, m->features.n, m->classes.n, e) < 0 ||
                   (r->left > 0 && linear_read_curves(r, m->body, e) < 0)
               ? -1
               : 0;
}

const struct model_type model_svm_linear = {
    .kind = 23,
    .module = "svm_linear",
    .range = FEATURES_F64,
    .scratch = linear_scratch,
    .scratch_free = linear_scratch_free,
    .predict = linear_model_predict,
    .write = linear_model_write,
    .read = model_from,
    .free = linear_free,
};

static const struct training_wants wants = {
    .type = &model_svm_linear, .task = TASK_CLASSES, .kinds = FEATURES_NUMBERS};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {
    {"train", VALUE_TABLE, 0, "Rows with their labels; scale them first (standard_scaler)."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_PARAMS,
    {"C", PARAM_REAL, "1", 1e-9, 1e9, NULL, "How much a row on the wrong side costs."},
    {"loss", PARAM_CHOICE, "squared_hinge", 0, 0, "squared_hinge|hinge",
     "What it costs: the square of how far it is off, or just how far."},
    {"standardize", PARAM_BOOL, "false", 0, 0, NULL,
     "Scale features for training; the model holds weights of the unscaled ones."},
    {"intercept", PARAM_BOOL, "true", 0, 0, NULL, "Whether scores have a constant term."},
    {"max_iter", PARAM_INT, "1000", 1, 100000000, NULL, "Most rounds over all rows."},
    {"epsilon", PARAM_REAL, "0.0001", 1e-15, 1, NULL,
     "Done when the gradients of all rows are within such a range."},
    {"probability", PARAM_BOOL, "false", 0, 0, NULL,
     "Calibrated probabilities, learned in five more rounds of rows left out (Platt)."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992, NULL, "Which order of rows, and which folds."},
    {0},
};

/* With labels that no plane tells apart, rounds come near soon and to an end hardly ever. */
enum { STREAM_ORDER = 21, ROUNDS_BEFORE_NEWTON = 50 };

struct fit {
    struct training *t;
    struct step *s;
    const struct simd *simd;
    size_t n, d, k;        /* k: problems */
    double *x;             /* [row][feature] */
    double *squares;       /* [row] |x|^2 */
    const double *weights; /* of each row, or NULL */
    double c, epsilon;
    bool square, intercept;
    unsigned max_iter;
    double *alpha;      /* [worker][row] */
    uint32_t *order;    /* [worker][row] */
    double *w;          /* [problem][d + 1] */
    unsigned *rounds;   /* [problem] */
    uint8_t *converged; /* [problem] */
};

/* One problem while it is solved. */
struct solve {
    const struct fit *f;
    uint32_t positive; /* class */
    double *alpha, *w;
    uint32_t *order;
    size_t active;                  /* of order; rows behind it are left out for now */
    double high, low;               /* projected gradients of this round */
    double high_before, low_before; /* of the round before: rows beyond are left out */
};

/* Steps in one row's coordinate; false: the row is to be left out. */
static bool step_row(struct solve *v, size_t row)
{
    const struct fit *f = v->f;
    const double *x = f->x + row * f->d;
    double y = f->t->classes[row] == v->positive ? 1 : -1;
    double c = f->c * (f->weights ? f->weights[row] : 1);
    double most = f->square ? INFINITY : c, diagonal = f->square ? 0.5 / c : 0;
    double old = v->alpha[row], g, projected, by;

    if (c == 0) {
        return false;
    }
    g = y * (f->simd->dot_f64(f->d, x, v->w) + v->w[f->d]) - 1 + diagonal * old;
    projected = g;
    if (old == 0) {
        if (g > v->high_before) {
            return false;
        }
        projected = g < 0 ? g : 0;
    } else if (old == most) {
        if (g < v->low_before) {
            return false;
        }
        projected = g > 0 ? g : 0;
    }
    v->high = projected > v->high ? projected : v->high;
    v->low = projected < v->low ? projected : v->low;
    if (fabs(projected) < 1e-14) {
        return true;
    }
    by = f->squares[row] + (f->intercept ? 1 : 0) + diagonal;
    v->alpha[row] = by > 0 ? old - g / by : most;
    v->alpha[row] = v->alpha[row] > 0 ? v->alpha[row] < most ? v->alpha[row] : most : 0;
    by = (v->alpha[row] - old) * y;
    f->simd->rows_add(1, f->d, x, &by, v->w);
    v->w[f->d] += f->intercept ? by : 0;
    return true;
}

static void round_of(struct solve *v)
{
    size_t i = 0;

    v->high = -INFINITY;
    v->low = INFINITY;
    while (i < v->active) {
        uint32_t row = v->order[i];

        if (step_row(v, row)) {
            i++;
        } else {
            v->active--;
            v->order[i] = v->order[v->active];
            v->order[v->active] = row;
        }
    }
}

static bool end_by_newton(const struct solve *v)
{
    const struct fit *f = v->f;
    struct svm_newton p = {f->simd,     f->n,       f->d, f->x,       f->squares,  f->t->classes,
                           v->positive, f->weights, f->c, f->epsilon, f->intercept};

    return f->square && f->d <= SVM_NEWTON_FEATURES && svm_newton(&p, v->w);
}

static void solve_problem(void *ctx, size_t task, unsigned worker)
{
    struct fit *f = ctx;
    struct solve v = {.f = f,
                      .positive = f->k == 1 ? 1 : (uint32_t)task,
                      .alpha = f->alpha + worker * f->n,
                      .w = f->w + task * (f->d + 1),
                      .order = f->order + worker * f->n,
                      .active = f->n,
                      .high_before = INFINITY,
                      .low_before = -INFINITY};
    struct rng rng;

    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), STREAM_ORDER + (task << 8));
    memset(v.alpha, 0, f->n * sizeof(*v.alpha));
    for (size_t i = 0; i < f->n; i++) {
        v.order[i] = (uint32_t)i;
    }
    while (f->rounds[task] < f->max_iter && !f->converged[task]) {
        bool all = v.active == f->n;

        rng_shuffle(&rng, v.order, v.active);
        round_of(&v);
        f->rounds[task]++;
        v.high_before = v.high > 0 ? v.high : INFINITY;
        v.low_before = v.low < 0 ? v.low : -INFINITY;
        if (!(v.high - v.low > f->epsilon)) { /* with those left out, too? */
            f->converged[task] = all;
            v.active = f->n;
            v.high_before = INFINITY;
            v.low_before = -INFINITY;
        }
        if (f->rounds[task] == ROUNDS_BEFORE_NEWTON && !f->converged[task]) {
            f->converged[task] = end_by_newton(&v);
        }
        if (worker == 0) {
            progress_update(f->s->progress,
                            ((double)task + (double)f->rounds[task] / f->max_iter) / (double)f->k,
                            NULL, 0, "problem %zu of %zu, round %u of at most %u", task + 1, f->k,
                            f->rounds[task], f->max_iter);
        }
    }
}

static void fit_done(struct fit *f)
{
    big_free(f->x);
    big_free(f->squares);
    big_free(f->alpha);
    big_free(f->order);
    big_free(f->w);
    free(f->rounds);
    free(f->converged);
}

static int take_memory(struct fit *f, struct err *e)
{
    size_t workers = threads_count(f->s->threads);

    f->rounds = xnew_array(unsigned, f->k);
    f->converged = xnew_array(uint8_t, f->k);
    f->x = big_alloc(f->n * f->d, sizeof(double), "the matrix of features", e);
    f->squares = f->x ? big_alloc(f->n, sizeof(double), "the matrix of features", e) : NULL;
    f->alpha =
        f->squares ? big_alloc(workers * f->n, sizeof(double), "the support vectors", e) : NULL;
    f->order =
        f->alpha ? big_alloc(workers * f->n, sizeof(uint32_t), "the support vectors", e) : NULL;
    f->w = f->order ? big_alloc((f->d + 1) * f->k, sizeof(double), "the model", e) : NULL;
    return f->w ? 0 : -1;
}

/* Problem by problem to feature by feature. */
static int keep(const struct fit *f, struct linear *l, const double *mean, const double *factor,
                struct err *e)
{
    for (size_t k = 0; k < f->k; k++) {
        for (size_t j = 0; j <= f->d; j++) {
            l->weights[j * f->k + k] = f->w[k * (f->d + 1) + j];
        }
    }
    if (step_true(f->s, "standardize")) {
        unstandardise(l->weights, f->d, f->k, mean, factor);
    }
    for (size_t i = 0; i < linear_parameters(l); i++) {
        if (!isfinite(l->weights[i])) {
            return err_set(e, ERR_DATA,
                           "the weights grow without bound: scale the features "
                           "(standard_scaler) or lower C");
        }
    }
    return 0;
}

static void solve_all(struct fit *f)
{
    memset(f->w, 0, (f->d + 1) * f->k * sizeof(double));
    memset(f->rounds, 0, f->k * sizeof(unsigned));
    memset(f->converged, 0, f->k);
    threads_each(f->s->threads, f->k, solve_problem, f);
}

/* What each fold's rows score when they were not learned from: scores[problem][row]. A row that
 * weighs nothing is left out by every solver. */
static int score_unseen(struct fit *f, double *scores, double *masked, struct err *e)
{
    SCOPED(folds_done) struct folds folds = {0};
    const double *weights = f->t->weights;

    if (folds_make(&folds, PLATT_FOLDS, f->t->classes, f->t->model->classes.n, f->n,
                   (uint64_t)step_int(f->s, "seed"), e) < 0) {
        return -1;
    }
    f->weights = masked;
    for (uint32_t fold = 0; fold < PLATT_FOLDS; fold++) {
        for (size_t i = 0; i < f->n; i++) {
            masked[i] = folds.fold[i] == fold ? 0 : weights ? weights[i] : 1;
        }
        solve_all(f);
        for (size_t k = 0; k < f->k; k++) {
            const double *w = f->w + k * (f->d + 1);

            for (size_t i = 0; i < f->n; i++) {
                if (folds.fold[i] == fold) {
                    scores[k * f->n + i] = f->simd->dot_f64(f->d, f->x + i * f->d, w) + w[f->d];
                }
            }
        }
    }
    f->weights = weights;
    return 0;
}

static int find_curves(struct fit *f, struct linear *l, struct err *e)
{
    SCOPED(big_freep)
    double *scores = big_alloc((f->k + 1) * f->n, sizeof(double), "the probabilities", e);

    return scores == NULL || score_unseen(f, scores, scores + f->k * f->n, e) < 0
               ? -1
               : linear_fit_curves(l, scores, f->t->classes, f->t->weights, f->n, e);
}

static void say(const struct fit *f)
{
    unsigned most = 0;
    bool all = true;

    for (size_t k = 0; k < f->k; k++) {
        most = f->rounds[k] > most ? f->rounds[k] : most;
        all = all && f->converged[k];
    }
    progress_say(f->s->progress, "%zu rows, %zu features, %zu classes: %u rounds%s", f->n, f->d,
                 f->t->model->classes.n, most,
                 all ? "" : ", not converged: scale the features or raise max_iter");
}

static int fit(struct fit *f, struct err *e)
{
    struct training *t = f->t;
    struct linear *l = t->model->body;
    SCOPED(big_freep) double *mean = NULL;

    if (linear_init(l, f->d, t->model->classes.n, e) < 0 || take_memory(f, e) < 0) {
        return -1;
    }
    mean = big_alloc(f->d, 2 * sizeof(double), "the matrix of features", e);
    if (mean == NULL) {
        return -1;
    }
    features_gather_all_f64(&t->model->features, &t->bound, f->x);
    if (step_true(f->s, "standardize")) {
        standardise(f->x, f->n, f->d, t->weights, t->weight_sum, f->intercept, mean, mean + f->d);
    }
    for (size_t i = 0; i < f->n; i++) {
        f->squares[i] = f->simd->dot_f64(f->d, f->x + i * f->d, f->x + i * f->d);
        if (!isfinite(f->squares[i])) {
            return err_set(e, ERR_DATA, "row %zu: its values are too large: scale the columns",
                           i + 1);
        }
    }
    if (step_true(f->s, "probability") && find_curves(f, l, e) < 0) {
        return -1;
    }
    solve_all(f);
    return keep(f, l, mean, mean + f->d, e);
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
    f.n = t.table->n_rows;
    f.d = t.model->features.n;
    f.k = linear_scores(t.model->classes.n);
    f.weights = t.weights;
    f.c = step_real(s, "C");
    f.epsilon = step_real(s, "epsilon");
    f.square = step_choice(s, "loss") == 0;
    f.intercept = step_true(s, "intercept");
    f.max_iter = (unsigned)step_int(s, "max_iter");
    rc = fit(&f, e);
    if (rc == 0) {
        say(&f);
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

const struct module module_svm_linear = {
    .name = "svm_linear",
    .title = "Linear support vectors (SVM)",
    .description = "Learns two or more classes from numbers by a linear model with the widest "
                   "margin between them.",
    .category = "classification",
    .version = "1.2.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+16*cells+32*rows+64Mi",
    .run = run,
    .check = check,
};
