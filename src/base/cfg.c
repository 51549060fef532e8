#include "base/cfg.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/yaml.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct value {
    const struct cfg_item *item;
    char *text;
    int64_t number;
};

struct cfg {
    struct value *values;
    const char **names; /* same order; for suggestions */
    size_t len;
};

static int parse_bool(struct str s, int64_t *out, struct err *e)
{
    bool yes = str_eq_c(s, "true") || str_eq_c(s, "yes") || str_eq_c(s, "on");
    bool no = str_eq_c(s, "false") || str_eq_c(s, "no") || str_eq_c(s, "off");

    if (!yes && !no) {
        return err_set(e, ERR_INVALID, "'%.*s' is neither true nor false", STR_ARG(s));
    }
    *out = yes;
    return 0;
}

static int parse_int(struct str s, int64_t *out, struct err *e)
{
    uint64_t v;

    if (str_to_u64(s, &v) < 0 || v > INT64_MAX) {
        return err_set(e, ERR_INVALID, "'%.*s' is no whole number", STR_ARG(s));
    }
    *out = (int64_t)v;
    return 0;
}

static int set_value(struct value *v, struct str text, struct err *e)
{
    int64_t number = 0;
    int rc = 0;

    switch (v->item->type) {
    case CFG_STRING:
        break;
    case CFG_INT:
        rc = parse_int(text, &number, e);
        break;
    case CFG_BOOL:
        rc = parse_bool(text, &number, e);
        break;
    case CFG_BYTES:
        rc = str_parse_bytes(text, &number, e);
        break;
    case CFG_SECONDS:
        rc = str_parse_seconds(text, &number, e);
        break;
    case CFG_MILLI:
        rc = str_parse_milli(text, &number, e);
        break;
    }
    if (rc < 0) {
        return -1;
    }
    free(v->text);
    v->text = str_dup(text);
    v->number = number;
    return 0;
}

static void add_item(struct cfg *c, const struct cfg_item *item)
{
    struct err e;

    c->values = xrealloc(c->values, (c->len + 1) * sizeof(*c->values));
    c->names = xrealloc(c->names, (c->len + 1) * sizeof(*c->names));
    c->values[c->len] = (struct value){.item = item};
    c->names[c->len] = item->key;
    if (set_value(&c->values[c->len], str_of(item->def), &e) < 0) {
        assert(!"a default of our own does not parse");
    }
    c->len++;
}

struct cfg *cfg_new(const struct cfg_item *const *tables)
{
    struct cfg *c = xnew(struct cfg);

    for (; *tables; tables++) {
        for (const struct cfg_item *i = *tables; i->key; i++) {
            add_item(c, i);
        }
    }
    return c;
}

void cfg_free(struct cfg *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->len; i++) {
        free(c->values[i].text);
    }
    free(c->values);
    free(c->names);
    free(c);
}

static struct value *find(const struct cfg *c, struct str key)
{
    for (size_t i = 0; i < c->len; i++) {
        if (str_eq_c(key, c->values[i].item->key)) {
            return &c->values[i];
        }
    }
    return NULL;
}

