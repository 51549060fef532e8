#include "scrape/sd_kubernetes.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "scrape/client.h"
#include "scrape/discovery.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

enum { LIST_MS = 60000, WATCH_SEC = 60, GATHER_MS = 500, RETRY_MS = 5000 };

/* Where the API is and who we are: as configured, or as a pod is told. */
struct k8s_api {
    char *url;
    char *own_namespace;
    struct http_config http;
};

static void api_done(struct k8s_api *k)
{
    free(k->url);
    free(k->own_namespace);
}

static int open_api(struct k8s_api *k, const struct sd_config *c, struct err *e)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    struct buf ns = BUF_MAX(300);

    *k = (struct k8s_api){.http = c->http};
    if (c->namespaces.own) {
        if (fs_read(AT_FDCWD, ACCOUNT "namespace", &ns, e) < 0) {
            buf_done(&ns);
            return err_wrap(e, "own_namespace");
        }
        k->own_namespace = buf_take(&ns);
    }
    if (c->url.len > 0) {
        k->url = str_dup(c->url);
        return 0;
    }
    if (host == NULL || port == NULL) {
        api_done(k);
        return err_set(e, ERR_INVALID,
                       "Kubernetes: without api_server this must run in a pod "
                       "(KUBERNETES_SERVICE_HOST is not set)");
    }
    k->url = xasprintf(strchr(host, ':') != NULL ? "https://[%s]:%s" : "https://%s:%s", host, port);
    k->http.has_authorization = true;
    k->http.credentials_file = STR(ACCOUNT "token");
    k->http.tls.ca_file = STR(ACCOUNT "ca.crt");
    return 0;
}

/* --- lists --- */

static const char *path_of(struct str role)
{
    static const char *const paths[][2] = {
        {"node", "/api/v1/nodes"},
        {"pod", "/api/v1/pods"},
        {"service", "/api/v1/services"},
        {"endpoints", "/api/v1/endpoints"},
        {"endpointslice", "/apis/discovery.k8s.io/v1/endpointslices"},
        {"ingress", "/apis/networking.k8s.io/v1/ingresses"},
        {"namespace", "/api/v1/namespaces"},
    };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (str_eq_c(role, paths[i][0])) {
            return paths[i][1];
        }
    }
    return "/api/v1/pods";
}

static void add_selector(struct buf *b, const char *name, struct str value)
{
    if (value.len == 0) {
        return;
    }
    (void)buf_printf(b, "&%s=", name);
    for (size_t i = 0; i < value.len; i++) {
        (void)buf_printf(b, "%%%02X", (unsigned char)value.p[i]);
    }
}

/* The address of a list; `ns` empty: of all namespaces. */
static char *list_url(const struct k8s_api *k, const struct sd_config *c, struct str role,
                      struct str ns, bool selects)
{
    const char *path = path_of(role), *last = strrchr(path, '/');
    struct buf b = BUF_MAX(65536);

    if (ns.len > 0 && !str_eq_c(role, "node") && !str_eq_c(role, "namespace")) {
        (void)buf_printf(&b, "%s%.*s/namespaces/%.*s%s", k->url, (int)(last - path), path,
                         STR_ARG(ns), last);
    } else {
        (void)buf_printf(&b, "%s%s", k->url, path);
    }
    (void)buf_add_c(&b, "?resourceVersion=0");
    if (selects) {
        add_selector(&b, "labelSelector", c->select_label);
        add_selector(&b, "fieldSelector", c->select_field);
    }
    return buf_take(&b);
}

/* Appends the items of a list; *version is that of the list. */
static int get_list(struct discovery *d, const struct k8s_api *k, const char *url, json_t *items,
                    char version[64], struct err *e)
{
    struct buf b = BUF_MAX(LIMIT_DISCOVERY_BYTES);
    int rc =
        client_get(&k->http, url, NULL, "application/json", LIST_MS, discovery_stop_flag(d), &b, e);
    SCOPED(json_decrefp) json_t *list = rc == 0 ? json_parse(buf_str(&b), e) : NULL;
    const char *v =
        json_string_value(json_object_get(json_object_get(list, "metadata"), "resourceVersion"));

    buf_done(&b);
    if (list == NULL) {
        return rc < 0 ? -1 : err_wrap(e, "%s", url);
    }
    (void)json_array_extend(items, json_object_get(list, "items"));
    if (v == NULL || str_copy(str_of(v), version, 64) < 0) {
        version[0] = '\0';
    }
    return 0;
}

/* The namespaces that are looked at; one empty name: all. */
static struct strs namespaces_of(const struct k8s_api *k, const struct sd_config *c,
                                 struct str *one)
{
    struct strs list = c->namespaces.names;

    if (k->own_namespace != NULL && list.len == 0) {
        *one = str_trim(str_of(k->own_namespace));
        return (struct strs){one, 1};
    }
    *one = STR_EMPTY;
    return list.len > 0 ? list : (struct strs){one, 1};
}

