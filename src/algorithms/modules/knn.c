/* knn - what the nearest rows say: classes or a number. The model is the training table. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/neighbours.h"
#include "algorithms/kernel/standard.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

enum { K_MOST = 10000 };
enum votes { VOTES_UNIFORM, VOTES_DISTANCE };

struct knn {
    struct neighbours rows; /* less `shift`, times `factor` */
    uint32_t votes, k;
    double *shift, *factor; /* of each feature; big memory */
    uint32_t *classes;      /* TASK_CLASSES: of each row; big memory */
    double *targets;        /* TASK_NUMBER */
};

static void knn_free(void *body)
{
    struct knn *b = body;

    neighbours_done(&b->rows);
    big_free(b->shift);
    big_free(b->factor);
    big_free(b->classes);
    big_free(b->targets);
    free(b);
}

struct scratch {
    double *x;
    struct neighbours_work work;
    struct neighbour *found; /* [row][k] */
};

static void scratch_free(void *p)
{
    struct scratch *w = p;

    big_free(w->x);
    big_free(w->found);
    neighbours_work_done(&w->work);
    free(w);
}

static void *scratch(const struct model *m, struct err *e)
{
    const struct knn *b = m->body;
    struct scratch *w = xnew(struct scratch);

    w->x = big_alloc(m->features.n, MODEL_SLICE_ROWS * sizeof(double), "prediction", e);
    w->found = w->x ? big_alloc((size_t)b->k * MODEL_SLICE_ROWS, sizeof(*w->found), "prediction", e)
                    : NULL;
    if (w->found == NULL || neighbours_work_init(&w->work, &b->rows, b->k, e) < 0) {
        scratch_free(w);
        return NULL;
    }
    return w;
}

static void scale_rows(const struct knn *b, size_t d, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d; j++) {
            x[i * d + j] = (x[i * d + j] - b->shift[j]) * b->factor[j];
        }
    }
}

/* By distance: 1 / distance, and only those at distance 0 when there are any. */
static double vote(const struct knn *b, const struct neighbour *found, size_t i)
{
    if (b->votes == VOTES_UNIFORM) {
        return 1;
    }
    if (found[0].distance == 0) {
        return found[i].distance == 0;
    }
    return found[0].distance / found[i].distance; /* in parts of the nearest: cannot overflow */
}

static void answer(const struct model *m, const struct neighbour *found, double *out)
{
    const struct knn *b = m->body;
    size_t width = model_width(m);
    double sum = 0;

    memset(out, 0, width * sizeof(*out));
    for (size_t i = 0; i < b->k; i++) {
        double v = vote(b, found, i);

        sum += v;
        if (m->task == TASK_CLASSES) {
            out[b->classes[found[i].row]] += v;
        } else {
            out[0] += v * b->targets[found[i].row];
        }
    }
    for (size_t k = 0; k < width; k++) {
        out[k] /= sum;
    }
}

static void model_rows(const struct model *m, const double *const *columns, size_t first, size_t n,
                       void *p, double *out)
{
    const struct knn *b = m->body;
    struct scratch *w = p;

    features_gather_f64(&m->features, columns, /* rows */ NULL, first, n, w->x);
    scale_rows(b, m->features.n, n, w->x);
    neighbours_find(&b->rows, w->x, n, &w->work, w->found);
    for (size_t i = 0; i < n; i++) {
        answer(m, w->found + i * b->k, out + i * model_width(m));
    }
}

static void model_body(const struct model *m, struct binw *w)
{
    const struct knn *b = m->body;

    binw_u32(w, b->rows.distance);
    binw_u32(w, b->votes);
    binw_u32(w, b->k);
    binw_u64(w, b->rows.n);
    binw_f64s(w, b->shift, b->rows.d);
    binw_f64s(w, b->factor, b->rows.d);
    binw_f64s(w, b->rows.rows, b->rows.n * b->rows.d);
    if (m->task == TASK_CLASSES) {
        binw_u32s(w, b->classes, b->rows.n);
    } else {
        binw_f64s(w, b->targets, b->rows.n);
    }
}

/* Room for answers and scale of n rows. */
static int knn_init(struct knn *b, const struct model *m, size_t n, struct err *e)
{
    bool classes = m->task == TASK_CLASSES;

    b->shift = big_alloc(m->features.n, sizeof(double), "the model", e);
    b->factor = b->shift ? big_alloc(m->features.n, sizeof(double), "the model", e) : NULL;
    if (b->factor && classes) {
        b->classes = big_alloc(n, sizeof(uint32_t), "the model", e);
    } else if (b->factor) {
        b->targets = big_alloc(n, sizeof(double), "the model", e);
    }
    return b->classes || b->targets ? 0 : -1;
}

static int check_numbers(const double *v, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            return err_set(e, ERR_DATA, "damaged: number %zu of the rows is not finite", i);
        }
    }
    return 0;
}

static int read_answers(const struct model *m, struct binr *r, struct knn *b, size_t n,
                        struct err *e)
{
    if (m->task == TASK_NUMBER) {
        binr_f64s(r, b->targets, n);
        return check_numbers(b->targets, n, e);
    }
    binr_u32s(r, b->classes, n);
    for (size_t i = 0; i < n; i++) {
        if (b->classes[i] >= m->classes.n) {
            return err_set(e, ERR_DATA, "damaged: row %zu is of no class", i);
        }
    }
    return 0;
}

