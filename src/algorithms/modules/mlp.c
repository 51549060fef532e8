/* mlp - a feed-forward network, trained by Adam on shuffled batches.
 *
 *   minimise  mean over rows of w_i (-log p(y_i | x_i))  +  l2 / 2 |W|^2     intercepts are free
 *
 * For a number: half the square of what it is off in place of the logarithm, in deviations of the
 * label.
 *
 * A batch is cut into slices of 64 rows. A slice is one task: forward and backward into a gradient
 * of its own. Then parameters are cut into ranges, and a range is one task: gradients are added in
 * the order of the slices, and Adam steps. So threads never change a bit of the result. */
#include "algorithms/modules/mlp.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/net.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

static void scratch_free(void *p)
{
    net_work_done(p);
    free(p);
}

static void *scratch(const struct model *m, struct err *e)
{
    struct net_work *w = xnew(struct net_work);

    if (net_work_init(w, m->body, MODEL_SLICE_ROWS, e) < 0) {
        scratch_free(w);
        return NULL;
    }
    return w;
}

static void model_rows(const struct model *m, const double *const *columns, size_t first, size_t n,
                       void *p, double *out)
{
    struct net_work *w = p;
    const struct net *net = m->body;

    features_gather_f32(&m->features, columns, /* rows */ NULL, first, n, w->a[0]);
    net_forward(net, w, n);
    for (size_t i = 0; i < n * model_width(m); i++) {
        double v = (double)w->a[net->n_layers][i];

        out[i] = net->end == NET_NUMBER ? net->shift + net->scale * v : v;
    }
}

static void model_body(const struct model *m, struct binw *w)
{
    net_write(m->body, w);
}

static int model_from(struct model *m, struct binr *r, struct err *e)
{
    if (m->task != TASK_CLASSES && m->task != TASK_NUMBER) {
        return err_set(e, ERR_DATA, "damaged: this network predicts classes or a number");
    }
    m->body = xnew(struct net);
    return net_read(r, m->body, m->features.n, m->task == TASK_CLASSES ? m->classes.n : 0, e);
}

static void model_done(void *body)
{
    net_done(body);
    free(body);
}

const struct model_type model_mlp = {
    .kind = 2,
    .module = "mlp",
    .range = FEATURES_F32,
    .scratch = scratch,
    .scratch_free = scratch_free,
    .predict = model_rows,
    .write = model_body,
    .read = model_from,
    .free = model_done,
};

static struct training_wants wants_of(const struct step *s)
{
    return (struct training_wants){.type = &model_mlp,
                                   .task = step_choice(s, "task") == 0 ? TASK_CLASSES : TASK_NUMBER,
                                   .kinds = FEATURES_NUMBERS};
}

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {
    {"train", VALUE_TABLE, 0, "Rows with their labels; scale them first (standard_scaler)."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_PARAMS,
    {"task", PARAM_CHOICE, "classification", 0, 0, "classification|regression",
     "classification: label_col holds classes; regression: a number to predict."},
    {"layers", PARAM_INTS, "128", 1, 65536, NULL, "Units of the hidden layers, \"128,64\"."},
    {"activation", PARAM_CHOICE, "relu", 0, 0, "relu|tanh", "What hidden units do to their sum."},
    {"learning_rate", PARAM_REAL, "0.001", 0, 10, NULL, "Step size of Adam."},
    {"batch", PARAM_INT, "128", 1, 1048576, NULL, "Rows in one step; 64 of them are one task."},
    {"epochs", PARAM_INT, "50", 1, 1000000, NULL, "How often all rows are seen, at most."},
    {"l2", PARAM_REAL, "0.0001", 0, 1e9, NULL, "Strength of the squared penalty on weights."},
    {"early_stop", PARAM_INT, "0", 0, 1000000, NULL,
     "Stop when so many epochs brought no better loss on rows held back, and keep the best; 0: "
     "never, and hold nothing back."},
    {"validation_fraction", PARAM_REAL, "0.1", 0.001, 0.9, NULL,
     "Part of the rows held back for early_stop."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992, NULL,
     "Which chance: first weights and order of rows."},
    {0},
};

/* The network learns a label of mean 0 and deviation 1. */
static int scale_label(struct mlp_fit *f, struct err *e)
{
    const double *y = f->t->targets, *w = f->t->weights;
    double mean = 0, square = 0;

    for (size_t i = 0; i < f->t->table->n_rows; i++) {
        mean += (w ? w[i] : 1) * y[i] / f->t->weight_sum;
    }
    for (size_t i = 0; i < f->t->table->n_rows; i++) {
        square += (w ? w[i] : 1) * (y[i] - mean) * (y[i] - mean) / f->t->weight_sum;
    }
    if (!isfinite(square)) {
        return err_set(e, ERR_DATA, "label column '%s': its values are too large: scale it",
                       f->t->model->label);
    }
    f->net->end = NET_NUMBER;
    f->net->shift = mean;
    f->net->scale = square > 0 ? sqrt(square) : 1;
    return 0;
}

static int make_net(struct mlp_fit *f, struct err *e)
{
    struct str rest = step_text(f->s, "layers");
    uint32_t sizes[ML_LIMIT_LAYERS + 1] = {(uint32_t)f->d};
    size_t n = 1;
    struct rng rng;

    while (rest.p && rest.len > 0) {
        uint64_t width = 0;

        if (n == ML_LIMIT_LAYERS) {
            return err_set(e, ERR_INVALID, "parameter layers: at most %d layers",
                           ML_LIMIT_LAYERS - 1);
        }
        if (str_to_u64(str_trim(str_cut(&rest, ',')), &width) < 0) {
            return err_set(e, ERR_INVALID, "parameter layers: write whole numbers, \"128,64\"");
        }
        sizes[n++] = (uint32_t)width;
    }
    sizes[n] = (uint32_t)model_width(f->t->model);
    if (net_init(f->net, sizes, n, (enum net_activation)step_choice(f->s, "activation"), e) < 0) {
        return -1;
    }
    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), STREAM_WEIGHTS);
    net_randomise(f->net, &rng);
    return f->t->model->task == TASK_NUMBER ? scale_label(f, e) : 0;
}

