/* run - a group of rules, worked out for one moment. */
#include "rules/rules_priv.h"
#include "rules/template.h"

#include "base/clock.h"
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
    VEC(struct rule_alert) alerts; /* by their labels */
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

/* An element of the answer, as an alert. */
struct found {
    struct labels labels, annotations;
    double value;
};

struct working {
    const struct rule_host *host;
    const struct rule_group *group;
    const struct rule *rule;
    struct running *state;
    bool writes_alerts;
    int64_t at_ms;    /* of the iteration */
    int64_t query_ms; /* that, less the offset of the group: what is asked and written */
    struct promql_limits limits;
    int64_t deadline_ms; /* monotonic; 0: none */
    struct arena arena;
    VEC(struct result) results; /* what will be written */
    VEC(struct found) found;
};

static bool is_over(void *ctx)
{
    const struct working *w = ctx;
    const struct promql_limits *l = w->host->limits;

    return (w->deadline_ms != 0 && clock_mono_ms() >= w->deadline_ms) ||
           (l->is_over != NULL && l->is_over(l->ctx));
}

/* One thread works out all rules: what takes too long ends, so that the others have their turn. */
static void begin(struct working *w)
{
    w->limits = *w->host->limits;
    w->limits.is_over = is_over;
    w->limits.ctx = w;
    w->deadline_ms = w->host->patience_ms > 0 ? clock_mono_ms() + w->host->patience_ms : 0;
}

static void working_done(struct working *w)
{
    vec_done(&w->results);
    vec_done(&w->found);
    arena_done(&w->arena);
}

static int ask(const struct working *w, const struct promql_node *query, int64_t at_ms,
               struct arena *a, struct promql_answer *out, struct err *e)
{
    struct promql_range now = {at_ms, at_ms, 0};
    int64_t from, to;

    promql_times(query, &now, &w->limits, &from, &to);

    SCOPED(tsdb_view_closep) struct tsdb_view *view = tsdb_view_open(w->host->db, from, to);

    return promql_run(view, query, &now, &w->limits, a, out, e);
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

