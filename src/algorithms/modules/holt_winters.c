/* holt_winters - exponential smoothing of a series: smoothing.h computes it. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/season.h"
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
        series_time_done(&b->time);
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
    series_time_write(&b->time, w);
}

static int body_read(struct model *m, struct binr *r, struct err *e)
{
    struct series_model *b = m->body = xnew(struct series_model);
    struct smoothing *s = &b->s;
    uint32_t trend = binr_u32(r), season = binr_u32(r), damped = binr_u32(r);
    double v[10] = {0};

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
    for (size_t i = 0; i < 10 + s->period; i++) {
        if (!isfinite(i < 10 ? v[i] : s->seasons[i - 10])) {
            return err_set(e, ERR_DATA, "damaged: a figure of the series is not finite");
        }
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
    return series_time_read(&b->time, r, e);
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

enum { SEASON_AUTO = SMOOTHING_MUL + 1 };

static const struct param params[] = {
    SERIES_VALUE,
    SERIES_TIME,
    {"trend", PARAM_CHOICE, "add", 0, 0, "none|add|mul", "Whether a trend adds or multiplies."},
    {"season", PARAM_CHOICE, "auto", 0, 0, "none|add|mul|auto",
     "Whether a season adds or multiplies; auto: what has the least AICc."},
    SERIES_PERIOD(PERIOD_MAX),
    {"damped", PARAM_BOOL, "false", 0, 0, NULL, "Let the trend fade."},
    SERIES_FITTED,
    {0},
};

/* Of least squares; INFINITY: too few values for its states. */
static double aicc(const struct smoothing *m, size_t n)
{
    double k = 3 + (m->trend != SMOOTHING_NONE ? 2 : 0) + m->damped +
               (m->season != SMOOTHING_NONE ? (double)m->period : 0);
    double left = (double)n - k - 1;

    return left > 0 ? (double)n * log(m->sse / (double)n) + 2 * k + 2 * k * (k + 1) / left
                    : INFINITY;
}

static bool all_above_zero(const struct series *v)
{
    bool all = true;

    for (size_t i = 0; i < v->n; i++) {
        all = all && v->y[i] > 0;
    }
    return all;
}

/* A kind of season that cannot be fitted is none to choose; without one it must be fitted. */
static enum smoothing_kind choose(struct step *s, const struct smoothing *like,
                                  const struct series *v)
{
    enum smoothing_kind best = SMOOTHING_NONE;
    double least = INFINITY;

    for (int kind = SMOOTHING_NONE; v->period > 1 && kind <= SMOOTHING_MUL; kind++) {
        struct smoothing m = *like;
        struct err ignored = {0};

        m.season = (enum smoothing_kind)kind;
        m.period = kind == SMOOTHING_NONE ? 1 : v->period;
        if ((kind != SMOOTHING_MUL || all_above_zero(v)) &&
            smoothing_fit(&m, v->y, v->n, v->fitted, s->progress, &ignored) == 0 &&
            aicc(&m, v->n) < least) {
            least = aicc(&m, v->n);
            best = m.season;
        }
        smoothing_done(&m);
    }
    return best;
}

static int set_season(struct step *s, struct smoothing *m, const struct series *v, struct err *e)
{
    unsigned season = step_choice(s, "season");

    m->season = season == SEASON_AUTO ? choose(s, m, v) : (enum smoothing_kind)season;
    m->period = m->season == SMOOTHING_NONE ? 1 : v->period;
    if (m->season != SMOOTHING_NONE && m->period < 2) {
        return series_no_season(s, e);
    }
    return 0;
}

static int fit(struct step *s, void *body, struct series *v, struct err *e)
{
    struct smoothing *m = &((struct series_model *)body)->s;
    static const char *const kinds[] = {"no season", "a season that adds",
                                        "a season that multiplies"};

    m->trend = (enum smoothing_kind)step_choice(s, "trend");
    m->damped = step_true(s, "damped") && m->trend != SMOOTHING_NONE;
    if (set_season(s, m, v, e) < 0 || smoothing_fit(m, v->y, v->n, v->fitted, s->progress, e) < 0) {
        return -1;
    }
    progress_say(s->progress,
                 "%zu values, %s: alpha %.4g, beta %.4g, gamma %.4g, squared errors %.6g", v->n,
                 kinds[m->season], m->alpha, m->beta, m->gamma, m->sse);
    progress_result(s->progress, &(struct metric){"sse", m->sse}, 1);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    struct series_model *b = xnew(struct series_model);

    return series_learn(s, &model_holt_winters, b, &b->time, SEASON_LONGEST, fit, e);
}

const struct module module_holt_winters = {
    .name = "holt_winters",
    .title = "Holt-Winters",
    .description = "Learns level, trend and season of a series by exponential smoothing; the "
                   "module forecast continues it.",
    .category = "forecast",
    .version = "1.1.0",
    .inputs = series_inputs,
    .outputs = series_outputs,
    .params = params,
    .memory = "1*input+16*cells+48*rows+64Mi",
    .run = run,
    .check = series_check,
};
