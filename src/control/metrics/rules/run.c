/* run - a group of rules, worked out for one moment. */
#include "rules/rules_priv.h"
#include "rules/template.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"
#include "tsdb/tsdb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_RESOLVED_MS = 15 * 60 * 1000, RESEND_MS = 60 * 1000 };

/* The series that a rule wrote the last time, in their order: those that do not come again end. */
struct written {
    struct arena arena;
    VEC(struct labels) list;
};

struct running {
    struct written last;
    VEC(struct rule_alert) alerts;
    struct rule_health health;
};

struct rule_run {
    const struct rule_group *group;
    struct running *rules;
    unsigned restores_after; /* turns: until then no alert is written, so that what was stays */
};

struct rule_run *rule_run_new(const struct rule_group *g)
{
    struct rule_run *r = xnew(struct rule_run);

    r->group = g;
    r->rules = xnew_array(struct running, g->n_rules + 1);
    return r;
}

static void written_done(struct written *w)
{
    vec_done(&w->list);
    arena_done(&w->arena);
}

static void alert_done(struct rule_alert *a)
{
    arena_done(&a->arena);
    arena_done(&a->notes);
}

static void forget_alerts(struct running *r)
{
    for (size_t i = 0; i < r->alerts.len; i++) {
        alert_done(&r->alerts.p[i]);
    }
    vec_done(&r->alerts);
}

static void forget_labelled(struct running *r, struct str name, struct str value)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->alerts.len; i++) {
        if (str_eq(labels_get(r->alerts.p[i].labels, name), value)) {
            alert_done(&r->alerts.p[i]);
        } else {
            r->alerts.p[kept++] = r->alerts.p[i];
        }
    }
    r->alerts.len = kept;
}

void rule_run_forget(struct rule_run *r, struct str name, struct str value)
{
    for (size_t i = 0; i < r->group->n_rules; i++) {
        forget_labelled(&r->rules[i], name, value);
    }
}

void rule_run_free(struct rule_run *r)
{
    for (size_t i = 0; r != NULL && i < r->group->n_rules; i++) {
        written_done(&r->rules[i].last);
        forget_alerts(&r->rules[i]);
    }
    if (r != NULL) {
        free(r->rules);
        free(r);
    }
}

const struct rule_group *rule_run_group(const struct rule_run *r)
{
    return r->group;
}

const struct rule_health *rule_run_health(const struct rule_run *r, size_t rule)
{
    return &r->rules[rule].health;
}

const struct rule_alert *rule_run_alerts(const struct rule_run *r, size_t rule, size_t *n)
{
    *n = r->rules[rule].alerts.len;
    return r->rules[rule].alerts.p;
}

const char *rule_alert_state_name(enum rule_alert_state s)
{
    return s == RULE_FIRING ? "firing" : s == RULE_PENDING ? "pending" : "inactive";
}

/* --- what comes of a rule --- */

struct result {
    struct labels labels;
    double v;
};

struct working {
    const struct rule_host *host;
    const struct rule_group *group;
    const struct rule *rule;
    struct running *state;
    bool writes_alerts;
    int64_t at_ms;    /* of the iteration */
    int64_t query_ms; /* that, less the offset of the group: what is asked and written */
    struct arena arena;
    VEC(struct result) results; /* what will be written */
};

static int ask(const struct rule_host *h, const struct promql_node *query, int64_t at_ms,
               struct arena *a, struct promql_answer *out, struct err *e)
{
    struct promql_range now = {at_ms, at_ms, 0};
    int64_t from, to;

    promql_times(query, &now, h->limits, &from, &to);

    SCOPED(tsdb_view_closep) struct tsdb_view *view = tsdb_view_open(h->db, from, to);

    return promql_run(view, query, &now, h->limits, a, out, e);
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(((const struct result *)a)->labels, ((const struct result *)b)->labels);
}

