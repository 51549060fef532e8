/* Alerts of the store itself: what no rule can tell, since nothing that rules read or write is
 * taken then, or what nobody wrote a rule for. */
#include "rules/rules_priv.h"

#include "base/clock.h"
#include "tsdb/tsdb.h"

enum { LOST_SHOWN_MS = 3600 * 1000 };

static const struct rule own_rules[RULES_OWN] = {
    {.is_alert = true,
     .name = {"StrataMetricsPaused", 19},
     .text = {"strata_tsdb_paused == 1", 23}},
    {.is_alert = true,
     .name = {"StrataMetricsFull", 17},
     .text = {"increase(strata_tsdb_series_refused_total[5m]) > 0", 50}},
    {.is_alert = true,
     .name = {"StrataRemoteWriteLost", 21},
     .text = {"increase(strata_remote_write_lost_bytes_total[1h]) > 0", 54}},
};

static void fire(struct rule_alert *a, struct arena *to, const struct rule *rule,
                 const char *severity, int64_t since_ms)
{
    *a = (struct rule_alert){
        .state = RULE_FIRING, .value = 1, .active_at_ms = since_ms, .fired_at_ms = since_ms};
    a->labels =
        labels_copy(to, (struct labels){(struct label[]){{STR("alertname"), rule->name},
                                                         {STR("severity"), str_of(severity)}},
                                        2});
}

static void say(struct rule_alert *a, struct arena *to, struct str summary)
{
    a->annotations = labels_copy(to, (struct labels){&(struct label){STR("summary"), summary}, 1});
}

void rules_own_alerts(struct tsdb *db, struct arena *a, struct rule_alert out[RULES_OWN])
{
    struct tsdb_status store;

    tsdb_status(db, &store);
    out[0] = out[1] = out[2] = (struct rule_alert){.state = RULE_INACTIVE};
    if (store.paused_since_ms != 0) {
        fire(&out[0], a, &own_rules[0], "critical", store.paused_since_ms);
        say(&out[0], a, str_of(store.paused_why));
    }
    if (store.full_since_ms != 0) {
        fire(&out[1], a, &own_rules[1], "warning", store.full_since_ms);
        say(&out[1], a,
            str_of(arena_printf(a,
                                "metrics.max_series: there are %llu series; new ones are refused, "
                                "%llu so far",
                                (unsigned long long)store.series,
                                (unsigned long long)store.series_refused)));
    }
    if (store.lost_ms != 0 && clock_wall_ms() - store.lost_ms < LOST_SHOWN_MS) {
        fire(&out[2], a, &own_rules[2], "critical", store.lost_ms);
        say(&out[2], a,
            STR("a peer of remote_write was away for so long that samples for it were dropped; "
                "metrics.remote_write_backlog says how much is kept"));
    }
}

/* What `was` becomes. */
static void step(struct rule_alert *was, const struct rule_alert *now, int64_t at_ms)
{
    if (now->state == RULE_FIRING && was->state != RULE_FIRING) {
        arena_reset(&was->arena);
        was->labels = labels_copy(&was->arena, now->labels);
        was->fired_at_ms = now->fired_at_ms;
        was->resolved_at_ms = was->sent_at_ms = 0;
    }
    if (now->state == RULE_FIRING) {
        arena_reset(&was->notes);
        was->annotations = labels_copy(&was->notes, now->annotations);
    } else if (was->state == RULE_FIRING) {
        was->resolved_at_ms = at_ms;
    }
    was->state = now->state;
}

void rule_own_send(struct rule_own *o, struct tsdb *db, const struct rule_sink *to, int64_t at_ms)
{
    SCOPED(arena_done) struct arena a = {0};
    struct rule_alert now[RULES_OWN];

    rules_own_alerts(db, &a, now);
    for (size_t i = 0; to->emit != NULL && i < RULES_OWN; i++) {
        struct rule_alert *was = &o->alerts[i];

        step(was, &now[i], at_ms);
        if (was->fired_at_ms != 0 && rule_alert_is_due(was, at_ms)) {
            was->sent_at_ms = at_ms;
            to->emit(to->ctx, &own_rules[i], was, rule_alert_ends(was, at_ms, 0));
        }
    }
}

void rule_own_done(struct rule_own *o)
{
    for (size_t i = 0; i < RULES_OWN; i++) {
        arena_done(&o->alerts[i].arena);
        arena_done(&o->alerts[i].notes);
    }
}
