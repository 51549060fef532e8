/* rules - Prometheus' rule files: recording rules that write series, alerting rules that keep
 * alerts, and the tests that people write for both.
 *
 *   rules.yml --rules_parse--> groups --rule_run_eval(now)--> samples in tsdb, ALERTS
 *   tests.yml --rules_test--> report                          (the same, over series of the test)
 *
 * The rules of a group are worked out in their order, for one moment; each sees what those before
 * it wrote. A series that a rule no longer gives ends with a marker of staleness. Alerts
 * are handed to a sink; sending and routing is not done here.
 *
 * Threads: any; a run on one at a time. Limits: LIMIT_SPEC_BYTES a file, LIMIT_RULE_ALERTS. Source:
 * https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/ and
 * .../unit_testing_rules/ */
#pragma once
#include "base/buf.h"
#include "promql/promql.h"

struct tsdb;

struct rule {
    bool is_alert;
    unsigned line;
    struct str name; /* of the series, or of the alert */
    struct str text; /* of the expression */
    const struct promql_node *expression;
    struct labels labels, annotations; /* values are templates in alerts */
    int64_t for_ms, keep_firing_ms;
};

struct rule_group {
    struct str name;
    int64_t interval_ms; /* 0: that of the configuration */
    int64_t query_offset_ms;
    uint64_t limit; /* of series or alerts of each rule; 0: none */
    struct rule *rules;
    size_t n_rules;
};

struct rule_file {
    struct rule_group *groups;
    size_t n_groups;
};

/* All in the arena; the text may go. Every mistake with its line is in `errors`: -1 when there is
 * one. What Prometheus' files have is taken, any other key is a mistake. */
int rules_parse(struct arena *a, struct str text, struct rule_file *out,
                struct err_list *errors) MUST_USE;

/* Rules of the file that are the same as another: how many, each in `out`. */
size_t rules_duplicates(const struct rule_file *f, struct arena *a, struct err_list *out);

/* --- running them --- */

struct rule_host {
    struct tsdb *db;
    struct labels external; /* $externalLabels */
    struct str external_url;
    const struct promql_limits *limits;
    int64_t patience_ms; /* a rule that takes longer has failed; 0: any time */
};

enum rule_alert_state { RULE_INACTIVE, RULE_PENDING, RULE_FIRING };

struct rule_alert {
    struct arena arena, notes; /* of its labels, of its annotations */
    struct labels labels, annotations;
    double value;
    enum rule_alert_state state;
    int64_t active_at_ms, fired_at_ms, resolved_at_ms, keep_since_ms, sent_at_ms; /* 0: not */
    bool seen;
};

/* How a rule went the last time. */
struct rule_health {
    int64_t at_ms; /* 0: not yet */
    char error[512];
    size_t samples; /* written, markers too */
    size_t refused; /* that the store did not take: too old, too many series */
};

struct rule_run; /* of one group: what is known from one time to the next */
/* The group lives as long as the run. */
struct rule_run *rule_run_new(const struct rule_group *g) MUST_USE;
void rule_run_free(struct rule_run *r);
/* After a restart: alerts go on from what they wrote before. That is looked at after two turns, as
 * Prometheus does, when scrapes and the rules before have written what alerts depend on; until
 * then alerts write nothing. */
void rule_run_restore(struct rule_run *r);
void rule_run_eval(struct rule_run *r, const struct rule_host *h, int64_t at_ms);
/* Whoever sends alerts on: called without a lock, must not wait. */
struct rule_sink {
    void (*emit)(void *ctx, const struct rule *rule, const struct rule_alert *alert,
                 int64_t ends_ms); /* when it ended, or until when it is believed */
    void *ctx;
};
/* Those that began or ended since they were sent, and again each minute those that go on or ended
 * within 15 minutes. */
void rule_run_send(struct rule_run *r, const struct rule_sink *to, int64_t at_ms,
                   int64_t interval_ms);
/* Rules that have the name and labels of one of `from` go on with its alerts and series. */
void rule_run_adopt(struct rule_run *to, struct rule_run *from);
/* What it wrote the last time, ends. */
int rule_run_end(struct rule_run *r, const struct rule_host *h, int64_t at_ms,
                 struct err *e) MUST_USE;
const struct rule_group *rule_run_group(const struct rule_run *r);
const struct rule_health *rule_run_health(const struct rule_run *r, size_t rule);
/* Alerts of a rule by their labels, resolved ones of the last 15 minutes too; valid until the next
 * eval. */
const struct rule_alert *rule_run_alerts(const struct rule_run *r, size_t rule, size_t *n);
const char *rule_alert_state_name(enum rule_alert_state s);
/* Alerts of which the label `name` has this value are as if they had never been. */
void rule_run_forget(struct rule_run *r, struct str name, struct str value);

/* --- all of a server --- */

struct rules_parts {
    struct tsdb *db;
    const char *const *files; /* patterns expanded */
    size_t n_files;
    int64_t interval_ms;    /* of groups that have none: evaluation_interval */
    int64_t patience_ms;    /* of each rule, as in struct rule_host */
    size_t max_samples;     /* of each rule, as in struct promql_limits */
    struct labels external; /* it and the files are copied */
    struct str external_url;
    struct rule_sink sink; /* emit NULL: alerts are not sent on */
};

struct rules; /* a thread that works out all groups, each at its interval */
/* A file with a mistake is an error: nothing runs. Rules begin at their next interval. */
struct rules *rules_open(const struct rules_parts *parts, struct err *e) MUST_USE;
/* Takes these files from now on, with the alerts of rules that stay; series of those that go, end.
 * After a mistake everything is as it was. Returns when nothing of the old is worked out any more.
 */
int rules_reload(struct rules *r, const struct rules_parts *parts, struct err *e) MUST_USE;
void rules_close(struct rules *r);
DEFINE_SCOPED(struct rules, rules_close)

struct rules_shown_rule {
    const struct rule *rule;
    struct rule_health health;
    const struct rule_alert *alerts;
    size_t n_alerts;
};
struct rules_shown {
    const char *file;
    const struct rule_group *group;
    int64_t interval_ms, at_ms, took_ms;  /* at 0: not yet */
    const struct rules_shown_rule *rules; /* group->n_rules */
};
typedef void rules_visitor(void *ctx, const struct rules_shown *g);
/* Each group as it was the last time. A lock is held meanwhile: `fn` copies, and calls nobody. */
void rules_visit(struct rules *r, rules_visitor *fn, void *ctx);

/* The same in all groups, when it returns; what an evaluation wrote before is still in the store.
 */
void rules_forget(struct rules *r, struct str name, struct str value);

/* Alerts of the store itself, which no rule can tell: StrataMetricsPaused, StrataMetricsFull,
 * StrataRemoteWriteLost, firing or inactive. In the arena. rules_open() sends them to its sink,
 * too. */
enum { RULES_OWN = 3 };
void rules_own_alerts(struct tsdb *db, struct arena *a, struct rule_alert out[RULES_OWN]);

/* --- tests of rules --- */

/* Runs a file of tests, whose rule files are relative to it. The report says what each test
 * expected and what came. -1: the file cannot be read; else the number of tests that failed. */
int rules_test(const char *path, struct buf *report, struct err *e) MUST_USE;
