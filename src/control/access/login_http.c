#include "access_http.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

int access_http_page(const struct http_req *r, struct buf *out, struct page *page, struct err *e)
{
    page->out = out;
    page->after = http_query(r, "after");
    if (page->after.p == NULL) {
        page->after = STR_EMPTY;
    }
    return http_query_filter(r, &page->q, e) < 0
               ? -1
               : http_query_i64(r, "limit", 100, 1, LIMIT_LIST_ROWS, &page->limit, e);
}

int access_http_json(struct http_req *r, int status, struct buf *json, struct err *e)
{
    int result = http_reply_json(r, status, json, e);

    buf_done(json);
    return result;
}

static const char *secure_flag(const struct http_req *r)
{
    return str_eq_c(r->scheme, "https") ? "; Secure" : "";
}

/* A page of somebody else must not sign its visitor in under another name. Browsers say where a
 * request comes from (Fetch Metadata); programs do not send the header. */
static int check_origin(const struct http_req *r, struct err *e)
{
    struct str site = http_header(r, "Sec-Fetch-Site");

    if (site.p == NULL || str_eq_c(site, "same-origin") || str_eq_c(site, "none")) {
        return 0;
    }
    return err_set(e, ERR_FORBIDDEN, "signing in from a page of another site is not allowed");
}

static int login_user(struct access *a, struct http_req *r, const json_t *body, struct err *e)
{
    static const char *const keys[] = {"user", "password"};
    struct str user, password;

    if (json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "user", &user, e) < 0 ||
        json_need_str(body, "password", &password, e) < 0) {
        return -1;
    }
    if (access_verify_password(a, user, password, r->peer, &r->who, e) == 0) {
        return 0;
    }
    if (e->kind == ERR_UNAUTHENTICATED) {
        struct err bad;

        /* People type passwords into the field of the name: only what may be a name is logged. */
        log_warn("access.login_failed", "user=%s peer=%s",
                 access_check_user_name(user, &bad) == 0 ? Q(user) : "?", r->peer);
    }
    return -1;
}

int access_http_login(struct http_req *r, struct err *e)
{
    struct access *a = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    char cookie[COOKIE_SIZE], csrf[CSRF_SIZE];
    struct user user;

    if (check_origin(r, e) < 0 || http_body_json(r, &body, e) < 0 ||
        login_user(a, r, body, e) < 0 || access_user_get(a, str_of(r->who.name), &user, e) < 0 ||
        access_session_new(a, r->who.user_id, r->peer, cookie, e) < 0) {
        return -1;
    }
    access_session_csrf(str_of(cookie), csrf);
    http_set_header(r, "Set-Cookie",
                    "strata_session=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s", cookie,
                    (long long)a->session_max_ms / 1000, secure_flag(r));
    http_set_header(r, "Cache-Control", "no-store");
    explicit_bzero(cookie, sizeof(cookie));
    jw_object(&w);
    jw_key(&w, "user");
    access_user_json(&w, &user);
    jw_kv_c(&w, "csrf", csrf);
    jw_end(&w);
    return access_http_json(r, 200, &b, e);
}

int access_http_logout(struct http_req *r, struct err *e)
{
    struct str cookie = access_session_cookie(r);

    if (r->who.kind == PRINCIPAL_SESSION && cookie.p && access_session_end(r->ctx, cookie, e) < 0) {
        return -1;
    }
    http_set_header(r, "Set-Cookie",
                    "strata_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0%s",
                    secure_flag(r));
    return http_reply_empty(r, 204, e);
}

static const char *kind_name(enum principal_kind kind)
{
    static const char *const names[] = {[PRINCIPAL_ANONYMOUS] = "anonymous",
                                        [PRINCIPAL_SESSION] = "session",
                                        [PRINCIPAL_TOKEN] = "token",
                                        [PRINCIPAL_PASSWORD] = "password",
                                        [PRINCIPAL_ROBOT] = "robot"};

    return names[kind];
}

int access_http_me(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    char csrf[CSRF_SIZE];

    jw_object(&w);
    jw_kv_c(&w, "name", r->who.name);
    jw_kv_bool(&w, "is_admin", r->who.is_admin);
    jw_kv_c(&w, "kind", kind_name(r->who.kind));
    jw_key(&w, "scopes");
    access_scopes_json(&w, r->who.scopes);
    if (r->who.kind == PRINCIPAL_SESSION) {
        access_session_csrf(access_session_cookie(r), csrf);
        jw_kv_c(&w, "csrf", csrf);
    }
    if (r->who.kind == PRINCIPAL_ROBOT) {
        jw_key(&w, "grants");
        if (access_robot_own_grants(r->ctx, &r->who, &w, e) < 0) {
            buf_done(&b);
            return -1;
        }
    }
    jw_key(&w, "projects");
    jw_array(&w);
    if (access_memberships(r->ctx, r->who.user_id, &w, e) < 0) {
        buf_done(&b);
        return -1;
    }
    jw_end(&w);
    jw_end(&w);
    http_set_header(r, "Cache-Control", "no-store");
    return access_http_json(r, 200, &b, e);
}

static int throttle_change(struct http_req *r, struct err *e)
{
    struct access *a = r->ctx;
    int64_t wait_ms = 0;

    if (access_throttle_change(a->throttle, str_of(r->who.name), clock_mono_ms(), &wait_ms, e) ==
        0) {
        return 0;
    }
    http_set_header(r, "Retry-After", "%lld", (long long)(wait_ms + 999) / 1000);
    return -1;
}

int access_http_password(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"old", "new"};
    struct access *a = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct user_change c = {0};
    struct principal again;
    struct user user;
    struct str old, cookie = access_session_cookie(r);
    unsigned char hash[SHA256_BYTES];

    if (r->who.scopes != PERM_ALL) {
        return err_set(e, ERR_FORBIDDEN,
                       "a token that is narrowed by scopes cannot change the password");
    }
    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "old", &old, e) < 0 || json_need_str(body, "new", &c.password, e) < 0 ||
        throttle_change(r, e) < 0) {
        return -1;
    }
    if (access_verify_password(a, str_of(r->who.name), old, r->peer, &again, e) < 0) {
        return e->kind == ERR_UNAUTHENTICATED ? err_set(e, ERR_FORBIDDEN, "old: wrong password")
                                              : -1;
    }
    if (r->who.kind == PRINCIPAL_SESSION && cookie.p) {
        sha256_of(cookie, hash);
        c.keep_session = str_n((const char *)hash, sizeof(hash));
    }
    if (access_user_change(a, str_of(r->who.name), &c, &user, e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}