static int set_key(struct cfg *c, struct str key, struct str text, struct err *e)
{
    struct value *v = find(c, key);
    const char *near;

    if (v) {
        return set_value(v, text, e);
    }
    near = str_nearest(key, c->names, c->len);
    return err_set(e, ERR_INVALID, "there is no such setting%s%s%s; strata config lists them all",
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* One level of maps at a time: `prefix` is the dotted key so far. */
static void load_map(struct cfg *c, const struct yaml_node *map, const char *prefix, unsigned depth,
                     struct err_list *errors)
{
    for (const struct yaml_node *n = map->children; n; n = n->next) {
        SCOPED(freep)
        char *key = xasprintf("%s%s%.*s", prefix, prefix[0] ? "." : "", STR_ARG(n->key));
        struct err e;

        if (n->kind == YAML_MAP && depth < 4) {
            load_map(c, n, key, depth + 1, errors);
        } else if (n->kind != YAML_SCALAR) {
            err_list_add(errors, n->line, n->column, key, "must be a single value");
        } else if (set_key(c, str_of(key), n->scalar, &e) < 0) {
            err_list_add(errors, n->line, n->column, key, "%s", e.msg);
        }
    }
}

void cfg_load(struct cfg *c, struct str yaml, struct err_list *errors)
{
    SCOPED(arena_done) struct arena a = {0};
    struct err e;
    const struct yaml_node *root;

    if (str_trim(yaml).len == 0) {
        return;
    }
    root = yaml_parse(&a, yaml, &e);
    if (root == NULL) {
        err_list_add(errors, 0, 0, NULL, "%s", e.msg);
    } else if (root->kind == YAML_MAP) {
        load_map(c, root, "", 0, errors);
    } else if (!yaml_is_null(root)) {
        err_list_add(errors, root->line, root->column, NULL, "must be a map of settings");
    }
}

int cfg_set(struct cfg *c, struct str assignment, struct err *e)
{
    struct str rest = assignment;
    struct str key = str_cut(&rest, '=');

    if (rest.p == NULL) {
        return err_set(e, ERR_INVALID, "'%.*s': write key=value", STR_ARG(assignment));
    }
    if (set_key(c, str_trim(key), str_trim(rest), e) < 0) {
        return err_wrap(e, "%.*s", STR_ARG(key));
    }
    return 0;
}

static const struct value *need(const struct cfg *c, const char *key)
{
    const struct value *v = find(c, str_of(key));

    assert(v && "a setting that stands in no table");
    return v;
}

struct str cfg_str(const struct cfg *c, const char *key)
{
    return str_of(need(c, key)->text);
}

int64_t cfg_i64(const struct cfg *c, const char *key)
{
    return need(c, key)->number;
}

bool cfg_bool(const struct cfg *c, const char *key)
{
    return need(c, key)->number != 0;
}

void cfg_print(const struct cfg *c, struct buf *out)
{
    struct str section = STR_EMPTY;

    for (size_t i = 0; i < c->len; i++) {
        const struct value *v = &c->values[i];
        struct str rest = str_of(v->item->key);
        struct str head = str_cut(&rest, '.');

        if (!str_eq(head, section)) {
            buf_printf(out, "%s%.*s:\n", i ? "\n" : "", STR_ARG(head));
            section = head;
        }
        buf_printf(out, "  # %s Default: %s\n", v->item->help,
                   v->item->def[0] ? v->item->def : "(empty)");
        buf_printf(out, "  %.*s: %s\n", STR_ARG(rest), v->text[0] ? v->text : "\"\"");
    }
}

static const struct {
    const char *name, *unit; /* unit of what is written without one; NULL: has none */
} types[] = {
    [CFG_STRING] = {"string", NULL},
    [CFG_INT] = {"int", NULL},
    [CFG_BOOL] = {"bool", NULL},
    [CFG_BYTES] = {"bytes", "bytes"},
    [CFG_SECONDS] = {"seconds", "seconds"},
    [CFG_MILLI] = {"milli", "cores"},
};

/* "1h" and "3600" are the same. */
static bool is_changed(const struct value *v)
{
    struct value def = {.item = v->item};
    struct err e;
    bool changed;

    if (set_value(&def, str_of(v->item->def), &e) < 0) {
        return true;
    }
    changed =
        v->item->type == CFG_STRING ? strcmp(def.text, v->text) != 0 : def.number != v->number;
    free(def.text);
    return changed;
}

void cfg_json(const struct cfg *c, struct jw *w)
{
    for (size_t i = 0; i < c->len; i++) {
        const struct value *v = &c->values[i];

        jw_object(w);
        jw_kv_c(w, "key", v->item->key);
        jw_kv_c(w, "value", v->text);
        jw_kv_c(w, "default", v->item->def);
        jw_kv_c(w, "type", types[v->item->type].name);
        if (types[v->item->type].unit) {
            jw_kv_c(w, "unit", types[v->item->type].unit);
        }
        jw_kv_c(w, "help", v->item->help);
        jw_kv_bool(w, "changed", is_changed(v));
        jw_end(w);
    }
}
