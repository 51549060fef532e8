#include "pipeline/graph.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>

enum { MISTAKES_MAX = 500 };

struct graph_mistake *mistakes_add(struct mistakes *l, const char *node, const char *port,
                                   const char *param, const char *fmt, ...)
{
    static struct graph_mistake spare; /* written, never read: there are too many */
    struct err text;
    struct graph_mistake *m = &spare;
    va_list ap;

    if (l->items == NULL) {
        l->items = arena_new_array(l->a, struct graph_mistake, MISTAKES_MAX);
    }
    if (l->n < MISTAKES_MAX) {
        m = &l->items[l->n++];
        va_start(ap, fmt);
        (void)err_setv(&text, ERR_INVALID, fmt, ap);
        va_end(ap);
        *m = (struct graph_mistake){.node = node,
                                    .port = port,
                                    .param = param,
                                    .message = arena_strdup(l->a, str_of(text.msg))};
    }
    return m;
}

static void kv_given(struct jw *w, const char *key, const char *text)
{
    if (text) {
        jw_kv_c(w, key, text);
    }
}

void graph_mistakes_json(const struct mistakes *l, struct jw *w)
{
    jw_array(w);
    for (size_t i = 0; i < l->n; i++) {
        const struct graph_mistake *m = &l->items[i];

        if (m->json) {
            jw_raw(w, str_of(m->json));
            continue;
        }
        jw_object(w);
        kv_given(w, "node", m->node);
        kv_given(w, "port", m->port);
        kv_given(w, "param", m->param);
        jw_kv_c(w, "message", m->message);
        jw_end(w);
    }
    jw_end(w);
}

/* One building: what every part of it needs. */
struct build {
    struct arena *a;
    struct graph *g;
    const struct catalog *catalog;
    const struct graph_value *values;
    size_t n_values;
    enum graph_use use;
    struct mistakes *mistakes;
    size_t put_in; /* bytes of values with ${...}, of all nodes */
};

int graph_find(const struct graph *g, struct str id)
{
    for (size_t i = 0; i < g->n; i++) {
        if (str_eq_c(id, g->nodes[i].doc->id)) {
            return (int)i;
        }
    }
    return GRAPH_NONE;
}

/* --- modules --- */

static void find_module(const struct build *b, struct graph_node *n)
{
    const char *near;

    n->module = catalog_find(b->catalog, str_of(n->doc->module));
    if (n->module || n->doc->module[0] == '\0') {
        return;
    }
    near = catalog_nearest(b->catalog, str_of(n->doc->module));
    if (near) {
        mistakes_add(b->mistakes, n->doc->id, NULL, NULL,
                     "there is no module '%.70s'; did you mean '%s'?", n->doc->module, near);
    } else {
        mistakes_add(b->mistakes, n->doc->id, NULL, NULL, "there is no module '%.70s'",
                     n->doc->module);
    }
}

/* --- parameters --- */

static const struct doc_var *find_var(const struct doc *d, struct str name)
{
    for (size_t i = 0; i < d->n_vars; i++) {
        if (str_eq_c(name, d->vars[i].name)) {
            return &d->vars[i];
        }
    }
    return NULL;
}

/* The value of a parameter of the pipeline; NULL: only a run will know it. */
static const char *var_value(const struct build *b, const struct doc_var *v)
{
    for (size_t i = 0; i < b->n_values; i++) {
        if (strcmp(b->values[i].name, v->name) == 0) {
            return b->values[i].text;
        }
    }
    return v->has_default ? v->def.text : NULL;
}

