/* Robots of a project and of the system: the same handlers, which differ by whether the path names
 * a project, and by how the body says what a robot may: a list of permissions, or one a project. */
#include "access_http.h"

#include <string.h>

static int home_of(struct http_req *r, struct robot_home *out, struct err *e)
{
    return access_robot_home(r->ctx, &r->who, r->project, out, e);
}

int access_http_robots(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct robot_home home;
    struct page p;

    if (home_of(r, &home, e) < 0 || access_http_page(r, &b, &p, e) < 0 ||
        access_robots_page(r->ctx, &home, &p, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, 200, &b, e);
}

static int reply_robot(struct http_req *r, const struct robot_home *home, struct str name,
                       struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    if (access_robot_json(r->ctx, home, name, &w, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, 200, &b, e);
}

/* What is shown once. */
static int reply_secret(struct http_req *r, int status, const struct robot_home *home,
                        struct str name, char secret[TOKEN_SIZE], struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    int result;

    jw_object(&w);
    jw_key(&w, "robot");
    result = access_robot_json(r->ctx, home, name, &w, e);
    jw_kv_c(&w, "secret", secret);
    jw_end(&w);
    explicit_bzero(secret, TOKEN_SIZE);
    http_set_header(r, "Cache-Control", "no-store");
    if (result < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, status, &b, e);
}

int access_http_robot(struct http_req *r, struct err *e)
{
    struct robot_home home;

    return home_of(r, &home, e) < 0 ? -1 : reply_robot(r, &home, http_path_param(r, "r"), e);
}

/* --- bodies --- */

static int parse_grant(const json_t *item, struct robot_grant *out, struct err *e)
{
    static const char *const keys[] = {"project", "permissions"};

    if (!json_is_object(item) || json_only_keys(item, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(item, "project", &out->project, e) < 0) {
        return json_is_object(item)
                   ? -1
                   : err_set(e, ERR_INVALID, "give {\"project\": ..., \"permissions\": [...]}");
    }
    return access_http_permissions_of(json_object_get(item, "permissions"), "permissions",
                                      &out->perms, e);
}

static int parse_grants(struct http_req *r, const json_t *list, struct robot_change *c,
                        struct err *e)
{
    struct robot_grant *grants;
    size_t i;
    json_t *item;

    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > LIMIT_ROBOT_GRANTS) {
        return err_set(e, ERR_INVALID,
                       "grants: give a list of 1 to %d, such as [{\"project\": \"demo\", "
                       "\"permissions\": [\"image:pull\"]}]; the project \"*\" is every one",
                       LIMIT_ROBOT_GRANTS);
    }
    grants = arena_new_array(&r->arena, struct robot_grant, json_array_size(list));
    json_array_foreach(list, i, item)
    {
        if (parse_grant(item, &grants[i], e) < 0) {
            return err_wrap(e, "grants[%zu]", i);
        }
        for (size_t before = 0; before < i; before++) {
            if (str_eq(grants[before].project, grants[i].project)) {
                return err_set(e, ERR_INVALID, "grants[%zu]: this project was named before", i);
            }
        }
    }
    c->grants = grants;
    c->n_grants = json_array_size(list);
    return 0;
}

static int parse_permissions(struct http_req *r, const json_t *list, struct robot_change *c,
                             struct err *e)
{
    struct robot_grant *grant = arena_new_array(&r->arena, struct robot_grant, 1);

    grant->project = r->project;
    c->grants = grant;
    c->n_grants = 1;
    return access_http_permissions_of(list, "permissions", &grant->perms, e);
}

static int parse_change(struct http_req *r, const json_t *body, struct robot_change *c,
                        struct err *e)
{
    bool of_project = r->project.len > 0;
    const json_t *may = json_object_get(body, of_project ? "permissions" : "grants");
    bool disabled = false;

    if (json_get_str(body, "description", &c->description, e) < 0 ||
        access_check_description(c->description, e) < 0 ||
        json_get_bool(body, "disabled", &disabled, e) < 0 ||
        access_http_expiry(body, &c->has_expiry, &c->expires_ms, e) < 0) {
        return -1;
    }
    if (json_object_get(body, "disabled")) {
        c->disabled = disabled ? CHANGE_SET : CHANGE_CLEAR;
    }
    if (may == NULL) {
        return 0;
    }
    return of_project ? parse_permissions(r, may, c, e) : parse_grants(r, may, c, e);
}

static int check_keys(const struct http_req *r, const json_t *body, bool is_new, struct err *e)
{
    const char *keys[] = {"description", "disabled", "expires_in_seconds",
                          r->project.len > 0 ? "permissions" : "grants", "name"};

    return json_only_keys(body, keys, ARRAY_LEN(keys) - (is_new ? 0 : 1), e);
}

/* --- changes --- */

int access_http_robot_add(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct robot_change c = {0};
    struct robot_home home;
    struct str name;
    char secret[TOKEN_SIZE];

    if (home_of(r, &home, e) < 0 || http_body_json(r, &body, e) < 0 ||
        check_keys(r, body, true, e) < 0 || json_need_str(body, "name", &name, e) < 0 ||
        parse_change(r, body, &c, e) < 0) {
        return -1;
    }
    if (c.n_grants == 0) {
        return err_set(e, ERR_INVALID, "%s: say what the robot may",
                       r->project.len > 0 ? "permissions" : "grants");
    }
    c.has_expiry = true; /* none given: never */
    if (access_robot_add(r->ctx, &home, r->who.name, name, &c, secret, e) < 0) {
        return -1;
    }
    r->audit_note = arena_str(&r->arena, name);
    return reply_secret(r, 201, &home, name, secret, e);
}

int access_http_robot_change(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str name = http_path_param(r, "r");
    struct robot_change c = {0};
    struct robot_home home;

    if (home_of(r, &home, e) < 0 || http_body_json(r, &body, e) < 0 ||
        check_keys(r, body, false, e) < 0 || parse_change(r, body, &c, e) < 0 ||
        access_robot_change(r->ctx, &home, name, &c, e) < 0) {
        return -1;
    }
    return reply_robot(r, &home, name, e);
}

int access_http_robot_rotate(struct http_req *r, struct err *e)
{
    struct str name = http_path_param(r, "r");
    struct robot_home home;
    char secret[TOKEN_SIZE];

    if (home_of(r, &home, e) < 0 || access_robot_rotate(r->ctx, &home, name, secret, e) < 0) {
        return -1;
    }
    return reply_secret(r, 200, &home, name, secret, e);
}

int access_http_robot_delete(struct http_req *r, struct err *e)
{
    struct robot_home home;

    if (home_of(r, &home, e) < 0 ||
        access_robot_delete(r->ctx, &home, http_path_param(r, "r"), e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}
