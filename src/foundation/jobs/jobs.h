/* jobs - container jobs under a real queue: specs, states, scheduler, engines.
 *
 *   POST .../jobs -> spec.c (YAML/JSON -> struct job_spec) -> store.c (one transaction: queued) ->
 * 202 scheduler thread: fits CPU, memory, GPU first-in-first-out -> engine->start -> running
 *   engine's exit event -> store.c -> succeeded | failed | cancelled | lost, or queued again
 * (retry)
 *
 * Threads: any for the functions below; the scheduler owns the queue.
 * On disk: tables `jobs`, `job_history`; jobs/<container id>/ belongs to runtime. */
#pragma once
#include "base/arena.h"
#include "base/cfg.h"
#include "net/http.h"
#include "net/perm.h"

struct jobs;
struct rootfs;
struct runtime;
struct runtime_status;
struct secrets;
struct state;
struct state_schema;
struct volume_store;
struct rootfs_layer;

extern const struct state_schema jobs_schema;
extern const struct route jobs_routes[]; /* ctx: struct jobs * */
extern const struct http_schema jobs_schemas[];
extern const struct cfg_item jobs_config[];

enum job_state {
    JOB_QUEUED,
    JOB_STARTING,
    JOB_RUNNING,
    JOB_SUCCEEDED,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_LOST,
    JOB_STATES
};
const char *job_state_name(enum job_state s);

/* An image as a job needs it; in the arena. */
struct job_image {
    char digest[136]; /* of the manifest that is run */
    struct rootfs_layer *layers;
    size_t n_layers;
    const char **entrypoint, **cmd, **env; /* NULL-terminated, may be empty */
    const char *cwd, *user, *architecture, *os;
};

/* What jobs needs from above (main/wire.c). */
struct jobs_hooks {
    void *ctx;
    int (*project)(void *ctx, struct str name, int64_t *project_id, uint32_t *id_base,
                   struct err *e);
    /* "project/repo:tag" or "...@sha256:..." for this machine's architecture. Errors say what
     * exists: no such repository or tag, or only other architectures (ERR_INVALID). Tags may move
     * then; the layers stay while jobs_held_blobs() names them. */
    int (*image)(void *ctx, const struct principal *who, struct str reference, struct arena *a,
                 struct job_image *out, struct err *e);
    void (*event)(void *ctx, const char *type, struct str project, struct str json);
    /* Asked on the relay thread while a shell is open or a log is followed; may be NULL in tests.
     */
    bool (*still_may)(void *ctx, const struct principal *who, enum perm perm, struct str project);
};

struct jobs_parts {
    struct state *state;
    struct runtime *runtime;
    struct rootfs *rootfs;
    struct volume_store *volumes;
    struct secrets *secrets;
    const struct cfg *cfg;
    struct jobs_hooks hooks;
};

/* Loads the table, re-adopts what runs, starts the scheduler. */
struct jobs *jobs_open(const struct jobs_parts *parts, struct err *e) MUST_USE;
/* Stops scheduling; running containers keep running. */
void jobs_close(struct jobs *j);
DEFINE_SCOPED(struct jobs, jobs_close)
/* A job of this server itself (a step of a pipeline), with an image that no registry has. `id`:
 * "j-" and 8 letters or digits, chosen by the caller before: submitting it again when it is there
 * already is success. */
struct jobs_own {
    const struct principal *who;
    struct str project;
    const char *id;
    struct str spec;               /* its `image` is for people */
    const struct job_image *image; /* NULL: the spec's */
};
int jobs_submit_own(struct jobs *j, const struct jobs_own *o, struct err *e) MUST_USE;
/* How a job is, and how it ended; in the arena. ERR_NOT_FOUND. */
struct jobs_look {
    enum job_state state;
    bool is_finished;
    bool is_up;            /* its container began in this boot of the machine, and runs */
    const char *exit_kind; /* "exit", "signal", "oom", "timeout", or NULL */
    int64_t exit_code, memory_bytes;
    const char *reason; /* of its state, for people */
    int log_fd;         /* of the last attempt, the caller's; -1: there is none */
};
int jobs_look(struct jobs *j, int64_t project_id, struct str id, struct arena *a,
              struct jobs_look *out, struct err *e) MUST_USE;
/* Cancels it; a finished one is ERR_CONFLICT. */
int jobs_cancel(struct jobs *j, int64_t project_id, struct str id, const char *by,
                struct err *e) MUST_USE;
/* Only when it is finished. */
int jobs_delete(struct jobs *j, int64_t project_id, struct str id, struct err *e) MUST_USE;
/* The digest of an image reference for a project: what a job would be pinned to. */
int jobs_image(struct jobs *j, const struct principal *who, struct str reference, struct arena *a,
               struct job_image *out, struct err *e) MUST_USE;
/* For who keeps an image until it is needed; back in the arena. Its layers are the keeper's to hold
 * meanwhile. */
void jobs_image_json(const struct job_image *im, struct jw *w);
int jobs_image_parse(struct arena *a, struct str json, struct job_image *out,
                     struct err *e) MUST_USE;
/* What this machine has for jobs. */
void jobs_machine_totals(struct jobs *j, int64_t *cpu_milli, int64_t *memory_bytes);
/* A container ended (runtime_sink): queued to the scheduler, never blocks. */
void jobs_on_exit(struct jobs *j, const struct runtime_status *s);
bool jobs_volume_in_use(struct jobs *j, const char *volume_id);
/* The blobs of layers that jobs which are not finished were pinned to; one may come twice. */
int jobs_held_blobs(struct jobs *j, void (*each)(void *ctx, const char *digest), void *ctx,
                    struct err *e) MUST_USE;
/* The newest jobs that fit the filter `words`, as {project, id, name, state} into an open array.
 * `projects`: a JSON array of project ids, or NULL: of all. */
int jobs_search(struct jobs *j, const char *projects, struct str words, int64_t limit, struct jw *w,
                struct err *e) MUST_USE;
/* Cancels all jobs of a project and forgets them. */
int jobs_project_gone(struct jobs *j, int64_t project_id, struct err *e) MUST_USE;
void jobs_dump(struct jobs *j, struct buf *out);
