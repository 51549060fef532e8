/* The command of a component: words and placeholders, at most as deep as YAML may be. */
#include "pipeline/component_priv.h"

#include "base/limits.h"

#include <string.h>

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

static void check_name(struct component_reader *r, const struct yaml_node *n, int kind)
{
    const char *name = n->kind == YAML_SCALAR ? component_plain_name(r->a, n->scalar) : "?";
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

static void check_if(struct component_reader *r, const struct yaml_node *n)
{
    const struct yaml_node *cond = yaml_get(n, "cond"), *present = yaml_get(cond, "isPresent");

    if (n->kind != YAML_MAP || yaml_is_null(cond) || yaml_is_null(yaml_get(n, "then"))) {
        component_mistake(r, n, "implementation", "'if' needs 'cond' and 'then'");
        return;
    }
    if (present) {
        const char *name =
            present->kind == YAML_SCALAR ? component_plain_name(r->a, present->scalar) : "?";

        if (find_param(r->params, name) < 0 && find_port(r->inputs, name) < 0) {
            component_mistake(r, present, "implementation", "isPresent: there is no input '%.70s'",
                              name);
        }
    }
    component_check_words(r, yaml_get(n, "then"));
    component_check_words(r, yaml_get(n, "else"));
}

static void check_word(struct component_reader *r, const struct yaml_node *n)
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
        component_check_words(r, n->children);
    } else {
        check_if(r, n->children);
    }
}

void component_check_words(struct component_reader *r, const struct yaml_node *list)
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
    const char *name = component_plain_name(a, n->scalar);
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
