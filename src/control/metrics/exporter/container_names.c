/* Whose container a cgroup is, and what people call it. The engines keep that beside their
 * containers: docker in config.v2.json, podman in containers.json, containerd and cri-o in the
 * annotations of the OCI bundle, Strata in jobs/<id>/labels. What we may not read stays empty. */
#include "exporter/container.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_HEX = 64, PATH_BYTES = 512 };

static bool is_hex_id(struct str s)
{
    if (s.len != ID_HEX) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* "docker-<id>.scope" of systemd, "<id>" below "docker/" or "kubepods/" of cgroupfs. */
bool container_recognize(const char *parent, const char *name, struct container_kind *out)
{
    static const struct {
        const char *prefix;
        enum container_engine engine;
    } scopes[] = {{"docker-", ENGINE_DOCKER},
                  {"cri-containerd-", ENGINE_CONTAINERD},
                  {"nerdctl-", ENGINE_CONTAINERD},
                  {"crio-", ENGINE_CRIO},
                  {"libpod-", ENGINE_PODMAN}};
    struct str s = str_of(name), last;
    const char *slash;

    if (str_ends(s, STR(".scope"))) {
        s.len -= strlen(".scope");
    }
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        struct str prefix = str_of(scopes[i].prefix), id = str_from(s, prefix.len);

        if (str_starts(s, prefix) && is_hex_id(id)) {
            *out = (struct container_kind){scopes[i].engine, id};
            return true;
        }
    }
    slash = strrchr(parent, '/');
    last = str_of(slash ? slash + 1 : parent);
    if (str_starts(last, STR("strata-")) && last.len > strlen("strata-")) {
        *out = (struct container_kind){ENGINE_STRATA, s};
        return true;
    }
    if (!is_hex_id(s)) {
        return false;
    }
    *out = (struct container_kind){strstr(parent, "docker")   ? ENGINE_DOCKER
                                   : strstr(parent, "libpod") ? ENGINE_PODMAN
                                                              : ENGINE_CONTAINERD,
                                   s};
    return true;
}

static json_t *read_json(struct node *n, const char *path)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_NODE_FILE_BYTES);
    struct err e;

    return node_read_foreign(n, NODE_ROOT, path, &text, &e) < 0 ? NULL
                                                                : json_parse(buf_str(&text), &e);
}

static void take(char **to, const json_t *value)
{
    const char *s = json_string_value(value);

    if (s && *s && !*to) {
        *to = xstrndup(s, LIMIT_CONTAINER_NAME_BYTES);
    }
}

static bool name_docker(struct node *n, struct str id, struct container_names *out)
{
    char path[PATH_BYTES];
    SCOPED(json_decrefp) json_t *j = NULL;
    const json_t *labels;

    (void)snprintf(path, sizeof(path), "var/lib/docker/containers/%.*s/config.v2.json",
                   STR_ARG(id));
    j = read_json(n, path);
    if (!j) {
        return false;
    }
    take(&out->name, json_object_get(j, "Name"));
    if (out->name && out->name[0] == '/') {
        memmove(out->name, out->name + 1, strlen(out->name));
    }
    take(&out->image, json_object_get(json_object_get(j, "Config"), "Image"));
    labels = json_object_get(json_object_get(j, "Config"), "Labels");
    take(&out->namespace, json_object_get(labels, "io.kubernetes.pod.namespace"));
    take(&out->pod, json_object_get(labels, "io.kubernetes.pod.name"));
    take(&out->container, json_object_get(labels, "io.kubernetes.container.name"));
    return true;
}

static bool name_podman(struct node *n, struct str id, struct container_names *out)
{
    SCOPED(json_decrefp)
    json_t *all = read_json(n, "var/lib/containers/storage/overlay-containers/containers.json");
    size_t i;
    json_t *one;

    json_array_foreach(all, i, one)
    {
        const char *metadata = json_string_value(json_object_get(one, "metadata"));
        SCOPED(json_decrefp) json_t *m = NULL;
        struct err e;

        if (!str_eq(id, str_of(json_string_value(json_object_get(one, "id"))))) {
            continue;
        }
        take(&out->name, json_array_get(json_object_get(one, "names"), 0));
        m = metadata ? json_parse(str_of(metadata), &e) : NULL;
        if (m) {
            take(&out->image, json_object_get(m, "image-name"));
        }
        return true;
    }
    return false;
}

