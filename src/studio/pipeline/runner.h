/* runner - what the files of the runner share: runner.c (the thread), run_load.c, run_save.c,
 * node_start.c, group.c, node_job.c, node_made.c, collect.c. Runner thread only. */
#pragma once
#include "pipeline/pipeline_priv.h"

/* --- run_load.c --- */
/* NULL with e->kind ERR_NONE: nothing is left to do. */
struct run *run_load(struct pipelines *s, int64_t project_id, int64_t id, struct err *e) MUST_USE;
void run_free(struct pipelines *s, struct run *r);
/* Somebody may have asked it to stop. */
int run_read_stopping(struct pipelines *s, struct run *r, struct err *e) MUST_USE;

/* --- run_save.c --- */
int run_save(struct pipelines *s, const struct run *r, struct err *e) MUST_USE;
/* A change of a node: on disk, or as it was. */
int node_change(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
                struct err *e) MUST_USE;
/* The same of what the next look finds again: a power cut may undo it. */
int node_note(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
              struct err *e) MUST_USE;
int node_end(struct pipelines *s, struct run *r, struct run_node *n, enum node_state state,
             const char *error, const char *kind, struct err *e) MUST_USE;
/* Several get a job, or lose it again; what the job does is synced, and this before it. */
int group_change(struct pipelines *s, struct run *r, const struct step_group *g,
                 const struct node_row *before, struct err *e) MUST_USE;
/* With the row of its outputs, in one transaction. */
int node_save_made(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
                   const struct output_row *o, struct err *e) MUST_USE;

/* --- node_start.c --- */
enum inputs { INPUTS_READY, INPUTS_COME, INPUTS_NEVER };
enum inputs node_inputs(const struct run *r, const struct run_node *n);
int node_start(struct pipelines *s, struct run *r, struct run_node *n, struct err *e) MUST_USE;
/* Looks for outputs of row.words. 1: they are there, and the row says so. 0: it must run, and
 * row.why says why. Or HASH_PENDING. */
int node_from_cache(struct pipelines *s, struct run *r, struct run_node *n, struct err *e) MUST_USE;
int group_submit(struct pipelines *s, struct run *r, const struct step_group *g,
                 int64_t input_bytes, struct err *e) MUST_USE;
/* They wait again, each for a container of its own. */
int group_let_go(struct pipelines *s, struct run *r, const struct step_group *g,
                 struct err *e) MUST_USE;
/* Its own fault ends the node; what passes is tried again. */
int node_failed_before(struct pipelines *s, struct run *r, struct run_node *n, struct err *why,
                       struct err *e) MUST_USE;

/* --- group.c --- */
/* `head` begins; who begins with it. */
void group_gather(const struct run *r, struct run_node *head, int64_t input_bytes,
                  struct step_group *g);
/* Who is not done of those that share n's job, and how many shared it. */
void group_of_job(const struct run *r, const struct run_node *n, struct step_group *g,
                  size_t *n_all);
int64_t group_memory(const struct run *r, const struct step_group *g, int64_t input_bytes);

/* --- node_made.c --- */
/* Its step ended well: its outputs are looked at, moved and published. It is as it was as long as
 * they are being hashed. */
int node_made(struct pipelines *s, struct run *r, struct run_node *n, struct err *e) MUST_USE;

/* --- node_job.c --- */
int node_step(struct pipelines *s, struct run *r, struct run_node *n, struct err *e) MUST_USE;

/* --- collect.c --- */
void outputs_collect(struct pipelines *s, int64_t project_id);
