#include "algorithms/kernel/number.h"
#include "algorithms/kernel/report.h"
#include "algorithms/modules/tune_priv.h"
#include "base/limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

double tune_score(const struct search *h, size_t trial)
{
    return h->trials[trial].scores.mean[h->v.metric];
}

static double rows_of(const struct search *h, const struct trial *t)
{
    size_t n = 0;

    for (size_t i = 0; i < h->v.t->n_rows; i++) {
        n += h->v.folds.turn[i] < t->part;
    }
    return (double)n;
}

static void put_text(struct buf *b, const struct search *h, const struct trial *t)
{
    for (size_t k = 0; k < h->space.n; k++) {
        (void)buf_printf(b, "%s%s=%s", k > 0 ? ";" : "", h->space.of[k].param->name, t->values[k]);
    }
}

static bool numeric(const struct dimension *d)
{
    return d->param->type == PARAM_INT || d->param->type == PARAM_REAL;
}

static int add_text(struct table *out, const struct search *h, size_t k, struct err *e)
{
    SCOPED(dict_freep) struct dict *d = dict_new();
    struct column *c = table_add_text(out, str_of(h->space.of[k].param->name), d, e);

    if (c == NULL) {
        return -1;
    }
    (void)TAKE(d);
    for (size_t i = 0; i < h->n; i++) {
        if (dict_intern(c->dict, str_of(h->trials[i].values[k]), &c->codes[i], e) < 0) {
            return -1;
        }
    }
    dict_seal(c->dict);
    return 0;
}

static int add_number(struct table *out, const struct search *h, size_t k, struct err *e)
{
    struct column *c = table_add_numbers(out, str_of(h->space.of[k].param->name), e);

    for (size_t i = 0; c && i < h->n; i++) {
        if (number_parse(str_of(h->trials[i].values[k]), &c->numbers[i]) < 0) {
            c->numbers[i] = NAN;
        }
    }
    if (c && h->space.of[k].param->type == PARAM_INT) {
        c->as = AS_INT;
    }
    return c ? 0 : -1;
}

/* trial, rows, the parameters, every score. */
int tune_table(struct search *h, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(h->n);
    struct column *c = table_add_numbers(out, STR("trial"), e);

    for (size_t i = 0; c && i < h->n; i++) {
        c->numbers[i] = (double)i + 1;
    }
    if (c) {
        c->as = AS_INT;
        c = table_add_numbers(out, STR("rows"), e);
    }
    for (size_t i = 0; c && i < h->n; i++) {
        c->numbers[i] = rows_of(h, &h->trials[i]);
    }
    if (c == NULL) {
        return -1;
    }
    c->as = AS_INT;
    for (size_t k = 0; k < h->space.n; k++) {
        if ((numeric(&h->space.of[k]) ? add_number(out, h, k, e) : add_text(out, h, k, e)) < 0) {
            return -1;
        }
    }
    for (unsigned k = 0; k < SCORES; k++) {
        SCOPED(freep) char *name = xasprintf("score_%s", score_name(k));

        if (!score_is_of(k, h->v.task, h->v.width)) {
            continue;
        }
        c = table_add_numbers(out, str_of(name), e);
        if (c == NULL) {
            return -1;
        }
        for (size_t i = 0; i < h->n; i++) {
            c->numbers[i] = h->trials[i].scores.mean[k];
        }
    }
    step_out_table(h->s, "table", TAKE(out));
    return 0;
}

static void put_trials(struct report *r, const struct search *h)
{
    report_table(r, "Trials", "trial|parameters|rows|score|deviation|failure");
    for (size_t i = 0; i < h->n; i++) {
        const struct trial *t = &h->trials[i];
        struct buf text = BUF_MAX(64 * KIB);

        put_text(&text, h, t);
        report_row(r);
        report_number(r, (double)i + 1);
        report_text(r, text.failed || text.p == NULL ? "" : text.p);
        report_number(r, rows_of(h, t));
        report_number(r, tune_score(h, i));
        report_number(r, t->scores.deviation[h->v.metric]);
        report_text(r, t->failure ? t->failure : "");
        report_row_end(r);
        buf_done(&text);
    }
    report_table_end(r);
}

/* One chart a parameter of numbers: what it does to the score; and the way to the best. */
static void put_charts(struct report *r, const struct search *h, bool all_rows)
{
    SCOPED(freep) double *x = xnew_array(double, h->n);
    SCOPED(freep) double *y = xnew_array(double, h->n);

    for (size_t k = 0; k < h->space.n; k++) {
        const char *name = h->space.of[k].param->name;
        size_t n = 0;

        for (size_t i = 0; numeric(&h->space.of[k]) && i < h->n && n < REPORT_POINTS; i++) {
            if (!isnan(tune_score(h, i)) &&
                number_parse(str_of(h->trials[i].values[k]), &x[n]) == 0) {
                y[n++] = tune_score(h, i);
            }
        }
        if (n > 0) {
            report_lines(r, &(struct chart){"scatter", name, name, score_name(h->v.metric)}, x, y,
                         n);
        }
    }
    for (size_t i = 0; i < h->n; i++) {
        x[i] = (double)i + 1;
    }
    if (all_rows) {
        report_lines(r, &(struct chart){"line", "Best so far", "trial", score_name(h->v.metric)}, x,
                     h->curve, h->n);
    }
}

int tune_report(struct search *h, bool all_rows, struct err *e)
{
    const struct trial *t = &h->trials[h->best];
    struct metric m[SCORES + 2];
    size_t n = 0, failed = 0;
    struct buf text = BUF_MAX(KIB);
    struct report r;

    for (size_t i = 0; i < h->n; i++) {
        failed += h->trials[i].failure != NULL;
    }
    for (unsigned k = 0; k < SCORES; k++) {
        if (score_is_of(k, h->v.task, h->v.width)) {
            m[n++] = (struct metric){score_name(k), t->scores.mean[k]};
        }
    }
    m[n++] = (struct metric){"trials", (double)h->n};
    m[n++] = (struct metric){"failed", (double)failed};
    report_begin(&r, "tuning");
    jw_kv_c(&r.w, "learner", h->learner.step.module->name);
    jw_kv_str(&r.w, "label_col", step_text(h->s, "label_col"));
    jw_kv_c(&r.w, "metric", score_name(h->v.metric));
    jw_kv_i64(&r.w, "trial", (int64_t)h->best + 1);
    jw_key(&r.w, "best");
    jw_object(&r.w);
    for (size_t k = 0; k < h->space.n; k++) {
        jw_kv_c(&r.w, h->space.of[k].param->name, t->values[k]);
    }
    jw_end(&r.w);
    report_metrics(&r, m, n);
    report_charts(&r);
    put_charts(&r, h, all_rows);
    report_tables(&r);
    put_trials(&r, h);
    if (report_end(&r, e) < 0) {
        report_done(&r);
        return -1;
    }
    progress_result(h->s->progress, m, n);
    put_text(&text, h, t);
    progress_say(h->s->progress, "%s, %zu trials: best %s %.4f with %s",
                 h->learner.step.module->name, h->n, score_name(h->v.metric),
                 tune_score(h, h->best), text.failed ? "the parameters of the report" : text.p);
    buf_done(&text);
    step_out_report(h->s, "report", r.out);
    return 0;
}
