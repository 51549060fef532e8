/* The Docker token service, and the tokens it gave coming back.
 *
 *   /service/token: who (password or personal token) + asked scopes -> asked ∩ allowed -> JWT
 *   /v2/...:        JWT -> registry_bearer -> principal narrowed to the scopes of that repository
 *
 * Source: docs.docker.com "Token authentication specification" and its OAuth2 variant. */
#include "registry_priv.h"

#include "access/access.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "refresh.h"

#include <stdlib.h>
#include <string.h>

enum {
    TOKEN_SECONDS = REGISTRY_TOKEN_SEC,
    SCAN_SECONDS = 3600, /* a scanner fetches a large image and its database */
    REFRESH_SECONDS = 30 * 24 * 3600,
    SCOPES_MAX = 32,
    CACHE_MAX = 1024, /* about 500 bytes each */
};

/* --- verified tokens: checking a signature takes 60 us, looking here 1 --- */

struct cached {
    struct arena arena;
    struct jwt_claims claims;
};

struct token_cache {
    struct map by_hash; /* SHA-256 of the token -> struct cached */
};

static void cached_free(struct cached *c)
{
    arena_done(&c->arena);
    free(c);
}

static void forget_all(struct token_cache *t)
{
    struct str key;
    void *value;

    for (size_t i = 0; map_next(&t->by_hash, &i, &key, &value);) {
        cached_free(value);
    }
    map_done(&t->by_hash);
}

struct token_cache *token_cache_new(void)
{
    return xnew(struct token_cache);
}

void token_cache_free(struct token_cache *t)
{
    if (t != NULL) {
        forget_all(t);
        free(t);
    }
}

/* What one token allows in one place. */
struct allowed {
    int64_t user_id, token_id, generation;
    char user_name[LIMIT_LOGIN_BYTES + 1];
    uint64_t perms; /* PERM_BITs */
};

static uint64_t perms_of(unsigned actions)
{
    return (actions & SCOPE_PULL ? PERM_BIT(PERM_IMAGE_PULL) : 0) |
           (actions & SCOPE_PUSH ? PERM_BIT(PERM_IMAGE_PUSH) : 0) |
           (actions & SCOPE_DELETE ? PERM_BIT(PERM_IMAGE_DELETE) : 0);
}

static unsigned actions_of(uint64_t perms)
{
    return (perms & PERM_BIT(PERM_IMAGE_PULL) ? SCOPE_PULL : 0U) |
           (perms & PERM_BIT(PERM_IMAGE_PUSH) ? SCOPE_PUSH : 0U) |
           (perms & PERM_BIT(PERM_IMAGE_DELETE) ? SCOPE_DELETE : 0U);
}

/* `type` and `name` as in the access list: ("repository", "demo/app"), ("registry", "catalog"). */
static struct allowed allowed_by(const struct jwt_claims *c, const char *type, struct str name)
{
    struct allowed out = {
        .user_id = c->user_id, .token_id = c->token_id, .generation = c->generation};

    (void)!str_copy(c->user_name, out.user_name, sizeof(out.user_name));
    for (size_t i = 0; i < c->n_access; i++) {
        if (str_eq_c(c->access[i].type, type) && str_eq(c->access[i].name, name)) {
            out.perms |= perms_of(c->access[i].actions);
        }
    }
    return out;
}

static bool look_up(struct registry *r, struct str hash, const char *type, struct str name,
                    struct allowed *out)
{
    int64_t now_sec = clock_wall_ms() / 1000;
    struct lock *l = &r->lock;
    struct cached *c;

    WITH_LOCK(l);
    c = map_get(&r->tokens->by_hash, hash);
    if (c == NULL || c->claims.expires_sec <= now_sec) {
        return false;
    }
    *out = allowed_by(&c->claims, type, name);
    return true;
}

static void remember(struct registry *r, struct str hash, struct cached *fresh)
{
    struct lock *l = &r->lock;
    struct cached *before;

    WITH_LOCK(l);
    if (r->tokens->by_hash.len >= CACHE_MAX) {
        forget_all(r->tokens); /* tokens live 5 minutes: most were of no more use */
    }
    before = map_put(&r->tokens->by_hash, hash, fresh);
    if (before != NULL) {
        cached_free(before);
    }
}

static int check_token(struct registry *r, struct str token, const char *type, struct str name,
                       struct allowed *out, struct err *e)
{
    unsigned char sum[SHA256_BYTES];
    struct str hash = {(const char *)sum, sizeof(sum)};
    struct cached *fresh;

