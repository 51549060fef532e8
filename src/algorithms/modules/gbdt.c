#include "algorithms/modules/gbdt_fit.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/sort.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void fit_done(struct gbdt_fit *f)
{
    bins_done(&f->bins);
    boost_free(f->boost);
    big_free(f->rows);
    big_free(f->order);
    big_free(f->scores);
    big_free(f->log_sums);
    big_free(f->words);
    big_free(f->maxima);
    big_free(f->residuals);
    big_free(f->sorting);
    free(f->features);
    free(f->chosen);
    big_free(f->watched.classes);
    big_free(f->watched.scores);
    bound_done(&f->watched.bound);
    table_free(f->watched.owned);
}

/* --- rounds ----------------------------------------------------------------------------------- */

static void choose_features(struct gbdt_fit *f)
{
    size_t d = f->bins.n_features;
    struct rng rng;

    memcpy(f->chosen, f->features, d * sizeof(*f->chosen));
    if (f->n_chosen == d) {
        return;
    }
    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), gbdt_stream(f, STREAM_FEATURES, 0));
    rng_shuffle(&rng, f->chosen, d);
    qsort(f->chosen, f->n_chosen, sizeof(*f->chosen), gbdt_by_number);
}

static double watched_loss(const struct gbdt_fit *f)
{
    const struct gbdt_watched *w = &f->watched;

    return w->n > 0 ? gbdt_mean_loss(&f->loss, &w->of, w->rows, w->n, w->scores) : NAN;
}

static void report(const struct gbdt_fit *f, size_t rounds, double held)
{
    const struct metric m[] = {{"trees", (double)f->round + 1}, {"validation_loss", held}};

    if (f->watched.n > 0) {
        progress_update(f->s->progress, (double)(f->round + 1) / (double)rounds, m, 2,
                        "tree %zu of %zu, validation loss %.6g", f->round + 1, rounds, held);
    } else {
        progress_update(f->s->progress, (double)(f->round + 1) / (double)rounds, m, 1,
                        "tree %zu of %zu", f->round + 1, rounds);
    }
}

/* Where squared ends, for this round: that share of residuals lies inside (Friedman 2001). */
static void huber_delta(struct gbdt_fit *f)
{
    struct gbdt_loss l = {.objective = GBDT_QUANTILE, .alpha = f->loss.alpha};
    size_t n = 0;

    for (size_t i = 0; i < f->n_learned; i++) {
        uint32_t r = f->rows[i];

        f->residuals[n] = fabs(f->of.targets[r] - f->scores[r]);
        n += f->of.weights == NULL || f->of.weights[r] > 0;
    }
    sort_f64(f->residuals, f->sorting, n);
    f->loss.delta = gbdt_output(&l, f->residuals, n);
}

static int grow_round(struct gbdt_fit *f, struct err *e)
{
    choose_features(f);
    if (f->loss.objective == GBDT_HUBER) {
        huber_delta(f);
    }
    if (f->log_sums) {
        threads_each(f->s->threads, gbdt_chunks(f->n), gbdt_sum_logs, f);
    }
    for (f->score = 0; f->score < f->m->n_scores; f->score++) {
        if (gbdt_grow_tree(f, e) < 0) {
            return -1;
        }
    }
    f->score = 0;
    return 0;
}

static int train(struct gbdt_fit *f, struct err *e)
{
    size_t rounds = (size_t)step_int(f->s, "num_trees"), best = 0;
    size_t patience = (size_t)step_int(f->s, "early_stop");
    double held = 0, least = INFINITY;

    for (f->round = 0; f->round < rounds; f->round++) {
        if (grow_round(f, e) < 0) {
            return -1;
        }
        held = watched_loss(f);
        if (held < least || f->round == 0) {
            least = held;
            best = f->round;
        }
        report(f, rounds, held);
        if (patience > 0 && f->round - best >= patience) {
            break;
        }
    }
    if (patience > 0) {
        trees_cut(&f->m->trees, (best + 1) * f->m->n_scores);
        progress_say(f->s->progress, "%zu rows, %zu rounds of %zu kept: validation loss %.6g",
                     f->n_learned, best + 1, rounds, least);
    } else {
        progress_say(f->s->progress, "%zu rows, %zu trees, %zu nodes", f->n_learned,
                     f->m->trees.n_trees, f->m->trees.n_nodes);
    }
    return 0;
}

