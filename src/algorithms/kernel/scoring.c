#include "algorithms/kernel/scoring.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/ranking.h"

#include <math.h>

enum { AUC_CLASSES = 64 };

static const char *const names[SCORES] = {"accuracy", "auc",  "f1",  "logloss",
                                          "mcc",      "rmse", "mae", "r2"};

const char *score_name(enum score s)
{
    return names[s];
}

bool score_falls(enum score s)
{
    return s == SCORE_LOGLOSS || s == SCORE_RMSE || s == SCORE_MAE;
}

bool score_better(enum score s, double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return !isnan(a);
    }
    return score_falls(s) ? a < b : a > b;
}

bool score_is_of(enum score s, enum model_task task, size_t n_classes)
{
    if (s == SCORE_AUC && n_classes > AUC_CLASSES) {
        return false;
    }
    return task == (s >= SCORE_RMSE ? TASK_NUMBER : TASK_CLASSES);
}

int score_choose(unsigned choice, enum model_task task, size_t n_classes, const char *owner,
                 enum score *out, struct err *e)
{
    if (task != TASK_CLASSES && task != TASK_NUMBER) {
        return err_set(e, ERR_INVALID, "%s predicts neither classes nor numbers: no truth to score",
                       owner);
    }
    *out = task == TASK_NUMBER ? SCORE_RMSE : n_classes == 2 ? SCORE_AUC : SCORE_ACCURACY;
    if (choice == 0) {
        return 0;
    }
    *out = (enum score)(choice - 1);
    if (!score_is_of(*out, task, n_classes)) {
        return err_set(e, ERR_INVALID, "metric %s is not for %s of %s", names[*out],
                       model_task_name(task), owner);
    }
    return 0;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static uint32_t likeliest(const double *p, size_t n)
{
    uint32_t best = 0;

    for (uint32_t k = 1; k < n; k++) {
        best = p[k] > p[best] ? k : best;
    }
    return best;
}

static double weight_of(const struct predicted *p, size_t row)
{
    return p->weights ? p->weights[row] : 1;
}

static double weight_sum(const struct predicted *p)
{
    double sum = 0;

    for (size_t r = 0; p->weights && r < p->n; r++) {
        sum += p->weights[r];
    }
    return p->weights ? sum : (double)p->n;
}

/* Of each class: rows that are it, that are taken for it, both. */
struct counts {
    double support, predicted, right;
};

static void from_counts(const struct counts *c, size_t k, double n, double out[SCORES])
{
    double right = 0, f1 = 0, occur = 0, tp = 0, pp = 0, tt = 0;

    for (size_t i = 0; i < k; i++) {
        right += c[i].right;
        f1 += ratio(2 * c[i].right, c[i].support + c[i].predicted);
        occur += c[i].support + c[i].predicted > 0;
        tp += c[i].support * c[i].predicted;
        pp += c[i].predicted * c[i].predicted;
        tt += c[i].support * c[i].support;
    }
    out[SCORE_ACCURACY] = right / n;
    out[SCORE_F1] = ratio(f1, occur);
    out[SCORE_MCC] = ratio(right * n - tp, sqrt(n * n - pp) * sqrt(n * n - tt));
}

static int auc(const struct predicted *p, double *out, struct err *e)
{
    size_t first = p->n_classes == 2 ? 1 : 0, counted = 0;
    double sum = 0;

    for (size_t k = first; p->n_classes <= AUC_CLASSES && k < p->n_classes; k++) {
        struct ranking r;
        double one;

        if (ranking_of(p->p + k, p->n_classes, p->truth, (uint32_t)k, p->weights, p->n, &r, e) <
            0) {
            ranking_done(&r);
            return -1;
        }
        one = ranking_auc(&r);
        ranking_done(&r);
        sum += isnan(one) ? 0 : one;
        counted += !isnan(one);
    }
    *out = counted > 0 ? sum / (double)counted : NAN;
    return 0;
}

static int scores_of_classes(const struct predicted *p, double out[SCORES], struct err *e)
{
    SCOPED(big_freep)
    struct counts *c = big_alloc(p->n_classes, sizeof(*c), "the scores of classes", e);
    double loss = 0;

    if (c == NULL) {
        return -1;
    }
    for (size_t r = 0; r < p->n; r++) {
        const double *row = p->p + r * p->n_classes;
        uint32_t truth = p->truth[r], guess = likeliest(row, p->n_classes);
        double q = truth < p->n_classes ? row[truth] : 0, w = weight_of(p, r);

        c[guess].predicted += w;
        if (truth < p->n_classes) {
            c[truth].support += w;
            c[truth].right += truth == guess ? w : 0;
        }
        loss -= w * log(q > 1e-15 ? q : 1e-15);
    }
    from_counts(c, p->n_classes, weight_sum(p), out);
    out[SCORE_LOGLOSS] = loss / weight_sum(p);
    return auc(p, &out[SCORE_AUC], e);
}

static void scores_of_numbers(const struct predicted *p, double out[SCORES])
{
    double mean = 0, squares = 0, absolute = 0, from_mean = 0, n = weight_sum(p);

    for (size_t r = 0; r < p->n; r++) {
        mean += weight_of(p, r) * p->targets[r] / n;
    }
    for (size_t r = 0; r < p->n; r++) {
        double d = p->p[r] - p->targets[r], m = p->targets[r] - mean;
        double w = weight_of(p, r);

        squares += w * d * d;
        absolute += w * fabs(d);
        from_mean += w * m * m;
    }
    out[SCORE_RMSE] = sqrt(squares / n);
    out[SCORE_MAE] = absolute / n;
    out[SCORE_R2] = from_mean > 0 ? 1 - squares / from_mean : NAN;
}

int scores_of(const struct predicted *p, double out[SCORES], struct err *e)
{
    for (size_t i = 0; i < SCORES; i++) {
        out[i] = NAN;
    }
    if (!(weight_sum(p) > 0)) {
        return 0;
    }
    if (p->task == TASK_CLASSES) {
        return scores_of_classes(p, out, e);
    }
    scores_of_numbers(p, out);
    return 0;
}
