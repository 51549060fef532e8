/* evaluate_binary - probabilities of one class against labels.
 *
 * Rows are ranked once (ranking.h); curves and best thresholds are read off the ranking, the
 * figures of probabilities (log loss, Brier, calibration) off the rows. */
#include "algorithms/modules/evaluate_binary.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/ranking.h"
#include "algorithms/modules/judging.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The result of predict."}, {0}};
static const struct port outputs[] = {
    {"report", VALUE_REPORT, PORT_OPTIONAL, "Figures, curves and thresholds."}, {0}};
static const struct param params[] = {
    JUDGING_LABEL,
    {"positive", PARAM_TEXT, "", 0, 0, NULL,
     "The class that is looked for; empty: the second of two in order. Of more than two classes "
     "all others count as the other one."},
    {"prob_col", PARAM_TEXT, "", 0, 0, NULL,
     "The column with the probability of that class, or any score; empty: prob_ and the class."},
    {"threshold", PARAM_REAL, "0.5", -1e300, 1e300, NULL,
     "From which probability on a row counts as positive."},
    {"bins", PARAM_INT, "10", 2, 100, NULL, "Parts of the calibration curve."},
    JUDGING_WEIGHT,
    JUDGING_NAME,
    {0},
};

static void evaluation_done(struct binary_evaluation *v)
{
    classes_done(&v->classes);
    big_free(v->truth);
    ranking_done(&v->ranking);
}

static int find_positive(struct binary_evaluation *v, const struct step *s,
                         const struct column *label, struct err *e)
{
    struct str name = step_text(s, "positive");
    double number;

    if (v->classes.n < 2) {
        return err_set(e, ERR_DATA, "label column '%s' holds %zu class%s: rows of both are needed",
                       label->name, v->classes.n, v->classes.n == 1 ? "" : "es");
    }
    if (name.len == 0 && v->classes.n > 2) {
        return err_set(e, ERR_DATA,
                       "label column '%s' holds %zu classes: say which is looked for with "
                       "positive=..., or take evaluate_multiclass",
                       label->name, v->classes.n);
    }
    v->positive = 1;
    for (uint32_t k = 0; name.len > 0; k++) {
        if (k == v->classes.n) {
            const char *near = str_nearest(name, (const char *const *)v->classes.names, k);

            return err_set(e, ERR_DATA, "positive: no row of '%s' is '%.*s'%s%s%s", label->name,
                           STR_ARG(str_first(name, 60)), near ? ": did you mean '" : "",
                           near ? near : "", near ? "'?" : "");
        }
        if (str_eq_c(name, v->classes.names[k]) ||
            (v->classes.values && number_parse(name, &number) == 0 &&
             v->classes.values[k] == number)) {
            v->positive = k;
            break;
        }
    }
    return 0;
}

static int find_scores(struct binary_evaluation *v, const struct step *s, struct err *e)
{
    struct str given = step_text(s, "prob_col");
    SCOPED(freep)
    char *name =
        given.len > 0 ? str_dup(given) : xasprintf("prob_%s", v->classes.names[v->positive]);
    const struct column *c = table_need_numbers(v->t, str_of(name), e);

    if (c == NULL) {
        return err_wrap(e, "prob_col");
    }
    v->score = c->numbers;
    v->probable = true;
    for (size_t r = 0; r < v->t->n_rows; r++) {
        if (v->truth[r] == CLASS_MISSING) {
            return err_set(e, ERR_DATA, "column '%.*s', row %zu: the value is missing",
                           STR_ARG(step_text(s, "label_col")), r + 1);
        }
        if (!isfinite(c->numbers[r])) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: the value is %s", c->name, r + 1,
                           isnan(c->numbers[r]) ? "missing" : "infinite");
        }
        v->probable = v->probable && c->numbers[r] >= 0 && c->numbers[r] <= 1;
    }
    return 0;
}

/* The first bin is closed on both sides, the others above. */
static size_t bin_of(const struct binary_evaluation *v, double p)
{
    double at = ceil(p * (double)v->bins) - 1;
    size_t b = at < 0 ? 0 : (size_t)at;

    b = b < v->bins ? b : v->bins - 1;
    while (b > 0 && p <= (double)b / (double)v->bins) { /* what the product rounded up */
        b--;
    }
    while (b + 1 < v->bins && p > (double)(b + 1) / (double)v->bins) {
        b++;
    }
    return b;
}

