/* evaluate_forecast - forecasts against what came, row by row in the order of time. */
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/judging.h"
#include "algorithms/modules/modules.h"

#include <math.h>

static const struct port inputs[] = {
    {"table", VALUE_TABLE, 0, "Rows in the order of time with the truth and the forecast."},
    {"history", VALUE_TABLE, PORT_OPTIONAL,
     "The rows before, for MASE: its scale is their naive forecast. Else that of the table."},
    {0},
};
static const struct port outputs[] = {
    {"report", VALUE_REPORT, PORT_OPTIONAL, "Figures, and both lines."}, {0}};
static const struct param params[] = {
    JUDGING_LABEL,
    {"pred_col", PARAM_TEXT, "prediction", 0, 0, NULL, "The column with the forecast."},
    {"period", PARAM_INT, "1", 1, 1000000, NULL,
     "Rows after which a season begins anew: the naive forecast of MASE repeats what was then."},
    JUDGING_NAME,
    {0},
};

struct evaluation {
    const double *truth, *guess;
    size_t n, zeros; /* zeros: rows that MAPE leaves out */
    double mae, rmse, bias, mape, smape, mase;
};

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

/* What the naive forecast is wrong by: Hyndman, Koehler 2006. */
static double naive_error(const double *v, size_t n, size_t period)
{
    double sum = 0;

    for (size_t i = period; i < n; i++) {
        sum += fabs(v[i] - v[i - period]);
    }
    return n > period ? sum / (double)(n - period) : NAN;
}

static void add_up(struct evaluation *v)
{
    double absolute = 0, squares = 0, sum = 0, relative = 0, both = 0;

    for (size_t i = 0; i < v->n; i++) {
        double d = v->guess[i] - v->truth[i], size = fabs(v->truth[i]) + fabs(v->guess[i]);

        absolute += fabs(d);
        squares += d * d;
        sum += d;
        both += size > 0 ? 2 * fabs(d) / size : 0;
        if (v->truth[i] == 0) {
            v->zeros++;
        } else {
            relative += fabs(d / v->truth[i]);
        }
    }
    v->mae = absolute / (double)v->n;
    v->rmse = sqrt(squares / (double)v->n);
    v->bias = sum / (double)v->n;
    v->smape = both / (double)v->n;
    v->mape = ratio(relative, (double)(v->n - v->zeros));
}

/* The last rows: of long series those that can be seen. */
static void put_chart(struct report *r, const struct evaluation *v)
{
    size_t n = v->n < REPORT_POINTS ? v->n : REPORT_POINTS, first = v->n - n;
    const double *const lines[] = {v->truth, v->guess};
    const char *const names[] = {"truth", "forecast"};

    jw_object(&r->w);
    jw_kv_c(&r->w, "kind", "line");
    jw_kv_c(&r->w, "title", "Truth and forecast");
    jw_kv_c(&r->w, "x_label", "row");
    jw_key(&r->w, "series");
    jw_array(&r->w);
    for (size_t k = 0; k < ARRAY_LEN(lines); k++) {
        jw_object(&r->w);
        jw_kv_c(&r->w, "name", names[k]);
        jw_key(&r->w, "x");
        jw_array(&r->w);
        for (size_t i = 0; i < n; i++) {
            report_number(r, (double)(first + i + 1));
        }
        jw_end(&r->w);
        jw_key(&r->w, "y");
        jw_array(&r->w);
        for (size_t i = 0; i < n; i++) {
            report_number(r, lines[k][first + i]);
        }
        jw_end(&r->w);
        jw_end(&r->w);
    }
    jw_end(&r->w);
    jw_end(&r->w);
}

static int put_report(struct step *s, const struct evaluation *v, struct err *e)
{
    const struct metric m[] = {{"mae", v->mae},     {"rmse", v->rmse},
                               {"mape", v->mape},   {"mape_left_out", (double)v->zeros},
                               {"smape", v->smape}, {"mase", v->mase},
                               {"bias", v->bias}};
    struct report r;

    judging_begin(&r, "forecast", s, v->n);
    report_metrics(&r, m, ARRAY_LEN(m));
    report_charts(&r);
    put_chart(&r, v);
    report_tables(&r);
    if (judging_end(&r, s, m, ARRAY_LEN(m), e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%.*s MAE %.6g, RMSE %.6g, sMAPE %.4f, MASE %.4g, %zu rows",
                 STR_ARG(step_text(s, "name")), v->mae, v->rmse, v->smape, v->mase, v->n);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table"), *history = step_table(s, "history");
    const struct column *label = judging_numbers(s, t, "label_col", e);
    const struct column *pred = label ? judging_numbers(s, t, "pred_col", e) : NULL;
    const struct column *past =
        pred && history ? judging_numbers(s, history, "label_col", e) : NULL;
    struct evaluation v = {.n = t->n_rows};

    if (pred == NULL || (history && past == NULL)) {
        return -1;
    }
    if (t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    v.truth = label->numbers;
    v.guess = pred->numbers;
    add_up(&v);
    v.mase = ratio(v.mae, naive_error(past ? past->numbers : v.truth, past ? history->n_rows : v.n,
                                      (size_t)step_int(s, "period")));
    return put_report(s, &v, e);
}

static void check(struct check *c)
{
    (void)check_column(c, "table", "label_col", CHECK_NUMBERS);
    (void)check_column(c, "table", "pred_col", CHECK_NUMBERS);
    (void)check_column(c, "history", "label_col", CHECK_NUMBERS);
    check_out_report(c, "report");
}

const struct module module_evaluate_forecast = {
    .name = "evaluate_forecast",
    .title = "Evaluate a forecast",
    .description = "Compares a forecast with what came: MAE, RMSE, MAPE, sMAPE and MASE.",
    .category = "evaluation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
