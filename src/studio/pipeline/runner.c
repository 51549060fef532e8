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
#include "pipeline/pipeline_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "volume/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_MS = 300, RETRY_MS = 2000, IDLE_MS = 60000 };

/* --- rows --- */

struct save {
    const struct run *run;
    const struct run_node *node;     /* or NULL */
    const struct output_row *output; /* or NULL */
};

static int save_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct save *x = ctx;

    if (x->node && run_store_set_node(db, x->run->row.id, &x->node->row, e) < 0) {
        return -1;
    }
    if (x->output && output_store_put(db, x->run->row.project_id, x->output, e) < 0) {
        return -1;
    }
    return x->node ? 0 : run_store_set(db, &x->run->row, e);
}

int run_save_node(struct pipelines *s, const struct run *r, const struct run_node *n, struct err *e)
{
    struct save x = {.run = r, .node = n};

    if (state_write(s->parts.state, save_fn, &x, e) < 0) {
        return -1;
    }
    run_events_node(s, r, n);
    return 0;
}

static int save_run(struct pipelines *s, const struct run *r, struct err *e)
{
    struct save x = {.run = r};

    if (state_write(s->parts.state, save_fn, &x, e) < 0) {
        return -1;
    }
    run_events_run(s, r);
    return 0;
}

/* A change of a node: on disk, or as it was. */
static int change(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
                  struct err *e)
{
    if (run_save_node(s, r, n, e) < 0) {
        n->row = before;
        return -1;
    }
    return 0;
}

static int end_node(struct pipelines *s, struct run *r, struct run_node *n, enum node_state state,
                    const char *error, const char *kind, struct err *e)
{
    struct node_row before = n->row;

    n->row.state = state;
    n->row.error = error ? arena_strdup(&r->arena, str_of(error)) : NULL;
    n->row.error_kind = kind;
    n->row.finished_ms = clock_wall_ms();
    return change(s, r, n, before, e);
}

/* --- loading --- */

static void run_free(struct run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        buf_done(&r->nodes[i].line);
        buf_done(&r->nodes[i].metrics);
    }
    arena_done(&r->arena);
    free(r);
}

struct load {
    struct run *run;
    int64_t project_id, id;
    struct node_row *rows;
};

static int load_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct load *l = ctx;

    return run_store_get(db, l->project_id, l->id, &l->run->arena, &l->run->row, e) < 0
               ? -1
               : run_store_nodes(db, l->id, &l->run->arena, &l->rows, &l->run->n, e);
}

static void read_values(struct run *r, const struct graph_value **values, size_t *n)
{
    struct err e;
    SCOPED(json_decrefp) json_t *params = json_parse(str_of(r->row.params), &e);
    struct graph_value *list =
        arena_new_array(&r->arena, struct graph_value, json_object_size(params) + 1);

    *n = 0;
    for (void *it = json_object_iter(params); it; it = json_object_iter_next(params, it)) {
        const char *text = json_string_value(json_object_iter_value(it));

        list[(*n)++] =
            (struct graph_value){arena_strdup(&r->arena, str_of(json_object_iter_key(it))),
                                 arena_strdup(&r->arena, str_of(text ? text : ""))};
    }
    *values = list;
}

/* The graph again, from the document and the values of its start. */
static int build(struct pipelines *s, struct run *r, struct err *e)
{
    SCOPED(err_list_done) struct err_list wrong = {0};
    struct mistakes mistakes = {.a = &r->arena};
    const struct graph_value *values;
    size_t n;

    if (doc_parse(&r->arena, str_of(r->row.document), &r->doc, &wrong, e) < 0 ||
        studio_catalog(s, r->row.project_id, &r->doc, &r->arena, &r->catalog, e) < 0) {
        return -1;
    }
    read_values(r, &values, &n);
    graph_build(&r->arena, &r->doc, &r->catalog, values, n, GRAPH_FOR_RUN, &r->graph, &mistakes);
    for (size_t i = 0; i < mistakes.n; i++) {
        /* a module that changed since the start */
        for (size_t k = 0; k < r->n; k++) {
            if (mistakes.items[i].node == NULL ||
                strcmp(mistakes.items[i].node, r->nodes[k].row.node) == 0) {
                return err_set(e, ERR_INVALID, "%s: %s", r->nodes[k].row.node,
                               mistakes.items[i].message);
            }
        }
    }
    for (size_t i = 0; i < r->n; i++) {
        struct run_node *node = &r->nodes[i];

        node->g = graph_find(&r->graph, str_of(node->row.node));
        if (node->g < 0) {
            return err_set(e, ERR_INTERNAL, "node %s of the run is not in its document",
                           node->row.node);
        }
        if (node_state_good(node->row.state) &&
            outputs_parse(run_module(r, node), node->row.outputs, node->outputs) < 0) {
            return err_set(e, ERR_INTERNAL, "the outputs of %s cannot be read", node->row.node);
        }
    }
    return 0;
}

