#include "algorithms/manifest.h"

#include "algorithms/kernel/need.h"
#include "algorithms/kernel/number.h"
#include "base/json.h"

#include <string.h>

static void write_ports(struct jw *w, const char *key, const struct port *ports)
{
    jw_key(w, key);
    jw_array(w);
    for (; ports->name; ports++) {
        if (ports->flags & PORT_HIDDEN) {
            continue;
        }
        jw_object(w);
        jw_kv_c(w, "name", ports->name);
        jw_kv_c(w, "type", value_type_name(ports->type));
        jw_kv_bool(w, "optional", (ports->flags & PORT_OPTIONAL) != 0);
        jw_kv_c(w, "help", ports->help);
        jw_end(w);
    }
    jw_end(w);
}

/* The default in its own type: 0.8, true, "auto". */
static void write_default(struct jw *w, const struct param *p)
{
    jw_kv_bool(w, "required", p->def == NULL);
    if (p->def == NULL) {
        return;
    }
    jw_key(w, "default");
    if (p->type == PARAM_INT || p->type == PARAM_REAL || p->type == PARAM_BOOL) {
        jw_raw(w, str_of(p->def));
    } else {
        jw_str(w, str_of(p->def));
    }
}

static void write_param(struct jw *w, const struct param *p)
{
    jw_object(w);
    jw_kv_c(w, "name", p->name);
    jw_kv_c(w, "type", param_type_name(p->type));
    write_default(w, p);
    if (p->type == PARAM_INT || p->type == PARAM_REAL || p->type == PARAM_INTS) {
        number_json_kv(w, "min", p->min);
        number_json_kv(w, "max", p->max);
    }
    if (p->choices) {
        struct str rest = str_of(p->choices);

        jw_key(w, "choices");
        jw_array(w);
        while (rest.p) {
            jw_str(w, str_cut(&rest, '|'));
        }
        jw_end(w);
    }
    jw_kv_c(w, "help", p->help);
    jw_end(w);
}

static const char *kind_of(const struct module *m)
{
    return m->flags & MODULE_NETWORK  ? "import"
           : m->flags & MODULE_SCRIPT ? "script"
           : m->run                   ? "native"
                                      : "container";
}

static void write_module(struct jw *w, const struct module *m)
{
    jw_object(w);
    jw_kv_c(w, "name", m->name);
    jw_kv_c(w, "version", m->version);
    jw_kv_c(w, "title", m->title);
    jw_kv_c(w, "description", m->description);
    jw_kv_c(w, "category", m->category);
    jw_kv_c(w, "kind", kind_of(m));
    jw_kv_bool(w, "light", (m->flags & MODULE_LIGHT) != 0);
    if (m->run) {
        jw_kv_c(w, "memory", m->memory ? m->memory : NEED_DEFAULT);
        jw_kv_c(w, "memory_spilled",
                m->memory_spilled ? m->memory_spilled
                : m->memory       ? m->memory
                                  : NEED_DEFAULT);
    }
    jw_kv_bool(w, "deterministic", (m->flags & (MODULE_NETWORK | MODULE_SCRIPT)) == 0);
    write_ports(w, "inputs", m->inputs);
    write_ports(w, "outputs", m->outputs);
    jw_key(w, "params");
    jw_array(w);
    for (const struct param *p = m->params; p->name; p++) {
        write_param(w, p);
    }
    jw_end(w);
    jw_end(w);
}

void manifest_json(const struct module *const *modules, const struct module *only, struct buf *out)
{
    struct jw w = JW(out);

    jw_object(&w);
    jw_kv_i64(&w, "schema", 2);
    jw_kv_c(&w, "program", "strata-ml");
    jw_key(&w, "modules");
    jw_array(&w);
    for (; *modules; modules++) {
        if (only == NULL || *modules == only) {
            write_module(&w, *modules);
        }
    }
    jw_end(&w);
    jw_end(&w);
    (void)buf_add(out, STR("\n"));
}

void manifest_array(const struct module *const *modules, struct buf *out)
{
    struct jw w = JW(out);

    jw_array(&w);
    for (; *modules; modules++) {
        write_module(&w, *modules);
    }
    jw_end(&w);
    (void)buf_add(out, STR("\n"));
}

static void help_ports(struct buf *out, const char *option, const struct port *ports)
{
    for (; ports->name; ports++) {
        if (ports->flags & PORT_HIDDEN) {
            continue;
        }
        (void)buf_printf(out, "  %s %s=...  %s%s: %s\n", option, ports->name,
                         value_type_name(ports->type),
                         ports->flags & PORT_OPTIONAL ? ", optional" : "", ports->help);
    }
}

void manifest_help(const struct module *m, struct buf *out)
{
    (void)buf_printf(out, "%s - %s\n\n%s\n\n", m->name, m->title, m->description);
    help_ports(out, "--in", m->inputs);
    help_ports(out, "--out", m->outputs);
    for (const struct param *p = m->params; p->name; p++) {
        (void)buf_printf(out, "  --param %s=%s%s%s%s  %s\n", p->name, p->def ? p->def : "...",
                         p->choices ? " (" : "", p->choices ? p->choices : "",
                         p->choices ? ")" : "", p->help);
    }
}
