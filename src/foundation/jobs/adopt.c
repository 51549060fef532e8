/* Rows, memory and containers brought together: after a restart, and from time to time, because an
 * event may be lost.
 *
 *   row       container      what follows
 *   starting  none           queued again, the same attempt
 *   starting  runs, ended    running; its end (or as none, when it ended before it ran)
 *   running   none           lost (or another attempt)
 *   running   ended          its end
 *   none      runs, ended    killed; removed */
#include "jobs/jobs_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <signal.h>

static void adopt_running(struct jobs *j, struct job *job, const struct runtime_status *s)
{
    bool row_says_running = job->started_ms > 0;
    struct lock *l = &j->lock;

    lock_take(l);
    job->phase = PHASE_RUNNING;
    if (!row_says_running) {
        job->started_ms = s->started_ms > 0 ? s->started_ms : clock_wall_ms();
    }
    job->listed = true;
    if (job->timeout_ms > 0) {
        job->timeout_at = clock_mono_ms() + job->timeout_ms - (clock_wall_ms() - job->started_ms);
    }
    lock_drop(l);
    log_info("job.adopted", "job=%s attempt=%lld", job->id, (long long)job->attempt);
    if (!row_says_running) {
        jobs_scheduler_running(j, job);
    }
}

/* No job has it: a job that was deleted, or one whose end is written and whose removal waits. */
static void remove_orphan(struct jobs *j, const struct runtime_status *s)
{
    struct lock *l = &j->lock;

    if (!jobs_container_is_ours(s->id)) {
        return;
    }
    if (s->running) {
        log_warn("job.orphan", "container=%s; killing it", s->id);
    }
    lock_take(l);
    j->compare_due = true; /* until it is gone */
    lock_drop(l);
    jobs_scheduler_put_ender(j, s->running ? TASK_SIGNAL : TASK_REMOVE, s->id, SIGKILL);
}

static void compare_one(struct jobs *j, const struct runtime_status *s)
{
    enum job_phase phase;
    struct job *job = jobs_scheduler_find(j, s->id, &phase);

    if (job == NULL) {
        remove_orphan(j, s);
        return;
    }
    if (phase != PHASE_ADOPTING && phase != PHASE_RUNNING) {
        return;
    }
    if (jobs_never_ran(job, s)) {
        return; /* as if it were not there; its next try removes it */
    }
    if (!s->running) {
        jobs_scheduler_end(j, job, s);
    } else if (phase == PHASE_ADOPTING) {
        adopt_running(j, job, s);
    } else {
        job->listed = true;
    }
}

/* No container: what never ran is queued again, what ran is lost. */
static void adopt_missing(struct jobs *j, struct job *job)
{
    struct lock *l = &j->lock;
    struct runtime_status gone = {.end = RUNTIME_LOST};
    struct job_change c = {
        .seq = job->seq,
        .attempt = job->attempt,
        .at_ms = clock_wall_ms(),
        .n_steps = 1,
        .steps = {{.to = JOB_QUEUED, .reason = "the server was stopped while it was starting"}}};

    if (job->started_ms > 0) {
        jobs_scheduler_end(j, job, &gone);
    } else if (job->stop == JOB_STOP_CANCEL) {
        jobs_scheduler_unstarted(j, job, &(struct err){0});
    } else {
        lock_take(l);
        job->phase = PHASE_ENDING;
        lock_drop(l);
        jobs_scheduler_save(j, job, &c);
    }
}

static struct job *next_missing(struct jobs *j)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    list_each(it, &j->active)
    {
        struct job *job = list_entry(it, struct job, link);

        if ((job->phase == PHASE_ADOPTING || job->phase == PHASE_RUNNING) && !job->listed) {
            return job;
        }
    }
    return NULL;
}

static void forget_listed(struct jobs *j)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    list_each(it, &j->active)
    {
        list_entry(it, struct job, link)->listed = false;
    }
}

int jobs_adopt_compare(struct jobs *j, struct err *e)
{
    SCOPED(freep) struct runtime_status *list = NULL;
    struct job *missing;
    size_t n = 0;

    forget_listed(j);
    if (j->engine->list(j->engine_ctx, &list, &n, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        compare_one(j, &list[i]);
    }
    while ((missing = next_missing(j))) {
        adopt_missing(j, missing);
    }
    return 0;
}
