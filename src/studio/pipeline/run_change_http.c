/* A run is cancelled, tried again, deleted. */
#include "pipeline/runs_http.h"

#include "access/access.h"

#include <string.h>

static int cancel_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct run_shown *x = ctx;

    if (run_shown_fn(db, x, e) < 0) {
        return -1;
    }
    if (x->run.finished_ms > 0) {
        return err_set(e, ERR_CONFLICT, "run %lld is %s already", (long long)x->id,
                       run_state_name(x->run.state));
    }
    x->run.is_stopping = true;
    return state_run(db, e, "UPDATE pipeline_runs SET stopping = 1 WHERE id = ?", "i", x->id);
}

static bool is_named(const struct run_shown *x, const char *job)
{
    for (size_t i = 0; i < x->n; i++) {
        if (x->nodes[i].job && strcmp(x->nodes[i].job, job) == 0) {
            return true;
        }
    }
    return false;
}

/* Of those that `was` holds, by the places of nodes. */
static void list_past_jobs(struct run_shown *x, const char *const *was)
{
    x->past_jobs = arena_new_array(x->a, const char *, x->n + 1);
    for (size_t i = 0; i < x->n; i++) {
        if (was[i] && !is_named(x, was[i])) {
            x->past_jobs[x->n_past++] = was[i];
        }
    }
}

/* What did not end well waits again, with no trace of its last try: also its job goes, unless
 * others were made in it. */
static int retry_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct run_shown *x = ctx;
    const char **was;

    if (run_shown_fn(db, x, e) < 0) {
        return -1;
    }
    if (x->run.state != RUN_FAILED && x->run.state != RUN_CANCELLED) {
        return err_set(e, ERR_CONFLICT,
                       "run %lld is %s: only what failed or was cancelled is tried"
                       " again",
                       (long long)x->id, run_state_name(x->run.state));
    }
    if (run_store_check_room(db, x->project_id, e) < 0) {
        return -1;
    }
    was = arena_new_array(x->a, const char *, x->n + 1);
    for (size_t i = 0; i < x->n; i++) {
        struct node_row *n = &x->nodes[i];

        was[i] = n->job;
        if (!node_state_good(n->state)) {
            *n = (struct node_row){
                .node = n->node, .module = n->module, .image = n->image, .is_forced = n->is_forced};
            if (run_store_set_node(db, x->id, n, e) < 0) {
                return -1;
            }
        }
    }
    list_past_jobs(x, was);
    x->run.state = RUN_RUNNING;
    x->run.finished_ms = 0;
    x->run.is_stopping = false;
    return state_run(db, e,
                     "UPDATE pipeline_runs SET state = ?, finished_ms = 0, stopping = 0 WHERE id ="
                     " ?",
                     "ii", (int64_t)RUN_RUNNING, x->id);
}

static void delete_jobs(struct pipelines *s, int64_t project_id, const char *const *jobs, size_t n)
{
    struct err ignored; /* twice the same, or gone already */

    for (size_t i = 0; i < n; i++) {
        (void)!jobs_delete(s->parts.jobs, project_id, str_of(jobs[i]), &ignored);
    }
}

static int change_run(struct http_req *r, state_fn *fn, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct run_shown x = {.a = &r->arena};

    if (studio_project(r, &x.project_id, e) < 0 ||
        run_number(http_path_param(r, "id"), &x.id, e) < 0 ||
        state_write(s->parts.state, fn, &x, e) < 0) {
        return -1;
    }
    delete_jobs(s, x.project_id, x.past_jobs, x.n_past);
    runner_note(s, NOTE_RUN, x.project_id, x.id);
    return run_reply(r, 202, &x, e);
}

int run_cancel(struct http_req *r, struct err *e)
{
    return change_run(r, cancel_fn, e);
}

/* As of who begins a run (runs.c). An image that the registry has no more is still the run's. */
static int check_image(struct http_req *r, const struct node_row *n, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct principal own = {.kind = PRINCIPAL_SESSION, .is_admin = true, .scopes = PERM_ALL};
    struct str rest = str_of(n->image), project = str_cut(&rest, '/');
    bool is_own = str_eq(project, r->project);
    bool may_pull = is_own || (access_permissions(s->parts.access, &r->who, project) &
                               PERM_BIT(PERM_IMAGE_PULL)) != 0;
    struct job_image ignored;

    if (jobs_image(s->parts.jobs, is_own ? &own : &r->who, str_of(n->image), &r->arena, &ignored,
                   e) == 0 ||
        (e->kind == ERR_NOT_FOUND && may_pull)) {
        return 0;
    }
    return err_wrap(e, "%s", n->node);
}

/* The run keeps its images; the right to them is of who tries again. */
static int check_images(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct run_shown x = {.a = &r->arena};

    if (studio_project(r, &x.project_id, e) < 0 ||
        run_number(http_path_param(r, "id"), &x.id, e) < 0 ||
        state_read(s->parts.state, run_shown_fn, &x, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < x.n; i++) {
        if (x.nodes[i].image && !node_state_good(x.nodes[i].state) &&
            check_image(r, &x.nodes[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}

int run_retry(struct http_req *r, struct err *e)
{
    return check_images(r, e) < 0 ? -1 : change_run(r, retry_fn, e);
}

static int delete_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct run_shown *x = ctx;

    if (run_shown_fn(db, x, e) < 0) {
        return -1;
    }
    if (x->run.finished_ms == 0) {
        return err_set(e, ERR_CONFLICT, "run %lld is %s: cancel it first", (long long)x->id,
                       run_state_name(x->run.state));
    }
    return run_store_delete(db, x->id, e);
}

int run_delete(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct run_shown x = {.a = &r->arena};
    struct err ignored;

    if (studio_project(r, &x.project_id, e) < 0 ||
        run_number(http_path_param(r, "id"), &x.id, e) < 0 ||
        state_write(s->parts.state, delete_fn, &x, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < x.n; i++) {
        if (x.nodes[i].job) {
            (void)!jobs_delete(s->parts.jobs, x.project_id, str_of(x.nodes[i].job), &ignored);
        }
    }
    runner_note(s, NOTE_COLLECT, x.project_id, 0);
    return http_reply_empty(r, 204, e);
}
