/* Ending what a user does not want any more: cancel, delete, the end of a project. */
#include "jobs/jobs_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROJECT_GONE_MS = 30000, ENDING_MS = 5000 };

enum found { FOUND_NONE, FOUND_QUEUED, FOUND_ACTIVE, FOUND_ENDING };

struct cancel {
    struct job *job;
    int64_t seq;
    const char *by;
    struct job_change change;
};

static int write_cancelled(struct state_db *db, void *ctx, struct err *e)
{
    struct cancel *c = ctx;

    return job_store_apply(db, &c->change, e);
}

static int write_stop(struct state_db *db, void *ctx, struct err *e)
{
    struct cancel *c = ctx;

    return job_store_set_stop(db, c->seq, JOB_STOP_CANCEL, c->by, e);
}

/* A job that waits leaves the queue at once, so that nobody starts it while its end is written. */
static enum found take_out(struct jobs *j, int64_t project_id, struct str id, struct cancel *c)
{
    struct lock *l = &j->lock;
    struct job *job;

    WITH_LOCK(l);
    job = map_get(&j->by_id, id);
    if (job == NULL || job->project_id != project_id) {
        return FOUND_NONE;
    }
    c->job = job;
    c->seq = job->seq;
    if (job->phase == PHASE_QUEUED || job->phase == PHASE_PAUSED) {
        jobs_queue_remove(&j->queue, job);
        job->phase = PHASE_ENDING;
        c->change.attempt = job->attempt;
        return FOUND_QUEUED;
    }
    return job->phase == PHASE_ENDING ? FOUND_ENDING : FOUND_ACTIVE;
}

static void put_back(struct jobs *j, struct job *job)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    job->waits_since = clock_mono_ms();
    job->phase = PHASE_QUEUED;
    list_remove(&job->link);
    jobs_queue_add(&j->queue, job);
    lock_broadcast(l);
}

/* Of a start that failed. Should it run nevertheless, its removal is a conflict, and the next
 * comparison finds a container without a job. */
static void remove_what_is_left(struct jobs *j, const struct job *job)
{
    char container[65];

    if (job->look_first) {
        job_container_id(job->id, job->attempt, job->tries, container);
        jobs_scheduler_put_ender(j, TASK_REMOVE, container, 0);
    }
}

static int cancel_queued(struct jobs *j, struct cancel *c, struct err *e)
{
    c->change.seq = c->seq;
    c->change.at_ms = clock_wall_ms();
    c->change.n_steps = 1;
    c->change.steps[0].to = JOB_CANCELLED;
    c->change.outcome.state = JOB_CANCELLED;
    (void)snprintf(c->change.steps[0].reason, sizeof(c->change.steps[0].reason), "cancelled by %s",
                   c->by);
    if (state_write(j->parts.state, write_cancelled, c, e) < 0) {
        put_back(j, c->job);
        return -1;
    }
    log_info("job.ended", "job=%s state=cancelled by=%s", c->job->id, Q(str_of(c->by)));
    jobs_publish(j, c->job, JOB_CANCELLED);
    remove_what_is_left(j, c->job);
    jobs_scheduler_drop(j, c->job);
    return 0;
}

/* Written first: what was answered with "cancelled" stays cancelled over a restart. The scheduler
 * sends the signals. 1: the attempt ended meanwhile, and another one may follow. */
static int cancel_active(struct jobs *j, struct str id, struct cancel *c, struct err *e)
{
    struct lock *l = &j->lock;
    struct job *job;

    if (state_write(j->parts.state, write_stop, c, e) < 0) {
        return -1;
    }
    WITH_LOCK(l);
    job = map_get(&j->by_id, id);
    if (job == NULL || job->phase == PHASE_ENDING || job->phase == PHASE_QUEUED ||
        job->phase == PHASE_PAUSED) {
        return 1;
    }
    job->stop = JOB_STOP_CANCEL;
    free(job->stop_by);
    job->stop_by = xstrdup(c->by);
    lock_broadcast(l);
    return 0;
}

/* Until the end of the attempt is written: then the job is gone, or queued for the next one. */
static bool wait_while_ending(struct jobs *j, struct str id, int64_t deadline_ms)
{
    struct lock *l = &j->lock;
    const struct job *job;

    WITH_LOCK(l);
    while ((job = map_get(&j->by_id, id)) && job->phase == PHASE_ENDING) {
        if (!lock_wait_until(l, deadline_ms)) {
            return false;
        }
    }
    return true;
}

struct lookup {
    int64_t project_id;
    struct str id;
    struct arena arena;
    struct job_row row;
};

static int look_up(struct state_db *db, void *ctx, struct err *e)
{
    struct lookup *k = ctx;

    return job_store_get(db, k->project_id, k->id, &k->arena, &k->row, e);
}

/* Not in memory: finished, or never there. */
static int not_cancellable(struct jobs *j, int64_t project_id, struct str id, struct err *e)
{
    struct lookup k = {.project_id = project_id, .id = id};
    int rc = state_read(j->parts.state, look_up, &k, e);

    if (rc == 0) {
        err_set(e, ERR_CONFLICT, "job %s is finished already (%s)", k.row.id,
                job_state_name(k.row.state));
    }
    arena_done(&k.arena);
    return -1;
}

