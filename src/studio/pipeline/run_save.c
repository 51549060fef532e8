/* Rows of runs and nodes as the runner changes them, and who is told. */
#include "pipeline/runner.h"

#include "base/clock.h"

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

int run_save(struct pipelines *s, const struct run *r, struct err *e)
{
    struct save x = {.run = r};

    if (state_write(s->parts.state, save_fn, &x, e) < 0) {
        return -1;
    }
    run_events_run(s, r);
    return 0;
}

/* A change of a node: on disk, or as it was. */
int node_change(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
                struct err *e)
{
    if (run_save_node(s, r, n, e) < 0) {
        n->row = before;
        return -1;
    }
    return 0;
}

int node_note(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
              struct err *e)
{
    struct save x = {.run = r, .node = n};

    if (state_write_lazy(s->parts.state, save_fn, &x, e) < 0) {
        n->row = before;
        return -1;
    }
    run_events_node(s, r, n);
    return 0;
}

struct save_group {
    const struct run *run;
    const struct step_group *group;
};

static int save_group_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct save_group *x = ctx;

    for (size_t i = 0; i < x->group->n; i++) {
        if (run_store_set_node(db, x->run->row.id, &x->group->nodes[i]->row, e) < 0) {
            return -1;
        }
    }
    return 0;
}

int group_change(struct pipelines *s, struct run *r, const struct step_group *g,
                 const struct node_row *before, struct err *e)
{
    struct save_group x = {r, g};
    int rc = state_write_lazy(s->parts.state, save_group_fn, &x, e);

    for (size_t i = 0; i < g->n; i++) {
        if (rc < 0) {
            g->nodes[i]->row = before[i];
        } else {
            run_events_node(s, r, g->nodes[i]);
        }
    }
    return rc;
}

int node_end(struct pipelines *s, struct run *r, struct run_node *n, enum node_state state,
             const char *error, const char *kind, struct err *e)
{
    struct node_row before = n->row;

    path_looks_done(s, n);
    n->row.state = state;
    n->row.error = error ? arena_strdup(&n->arena, str_of(error)) : NULL;
    n->row.error_kind = kind;
    n->row.finished_ms = clock_wall_ms();
    return node_change(s, r, n, before, e);
}

int node_save_made(struct pipelines *s, struct run *r, struct run_node *n, struct node_row before,
                   const struct output_row *o, struct err *e)
{
    struct save x = {r, n, o};

    if (state_write(s->parts.state, save_fn, &x, e) < 0) {
        n->row = before;
        return -1;
    }
    run_events_node(s, r, n);
    return 0;
}
