#include "access_http.h"

int access_http_projects(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct page p;

    if (!(r->who.scopes & PERM_BIT(PERM_PROJECT_READ))) {
        return err_set(e, ERR_FORBIDDEN, "this token does not have the scope project:read");
    }
    if (access_http_page(r, &b, &p, e) < 0 || access_projects_page(r->ctx, &r->who, &p, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, 200, &b, e);
}

static int reply_project(struct http_req *r, int status, struct str name, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    if (access_project_json(r->ctx, &r->who, name, &w, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, status, &b, e);
}

/* A cache spends the credentials that an administrator gave for the other registry. */
static int read_proxy(const struct http_req *r, const json_t *body, struct project_form *f,
                      struct err *e)
{
    static const char *const keys[] = {"registry", "ttl_seconds"};
    const json_t *proxy = json_object_get(body, "proxy");

    if (proxy == NULL || json_is_null(proxy)) {
        return 0;
    }
    if (!json_is_object(proxy)) {
        return err_set(e, ERR_INVALID, "proxy: expected {\"registry\": \"...\"}");
    }
    if (!r->who.is_admin || !(r->who.scopes & PERM_BIT(PERM_SYSTEM_MANAGE))) {
        return err_set(e, ERR_FORBIDDEN,
                       "proxy: only administrators make and change caches of other registries");
    }
    if (json_only_keys(proxy, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_str(proxy, "registry", &f->registry, e) < 0 ||
        json_get_i64(proxy, "ttl_seconds", &f->ttl_sec, e) < 0) {
        return err_wrap(e, "proxy");
    }
    return f->ttl_sec < 0 && json_object_get(proxy, "ttl_seconds")
               ? err_set(e, ERR_INVALID, "proxy.ttl_seconds: expected 0 to %d", PROXY_TTL_MAX_SEC)
               : 0;
}

static int read_form(const struct http_req *r, const json_t *body, struct project_form *f,
                     struct err *e)
{
    bool is_public = false;

    *f = (struct project_form){.ttl_sec = -1};
    if (json_get_bool(body, "public", &is_public, e) < 0 ||
        json_get_str(body, "description", &f->description, e) < 0) {
        return -1;
    }
    f->is_public = json_object_get(body, "public") == NULL ? CHANGE_KEEP
                   : is_public                             ? CHANGE_SET
                                                           : CHANGE_CLEAR;
    return read_proxy(r, body, f, e);
}

int access_http_project_add(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", "public", "description", "proxy"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct project_form form;
    struct str name;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "name", &name, e) < 0 || read_form(r, body, &form, e) < 0) {
        return -1;
    }
    if (json_is_object(json_object_get(body, "proxy")) && form.registry.p == NULL) {
        return err_set(e, ERR_INVALID,
                       "proxy.registry: which registry? strata registry list shows them");
    }
    if (access_project_make(r->ctx, &r->who, name, &form, e) < 0) {
        return -1;
    }
    r->project = arena_str(&r->arena, name); /* for the audit */
    return reply_project(r, 201, name, e);
}

int access_http_project(struct http_req *r, struct err *e)
{
    return reply_project(r, 200, r->project, e);
}

int access_http_project_change(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"public", "description", "proxy"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct project_form form;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        read_form(r, body, &form, e) < 0) {
        return -1;
    }
    if (form.registry.p != NULL) {
        return err_set(e, ERR_INVALID,
                       "proxy.registry: a cache stays one of its registry; make another project");
    }
    if (json_object_size(body) > 0 && access_project_change(r->ctx, r->project, &form, e) < 0) {
        return -1;
    }
    return reply_project(r, 200, r->project, e);
}

int access_http_project_delete(struct http_req *r, struct err *e)
{
    if (access_project_delete(r->ctx, r->project, e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}

int access_http_members(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct page p;

    if (access_http_page(r, &b, &p, e) < 0 || access_members_page(r->ctx, r->project, &p, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, 200, &b, e);
}

static int member_put(struct http_req *r, enum member_kind kind, const char *param, struct err *e)
{
    static const char *const keys[] = {"role"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str text;
    enum role role;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "role", &text, e) < 0 || role_parse_member(text, &role, e) < 0 ||
        access_member_put(r->ctx, r->project, kind, http_path_param(r, param), role, e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}

static int member_delete(struct http_req *r, enum member_kind kind, const char *param,
                         struct err *e)
{
    if (access_member_delete(r->ctx, r->project, kind, http_path_param(r, param), e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}

int access_http_member_put(struct http_req *r, struct err *e)
{
    return member_put(r, MEMBER_USER, "u", e);
}

int access_http_member_delete(struct http_req *r, struct err *e)
{
    return member_delete(r, MEMBER_USER, "u", e);
}

int access_http_group_member_put(struct http_req *r, struct err *e)
{
    return member_put(r, MEMBER_GROUP, "g", e);
}

int access_http_group_member_delete(struct http_req *r, struct err *e)
{
    return member_delete(r, MEMBER_GROUP, "g", e);
}
