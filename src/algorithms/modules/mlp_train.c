#include "algorithms/modules/mlp.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/simd.h"

#include <math.h>
#include <string.h>

enum { RANGE_PARAMS = 16384 };
static const float beta1 = 0.9F, beta2 = 0.999F, adam_epsilon = 1e-8F;
static const double better = 1e-4; /* by so much a loss must fall to count for early_stop */

/* Brings rows of the batch into a worker's scratch. */
static size_t gather(struct mlp_fit *f, size_t task, unsigned worker)
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

static struct net_truth truth(const struct mlp_fit *f, unsigned worker)
{
    return (struct net_truth){f->labels + worker * SLICE_ROWS, f->targets + worker * SLICE_ROWS,
                              f->gather + worker * SLICE_ROWS};
}

static void learn_slice(void *ctx, size_t task, unsigned worker)
{
    struct mlp_fit *f = ctx;
    size_t rows = gather(f, task, worker);
    struct net_truth t = truth(f, worker);

    net_forward(f->net, &f->work[worker], rows);
    f->losses[task] =
        net_backward(f->net, &f->work[worker], rows, &t, f->gradients + task * f->net->n_params);
}

static void judge_slice(void *ctx, size_t task, unsigned worker)
{
    struct mlp_fit *f = ctx;
    size_t rows = gather(f, task, worker);
    struct net_truth t = truth(f, worker);

    net_forward(f->net, &f->work[worker], rows);
    f->losses[task] = net_loss(f->net, &f->work[worker], rows, &t);
}

/* Adds the penalty to a range of the gradient: weights have one, intercepts do not. */
static void add_penalty(const struct mlp_fit *f, size_t first, size_t n, float *g)
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
    struct mlp_fit *f = ctx;
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

static void set_batch(struct mlp_fit *f, const uint32_t *rows, size_t n)
{
    f->rows = rows;
    f->n_batch = n;
    f->n_slices = (n + SLICE_ROWS - 1) / SLICE_ROWS;
}

static double sum_losses(const struct mlp_fit *f)
{
    double sum = 0;

    for (size_t i = 0; i < f->n_slices; i++) {
        sum += f->losses[i];
    }
    return sum;
}

/* All rows once; the mean loss on the way. */
static double run_epoch(struct mlp_fit *f, struct rng *rng, double learning_rate)
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
static double judge(struct mlp_fit *f)
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

static void keep_best(struct mlp_fit *f, struct mlp_best *b, double loss, unsigned epoch)
{
    if (epoch == 1 || loss < b->loss - better) {
        b->loss = loss;
        b->epoch = epoch;
        memcpy(b->params, f->net->params, f->net->n_params * sizeof(float));
    }
}

static void report(const struct mlp_fit *f, unsigned epoch, unsigned epochs, double loss,
                   double held)
{
    const struct metric m[] = {{"epoch", epoch}, {"loss", loss}, {"validation_loss", held}};

    progress_update(f->s->progress, (double)epoch / epochs, m, f->n_held > 0 ? 3 : 2,
                    "epoch %u of %u, loss %.6g", epoch, epochs, loss);
}

int mlp_train(struct mlp_fit *f, struct mlp_best *best, struct err *e)
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