/* A job that nobody waits for any more ends. */
static int cancel_job(struct pipelines *s, const struct run *r, const struct run_node *n,
                      struct err *e)
{
    if (n->row.job == NULL || node_state_ended(n->row.state) ||
        jobs_cancel(s->parts.jobs, r->row.project_id, str_of(n->row.job), r->row.by, e) == 0) {
        return 0;
    }
    return e->kind == ERR_CONFLICT || e->kind == ERR_NOT_FOUND ? 0 : -1;
}

/* What stays undone is told where people look. -1: not yet. */
static int give_up(struct pipelines *s, struct run *r, const struct err *why, struct err *e)
{
    log_warn("pipeline.broken", "run=%lld error=%s, ending it", (long long)r->row.id,
             Q(str_of(why->msg)));
    for (size_t i = 0; i < r->n; i++) {
        struct run_node *n = &r->nodes[i];

        if (cancel_job(s, r, n, e) < 0 ||
            (!node_state_ended(n->row.state) &&
             end_node(s, r, n, NODE_FAILED, why->msg, "internal", e) < 0)) {
            return -1;
        }
    }
    r->row.state = RUN_FAILED;
    r->row.finished_ms = clock_wall_ms();
    return save_run(s, r, e);
}

/* NULL with e->kind ERR_NONE: nothing is left to do. */
static struct run *load(struct pipelines *s, int64_t project_id, int64_t id, struct err *e)
{
    struct run *r = xnew(struct run);
    struct load l = {.run = r, .project_id = project_id, .id = id};
    struct err why;

    e->kind = ERR_NONE;
    if (state_read(s->parts.state, load_fn, &l, e) < 0 || r->row.finished_ms > 0) {
        run_free(r);
        return NULL;
    }
    r->nodes = arena_new_array(&r->arena, struct run_node, r->n + 1);
    for (size_t i = 0; i < r->n; i++) {
        r->nodes[i].row = l.rows[i];
    }
    if (build(s, r, &why) < 0) {
        if (why.kind == ERR_INVALID || why.kind == ERR_INTERNAL) {
            e->kind = give_up(s, r, &why, e) < 0 ? e->kind : ERR_NONE;
        } else {
            *e = why;
        }
        run_free(r);
        return NULL;
    }
    return r;
}

/* --- one node --- */

static struct run_node *node_at(const struct run *r, int g)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->nodes[i].g == g) {
            return &r->nodes[i];
        }
    }
    return NULL;
}

enum inputs { INPUTS_READY, INPUTS_COME, INPUTS_NEVER };

static enum inputs inputs_of(const struct run *r, const struct run_node *n)
{
    enum inputs all = INPUTS_READY;

    for (size_t i = 0; i < MODULE_PORTS; i++) {
        int from = r->graph.nodes[n->g].from[i];
        const struct run_node *in = from >= 0 ? node_at(r, from) : NULL;

        if (from >= 0 &&
            (in == NULL || (node_state_ended(in->row.state) && !node_state_good(in->row.state)))) {
            return INPUTS_NEVER;
        }
        if (in && !node_state_good(in->row.state)) {
            all = INPUTS_COME;
        }
    }
    return all;
}

struct lookup {
    const struct run *run;
    const struct run_node *node;
    struct arena *arena;
    struct output_row output;
    bool found;
    struct node_row last;
    int64_t last_run;
};

static int lookup_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct lookup *l = ctx;
    int rc = output_store_find(db, l->run->row.project_id, l->run->doc.volume, l->node->row.key,
                               l->arena, &l->output, e);

    l->found = rc > 0;
    return rc < 0 ? -1
                  : run_store_last(db, &l->run->row, l->node->row.node, l->arena, &l->last,
                                   &l->last_run, e);
}

/* 1: its output is there already. 0: it must run, and row.why says why. */
static int from_cache(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct lookup l = {.run = r, .node = n, .arena = &r->arena};
    int there;

    if (state_read(s->parts.state, lookup_fn, &l, e) < 0) {
        return -1;
    }
    if (r->graph.nodes[n->g].doc->is_uncached) {
        n->row.why = "cache is off for this step";
        return 0;
    }
    if (n->row.is_forced) {
        n->row.why = "it was asked to run again";
        return 0;
    }
    if (!l.found) {
        n->row.why = step_why(r, n, l.last_run > 0 ? l.last.words : NULL);
        return 0;
    }
    there = outputs_there(s, r, n, l.output.outputs, e);
    if (there <= 0) {
        n->row.why = "its output is gone";
        return there;
    }
    n->row.why = arena_printf(&r->arena, "same module version, parameters and inputs as run %lld",
                              (long long)l.output.run_id);
    n->row.outputs = outputs_json(r, n, false);
    n->row.metrics = l.output.metrics;
    return 1;
}

