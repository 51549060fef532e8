/* pipeline, inside: the runs in memory, the runner, who may touch what.
 *
 *   handlers ── rows, then a note ──> inbox ──> runner thread ── rows, jobs, files, events
 *
 * Only the runner changes the nodes of a run that is not finished, and only it makes and removes
 * outputs. Handlers read rows; of memory they see progress alone. */
#pragma once
#include "pipeline/pipeline.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/vec.h"
#include "pipeline/graph.h"
#include "pipeline/image.h"
#include "pipeline/store.h"
#include "volume/volume.h"

#include <pthread.h>

#define STUDIO_DIR VOLUME_STUDIO
enum { STEP_JOB_ID = 11, STEP_KEY = 65 };

/* What came out of a port. */
struct step_output {
    char sha256[65];              /* empty: nothing yet */
    int64_t bytes, rows, columns; /* rows < 0: not known */
    bool has_preview;
    int64_t inode, changed_ns; /* of the file that was hashed: as long as they are, so is it */
    bool is_checked;           /* that file is what its port says */
};

/* Where a step is, by the lines of its container's log. */
enum step_part { PART_BEFORE, PART_WITHIN, PART_ENDED };

struct run_node {
    struct node_row row; /* strings in the run's arena, or in this one: */
    struct arena arena;  /* of this try; empty while it waits */
    int g;               /* its place in the graph */
    struct step_output outputs[MODULE_PORTS];
    struct step_seen {
        int64_t inode, changed_ns; /* 0: a server before us looked */
    } seen[MODULE_PORTS];          /* of what its inputs come from, when it began */
    bool is_submitted;             /* its job was given to jobs since we started */
    bool is_held_up;               /* `text` says by what */
    struct path_look *looks;       /* folder.c: at what its parameters name, until that is used */
    /* whether the files that it read are the same since; once its container has ended */
    enum files_seen { FILES_UNSEEN, FILES_SAME, FILES_OTHERS } files_seen;
    /* step_memory.c: the limit of its job, what its module tells, what the document says (0) */
    int64_t memory_bytes, need_bytes, asked_bytes;
    bool lacks_memory;
    /* of its job's log */
    int64_t log_at;
    unsigned n_warned;                  /* lines of warnings that were looked at */
    struct buf line, metrics, warnings; /* row.metrics and row.warnings point into them */
    enum step_part part;
    int exit_code;
    int64_t begun_ms, ended_ms;
    char said[256]; /* its error */
    /* guarded by pipelines.lock */
    double done;
    char text[200];
};

struct run {
    struct list link; /* pipelines.runs; guarded by pipelines.lock, changed by the runner */
    struct arena arena;
    struct run_row row;
    struct doc doc;
    struct catalog catalog;
    struct graph graph;
    struct run_node *nodes;
    size_t n;
    struct run_node **of; /* by their place in the graph; NULL: not of this run */
};

/* Nodes of one run that share a container, inputs first; usually one. */
enum { STEP_GROUP = 16 };
struct step_group {
    struct run_node *nodes[STEP_GROUP];
    size_t n;
};

enum note_kind { NOTE_RUN, NOTE_COLLECT, NOTE_SCHEDULE, NOTE_GONE /* the project */ };
struct note {
    enum note_kind kind;
    int64_t project_id, run_id;
};

struct pipelines {
    struct pipeline_parts parts;
    struct step_image image;
    bool has_image;
    char boot[CLOCK_BOOT_ID]; /* that goes on */
    struct importer *importer;
    struct lock lock; /* its condition wakes the runner */
    /* guarded by lock */
    struct list runs;
    VEC(struct note) inbox;
    struct list followers; /* struct follower: events.c */
    struct list hashes;    /* struct file_hash: hashes.c */
    struct map hashes_by;  /* the same by what they are of, without those that nobody wants */
    size_t n_hashes, n_reading;
    bool stopping, woken;
    pthread_t runner, hasher;
    bool runner_runs, hasher_runs;
    size_t n_folders;    /* runner thread only: that nodes are gone through, folder.c */
    uint64_t round;      /* runner thread only: of looks at all runs */
    int64_t round_bytes; /* runner thread only: that this look has hashed itself */
};

