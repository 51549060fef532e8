#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "scrape/http_keys.h"

#include <stddef.h>

int relabel_configs(const struct decoder *d, const struct yaml_node *n, void *out)
{
    struct rule {
        struct relabel_rule r;
        struct strs sources;
        struct str action;
    };
    static const struct key keys[] = {
        {"source_labels", KEY_STRS, offsetof(struct rule, sources), NULL, NULL},
        {"separator", KEY_STR, offsetof(struct rule, r.separator), NULL, NULL},
        {"regex", KEY_STR, offsetof(struct rule, r.regex), NULL, NULL},
        {"modulus", KEY_COUNT, offsetof(struct rule, r.modulus), NULL, NULL},
        {"replacement", KEY_STR, offsetof(struct rule, r.replacement), NULL, NULL},
        {"target_label", KEY_STR, offsetof(struct rule, r.target_label), NULL, NULL},
        {"action", KEY_STR, offsetof(struct rule, action), NULL, NULL},
    };
    struct relabel list = {.p = arena_new_array(d->a, struct relabel_rule, n->n_children + 1)};

    if (!yaml_is_null(n) && n->kind != YAML_LIST) {
        return decode_refuse(d, n, "expected a list of rules");
    }
    if (n->n_children > LIMIT_RELABEL_RULES) {
        return decode_refuse(d, n, "more than %d rules", LIMIT_RELABEL_RULES);
    }
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        struct rule one = {.sources = {0}};
        const struct yaml_node *empty;
        struct err why;

        if (decode_map(d, c, keys, ARRAY_LEN(keys), &one) < 0) {
            return -1;
        }
        if (one.action.len > 0 && relabel_action_of(one.action, &one.r.action) < 0) {
            return decode_refuse(d, c, "unknown action \"%.*s\"",
                                 STR_ARG(str_first(one.action, 60)));
        }
        /* "replacement:" and "separator:" without a value are empty, not the default */
        empty = yaml_get(c, "replacement");
        one.r.replacement = empty != NULL && yaml_is_null(empty) ? STR_EMPTY : one.r.replacement;
        empty = yaml_get(c, "separator");
        one.r.separator = empty != NULL && yaml_is_null(empty) ? STR_EMPTY : one.r.separator;
        one.r.source_labels = one.sources.p;
        one.r.n_source_labels = one.sources.len;
        if (relabel_init(&one.r, d->a, &why) < 0) {
            return decode_refuse(d, c, "%s", why.msg);
        }
        list.p[list.len++] = one.r;
    }
    *(struct relabel *)out = list;
    return 0;
}

/* --- groups --- */

int sd_static_group(const struct decoder *d, const struct yaml_node *n, struct target_group *out)
{
    struct group {
        struct strs targets;
        struct labels labels;
    } one = {.targets = {0}};
    static const struct key keys[] = {
        {"targets", KEY_STRS, offsetof(struct group, targets), NULL, NULL},
        {"labels", KEY_LABELS, offsetof(struct group, labels), NULL, NULL},
    };

    if (decode_map(d, n, keys, ARRAY_LEN(keys), &one) < 0) {
        return -1;
    }
    *out = (struct target_group){
        .labels = one.labels, .targets = arena_new_array(d->a, struct labels, one.targets.len + 1)};
    for (size_t i = 0; i < one.targets.len; i++) {
        struct label *address = arena_new(d->a, struct label);

        *address = (struct label){STR("__address__"), one.targets.p[i]};
        out->targets[out->n_targets++] = (struct labels){address, 1};
    }
    return 0;
}

int config_groups(struct arena *a, struct str text, const char *name, struct target_group **out,
                  size_t *n, struct err *e)
{
    struct decoder d = {.a = a, .file = name, .e = e};
    struct yaml_node *root = yaml_parse_up_to(a, text, LIMIT_SCRAPE_CONFIG_BYTES,
                                              LIMIT_SCRAPE_CONFIG_NODES, YAML_ALIASES, e);
    size_t i = 0, targets = 0;

    if (root == NULL) {
        return err_wrap(e, "%s", name);
    }
    if (root->kind != YAML_LIST && !yaml_is_null(root)) {
        return decode_refuse(&d, root, "expected a list of groups with targets and labels");
    }
    *out = arena_new_array(a, struct target_group, root->n_children + 1);
    for (const struct yaml_node *c = root->children; c != NULL; c = c->next, i++) {
        if (sd_static_group(&d, c, &(*out)[i]) < 0) {
            return -1;
        }
        (*out)[i].source = str_of(arena_printf(a, "%s:%zu", name, i));
        targets += (*out)[i].n_targets;
    }
    if (targets > LIMIT_SCRAPE_TARGETS) {
        return err_set(e, ERR_LIMIT, "%s: more than %d targets", name, LIMIT_SCRAPE_TARGETS);
    }
    *n = i;
    return 0;
}

/* --- one way of discovery --- */