static int submit(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    SCOPED(buf_done) struct buf spec = BUF_MAX(LIMIT_SPEC_BYTES);
    struct jw w = JW(&spec);
    struct principal who = {
        .kind = PRINCIPAL_SESSION, .is_admin = true, .scopes = PERM_ALL}; /* runs.c asked already */

    (void)snprintf(who.name, sizeof(who.name), "%s", r->row.by);
    step_spec(s, r, n, &w);
    if (spec.failed) {
        return err_set(e, ERR_INVALID, "the parameters of %s are too long", n->row.node);
    }
    if (outputs_prepare(s, r, n, e) < 0 ||
        jobs_submit_own(s->parts.jobs,
                        &(struct jobs_own){.who = &who,
                                           .project = str_of(r->row.project),
                                           .id = n->row.job,
                                           .spec = buf_str(&spec),
                                           .image = n->row.image ? NULL : &s->image.image},
                        e) < 0) {
        return -1;
    }
    n->is_submitted = true;
    return 0;
}

/* Its own fault ends the node; what passes is tried again. */
static int failed_before(struct pipelines *s, struct run *r, struct run_node *n, struct err *why,
                         struct err *e)
{
    if (step_error_passes(why)) {
        *e = *why;
        return -1;
    }
    return end_node(s, r, n, NODE_FAILED, why->msg,
                    why->kind == ERR_LIMIT ? "memory" : err_name(why->kind), e);
}

static int start_node(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct node_row before = n->row;
    char id[STEP_JOB_ID] = "j-";
    struct err why;
    int hit;

    if (step_words(s, r, n, &why) < 0) {
        return failed_before(s, r, n, &why, e);
    }
    hit = from_cache(s, r, n, e);
    if (hit < 0) {
        n->row = before;
        return -1;
    }
    n->row.started_ms = clock_wall_ms();
    if (hit > 0) {
        n->row.state = NODE_CACHED;
        n->row.finished_ms = n->row.started_ms;
        return change(s, r, n, before, e);
    }
    if (!s->has_image && n->row.image == NULL) {
        return end_node(s, r, n, NODE_FAILED,
                        "the program strata-ml is not beside the server's: install it there and "
                        "start the server again",
                        "unavailable", e);
    }
    if (step_memory(s, r, n, &why) < 0) {
        return failed_before(s, r, n, &why, e);
    }
    random_name(id + 2, 8);
    n->row.job = arena_strdup(&r->arena, str_of(id));
    n->row.state = NODE_QUEUED;
    n->log_at = 0;
    memset(n->outputs, 0, sizeof(n->outputs));
    if (change(s, r, n, before, e) < 0) {
        return -1;
    }
    return submit(s, r, n, &why) < 0 ? failed_before(s, r, n, &why, e) : 0;
}

/* --- one job --- */

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
        return end_node(s, r, n, NODE_CANCELLED, look->reason, NULL, e);
    }
    if (strcmp(kind, "oom") == 0) {
        return end_node(s, r, n, NODE_FAILED, step_memory_killed(r, n, look->memory_bytes),
                        "memory", e);
    }
    if (strcmp(kind, "exit") == 0 && said) {
        return end_node(s, r, n, NODE_FAILED, said, kind_of_exit(look->exit_code), e);
    }
    return end_node(s, r, n, NODE_FAILED, look->reason, "machine", e);
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
    return change(s, r, n, before, e);
}

