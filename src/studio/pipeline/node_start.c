/* A node whose inputs are there: from the cache, or as a job. */
#include "pipeline/node_import.h"
#include "pipeline/runner.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

enum inputs node_inputs(const struct run *r, const struct run_node *n)
{
    enum inputs all = INPUTS_READY;

    for (size_t i = 0; i < MODULE_PORTS; i++) {
        int from = r->graph.nodes[n->g].from[i];
        const struct run_node *in = run_node_at(r, from);

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
    char key[STEP_KEY];
    int rc;

    step_words_key(l->node->row.words, key);
    rc = output_store_find(db, l->run->row.project_id, l->run->doc.volume, key, l->arena,
                           &l->output, e);

    l->found = rc > 0;
    return rc < 0 ? -1
                  : run_store_last(db, &l->run->row, l->node->row.node, l->arena, &l->last,
                                   &l->last_run, e);
}

int node_from_cache(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct lookup l = {.run = r, .node = n, .arena = &n->arena};
    const char *own_key = n->row.key;
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
    if ((n->row.why = node_import_why(r, n))) {
        return 0;
    }
    if (run_module(r, n)->flags & MODULE_WRITES) {
        n->row.why = "a step that writes a file of a volume is run each time";
        return 0;
    }
    if (!l.found) {
        n->row.why = step_why(n, l.last_run > 0 ? l.last.words : NULL);
        return 0;
    }
    n->row.key = l.output.key;
    there = outputs_there(s, r, n, l.output.outputs, e);
    if (there != 1) {
        n->row.key = own_key;
        n->row.why = there == 0 ? "its output is gone" : NULL;
        return there;
    }
    n->row.why = arena_printf(&n->arena, "same module version, parameters and inputs as run %lld",
                              (long long)l.output.run_id);
    n->row.outputs = outputs_json(r, n, false);
    n->row.metrics = l.output.metrics;
    n->row.warnings = l.output.warnings;
    return 1;
}

struct pinned {
    int64_t run_id;
    const char *node, *json;
    struct arena *a;
};

static int pinned_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct pinned *x = ctx;

    return run_store_pin(db, x->run_id, x->node, x->a, &x->json, e);
}

/* NULL: the spec's, which a registry is asked for. */
static int image_of(struct pipelines *s, const struct run *r, const struct run_node *n,
                    struct arena *a, struct job_image *own, const struct job_image **out,
                    struct err *e)
{
    struct pinned x = {.run_id = r->row.id, .node = n->row.node, .a = a};

    *out = n->row.image ? NULL : &s->image.image;
    if (n->row.image == NULL) {
        return 0;
    }
    if (state_read(s->parts.state, pinned_fn, &x, e) < 0 ||
        (x.json && jobs_image_parse(a, str_of(x.json), own, e) < 0)) {
        return -1;
    }
    *out = x.json ? own : NULL;
    return 0;
}

int group_submit(struct pipelines *s, struct run *r, const struct step_group *g,
                 int64_t input_bytes, struct err *e)
{
    SCOPED(buf_done) struct buf spec = BUF_MAX(LIMIT_SPEC_BYTES);
    SCOPED(arena_done) struct arena a = {0};
    struct jw w = JW(&spec);
    const struct run_node *n = g->nodes[0];
    const struct job_image *image;
    struct job_image own;
    struct principal who = {
        .kind = PRINCIPAL_SESSION, .is_admin = true, .scopes = PERM_ALL}; /* runs.c asked already */

    (void)snprintf(who.name, sizeof(who.name), "%s", r->row.by);
    step_spec(s, r, g, group_memory(r, g, input_bytes), &a, &w);
    if (spec.failed) {
        return err_set(e, ERR_INVALID, "the parameters of %s are too long", n->row.node);
    }
    if (image_of(s, r, n, &a, &own, &image, e) < 0 || outputs_prepare(s, r, n, e) < 0 ||
        jobs_submit_own(s->parts.jobs,
                        &(struct jobs_own){.who = &who,
                                           .project = str_of(r->row.project),
                                           .id = n->row.job,
                                           .spec = buf_str(&spec),
                                           .image = image},
                        e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < g->n; i++) {
        g->nodes[i]->is_submitted = true;
    }
    return 0;
}

int node_failed_before(struct pipelines *s, struct run *r, struct run_node *n, struct err *why,
                       struct err *e)
{
    if (step_error_passes(why)) {
        *e = *why;
        return -1;
    }
    return node_end(s, r, n, NODE_FAILED, why->msg,
                    n->lacks_memory ? "memory" : err_name(why->kind), e);
}

/* How far it was, and in what: the next try begins at the beginning. */
static void forget_progress(struct pipelines *s, struct run_node *n)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    n->done = 0;
    n->text[0] = '\0';
}

