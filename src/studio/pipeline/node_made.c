/* A node whose step ended well: its outputs get a name of their own, and a record tells who may
 * find them. Rows are written before anything of the job goes. */
#include "pipeline/runner.h"

#include "base/clock.h"
#include "volume/volume.h"

#include <string.h>

struct same {
    const struct run *run;
    const char *key;
    struct arena *arena;
    struct output_row row;
    bool found;
};

static int same_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct same *x = ctx;
    int rc = output_store_find(db, x->run->row.project_id, x->run->doc.volume, x->key, x->arena,
                               &x->row, e);

    x->found = rc > 0;
    return rc < 0 ? -1 : 0;
}

/* Another run may have made the same to the byte: one of them is enough. 1: it has. Or
 * HASH_PENDING. */
static int is_made_already(struct pipelines *s, struct run *r, struct run_node *n, const char *key,
                           struct err *e)
{
    struct same x = {.run = r, .key = key, .arena = &n->arena};
    const struct module *m = run_module(r, n);
    struct run_node there = {.row = n->row, .g = n->g};
    int rc;

    if (state_read(s->parts.state, same_fn, &x, e) < 0) {
        return -1;
    }
    if (!x.found || strcmp(x.row.key, n->row.key) == 0) {
        return 0;
    }
    there.row.key = x.row.key;
    rc = outputs_there(s, r, &there, x.row.outputs, e);
    for (size_t i = 0; rc == 1 && m->outputs[i].name; i++) {
        rc = strcmp(there.outputs[i].sha256, n->outputs[i].sha256) == 0;
    }
    if (rc == 1) {
        memcpy(n->outputs, there.outputs, sizeof(n->outputs));
        n->row.key = x.row.key;
    }
    return rc;
}

/* `key`: who may find it, or NULL: somebody changed a file between our hashing and the job's
 * reading, so nobody knows what it was made of. */
static int publish(struct pipelines *s, struct run *r, struct run_node *n, const char *key,
                   struct err *e)
{
    struct node_row before = n->row;
    struct output_row o;

    n->row.state = NODE_SUCCEEDED;
    n->row.outputs = outputs_json(r, n, false);
    n->row.finished_ms = n->ended_ms > n->row.started_ms ? n->ended_ms : clock_wall_ms();
    o = (struct output_row){.volume = r->doc.volume,
                            .key = n->row.key,
                            .words_key = key,
                            .outputs = outputs_json(r, n, true),
                            .metrics = n->row.metrics,
                            .warnings = n->row.warnings,
                            .run_id = r->row.id};
    return node_save_made(s, r, n, before, &o, e);
}

static int take(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    char key[STEP_KEY];
    struct err why;
    int moved = step_files_look(s, r, n, e), made = 0;
    bool same = n->files_seen == FILES_SAME;

    if (moved < 0 || moved == HASH_PENDING) {
        return moved < 0 ? -1 : 0;
    }
    moved = step_inputs_same(s, r, n, &why);
    moved = moved == 1 ? outputs_look(s, r, n, &why) : moved;
    if (moved < 0 || moved == HASH_PENDING) {
        return moved < 0 ? node_failed_before(s, r, n, &why, e) : 0;
    }
    step_words_key(n->row.words, key);
    if (moved == 0) {
        made = same ? is_made_already(s, r, n, key, e) : 0;
        if (made < 0 || made == HASH_PENDING) {
            return made < 0 ? -1 : 0;
        }
    }
    if (moved == 0 && made == 0 && outputs_move(s, r, n, &why) < 0) {
        return node_failed_before(s, r, n, &why, e);
    }
    return publish(s, r, n, same ? key : NULL, e);
}

/* Its inputs have come since its container began. */
static int find_words(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct node_row before = n->row;
    int64_t input_bytes;
    struct err why;
    int rc = step_words(s, r, n, &input_bytes, &why);

    if (rc != 0) {
        n->row = before;
        return rc > 0 ? 0 : node_failed_before(s, r, n, &why, e);
    }
    rc = node_from_cache(s, r, n, e);
    if (rc < 0 || rc == HASH_PENDING) {
        n->row = before;
        return rc < 0 ? -1 : 0;
    }
    path_looks_done(s, n);
    if (rc > 0) { /* as if it had not run */
        n->row.state = NODE_CACHED;
        n->row.job = NULL;
        n->row.finished_ms = clock_wall_ms();
        return node_change(s, r, n, before, e);
    }
    return 0;
}

int node_made(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    if (n->row.words == NULL && find_words(s, r, n, e) < 0) {
        return -1;
    }
    return node_state_ended(n->row.state) || n->row.words == NULL ? 0 : take(s, r, n, e);
}
