/* store - the tables of pipelines, runs, nodes and outputs. Every function with a struct state_db
 * runs inside a transaction of state.h; strings read live in the caller's arena. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "state/state.h"

/* --- pipelines --- */

struct pipeline_row {
    int64_t id, project_id, version, updated_ms;
    const char *name, *updated_by, *document; /* document: NULL in lists */
    int64_t last_run;                         /* 0: none */
    const char *last_state;
    int64_t last_ms;
    const char *schedule; /* JSON, or NULL */
};

/* What a writer saw before: any version, none at all, or that one. */
enum { PIPELINE_ANY = -1, PIPELINE_NONE = 0 };
struct pipeline_put {
    int64_t project_id, seen;
    struct str name, document;
    const char *by;
    int64_t version; /* answer: the newest, also when the document is the same */
    bool is_new;     /* answer: there was none of the name */
    bool may_run;    /* else one that has a schedule is not changed */
};
int pipeline_store_put(struct state_db *db, struct pipeline_put *p, struct err *e) MUST_USE;
int pipeline_store_get(struct state_db *db, int64_t project_id, struct str name, int64_t version,
                       struct arena *a, struct pipeline_row *out, struct err *e) MUST_USE;
int pipeline_store_list(struct state_db *db, int64_t project_id, struct str words, struct str after,
                        int64_t limit, struct arena *a, struct pipeline_row **out, size_t *n,
                        struct err *e) MUST_USE;
int pipeline_store_delete(struct state_db *db, int64_t project_id, struct str name,
                          struct err *e) MUST_USE;
struct pipeline_version {
    int64_t version, at_ms;
    const char *by;
};
int pipeline_store_versions(struct state_db *db, int64_t pipeline_id, int64_t before, int64_t limit,
                            struct arena *a, struct pipeline_version **out, size_t *n,
                            struct err *e) MUST_USE;

/* --- runs --- */

enum run_state { RUN_QUEUED, RUN_RUNNING, RUN_SUCCEEDED, RUN_FAILED, RUN_CANCELLED, RUN_STATES };
const char *run_state_name(enum run_state s);
int run_state_parse(struct str text, enum run_state *out, struct err *e) MUST_USE;

enum node_state {
    NODE_WAITING,
    NODE_CACHED,
    NODE_QUEUED,
    NODE_RUNNING,
    NODE_SUCCEEDED,
    NODE_FAILED,
    NODE_SKIPPED,
    NODE_CANCELLED,
    NODE_STATES
};
const char *node_state_name(enum node_state s);
bool node_state_ended(enum node_state s);
bool node_state_good(enum node_state s); /* its outputs are there */

struct run_row {
    int64_t id, project_id, version;
    const char *project, *pipeline, *document, *params, *by, *to, *from;
    enum run_state state;
    const char *modules; /* {"name": component}: containers as they were when it began; or NULL */
    bool is_uncached, is_unfused, is_stopping;
    int64_t created_ms, started_ms, finished_ms;
};

struct node_row {
    const char *node;
    enum node_state state;
    bool is_forced;    /* its cached output is not asked for */
    const char *image; /* of a container module, by its digest; NULL: built in */
    const char *pin;   /* that image, as jobs_image_json; only to insert */
    const char *module, *job, *key, *why, *metrics, *warnings, *outputs, *error, *error_kind,
        *words;
    int64_t started_ms, finished_ms;
    int64_t n_again;  /* how often its container ended before it did, and it waited again */
    const char *boot; /* of the machine, in which its job was submitted; or NULL */
};

int run_store_insert(struct state_db *db, struct run_row *run, const struct node_row *nodes,
                     size_t n, struct err *e) MUST_USE;
int run_store_get(struct state_db *db, int64_t project_id, int64_t id, struct arena *a,
                  struct run_row *out, struct err *e) MUST_USE;
int run_store_nodes(struct state_db *db, int64_t run_id, struct arena *a, struct node_row **out,
                    size_t *n, struct err *e) MUST_USE;