int group_let_go(struct pipelines *s, struct run *r, const struct step_group *g, struct err *e)
{
    struct node_row before[STEP_GROUP];

    for (size_t i = 0; i < g->n; i++) {
        struct node_row *row = &g->nodes[i]->row;

        before[i] = *row;
        *row = (struct node_row){.node = row->node,
                                 .module = row->module,
                                 .image = row->image,
                                 .is_forced = row->is_forced,
                                 .n_again = row->n_again + 1};
        forget_progress(s, g->nodes[i]);
    }
    if (group_change(s, r, g, before, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < g->n; i++) {
        g->nodes[i]->is_submitted = false;
    }
    return 0;
}

/* A directory of its own: what somebody reads is never changed. */
static const char *own_key(struct run_node *n)
{
    char key[STEP_KEY];

    sha256_hex_of(str_of(arena_printf(&n->arena, "%s %s", n->row.job, n->row.node)), key);
    return arena_strdup(&n->arena, str_of(key));
}

static void queue_node(const struct pipelines *s, struct run_node *n, const char *job,
                       int64_t now_ms)
{
    if (n->row.words == NULL) { /* it follows: its words are known when its inputs are */
        arena_reset(&n->arena);
    }
    n->row.job = arena_strdup(&n->arena, str_of(job));
    n->row.key = own_key(n);
    n->row.state = NODE_QUEUED;
    n->row.started_ms = now_ms;
    n->row.boot = s->boot;
    n->log_at = 0;
    n->n_warned = 0;
    n->part = PART_BEFORE;
    n->files_seen = FILES_UNSEEN;
    n->line.failed = false;
    buf_done(&n->line);
    memset(n->outputs, 0, sizeof(n->outputs));
}

static int start_group(struct pipelines *s, struct run *r, const struct step_group *g,
                       int64_t input_bytes, const struct node_row *head_before, struct err *e)
{
    struct node_row before[STEP_GROUP];
    char job[STEP_JOB_ID] = "j-";
    struct err why;

    random_name(job + 2, 8);
    for (size_t i = 0; i < g->n; i++) {
        before[i] = i == 0 ? *head_before : g->nodes[i]->row;
        queue_node(s, g->nodes[i], job, g->nodes[0]->row.started_ms);
    }
    if (group_change(s, r, g, before, e) < 0) {
        return -1;
    }
    if (node_is_import(r, g->nodes[0])) {
        return node_import(s, r, g->nodes[0], e);
    }
    if (group_submit(s, r, g, input_bytes, &why) == 0) {
        return 0;
    }
    return g->n == 1 || step_error_passes(&why) ? node_failed_before(s, r, g->nodes[0], &why, e)
                                                : group_let_go(s, r, g, e);
}

/* One that cannot begin with the head is left to begin by itself, and to say why not. */
static int inputs_there(struct pipelines *s, const struct run *r, struct step_group *g,
                        struct err *e)
{
    for (size_t i = 0; i < g->n; i++) {
        int rc = step_inputs_there(s, r, g->nodes[i], e);

        if (rc != 1 && i > 0 && rc != HASH_PENDING && !step_error_passes(e)) {
            g->n = 1;
            return 1;
        }
        if (rc != 1) {
            return rc;
        }
    }
    return 1;
}

static int try_start(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct node_row before = n->row;
    struct step_group g;
    int64_t input_bytes;
    struct err why;
    int rc;

    arena_reset(&n->arena);
    rc = step_words(s, r, n, &input_bytes, &why);
    if (rc != 0) {
        n->row = before;
        return rc > 0 ? 0 : node_failed_before(s, r, n, &why, e);
    }
    rc = node_from_cache(s, r, n, e);
    if (rc < 0 || rc == HASH_PENDING) {
        n->row = before;
        return rc < 0 ? -1 : 0;
    }
    n->row.started_ms = clock_wall_ms();
    if (rc > 0) {
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
    if (step_memory(s, r, n, input_bytes, &why) < 0) {
        return node_failed_before(s, r, n, &why, e);
    }
    group_gather(r, n, input_bytes, &g);
    rc = inputs_there(s, r, &g, &why);
    if (rc == HASH_PENDING) {
        n->row = before;
        return 0;
    }
    if (rc < 0) {
        return node_failed_before(s, r, n, &why, e);
    }
    return start_group(s, r, &g, input_bytes, &before, e);
}

/* What was looked at stays until all that it is for is known: the files of a folder are not gone
 * through again at each look while an output is hashed. */
int node_start(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    int rc = try_start(s, r, n, e);

    if (n->row.state != NODE_WAITING) {
        path_looks_done(s, n);
    }
    return rc;
}
