/* How much memory a step gets, and whether that can do: told before its job begins, from the
 * formula of its module, its parameters and the sizes of what it reads (algorithms/kernel/need.h).
 *
 *   the node says nothing: what it will need, at most what the machine has
 *   the node says memory:  that; less than it needs at the least is refused */
#include "pipeline/pipeline_priv.h"

#include "algorithms/kernel/check.h"
#include "algorithms/kernel/need.h"
#include "base/limits.h"
#include "base/mem.h"
#include "pipeline/component.h"
#include "volume/volume.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct run_node *node_of(const struct run *r, int g)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->nodes[i].g == g) {
            return &r->nodes[i];
        }
    }
    return NULL;
}

static void add_inputs(const struct run *r, const struct run_node *n, struct need *need)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;

    for (size_t i = 0; m->inputs[i].name; i++) {
        const struct run_node *from = g->from[i] >= 0 ? node_of(r, g->from[i]) : NULL;
        const struct step_output *o = from ? &from->outputs[g->from_port[i]] : NULL;

        if (o && m->inputs[i].type == VALUE_TABLE) {
            need_table(need, o->bytes, o->rows, o->columns);
        } else if (o && __builtin_add_overflow(need->input, o->bytes, &need->input)) {
            need->input = INT64_MAX;
        }
    }
}

/* --- what a source reads --- */

struct source {
    struct pipelines *s;
    const struct run *r;
    int64_t bytes; /* of the file that was opened last */
};

static int open_file(void *ctx, const char *path, struct err *e)
{
    struct source *x = ctx;
    struct str rest = str_of(path), volume = str_cut(&rest, ':');
    struct volume_ref ref = {x->r->row.project_id, volume};
    struct volume_file_info f;

    if (volume_file_open(x->s->parts.volumes, &ref, rest.p ? rest : STR_EMPTY,
                         VOLUME_LINKS_FOLLOWED, &f, e) < 0) {
        return -1;
    }
    x->bytes = f.size_bytes;
    return f.fd;
}

/* Rows and columns as the head of the file tells them. A file that cannot be read says so itself,
 * in the step. */
static void add_source(struct pipelines *s, const struct run *r, const struct run_node *n,
                       struct need *need)
{
    SCOPED(freep) struct check *c = xnew(struct check);
    struct source source = {.s = s, .r = r};
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    const struct schema *out;

    check_init(c, m);
    c->open_file = open_file;
    c->ctx = &source;
    for (size_t i = 0; m->params[i].name; i++) {
        if (g->params[i]) {
            check_set_param(c, str_of(m->params[i].name), str_of(g->params[i]));
        }
    }
    check_run(c);
    out = &c->out[0];
    need_table(need, source.bytes, out->table && out->rows > 0 ? out->rows : -1,
               out->table ? (int64_t)out->table->n_columns : 0);
    check_done(c);
}

/* --- the limit --- */

/* "1536Mi", as it is written in a document. */
static const char *size_text(struct arena *a, int64_t bytes)
{
    return arena_printf(a, "%lldMi", (long long)(bytes / MIB + (bytes % MIB > 0)));
}

static int refuse(struct arena *a, const struct run_node *n, const struct need *need, int64_t least,
                  int64_t limit, struct err *e)
{
    long long rows = (long long)need->rows, columns = (long long)need->columns;

    if (n->asked_bytes > 0) {
        return err_set(e, ERR_LIMIT,
                       "it would need about %s of memory for %lld rows and %lld columns, and its "
                       "setting memory gives it %s: write memory: %s, or let it have fewer rows "
                       "(module sample) or columns",
                       size_text(a, least), rows, columns, size_text(a, limit),
                       size_text(a, least));
    }
    return err_set(e, ERR_LIMIT,
                   "it would need about %s of memory for %lld rows and %lld columns, and this "
                   "machine has %s for a job: let it have fewer rows (module sample) or columns",
                   size_text(a, least), rows, columns, size_text(a, limit));
}

static int need_of(struct pipelines *s, const struct run *r, struct run_node *n, struct need *need,
                   int64_t *least, struct err *e)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    struct step step = {.module = m};

    for (size_t i = 0; m->params[i].name; i++) {
        step.params[i] = (char *)g->params[i];
    }
    add_inputs(r, n, need);
    if (m->inputs[0].name == NULL) {
        add_source(s, r, n, need);
    }
    if (need_bytes(&step, m->memory, need, &n->need_bytes, e) < 0) {
        return -1;
    }
    if (m->memory_spilled == NULL) {
        *least = n->need_bytes;
        return 0;
    }
    return need_bytes(&step, m->memory_spilled, need, least, e);
}

int step_memory(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    struct need need = {0};
    int64_t cpu, machine, limit, least = 0;

    jobs_machine_totals(s->parts.jobs, &cpu, &machine);
    n->asked_bytes = g->doc->memory_bytes;
    limit = n->asked_bytes > 0 && n->asked_bytes < machine ? n->asked_bytes : machine;
    if (g->module->component) {
        n->memory_bytes = n->asked_bytes > 0 ? n->asked_bytes : g->module->component->memory_bytes;
        return 0;
    }
    need.cpus = cpu / 1000 + 1;
    if (need_of(s, r, n, &need, &least, e) < 0) {
        return -1;
    }
    if (least > limit) {
        return refuse(&r->arena, n, &need, least, limit, e);
    }
    n->memory_bytes = n->asked_bytes > 0        ? limit
                      : n->need_bytes < machine ? n->need_bytes
                                                : machine;
    return 0;
}

const char *step_memory_killed(struct run *r, const struct run_node *n, int64_t had_bytes)
{
    int64_t more = had_bytes + had_bytes / 2;

    more = n->need_bytes > more ? n->need_bytes : more;
    return arena_printf(&r->arena,
                        "killed: out of memory: it had %s and needs more, about %s by what is "
                        "known: write memory: %s in the step, or let it have fewer rows or columns",
                        size_text(&r->arena, had_bytes), size_text(&r->arena, more),
                        size_text(&r->arena, more));
}
