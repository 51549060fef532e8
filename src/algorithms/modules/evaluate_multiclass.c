/* evaluate_multiclass - predictions against labels. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/number.h"
#include "algorithms/modules/judging.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The result of predict."}, {0}};
static const struct port outputs[] = {
    {"report", VALUE_REPORT, PORT_OPTIONAL, "All figures as JSON."}, {0}};
static const struct param params[] = {
    JUDGING_LABEL,
    {"pred_col", PARAM_TEXT, "prediction", 0, 0, NULL, "The column with the predicted class."},
    {"prob_prefix", PARAM_TEXT, "prob_", 0, 0, NULL,
     "Prefix of the columns with probabilities, for the log loss; empty: none."},
    JUDGING_NAME,
    {0},
};

struct class_figures {
    double support, predicted, right;
    double precision, recall, f1;
};

struct evaluation {
    struct classes classes;   /* of labels and predictions together */
    uint32_t *truth, *guess;  /* of each row; big memory */
    uint64_t *confusion;      /* [truth][guess]; big memory */
    struct class_figures *of; /* of each class */
    struct class_figures macro, weighted;
    double n, right, accuracy, mcc, logloss; /* logloss NaN: no probabilities */
};

static void evaluation_done(struct evaluation *v)
{
    classes_done(&v->classes);
    big_free(v->truth);
    big_free(v->guess);
    big_free(v->confusion);
    free(v->of);
}

/* One column with the values of both, so that classes cover what occurs in either. */
static int join(const struct column *a, const struct column *b, struct table *both, size_t n,
                struct err *e)
{
    SCOPED(dict_freep) struct dict *d = NULL;
    struct column *to;

