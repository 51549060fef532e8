/* A node whose job exists: how it goes, and how it ended. */
#include "pipeline/node_import.h"
#include "pipeline/runner.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_MEMORY = 4 }; /* of strata-ml */
enum { AGAIN_MAX = 3 };   /* a step that takes the machine down does not for ever */

static const char *kind_of_exit(int64_t code)
{
    return code == 2 ? "words" : code == 3 ? "data" : code == EXIT_MEMORY ? "memory" : "machine";
}

/* --- how it ended --- */

/* The container ended before the step did, or the step is all that was in it. */
static int end_with_job(struct pipelines *s, struct run *r, struct run_node *n,
                        const struct jobs_look *look, struct err *e)
{
    const char *said = look->log_fd >= 0 ? progress_error(&n->arena, look->log_fd) : NULL;
    const char *kind = look->exit_kind ? look->exit_kind : "";

    if (look->state == JOB_CANCELLED) {
        return node_end(s, r, n, NODE_CANCELLED, look->reason, NULL, e);
    }
    if (strcmp(kind, "oom") == 0) {
        return node_end(s, r, n, NODE_FAILED, step_memory_killed(n, look->memory_bytes), "memory",
                        e);
    }
    if (strcmp(kind, "exit") == 0 && said) {
        return node_end(s, r, n, NODE_FAILED, said, kind_of_exit(look->exit_code), e);
    }
    return node_end(s, r, n, NODE_FAILED, look->reason, "machine", e);
}

/* As the lines of the log say it. */
static int end_by_log(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    if (node_inputs(r, n) == INPUTS_NEVER) { /* what it read was not what it should have been */
        return node_end(s, r, n, NODE_SKIPPED, NULL, NULL, e);
    }
    n->row.started_ms = n->begun_ms > n->row.started_ms ? n->begun_ms : n->row.started_ms;
    return n->exit_code == 0
               ? node_made(s, r, n, e)
               : node_end(s, r, n, NODE_FAILED, n->said, kind_of_exit(n->exit_code), e);
}

/* The machine went down: nobody saw how the container ended. */
static bool is_begun_again(const struct jobs_look *look, const struct run_node *n)
{
    return look->state == JOB_LOST && n->row.n_again < AGAIN_MAX;
}

/* They wait again. The job goes when no node is left that names it. */
static int begin_again(struct pipelines *s, struct run *r, struct step_group *rest, size_t n_all,
                       const struct jobs_look *look, struct err *e)
{
    struct run_node *n = rest->nodes[0];
    char job[64];
    struct err ignored;

    (void)snprintf(job, sizeof(job), "%s", n->row.job);
    log_info("pipeline.step_again", "run=%lld node=%s job=%s why=%s", (long long)r->row.id,
             n->row.node, job, Q(str_of(look->reason)));
    if (group_let_go(s, r, rest, e) < 0) {
        return -1;
    }
    if (rest->n == n_all) {
        (void)!jobs_delete(s->parts.jobs, r->row.project_id, str_of(job), &ignored);
    }
    return 0;
}

/* What the container left undone: one who was alone in it ends with it, others are tried by
 * themselves. 1: what was made is being hashed. */
static int end_rest(struct pipelines *s, struct run *r, struct step_group *rest, size_t n_all,
                    const struct jobs_look *look, struct err *e)
{
    bool is_over = look->state == JOB_CANCELLED || r->row.is_stopping;

    if (!is_over && (n_all > 1 || is_begun_again(look, rest->nodes[0]))) {
        return begin_again(s, r, rest, n_all, look, e);
    }
    for (size_t i = 0; i < rest->n; i++) {
        struct run_node *n = rest->nodes[i];
        bool is_made = n_all == 1 && look->state == JOB_SUCCEEDED;

        if ((is_made ? node_made(s, r, n, e)
             : n->part == PART_BEFORE && n_all > 1
                 ? node_end(s, r, n, NODE_CANCELLED, NULL, NULL, e)
                 : end_with_job(s, r, n, look, e)) < 0) {
            return -1;
        }
        if (!node_state_ended(n->row.state)) {
            return 1;
        }
    }
    return 0;
}

static int end_group(struct pipelines *s, struct run *r, const struct step_group *g, size_t n_all,
                     const struct jobs_look *look, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct step_group rest = {0};
    /* whose rows forget the job, while its directory is still there */
    struct run_node job = {.row = {.job = arena_strdup(&a, str_of(g->nodes[0]->row.job)),
                                   .node = g->nodes[0]->row.node}};
    int rc;

    node_import_clean(s, r, g->nodes[0]);
    for (size_t i = 0; i < g->n; i++) {
        struct run_node *n = g->nodes[i];

        if (n->part != PART_ENDED || n->row.image || (n_all > 1 && n->exit_code == EXIT_MEMORY)) {
            rest.nodes[rest.n++] = n;
        } else if (end_by_log(s, r, n, e) < 0) {
            return -1;
        } else if (!node_state_ended(n->row.state)) {
            return 0; /* what it made is being hashed */
        }
    }
    rc = rest.n > 0 ? end_rest(s, r, &rest, n_all, look, e) : 0;
    if (rc == 0) {
        outputs_drop(s, r, &job);
    }
    return rc < 0 ? -1 : 0;
}

/* --- a job that jobs does not know --- */