    sha256_of(token, sum);
    if (look_up(r, hash, type, name, out)) {
        return 0;
    }
    fresh = xnew(struct cached);
    if (jwt_verify(r->key, &fresh->arena, token, JWT_AUDIENCE, &fresh->claims, e) < 0) {
        cached_free(fresh);
        return -1;
    }
    *out = allowed_by(&fresh->claims, type, name);
    remember(r, hash, fresh);
    return 0;
}

/* --- tokens coming back --- */

/* The user as he is now. Ids may be given again, so the name must be the same too. */
static int principal_of(struct registry *r, const struct allowed *by, struct principal *out,
                        struct err *e)
{
    if (by->user_id == 0) {
        *out = (struct principal){.kind = PRINCIPAL_ANONYMOUS, .scopes = PERM_ALL};
        memcpy(out->name, "anonymous", sizeof("anonymous"));
        return 0;
    }
    if (access_principal(r->access, by->user_id, out, e) < 0 ||
        (by->token_id != 0 && access_token_alive(r->access, by->token_id, e) < 0)) {
        return -1;
    }
    out->token_id = by->token_id;
    if (by->token_id == 0 && by->generation != out->generation) {
        return err_set(e, ERR_UNAUTHENTICATED,
                       "the password of this user (or the secret of this robot) was changed");
    }
    return strcmp(out->name, by->user_name) == 0
               ? 0
               : err_set(e, ERR_UNAUTHENTICATED, "the user of this token is gone");
}

int registry_bearer(void *ctx, struct http_req *req, struct str token, struct principal *out,
                    struct err *e)
{
    struct registry *r = ctx;
    struct str repository = http_path_param(req, "repo");
    bool is_catalog = str_eq_c(req->path, "/v2/_catalog");
    struct allowed allowed;
    struct principal who;

    if (!str_starts(req->path, STR("/v2/"))) {
        return err_set(e, ERR_UNAUTHENTICATED,
                       "this token is for the image registry (/v2/) only: use a personal token");
    }
    if (check_token(r, token, is_catalog ? "registry" : "repository",
                    is_catalog ? STR("catalog") : repository, &allowed, e) < 0 ||
        principal_of(r, &allowed, &who, e) < 0) {
        return -1;
    }
    /* Nobody's token for scanners: our own, for this repository alone, and to pull only. */
    if (allowed.user_id == 0 && request_scans(r, req, repository)) {
        who.is_admin = true;
        memcpy(who.name, "scanner", sizeof("scanner"));
    }
    /* 401 and not 403: the client fetches a token with the scope the challenge names. */
    if ((is_catalog && allowed.perms == 0) || (perm_where(req->route->perm) == PERM_WHERE_PROJECT &&
                                               !(allowed.perms & PERM_BIT(req->route->perm)))) {
        req->error_code = "DENIED";
        return err_set(e, ERR_UNAUTHENTICATED, "requested access to %.*s is denied",
                       STR_ARG(is_catalog ? STR("the catalog") : repository));
    }
    who.scopes &= allowed.perms;
    *out = who;
    return 1;
}

/* p == NULL without one. */
static struct str jwt_of(const struct http_req *req)
{
    struct str value = http_header(req, "Authorization");
    struct str token = str_trim(str_from(value, 7));

    return str_eq_nocase(str_first(value, 7), STR("Bearer ")) && !str_starts(token, STR("strata_"))
               ? token
               : (struct str){0};
}

bool request_has_jwt(const struct http_req *req)
{
    return jwt_of(req).p != NULL;
}

uint64_t request_scopes(struct registry *r, const struct http_req *req, struct str repository)
{
    struct str token = jwt_of(req);
    struct allowed allowed;
    struct err ignored;

    if (token.p == NULL) {
        return req->who.scopes;
    }
    return check_token(r, token, "repository", repository, &allowed, &ignored) < 0 ? 0
                                                                                   : allowed.perms;
}

bool request_is_signing_tool(const struct http_req *req)
{
    struct str agent = http_header(req, "User-Agent");

    return str_find(agent, STR("cosign")) >= 0 || str_find(agent, STR("notation")) >= 0;
}

/* --- tokens going out --- */

struct grant {
    struct scope access[SCOPES_MAX];
    size_t n;
};

/* asked ∩ allowed. Less than asked is no error: the answer to the request itself will tell. */
static void grant_one(struct registry *r, const struct principal *who, struct str text,
                      struct grant *g)
{
    struct scope asked;
    struct err ignored;

