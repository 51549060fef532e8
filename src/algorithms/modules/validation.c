#include "algorithms/modules/validation.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/groups.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void validation_done(struct validation *v)
{
    classes_done(&v->classes);
    big_free(v->truth);
    big_free(v->rows);
    folds_done(&v->folds);
}

static int missing(const struct column *label, size_t row, struct err *e)
{
    return err_set(
        e, ERR_DATA,
        "label column '%s', row %zu: the label is missing; remove such rows with filter_rows",
        label->name, row + 1);
}

static int take_truth(struct validation *v, const struct column *label, struct err *e)
{
    size_t n = v->t->n_rows;

    v->width = 1;
    if (v->task == TASK_NUMBER) {
        v->targets = label->kind == COLUMN_NUMBER ? label->numbers : NULL;
        if (v->targets == NULL) {
            return err_set(e, ERR_DATA, "label column '%s' holds text, and numbers are needed here",
                           label->name);
        }
        for (size_t r = 0; r < n; r++) {
            if (!isfinite(v->targets[r])) {
                return missing(label, r, e);
            }
        }
        return 0;
    }
    if (classes_of(label, n, &v->classes, &v->truth, e) < 0) {
        return -1;
    }
    v->width = v->classes.n;
    for (size_t r = 0; r < n; r++) {
        if (v->truth[r] == CLASS_MISSING) {
            return missing(label, r, e);
        }
    }
    return 0;
}

static int take_weights(struct validation *v, const struct step *s, struct err *e)
{
    struct str name = step_text(s, "weight_col");
    const struct column *c = name.len > 0 ? table_need_numbers(v->t, name, e) : NULL;

    if (name.len > 0 && (c == NULL || training_check_weights(c, v->t->n_rows, e) < 0)) {
        return err_wrap(e, "weight_col");
    }
    v->weights = c ? c->numbers : NULL;
    return 0;
}

static int not_both(const struct step *s, struct err *e)
{
    return step_text(s, "group_col").len > 0 && step_text(s, "time_col").len > 0
               ? err_set(e, ERR_INVALID,
                         "time_col: folds follow groups or time: leave one of group_col and "
                         "time_col empty")
               : 0;
}

static int deal_groups(struct validation *v, const struct column *c, uint32_t k, uint64_t seed,
                       struct err *e)
{
    SCOPED(groups_done) struct groups g = {0};

    if (groups_of(&g, c, v->t->n_rows, e) < 0) {
        return -1;
    }
    if (g.n < k) {
        return err_set(e, ERR_DATA, "column '%s': %zu group%s cannot make %u folds", c->name, g.n,
                       g.n == 1 ? "" : "s", k);
    }
    return folds_by_group(&v->folds, k, g.of, g.n, v->t->n_rows, seed, e);
}

static int deal_times(struct validation *v, const struct column *c, uint32_t k, uint64_t seed,
                      struct err *e)
{
    for (size_t r = 0; r < v->t->n_rows; r++) {
        if (!isfinite(c->numbers[r])) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: the time is %s", c->name, r + 1,
                           isnan(c->numbers[r]) ? "missing" : "infinite");
        }
    }
    if (v->t->n_rows <= k) {
        return err_set(e, ERR_DATA, "%zu rows cannot make %u folds and a first part to learn from",
                       v->t->n_rows, k);
    }
    return folds_by_time(&v->folds, k, c->numbers, v->t->n_rows, seed, e);
}

static int deal(struct validation *v, const struct step *s, uint32_t k, struct err *e)
{
    struct str group = step_text(s, "group_col"), time = step_text(s, "time_col");
    uint64_t seed = (uint64_t)step_int(s, "seed");
    const struct column *c;

    if (not_both(s, e) < 0) {
        return -1;
    }
    if (group.len > 0) {
        c = table_need(v->t, group, e);
        return c == NULL || deal_groups(v, c, k, seed, e) < 0 ? err_wrap(e, "group_col") : 0;
    }
    if (time.len > 0) {
        c = table_need_numbers(v->t, time, e);
        return c == NULL || deal_times(v, c, k, seed, e) < 0 ? err_wrap(e, "time_col") : 0;
    }
    return folds_make(&v->folds, k, v->truth, v->classes.n, v->t->n_rows, seed, e);
}

void validation_check(struct check *c)
{
    struct err e = {0};

    if (step_text(&c->step, "group_col").len > 0) {
        (void)check_column(c, "train", "group_col", CHECK_ANY);
    }
    if (step_text(&c->step, "time_col").len > 0) {
        (void)check_column(c, "train", "time_col", CHECK_NUMBERS);
    }
    if (step_text(&c->step, "weight_col").len > 0) {
        (void)check_column(c, "train", "weight_col", CHECK_NUMBERS);
    }
    if (not_both(&c->step, &e) < 0) {
        check_mistake(c, NULL, "time_col", NULL, "%s", e.msg);
    }
}

int validation_init(struct validation *v, const struct step *s, const struct learner *l,
                    struct err *e)
{
    const struct table *t = step_table(s, "train");
    const struct column *label = table_need(t, step_text(s, "label_col"), e);
    uint32_t k = (uint32_t)step_int(s, "folds");

