#include "metrics_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/metric.h"

#include <stdlib.h>

const struct cfg_item metrics_config[] = {
    {"metrics.retention", CFG_SECONDS, "15d",
     "Every sample is kept for this long; of what is older only the next two keep anything."},
    {"metrics.retention_5m", CFG_SECONDS, "90d",
     "How long the last, least and greatest sample of each five minutes are kept; 0: not."},
    {"metrics.retention_1h", CFG_SECONDS, "730d",
     "How long the last, least and greatest sample of each hour are kept; 0: not."},
    {"metrics.retention_bytes", CFG_BYTES, "0",
     "The oldest samples are deleted when the store takes more than this; 0: no limit."},
    {"metrics.max_series", CFG_INT, "2000000",
     "Series that are written at a time; past it new ones are refused and counted, old ones go "
     "on."},
    {"metrics.project_series", CFG_INT, "200000",
     "Series that are written with a project's label at a time, up to which its members may push "
     "new ones."},
    {"metrics.out_of_order", CFG_SECONDS, "0",
     "How much older than the newest sample of its series a sample may be."},
    {"metrics.scrape_config", CFG_STRING, "",
     "A configuration file of Prometheus (scrape_configs, rule_files, remote_write), read by the "
     "user strata; empty: only this server itself is scraped."},
    {"metrics.remote_write_backlog", CFG_BYTES, "4Gi",
     "How much of the log (10 bytes a sample) is kept for peers of remote_write that are away; "
     "past "
     "it they lose the oldest; 0: no limit."},
    {"metrics.max_queries", CFG_INT, "20", "Queries that run at a time; others wait."},
    {"metrics.max_samples", CFG_INT, "10000000",
     "Samples that one query may hold in memory, 16 bytes each; it is refused past them."},
    {"metrics.query_timeout", CFG_SECONDS, "2m", "A query, or a rule, that takes longer is ended."},
    {0},
};

struct metrics *metrics_new(const struct metrics_parts *parts)
{
    struct metrics *m = xnew(struct metrics);
    int64_t queries = cfg_i64(parts->cfg, "metrics.max_queries");

    *m = (struct metrics){.db = parts->db,
                          .scrape = parts->scrape,
                          .rules = parts->rules,
                          .cfg = parts->cfg,
                          .hooks = parts->hooks,
                          .started_ms = clock_wall_ms(),
                          .timeout_ms = cfg_i64(parts->cfg, "metrics.query_timeout") * 1000,
                          .lookback_ms = 5 * 60 * 1000,
                          .max_samples = (size_t)cfg_i64(parts->cfg, "metrics.max_samples"),
                          .project_series = (size_t)cfg_i64(parts->cfg, "metrics.project_series")};
    m->config_ms = m->started_ms;
    lock_init(&m->write_lock, LOCK_metrics);
    gate_init(&m->gate, queries < 1                   ? 1
                        : queries > LIMIT_WORKERS / 4 ? LIMIT_WORKERS / 4
                                                      : (unsigned)queries);
    return m;
}

void metrics_own(struct metrics *m, struct buf *out)
{
    unsigned running, waiting;
    struct tsdb_status s;

    tsdb_status(m->db, &s);
    metric_one(out, "strata_tsdb_series", "gauge", "Series that are written.", (int64_t)s.series);
    metric_one(out, "strata_tsdb_samples_total", "counter", "Samples taken since the start.",
               (int64_t)s.samples_appended);
    metric_one(out, "strata_tsdb_series_refused_total", "counter",
               "New series refused because of metrics.max_series.", (int64_t)s.series_refused);
    metric_one(out, "strata_tsdb_samples_lost_total", "counter",
               "Samples in damaged parts of the log.", (int64_t)s.samples_lost);
    metric_one(out, "strata_tsdb_damaged_total", "counter",
               "Places in files that could not be read.", (int64_t)s.damaged);
    metric_one(out, "strata_tsdb_paused", "gauge", "1: nothing can be written, the disk is full.",
               s.paused_since_ms != 0);
    gate_counts(&m->gate, &running, &waiting);
    metric_one(out, "strata_metrics_queries", "gauge", "Queries that run.", running);
    metric_one(out, "strata_metrics_queries_waiting", "gauge", "Queries that wait for their turn.",
               waiting);
}

void metrics_free(struct metrics *m)
{
    if (m != NULL) {
        gate_done(&m->gate);
        lock_done(&m->write_lock);
        free(m);
    }
}
