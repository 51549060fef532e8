/* gate - queries in turn. A query that has its answer frees its place at once, whoever is slow to
 * take it; but the answers that wait hold memory, so new queries wait when that is much. */
#include "metrics_priv.h"

#include "base/clock.h"
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

enum { LOOK_EVERY_MS = 200 };

/* Waits for a place a while; false: nobody waits for it any more. The lock is let go meanwhile. */
static bool wait_a_while(struct lock *l, struct patience *p)
{
    int64_t look = clock_mono_ms() + LOOK_EVERY_MS;
    bool over;

    (void)lock_wait_until(l, look < p->deadline_ms ? look : p->deadline_ms);
    lock_drop(l);
    over = patience_is_over(p);
    lock_take(l);
    return !over;
}

int gate_enter(struct gate *g, struct patience *p, struct err *e)
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
        in_time = wait_a_while(l, p);
    }
    g->waiting--;
    if (!in_time && p->why == TIME_IS_OVER) {
        p->why = PATIENT; /* our sentences say more */
    }
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

void gate_counts(struct gate *g, unsigned *running, unsigned *waiting)
{
    struct lock *l = &g->lock;
    WITH_LOCK(l);

    *running = g->running;
    *waiting = g->waiting;
}
