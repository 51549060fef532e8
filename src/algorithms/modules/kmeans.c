/* kmeans - k centres and which of them is nearest: lloyd.h computes them. */
#include "algorithms/modules/kmeans.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/lloyd.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLUSTERS_MAX = 65536, BLOCK = CENTRES_BLOCK };

static const struct training_wants wants = {
    .type = &model_kmeans, .task = TASK_CLUSTERS, .kinds = FEATURES_NUMBERS};

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "The rows to group."}, {0}};
static const struct port outputs[] = {
    {"model", VALUE_MODEL, 0, "For predict: the nearest centre of new rows."},
    {"table", VALUE_TABLE, PORT_OPTIONAL, "The rows with the number of their cluster behind them."},
    {0}};
static const struct param params[] = {
    TRAINING_FEATURES("@numeric"),
    {"k", PARAM_INT, "2", 1, CLUSTERS_MAX, NULL, "How many clusters."},
    {"distance", PARAM_CHOICE, "euclid", 0, 0, "euclid|cosine",
     "euclid: straight lines; cosine: only the direction of a row counts."},
    {"init", PARAM_CHOICE, "kmeans++", 0, 0, "kmeans++|random",
     "The first centres: rows far from each other, or any rows."},
    {"n_init", PARAM_INT, "3", 1, 1000, NULL, "How many starts; the best result is kept."},
    {"max_iter", PARAM_INT, "300", 1, 100000, NULL, "Most iterations of one start."},
    {"epsilon", PARAM_REAL, "0.0001", 0, 1, NULL,
     "Done when the centres move less than this part of the data's variance."},
    TRAINING_WEIGHT,
    TRAINING_MISSING,
    {"cluster_col", PARAM_TEXT, "cluster", 0, 0, NULL, "Name of the column for the cluster."},
    {"seed", PARAM_INT, "1", 0, 4294967295, NULL, "The same seed gives the same clusters."},
    {0},
};

struct fit {
    struct training t;
    struct step *s;
    struct kmeans *b;
    struct lloyd lloyd;
    bool converged;
};

enum { PANEL_BLOCKS = 512 };

static void gather_panel(void *ctx, size_t task, unsigned worker)
{
    struct fit *f = ctx;
    size_t from = task * PANEL_BLOCKS, left = f->lloyd.blocks - from;
    size_t to = from + (left < PANEL_BLOCKS ? left : PANEL_BLOCKS);
    size_t end = to * BLOCK < f->lloyd.n ? to * BLOCK : f->lloyd.n;

    (void)worker;
    for (size_t at = from; at < to; at++) {
        kmeans_gather(f->t.model, f->t.columns, at * BLOCK, lloyd_block_rows(&f->lloyd, at),
                      f->lloyd.x + at * BLOCK * f->lloyd.d);
    }
    bound_rest(&f->t.bound, from * BLOCK, end - from * BLOCK);
}

/* Euclid: the means of the features become the origin. */
static int take_origin(struct fit *f, struct err *e)
{
    const struct model *m = f->t.model;

    for (size_t j = 0; j < m->features.n && !f->b->cosine; j++) {
        double sum = 0;

        for (size_t r = 0; r < f->lloyd.n; r++) {
            double v = f->t.columns[j][r];

            sum += isnan(v) ? m->features.fill[j] : v;
        }
        f->b->centres.origin[j] = sum / (double)f->lloyd.n;
        bound_rest_column(&f->t.bound, j);
        if (!isfinite(sum)) {
            return err_set(e, ERR_DATA, "column '%s': its values are too large to be averaged",
                           m->features.names[j]);
        }
    }
    threads_each(f->s->threads, (f->lloyd.blocks + PANEL_BLOCKS - 1) / PANEL_BLOCKS, gather_panel,
                 f);
    return 0;
}

/* A direction is needed by cosine. */
static int check_directions(const struct fit *f, struct err *e)
{
    for (size_t r = 0; r < f->lloyd.n && f->b->cosine; r++) {
        if (f->lloyd.norm[r] == 0) {
            return err_set(e, ERR_DATA,
                           "row %zu is all zeroes, which has no direction: take distance=euclid",
                           r + 1);
        }
    }
    return 0;
}