static int model_from(struct model *m, struct binr *r, struct err *e)
{
    struct knn *b = m->body = xnew(struct knn);
    uint32_t distance = binr_u32(r);
    size_t d = m->features.n, n;
    double *x;

    b->votes = binr_u32(r);
    b->k = binr_u32(r);
    n = binr_u64(r);
    if (r->bad || (m->task != TASK_CLASSES && m->task != TASK_NUMBER) ||
        distance > DISTANCE_COSINE || b->votes > VOTES_DISTANCE || b->k < 1 || b->k > K_MOST ||
        n < b->k || n > ML_LIMIT_ROWS || n > r->left / sizeof(double) / d) {
        return err_set(e, ERR_DATA, "damaged: %u neighbours of %zu rows", b->k, n);
    }
    if (knn_init(b, m, n, e) < 0) {
        return -1;
    }
    x = big_alloc(n * d, sizeof(double), "the rows to compare with", e);
    if (x == NULL) {
        return -1;
    }
    binr_f64s(r, b->shift, d);
    binr_f64s(r, b->factor, d);
    binr_f64s(r, x, n * d);
    if (check_numbers(b->shift, d, e) < 0 || check_numbers(b->factor, d, e) < 0 ||
        check_numbers(x, n * d, e) < 0 || read_answers(m, r, b, n, e) < 0) {
        big_free(x);
        return -1;
    }
    return neighbours_init(&b->rows, x, n, d, (enum distance)distance, e);
}

const struct model_type model_knn = {
    .kind = 22,
    .module = "knn",
    .range = FEATURES_F64,
    .scratch = scratch,
    .scratch_free = scratch_free,
    .predict = model_rows,
    .write = model_body,
    .read = model_from,
    .free = knn_free,
};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "The rows to compare with."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_LABEL,
    TRAINING_FEATURES("@numeric"),
    TRAINING_MISSING,
    {"task", PARAM_CHOICE, "classification", 0, 0, "classification|regression",
     "classification: label_col holds classes; regression: a number to predict."},
    {"k", PARAM_INT, "10", 1, K_MOST, NULL, "How many neighbours are asked; at most all rows."},
    {"distance", PARAM_CHOICE, "euclid", 0, 0, "euclid|cosine",
     "euclid: straight; cosine: the angle, for directions like counts of words."},
    {"weights", PARAM_CHOICE, "uniform", 0, 0, "uniform|distance",
     "uniform: neighbours count the same; distance: near ones more."},
    {"standardize", PARAM_BOOL, "false", 0, 0, NULL,
     "Scale features to mean 0 and deviation 1 first, so that their units do not matter."},
    {0},
};

static struct training_wants wants_of(const struct step *s)
{
    return (struct training_wants){.type = &model_knn,
                                   .task = step_choice(s, "task") == 0 ? TASK_CLASSES : TASK_NUMBER,
                                   .kinds = FEATURES_NUMBERS};
}

static int keep_rows(const struct training *t, const struct step *s, struct knn *b, struct err *e)
{
    size_t n = t->table->n_rows, d = t->model->features.n;
    SCOPED(big_freep) double *x = NULL;

    if (n * d > ML_LIMIT_PARAMETERS) {
        return err_set(e, ERR_DATA,
                       "%zu rows x %zu features are more than the %llu numbers of a model: take a "
                       "sample",
                       n, d, ML_LIMIT_PARAMETERS);
    }
    if (knn_init(b, t->model, n, e) < 0) {
        return -1;
    }
    x = big_alloc(n * d, sizeof(double), "the rows to compare with", e);
    if (x == NULL) {
        return -1;
    }
    features_gather_all_f64(&t->model->features, &t->bound, x);
    if (step_true(s, "standardize")) {
        standardise(x, n, d, /* weights */ NULL, (double)n, /* centre */ true, b->shift, b->factor);
    }
    for (size_t j = 0; j < d; j++) { /* a constant one is only moved */
        b->factor[j] = b->factor[j] > 0 ? b->factor[j] : 1;
    }
    if (t->model->task == TASK_CLASSES) {
        memcpy(b->classes, t->classes, n * sizeof(*b->classes));
    } else {
        memcpy(b->targets, t->targets, n * sizeof(*b->targets));
    }
    b->votes = step_choice(s, "weights");
    b->k = (uint32_t)step_int(s, "k");
    b->k = b->k < n ? b->k : (uint32_t)n;
    return neighbours_init(&b->rows, TAKE(x), n, d, (enum distance)step_choice(s, "distance"), e);
}

static int run(struct step *s, struct err *e)
{
    struct training_wants wants = wants_of(s);
    struct training t;
    struct knn *b;
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    b = t.model->body = xnew(struct knn);
    rc = keep_rows(&t, s, b, e);
    if (rc == 0) {
        progress_say(s->progress, "%zu rows to compare with, %zu features, %u neighbours%s",
                     b->rows.n, b->rows.d, b->k, b->k < step_int(s, "k") ? ": all there are" : "");
        step_out_model(s, "model", TAKE(t.model));
    }
    training_done(&t);
    return rc;
}

static void check(struct check *c)
{
    struct training_wants wants = wants_of(&c->step);

    training_check(c, &wants);
}

const struct module module_knn = {
    .name = "knn",
    .title = "Nearest neighbours (kNN)",
    .description = "Predicts the class or the number of a row from the rows nearest to it. The "
                   "model keeps all training rows.",
    .category = "classification",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+24*cells+16*rows+64Mi",
    .run = run,
    .check = check,
};
