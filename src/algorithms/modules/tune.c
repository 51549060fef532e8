/* tune - the parameters with which a learner is best on rows it has not seen, and the model that it
 * makes of all rows with them.
 *
 * Every trial is cross-validated on the same folds. Halving tries all of them on few rows and the
 * better third again on three times as many, until all rows are used (Jamieson, Talwalkar 2016). */
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/tune_priv.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIALS_MAX = 1000, THIRD = 3, ROWS_LEAST = 20 };
enum mode { MODE_GRID, MODE_RANDOM, MODE_HALVING };

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "Rows with their labels."}, {0}};
static const struct port outputs[] = {
    {"model", VALUE_MODEL, PORT_OPTIONAL, "The best, trained on all rows."},
    {"table", VALUE_TABLE, PORT_OPTIONAL, "Every trial: its parameters and scores."},
    {"report", VALUE_REPORT, PORT_OPTIONAL, "The best parameters and all trials."},
    {0},
};
static const struct param params[] = {
    LEARNER_PARAMS,
    {"space", PARAM_TEXT, NULL, 0, 0, NULL,
     "What is tried: max_depth=2,4,6;l2=log(1e-4..1):8. Lists, ranges from..to, :n points of a "
     "grid; '|' between values that have commas."},
    {"mode", PARAM_CHOICE, "random", 0, 0, "grid|random|halving",
     "All points, some by chance, or some by chance on few rows and the better ones on more."},
    {"trials", PARAM_INT, "20", 1, TRIALS_MAX, NULL,
     "How many points are tried by chance; of a grid, the most there may be is 1000."},
    VALIDATION_PARAMS,
    {0},
};

static void search_done(struct search *h)
{
    for (size_t i = 0; i < h->n; i++) {
        for (size_t k = 0; k < SPACE_DIMENSIONS; k++) {
            free(h->trials[i].values[k]);
        }
        free(h->trials[i].failure);
    }
    free(h->trials);
    free(h->folds);
    free(h->curve);
    learner_done(&h->learner);
    validation_done(&h->v);
    space_done(&h->space);
}

static int make_trials(struct search *h, enum mode mode, struct err *e)
{
    size_t grid = space_grid(&h->space, TRIALS_MAX);
    struct rng rng;

    if (mode == MODE_GRID && grid > TRIALS_MAX) {
        return err_set(e, ERR_INVALID,
                       "space: the grid has more than %d points: take fewer, or mode=random",
                       TRIALS_MAX);
    }
    h->n = mode == MODE_GRID ? grid : (size_t)step_int(h->s, "trials");
    h->trials = xnew_array(struct trial, h->n);
    h->curve = xnew_array(double, h->n);
    rng_init(&rng, (uint64_t)step_int(h->s, "seed"), 3);
    for (size_t i = 0; i < h->n; i++) {
        for (size_t k = 0; k < h->space.n; k++) {
            h->trials[i].values[k] =
                mode == MODE_GRID ? space_at(&h->space, i, k) : space_draw(&h->space, k, &rng);
        }
        for (size_t k = 0; k < SCORES; k++) {
            h->trials[i].scores.mean[k] = h->trials[i].scores.deviation[k] = NAN;
        }
    }
    return 0;
}

static int set_values(struct search *h, const struct trial *t, struct err *e)
{
    for (size_t k = 0; k < h->space.n; k++) {
        if (learner_set(&h->learner, str_of(h->space.of[k].param->name), str_of(t->values[k]), e) <
            0) {
            return -1;
        }
    }
    return 0;
}

static void say(const struct search *h, size_t trial)
{
    bool any = !isnan(tune_score(h, h->best));
    const struct metric m = {score_name(h->v.metric), any ? tune_score(h, h->best) : NAN};

    progress_update(h->s->progress, (double)h->done / (double)h->to_do, &m, any,
                    "trial %zu of %zu, best %s %.4f", trial + 1, h->n, m.name, m.value);
}

/* What cannot learn with these parameters fails its trial; without memory all would. */
static int run_trial(struct search *h, size_t at, double part, struct err *e)
{
    struct trial *t = &h->trials[at];
    struct err why = {0};

    t->part = part;
    if (set_values(h, t, e) < 0) {
        return -1;
    }
    for (uint32_t f = 0; f < h->v.folds.k; f++) {
        h->done++;
        if (validation_fold(&h->v, &h->learner, f, part, &h->folds[f], /* out */ NULL, &why) < 0) {
            if (why.kind == ERR_MEMORY) {
                *e = why;
                return -1;
            }
            h->done += h->v.folds.k - f - 1;
            free(t->failure);
            t->failure = xstrdup(why.msg);
            for (size_t k = 0; k < SCORES; k++) {
                t->scores.mean[k] = t->scores.deviation[k] = NAN;
            }
            return 0;
        }
        say(h, at);
    }
    t->scores = validation_mean(h->folds, h->v.folds.k);
    return 0;
}

/* The first of the best, among those that saw as many rows. */
static size_t best_of(const struct search *h, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++) {
        const struct trial *a = &h->trials[i], *b = &h->trials[best];
        bool worth = !isnan(tune_score(h, i)), more = a->part > b->part;

        if (worth && (more || isnan(tune_score(h, best)) ||
                      (a->part == b->part &&
                       score_better(h->v.metric, tune_score(h, i), tune_score(h, best))))) {
            best = i;
        }
    }
    return best;
}

