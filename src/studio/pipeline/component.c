#include "pipeline/component_priv.h"

#include "base/hash.h"
#include "base/limits.h"

#include <string.h>

void component_mistake(const struct component_reader *r, const struct yaml_node *at,
                       const char *key, const char *fmt, ...)
{
    struct err text;
    va_list ap;

    va_start(ap, fmt);
    err_setv(&text, ERR_INVALID, fmt, ap);
    va_end(ap);
    err_list_add(r->mistakes, at ? at->line : 0, at ? at->column : 0, key, "%s", text.msg);
}

const char *component_plain_name(struct arena *a, struct str name)
{
    char *out = arena_strdup(a, str_first(name, LIMIT_PIPELINE_ID_BYTES));

    for (char *p = out; *p; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char)(*p - 'A' + 'a');
        } else if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9'))) {
            *p = '_';
        }
    }
    if (!(out[0] >= 'a' && out[0] <= 'z')) {
        out = arena_printf(a, "p%.60s", out);
    }
    return out;
}

static const char *text_of(const struct component_reader *r, const struct yaml_node *map,
                           const char *key)
{
    const struct yaml_node *n = yaml_get(map, key);

    if (yaml_is_null(n)) {
        return NULL;
    }
    if (n->kind != YAML_SCALAR || str_find_char(n->scalar, '\0') >= 0 || !str_is_utf8(n->scalar) ||
        n->scalar.len > LIMIT_PIPELINE_TEXT_BYTES) {
        component_mistake(r, n, key, "must be a text of at most %d bytes",
                          LIMIT_PIPELINE_TEXT_BYTES);
        return NULL;
    }
    return arena_strdup(r->a, n->scalar);
}

/* --- ports and parameters --- */

static const struct {
    const char *name;
    enum param_type type;
} value_types[] = {{"String", PARAM_TEXT}, {"Integer", PARAM_INT}, {"Int", PARAM_INT},
                   {"Float", PARAM_REAL},  {"Double", PARAM_REAL}, {"Boolean", PARAM_BOOL},
                   {"Bool", PARAM_BOOL}};

static enum value_type port_type(const char *type)
{
    for (int t = VALUE_TABLE; type && t < VALUE_FILE; t++) {
        if (str_eq_nocase(str_of(type), str_of(value_type_name((enum value_type)t)))) {
            return (enum value_type)t;
        }
    }
    return VALUE_FILE;
}

