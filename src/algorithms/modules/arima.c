/* arima - a series as its own past and past errors: kernel/arima.h computes it. */
#include "algorithms/kernel/arima.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/modules/forecasting.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

struct arima_model {
    struct arima a;
    struct series_time time;
};

enum { FIGURES = 9 };

static void body_free(void *body)
{
    struct arima_model *b = body;

    if (b) {
        arima_done(&b->a);
        free(b->time.name);
        free(b);
    }
}

static void body_write(const struct model *m, struct binw *w)
{
    const struct arima_model *b = m->body;
    const struct arima *a = &b->a;
    const struct arima_order *o = &a->order;
    size_t r = arima_states(o);

    binw_u32s(w, (const uint32_t[]){o->p, o->d, o->q, o->sp, o->sd, o->sq, o->period, o->constant},
              8);
    binw_u64(w, a->n);
    binw_f64s(w, a->coef, arima_coefs(o));
    binw_f64s(w, a->error, arima_coefs(o));
    binw_f64s(w,
              (const double[]){a->mean, a->mean_error, a->sigma2, a->loglik, a->aic, a->aicc,
                               a->bic, b->time.last, b->time.delta},
              FIGURES);
    binw_f64s(w, a->state, r);
    binw_f64s(w, a->spread, r * r);
    binw_f64s(w, a->last, arima_lost(o));
    binw_u32(w, b->time.as);
    binw_str(w, str_of(b->time.name));
}

static int read_order(struct arima_order *o, struct binr *r, struct err *e)
{
    uint32_t v[8] = {0};

    binr_u32s(r, v, 8);
    *o = (struct arima_order){v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]};
    if (r->bad || o->p > ARIMA_LAGS_MAX || o->q > ARIMA_LAGS_MAX || o->sp > ARIMA_SEASONAL_MAX ||
        o->sq > ARIMA_SEASONAL_MAX || o->d > ARIMA_DIFFERENCES_MAX ||
        o->sd > ARIMA_DIFFERENCES_MAX || o->period < 1 || o->period > ARIMA_PERIOD_MAX ||
        v[7] > 1 || arima_states(o) > ARIMA_STATES_MAX) {
        return err_set(e, ERR_DATA, "damaged: a series of order (%u,%u,%u)(%u,%u,%u)", v[0], v[1],
                       v[2], v[3], v[4], v[5]);
    }
    return 0;
}

static bool all_finite(const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            return false;
        }
    }
    return true;
}

static int read_numbers(struct arima_model *b, struct binr *r, struct err *e)
{
    struct arima *a = &b->a;
    size_t k = arima_coefs(&a->order), s = arima_states(&a->order), lost = arima_lost(&a->order);
    double v[FIGURES] = {0};

    a->n = binr_u64(r);
    if (2 * k + FIGURES + s + s * s + lost > r->left / sizeof(double)) {
        return err_set(e, ERR_DATA, "damaged: it ends inside a series");
    }
    if (arima_memory(a, e) < 0) {
        return -1;
    }
    binr_f64s(r, a->coef, k);
    binr_f64s(r, a->error, k);
    binr_f64s(r, v, FIGURES);
    binr_f64s(r, a->state, s);
    binr_f64s(r, a->spread, s * s);
    binr_f64s(r, a->last, lost);
    a->mean = v[0];
    a->mean_error = v[1];
    a->sigma2 = v[2];
    a->loglik = v[3];
    a->aic = v[4];
    a->aicc = v[5];
    a->bic = v[6];
    b->time.last = v[7];
    b->time.delta = v[8];
    if (!all_finite(a->coef, k) || !all_finite(v, FIGURES) || !all_finite(a->state, s) ||
        !all_finite(a->spread, s * s) || !all_finite(a->last, lost)) {
        return err_set(e, ERR_DATA, "damaged: a figure of the series is not finite");
    }
    return 0;
}

static int body_read(struct model *m, struct binr *r, struct err *e)
{
    struct arima_model *b = m->body = xnew(struct arima_model);
    uint32_t as;
    struct str time;

    if (read_order(&b->a.order, r, e) < 0 || read_numbers(b, r, e) < 0) {
        return -1;
    }
    as = binr_u32(r);
    time = binr_str(r);
    if (r->bad || as > AS_TIME || time.len > ML_LIMIT_NAME_BYTES ||
        str_find_char(time, '\0') >= 0) {
        return err_set(e, ERR_DATA, "damaged: it ends inside a series");
    }
    b->time.as = (enum column_as)as;
    b->time.name = str_dup(time);
    return 0;
}

