/* A run begins: what is asked for, checked as a whole, becomes rows. */
#include "pipeline/pipeline_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "pipeline/component.h"
#include "pipeline/script.h"

#include <string.h>

#define PIN_BYTES (4 * MIB)
#define MODULES_BYTES (16 * MIB)

struct create {
    const struct run_new *asked;
    struct pipelines *s;
    struct arena *a;
    struct pipeline_row pipeline;
    struct doc doc;
    struct catalog catalog;
    struct graph graph;
    struct run_row run;
    struct node_row *nodes;
    size_t n;
    struct run_pruned past; /* of runs that gave way */
};

static int read_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct create *c = ctx;

    return pipeline_store_get(db, c->asked->project_id, c->asked->pipeline, c->asked->version, c->a,
                              &c->pipeline, e);
}

static int mark_node(const struct create *c, const char *key, const char *id, enum graph_way way,
                     bool *marks, struct err *e)
{
    int at = graph_find(&c->graph, str_of(id));

    if (at < 0) {
        return err_set(e, ERR_INVALID, "%s: the pipeline has no node '%.70s'", key, id);
    }
    graph_reach(&c->graph, at, way, marks);
    return 0;
}

/* `to`: it and all it needs. `from`: it and all that needs it run again, what they need is taken
 * from the cache where it can be. */
static int choose(struct create *c, struct err *e)
{
    const struct run_new *asked = c->asked;
    bool *in = arena_new_array(c->a, bool, c->graph.n + 1);
    bool *forced = arena_new_array(c->a, bool, c->graph.n + 1);

    if (asked->from && mark_node(c, "from", asked->from, GRAPH_DOWN, forced, e) < 0) {
        return -1;
    }
    if (asked->to && mark_node(c, "to", asked->to, GRAPH_UP, in, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < c->graph.n && !asked->to; i++) {
        if (asked->from == NULL) {
            in[i] = true;
        } else if (forced[i]) {
            graph_reach(&c->graph, (int)i, GRAPH_UP, in);
        }
    }
    c->nodes = arena_new_array(c->a, struct node_row, c->graph.n + 1);
    for (size_t i = 0; i < c->graph.n; i++) {
        if (in[i]) {
            c->nodes[c->n++] = (struct node_row){.node = c->graph.nodes[i].doc->id,
                                                 .module = c->graph.nodes[i].doc->module,
                                                 .is_forced = forced[i] || asked->is_uncached};
        }
    }
    return c->n > 0 ? 0 : err_set(e, ERR_INVALID, "the pipeline has no nodes: add one first");
}

/* What is outside of the chosen part may still be unfinished. */
static int keep_mistakes(const struct create *c, struct mistakes *m, struct err *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++) {
        bool is_ours = m->items[i].node == NULL;

        for (size_t k = 0; k < c->n && !is_ours; k++) {
            is_ours = strcmp(c->nodes[k].node, m->items[i].node) == 0;
        }
        if (is_ours) {
            m->items[kept++] = m->items[i];
        }
    }
    m->n = kept;
    if (kept == 0) {
        return 0;
    }
    return err_set(e, ERR_INVALID, "the pipeline cannot run: %s%s%s",
                   m->items[0].node ? m->items[0].node : "", m->items[0].node ? ": " : "",
                   m->items[0].message);
}

/* The image of a container module as it is now, by its digest and with its layers: tags may move,
 * and whoever deletes it meanwhile does not stop the run (pipelines_held_blobs). Who may run
 * pipelines of a project may pull its images. */
static int pin_image(const struct create *c, struct node_row *n, const struct graph_node *g,
                     const char *text, struct err *e)
{
    struct principal own = {.kind = PRINCIPAL_SESSION, .is_admin = true, .scopes = PERM_ALL};
    struct str rest = str_of(text), project = str_cut(&rest, '/');
    struct str name = str_of(text);
    ptrdiff_t mark = str_find_char(name, '@');
    SCOPED(buf_done) struct buf pin = BUF_MAX(PIN_BYTES);
    struct jw w = JW(&pin);
    struct job_image image = {0};

    if (jobs_image(c->s->parts.jobs, str_eq(project, c->asked->project) ? &own : c->asked->who,
                   name, c->a, &image, e) < 0) {
        return err_wrap(e, "%s", n->node);
    }
    if (mark < 0) {
        mark = str_rfind_char(name, ':');
    }
    n->image = arena_printf(c->a, "%.*s@%s", (int)(mark < 0 ? (ptrdiff_t)name.len : mark), name.p,
                            image.digest);
    if (script_is(g->module->table)) {
        script_add_layer(&c->s->image, c->a, &image);
    }
    jobs_image_json(&image, &w);
    n->pin = arena_strdup(c->a, buf_str(&pin));
    return pin.failed ? err_set(e, ERR_LIMIT, "%s: its image says more than %llu bytes of itself",
                                n->node, (unsigned long long)PIN_BYTES)
                      : 0;
}

