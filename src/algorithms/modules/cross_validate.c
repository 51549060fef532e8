/* cross_validate - how good a learner is on rows it has not seen. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/report.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/predicting.h"
#include "algorithms/modules/validation.h"
#include "base/limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "Rows with their labels."}, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, PORT_OPTIONAL,
     "The rows with what was predicted by a model that had not seen them, and their fold."},
    {"report", VALUE_REPORT, PORT_OPTIONAL, "Scores by fold, their mean and deviation."},
    {0},
};
static const struct param params[] = {
    LEARNER_PARAMS,
    VALIDATION_PARAMS,
    {"pred_col", PARAM_TEXT, "prediction", 0, 0, NULL, "Name of the column for the prediction."},
    {"prob_prefix", PARAM_TEXT, "prob_", 0, 0, NULL,
     "Columns for probabilities are named so, with the class behind; empty: none."},
    {"fold_col", PARAM_TEXT, "fold", 0, 0, NULL, "Name of the column for the fold; empty: none."},
    {0},
};

static int add_fold(const struct step *s, const struct validation *v, struct table *out,
                    struct err *e)
{
    struct str name = step_text(s, "fold_col");
    struct column *c;

    if (name.len == 0) {
        return 0;
    }
    c = table_add_numbers(out, name, e);
    if (c == NULL) {
        return err_wrap(e, "fold_col");
    }
    c->as = AS_INT;
    for (size_t r = 0, n = 0; r < v->t->n_rows; r++) {
        if (v->folds.fold[r] < v->folds.k) {
            c->numbers[n++] = v->folds.fold[r] + 1.0;
        }
    }
    return 0;
}

/* Only rows that were predicted: the first in time are not, and their numbers are left behind. */
static struct table *predicted_rows(const struct validation *v, double *p, struct err *e)
{
    SCOPED(big_freep)
    uint32_t *rows = big_alloc(v->t->n_rows, sizeof(*rows), "the predictions", e);
    size_t n = 0;

    for (size_t r = 0; rows && r < v->t->n_rows; r++) {
        if (v->folds.fold[r] < v->folds.k) {
            memmove(p + n * v->width, p + r * v->width, v->width * sizeof(*p));
            rows[n++] = (uint32_t)r;
        }
    }
    if (rows == NULL) {
        return NULL;
    }
    return n == v->t->n_rows ? table_copy(v->t, e) : table_rows(v->t, rows, n, e);
}

static int put_table(struct step *s, const struct validation *v, double *p, struct err *e)
{
    SCOPED(table_freep) struct table *out = predicted_rows(v, p, e);

    if (out == NULL) {
        return -1;
    }
    if (v->task == TASK_CLASSES) {
        if (predicting_classes(s, &v->classes, p, out, e) < 0) {
            return -1;
        }
    } else {
        struct column *c = predicting_column(s, out, e);

        if (c == NULL) {
            return -1;
        }
        memcpy(c->numbers, p, out->n_rows * sizeof(*p));
    }
    if (add_fold(s, v, out, e) < 0) {
        return -1;
    }
    step_out_table(s, "table", TAKE(out));
    return 0;
}

static void put_folds(struct report *r, const struct validation *v, const struct fold_scores *of)
{
    struct buf columns = BUF_MAX(4 * KIB);

    (void)buf_add_c(&columns, "fold|train rows|test rows");
    for (unsigned k = 0; k < SCORES; k++) {
        if (score_is_of(k, v->task, v->width)) {
            (void)buf_printf(&columns, "|%s", score_name(k));
        }
    }
    report_table(r, "Folds", columns.p);
    buf_done(&columns);
    for (uint32_t i = 0; i < v->folds.k; i++) {
        report_row(r);
        report_number(r, i + 1.0);
        report_number(r, (double)of[i].train);
        report_number(r, (double)of[i].test);
        for (unsigned k = 0; k < SCORES; k++) {
            if (score_is_of(k, v->task, v->width)) {
                report_number(r, of[i].of[k]);
            }
        }
        report_row_end(r);
    }
    report_table_end(r);
}

static void put_chart(struct report *r, const struct validation *v, const struct fold_scores *of)
{
    size_t n = v->folds.k;
    SCOPED(freep) double *y = xnew_array(double, n);
    SCOPED(freep) char(*text)[16] = xcalloc(n, sizeof(*text));
    SCOPED(freep) const char **labels = xnew_array(const char *, n);

    for (size_t i = 0; i < n; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "%zu", i + 1);
        labels[i] = text[i];
        y[i] = of[i].of[v->metric];
    }
    report_bars(r, &(struct chart){"bars", "Folds", "fold", score_name(v->metric)}, labels, y, n);
}

