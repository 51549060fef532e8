/* jobs, inside: the jobs in memory, the messages to the scheduler, who may touch what.
 *
 *   handlers ──┐ (submit, cancel)                        ┌─> starters: commit "starting", start
 *   sink ──────┼─> inbox / queue ─> scheduler thread ────┤
 *   writer ────┘ (saved)            phases, timers       ├─> enders: signals
 *                                                        └─> removers: what ended
 *
 * Only the scheduler thread moves a job from phase to phase, except that a handler takes a queued
 * one out to cancel it. In memory is every job that is not finished; finished ones are rows. */
#pragma once
#include "jobs/jobs.h"

#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "jobs/engine.h"
#include "jobs/machine.h"
#include "jobs/queue.h"
#include "jobs/store.h"

#define JOB_ID_SIZE 11 /* "j-", 8 letters or digits, NUL */

enum job_phase {
    PHASE_ADOPTING, /* loaded as starting or running; the engine has not been asked yet */
    PHASE_QUEUED,
    PHASE_STARTING, /* a starter has it */
    PHASE_PAUSED, /* its start failed: back into the queue at start_at, until then it holds nothing
                   */
    PHASE_RUNNING,
    PHASE_ENDING, /* its end is being written */
};

struct job {
    /* constant */
    char id[JOB_ID_SIZE];
    int64_t seq, project_id;
    char *project, *name, *volume_ids;
    struct machine_need need;
    int64_t retries, timeout_ms, grace_ms;
    /* guarded by jobs.lock */
    struct list link; /* jobs.active: every phase but QUEUED */
    enum job_phase phase;
    int64_t attempt;
    int64_t tries; /* of this attempt that came to nothing */
    uint64_t gpu_mask;
    bool has_resources;
    enum job_stop stop;
    char *stop_by;
    int64_t started_ms; /* wall */
    /* monotonic ms; 0: not set */
    int64_t timeout_at, kill_at, start_at, save_at;
    int64_t backoff_ms;
    int64_t waits_since;   /* back in the queue after a start that failed */
    int64_t failing_since; /* its start fails since then; monotonic ms, 0: it does not */
    bool term_sent;
    bool row_starting;                 /* the row says starting (or running) already */
    bool look_first;                   /* its container may exist: ask before starting it */
    bool listed;                       /* scratch of a comparison with the engine */
    char *waits;                       /* why it cannot start yet, or NULL */
    struct runtime_status *early_exit; /* it ended before its start was reported */
    struct job_save *save;             /* an end that could not be written: again at save_at */
};

/* A change on its way through the state writer, and back as a message. */
struct job_save {
    struct jobs *jobs;
    struct job *job;
    struct job_change change;
};

enum start_result { START_OK, START_FAILED, START_CANCELLED, START_AGAIN };

enum msg_kind { MSG_STARTED, MSG_EXITED, MSG_SAVED };

struct msg {
    struct list link;
    enum msg_kind kind;
    struct job *job;          /* STARTED */
    enum start_result result; /* STARTED */
    int64_t started_ms;       /* STARTED: OK */
    struct job_save *save;    /* SAVED */
    struct err err;           /* STARTED: FAILED, AGAIN; SAVED: kind != ERR_NONE when it failed */
    struct runtime_status status; /* EXITED */
};

enum task_kind { TASK_START, TASK_SIGNAL, TASK_TIMEOUT, TASK_REMOVE, TASK_FORGET };

struct task {
    struct list link;
    enum task_kind kind;
    struct job *job; /* START: stays until the answer */
    int64_t seq;     /* TIMEOUT */
    char container[65];
    int signal;
};

enum { POOL_MAX = 64 };

/* A few threads that do what blocks. Guarded by jobs.lock, `wake` goes with its mutex. */
struct pool {
    struct jobs *jobs;
    const char *name;
    void (*run)(struct jobs *j, struct task *t); /* without the lock; the pool frees the task */
    pthread_cond_t wake;
    struct list tasks;
    size_t n_threads;
    pthread_t threads[POOL_MAX];
};

/* How long to wait before trying again; short in tests. */
struct jobs_pauses {
    int64_t save_ms;    /* a change that could not be written */
    int64_t start_ms;   /* a start that may pass: doubled each time, up to 30 times this */
    int64_t compare_ms; /* a comparison with the engine that failed, or is due after opening */
    int64_t remove_ms;  /* a container that could not be removed */
    /* and the longest grace of a job whose project goes */
    int64_t project_grace_ms;
};
extern const struct jobs_pauses jobs_pauses_usual;

