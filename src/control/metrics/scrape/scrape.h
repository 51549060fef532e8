/* scrape - asks targets for their numbers, at their interval, and puts them into the store.
 *
 *   configuration --> discovery --> relabeling --> targets --> loops --> exposition --> tsdb
 *                                                  (one thread waits for all answers; a few read
 *                                                   pages)
 *
 * The configuration is a file of Prometheus 3, unchanged: `global`, `scrape_configs`,
 * `scrape_config_files`, `rule_files`, `remote_write`, `alerting`. A key that we do not have is
 * refused with its file and line. After a change of the file: scrape_reload(); what did not change
 * goes on undisturbed.
 *
 * Threads: any. On disk: nothing; what peers have of the store, the store knows.
 * Limits: LIMIT_SCRAPE_*. A target is hostile: endless bodies, hanging answers and invalid text end
 * in `up 0` with the reason in scrape_targets(). */
#pragma once
#include "base/buf.h"
#include "fetch/deny.h"
#include "labels/labels.h"

struct scrape;
struct tsdb;

struct scrape_options {
    struct tsdb *db;         /* outlives the scraper */
    const char *config_file; /* absolute; NULL: only what is ours */
    const char *own_config;  /* YAML of the same form: own nodes and services; NULL: none */
    unsigned threads;        /* that read pages; 0: two */
    /* Where nothing that config_file or discovery says leads; kept by the caller. What is ours goes
     * anywhere. */
    struct fetch_deny deny;
};

/* Reads the configuration (ERR_INVALID names file, line, key and what to do) and begins. */
struct scrape *scrape_start(const struct scrape_options *o, struct err *e) MUST_USE;
/* Ends all loops. No markers of staleness are written: the next start goes on. */
void scrape_stop(struct scrape *s);
DEFINE_SCOPED(struct scrape, scrape_stop)
/* Reads the files again. Failing, nothing changes. */
int scrape_reload(struct scrape *s, struct err *e) MUST_USE;
/* Other targets of our own from now on (nodes came and went). Failing, nothing changes. */
int scrape_set_own(struct scrape *s, const char *own_config, struct err *e) MUST_USE;

/* Returns when what is asked for now (a target may still tell of what ended meanwhile) is in the
 * store; a target that keeps us waiting for ten seconds is not waited for. */
void scrape_settle(struct scrape *s);

/* --- what there is --- */

enum scrape_health { SCRAPE_UNKNOWN, SCRAPE_UP, SCRAPE_DOWN };

/* In the arena that was given. */
struct scrape_target {
    struct str pool;                  /* job_name */
    struct labels discovered, labels; /* before and after relabeling; dropped: only `discovered` */
    bool is_dropped;
    struct str url;
    enum scrape_health health;
    struct str error;       /* of the last scrape; empty: none */
    int64_t last_scrape_ms; /* 0: not yet */
    double last_duration_sec;
    int64_t interval_ms, timeout_ms;
    size_t series; /* of its last good page */
};
/* All of them, by pool. At most LIMIT_SCRAPE_DROPPED of a pool's dropped ones. */
void scrape_targets(struct scrape *s, struct arena *a, struct scrape_target **out, size_t *n);
/* Names of the pools and how many targets each dropped. */
struct scrape_pool {
    struct str name;
    size_t active, dropped;
    struct str error; /* of discovery; empty: none */
};
void scrape_pools(struct scrape *s, struct arena *a, struct scrape_pool **out, size_t *n);

/* What targets say of their metrics, for /api/v1/metadata and /api/v1/targets/metadata. */
struct scrape_metadata {
    struct str metric, type, help, unit;
    struct labels target;
};
/* `metric` empty: all. At most `limit` (0: LIMIT_SCRAPE_METADATA). */
void scrape_metadata(struct scrape *s, struct str metric, size_t limit, struct arena *a,
                     struct scrape_metadata **out, size_t *n);

/* --- alerts --- */

struct scrape_alert {
    struct labels labels, annotations; /* by name */
    struct str expression, external_url;
    int64_t starts_ms, ends_ms; /* ends: when it ended, or until when it is believed */
    bool is_resolved;
};
/* Tells it to the Alertmanagers of `alerting`, later: it never waits for them. On one thread at a
 * time. */
void scrape_alert(struct scrape *s, const struct scrape_alert *alert);
struct scrape_alertmanager {
    struct str url;
    bool is_dropped; /* by relabeling */
};
void scrape_alertmanagers(struct scrape *s, struct arena *a, struct scrape_alertmanager **out,
                          size_t *n);

/* The configuration as it was read, secrets replaced by <secret>: /api/v1/status/config. */
void scrape_config_text(struct scrape *s, struct buf *out);
/* `rule_files`, globs expanded; `external_labels`; `evaluation_interval`. */
void scrape_rule_files(struct scrape *s, struct arena *a, struct str **out, size_t *n);
struct labels scrape_external_labels(struct scrape *s, struct arena *a);
int64_t scrape_evaluation_interval_ms(struct scrape *s);
/* Own counters as text 0.0.4: strata_scrape_*, strata_remote_write_*, strata_notifications_*. */
void scrape_metrics(struct scrape *s, struct buf *out);

/* `promtool check config`: what was found in the file, line by line. -1: it is refused (the text
 * says why). */
struct scrape_checked {
    struct str *rules; /* files that it names, each with a NUL behind it; in the arena */
    size_t n_rules;
    struct err_list slow; /* jobs with an interval that leaves gaps; the caller's */
};
int scrape_check(const char *file, struct buf *out, struct arena *a, struct scrape_checked *checked,
                 struct err *e) MUST_USE;
