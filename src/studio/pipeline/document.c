#include "pipeline/document.h"

#include "base/limits.h"
#include "base/number.h"
#include "base/yaml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a step: less holds no program, and no machine has more. */
#define NODE_MEMORY_LEAST (16 * (int64_t)MIB)
#define NODE_MEMORY_MOST (1024 * 1024 * (int64_t)MIB)

/* One reading: where mistakes and results go. */
struct reader {
    struct arena *a;
    struct err_list *mistakes;
    struct doc *out;
};

/* A value and the key people know it by ("nodes.read.params"). */
struct place {
    const struct yaml_node *node;
    const char *key;
};

typedef void read_fn(struct reader *r, struct place at, void *into);

struct key {
    const char *name;
    read_fn *read;
};

PRINTF_LIKE(3, 4)
static void mistake(const struct reader *r, struct place at, const char *fmt, ...)
{
    struct err text;
    va_list ap;

    va_start(ap, fmt);
    err_setv(&text, ERR_INVALID, fmt, ap);
    va_end(ap);
    err_list_add(r->mistakes, at.node->line, at.node->column, at.key, "%s", text.msg);
}

static struct place inside(const struct reader *r, const char *prefix,
                           const struct yaml_node *child)
{
    return (struct place){child, arena_printf(r->a, "%s%s%.*s", prefix, *prefix ? "." : "",
                                              STR_ARG(str_first(child->key, 64)))};
}

static struct doc_place line_of(struct place at)
{
    return (struct doc_place){at.node->line, at.node->column};
}

static bool is_kind(const struct reader *r, struct place at, enum yaml_kind want, const char *form)
{
    if (at.node->kind == want) {
        return true;
    }
    mistake(r, at, "must be %s", form);
    return false;
}

/* A text as a C string, or NULL and a mistake. */
static const char *text_of(const struct reader *r, struct place at, const char *form)
{
    if (!is_kind(r, at, YAML_SCALAR, form)) {
        return NULL;
    }
    if (str_find_char(at.node->scalar, '\0') >= 0 || !str_is_utf8(at.node->scalar)) {
        mistake(r, at, "holds bytes that are no text");
        return NULL;
    }
    return arena_strdup(r->a, at.node->scalar);
}

/* Hands each child of a map to the row of its key; empty values count as not given. */
static void read_keys(struct reader *r, struct place map, const struct key *keys, size_t n,
                      void *into)
{
    const char *names[16];

    for (size_t i = 0; i < n; i++) {
        names[i] = keys[i].name;
    }
    for (const struct yaml_node *c = map.node->children; c; c = c->next) {
        struct place at = inside(r, map.key, c);
        const char *near;
        size_t i = 0;

        while (i < n && !str_eq_c(c->key, keys[i].name)) {
            i++;
        }
        if (i == n) {
            near = str_nearest(c->key, names, n);
            mistake(r, at, near ? "unknown key; did you mean '%s'?" : "unknown key", near);
        } else if (!yaml_is_null(c)) {
            keys[i].read(r, at, into);
        }
    }
}

/* --- texts and values --- */

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool word_ok(struct str s, const char *others)
{
    if (s.len == 0 || s.len > LIMIT_PIPELINE_ID_BYTES || !is_letter(s.p[0])) {
        return false;
    }
    for (size_t i = 1; i < s.len; i++) {
        if (!is_letter(s.p[i]) && (s.p[i] < '0' || s.p[i] > '9') &&
            memchr(others, s.p[i], strlen(others)) == NULL) {
            return false;
        }
    }
    return true;
}

static bool id_ok(struct str s)
{
    return word_ok(s, "_-");
}

int doc_name_check(struct str name, struct err *e)
{
    bool ok = name.len > 0 && name.len <= LIMIT_NAME_BYTES && strchr("._-", name.p[0]) == NULL;

    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.p[i];

        ok = c != '\0' && (is_letter(c) || (c >= '0' && c <= '9') || strchr("._-", c) != NULL);
    }
    return ok ? 0
              : err_set(e, ERR_INVALID,
                        "'%.*s' is no name: lower-case letters, digits and . _ - after a letter or "
                        "digit, at most %d",
                        STR_ARG(str_first(name, 70)), LIMIT_NAME_BYTES);
}

