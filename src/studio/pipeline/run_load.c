/* A run from its rows: the document, the graph, the values of its start. */
#include "pipeline/runner.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void run_free(struct pipelines *s, struct run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        buf_done(&r->nodes[i].line);
        buf_done(&r->nodes[i].metrics);
        path_looks_done(s, &r->nodes[i]);
        buf_done(&r->nodes[i].warnings);
        arena_done(&r->nodes[i].arena);
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
        studio_catalog_of_run(s, &r->row, &r->doc, &r->arena, &r->catalog, e) < 0) {
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
    r->of = arena_new_array(&r->arena, struct run_node *, r->graph.n + 1);
    for (size_t i = 0; i < r->n; i++) {
        struct run_node *node = &r->nodes[i];

        node->g = graph_find(&r->graph, str_of(node->row.node));
        if (node->g < 0) {
            return err_set(e, ERR_INTERNAL, "node %s of the run is not in its document",
                           node->row.node);
        }
        r->of[node->g] = node;
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
             node_end(s, r, n, NODE_FAILED, why->msg, "internal", e) < 0)) {
            return -1;
        }
    }
    r->row.state = RUN_FAILED;
    r->row.finished_ms = clock_wall_ms();
    return run_save(s, r, e);
}

static bool is_open(const struct run *r, const char *job)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct node_row *row = &r->nodes[i].row;

        if (row->job && !node_state_ended(row->state) && strcmp(row->job, job) == 0) {
            return true;
        }
    }
    return false;
}

/* Who was ended between the last row of a job and the end of its directory left that. */
static void drop_left(struct pipelines *s, const struct run *r)
{
    const char *last = "";

    for (size_t i = 0; i < r->n; i++) {
        const struct node_row *row = &r->nodes[i].row;

        if (row->job && node_state_ended(row->state) && strcmp(row->job, last) != 0 &&
            !is_open(r, row->job)) {
            last = row->job;
            outputs_drop(s, r, &r->nodes[i]);
        }
    }
}

struct run *run_load(struct pipelines *s, int64_t project_id, int64_t id, struct err *e)
{
    struct run *r = xnew(struct run);
    struct load l = {.run = r, .project_id = project_id, .id = id};
    struct err why;

    e->kind = ERR_NONE;
    if (state_read(s->parts.state, load_fn, &l, e) < 0 || r->row.finished_ms > 0) {
        run_free(s, r);
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
        run_free(s, r);
        return NULL;
    }
    drop_left(s, r);
    return r;
}

int run_read_stopping(struct pipelines *s, struct run *r, struct err *e)
{
    struct run look = {0};
    struct load x = {.run = &look, .project_id = r->row.project_id, .id = r->row.id};
    int rc = state_read(s->parts.state, load_fn, &x, e);

    r->row.is_stopping = rc == 0 ? look.row.is_stopping : r->row.is_stopping;
    arena_done(&look.arena);
    return rc < 0 && e->kind != ERR_NOT_FOUND ? -1 : 0;
}
