#include "main/system_http.h"

#include "access/access.h"
#include "base/clock.h"
#include "helper/helper.h"
#include "main/main_priv.h"
#include "main/openapi.h"
#include "main/search_http.h"
#include "net/http.h"

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
    jw_kv_c(&w, "next", NULL);
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

static int openapi(struct http_req *r, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(ANSWER_MAX);

    return openapi_write(&b, e) < 0 ? -1 : http_reply_json(r, 200, &b, e);
}

const struct route system_routes[] = {
    {HTTP_GET, "/healthz", PERM_PUBLIC, healthz, "The process answers.", .gives = "200 text/plain"},
    {HTTP_GET, "/readyz", PERM_PUBLIC, readyz, "All parts are open.", .flags = ROUTE_OWN_WORKER,
     .gives = "200 text/plain"},
    {HTTP_GET, "/version", PERM_PUBLIC, version, "Version and commit.", .gives = "200 Version"},
    {HTTP_GET, "/api/v1/openapi.json", PERM_PUBLIC, openapi, "This API as OpenAPI 3.1.",
     .gives = "200 application/json"},
    {HTTP_GET, "/api/v1/events", PERM_SIGNED_IN, events,
     "Changes of all that one may read, as Server-Sent Events.", .query = "replay_ms",
     .gives = "200 text/event-stream"},
    {HTTP_GET, "/api/v1/search", PERM_SIGNED_IN, search_http,
     "A few projects, volumes, repositories and jobs, of all that one may see.", .query = "q",
     .gives = "200 Found"},
    {HTTP_GET, "/api/v1/health", PERM_SYSTEM_READ, health, "What strata doctor finds here.",
     .gives = "200 [HealthCheck]"},
    {HTTP_GET, "/api/v1/settings", PERM_SYSTEM_READ, settings,
     "What strata.yaml and the command line have set, with defaults and prose.",
     .gives = "200 [Setting]"},
    {0},
};

const struct http_schema system_schemas[] = {
    {"Error", "{error: {kind: ErrorKind, message: string, request_id: string,"
              " mistakes?: [Mistake | PipelineMistake]}}"},
    {"ErrorKind", "'invalid' | 'unauthenticated' | 'forbidden' | 'not_found' | 'conflict' | 'limit'"
                  " | 'range' | 'throttled' | 'unsupported' | 'unavailable' | 'timeout'"
                  " | 'no_space' | 'io' | 'internal'"},
    {"Mistake", "{line: integer, column: integer, key: string | null, message: string}"},
    {"Version", "{version: string, commit: string}"},
    {"Found", "{projects: [Project], volumes: [FoundPlace], repositories: [FoundPlace],"
              " jobs: [FoundJob]}"},
    {"FoundPlace", "{project: string, name: string}"},
    {"FoundJob", "{project: string, id: string, name: string, state: JobState}"},
    {"HealthCheck", "{check: string, level: 'ok' | 'mended' | 'warn' | 'fail', found: string,"
                    " mend: string}"},
    {"Setting", "{key: string, value: string, default: string, type: 'string' | 'int' | 'bool'"
                " | 'bytes' | 'seconds' | 'milli', unit?: string, help: string, changed: boolean}"},
    {0},
};
