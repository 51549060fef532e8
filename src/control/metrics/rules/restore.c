/* restore - alerts go on over a restart: what they wrote as ALERTS and ALERTS_FOR_STATE says since
 * when they are. */
#include "rules/rules_priv.h"

#include "tsdb/tsdb.h"

#include <string.h>

/* As in Prometheus. */
enum {
    OUTAGE_TOLERANCE_MS = 60 * 60 * 1000, /* what ended longer ago, begins anew */
    FOR_GRACE_MS = 10 * 60 * 1000         /* no alert fires sooner after a restart */
};

static bool is_over(const struct promql_limits *l)
{
    return l->is_over != NULL && l->is_over(l->ctx);
}

/* The last sample of a series; false when it has none, or has ended. */
static bool last_of(struct tsdb_view *view, const struct tsdb_found *series, int64_t now_ms,
                    int64_t *at_ms, double *v)
{
    struct tsdb_samples s = {0};
    struct err e;
    bool there =
        tsdb_read(view, series, now_ms - OUTAGE_TOLERANCE_MS, now_ms, &s, &e) == 0 && s.len > 0;

    if (there) {
        *at_ms = s.ts_ms[s.len - 1];
        *v = s.v[s.len - 1];
        there = !tsdb_is_stale(*v) && *v >= 0 && *v <= (double)now_ms / 1000;
    }
    tsdb_samples_done(&s);
    return there;
}

/* Series of the alerting rule under `name`; `firing`: only those. */
static int find(struct tsdb_view *view, const struct rule *rule, const char *name, bool firing,
                struct arena *a, struct tsdb_found **out, size_t *n, struct err *e)
{
    struct label_matcher m[3];
    size_t len = firing ? 3 : 2;

    if (label_matcher_init(&m[0], a, STR(LABEL_NAME), LABEL_IS, str_of(name), e) < 0 ||
        label_matcher_init(&m[1], a, STR("alertname"), LABEL_IS, rule->name, e) < 0 ||
        label_matcher_init(&m[2], a, STR("alertstate"), LABEL_IS, STR("firing"), e) < 0) {
        return -1;
    }
    return tsdb_select(view, m, len, a, out, n, e);
}

/* The labels of the alert that wrote the series. */
static struct labels alert_labels(struct arena *a, struct labels series)
{
    struct labels s = {arena_new_array(a, struct label, series.len + 1), 0};

    for (size_t i = 0; i < series.len; i++) {
        if (!str_eq(series.p[i].name, STR(LABEL_NAME)) &&
            !str_eq(series.p[i].name, STR("alertstate"))) {
            s.p[s.len++] = series.p[i];
        }
    }
    return s;
}

/* --- for --- */

/* Since when an alert is, that was at `down_ms` and had begun at `active_ms`: the time without us
 * does not count as waiting. */
static int64_t active_since(int64_t for_ms, int64_t active_ms, int64_t down_ms, int64_t now_ms)
{
    int64_t left_ms = for_ms - (down_ms - active_ms);

    if (left_ms <= 0) { /* it was firing, and does so at the next turn */
        return active_ms;
    }
    return left_ms < FOR_GRACE_MS ? now_ms + FOR_GRACE_MS - for_ms : active_ms + now_ms - down_ms;
}

void rule_restore_for(struct tsdb_view *view, const struct rule *rule, struct rule_alert *alerts,
                      size_t n, int64_t now_ms, const struct promql_limits *limits)
{
    SCOPED(arena_done) struct arena a = {0};
    struct tsdb_found *found;
    struct err e;
    size_t len;

    if (rule->for_ms < FOR_GRACE_MS || n == 0 ||
        find(view, rule, "ALERTS_FOR_STATE", false, &a, &found, &len, &e) < 0) {
        return; /* it waits anew: later, never too early */
    }
    for (size_t i = 0; i < len && !is_over(limits); i++) {
        struct rule_alert *alert = rule_alert_of(alerts, n, alert_labels(&a, found[i].labels));
        int64_t at_ms;
        double v;

        if (alert != NULL && alert->state != RULE_INACTIVE &&
            last_of(view, &found[i], now_ms, &at_ms, &v)) {
            alert->active_at_ms = active_since(rule->for_ms, (int64_t)v * 1000, at_ms, now_ms);
        }
    }
}

/* --- keep_firing_for --- */

/* The labels that the rule itself gives are there. */
static bool is_of(const struct rule *rule, struct labels s)
{
    for (size_t i = 0; i < rule->labels.len; i++) {
        if (str_find(rule->labels.p[i].value, STR("{{")) < 0 &&
            !str_eq(labels_get(s, rule->labels.p[i].name), rule->labels.p[i].value)) {
            return false;
        }
    }
    return true;
}

size_t rule_restore_kept(struct tsdb_view *view, const struct rule *rule, int64_t now_ms,
                         const struct promql_limits *limits, struct arena *a,
                         struct rule_kept **out)
{
    struct tsdb_found *found;
    struct err e;
    size_t len, n = 0;

    if (rule->keep_firing_ms == 0 || find(view, rule, "ALERTS", true, a, &found, &len, &e) < 0) {
        return 0;
    }
    *out = arena_new_array(a, struct rule_kept, len + 1);
    for (size_t i = 0; i < len && !is_over(limits); i++) {
        struct labels s = alert_labels(a, found[i].labels);
        int64_t at_ms;
        double v;

        if (is_of(rule, s) && last_of(view, &found[i], now_ms, &at_ms, &v) &&
            now_ms - at_ms < rule->keep_firing_ms) {
            (*out)[n++] = (struct rule_kept){s, at_ms};
        }
    }
    return n;
}
