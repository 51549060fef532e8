/* lock - mutexes with an order. The whole lock order of the process is the list below; taking a
 * lock out of order aborts in debug builds (it would be a deadlock one day).
 *
 *   WITH_LOCK(l);               dropped at scope end
 *
 * While holding a lock: no I/O, no logging, no commit, no call into another module. */
#pragma once
#include "base/attrs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LOCKS(X)                                                                                   \
    X(wire)                                                                                        \
    X(pipelines)                                                                                   \
    X(imports)                                                                                     \
    X(jobs)                                                                                        \
    X(volumes)                                                                                     \
    X(replication)                                                                                 \
    X(registry)                                                                                    \
    X(flight)                                                                                      \
    X(supply)                                                                                      \
    X(webhooks)                                                                                    \
    X(access)                                                                                      \
    X(metrics)                                                                                     \
    X(helper_client)                                                                               \
    X(rootfs)                                                                                      \
    X(content)                                                                                     \
    X(rules)                                                                                       \
    X(scrape)                                                                                      \
    X(discovery)                                                                                   \
    X(tsdb_log)                                                                                    \
    X(tsdb_head)                                                                                   \
    X(exporter)                                                                                    \
    X(exporter_lane)                                                                               \
    X(exporter_self)                                                                               \
    X(exporter_ask)                                                                                \
    X(secrets) X(state_queue) X(net_events) X(net_workers) X(net_conns) /* outermost first */

#define LOCK_ENUM(name) LOCK_##name,
enum lock_rank { LOCKS(LOCK_ENUM) LOCK_COUNT };

struct lock {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    enum lock_rank rank;
};

void lock_init(struct lock *l, enum lock_rank rank);
void lock_done(struct lock *l);
void lock_take(struct lock *l);
void lock_drop(struct lock *l);
void lock_assert(const struct lock *l); /* this thread holds it; nothing in release builds */

/* Waits for a signal on the lock's condition; holding it before and after. Spurious wake-ups
 * happen. The deadline is clock_mono_ms(); false when it has passed. */
void lock_wait(struct lock *l);
bool lock_wait_until(struct lock *l, int64_t deadline_mono_ms);
void lock_signal(struct lock *l);
void lock_broadcast(struct lock *l);

static inline void lock_dropp(struct lock **l)
{
    lock_drop(*l);
}

#define LOCK_GLUE_(a, b) a##b
#define LOCK_GLUE(a, b) LOCK_GLUE_(a, b)
#define WITH_LOCK(l)                                                                               \
    SCOPED(lock_dropp) UNUSED struct lock *LOCK_GLUE(held_, __LINE__) = (lock_take(l), (l))