    *v = (struct validation){.t = t, .threads = s->threads, .task = l->task};
    if (label == NULL) {
        return err_wrap(e, "label_col");
    }
    if (t->n_rows < k) {
        return err_set(e, ERR_DATA, "%zu row%s cannot make %u folds", t->n_rows,
                       t->n_rows == 1 ? "" : "s", k);
    }
    if (take_truth(v, label, e) < 0 ||
        score_choose(step_choice(s, "metric"), v->task, v->width, l->step.module->name, &v->metric,
                     e) < 0 ||
        take_weights(v, s, e) < 0 || deal(v, s, k, e) < 0) {
        return -1;
    }
    v->rows = big_alloc(t->n_rows, sizeof(*v->rows), "the folds", e);
    return v->rows ? 0 : -1;
}

/* What the model says in its own classes, in those of all rows: a fold may lack a class. */
static double *in_all_classes(const struct validation *v, const struct model *m, double *p,
                              size_t n, struct err *e)
{
    size_t k = m->classes.n, at = 0;
    SCOPED(freep) size_t *to = NULL;
    double *out;

    if (v->task != TASK_CLASSES || k == v->width) {
        return p;
    }
    to = xnew_array(size_t, k);
    for (size_t i = 0; i < k; i++) { /* both are in the same order */
        while (at + 1 < v->width && strcmp(v->classes.names[at], m->classes.names[i]) != 0) {
            at++;
        }
        to[i] = at;
    }
    out = big_alloc(n * v->width, sizeof(*out), "the predictions", e);
    for (size_t r = 0; out && r < n; r++) {
        for (size_t i = 0; i < k; i++) {
            out[r * v->width + to[i]] = p[r * k + i];
        }
    }
    big_free(p);
    return out;
}

/* Predictions of `n` rows of the table by what was learned from others. */
static double *predict_rows(const struct validation *v, const struct model *m, const uint32_t *rows,
                            size_t n, struct err *e)
{
    SCOPED(table_freep) struct table *test = table_rows(v->t, rows, n, e);
    double *p = test ? model_predict(m, test, v->threads, e) : NULL;

    return p ? in_all_classes(v, m, p, n, e) : NULL;
}

static int score_rows(const struct validation *v, const uint32_t *rows, size_t n, const double *p,
                      double *scores, struct err *e)
{
    SCOPED(big_freep) uint32_t *truth = big_alloc(n, sizeof(*truth), "the folds", e);
    SCOPED(big_freep)
    double *targets = truth ? big_alloc(2 * n, sizeof(*targets), "the folds", e) : NULL;
    double *weights = targets ? targets + n : NULL;

    if (targets == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        truth[i] = v->truth ? v->truth[rows[i]] : 0;
        targets[i] = v->targets ? v->targets[rows[i]] : 0;
        weights[i] = v->weights ? v->weights[rows[i]] : 1;
    }
    return scores_of(&(struct predicted){.task = v->task,
                                         .n = n,
                                         .n_classes = v->width,
                                         .p = p,
                                         .truth = truth,
                                         .targets = targets,
                                         .weights = v->weights ? weights : NULL},
                     scores, e);
}

int validation_fold(struct validation *v, const struct learner *l, uint32_t fold, double part,
                    struct fold_scores *scores, double *out, struct err *e)
{
    size_t n = folds_rows(&v->folds, fold, /* in_it */ false, part, v->rows);
    SCOPED(table_freep) struct table *train = table_rows(v->t, v->rows, n, e);
    SCOPED(model_freep)
    struct model *m = train ? learner_train(l, train, v->threads, e) : NULL;
    SCOPED(big_freep) double *p = NULL;

    if (m == NULL) {
        return -1;
    }
    scores->train = n;
    n = folds_rows(&v->folds, fold, /* in_it */ true, part, v->rows);
    scores->test = n;
    p = predict_rows(v, m, v->rows, n, e);
    if (p == NULL || score_rows(v, v->rows, n, p, scores->of, e) < 0) {
        return -1;
    }
    for (size_t i = 0; out && i < n; i++) {
        memcpy(out + v->rows[i] * v->width, p + i * v->width, v->width * sizeof(*p));
    }
    return 0;
}

struct mean_scores validation_mean(const struct fold_scores *of, size_t n)
{
    struct mean_scores m;

    for (size_t k = 0; k < SCORES; k++) {
        double sum = 0, squares = 0, counted = 0;

        for (size_t i = 0; i < n; i++) {
            sum += isnan(of[i].of[k]) ? 0 : of[i].of[k];
            counted += !isnan(of[i].of[k]);
        }
        m.mean[k] = counted > 0 ? sum / counted : NAN;
        for (size_t i = 0; i < n; i++) {
            double d = of[i].of[k] - m.mean[k];

            squares += isnan(d) ? 0 : d * d;
        }
        m.deviation[k] = counted > 0 ? sqrt(squares / counted) : NAN;
    }
    return m;
}