    if (a->kind != b->kind) {
        return err_set(e, ERR_DATA,
                       "'%s' holds %s and '%s' holds %s: labels and predictions must be alike",
                       a->name, a->kind == COLUMN_TEXT ? "text" : "numbers", b->name,
                       b->kind == COLUMN_TEXT ? "text" : "numbers");
    }
    if (a->kind == COLUMN_NUMBER) {
        to = table_add_numbers(both, STR("both"), e);
        if (to && n > 0) {
            memcpy(to->numbers, a->numbers, n * sizeof(double));
            memcpy(to->numbers + n, b->numbers, n * sizeof(double));
        }
        return to ? 0 : -1;
    }
    d = dict_copy(a->dict, e);
    to = d ? table_add_text(both, STR("both"), d, e) : NULL;
    if (to == NULL) {
        return -1;
    }
    (void)TAKE(d);
    for (size_t r = 0; r < n; r++) {
        uint32_t code = b->codes[r];

        to->codes[r] = a->codes[r];
        to->codes[n + r] = DICT_MISSING;
        if (code != DICT_MISSING &&
            dict_intern(to->dict, dict_text(b->dict, code), &to->codes[n + r], e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int count(struct evaluation *v, const struct column *label, const struct column *pred,
                 size_t n, struct err *e)
{
    SCOPED(table_freep) struct table *both = table_new(2 * n);
    uint32_t *codes;

    if (join(label, pred, both, n, e) < 0 ||
        classes_of(&both->columns[0], 2 * n, &v->classes, &codes, e) < 0) {
        return -1;
    }
    v->truth = codes;
    v->confusion = big_alloc(v->classes.n * v->classes.n, sizeof(uint64_t), "the confusion", e);
    if (v->confusion == NULL) {
        return -1;
    }
    for (size_t r = 0; r < n; r++) {
        bool no_label = codes[r] == CLASS_MISSING;

        if (no_label || codes[n + r] == CLASS_MISSING) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: the value is missing",
                           no_label ? label->name : pred->name, r + 1);
        }
        v->confusion[codes[r] * v->classes.n + codes[n + r]]++;
    }
    return 0;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void figures_per_class(struct evaluation *v)
{
    size_t k = v->classes.n;

    v->of = xnew_array(struct class_figures, k + 1);
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < k; j++) {
            double c = (double)v->confusion[i * k + j];

            v->of[i].support += c;
            v->of[j].predicted += c;
            v->of[i].right += i == j ? c : 0;
        }
    }
    for (size_t i = 0; i < k; i++) {
        struct class_figures *c = &v->of[i];

        c->precision = ratio(c->right, c->predicted);
        c->recall = ratio(c->right, c->support);
        c->f1 = ratio(2 * c->right, c->predicted + c->support);
        v->n += c->support;
        v->right += c->right;
    }
}

static void add_mean(struct class_figures *to, const struct class_figures *c, double part)
{
    to->precision += part * c->precision;
    to->recall += part * c->recall;
    to->f1 += part * c->f1;
}

/* MCC for many classes: Gorodkin 2004. */
static void figures_together(struct evaluation *v)
{
    double tp = 0, pp = 0, tt = 0, n = v->n;

    for (size_t i = 0; i < v->classes.n; i++) {
        const struct class_figures *c = &v->of[i];

        add_mean(&v->macro, c, 1 / (double)v->classes.n);
        add_mean(&v->weighted, c, ratio(c->support, n));
        tp += c->support * c->predicted;
        pp += c->predicted * c->predicted;
        tt += c->support * c->support;
    }
    v->accuracy = ratio(v->right, n);
    v->mcc = ratio(v->right * n - tp, sqrt(n * n - pp) * sqrt(n * n - tt));
}

/* The mean of -log of the probability of the truth; NaN when a class has no such column. */
static int log_loss(struct evaluation *v, const struct table *t, struct str prefix, struct err *e)
{
    SCOPED(freep) const double **p = xnew_array(const double *, v->classes.n + 1);
    double sum = 0;

    v->logloss = NAN;
    for (size_t k = 0; k < v->classes.n; k++) {
        SCOPED(freep) char *name = xasprintf("%.*s%s", STR_ARG(prefix), v->classes.names[k]);
        const struct column *c = table_column(t, str_of(name));

        if (prefix.len == 0 || c == NULL) {
            return 0;
        }
        if (c->kind != COLUMN_NUMBER) {
            return err_set(e, ERR_DATA, "column '%s' holds text, not probabilities", c->name);
        }
        p[k] = c->numbers;
    }
    for (size_t r = 0; r < t->n_rows; r++) {
        double one = p[v->truth[r]][r];

        if (!(one >= 0 && one <= 1)) {
            return err_set(e, ERR_DATA, "row %zu: %g is no probability", r + 1, one);
        }
        sum -= log(one > 1e-15 ? one : 1e-15);
    }
    v->logloss = ratio(sum, v->n);
    return 0;
}

static void put_average(struct jw *w, const char *key, const struct class_figures *c)
{
    jw_key(w, key);
    jw_object(w);
    number_json_kv(w, "precision", c->precision);
    number_json_kv(w, "recall", c->recall);
    number_json_kv(w, "f1", c->f1);
    jw_end(w);
}

static void put_classes(struct jw *w, const struct evaluation *v)
{
    jw_key(w, "classes");
    jw_array(w);
    for (size_t i = 0; i < v->classes.n; i++) {
        jw_object(w);
        jw_kv_c(w, "class", v->classes.names[i]);
        jw_kv_i64(w, "support", (int64_t)v->of[i].support);
        jw_kv_i64(w, "predicted", (int64_t)v->of[i].predicted);
        number_json_kv(w, "precision", v->of[i].precision);
        number_json_kv(w, "recall", v->of[i].recall);
        number_json_kv(w, "f1", v->of[i].f1);
        jw_end(w);
    }
    jw_end(w);
}

static void put_confusion(struct jw *w, const struct evaluation *v)
{
    jw_key(w, "confusion");
    jw_array(w);
    for (size_t i = 0; i < v->classes.n; i++) {
        jw_array(w);
        for (size_t j = 0; j < v->classes.n; j++) {
            jw_i64(w, (int64_t)v->confusion[i * v->classes.n + j]);
        }
        jw_end(w);
    }
    jw_end(w);
}

enum { CHART_CLASSES = 64, METRICS = 8 }; /* a matrix of more cannot be read */

static void put_charts(struct report *r, const struct evaluation *v)
{
    SCOPED(freep) double *counts = xnew_array(double, CHART_CLASSES *CHART_CLASSES);
    size_t k = v->classes.n;

    if (k > CHART_CLASSES) {
        return;
    }
    for (size_t i = 0; i < k * k; i++) {
        counts[i] = (double)v->confusion[i];
    }
    report_confusion(r, (const char *const *)v->classes.names, counts, k);
}

static void put_tables(struct report *r, const struct evaluation *v)
{
    report_table(r, "Classes", "class|support|predicted|precision|recall|f1");
    for (size_t i = 0; i < v->classes.n; i++) {
        const struct class_figures *c = &v->of[i];

        report_row(r);
        report_text(r, v->classes.names[i]);
        report_number(r, c->support);
        report_number(r, c->predicted);
        report_number(r, c->precision);
        report_number(r, c->recall);
        report_number(r, c->f1);
        report_row_end(r);
    }
    report_table_end(r);
}

/* The keys between head and metrics are those of version 1.0.0. */
static int put_report(struct step *s, const struct evaluation *v, const struct metric *m, size_t n,
                      struct err *e)
{
    struct class_figures micro = {
        .precision = v->accuracy, .recall = v->accuracy, .f1 = v->accuracy};
    struct report r;