static int file_sd(const struct decoder *d, const struct yaml_node *n, struct sd_config *c)
{
    static const struct key keys[] = {
        {"files", KEY_STRS, offsetof(struct sd_config, files), NULL, NULL},
        {"refresh_interval", KEY_MS, offsetof(struct sd_config, refresh_ms), NULL, NULL},
    };

    c->refresh_ms = 300000;
    if (decode_map(d, n, keys, ARRAY_LEN(keys), c) < 0) {
        return -1;
    }
    if (c->files.len == 0) {
        return decode_refuse(d, n, "file discovery needs files");
    }
    for (size_t i = 0; i < c->files.len; i++) {
        struct str f = c->files.p[i];

        if (!str_ends(f, STR(".json")) && !str_ends(f, STR(".yml")) && !str_ends(f, STR(".yaml"))) {
            return decode_refuse(d, n, "\"%.*s\": files end in .json, .yml or .yaml",
                                 STR_ARG(str_first(f, 100)));
        }
        c->files.p[i] = decode_path(d, f);
    }
    return 0;
}

static int http_sd(const struct decoder *d, const struct yaml_node *n, struct sd_config *c)
{
    static const struct key keys[] = {
        {"url", KEY_URL, offsetof(struct sd_config, url), NULL, NULL},
        {"refresh_interval", KEY_MS, offsetof(struct sd_config, refresh_ms), NULL, NULL},
        HTTP_KEYS(struct sd_config, http),
    };

    c->refresh_ms = 60000;
    if (decode_map(d, n, keys, ARRAY_LEN(keys), c) < 0) {
        return -1;
    }
    return c->url.len == 0 ? decode_refuse(d, n, "HTTP discovery needs url") : 0;
}

static int dns_sd(const struct decoder *d, const struct yaml_node *n, struct sd_config *c)
{
    static const struct key keys[] = {
        {"names", KEY_STRS, offsetof(struct sd_config, names), NULL, NULL},
        {"type", KEY_STR, offsetof(struct sd_config, dns_type), NULL, NULL},
        {"port", KEY_COUNT, offsetof(struct sd_config, port), NULL, NULL},
        {"refresh_interval", KEY_MS, offsetof(struct sd_config, refresh_ms), NULL, NULL},
    };
    static const char *const types[] = {"A", "AAAA", "SRV", "MX", "NS"};
    size_t i = 0;

    c->refresh_ms = 30000;
    c->dns_type = STR("SRV");
    if (decode_map(d, n, keys, ARRAY_LEN(keys), c) < 0) {
        return -1;
    }
    if (c->names.len == 0) {
        return decode_refuse(d, n, "DNS discovery needs names");
    }
    while (i < ARRAY_LEN(types) && !str_eq_nocase(c->dns_type, str_of(types[i]))) {
        i++;
    }
    if (i == ARRAY_LEN(types)) {
        return decode_refuse(d, n, "type is one of A, AAAA, SRV, MX, NS");
    }
    c->dns_type = str_of(types[i]);
    if (i != 2 && (c->port == 0 || c->port > 65535)) {
        return decode_refuse(d, n, "records of the type %s need a port", types[i]);
    }
    return 0;
}

/* [{name: label, values: [a, b]}] --> {"label":["a","b"]} */
static int docker_filters(const struct decoder *d, const struct yaml_node *n, void *out)
{
    struct filter {
        struct str name;
        struct strs values;
    };
    static const struct key keys[] = {
        {"name", KEY_STR, offsetof(struct filter, name), NULL, NULL},
        {"values", KEY_STRS, offsetof(struct filter, values), NULL, NULL},
    };
    struct buf b = BUF_MAX(65536);
    struct jw w = JW(&b);

    jw_object(&w);
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        struct filter one = {.values = {0}};
        SCOPED(freep) char *name = NULL;

        if (decode_map(d, c, keys, ARRAY_LEN(keys), &one) < 0) {
            buf_done(&b);
            return -1;
        }
        name = str_dup(one.name);
        jw_key(&w, name);
        jw_array(&w);
        for (size_t i = 0; i < one.values.len; i++) {
            jw_str(&w, one.values.p[i]);
        }
        jw_end(&w);
    }
    jw_end(&w);
    *(struct str *)out = arena_str(d->a, buf_str(&b));
    buf_done(&b);
    return 0;
}

static int docker_sd(const struct decoder *d, const struct yaml_node *n, struct sd_config *c)
{
    static const struct key keys[] = {
        {"host", KEY_STR, offsetof(struct sd_config, url), NULL, NULL},
        {"port", KEY_COUNT, offsetof(struct sd_config, port), NULL, NULL},
        {"host_networking_host", KEY_STR, offsetof(struct sd_config, host_networking_host), NULL,
         NULL},
        {"match_first_network", KEY_BOOL, offsetof(struct sd_config, match_first_network), NULL,
         NULL},
        {"filters", KEY_FN, offsetof(struct sd_config, filters), docker_filters, NULL},
        {"refresh_interval", KEY_MS, offsetof(struct sd_config, refresh_ms), NULL, NULL},
        HTTP_KEYS(struct sd_config, http),
    };

    c->refresh_ms = 60000;
    c->port = 80;
    c->host_networking_host = STR("localhost");
    c->match_first_network = true;
    if (decode_map(d, n, keys, ARRAY_LEN(keys), c) < 0) {
        return -1;
    }
    if (!str_starts(c->url, STR("unix://")) && !str_starts(c->url, STR("http://")) &&
        !str_starts(c->url, STR("https://")) && !str_starts(c->url, STR("tcp://"))) {
        return decode_refuse(d, n, "host is unix:///var/run/docker.sock or http://HOST:PORT");
    }
    return 0;
}

