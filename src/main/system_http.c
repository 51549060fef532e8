#include "main/system_http.h"

#include "access/access.h"
#include "base/clock.h"
#include "helper/helper.h"
#include "main/main_priv.h"
#include "net/http.h"

#include <string.h>

enum { ANSWER_MAX = 1024 * 1024 };

static int healthz(struct http_req *r, struct err *e)
{
    return http_reply(r, 200, "text/plain; charset=utf-8", STR("ok\n"), e);
}

/* Serves only after http_server_start, when every part is open: being reached is being ready. */
static int readyz(struct http_req *r, struct err *e)
{
    return http_reply(r, 200, "text/plain; charset=utf-8", STR("ready\n"), e);
}

static int version(struct http_req *r, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(ANSWER_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_c(&w, "version", STRATA_VERSION);
    jw_kv_c(&w, "commit", STRATA_COMMIT);
    jw_end(&w);
    return http_reply_json(r, 200, &b, e);
}

static int events(struct http_req *r, struct err *e)
{
    struct system_http *s = r->ctx;

    return http_events_serve(r, s->events, access_may_see, s->access, e);
}

/* What the helper, as root, sees of this host; rows of runtime_doctor. */
static int health(struct http_req *r, struct err *e)
{
    struct system_http *s = r->ctx;
    SCOPED(buf_done) struct buf reply = BUF_MAX(ANSWER_MAX);
    SCOPED(buf_done) struct buf b = BUF_MAX(ANSWER_MAX);
    struct wire_reader in;
    struct jw w = JW(&b);
    uint64_t n;

    if (helper_call(s->helper, HELPER_HOST_CHECK, STR_EMPTY, -1, &reply, NULL, e) < 0) {
        return -1;
    }
    in = (struct wire_reader){.rest = buf_str(&reply)};
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    n = wire_get_u64(&in);
    for (uint64_t i = 0; i < n && !in.failed; i++) {
        static const char *const levels[] = {"ok", "mended", "warn", "fail"};
        struct str check = wire_get_str(&in);
        uint64_t level = wire_get_u64(&in);
        struct str found = wire_get_str(&in);
        struct str mend = wire_get_str(&in);

        jw_object(&w);
        jw_kv_str(&w, "check", check);
        jw_kv_c(&w, "level", level < ARRAY_LEN(levels) ? levels[level] : "fail");
        jw_kv_str(&w, "found", found);
        jw_kv_str(&w, "mend", mend);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    if (wire_end(&in, e) < 0) {
        return -1;
    }
    return http_reply_json(r, 200, &b, e);
}

/* What this server runs with; no setting is a secret, keys and passwords lie in files of their own.
 */
static int settings(struct http_req *r, struct err *e)
{
    const struct system_http *s = r->ctx;
    SCOPED(buf_done) struct buf b = BUF_MAX(ANSWER_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    cfg_json(s->cfg, &w);
    jw_end(&w);
    jw_key(&w, "next");
    jw_null(&w);
    jw_end(&w);
    return http_reply_json(r, 200, &b, e);
}

/* --- openapi --- */

/* "/a/{x...}" as OpenAPI writes it: "/a/{x}". */
static struct str openapi_path(struct http_req *r, const char *pattern)
{
    char *out = arena_strdup(&r->arena, str_of(pattern));
    size_t n = 0;

    for (size_t i = 0; out[i]; i++) {
        if (strncmp(out + i, "...}", 4) == 0) {
            i += 3;
        }
        out[n++] = out[i];
    }
    return str_n(out, n);
}

static void write_parameters(struct jw *w, const char *pattern)
{
    struct str rest = str_of(pattern);

    jw_key(w, "parameters");
    jw_array(w);
    while (rest.p) {
        struct str name = str_cut(&rest, '}');
        ptrdiff_t at = str_find_char(name, '{');

        if (at < 0) {
            continue;
        }
        name = str_from(name, (size_t)at + 1);
        if (str_ends(name, STR("..."))) {
            name.len -= 3;
        }
        jw_object(w);
        jw_kv_str(w, "name", name);
        jw_kv_c(w, "in", "path");
        jw_kv_bool(w, "required", true);
        jw_key(w, "schema");
        jw_raw(w, STR("{\"type\":\"string\"}"));
        jw_end(w);
    }
    jw_end(w);
}

static void write_operation(struct jw *w, const struct route *route)
{
    static const char *const verbs[HTTP_METHODS] = {"get",   "head",   "post",   "put",
                                                    "patch", "delete", "options"};

    jw_key(w, verbs[route->method]);
    jw_object(w);
    jw_kv_c(w, "summary", route->summary);
    jw_kv_c(w, "x-permission", perm_name(route->perm));
    write_parameters(w, route->pattern);
    jw_key(w, "responses");
    jw_raw(w, STR("{\"default\":{\"description\":\"see the manual\"}}"));
    jw_end(w);
}

/* All operations of one pattern, in one go, when `first` is where it stands first. */
static void write_path(struct http_req *r, struct jw *w, const struct route *first)
{
    const struct system_http *s = r->ctx;

    jw_key(w, arena_strdup(&r->arena, openapi_path(r, first->pattern)));
    jw_object(w);
    for (size_t m = 0; m < s->n_mounts; m++) {
        for (const struct route *o = s->mounts[m].routes; o->pattern; o++) {
            if (strcmp(o->pattern, first->pattern) == 0) {
                write_operation(w, o);
            }
        }
    }
    jw_end(w);
}

static bool seen_before(const struct system_http *s, size_t mount, const struct route *route)
{
    for (size_t m = 0; m <= mount; m++) {
        for (const struct route *o = s->mounts[m].routes; o->pattern && o != route; o++) {
            if (strcmp(o->pattern, route->pattern) == 0) {
                return true;
            }
        }
    }
    return false;
}

static int openapi(struct http_req *r, struct err *e)
{
    const struct system_http *s = r->ctx;
    SCOPED(buf_done) struct buf b = BUF_MAX(ANSWER_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_c(&w, "openapi", "3.1.0");
    jw_key(&w, "info");
    jw_raw(&w, STR("{\"title\":\"Strata\",\"version\":\"" STRATA_VERSION "\"}"));
    jw_key(&w, "paths");
    jw_object(&w);
    for (size_t m = 0; m < s->n_mounts; m++) {
        for (const struct route *o = s->mounts[m].routes; o->pattern; o++) {
            if (!seen_before(s, m, o)) {
                write_path(r, &w, o);
            }
        }
    }
    jw_end(&w);
    jw_end(&w);
    return http_reply_json(r, 200, &b, e);
}

const struct route system_routes[] = {
    {HTTP_GET, "/healthz", PERM_PUBLIC, healthz, "The process answers.", 0},
    {HTTP_GET, "/readyz", PERM_PUBLIC, readyz, "All parts are open.", ROUTE_OWN_WORKER},
    {HTTP_GET, "/version", PERM_PUBLIC, version, "Version and commit.", 0},
    {HTTP_GET, "/api/v1/openapi.json", PERM_PUBLIC, openapi, "This API as OpenAPI 3.1.", 0},
    {HTTP_GET, "/api/v1/events", PERM_SIGNED_IN, events,
     "Changes of jobs, volumes, images and projects as Server-Sent Events.", 0},
    {HTTP_GET, "/api/v1/health", PERM_SYSTEM_READ, health, "What strata doctor finds here.", 0},
    {HTTP_GET, "/api/v1/settings", PERM_SYSTEM_READ, settings,
     "What strata.yaml and the command line have set, with defaults and prose.", 0},
    {0},
};