/* Owned by the caller; NULL: failed. */
static json_t *get_all(struct discovery *d, const struct k8s_api *k, struct str role, bool selects,
                       char version[64], struct err *e)
{
    struct str one;
    struct strs ns = namespaces_of(k, discovery_config(d), &one);
    bool is_global = str_eq_c(role, "node") || str_eq_c(role, "namespace");
    json_t *items = json_array();

    for (size_t i = 0; i < (is_global ? 1 : ns.len); i++) {
        SCOPED(freep)
        char *url =
            list_url(k, discovery_config(d), role, is_global ? STR_EMPTY : ns.p[i], selects);

        if (get_list(d, k, url, items, version, e) < 0) {
            json_decref(items);
            return NULL;
        }
    }
    return items;
}

static int refresh(struct discovery *d, const struct k8s_api *k, char version[64], struct err *e)
{
    const struct sd_config *c = discovery_config(d);
    bool joins = str_eq_c(c->role, "endpoints") || str_eq_c(c->role, "endpointslice");
    char ignored[64];
    struct arena a = {0};
    struct target_group *g = arena_new(&a, struct target_group);
    SCOPED(json_decrefp) json_t *main = get_all(d, k, c->role, true, version, e);
    SCOPED(json_decrefp)
    json_t *pods = main != NULL && joins ? get_all(d, k, STR("pod"), false, ignored, e) : NULL;
    SCOPED(json_decrefp)
    json_t *services = pods != NULL ? get_all(d, k, STR("service"), false, ignored, e) : NULL;
    SCOPED(json_decrefp)
    json_t *nodes =
        main != NULL && c->attach_node ? get_all(d, k, STR("node"), false, ignored, e) : NULL;
    SCOPED(json_decrefp)
    json_t *namespaces = main != NULL && c->attach_namespace
                             ? get_all(d, k, STR("namespace"), false, ignored, e)
                             : NULL;
    struct k8s_lists l = {main, pods, services, nodes, namespaces};
    int rc = main == NULL || (joins && services == NULL) || (c->attach_node && nodes == NULL) ||
                     (c->attach_namespace && namespaces == NULL)
                 ? -1
                 : sd_kubernetes_read(&a, c, &l, g, e);

    if (rc == 0) {
        discovery_publish(d, &a, g, 1);
    }
    arena_done(&a);
    return rc;
}

/* --- changes --- */

/* The first event ends the watch: what changed is seen by listing again. */
static int on_event(void *ctx, struct str piece)
{
    bool *seen = ctx;

    *seen = *seen || piece.len > 0;
    return -1;
}

/* Until something of the role changed, or a minute is over. */
static void watch(struct discovery *d, const struct k8s_api *k, const char *version)
{
    const struct sd_config *c = discovery_config(d);
    struct str one;
    struct strs ns = namespaces_of(k, c, &one);
    SCOPED(freep) char *url = list_url(k, c, c->role, ns.len == 1 ? ns.p[0] : STR_EMPTY, true);
    SCOPED(freep) char *full = NULL;
    char *mark = strstr(url, "?resourceVersion=0");
    bool seen = false;
    struct client_call call = {.stop = discovery_stop_flag(d), .sink = on_event, .ctx = &seen};
    struct err e;

    if (ns.len > 1 || version[0] == '\0') { /* one watch cannot see several: look again */
        discovery_wait(d, RETRY_MS * 2);
        return;
    }
    *mark = '\0';
    full = xasprintf("%s?watch=1&timeoutSeconds=%d&resourceVersion=%s%s", url, WATCH_SEC, version,
                     mark + strlen("?resourceVersion=0"));
    call.curl = curl_easy_init();
    if (call.curl != NULL && client_prepare(&call, &k->http, 65536, &e) == 0 &&
        client_go_to(&call, full, &e) == 0) {
        CURLcode code;
        long status = 0;

        (void)curl_easy_setopt(call.curl, CURLOPT_TIMEOUT_MS, (long)(WATCH_SEC + 10) * 1000);
        code = curl_easy_perform(call.curl);
        (void)curl_easy_getinfo(call.curl, CURLINFO_RESPONSE_CODE, &status);
        if (!seen && (code != CURLE_OK || status != 200)) {
            discovery_wait(d, RETRY_MS);
        }
    }
    client_done(&call);
    curl_easy_cleanup(call.curl);
    if (seen) {
        discovery_wait(d, GATHER_MS); /* changes come in crowds */
    }
}

void sd_kubernetes_run(struct discovery *d)
{
    client_init();
    while (!__atomic_load_n(discovery_stop_flag(d), __ATOMIC_RELAXED)) {
        struct k8s_api k;
        char version[64] = "";
        struct err e;
        int rc = open_api(&k, discovery_config(d), &e);

        if (rc == 0) {
            rc = refresh(d, &k, version, &e);
            if (rc == 0) {
                watch(d, &k, version);
            }
            api_done(&k);
        }
        if (rc < 0 && !__atomic_load_n(discovery_stop_flag(d), __ATOMIC_RELAXED)) {
            discovery_fail(d, &e);
            discovery_wait(d, RETRY_MS);
        }
    }
}
