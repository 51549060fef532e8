/* holt_winters - exponential smoothing of a series: smoothing.h computes it. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/smoothing.h"
#include "algorithms/modules/forecasting.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { PERIOD_MAX = 10000 };

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

struct series_model {
    struct smoothing s;
    struct series_time time;
};

static void body_free(void *body)
{
    struct series_model *b = body;

    if (b) {
        smoothing_done(&b->s);
        free(b->time.name);
        free(b);
    }
}

static void body_write(const struct model *m, struct binw *w)
{
    const struct series_model *b = m->body;
    const struct smoothing *s = &b->s;

    binw_u32(w, s->trend);
    binw_u32(w, s->season);
    binw_u32(w, s->damped);
    binw_u32(w, (uint32_t)s->period);
    binw_f64s(w,
              (const double[]){s->alpha, s->beta, s->gamma, s->phi, s->level, s->slope, s->sigma,
                               s->sse, b->time.last, b->time.delta},
              10);
    binw_f64s(w, s->seasons, s->period);
    binw_u32(w, b->time.as);
    binw_str(w, str_of(b->time.name));
}

static int body_read(struct model *m, struct binr *r, struct err *e)
{
    struct series_model *b = m->body = xnew(struct series_model);
    struct smoothing *s = &b->s;
    uint32_t trend = binr_u32(r), season = binr_u32(r), damped = binr_u32(r), as;
    double v[10] = {0};
    struct str time;

    s->period = binr_u32(r);
    if (r->bad || trend > SMOOTHING_MUL || season > SMOOTHING_MUL || damped > 1 || s->period < 1 ||
        s->period > PERIOD_MAX) {
        return err_set(e, ERR_DATA, "damaged: a series with a period of %zu", s->period);
    }
    s->trend = (enum smoothing_kind)trend;
    s->season = (enum smoothing_kind)season;
    s->damped = damped;
    binr_f64s(r, v, 10);
    s->seasons = big_alloc(s->period, sizeof(double), "the seasons", e);
    if (s->seasons == NULL) {
        return -1;
    }
    binr_f64s(r, s->seasons, s->period);
    as = binr_u32(r);
    time = binr_str(r);
    for (size_t i = 0; i < 10 + s->period; i++) {
        if (!isfinite(i < 10 ? v[i] : s->seasons[i - 10])) {
            return err_set(e, ERR_DATA, "damaged: a figure of the series is not finite");
        }
    }
    if (r->bad || as > AS_TIME || time.len > ML_LIMIT_NAME_BYTES ||
        str_find_char(time, '\0') >= 0) {
        return err_set(e, ERR_DATA, "damaged: it ends inside a series");
    }
    *s = (struct smoothing){.trend = s->trend,
                            .season = s->season,
                            .damped = s->damped,
                            .period = s->period,
                            .alpha = v[0],
                            .beta = v[1],
                            .gamma = v[2],
                            .phi = v[3],
                            .level = v[4],
                            .slope = v[5],
                            .seasons = s->seasons,
                            .sigma = v[6],
                            .sse = v[7]};
    b->time.last = v[8];
    b->time.delta = v[9];
    b->time.as = (enum column_as)as;
    b->time.name = str_dup(time);
    return 0;
}

static void describe(const struct model *m, struct jw *w)
{
    const struct smoothing *s = &((const struct series_model *)m->body)->s;

    jw_key(w, "figures");
    jw_object(w);
    number_json_kv(w, "alpha", s->alpha);
    number_json_kv(w, "beta", s->beta);
    number_json_kv(w, "gamma", s->gamma);
    number_json_kv(w, "phi", s->phi);
    number_json_kv(w, "sse", s->sse);
    number_json_kv(w, "sigma", s->sigma);
    jw_end(w);
}

const struct model_type model_holt_winters = {
    .kind = 31,
    .module = "holt_winters",
    .range = FEATURES_F64,
    .write = body_write,
    .read = body_read,
    .free = body_free,
    .describe = describe,
};

static const struct series_time *time_of(const struct model *m)
{
    return &((const struct series_model *)m->body)->time;
}

static int forecast(const struct model *m, size_t h, double *mean, double *deviation, struct err *e)
{
    return smoothing_forecast(&((const struct series_model *)m->body)->s, h, mean, deviation, e);
}

const struct forecaster forecaster_holt_winters = {&model_holt_winters, time_of, forecast};

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
    {"trend", PARAM_CHOICE, "add", 0, 0, "none|add|mul", "Whether a trend adds or multiplies."},
    {"season", PARAM_CHOICE, "none", 0, 0, "none|add|mul", "Whether a season adds or multiplies."},
    {"period", PARAM_INT, "12", 2, PERIOD_MAX, NULL, "Steps of one season."},
    {"damped", PARAM_BOOL, "false", 0, 0, NULL, "Let the trend fade."},
    {"fitted_col", PARAM_TEXT, "fitted", 0, 0, NULL,
     "Name of the column for what was expected one step ahead."},
    {0},
};

static int fit(struct step *s, struct model *m, struct series *v, struct err *e)
{
    struct series_model *b = m->body;
    struct table *out;

    if (smoothing_fit(&b->s, v->y, v->n, v->fitted, s->progress, e) < 0) {
        return -1;
    }
    out = series_fitted(v, s, e);
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu values: alpha %.4g, beta %.4g, gamma %.4g, squared errors %.6g",
                 v->n, b->s.alpha, b->s.beta, b->s.gamma, b->s.sse);
    progress_result(s->progress, &(struct metric){"sse", b->s.sse}, 1);
    step_out_table(s, "table", out);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "train");
    const struct column *value = table_need_numbers(t, step_text(s, "value_col"), e);
    SCOPED(model_freep) struct model *m = NULL;
    struct series v = {0};
    struct series_model *b;
    int rc;

    if (value == NULL) {
        return err_wrap(e, "value_col");
    }
    m = model_new(&model_holt_winters, TASK_OTHER, value->name);
    m->body = b = xnew(struct series_model);
    b->s.trend = (enum smoothing_kind)step_choice(s, "trend");
    b->s.season = (enum smoothing_kind)step_choice(s, "season");
    b->s.damped = step_true(s, "damped") && b->s.trend != SMOOTHING_NONE;
    b->s.period = b->s.season == SMOOTHING_NONE ? 1 : (size_t)step_int(s, "period");
    rc = series_of(&v, s, value, &b->time, e) < 0 ? -1 : fit(s, m, &v, e);
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

    if (step_text(&c->step, "time_col").len > 0) {
        (void)check_column(c, "train", "time_col", CHECK_NUMBERS);
    }
    check_add_column(c, out, "fitted_col", step_text(&c->step, "fitted_col"), COLUMN_NUMBER);
    check_out_table(c, "table", out, check_open(c, "train"));
    check_out_model(c, "model", TASK_OTHER, value, NULL);
}

const struct module module_holt_winters = {
    .name = "holt_winters",
    .title = "Holt-Winters",
    .description = "Learns level, trend and season of a series by exponential smoothing; the "
                   "module forecast continues it.",
    .category = "forecast",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+16*cells+32*rows+64Mi",
    .run = run,
    .check = check,
};
