#include "access_http.h"

/* ?kind= */
static int query_kind(const struct http_req *r, enum user_kind *out, struct err *e)
{
    static const char *const kinds[] = {
        [USERS_ALL] = "", [USERS_ADMINS] = "admins", [USERS_DISABLED] = "disabled"};
    struct str text = http_query(r, "kind");

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq_c(text, kinds[i])) {
            *out = (enum user_kind)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "kind: give admins or disabled");
}

int access_http_users(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    enum user_kind kind;
    struct page p;

    if (query_kind(r, &kind, e) < 0 || access_http_page(r, &b, &p, e) < 0 ||
        access_users_page(r->ctx, kind, &p, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, 200, &b, e);
}

static int reply_user(struct http_req *r, int status, const struct user *u, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    access_user_json(&w, u);
    return access_http_json(r, status, &b, e);
}

int access_http_user_add(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", "password", "is_admin"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str name, password;
    bool is_admin = false;
    struct user made;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "name", &name, e) < 0 ||
        json_need_str(body, "password", &password, e) < 0 ||
        json_get_bool(body, "is_admin", &is_admin, e) < 0 ||
        access_user_add(r->ctx, name, password, is_admin ? USER_ADMIN : 0, &made, e) < 0) {
        return -1;
    }
    return reply_user(r, 201, &made, e);
}

int access_http_user(struct http_req *r, struct err *e)
{
    struct user u;

    if (access_user_get(r->ctx, http_path_param(r, "u"), &u, e) < 0) {
        return -1;
    }
    return reply_user(r, 200, &u, e);
}

static int get_change(const json_t *body, const char *key, enum change *out, struct err *e)
{
    bool v = false;

    if (json_get_bool(body, key, &v, e) < 0) {
        return -1;
    }
    if (json_object_get(body, key)) {
        *out = v ? CHANGE_SET : CHANGE_CLEAR;
    }
    return 0;
}

int access_http_user_change(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"password", "is_admin", "disabled"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct user_change c = {0};
    struct user u;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_str(body, "password", &c.password, e) < 0 ||
        get_change(body, "is_admin", &c.is_admin, e) < 0 ||
        get_change(body, "disabled", &c.disabled, e) < 0 ||
        access_user_change(r->ctx, http_path_param(r, "u"), &c, &u, e) < 0) {
        return -1;
    }
    return reply_user(r, 200, &u, e);
}

int access_http_user_delete(struct http_req *r, struct err *e)
{
    if (access_user_delete(r->ctx, http_path_param(r, "u"), e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}
