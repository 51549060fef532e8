/* yaml - YAML 1.1 (libyaml) as a tree that knows its lines, so that mistakes can be pointed at.
 * JSON is read by the same door. Hostile input: at most LIMIT_SPEC_BYTES, 32 levels, 20,000 nodes;
 * anchors, aliases, tags and a second document are refused (they are how YAML explodes). */
#pragma once
#include "base/arena.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line, column; /* 1-based */
    struct str scalar;     /* YAML_SCALAR; plain null, ~ and empty: see yaml_is_null */
    bool quoted;
    struct str key; /* of this entry, in a map */
    struct yaml_node *children, *next;
    size_t n_children;
};

/* All in the arena. The text may be freed afterwards. The error names line and column. */
struct yaml_node *yaml_parse(struct arena *a, struct str text, struct err *e) MUST_USE;
enum { YAML_NODES_MAX = 20000 };
/* The same with other limits; JSON is read as JSON has it, also where YAML 1.1 reads it differently
 * (pairs of \u escapes, U+0085, U+2028 and U+2029) - then without lines. */
struct yaml_node *yaml_parse_or_json(struct arena *a, struct str text, size_t max_bytes,
                                     size_t max_nodes, struct err *e) MUST_USE;
/* The same tree from JSON that is read already; no lines. */
struct json_t;
struct yaml_node *yaml_of_json(struct arena *a, const struct json_t *root) MUST_USE;
/* Files that an administrator wrote: with other limits, and with aliases, whose copies count. */
enum yaml_aliases { YAML_NO_ALIASES, YAML_ALIASES };
struct yaml_node *yaml_parse_up_to(struct arena *a, struct str text, size_t max_bytes,
                                   size_t max_nodes, enum yaml_aliases aliases,
                                   struct err *e) MUST_USE;
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* or NULL */
bool yaml_is_null(const struct yaml_node *n); /* NULL, or an unquoted empty, ~ or null */
