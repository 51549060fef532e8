#include "algorithms/modules/validation.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
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
    return err_set(e, ERR_DATA, "label column '%s', row %zu: the label is missing", label->name,
                   row + 1);
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
        folds_make(&v->folds, k, v->truth, v->classes.n, t->n_rows, (uint64_t)step_int(s, "seed"),
                   e) < 0) {
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
    double *targets = truth ? big_alloc(n, sizeof(*targets), "the folds", e) : NULL;

    if (targets == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        truth[i] = v->truth ? v->truth[rows[i]] : 0;
        targets[i] = v->targets ? v->targets[rows[i]] : 0;
    }
    return scores_of(&(struct predicted){.task = v->task,
                                         .n = n,
                                         .n_classes = v->width,
                                         .p = p,
                                         .truth = truth,
                                         .targets = targets},
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
