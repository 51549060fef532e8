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
#include <string.h>

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

enum { SLICE_ROWS = 64, RANGE_PARAMS = 16384 };
enum rng_stream { STREAM_WEIGHTS = 11, STREAM_HOLD_BACK, STREAM_SHUFFLE };
static const float beta1 = 0.9F, beta2 = 0.999F, adam_epsilon = 1e-8F;
static const double better = 1e-4; /* by so much a loss must fall to count for early_stop */

struct fit {
    struct training *t;
    struct step *s;
    const struct simd *simd;
    struct net *net;
    size_t n_rows, d; /* rows to learn from; those held back follow them in `order` */
    size_t n_held;
    float *x;              /* [row][feature] of the table */
    float *weights;        /* of rows, mean 1; or NULL */
    uint32_t *order;       /* rows of the table: shuffled, then held back */
    struct net_work *work; /* per worker */
    float *gather;         /* per worker: weights of a slice */
    uint32_t *labels;      /* per worker: classes of a slice */
    float *targets;        /* or numbers to predict, less shift, by scale */
    float *gradients;      /* [slice][parameter] */
    double *losses;        /* [slice] */
    float *m, *v;          /* Adam */
    size_t batch, slices;  /* most in one batch */
    /* the batch at hand: */
    const uint32_t *rows;
    size_t n_batch, n_slices;
    uint64_t steps;
    double rate, l2;
};

/* Brings rows of the batch into a worker's scratch. */
static size_t gather(struct fit *f, size_t task, unsigned worker)
{
    size_t first = task * SLICE_ROWS, left = f->n_batch - first;
    size_t rows = left < SLICE_ROWS ? left : SLICE_ROWS;

    for (size_t i = 0; i < rows; i++) {
        uint32_t row = f->rows[first + i];

        memcpy(f->work[worker].a[0] + i * f->d, f->x + row * f->d, f->d * sizeof(float));
        if (f->net->end == NET_NUMBER) {
            f->targets[worker * SLICE_ROWS + i] =
                (float)((f->t->targets[row] - f->net->shift) / f->net->scale);
        } else {
            f->labels[worker * SLICE_ROWS + i] = f->t->classes[row];
        }
        f->gather[worker * SLICE_ROWS + i] = f->weights ? f->weights[row] : 1;
    }
    return rows;
}

static struct net_truth truth(const struct fit *f, unsigned worker)
{
    return (struct net_truth){f->labels + worker * SLICE_ROWS, f->targets + worker * SLICE_ROWS,
                              f->gather + worker * SLICE_ROWS};
}

static void learn_slice(void *ctx, size_t task, unsigned worker)
{
    struct fit *f = ctx;
    size_t rows = gather(f, task, worker);
    struct net_truth t = truth(f, worker);

    net_forward(f->net, &f->work[worker], rows);
    f->losses[task] =
        net_backward(f->net, &f->work[worker], rows, &t, f->gradients + task * f->net->n_params);
}

static void judge_slice(void *ctx, size_t task, unsigned worker)
{
    struct fit *f = ctx;
    size_t rows = gather(f, task, worker);
    struct net_truth t = truth(f, worker);

    net_forward(f->net, &f->work[worker], rows);
    f->losses[task] = net_loss(f->net, &f->work[worker], rows, &t);
}

/* Adds the penalty to a range of the gradient: weights have one, intercepts do not. */
static void add_penalty(const struct fit *f, size_t first, size_t n, float *g)
{
    float l2 = (float)f->l2;
    size_t at = 0;

    for (size_t l = 0; l < f->net->n_layers; l++) {
        size_t weights = (size_t)f->net->sizes[l] * f->net->sizes[l + 1];
        size_t from = at > first ? at : first;
        size_t to = at + weights < first + n ? at + weights : first + n;

        for (size_t i = from; i < to; i++) {
            g[i - first] += l2 * f->net->params[i];
        }
        at += weights + f->net->sizes[l + 1];
    }
}

static void step_range(void *ctx, size_t task, unsigned worker UNUSED)
{
    struct fit *f = ctx;
    size_t first = task * RANGE_PARAMS, left = f->net->n_params - first;
    size_t n = left < RANGE_PARAMS ? left : RANGE_PARAMS;
    float *g = f->gradients + first, scale = 1 / (float)f->n_batch;

    for (size_t i = 1; i < f->n_slices; i++) {
        f->simd->add_f32(g, f->gradients + i * f->net->n_params + first, n);
    }
    for (size_t i = 0; i < n; i++) {
        g[i] *= scale;
    }
    add_penalty(f, first, n, g);
    f->simd->adam_f32(&(struct adam_f32){.w = f->net->params + first,
                                         .m = f->m + first,
                                         .v = f->v + first,
                                         .g = g,
                                         .n = n,
                                         .rate = (float)f->rate,
                                         .beta1 = beta1,
                                         .beta2 = beta2,
                                         .epsilon = adam_epsilon});
}

