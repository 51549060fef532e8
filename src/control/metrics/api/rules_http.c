/* Rules, how they went, and the alerts that came of them. */
#include "metrics_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "base/vec.h"
#include "rules/rules.h"

struct showing {
    const struct sight *sight;
    struct buf *out;
    struct ask *ask;
    bool alerts_only; /* for /alerts */
    bool with_alerts, with_records;
    bool any;
    VEC(struct rules_shown) groups;
    /* of /rules */
    struct selectors selectors;
    struct patience patience;
    bool no_alerts;
};

static void comma(struct buf *out, bool *any)
{
    (void)buf_add(out, *any ? STR(",") : STR_EMPTY);
    *any = true;
}

static void write_alert(struct buf *out, const struct rule_alert *a)
{
    struct jw w = JW(out);
    char text[NUMBER_TEXT_MAX];

    jw_object(&w);
    kv_labels(&w, "labels", a->labels);
    kv_labels(&w, "annotations", a->annotations);
    jw_kv_c(&w, "state", rule_alert_state_name(a->state));
    kv_time(&w, "activeAt", a->active_at_ms);
    jw_kv_str(&w, "value", str_n(text, number_exponent(a->value, text)));
    jw_end(&w);
}

static void write_alerts(struct showing *s, const struct rules_shown_rule *r, bool *any)
{
    for (size_t i = 0; i < r->n_alerts && !s->no_alerts; i++) {
        comma(s->out, any);
        write_alert(s->out, &r->alerts[i]);
    }
}

static const char *state_of(const struct rules_shown_rule *r)
{
    enum rule_alert_state most = RULE_INACTIVE;

    for (size_t i = 0; i < r->n_alerts; i++) {
        most = r->alerts[i].state > most ? r->alerts[i].state : most;
    }
    return rule_alert_state_name(most);
}

static void write_alerting(struct showing *s, const struct rules_shown_rule *r)
{
    bool any = false;

    (void)buf_printf(s->out,
                     ",\"state\":\"%s\",\"duration\":%g,\"keepFiringFor\":%g,\"annotations\":",
                     s->sight->all ? state_of(r) : "unknown", (double)r->rule->for_ms / 1000,
                     (double)r->rule->keep_firing_ms / 1000);
    put_labels(s->out, r->rule->annotations);
    (void)buf_add(s->out, STR(",\"alerts\":["));
    write_alerts(s, r, &any);
    (void)buf_add(s->out, STR("]"));
}

static void write_rule(struct showing *s, const struct rules_shown_rule *r, int64_t took_ms)
{
    const struct rule *rule = r->rule;
    char when[32];

    (void)buf_add(s->out, STR("{\"name\":"));
    put_text(s->out, rule->name);
    (void)buf_add(s->out, STR(",\"query\":"));
    put_text(s->out, rule->text);
    (void)buf_add(s->out, STR(",\"labels\":"));
    put_labels(s->out, rule->labels);
    (void)buf_printf(s->out, ",\"health\":\"%s\",\"lastError\":",
                     r->health.at_ms == 0      ? "unknown"
                     : r->health.error[0] != 0 ? "err"
                                               : "ok");
    /* It may name series of others. */
    put_text(s->out, s->sight->all || r->health.error[0] == 0
                         ? str_of(r->health.error)
                         : STR("the rule failed; administrators see why"));
    (void)buf_printf(s->out, ",\"evaluationTime\":%g,\"lastEvaluation\":\"%s\",\"type\":\"%s\"",
                     (double)took_ms / 1000,
                     r->health.at_ms == 0 ? "0001-01-01T00:00:00Z"
                                          : clock_format(r->health.at_ms, when),
                     rule->is_alert ? "alerting" : "recording");
    if (rule->is_alert) {
        write_alerting(s, r);
    }
    (void)buf_add(s->out, STR("}"));
}

static struct str file_of(const struct showing *s, const struct rules_shown *g)
{
    return str_of(s->sight->all ? g->file : "");
}

