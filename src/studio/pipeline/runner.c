/* The runner: one thread that moves runs from step to step. It sleeps until a note, the end of a
 * job or, while something runs, the next look at what steps say.
 *
 *   waiting -> cached                                        its output is there
 *           -> queued -> running -> succeeded | failed       a job of ours
 *           -> skipped | cancelled                           what it needs is not, or somebody
 * stops it
 *
 * The row says "queued" with the job's name before the job exists, and the job is looked for by
 * that name after a restart: so no step is lost, and none is done twice. */
#include "pipeline/runner.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 300, RETRY_MS = 2000, IDLE_MS = 60000 };

/* --- one run --- */

static enum run_state end_of(const struct run *r)
{
    enum run_state state = RUN_SUCCEEDED;

    for (size_t i = 0; i < r->n; i++) {
        if (!node_state_ended(r->nodes[i].row.state)) {
            return RUN_RUNNING;
        }
        if (r->nodes[i].row.state == NODE_FAILED || r->nodes[i].row.state == NODE_SKIPPED) {
            state = RUN_FAILED;
        }
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->nodes[i].row.state == NODE_CANCELLED) {
            return RUN_CANCELLED;
        }
    }
    return state;
}

static int begin_run(struct pipelines *s, struct run *r, struct err *e)
{
    if (r->row.state != RUN_QUEUED) {
        return 0;
    }
    r->row.state = RUN_RUNNING;
    r->row.started_ms = clock_wall_ms();
    if (run_save(s, r, e) < 0) {
        r->row.state = RUN_QUEUED;
        return -1;
    }
    return 0;
}

/* What holds a node up passes by itself, or when somebody makes room: he must hear of it. */
static void tell_wait(struct pipelines *s, struct run *r, struct run_node *n, const char *why)
{
    struct lock *l = &s->lock;
    bool is_new;

    if (*why == '\0' && !n->is_held_up) {
        return;
    }
    {
        WITH_LOCK(l);
        is_new = strncmp(n->text, why, sizeof(n->text) - 1) != 0;
        (void)snprintf(n->text, sizeof(n->text), "%s", why);
    }
    n->is_held_up = *why != '\0';
    if (is_new) {
        run_events_node(s, r, n);
    }
}

static int step_node(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    int rc = node_step(s, r, n, e);

    tell_wait(s, r, n, rc < 0 ? e->msg : "");
    return rc;
}

/* 1: it is over. -1: again later. */
static int step_run(struct pipelines *s, struct run *r, struct err *e)
{
    if (begin_run(s, r, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < r->graph.n_order; i++) {
        struct run_node *n = run_node_at(r, r->graph.order[i]);

        if (n && !node_state_ended(n->row.state) && step_node(s, r, n, e) < 0) {
            return -1;
        }
    }
    r->row.state = end_of(r);
    if (r->row.state == RUN_RUNNING) {
        return 0;
    }
    r->row.finished_ms = clock_wall_ms();
    if (run_save(s, r, e) < 0) {
        r->row.state = RUN_RUNNING;
        r->row.finished_ms = 0;
        return -1;
    }
    log_info("pipeline.ended", "run=%lld pipeline=%s state=%s", (long long)r->row.id,
             r->row.pipeline, run_state_name(r->row.state));
    return 1;
}

static void drop_run(struct pipelines *s, struct run *r)
{
    struct lock *l = &s->lock;

    {
        WITH_LOCK(l);
        list_remove(&r->link);
    }
    run_free(s, r);
}

/* --- the thread --- */

void runner_note(struct pipelines *s, enum note_kind kind, int64_t project_id, int64_t run_id)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    *vec_push(&s->inbox) = (struct note){kind, project_id, run_id};
    lock_broadcast(l);
}

void pipelines_on_job(struct pipelines *s)
{
    struct lock *l;

    if (s == NULL) {
        return;
    }
    l = &s->lock;
    WITH_LOCK(l);
    s->woken = true;
    lock_broadcast(l);
}

static struct run *find_run(struct pipelines *s, int64_t id)
{
    list_each(it, &s->runs)
    {
        struct run *r = list_entry(it, struct run, link);

        if (r->row.id == id) {
            return r;
        }
    }
    return NULL;
}

