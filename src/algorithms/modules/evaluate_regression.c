/* evaluate_regression - predicted numbers against true ones. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ranks.h"
#include "algorithms/modules/judging.h"
#include "algorithms/modules/modules.h"

#include <math.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The result of predict."}, {0}};
static const struct port outputs[] = {
    {"report", VALUE_REPORT, PORT_OPTIONAL, "Figures and residuals."}, {0}};
static const struct param params[] = {
    JUDGING_LABEL,
    {"pred_col", PARAM_TEXT, "prediction", 0, 0, NULL, "The column with the predicted number."},
    JUDGING_WEIGHT,
    JUDGING_NAME,
    {0},
};

enum { BINS = 20, WORST = 10 };

struct evaluation {
    const struct table *t;
    const double *truth, *guess, *weights;
    double sum;      /* of weights */
    double *errors;  /* |prediction - truth|; big memory */
    uint32_t *order; /* of errors, from the least up; big memory */
    double mae, mse, rae, rse, r2, mape, median, largest, bias, explained;
    size_t zeros; /* rows that MAPE leaves out */
};

static void evaluation_done(struct evaluation *v)
{
    big_free(v->errors);
    big_free(v->order);
}

static double weight(const struct evaluation *v, size_t r)
{
    return v->weights ? v->weights[r] : 1;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

/* The error that half of the weight does not exceed; between two, their mean. */
static double median(const struct evaluation *v)
{
    double below = 0, half = v->sum / 2;
    size_t n = v->t->n_rows;

    for (size_t i = 0; i < n; i++) {
        below += weight(v, v->order[i]);
        if (below == half && !v->weights && i + 1 < n) {
            return (v->errors[v->order[i]] + v->errors[v->order[i + 1]]) / 2;
        }
        if (below >= half) {
            return v->errors[v->order[i]];
        }
    }
    return NAN;
}

static void add_up(struct evaluation *v)
{
    double mean = 0, absolute = 0, squares = 0, bias = 0, from_mean = 0, squares_from_mean = 0,
           relative = 0, counted = 0;
    size_t n = v->t->n_rows;

    for (size_t r = 0; r < n; r++) {
        mean += weight(v, r) * v->truth[r];
        bias += weight(v, r) * (v->guess[r] - v->truth[r]);
    }
    mean /= v->sum;
    v->bias = bias / v->sum;
    for (size_t r = 0; r < n; r++) {
        double w = weight(v, r), d = v->guess[r] - v->truth[r], m = v->truth[r] - mean;

        v->errors[r] = fabs(d);
        v->largest = fmax(v->largest, w > 0 ? fabs(d) : 0);
        absolute += w * fabs(d);
        squares += w * d * d;
        from_mean += w * fabs(m);
        squares_from_mean += w * m * m;
        v->explained += w * (d - v->bias) * (d - v->bias);
        if (v->truth[r] == 0) {
            v->zeros++;
        } else {
            relative += w * fabs(d / v->truth[r]);
            counted += w;
        }
    }
    v->mae = absolute / v->sum;
    v->mse = squares / v->sum;
    v->rae = ratio(absolute, from_mean);
    v->rse = ratio(squares, squares_from_mean);
    v->r2 = 1 - v->rse;
    v->explained = 1 - ratio(v->explained, squares_from_mean);
    v->mape = ratio(relative, counted);
}

/* Evenly spaced rows, so that any table makes a chart of the same size. */
static size_t sample(size_t n, size_t *rows)
{
    size_t count = n < REPORT_POINTS ? n : REPORT_POINTS;

    for (size_t i = 0; i < count; i++) {
        rows[i] = i * n / count;
    }
    return count;
}

static void put_charts(struct report *r, const struct evaluation *v)
{
    size_t rows[REPORT_POINTS], n = sample(v->t->n_rows, rows);
    double truth[REPORT_POINTS], guess[REPORT_POINTS], rest[REPORT_POINTS];
    double edges[BINS], counts[BINS] = {0}, low = INFINITY, high = -INFINITY;

    for (size_t i = 0; i < n; i++) {
        truth[i] = v->truth[rows[i]];
        guess[i] = v->guess[rows[i]];
        rest[i] = truth[i] - guess[i];
    }
    report_lines(r, &(struct chart){"residuals", NULL, "prediction", "residual"}, guess, rest, n);
    report_lines(r, &(struct chart){"scatter", "Predictions", "truth", "prediction"}, truth, guess,
                 n);
    for (size_t i = 0; i < v->t->n_rows; i++) {
        low = fmin(low, v->truth[i] - v->guess[i]);
        high = fmax(high, v->truth[i] - v->guess[i]);
    }
    for (size_t i = 0; i < v->t->n_rows; i++) {
        double at = (v->truth[i] - v->guess[i] - low) / (high - low) * BINS;

        counts[at < BINS ? (size_t)at : BINS - 1] += weight(v, i);
    }
    for (size_t b = 0; b < BINS; b++) {
        edges[b] = low + (high - low) * ((double)b + 0.5) / BINS;
    }
    if (high > low && isfinite(high - low)) {
        report_lines(r, &(struct chart){"line", "Residuals by size", "residual", "rows"}, edges,
                     counts, BINS);
    }
}

static void put_worst(struct report *r, const struct evaluation *v)
{
    report_table(r, "Largest errors", "row|truth|prediction|error");
    for (size_t i = 0; i < WORST && i < v->t->n_rows; i++) {
        uint32_t row = v->order[v->t->n_rows - 1 - i];

        report_row(r);
        report_number(r, row + 1.0);
        report_number(r, v->truth[row]);
        report_number(r, v->guess[row]);
        report_number(r, v->errors[row]);
        report_row_end(r);
    }
    report_table_end(r);
}

static int put_report(struct step *s, const struct evaluation *v, struct err *e)
{
    const struct metric m[] = {{"mae", v->mae},
                               {"rmse", sqrt(v->mse)},
                               {"mse", v->mse},
                               {"r2", v->r2},
                               {"rae", v->rae},
                               {"rse", v->rse},
                               {"mape", v->mape},
                               {"mape_left_out", (double)v->zeros},
                               {"median_error", v->median},
                               {"max_error", v->largest},
                               {"bias", v->bias},
                               {"explained_variance", v->explained}};
    struct report r;

    judging_begin(&r, "regression", s, v->t->n_rows);
    report_metrics(&r, m, ARRAY_LEN(m));
    report_charts(&r);
    put_charts(&r, v);
    report_tables(&r);
    put_worst(&r, v);
    if (judging_end(&r, s, m, ARRAY_LEN(m), e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%.*s RMSE %.6g, MAE %.6g, R2 %.4f, %zu rows",
                 STR_ARG(step_text(s, "name")), sqrt(v->mse), v->mae, v->r2, v->t->n_rows);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const struct column *label = judging_numbers(s, t, "label_col", e);
    const struct column *pred = label ? judging_numbers(s, t, "pred_col", e) : NULL;
    SCOPED(evaluation_done) struct evaluation v = {.t = t};

    if (pred == NULL || judging_weights(s, t, &v.weights, &v.sum, e) < 0) {
        return -1;
    }
    if (t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    v.truth = label->numbers;
    v.guess = pred->numbers;
    v.errors = big_alloc(t->n_rows, sizeof(double), "the errors", e);
    if (v.errors == NULL) {
        return -1;
    }
    add_up(&v);
    v.order = ranks_order(v.errors, 1, t->n_rows, e);
    if (v.order == NULL) {
        return -1;
    }
    v.median = median(&v);
    return put_report(s, &v, e);
}

static void check(struct check *c)
{
    (void)check_column(c, "table", "label_col", CHECK_NUMBERS);
    (void)check_column(c, "table", "pred_col", CHECK_NUMBERS);
    (void)check_column(c, "table", "weight_col", CHECK_NUMBERS);
    check_out_report(c, "report");
}

const struct module module_evaluate_regression = {
    .name = "evaluate_regression",
    .title = "Evaluate numbers",
    .description = "Compares predicted numbers with true ones: mean and median error, RMSE, R2, "
                   "relative errors (RAE, RSE, MAPE), residuals.",
    .category = "evaluation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
