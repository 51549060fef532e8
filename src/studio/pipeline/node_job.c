/* A node whose job exists: how it goes, and how it ended. */
#include "pipeline/runner.h"

#include "base/clock.h"

#include <string.h>
#include <unistd.h>

static const char *kind_of_exit(int64_t code)
{
    return code == 2 ? "words" : code == 3 ? "data" : code == 4 ? "memory" : "machine";
}

static int job_failed(struct pipelines *s, struct run *r, struct run_node *n,
                      const struct jobs_look *look, struct err *e)
{
    const char *said = look->log_fd >= 0 ? progress_error(r, look->log_fd) : NULL;
    const char *kind = look->exit_kind ? look->exit_kind : "";

    outputs_drop(s, r, n);
    if (look->state == JOB_CANCELLED) {
        return node_end(s, r, n, NODE_CANCELLED, look->reason, NULL, e);
    }
    if (strcmp(kind, "oom") == 0) {
        return node_end(s, r, n, NODE_FAILED, look->reason, "memory", e);
    }
    if (strcmp(kind, "exit") == 0 && said) {
        return node_end(s, r, n, NODE_FAILED, said, kind_of_exit(look->exit_code), e);
    }
    return node_end(s, r, n, NODE_FAILED, look->reason, "machine", e);
}

/* Somebody may have changed a file between our hashing and the job's reading. The row knows the new
 * key before anything is renamed to it. */
static int settle_key(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct node_row before = n->row;
    int same = step_files_same(s, r, n, e);

    if (same != 0) {
        return same < 0 ? -1 : 0;
    }
    step_key_of_its_own(r, n);
    return node_change(s, r, n, before, e);
}

static int job_succeeded(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct output_row o;
    struct node_row before;
    struct err why;

    if (settle_key(s, r, n, e) < 0) {
        return -1;
    }
    before = n->row;
    if (outputs_take(s, r, n, &why) < 0) {
        if (node_failed_before(s, r, n, &why, e) < 0) {
            return -1; /* taken again later: its files stay */
        }
        outputs_drop(s, r, n);
        return 0;
    }
    n->row.state = NODE_SUCCEEDED;
    n->row.outputs = outputs_json(r, n, false);
    n->row.finished_ms = clock_wall_ms();
    o = (struct output_row){.volume = r->doc.volume,
                            .key = n->row.key,
                            .outputs = outputs_json(r, n, true),
                            .metrics = n->row.metrics,
                            .run_id = r->row.id};
    return node_save_made(s, r, n, before, &o, e);
}

/* The row names a job that jobs does not know: we were ended in between. */
static int submit_again(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct node_row before = n->row;
    int64_t input_bytes;
    struct err why;

    if (r->row.is_stopping) {
        return node_end(s, r, n, NODE_CANCELLED, NULL, NULL, e);
    }
    if (n->is_submitted) {
        return node_end(s, r, n, NODE_FAILED, "its job was deleted", "machine", e);
    }
    if (step_words(s, r, n, &input_bytes, &why) < 0) {
        return node_failed_before(s, r, n, &why, e);
    }
    if (strcmp(before.key, n->row.key) != 0 && node_change(s, r, n, before, e) < 0) {
        return -1;
    }
    return node_submit(s, r, n, input_bytes, &why) < 0 ? node_failed_before(s, r, n, &why, e) : 0;
}

static int look_at_job(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct node_row before;
    struct jobs_look look;
    struct err why;
    int rc = 0;

    if (jobs_look(s->parts.jobs, r->row.project_id, str_of(n->row.job), &a, &look, &why) < 0) {
        if (why.kind == ERR_NOT_FOUND) {
            return submit_again(s, r, n, e);
        }
        *e = why;
        return -1;
    }
    n->is_submitted = true;
    if (look.log_fd >= 0) {
        bool said = look.is_finished ? progress_read_last(s, r, n, look.log_fd)
                                     : progress_read(s, r, n, look.log_fd);

        if (said) {
            run_events_node(s, r, n);
        }
    }
    if (look.is_finished) {
        rc =
            look.state == JOB_SUCCEEDED ? job_succeeded(s, r, n, e) : job_failed(s, r, n, &look, e);
    } else if (look.state == JOB_RUNNING && n->row.state == NODE_QUEUED) {
        before = n->row; /* with what the log said: the metrics before are freed */
        n->row.state = NODE_RUNNING;
        rc = node_change(s, r, n, before, e);
    }
    if (look.log_fd >= 0) {
        (void)close(look.log_fd);
    }
    return rc;
}

static int stop_node(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct err why;

    if (n->row.state == NODE_WAITING) {
        return node_end(s, r, n, NODE_CANCELLED, NULL, NULL, e);
    }
    if (n->is_submitted &&
        jobs_cancel(s->parts.jobs, r->row.project_id, str_of(n->row.job), r->row.by, &why) < 0 &&
        why.kind != ERR_CONFLICT && why.kind != ERR_NOT_FOUND) {
        *e = why;
        return -1;
    }
    return look_at_job(s, r, n, e);
}

int node_step(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    if (r->row.is_stopping) {
        return stop_node(s, r, n, e);
    }
    if (n->row.state != NODE_WAITING) {
        return look_at_job(s, r, n, e);
    }
    switch (node_inputs(r, n)) {
    case INPUTS_READY:
        return node_start(s, r, n, e);
    case INPUTS_NEVER:
        return node_end(s, r, n, NODE_SKIPPED, NULL, NULL, e);
    default:
        return 0;
    }
}
