/* remote_out - sends what the store takes to peers that speak remote write.
 *
 *   log of the store --> write_relabel_configs --> shards --> snappy --> POST
 *
 * The queue is the log of the store (tsdb_follow()): all that is committed, whatever its time, in
 * the order of the commits. How far the peer has it survives restarts; while he is away the log is
 * kept for him, up to a limit. A series is always sent by the same shard, in its order; samples
 * that came late go behind the others.
 *
 * Threads: one that reads, and one a shard. Private to scrape. */
#pragma once
#include "scrape/config.h"

struct remote_out;
struct tsdb;

struct remote_out_options {
    struct tsdb *db;
    struct config *config; /* is held */
    const struct remote_write_config *write;
};

struct remote_out *remote_out_start(const struct remote_out_options *o, struct err *e) MUST_USE;
void remote_out_stop(struct remote_out *r);
/* It is the same peer with the same rules. */
bool remote_out_is(const struct remote_out *r, const struct config *c,
                   const struct remote_write_config *w);

struct remote_out_counts {
    struct str name; /* tsdb_follow_behind() says what waits for him */
    uint64_t sent, dropped, retries, shards;
    int64_t newest_ms; /* of what was sent */
};
/* The name in the arena. */
struct remote_out_counts remote_out_counts(struct remote_out *r, struct arena *a);
