/* The job of a step, or of several that share a container: command, mounts, limits. */
#include "pipeline/pipeline_priv.h"

#include "base/limits.h"
#include "pipeline/component.h"
#include "pipeline/node_import.h"
#include "pipeline/script.h"

#include <string.h>

const char *step_suffix(enum value_type type)
{
    switch (type) {
    case VALUE_TABLE:
        return ".arrow";
    case VALUE_MODEL:
        return ".smdl";
    case VALUE_TRANSFORM:
        return ".sxfm";
    case VALUE_FILE:
        return ".bin";
    default:
        return ".json";
    }
}

const char *step_file(struct arena *a, const struct run_node *n, const struct port *port)
{
    return arena_printf(a, STUDIO_DIR "/%s/%s%s", n->row.key, port->name, step_suffix(port->type));
}

const char *step_tmp_dir(struct arena *a, const struct run_node *n)
{
    return n->row.image ? arena_printf(a, STUDIO_DIR "/tmp/%s", n->row.job)
                        : arena_printf(a, STUDIO_DIR "/tmp/%s/%s", n->row.job, n->row.node);
}

/* --- where it reads and writes --- */

/* "data:a/x.csv" as the container sees it. */
static const char *mounted(struct arena *a, const char *path)
{
    struct str rest = str_of(path), volume = str_cut(&rest, ':');

    return arena_printf(a, "/volumes/%.*s/%.*s", STR_ARG(volume), STR_ARG(rest));
}

static bool is_among(const struct step_group *g, const struct run_node *n)
{
    for (size_t i = 0; i < g->n; i++) {
        if (g->nodes[i] == n) {
            return true;
        }
    }
    return false;
}

const char *step_input_file(const struct run *r, const struct step_group *group,
                            const struct run_node *n, size_t i, struct arena *a)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct run_node *from = run_node_at(r, g->from[i]);
    const struct port *port;

    if (from == NULL) {
        return NULL;
    }
    port = &run_module(r, from)->outputs[g->from_port[i]];
    return is_among(group, from)
               ? arena_printf(a, "/out/%s/%s%s", from->row.node, port->name,
                              step_suffix(port->type))
               : arena_printf(a, "/in/%s/%s/%s%s", n->row.node, run_module(r, n)->inputs[i].name,
                              port->name, step_suffix(port->type));
}

static const char *output_file(const struct run_node *n, const struct port *port, struct arena *a)
{
    return n->row.image
               ? arena_printf(a, "/out/%s%s", port->name, step_suffix(port->type))
               : arena_printf(a, "/out/%s/%s%s", n->row.node, port->name, step_suffix(port->type));
}

/* --- the command --- */

static void write_words(const struct run *r, const struct step_group *group,
                        const struct run_node *n, struct arena *a, struct jw *w)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;

    jw_str(w, STR("--"));
    jw_str(w, str_of(n->row.node));
    jw_str(w, str_of(m->name));
    for (size_t i = 0; m->inputs[i].name; i++) {
        const char *file = step_input_file(r, group, n, i, a);

        if (file) {
            jw_str(w, STR("--in"));
            jw_str(w, str_of(arena_printf(a, "%s=%s", m->inputs[i].name, file)));
        }
    }
    node_import_words(r, n, w);
    for (size_t i = 0; m->outputs[i].name; i++) {
        jw_str(w, STR("--out"));
        jw_str(w, str_of(arena_printf(a, "%s=%s", m->outputs[i].name,
                                      output_file(n, &m->outputs[i], a))));
    }
    for (size_t i = 0; m->params[i].name; i++) {
        const char *value = g->params[i];

        if (value) {
            value = m->params[i].type == PARAM_PATH && *value ? mounted(a, value) : value;
            jw_str(w, STR("--param"));
            jw_str(w, str_of(arena_printf(a, "%s=%s", m->params[i].name, value)));
        }
    }
}

static void write_plan(const struct run *r, const struct step_group *g, struct arena *a,
                       struct jw *w)
{
    static const char *const first[] = {STEP_PROGRAM, "--progress", "json", "--spill",
                                        "/out",       "--outputs",  "yes",  "plan"};

    jw_key(w, "command");
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        jw_str(w, str_of(first[i]));
    }
    for (size_t i = 0; i < g->n; i++) {
        write_words(r, g, g->nodes[i], a, w);
    }
    jw_end(w);
}

/* Where its files are, for the placeholders of a component. */
static void write_component(const struct run *r, const struct step_group *group, struct arena *a,
                            struct jw *w)
{
    const struct run_node *n = group->nodes[0];
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    const char *params[MODULE_PARAMS] = {0}, *inputs[MODULE_PORTS] = {0};
    const char *outputs[MODULE_PORTS] = {0};

