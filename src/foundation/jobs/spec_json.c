/* Specs and JSON: reading what YAML would read differently, and writing. */
#include "jobs/spec_priv.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>

const char *const job_network_names[JOB_NETS] = {"none", "bridge", "host"};

struct pending {
    struct yaml_node *node;
    const json_t *json;
    struct pending *next;
};

static struct str json_scalar(struct arena *a, const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_STRING:
        return arena_str(a, str_n(json_string_value(j), json_string_length(j)));
    case JSON_INTEGER:
        return str_of(arena_printf(a, "%lld", (long long)json_integer_value(j)));
    case JSON_REAL:
        return str_of(arena_printf(a, "%.9g", json_real_value(j)));
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

static struct yaml_node *nodes_of_json(struct arena *a, const json_t *root)
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

static struct yaml_node *parse_json(struct arena *a, struct str text, struct err *e)
{
    SCOPED(json_decrefp) json_t *j = NULL;

    if (text.len > LIMIT_SPEC_BYTES) {
        err_set(e, ERR_LIMIT, "the job is larger than %llu bytes", LIMIT_SPEC_BYTES);
        return NULL;
    }
    j = json_parse(text, e);
    return j ? nodes_of_json(a, j) : NULL;
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

struct yaml_node *job_spec_nodes(struct arena *a, struct str text, struct err *e)
{
    struct err no_json;
    struct yaml_node *root = is_json_beyond_yaml(text) ? parse_json(a, text, &no_json) : NULL;

    return root ? root : yaml_parse(a, text, e);
}

static void write_list(struct jw *w, const char *key, const char *const *list)
{
    if (list == NULL) {
        return;
    }
    jw_key(w, key);
    jw_array(w);
    for (; *list; list++) {
        jw_str(w, str_of(*list));
    }
    jw_end(w);
}

static void write_vars(struct jw *w, const char *key, const struct job_var *vars, size_t n)
{
    if (n == 0) {
        return;
    }
    jw_key(w, key);
    jw_object(w);
    for (size_t i = 0; i < n; i++) {
        jw_kv_c(w, vars[i].name, vars[i].value);
    }
    jw_end(w);
}

static void write_seconds(struct jw *w, const char *key, int64_t sec)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llds", (long long)sec);
    jw_kv_c(w, key, text);
}

static void write_resources(struct jw *w, const struct job_spec *s)
{
    char cpu[32];

    jw_key(w, "resources");
    jw_object(w);
    if (s->cpu_milli % 1000 == 0) {
        jw_kv_i64(w, "cpu", s->cpu_milli / 1000);
    } else {
        (void)snprintf(cpu, sizeof(cpu), "%lldm", (long long)s->cpu_milli);
        jw_kv_c(w, "cpu", cpu);
    }
    jw_kv_i64(w, "memory", s->memory_bytes);
    jw_kv_i64(w, "gpu", s->gpus);
    jw_kv_i64(w, "pids", s->pids);
    jw_end(w);
}

static void write_volumes(struct jw *w, const struct job_spec *s)
{
    if (s->n_volumes == 0) {
        return;
    }
    jw_key(w, "volumes");
    jw_array(w);
    for (size_t i = 0; i < s->n_volumes; i++) {
        jw_object(w);
        jw_kv_c(w, "name", s->volumes[i].name);
        jw_kv_c(w, "path", s->volumes[i].path);
        jw_kv_c(w, "mode", s->volumes[i].read_only ? "ro" : "rw");
        jw_end(w);
    }
    jw_end(w);
}

void job_spec_json(const struct job_spec *s, struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "name", s->name);
    if (s->project) {
        jw_kv_c(w, "project", s->project);
    }
    jw_kv_c(w, "image", s->image);
    write_list(w, "command", s->command);
    write_list(w, "args", s->args);
    write_vars(w, "env", s->env, s->n_env);
    write_vars(w, "secrets", s->secrets, s->n_secrets);
    if (s->workdir) {
        jw_kv_c(w, "workdir", s->workdir);
    }
    write_resources(w, s);
    write_volumes(w, s);
    jw_kv_c(w, "network", job_network_names[s->network]);
    if (s->timeout_sec > 0) {
        write_seconds(w, "timeout", s->timeout_sec);
    }
    write_seconds(w, "grace", s->grace_sec);
    jw_kv_i64(w, "retries", s->retries);
    jw_end(w);
}
