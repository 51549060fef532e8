/* JSON by the door of YAML, also where YAML 1.1 would read it differently. */
#include "base/yaml.h"

#include "base/json.h"
#include "base/number.h"

#include <string.h>

struct pending {
    struct yaml_node *node;
    const json_t *json;
    struct pending *next;
};

static struct str json_scalar(struct arena *a, const json_t *j)
{
    char number[NUMBER_TEXT_MAX];

    switch (json_typeof(j)) {
    case JSON_STRING:
        return arena_str(a, str_n(json_string_value(j), json_string_length(j)));
    case JSON_INTEGER:
        return str_of(arena_printf(a, "%lld", (long long)json_integer_value(j)));
    case JSON_REAL:
        (void)number_short(json_real_value(j), number);
        return arena_str(a, str_of(number));
    case JSON_TRUE:
        return STR("true");
    case JSON_FALSE:
        return STR("false");
    default:
        return STR("null");
    }
}

/* A node for `j`; a list or map is appended to the work that is left. */
static struct yaml_node *node_of_json(struct arena *a, const json_t *j, struct pending **last)
{
    struct yaml_node *n = arena_new(a, struct yaml_node);

    if (!json_is_array(j) && !json_is_object(j)) {
        n->scalar = json_scalar(a, j);
        n->quoted = json_is_string(j);
        return n;
    }
    n->kind = json_is_array(j) ? YAML_LIST : YAML_MAP;
    (*last)->next = arena_new(a, struct pending);
    *last = (*last)->next;
    **last = (struct pending){.node = n, .json = j};
    return n;
}

struct yaml_node *yaml_of_json(struct arena *a, const json_t *root)
{
    struct pending first = {0}, *last = &first;
    struct yaml_node *top = node_of_json(a, root, &last);

    for (struct pending *at = first.next; at; at = at->next) {
        struct yaml_node **link = &at->node->children;
        json_t *j = (json_t *)at->json;

        for (size_t i = 0; i < json_array_size(j); i++) {
            *link = node_of_json(a, json_array_get(j, i), &last);
            link = &(*link)->next;
        }
        at->node->n_children = json_array_size(j) + json_object_size(j);
        for (void *it = json_object_iter(j); it; it = json_object_iter_next(j, it)) {
            *link = node_of_json(a, json_object_iter_value(it), &last);
            (*link)->key = arena_str(a, str_of(json_object_iter_key(it)));
            link = &(*link)->next;
        }
    }
    return top;
}

/* JSON goes by libyaml, which knows the lines, as long as both read it alike. They do not with
 * pairs of \u escapes (refused) and with U+0085, U+2028 and U+2029 (line breaks in YAML 1.1). */
static bool is_json_beyond_yaml(struct str text)
{
    struct str start = text;

    while (start.len > 0 && strchr(" \t\r\n", start.p[0]) != NULL) {
        start = str_from(start, 1);
    }
    if (start.len == 0 || start.p[0] != '{') {
        return false;
    }
    for (size_t i = 0; i < start.len; i++) {
        if ((unsigned char)start.p[i] >= 0x7f) {
            return true;
        }
    }
    return str_find(start, STR("\\u")) >= 0;
}

struct yaml_node *yaml_parse_or_json(struct arena *a, struct str text, size_t max_bytes,
                                     size_t max_nodes, struct err *e)
{
    SCOPED(json_decrefp) json_t *j = NULL;
    struct err no_json;

    if (text.len <= max_bytes && is_json_beyond_yaml(text)) {
        j = json_parse(text, &no_json);
    }
    return j ? yaml_of_json(a, j)
             : yaml_parse_up_to(a, text, max_bytes, max_nodes, YAML_NO_ALIASES, e);
}
