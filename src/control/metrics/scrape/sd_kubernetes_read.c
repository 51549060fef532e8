#include "base/limits.h"
#include "base/map.h"
#include "scrape/sd_kubernetes.h"
#include "scrape/sd_labels.h"

#include <stdio.h>
#include <string.h>

#define META "__meta_kubernetes_"

/* One reading of the lists. */
struct k8s {
    struct arena *a;
    const struct sd_config *config;
    const struct k8s_lists *l;
    struct map pods, services, nodes, namespaces; /* "namespace/name" */
    struct sd_group group;
};

static struct str key_of(struct k8s *k, struct str ns, struct str name)
{
    return str_of(arena_printf(k->a, "%.*s/%.*s", STR_ARG(ns), STR_ARG(name)));
}

static void index_list(struct k8s *k, struct map *m, const json_t *list)
{
    size_t i;
    json_t *o;

    json_array_foreach((json_t *)(uintptr_t)list, i, o)
    {
        struct str name = sd_text(k->a, o, "metadata.name");

        if (name.len > 0) {
            (void)map_put(m, key_of(k, sd_text(k->a, o, "metadata.namespace"), name), o);
        }
    }
}

/* META + KIND + _label_NAME, _labelpresent_NAME, _annotation_NAME, _annotationpresent_NAME. */
static void put_object(struct sd_set *to, const char *kind, const json_t *o)
{
    static const struct {
        const char *path, *word;
    } maps[] = {{"metadata.labels", "label"}, {"metadata.annotations", "annotation"}};

    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        char prefix[96], present[96];

        (void)snprintf(prefix, sizeof(prefix), META "%s_%s_", kind, maps[i].word);
        (void)snprintf(present, sizeof(present), META "%s_%spresent_", kind, maps[i].word);
        sd_put_map(to, prefix, present, sd_at(o, maps[i].path));
    }
}

static void put(struct sd_set *to, const char *name, const json_t *o, const char *path)
{
    sd_put(to, name, sd_text(to->a, o, path));
}

/* Only when it is there. */
static void put_some(struct sd_set *to, const char *name, const json_t *o, const char *path)
{
    struct str v = sd_text(to->a, o, path);

    if (v.len > 0) {
        sd_put(to, name, v);
    }
}

static void put_namespace(struct k8s *k, struct sd_set *to, struct str ns)
{
    sd_put(to, META "namespace", ns);
    if (k->config->attach_namespace) {
        const json_t *o = map_get(&k->namespaces, key_of(k, STR_EMPTY, ns));

        if (o != NULL) {
            put_object(to, "namespace", o);
        }
    }
}

static void put_node(struct k8s *k, struct sd_set *to, struct str name)
{
    const json_t *node = k->config->attach_node && name.len > 0
                             ? map_get(&k->nodes, key_of(k, STR_EMPTY, name))
                             : NULL;

    if (node != NULL) {
        put(to, META "node_name", node, "metadata.name");
        put_object(to, "node", node);
    }
}

/* --- node --- */

static void add_node(struct k8s *k, const json_t *o)
{
    static const char *const order[] = {"InternalIP",  "InternalDNS",  "ExternalIP",
                                        "ExternalDNS", "LegacyHostIP", "Hostname"};
    const json_t *addresses = sd_at(o, "status.addresses");
    struct str host = STR_EMPTY;
    struct sd_set t = {.a = k->a};
    size_t i;
    json_t *one;

    for (size_t n = ARRAY_LEN(order); n-- > 0;) {
        json_array_foreach((json_t *)(uintptr_t)addresses, i, one)
        {
            char name[128];
            struct str type = sd_text(k->a, one, "type"), v = sd_text(k->a, one, "address");

            if (!str_eq_c(type, order[n]) || v.len == 0) {
                continue;
            }
            host = v;
            (void)snprintf(name, sizeof(name), META "node_address_%s", order[n]);
            sd_put(&t, name, v);
        }
    }
    if (host.len == 0) {
        return;
    }
    put(&t, META "node_name", o, "metadata.name");
    put(&t, META "node_provider_id", o, "spec.providerID");
    put_object(&t, "node", o);
    put(&t, "instance", o, "metadata.name");
    sd_put_address(&t, host, sd_text(k->a, o, "status.daemonEndpoints.kubeletEndpoint.Port"));
    sd_group_add(k->a, &k->group, &t);
}

