/* pipeline - what the verbs about pipelines, their runs and their modules share. */
#pragma once
#include "main/cli/cli.h"

/* --- pipeline.c --- */
/* "/api/v1/projects/P/pipelines/NAME"; of a version with `query` behind it. free(3). */
char *pipeline_path(const struct cli *c, const char *name);
char *pipeline_version_path(const struct cli *c, const char *name, const char *version,
                            const char *query);
/* One request; a refusal that lists mistakes is told line by line. */
int pipeline_send(struct cli *c, const char *method, const char *path, const char *type,
                  struct str body, json_t **out, struct err *e) MUST_USE;
void pipeline_show_mistakes(const json_t *mistakes); /* on standard error */
/* Saves a file ("-": standard input) as the newest version. */
int pipeline_save(struct cli *c, const char *name, const char *file, json_t **made,
                  struct err *e) MUST_USE;

/* --- pipeline_run.c --- */
/* --param NAME=VALUE as body.params. */
int pipeline_read_params(struct cli *c, json_t *body, struct err *e) MUST_USE;
int pipeline_begin(struct cli *c, const char *name, const json_t *body, json_t **run,
                   struct err *e) MUST_USE;
int pipeline_get_run(struct cli *c, const char *id, json_t **run, struct err *e) MUST_USE;
bool pipeline_is_final(const char *state);

/* --- pipeline_follow.c --- */
enum follow_show {
    FOLLOW_BARS,   /* a bar for each node that runs, a line for each that ended */
    FOLLOW_LOGS,   /* and what their steps say */
    FOLLOW_EVENTS, /* each change as a line of JSON on standard output */
    FOLLOW_QUIET
};
/* Until the run has ended; a restart of the server in between only makes a pause. */
int pipeline_follow(struct cli *c, int64_t id, enum follow_show show, json_t **run,
                    struct err *e) MUST_USE;

/* --- pipeline_show.c --- */
/* Each error with what mends it. */
void pipeline_print_errors(const struct cli *c, const json_t *run);
void pipeline_print_metrics(FILE *out, const json_t *node);
char *pipeline_params_text(const json_t *params); /* "a=1 b=2"; free(3) */

/* --- module.c --- */
/* Of a project with -p, else the built-in ones: {"modules":[...]} */
int module_get_all(struct cli *c, json_t **all, struct err *e) MUST_USE;
const json_t *module_find(const json_t *all, const char *name, struct err *e) MUST_USE;

/* --- module_sample.c: what a module is tried on --- */
#define SAMPLE_VOLUME "module-test"
/* A table of numbers, texts and days as CSV, always the same. */
void module_sample_csv(struct buf *out);
/* A document with the node "tried": its inputs from --in or the sample, what it needs as a
 * parameter from --param or as fits the sample. NULL: *e says what was wrong. */
json_t *module_sample_document(const struct cli *c, const json_t *module, struct err *e) MUST_USE;