/* `text` with every ${name} put in; $${ stands for ${. NULL: a value is not known, or a mistake. */
static const char *put_in(struct build *b, const struct graph_node *n, const char *param,
                          const char *text)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(LIMIT_PIPELINE_VALUE_BYTES);
    struct str rest = str_of(text);

    if (strstr(text, "${") == NULL) {
        return text;
    }
    for (;;) {
        ptrdiff_t at = str_find(rest, STR("${")), end;
        const struct doc_var *v;
        const char *value;
        struct str name;

        if (at < 0) {
            break;
        }
        if (at > 0 && rest.p[at - 1] == '$') {
            (void)buf_add(&out, str_first(rest, (size_t)at - 1));
            (void)buf_add(&out, STR("${"));
            rest = str_from(rest, (size_t)at + 2);
            continue;
        }
        (void)buf_add(&out, str_first(rest, (size_t)at));
        rest = str_from(rest, (size_t)at + 2);
        end = str_find_char(rest, '}');
        name = str_first(rest, end < 0 ? rest.len : (size_t)end);
        v = end < 0 ? NULL : find_var(b->g->doc, name);
        if (v == NULL) {
            mistakes_add(b->mistakes, n->doc->id, NULL, param,
                         "${%.*s} is no parameter of the pipeline: name it under 'params'",
                         STR_ARG(str_first(name, 70)));
            return NULL;
        }
        value = var_value(b, v);
        if (value == NULL) {
            return NULL;
        }
        (void)buf_add_c(&out, value);
        rest = str_from(rest, (size_t)end + 1);
    }
    (void)buf_add(&out, rest);
    if (out.failed) {
        mistakes_add(b->mistakes, n->doc->id, NULL, param, "is longer than %d bytes",
                     LIMIT_PIPELINE_VALUE_BYTES);
        return NULL;
    }
    if (b->put_in <= GRAPH_VALUES_BYTES && (b->put_in += out.len) > GRAPH_VALUES_BYTES) {
        mistakes_add(b->mistakes, n->doc->id, NULL, param,
                     "the values of all nodes are longer than %d bytes together: use a long"
                     " parameter of the pipeline less often",
                     GRAPH_VALUES_BYTES);
    }
    return b->put_in > GRAPH_VALUES_BYTES ? NULL : arena_strdup(b->a, buf_str(&out));
}

/* "VOLUME:path": files lie in volumes. */
/* What is read is resolved by the agent of the volumes; what is written by the container, where
 * '..' leads out of the volume, to where a file is lost with the container. */
static bool is_place(struct str path)
{
    if (str_eq(path, STR(".studio")) || str_starts(path, STR(".studio/"))) {
        return false;
    }
    while (path.p) {
        struct str part = str_cut(&path, '/');

        if (part.len == 0 || str_eq(part, STR(".")) || str_eq(part, STR(".."))) {
            return false;
        }
    }
    return true;
}

static void check_path(const struct build *b, const struct graph_node *n, const char *param,
                       const char *value)
{
    struct str rest = str_of(value), volume = str_cut(&rest, ':');
    struct err e;

    if (rest.p == NULL || rest.len == 0) {
        mistakes_add(b->mistakes, n->doc->id, NULL, param,
                     "'%.100s' names no volume: write VOLUME:path, such as data:tables/x.csv",
                     value);
    } else if (doc_name_check(volume, &e) < 0) {
        mistakes_add(b->mistakes, n->doc->id, NULL, param, "%s", e.msg);
    } else if ((n->module->table->flags & MODULE_WRITES) && !is_place(rest)) {
        mistakes_add(b->mistakes, n->doc->id, NULL, param,
                     "'%.100s' is no place for a file: write VOLUME:folder/name without '..'; "
                     ".studio is the pipelines' own",
                     value);
    }
}

static int find_param(const struct module *m, const char *name)
{
    for (int i = 0; m->params[i].name; i++) {
        if (strcmp(m->params[i].name, name) == 0) {
            return i;
        }
    }
    return GRAPH_NONE;
}

static void unknown_param(const struct build *b, const struct graph_node *n, const char *name)
{
    const struct module *m = n->module->table;
    const char *names[MODULE_PARAMS];
    size_t count = 0;
    const char *near;

    for (; m->params[count].name && count < MODULE_PARAMS; count++) {
        names[count] = m->params[count].name;
    }
    near = str_nearest(str_of(name), names, count);
    if (near) {
        mistakes_add(b->mistakes, n->doc->id, NULL, name,
                     "module %s has no parameter '%.70s'; did you mean '%s'?", m->name, name, near);
    } else {
        mistakes_add(b->mistakes, n->doc->id, NULL, name, "module %s has no parameter '%.70s'",
                     m->name, name);
    }
}

static void read_param(struct build *b, struct graph_node *n, const struct doc_param *p)
{
    int i = find_param(n->module->table, p->name);
    const struct param *row;
    const char *value;
    struct err e;

    if (i < 0) {
        unknown_param(b, n, p->name);
        return;
    }
    row = &n->module->table->params[i];
    value = put_in(b, n, row->name, p->value.text);
    n->params[i] = value ? value : p->value.text;
    n->is_open[i] = value == NULL;
    if (value == NULL) {
        return;
    }
    if (value[0] == '\0' && row->def == NULL) {
        mistakes_add(b->mistakes, n->doc->id, NULL, row->name, "parameter %s must be given",
                     row->name);
    } else if (param_check(row, str_of(value), &e) < 0) {
        mistakes_add(b->mistakes, n->doc->id, NULL, row->name, "%s", e.msg);
    } else if (row->type == PARAM_PATH && *value) {
        check_path(b, n, row->name, value);
    }
}

