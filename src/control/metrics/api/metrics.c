#include "metrics_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

const struct cfg_item metrics_config[] = {
    {"metrics.retention", CFG_SECONDS, "15d", "Samples older than this are deleted."},
    {"metrics.retention_bytes", CFG_BYTES, "0",
     "The oldest samples are deleted when the store takes more than this; 0: no limit."},
    {"metrics.max_series", CFG_INT, "2000000",
     "Series that are written at a time; past it new ones are refused and counted, old ones go "
     "on."},
    {"metrics.out_of_order", CFG_SECONDS, "0",
     "How much older than the newest sample of its series a sample may be."},
    {"metrics.scrape_config", CFG_STRING, "",
     "A configuration file of Prometheus (scrape_configs, rule_files, remote_write), read by the "
     "user strata; empty: only this server itself is scraped."},
    {"metrics.max_queries", CFG_INT, "20", "Queries that run at a time; others wait."},
    {"metrics.max_samples", CFG_INT, "10000000",
     "Samples that one query may hold in memory, 16 bytes each; it is refused past them."},
    {"metrics.query_timeout", CFG_SECONDS, "2m", "A query that takes longer is ended."},
    {0},
};

struct metrics *metrics_new(const struct metrics_parts *parts)
{
    struct metrics *m = xnew(struct metrics);
    int64_t queries = cfg_i64(parts->cfg, "metrics.max_queries");

    *m = (struct metrics){.db = parts->db,
                          .scrape = parts->scrape,
                          .cfg = parts->cfg,
                          .hooks = parts->hooks,
                          .started_ms = clock_wall_ms(),
                          .timeout_ms = cfg_i64(parts->cfg, "metrics.query_timeout") * 1000,
                          .lookback_ms = 5 * 60 * 1000,
                          .max_samples = (size_t)cfg_i64(parts->cfg, "metrics.max_samples")};
    gate_init(&m->gate, queries < 1                   ? 1
                        : queries > LIMIT_WORKERS / 4 ? LIMIT_WORKERS / 4
                                                      : (unsigned)queries);
    return m;
}

void metrics_free(struct metrics *m)
{
    if (m != NULL) {
        gate_done(&m->gate);
        free(m);
    }
}