/* The annotations that containerd's and cri-o's bundles have for the kubelet. */
static bool name_bundle(struct node *n, const char *path, struct container_names *out)
{
    SCOPED(json_decrefp) json_t *j = read_json(n, path);
    const json_t *a = json_object_get(j, "annotations");
    const char *kind;

    if (!j) {
        return false;
    }
    take(&out->namespace, json_object_get(a, "io.kubernetes.cri.sandbox-namespace"));
    take(&out->namespace, json_object_get(a, "io.kubernetes.pod.namespace"));
    take(&out->pod, json_object_get(a, "io.kubernetes.cri.sandbox-name"));
    take(&out->pod, json_object_get(a, "io.kubernetes.pod.name"));
    take(&out->image, json_object_get(a, "io.kubernetes.cri.image-name"));
    take(&out->image, json_object_get(a, "io.kubernetes.cri-o.ImageName"));
    take(&out->container, json_object_get(a, "io.kubernetes.cri.container-name"));
    take(&out->container, json_object_get(a, "io.kubernetes.container.name"));
    kind = json_string_value(json_object_get(a, "io.kubernetes.cri.container-type"));
    if (kind && strcmp(kind, "sandbox") == 0) {
        free(out->container);
        out->container = xstrdup("POD"); /* as cAdvisor calls what holds a pod's network */
    }
    take(&out->name, json_object_get(a, "nerdctl/name"));
    return true;
}

static bool name_containerd(struct node *n, struct str id, struct container_names *out)
{
    static const char *const namespaces[] = {"k8s.io", "default", "moby"};
    char path[PATH_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
        (void)snprintf(path, sizeof(path),
                       "run/containerd/io.containerd.runtime.v2.task/%s/%.*s/config.json",
                       namespaces[i], STR_ARG(id));
        if (name_bundle(n, path, out)) {
            return true;
        }
    }
    return false;
}

static bool name_crio(struct node *n, struct str id, struct container_names *out)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path),
                   "run/containers/storage/overlay-containers/%.*s/userdata/config.json",
                   STR_ARG(id));
    return name_bundle(n, path, out);
}

static bool name_strata(struct node *n, struct str id, struct container_names *out)
{
    const char *state = n->o->strata_state ? n->o->strata_state : "var/lib/strata";
    char path[PATH_BYTES];
    SCOPED(json_decrefp) json_t *j = NULL;
    const json_t *devices;
    size_t i;
    json_t *one;

    if (id.len > 64) {
        return false;
    }
    (void)snprintf(path, sizeof(path), "%s/jobs/%.*s/labels", state, STR_ARG(id));
    j = read_json(n, path);
    if (!j) {
        return false;
    }
    take(&out->project, json_object_get(j, "project"));
    take(&out->job, json_object_get(j, "job"));
    take(&out->user, json_object_get(j, "user"));
    take(&out->image, json_object_get(j, "image"));
    devices = json_object_get(j, "devices");
    json_array_foreach(devices, i, one)
    {
        const char *path_of = json_string_value(one);
        uint64_t minor;

        if (path_of && str_starts(str_of(path_of), STR("/dev/nvidia")) &&
            str_to_u64(str_of(path_of + strlen("/dev/nvidia")), &minor) == 0 && minor < 64) {
            out->gpus |= 1ULL << minor;
        }
    }
    return true;
}

bool container_names_find(struct node *n, const struct container_kind *kind,
                          struct container_names *out)
{
    bool found = false;

    switch (kind->engine) {
    case ENGINE_DOCKER:
        found = name_docker(n, kind->id, out);
        break;
    case ENGINE_PODMAN:
        found = name_podman(n, kind->id, out);
        break;
    case ENGINE_CONTAINERD:
        found = name_containerd(n, kind->id, out);
        break;
    case ENGINE_CRIO:
        found = name_crio(n, kind->id, out);
        break;
    case ENGINE_STRATA:
        found = name_strata(n, kind->id, out);
        break;
    }
    if (!out->name) {
        out->name = xstrndup(kind->id.p, kind->id.len);
    }
    return found;
}

void container_names_done(struct container_names *c)
{
    char **all[] = {&c->name,      &c->image,   &c->namespace, &c->pod,
                    &c->container, &c->project, &c->job,       &c->user};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        free(*all[i]);
    }
    *c = (struct container_names){0};
}

void container_label(struct buf *labels, const struct container_names *c)
{
    const struct {
        const char *name, *value;
    } optional[] = {{"namespace", c->namespace}, {"pod", c->pod}, {"container", c->container},
                    {"project", c->project},     {"job", c->job}, {"user", c->user}};

    page_label(labels, "image", str_of(c->image));
    page_label(labels, "name", str_of(c->name));
    for (size_t i = 0; i < ARRAY_LEN(optional); i++) {
        if (optional[i].value) {
            page_label(labels, optional[i].name, str_of(optional[i].value));
        }
    }
}