static void drop_project(struct pipelines *s, int64_t project_id)
{
    list_each(it, &s->runs)
    {
        struct run *r = list_entry(it, struct run, link);

        if (r->row.project_id == project_id) {
            drop_run(s, r);
        }
    }
}

/* A run is new, is to stop, or goes on after a retry. */
static int take_note(struct pipelines *s, const struct note *n, struct err *e)
{
    struct run *r = find_run(s, n->run_id), *fresh;
    struct lock *l = &s->lock;

    if (n->kind == NOTE_SCHEDULE) {
        return 0; /* the thread looks again */
    }
    if (n->kind == NOTE_COLLECT) {
        outputs_collect(s, n->project_id);
        return 0;
    }
    if (n->kind == NOTE_GONE) {
        drop_project(s, n->project_id);
        return 0;
    }
    if (r) {
        return run_read_stopping(s, r, e);
    }
    fresh = run_load(s, n->project_id, n->run_id, e);
    if (fresh) {
        WITH_LOCK(l);
        list_append(&s->runs, &fresh->link);
    }
    return fresh || e->kind == ERR_NONE || e->kind == ERR_NOT_FOUND ? 0 : -1;
}

/* False: stop. No note is taken before held_until (monotonic). */
static bool wait_for_work(struct pipelines *s, int64_t pause_ms, int64_t held_until, struct note *n,
                          bool *has_note)
{
    struct lock *l = &s->lock;
    int64_t until = clock_mono_ms() + pause_ms;
    bool is_held = held_until > clock_mono_ms();

    WITH_LOCK(l);
    until = is_held && held_until < until ? held_until : until;
    while (!s->stopping && !s->woken && (is_held || s->inbox.len == 0) &&
           lock_wait_until(l, until)) {
    }
    s->woken = false;
    *has_note = s->inbox.len > 0 && !is_held;
    if (*has_note) {
        *n = s->inbox.p[0];
        s->inbox.len--;
        memmove(s->inbox.p, s->inbox.p + 1, s->inbox.len * sizeof(*n));
    }
    return !s->stopping;
}

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How long until the next look. */
static int64_t step_all(struct pipelines *s)
{
    int64_t pause = IDLE_MS;
    bool is_whole = true;

    list_each(it, &s->runs)
    {
        struct run *r = list_entry(it, struct run, link);
        struct err e;
        int rc = step_run(s, r, &e);

        if (rc > 0) {
            drop_run(s, r);
            continue;
        }
        if (rc < 0) {
            log_warn("pipeline.step_failed", "run=%lld error=%s, trying again in %d s",
                     (long long)r->row.id, Q(str_of(e.msg)), RETRY_MS / 1000);
        }
        is_whole = is_whole && rc == 0;
        pause = min_i64(pause, rc < 0 ? RETRY_MS : LOOK_MS);
    }
    if (is_whole) {
        hashes_sweep(s);
    }
    return pause;
}

/* The wall clock may be set: at least once a minute somebody looks. */
static bool is_due(int64_t due_ms, int64_t looked_ms)
{
    return looked_ms == 0 || clock_mono_ms() - looked_ms >= IDLE_MS ||
           (due_ms > 0 && due_ms <= clock_wall_ms());
}

void *runner_main(void *arg)
{
    struct pipelines *s = arg;
    int64_t pause = 0, due_ms = 0, looked_ms = 0, held_until = 0;
    struct note n;
    bool has_note;
    struct err e;

    while (wait_for_work(s, pause, held_until, &n, &has_note)) {
        if (has_note && take_note(s, &n, &e) < 0) {
            log_warn("pipeline.note_failed", "run=%lld error=%s, trying again", (long long)n.run_id,
                     Q(str_of(e.msg)));
            runner_note(s, n.kind, n.project_id, n.run_id);
            held_until = clock_mono_ms() + RETRY_MS;
        }
        if ((has_note && n.kind == NOTE_SCHEDULE) || is_due(due_ms, looked_ms)) {
            due_ms = schedule_run(s);
            looked_ms = clock_mono_ms();
        }
        pause = step_all(s);
        pause = due_ms > 0 ? min_i64(pause, due_ms - clock_wall_ms()) : pause;
    }
    list_each(it, &s->runs)
    {
        drop_run(s, list_entry(it, struct run, link));
    }
    return NULL;
}
