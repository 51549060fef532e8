/* /api/v1/projects/{p}/webhooks. All of it is for those who manage the project: an address may hold
 * a key of its own. */
#include "webhooks_priv.h"

#include "access/access.h"
#include "net/http.h"

#include <stdio.h>
#include <string.h>

#define REPLY_MAX (4 * MIB)

static int number_of(struct http_req *req, const char *name, int64_t *out, struct err *e)
{
    struct str text = http_path_param(req, name);
    uint64_t n = 0;

    if (text.p != NULL && (str_to_u64(text, &n) < 0 || n > INT64_MAX)) {
        return err_set(e, ERR_NOT_FOUND, "%.*s is no number: there is nothing of that name",
                       STR_ARG(str_first(text, 32)));
    }
    *out = (int64_t)n;
    return 0;
}

static int key_of(struct http_req *req, struct hook_key *out, struct err *e)
{
    const struct webhooks *h = req->ctx;
    uint32_t id_base;

    return access_project(h->access, http_path_param(req, "p"), &out->project_id, &id_base, e) < 0
               ? -1
               : number_of(req, "id", &out->id, e);
}

static int reply(struct http_req *req, int status, struct buf *b, int result, struct err *e)
{
    if (result == 0) {
        result = http_reply_json(req, status, b, e);
    }
    buf_done(b);
    return result;
}

static int reply_hook(struct http_req *req, int status, const struct hook_key *k, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    return reply(req, status, &b, hook_write(req->ctx, k, &w, e), e);
}

static int reply_delivery(struct http_req *req, int status, const struct hook_key *k, int64_t id,
                          struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    return reply(req, status, &b, delivery_write(req->ctx, k, id, &w, e), e);
}

