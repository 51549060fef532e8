#include "jobs/jobs_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    START_PAUSES_MAX = 30,
    KILL_AGAIN_MS = 10000,
    COMPARE_MS = 30000,
};

void jobs_scheduler_post(struct jobs *j, struct msg *m)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    list_append(&j->inbox, &m->link);
    lock_broadcast(l);
}

/* --- writing --- */

static int apply_change(struct state_db *db, void *ctx, struct err *e)
{
    struct job_save *s = ctx;

    return job_store_apply(db, &s->change, e);
}

/* On the writer's thread. */
static void change_done(void *ctx, const struct err *e)
{
    struct job_save *s = ctx;
    struct jobs *j = s->jobs;
    struct msg *m = xnew(struct msg);
    struct lock *l = &j->lock;

    m->kind = MSG_SAVED;
    m->save = s;
    if (e) {
        m->err = *e;
    }
    WITH_LOCK(l);
    list_append(&j->inbox, &m->link);
    lock_broadcast(l);
}

/* Changes of one job are written, and come back, in the order they are given: the job outlives all
 * but its last. */
void jobs_scheduler_save(struct jobs *j, struct job *job, const struct job_change *c)
{
    struct job_save *s = xnew(struct job_save);

    s->jobs = j;
    s->job = job;
    s->change = *c;
    state_submit(j->parts.state, apply_change, s, change_done);
}

void jobs_scheduler_running(struct jobs *j, struct job *job)
{
    struct job_change c = {.seq = job->seq,
                           .attempt = job->attempt,
                           .at_ms = job->started_ms,
                           .started_ms = job->started_ms,
                           .n_steps = 1,
                           .steps = {{.to = JOB_RUNNING, .reason = "started"}}};

    jobs_scheduler_save(j, job, &c);
}

/* --- the end of an attempt --- */

static void release_locked(struct jobs *j, struct job *job)
{
    lock_assert(&j->lock);
    if (job->has_resources) {
        jobs_machine_give(&j->machine, &job->need, job->gpu_mask);
        job->has_resources = false;
        job->gpu_mask = 0;
    }
}

void jobs_scheduler_drop(struct jobs *j, struct job *job)
{
    struct lock *l = &j->lock;

    lock_take(l);
    release_locked(j, job);
    list_remove(&job->link);
    (void)map_del(&j->by_id, str_of(job->id));
    j->n_ended++;
    jobs_followers_tell_locked(j, job->id, job->attempt);
    lock_broadcast(l);
    lock_drop(l);
    job_free(job);
}

static int64_t log_size(struct jobs *j, const char *container)
{
    SCOPED(closep) int fd = -1;
    struct stat st;
    struct err e;

    if (j->engine->log_open(j->engine_ctx, container, &fd, &e) < 0 || fstat(fd, &st) < 0) {
        return 0;
    }
    return st.st_size;
}

static void set_reason(struct job_step *step, enum job_state to, const char *text)
{
    step->to = to;
    (void)snprintf(step->reason, sizeof(step->reason), "%s", text);
}

/* `c` has its outcome; the steps follow from it. */
static void save_end(struct jobs *j, struct job *job, struct job_change *c)
{
    struct err too_large;
    bool again = (c->outcome.state == JOB_FAILED || c->outcome.state == JOB_LOST) &&
                 job->attempt <= job->retries &&
                 jobs_machine_could(&j->machine, &job->need, &too_large) == 0;
    char container[65];

    job_container_id(job->id, job->attempt, job->tries, container);
    c->seq = job->seq;
    c->attempt = job->attempt;
    c->started_ms = job->started_ms;
    c->log_bytes = log_size(j, container);
    set_reason(&c->steps[0], c->outcome.state, c->outcome.text);
    c->n_steps = 1;
    if (again) {
        char text[64];

        (void)snprintf(text, sizeof(text), "retry %lld of %lld", (long long)job->attempt,
                       (long long)job->retries);
        set_reason(&c->steps[1], JOB_QUEUED, text);
        c->n_steps = 2;
    }
    log_info("job.ended", "job=%s attempt=%lld state=%s reason=%s", job->id,
             (long long)job->attempt, job_state_name(c->outcome.state), Q(str_of(c->outcome.text)));
    jobs_scheduler_save(j, job, c);
}