/* RFC 8259, section 6. */
static bool is_json_number(struct str s)
{
    size_t i = 0, digits;

    i += i < s.len && s.p[i] == '-';
    digits = i;
    while (i < s.len && s.p[i] >= '0' && s.p[i] <= '9') {
        i++;
    }
    if (i == digits || (s.p[digits] == '0' && i - digits > 1)) {
        return false;
    }
    if (i < s.len && s.p[i] == '.') {
        for (digits = ++i; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        }
        if (i == digits) {
            return false;
        }
    }
    if (i < s.len && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        i += i < s.len && (s.p[i] == '-' || s.p[i] == '+');
        for (digits = i; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        }
        if (i == digits) {
            return false;
        }
    }
    return i == s.len && s.len <= 64;
}

/* In the one form that every reader of JSON gives back: 0.80 is 0.8. Longer integers than all
 * readers take stay texts. */
static bool is_number(const struct reader *r, struct str s, struct doc_value *v)
{
    char number[NUMBER_TEXT_MAX], *end;
    double d;

    if (!is_json_number(s)) {
        return false;
    }
    if (strpbrk(v->text, ".eE") == NULL) {
        if (s.len > 18) {
            return false;
        }
        v->text = arena_printf(r->a, "%lld", strtoll(v->text, &end, 10));
        return true;
    }
    d = strtod(v->text, &end);
    if (!isfinite(d)) {
        return false;
    }
    (void)number_short(d, number);
    v->text = arena_strdup(r->a, str_of(number));
    return true;
}

/* [age, city] is "age,city": how selectors and lists of numbers are written. */
static struct doc_value list_value(struct reader *r, struct place at)
{
    struct buf out = BUF_MAX(LIMIT_PIPELINE_VALUE_BYTES);
    struct doc_value v = {"", true};

    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        const char *one = text_of(r, (struct place){c, at.key}, "a list of texts");

        if (one == NULL) {
            break;
        }
        (void)buf_printf(&out, "%s%s", out.len > 0 ? "," : "", one);
    }
    if (out.failed) {
        mistake(r, at, "is longer than %d bytes", LIMIT_PIPELINE_VALUE_BYTES);
    } else if (out.len > 0) {
        v.text = arena_strdup(r->a, buf_str(&out));
    }
    buf_done(&out);
    return v;
}

static struct doc_value value_of(struct reader *r, struct place at)
{
    struct doc_value v = {"", true};
    struct str s = at.node->scalar;
    const char *text;

    if (at.node->kind == YAML_LIST) {
        return list_value(r, at);
    }
    text = text_of(r, at, "a single value");
    if (text == NULL) {
        return v;
    }
    if (s.len > LIMIT_PIPELINE_VALUE_BYTES) {
        mistake(r, at, "is longer than %d bytes", LIMIT_PIPELINE_VALUE_BYTES);
        return v;
    }
    v.text = text;
    v.is_text =
        at.node->quoted || !(str_eq_c(s, "true") || str_eq_c(s, "false") || is_number(r, s, &v));
    return v;
}

static bool number_of(const struct yaml_node *n, double *out)
{
    char *end;

    if (n == NULL || n->kind != YAML_SCALAR || !is_json_number(n->scalar)) {
        return false;
    }
    *out = strtod(n->scalar.p, &end);
    return isfinite(*out) && fabs(*out) <= 1e9;
}

static void read_point(struct reader *r, struct place at, void *into)
{
    struct doc_point *p = into;
    const struct yaml_node *first = at.node->children;

    if (at.node->kind != YAML_LIST || at.node->n_children != 2 || !number_of(first, &p->x) ||
        !number_of(first->next, &p->y)) {
        mistake(r, at, "must be two numbers such as [40, 120]");
        return;
    }
    p->is_given = true;
}