/* --- pod --- */

static void put_owner(struct sd_set *to, const json_t *o)
{
    size_t i;
    json_t *one;

    json_array_foreach((json_t *)(uintptr_t)sd_at(o, "metadata.ownerReferences"), i, one)
    {
        if (json_is_true(json_object_get(one, "controller"))) {
            put(to, META "pod_controller_kind", one, "kind");
            put(to, META "pod_controller_name", one, "name");
            return;
        }
    }
}

static struct str ready_of(const json_t *o)
{
    size_t i;
    json_t *one;

    json_array_foreach((json_t *)(uintptr_t)sd_at(o, "status.conditions"), i, one)
    {
        const char *type = json_string_value(json_object_get(one, "type"));

        if (type != NULL && strcmp(type, "Ready") == 0) {
            const char *status = json_string_value(json_object_get(one, "status"));

            return status == NULL                 ? STR("unknown")
                   : strcmp(status, "True") == 0  ? STR("true")
                   : strcmp(status, "False") == 0 ? STR("false")
                                                  : STR("unknown");
        }
    }
    return STR("unknown");
}

static void put_pod(struct k8s *k, struct sd_set *to, const json_t *o)
{
    put(to, META "pod_name", o, "metadata.name");
    put(to, META "pod_ip", o, "status.podIP");
    sd_put(to, META "pod_ready", ready_of(o));
    put(to, META "pod_phase", o, "status.phase");
    put(to, META "pod_node_name", o, "spec.nodeName");
    put(to, META "pod_host_ip", o, "status.hostIP");
    put(to, META "pod_uid", o, "metadata.uid");
    put_object(to, "pod", o);
    put_owner(to, o);
    put_node(k, to, sd_text(k->a, o, "spec.nodeName"));
}

static struct str container_id(const json_t *pod, const char *list, struct str name)
{
    size_t i;
    json_t *one;

    json_array_foreach((json_t *)(uintptr_t)sd_at(pod, list), i, one)
    {
        const char *n = json_string_value(json_object_get(one, "name"));

        if (n != NULL && str_eq_c(name, n)) {
            return str_of(json_string_value(json_object_get(one, "containerID")));
        }
    }
    return STR_EMPTY;
}

static void put_container(struct sd_set *to, const json_t *pod, const json_t *c, bool is_init)
{
    struct str name = sd_text(to->a, c, "name");

    sd_put(to, META "pod_container_name", name);
    sd_put(to, META "pod_container_id",
           container_id(pod, is_init ? "status.initContainerStatuses" : "status.containerStatuses",
                        name));
    put(to, META "pod_container_image", c, "image");
}

static struct str protocol_of(struct arena *a, const json_t *port)
{
    struct str p = sd_text(a, port, "protocol");

    return p.len > 0 ? p : STR("TCP");
}

static void put_port(struct sd_set *to, const json_t *port)
{
    put(to, META "pod_container_port_name", port, "name");
    put(to, META "pod_container_port_number", port, "containerPort");
    sd_put(to, META "pod_container_port_protocol", protocol_of(to->a, port));
}

static void add_container(struct k8s *k, const struct sd_set *common, const json_t *pod,
                          const json_t *c, bool is_init)
{
    struct str ip = sd_text(k->a, pod, "status.podIP");
    const json_t *ports = json_object_get(c, "ports");
    size_t i, n = json_array_size(ports);

    for (i = 0; i < (n > 0 ? n : 1); i++) {
        struct sd_set t = sd_set_copy(common);
        const json_t *port = json_array_get(ports, i);

        put_container(&t, pod, c, is_init);
        sd_put(&t, META "pod_container_init", is_init ? STR("true") : STR("false"));
        if (port != NULL) {
            put_port(&t, port);
        }
        sd_put_address(&t, ip, port != NULL ? sd_text(k->a, port, "containerPort") : STR_EMPTY);
        sd_group_add(k->a, &k->group, &t);
    }
}

