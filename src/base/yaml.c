#include "base/yaml.h"

#include "base/limits.h"
#include "base/vec.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 32 };

/* &name: what *name stands for. */
struct anchor {
    struct str name;
    struct yaml_node *node;
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    size_t n_nodes, max_nodes;
    bool takes_aliases;
    VEC(struct anchor) anchors;
    struct err *e;
};

static int fail_at(const struct reader *r, const yaml_mark_t *at, enum err_kind kind,
                   const char *why)
{
    return err_set(r->e, kind, "YAML line %zu column %zu: %s", at->line + 1, at->column + 1, why);
}

static int parser_error(const struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t at = p->problem_mark;

    if (p->error == YAML_READER_ERROR) {
        return err_set(r->e, ERR_INVALID, "YAML byte %zu: %s", p->problem_offset,
                       p->problem ? p->problem : "not readable");
    }
    return err_set(r->e, ERR_INVALID, "YAML line %zu column %zu: %s%s%s", at.line + 1,
                   at.column + 1, p->problem ? p->problem : "syntax error", p->context ? " " : "",
                   p->context ? p->context : "");
}

/* The next event; the caller deletes it. Refuses what YAML bombs are made of. */
static int next_event(struct reader *r, yaml_event_t *ev)
{
    const char *why = NULL;

    if (!yaml_parser_parse(&r->parser, ev)) {
        return parser_error(r);
    }
    if (ev->type == YAML_ALIAS_EVENT && !r->takes_aliases) {
        why = "aliases (*name) are not taken: write the value again";
    } else if (ev->type == YAML_SCALAR_EVENT && ev->data.scalar.anchor && !r->takes_aliases) {
        why = "anchors (&name) are not taken";
    } else if (ev->type == YAML_SCALAR_EVENT && ev->data.scalar.tag) {
        why = "tags (!name) are not taken";
    } else if ((ev->type == YAML_SEQUENCE_START_EVENT &&
                ((ev->data.sequence_start.anchor && !r->takes_aliases) ||
                 ev->data.sequence_start.tag)) ||
               (ev->type == YAML_MAPPING_START_EVENT &&
                ((ev->data.mapping_start.anchor && !r->takes_aliases) ||
                 ev->data.mapping_start.tag))) {
        why = "anchors and tags are not taken";
    }
    if (why) {
        fail_at(r, &ev->start_mark, ERR_INVALID, why);
        yaml_event_delete(ev);
        return -1;
    }
    return 0;
}

static struct yaml_node *node_of(struct reader *r, const yaml_event_t *ev)
{
    struct yaml_node *n = arena_new(r->arena, struct yaml_node);

    n->line = (unsigned)ev->start_mark.line + 1;
    n->column = (unsigned)ev->start_mark.column + 1;
    if (ev->type == YAML_SCALAR_EVENT) {
        n->kind = YAML_SCALAR;
        n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        n->scalar =
            arena_str(r->arena, str_n((const char *)ev->data.scalar.value, ev->data.scalar.length));
    } else {
        n->kind = ev->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST;
    }
    return n;
}

/* Where the tree is being built: the open lists and maps from the root down. */
struct open_node {
    struct yaml_node *node, *last;
    struct str key; /* of a map: read, its value not yet */
    bool has_key;
};

static bool has_key(const struct yaml_node *map, struct str key)
{
    for (const struct yaml_node *c = map->children; c; c = c->next) {
        if (str_eq(c->key, key)) {
            return true;
        }
    }
    return false;
}

static int take_key(struct reader *r, struct open_node *at, const yaml_event_t *ev)
{
    if (ev->type != YAML_SCALAR_EVENT) {
        return fail_at(r, &ev->start_mark, ERR_INVALID, "a key must be a plain word");
    }
    at->key =
        arena_str(r->arena, str_n((const char *)ev->data.scalar.value, ev->data.scalar.length));
    at->has_key = true;
    if (has_key(at->node, at->key)) {
        return fail_at(r, &ev->start_mark, ERR_INVALID, "this key stands twice");
    }
    return 0;
}

static void append_child(struct open_node *at, struct yaml_node *n)
{
    n->key = at->has_key ? at->key : STR_EMPTY;
    at->has_key = false;
    if (at->last) {
        at->last->next = n;
    } else {
        at->node->children = n;
    }
    at->last = n;
    at->node->n_children++;
}

/* --- anchors: *name is a copy of what &name named, and counts as if it stood there --- */

static void keep_anchor(struct reader *r, const yaml_event_t *ev, struct yaml_node *n)
{
    const yaml_char_t *name = ev->type == YAML_SCALAR_EVENT ? ev->data.scalar.anchor
                              : ev->type == YAML_SEQUENCE_START_EVENT
                                  ? ev->data.sequence_start.anchor
                                  : ev->data.mapping_start.anchor;

    if (name != NULL) {
        *vec_push(&r->anchors) =
            (struct anchor){arena_str(r->arena, str_of((const char *)name)), n};
    }
}

static struct yaml_node *copy_node(struct reader *r, const struct yaml_node *from, unsigned depth,
                                   const yaml_event_t *ev)
{
    struct yaml_node *n = arena_new(r->arena, struct yaml_node), *last = NULL;

    if (++r->n_nodes > r->max_nodes || depth > MAX_DEPTH) {
        (void)fail_at(r, &ev->start_mark, ERR_LIMIT,
                      "what this alias stands for is too large or too deep");
        return NULL;
    }
    *n = *from;
    n->next = n->children = NULL;
    for (const struct yaml_node *c = from->children; c != NULL; c = c->next) {
        struct yaml_node *copy = copy_node(r, c, depth + 1, ev);

        if (copy == NULL) {
            return NULL;
        }
        *(last != NULL ? &last->next : &n->children) = copy;
        last = copy;
    }
    return n;
}

