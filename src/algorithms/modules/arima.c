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
        series_time_done(&b->time);
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
    series_time_write(&b->time, w);
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

    return read_order(&b->a.order, r, e) < 0 || read_numbers(b, r, e) < 0
               ? -1
               : series_time_read(&b->time, r, e);
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
    jw_kv_bool(w, "logarithms", ((const struct arima_model *)m->body)->time.logs);
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

/* What an automatic search looks at. */
enum { AUTO_VALUES = 1000, AUTO_SEASONS = 6, AUTO_PERIOD = 60, AUTO_WORK = 40000 };

/* --- training --------------------------------------------------------------------------------- */

static const struct param params[] = {
    SERIES_VALUE,
    SERIES_TIME,
    {"auto", PARAM_BOOL, "true", 0, 0, NULL,
     "Search for the order with the least AICc, unless one of the orders or the constant below is "
     "given."},
    {"p", PARAM_INT, "1", 0, ARIMA_LAGS_MAX, NULL, "Values before that a value depends on."},
    {"d", PARAM_INT, "1", 0, ARIMA_DIFFERENCES_MAX, NULL, "How often differences are taken."},
    {"q", PARAM_INT, "1", 0, ARIMA_LAGS_MAX, NULL, "Errors before that a value depends on."},
    {"seasonal_p", PARAM_INT, "0", 0, ARIMA_SEASONAL_MAX, NULL, "The same, whole seasons before."},
    {"seasonal_d", PARAM_INT, "0", 0, ARIMA_DIFFERENCES_MAX, NULL,
     "How often differences to the season before are taken."},
    {"seasonal_q", PARAM_INT, "0", 0, ARIMA_SEASONAL_MAX, NULL, "Errors whole seasons before."},
    SERIES_PERIOD(ARIMA_PERIOD_MAX),
    {"constant", PARAM_BOOL, "true", 0, 0, NULL,
     "A mean or, with one difference, a drift; with more there is none."},
    {"transform", PARAM_CHOICE, "auto", 0, 0, "auto|none|log",
     "log: of values whose ups and downs grow with them; auto: where that fits far better and the "
     "order is searched."},
    SERIES_FITTED,
    {0},
};

enum { TRANSFORM_AUTO, TRANSFORM_NONE, TRANSFORM_LOG };

static bool is_automatic(const struct step *s)
{
    static const char *const orders[] = {"p",          "d",          "q",       "seasonal_p",
                                         "seasonal_d", "seasonal_q", "constant"};
    bool given = false;

    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        given = given || step_given(s, orders[i]);
    }
    return step_given(s, "auto") ? step_true(s, "auto") : !given;
}

/* From the parameters and the season found; ERR_INVALID where they contradict each other. */
static int parse_order(const struct step *s, size_t period, struct arima_order *o, struct err *e)
{
    *o = (struct arima_order){.p = (unsigned)step_int(s, "p"),
                              .d = (unsigned)step_int(s, "d"),
                              .q = (unsigned)step_int(s, "q"),
                              .sp = (unsigned)step_int(s, "seasonal_p"),
                              .sd = (unsigned)step_int(s, "seasonal_d"),
                              .sq = (unsigned)step_int(s, "seasonal_q"),
                              .period = (unsigned)period};
    o->constant = step_true(s, "constant") && o->d + o->sd < 2;
    if (o->sp + o->sd + o->sq == 0) {
        o->period = 1;
    } else if (o->period < 2) {
        return series_no_season(s, e);
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

/* What a search looks at: it walks the series for every order it tries, so that of long ones it
 * sees the end, and no season that would make each walk long. */
struct sight {
    size_t first, n, period;
};

static struct sight sight_of(struct step *s, const struct series *v)
{
    struct sight at = {.n = v->n, .period = v->period};
    size_t most;

    if (at.period > AUTO_PERIOD && !step_given(s, "period")) {
        progress_say(s->progress, "a season of %zu steps is long to search: set period to take it",
                     at.period);
        at.period = 1;
    }
    most = AUTO_WORK / (at.period * at.period + 1);
    most = most < AUTO_SEASONS * at.period ? AUTO_SEASONS * at.period : most;
    most = most < AUTO_VALUES ? most : AUTO_VALUES;
    if (at.n > most) {
        at.n = most;
        progress_say(s->progress, "the order is searched in the last %zu values", at.n);
    }
    at.first = v->n - at.n;
    return at;
}

static bool all_positive(const struct series *v)
{
    for (size_t i = 0; i < v->n; i++) {
        if (!(v->y[i] > 0)) {
            return false;
        }
    }
    return true;
}

/* Only a search chooses logarithms by itself. */
static int take_logs(struct step *s, struct series *v, const struct sight *at, bool *logs,
                     struct err *e)
{
    unsigned choice = step_choice(s, "transform");

    *logs = choice == TRANSFORM_LOG;
    if (choice == TRANSFORM_AUTO && is_automatic(s) && all_positive(v) &&
        arima_logs(at->period, v->y + at->first, at->n, logs, e) < 0) {
        return -1;
    }
    for (size_t i = 0; *logs && i < v->n; i++) {
        if (!(v->y[i] > 0)) {
            return err_set(e, ERR_DATA,
                           "row %u: the value %g has no logarithm; take transform=none",
                           v->rows[i] + 1, v->y[i]);
        }
        v->y[i] = log(v->y[i]);
    }
    if (*logs) {
        progress_say(s->progress, "learned as logarithms: what varies grows with the values");
    }
    return 0;
}

static int fit(struct step *s, void *body, struct series *v, struct err *e)
{
    struct arima_model *b = body;
    struct arima *a = &b->a;
    struct sight at = {.n = v->n, .period = v->period};

    if (is_automatic(s)) {
        at = sight_of(s, v);
        a->order = (struct arima_order){.period = (unsigned)at.period};
    } else if (parse_order(s, v->period, &a->order, e) < 0) {
        return -1;
    }
    if (take_logs(s, v, &at, &b->time.logs, e) < 0 ||
        (is_automatic(s) &&
         arima_order_find(&a->order, v->y + at.first, at.n, s->progress, e) < 0) ||
        arima_fit(a, v->y, v->n, v->fitted, s->progress, e) < 0) {
        return -1;
    }
    for (size_t i = 0; b->time.logs && i < v->n; i++) {
        v->fitted[i] = exp(v->fitted[i]);
    }
    say(s, a);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    struct arima_model *b = xnew(struct arima_model);

    return series_learn(s, &model_arima, b, &b->time, AUTO_PERIOD, fit, e);
}

static void check(struct check *c)
{
    int64_t period = step_int(&c->step, "period");
    struct arima_order o;
    struct err e = {0};

    if (!is_automatic(&c->step) &&
        parse_order(&c->step, period > 0 ? (size_t)period : 2, &o, &e) < 0) {
        check_mistake(c, NULL, "period", NULL, "%s", e.msg);
    }
    series_check(c);
}

const struct module module_arima = {
    .name = "arima",
    .title = "ARIMA",
    .description = "Learns how a series follows from its own past and past errors, seasons too; "
                   "the module forecast continues it.",
    .category = "forecast",
    .version = "1.1.0",
    .inputs = series_inputs,
    .outputs = series_outputs,
    .params = params,
    .memory = "4*input+64Mi",
    .run = run,
    .check = check,
};
