/* pipeline - Studio: graphs of modules that people draw, checked before they run, run as jobs.
 *
 *   PUT .../pipelines/{name} -> document.c (all mistakes at once) -> store.c (a version)
 *   POST .../pipelines/{name}/runs -> graph.c, check.c -> runs.c (rows, 202)
 *   runner thread: node after node -> outputs.c (is its output there?) -> a job of ours (strata-ml)
 * -> output renamed to its place in the volume, row written -> what needs it
 *
 * Threads: any for the routes; one runner. Every step of a run is a transaction, so that a restart
 * goes on where it was and repeats nothing that is done.
 * On disk: tables pipelines, pipeline_versions, pipeline_runs, pipeline_nodes, pipeline_outputs;
 * <volume>/.studio/<key>/<port>.<kind> (docs/formats/pipeline.md). */
#pragma once
#include "base/cfg.h"
#include "net/http.h"

struct access;
struct content;
struct jobs;
struct pipelines;
struct cidr;
struct secrets;
struct state;
struct state_schema;
struct volume_store;

extern const struct state_schema pipeline_schema;
extern const struct cfg_item pipeline_config[];
extern const struct route pipeline_routes[]; /* ctx: struct pipelines * */
extern const struct http_schema pipeline_schemas[];

struct pipeline_parts {
    struct state *state;
    struct access *access;
    struct content *content;
    struct jobs *jobs;
    struct volume_store *volumes;
    struct secrets *secrets;
    const struct cidr
        *denied; /* where no import goes (net.outbound_deny, net.import_deny); the caller's */
    size_t n_denied;
    int64_t run_bytes; /* pipeline.run_documents */
    int program_fd;    /* of strata-ml, taken over; -1: it is not beside this program */
    void *ctx;
    void (*event)(void *ctx, const char *type, struct str project, struct str json);
};

/* Packs strata-ml as an image, loads the runs that are not finished, starts the runner. */
struct pipelines *pipelines_open(const struct pipeline_parts *parts, struct err *e) MUST_USE;
void pipelines_close(struct pipelines *s);
DEFINE_SCOPED(struct pipelines, pipelines_close)
/* A job changed its state (jobs_hooks.event): wakes the runner, never blocks. */
void pipelines_on_job(struct pipelines *s);
/* The blobs of our own image, which no manifest refers to, and of images that nodes wait for. */
int pipelines_held_blobs(struct pipelines *s, void (*each)(void *ctx, const char *digest),
                         void *ctx, struct err *e) MUST_USE;
int pipelines_project_gone(struct pipelines *s, int64_t project_id, struct err *e) MUST_USE;