static int try_starts(struct fit *f, struct err *e)
{
    struct lloyd *l = &f->lloyd;
    size_t size = l->k * l->d * sizeof(double), starts = (size_t)step_int(f->s, "n_init");
    SCOPED(big_freep) double *best = big_alloc(1, size, "the centres", e);
    double inertia = INFINITY;

    for (size_t i = 0; best && i < starts; i++) {
        struct rng rng;
        double now;

        rng_init(&rng, (uint64_t)step_int(f->s, "seed"), i + 1);
        if (step_choice(f->s, "init") == 1) {
            lloyd_start_anywhere(l, &rng);
        } else if (lloyd_start_apart(l, &rng, e) < 0) {
            return -1;
        }
        now = lloyd_run(l);
        if (now < inertia) {
            inertia = now;
            f->b->iterations = l->iterations;
            f->converged = l->converged;
            memcpy(best, l->centres->at, size);
        }
        progress_update(f->s->progress, (double)(i + 1) / (double)starts,
                        &(struct metric){"inertia", inertia}, 1, "start %zu of %zu", i + 1, starts);
    }
    if (best == NULL || !isfinite(inertia)) {
        return best ? err_set(e, ERR_DATA, "the values are too large to be compared: scale them")
                    : -1;
    }
    memcpy(l->centres->at, best, size);
    l->max_iter = 0; /* assigns only */
    f->b->inertia = lloyd_run(l) * (f->b->cosine ? 0.5 : 1);
    for (size_t r = 0; r < l->n; r++) {
        f->b->sizes[l->cluster[r]] += f->t.weights ? f->t.weights[r] : 1;
    }
    return 0;
}

static int add_clusters(const struct fit *f, struct table *out, struct err *e)
{
    struct column *c = table_add_numbers(out, step_text(f->s, "cluster_col"), e);

    if (c == NULL) {
        return err_wrap(e, "cluster_col");
    }
    c->as = AS_INT;
    for (size_t r = 0; r < f->lloyd.n; r++) {
        c->numbers[r] = f->lloyd.cluster[r];
    }
    return 0;
}

static int fit(struct fit *f, struct err *e)
{
    struct lloyd *l = &f->lloyd;
    SCOPED(table_freep) struct table *out = NULL;
    double variance;

    if (l->n < l->k) {
        return err_set(e, ERR_DATA, "%zu rows cannot make %zu clusters: give k a smaller value",
                       l->n, l->k);
    }
    if (kmeans_init(f->b, l->k, l->d, e) < 0 || lloyd_init(l, e) < 0 || take_origin(f, e) < 0) {
        return -1;
    }
    variance = lloyd_measure(l);
    if (!isfinite(variance)) {
        return err_set(e, ERR_DATA, "the values are too large to be compared: scale them");
    }
    l->epsilon = step_real(f->s, "epsilon") * variance;
    if (check_directions(f, e) < 0 || try_starts(f, e) < 0) {
        return -1;
    }
    out = step_wants(f->s, "table") ? table_copy(f->t.table, e) : table_new(l->n);
    if (out == NULL || add_clusters(f, out, e) < 0) {
        return -1;
    }
    progress_say(f->s->progress,
                 "%zu rows, %zu features, %zu clusters: inertia %.6g after %u "
                 "iterations%s",
                 l->n, l->d, l->k, f->b->inertia, f->b->iterations,
                 f->converged ? "" : ", not converged: raise max_iter");
    progress_result(f->s->progress, &(struct metric){"inertia", f->b->inertia}, 1);
    step_out_table(f->s, "table", TAKE(out));
    step_out_model(f->s, "model", TAKE(f->t.model));
    return 0;
}

static int run(struct step *s, struct err *e)
{
    struct fit f = {.s = s};
    int rc;

    if (training_init(&f.t, s, &wants, e) < 0) {
        return -1;
    }
    f.b = f.t.model->body = xnew(struct kmeans);
    f.b->cosine = step_choice(s, "distance") == 1;
    f.lloyd = (struct lloyd){.centres = &f.b->centres,
                             .threads = s->threads,
                             .weights = f.t.weights,
                             .unit = f.b->cosine,
                             .n = f.t.table->n_rows,
                             .d = f.t.model->features.n,
                             .k = (size_t)step_int(s, "k"),
                             .max_iter = (unsigned)step_int(s, "max_iter")};
    rc = fit(&f, e);
    lloyd_done(&f.lloyd);
    training_done(&f.t);
    return rc;
}

static void check(struct check *c)
{
    struct table *out = check_copy(c, "train");

    training_check(c, &wants);
    check_add_as(c, out, "cluster_col", step_text(&c->step, "cluster_col"), AS_INT);
    check_out_table(c, "table", out, check_open(c, "train"));
}

const struct module module_kmeans = {
    .name = "kmeans",
    .title = "K-means",
    .description = "Groups rows around k centres so that the squared distances are small, and "
                   "makes a model that finds the nearest centre of new rows. Scale the columns "
                   "first when their units differ.",
    .category = "clustering",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+16*cells+64*rows+64*columns*k*cpus+128Mi",
    .run = run,
    .check = check,
};