static void show_group(struct showing *s, const struct rules_shown *g)
{
    bool any = false;
    char when[32];

    comma(s->out, &s->any);
    (void)buf_add(s->out, STR("{\"name\":"));
    put_text(s->out, g->group->name);
    (void)buf_add(s->out, STR(",\"file\":"));
    put_text(s->out, file_of(s, g));
    (void)buf_printf(s->out,
                     ",\"interval\":%g,\"limit\":%llu,\"evaluationTime\":%g,"
                     "\"lastEvaluation\":\"%s\",\"rules\":[",
                     (double)g->interval_ms / 1000, (unsigned long long)g->group->limit,
                     (double)g->took_ms / 1000,
                     g->at_ms == 0 ? "0001-01-01T00:00:00Z" : clock_format(g->at_ms, when));
    for (size_t i = 0; i < g->group->n_rules; i++) {
        comma(s->out, &any);
        write_rule(s, &g->rules[i], g->took_ms);
    }
    (void)buf_add(s->out, STR("]}"));
}

/* --- which: copied while the rules are held, chosen afterwards --- */

static bool is_shown(const struct showing *s, const struct rule_alert *a)
{
    return a->state != RULE_INACTIVE && sight_takes(s->sight, a->labels);
}

static void copy_alerts(struct showing *s, const struct rules_shown_rule *from,
                        struct rules_shown_rule *to)
{
    struct arena *a = &s->ask->arena;
    struct rule_alert *alerts = arena_new_array(a, struct rule_alert, from->n_alerts + 1);

    to->alerts = alerts;
    to->n_alerts = 0;
    for (size_t i = 0; i < from->n_alerts; i++) {
        if (is_shown(s, &from->alerts[i])) {
            struct rule_alert *one = &alerts[to->n_alerts++];

            *one = from->alerts[i];
            one->labels = labels_copy(a, s->no_alerts ? (struct labels){NULL, 0} : one->labels);
            one->annotations =
                labels_copy(a, s->no_alerts ? (struct labels){NULL, 0} : one->annotations);
        }
    }
}

static void copy_rule(struct showing *s, const struct rules_shown_rule *from,
                      struct rules_shown_rule *to)
{
    struct arena *a = &s->ask->arena;
    struct rule *rule = arena_new(a, struct rule);

    *rule = *from->rule;
    rule->name = arena_str(a, rule->name);
    rule->text = arena_str(a, rule->text);
    rule->expression = NULL;
    rule->labels = labels_copy(a, rule->labels);
    rule->annotations = labels_copy(a, rule->annotations);
    *to = *from;
    to->rule = rule;
    copy_alerts(s, from, to);
}

static bool rule_is_wanted(const struct showing *s, const struct rule *r)
{
    return (r->is_alert ? s->with_alerts : s->with_records) && sight_takes(s->sight, r->labels) &&
           ask_takes(s->ask, "rule_name[]", r->name);
}

/* What can be told without an expression is left out here. */
static void copy_group(void *ctx, const struct rules_shown *g)
{
    struct showing *s = ctx;
    struct arena *a = &s->ask->arena;
    struct rules_shown_rule *rules;
    struct rule_group *group;

    if (!s->alerts_only && (!ask_takes(s->ask, "rule_group[]", g->group->name) ||
                            !ask_takes(s->ask, "file[]", file_of(s, g)))) {
        return;
    }
    rules = arena_new_array(a, struct rules_shown_rule, g->group->n_rules + 1);
    group = arena_new(a, struct rule_group);
    *group = *g->group;
    group->name = arena_str(a, group->name);
    group->rules = NULL;
    group->n_rules = 0;
    for (size_t i = 0; i < g->group->n_rules; i++) {
        if (s->alerts_only || rule_is_wanted(s, g->rules[i].rule)) {
            copy_rule(s, &g->rules[i], &rules[group->n_rules++]);
        }
    }
    if (group->n_rules > 0) {
        struct rules_shown *to = vec_push(&s->groups);

        *to = *g;
        to->file = arena_strdup(a, str_of(g->file));
        to->group = group;
        to->rules = rules;
    }
}

/* 1, 0; -1: an expression, or all of them, take too long. */
static int is_selected(struct showing *s, struct labels labels, struct err *e)
{
    int taken = s->selectors.len == 0;

    for (size_t i = 0; i < s->selectors.len && taken == 0; i++) {
        const struct selector *one = &s->selectors.p[i];

        if (patience_is_over(&s->patience)) {
            return err_set(e, ERR_TIMEOUT,
                           "query timed out or was cancelled in expression evaluation");
        }
        taken = label_matchers_match(one->m, one->n, labels, e);
    }
    return taken;
}

