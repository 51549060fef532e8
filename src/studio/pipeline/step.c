/* What a node's job is: the words its key is made of, and the spec of the job. */
#include "pipeline/pipeline_priv.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "pipeline/component.h"
#include "volume/volume.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct module *run_module(const struct run *r, const struct run_node *n)
{
    return r->graph.nodes[n->g].module->table;
}

struct volume_ref run_volume(const struct run *r)
{
    return (struct volume_ref){r->row.project_id, str_of(r->doc.volume)};
}

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

bool step_error_passes(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_NO_SPACE ||
           e->kind == ERR_IO || e->kind == ERR_THROTTLED;
}

/* --- the key --- */

static const char *param_text(const struct run *r, const struct run_node *n, size_t i)
{
    const char *given = r->graph.nodes[n->g].params[i];

    return given ? given : run_module(r, n)->params[i].def;
}

static struct run_node *node_of(const struct run *r, int g)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->nodes[i].g == g) {
            return &r->nodes[i];
        }
    }
    return NULL;
}

static const char *mark_of(struct arena *a, const struct volume_file_info *f)
{
    return arena_printf(a, "%llu %lld %lld %lld", (unsigned long long)f->inode,
                        (long long)f->size_bytes, (long long)f->modified_ns,
                        (long long)f->changed_ns);
}

/* The content of a file in a volume: "data:tables/x.csv". */
static int file_word(struct pipelines *s, struct run *r, const char *path, char hex[65],
                     const char **mark, struct err *e)
{
    struct str rest = str_of(path), volume = str_cut(&rest, ':');
    struct volume_ref ref = {r->row.project_id, volume};
    struct volume_file_info f;
    int rc;

    if (volume_file_open(s->parts.volumes, &ref, rest, VOLUME_LINKS_FOLLOWED, &f, e) < 0) {
        return err_wrap(e, "%s", path);
    }
    *mark = mark_of(&r->arena, &f);
    rc = hash_file(s, r, &f, hex, e);
    (void)close(f.fd);
    return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

static int write_files(struct pipelines *s, struct run *r, const struct run_node *n, struct jw *w,
                       struct jw *marks, struct err *e)
{
    const struct module *m = run_module(r, n);
    const char *mark;
    char hex[65];

    jw_key(w, "files");
    jw_object(w);
    jw_object(marks);
    for (size_t i = 0; m->params[i].name; i++) {
        const char *path = param_text(r, n, i);

        if (m->params[i].type == PARAM_PATH && path && *path) {
            if (file_word(s, r, path, hex, &mark, e) < 0) {
                return -1;
            }
            jw_kv_c(w, path, hex);
            jw_kv_c(marks, path, mark);
        }
    }
    jw_end(w);
    jw_end(marks);
    return 0;
}

static void write_inputs(const struct run *r, const struct run_node *n, struct jw *w)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;

    jw_key(w, "inputs");
    jw_object(w);
    for (size_t i = 0; m->inputs[i].name; i++) {
        const struct run_node *from = g->from[i] >= 0 ? node_of(r, g->from[i]) : NULL;

        if (from) {
            jw_kv_c(w, m->inputs[i].name, from->outputs[g->from_port[i]].sha256);
        }
    }
    jw_end(w);
}

/* The marks of files are no part of the key: they tell later whether the step read what it says. */
int step_words(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(2 * MIB);
    SCOPED(buf_done) struct buf marks = BUF_MAX(2 * MIB);
    struct jw marker = JW(&marks);
    const struct module *m = run_module(r, n);
    struct jw writer = JW(&out), *w = &writer;
    char key[STEP_KEY];

    jw_object(w);
    jw_kv_c(w, "module", m->name);
    jw_kv_c(w, "version", m->version);
    jw_kv_c(w, "image", n->row.image ? n->row.image : s->image.image.digest);
    jw_kv_c(w, "device", "cpu");
    jw_key(w, "params");
    jw_object(w);
    for (size_t i = 0; m->params[i].name; i++) {
        jw_kv_c(w, m->params[i].name, param_text(r, n, i));
    }
    jw_end(w);
    write_inputs(r, n, w);
    if (write_files(s, r, n, w, &marker, e) < 0) {
        return -1;
    }
    jw_end(w);
    if (out.failed || marks.failed) {
        return err_set(e, ERR_INVALID, "the parameters of %s are too long", n->row.node);
    }
    sha256_hex_of(buf_str(&out), key);
    n->row.words = arena_printf(&r->arena, "%.*s,\"marks\":%.*s}", (int)out.len - 1, out.p,
                                STR_ARG(buf_str(&marks)));
    n->row.key = arena_strdup(&r->arena, str_of(key));
    return 0;
}