static void read_text(struct reader *r, struct place at, const char **out)
{
    const char *s = text_of(r, at, "a text");

    if (s && strlen(s) > LIMIT_PIPELINE_TEXT_BYTES) {
        mistake(r, at, "is longer than %d bytes", LIMIT_PIPELINE_TEXT_BYTES);
        return;
    }
    *out = s;
}

/* --- parameters of the pipeline --- */

static const char *const var_types[] = {"int", "real", "bool", "text"};

static void var_name(struct reader *r, struct place at, void *into)
{
    struct doc_var *v = into;

    v->name = text_of(r, at, "a name");
    if (v->name && !word_ok(str_of(v->name), "_")) {
        mistake(r, at, "'%.70s' is no name: lower-case letters, digits and _ after a letter",
                v->name);
    }
    for (size_t i = 0; v->name && i < r->out->n_vars; i++) {
        if (strcmp(r->out->vars[i].name, v->name) == 0) {
            mistake(r, at, "'%.70s' is there twice", v->name);
        }
    }
}

static void var_type(struct reader *r, struct place at, void *into)
{
    struct doc_var *v = into;
    const char *type = text_of(r, at, "int, real, bool or text");

    for (size_t i = 0; type && i < ARRAY_LEN(var_types); i++) {
        if (strcmp(type, var_types[i]) == 0) {
            v->type = var_types[i];
            return;
        }
    }
    mistake(r, at, "must be int, real, bool or text");
}

static void var_default(struct reader *r, struct place at, void *into)
{
    struct doc_var *v = into;

    v->has_default = true;
    v->def = value_of(r, at);
}

static void var_help(struct reader *r, struct place at, void *into)
{
    read_text(r, at, &((struct doc_var *)into)->help);
}

static const struct key var_keys[] = {
    {"name", var_name}, {"type", var_type}, {"default", var_default}, {"help", var_help}};

static void read_vars(struct reader *r, struct place at, void *into UNUSED)
{
    struct doc *d = r->out;

    if (!is_kind(r, at, YAML_LIST, "a list of {name, type, default, help}")) {
        return;
    }
    if (at.node->n_children > LIMIT_PIPELINE_VARS) {
        mistake(r, at, "has %zu items; at most %d are taken", at.node->n_children,
                LIMIT_PIPELINE_VARS);
        return;
    }
    d->vars = arena_new_array(r->a, struct doc_var, at.node->n_children + 1);
    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        struct place item = {c, arena_printf(r->a, "params[%zu]", d->n_vars)};
        struct doc_var *v = &d->vars[d->n_vars];

        v->type = var_types[3];
        v->at = line_of(item);
        if (is_kind(r, item, YAML_MAP, "a map such as {name: seed, type: int, default: 7}")) {
            read_keys(r, item, var_keys, ARRAY_LEN(var_keys), v);
            if (v->name == NULL) {
                mistake(r, item, "'name' is missing");
            }
        }
        d->n_vars += v->name != NULL;
    }
}

/* --- nodes --- */

static void node_module(struct reader *r, struct place at, void *into)
{
    struct doc_node *n = into;

    n->module = text_of(r, at, "the name of a module");
    if (n->module && strlen(n->module) > LIMIT_NAME_BYTES) {
        mistake(r, at, "is longer than %d bytes", LIMIT_NAME_BYTES);
    }
}

static void node_title(struct reader *r, struct place at, void *into)
{
    read_text(r, at, &((struct doc_node *)into)->title);
}

static void node_position(struct reader *r, struct place at, void *into)
{
    read_point(r, at, &((struct doc_node *)into)->position);
}

static void node_cache(struct reader *r, struct place at, void *into)
{
    struct doc_node *n = into;

    if (at.node->kind != YAML_SCALAR ||
        !(str_eq_c(at.node->scalar, "true") || str_eq_c(at.node->scalar, "false"))) {
        mistake(r, at, "must be true or false");
        return;
    }
    n->is_uncached = str_eq_c(at.node->scalar, "false");
}

