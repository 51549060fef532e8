/* remote_out - sends what the store takes to peers that speak remote write.
 *
 *   store --(samples of a few seconds)--> write_relabel_configs --> shards --> snappy --> POST
 *
 * The queue is the store itself: what is kept beside it is how far the peer has it, in
 * DIR/NAME.position. A peer that is away for hours gets everything afterwards, as long as the store
 * has it. A series is always sent by the same shard, in its order.
 *
 * What comes into the store later than it is sent on (older than the newest sent, by more than
 * running scrapes explain) is not sent.
 *
 * Threads: one that reads, and one a shard. Private to scrape. */
#pragma once
#include "scrape/config.h"

struct remote_out;
struct tsdb;

struct remote_out_options {
    struct tsdb *db;
    const char *dir;
    struct config *config; /* is held */
    const struct remote_write_config *write;
    /* Samples up to here are in the store. */
    int64_t (*safe_ms)(void *ctx);
    void *ctx;
};

struct remote_out *remote_out_start(const struct remote_out_options *o, struct err *e) MUST_USE;
void remote_out_stop(struct remote_out *r);
/* It is the same peer with the same rules. */
bool remote_out_is(const struct remote_out *r, const struct config *c,
                   const struct remote_write_config *w);

struct remote_out_counts {
    struct str name;
    uint64_t sent, dropped, retries, shards;
    int64_t position_ms;
};
struct remote_out_counts remote_out_counts(struct remote_out *r);
