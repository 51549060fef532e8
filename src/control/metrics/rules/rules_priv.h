/* rules_priv - reading YAML that knows its keys, for rule files and their tests; alerts that go on
 * over a restart. */
#pragma once
#include "rules/rules.h"

struct yaml_node;

void rules_mistake(struct err_list *l, const struct yaml_node *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* False when it is no map at all; every unknown key is a mistake. */
bool rules_only_keys(const struct yaml_node *map, const char *const *keys, size_t n,
                     const char *where, struct err_list *l);
struct str rules_text(const struct yaml_node *map, const char *key, struct err_list *l);
int64_t rules_duration(const struct yaml_node *map, const char *key, int64_t otherwise,
                       struct err_list *l);
/* By name; those without value too. */
struct labels rules_labels(struct arena *a, const struct yaml_node *map, const char *key,
                           struct err_list *l);

/* --- sending --- */

/* It began or ended since it was sent, or a minute has gone. */
bool rule_alert_is_due(const struct rule_alert *a, int64_t at_ms);
/* When it ended, or until when it is to be believed. */
int64_t rule_alert_ends(const struct rule_alert *a, int64_t at_ms, int64_t interval_ms);

/* rules_own_alerts() as they were the last time. */
struct rule_own {
    struct rule_alert alerts[RULES_OWN];
};
void rule_own_send(struct rule_own *o, struct tsdb *db, const struct rule_sink *to, int64_t at_ms);
void rule_own_done(struct rule_own *o);

/* --- over a restart --- */

struct tsdb_view;

/* The one with these labels; NULL: none. They are in the order of their labels. */
struct rule_alert *rule_alert_of(struct rule_alert *alerts, size_t n, struct labels s);
/* Moves the beginning of alerts, which are in the order of their labels, to where it was. Of a view
 * on the last hour. When the limits say that it is over, the others wait anew. */
void rule_restore_for(struct tsdb_view *view, const struct rule *rule, struct rule_alert *alerts,
                      size_t n, int64_t now_ms, const struct promql_limits *limits);
/* An alert that was firing at `seen_ms`, and would be kept until now. */
struct rule_kept {
    struct labels labels;
    int64_t seen_ms;
};
size_t rule_restore_kept(struct tsdb_view *view, const struct rule *rule, int64_t now_ms,
                         const struct promql_limits *limits, struct arena *a,
                         struct rule_kept **out);
#define RULES_RESTORE_MS (60 * 60 * 1000) /* what the view must have */