/* --- hashes.c: of files of volumes. Runner thread only --- */
enum { HASH_PENDING = 2 };
/* A content of a file, as far as its file system tells. */
struct file_name {
    int64_t project_id;
    char volume[65];
    uint64_t inode;
    int64_t size_bytes, modified_ns, changed_ns;
    bool is_synced; /* its bytes are on the disk before its hash is told */
};
/* SHA-256 of its first size_bytes. 1: known. HASH_PENDING: being read; the runner is woken, and
 * asks again at each look for as long as it wants it. */
int hashes_ask(struct pipelines *s, const struct file_name *name, int64_t run_id, int fd,
               char hex[65], struct err *e) MUST_USE;
/* All runs were looked at: what none of them asked for is not read on, and forgotten when its file
 * was changed just before. */
void hashes_sweep(struct pipelines *s);
void *hashes_main(void *pipelines);
void hashes_done(struct pipelines *s);

/* --- pipeline_http.c, shared by the route files --- */
int studio_project(struct http_req *r, int64_t *id, struct err *e) MUST_USE;
/* What running a pipeline needs: also of who changes what runs by the clock in another's name. */
bool studio_may_run(const struct pipelines *s, const struct principal *who, struct str project);
int studio_reply(struct http_req *r, int status, struct buf *b, int result, struct err *e) MUST_USE;
/* A document that is not taken: every mistake with its place. */
int studio_reply_mistakes(struct http_req *r, const struct err_list *l, const struct err *why,
                          struct err *e) MUST_USE;
/* With those containers of the project that the document names; NULL: with all. */
int studio_catalog(struct pipelines *s, int64_t project_id, const struct doc *d, struct arena *a,
                   struct catalog *out, struct err *e) MUST_USE;

/* With the containers as they were when the run began. */
int studio_catalog_of_run(struct pipelines *s, const struct run_row *run, const struct doc *d,
                          struct arena *a, struct catalog *out, struct err *e) MUST_USE;

/* --- check.c --- */
/* {"ok","mistakes","nodes"}: what the editor shows. */
struct check_files {
    struct pipelines *s;
    int64_t project_id;
};
void check_json(struct arena *a, const struct graph *g, const struct check_files *files,
                struct mistakes *mistakes, struct jw *w);

/* --- runs_http.c's part that schedules need too: runs.c --- */
struct run_new {
    const struct principal *who;
    struct str project, pipeline;
    int64_t project_id, version; /* 0: the newest */
    const struct graph_value *values;
    size_t n_values;
    const char *params; /* the same as JSON */
    const char *to, *from;
    bool is_uncached, is_unfused;
};
/* -1 with mistakes->n > 0: it cannot run. */
int run_create(struct pipelines *s, const struct run_new *n, struct arena *a, int64_t *id,
               struct mistakes *mistakes, struct err *e) MUST_USE;

/* --- runner.c --- */
void *runner_main(void *pipelines);
void runner_note(struct pipelines *s, enum note_kind kind, int64_t project_id, int64_t run_id);
int run_save_node(struct pipelines *s, const struct run *r, const struct run_node *n,
                  struct err *e) MUST_USE;

/* --- step_key.c: what a node's output depends on --- */
bool step_error_passes(const struct err *e);              /* it is tried again; others are final */
struct run_node *run_node_at(const struct run *r, int g); /* or NULL */
/* As given, or the default. */
const char *step_param(const struct run *r, const struct run_node *n, size_t i);
/* By its name; "" when the module has no such parameter. */
const char *step_param_named(const struct run *r, const struct run_node *n, const char *name);
int64_t step_bytes(int64_t times, int64_t bytes, int64_t base); /* INT64_MAX past it */
/* Fills row.words; *input_bytes is what it reads. HASH_PENDING: its files are being read. */
int step_words(struct pipelines *s, struct run *r, struct run_node *n, int64_t *input_bytes,
               struct err *e) MUST_USE;