struct run_filter {
    int64_t project_id, before;
    unsigned states;
    struct str pipeline, words;
};
int run_store_list(struct state_db *db, const struct run_filter *f, int64_t limit, struct arena *a,
                   struct run_row **out, size_t *n, struct err *e) MUST_USE;
/* ERR_THROTTLED: as many go on as may. */
int run_store_check_room(struct state_db *db, int64_t project_id, struct err *e) MUST_USE;
/* --- run_prune.c --- */
struct run_prune {
    int64_t project_id;
    int64_t bytes_max; /* of their documents, modules and images; 0: as many as there are */
};
struct run_pruned {
    int64_t n_runs;
    const char **jobs; /* that they had: the caller's to delete; in the arena */
    size_t n_jobs;
};
/* Deletes the runs that ended first, past LIMIT_RUNS_KEPT or bytes_max. */
int run_store_prune(struct state_db *db, const struct run_prune *p, struct arena *a,
                    struct run_pruned *out, struct err *e) MUST_USE;
/* All of them, with id and project_id alone. */
int run_store_unfinished(struct state_db *db, struct arena *a, struct run_row **out, size_t *n,
                         struct err *e) MUST_USE;
int run_store_set(struct state_db *db, const struct run_row *run, struct err *e) MUST_USE;
int run_store_set_node(struct state_db *db, int64_t run_id, const struct node_row *n,
                       struct err *e) MUST_USE;
int run_store_delete(struct state_db *db, int64_t run_id, struct err *e) MUST_USE;
/* NULL: none is kept. */
int run_store_pin(struct state_db *db, int64_t run_id, const char *node, struct arena *a,
                  const char **pin, struct err *e) MUST_USE;
/* The layers of images that nodes wait for; one may come twice. */
int run_store_held_blobs(struct state_db *db, void (*each)(void *ctx, const char *digest),
                         void *ctx, struct err *e) MUST_USE;
/* The last run before this one in which that node of that pipeline came to an end. 0: none. */
int run_store_last(struct state_db *db, const struct run_row *run, const char *node,
                   struct arena *a, struct node_row *out, int64_t *run_id, struct err *e) MUST_USE;

/* --- modules of a project --- */

struct module_row {
    const char *name, *component, *updated_by;
    int64_t updated_ms;
};
int module_store_put(struct state_db *db, int64_t project_id, const struct module_row *m,
                     struct err *e) MUST_USE;
int module_store_delete(struct state_db *db, int64_t project_id, struct str name,
                        struct err *e) MUST_USE;
int module_store_list(struct state_db *db, int64_t project_id, struct arena *a,
                      struct module_row **out, size_t *n, struct err *e) MUST_USE;

/* A pipeline with a schedule whose newest version uses it, or NULL. */
int module_store_scheduled(struct state_db *db, int64_t project_id, struct str name,
                           struct arena *a, const char **pipeline, struct err *e) MUST_USE;

/* --- outputs that are there --- */

struct output_row {
    const char *volume, *outputs, *metrics, *warnings;
    const char *key;       /* their directory; of no other outputs, ever */
    const char *words_key; /* what they are found by; NULL: nobody finds them */
    int64_t run_id;
};
int output_store_find(struct state_db *db, int64_t project_id, const char *volume,
                      const char *words_key, struct arena *a, struct output_row *out,
                      struct err *e) MUST_USE; /* 1, 0 */
/* From now on they are found, and those that were before are not. */
int output_store_put(struct state_db *db, int64_t project_id, const struct output_row *o,
                     struct err *e) MUST_USE;
int output_store_remove(struct state_db *db, int64_t project_id, const char *volume,
                        const char *key, struct err *e) MUST_USE;
/* Outputs that no node of any run refers to. */
enum { OUTPUT_ORPHANS_AT_ONCE = 1000 };
int output_store_orphans(struct state_db *db, int64_t project_id, struct arena *a,
                         struct output_row **out, size_t *n, struct err *e) MUST_USE;