    if (g->n == SCOPES_MAX || scope_parse(text, &asked, &ignored) < 0) {
        return;
    }
    if (str_eq_c(asked.type, "repository") && name_check(asked.name, &ignored) == 0) {
        asked.actions &= actions_of(access_permissions(r->access, who, name_project(asked.name)));
    } else if (!str_eq_c(asked.type, "registry") || !str_eq_c(asked.name, "catalog") ||
               !(who->scopes & PERM_BIT(PERM_IMAGE_PULL))) {
        asked.actions = 0; /* the catalog shows each only what he may pull */
    }
    if (asked.actions != 0) {
        g->access[g->n++] = asked;
    }
}

static void grant_all(struct registry *r, const struct principal *who,
                      const struct http_param *params, size_t n, struct grant *g)
{
    for (size_t i = 0; i < n; i++) {
        struct str rest = params[i].value;

        while (str_eq_c(params[i].name, "scope") && rest.p != NULL) {
            struct str one = str_cut(&rest, ' ');

            if (one.len > 0) {
                grant_one(r, who, one, g);
            }
        }
    }
}

static int sign_access(struct registry *r, const struct principal *who, const struct grant *g,
                       int64_t seconds, struct buf *out, struct err *e)
{
    int64_t now_sec = clock_wall_ms() / 1000;
    struct jwt_claims claims = {
        .audience = STR(JWT_AUDIENCE),
        .user_name = who->user_id ? str_of(who->name) : STR_EMPTY,
        .user_id = who->user_id,
        .token_id = who->token_id,
        .generation = who->generation,
        .issued_sec = now_sec,
        .expires_sec = now_sec + seconds,
        .access = (struct scope *)g->access,
        .n_access = g->n,
    };

    return jwt_sign(r->key, &claims, out, e);
}

/* Nobody is granted the second one by asking: see grant_one. */
int registry_scan_token(struct registry *r, int64_t user_id, struct str repository, struct buf *out,
                        struct err *e)
{
    struct grant g = {.n = 2};
    struct principal who;

    g.access[0] = (struct scope){STR("repository"), repository, SCOPE_PULL};
    g.access[1] = (struct scope){STR("scanner"), repository, SCOPE_PULL};
    if (user_id == 0) {
        who = (struct principal){.kind = PRINCIPAL_ANONYMOUS};
    } else if (access_principal(r->access, user_id, &who, e) < 0) {
        return -1;
    }
    return sign_access(r, &who, &g, SCAN_SECONDS, out, e);
}

bool request_scans(struct registry *r, const struct http_req *req, struct str repository)
{
    struct str token = jwt_of(req);
    struct allowed allowed;
    struct err ignored;

    return token.p != NULL &&
           check_token(r, token, "scanner", repository, &allowed, &ignored) == 0 &&
           allowed.perms != 0;
}

static int sign_refresh(struct registry *r, const struct principal *who, struct str password,
                        struct buf *out, struct err *e)
{
    int64_t now_sec = clock_wall_ms() / 1000;
    struct buf sealed = BUF_MAX(1024);
    struct jwt_claims claims = {
        .audience = STR(JWT_AUDIENCE_REFRESH),
        .user_name = str_of(who->name),
        .user_id = who->user_id,
        .issued_sec = now_sec,
        .expires_sec = now_sec + REFRESH_SECONDS,
    };
    int result = refresh_seal(r->key, claims.user_name, password, &sealed, e);

    if (result == 0) {
        claims.sealed = buf_str(&sealed);
        result = jwt_sign(r->key, &claims, out, e);
    }
    buf_done(&sealed);
    return result;
}

static void add_actions(unsigned actions, struct buf *out)
{
    static const struct {
        enum scope_action action;
        const char *name;
    } names[] = {{SCOPE_PULL, "pull"}, {SCOPE_PUSH, "push"}, {SCOPE_DELETE, "delete"}};
    const char *comma = "";

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (actions & names[i].action) {
            buf_printf(out, "%s%s", comma, names[i].name);
            comma = ",";
        }
    }
}

/* As asked for: the catalog has no actions of its own, only "*". */
static void write_scope(struct jw *w, const struct grant *g)
{
    struct buf b = BUF_MAX(16384);

    for (size_t i = 0; i < g->n; i++) {
        const struct scope *s = &g->access[i];

        buf_printf(&b, "%s%.*s:%.*s:", i ? " " : "", STR_ARG(s->type), STR_ARG(s->name));
        if (str_eq_c(s->type, "registry")) {
            buf_add_c(&b, "*");
        } else {
            add_actions(s->actions, &b);
        }
    }
    jw_kv_str(w, "scope", buf_str(&b));
    buf_done(&b);
}

