/* evaluate_binary - probabilities of one class against labels.
 *
 * Rows are ranked once (ranking.h); curves and best thresholds are read off the ranking, the
 * figures of probabilities (log loss, Brier, calibration) off the rows. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/ranking.h"
#include "algorithms/modules/judging.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

enum { BINS_MAX = 100, LIFT_PARTS = 20, LEVELS = 19 };

struct evaluation {
    struct classes classes;
    uint32_t *truth; /* of each row; big memory */
    uint32_t positive;
    const struct table *t;
    const double *score, *weights;
    double sum; /* of weights */
    struct ranking ranking;
    bool probable; /* all scores are probabilities */
    double auc, precision, ks, ks_at, logloss, brier, calibration;
    size_t bins;
    double bin_weight[BINS_MAX], bin_score[BINS_MAX], bin_truth[BINS_MAX];
};

/* What comes of a threshold. */
struct cut {
    double tp, fp, fn, tn;
};

static void evaluation_done(struct evaluation *v)
{
    classes_done(&v->classes);
    big_free(v->truth);
    ranking_done(&v->ranking);
}

static int find_positive(struct evaluation *v, const struct step *s, const struct column *label,
                         struct err *e)
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

static int find_scores(struct evaluation *v, const struct step *s, struct err *e)
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
static size_t bin_of(const struct evaluation *v, double p)
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

static void figures_of_probabilities(struct evaluation *v)
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

/* Positive are the rows from `threshold` up. */
static struct cut cut_at(const struct evaluation *v, double threshold)
{
    const struct ranking *r = &v->ranking;
    size_t low = 0, n = r->n;
    struct cut c = {0};