/* `<<: *name`: keys of another map, where the map has none of its own. */
static void merge(struct yaml_node *map)
{
    struct yaml_node **at = &map->children, *merged = NULL;

    while (*at != NULL && !(str_eq_c((*at)->key, "<<") && (*at)->kind == YAML_MAP)) {
        at = &(*at)->next;
    }
    merged = *at;
    if (merged == NULL) {
        return;
    }
    *at = merged->next;
    map->n_children--;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    for (struct yaml_node *c = merged->children, *next; c != NULL; c = next) {
        next = c->next;
        c->next = NULL;
        if (!has_key(map, c->key)) {
            *at = c;
            at = &c->next;
            map->n_children++;
        }
    }
}

struct builder {
    struct open_node open[MAX_DEPTH];
    unsigned depth;
    struct yaml_node *root;
};

static int take_alias(struct reader *r, struct builder *b, struct open_node *at,
                      const yaml_event_t *ev)
{
    struct str name = str_of((const char *)ev->data.alias.anchor);
    const struct yaml_node *from = NULL;
    struct yaml_node *n;

    for (size_t i = r->anchors.len; i-- > 0 && from == NULL;) {
        from = str_eq(r->anchors.p[i].name, name) ? r->anchors.p[i].node : NULL;
    }
    for (unsigned i = 0; i < b->depth; i++) {
        from = b->open[i].node == from ? NULL : from; /* it would hold itself */
    }
    if (from == NULL || at == NULL) {
        return fail_at(r, &ev->start_mark, ERR_INVALID, "nothing was named like this alias before");
    }
    n = copy_node(r, from, b->depth, ev);
    if (n == NULL) {
        return -1;
    }
    append_child(at, n);
    return 0;
}

static int take_event(struct reader *r, struct builder *b, const yaml_event_t *ev)
{
    struct open_node *at = b->depth > 0 ? &b->open[b->depth - 1] : NULL;
    struct yaml_node *n;

    if (ev->type == YAML_SEQUENCE_END_EVENT || ev->type == YAML_MAPPING_END_EVENT) {
        if (r->takes_aliases && at != NULL && at->node->kind == YAML_MAP) {
            merge(at->node);
        }
        b->depth -= b->depth > 0; /* libyaml ends only what it began */
        return 0;
    }
    if (++r->n_nodes > r->max_nodes) {
        char why[64];

        (void)snprintf(why, sizeof(why), "more than %zu values", r->max_nodes);
        return fail_at(r, &ev->start_mark, ERR_LIMIT, why);
    }
    if (at && at->node->kind == YAML_MAP && !at->has_key) {
        return take_key(r, at, ev);
    }
    if (ev->type == YAML_ALIAS_EVENT) {
        return take_alias(r, b, at, ev);
    }
    n = node_of(r, ev);
    keep_anchor(r, ev, n);
    if (at) {
        append_child(at, n);
    } else {
        b->root = n;
    }
    if (n->kind != YAML_SCALAR) {
        if (b->depth == MAX_DEPTH) {
            return fail_at(r, &ev->start_mark, ERR_LIMIT, "nested deeper than 32 levels");
        }
        b->open[b->depth++] = (struct open_node){.node = n};
    }
    return 0;
}

static int read_document(struct reader *r, struct builder *b)
{
    unsigned documents = 0;

    for (;;) {
        yaml_event_t ev;
        yaml_event_type_t type;
        int rc = 0;

        if (next_event(r, &ev) < 0) {
            return -1;
        }
        type = ev.type;
        if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
            rc = fail_at(r, &ev.start_mark, ERR_INVALID, "only one document is taken");
        } else if (type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT ||
                   type == YAML_SEQUENCE_START_EVENT || type == YAML_SEQUENCE_END_EVENT ||
                   type == YAML_MAPPING_START_EVENT || type == YAML_MAPPING_END_EVENT) {
            rc = take_event(r, b, &ev);
        }
        yaml_event_delete(&ev);
        if (rc < 0 || type == YAML_STREAM_END_EVENT) {
            return rc;
        }
    }
}

struct yaml_node *yaml_parse_up_to(struct arena *a, struct str text, size_t max_bytes,
                                   size_t max_nodes, enum yaml_aliases aliases, struct err *e)
{
    struct reader r = {.arena = a, .max_nodes = max_nodes, .takes_aliases = aliases, .e = e};
    struct builder b = {0};
    int rc;

    if (text.len > max_bytes) {
        err_set(e, ERR_LIMIT, "YAML is larger than %zu bytes", max_bytes);
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        err_set(e, ERR_INTERNAL, "libyaml is out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.len);
    rc = read_document(&r, &b);
    yaml_parser_delete(&r.parser);
    vec_done(&r.anchors);
    if (rc < 0) {
        return NULL;
    }
    if (b.root == NULL) {
        err_set(e, ERR_INVALID, "YAML is empty");
        return NULL;
    }
    return b.root;
}

struct yaml_node *yaml_parse(struct arena *a, struct str text, struct err *e)
{
    return yaml_parse_up_to(a, text, LIMIT_SPEC_BYTES, YAML_NODES_MAX, YAML_NO_ALIASES, e);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP) {
        return NULL;
    }
    for (const struct yaml_node *c = map->children; c; c = c->next) {
        if (str_eq_c(c->key, key)) {
            return c;
        }
    }
    return NULL;
}

bool yaml_is_null(const struct yaml_node *n)
{
    return n == NULL ||
           (n->kind == YAML_SCALAR && !n->quoted &&
            (n->scalar.len == 0 || str_eq_c(n->scalar, "~") || str_eq_c(n->scalar, "null")));
}