static int make_boost(struct gbdt_fit *f, struct err *e)
{
    const struct step *s = f->s;
    const struct features *features = &f->t->model->features;
    struct boost_options o = {.lambda = step_real(s, "lambda"),
                              .gamma = step_real(s, "gamma"),
                              .min_child_weight = step_real(s, "min_child_weight"),
                              .max_depth = (unsigned)step_int(s, "max_depth"),
                              .max_leaves = (unsigned)step_int(s, "max_leaves")};
    size_t d = features->n;

    if (bins_init(&f->bins, features, &f->t->bound, f->of.weights,
                  (unsigned)step_int(s, "max_bins"), s->threads, e) < 0 ||
        trees_init(&f->m->trees, d, 1, &f->bins, features, e) < 0) {
        return -1;
    }
    f->features = xnew_array(uint32_t, d);
    f->chosen = xnew_array(uint32_t, d);
    for (size_t j = 0; j < d; j++) {
        f->features[j] = (uint32_t)j;
    }
    f->n_chosen = (size_t)lrint(step_real(s, "feature_fraction") * (double)d);
    f->n_chosen = f->n_chosen < 1 ? 1 : f->n_chosen;
    f->boost = boost_new(&f->bins, &o, s->threads, e);
    return f->boost ? 0 : -1;
}

static int fit(struct gbdt_fit *f, struct err *e)
{
    const struct training *t = f->t;

    if (f->loss.objective != GBDT_CLASSES &&
        gbdt_check_targets(f->loss.objective, t->targets, f->n, t->model->label, e) < 0) {
        return -1;
    }
    if (step_int(f->s, "early_stop") > 0 && step_table(f->s, "valid") == NULL && f->n < 2) {
        return err_set(e, ERR_DATA, "one row cannot be divided for early_stop");
    }
    if (gbdt_divide_rows(f, e) < 0 || gbdt_take_valid(f, e) < 0 || gbdt_make_room(f, e) < 0 ||
        make_boost(f, e) < 0) {
        return -1;
    }
    gbdt_start(f);
    return train(f, e);
}

int gbdt_run(struct step *s, const struct training_wants *wants, enum gbdt_objective objective,
             struct err *e)
{
    struct training t;
    struct gbdt_fit f = {.s = s, .t = &t, .subsample = step_real(s, "subsample")};
    int rc;

    if (training_init(&t, s, wants, e) < 0) {
        return -1;
    }
    f.n = t.table->n_rows;
    f.of = (struct gbdt_rows){t.classes, t.targets, t.weights};
    f.m = t.model->body = xnew(struct gbdt_model);
    f.m->objective = objective;
    f.m->n_scores = objective == GBDT_CLASSES && t.model->classes.n > 2 ? t.model->classes.n : 1;
    f.m->base = xnew_array(double, f.m->n_scores);
    f.loss = (struct gbdt_loss){.objective = objective,
                                .n_scores = f.m->n_scores,
                                .alpha = step_has(s, "alpha") ? step_real(s, "alpha") : 0,
                                .simd = simd_get()};
    rc = fit(&f, e);
    if (rc == 0) {
        step_out_model(s, "model", TAKE(t.model));
    }
    fit_done(&f);
    training_done(&t);
    return rc;
}

void gbdt_check(struct check *c, const struct training_wants *wants)
{
    training_check(c, wants);
    (void)check_column(c, "valid", "label_col",
                       wants->task == TASK_NUMBER ? CHECK_NUMBERS : CHECK_ANY);
    if (step_text(&c->step, "weight_col").len > 0) {
        (void)check_column(c, "valid", "weight_col", CHECK_NUMBERS);
    }
    check_kinds(c, "valid", c->out[0].table); /* of the model */
}
