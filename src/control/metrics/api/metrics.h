/* metrics - Prometheus' HTTP API under /prometheus, over tsdb, promql and scrape.
 *
 *   Grafana --> net --> query_http.c: promql_parse, what he may see into every selector, promql_run
 *           <-- answer.c: JSON as it is made, gzip, in pieces
 *
 * Whoever is no administrator sees the series whose label `project` names a project where he has
 * the permission metric:read; the same holds for targets, rules and metadata. This module does not
 * know access: main/wire.c gives it the names.
 *
 * Threads: any. A query runs on its worker, at most metrics.max_queries at a time; what waits to be
 * sent counts against LIMIT_ANSWERS_BYTES, so that slow clients do not fill the memory. */
#pragma once
#include "base/arena.h"
#include "base/cfg.h"
#include "net/http.h"

struct metrics;
struct rules;
struct scrape;
struct tsdb;

extern const struct route metrics_routes[]; /* ctx: struct metrics * */
extern const struct http_schema metrics_schemas[];
extern const struct http_style metrics_style;
extern const struct cfg_item metrics_config[];

struct metrics_hooks {
    void *ctx;
    /* The names of the projects whose series `who` may see, in the arena. 1: he may see all, also
     * what is of no project. */
    int (*projects)(void *ctx, const struct principal *who, struct arena *a, struct str **names,
                    size_t *n, struct err *e);
    /* ERR_NOT_FOUND, ERR_FORBIDDEN: that project is gone, or he may not write its series (any
     * more). */
    int (*may_write)(void *ctx, const struct principal *who, struct str project, struct err *e);
    /* Reads the scrape configuration and its rules again. */
    int (*reload)(void *ctx, struct err *e);
};

struct metrics_parts {
    struct tsdb *db;
    struct scrape *scrape;
    struct rules *rules;
    const struct cfg *cfg;
    struct metrics_hooks hooks;
};

struct metrics *metrics_new(const struct metrics_parts *parts);
void metrics_free(struct metrics *m);
/* Returns when nobody writes any more who looked before whether he may: what is deleted now, stays
 * deleted. */
void metrics_settle(struct metrics *m);
/* Numbers of the store and of queries for /metrics. */
void metrics_own(struct metrics *m, struct buf *out);
