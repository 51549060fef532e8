/* Documents as JSON and as YAML. */
#include "pipeline/document.h"

#include "base/number.h"

#include <string.h>

/* --- JSON --- */

static void json_value(struct jw *w, const char *key, const struct doc_value *v)
{
    jw_key(w, key);
    if (v->is_text) {
        jw_str(w, str_of(v->text));
    } else {
        jw_raw(w, str_of(v->text));
    }
}

static void json_text(struct jw *w, const char *key, const char *text)
{
    if (text) {
        jw_kv_c(w, key, text);
    }
}

static void json_point(struct jw *w, const char *key, const struct doc_point *p)
{
    char x[NUMBER_TEXT_MAX], y[NUMBER_TEXT_MAX];

    if (p->is_given) {
        (void)number_plain(p->x, x);
        (void)number_plain(p->y, y);
        jw_key(w, key);
        jw_array(w);
        jw_raw(w, str_of(x));
        jw_raw(w, str_of(y));
        jw_end(w);
    }
}

static void json_vars(struct jw *w, const struct doc *d)
{
    jw_key(w, "params");
    jw_array(w);
    for (size_t i = 0; i < d->n_vars; i++) {
        const struct doc_var *v = &d->vars[i];

        jw_object(w);
        jw_kv_c(w, "name", v->name);
        jw_kv_c(w, "type", v->type);
        if (v->has_default) {
            json_value(w, "default", &v->def);
        }
        json_text(w, "help", v->help);
        jw_end(w);
    }
    jw_end(w);
}

static void json_node(struct jw *w, const struct doc_node *n, struct arena *a)
{
    jw_key(w, n->id);
    jw_object(w);
    jw_kv_c(w, "module", n->module);
    json_text(w, "title", n->title);
    json_point(w, "at", &n->position);
    jw_key(w, "params");
    jw_object(w);
    for (size_t i = 0; i < n->n_params; i++) {
        json_value(w, n->params[i].name, &n->params[i].value);
    }
    jw_end(w);
    jw_key(w, "inputs");
    jw_object(w);
    for (size_t i = 0; i < n->n_inputs; i++) {
        const struct doc_input *in = &n->inputs[i];

        jw_kv_c(w, in->port, arena_printf(a, "%s.%s", in->node, in->from));
    }
    jw_end(w);
    if (n->is_uncached) {
        jw_kv_bool(w, "cache", false);
    }
    json_text(w, "memory", n->memory);
    jw_end(w);
}