/* Rows held back go to the end of `order`. */
static int order_rows(struct mlp_fit *f, struct err *e)
{
    size_t n = f->t->table->n_rows;
    struct rng rng;

    f->order = big_alloc(n, sizeof(*f->order), "the order of rows", e);
    if (f->order == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        f->order[i] = (uint32_t)i;
    }
    f->n_rows = n;
    if (step_int(f->s, "early_stop") > 0) {
        rng_init(&rng, (uint64_t)step_int(f->s, "seed"), STREAM_HOLD_BACK);
        rng_shuffle(&rng, f->order, n);
        f->n_held = (size_t)ceil(step_real(f->s, "validation_fraction") * (double)n);
        f->n_rows = n - f->n_held;
    }
    return f->n_rows > 0 ? 0
                         : err_set(e, ERR_DATA,
                                   "no row is left to learn from: lower "
                                   "validation_fraction");
}

static int take_rows(struct mlp_fit *f, struct err *e)
{
    size_t n = f->t->table->n_rows;

    f->x = big_alloc(n * f->d, sizeof(float), "the matrix of features", e);
    if (f->x == NULL) {
        return -1;
    }
    features_gather_all_f32(&f->t->model->features, &f->t->bound, f->x);
    if (f->t->weights == NULL) {
        return 0;
    }
    f->weights = big_alloc(n, sizeof(float), "the weights", e);
    for (size_t i = 0; f->weights && i < n; i++) {
        f->weights[i] = (float)(f->t->weights[i] * (double)n / f->t->weight_sum);
    }
    return f->weights ? 0 : -1;
}

static int take_scratch(struct mlp_fit *f, struct err *e)
{
    unsigned workers = threads_count(f->s->threads);

    f->batch = (size_t)step_int(f->s, "batch");
    f->batch = f->batch < f->n_rows ? f->batch : f->n_rows;
    f->slices = (f->batch + SLICE_ROWS - 1) / SLICE_ROWS;
    f->gradients = big_alloc(f->slices * f->net->n_params, sizeof(float), "the gradients", e);
    f->losses = f->gradients ? big_alloc(f->slices, sizeof(double), "the gradients", e) : NULL;
    f->m = f->losses ? big_alloc(f->net->n_params, sizeof(float), "the optimiser", e) : NULL;
    f->v = f->m ? big_alloc(f->net->n_params, sizeof(float), "the optimiser", e) : NULL;
    if (f->v == NULL) {
        return -1;
    }
    f->gather = xnew_array(float, (size_t)workers *SLICE_ROWS);
    f->labels = xnew_array(uint32_t, (size_t)workers * SLICE_ROWS);
    f->targets = xnew_array(float, (size_t)workers *SLICE_ROWS);
    f->work = xnew_array(struct net_work, workers);
    for (unsigned i = 0; i < workers; i++) {
        if (net_work_init(&f->work[i], f->net, SLICE_ROWS, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static void fit_done(struct mlp_fit *f)
{
    for (unsigned i = 0; f->work && i < threads_count(f->s->threads); i++) {
        net_work_done(&f->work[i]);
    }
    free(f->work);
    free(f->gather);
    free(f->labels);
    free(f->targets);
    big_free(f->x);
    big_free(f->weights);
    big_free(f->order);
    big_free(f->gradients);
    big_free(f->losses);
    big_free(f->m);
    big_free(f->v);
}

static int fit(struct mlp_fit *f, struct err *e)
{
    SCOPED(big_freep) float *kept = NULL;
    struct mlp_best best = {0};

    if (make_net(f, e) < 0 || order_rows(f, e) < 0 || take_rows(f, e) < 0 ||
        take_scratch(f, e) < 0) {
        return -1;
    }
    kept = big_alloc(f->n_held > 0 ? f->net->n_params : 0, sizeof(float), "the model", e);
    best.params = kept;
    return kept ? mlp_train(f, &best, e) : -1;
}

static int run(struct step *s, struct err *e)
{
    struct training_wants wants = wants_of(s);
    struct training t;
    struct mlp_fit f = {.t = &t, .s = s, .simd = simd_get(), .l2 = step_real(s, "l2")};
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    f.net = t.model->body = xnew(struct net);
    f.d = t.model->features.n;
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
    struct training_wants wants = wants_of(&c->step);

    training_check(c, &wants);
}

const struct module module_mlp = {
    .name = "mlp",
    .title = "Neural network (MLP)",
    .description = "Learns classes or a number from numbers by a feed-forward network with Adam.",
    .category = "classification",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+12*cells+16*rows+32*columns*layers+32*layers*layers+64Mi",
    .run = run,
    .check = check,
};
