#include "net/net_priv.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* --- errors as answers --- */

static void default_error_body(const struct http_req *r, const struct err *e, struct buf *out)
{
    struct jw w = JW(out);

    jw_object(&w);
    jw_key(&w, "error");
    jw_object(&w);
    jw_kv_c(&w, "kind", err_name(e->kind));
    jw_kv_c(&w, "message", e->msg);
    jw_kv_c(&w, "request_id", r->id);
    jw_end(&w);
    jw_end(&w);
}

static void set_allow(struct http_req *r, unsigned allowed)
{
    char list[80];
    size_t n = 0;

    allowed |= allowed & 1U << HTTP_GET ? 1U << HTTP_HEAD : 0;
    allowed |= 1U << HTTP_OPTIONS;
    for (int m = 0; m < HTTP_METHODS; m++) {
        if (allowed & 1U << m) {
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "",
                                  http_method_name((enum http_method)m));
        }
    }
    http_set_header(r, "Allow", "%s", list);
}

static void set_challenge(struct exchange *x, const struct http_style *style)
{
    struct http_req *r = &x->req;

    if (style && style->challenge && r->route) {
        style->challenge(r, r->route->perm, r->project);
        return;
    }
    http_set_header(r, "WWW-Authenticate", "Bearer realm=\"strata\"");
}

/* What broke inside is for the operator; the client gets the request id to ask him with. */
static void hide_internals(struct err *e)
{
    if (e->kind == ERR_INTERNAL || e->kind == ERR_IO) {
        log_error("http.failed", "error=%s", Q(str_of(e->msg)));
        (void)err_set(
            e, e->kind,
            "something failed on the server; its log has the reason under this request id");
    }
}

static void buf_donep(struct buf *b)
{
    buf_done(b);
}

static void reply_error(struct exchange *x, int status, struct err *e)
{
    SCOPED(buf_donep) struct buf body = BUF_MAX(64 * KIB);
    const struct http_style *style = x->match.mount ? x->match.mount->style : NULL;
    struct err ignored;

    x->reply.bad_header = false;
    hide_internals(e);
    if (status == 401) {
        set_challenge(x, style);
    } else if (status == 405 && x->match.route) {
        /* RFC 9110 15.5.6 */
        set_allow(&x->req, route_allowed(x->server->routes, x->url) & ~(1U << x->req.method));
    }
    if (style && style->error_body) {
        style->error_body(&x->req, status, e, &body);
    } else {
        default_error_body(&x->req, e, &body);
    }
    (void)http_reply(&x->req, status, "application/json", buf_str(&body), &ignored);
}

static void fail(struct exchange *x, struct err *e)
{
    if (e->kind == ERR_NONE || e->kind >= ERR_KINDS) {
        (void)err_set(e, ERR_INTERNAL, "a handler failed without a reason");
    }
    reply_error(x, err_http_status(e->kind), e);
}

void reply_refusal(struct exchange *x, int status, const char *why)
{
    enum err_kind kind = err_kind_of_http(status);
    struct err e;

    /* 501 and 505 are the client's doing too: nothing to hide, nothing for the log */
    (void)err_set(&e, kind == ERR_INTERNAL ? ERR_UNSUPPORTED : kind, "%s", why);
    x->reply.closes = true;
    x->match = (struct route_match){0};
    reply_error(x, status, &e);
}

/* --- the request --- */

static void next_id(struct exchange *x)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t z = x->id_state += 0x9e3779b97f4a7c15ULL; /* splitmix64: distinct, not secret */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    for (int i = 0; i < 16; i++, z >>= 4) {
        x->req.id[i] = digits[z & 15];
    }
    x->req.id[16] = '\0';
}

void request_begin(struct exchange *x)
{
    struct arena arena = x->req.arena;

    arena_reset(&arena);
    x->req = (struct http_req){.arena = arena,
                               .conn = x->conn,
                               .scheme = x->conn->tls ? STR("https") : STR("http"),
                               .host = STR_EMPTY,
                               .project = STR_EMPTY,
                               .target = STR_EMPTY,
                               .path = STR_EMPTY};
    memcpy(x->req.peer, x->conn->peer, sizeof(x->conn->peer));
    (void)memcpy(x->req.who.name, "anonymous", sizeof("anonymous"));
    x->match.mount = NULL;
    x->match.route = NULL;
    next_id(x);
    reply_begin(x);
}

static int fill_request(struct exchange *x, struct url *u, struct err *e)
{
    struct http_req *r = &x->req;

    r->method = x->head.method;
    r->target = x->head.target;
    r->headers = x->head.headers;
    r->n_headers = x->head.n_headers;
    r->host = x->head.host.p ? x->head.host : STR_EMPTY;
    if (url_parse(&r->arena, x->head.target, u, e) < 0) {
        return -1;
    }
    if (str_eq(u->path, STR("*")) && r->method != HTTP_OPTIONS) {
        return err_set(e, ERR_INVALID, "only OPTIONS may ask about \"*\"");
    }
    if (u->authority.len > 0) {
        r->host = u->authority; /* RFC 9112 3.2.2: wins over Host */
    }
    r->path = u->path;
    if (u->query.len > 0 && url_parse_form(&r->arena, u->query, &r->query, &r->n_query, e) < 0) {
        return -1;
    }
    proxies_apply(x->server, r);
    return 0;
}

