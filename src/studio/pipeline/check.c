/* What a document comes to before anything runs: mistakes, and what flows out of every port. The
 * modules tell it themselves, from the columns of their inputs (algorithms/kernel/check.h). */
#include "pipeline/pipeline_priv.h"

#include "algorithms/kernel/check.h"
#include "algorithms/kernel/files.h"
#include "base/clock.h"
#include "base/mem.h"
#include "volume/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One document; `checks` is that of each node. */
struct whole {
    struct arena *a;
    const struct graph *g;
    const struct check_files *files;
    struct mistakes *mistakes;
    struct check *checks;
    bool *is_checked;
    int64_t until_ms;
};

/* A check runs on a worker of the server, and whoever may look may ask for one: behind this time
 * nothing more is foretold, so that columns are open and only a run says what is wrong. */
enum { CHECK_MS = 5000 };

/* The head of a source: "data:tables/x.csv". */
static int open_file(void *ctx, const char *path, struct err *e)
{
    const struct check_files *files = ctx;
    struct str rest = str_of(path), volume = str_cut(&rest, ':');
    struct volume_ref ref = {files->project_id, volume};
    struct volume_file_info f;

    if (volume_file_open(files->s->parts.volumes, &ref, rest.p ? rest : STR_EMPTY,
                         VOLUME_LINKS_FOLLOWED, &f, e) == 0) {
        return f.fd;
    }
    return e->kind == ERR_NOT_FOUND && e->sys == ENOENT && rest.len > 0 && !files_is_pattern(path)
               ? path_missing(files->s, &ref, rest, e)
               : -1;
}

static bool has_mistake(const struct whole *w, const char *node)
{
    for (size_t i = 0; i < w->mistakes->n; i++) {
        const char *at = w->mistakes->items[i].node;

        if (at && strcmp(at, node) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_open(const struct graph_node *n)
{
    for (size_t i = 0; i < MODULE_PARAMS; i++) {
        if (n->is_open[i]) {
            return true;
        }
    }
    return false;
}

static void set_inputs(const struct whole *w, const struct graph_node *n, struct check *c)
{
    static const struct schema unknown;
    const struct module *m = n->module->table;

    for (size_t i = 0; m->inputs[i].name; i++) {
        int from = n->from[i], port = n->from_port[i];
        const struct graph_node *source = from >= 0 ? &w->g->nodes[from] : NULL;

        if (source) {
            const char *name = source->module ? source->module->table->outputs[port].name : "?";

            check_set_input(c, str_of(m->inputs[i].name),
                            w->is_checked[from] ? &w->checks[from].out[port] : &unknown,
                            str_of(arena_printf(w->a, "%s.%s", source->doc->id, name)));
        }
    }
}

/* Each as check.h writes it. */
static void take_mistakes(const struct whole *w, const struct graph_node *n, const struct check *c)
{
    for (size_t i = 0; i < c->n_mistakes; i++) {
        SCOPED(freep) struct check *one = xnew(struct check);
        SCOPED(buf_done) struct buf json = BUF_MAX(64 * KIB);
        struct jw out = JW(&json);
        struct graph_mistake *m = mistakes_add(w->mistakes, n->doc->id, c->mistakes[i].port,
                                               c->mistakes[i].param, "%s", c->mistakes[i].message);

        one->mistakes[0] = c->mistakes[i];
        one->n_mistakes = 1;
        check_mistakes_json(one, str_of(n->doc->id), &out);
        m->json = json.failed ? NULL : arena_strdup(w->a, buf_str(&json));
    }
}

static void check_node(const struct whole *w, int at)
{
    const struct graph_node *n = &w->g->nodes[at];
    struct check *c = &w->checks[at];
    struct volume_lister volumes = {w->files->s, w->files->project_id};
    struct files_lister lister = folder_lister(&volumes);

    if (n->module == NULL || n->module->component || has_mistake(w, n->doc->id) || is_open(n) ||
        clock_mono_ms() > w->until_ms) {
        return; /* nothing is known of what it makes but the types of its ports */
    }
    check_init(c, n->module->table);
    c->open_file = open_file;
    c->ctx = (void *)w->files;
    c->lister = &lister;
    for (size_t i = 0; n->module->table->params[i].name; i++) {
        if (n->params[i]) {
            check_set_param(c, str_of(n->module->table->params[i].name), str_of(n->params[i]));
        }
    }
    set_inputs(w, n, c);
    check_run(c);
    c->lister = NULL;
    take_mistakes(w, n, c);
    w->is_checked[at] = true;
}

static void write_port(const struct whole *w, int at, int port, struct jw *out)
{
    const struct port *p = &w->g->nodes[at].module->table->outputs[port];
    const struct schema *known = &w->checks[at].out[port];

    jw_key(out, p->name);
    if (w->is_checked[at] && known->type != VALUE_NONE) {
        schema_json(known, out);
        return;
    }
    jw_object(out);
    jw_kv_c(out, "type", value_type_name(p->type));
    if (p->type == VALUE_TABLE) {
        jw_kv_bool(out, "open", true);
        jw_key(out, "columns");
        jw_array(out);
        jw_end(out);
    }
    jw_end(out);
}

static void write_nodes(const struct whole *w, struct jw *out)
{
    jw_key(out, "nodes");
    jw_object(out);
    for (size_t i = 0; i < w->g->n; i++) {
        const struct graph_node *n = &w->g->nodes[i];

        if (n->module) {
            jw_key(out, n->doc->id);
            jw_object(out);
            jw_key(out, "outputs");
            jw_object(out);
            for (int k = 0; n->module->table->outputs[k].name; k++) {
                write_port(w, (int)i, k, out);
            }
            jw_end(out);
            jw_end(out);
        }
    }
    jw_end(out);
}

void check_json(struct arena *a, const struct graph *g, const struct check_files *files,
                struct mistakes *mistakes, struct jw *w)
{
    SCOPED(freep) struct check *checks = xnew_array(struct check, g->n + 1);
    struct whole all = {a,
                        g,
                        files,
                        mistakes,
                        checks,
                        arena_new_array(a, bool, g->n + 1),
                        clock_mono_ms() + CHECK_MS};

    for (size_t i = 0; i < g->n_order; i++) {
        check_node(&all, g->order[i]);
    }
    jw_object(w);
    jw_kv_bool(w, "ok", mistakes->n == 0);
    jw_key(w, "mistakes");
    graph_mistakes_json(mistakes, w);
    write_nodes(&all, w);
    jw_end(w);
    for (size_t i = 0; i < g->n; i++) {
        if (all.is_checked[i]) {
            check_done(&checks[i]);
        }
    }
}