static void read_params(struct build *b, struct graph_node *n)
{
    const struct module *m = n->module->table;

    for (size_t i = 0; i < n->doc->n_params; i++) {
        read_param(b, n, &n->doc->params[i]);
    }
    for (size_t i = 0; m->params[i].name; i++) {
        if (n->params[i] == NULL && m->params[i].def == NULL) {
            mistakes_add(b->mistakes, n->doc->id, NULL, m->params[i].name,
                         "parameter %s must be given", m->params[i].name);
        }
    }
}

/* --- ports --- */

static int find_port(const struct port *ports, const char *name)
{
    for (int i = 0; ports[i].name; i++) {
        if (strcmp(ports[i].name, name) == 0) {
            return i;
        }
    }
    return GRAPH_NONE;
}

static const char *port_names(struct arena *a, const struct port *ports)
{
    const char *all = "";

    for (; ports->name; ports++) {
        if (ports->flags & PORT_HIDDEN) {
            continue;
        }
        all = arena_printf(a, "%s%s%s", all, *all ? ", " : "", ports->name);
    }
    return *all ? all : "-";
}

static void read_input(const struct build *b, struct graph_node *n, const struct doc_input *in)
{
    const struct module *m = n->module->table;
    int port = find_port(m->inputs, in->port), from = graph_find(b->g, str_of(in->node)), out;
    const struct graph_node *source;

    if (port < 0 || (m->inputs[port].flags & PORT_HIDDEN)) {
        mistakes_add(b->mistakes, n->doc->id, in->port, NULL,
                     "module %s has no input '%.70s'; its inputs: %s", m->name, in->port,
                     port_names(b->a, m->inputs));
        return;
    }
    if (from < 0) {
        mistakes_add(b->mistakes, n->doc->id, in->port, NULL, "there is no node '%.70s'", in->node);
        return;
    }
    source = &b->g->nodes[from];
    if (source->module == NULL) {
        n->from[port] = from; /* its own mistake is told; the order needs it */
        return;
    }
    out = find_port(source->module->table->outputs, in->from);
    if (out < 0) {
        mistakes_add(b->mistakes, n->doc->id, in->port, NULL,
                     "node %s has no output '%.70s'; its outputs: %s", in->node, in->from,
                     port_names(b->a, source->module->table->outputs));
        return;
    }
    if ((m->inputs[port].type != VALUE_FILE || n->module->component == NULL) &&
        source->module->table->outputs[out].type != m->inputs[port].type) {
        mistakes_add(b->mistakes, n->doc->id, in->port, NULL,
                     "input %s takes a %s, and %s.%s is a %s", in->port,
                     value_type_name(m->inputs[port].type), in->node, in->from,
                     value_type_name(source->module->table->outputs[out].type));
        return;
    }
    n->from[port] = from;
    n->from_port[port] = out;
}

static void read_inputs(const struct build *b, struct graph_node *n)
{
    const struct module *m = n->module->table;

    for (size_t i = 0; i < n->doc->n_inputs; i++) {
        read_input(b, n, &n->doc->inputs[i]);
    }
    for (size_t i = 0; m->inputs[i].name; i++) {
        bool named = false;

        for (size_t k = 0; k < n->doc->n_inputs; k++) {
            named = named || strcmp(n->doc->inputs[k].port, m->inputs[i].name) == 0;
        }
        if (!named && !(m->inputs[i].flags & PORT_OPTIONAL)) {
            mistakes_add(b->mistakes, n->doc->id, m->inputs[i].name, NULL,
                         "input %s is not connected", m->inputs[i].name);
        }
    }
}

/* --- the order --- */

static bool is_ready(const struct graph_node *n, const bool *done)
{
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        if (n->from[i] >= 0 && !done[n->from[i]]) {
            return false;
        }
    }
    return true;
}