    while (n > 0) { /* how many points are not below */
        size_t half = n / 2;

        if (r->points[low + half].score >= threshold) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    if (low > 0) {
        c.tp = r->points[low - 1].tp;
        c.fp = r->points[low - 1].fp;
    }
    c.fn = r->positives - c.tp;
    c.tn = r->negatives - c.fp;
    return c;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static double cut_precision(const struct cut *c)
{
    return ratio(c->tp, c->tp + c->fp);
}

static double cut_recall(const struct cut *c)
{
    return ratio(c->tp, c->tp + c->fn);
}

static double cut_f1(const struct cut *c)
{
    return ratio(2 * c->tp, 2 * c->tp + c->fp + c->fn);
}

static double cut_accuracy(const struct cut *c)
{
    return ratio(c->tp + c->tn, c->tp + c->tn + c->fp + c->fn);
}

static double cut_mcc(const struct cut *c)
{
    return ratio(c->tp * c->tn - c->fp * c->fn,
                 sqrt((c->tp + c->fp) * (c->tp + c->fn)) * sqrt((c->tn + c->fp) * (c->tn + c->fn)));
}

/* The highest threshold with the largest value. */
static double best_cut(const struct evaluation *v, double (*value)(const struct cut *c),
                       double *best)
{
    const struct ranking *r = &v->ranking;
    double at = NAN;

    *best = -INFINITY;
    for (size_t i = 0; i < r->n; i++) {
        struct cut c = {r->points[i].tp, r->points[i].fp, r->positives - r->points[i].tp,
                        r->negatives - r->points[i].fp};
        double x = value(&c);

        if (x > *best) {
            *best = x;
            at = r->points[i].score;
        }
    }
    return at;
}

/* About REPORT_POINTS points of the ranking, evenly along its rows, the first and last always. */
struct curve {
    double fpr[REPORT_POINTS + 2], tpr[REPORT_POINTS + 2], precision[REPORT_POINTS + 2];
    size_t n;
};

static void curve_of(const struct ranking *r, struct curve *c)
{
    double all = r->positives + r->negatives, next = 0;

    c->fpr[0] = c->tpr[0] = 0;
    c->n = 1;
    for (size_t i = 0; i < r->n; i++) {
        const struct ranked *p = &r->points[i];

        if (p->tp + p->fp < next && i + 1 < r->n) {
            continue;
        }
        c->fpr[c->n] = p->fp / r->negatives;
        c->tpr[c->n] = p->tp / r->positives;
        c->precision[c->n] = ratio(p->tp, p->tp + p->fp);
        c->n++;
        next = (floor((p->tp + p->fp) / all * REPORT_POINTS) + 1) * all / REPORT_POINTS;
        if (c->n == REPORT_POINTS + 1) {
            next = INFINITY;
        }
    }
    c->precision[0] = c->precision[c->n > 1];
}

static void put_curves(struct report *r, const struct evaluation *v)
{
    SCOPED(freep) struct curve *c = xnew(struct curve);
    double parts[LIFT_PARTS], lift[LIFT_PARTS];

    curve_of(&v->ranking, c);
    for (size_t i = 0; i < LIFT_PARTS; i++) {
        parts[i] = (double)(i + 1) / LIFT_PARTS;
        lift[i] = ranking_gain(&v->ranking, parts[i]) / parts[i];
    }
    report_lines(r, &(struct chart){"roc", NULL, "false positive rate", "true positive rate"},
                 c->fpr, c->tpr, c->n);
    report_lines(r, &(struct chart){"pr", NULL, "recall", "precision"}, c->tpr, c->precision, c->n);
    report_lines(r, &(struct chart){"lift", NULL, "part of the rows", "lift"}, parts, lift,
                 LIFT_PARTS);
}

static void put_calibration(struct report *r, const struct evaluation *v)
{
    double x[BINS_MAX], y[BINS_MAX];
    size_t n = 0;

    for (size_t b = 0; b < v->bins; b++) {
        if (v->bin_weight[b] > 0) {
            x[n] = v->bin_score[b] / v->bin_weight[b];
            y[n++] = v->bin_truth[b] / v->bin_weight[b];
        }
    }
    if (v->probable) {
        report_lines(r,
                     &(struct chart){"calibration", NULL, "mean probability", "part of positives"},
                     x, y, n);
    }
}

static void put_best(struct report *r, const struct evaluation *v, const char *name, double at,
                     double value)
{
    struct cut c = cut_at(v, at);

    report_row(r);
    report_text(r, name);
    report_number(r, at);
    report_number(r, value);
    report_number(r, cut_precision(&c));
    report_number(r, cut_recall(&c));
    report_row_end(r);
}

static void put_tables(struct report *r, const struct evaluation *v)
{
    double best, at = best_cut(v, cut_f1, &best);

    report_table(r, "Best thresholds", "by|threshold|value|precision|recall");
    put_best(r, v, "f1", at, best);
    at = best_cut(v, cut_accuracy, &best);
    put_best(r, v, "accuracy", at, best);
    at = best_cut(v, cut_mcc, &best);
    put_best(r, v, "mcc", at, best);
    put_best(r, v, "ks", v->ks_at, v->ks);
    report_table_end(r);
    if (!v->probable) {
        return;
    }
    report_table(r, "By threshold", "threshold|tp|fp|fn|tn|precision|recall|f1");
    for (int i = 1; i <= LEVELS; i++) {
        double level = (double)i / (LEVELS + 1);
        struct cut c = cut_at(v, level);
        const double row[] = {level,          c.tp,      c.fp, c.fn, c.tn, cut_precision(&c),
                              cut_recall(&c), cut_f1(&c)};

        report_row(r);
        for (size_t k = 0; k < ARRAY_LEN(row); k++) {
            report_number(r, row[k]);
        }
        report_row_end(r);
    }
    report_table_end(r);
}

static int put_report(struct step *s, const struct evaluation *v, struct err *e)
{
    struct cut c = cut_at(v, step_real(s, "threshold"));
    const double counts[] = {c.tn, c.fp, c.fn, c.tp};
    const char *name = v->classes.names[v->positive];
    SCOPED(freep)
    char *other =
        v->classes.n == 2 ? xstrdup(v->classes.names[!v->positive]) : xasprintf("not %s", name);
    const char *const labels[] = {other, name};
    double best, best_at = best_cut(v, cut_f1, &best);
    const struct metric m[] = {{"auc", v->auc},
                               {"pr_auc", v->precision},
                               {"ks", v->ks},
                               {"logloss", v->logloss},
                               {"brier", v->brier},
                               {"calibration_error", v->calibration},
                               {"accuracy", cut_accuracy(&c)},
                               {"precision", cut_precision(&c)},
                               {"recall", cut_recall(&c)},
                               {"specificity", ratio(c.tn, c.tn + c.fp)},
                               {"f1", cut_f1(&c)},
                               {"mcc", cut_mcc(&c)},
                               {"lift_10", ranking_gain(&v->ranking, 0.1) / 0.1},
                               {"best_f1", best},
                               {"best_f1_threshold", best_at},
                               {"ks_threshold", v->ks_at},
                               {"threshold", step_real(s, "threshold")},
                               {"positives", v->ranking.positives},
                               {"negatives", v->ranking.negatives}};
    struct report r;

    judging_begin(&r, "binary", s, v->t->n_rows);
    jw_kv_c(&r.w, "positive", name);
    report_metrics(&r, m, ARRAY_LEN(m));
    report_charts(&r);
    put_curves(&r, v);
    put_calibration(&r, v);
    report_confusion(&r, labels, counts, 2);
    report_tables(&r);
    put_tables(&r, v);
    if (judging_end(&r, s, m, ARRAY_LEN(m), e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%.*s AUC %.4f, F1 %.4f at %g (best %.4f at %.4g), %zu rows",
                 STR_ARG(step_text(s, "name")), v->auc, cut_f1(&c), step_real(s, "threshold"), best,
                 best_at, v->t->n_rows);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const struct column *label = table_need(t, step_text(s, "label_col"), e);
    SCOPED(evaluation_done)
    struct evaluation v = {.t = t, .bins = (size_t)step_int(s, "bins")};

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
    return put_report(s, &v, e);
}

static void check(struct check *c)
{
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
