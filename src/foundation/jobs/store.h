/* store - the tables `jobs` and `job_history`: rows, legal changes of state, pages of lists.
 *
 * Every function with a struct state_db runs inside a transaction of state.h. A change of state is
 * one transaction with its time and reason; one that the table of legal changes does not have is
 * refused (ERR_CONFLICT). On disk: docs/formats/jobs.md. */
#pragma once
#include "jobs/outcome.h"
#include "state/state.h"

/* A row. The strings live in the arena it was read into. */
struct job_row {
    int64_t seq; /* order of submission, never used again */
    const char *id;
    int64_t project_id;
    const char *project, *name, *user, *image, *digest, *reason;
    enum job_state state;
    int64_t attempt, retries;
    int64_t tries; /* of this attempt that came to nothing: see job_container_id */
    int64_t cpu_milli, memory_bytes, gpus, timeout_ms, grace_ms;
    uint64_t gpu_mask;      /* of the attempt: bit = index of the device */
    const char *volume_ids; /* with spaces between, in the order of the spec */
    enum job_stop stop;
    const char *stop_by;
    int64_t created_ms, started_ms, finished_ms; /* 0: not yet */
    enum job_exit_kind exit_kind;
    int64_t exit_code;
    const char *exit_text;
    int64_t memory_peak_bytes, cpu_usec, log_bytes;
    const char *spec, *pin; /* JSON; NULL in lists */
};

/* Fills row->seq and row->id is given. ERR_CONFLICT when the id exists. */
int job_store_insert(struct state_db *db, struct job_row *row, struct err *e) MUST_USE;

enum { JOB_CHANGE_STEPS = 3 };

/* A move through one or more states in one transaction. */
struct job_change {
    int64_t seq, attempt; /* must be what the row has */
    int64_t at_ms;
    struct job_step {
        enum job_state to;
        char reason[400];
    } steps[JOB_CHANGE_STEPS];
    size_t n_steps;
    uint64_t gpu_mask;  /* with STARTING */
    int64_t tries;      /* with STARTING */
    int64_t started_ms; /* with RUNNING, or with an end that RUNNING may have missed */
    /* with an end of the attempt */
    struct job_outcome outcome;
    int64_t ended_ms, memory_peak_bytes, cpu_usec, log_bytes;
};
/* ERR_NOT_FOUND: the row is gone. An end after STARTING writes the RUNNING that was missed. Back to
 * QUEUED: `outcome.state` LOST or FAILED begins the next attempt, else the same one again. */
int job_store_apply(struct state_db *db, const struct job_change *c, struct err *e) MUST_USE;

/* A start that came to nothing is tried again, under another container id and on other GPUs. */
int job_store_set_tries(struct state_db *db, int64_t seq, int64_t tries, uint64_t gpu_mask,
                        struct err *e) MUST_USE;
/* Which try of the attempt it was that ran (0 when none did). */
int job_store_tries(struct state_db *db, struct str id, int64_t attempt, int64_t *tries,
                    struct err *e) MUST_USE;
int job_store_set_stop(struct state_db *db, int64_t seq, enum job_stop stop, const char *by,
                       struct err *e) MUST_USE;
/* A container that a job had: its log is still there. */
typedef void job_container(void *ctx, struct str id, int64_t attempt, int64_t tries);
/* Only when it is finished (ERR_CONFLICT). `each` gets its containers. */
int job_store_delete(struct state_db *db, int64_t project_id, struct str id, job_container *each,
                     void *ctx, struct err *e) MUST_USE;

/* project_id 0: of any project. ERR_NOT_FOUND. */
int job_store_get(struct state_db *db, int64_t project_id, struct str id, struct arena *a,
                  struct job_row *out, struct err *e) MUST_USE;
struct job_history {
    enum job_state state;
    int64_t at_ms, attempt;
    const char *reason;
};
int job_store_history(struct state_db *db, int64_t seq, struct arena *a, struct job_history **out,
                      size_t *n, struct err *e) MUST_USE;

struct job_filter {
    int64_t project_id;
    int64_t before;   /* seq: only older ones; 0: from the newest */
    unsigned states;  /* bit = enum job_state; 0: all */
    struct str words; /* base/words.h, over name, id, user and image; empty: all */
};
/* Newest first, without spec and pin; at most `limit` rows. */
int job_store_list(struct state_db *db, const struct job_filter *f, int64_t limit, struct arena *a,
                   struct job_row **out, size_t *n, struct err *e) MUST_USE;
/* The newest that fit, as short objects into an open array. `projects`: a JSON array of their ids,
 * or NULL: all. */
int job_store_search(struct state_db *db, const char *projects, struct str words, int64_t limit,
                     struct jw *w, struct err *e) MUST_USE;
/* All that are not finished, oldest first, without spec and pin. */
int job_store_unfinished(struct state_db *db, void (*each)(void *ctx, const struct job_row *row),
                         void *ctx, struct err *e) MUST_USE;
/* The layers' blobs of every job that is not finished, once for each image. */
int job_store_held_blobs(struct state_db *db, void (*each)(void *ctx, const char *digest),
                         void *ctx, struct err *e) MUST_USE;
/* The containers of all jobs of the project; then no rows are left. */
int job_store_forget_project(struct state_db *db, int64_t project_id, job_container *each,
                             void *ctx, struct err *e) MUST_USE;

/* Whether the table of legal changes has this one. */
bool job_state_may(enum job_state from, enum job_state to);
bool job_state_finished(enum job_state s);
int job_state_parse(struct str text, enum job_state *out, struct err *e) MUST_USE;
