#include "base/lock.h"

#include <stdlib.h>
#include <time.h>

#ifdef NDEBUG
static void order_take(enum lock_rank rank UNUSED) {}
static void order_drop(enum lock_rank rank UNUSED) {}
void lock_assert(const struct lock *l UNUSED) {}
#else
static _Thread_local uint64_t held; /* bit = rank */

static void order_take(enum lock_rank rank)
{
    if (held >> rank) {
        abort(); /* this rank or an inner one is held already: see LOCKS */
    }
    held |= 1ULL << rank;
}

static void order_drop(enum lock_rank rank)
{
    held &= ~(1ULL << rank);
}

void lock_assert(const struct lock *l)
{
    if (!(held & 1ULL << l->rank)) {
        abort();
    }
}
#endif

void lock_init(struct lock *l, enum lock_rank rank)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&l->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    l->rank = rank;
}

void lock_done(struct lock *l)
{
    (void)pthread_cond_destroy(&l->cond);
    (void)pthread_mutex_destroy(&l->mutex);
}

void lock_take(struct lock *l)
{
    order_take(l->rank);
    (void)pthread_mutex_lock(&l->mutex);
}

void lock_drop(struct lock *l)
{
    order_drop(l->rank); /* first: after the unlock another thread may free *l */
    (void)pthread_mutex_unlock(&l->mutex);
}

void lock_wait(struct lock *l)
{
    (void)pthread_cond_wait(&l->cond, &l->mutex);
}

bool lock_wait_until(struct lock *l, int64_t deadline_mono_ms)
{
    struct timespec ts = {.tv_sec = deadline_mono_ms / 1000,
                          .tv_nsec = deadline_mono_ms % 1000 * 1000000};

    return pthread_cond_timedwait(&l->cond, &l->mutex, &ts) == 0;
}

void lock_signal(struct lock *l)
{
    (void)pthread_cond_signal(&l->cond);
}

void lock_broadcast(struct lock *l)
{
    (void)pthread_cond_broadcast(&l->cond);
}