/* From here on the place is free for others; the row follows. */
static void begin_end(struct jobs *j, struct job *job, struct job_bounds *b)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    job->phase = PHASE_ENDING;
    job->timeout_at = job->kill_at = job->start_at = 0;
    free(TAKE(job->waits));
    free(TAKE(job->early_exit));
    release_locked(j, job);
    *b = (struct job_bounds){.stop = job->stop,
                             .stop_by = job->stop_by,
                             .memory_bytes = job->need.memory_bytes,
                             .timeout_ms = job->timeout_ms};
}

void jobs_scheduler_end(struct jobs *j, struct job *job, const struct runtime_status *s)
{
    struct job_change c = {.at_ms = s->ended_ms > 0 ? s->ended_ms : clock_wall_ms(),
                           .memory_peak_bytes = s->memory_peak_bytes,
                           .cpu_usec = s->cpu_usec};
    struct job_bounds b;

    begin_end(j, job, &b);
    if (s->started_ms > 0) {
        job->started_ms = s->started_ms;
    }
    job_outcome_of_status(s, &b, &c.outcome);
    save_end(j, job, &c);
}

void jobs_scheduler_unstarted(struct jobs *j, struct job *job, const struct err *why)
{
    struct job_change c = {.at_ms = clock_wall_ms()};
    struct job_bounds b;

    begin_end(j, job, &b);
    job_outcome_of_error(why, &b, &c.outcome);
    save_end(j, job, &c);
}

/* --- messages --- */

static void remove_container(struct jobs *j, const struct job *job)
{
    struct task *t = jobs_task_new(TASK_REMOVE, job->id, job->attempt, job->tries);
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    jobs_ender_put_locked(j, t);
}

/* Whether the job gives its start less time than we do. */
static bool own_timeout(const struct jobs *j, const struct job *job)
{
    return job->timeout_ms > 0 && job->timeout_ms <= j->start_timeout_ms;
}

/* When tries end. Counted from the first that failed: what takes long, such as unpacking an image,
 * is no failure. */
static int64_t last_try(const struct jobs *j, const struct job *job)
{
    return job->failing_since + (own_timeout(j, job) ? job->timeout_ms : j->start_timeout_ms);
}

/* Others may take its resources, and pass it, until its next try; then it is where it was in the
 * queue. From here on a handler may cancel it. False: it is not tried again. */
static bool pause_start(struct jobs *j, struct job *job, const char *why)
{
    struct lock *l = &j->lock;
    int64_t now = clock_mono_ms(), last;

    WITH_LOCK(l);
    job->failing_since = job->failing_since ? job->failing_since : now;
    last = last_try(j, job);
    if (job->stop == JOB_STOP_NONE && now >= last && own_timeout(j, job)) {
        job->stop = JOB_STOP_TIMEOUT;
    }
    if (job->stop != JOB_STOP_NONE || now >= last) {
        return false;
    }
    job->backoff_ms = job->backoff_ms ? job->backoff_ms * 2 : j->pauses.start_ms;
    if (job->backoff_ms > j->pauses.start_ms * START_PAUSES_MAX) {
        job->backoff_ms = j->pauses.start_ms * START_PAUSES_MAX;
    }
    job->start_at = now + job->backoff_ms < last ? now + job->backoff_ms : last;
    free(job->waits);
    job->waits = xasprintf("cannot start yet, trying again: %s", why);
    release_locked(j, job);
    job->phase = PHASE_PAUSED;
    lock_broadcast(l); /* whoever waits to cancel it */
    return true;
}

static void start_failed_again(struct jobs *j, struct job *job, struct err *why)
{
    char id[JOB_ID_SIZE], limit[32];

    memcpy(id, job->id, sizeof(id)); /* once paused, it may be freed at any moment */
    if (pause_start(j, job, why->msg)) {
        log_warn("job.start_again", "job=%s error=%s; trying again", id, Q(str_of(why->msg)));
        return;
    }
    if (!own_timeout(j, job)) {
        err_wrap(why, "could not be started for %s (jobs.start_timeout)",
                 clock_format_duration(j->start_timeout_ms, limit));
    }
    jobs_scheduler_unstarted(j, job, why);
}