void step_words_key(const char *words, char key[STEP_KEY]);
/* Fills files_seen: whether the files it read are still those that its words describe. 1: done. Or
 * HASH_PENDING. */
int step_files_look(struct pipelines *s, const struct run *r, struct run_node *n,
                    struct err *e) MUST_USE;
/* "parameter fraction changed from 0.7 to 0.8"; in the node's arena. */
const char *step_why(struct run_node *n, const char *old_words);

/* --- step_inputs.c: what a step reads of other steps, which others may write to --- */
/* Before it begins: they are the bytes that its key names. 1: yes. Or HASH_PENDING. ERR_INVALID
 * says which is not. */
int step_inputs_there(struct pipelines *s, const struct run *r, struct run_node *n,
                      struct err *e) MUST_USE;
/* When it has ended: nobody touched them meanwhile. As above. */
int step_inputs_same(struct pipelines *s, const struct run *r, struct run_node *n,
                     struct err *e) MUST_USE;

/* --- step_spec.c: the job of one step, or of several --- */
void step_spec(struct pipelines *s, const struct run *r, const struct step_group *g,
               int64_t memory_bytes, struct arena *a, struct jw *w);
const char *step_file(struct arena *a, const struct run_node *n, const struct port *port);
/* Where the container finds an input; NULL: not connected. */
const char *step_input_file(const struct run *r, const struct step_group *group,
                            const struct run_node *n, size_t i, struct arena *a);
void step_mount(struct jw *w, struct str volume, const char *path, const char *mode,
                const char *subpath);
const char *step_suffix(enum value_type type);
/* Where it writes: a directory of the job's, under STUDIO_DIR. */
const char *step_tmp_dir(struct arena *a, const struct run_node *n);

/* --- step_memory.c --- */
/* Fills n->memory_bytes; input_bytes as step_words told it. ERR_LIMIT: it needs more than it can
 * have. */
int step_memory(struct pipelines *s, const struct run *r, struct run_node *n, int64_t input_bytes,
                struct err *e) MUST_USE;
/* Of a step that reads so many bytes of which nothing else is known. */
int64_t step_memory_about(const struct run *r, const struct run_node *n, int64_t input_bytes);
/* What to say of a step that the kernel ended; in the node's arena. */
const char *step_memory_killed(struct run_node *n, int64_t had_bytes);

/* --- outputs.c: files of a step --- */
/* Whether all outputs of the key are there as the row says. 1: yes; fills n->outputs. Or
 * HASH_PENDING. */
int outputs_there(struct pipelines *s, const struct run *r, struct run_node *n, const char *outputs,
                  struct err *e) MUST_USE;
/* Whether an output has the bytes that were hashed. 1, 0, or HASH_PENDING. */
int output_is_there(struct pipelines *s, const struct run *r, struct run_node *n, int port,
                    struct err *e) MUST_USE;
int outputs_prepare(struct pipelines *s, const struct run *r, const struct run_node *n,
                    struct err *e) MUST_USE;
/* Hashes what the job left, where it left it or, after a restart, in its own place; fills
 * n->outputs. ERR_INVALID: the step lied. 1: it is in its place already. Or HASH_PENDING. */
int outputs_look(struct pipelines *s, const struct run *r, struct run_node *n,
                 struct err *e) MUST_USE;
/* To row.key: nobody else's directory. */
int outputs_move(struct pipelines *s, const struct run *r, const struct run_node *n,
                 struct err *e) MUST_USE;
/* What a job leaves when its outputs are taken. */
void outputs_drop(struct pipelines *s, const struct run *r, const struct run_node *n);
/* With marks of the files for rows of outputs; without for people. */
const char *outputs_json(const struct run *r, struct run_node *n, bool with_marks);
int outputs_parse(const struct module *m, const char *json, struct step_output *out);
struct volume_file_info;
struct volume_ref;
enum hash_promise { HASH_READ, HASH_SYNCED };
/* As hashes_ask. */
int hash_file(struct pipelines *s, const struct run *r, struct str volume,
              const struct volume_file_info *f, enum hash_promise promise, char hex[65],
              struct err *e) MUST_USE;