static void add_pod(struct k8s *k, const json_t *o)
{
    struct sd_set common = {.a = k->a};
    size_t i;
    json_t *c;

    if (sd_text(k->a, o, "status.podIP").len == 0) {
        return; /* not there yet */
    }
    put_namespace(k, &common, sd_text(k->a, o, "metadata.namespace"));
    put_pod(k, &common, o);
    json_array_foreach((json_t *)(uintptr_t)sd_at(o, "spec.containers"), i, c)
    {
        add_container(k, &common, o, c, false);
    }
    json_array_foreach((json_t *)(uintptr_t)sd_at(o, "spec.initContainers"), i, c)
    {
        add_container(k, &common, o, c, true);
    }
}

/* --- service --- */

static void add_service(struct k8s *k, const json_t *o)
{
    struct str ns = sd_text(k->a, o, "metadata.namespace"),
               name = sd_text(k->a, o, "metadata.name");
    struct str type = sd_text(k->a, o, "spec.type");
    size_t i;
    json_t *port;

    json_array_foreach((json_t *)(uintptr_t)sd_at(o, "spec.ports"), i, port)
    {
        struct sd_set t = {.a = k->a};

        put_namespace(k, &t, ns);
        sd_put(&t, META "service_name", name);
        put_object(&t, "service", o);
        sd_put(&t, META "service_port_name", sd_text(k->a, port, "name"));
        sd_put(&t, META "service_port_number", sd_text(k->a, port, "port"));
        sd_put(&t, META "service_port_protocol", protocol_of(k->a, port));
        sd_put(&t, META "service_type", type.len > 0 ? type : STR("ClusterIP"));
        if (str_eq_c(type, "ExternalName")) {
            put(&t, META "service_external_name", o, "spec.externalName");
        } else {
            put(&t, META "service_cluster_ip", o, "spec.clusterIP");
        }
        if (str_eq_c(type, "LoadBalancer")) {
            put(&t, META "service_loadbalancer_ip", o, "spec.loadBalancerIP");
        }
        sd_putf(&t, "__address__", "%.*s.%.*s.svc:%.*s", STR_ARG(name), STR_ARG(ns),
                STR_ARG(sd_text(k->a, port, "port")));
        sd_group_add(k->a, &k->group, &t);
    }
}

/* --- endpoints, endpointslice --- */

static void put_service(struct k8s *k, struct sd_set *to, struct str ns, struct str name)
{
    const json_t *svc = map_get(&k->services, key_of(k, ns, name));

    if (svc != NULL) {
        sd_put(to, META "service_name", name);
        put_object(to, "service", svc);
    }
}

/* The pod behind an address, with the container whose port it is. */
static void put_target_pod(struct k8s *k, struct sd_set *to, const json_t *ref, struct str ns,
                           struct str port)
{
    struct str ref_ns = sd_text(k->a, ref, "namespace");
    const json_t *pod =
        str_eq_c(sd_text(k->a, ref, "kind"), "Pod")
            ? map_get(&k->pods, key_of(k, ref_ns.len > 0 ? ref_ns : ns, sd_text(k->a, ref, "name")))
            : NULL;
    size_t i, j;
    json_t *c, *p;

    if (pod == NULL) {
        return;
    }
    put_pod(k, to, pod);
    json_array_foreach((json_t *)(uintptr_t)sd_at(pod, "spec.containers"), i, c)
    {
        json_array_foreach(json_object_get(c, "ports"), j, p)
        {
            if (str_eq(sd_text(k->a, p, "containerPort"), port)) {
                put_container(to, pod, c, false);
                put_port(to, p);
                return;
            }
        }
    }
}