void doc_json(const struct doc *d, struct jw *w)
{
    SCOPED(arena_done) struct arena a = {0};

    jw_object(w);
    jw_kv_i64(w, "pipeline", 1);
    json_text(w, "description", d->description);
    jw_kv_c(w, "volume", d->volume);
    json_vars(w, d);
    jw_key(w, "nodes");
    jw_object(w);
    for (size_t i = 0; i < d->n_nodes; i++) {
        json_node(w, &d->nodes[i], &a);
    }
    jw_end(w);
    jw_key(w, "comments");
    jw_array(w);
    for (size_t i = 0; i < d->n_comments; i++) {
        jw_object(w);
        jw_kv_c(w, "text", d->comments[i].text);
        json_point(w, "at", &d->comments[i].position);
        json_point(w, "size", &d->comments[i].size);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

/* --- YAML: what people read and keep in git --- */

/* A text that nobody reads as anything else may stand bare; all others as in JSON, whose quoted
 * texts are YAML's. */
static bool may_be_bare(const char *s)
{
    static const char *const taken[] = {"true", "false", "null", "yes", "no", "on",
                                        "off",  "y",     "n",    "nan", "inf"};

    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        if (str_eq_nocase(str_of(s), str_of(taken[i]))) {
            return false;
        }
    }
    return ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')) &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
               strlen(s);
}

/* The line breaks of YAML 1.1 that JSON lets stand, U+0085, U+2028 and U+2029: readers would fold
 * them. */
static size_t break_at(struct str s, const char **escape)
{
    static const char *const breaks[][2] = {
        {"\xc2\x85", "\\u0085"}, {"\xe2\x80\xa8", "\\u2028"}, {"\xe2\x80\xa9", "\\u2029"}};

    for (size_t i = 0; i < ARRAY_LEN(breaks); i++) {
        if (str_starts(s, str_of(breaks[i][0]))) {
            *escape = breaks[i][1];
            return strlen(breaks[i][0]);
        }
    }
    return 0;
}

static void yaml_text(struct buf *out, const char *s)
{
    SCOPED(buf_done) struct buf quoted = BUF_MAX(out->max);
    struct jw w = JW(&quoted);
    const char *escape;

    if (may_be_bare(s)) {
        (void)buf_add_c(out, s);
        return;
    }
    jw_str(&w, str_of(s));
    for (size_t i = 0; i < quoted.len;) {
        size_t n = break_at(str_from(buf_str(&quoted), i), &escape);

        if (n > 0) {
            (void)buf_add_c(out, escape);
        } else {
            (void)buf_add(out, str_n(quoted.p + i, 1));
        }
        i += n > 0 ? n : 1;
    }
}

static void yaml_value(struct buf *out, const struct doc_value *v)
{
    if (v->is_text) {
        yaml_text(out, v->text);
    } else {
        (void)buf_add_c(out, v->text);
    }
}

static void yaml_kv(struct buf *out, const char *lead, const char *key, const char *text)
{
    if (text) {
        (void)buf_printf(out, "%s%s: ", lead, key);
        yaml_text(out, text);
        (void)buf_add(out, STR("\n"));
    }
}

static void yaml_point(struct buf *out, const char *lead, const char *key,
                       const struct doc_point *p)
{
    char x[NUMBER_TEXT_MAX], y[NUMBER_TEXT_MAX];

    if (p->is_given) {
        (void)number_plain(p->x, x);
        (void)number_plain(p->y, y);
        (void)buf_printf(out, "%s%s: [%s, %s]\n", lead, key, x, y);
    }
}

static void yaml_vars(struct buf *out, const struct doc *d)
{
    if (d->n_vars > 0) {
        (void)buf_add(out, STR("params:\n"));
    }
    for (size_t i = 0; i < d->n_vars; i++) {
        const struct doc_var *v = &d->vars[i];

        (void)buf_printf(out, "  - name: %s\n    type: %s\n", v->name, v->type);
        if (v->has_default) {
            (void)buf_add(out, STR("    default: "));
            yaml_value(out, &v->def);
            (void)buf_add(out, STR("\n"));
        }
        yaml_kv(out, "    ", "help", v->help);
    }
}

static void yaml_node(struct buf *out, const struct doc_node *n)
{
    (void)buf_printf(out, "  %s:\n", n->id);
    yaml_kv(out, "    ", "module", n->module);
    yaml_kv(out, "    ", "title", n->title);
    yaml_point(out, "    ", "at", &n->position);
    if (n->n_params > 0) {
        (void)buf_add(out, STR("    params:\n"));
    }
    for (size_t i = 0; i < n->n_params; i++) {
        (void)buf_add(out, STR("      "));
        yaml_text(out, n->params[i].name);
        (void)buf_add(out, STR(": "));
        yaml_value(out, &n->params[i].value);
        (void)buf_add(out, STR("\n"));
    }
    if (n->n_inputs > 0) {
        (void)buf_add(out, STR("    inputs:\n"));
    }
    for (size_t i = 0; i < n->n_inputs; i++) {
        (void)buf_printf(out, "      %s: %s.%s\n", n->inputs[i].port, n->inputs[i].node,
                         n->inputs[i].from);
    }
    if (n->is_uncached) {
        (void)buf_add(out, STR("    cache: false\n"));
    }
    yaml_kv(out, "    ", "memory", n->memory);
}

void doc_yaml(const struct doc *d, struct buf *out)
{
    (void)buf_add(out, STR("pipeline: 1\n"));
    yaml_kv(out, "", "description", d->description);
    yaml_kv(out, "", "volume", d->volume);
    yaml_vars(out, d);
    (void)buf_add_c(out, d->n_nodes > 0 ? "nodes:\n" : "nodes: {}\n");
    for (size_t i = 0; i < d->n_nodes; i++) {
        yaml_node(out, &d->nodes[i]);
    }
    if (d->n_comments > 0) {
        (void)buf_add(out, STR("comments:\n"));
    }
    for (size_t i = 0; i < d->n_comments; i++) {
        (void)buf_add(out, STR("  - text: "));
        yaml_text(out, d->comments[i].text);
        (void)buf_add(out, STR("\n"));
        yaml_point(out, "    ", "at", &d->comments[i].position);
        yaml_point(out, "    ", "size", &d->comments[i].size);
    }
}