/* Leaves the rules that match[] takes: 1; 0: there is none. */
static int choose(struct showing *s, struct rules_shown *g, struct err *e)
{
    struct arena *a = &s->ask->arena;
    struct rules_shown_rule *rules =
        arena_new_array(a, struct rules_shown_rule, g->group->n_rules + 1);
    struct rule_group *group = arena_new(a, struct rule_group);

    *group = *g->group;
    group->n_rules = 0;
    for (size_t i = 0; i < g->group->n_rules; i++) {
        int taken = is_selected(s, g->rules[i].rule->labels, e);

        if (taken < 0) {
            return -1;
        }
        if (taken > 0) {
            rules[group->n_rules++] = g->rules[i];
        }
    }
    g->group = group;
    g->rules = rules;
    return group->n_rules > 0;
}

static int show(struct showing *s, struct err *e)
{
    int result = 0;

    rules_visit(s->ask->m->rules, copy_group, s);
    for (size_t i = 0; i < s->groups.len && result >= 0; i++) {
        struct rules_shown *g = &s->groups.p[i];

        for (size_t k = 0; s->alerts_only && k < g->group->n_rules; k++) {
            write_alerts(s, &g->rules[k], &s->any);
        }
        result = s->alerts_only ? 0 : choose(s, g, e);
        if (result > 0) {
            show_group(s, g);
        }
    }
    vec_done(&s->groups);
    return result < 0 ? -1 : 0;
}

static int rules(struct ask *a, struct answer *out, struct err *e)
{
    struct str type = ask_str(a, "type"), exclude = ask_str(a, "exclude_alerts");
    struct sight sight;
    struct showing s = {.sight = &sight,
                        .out = &out->buf,
                        .ask = a,
                        .no_alerts = str_eq_c(exclude, "true") || str_eq_c(exclude, "1"),
                        .with_alerts = !str_eq_c(type, "record"),
                        .with_records = !str_eq_c(type, "alert")};

    if (type.len > 0 && !str_eq_c(type, "alert") && !str_eq_c(type, "record")) {
        return err_set(e, ERR_INVALID, "not supported value \"%.*s\"",
                       STR_ARG(str_first(type, 40)));
    }
    if (exclude.len > 0 && !s.no_alerts && !str_eq_c(exclude, "false") && !str_eq_c(exclude, "0")) {
        return err_set(e, ERR_INVALID,
                       "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid %s",
                       "exclude_alerts", STR_ARG(str_first(exclude, 40)), "boolean");
    }
    if (ask_sight(a, &sight, e) < 0 || ask_selectors(a, &sight, &s.selectors, e) < 0 ||
        ask_patience(a, &s.patience, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR("{\"groups\":["));
    if (show(&s, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR("]}"));
    return 0;
}

static void show_store(struct ask *a, struct showing *s)
{
    struct rule_alert own[RULES_OWN];

    rules_own_alerts(a->m->db, &a->arena, own);
    for (size_t i = 0; s->sight->all && i < RULES_OWN; i++) {
        if (own[i].state == RULE_FIRING) {
            comma(s->out, &s->any);
            write_alert(s->out, &own[i]);
        }
    }
}

static int alerts(struct ask *a, struct answer *out, struct err *e)
{
    struct sight sight;
    struct showing s = {.sight = &sight, .out = &out->buf, .ask = a, .alerts_only = true};

    if (ask_sight(a, &sight, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR("{\"alerts\":["));
    show_store(a, &s);
    if (show(&s, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR("]}"));
    return 0;
}

int prom_rules(struct http_req *req, struct err *e)
{
    int result = answer_ask(req, rules, e);

    return result < 0 && (e->kind == ERR_LIMIT || e->kind == ERR_TIMEOUT)
               ? answer_refuse(req, NULL, e)
               : result;
}

int prom_alerts(struct http_req *req, struct err *e)
{
    return answer_ask(req, alerts, e);
}
