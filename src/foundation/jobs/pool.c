#include "jobs/jobs_priv.h"

#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREAD_STACK = 512 * 1024 };

struct task *jobs_task_new(enum task_kind kind, const char *id, int64_t attempt, int64_t tries)
{
    struct task *t = xnew(struct task);

    t->kind = kind;
    job_container_id(id, attempt, tries, t->container);
    return t;
}

void jobs_pool_put_locked(struct pool *p, struct task *t)
{
    lock_assert(&p->jobs->lock);
    list_append(&p->tasks, &t->link);
    (void)pthread_cond_signal(&p->wake);
}

static struct task *pool_take(struct pool *p)
{
    struct lock *l = &p->jobs->lock;
    struct task *t;

    WITH_LOCK(l);
    while (list_empty(&p->tasks) && !p->jobs->stopping) {
        (void)pthread_cond_wait(&p->wake, &l->mutex);
    }
    if (p->jobs->stopping) {
        return NULL;
    }
    t = list_entry(p->tasks.next, struct task, link);
    list_remove(&t->link);
    return t;
}

static void *pool_main(void *arg)
{
    struct pool *p = arg;
    struct task *t;

    (void)pthread_setname_np(pthread_self(), p->name);
    while ((t = pool_take(p))) {
        p->run(p->jobs, t);
        free(t);
    }
    return NULL;
}

int jobs_pool_open(struct pool *p, struct jobs *j, const char *name, size_t n_threads,
                   void (*run)(struct jobs *j, struct task *t), struct err *e)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int r = 0;

    p->jobs = j;
    p->name = name;
    p->run = run;
    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, THREAD_STACK);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals belong to the main thread */
    while (r == 0 && p->n_threads < n_threads && p->n_threads < POOL_MAX) {
        r = pthread_create(&p->threads[p->n_threads], &attr, pool_main, p);
        p->n_threads += r == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    if (r != 0) {
        return err_set(e, ERR_UNAVAILABLE, "cannot start a thread for jobs: %s", strerror(r));
    }
    return 0;
}

/* jobs.stopping is set. */
void jobs_pool_close(struct pool *p)
{
    struct lock *l = &p->jobs->lock;

    lock_take(l);
    (void)pthread_cond_broadcast(&p->wake);
    lock_drop(l);
    for (size_t i = 0; i < p->n_threads; i++) {
        (void)pthread_join(p->threads[i], NULL);
    }
    p->n_threads = 0;
    list_each(it, &p->tasks)
    {
        list_remove(it);
        free(list_entry(it, struct task, link));
    }
}
