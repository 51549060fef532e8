#include "algorithms/kernel/threads.h"

#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

struct worker {
    struct threads *pool;
    pthread_t thread;
    unsigned number; /* 1.. ; the caller is 0 */
};

/* The only lock of strata-ml, so there is no order to keep; no I/O happens under it. */
struct threads {
    pthread_mutex_t mutex;
    pthread_cond_t start, done;
    struct worker *workers;
    unsigned n_workers;
    /* guarded by mutex: */
    unsigned long round;
    unsigned busy;
    bool closing;
    /* written before a round starts: */
    threads_task fn;
    void *ctx;
    size_t n_tasks;
    _Atomic size_t next;
};

static void run_tasks(struct threads *t, unsigned worker)
{
    for (;;) {
        size_t task = atomic_fetch_add(&t->next, 1);

        if (task >= t->n_tasks) {
            return;
        }
        t->fn(t->ctx, task, worker);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct threads *t = w->pool;
    unsigned long seen = 0;

    (void)pthread_mutex_lock(&t->mutex);
    for (;;) {
        while (t->round == seen && !t->closing) {
            (void)pthread_cond_wait(&t->start, &t->mutex);
        }
        if (t->closing) {
            break;
        }
        seen = t->round;
        (void)pthread_mutex_unlock(&t->mutex);
        run_tasks(t, w->number);
        (void)pthread_mutex_lock(&t->mutex);
        if (--t->busy == 0) {
            (void)pthread_cond_signal(&t->done);
        }
    }
    (void)pthread_mutex_unlock(&t->mutex);
    return NULL;
}

struct threads *threads_open(unsigned n)
{
    struct threads *t = xnew(struct threads);

    n = n < 1 ? 1 : n > ML_LIMIT_THREADS ? ML_LIMIT_THREADS : n;
    (void)pthread_mutex_init(&t->mutex, NULL);
    (void)pthread_cond_init(&t->start, NULL);
    (void)pthread_cond_init(&t->done, NULL);
    t->workers = xnew_array(struct worker, n);
    for (unsigned i = 1; i < n; i++) {
        struct worker *w = &t->workers[i - 1];

        *w = (struct worker){.pool = t, .number = i};
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
            break; /* a pids limit: go on with those there are */
        }
        t->n_workers++;
    }
    return t;
}

void threads_close(struct threads *t)
{
    if (t == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&t->mutex);
    t->closing = true;
    (void)pthread_cond_broadcast(&t->start);
    (void)pthread_mutex_unlock(&t->mutex);
    for (unsigned i = 0; i < t->n_workers; i++) {
        (void)pthread_join(t->workers[i].thread, NULL);
    }
    (void)pthread_cond_destroy(&t->done);
    (void)pthread_cond_destroy(&t->start);
    (void)pthread_mutex_destroy(&t->mutex);
    free(t->workers);
    free(t);
}

unsigned threads_count(const struct threads *t)
{
    return t->n_workers + 1;
}

void threads_each(struct threads *t, size_t n, threads_task fn, void *ctx)
{
    t->fn = fn;
    t->ctx = ctx;
    t->n_tasks = n;
    atomic_store(&t->next, 0);
    if (n < 2 || t->n_workers == 0) {
        run_tasks(t, 0);
        return;
    }
    (void)pthread_mutex_lock(&t->mutex);
    t->busy = t->n_workers;
    t->round++;
    (void)pthread_cond_broadcast(&t->start);
    (void)pthread_mutex_unlock(&t->mutex);
    run_tasks(t, 0);
    (void)pthread_mutex_lock(&t->mutex);
    while (t->busy > 0) {
        (void)pthread_cond_wait(&t->done, &t->mutex);
    }
    (void)pthread_mutex_unlock(&t->mutex);
}

/* "200000 100000" (cgroup v2 cpu.max) as CPUs rounded up; 0 when there is no quota. */
static unsigned quota_v2(void)
{
    SCOPED(closep) int fd = open("/sys/fs/cgroup/cpu.max", O_RDONLY | O_CLOEXEC);
    char text[64] = "";
    uint64_t quota, period;
    char *rest;

    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0) {
        return 0;
    }
    quota = strtoull(text, &rest, 10); /* "max" is no number: then the period is none either */
    period = strtoull(rest, NULL, 10);
    if (period == 0) {
        return 0;
    }
    return (unsigned)((quota + period - 1) / period);
}

static uint64_t number_in(const char *path)
{
    SCOPED(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32] = "";

    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0) {
        return 0;
    }
    return text[0] == '-' ? 0 : strtoull(text, NULL, 10); /* -1: no quota */
}

static unsigned quota_v1(void)
{
    uint64_t quota = number_in("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    uint64_t period = number_in("/sys/fs/cgroup/cpu/cpu.cfs_period_us");

    return period == 0 ? 0 : (unsigned)((quota + period - 1) / period);
}

unsigned threads_default(void)
{
    cpu_set_t set;
    unsigned n = 1, quota = quota_v2();

    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        n = (unsigned)CPU_COUNT(&set);
    }
    if (quota == 0) {
        quota = quota_v1();
    }
    if (quota > 0 && quota < n) {
        n = quota;
    }
    return n < 1 ? 1 : n > ML_LIMIT_THREADS ? ML_LIMIT_THREADS : n;
}