static int put_report(struct step *s, const struct validation *v, const struct learner *l,
                      const struct fold_scores *of, struct err *e)
{
    struct mean_scores mean = validation_mean(of, v->folds.k);
    struct metric m[2 * SCORES];
    char names[SCORES][24];
    size_t n = 0;
    struct report r;

    for (unsigned k = 0; k < SCORES; k++) {
        if (score_is_of(k, v->task, v->width)) {
            (void)snprintf(names[k], sizeof(names[k]), "%s_std", score_name(k));
            m[n++] = (struct metric){score_name(k), mean.mean[k]};
            m[n++] = (struct metric){names[k], mean.deviation[k]};
        }
    }
    report_begin(&r, "cross_validation");
    jw_kv_c(&r.w, "learner", l->step.module->name);
    jw_kv_str(&r.w, "label_col", step_text(s, "label_col"));
    jw_kv_c(&r.w, "metric", score_name(v->metric));
    jw_kv_i64(&r.w, "rows", (int64_t)v->t->n_rows);
    report_metrics(&r, m, n);
    report_charts(&r);
    put_chart(&r, v, of);
    report_tables(&r);
    put_folds(&r, v, of);
    if (report_end(&r, e) < 0) {
        report_done(&r);
        return -1;
    }
    progress_result(s->progress, m, n);
    progress_say(s->progress, "%s, %u folds: %s %.4f, deviation %.4f", l->step.module->name,
                 v->folds.k, score_name(v->metric), mean.mean[v->metric],
                 mean.deviation[v->metric]);
    step_out_report(s, "report", r.out);
    return 0;
}

static int run_all(struct step *s, struct validation *v, const struct learner *l, struct err *e)
{
    SCOPED(freep) struct fold_scores *of = xnew_array(struct fold_scores, v->folds.k);
    SCOPED(big_freep)
    double *p = big_alloc(v->t->n_rows * v->width, sizeof(*p), "the predictions", e);

    if (p == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < v->folds.k; i++) {
        struct metric m;

        if (validation_fold(v, l, i, /* part */ 2, &of[i], p, e) < 0) {
            return err_wrap(e, "fold %u, %s", i + 1, l->step.module->name);
        }
        m = (struct metric){score_name(v->metric), of[i].of[v->metric]};
        progress_update(s->progress, (i + 1.0) / v->folds.k, &m, 1, "fold %u of %u, %s %.4f", i + 1,
                        v->folds.k, m.name, m.value);
    }
    if (step_wants(s, "table") && put_table(s, v, p, e) < 0) {
        return -1;
    }
    return put_report(s, v, l, of, e);
}

static int run(struct step *s, struct err *e)
{
    SCOPED(learner_done) struct learner l = {0};
    SCOPED(validation_done) struct validation v = {0};

    return learner_init(&l, s, e) < 0 || validation_init(&v, s, &l, e) < 0 ? -1
                                                                           : run_all(s, &v, &l, e);
}

/* The classes, which only the run knows, decide how many columns come behind. */
static void check(struct check *c)
{
    struct str fold = step_text(&c->step, "fold_col");
    struct table *out = check_copy(c, "train");
    const struct column *label = out ? table_column(out, step_text(&c->step, "label_col")) : NULL;
    enum column_kind kind = label ? label->kind : COLUMN_NUMBER;

    learner_check(c, /* model */ NULL);
    validation_check(c);
    /* Without the label, whether they are text is not known: then they are among those to come. */
    if (label) {
        check_add_column(c, out, "pred_col", step_text(&c->step, "pred_col"), kind);
    }
    if (fold.len > 0) {
        check_add_as(c, out, "fold_col", fold, AS_INT);
    }
    check_out_table(c, "table", out, /* open */ true);
    check_out_report(c, "report");
}

const struct module module_cross_validate = {
    .name = "cross_validate",
    .title = "Cross-validate",
    .description = "Trains a learner several times, each time without a part of the rows, and "
                   "judges it by those.",
    .category = "evaluation",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+32*cells+64*rows+64Mi",
    .run = run,
    .check = check,
};
