/* engine - the loops: when each target is asked, waiting for all answers at once, reading them.
 *
 *   heap of due targets --> curl (one thread, all transfers) --> queue --> readers (a few threads)
 *                                                                           --> page --> tsdb
 *
 * A loop belongs to the I/O thread while it is idle or fetching, to one reader while it is read;
 * what others may see of it is guarded by LOCK_scrape. Private to scrape. */
#pragma once
#include "base/lock.h"
#include "scrape/page.h"

struct engine;
struct loop;

enum { ENGINE_READERS_MAX = 16 };

/* What loops of one job share; lives as long as any of them (loops count). */
struct pool_rules {
    unsigned refs;
    struct config *config; /* is held */
    const struct scrape_config *scrape;
    struct arena arena;
    struct relabel relabel[ENGINE_READERS_MAX];
    bool is_full; /* more than target_limit: all fail. Guarded by the lock */
    size_t n_targets;
};
struct pool_rules *pool_rules_new(struct config *c, const struct scrape_config *s,
                                  unsigned readers);
void pool_rules_unref(struct pool_rules *p);

struct engine *engine_start(struct tsdb *db, struct lock *lock, unsigned readers,
                            struct err *e) MUST_USE;
/* Loops that are left end without markers. */
void engine_stop(struct engine *g);
unsigned engine_readers(const struct engine *g);
/* After engine_add() and engine_remove(), without the lock. */
void engine_wake(struct engine *g);

/* Holding the lock. Copies the target. */
struct loop *engine_add(struct engine *g, struct pool_rules *p, const struct target *t);
/* Holding the lock; ends it with markers. The pointer is not valid any more. */
void engine_remove(struct engine *g, struct loop *l);
const struct target *loop_target(const struct loop *l);

/* Holding the lock: how it stands. Views are valid while it is held. */
struct loop_state {
    bool was_scraped, is_up;
    int64_t last_ms;
    double duration_sec;
    struct str error;
    size_t series;
};
struct loop_state loop_state(const struct loop *l);
struct loop_meta {
    struct str metric, type, help, unit;
};
const struct loop_meta *loop_metadata(const struct loop *l, size_t *n);

/* Holding the lock, which is let go meanwhile: waits until what scrapes that began before `now_ms`
 * brought is in the store, or they take longer. */
void engine_settle(struct engine *g, int64_t now_ms, int64_t until_mono_ms);

struct engine_counts {
    uint64_t scrapes, failed, late, samples, too_old, out_of_order, duplicate, too_many_series;
};
/* Holding the lock. */
struct engine_counts engine_counts(const struct engine *g);