/* What is left and is needed by something that is left: circles, and ways from one to another. */
static void tell_circles(const struct build *b, bool *done)
{
    const struct graph *g = b->g;
    size_t *needed_by = arena_new_array(b->a, size_t, g->n + 1);
    bool more = g->n_order < g->n;

    for (size_t i = 0; i < g->n * MODULE_PORTS; i++) {
        const struct graph_node *n = &g->nodes[i / MODULE_PORTS];

        if (!done[i / MODULE_PORTS] && n->from[i % MODULE_PORTS] >= 0) {
            needed_by[n->from[i % MODULE_PORTS]]++;
        }
    }
    while (more) {
        more = false;
        for (size_t i = 0; i < g->n; i++) {
            for (size_t k = 0; !done[i] && needed_by[i] == 0 && k < MODULE_PORTS; k++) {
                if (g->nodes[i].from[k] >= 0) {
                    needed_by[g->nodes[i].from[k]]--;
                    more = true;
                }
            }
            done[i] = done[i] || needed_by[i] == 0;
        }
    }
    for (size_t i = 0; i < g->n; i++) {
        if (!done[i]) {
            mistakes_add(b->mistakes, g->nodes[i].doc->id, NULL, NULL,
                         "is part of a circle: it needs its own output");
        }
    }
}

/* Rounds over the document's order, so that equal graphs run alike; at most 500 nodes. */
static void sort_nodes(const struct build *b)
{
    struct graph *g = b->g;
    bool *done = arena_new_array(b->a, bool, g->n + 1);
    size_t before;

    g->order = arena_new_array(b->a, int, g->n + 1);
    do {
        before = g->n_order;
        for (size_t i = 0; i < g->n; i++) {
            if (!done[i] && is_ready(&g->nodes[i], done)) {
                done[i] = true;
                g->order[g->n_order++] = (int)i;
            }
        }
    } while (g->n_order > before);
    tell_circles(b, done);
}

void graph_reach(const struct graph *g, int node, enum graph_way way, bool *marks)
{
    bool more = true;

    marks[node] = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < g->n; i++) {
            for (size_t k = 0; k < MODULE_PORTS; k++) {
                int from = g->nodes[i].from[k];

                if (from >= 0 && way == GRAPH_UP && marks[i] && !marks[from]) {
                    marks[from] = more = true;
                } else if (from >= 0 && way == GRAPH_DOWN && marks[from] && !marks[i]) {
                    marks[i] = more = true;
                }
            }
        }
    }
}

/* --- values that a run was given --- */

static void check_values(const struct build *b)
{
    const struct doc *d = b->g->doc;

    for (size_t i = 0; i < b->n_values; i++) {
        if (find_var(d, str_of(b->values[i].name)) == NULL) {
            mistakes_add(b->mistakes, NULL, NULL, b->values[i].name,
                         "the pipeline has no parameter '%.70s'", b->values[i].name);
        }
    }
    for (size_t i = 0; i < d->n_vars; i++) {
        const char *value = var_value(b, &d->vars[i]);
        const struct param row = {.name = d->vars[i].name,
                                  .type = strcmp(d->vars[i].type, "int") == 0    ? PARAM_INT
                                          : strcmp(d->vars[i].type, "real") == 0 ? PARAM_REAL
                                          : strcmp(d->vars[i].type, "bool") == 0 ? PARAM_BOOL
                                                                                 : PARAM_TEXT,
                                  .min = -1e300,
                                  .max = 1e300};
        struct err e;

        if (value == NULL && b->use == GRAPH_FOR_RUN) {
            mistakes_add(b->mistakes, NULL, NULL, row.name,
                         "the run needs a value for the parameter '%s'", row.name);
        } else if (value && param_check(&row, str_of(value), &e) < 0) {
            mistakes_add(b->mistakes, NULL, NULL, row.name, "%s", e.msg);
        }
    }
}

void graph_build(struct arena *a, const struct doc *d, const struct catalog *c,
                 const struct graph_value *values, size_t n_values, enum graph_use use,
                 struct graph *out, struct mistakes *mistakes)
{
    struct build b = {a, out, c, values, n_values, use, mistakes, 0};

    *out = (struct graph){
        .doc = d, .nodes = arena_new_array(a, struct graph_node, d->n_nodes + 1), .n = d->n_nodes};
    check_values(&b);
    for (size_t i = 0; i < d->n_nodes; i++) {
        struct graph_node *n = &out->nodes[i];

        n->doc = &d->nodes[i];
        for (size_t k = 0; k < MODULE_PORTS; k++) {
            n->from[k] = GRAPH_NONE;
        }
        find_module(&b, n);
    }
    for (size_t i = 0; i < d->n_nodes; i++) {
        if (out->nodes[i].module) {
            read_params(&b, &out->nodes[i]);
            read_inputs(&b, &out->nodes[i]);
        }
    }
    sort_nodes(&b);
}