static void figures_of_probabilities(struct binary_evaluation *v)
{
    double loss = 0, squares = 0;

    v->logloss = v->brier = v->calibration = NAN;
    if (!v->probable) {
        return;
    }
    for (size_t r = 0; r < v->t->n_rows; r++) {
        double p = v->score[r], w = v->weights ? v->weights[r] : 1;
        bool truth = v->truth[r] == v->positive;
        double q = truth ? p : 1 - p;
        size_t b = bin_of(v, p);

        loss -= w * log(q > 1e-15 ? q : 1e-15);
        squares += w * (truth - p) * (truth - p);
        v->bin_weight[b] += w;
        v->bin_score[b] += w * p;
        v->bin_truth[b] += truth ? w : 0;
    }
    v->logloss = loss / v->sum;
    v->brier = squares / v->sum;
    v->calibration = 0;
    for (size_t b = 0; b < v->bins; b++) {
        v->calibration += fabs(v->bin_truth[b] - v->bin_score[b]) / v->sum;
    }
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const struct column *label = table_need(t, step_text(s, "label_col"), e);
    SCOPED(evaluation_done)
    struct binary_evaluation v = {.t = t, .bins = (size_t)step_int(s, "bins")};

    if (label == NULL) {
        return err_wrap(e, "label_col");
    }
    if (t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    if (classes_of(label, t->n_rows, &v.classes, &v.truth, e) < 0 ||
        find_positive(&v, s, label, e) < 0 || find_scores(&v, s, e) < 0 ||
        judging_weights(s, t, &v.weights, &v.sum, e) < 0 ||
        ranking_of(v.score, 1, v.truth, v.positive, v.weights, t->n_rows, &v.ranking, e) < 0) {
        return -1;
    }
    if (!(v.ranking.positives > 0) || !(v.ranking.negatives > 0)) {
        return err_set(e, ERR_DATA, "all weight is on rows of one class: both are needed");
    }
    v.auc = ranking_auc(&v.ranking);
    v.precision = ranking_precision(&v.ranking);
    v.ks = ranking_ks(&v.ranking, &v.ks_at);
    figures_of_probabilities(&v);
    return binary_report(s, &v, e);
}

/* Without prob_col, a column named by the class; which classes there are only the run knows. */
static void check_probability(struct check *c)
{
    const struct table *t = check_open(c, "table") ? NULL : check_table(c, "table");
    struct str positive = step_text(&c->step, "positive");
    SCOPED(freep) char *name = xasprintf("prob_%.*s", STR_ARG(positive));
    const struct column *near = NULL;
    struct err e = {0};
    double number;

    for (size_t i = 0; t && near == NULL && i < t->n_columns; i++) {
        near = str_starts(str_of(t->columns[i].name), STR("prob_")) ? &t->columns[i] : NULL;
    }
    if (t && near == NULL) {
        check_mistake(c, "table", "prob_col", NULL,
                      "the table has no column 'prob_...' of predict: name one with prob_col");
    } else if (t && positive.len > 0 && number_parse(positive, &number) < 0 &&
               table_need_numbers(t, str_of(name), &e) == NULL) {
        check_mistake(c, "table", "prob_col", NULL, "%s", e.msg);
    }
}

static void check(struct check *c)
{
    if (step_text(&c->step, "prob_col").len == 0) {
        check_probability(c);
    }
    (void)check_column(c, "table", "label_col", CHECK_ANY);
    (void)check_column(c, "table", "prob_col", CHECK_NUMBERS);
    (void)check_column(c, "table", "weight_col", CHECK_NUMBERS);
    check_out_report(c, "report");
}

const struct module module_evaluate_binary = {
    .name = "evaluate_binary",
    .title = "Evaluate two classes",
    .description =
        "Compares the probability of a class with the truth: AUC, precision and recall, KS, lift, "
        "log loss, Brier score, calibration, the confusion at a threshold, and the best "
        "thresholds.",
    .category = "evaluation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
