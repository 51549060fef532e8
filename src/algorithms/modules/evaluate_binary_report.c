#include "algorithms/modules/evaluate_binary.h"

#include "algorithms/kernel/ranking.h"
#include "algorithms/modules/judging.h"
#include "base/mem.h"

#include <math.h>

enum { LIFT_PARTS = 20, LEVELS = 19 };

/* What comes of a threshold. */
struct cut {
    double tp, fp, fn, tn;
};

/* Positive are the rows from `threshold` up. */
static struct cut cut_at(const struct binary_evaluation *v, double threshold)
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
static double best_cut(const struct binary_evaluation *v, double (*value)(const struct cut *c),
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

static void put_curves(struct report *r, const struct binary_evaluation *v)
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

static void put_calibration(struct report *r, const struct binary_evaluation *v)
{
    double x[BINARY_BINS_MAX], y[BINARY_BINS_MAX];
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

static void put_best(struct report *r, const struct binary_evaluation *v, const char *name,
                     double at, double value)
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

static void put_tables(struct report *r, const struct binary_evaluation *v)
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

int binary_report(struct step *s, const struct binary_evaluation *v, struct err *e)
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
