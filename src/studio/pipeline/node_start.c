/* A node whose inputs are there: from the cache, or as a job. */
#include "pipeline/runner.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

struct run_node *run_node_at(const struct run *r, int g)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->nodes[i].g == g) {
            return &r->nodes[i];
        }
    }
    return NULL;
}

enum inputs node_inputs(const struct run *r, const struct run_node *n)
{
    enum inputs all = INPUTS_READY;

    for (size_t i = 0; i < MODULE_PORTS; i++) {
        int from = r->graph.nodes[n->g].from[i];
        const struct run_node *in = from >= 0 ? run_node_at(r, from) : NULL;

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

int node_submit(struct pipelines *s, struct run *r, struct run_node *n, int64_t input_bytes,
                struct err *e)
{
    SCOPED(buf_done) struct buf spec = BUF_MAX(LIMIT_SPEC_BYTES);
    struct jw w = JW(&spec);
    struct principal who = {
        .kind = PRINCIPAL_SESSION, .is_admin = true, .scopes = PERM_ALL}; /* runs.c asked already */

    (void)snprintf(who.name, sizeof(who.name), "%s", r->row.by);
    step_spec(s, r, n, input_bytes, &w);
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
int node_failed_before(struct pipelines *s, struct run *r, struct run_node *n, struct err *why,
                       struct err *e)
{
    if (step_error_passes(why)) {
        *e = *why;
        return -1;
    }
    return node_end(s, r, n, NODE_FAILED, why->msg, err_name(why->kind), e);
}

int node_start(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct node_row before = n->row;
    char id[STEP_JOB_ID] = "j-";
    int64_t input_bytes;
    struct err why;
    int hit;

    if (step_words(s, r, n, &input_bytes, &why) < 0) {
        return node_failed_before(s, r, n, &why, e);
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
        return node_change(s, r, n, before, e);
    }
    if (!s->has_image && n->row.image == NULL) {
        return node_end(s, r, n, NODE_FAILED,
                        "the program strata-ml is not beside the server's: install it there and "
                        "start the server again",
                        "unavailable", e);
    }
    random_name(id + 2, 8);
    n->row.job = arena_strdup(&r->arena, str_of(id));
    n->row.state = NODE_QUEUED;
    n->log_at = 0;
    memset(n->outputs, 0, sizeof(n->outputs));
    if (node_change(s, r, n, before, e) < 0) {
        return -1;
    }
    return node_submit(s, r, n, input_bytes, &why) < 0 ? node_failed_before(s, r, n, &why, e) : 0;
}