static void set_batch(struct fit *f, const uint32_t *rows, size_t n)
{
    f->rows = rows;
    f->n_batch = n;
    f->n_slices = (n + SLICE_ROWS - 1) / SLICE_ROWS;
}

static double sum_losses(const struct fit *f)
{
    double sum = 0;

    for (size_t i = 0; i < f->n_slices; i++) {
        sum += f->losses[i];
    }
    return sum;
}

/* All rows once; the mean loss on the way. */
static double run_epoch(struct fit *f, struct rng *rng, double learning_rate)
{
    size_t ranges = (f->net->n_params + RANGE_PARAMS - 1) / RANGE_PARAMS;
    double loss = 0;

    rng_shuffle(rng, f->order, f->n_rows);
    for (size_t at = 0; at < f->n_rows; at += f->batch) {
        size_t left = f->n_rows - at;

        set_batch(f, f->order + at, left < f->batch ? left : f->batch);
        threads_each(f->s->threads, f->n_slices, learn_slice, f);
        loss += sum_losses(f);
        f->steps++;
        f->rate = learning_rate * sqrt(1 - pow((double)beta2, (double)f->steps)) /
                  (1 - pow((double)beta1, (double)f->steps));
        threads_each(f->s->threads, ranges, step_range, f);
    }
    return loss / (double)f->n_rows;
}

/* The mean loss on the rows held back, as many at a time as a batch. */
static double judge(struct fit *f)
{
    double loss = 0;

    for (size_t at = 0; at < f->n_held; at += f->batch) {
        size_t left = f->n_held - at;

        set_batch(f, f->order + f->n_rows + at, left < f->batch ? left : f->batch);
        threads_each(f->s->threads, f->n_slices, judge_slice, f);
        loss += sum_losses(f);
    }
    return loss / (double)f->n_held;
}

/* The best parameters so far on the rows held back. */
struct best {
    float *params; /* big memory */
    double loss;
    unsigned epoch;
};

static void keep_best(struct fit *f, struct best *b, double loss, unsigned epoch)
{
    if (epoch == 1 || loss < b->loss - better) {
        b->loss = loss;
        b->epoch = epoch;
        memcpy(b->params, f->net->params, f->net->n_params * sizeof(float));
    }
}

static void report(const struct fit *f, unsigned epoch, unsigned epochs, double loss, double held)
{
    const struct metric m[] = {{"epoch", epoch}, {"loss", loss}, {"validation_loss", held}};

    progress_update(f->s->progress, (double)epoch / epochs, m, f->n_held > 0 ? 3 : 2,
                    "epoch %u of %u, loss %.6g", epoch, epochs, loss);
}

static int train(struct fit *f, struct best *best, struct err *e)
{
    unsigned epochs = (unsigned)step_int(f->s, "epochs"), epoch = 0;
    unsigned patience = (unsigned)step_int(f->s, "early_stop");
    double loss = 0, held = 0, learning_rate = step_real(f->s, "learning_rate");
    struct rng rng;

    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), STREAM_SHUFFLE);
    while (epoch < epochs) {
        loss = run_epoch(f, &rng, learning_rate);
        epoch++;
        if (!isfinite(loss)) {
            return err_set(e, ERR_DATA,
                           "the loss is not finite in epoch %u: scale the features "
                           "(standard_scaler) or lower learning_rate",
                           epoch);
        }
        if (f->n_held > 0) {
            held = judge(f);
            keep_best(f, best, held, epoch);
        }
        report(f, epoch, epochs, loss, held);
        if (f->n_held > 0 && epoch - best->epoch >= patience) {
            break;
        }
    }
    if (f->n_held > 0) {
        memcpy(f->net->params, best->params, f->net->n_params * sizeof(float));
    }
    progress_say(f->s->progress, "%zu rows, %zu parameters: loss %.6g after %u epochs%s", f->n_rows,
                 f->net->n_params, loss, epoch, epoch < epochs ? ", stopped early" : "");
    return 0;
}

/* The network learns a label of mean 0 and deviation 1. */
static int scale_label(struct fit *f, struct err *e)
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

static int make_net(struct fit *f, struct err *e)
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
static int order_rows(struct fit *f, struct err *e)
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

static int take_rows(struct fit *f, struct err *e)
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

static int take_scratch(struct fit *f, struct err *e)
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

static void fit_done(struct fit *f)
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

static int fit(struct fit *f, struct err *e)
{
    SCOPED(big_freep) float *kept = NULL;
    struct best best = {0};

    if (make_net(f, e) < 0 || order_rows(f, e) < 0 || take_rows(f, e) < 0 ||
        take_scratch(f, e) < 0) {
        return -1;
    }
    kept = big_alloc(f->n_held > 0 ? f->net->n_params : 0, sizeof(float), "the model", e);
    best.params = kept;
    return kept ? train(f, &best, e) : -1;
}

static int run(struct step *s, struct err *e)
{
    struct training_wants wants = wants_of(s);
    struct training t;
    struct fit f = {.t = &t, .s = s, .simd = simd_get(), .l2 = step_real(s, "l2")};
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