struct volume_ref run_volume(const struct run *r);
const struct module *run_module(const struct run *r, const struct run_node *n);

/* --- folder.c: what a path names in a volume --- */
struct files_lister;
struct volume_lister {
    struct pipelines *s;
    int64_t project_id;
};
/* "data:tables": for check.h and files.h; `of` outlives it. */
struct files_lister folder_lister(struct volume_lister *of);
/* The content of a file, or of all files of a folder or a pattern: its hash, and a mark (in the
 * node's arena) that is another one when something was changed, added or removed. Adds the bytes.
 * As hashes_ask; what is pending goes on at the next look where this one ended. */
int path_hash(struct pipelines *s, const struct run *r, struct run_node *n, const char *path,
              char hex[65], const char **mark, int64_t *bytes, struct err *e) MUST_USE;
/* The mark as it is now; in the node's arena. 1, or as above. */
int path_mark(struct pipelines *s, const struct run *r, struct run_node *n, const char *path,
              const char **mark, struct err *e) MUST_USE;
/* It is known what they were for: the next look is a new one. */
void path_looks_done(struct pipelines *s, struct run_node *n);

/* --- path_missing.c --- */
/* What to say of a file that is not there: a name of its folder that is like it. Always -1. */
int path_missing(struct pipelines *s, const struct volume_ref *ref, struct str path, struct err *e);

/* --- progress.c: what a step says --- */
/* Reads what is new in the log; true: something to show. */
bool progress_read(struct pipelines *s, struct run *r, struct run_node *n, int fd);
/* The rest of a log that is whole; of a long one, its end. */
bool progress_read_last(struct pipelines *s, struct run *r, struct run_node *n, int fd);
/* The last line that its program wrote as its error, or NULL. */
const char *progress_error(struct arena *a, int fd);
/* The part of a container's log that is the step's; all of it when nobody says which. */
void progress_section(int fd, const char *node, int64_t *from, int64_t *to);

/* --- view.c --- */
void run_view_begin(const struct run_row *r, struct jw *w); /* without nodes; jw_end closes it */
void node_view(const struct node_row *n, double done, const char *text, struct jw *w);

/* --- events.c --- */
int run_events_get(struct http_req *r, struct err *e);
void run_events_node(struct pipelines *s, const struct run *r, const struct run_node *n);
void run_events_run(struct pipelines *s, const struct run *r);

/* --- schedule.c --- */
/* Begins what is due. When the next one is (wall time), 0: none, or nobody knows. */
int64_t schedule_run(struct pipelines *s);
int schedule_put(struct http_req *r, struct err *e);
int schedule_delete(struct http_req *r, struct err *e);

/* --- route files --- */
int modules_built_in_get(struct http_req *r, struct err *e);
int modules_get(struct http_req *r, struct err *e);
int module_put(struct http_req *r, struct err *e);
int module_get(struct http_req *r, struct err *e);
int module_delete(struct http_req *r, struct err *e);
/* Values as JSON -> texts, which graphs take; in the arena. */
int run_read_values(struct arena *a, const json_t *params, struct run_new *out,
                    struct err *e) MUST_USE;
int studio_reply_pipeline(struct http_req *r, struct err *e) MUST_USE;
int runs_list(struct http_req *r, struct err *e);
int runs_post(struct http_req *r, struct err *e);
int run_get(struct http_req *r, struct err *e);
int run_delete(struct http_req *r, struct err *e);
int run_cancel(struct http_req *r, struct err *e);
int run_retry(struct http_req *r, struct err *e);
int run_compare(struct http_req *r, struct err *e);
int node_log_get(struct http_req *r, struct err *e);
int node_output_get(struct http_req *r, struct err *e);
int node_preview_get(struct http_req *r, struct err *e);