struct jobs {
    struct jobs_parts parts;
    struct jobs_pauses pauses;
    const struct job_engine *engine;
    void *engine_ctx;
    struct engine_local local;
    char host[65], arch[16];
    int64_t start_timeout_ms; /* how long failed starts are tried again */
    struct lock lock;         /* its condition wakes the scheduler and those who wait for an end */
    /* guarded by lock */
    struct machine machine;
    struct queue queue;
    struct map by_id;
    struct list active;
    struct list inbox;
    struct list followers; /* struct follower: log_http.c */
    struct list shells;    /* struct shell: shell.c */
    struct list forgets;   /* tasks that could not be done: again with the next comparison */
    size_t n_submitting;   /* counted for the limit, not in the queue yet */
    bool stopping, adopted;
    int64_t compare_at; /* with the engine, next, when jobs are active or... monotonic ms */
    bool compare_due;   /* ...this is set */
    /* counters */
    uint64_t n_submitted, n_started, n_ended, n_retried;
    /* threads */
    struct pool starters, enders, removers; /* a slow removal delays no signal */
    pthread_t scheduler;
    bool scheduler_runs;
};

/* jobs.c */
struct jobs *jobs_open_with(const struct jobs_parts *parts, const struct job_engine *engine,
                            void *engine_ctx, const struct jobs_pauses *pauses,
                            struct err *e) MUST_USE;
struct job *job_new(const struct job_row *row) MUST_USE;
void job_free(struct job *job);
/* "<job>-<attempt>", and "-<tries>" when the start of the attempt is tried again: the runtime takes
 * an id once. */
void job_container_id(const char *id, int64_t attempt, int64_t tries, char out[65]);
void jobs_publish_deleted(struct jobs *j, struct str project, struct str id);
void jobs_publish(struct jobs *j, const struct job *job, enum job_state state);

/* pool.c */
int jobs_pool_open(struct pool *p, struct jobs *j, const char *name, size_t n_threads,
                   void (*run)(struct jobs *j, struct task *t), struct err *e) MUST_USE;
void jobs_pool_close(struct pool *p); /* what runs is waited for, what waits is dropped */
/* Takes over the task. */
void jobs_pool_put_locked(struct pool *p, struct task *t);
struct task *jobs_task_new(enum task_kind kind, const char *id, int64_t attempt,
                           int64_t tries) MUST_USE;

/* To the enders, or the removers. Takes over the task. */
void jobs_ender_put_locked(struct jobs *j, struct task *t);
/* starter.c, ender.c: what the pools do */
/* The command of the spec or the image; in the arena, NULL-terminated. */
const char *const *jobs_args_of(struct arena *a, const struct job_spec *s,
                                const struct job_image *im);
void jobs_starter_run(struct jobs *j, struct task *t);
void jobs_ender_run(struct jobs *j, struct task *t);
void jobs_ender_again_locked(struct jobs *j); /* what could not be forgotten */

/* scheduler.c */
void *jobs_scheduler_main(void *jobs);
void jobs_scheduler_post(struct jobs *j, struct msg *m); /* takes over */
/* The container of the job's attempt ended. */
void jobs_scheduler_end(struct jobs *j, struct job *job, const struct runtime_status *s);
void jobs_scheduler_save(struct jobs *j, struct job *job, const struct job_change *c);
/* It runs, and the row does not say so yet. */
void jobs_scheduler_running(struct jobs *j, struct job *job);
/* It never ran. */
void jobs_scheduler_unstarted(struct jobs *j, struct job *job, const struct err *why);
/* The job whose current container that is, or NULL. A job that is queued may be cancelled and freed
 * by a handler meanwhile: look at `phase` first. */
struct job *jobs_scheduler_find(struct jobs *j, const char *container, enum job_phase *phase);
void jobs_scheduler_put_ender(struct jobs *j, enum task_kind kind, const char *container,
                              int signal);
bool jobs_container_is_ours(const char *container);
bool jobs_never_ran(const struct job *job, const struct runtime_status *s);
/* The job leaves memory; its followers are told. */
void jobs_scheduler_drop(struct jobs *j, struct job *job);

/* adopt.c: scheduler thread, or before it runs */
int jobs_adopt_compare(struct jobs *j, struct err *e) MUST_USE;

/* log_http.c */
void jobs_followers_tell_locked(struct jobs *j, const char *id, int64_t last_attempt);

/* submit.c, cancel.c */
int jobs_submit(struct jobs *j, const struct principal *who, struct str project, struct str text,
                struct err_list *mistakes, struct arena *a, struct job_row *out,
                struct err *e) MUST_USE;
