/* runs_http - what the routes of runs share. */
#pragma once
#include "pipeline/pipeline_priv.h"

struct run_shown {
    int64_t project_id, id;
    struct arena *a;
    struct run_row run;
    struct node_row *nodes;
    size_t n;
    const char **past_jobs; /* that no node names any more */
    size_t n_past;
};
int run_shown_fn(struct state_db *db, void *shown, struct err *e);
int run_number(struct str text, int64_t *out, struct err *e) MUST_USE;
int run_reply(struct http_req *r, int status, const struct run_shown *x, struct err *e) MUST_USE;