/* `password` is that of a refresh token to be given too; p == NULL: none. */
static int reply_token(struct http_req *req, const struct principal *who, const struct grant *g,
                       struct str password, struct err *e)
{
    struct registry *r = req->ctx;
    struct buf token = BUF_MAX(JWT_BYTES_MAX), again = BUF_MAX(JWT_BYTES_MAX);
    struct buf body = BUF_MAX(4 * JWT_BYTES_MAX);
    struct jw w = JW(&body);
    int result = sign_access(r, who, g, TOKEN_SECONDS, &token, e);

    if (result == 0 && password.p != NULL) {
        result = sign_refresh(r, who, password, &again, e);
    }
    if (result == 0) {
        jw_object(&w);
        jw_kv_str(&w, "token", buf_str(&token));
        jw_kv_str(&w, "access_token", buf_str(&token));
        jw_kv_i64(&w, "expires_in", TOKEN_SECONDS);
        jw_kv_time(&w, "issued_at", clock_wall_ms());
        write_scope(&w, g);
        if (again.len > 0) {
            jw_kv_str(&w, "refresh_token", buf_str(&again));
        }
        jw_end(&w);
        http_set_header(req, "Cache-Control", "no-store");
        result = http_reply_json(req, 200, &body, e);
    }
    buf_done(&token);
    buf_done(&again);
    buf_done(&body);
    return result;
}

/* The password (or personal token) of a Basic header that access has accepted; p == NULL without.
 */
static struct str basic_password(struct http_req *req)
{
    struct str value = http_header(req, "Authorization");
    struct buf plain = BUF_MAX(1024);
    struct str out = {0}, rest;

    if (str_eq_nocase(str_first(value, 6), STR("Basic ")) &&
        base64_decode(str_trim(str_from(value, 6)), &plain) == 0) {
        rest = buf_str(&plain);
        (void)str_cut(&rest, ':');
        out = rest.p ? arena_str(&req->arena, rest) : rest;
    }
    buf_done(&plain);
    return out;
}

int token_get(struct http_req *req, struct err *e)
{
    bool offline = str_eq_c(http_query(req, "offline_token"), "true");
    struct grant g = {.n = 0};

    if (req->who.kind == PRINCIPAL_ANONYMOUS && http_query(req, "scope").p == NULL) {
        return err_set(e, ERR_UNAUTHENTICATED, "give a user name and a password or token");
    }
    grant_all(req->ctx, &req->who, req->query, req->n_query, &g);
    return reply_token(req, &req->who, &g,
                       offline && req->who.user_id != 0 ? basic_password(req) : (struct str){0}, e);
}

static struct str field(const struct http_param *form, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(form[i].name, name)) {
            return form[i].value;
        }
    }
    return STR_EMPTY;
}

/* OAuth2: who asks, and with which password. */
static int identify(struct http_req *req, const struct http_param *form, size_t n,
                    struct principal *who, struct str *password, struct err *e)
{
    struct registry *r = req->ctx;
    struct str type = field(form, n, "grant_type"), user = field(form, n, "username");
    struct jwt_claims claims;

    *password = field(form, n, "password");
    if (str_eq_c(type, "refresh_token")) {
        if (jwt_verify(r->key, &req->arena, field(form, n, "refresh_token"), JWT_AUDIENCE_REFRESH,
                       &claims, e) < 0 ||
            refresh_open(r->key, &req->arena, claims.user_name, claims.sealed, password, e) < 0) {
            return -1;
        }
        user = claims.user_name;
    } else if (!str_eq_c(type, "password")) {
        return err_set(e, ERR_INVALID, "grant_type \"%.*s\": use password or refresh_token",
                       STR_ARG(str_first(type, 40)));
    }
    return access_verify(r->access, user, *password, req->peer, who, e);
}

int token_post(struct http_req *req, struct err *e)
{
    const struct http_param *form;
    struct grant g = {.n = 0};
    struct principal who = {0};
    struct str password = {0};
    bool offline;
    size_t n;

    if (http_body_form(req, &form, &n, e) < 0 || identify(req, form, n, &who, &password, e) < 0) {
        return -1;
    }
    offline = str_eq_c(field(form, n, "access_type"), "offline");
    grant_all(req->ctx, &who, form, n, &g);
    return reply_token(req, &who, &g, offline ? password : (struct str){0}, e);
}