/* Paths that could mean two things to two readers go no further, except to handlers that asked. */
static int check_path(const struct url *u, const struct route *route, struct err *e)
{
    if (route && route->flags & ROUTE_RAW_PATH) {
        return 0;
    }
    if (u->flags & (URL_HAS_EMPTY | URL_HAS_DOTS | URL_HAS_SLASH)) {
        return err_set(e, ERR_INVALID,
                       "the path holds an empty segment, \".\", \"..\" or an encoded slash");
    }
    return 0;
}

static void no_route(struct exchange *x, unsigned allowed)
{
    struct http_req *r = &x->req;
    struct err e;

    if (r->method == HTTP_OPTIONS && (allowed || str_eq(r->path, STR("*")))) {
        set_allow(r, allowed ? allowed : (1U << HTTP_METHODS) - 1);
        (void)http_reply_empty(r, 204, &e);
        return;
    }
    r->ctx = x->match.mount ? x->match.mount->ctx : NULL;
    if (allowed) {
        set_allow(r, allowed);
        (void)err_set(&e, ERR_UNSUPPORTED, "%s is not possible on %.*s; header Allow says what is",
                      http_method_name(r->method), STR_ARG(str_first(r->path, 200)));
    } else {
        (void)err_set(&e, ERR_NOT_FOUND, "there is nothing at %.*s",
                      STR_ARG(str_first(r->path, 200)));
    }
    fail(x, &e);
}

static struct str project_of(const struct http_req *r)
{
    struct str p = http_path_param(r, "p");

    if (p.p == NULL && perm_where(r->route->perm) == PERM_WHERE_PROJECT) {
        p = http_path_param(r, "repo");
        p = p.p ? str_cut(&p, '/') : p;
    }
    return p.p ? p : STR_EMPTY;
}

static int check_access(struct exchange *x, struct err *e)
{
    const struct http_hooks *h = &x->server->options.hooks;
    struct http_req *r = &x->req;

    if (x->slot == NULL && r->route->perm == PERM_PUBLIC) {
        return 0; /* the reserve waits for nothing, so not for a password to be checked either */
    }
    if (h->authenticate && h->authenticate(h->ctx, r, &r->who, e) < 0) {
        return -1;
    }
    if (r->route->perm == PERM_PUBLIC) {
        return 0;
    }
    if (h->authorize == NULL) {
        return err_set(e, ERR_UNAUTHENTICATED, "nobody can sign in here");
    }
    if (h->authorize(h->ctx, r, r->route->perm, r->project, e) < 0) {
        return -1;
    }
    return r->route->also == PERM_PUBLIC ? 0
                                         : h->authorize(h->ctx, r, r->route->also, r->project, e);
}

static void finish(struct exchange *x, int rc, struct err *e)
{
    if (x->reply.state == REPLY_NONE) {
        if (rc == 0) {
            (void)err_set(e, ERR_INTERNAL, "the handler of %s sent no answer",
                          x->req.route->pattern);
        }
        fail(x, e);
    } else if (rc < 0) {
        log_debug("http.cut", "peer=%s error=%s", x->req.peer, Q(str_of(e->msg)));
        x->reply.state = x->reply.state == REPLY_SENT ? REPLY_SENT : REPLY_BROKEN;
    } else if (x->reply.state == REPLY_STREAM) {
        (void)reply_end_stream(x, e);
    }
}

static void call_handler(struct exchange *x)
{
    const struct http_style *style = x->match.mount->style;
    struct http_req *r = &x->req;
    struct err e = {.kind = ERR_NONE};
    int rc;

    r->route = x->match.route;
    r->ctx = x->match.mount->ctx;
    r->path_params = x->match.params;
    r->n_path_params = x->match.n_params;
    r->project = project_of(r);
    if (r->project.len > 0 && style && style->project) {
        r->project = style->project(r, r->project);
    }
    log_set_request(r->id);
    rc = check_access(x, &e);
    if (rc == 0) {
        rc = r->route->handle(r, &e);
    }
    finish(x, rc, &e);
    log_set_request(NULL);
}

enum dispatch_result dispatch(struct exchange *x)
{
    struct url u = {0};
    struct err e;

    x->url = &u;
    request_begin(x);
    body_begin(x);
    if (x->head.method == HTTP_METHODS) {
        reply_refusal(x, 501, "this method is not known here");
        return DISPATCH_DONE;
    }
    if (fill_request(x, &u, &e) < 0) {
        x->reply.closes = true; /* whoever sends this may mean something else by what follows */
        fail(x, &e);
        return DISPATCH_DONE;
    }
    route_find(x->server->routes, x->head.method, &u, &x->match);
    if (x->slot == NULL && !(x->match.route && x->match.route->flags & ROUTE_OWN_WORKER)) {
        return DISPATCH_NEEDS_WORKER;
    }
    if (check_path(&u, x->match.route, &e) < 0) {
        x->reply.closes = true;
        fail(x, &e);
    } else if (x->match.route == NULL) {
        no_route(x, x->match.allowed);
    } else {
        call_handler(x);
    }
    return DISPATCH_DONE;
}