static void node_memory(struct reader *r, struct place at, void *into)
{
    struct doc_node *n = into;
    struct err e;

    if (at.node->kind != YAML_SCALAR ||
        str_parse_bytes(at.node->scalar, &n->memory_bytes, &e) < 0 ||
        n->memory_bytes < NODE_MEMORY_LEAST || n->memory_bytes > NODE_MEMORY_MOST) {
        n->memory_bytes = 0;
        mistake(r, at, "must be a size such as 2Gi, from 16Mi to 1024Gi");
        return;
    }
    n->memory = arena_strdup(r->a, at.node->scalar);
}

static bool map_within(struct reader *r, struct place at, size_t max, const char *form)
{
    if (!is_kind(r, at, YAML_MAP, form)) {
        return false;
    }
    if (at.node->n_children > max) {
        mistake(r, at, "has %zu entries; at most %zu are taken", at.node->n_children, max);
        return false;
    }
    return true;
}

static void node_params(struct reader *r, struct place at, void *into)
{
    struct doc_node *n = into;

    if (!map_within(r, at, LIMIT_PIPELINE_PARAMS, "a map such as {fraction: 0.8}")) {
        return;
    }
    n->params = arena_new_array(r->a, struct doc_param, at.node->n_children + 1);
    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        struct place param = inside(r, at.key, c);

        if (!yaml_is_null(c)) {
            n->params[n->n_params++] =
                (struct doc_param){arena_strdup(r->a, c->key), value_of(r, param), line_of(param)};
        }
    }
}

static void node_inputs(struct reader *r, struct place at, void *into)
{
    struct doc_node *n = into;

    if (!map_within(r, at, LIMIT_PIPELINE_PORTS, "a map such as {table: read.table}")) {
        return;
    }
    n->inputs = arena_new_array(r->a, struct doc_input, at.node->n_children + 1);
    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        struct place in = inside(r, at.key, c);
        struct str rest, from;

        if (!is_kind(r, in, YAML_SCALAR, "node.port, such as read.table")) {
            continue;
        }
        rest = c->scalar;
        from = str_cut(&rest, '.');
        if (!id_ok(from) || rest.p == NULL || !word_ok(rest, "_-") || !word_ok(c->key, "_-")) {
            mistake(r, in, "must be node.port, such as read.table");
            continue;
        }
        n->inputs[n->n_inputs++] =
            (struct doc_input){arena_strdup(r->a, c->key), arena_strdup(r->a, from),
                               arena_strdup(r->a, rest), line_of(in)};
    }
}

static const struct key node_keys[] = {
    {"module", node_module}, {"title", node_title}, {"at", node_position},  {"params", node_params},
    {"inputs", node_inputs}, {"cache", node_cache}, {"memory", node_memory}};

static void read_nodes(struct reader *r, struct place at, void *into UNUSED)
{
    struct doc *d = r->out;

    if (!map_within(r, at, LIMIT_PIPELINE_NODES, "a map of nodes: {read: {module: read_csv}}")) {
        return;
    }
    d->nodes = arena_new_array(r->a, struct doc_node, at.node->n_children + 1);
    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        struct place node = inside(r, at.key, c);
        struct doc_node *n = &d->nodes[d->n_nodes];

        if (!id_ok(c->key)) {
            mistake(r, node,
                    "is no name of a node: lower-case letters, digits, _ and - after a letter, at "
                    "most %d",
                    LIMIT_PIPELINE_ID_BYTES);
            continue;
        }
        n->id = arena_strdup(r->a, c->key);
        n->at = line_of(node);
        if (!is_kind(r, node, YAML_MAP, "a map such as {module: split}")) {
            continue;
        }
        read_keys(r, node, node_keys, ARRAY_LEN(node_keys), n);
        if (n->module == NULL) {
            mistake(r, node, "'module' is missing");
            n->module = "";
        }
        d->n_nodes++;
    }
}

/* --- the rest --- */

