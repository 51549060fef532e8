/* gate - queries in turn. A query that has its answer frees its place at once, whoever is slow to
 * take it; but the answers that wait hold memory, so new queries wait when that is much. */
#include "metrics_priv.h"

#include "base/limits.h"

void gate_init(struct gate *g, unsigned max)
{
    lock_init(&g->lock, LOCK_metrics);
    g->max = max;
}

void gate_done(struct gate *g)
{
    lock_done(&g->lock);
}

int gate_enter(struct gate *g, int64_t deadline_mono_ms, struct err *e)
{
    struct lock *l = &g->lock;
    bool in_time = true;
    WITH_LOCK(l);

    if (g->waiting >= LIMIT_QUERIES_WAITING) {
        return err_set(e, ERR_UNAVAILABLE,
                       "%u queries run and %u wait (metrics.max_queries); try again in a moment",
                       g->running, g->waiting);
    }
    g->waiting++;
    while ((g->running >= g->max || g->sending > LIMIT_ANSWERS_BYTES) && in_time) {
        in_time = lock_wait_until(l, deadline_mono_ms);
    }
    g->waiting--;
    if (!in_time && g->running >= g->max) {
        return err_set(e, ERR_TIMEOUT,
                       "query timed out in query queue: %u run already (metrics.max_queries)",
                       g->running);
    }
    if (!in_time && g->sending > LIMIT_ANSWERS_BYTES) {
        return err_set(e, ERR_TIMEOUT,
                       "query timed out in query queue: answers of %zu MiB wait for their clients",
                       (size_t)(g->sending / MIB));
    }
    g->running++;
    return 0;
}

void gate_leave(struct gate *g, size_t bytes)
{
    struct lock *l = &g->lock;
    WITH_LOCK(l);

    g->running--;
    g->sending += bytes;
    lock_broadcast(l);
}

void gate_sent(struct gate *g, size_t bytes)
{
    struct lock *l = &g->lock;
    WITH_LOCK(l);

    g->sending -= bytes;
    lock_broadcast(l);
}

unsigned gate_running(struct gate *g)
{
    struct lock *l = &g->lock;
    WITH_LOCK(l);

    return g->running;
}
