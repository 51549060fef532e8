#include "scrape/sd_docker.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "scrape/client.h"
#include "scrape/discovery.h"
#include "scrape/sd_labels.h"

#include <stdlib.h>
#include <string.h>

struct docker {
    struct arena *a;
    const struct sd_config *config;
    const json_t *containers, *networks;
    struct sd_group group;
};

static void put_network(struct docker *d, struct sd_set *to, struct str id)
{
    size_t i;
    json_t *n;

    json_array_foreach((json_t *)(uintptr_t)d->networks, i, n)
    {
        if (!str_eq(sd_text(d->a, n, "Id"), id)) {
            continue;
        }
        sd_put(to, "__meta_docker_network_id", id);
        sd_put(to, "__meta_docker_network_name", sd_text(d->a, n, "Name"));
        sd_put(to, "__meta_docker_network_scope", sd_text(d->a, n, "Scope"));
        sd_put(to, "__meta_docker_network_internal", sd_text(d->a, n, "Internal"));
        sd_put(to, "__meta_docker_network_ingress", sd_text(d->a, n, "Ingress"));
        sd_put_map(to, "__meta_docker_network_label_", NULL, json_object_get(n, "Labels"));
        return;
    }
}

/* The networks of a container; those of the one whose network it shares ("container:ID"). */
static const json_t *networks_of(struct docker *d, const json_t *c)
{
    for (unsigned hops = 0; hops < 16; hops++) {
        const json_t *found = sd_at(c, "NetworkSettings.Networks"), *next = NULL;
        struct str mode = sd_text(d->a, c, "HostConfig.NetworkMode");
        size_t i;
        json_t *other;

        if (json_object_size(found) > 0 || !str_starts(mode, STR("container:"))) {
            return found;
        }
        json_array_foreach((json_t *)(uintptr_t)d->containers, i, other)
        {
            next = str_eq(sd_text(d->a, other, "Id"), str_from(mode, 10)) ? other : next;
        }
        if (next == NULL) {
            return found;
        }
        c = next;
    }
    return NULL;
}