/* What a container's module or a script runs on; NULL: on strata-ml. */
static const char *image_of(const struct graph_node *n)
{
    const struct module *m = n->module ? n->module->table : NULL;

    if (m == NULL || n->module->component) {
        return m ? n->module->component->image : NULL;
    }
    for (size_t i = 0; script_is(m) && m->params[i].name; i++) {
        if (strcmp(m->params[i].name, "image") == 0) {
            return n->params[i];
        }
    }
    return NULL;
}

static int pin_images(const struct create *c, struct err *e)
{
    for (size_t i = 0; i < c->n; i++) {
        int at = graph_find(&c->graph, str_of(c->nodes[i].node));
        const struct graph_node *g = &c->graph.nodes[at];
        const char *image = image_of(g);

        if (image && pin_image(c, &c->nodes[i], g, image, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Somebody may change or delete them while it runs, or before it is tried again. */
static int keep_modules(struct create *c, struct err *e)
{
    SCOPED(buf_done) struct buf json = BUF_MAX(MODULES_BYTES);
    struct jw w = JW(&json);

    jw_object(&w);
    for (size_t i = 0; i < c->catalog.n_own; i++) {
        jw_kv_c(&w, c->catalog.own[i].table->name, c->catalog.own[i].text);
    }
    jw_end(&w);
    if (json.failed) {
        return err_set(e, ERR_LIMIT, "its modules are longer than %llu bytes together",
                       (unsigned long long)MODULES_BYTES);
    }
    c->run.modules = arena_strdup(c->a, buf_str(&json));
    return 0;
}

static int write_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct create *c = ctx;

    const struct run_prune bounds = {c->run.project_id, c->s->parts.run_bytes};

    return run_store_insert(db, &c->run, c->nodes, c->n, e) < 0
               ? -1
               : run_store_prune(db, &bounds, c->a, &c->past, e);
}

/* What runs that gave way leave: jobs with their logs, and outputs. */
static void drop_past(const struct create *c)
{
    struct err ignored;

    for (size_t i = 0; i < c->past.n_jobs; i++) {
        (void)!jobs_delete(c->s->parts.jobs, c->run.project_id, str_of(c->past.jobs[i]), &ignored);
    }
    if (c->past.n_runs > 0) {
        log_info("pipeline.runs_gave_way", "project=%s runs=%lld", c->run.project,
                 (long long)c->past.n_runs);
        runner_note(c->s, NOTE_COLLECT, c->run.project_id, 0);
    }
}

int run_create(struct pipelines *s, const struct run_new *asked, struct arena *a, int64_t *id,
               struct mistakes *mistakes, struct err *e)
{
    SCOPED(err_list_done) struct err_list wrong = {0};
    SCOPED(buf_done) struct buf ignored = BUF_MAX(16 * MIB);
    struct create c = {.asked = asked, .s = s, .a = a};
    struct jw w = JW(&ignored);

    if (state_read(s->parts.state, read_fn, &c, e) < 0 ||
        doc_parse(a, str_of(c.pipeline.document), &c.doc, &wrong, e) < 0 ||
        studio_catalog(s, asked->project_id, &c.doc, a, &c.catalog, e) < 0) {
        return -1;
    }
    graph_build(a, &c.doc, &c.catalog, asked->values, asked->n_values, GRAPH_FOR_RUN, &c.graph,
                mistakes);
    check_json(a, &c.graph, &(struct check_files){s, asked->project_id}, mistakes, &w);
    if (choose(&c, e) < 0 || keep_mistakes(&c, mistakes, e) < 0 || pin_images(&c, e) < 0) {
        return -1;
    }
    c.run = (struct run_row){.project_id = asked->project_id,
                             .project = arena_strdup(a, asked->project),
                             .pipeline = c.pipeline.name,
                             .version = c.pipeline.version,
                             .document = c.pipeline.document,
                             .params = asked->params,
                             .by = asked->who->name,
                             .to = asked->to,
                             .from = asked->from,
                             .is_uncached = asked->is_uncached,
                             .is_unfused = asked->is_unfused,
                             .created_ms = clock_wall_ms()};
    if (keep_modules(&c, e) < 0 || state_write(s->parts.state, write_fn, &c, e) < 0) {
        return -1;
    }
    *id = c.run.id;
    runner_note(s, NOTE_RUN, asked->project_id, c.run.id);
    drop_past(&c);
    return 0;
}
