/* metrics_priv - what the files of this module share.
 *
 *   ask.c          what a request asks for: parameters, times, selectors, what he may see
 *   answer.c       the envelope, JSON in pieces, refusals
 *   gate.c         how many queries run, how much waits to be sent
 *   query_http.c   query, query_range        tree_http.c     format_query, parse_query
 *   series_http.c  series, labels, federate  targets_http.c  targets and their metadata
 *   rules_http.c   rules and alerts          write_http.c    remote write
 *   status_http.c  the server and its store  links_http.c    pages of Prometheus, led to ours */
#pragma once
#include "base/buf.h"
#include "base/lock.h"
#include "labels/labels.h"
#include "metrics/api/metrics.h"
#include "tsdb/tsdb.h"

#include <zlib.h>

struct jw;
struct promql_node;
struct promql_notes;

#define TIME_MIN TSDB_TIME_MIN
#define TIME_MAX TSDB_TIME_MAX

struct gate {
    struct lock lock;
    unsigned max;     /* queries at a time */
    unsigned running; /* guarded by lock */
    unsigned waiting; /* guarded by lock */
    size_t sending;   /* guarded by lock: bytes of answers on their way */
};

struct metrics {
    struct tsdb *db;
    struct scrape *scrape;
    struct rules *rules;
    const struct cfg *cfg;
    struct metrics_hooks hooks;
    struct gate gate;
    int64_t started_ms, timeout_ms, lookback_ms;
    size_t max_samples, project_series;
    struct lock write_lock; /* guards all below */
    int64_t config_ms;      /* when it was read last */
    bool config_failed;
    unsigned write_turn; /* 0 or 1: which of the next counts those who begin */
    unsigned writing[2]; /* how many write as a project */
};

/* --- gate.c --- */
void gate_init(struct gate *g, unsigned max);
void gate_done(struct gate *g);
struct patience;
/* ERR_UNAVAILABLE when too many wait already, ERR_TIMEOUT when it is not our turn before patience
 * is over. */
int gate_enter(struct gate *g, struct patience *p, struct err *e) MUST_USE;
/* The query has its answer, which holds so many bytes until gate_sent(). */
void gate_leave(struct gate *g, size_t bytes);
void gate_counts(struct gate *g, unsigned *running, unsigned *waiting);
void gate_sent(struct gate *g, size_t bytes);

/* --- ask.c --- */
struct ask {
    struct metrics *m;
    struct http_req *req;
    const struct http_param *form;
    size_t n_form;
    struct arena arena; /* ask_done: large answers must not stay with the worker */
};
int ask_init(struct ask *a, struct http_req *req, struct err *e) MUST_USE;
void ask_done(struct ask *a);
/* Of the form, then of the path; p == NULL when missing. */
struct str ask_str(const struct ask *a, const char *name);
/* Of what may stand several times ("file[]"): whether one of them is this value, or none is there.
 */
bool ask_takes(const struct ask *a, const char *name, struct str value);
/* Seconds since 1970 or RFC 3339. Missing: left alone. */
int ask_time(const struct ask *a, const char *name, int64_t *ms, struct err *e) MUST_USE;
/* Seconds or "1h30m". Missing: left alone. */
int ask_duration(const struct ask *a, const char *name, int64_t *ms, struct err *e) MUST_USE;
int ask_limit(const struct ask *a, const char *name, size_t *out, struct err *e) MUST_USE;
int parse_time(struct str text, int64_t *ms);
int parse_duration(struct str text, int64_t *ms);
/* "U__a_2e_b" as "a.b"; what is no such name stays. */
struct str unescape_name(struct arena *a, struct str name);

/* What somebody may see, as matchers that are put beside his own. */
struct sight {
    bool all;
    struct label_matcher m[2];
    size_t n; /* 0 when all */
    struct str *projects;
    size_t n_projects;
};
int ask_sight(struct ask *a, struct sight *out, struct err *e) MUST_USE;
/* Whether labels are of a project of his. */
bool sight_takes(const struct sight *s, struct labels labels);

/* The selectors of match[], with what he may see in each. */
struct selector {
    const struct label_matcher *m;
    size_t n;
};
struct selectors {
    struct selector *p;
    size_t len;
};
int ask_selectors(struct ask *a, const struct sight *s, struct selectors *out,
                  struct err *e) MUST_USE;

/* Ends what takes too long, and what nobody waits for any more. */
struct patience {
    struct http_req *req;
    int64_t deadline_ms, look_ms;
    enum { PATIENT, TIME_IS_OVER, CLIENT_IS_GONE } why;
};
int ask_patience(const struct ask *a, struct patience *out, struct err *e) MUST_USE;
bool patience_is_over(void *patience);

/* --- answer.c --- */
struct answer {
    struct http_req *req;
    const char *type;
    struct buf buf; /* write here, then answer_more() */
    bool began, gzip, has_z;
    z_stream z;
    struct buf packed;
};
void answer_init(struct answer *a, struct http_req *req, const char *type);
void answer_done(struct answer *a);
/* {"status":"success","data": */
void answer_json(struct answer *a, struct http_req *req);
/* Sends what has piled up when it is worth it. */
int answer_more(struct answer *a, struct err *e) MUST_USE;
/* All of it is in the buffer. */
int answer_end(struct answer *a, struct err *e) MUST_USE;
/* ,"warnings":[...],"infos":[...]} and the end. NULL: none. */
int answer_json_end(struct answer *a, const struct promql_notes *notes, struct err *e) MUST_USE;
/* The answer {"status":"error",...} to a query that could not be worked out. */
int answer_refuse(struct http_req *req, const struct patience *p, struct err *e) MUST_USE;
#define LIMIT_WARNING "results truncated due to limit"
extern const struct promql_notes notes_truncated;

/* A route that asks no more than its parameters: what `how` writes is the data of the answer. */
int answer_ask(struct http_req *req, int (*how)(struct ask *a, struct answer *out, struct err *e),
               struct err *e) MUST_USE;

void kv_time(struct jw *w, const char *key, int64_t ms); /* RFC 3339; 0: as Go writes "never" */
void kv_duration(struct jw *w, const char *key, int64_t ms);
void kv_labels(struct jw *w, const char *key, struct labels s);
void put_text(struct buf *out, struct str s); /* quoted */
void put_labels(struct buf *out, struct labels s);
void put_time(struct buf *out, int64_t ms); /* seconds, as a number */
void put_value(struct buf *out, double v);  /* quoted */

/* --- handlers --- */
http_handler prom_query, prom_query_range, prom_exemplars, prom_format_query, prom_parse_query;
http_handler prom_series, prom_labels, prom_label_values, prom_federate;
http_handler prom_metadata, prom_targets, prom_targets_metadata, prom_scrape_pools, prom_rules,
    prom_alerts, prom_alertmanagers;
http_handler prom_buildinfo, prom_config, prom_flags, prom_runtimeinfo, prom_tsdb;
http_handler prom_healthy, prom_ready, prom_reload, prom_write, prom_write_project;
http_handler prom_page_graph, prom_page_targets;
http_handler prom_delete_series, prom_snapshot, prom_import, prom_clean_tombstones;