static void describe_coefs(const struct arima *a, struct jw *w)
{
    const struct arima_order *o = &a->order;
    const unsigned n[] = {o->p, o->q, o->sp, o->sq};
    static const char *const names[] = {"ar", "ma", "sar", "sma"};

    for (unsigned k = 0, at = 0; k < ARRAY_LEN(n); k++) {
        for (unsigned i = 0; i < n[k]; i++, at++) {
            char name[24];

            (void)snprintf(name, sizeof(name), "%s%u", names[k], i + 1);
            number_json_kv(w, name, a->coef[at]);
            (void)snprintf(name, sizeof(name), "%s%u_error", names[k], i + 1);
            number_json_kv(w, name, a->error[at]);
        }
    }
    if (o->constant) {
        number_json_kv(w, o->d + o->sd > 0 ? "drift" : "mean", a->mean);
        number_json_kv(w, o->d + o->sd > 0 ? "drift_error" : "mean_error", a->mean_error);
    }
}

static void describe(const struct model *m, struct jw *w)
{
    const struct arima *a = &((const struct arima_model *)m->body)->a;
    const struct arima_order *o = &a->order;
    const unsigned order[] = {o->p, o->d, o->q, o->sp, o->sd, o->sq, o->period};
    static const char *const names[] = {"p",          "d",          "q",     "seasonal_p",
                                        "seasonal_d", "seasonal_q", "period"};

    jw_key(w, "figures");
    jw_object(w);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        jw_kv_i64(w, names[i], order[i]);
    }
    describe_coefs(a, w);
    number_json_kv(w, "sigma2", a->sigma2);
    number_json_kv(w, "loglik", a->loglik);
    number_json_kv(w, "aic", a->aic);
    number_json_kv(w, "aicc", a->aicc);
    number_json_kv(w, "bic", a->bic);
    jw_end(w);
}

const struct model_type model_arima = {
    .kind = 34,
    .module = "arima",
    .range = FEATURES_F64,
    .write = body_write,
    .read = body_read,
    .free = body_free,
    .describe = describe,
};

static const struct series_time *time_of(const struct model *m)
{
    return &((const struct arima_model *)m->body)->time;
}

static int forecast(const struct model *m, size_t h, double *mean, double *deviation, struct err *e)
{
    return arima_forecast(&((const struct arima_model *)m->body)->a, h, mean, deviation, e);
}

const struct forecaster forecaster_arima = {&model_arima, time_of, forecast};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "The series, a row each step."},
                                     {0}};
static const struct port outputs[] = {
    {"model", VALUE_MODEL, 0, "For forecast."},
    {"table", VALUE_TABLE, PORT_OPTIONAL, "The rows in order of time, with what was expected."},
    {0}};
static const struct param params[] = {
    {"value_col", PARAM_COLUMN, NULL, 0, 0, NULL, "The column to forecast."},
    {"time_col", PARAM_TEXT, "", 0, 0, NULL,
     "Rows are taken in its order; empty: in the order of the table."},
    {"auto", PARAM_BOOL, "false", 0, 0, NULL,
     "Search for the order with the least AICc; the orders and constant below are not looked at."},
    {"p", PARAM_INT, "1", 0, ARIMA_LAGS_MAX, NULL, "Values before that a value depends on."},
    {"d", PARAM_INT, "1", 0, ARIMA_DIFFERENCES_MAX, NULL, "How often differences are taken."},
    {"q", PARAM_INT, "1", 0, ARIMA_LAGS_MAX, NULL, "Errors before that a value depends on."},
    {"seasonal_p", PARAM_INT, "0", 0, ARIMA_SEASONAL_MAX, NULL, "The same, whole seasons before."},
    {"seasonal_d", PARAM_INT, "0", 0, ARIMA_DIFFERENCES_MAX, NULL,
     "How often differences to the season before are taken."},
    {"seasonal_q", PARAM_INT, "0", 0, ARIMA_SEASONAL_MAX, NULL, "Errors whole seasons before."},
    {"period", PARAM_INT, "12", 1, ARIMA_PERIOD_MAX, NULL, "Steps of one season; 1: none."},
    {"constant", PARAM_BOOL, "true", 0, 0, NULL,
     "A mean or, with one difference, a drift; with more there is none."},
    {"fitted_col", PARAM_TEXT, "fitted", 0, 0, NULL,
     "Name of the column for what was expected one step ahead."},
    {0},
};