static void started(struct jobs *j, struct job *job, int64_t started_ms)
{
    SCOPED(freep) struct runtime_status *early = NULL;
    struct lock *l = &j->lock;

    lock_take(l);
    early = TAKE(job->early_exit);
    free(TAKE(job->waits));
    job->phase = PHASE_RUNNING;
    job->started_ms = started_ms;
    job->backoff_ms = job->failing_since = 0;
    if (job->timeout_ms > 0) {
        job->timeout_at = clock_mono_ms() + job->timeout_ms - (clock_wall_ms() - started_ms);
    }
    j->n_started++;
    lock_drop(l);
    log_info("job.started", "job=%s attempt=%lld engine=%s", job->id, (long long)job->attempt,
             j->engine->name);
    if (early) {
        jobs_scheduler_end(j, job, early); /* writes the "running" that it overtook as well */
    } else {
        jobs_scheduler_running(j, job);
    }
}

static void on_started(struct jobs *j, struct msg *m)
{
    switch (m->result) {
    case START_OK:
        started(j, m->job, m->started_ms);
        break;
    case START_AGAIN:
        start_failed_again(j, m->job, &m->err);
        break;
    case START_FAILED:
    case START_CANCELLED:
        jobs_scheduler_unstarted(j, m->job, &m->err);
        break;
    }
}

struct job *jobs_scheduler_find(struct jobs *j, const char *container, enum job_phase *phase)
{
    struct lock *l = &j->lock;
    char current[65];
    struct job *job;

    WITH_LOCK(l);
    job = map_get(&j->by_id, str_first(str_of(container), JOB_ID_SIZE - 1));
    if (job == NULL) {
        return NULL;
    }
    job_container_id(job->id, job->attempt, job->tries, current);
    *phase = job->phase;
    return strcmp(current, container) == 0 ? job : NULL;
}

bool jobs_container_is_ours(const char *container)
{
    return str_starts(str_of(container), STR("j-"));
}

void jobs_scheduler_put_ender(struct jobs *j, enum task_kind kind, const char *container,
                              int signal)
{
    struct task *t = xnew(struct task);
    struct lock *l = &j->lock;

    t->kind = kind;
    t->signal = signal;
    memcpy(t->container, container, sizeof(t->container));
    WITH_LOCK(l);
    jobs_ender_put_locked(j, t);
}

/* The start was cut off: no process of the job existed, and nobody's fault it was. */
bool jobs_never_ran(const struct job *job, const struct runtime_status *s)
{
    return !s->running && s->end == RUNTIME_LOST && s->started_ms == 0 && job->started_ms == 0;
}

static void keep_early_exit(struct jobs *j, struct job *job, const struct runtime_status *s)
{
    struct runtime_status *copy = xnew(struct runtime_status);
    struct lock *l = &j->lock;

    *copy = *s;
    WITH_LOCK(l);
    free(job->early_exit);
    job->early_exit = copy;
}

static void on_exited(struct jobs *j, const struct runtime_status *s)
{
    enum job_phase phase;
    struct job *job = jobs_scheduler_find(j, s->id, &phase);

    if (job == NULL) {
        if (jobs_container_is_ours(s->id)) {
            jobs_scheduler_put_ender(j, TASK_REMOVE, s->id, 0);
        }
        return;
    }
    switch (phase) {
    case PHASE_RUNNING:
    case PHASE_ADOPTING:
        if (!jobs_never_ran(job, s)) {
            jobs_scheduler_end(j, job, s);
        }
        break;
    case PHASE_STARTING:
        if (!jobs_never_ran(job, s)) {
            keep_early_exit(j, job, s);
        }
        break;
    case PHASE_QUEUED: /* it will be looked for before it is started */
    case PHASE_PAUSED:
    case PHASE_ENDING:
        break;
    }
}

/* Back in line: the same attempt, whose container never came to be, or the next one. */
static void queue_again(struct jobs *j, struct job *job, const struct job_change *c)
{
    bool next = job_state_finished(c->steps[0].to);
    struct lock *l = &j->lock;

    if (next) {
        remove_container(j, job);
    }
    WITH_LOCK(l);
    release_locked(j, job);
    job->attempt += next;
    job->tries = next ? 0 : job->tries;
    job->look_first = !next;
    j->n_retried += next;
    job->stop = JOB_STOP_NONE;
    free(TAKE(job->stop_by));
    job->row_starting = job->term_sent = false;
    job->started_ms = 0;
    job->backoff_ms = job->failing_since = 0;
    job->phase = PHASE_QUEUED;
    list_remove(&job->link);
    jobs_queue_add(&j->queue, job);
    lock_broadcast(l); /* whoever waits to cancel it */
}