static void add_address(struct k8s *k, const struct sd_set *common, struct str ns,
                        const json_t *address, const json_t *port, const char *ready)
{
    struct sd_set t = sd_set_copy(common);
    const json_t *ref = json_object_get(address, "targetRef");

    sd_put_address(&t, sd_text(k->a, address, "ip"), sd_text(k->a, port, "port"));
    sd_put(&t, META "endpoint_port_name", sd_text(k->a, port, "name"));
    sd_put(&t, META "endpoint_port_protocol", protocol_of(k->a, port));
    sd_put(&t, META "endpoint_ready", str_of(ready));
    put_some(&t, META "endpoint_node_name", address, "nodeName");
    put_some(&t, META "endpoint_hostname", address, "hostname");
    if (ref != NULL) {
        put(&t, META "endpoint_address_target_kind", ref, "kind");
        put(&t, META "endpoint_address_target_name", ref, "name");
        put_target_pod(k, &t, ref, ns, sd_text(k->a, port, "port"));
    }
    put_node(k, &t, sd_text(k->a, address, "nodeName"));
    sd_group_add(k->a, &k->group, &t);
}

static void add_endpoints(struct k8s *k, const json_t *o)
{
    struct str ns = sd_text(k->a, o, "metadata.namespace"),
               name = sd_text(k->a, o, "metadata.name");
    struct sd_set common = {.a = k->a};
    size_t i, j, n;
    json_t *subset, *port, *address;

    put_namespace(k, &common, ns);
    sd_put(&common, META "endpoints_name", name);
    put_object(&common, "endpoints", o);
    put_service(k, &common, ns, name);
    json_array_foreach((json_t *)(uintptr_t)json_object_get(o, "subsets"), i, subset)
    {
        json_array_foreach(json_object_get(subset, "ports"), j, port)
        {
            json_array_foreach(json_object_get(subset, "addresses"), n, address)
            {
                add_address(k, &common, ns, address, port, "true");
            }
            json_array_foreach(json_object_get(subset, "notReadyAddresses"), n, address)
            {
                add_address(k, &common, ns, address, port, "false");
            }
        }
    }
}

static void add_slice_endpoint(struct k8s *k, const struct sd_set *common, struct str ns,
                               const json_t *endpoint, const json_t *port, struct str ip)
{
    struct sd_set t = sd_set_copy(common);
    const json_t *ref = json_object_get(endpoint, "targetRef");

    sd_put_address(&t, ip, sd_text(k->a, port, "port"));
    put_some(&t, META "endpointslice_port_name", port, "name");
    put_some(&t, META "endpointslice_port_protocol", port, "protocol");
    put_some(&t, META "endpointslice_port", port, "port");
    put_some(&t, META "endpointslice_port_app_protocol", port, "appProtocol");
    put_some(&t, META "endpointslice_endpoint_conditions_ready", endpoint, "conditions.ready");
    put_some(&t, META "endpointslice_endpoint_conditions_serving", endpoint, "conditions.serving");
    put_some(&t, META "endpointslice_endpoint_conditions_terminating", endpoint,
             "conditions.terminating");
    put_some(&t, META "endpointslice_endpoint_hostname", endpoint, "hostname");
    put_some(&t, META "endpointslice_endpoint_node_name", endpoint, "nodeName");
    put_some(&t, META "endpointslice_endpoint_zone", endpoint, "zone");
    if (ref != NULL) {
        put(&t, META "endpointslice_address_target_kind", ref, "kind");
        put(&t, META "endpointslice_address_target_name", ref, "name");
        put_target_pod(k, &t, ref, ns, sd_text(k->a, port, "port"));
    }
    put_node(k, &t, sd_text(k->a, endpoint, "nodeName"));
    sd_group_add(k->a, &k->group, &t);
}

