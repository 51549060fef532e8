#include "access_http.h"

int access_http_groups(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct page p;

    if (access_http_page(r, &b, &p, e) < 0 || access_groups_page(r->ctx, &p, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, 200, &b, e);
}

static int reply_group(struct http_req *r, int status, struct str name, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    if (access_group_json(r->ctx, name, &w, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, status, &b, e);
}

int access_http_group_add(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", "description"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str name, description = STR_EMPTY;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "name", &name, e) < 0 ||
        json_get_str(body, "description", &description, e) < 0 ||
        access_check_description(description, e) < 0 ||
        access_group_add(r->ctx, name, description, e) < 0) {
        return -1;
    }
    r->audit_note = arena_str(&r->arena, name);
    return reply_group(r, 201, name, e);
}

int access_http_group(struct http_req *r, struct err *e)
{
    return reply_group(r, 200, http_path_param(r, "g"), e);
}

int access_http_group_change(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"description"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str description = {NULL, 0};

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_str(body, "description", &description, e) < 0 ||
        access_check_description(description, e) < 0 ||
        access_group_change(r->ctx, http_path_param(r, "g"), description, e) < 0) {
        return -1;
    }
    return reply_group(r, 200, http_path_param(r, "g"), e);
}

int access_http_group_delete(struct http_req *r, struct err *e)
{
    if (access_group_delete(r->ctx, http_path_param(r, "g"), e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}

int access_http_group_user_put(struct http_req *r, struct err *e)
{
    if (access_group_put_user(r->ctx, http_path_param(r, "g"), http_path_param(r, "u"), e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}

int access_http_group_user_drop(struct http_req *r, struct err *e)
{
    if (access_group_drop_user(r->ctx, http_path_param(r, "g"), http_path_param(r, "u"), e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}