/* From the parameters; ERR_INVALID where they contradict each other. */
static int parse_order(const struct step *s, struct arima_order *o, struct err *e)
{
    *o = (struct arima_order){.period = (unsigned)step_int(s, "period")};
    if (step_true(s, "auto")) {
        return 0;
    }
    o->p = (unsigned)step_int(s, "p");
    o->d = (unsigned)step_int(s, "d");
    o->q = (unsigned)step_int(s, "q");
    o->sp = (unsigned)step_int(s, "seasonal_p");
    o->sd = (unsigned)step_int(s, "seasonal_d");
    o->sq = (unsigned)step_int(s, "seasonal_q");
    o->constant = step_true(s, "constant") && o->d + o->sd < 2;
    if (o->sp + o->sd + o->sq == 0) {
        o->period = 1;
    } else if (o->period < 2) {
        return err_set(e, ERR_INVALID, "parameter period: a season has 2 steps or more");
    }
    return arima_states(o) <= ARIMA_STATES_MAX
               ? 0
               : err_set(e, ERR_INVALID,
                         "parameter period: the order reaches %zu steps back, and %d are the most: "
                         "lower seasonal_p and seasonal_q, or add the series up to longer steps",
                         arima_states(o), ARIMA_STATES_MAX);
}

static void say(const struct step *s, const struct arima *a)
{
    const struct arima_order *o = &a->order;

    progress_say(s->progress,
                 "ARIMA(%u,%u,%u)(%u,%u,%u)%u%s of %zu differences: log likelihood %.6g, AICc "
                 "%.6g",
                 o->p, o->d, o->q, o->sp, o->sd, o->sq, o->period,
                 !o->constant        ? ""
                 : o->d + o->sd == 0 ? " with a mean"
                                     : " with drift",
                 a->n, a->loglik, a->aicc);
    progress_result(s->progress,
                    (const struct metric[]){{"loglik", a->loglik},
                                            {"aic", a->aic},
                                            {"aicc", a->aicc},
                                            {"bic", a->bic},
                                            {"sigma2", a->sigma2}},
                    5);
}

static int fit(struct step *s, struct arima *a, struct series *v, struct err *e)
{
    struct table *out;

    if (parse_order(s, &a->order, e) < 0 ||
        (step_true(s, "auto") && arima_order_find(&a->order, v->y, v->n, s->progress, e) < 0) ||
        arima_fit(a, v->y, v->n, v->fitted, s->progress, e) < 0) {
        return -1;
    }
    out = series_fitted(v, s, e);
    if (out == NULL) {
        return -1;
    }
    say(s, a);
    step_out_table(s, "table", out);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "train");
    const struct column *value = table_need_numbers(t, step_text(s, "value_col"), e);
    SCOPED(model_freep) struct model *m = NULL;
    struct arima_model *b;
    struct series v = {0};
    int rc;

    if (value == NULL) {
        return err_wrap(e, "value_col");
    }
    m = model_new(&model_arima, TASK_OTHER, value->name);
    m->body = b = xnew(struct arima_model);
    rc = series_of(&v, s, value, &b->time, e) < 0 ? -1 : fit(s, &b->a, &v, e);
    series_done(&v);
    if (rc < 0) {
        return -1;
    }
    step_out_model(s, "model", TAKE(m));
    return 0;
}

static void check(struct check *c)
{
    const struct column *value = check_column(c, "train", "value_col", CHECK_NUMBERS);
    struct table *out = check_copy(c, "train");
    struct arima_order o;
    struct err e = {0};

    if (step_text(&c->step, "time_col").len > 0) {
        (void)check_column(c, "train", "time_col", CHECK_NUMBERS);
    }
    if (parse_order(&c->step, &o, &e) < 0) {
        check_mistake(c, NULL, "period", NULL, "%s", e.msg);
    }
    check_add_column(c, out, "fitted_col", step_text(&c->step, "fitted_col"), COLUMN_NUMBER);
    check_out_table(c, "table", out, check_open(c, "train"));
    check_out_model(c, "model", TASK_OTHER, value, NULL);
}

const struct module module_arima = {
    .name = "arima",
    .title = "ARIMA",
    .description = "Learns how a series follows from its own past and past errors, seasons too; "
                   "the module forecast continues it.",
    .category = "forecast",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "4*input+64Mi",
    .run = run,
    .check = check,
};