static void add_slice(struct k8s *k, const json_t *o)
{
    struct str ns = sd_text(k->a, o, "metadata.namespace");
    const json_t *labels = sd_at(o, "metadata.labels");
    const char *service = json_string_value(json_object_get(labels, "kubernetes.io/service-name"));
    struct sd_set common = {.a = k->a};
    size_t i, j, n;
    json_t *port, *endpoint, *ip;

    put_namespace(k, &common, ns);
    put(&common, META "endpointslice_name", o, "metadata.name");
    put(&common, META "endpointslice_address_type", o, "addressType");
    put_object(&common, "endpointslice", o);
    put_service(k, &common, ns, str_of(service));
    json_array_foreach((json_t *)(uintptr_t)json_object_get(o, "ports"), i, port)
    {
        json_array_foreach(json_object_get(o, "endpoints"), j, endpoint)
        {
            json_array_foreach(json_object_get(endpoint, "addresses"), n, ip)
            {
                add_slice_endpoint(k, &common, ns, endpoint, port, str_of(json_string_value(ip)));
            }
        }
    }
}

/* --- ingress --- */

static bool has_tls(const json_t *o, struct str host)
{
    size_t i, j;
    json_t *tls, *name;

    json_array_foreach((json_t *)(uintptr_t)sd_at(o, "spec.tls"), i, tls)
    {
        json_array_foreach(json_object_get(tls, "hosts"), j, name)
        {
            struct str n = str_of(json_string_value(name));
            struct str behind = host;

            (void)str_cut(&behind, '.');
            if (str_eq(n, host) ||
                (str_starts(n, STR("*.")) && behind.p != NULL && str_eq(str_from(n, 2), behind))) {
                return true;
            }
        }
    }
    return false;
}

static void add_ingress(struct k8s *k, const json_t *o)
{
    size_t i;
    json_t *rule;

    json_array_foreach((json_t *)(uintptr_t)sd_at(o, "spec.rules"), i, rule)
    {
        struct str host = sd_text(k->a, rule, "host");
        const json_t *paths = sd_at(rule, "http.paths");
        size_t n = json_array_size(paths);

        if (host.len == 0) {
            host = STR("*");
        }
        for (size_t p = 0; p < (n > 0 ? n : 1); p++) {
            struct sd_set t = {.a = k->a};
            struct str path = sd_text(k->a, json_array_get(paths, p), "path");

            put_namespace(k, &t, sd_text(k->a, o, "metadata.namespace"));
            put(&t, META "ingress_name", o, "metadata.name");
            put_object(&t, "ingress", o);
            put_some(&t, META "ingress_class_name", o, "spec.ingressClassName");
            sd_put(&t, META "ingress_scheme", has_tls(o, host) ? STR("https") : STR("http"));
            sd_put(&t, META "ingress_host", host);
            sd_put(&t, META "ingress_path", path.len > 0 ? path : STR("/"));
            sd_put(&t, "__address__", host);
            sd_group_add(k->a, &k->group, &t);
        }
    }
}

int sd_kubernetes_read(struct arena *a, const struct sd_config *c, const struct k8s_lists *l,
                       struct target_group *out, struct err *e)
{
    static const struct {
        const char *role;
        void (*add)(struct k8s *k, const json_t *o);
    } roles[] = {{"node", add_node},           {"pod", add_pod},
                 {"service", add_service},     {"endpoints", add_endpoints},
                 {"endpointslice", add_slice}, {"ingress", add_ingress}};
    struct k8s k = {.a = a, .config = c, .l = l};
    int rc = 0;
    size_t i;
    json_t *o;

    index_list(&k, &k.pods, l->pods);
    index_list(&k, &k.services, l->services);
    index_list(&k, &k.nodes, l->nodes);
    index_list(&k, &k.namespaces, l->namespaces);
    for (size_t r = 0; r < ARRAY_LEN(roles); r++) {
        if (!str_eq_c(c->role, roles[r].role)) {
            continue;
        }
        json_array_foreach((json_t *)(uintptr_t)l->main, i, o)
        {
            if (k.group.g.n_targets > LIMIT_SCRAPE_TARGETS) {
                rc =
                    err_set(e, ERR_LIMIT, "Kubernetes: more than %d targets", LIMIT_SCRAPE_TARGETS);
                break;
            }
            roles[r].add(&k, o);
        }
    }
    map_done(&k.pods);
    map_done(&k.services);
    map_done(&k.nodes);
    map_done(&k.namespaces);
    *out = k.group.g;
    out->source = STR("kubernetes");
    return rc;
}