static void add_network(struct docker *d, const json_t *c, const struct sd_set *common,
                        const json_t *network)
{
    struct str ip = sd_text(d->a, network, "IPAddress");
    bool has_port = false, on_host = str_eq_c(sd_text(d->a, c, "HostConfig.NetworkMode"), "host");
    size_t i;
    json_t *port;

    json_array_foreach(json_object_get(c, "Ports"), i, port)
    {
        struct sd_set t = sd_set_copy(common);
        struct str public_port = sd_text(d->a, port, "PublicPort");

        if (!str_eq_c(sd_text(d->a, port, "Type"), "tcp")) {
            continue;
        }
        has_port = true;
        sd_put(&t, "__meta_docker_network_ip", ip);
        sd_put(&t, "__meta_docker_port_private", sd_text(d->a, port, "PrivatePort"));
        if (public_port.len > 0 && !str_eq_c(public_port, "0")) {
            sd_put(&t, "__meta_docker_port_public", public_port);
            sd_put(&t, "__meta_docker_port_public_ip", sd_text(d->a, port, "IP"));
        }
        put_network(d, &t, sd_text(d->a, network, "NetworkID"));
        sd_put_address(&t, ip, sd_text(d->a, port, "PrivatePort"));
        sd_group_add(d->a, &d->group, &t);
    }
    if (!has_port) {
        struct sd_set t = sd_set_copy(common);

        sd_put(&t, "__meta_docker_network_ip", ip);
        put_network(d, &t, sd_text(d->a, network, "NetworkID"));
        if (on_host) {
            sd_put(&t, "__address__", d->config->host_networking_host);
        } else {
            sd_put_address(&t, ip,
                           str_of(arena_printf(d->a, "%llu", (unsigned long long)d->config->port)));
        }
        sd_group_add(d->a, &d->group, &t);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_container(struct docker *d, const json_t *c)
{
    struct sd_set common = {.a = d->a};
    const json_t *networks = networks_of(d, c);
    const char **names = arena_new_array(d->a, const char *, json_object_size(networks) + 1);
    struct str name;
    const json_t *first = json_array_get(json_object_get(c, "Names"), 0);
    size_t n = 0;
    const char *key;
    json_t *value;

    if (!json_is_string(first)) {
        return;
    }
    name = str_of(json_string_value(first));
    sd_put(&common, "__meta_docker_container_id", sd_text(d->a, c, "Id"));
    sd_put(&common, "__meta_docker_container_name", name);
    sd_put(&common, "__meta_docker_container_network_mode",
           sd_text(d->a, c, "HostConfig.NetworkMode"));
    sd_put_map(&common, "__meta_docker_container_label_", NULL, json_object_get(c, "Labels"));
    json_object_foreach((json_t *)(uintptr_t)networks, key, value)
    {
        if (json_is_object(value)) {
            names[n++] = key;
        }
    }
    qsort(names, n, sizeof(*names), by_text);
    for (size_t i = 0; i < (d->config->match_first_network && n > 1 ? 1 : n); i++) {
        add_network(d, c, &common, json_object_get(networks, names[i]));
    }
}

int sd_docker_read(struct arena *a, const struct sd_config *c, struct str containers,
                   struct str networks, struct target_group *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *all = json_parse(containers, e);
    SCOPED(json_decrefp) json_t *nets = all != NULL ? json_parse(networks, e) : NULL;
    struct docker d = {.a = a, .config = c, .containers = all, .networks = nets};
    size_t i;
    json_t *one;

    if (all == NULL || nets == NULL) {
        return err_wrap(e, "Docker");
    }
    if (json_array_size(all) > LIMIT_SCRAPE_TARGETS) {
        return err_set(e, ERR_LIMIT, "Docker: more than %d containers", LIMIT_SCRAPE_TARGETS);
    }
    json_array_foreach(all, i, one)
    {
        add_container(&d, one);
    }
    *out = d.group.g;
    out->source = STR("docker");
    return 0;
}

static void add_escaped(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        (void)buf_printf(b, "%%%02X", (unsigned char)s.p[i]);
    }
}

int sd_docker_refresh(struct sd_turn *t, struct err *e)
{
    struct str host = t->config->url;
    bool is_unix = str_starts(host, STR("unix://"));
    SCOPED(freep) char *socket = is_unix ? str_dup(str_from(host, 7)) : NULL;
    struct buf containers = BUF_MAX(LIMIT_DISCOVERY_BYTES),
               networks = BUF_MAX(LIMIT_DISCOVERY_BYTES), url = BUF_MAX(65536);
    const char *base = is_unix ? "http://localhost"
                       : str_starts(host, STR("tcp://"))
                           ? arena_printf(t->arena, "http://%.*s", STR_ARG(str_from(host, 6)))
                           : arena_strdup(t->arena, host);
    int rc;

    (void)buf_printf(&url, "%s/containers/json", base);
    if (t->config->filters.len > 0) {
        (void)buf_add_c(&url, "?filters=");
        add_escaped(&url, t->config->filters);
    }
    rc = client_get(&t->config->http, url.p, socket, "application/json", t->config->refresh_ms,
                    t->stop, &containers, e);
    if (rc == 0) {
        buf_clear(&url);
        (void)buf_printf(&url, "%s/networks", base);
        rc = client_get(&t->config->http, url.p, socket, "application/json", t->config->refresh_ms,
                        t->stop, &networks, e);
    }
    if (rc == 0) {
        t->groups = arena_new(t->arena, struct target_group);
        t->n_groups = 1;
        rc = sd_docker_read(t->arena, t->config, buf_str(&containers), buf_str(&networks),
                            t->groups, e);
    }
    buf_done(&containers);
    buf_done(&networks);
    buf_done(&url);
    return rc;
}