static void not_saved(struct jobs *j, struct job_save *s, const struct err *e)
{
    struct job *job = s->job;
    struct lock *l = &j->lock;

    if (s->change.steps[0].to == JOB_RUNNING) {
        log_warn("job.not_saved", "job=%s state=running error=%s; its end will tell", job->id,
                 Q(str_of(e->msg)));
        free(s);
        return;
    }
    if (e->kind == ERR_NOT_FOUND || e->kind == ERR_CONFLICT) {
        log_error("job.row_gone", "job=%s error=%s", job->id, Q(str_of(e->msg)));
        remove_container(j, job);
        jobs_scheduler_drop(j, job);
        free(s);
        return;
    }
    log_warn("job.not_saved", "job=%s error=%s; trying again", job->id, Q(str_of(e->msg)));
    WITH_LOCK(l);
    job->save = s;
    job->save_at = clock_mono_ms() + j->pauses.save_ms;
}

static void on_saved(struct jobs *j, struct job_save *s, const struct err *e)
{
    const struct job_change *c = &s->change;
    enum job_state last = c->steps[c->n_steps - 1].to;

    if (e->kind != ERR_NONE) {
        not_saved(j, s, e);
        return;
    }
    jobs_publish(j, s->job, last);
    if (last == JOB_QUEUED) {
        queue_again(j, s->job, c);
    } else if (job_state_finished(last)) {
        remove_container(j, s->job);
        jobs_scheduler_drop(j, s->job);
    }
    free(s);
}

static void handle(struct jobs *j, struct msg *m)
{
    switch (m->kind) {
    case MSG_STARTED:
        on_started(j, m);
        break;
    case MSG_EXITED:
        on_exited(j, &m->status);
        break;
    case MSG_SAVED:
        on_saved(j, m->save, &m->err);
        break;
    }
    free(m);
}

static void compare_now(struct jobs *j)
{
    struct lock *l = &j->lock;
    struct err e;
    bool ok;

    lock_take(l);
    j->compare_due = false;
    jobs_ender_again_locked(j);
    lock_drop(l);
    ok = jobs_adopt_compare(j, &e) == 0;
    if (!ok) {
        log_warn("job.compare_failed", "error=%s; trying again", Q(str_of(e.msg)));
    }
    WITH_LOCK(l);
    j->adopted |= ok;
    j->compare_due |= !ok;
    j->compare_at = clock_mono_ms() + (ok ? COMPARE_MS : j->pauses.compare_ms);
}

/* --- timers --- */