static int run_all_rows(struct search *h, struct err *e)
{
    h->to_do = h->n * h->v.folds.k;
    for (size_t i = 0; i < h->n; i++) {
        if (run_trial(h, i, /* part */ 2, e) < 0) {
            return -1;
        }
        h->best = best_of(h, i + 1);
        h->curve[i] = tune_score(h, h->best);
    }
    return 0;
}

/* Marks the better third of those that are left; equal ones by number. */
static size_t keep_third(const struct search *h, bool *left, size_t n)
{
    size_t keep = n / THIRD > 0 ? n / THIRD : 1, kept = 0;
    SCOPED(freep) bool *next = xnew_array(bool, h->n);

    for (; kept < keep; kept++) {
        size_t best = h->n;

        for (size_t i = 0; i < h->n; i++) {
            if (left[i] && !next[i] &&
                (best == h->n ||
                 score_better(h->v.metric, tune_score(h, i), tune_score(h, best)))) {
                best = i;
            }
        }
        next[best] = true;
    }
    memcpy(left, next, h->n * sizeof(*left));
    return keep;
}

/* As many rounds as leave one trial, but no round with fewer rows than folds can have. */
static unsigned rounds_of(const struct search *h)
{
    unsigned rounds = 0;
    double rows = (double)h->v.t->n_rows;

    for (size_t n = h->n; n > 1 && rows / THIRD >= ROWS_LEAST * (double)h->v.folds.k; n /= THIRD) {
        rows /= THIRD;
        rounds++;
    }
    return rounds;
}

static int run_halving(struct search *h, struct err *e)
{
    SCOPED(freep) bool *left = xnew_array(bool, h->n);
    unsigned rounds = rounds_of(h);
    size_t n = h->n;

    for (size_t i = 0, k = h->n; i <= rounds; i++, k = k / THIRD > 0 ? k / THIRD : 1) {
        h->to_do += k * h->v.folds.k;
    }
    memset(left, true, h->n * sizeof(*left));
    for (unsigned r = rounds;; r--) {
        for (size_t i = 0; i < h->n; i++) {
            if (left[i] && run_trial(h, i, r > 0 ? pow(THIRD, -(double)r) : 2, e) < 0) {
                return -1;
            }
            h->best = best_of(h, h->n);
        }
        if (r == 0) {
            return 0;
        }
        n = keep_third(h, left, n);
        progress_say(h->s->progress, "%zu trial%s left after %.0f %% of the rows", n,
                     n == 1 ? "" : "s", 100 * pow(THIRD, -(double)r));
    }
}

static int put_model(struct search *h, struct err *e)
{
    struct model *m;

    if (set_values(h, &h->trials[h->best], e) < 0) {
        return -1;
    }
    m = learner_train(&h->learner, h->v.t, h->s->threads, e);
    if (m == NULL) {
        return err_wrap(e, "%s on all rows", h->learner.step.module->name);
    }
    step_out_model(h->s, "model", m);
    return 0;
}

static int search(struct search *h, struct err *e)
{
    enum mode mode = (enum mode)step_choice(h->s, "mode");

    if (learner_init(&h->learner, h->s, e) < 0 ||
        validation_init(&h->v, h->s, &h->learner, e) < 0) {
        return -1;
    }
    if (space_parse(&h->space, h->learner.step.module, step_text(h->s, "space"), e) < 0) {
        return err_wrap(e, "space");
    }
    h->folds = xnew_array(struct fold_scores, h->v.folds.k);
    if (make_trials(h, mode, e) < 0 ||
        (mode == MODE_HALVING ? run_halving(h, e) : run_all_rows(h, e)) < 0) {
        return -1;
    }
    if (isnan(tune_score(h, h->best))) {
        const char *why = h->trials[h->best].failure;

        return err_set(e, ERR_DATA, "no trial could be scored: %s",
                       why ? why : "every fold lacks what the metric needs");
    }
    if ((step_wants(h->s, "table") && tune_table(h, e) < 0) ||
        (step_wants(h->s, "model") && put_model(h, e) < 0)) {
        return -1;
    }
    return tune_report(h, mode != MODE_HALVING, e);
}

static int run(struct step *s, struct err *e)
{
    SCOPED(search_done) struct search h = {.s = s};

    return search(&h, e);
}

static void check(struct check *c)
{
    const struct module *m;
    struct space space;
    struct err e = {0};

    learner_check(c, "model");
    validation_check(c);
    m = c->n_mistakes == 0 ? step_find_module(modules_all, step_text(&c->step, "learner"), &e)
                           : NULL;
    if (m && space_parse(&space, m, step_text(&c->step, "space"), &e) < 0) {
        check_mistake(c, NULL, "space", NULL, "%s", e.msg);
    } else if (m) {
        space_done(&space);
    }
    check_out_report(c, "report");
}

const struct module module_tune = {
    .name = "tune",
    .title = "Tune parameters",
    .description =
        "Tries a learner with many parameters, keeps those that are best on rows it has not seen, "
        "and trains it with them on all rows.",
    .category = "evaluation",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+32*cells+64*rows+64Mi",
    .run = run,
    .check = check,
};