    for (size_t i = 0; m->params[i].name; i++) {
        params[i] = step_param(r, n, i);
    }
    for (size_t i = 0; m->inputs[i].name; i++) {
        inputs[i] = step_input_file(r, group, n, i, a);
    }
    for (size_t i = 0; m->outputs[i].name; i++) {
        outputs[i] = output_file(n, &m->outputs[i], a);
    }
    jw_key(w, "command");
    jw_array(w);
    component_words(g->module->component, &(struct component_values){params, inputs, outputs}, a,
                    w);
    jw_end(w);
}

/* --- its volumes --- */

void step_mount(struct jw *w, struct str volume, const char *path, const char *mode,
                const char *subpath)
{
    jw_object(w);
    jw_kv_str(w, "name", volume);
    jw_kv_c(w, "path", path);
    jw_kv_c(w, "mode", mode);
    if (subpath) {
        jw_kv_c(w, "subpath", subpath);
    }
    jw_end(w);
}

static void write_inputs(const struct run *r, const struct step_group *group,
                         const struct run_node *n, struct arena *a, struct jw *w)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;

    for (size_t i = 0; m->inputs[i].name; i++) {
        const struct run_node *from = run_node_at(r, g->from[i]);

        if (from && !is_among(group, from)) {
            step_mount(w, str_of(r->doc.volume),
                       arena_printf(a, "/in/%s/%s", n->row.node, m->inputs[i].name), "ro",
                       arena_printf(a, STUDIO_DIR "/%s", from->row.key));
        }
    }
}

static void write_sources(const struct run *r, const struct run_node *n, struct arena *a,
                          struct jw *w)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    const char *mode = m->flags & MODULE_WRITES ? "rw" : "ro";
    struct str seen = {0};

    for (size_t i = 0; m->params[i].name; i++) {
        const char *path = g->params[i];

        if (path && *path && m->params[i].type == PARAM_PATH) {
            struct str rest = str_of(path), name = str_cut(&rest, ':');

            if (!str_eq(name, seen)) {
                step_mount(w, name, arena_printf(a, "/volumes/%.*s", STR_ARG(name)), mode, NULL);
            }
            seen = name;
        }
    }
}

static void write_volumes(const struct run *r, const struct step_group *g, struct arena *a,
                          struct jw *w)
{
    jw_key(w, "volumes");
    jw_array(w);
    step_mount(w, str_of(r->doc.volume), "/out", "rw",
               arena_printf(a, STUDIO_DIR "/tmp/%s", g->nodes[0]->row.job));
    for (size_t i = 0; i < g->n; i++) {
        write_inputs(r, g, g->nodes[i], a, w);
        write_sources(r, g->nodes[i], a, w);
        node_import_mount(r, g->nodes[i], a, w);
    }
    jw_end(w);
}

/* --- its limits --- */

static void write_resources(struct pipelines *s, struct arena *a, const struct module *m,
                            int64_t want, struct jw *w)
{
    bool is_light = (m->flags & (MODULE_LIGHT | MODULE_NETWORK)) != 0;
    int64_t cpu, memory;

    jobs_machine_totals(s->parts.jobs, &cpu, &memory);
    if (is_light && cpu > 1000) {
        cpu = 1000;
    }
    jw_key(w, "resources");
    jw_object(w);
    jw_kv_c(w, "cpu", arena_printf(a, "%lldm", (long long)cpu));
    jw_kv_i64(w, "memory", want < memory ? want : memory);
    jw_kv_i64(w, "pids", 512);
    jw_end(w);
}

/* What the component asks for. */
static void write_asked(struct arena *a, const struct component *c, int64_t memory_bytes,
                        struct jw *w)
{
    jw_key(w, "resources");
    jw_object(w);
    jw_kv_c(w, "cpu", arena_printf(a, "%lldm", (long long)c->cpu_milli));
    jw_kv_i64(w, "memory", memory_bytes);
    jw_kv_i64(w, "gpu", c->gpus);
    jw_end(w);
}

void step_spec(struct pipelines *s, const struct run *r, const struct step_group *g,
               int64_t memory_bytes, struct arena *a, struct jw *w)
{
    const struct run_node *n = g->nodes[0];
    const struct component *component = r->graph.nodes[n->g].module->component;

    jw_object(w);
    jw_kv_c(w, "name", arena_printf(a, "%.30s-%.30s", r->row.pipeline, n->row.node));
    jw_kv_c(w, "image", n->row.image ? n->row.image : "strata/strata-ml:built-in");
    if (component) {
        write_component(r, g, a, w);
        write_asked(a, component, memory_bytes, w);
    } else if (script_is(run_module(r, n))) {
        script_spec(r, g, memory_bytes, a, w);
    } else {
        write_plan(r, g, a, w);
        write_resources(s, a, run_module(r, n), memory_bytes, w);
    }
    write_volumes(r, g, a, w);
    jw_kv_c(w, "network", "none");
    jw_kv_c(w, "grace", "1s");
    jw_end(w);
}