static int end_all(struct pipelines *s, struct run *r, const struct step_group *g,
                   enum node_state state, const char *why, struct err *e)
{
    outputs_drop(s, r, g->nodes[0]);
    node_import_clean(s, r, g->nodes[0]);
    for (size_t i = 0; i < g->n; i++) {
        if (node_end(s, r, g->nodes[i], state, why, why ? "machine" : NULL, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The words of the first may be others by now: a file has changed. */
static int renew_words(struct pipelines *s, struct run *r, struct run_node *n, int64_t *input_bytes,
                       struct err *e)
{
    struct node_row before = n->row;
    struct arena own = n->arena;
    const char *words;
    int rc;

    n->arena = (struct arena){0};
    rc = step_words(s, r, n, input_bytes, e);
    words = rc == 0 && (before.words == NULL || strcmp(before.words, n->row.words) != 0)
                ? arena_strdup(&own, str_of(n->row.words))
                : NULL;
    arena_done(&n->arena);
    n->arena = own;
    n->row = before;
    if (words == NULL) {
        return rc;
    }
    n->row.words = words;
    return node_change(s, r, n, before, e);
}

/* The row names a job that jobs does not know: we were ended in between. */
static int submit_again(struct pipelines *s, struct run *r, const struct step_group *g,
                        struct err *e)
{
    struct run_node *n = g->nodes[0];
    int64_t input_bytes;
    struct err why;
    int rc;

    if (node_is_import(r, n) && !n->is_submitted) {
        return node_import(s, r, n, e);
    }
    if (r->row.is_stopping) {
        return end_all(s, r, g, NODE_CANCELLED, NULL, e);
    }
    if (n->is_submitted) {
        return end_all(s, r, g, NODE_FAILED, "its job was deleted", e);
    }
    rc = renew_words(s, r, n, &input_bytes, &why);
    if (rc > 0) {
        return 0;
    }
    rc = rc == 0 ? step_inputs_there(s, r, n, &why) : rc;
    if (rc == HASH_PENDING) {
        return 0;
    }
    path_looks_done(s, n);
    rc = rc == 1 ? step_memory(s, r, n, input_bytes, &why) : rc;
    if (rc == 0) {
        rc = group_submit(s, r, g, input_bytes, &why);
    }
    if (rc == 0) {
        return 0;
    }
    return g->n == 1 || step_error_passes(&why) ? node_failed_before(s, r, n, &why, e)
                                                : group_let_go(s, r, g, e);
}

/* --- how it goes --- */

static int see_running(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct node_row before = n->row; /* with what the log said: the metrics before are freed */

    if (n->row.state != NODE_QUEUED || (n->row.image == NULL && n->part == PART_BEFORE)) {
        return 0;
    }
    n->row.state = NODE_RUNNING;
    return node_note(s, r, n, before, e);
}

static int read_log(struct pipelines *s, struct run *r, const struct step_group *g,
                    const struct jobs_look *look, struct err *e)
{
    for (size_t i = 0; i < g->n; i++) {
        struct run_node *n = g->nodes[i];
        bool said = look->is_finished ? progress_read_last(s, r, n, look->log_fd)
                                      : progress_read(s, r, n, look->log_fd);

        if (said) {
            run_events_node(s, r, n);
        }
        if (!look->is_finished && look->state == JOB_RUNNING && see_running(s, r, n, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Whoever stops a machine ends its containers first: nobody knows whose fault a bad end was. */
static bool ended_badly(const struct jobs_look *look)
{
    return look->state == JOB_FAILED && look->exit_kind &&
           (strcmp(look->exit_kind, "exit") == 0 || strcmp(look->exit_kind, "signal") == 0);
}

/* What a container of somebody else wrote is on the disk when its step is told to have ended well,
 * and not when its job is; our own modules sync what they write. */
static int see_boot(struct pipelines *s, struct run *r, struct run_node *n, struct jobs_look *look,
                    struct err *e)
{
    struct node_row before = n->row;

    if (n->row.boot == NULL || strcmp(n->row.boot, s->boot) == 0) {
        return 0;
    }
    if (look->state == JOB_QUEUED || look->is_up) { /* what it makes, it makes now */
        n->row.boot = s->boot;
        return node_change(s, r, n, before, e);
    }
    if (look->state == JOB_SUCCEEDED && n->row.image) {
        look->state = JOB_LOST;
        look->exit_kind = NULL;
        look->reason = "the machine was restarted before what it made was safe";
    } else if (ended_badly(look)) {
        look->state = JOB_LOST;
    }
    return 0;
}

/* The first of those that share the job looks for all. */
static int look_at_job(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct step_group g;
    struct jobs_look look;
    size_t n_all;
    struct err why;
    int rc = 0;

    group_of_job(r, n, &g, &n_all);
    if (g.nodes[0] != n) {
        return 0;
    }
    if (jobs_look(s->parts.jobs, r->row.project_id, str_of(n->row.job), &a, &look, &why) < 0) {
        if (why.kind == ERR_NOT_FOUND) {
            return submit_again(s, r, &g, e);
        }
        *e = why;
        return -1;
    }
    for (size_t i = 0; i < g.n; i++) {
        g.nodes[i]->is_submitted = true;
    }
    rc = see_boot(s, r, n, &look, e);
    if (rc == 0 && look.log_fd >= 0) {
        rc = read_log(s, r, &g, &look, e);
    }
    if (rc == 0 && look.is_finished) {
        rc = end_group(s, r, &g, n_all, &look, e);
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