static bool is_taken(const struct component_reader *r, const char *name)
{
    for (size_t i = 0; i < r->n_inputs; i++) {
        if (strcmp(r->inputs[i].name, name) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < r->n_params; i++) {
        if (strcmp(r->params[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void read_param(struct component_reader *r, const struct yaml_node *n, const char *name,
                       enum param_type type, bool is_optional)
{
    const char *def = text_of(r, n, "default"), *help = text_of(r, n, "description");
    struct param *p = &r->params[r->n_params];
    struct err e;

    if (r->n_params + 1 >= MODULE_PARAMS) {
        component_mistake(r, n, "inputs", "at most %d values are taken", MODULE_PARAMS - 1);
        return;
    }
    *p = (struct param){.name = name,
                        .type = type,
                        .def = def || !is_optional ? def : "",
                        .min = -9007199254740992,
                        .max = 9007199254740992,
                        .help = help ? help : ""};
    if (def && param_check(p, str_of(def), &e) < 0) {
        component_mistake(r, n, "inputs", "%s", e.msg);
    }
    r->n_params++;
}

static void read_input(struct component_reader *r, const struct yaml_node *n)
{
    const char *given = text_of(r, n, "name"), *type = text_of(r, n, "type");
    const struct yaml_node *optional = yaml_get(n, "optional");
    bool is_optional = optional && optional->kind == YAML_SCALAR &&
                       (str_eq_c(optional->scalar, "true") || str_eq_c(optional->scalar, "True"));
    const char *name = given ? component_plain_name(r->a, str_of(given)) : NULL;
    const char *help = text_of(r, n, "description");

    if (name == NULL || is_taken(r, name)) {
        component_mistake(r, n, "inputs", name ? "'%.70s' is there twice" : "'name' is missing%s",
                          name ? name : "");
        return;
    }
    for (size_t i = 0; type && i < ARRAY_LEN(value_types); i++) {
        if (str_eq_nocase(str_of(type), str_of(value_types[i].name))) {
            read_param(r, n, name, value_types[i].type, is_optional);
            return;
        }
    }
    if (r->n_inputs + 1 >= MODULE_PORTS + 1) {
        component_mistake(r, n, "inputs", "at most %d inputs are files", MODULE_PORTS);
        return;
    }
    r->inputs[r->n_inputs++] =
        (struct port){name, port_type(type), is_optional ? PORT_OPTIONAL : 0, help ? help : ""};
}

static void read_output(struct component_reader *r, const struct yaml_node *n)
{
    const char *given = text_of(r, n, "name"), *help = text_of(r, n, "description");
    const char *name = given ? component_plain_name(r->a, str_of(given)) : NULL;

    if (name == NULL) {
        component_mistake(r, n, "outputs", "'name' is missing%s", "");
        return;
    }
    for (size_t i = 0; i < r->n_outputs; i++) {
        if (strcmp(r->outputs[i].name, name) == 0) {
            component_mistake(r, n, "outputs", "'%.70s' is there twice", name);
            return;
        }
    }
    if (r->n_outputs >= MODULE_PORTS) {
        component_mistake(r, n, "outputs", "at most %d outputs are files", MODULE_PORTS);
        return;
    }
    r->outputs[r->n_outputs++] =
        (struct port){name, port_type(text_of(r, n, "type")), 0, help ? help : ""};
}

static void read_list(struct component_reader *r, const struct yaml_node *root, const char *key,
                      void (*read)(struct component_reader *r, const struct yaml_node *n))
{
    const struct yaml_node *list = yaml_get(root, key);

    if (yaml_is_null(list)) {
        return;
    }
    if (list->kind != YAML_LIST) {
        component_mistake(r, list, key, "must be a list of {name, type, description}");
        return;
    }
    for (const struct yaml_node *c = list->children; c; c = c->next) {
        read(r, c);
    }
}

/* --- the whole --- */

static void read_resources(struct component_reader *r, const struct yaml_node *root)
{
    const struct yaml_node *all =
        yaml_get(yaml_get(yaml_get(root, "metadata"), "annotations"), "strata/resources");
    const struct yaml_node *cpu = yaml_get(all, "cpu"), *memory = yaml_get(all, "memory"),
                           *gpu = yaml_get(all, "gpu");
    uint64_t gpus = 0;
    struct err e;

    if (cpu &&
        (cpu->kind != YAML_SCALAR || str_parse_milli(cpu->scalar, &r->out->cpu_milli, &e) < 0)) {
        component_mistake(r, cpu, "strata/resources.cpu", "must be an amount such as 2 or 500m");
    }
    if (memory && (memory->kind != YAML_SCALAR ||
                   str_parse_bytes(memory->scalar, &r->out->memory_bytes, &e) < 0)) {
        component_mistake(r, memory, "strata/resources.memory", "must be a size such as 2Gi");
    }
    if (gpu && (gpu->kind != YAML_SCALAR || str_to_u64(gpu->scalar, &gpus) < 0 || gpus > 64)) {
        component_mistake(r, gpu, "strata/resources.gpu", "must be 0 to 64");
    }
    r->out->gpus = (int64_t)gpus;
}

static void read_container(struct component_reader *r, const struct yaml_node *root)
{
    const struct yaml_node *c = yaml_get(yaml_get(root, "implementation"), "container");

    r->out->image = text_of(r, c, "image");
    r->out->command = yaml_get(c, "command");
    r->out->args = yaml_get(c, "args");
    if (r->out->image == NULL) {
        component_mistake(r, c, "implementation.container.image", "is missing");
    }
    if (yaml_is_null(r->out->command)) {
        component_mistake(r, c, "implementation.container.command", "is missing");
    }
    component_check_words(r, r->out->command);
    component_check_words(r, r->out->args);
}

int component_parse(struct arena *a, struct str name, struct str text, struct component *out,
                    struct err_list *mistakes, struct err *e)
{
    struct component_reader r = {.a = a,
                                 .mistakes = mistakes,
                                 .out = out,
                                 .inputs = arena_new_array(a, struct port, MODULE_PORTS + 1),
                                 .outputs = arena_new_array(a, struct port, MODULE_PORTS + 1),
                                 .params = arena_new_array(a, struct param, MODULE_PARAMS + 1)};
    struct yaml_node *root =
        yaml_parse_up_to(a, text, LIMIT_COMPONENT_BYTES, COMPONENT_NODES, YAML_NO_ALIASES, e);
    char hash[SHA256_HEX + 1];
    const char *title, *help;

    *out = (struct component){.cpu_milli = 1000, .memory_bytes = 512 * MIB};
    if (root == NULL) {
        return -1;
    }
    if (root->kind != YAML_MAP) {
        return err_set(e, ERR_INVALID,
                       "a component is a map of keys such as 'implementation: ...'");
    }
    title = text_of(&r, root, "name");
    help = text_of(&r, root, "description");
    read_list(&r, root, "inputs", read_input);
    read_list(&r, root, "outputs", read_output);
    read_container(&r, root);
    read_resources(&r, root);
    sha256_hex_of(text, hash);
    out->table = (struct module){.name = arena_strdup(a, name),
                                 .title = title ? title : arena_strdup(a, name),
                                 .description = help ? help : "",
                                 .category = "container",
                                 .version = arena_strdup(a, str_n(hash, 12)),
                                 .inputs = r.inputs,
                                 .outputs = r.outputs,
                                 .params = r.params};
    return err_list_result(mistakes, "the component", e);
}