static int job_succeeded(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct output_row o;
    struct save x = {r, n, &o};
    struct node_row before;
    struct err why;

    if (settle_key(s, r, n, e) < 0) {
        return -1;
    }
    before = n->row;
    if (outputs_take(s, r, n, &why) < 0) {
        if (failed_before(s, r, n, &why, e) < 0) {
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
    if (state_write(s->parts.state, save_fn, &x, e) < 0) {
        n->row = before;
        return -1;
    }
    run_events_node(s, r, n);
    return 0;
}

/* The row names a job that jobs does not know: we were ended in between. */
static int submit_again(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct node_row before = n->row;
    struct err why;

    if (r->row.is_stopping) {
        return end_node(s, r, n, NODE_CANCELLED, NULL, NULL, e);
    }
    if (n->is_submitted) {
        return end_node(s, r, n, NODE_FAILED, "its job was deleted", "machine", e);
    }
    if (step_words(s, r, n, &why) < 0 || step_memory(s, r, n, &why) < 0) {
        return failed_before(s, r, n, &why, e);
    }
    if (strcmp(before.key, n->row.key) != 0 && change(s, r, n, before, e) < 0) {
        return -1;
    }
    return submit(s, r, n, &why) < 0 ? failed_before(s, r, n, &why, e) : 0;
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
        rc = change(s, r, n, before, e);
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
        return end_node(s, r, n, NODE_CANCELLED, NULL, NULL, e);
    }
    if (n->is_submitted &&
        jobs_cancel(s->parts.jobs, r->row.project_id, str_of(n->row.job), r->row.by, &why) < 0 &&
        why.kind != ERR_CONFLICT && why.kind != ERR_NOT_FOUND) {
        *e = why;
        return -1;
    }
    return look_at_job(s, r, n, e);
}

static int step_node(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    if (r->row.is_stopping) {
        return stop_node(s, r, n, e);
    }
    if (n->row.state != NODE_WAITING) {
        return look_at_job(s, r, n, e);
    }
    switch (inputs_of(r, n)) {
    case INPUTS_READY:
        return start_node(s, r, n, e);
    case INPUTS_NEVER:
        return end_node(s, r, n, NODE_SKIPPED, NULL, NULL, e);
    default:
        return 0;
    }
}

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
    if (save_run(s, r, e) < 0) {
        r->row.state = RUN_QUEUED;
        return -1;
    }
    return 0;
}

/* 1: it is over. -1: again later. */
static int step_run(struct pipelines *s, struct run *r, struct err *e)
{
    if (begin_run(s, r, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < r->graph.n_order; i++) {
        struct run_node *n = node_at(r, r->graph.order[i]);

        if (n && !node_state_ended(n->row.state) && step_node(s, r, n, e) < 0) {
            return -1;
        }
    }
    r->row.state = end_of(r);
    if (r->row.state == RUN_RUNNING) {
        return 0;
    }
    r->row.finished_ms = clock_wall_ms();
    if (save_run(s, r, e) < 0) {
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
    run_free(r);
}

/* --- outputs that nobody refers to any more --- */

struct orphans {
    int64_t project_id;
    struct arena *arena;
    struct output_row *rows;
    size_t n;
    const struct output_row *one;
};

static int orphans_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct orphans *o = ctx;

    return output_store_orphans(db, o->project_id, o->arena, &o->rows, &o->n, e);
}

static int orphan_gone_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct orphans *o = ctx;

    return output_store_remove(db, o->project_id, o->one->volume, o->one->key, e);
}

static void collect(struct pipelines *s, int64_t project_id)
{
    SCOPED(arena_done) struct arena a = {0};
    struct orphans o = {.project_id = project_id, .arena = &a};
    size_t removed = 0;
    struct err e;

    if (state_read(s->parts.state, orphans_fn, &o, &e) < 0) {
        log_warn("pipeline.collect_failed", "error=%s, with the next run deleted",
                 Q(str_of(e.msg)));
        return;
    }
    for (size_t i = 0; i < o.n; i++) {
        struct volume_ref ref = {project_id, str_of(o.rows[i].volume)};

        o.one = &o.rows[i];
        if (volume_remove(s->parts.volumes, &ref,
                          str_of(arena_printf(&a, STUDIO_DIR "/%s", o.one->key)), &e) < 0 ||
            state_write(s->parts.state, orphan_gone_fn, &o, &e) < 0) {
            log_warn("pipeline.collect_failed", "key=%s error=%s, with the next run deleted",
                     o.one->key, Q(str_of(e.msg)));
            continue;
        }
        removed++;
    }
    if (o.n == OUTPUT_ORPHANS_AT_ONCE && removed > 0) {
        runner_note(s, NOTE_COLLECT, project_id, 0);
    }
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
        collect(s, n->project_id);
        return 0;
    }
    if (n->kind == NOTE_GONE) {
        drop_project(s, n->project_id);
        return 0;
    }
    if (r) {
        struct run look = {0};
        struct load x = {.run = &look, .project_id = n->project_id, .id = n->run_id};
        int rc = state_read(s->parts.state, load_fn, &x, e);

        r->row.is_stopping = rc == 0 ? look.row.is_stopping : r->row.is_stopping;
        arena_done(&look.arena);
        return rc < 0 && e->kind != ERR_NOT_FOUND ? -1 : 0;
    }
    fresh = load(s, n->project_id, n->run_id, e);
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
        pause = min_i64(pause, rc < 0 ? RETRY_MS : LOOK_MS);
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