int jobs_cancel(struct jobs *j, int64_t project_id, struct str id, const char *by, struct err *e)
{
    int64_t deadline_ms = clock_mono_ms() + ENDING_MS;
    struct cancel c = {.by = by};
    int rc = 1;

    while (rc > 0) {
        switch (take_out(j, project_id, id, &c)) {
        case FOUND_QUEUED:
            return cancel_queued(j, &c, e);
        case FOUND_ACTIVE:
            rc = cancel_active(j, id, &c, e);
            break;
        case FOUND_ENDING:
            if (!wait_while_ending(j, id, deadline_ms)) {
                return err_set(e, ERR_CONFLICT, "job %.*s is ending: try again in a moment",
                               STR_ARG(id));
            }
            break;
        case FOUND_NONE:
        default:
            return not_cancellable(j, project_id, id, e);
        }
    }
    return rc;
}

/* --- deleting --- */

/* Rows that go, and the containers whose logs go after them. */
struct forget {
    int64_t project_id;
    struct str id;
    struct list tasks;
};

static void forget_done(struct forget *f)
{
    list_each(it, &f->tasks)
    {
        list_remove(it);
        free(list_entry(it, struct task, link));
    }
}

static void note_container(void *ctx, struct str id, int64_t attempt, int64_t tries)
{
    struct forget *f = ctx;
    char name[JOB_ID_SIZE];

    if (str_copy(id, name, sizeof(name)) == 0) {
        list_append(&f->tasks, &jobs_task_new(TASK_FORGET, name, attempt, tries)->link);
    }
}

static void forget_containers(struct jobs *j, struct forget *f)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    list_each(it, &f->tasks)
    {
        list_remove(it);
        jobs_ender_put_locked(j, list_entry(it, struct task, link));
    }
}

static int delete_row(struct state_db *db, void *ctx, struct err *e)
{
    struct forget *f = ctx;

    return job_store_delete(db, f->project_id, f->id, note_container, f, e);
}

int jobs_delete(struct jobs *j, int64_t project_id, struct str id, struct err *e)
{
    SCOPED(forget_done) struct forget f = {.project_id = project_id, .id = id};

    list_init(&f.tasks);
    if (state_write(j->parts.state, delete_row, &f, e) < 0) {
        return -1;
    }
    forget_containers(j, &f);
    return 0;
}

/* --- the end of a project --- */

static int forget_rows(struct state_db *db, void *ctx, struct err *e)
{
    struct forget *f = ctx;

    return job_store_forget_project(db, f->project_id, note_container, f, e);
}

/* The next unfinished job of the project that nobody has cancelled yet. */
static bool next_of_project(struct jobs *j, int64_t project_id, char id[JOB_ID_SIZE])
{
    struct lock *l = &j->lock;
    struct str key;
    void *value;

    WITH_LOCK(l);
    for (size_t i = 0; map_next(&j->by_id, &i, &key, &value);) {
        const struct job *job = value;

        if (job->project_id == project_id && job->phase != PHASE_ENDING &&
            job->stop != JOB_STOP_CANCEL) {
            memcpy(id, job->id, JOB_ID_SIZE);
            return true;
        }
    }
    return false;
}

static int cancel_all(struct jobs *j, int64_t project_id, struct err *e)
{
    char id[JOB_ID_SIZE];

    while (next_of_project(j, project_id, id)) {
        if (jobs_cancel(j, project_id, str_of(id), "the end of the project", e) < 0 &&
            e->kind != ERR_CONFLICT) { /* it ended by itself meanwhile */
            return -1;
        }
    }
    return 0;
}

static bool any_of_project_locked(struct jobs *j, int64_t project_id)
{
    struct str key;
    void *value;

    for (size_t i = 0; map_next(&j->by_id, &i, &key, &value);) {
        if (((struct job *)value)->project_id == project_id) {
            return true;
        }
    }
    return false;
}

/* No long grace: whoever deletes a project waits for the answer. */
static void kill_by_locked(struct jobs *j, int64_t project_id, int64_t at)
{
    list_each(it, &j->active)
    {
        struct job *job = list_entry(it, struct job, link);

        if (job->project_id == project_id && job->term_sent && job->kill_at > at) {
            job->kill_at = at;
            lock_broadcast(&j->lock);
        }
    }
}

/* Waits for the next change. 1: nothing of the project is left. */
static int wait_for_ends(struct jobs *j, int64_t project_id, int64_t began, struct err *e)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    if (!any_of_project_locked(j, project_id)) {
        return 1;
    }
    if (clock_mono_ms() >= began + PROJECT_GONE_MS) {
        return err_set(e, ERR_UNAVAILABLE,
                       "jobs of the project are still ending: try again in a minute");
    }
    kill_by_locked(j, project_id, began + j->pauses.project_grace_ms);
    (void)lock_wait_until(l, began + PROJECT_GONE_MS);
    return 0;
}

int jobs_project_gone(struct jobs *j, int64_t project_id, struct err *e)
{
    SCOPED(forget_done) struct forget f = {.project_id = project_id};
    int64_t began = clock_mono_ms();
    int ended;

    list_init(&f.tasks);
    do {
        if (cancel_all(j, project_id, e) < 0) {
            return -1;
        }
    } while ((ended = wait_for_ends(j, project_id, began, e)) == 0);
    if (ended < 0 || state_write(j->parts.state, forget_rows, &f, e) < 0) {
        return -1;
    }
    forget_containers(j, &f);
    return 0;
}