static int64_t sooner(int64_t a, int64_t b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

static void put_stop_locked(struct jobs *j, struct job *job, int64_t now)
{
    struct task *t = jobs_task_new(job->stop == JOB_STOP_TIMEOUT ? TASK_TIMEOUT : TASK_SIGNAL,
                                   job->id, job->attempt, job->tries);

    t->seq = job->seq;
    t->signal = job->grace_ms > 0 ? SIGTERM : SIGKILL;
    job->term_sent = true;
    job->kill_at = now + (job->grace_ms > 0 ? job->grace_ms : KILL_AGAIN_MS);
    lock_broadcast(&j->lock); /* the end of a project shortens the grace from now on */
    jobs_ender_put_locked(j, t);
}

static void put_kill_locked(struct jobs *j, struct job *job, int64_t now)
{
    struct task *t = jobs_task_new(TASK_SIGNAL, job->id, job->attempt, job->tries);

    t->signal = SIGKILL;
    job->kill_at = now + KILL_AGAIN_MS;
    jobs_ender_put_locked(j, t);
}

static void put_start_locked(struct jobs *j, struct job *job)
{
    struct task *t = jobs_task_new(TASK_START, job->id, job->attempt, job->tries);

    t->job = job;
    jobs_pool_put_locked(&j->starters, t);
}

/* When its pause ends, or now when it has: somebody must look at the queue. */
static int64_t queue_paused_locked(struct jobs *j, struct job *job, int64_t now)
{
    if (now < job->start_at) {
        return job->start_at;
    }
    job->start_at = 0;
    job->waits_since = now;
    job->phase = PHASE_QUEUED;
    list_remove(&job->link);
    jobs_queue_add(&j->queue, job);
    return now;
}

/* What is due for one job; the time of what is next, 0 for nothing. */
static int64_t timers_of_locked(struct jobs *j, struct job *job, int64_t now)
{
    if (job->phase == PHASE_PAUSED) {
        return queue_paused_locked(j, job, now);
    }
    if (job->phase != PHASE_RUNNING) {
        return job->save_at;
    }
    if (job->stop == JOB_STOP_NONE && job->timeout_at > 0 && now >= job->timeout_at) {
        job->stop = JOB_STOP_TIMEOUT;
    }
    if (job->stop != JOB_STOP_NONE && !job->term_sent) {
        put_stop_locked(j, job, now);
    } else if (job->kill_at > 0 && now >= job->kill_at) {
        put_kill_locked(j, job, now);
    }
    return job->kill_at > 0 ? job->kill_at : job->timeout_at;
}

static int64_t timers_locked(struct jobs *j)
{
    int64_t now = clock_mono_ms(), next = 0;

    list_each(it, &j->active)
    {
        next = sooner(next, timers_of_locked(j, list_entry(it, struct job, link), now));
    }
    if (j->compare_due || !list_empty(&j->active)) {
        next = sooner(next, j->compare_at);
    }
    return next;
}

static struct job_save *due_save_locked(struct jobs *j)
{
    int64_t now = clock_mono_ms();

    list_each(it, &j->active)
    {
        struct job *job = list_entry(it, struct job, link);

        if (job->save && now >= job->save_at) {
            job->save_at = 0;
            return TAKE(job->save);
        }
    }
    return NULL;
}

/* --- the queue --- */

/* It was accepted when the machine, or what the settings give to jobs, was larger. At the head it
 * would hold up everybody for ever. */
static void refuse_locked(struct jobs *j, struct job *job, const struct err *why)
{
    struct msg *m = xnew(struct msg);

    jobs_queue_remove(&j->queue, job);
    job->phase = PHASE_STARTING;
    list_append(&j->active, &job->link);
    m->kind = MSG_STARTED;
    m->result = START_FAILED;
    m->job = job;
    m->err = *why;
    list_append(&j->inbox, &m->link);
}

/* Strictly first in, first out: the head waits for its resources and nobody overtakes it, so it
 * cannot starve (docs/decisions/0008-fifo-queue.md). */
static void place_locked(struct jobs *j)
{
    struct job *job;
    struct err too_large;

    while (j->adopted && (job = jobs_queue_first(&j->queue))) {
        if (jobs_machine_could(&j->machine, &job->need, &too_large) < 0) {
            refuse_locked(j, job, &too_large);
            continue;
        }
        if (!jobs_machine_fits(&j->machine, &job->need)) {
            return;
        }
        jobs_queue_remove(&j->queue, job);
        job->gpu_mask = jobs_machine_take(&j->machine, &job->need, 0);
        job->has_resources = true;
        job->phase = PHASE_STARTING;
        list_append(&j->active, &job->link);
        if (job->failing_since > 0) { /* others had what it needs: that is no failure */
            job->failing_since += clock_mono_ms() - job->waits_since;
        }
        put_start_locked(j, job);
    }
}

/* One thing to do without the lock, or nothing: then waits for the next. */
static bool step_locked(struct jobs *j)
{
    struct job_save *save;
    int64_t next;

    if (!list_empty(&j->inbox)) {
        struct msg *m = list_entry(j->inbox.next, struct msg, link);

        list_remove(&m->link);
        lock_drop(&j->lock);
        handle(j, m);
        lock_take(&j->lock);
        return true;
    }
    if ((save = due_save_locked(j))) {
        lock_drop(&j->lock);
        state_submit(j->parts.state, apply_change, save, change_done);
        lock_take(&j->lock);
        return true;
    }
    if (clock_mono_ms() >= j->compare_at && (j->compare_due || !list_empty(&j->active))) {
        lock_drop(&j->lock);
        compare_now(j);
        lock_take(&j->lock);
        return true;
    }
    place_locked(j);
    if (!list_empty(&j->inbox)) {
        return true;
    }
    next = timers_locked(j);
    if (next > 0) {
        (void)lock_wait_until(&j->lock, next);
    } else {
        lock_wait(&j->lock);
    }
    return false;
}

void *jobs_scheduler_main(void *arg)
{
    struct jobs *j = arg;

    (void)pthread_setname_np(pthread_self(), "jobs-scheduler");
    lock_take(&j->lock);
    while (!j->stopping) {
        (void)step_locked(j);
    }
    lock_drop(&j->lock);
    return NULL;
}
