/* /api/v1/projects/{p}/quota and /image-policy: what a project may hold, and what becomes of its
 * tags. */
#include "policy.h"
#include "registry_priv.h"

#include "access/access.h"
#include "store.h"

static int reply(struct http_req *req, int status, struct buf *b, int result, struct err *e)
{
    if (result == 0) {
        result = http_reply_json(req, status, b, e);
    }
    buf_done(b);
    return result;
}

static int project_of(struct http_req *req, int64_t *id, struct err *e)
{
    const struct registry *r = req->ctx;
    uint32_t id_base;

    return access_project(r->access, http_path_param(req, "p"), id, &id_base, e);
}

static int reply_quota(struct http_req *req, int64_t project_id, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    return reply(req, 200, &b, store_quota_write(req->ctx, project_id, &w, e), e);
}

int api_quota(struct http_req *req, struct err *e)
{
    int64_t id;

    return project_of(req, &id, e) < 0 ? -1 : reply_quota(req, id, e);
}

int api_quota_set(struct http_req *req, struct err *e)
{
    static const char *const keys[] = {"quota_bytes"};
    SCOPED(json_decrefp) json_t *body = NULL;
    int64_t id, bytes = -1;

    if (project_of(req, &id, e) < 0 || http_body_json(req, &body, e) < 0 ||
        json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0) {
        return -1;
    }
    if (json_object_get(body, "quota_bytes") == NULL) {
        return err_set(e, ERR_INVALID,
                       "quota_bytes is missing: give bytes, or null for the default");
    }
    if (!json_is_null(json_object_get(body, "quota_bytes")) &&
        (json_get_i64(body, "quota_bytes", &bytes, e) < 0 || bytes < 0)) {
        return err_set(e, ERR_INVALID, "quota_bytes: expected a number of bytes, or null");
    }
    return store_quota_set(req->ctx, id, bytes, e) < 0 ? -1 : reply_quota(req, id, e);
}

static int reply_policy(struct http_req *req, const struct policy *p, struct err *e)
{
    struct buf b = BUF_MAX(2 * POLICY_BYTES_MAX);
    struct jw w = JW(&b);

    policy_write(p, &w);
    return reply(req, 200, &b, 0, e);
}

int api_policy(struct http_req *req, struct err *e)
{
    struct policy p;
    int64_t id;

    return project_of(req, &id, e) < 0 || store_policy_get(req->ctx, &req->arena, id, &p, e) < 0
               ? -1
               : reply_policy(req, &p, e);
}

int api_policy_set(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct policy p;
    int64_t id;

    return project_of(req, &id, e) < 0 || http_body_json(req, &body, e) < 0 ||
                   policy_of_json(&req->arena, body, &p, e) < 0 ||
                   store_policy_set(req->ctx, id, &p, e) < 0
               ? -1
               : reply_policy(req, &p, e);
}