int step_files_same(struct pipelines *s, const struct run *r, const struct run_node *n,
                    struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(json_decrefp) json_t *words = json_parse(str_of(n->row.words), e);
    const char *path;
    const json_t *mark;

    json_object_foreach(json_object_get(words, "marks"), path, mark)
    {
        struct str rest = str_of(path), volume = str_cut(&rest, ':');
        struct volume_ref ref = {r->row.project_id, volume};
        struct volume_file_info f;

        if (volume_file_open(s->parts.volumes, &ref, rest, VOLUME_LINKS_FOLLOWED, &f, e) < 0) {
            return step_error_passes(e) ? -1 : 0;
        }
        (void)close(f.fd);
        if (strcmp(mark_of(&a, &f), json_string_value(mark)) != 0) {
            return 0;
        }
    }
    return words != NULL;
}

void step_key_of_its_own(struct run *r, struct run_node *n)
{
    char key[STEP_KEY];

    sha256_hex_of(str_of(arena_printf(&r->arena, "%s %s", n->row.words, n->row.job)), key);
    n->row.key = arena_strdup(&r->arena, str_of(key));
}

/* --- why it is not the same as last time --- */

static const char *text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* The first key of `now` whose value is another one in `then`. */
static const char *first_change(const json_t *now, const json_t *then)
{
    for (void *it = json_object_iter((json_t *)now); it;
         it = json_object_iter_next((json_t *)now, it)) {
        const char *key = json_object_iter_key(it);

        if (strcmp(text_at(now, key), text_at(then, key)) != 0) {
            return key;
        }
    }
    return NULL;
}

const char *step_why(struct run *r, const struct run_node *n, const char *old_words)
{
    struct err e;
    SCOPED(json_decrefp) json_t *now = json_parse(str_of(n->row.words), &e);
    SCOPED(json_decrefp)
    json_t *then = old_words ? json_parse(str_of(old_words), &e) : NULL;
    const char *key, *module = text_at(now, "module");
    struct arena *a = &r->arena;

    if (then == NULL || strcmp(module, text_at(then, "module")) != 0) {
        return "never run before";
    }
    if (strcmp(text_at(now, "version"), text_at(then, "version")) != 0) {
        return arena_printf(a, "module %s is %s, was %s", module, text_at(now, "version"),
                            text_at(then, "version"));
    }
    if ((key = first_change(json_object_get(now, "params"), json_object_get(then, "params")))) {
        return arena_printf(a, "parameter %.60s changed from %.60s to %.60s", key,
                            text_at(json_object_get(then, "params"), key),
                            text_at(json_object_get(now, "params"), key));
    }
    if ((key = first_change(json_object_get(now, "inputs"), json_object_get(then, "inputs")))) {
        return arena_printf(a, "input %.60s has changed", key);
    }
    if ((key = first_change(json_object_get(now, "files"), json_object_get(then, "files")))) {
        return arena_printf(a, "file %.200s has changed", key);
    }
    if (strcmp(text_at(now, "image"), text_at(then, "image")) != 0) {
        return n->row.image ? "its image has changed" : "strata-ml has changed";
    }
    return "its last run gave no output";
}

/* --- the job --- */

static void write_mount(struct jw *w, struct str volume, const char *path, const char *mode,
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

/* "data:a/x.csv" as the container sees it. */
static const char *mounted(struct arena *a, const char *path)
{
    struct str rest = str_of(path), volume = str_cut(&rest, ':');

    return arena_printf(a, "/volumes/%.*s/%.*s", STR_ARG(volume), STR_ARG(rest));
}

static void write_command(struct run *r, const struct run_node *n, struct jw *w)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    struct arena *a = &r->arena;

    jw_key(w, "command");
    jw_array(w);
    jw_str(w, STR(STEP_PROGRAM));
    jw_str(w, STR("--progress"));
    jw_str(w, STR("json"));
    jw_str(w, STR("--spill"));
    jw_str(w, STR("/out"));
    jw_str(w, STR("--outputs"));
    jw_str(w, STR("yes"));
    jw_str(w, str_of(m->name));
    for (size_t i = 0; m->inputs[i].name; i++) {
        const struct run_node *from = g->from[i] >= 0 ? node_of(r, g->from[i]) : NULL;
        const struct port *port;

        if (from) {
            port = &run_module(r, from)->outputs[g->from_port[i]];
            jw_str(w, STR("--in"));
            jw_str(w, str_of(arena_printf(a, "%s=/in/%s/%s%s", m->inputs[i].name, m->inputs[i].name,
                                          port->name, step_suffix(port->type))));
        }
    }
    for (size_t i = 0; m->outputs[i].name; i++) {
        jw_str(w, STR("--out"));
        jw_str(w, str_of(arena_printf(a, "%s=/out/%s%s", m->outputs[i].name, m->outputs[i].name,
                                      step_suffix(m->outputs[i].type))));
    }
    for (size_t i = 0; m->params[i].name; i++) {
        const char *value = g->params[i];

        if (value) {
            if (m->params[i].type == PARAM_PATH) {
                value = mounted(a, value);
            }
            jw_str(w, STR("--param"));
            jw_str(w, str_of(arena_printf(a, "%s=%s", m->params[i].name, value)));
        }
    }
    jw_end(w);
}