static int api_hooks(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct hook_key k;
    int result;

    if (key_of(req, &k, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    result = hooks_write(req->ctx, k.project_id, &w, e);
    jw_end(&w);
    jw_kv_c(&w, "next", NULL);
    jw_end(&w);
    return reply(req, 200, &b, result, e);
}

static int api_hook(struct http_req *req, struct err *e)
{
    struct hook_key k;

    return key_of(req, &k, e) < 0 ? -1 : reply_hook(req, 200, &k, e);
}

/* Our own copies of what is never shown, freed in a moment. */
static void wipe(const struct hook_change *c)
{
    explicit_bzero((char *)(uintptr_t)c->auth.p, c->auth.len);
    explicit_bzero((char *)(uintptr_t)c->secret.p, c->secret.len);
}

static int api_hook_add(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct hook_change c;
    struct hook_key k;
    int result;

    if (key_of(req, &k, e) < 0 || http_body_json(req, &body, e) < 0 ||
        hook_change_parse(body, &c, e) < 0) {
        return -1;
    }
    result = hook_add(req->ctx, k.project_id, &c, str_of(req->who.name), &k.id, e);
    wipe(&c);
    return result < 0 ? -1 : reply_hook(req, 201, &k, e);
}

static int api_hook_change(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct hook_change c;
    struct hook_key k;
    int result;

    if (key_of(req, &k, e) < 0 || http_body_json(req, &body, e) < 0 ||
        hook_change_parse(body, &c, e) < 0) {
        return -1;
    }
    result = hook_update(req->ctx, &k, &c, e);
    wipe(&c);
    return result < 0 ? -1 : reply_hook(req, 200, &k, e);
}

static int api_hook_drop(struct http_req *req, struct err *e)
{
    struct hook_key k;

    return key_of(req, &k, e) < 0 || hook_drop(req->ctx, &k, e) < 0 ? -1
                                                                    : http_reply_empty(req, 204, e);
}

static int api_hook_skip(struct http_req *req, struct err *e)
{
    static const char *const keys[] = {"skip"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct hook_key k;
    bool skips = false;

    if (key_of(req, &k, e) < 0 || http_body_json(req, &body, e) < 0 ||
        json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_bool(body, "skip", &skips, e) < 0) {
        return -1;
    }
    if (json_object_get(body, "skip") == NULL) {
        return err_set(e, ERR_INVALID, "skip is missing: true believes any certificate");
    }
    if (hook_skip_verify(req->ctx, &k, skips, e) < 0) {
        return -1;
    }
    return reply_hook(req, 200, &k, e);
}

/* Two webhooks that lead here would set off each other for ever. */
static int check_no_loop(const struct http_req *req, struct err *e)
{
    return http_header(req, "X-Strata-Event").p == NULL
               ? 0
               : err_set(e, ERR_INVALID, "a webhook cannot set off a webhook");
}

static int api_hook_ping(struct http_req *req, struct err *e)
{
    struct hook_key k;
    int64_t id;

    return check_no_loop(req, e) < 0 || key_of(req, &k, e) < 0 ||
                   hook_ping(req->ctx, &k, str_of(req->who.name), &id, e) < 0
               ? -1
               : reply_delivery(req, 202, &k, id, e);
}

static int before_of(struct http_req *req, int64_t *out, struct err *e)
{
    struct str text = http_query(req, "after");
    uint64_t n = INT64_MAX;

    if (text.p != NULL && (str_to_u64(text, &n) < 0 || n > INT64_MAX)) {
        return err_set(e, ERR_INVALID, "after: give the \"next\" of the page before");
    }
    *out = (int64_t)n;
    return 0;
}

static int api_deliveries(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct hook_key k;
    int64_t before, limit, next = 0;
    char text[24];
    int result;

    if (key_of(req, &k, e) < 0 || before_of(req, &before, e) < 0 ||
        http_query_i64(req, "limit", 100, 1, LIMIT_LIST_ROWS, &limit, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    result = deliveries_write(req->ctx, &k, before, limit, &w, &next, e);
    jw_end(&w);
    (void)snprintf(text, sizeof(text), "%lld", (long long)next);
    jw_kv_c(&w, "next", next ? text : NULL);
    jw_end(&w);
    return reply(req, 200, &b, result, e);
}

static int api_delivery(struct http_req *req, struct err *e)
{
    struct hook_key k;
    int64_t id;

    return key_of(req, &k, e) < 0 || number_of(req, "d", &id, e) < 0
               ? -1
               : reply_delivery(req, 200, &k, id, e);
}

static int api_redeliver(struct http_req *req, struct err *e)
{
    struct hook_key k;
    int64_t id;

    return check_no_loop(req, e) < 0 || key_of(req, &k, e) < 0 || number_of(req, "d", &id, e) < 0 ||
                   delivery_again(req->ctx, &k, id, &id, e) < 0
               ? -1
               : reply_delivery(req, 202, &k, id, e);
}

#define HOOKS "/api/v1/projects/{p}/webhooks"

const struct route webhooks_routes[] = {
    {HTTP_GET, HOOKS, PERM_PROJECT_MANAGE, api_hooks, "Webhooks of a project.",
     .gives = "200 [Webhook]"},
    {HTTP_POST, HOOKS, PERM_PROJECT_MANAGE, api_hook_add,
     "Adds a webhook: a server that is told what becomes of the images.", .takes = "WebhookNew",
     .gives = "201 Webhook"},
    {HTTP_GET, HOOKS "/{id}", PERM_PROJECT_MANAGE, api_hook, "One webhook.",
     .gives = "200 Webhook"},
    {HTTP_PATCH, HOOKS "/{id}", PERM_PROJECT_MANAGE, api_hook_change,
     "Changes a webhook, or switches it off.", .takes = "WebhookChange", .gives = "200 Webhook"},
    {HTTP_DELETE, HOOKS "/{id}", PERM_PROJECT_MANAGE, api_hook_drop,
     "Deletes a webhook; what waits is not sent.", .gives = "204"},
    {HTTP_PUT, HOOKS "/{id}/skip-cert-verify", PERM_SYSTEM_MANAGE, api_hook_skip,
     "Whether any certificate of its server is believed.", .takes = "WebhookSkip",
     .gives = "200 Webhook"},
    {HTTP_POST, HOOKS "/{id}/ping", PERM_PROJECT_MANAGE, api_hook_ping,
     "Sends a test, once and before what waits.", .gives = "202 WebhookDeliveryWhole"},
    {HTTP_GET, HOOKS "/{id}/deliveries", PERM_PROJECT_MANAGE, api_deliveries,
     "What a webhook sent and is about to send, newest first.", .query = "limit after",
     .gives = "200 [WebhookDelivery]"},
    {HTTP_GET, HOOKS "/{id}/deliveries/{d}", PERM_PROJECT_MANAGE, api_delivery,
     "One delivery with its payload.", .gives = "200 WebhookDeliveryWhole"},
    {HTTP_POST, HOOKS "/{id}/deliveries/{d}/redeliver", PERM_PROJECT_MANAGE, api_redeliver,
     "Sends a delivery again, as it was.", .gives = "202 WebhookDeliveryWhole"},
    {0},
};

#define EVENTS                                                                                     \
    "'PUSH_ARTIFACT' | 'PULL_ARTIFACT' | 'DELETE_ARTIFACT' | 'QUOTA_EXCEED' | 'QUOTA_WARNING'"     \
    " | 'TAG_RETENTION' | 'REPLICATION' | 'SCANNING_COMPLETED' | 'SCANNING_FAILED'"                \
    " | 'SCANNING_STOPPED'"
#define DELIVERY                                                                                   \
    "id: integer, event: 'PING' | " EVENTS ", request_id: string,"                                 \
    " state: 'waiting' | 'sent' | 'failed' | 'cancelled', created_at: time,"                       \
    " ended_at: time | null, attempts: integer, status: integer | null, error: string | null,"     \
    " duration_ms: integer | null, payload_bytes: integer"
#define CHANGE                                                                                     \
    "format?: 'Default' | 'CloudEvents', repositories?: string | null, tags?: string | null,"      \
    " auth_header?: string | null, secret?: string | null, ca?: string | null, enabled?: boolean"

const struct http_schema webhooks_schemas[] = {
    {"WebhookEvent", EVENTS},
    {"WebhookNew", "{name: string, url: string, events: [WebhookEvent], " CHANGE "}"},
    {"WebhookChange", "{name?: string, url?: string, events?: [WebhookEvent], " CHANGE "}"},
    {"WebhookSkip", "{skip: boolean}"},
    {"Webhook", "{id: integer, name: string, url: string, events: [WebhookEvent],"
                " format: 'Default' | 'CloudEvents', repositories: string, tags: string,"
                " has_auth_header: boolean, has_secret: boolean, ca: string,"
                " skip_cert_verify: boolean, enabled: boolean, created_at: time,"
                " created_by: string, updated_at: time, waiting: integer, dropped: integer,"
                " failures: integer, next_try_at: time | null}"},
    {"WebhookDelivery", "{" DELIVERY "}"},
    {"WebhookDeliveryWhole", "{" DELIVERY ", payload: string}"},
    {0},
};
