/* What an ender thread does: signals and removals, each a message to the helper that may wait. */
#include "jobs/jobs_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int save_timeout(struct state_db *db, void *ctx, struct err *e)
{
    const struct task *t = ctx;

    return job_store_set_stop(db, t->seq, JOB_STOP_TIMEOUT, NULL, e);
}

static void send_signal(struct jobs *j, const struct task *t)
{
    struct err e;

    if (j->engine->signal(j->engine_ctx, t->container, t->signal, &e) < 0) {
        log_warn("job.signal_failed", "container=%s signal=%d error=%s; trying again later",
                 t->container, t->signal, Q(str_of(e.msg)));
    }
}

/* First the row, so that a restart between the signal and the end still knows why it ended. */
static void time_out(struct jobs *j, struct task *t)
{
    struct err e;

    if (state_write(j->parts.state, save_timeout, t, &e) < 0) {
        log_warn("job.timeout_not_saved", "container=%s error=%s; stopping it anyway", t->container,
                 Q(str_of(e.msg)));
    }
    send_signal(j, t);
}

/* The next comparison finds what is left, and tries again. */
static void compare_soon(struct jobs *j)
{
    struct lock *l = &j->lock;
    int64_t soon = clock_mono_ms() + j->pauses.remove_ms;

    WITH_LOCK(l);
    j->compare_due = true;
    j->compare_at = j->compare_at < soon ? j->compare_at : soon;
    lock_broadcast(l);
}

/* The job's row is gone: nobody else would come back for the log. */
static void forget_later(struct jobs *j, const struct task *t)
{
    struct task *copy = xnew(struct task);
    struct lock *l = &j->lock;

    copy->kind = TASK_FORGET;
    memcpy(copy->container, t->container, sizeof(copy->container));
    WITH_LOCK(l);
    list_append(&j->forgets, &copy->link);
}

void jobs_ender_put_locked(struct jobs *j, struct task *t)
{
    bool removes = t->kind == TASK_REMOVE || t->kind == TASK_FORGET;

    jobs_pool_put_locked(removes ? &j->removers : &j->enders, t);
}

void jobs_ender_again_locked(struct jobs *j)
{
    lock_assert(&j->lock);
    list_each(it, &j->forgets)
    {
        list_remove(it);
        jobs_ender_put_locked(j, list_entry(it, struct task, link));
    }
}

static void remove_all(struct jobs *j, const struct task *t)
{
    struct err e;
    int rc = j->engine->remove(j->engine_ctx, t->container, &e);

    if (rc == 0 && t->kind == TASK_FORGET) {
        rc = j->engine->remove_log(j->engine_ctx, t->container, &e);
    }
    if (rc == 0) {
        return;
    }
    if (e.kind != ERR_CONFLICT) { /* its last process is about to go */
        log_warn("job.remove_failed", "container=%s error=%s; trying again", t->container,
                 Q(str_of(e.msg)));
    }
    if (t->kind == TASK_FORGET) {
        forget_later(j, t);
    }
    compare_soon(j);
}

void jobs_ender_run(struct jobs *j, struct task *t)
{
    switch (t->kind) {
    case TASK_SIGNAL:
        send_signal(j, t);
        break;
    case TASK_TIMEOUT:
        time_out(j, t);
        break;
    case TASK_REMOVE:
    case TASK_FORGET:
        remove_all(j, t);
        break;
    case TASK_START: /* of the other pool */
        break;
    }
}