/* Sorts what came; two of the same labels are an error. */
static int each_once(struct working *w, const char *what, struct err *e)
{
    if (w->results.len > 0) {
        qsort(w->results.p, w->results.len, sizeof(struct result), by_labels);
    }
    for (size_t i = 1; i < w->results.len; i++) {
        if (labels_eq(w->results.p[i - 1].labels, w->results.p[i].labels)) {
            return err_set(
                e, ERR_INVALID,
                "vector contains metrics with the same labelset after applying %s labels", what);
        }
    }
    return 0;
}

static int over_limit(const struct working *w, size_t n, const char *what, struct err *e)
{
    return w->group->limit > 0 && n > w->group->limit
               ? err_set(e, ERR_LIMIT, "exceeded limit of %llu with %zu %s",
                         (unsigned long long)w->group->limit, n, what)
               : 0;
}

static bool has_label(struct labels s, struct str name)
{
    for (size_t i = 0; i < s.len; i++) {
        if (str_eq(s.p[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Labels with those of the rule put over them, one of the name `name` last; sorted. */
static struct labels put_over(struct arena *a, struct labels s, struct labels over,
                              struct str last_name, struct str last)
{
    struct labels out = {arena_new_array(a, struct label, s.len + over.len + 2), 0};
    struct err e;

    for (size_t i = 0; i < s.len; i++) {
        if (!str_eq(s.p[i].name, STR(LABEL_NAME)) && !str_eq(s.p[i].name, last_name) &&
            !has_label(over, s.p[i].name)) {
            out.p[out.len++] = s.p[i];
        }
    }
    for (size_t i = 0; i < over.len; i++) {
        if (!str_eq(over.p[i].name, last_name)) {
            out.p[out.len++] = over.p[i];
        }
    }
    out.p[out.len++] = (struct label){last_name, last};
    (void)!labels_normalize(&out, &e); /* no name comes twice */
    return out;
}

static int record(struct working *w, const struct promql_answer *a, struct err *e)
{
    if (a->type == PROMQL_SCALAR) {
        *vec_push(&w->results) =
            (struct result){put_over(&w->arena, (struct labels){NULL, 0}, w->rule->labels,
                                     STR(LABEL_NAME), w->rule->name),
                            a->scalar};
    }
    for (size_t i = 0; i < a->n_rows; i++) {
        *vec_push(&w->results) = (struct result){
            put_over(&w->arena, a->rows[i].labels, w->rule->labels, STR(LABEL_NAME), w->rule->name),
            a->rows[i].v[0]};
    }
    return each_once(w, "rule", e) < 0 ? -1 : over_limit(w, w->results.len, "series", e);
}

/* --- alerts --- */

/* {{ query "..." }} of a template. */
static int ask_template(void *ctx, struct str text, struct arena *a, struct promql_answer *out,
                        struct err *e)
{
    const struct working *w = ctx;
    struct promql_node *query = promql_parse(a, text, e);

    return query == NULL ? -1 : ask(w->host, query, w->at_ms, a, out, e);
}

/* Templates that fail say so where their text would be. */
static struct str expand(struct working *w, struct str text, const struct rule_values *v)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct err e;
    struct str out;

    if (rule_template(text, v, &b, &e) < 0) {
        out = str_of(arena_printf(&w->arena, "<error expanding template: %s>", e.msg));
    } else {
        out = arena_str(&w->arena, buf_str(&b));
    }
    buf_done(&b);
    return out;
}

static struct labels expand_all(struct working *w, struct labels s, const struct rule_values *v)
{
    struct labels out = {arena_new_array(&w->arena, struct label, s.len + 1), s.len};

    for (size_t i = 0; i < s.len; i++) {
        out.p[i] = (struct label){s.p[i].name, expand(w, s.p[i].value, v)};
    }
    return out;
}

static struct rule_alert *alert_of(struct running *r, struct labels s)
{
    for (size_t i = 0; i < r->alerts.len; i++) {
        if (labels_eq(r->alerts.p[i].labels, s)) {
            return &r->alerts.p[i];
        }
    }
    return NULL;
}

/* One element of the result is one alert. */
static int see_alert(struct working *w, struct labels found, double value, struct err *e)
{
    struct rule_values v = {.labels = found,
                            .external = w->host->external,
                            .external_url = w->host->external_url,
                            .value = value,
                            .at_ms = w->at_ms,
                            .query = ask_template,
                            .ctx = w};
    struct labels s = put_over(&w->arena, found, expand_all(w, w->rule->labels, &v),
                               STR("alertname"), w->rule->name);
    struct labels notes = expand_all(w, w->rule->annotations, &v);
    struct rule_alert *a = alert_of(w->state, s);

    if (a != NULL && a->seen) {
        return err_set(
            e, ERR_INVALID,
            "vector contains metrics with the same labelset after applying alert labels");
    }
    if (a == NULL || a->state == RULE_INACTIVE) {
        struct rule_alert fresh = {.state = RULE_PENDING, .active_at_ms = w->at_ms};

        if (a == NULL) {
            a = vec_push(&w->state->alerts);
        } else {
            alert_done(a);
        }
        fresh.labels = labels_copy(&fresh.arena, s);
        *a = fresh;
    }
    arena_reset(&a->notes);
    a->annotations = labels_copy(&a->notes, notes);
    a->value = value;
    a->seen = true;
    return 0;
}

/* True when it goes on although the expression no longer gives it. */
static bool is_kept(const struct working *w, struct rule_alert *a)
{
    if (a->state != RULE_FIRING || w->rule->keep_firing_ms == 0) {
        return false;
    }
    if (a->keep_since_ms == 0) {
        a->keep_since_ms = w->at_ms > 0 ? w->at_ms : 1;
    }
    return w->at_ms - a->keep_since_ms < w->rule->keep_firing_ms;
}

/* False: forget it. */
static bool step_alert(const struct working *w, struct rule_alert *a)
{
    if (!a->seen && !is_kept(w, a)) {
        if (a->state == RULE_PENDING ||
            (a->resolved_at_ms != 0 && w->at_ms - a->resolved_at_ms > KEEP_RESOLVED_MS)) {
            return false;
        }
        if (a->state != RULE_INACTIVE) {
            a->state = RULE_INACTIVE;
            a->resolved_at_ms = w->at_ms;
        }
        return true;
    }
    a->keep_since_ms = a->seen ? 0 : a->keep_since_ms;
    if (a->state == RULE_PENDING && w->at_ms - a->active_at_ms >= w->rule->for_ms) {
        a->state = RULE_FIRING;
        a->fired_at_ms = w->at_ms;
    }
    return true;
}

static void write_alert(struct working *w, const struct rule_alert *a)
{
    struct labels s = {NULL, 0};
    struct label *p = arena_new_array(&w->arena, struct label, 2);
    int64_t since_sec = a->active_at_ms / 1000;

    p[0] = (struct label){STR("alertstate"), str_of(rule_alert_state_name(a->state))};
    s = (struct labels){p, 1};
    *vec_push(&w->results) =
        (struct result){put_over(&w->arena, a->labels, s, STR(LABEL_NAME), STR("ALERTS")), 1};
    *vec_push(&w->results) =
        (struct result){put_over(&w->arena, a->labels, (struct labels){NULL, 0}, STR(LABEL_NAME),
                                 STR("ALERTS_FOR_STATE")),
                        (double)since_sec};
}

static int alerts(struct working *w, const struct promql_answer *a, struct err *e)
{
    struct running *r = w->state;
    size_t kept = 0, active = 0;

    for (size_t i = 0; i < r->alerts.len; i++) {
        r->alerts.p[i].seen = false;
    }
    if (a->type == PROMQL_SCALAR && see_alert(w, (struct labels){NULL, 0}, a->scalar, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < a->n_rows; i++) {
        if (see_alert(w, a->rows[i].labels, a->rows[i].v[0], e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < r->alerts.len; i++) {
        if (!step_alert(w, &r->alerts.p[i])) {
            alert_done(&r->alerts.p[i]);
            continue;
        }
        r->alerts.p[kept] = r->alerts.p[i];
        if (r->alerts.p[kept].state != RULE_INACTIVE) {
            active++;
            if (w->writes_alerts) {
                write_alert(w, &r->alerts.p[kept]);
            }
        }
        kept++;
    }
    r->alerts.len = kept;
    if (over_limit(w, active, "alerts", e) < 0) {
        forget_alerts(r);
        return -1;
    }
    return each_once(w, "alert", e);
}

/* --- writing --- */

static void append(struct working *w, struct tsdb_appender *a, struct labels s, double v)
{
    struct rule_health *h = &w->state->health;
    tsdb_ref series = tsdb_series(a, s);

    if (series != 0 && tsdb_append(a, series, w->query_ms, v) == TSDB_TAKEN) {
        h->samples++;
    } else {
        h->refused++;
    }
}

static bool comes_again(const struct working *w, struct labels s)
{
    struct result key = {s, 0};

    return w->results.len > 0 &&
           bsearch(&key, w->results.p, w->results.len, sizeof(key), by_labels) != NULL;
}

static int write_results(struct working *w, struct err *e)
{
    SCOPED(tsdb_appender_freep) struct tsdb_appender *a = tsdb_appender_new(w->host->db);
    struct written now = {.list = {0}};

    for (size_t i = 0; i < w->results.len; i++) {
        append(w, a, w->results.p[i].labels, w->results.p[i].v);
        *vec_push(&now.list) = labels_copy(&now.arena, w->results.p[i].labels);
    }
    for (size_t i = 0; i < w->state->last.list.len; i++) {
        if (!comes_again(w, w->state->last.list.p[i])) {
            append(w, a, w->state->last.list.p[i], tsdb_stale());
        }
    }
    written_done(&w->state->last);
    w->state->last = now;
    return tsdb_commit(a, TSDB_SOON, e);
}

static void eval_rule(struct rule_run *r, size_t i, const struct rule_host *h, int64_t at_ms)
{
    struct working w = {.host = h,
                        .group = r->group,
                        .rule = &r->group->rules[i],
                        .state = &r->rules[i],
                        .writes_alerts = r->restores_after == 0,
                        .at_ms = at_ms,
                        .query_ms = at_ms - r->group->query_offset_ms};
    struct promql_answer answer;
    struct err e = {.msg = ""};
    int result;

    w.state->health = (struct rule_health){.at_ms = at_ms};
    result = ask(h, w.rule->expression, w.query_ms, &w.arena, &answer, &e);
    if (result == 0) {
        result = w.rule->is_alert ? alerts(&w, &answer, &e) : record(&w, &answer, &e);
    }
    if (result == 0) { /* after a mistake nothing ends: the next time may be better */
        result = write_results(&w, &e);
    }
    if (result < 0) {
        snprintf(w.state->health.error, sizeof(w.state->health.error), "%s", e.msg);
    }
    vec_done(&w.results);
    arena_done(&w.arena);
}

/* --- after a restart --- */

/* Takes up an alert that was firing and is not seen any more. */
static void keep(struct running *r, const struct rule_kept *k)
{
    struct rule_alert a = {.state = RULE_FIRING,
                           .active_at_ms = k->seen_ms,
                           .fired_at_ms = k->seen_ms,
                           .keep_since_ms = k->seen_ms};

    if (alert_of(r, k->labels) == NULL) {
        a.labels = labels_copy(&a.arena, k->labels);
        *vec_push(&r->alerts) = a;
    }
}

static void restore(struct rule_run *r, const struct rule_host *h, int64_t at_ms)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(tsdb_view_closep)
    struct tsdb_view *view = tsdb_view_open(h->db, at_ms - RULES_RESTORE_MS, at_ms);

    for (size_t i = 0; i < r->group->n_rules; i++) {
        struct running *rule = &r->rules[i];
        struct rule_kept *kept = NULL;
        size_t n = 0;

        if (r->group->rules[i].is_alert) {
            n = rule_restore_kept(view, &r->group->rules[i], at_ms, &a, &kept);
            for (size_t k = 0; k < n; k++) {
                keep(rule, &kept[k]);
            }
            rule_restore_for(view, &r->group->rules[i], rule->alerts.p, rule->alerts.len, at_ms);
        }
    }
}

void rule_run_restore(struct rule_run *r)
{
    r->restores_after = 2;
}

void rule_run_eval(struct rule_run *r, const struct rule_host *h, int64_t at_ms)
{
    for (size_t i = 0; i < r->group->n_rules; i++) {
        eval_rule(r, i, h, at_ms);
    }
    if (r->restores_after > 0 && --r->restores_after == 0) {
        restore(r, h, at_ms);
    }
}

/* --- sending --- */

bool rule_alert_is_due(const struct rule_alert *a, int64_t at_ms)
{
    if (a->state == RULE_PENDING ||
        (a->state == RULE_INACTIVE && at_ms - a->resolved_at_ms > KEEP_RESOLVED_MS)) {
        return false;
    }
    return a->sent_at_ms == 0 || a->resolved_at_ms > a->sent_at_ms ||
           a->sent_at_ms + RESEND_MS < at_ms;
}

int64_t rule_alert_ends(const struct rule_alert *a, int64_t at_ms, int64_t interval_ms)
{
    return a->state == RULE_INACTIVE
               ? a->resolved_at_ms
               : at_ms + 4 * (interval_ms > RESEND_MS ? interval_ms : RESEND_MS);
}

void rule_run_send(struct rule_run *r, const struct rule_sink *to, int64_t at_ms,
                   int64_t interval_ms)
{
    for (size_t i = 0; to->emit != NULL && i < r->group->n_rules; i++) {
        for (size_t k = 0; k < r->rules[i].alerts.len; k++) {
            struct rule_alert *a = &r->rules[i].alerts.p[k];

            if (rule_alert_is_due(a, at_ms)) {
                a->sent_at_ms = at_ms;
                to->emit(to->ctx, &r->group->rules[i], a, rule_alert_ends(a, at_ms, interval_ms));
            }
        }
    }
}

/* --- when the files are read again --- */

static bool same_rule(const struct rule *a, const struct rule *b)
{
    return a->is_alert == b->is_alert && str_eq(a->name, b->name) &&
           labels_eq(a->labels, b->labels);
}

void rule_run_adopt(struct rule_run *to, struct rule_run *from)
{
    SCOPED(freep) bool *taken = xnew_array(bool, from->group->n_rules + 1);

    to->restores_after = from->restores_after;
    for (size_t i = 0; i < to->group->n_rules; i++) {
        for (size_t k = 0; k < from->group->n_rules; k++) {
            if (!taken[k] && same_rule(&to->group->rules[i], &from->group->rules[k])) {
                to->rules[i] = from->rules[k];
                from->rules[k] = (struct running){.last = {.list = {0}}};
                taken[k] = true;
                break;
            }
        }
    }
}

int rule_run_end(struct rule_run *r, const struct rule_host *h, int64_t at_ms, struct err *e)
{
    SCOPED(tsdb_appender_freep) struct tsdb_appender *a = tsdb_appender_new(h->db);

    for (size_t i = 0; i < r->group->n_rules; i++) {
        struct working w = {
            .state = &r->rules[i], .at_ms = at_ms, .query_ms = at_ms - r->group->query_offset_ms};

        for (size_t k = 0; k < r->rules[i].last.list.len; k++) {
            append(&w, a, r->rules[i].last.list.p[k], tsdb_stale());
        }
    }
    return tsdb_commit(a, TSDB_SOON, e);
}