    return query == NULL ? -1 : ask(w, query, w->at_ms, a, out, e);
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

/* One element of the answer is one alert. */
static void find_alert(struct working *w, struct labels element, double value)
{
    struct rule_values v = {.labels = element,
                            .external = w->host->external,
                            .external_url = w->host->external_url,
                            .value = value,
                            .at_ms = w->at_ms,
                            .query = ask_template,
                            .is_over = is_over,
                            .ctx = w};
    struct labels own = expand_all(w, w->rule->labels, &v);

    *vec_push(&w->found) =
        (struct found){put_over(&w->arena, element, own, STR("alertname"), w->rule->name),
                       expand_all(w, w->rule->annotations, &v), value};
}

static int found_by_labels(const void *a, const void *b)
{
    return labels_cmp(((const struct found *)a)->labels, ((const struct found *)b)->labels);
}

/* All alerts of an answer, by their labels, each once. */
static int find_alerts(struct working *w, const struct promql_answer *a, struct err *e)
{
    if (a->type == PROMQL_SCALAR) {
        find_alert(w, (struct labels){NULL, 0}, a->scalar);
    }
    for (size_t i = 0; i < a->n_rows; i++) {
        find_alert(w, a->rows[i].labels, a->rows[i].v[0]);
        if (is_over(w)) { /* in the midst of its templates, perhaps */
            return err_set(e, ERR_TIMEOUT,
                           "the templates of %zu alerts take too long: aggregate the expression, "
                           "or give the group a limit",
                           a->n_rows);
        }
    }
    if (w->found.len > 0) {
        qsort(w->found.p, w->found.len, sizeof(struct found), found_by_labels);
    }
    for (size_t i = 1; i < w->found.len; i++) {
        if (labels_eq(w->found.p[i - 1].labels, w->found.p[i].labels)) {
            return err_set(
                e, ERR_INVALID,
                "vector contains metrics with the same labelset after applying alert labels");
        }
    }
    return 0;
}

static void see_alert(const struct working *w, struct rule_alert *a, const struct found *f)
{
    if (a->state == RULE_INACTIVE) { /* new, or anew */
        struct rule_alert fresh = {.state = RULE_PENDING, .active_at_ms = w->at_ms};

        alert_done(a);
        fresh.labels = labels_copy(&fresh.arena, f->labels);
        *a = fresh;
    }
    arena_reset(&a->notes);
    a->annotations = labels_copy(&a->notes, f->annotations);
    a->value = f->value;
    a->seen = true;
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
        bool is_crowded = w->state->alerts.len > LIMIT_RULE_ALERTS;

        if (a->state == RULE_PENDING ||
            (a->resolved_at_ms != 0 &&
             (is_crowded || w->at_ms - a->resolved_at_ms > KEEP_RESOLVED_MS))) {
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

/* What there was and what was found, one beside the other, become what there is. */
static void step_alerts(struct working *w)
{
    struct running *r = w->state;
    size_t i = 0, k = 0;
    VEC(struct rule_alert) next = {0};

    while (i < r->alerts.len || k < w->found.len) {
        struct rule_alert a = {.state = RULE_INACTIVE};
        int order = i == r->alerts.len  ? 1
                    : k == w->found.len ? -1
                                        : labels_cmp(r->alerts.p[i].labels, w->found.p[k].labels);

        if (order <= 0) {
            a = r->alerts.p[i++];
            a.seen = false;
        }
        if (order >= 0) {
            see_alert(w, &a, &w->found.p[k++]);
        }
        if (step_alert(w, &a)) {
            *vec_push(&next) = a;
        } else {
            alert_done(&a);
        }
    }
    vec_done(&r->alerts);
    memcpy(&r->alerts, &next, sizeof(next));
}

static int alerts(struct working *w, const struct promql_answer *a, struct err *e)
{
    struct running *r = w->state;
    size_t active = 0;

    /* before anything is done for each of them */
    if (over_limit(w, a->n_rows, "alerts", e) < 0) {
        forget_alerts(r);
        return -1;
    }
    if (a->n_rows > LIMIT_RULE_ALERTS) { /* those that are known go on */
        return err_set(e, ERR_LIMIT,
                       "the expression gives %zu alerts; at most %d are kept: aggregate it, or "
                       "choose fewer series",
                       a->n_rows, LIMIT_RULE_ALERTS);
    }
    if (find_alerts(w, a, e) < 0) {
        return -1;
    }
    step_alerts(w);
    for (size_t i = 0; i < r->alerts.len; i++) {
        if (r->alerts.p[i].state != RULE_INACTIVE) {
            active++;
            if (w->writes_alerts) {
                write_alert(w, &r->alerts.p[i]);
            }
        }
    }
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

    begin(&w);
    w.state->health = (struct rule_health){.at_ms = at_ms};
    result = ask(&w, w.rule->expression, w.query_ms, &w.arena, &answer, &e);
    if (result == 0) {
        result = w.rule->is_alert ? alerts(&w, &answer, &e) : record(&w, &answer, &e);
    }
    if (result == 0) { /* after a mistake nothing ends: the next time may be better */
        result = write_results(&w, &e);
    }
    if (result < 0) {
        snprintf(w.state->health.error, sizeof(w.state->health.error), "%s", e.msg);
    }
    working_done(&w);
}

/* --- after a restart --- */

static int alerts_by_labels(const void *a, const void *b)
{
    return labels_cmp(((const struct rule_alert *)a)->labels,
                      ((const struct rule_alert *)b)->labels);
}

struct rule_alert *rule_alert_of(struct rule_alert *alerts, size_t n, struct labels s)
{
    struct rule_alert key = {.labels = s};

    return n == 0 ? NULL : bsearch(&key, alerts, n, sizeof(key), alerts_by_labels);
}

/* Takes up alerts that were firing and are not seen any more, as many as the rule may have. */
static void keep(struct working *w, const struct rule_kept *kept, size_t n)
{
    struct running *r = w->state;
    size_t known = r->alerts.len, most = w->group->limit > 0 && w->group->limit < LIMIT_RULE_ALERTS
                                             ? w->group->limit
                                             : LIMIT_RULE_ALERTS;

    for (size_t i = 0; i < n && r->alerts.len < most; i++) {
        struct rule_alert a = {.state = RULE_FIRING,
                               .active_at_ms = kept[i].seen_ms,
                               .fired_at_ms = kept[i].seen_ms,
                               .keep_since_ms = kept[i].seen_ms};

        if (rule_alert_of(r->alerts.p, known, kept[i].labels) == NULL) {
            a.labels = labels_copy(&a.arena, kept[i].labels);
            *vec_push(&r->alerts) = a;
        }
    }
    if (r->alerts.len > known) {
        qsort(r->alerts.p, r->alerts.len, sizeof(struct rule_alert), alerts_by_labels);
    }
}

static void restore(struct rule_run *r, const struct rule_host *h, int64_t at_ms)
{
    SCOPED(tsdb_view_closep)
    struct tsdb_view *view = tsdb_view_open(h->db, at_ms - RULES_RESTORE_MS, at_ms);

    for (size_t i = 0; i < r->group->n_rules; i++) {
        struct working w = {
            .host = h, .group = r->group, .rule = &r->group->rules[i], .state = &r->rules[i]};
        struct rule_kept *kept = NULL;
        size_t n;

        if (w.rule->is_alert) {
            begin(&w);
            tsdb_view_heed(view, is_over, &w);
            n = rule_restore_kept(view, w.rule, at_ms, &w.limits, &w.arena, &kept);
            keep(&w, kept, n);
            rule_restore_for(view, w.rule, w.state->alerts.p, w.state->alerts.len, at_ms,
                             &w.limits);
            tsdb_view_heed(view, NULL, NULL);
            working_done(&w);
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
        int64_t wrote_ms = r->rules[i].health.at_ms; /* a sample of then is no end */
        struct working w = {.state = &r->rules[i],
                            .at_ms = at_ms > wrote_ms ? at_ms : wrote_ms + 1};

        w.query_ms = w.at_ms - r->group->query_offset_ms;

        for (size_t k = 0; k < r->rules[i].last.list.len; k++) {
            append(&w, a, r->rules[i].last.list.p[k], tsdb_stale());
        }
    }
    return tsdb_commit(a, TSDB_SOON, e);
}