    judging_begin(&r, "multiclass", s, (size_t)v->n);
    jw_kv_i64(&r.w, "right", (int64_t)v->right);
    number_json_kv(&r.w, "accuracy", v->accuracy);
    number_json_kv(&r.w, "logloss", v->logloss);
    number_json_kv(&r.w, "mcc", v->mcc);
    put_average(&r.w, "macro", &v->macro);
    put_average(&r.w, "micro", &micro);
    put_average(&r.w, "weighted", &v->weighted);
    put_classes(&r.w, v);
    put_confusion(&r.w, v);
    report_metrics(&r, m, n);
    report_charts(&r);
    put_charts(&r, v);
    report_tables(&r);
    put_tables(&r, v);
    return judging_end(&r, s, m, n, e);
}

static int tell(struct step *s, const struct evaluation *v, struct err *e)
{
    const struct metric m[METRICS] = {{"accuracy", v->accuracy},
                                      {"macro_precision", v->macro.precision},
                                      {"macro_recall", v->macro.recall},
                                      {"macro_f1", v->macro.f1},
                                      {"weighted_f1", v->weighted.f1},
                                      {"mcc", v->mcc},
                                      {"rows", v->n},
                                      {"logloss", v->logloss}};
    bool loss = isfinite(v->logloss);
    char text[48] = "";

    if (put_report(s, v, m, loss ? METRICS : METRICS - 1, e) < 0) {
        return -1;
    }
    if (loss) {
        (void)snprintf(text, sizeof(text), ", log loss %.4f", v->logloss);
    }
    progress_say(s->progress, "%.*s accuracy %.4f (%.0f of %.0f rows right), macro F1 %.4f%s",
                 STR_ARG(step_text(s, "name")), v->accuracy, v->right, v->n, v->macro.f1, text);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const struct column *label = table_need(t, step_text(s, "label_col"), e);
    const struct column *pred = label ? table_need(t, step_text(s, "pred_col"), e) : NULL;
    SCOPED(evaluation_done) struct evaluation v = {0};

    if (pred == NULL) {
        return err_wrap(e, "%s", label ? "pred_col" : "label_col");
    }
    if (t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    if (count(&v, label, pred, t->n_rows, e) < 0) {
        return -1;
    }
    figures_per_class(&v);
    figures_together(&v);
    return log_loss(&v, t, step_text(s, "prob_prefix"), e) < 0 ? -1 : tell(s, &v, e);
}

static void check(struct check *c)
{
    const struct column *label = check_column(c, "table", "label_col", CHECK_ANY);
    const struct column *pred = check_column(c, "table", "pred_col", CHECK_ANY);

    if (label && pred && label->kind != pred->kind) {
        check_mistake(c, "table", "pred_col", pred->name,
                      "'%s' holds %s and '%s' holds %s: labels and predictions must be alike",
                      label->name, column_type_name(label), pred->name, column_type_name(pred));
    }
    check_out_report(c, "report");
}

const struct module module_evaluate_multiclass = {
    .name = "evaluate_multiclass",
    .title = "Evaluate classes",
    .description = "Compares predicted classes with true ones: accuracy, precision, recall, F1 "
                   "(macro, micro, weighted), log loss, Matthews correlation, confusion matrix.",
    .category = "evaluation",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
