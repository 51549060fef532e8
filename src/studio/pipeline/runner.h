/* runner - what the files of the runner share: runner.c (the thread), run_load.c, run_save.c,
 * node_start.c, node_job.c, collect.c. Runner thread only. */
#pragma once
#include "pipeline/pipeline_priv.h"

/* --- run_load.c --- */
/* NULL with e->kind ERR_NONE: nothing is left to do. */
struct run *run_load(struct pipelines *s, int64_t project_id, int64_t id, struct err *e) MUST_USE;
void run_free(struct run *r);
/* Somebody may have asked it to stop. */
int run_read_stopping(struct pipelines *s, struct run *r, struct err *e) MUST_USE;

/* --- run_save.c --- */
int run_save(struct pipelines *s, const struct run *r, struct err *e) MUST_USE;
/* A change of a node: on disk, or as it was. */
int node_change(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
                struct err *e) MUST_USE;
int node_end(struct pipelines *s, struct run *r, struct run_node *n, enum node_state state,
             const char *error, const char *kind, struct err *e) MUST_USE;
/* With the row of its outputs, in one transaction. */
int node_save_made(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
                   const struct output_row *o, struct err *e) MUST_USE;

/* --- node_start.c --- */
struct run_node *run_node_at(const struct run *r, int g); /* or NULL */
enum inputs { INPUTS_READY, INPUTS_COME, INPUTS_NEVER };
enum inputs node_inputs(const struct run *r, const struct run_node *n);
int node_start(struct pipelines *s, struct run *r, struct run_node *n, struct err *e) MUST_USE;
int node_submit(struct pipelines *s, struct run *r, struct run_node *n, int64_t input_bytes,
                struct err *e) MUST_USE;
/* Its own fault ends the node; what passes is tried again. */
int node_failed_before(struct pipelines *s, struct run *r, struct run_node *n, struct err *why,
                       struct err *e) MUST_USE;

/* --- node_job.c --- */
int node_step(struct pipelines *s, struct run *r, struct run_node *n, struct err *e) MUST_USE;

/* --- collect.c --- */
void outputs_collect(struct pipelines *s, int64_t project_id);