static void comment_text(struct reader *r, struct place at, void *into)
{
    read_text(r, at, &((struct doc_comment *)into)->text);
}

static void comment_position(struct reader *r, struct place at, void *into)
{
    read_point(r, at, &((struct doc_comment *)into)->position);
}

static void comment_size(struct reader *r, struct place at, void *into)
{
    read_point(r, at, &((struct doc_comment *)into)->size);
}

static const struct key comment_keys[] = {
    {"text", comment_text}, {"at", comment_position}, {"size", comment_size}};

static void read_comments(struct reader *r, struct place at, void *into UNUSED)
{
    struct doc *d = r->out;

    if (!is_kind(r, at, YAML_LIST, "a list of {text, at, size}")) {
        return;
    }
    if (at.node->n_children > LIMIT_PIPELINE_COMMENTS) {
        mistake(r, at, "has %zu items; at most %d are taken", at.node->n_children,
                LIMIT_PIPELINE_COMMENTS);
        return;
    }
    d->comments = arena_new_array(r->a, struct doc_comment, at.node->n_children + 1);
    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        struct place item = {c, arena_printf(r->a, "comments[%zu]", d->n_comments)};
        struct doc_comment *one = &d->comments[d->n_comments++];

        one->text = "";
        if (is_kind(r, item, YAML_MAP, "a map such as {text: Note, at: [0, 0]}")) {
            read_keys(r, item, comment_keys, ARRAY_LEN(comment_keys), one);
        }
    }
}

static void read_version(struct reader *r, struct place at, void *into UNUSED)
{
    if (at.node->kind != YAML_SCALAR || !str_eq_c(at.node->scalar, "1")) {
        mistake(r, at, "must be 1, the version of this format");
    }
}

static void read_description(struct reader *r, struct place at, void *into UNUSED)
{
    read_text(r, at, &r->out->description);
}

static void read_volume(struct reader *r, struct place at, void *into UNUSED)
{
    const char *s = text_of(r, at, "the name of a volume");
    struct err e;

    if (s && doc_name_check(str_of(s), &e) < 0) {
        mistake(r, at, "%s", e.msg);
    } else if (s) {
        r->out->volume = s;
    }
}

static const struct key doc_keys[] = {{"pipeline", read_version}, {"description", read_description},
                                      {"volume", read_volume},    {"params", read_vars},
                                      {"nodes", read_nodes},      {"comments", read_comments}};

static int read_document(struct arena *a, const struct yaml_node *root, struct doc *out,
                         struct err_list *mistakes, struct err *e)
{
    struct reader r = {.a = a, .mistakes = mistakes, .out = out};

    *out = (struct doc){.volume = "studio"};
    if (root->kind != YAML_MAP) {
        return err_set(e, ERR_INVALID, "a pipeline is a map of keys such as 'nodes: ...'");
    }
    read_keys(&r, (struct place){root, ""}, doc_keys, ARRAY_LEN(doc_keys), NULL);
    if (yaml_is_null(yaml_get(root, "pipeline"))) {
        err_list_add(mistakes, 0, 0, "pipeline", "is missing: write 'pipeline: 1'");
    }
    return err_list_result(mistakes, "the pipeline", e);
}

int doc_parse(struct arena *a, struct str text, struct doc *out, struct err_list *mistakes,
              struct err *e)
{
    struct yaml_node *root =
        yaml_parse_or_json(a, text, LIMIT_PIPELINE_BYTES, LIMIT_PIPELINE_VALUES, e);

    return root ? read_document(a, root, out, mistakes, e) : -1;
}

int doc_from_json(struct arena *a, const json_t *root, struct doc *out, struct err_list *mistakes,
                  struct err *e)
{
    return read_document(a, yaml_of_json(a, root), out, mistakes, e);
}

struct doc_node *doc_find(const struct doc *d, struct str id)
{
    for (size_t i = 0; i < d->n_nodes; i++) {
        if (str_eq_c(id, d->nodes[i].id)) {
            return &d->nodes[i];
        }
    }
    return NULL;
}
