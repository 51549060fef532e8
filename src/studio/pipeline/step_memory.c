/* How much memory a step gets, and whether that can do: told before its job begins, from the
 * formula of its module, its parameters and the sizes of what it reads (algorithms/kernel/need.h).
 *
 *   the node says nothing: what it will need, at most what the machine has
 *   the node says memory:  that; less than it needs at the least is refused */
#include "pipeline/pipeline_priv.h"

#include "algorithms/kernel/check.h"
#include "algorithms/kernel/files.h"
#include "algorithms/kernel/need.h"
#include "base/limits.h"
#include "base/mem.h"
#include "pipeline/component.h"
#include "pipeline/script.h"
#include "volume/volume.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add_inputs(const struct run *r, const struct run_node *n, struct need *need)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;

    for (size_t i = 0; m->inputs[i].name; i++) {
        const struct run_node *from = run_node_at(r, g->from[i]);
        const struct step_output *o = from ? &from->outputs[g->from_port[i]] : NULL;

        if (o && m->inputs[i].type == VALUE_TABLE) {
            need_table(need, o->bytes, o->rows, o->columns);
        } else if (o && m->inputs[i].type == VALUE_FILE) {
            need_table(need, o->bytes, /* rows */ -1, /* columns */ 0);
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

static double rows_of(const struct schema *out, int64_t file_bytes, int64_t all_bytes)
{
    double rows = out->table && out->rows > 0 ? (double)out->rows : -1;

    return rows > 0 && file_bytes > 0 ? rows * (double)all_bytes / (double)file_bytes : rows;
}

/* Rows and columns as the head of the (first) file tells them. A file that cannot be read says so
 * itself, in the step. */
static void add_source(struct pipelines *s, const struct run *r, const struct run_node *n,
                       int64_t bytes, struct need *need)
{
    SCOPED(freep) struct check *c = xnew(struct check);
    struct volume_lister volumes = {s, r->row.project_id};
    struct files_lister lister = folder_lister(&volumes);
    struct source source = {.s = s, .r = r};
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    const struct schema *out;
    double rows;

    check_init(c, m);
    c->open_file = open_file;
    c->ctx = &source;
    c->lister = &lister;
    for (size_t i = 0; m->params[i].name; i++) {
        if (g->params[i]) {
            check_set_param(c, str_of(m->params[i].name), str_of(g->params[i]));
        }
    }
    check_run(c);
    out = &c->out[0];
    rows = rows_of(out, source.bytes, bytes);
    need_table(need, bytes, rows < 9e18 ? (int64_t)rows : INT64_MAX,
               out->table ? (int64_t)out->table->n_columns : 0);
    check_done(c);
}

/* --- the limit --- */

/* "1536Mi", as it is written in a document. */
static const char *size_text(struct arena *a, int64_t bytes)
{
    return arena_printf(a, "%lldMi", (long long)(bytes / MIB + (bytes % MIB > 0)));
}

/* A reader: no step in front of it could take rows away. */
static bool is_source(const struct run *r, const struct run_node *n)
{
    const struct module *m = r->graph.nodes[n->g].module->table;
    bool reads = false;

    for (size_t i = 0; m->params[i].name; i++) {
        reads = reads || (m->params[i].type == PARAM_PATH && !(m->flags & MODULE_WRITES));
    }
    return reads;
}

/* The setting memory of the step is too low. */
static int refuse_asked(struct arena *a, const struct run *r, const struct run_node *n,
                        const struct need *need, int64_t least, struct err *e)
{
    long long rows = (long long)need->rows, columns = (long long)need->columns;
    const char *needs = size_text(a, least), *has = size_text(a, n->asked_bytes);

    return is_source(r, n)
               ? err_set(e, ERR_LIMIT,
                         "it would need about %s of memory for %lld rows and %lld columns, and its "
                         "setting memory gives it %s: write memory: %s, or read fewer columns of a "
                         "Parquet file (read_parquet, cols)",
                         needs, rows, columns, has, needs)
               : err_set(e, ERR_LIMIT,
                         "it would need about %s of memory for %lld rows and %lld columns, and its "
                         "setting memory gives it %s: write memory: %s, or let it have fewer rows "
                         "(module sample) or columns",
                         needs, rows, columns, has, needs);
}

static int refuse(struct arena *a, const struct run *r, const struct run_node *n,
                  const struct need *need, int64_t least, int64_t limit, struct err *e)
{
    long long rows = (long long)need->rows, columns = (long long)need->columns;
    const char *needs = size_text(a, least), *has = size_text(a, limit);

    if (n->asked_bytes > 0 && n->asked_bytes == limit) {
        return refuse_asked(a, r, n, need, least, e);
    }
    return is_source(r, n)
               ? err_set(e, ERR_LIMIT,
                         "it would need about %s of memory for %lld rows and %lld columns, and "
                         "this machine has %s for a job: read fewer columns of a Parquet file "
                         "(read_parquet, cols), or on a larger machine",
                         needs, rows, columns, has)
               : err_set(e, ERR_LIMIT,
                         "it would need about %s of memory for %lld rows and %lld columns, and "
                         "this machine has %s for a job: let it have fewer rows (module sample) or "
                         "columns",
                         needs, rows, columns, has);
}

static int need_by(const struct run *r, const struct run_node *n, const struct need *need,
                   int64_t *bytes, int64_t *least, struct err *e)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    struct step step = {.module = m};

    for (size_t i = 0; m->params[i].name; i++) {
        step.params[i] = (char *)g->params[i];
    }
    if (need_bytes(&step, m->memory, need, bytes, e) < 0) {
        return -1;
    }
    *least = *bytes;
    return m->memory_spilled ? need_bytes(&step, m->memory_spilled, need, least, e) : 0;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int step_memory(struct pipelines *s, const struct run *r, struct run_node *n, int64_t input_bytes,
                struct err *e)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    struct need need = {0};
    int64_t cpu, machine, limit, least = 0;

    jobs_machine_totals(s->parts.jobs, &cpu, &machine);
    n->asked_bytes = g->doc->memory_bytes;
    n->lacks_memory = false;
    if (g->module->component || script_is(g->module->table)) {
        n->memory_bytes = n->asked_bytes > 0     ? n->asked_bytes
                          : g->module->component ? g->module->component->memory_bytes
                                                 : script_memory(r, n);
        return 0;
    }
    limit = n->asked_bytes > 0 ? min_of(n->asked_bytes, machine) : machine;
    need.cpus = cpu / 1000 + 1;
    add_inputs(r, n, &need);
    if (need.input == 0) {
        add_source(s, r, n, input_bytes, &need);
    }
    if (need_by(r, n, &need, &n->need_bytes, &least, e) < 0) {
        return -1;
    }
    if (least > limit) {
        n->lacks_memory = true;
        return refuse(&n->arena, r, n, &need, least, limit, e);
    }
    n->memory_bytes = n->asked_bytes > 0 ? limit : min_of(n->need_bytes, machine);
    return 0;
}

int64_t step_memory_about(const struct run *r, const struct run_node *n, int64_t input_bytes)
{
    struct need need = {.cpus = 1}; /* it is light */
    int64_t bytes = 0, least;
    struct err e;

    need_table(&need, input_bytes, /* rows */ -1, /* columns */ 0);
    return need_by(r, n, &need, &bytes, &least, &e) < 0 ? 0 : bytes;
}

const char *step_memory_killed(struct run_node *n, int64_t had_bytes)
{
    int64_t more = had_bytes + had_bytes / 2;

    more = n->need_bytes > more ? n->need_bytes : more;
    return arena_printf(&n->arena,
                        "killed: out of memory: it had %s and needs more, about %s by what is "
                        "known: write memory: %s in the step, or let it have fewer rows or columns",
                        size_text(&n->arena, had_bytes), size_text(&n->arena, more),
                        size_text(&n->arena, more));
}