/* Where its files are, for the placeholders of a component. */
static void write_component(struct run *r, const struct run_node *n, struct jw *w)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    const char *params[MODULE_PARAMS] = {0}, *inputs[MODULE_PORTS] = {0};
    const char *outputs[MODULE_PORTS] = {0};

    for (size_t i = 0; m->params[i].name; i++) {
        params[i] = param_text(r, n, i);
    }
    for (size_t i = 0; m->inputs[i].name; i++) {
        const struct run_node *from = g->from[i] >= 0 ? node_of(r, g->from[i]) : NULL;

        if (from) {
            const struct port *port = &run_module(r, from)->outputs[g->from_port[i]];

            inputs[i] = arena_printf(&r->arena, "/in/%s/%s%s", m->inputs[i].name, port->name,
                                     step_suffix(port->type));
        }
    }
    for (size_t i = 0; m->outputs[i].name; i++) {
        outputs[i] = arena_printf(&r->arena, "/out/%s%s", m->outputs[i].name,
                                  step_suffix(m->outputs[i].type));
    }
    jw_key(w, "command");
    jw_array(w);
    component_words(g->module->component, &(struct component_values){params, inputs, outputs},
                    &r->arena, w);
    jw_end(w);
}

static void write_volumes(struct run *r, const struct run_node *n, struct jw *w)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;
    struct arena *a = &r->arena;
    struct str volume = str_of(r->doc.volume), seen = {0};

    jw_key(w, "volumes");
    jw_array(w);
    write_mount(w, volume, "/out", "rw", arena_printf(a, STUDIO_DIR "/tmp/%s", n->row.job));
    for (size_t i = 0; m->inputs[i].name; i++) {
        const struct run_node *from = g->from[i] >= 0 ? node_of(r, g->from[i]) : NULL;

        if (from) {
            write_mount(w, volume, arena_printf(a, "/in/%s", m->inputs[i].name), "ro",
                        arena_printf(a, STUDIO_DIR "/%s", from->row.key));
        }
    }
    for (size_t i = 0; m->params[i].name; i++) {
        const char *path = g->params[i];

        if (path && m->params[i].type == PARAM_PATH) {
            struct str rest = str_of(path), name = str_cut(&rest, ':');

            if (!str_eq(name, seen)) {
                write_mount(w, name, arena_printf(a, "/volumes/%.*s", STR_ARG(name)), "ro", NULL);
            }
            seen = name;
        }
    }
    jw_end(w);
}

static void write_resources(struct pipelines *s, struct arena *a, const struct run_node *n,
                            const struct module *m, struct jw *w)
{
    int64_t cpu, memory;

    jobs_machine_totals(s->parts.jobs, &cpu, &memory);
    if ((m->flags & MODULE_LIGHT) && cpu > 1000) {
        cpu = 1000;
    }
    jw_key(w, "resources");
    jw_object(w);
    jw_kv_c(w, "cpu", arena_printf(a, "%lldm", (long long)cpu));
    jw_kv_i64(w, "memory", n->memory_bytes);
    jw_kv_i64(w, "pids", 512);
    jw_end(w);
}

/* What the component asks for. */
static void write_asked(struct arena *a, const struct run_node *n, const struct component *c,
                        struct jw *w)
{
    jw_key(w, "resources");
    jw_object(w);
    jw_kv_c(w, "cpu", arena_printf(a, "%lldm", (long long)c->cpu_milli));
    jw_kv_i64(w, "memory", n->memory_bytes);
    jw_kv_i64(w, "gpu", c->gpus);
    jw_end(w);
}

void step_spec(struct pipelines *s, struct run *r, const struct run_node *n, struct jw *w)
{
    const struct component *component = r->graph.nodes[n->g].module->component;

    jw_object(w);
    jw_kv_c(w, "name", arena_printf(&r->arena, "%.30s-%.30s", r->row.pipeline, n->row.node));
    jw_kv_c(w, "image", n->row.image ? n->row.image : "strata/strata-ml:built-in");
    if (component) {
        write_component(r, n, w);
        write_asked(&r->arena, n, component, w);
    } else {
        write_command(r, n, w);
        write_resources(s, &r->arena, n, run_module(r, n), w);
    }
    write_volumes(r, n, w);
    jw_kv_c(w, "network", "none");
    jw_kv_c(w, "grace", "1s");
    jw_end(w);
}
