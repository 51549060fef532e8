#include "pipeline/component.h"

#include "base/hash.h"
#include "base/limits.h"

#include <string.h>

struct reader {
    struct arena *a;
    struct err_list *mistakes;
    struct component *out;
    struct port *inputs, *outputs;
    struct param *params;
    size_t n_inputs, n_outputs, n_params;
};

PRINTF_LIKE(4, 5)
static void component_mistake(const struct reader *r, const struct yaml_node *at, const char *key,
                              const char *fmt, ...)
{
    struct err text;
    va_list ap;

    va_start(ap, fmt);
    err_setv(&text, ERR_INVALID, fmt, ap);
    va_end(ap);
    err_list_add(r->mistakes, at ? at->line : 0, at ? at->column : 0, key, "%s", text.msg);
}

/* "Train data" is train_data: as Kubeflow makes names of it. */
static const char *plain_name(struct arena *a, struct str name)
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

static const char *text_of(const struct reader *r, const struct yaml_node *map, const char *key)
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

static bool is_taken(const struct reader *r, const char *name)
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

static void read_param(struct reader *r, const struct yaml_node *n, const char *name,
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

static void read_input(struct reader *r, const struct yaml_node *n)
{
    const char *given = text_of(r, n, "name"), *type = text_of(r, n, "type");
    const struct yaml_node *optional = yaml_get(n, "optional");
    bool is_optional = optional && optional->kind == YAML_SCALAR &&
                       (str_eq_c(optional->scalar, "true") || str_eq_c(optional->scalar, "True"));
    const char *name = given ? plain_name(r->a, str_of(given)) : NULL;
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

static void read_output(struct reader *r, const struct yaml_node *n)
{
    const char *given = text_of(r, n, "name"), *help = text_of(r, n, "description");
    const char *name = given ? plain_name(r->a, str_of(given)) : NULL;

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

static void read_list(struct reader *r, const struct yaml_node *root, const char *key,
                      void (*read)(struct reader *r, const struct yaml_node *n))
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

/* --- the command: words and placeholders, at most as deep as YAML may be --- */

static int find_port(const struct port *ports, const char *name)
{
    for (int i = 0; i < MODULE_PORTS && ports[i].name; i++) {
        if (strcmp(ports[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static int find_param(const struct param *params, const char *name)
{
    for (int i = 0; params[i].name; i++) {
        if (strcmp(params[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static const char *const placeholders[] = {"inputValue", "inputPath", "outputPath", "concat", "if"};

/* The one key of a placeholder; -1: it is none. */
static int placeholder_of(const struct yaml_node *n)
{
    for (size_t i = 0; n->kind == YAML_MAP && n->n_children == 1 && i < ARRAY_LEN(placeholders);
         i++) {
        if (str_eq_c(n->children->key, placeholders[i])) {
            return (int)i;
        }
    }
    return -1;
}

static void check_words(struct reader *r, const struct yaml_node *list);

static void check_name(struct reader *r, const struct yaml_node *n, int kind)
{
    const char *name = n->kind == YAML_SCALAR ? plain_name(r->a, n->scalar) : "?";
    bool known = kind == 0   ? find_param(r->params, name) >= 0
                 : kind == 1 ? find_port(r->inputs, name) >= 0
                             : find_port(r->outputs, name) >= 0;

    if (!known) {
        component_mistake(
            r, n, "implementation",
            "{%s: %.70s}: there is no %s of that name (values are String, Integer, Float or "
            "Boolean; all others are files)",
            placeholders[kind], name,
            kind == 0   ? "value"
            : kind == 1 ? "input file"
                        : "output file");
    }
}

static void check_if(struct reader *r, const struct yaml_node *n)
{
    const struct yaml_node *cond = yaml_get(n, "cond"), *present = yaml_get(cond, "isPresent");

    if (n->kind != YAML_MAP || yaml_is_null(cond) || yaml_is_null(yaml_get(n, "then"))) {
        component_mistake(r, n, "implementation", "'if' needs 'cond' and 'then'");
        return;
    }
    if (present) {
        const char *name = present->kind == YAML_SCALAR ? plain_name(r->a, present->scalar) : "?";

        if (find_param(r->params, name) < 0 && find_port(r->inputs, name) < 0) {
            component_mistake(r, present, "implementation", "isPresent: there is no input '%.70s'",
                              name);
        }
    }
    check_words(r, yaml_get(n, "then"));
    check_words(r, yaml_get(n, "else"));
}

static void check_word(struct reader *r, const struct yaml_node *n)
{
    int kind = placeholder_of(n);

    if (n->kind == YAML_SCALAR) {
        if (str_find_char(n->scalar, '\0') >= 0) {
            component_mistake(r, n, "implementation", "holds a NUL byte");
        }
    } else if (kind < 0) {
        component_mistake(
            r, n, "implementation",
            "a word is a text, or one of {inputValue}, {inputPath}, {outputPath}, {concat}, "
            "{if}");
    } else if (kind < 3) {
        check_name(r, n->children, kind);
    } else if (kind == 3) {
        check_words(r, n->children);
    } else {
        check_if(r, n->children);
    }
}

static void check_words(struct reader *r, const struct yaml_node *list)
{
    if (yaml_is_null(list)) {
        return;
    }
    if (list->kind != YAML_LIST) {
        check_word(r, list);
        return;
    }
    for (const struct yaml_node *c = list->children; c; c = c->next) {
        check_word(r, c);
    }
}

static void expand_list(const struct component *c, const struct component_values *v,
                        struct arena *a, const struct yaml_node *list, struct jw *w);

/* What a placeholder of a name stands for; NULL: nothing is given. */
static const char *value_of(const struct component *c, const struct component_values *v,
                            struct arena *a, const struct yaml_node *n, int kind)
{
    const char *name = plain_name(a, n->scalar);
    int i = kind == 0   ? find_param(c->table.params, name)
            : kind == 1 ? find_port(c->table.inputs, name)
                        : find_port(c->table.outputs, name);

    return i < 0 ? NULL : kind == 0 ? v->params[i] : kind == 1 ? v->inputs[i] : v->outputs[i];
}

static const struct yaml_node *branch_of(const struct component *c,
                                         const struct component_values *v, struct arena *a,
                                         const struct yaml_node *n)
{
    const struct yaml_node *cond = yaml_get(n, "cond"), *present = yaml_get(cond, "isPresent");
    const char *value = NULL;

    if (present) {
        value = value_of(c, v, a, present, 0);
        value = value && *value ? value : value_of(c, v, a, present, 1);
    } else if (cond->kind == YAML_SCALAR) {
        value = str_eq_c(cond->scalar, "true") ? "true" : NULL;
    } else if (placeholder_of(cond) == 0) {
        value = value_of(c, v, a, cond->children, 0);
        value = value && strcmp(value, "true") == 0 ? value : NULL;
    }
    return yaml_get(n, value && *value ? "then" : "else");
}

/* The parts of a concatenation are words too, but make one. NULL: it is too long. */
static const char *joined(const struct component *c, const struct component_values *v,
                          struct arena *a, const struct yaml_node *list)
{
    SCOPED(buf_done) struct buf words = BUF_MAX(MIB);
    SCOPED(buf_done) struct buf all = BUF_MAX(LIMIT_EXEC_STRING_BYTES);
    struct jw w = JW(&words);
    struct err e;
    json_t *parts;
    size_t i;
    const json_t *one;

    jw_array(&w);
    expand_list(c, v, a, list, &w);
    jw_end(&w);
    parts = json_parse(buf_str(&words), &e);
    json_array_foreach(parts, i, one)
    {
        (void)buf_add_c(&all, json_string_value(one));
    }
    json_decref(parts);
    return words.failed || all.failed ? NULL : arena_strdup(a, buf_str(&all));
}

static void expand(const struct component *c, const struct component_values *v, struct arena *a,
                   const struct yaml_node *n, struct jw *w)
{
    int kind = placeholder_of(n);
    const char *value;

    if (n->kind == YAML_SCALAR) {
        jw_str(w, n->scalar);
    } else if (kind >= 0 && kind < 3) {
        value = value_of(c, v, a, n->children, kind);
        jw_str(w, str_of(value ? value : ""));
    } else if (kind == 3) {
        value = joined(c, v, a, n->children);
        jw_str(w, str_of(value ? value : ""));
        w->out->failed = w->out->failed || value == NULL; /* refused by who made the buffer */
    } else if (kind == 4) {
        expand_list(c, v, a, branch_of(c, v, a, n->children), w);
    }
}

static void expand_list(const struct component *c, const struct component_values *v,
                        struct arena *a, const struct yaml_node *list, struct jw *w)
{
    if (yaml_is_null(list)) {
        return;
    }
    if (list->kind != YAML_LIST) {
        expand(c, v, a, list, w);
        return;
    }
    for (const struct yaml_node *n = list->children; n; n = n->next) {
        expand(c, v, a, n, w);
    }
}

void component_words(const struct component *c, const struct component_values *v, struct arena *a,
                     struct jw *w)
{
    expand_list(c, v, a, c->command, w);
    expand_list(c, v, a, c->args, w);
}

/* --- the whole --- */

static void read_resources(struct reader *r, const struct yaml_node *root)
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

static void read_container(struct reader *r, const struct yaml_node *root)
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
    check_words(r, r->out->command);
    check_words(r, r->out->args);
}

int component_parse(struct arena *a, struct str name, struct str text, struct component *out,
                    struct err_list *mistakes, struct err *e)
{
    struct reader r = {.a = a,
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