static int k8s_namespaces(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const struct key keys[] = {
        {"own_namespace", KEY_BOOL, offsetof(struct sd_config, namespaces.own), NULL, NULL},
        {"names", KEY_STRS, offsetof(struct sd_config, namespaces.names), NULL, NULL},
    };

    const struct sd_config *c = out;

    if (decode_map(d, n, keys, ARRAY_LEN(keys), out) < 0) {
        return -1;
    }
    return c->namespaces.own && c->namespaces.names.len > 0
               ? decode_refuse(d, n, "own_namespace and names stand side by side: keep one")
               : 0;
}

static int k8s_attach(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const struct key keys[] = {
        {"node", KEY_BOOL, offsetof(struct sd_config, attach_node), NULL, NULL},
        {"namespace", KEY_BOOL, offsetof(struct sd_config, attach_namespace), NULL, NULL},
    };

    return decode_map(d, n, keys, ARRAY_LEN(keys), out);
}

static int k8s_selectors(const struct decoder *d, const struct yaml_node *n, void *out)
{
    struct selector {
        struct str role, label, field;
    };
    static const struct key keys[] = {
        {"role", KEY_STR, offsetof(struct selector, role), NULL, NULL},
        {"label", KEY_STR, offsetof(struct selector, label), NULL, NULL},
        {"field", KEY_STR, offsetof(struct selector, field), NULL, NULL},
    };
    struct sd_config *c = out;

    for (const struct yaml_node *s = n->children; s != NULL; s = s->next) {
        struct selector one = {.role = {0}};

        if (decode_map(d, s, keys, ARRAY_LEN(keys), &one) < 0) {
            return -1;
        }
        if (c->role.len > 0 && !str_eq(one.role, c->role)) {
            return decode_refuse(d, s, "a selector is taken for the role of the discovery itself");
        }
        c->select_label = one.label;
        c->select_field = one.field;
    }
    return 0;
}

static int kubernetes_sd(const struct decoder *d, const struct yaml_node *n, struct sd_config *c)
{
    static const struct key keys[] = {
        {"api_server", KEY_URL, offsetof(struct sd_config, url), NULL, NULL},
        {"role", KEY_STR, offsetof(struct sd_config, role), NULL, NULL},
        {"namespaces", KEY_FN, 0, k8s_namespaces, NULL},
        {"attach_metadata", KEY_FN, 0, k8s_attach, NULL},
        {"selectors", KEY_FN, 0, k8s_selectors, NULL},
        NOT_YET("kubeconfig_file", "not supported: give api_server with tls_config and "
                                   "authorization"),
        HTTP_KEYS(struct sd_config, http),
    };
    static const char *const roles[] = {"node",      "pod",           "service",
                                        "endpoints", "endpointslice", "ingress"};
    size_t i = 0;

    if (decode_map(d, n, keys, ARRAY_LEN(keys), c) < 0) {
        return -1;
    }
    while (i < ARRAY_LEN(roles) && !str_eq_c(c->role, roles[i])) {
        i++;
    }
    return i == ARRAY_LEN(roles)
               ? decode_refuse(d, n,
                               "role is one of node, pod, service, endpoints, endpointslice, "
                               "ingress")
               : 0;
}

static int static_sd(const struct decoder *d, const struct yaml_node *n, struct sd_config *c)
{
    c->groups = arena_new(d->a, struct target_group);
    c->n_groups = 1;
    c->groups[0].source = str_of(arena_printf(d->a, "%u", n->line));
    return sd_static_group(d, n, c->groups);
}

int sd_config_read(const struct decoder *d, const struct yaml_node *n, enum sd_kind kind,
                   struct sd_config *out)
{
    typedef int read_fn(const struct decoder *, const struct yaml_node *, struct sd_config *);
    static read_fn *const by_kind[] = {static_sd, file_sd,   http_sd,
                                       dns_sd,    docker_sd, kubernetes_sd};

    *out = (struct sd_config){.kind = kind, .line = n->line};
    http_config_init(d, &out->http);
    if (by_kind[kind](d, n, out) < 0 || http_config_check(d, n, &out->http) < 0) {
        return -1;
    }
    if (out->refresh_ms < 1000 && kind != SD_STATIC && kind != SD_KUBERNETES) {
        return decode_refuse(d, n, "refresh_interval is at least 1s");
    }
    return 0;
}
