#include "remote.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "challenge.h"
#include "manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LIST_BYTES_MAX = 16 * 1024 * 1024, /* of one page of names */
    PAGES_MAX = 10000,
    TOKEN_BYTES_MAX = 64 * 1024,
    TOKEN_SEC = 60,   /* when the peer does not say: what Docker's protocol has */
    UPLOAD_TRIES = 5, /* without a byte of progress between them */
    URL_MAX = 2048
};

struct token {
    int64_t until_ms; /* monotonic */
    char text[];
};

struct remote {
    struct fetch *fetch;
    char *url, *basic; /* basic: header value, NULL when anonymous */
    int64_t rate_bytes;
    fetch_stop *stop;
    void *stop_ctx;
    struct map tokens; /* by scope */
    bool wants_basic;  /* it said so: no tokens */
    int64_t retry_sec;
};

/* --- open and close --- */

static char *basic_of(const char *user, const char *password)
{
    struct buf pair = BUF_MAX(4096), value = BUF_MAX(8192);

    if (user == NULL || user[0] == '\0') {
        return NULL;
    }
    (void)buf_printf(&pair, "%s:%s", user, password ? password : "");
    (void)buf_add_c(&value, "Basic ");
    (void)base64_add(&value, buf_str(&pair));
    buf_done(&pair);
    return buf_take(&value);
}

struct remote *remote_open(const struct remote_options *o, struct err *e)
{
    SCOPED(remote_closep) struct remote *r = xnew(struct remote);
    struct str url = str_of(o->url);

    while (url.len > 0 && url.p[url.len - 1] == '/') {
        url = str_first(url, url.len - 1);
    }
    r->url = xstrndup(url.p, url.len);
    r->basic = basic_of(o->user, o->password);
    r->rate_bytes = o->rate_bytes;
    r->stop = o->stop;
    r->stop_ctx = o->stop_ctx;
    if (strlen(r->url) > 512) {
        err_set(e, ERR_INVALID, "the registry's address is longer than 512 bytes");
        return NULL;
    }
    r->fetch = fetch_new(&o->fetch, e);
    return r->fetch ? TAKE(r) : NULL;
}

void remote_close(struct remote *r)
{
    struct str key;
    void *value;

    if (r == NULL) {
        return;
    }
    for (size_t i = 0; map_next(&r->tokens, &i, &key, &value);) {
        free(value);
    }
    map_done(&r->tokens);
    fetch_free(r->fetch);
    free(r->url);
    if (r->basic) {
        explicit_bzero(r->basic, strlen(r->basic));
    }
    free(r->basic);
    free(r);
}

int64_t remote_retry_sec(const struct remote *r)
{
    return r->retry_sec;
}

/* --- tokens --- */

static void escape_into(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~/", c) != NULL;

        (void)buf_printf(b, plain && c ? "%c" : "%%%02X", plain && c ? c : (unsigned char)c);
    }
}

static void keep_token(struct remote *r, struct str scope, struct str text, int64_t seconds)
{
    struct token *t = xcalloc(1, sizeof(*t) + text.len + 1);

    t->until_ms = clock_mono_ms() + (seconds > 10 ? seconds - 5 : seconds) * 1000;
    memcpy(t->text, text.p, text.len);
    free(map_put(&r->tokens, scope, t));
}

static int read_token(struct remote *r, struct str scope, struct str body, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = json_parse(body, e);
    struct str text = STR_EMPTY;
    int64_t seconds = TOKEN_SEC;

    if (doc == NULL || json_get_str(doc, "token", &text, e) < 0 ||
        (text.len == 0 && json_need_str(doc, "access_token", &text, e) < 0) ||
        json_get_i64(doc, "expires_in", &seconds, e) < 0) {
        return err_wrap(e, "the token service of %s", r->url);
    }
    if (text.len == 0 || text.len > 16000) {
        return err_set(e, ERR_INVALID, "the token service of %s gave no token", r->url);
    }
    keep_token(r, scope, text, seconds > 0 && seconds < 86400 ? seconds : TOKEN_SEC);
    return 0;
}

static int get_token(struct remote *r, const struct challenge *c, struct str scope, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    struct buf url = BUF_MAX(8192);
    struct fetch_request q = {.method = "GET",
                              .answer_max = TOKEN_BYTES_MAX,
                              .stop = r->stop,
                              .stop_ctx = r->stop_ctx,
                              .total_sec = 30};
    struct str rest = scope;
    char realm[URL_MAX];
    int result = fetch_url_join(r->url, c->realm, realm, e);

    if (result == 0) {
        (void)buf_printf(&url, "%s%sservice=", realm, strchr(realm, '?') ? "&" : "?");
        escape_into(&url, c->service.p ? c->service : STR_EMPTY);
        while (rest.p != NULL && scope.len > 0) {
            (void)buf_add_c(&url, "&scope=");
            escape_into(&url, str_cut(&rest, ' '));
        }
        q.url = url.p;
        if (r->basic != NULL) {
            q.headers[q.n_headers++] = (struct fetch_header){"Authorization", r->basic};
        }
        result = url.failed ? err_set(e, ERR_INVALID, "the token service's address is too long")
                            : fetch_do(r->fetch, &q, &a, e);
    }
    buf_done(&url);
    if (result < 0) {
        return -1;
    }
    if (a.status == 200) {
        return read_token(r, scope, buf_str(&a.body), e);
    }
    r->retry_sec = fetch_retry_after(&a, 0, 3600);
    return a.status == 401 || a.status == 403
               ? err_set(e, ERR_FORBIDDEN, "%s does not take this user and password", r->url)
               : err_set(e, a.status == 429 ? ERR_THROTTLED : ERR_UNAVAILABLE,
                         "the token service of %s answers %d", r->url, a.status);
}

/* --- one request --- */

struct ask {
    const char *method, *url;  /* whole */
    struct str scope;          /* "repository:demo/app:pull" */
    struct fetch_request more; /* headers, bodies, sink: the rest is filled in */
};

static void authorize(struct remote *r, const struct ask *q, struct fetch_request *f, char *bearer,
                      size_t size)
{
    const struct token *t = map_get(&r->tokens, q->scope);

    if (!fetch_same_origin(r->url, q->url)) {
        return; /* an upload that goes elsewhere carries its own permission in its address */
    }
    if (r->wants_basic && r->basic != NULL) {
        f->headers[f->n_headers++] = (struct fetch_header){"Authorization", r->basic};
    } else if (t != NULL && t->until_ms > clock_mono_ms()) {
        (void)snprintf(bearer, size, "Bearer %s", t->text);
        f->headers[f->n_headers++] = (struct fetch_header){"Authorization", bearer};
    }
}

/* After a 401: with what to try again. */
static int answer_challenge(struct remote *r, const struct ask *q, const struct fetch_answer *a,
                            struct err *e)
{
    SCOPED(arena_done) struct arena arena = {0};
    struct challenge c;

    if (challenge_parse(&arena, fetch_answer_header(a, "WWW-Authenticate"), &c, e) < 0) {
        return err_wrap(e, "%s", r->url);
    }
    if (c.is_bearer) {
        return get_token(r, &c, q->scope, e);
    }
    if (r->basic == NULL) {
        return err_set(e, ERR_FORBIDDEN, "%s wants a user and a password", r->url);
    }
    r->wants_basic = true;
    return 0;
}

static int ask_once(struct remote *r, const struct ask *q, struct fetch_answer *a, struct err *e)
{
    struct fetch_request f = q->more;
    char bearer[16384];

    f.method = q->method;
    f.url = q->url;
    f.stop = r->stop;
    f.stop_ctx = r->stop_ctx;
    f.rate_bytes = r->rate_bytes;
    authorize(r, q, &f, bearer, sizeof(bearer));
    return fetch_do(r->fetch, &f, a, e);
}

/* 0: an answer that is no 401. */
static int ask(struct remote *r, const struct ask *q, struct fetch_answer *a, struct err *e)
{
    r->retry_sec = 0;
    if (ask_once(r, q, a, e) < 0) {
        return -1;
    }
    if (a->status == 401) {
        int result = answer_challenge(r, q, a, e);

        fetch_answer_done(a);
        if (result < 0 || ask_once(r, q, a, e) < 0) {
            return -1;
        }
    }
    r->retry_sec = fetch_retry_after(a, 0, 3600);
    return 0;
}

/* What the peer says of it: {"errors":[{"code","message"}]}. */
static void say_why(const struct fetch_answer *a, char out[200])
{
    struct err ignored;
    SCOPED(json_decrefp) json_t *doc = json_parse(buf_str(&a->body), &ignored);
    const json_t *first = json_array_get(json_object_get(doc, "errors"), 0);
    struct str message = STR_EMPTY;

    if (first != NULL) {
        (void)!json_get_str(first, "message", &message, &ignored);
    }
    (void)snprintf(out, 200, "%s%.*s", message.len ? ": " : "", STR_ARG(str_first(message, 190)));
}

static int refuse(const struct remote *r, const struct ask *q, const struct fetch_answer *a,
                  struct err *e)
{
    static const struct {
        int status;
        enum err_kind kind;
    } kinds[] = {{401, ERR_FORBIDDEN}, {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
                 {408, ERR_TIMEOUT},   {409, ERR_CONFLICT},  {412, ERR_CONFLICT},
                 {413, ERR_LIMIT},     {416, ERR_RANGE},     {429, ERR_THROTTLED},
                 {507, ERR_NO_SPACE}};
    enum err_kind kind = a->status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
    char why[200];

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        kind = kinds[i].status == a->status ? kinds[i].kind : kind;
    }
    say_why(a, why);
    return err_set(e, kind, "%s answers %d to %s %s%s", r->url, a->status, q->method,
                   q->url + (str_starts(str_of(q->url), str_of(r->url)) ? strlen(r->url) : 0), why);
}

static int url_of(const struct remote *r, char out[URL_MAX], const char *fmt, struct str repository,
                  const char *rest, struct err *e)
{
    char path[URL_MAX];
    int n = snprintf(path, sizeof(path), fmt, STR_ARG(repository), rest);

    return n > 0 && n < URL_MAX && snprintf(out, URL_MAX, "%s%s", r->url, path) < URL_MAX
               ? 0
               : err_set(e, ERR_INVALID, "the name is too long");
}

static struct str scope_of(char out[1024], struct str repository, const char *actions,
                           struct str mount_from)
{
    (void)snprintf(out, 1024, "repository:%.*s:%s%s%.*s%s", STR_ARG(repository), actions,
                   mount_from.p ? " repository:" : "", STR_ARG(mount_from),
                   mount_from.p ? ":pull" : "");
    return str_of(out);
}

int remote_ping(struct remote *r, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX];
    struct ask q = {.method = "GET", .url = url, .scope = STR_EMPTY, .more = {.total_sec = 30}};

    if (url_of(r, url, "/v2/%.*s%s", STR_EMPTY, "", e) < 0 || ask(r, &q, &a, e) < 0) {
        return -1;
    }
    return a.status == 200   ? 0
           : a.status == 404 ? err_set(e, ERR_INVALID, "%s is no image registry (no /v2/)", r->url)
                             : refuse(r, &q, &a, e);
}

/* --- lists --- */

/* The address of the next page out of `Link: <...>; rel="next"`; 0 when there is none. */
static int next_page(const struct fetch_answer *a, const char *url, char next[URL_MAX],
                     struct err *e)
{
    struct str link = fetch_answer_header(a, "Link");
    ptrdiff_t from = str_find_char(link, '<'), to = str_find_char(link, '>');

    if (link.p == NULL || from < 0 || to < from || str_find(link, STR("next")) < 0) {
        return 0;
    }
    if (fetch_url_join(url, str_first(str_from(link, (size_t)from + 1), (size_t)(to - from - 1)),
                       next, e) < 0) {
        return -1;
    }
    return fetch_same_origin(url, next)
               ? 1
               : err_set(e, ERR_INVALID, "the next page of %s lies on another server", url);
}

static int each_name(const struct fetch_answer *a, const char *key, remote_name *each, void *ctx,
                     struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = json_parse(buf_str(&a->body), e);
    const json_t *list = json_object_get(doc, key);

    if (doc == NULL) {
        return err_wrap(e, "the list of %s", key);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *name = json_array_get(list, i);

        if (json_is_string(name) &&
            each(ctx, str_n(json_string_value(name), json_string_length(name)), e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int list(struct remote *r, struct ask *q, char url[URL_MAX], const char *key,
                remote_name *each, void *ctx, struct err *e)
{
    char next[URL_MAX];

    for (int page = 0; page < PAGES_MAX; page++) {
        SCOPED(fetch_answer_done) struct fetch_answer a = {0};
        int more;

        if (ask(r, q, &a, e) < 0) {
            return -1;
        }
        if (a.status != 200) {
            return refuse(r, q, &a, e);
        }
        if (each_name(&a, key, each, ctx, e) < 0 || (more = next_page(&a, url, next, e)) < 0) {
            return -1;
        }
        if (more == 0) {
            return 0;
        }
        memcpy(url, next, URL_MAX);
    }
    return err_set(e, ERR_LIMIT, "%s has more than %d pages of %s", r->url, PAGES_MAX, key);
}

int remote_catalog(struct remote *r, remote_name *each, void *ctx, struct err *e)
{
    char url[URL_MAX];
    struct ask q = {.method = "GET",
                    .url = url,
                    .scope = STR("registry:catalog:*"),
                    .more = {.answer_max = LIST_BYTES_MAX}};

    return url_of(r, url, "/v2/_catalog?n=1000%.*s%s", STR_EMPTY, "", e) < 0
               ? -1
               : list(r, &q, url, "repositories", each, ctx, e);
}

int remote_tags(struct remote *r, struct str repository, remote_name *each, void *ctx,
                struct err *e)
{
    char url[URL_MAX], scope[1024];
    struct ask q = {.method = "GET",
                    .url = url,
                    .scope = scope_of(scope, repository, "pull", (struct str){0}),
                    .more = {.answer_max = LIST_BYTES_MAX}};

    return url_of(r, url, "/v2/%.*s/tags/list?n=1000%s", repository, "", e) < 0
               ? -1
               : list(r, &q, url, "tags", each, ctx, e);
}

/* --- manifests --- */

#define ACCEPT                                                                                     \
    MEDIA_OCI_MANIFEST ", " MEDIA_OCI_INDEX ", " MEDIA_DOCKER_MANIFEST ", " MEDIA_DOCKER_LIST

static int manifest_url(const struct remote *r, char url[URL_MAX], struct str repository,
                        struct str reference, struct err *e)
{
    char ref[256];

    return str_copy(reference, ref, sizeof(ref)) < 0
               ? err_set(e, ERR_INVALID, "the tag is too long")
               : url_of(r, url, "/v2/%.*s/manifests/%s", repository, ref, e);
}

/* By the algorithm of the digest that was asked for, else SHA-256. */
static int check_bytes(const struct remote *r, struct str reference, struct remote_manifest *m,
                       struct err *e)
{
    struct str algorithm = STR("sha256"), rest = reference;
    bool by_digest = str_find_char(reference, ':') >= 0;

    if (by_digest) {
        algorithm = str_cut(&rest, ':');
    }
    if (content_digest_of(buf_str(&m->body), algorithm, m->digest, e) < 0) {
        return -1;
    }
    return by_digest && !str_eq_c(reference, m->digest)
               ? err_set(e, ERR_INVALID,
                         "%s answers with other bytes (%s) than the digest %.*s names", r->url,
                         m->digest, STR_ARG(reference))
               : 0;
}

int remote_manifest_get(struct remote *r, struct str repository, struct str reference,
                        struct remote_manifest *out, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX], scope[1024];
    struct ask q = {.method = "GET",
                    .url = url,
                    .scope = scope_of(scope, repository, "pull", (struct str){0}),
                    .more = {.answer_max = LIMIT_MANIFEST_BYTES,
                             .headers = {{"Accept", ACCEPT}},
                             .n_headers = 1,
                             .follows = true}};

    if (manifest_url(r, url, repository, reference, e) < 0 || ask(r, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status != 200) {
        return refuse(r, &q, &a, e);
    }
    *out = (struct remote_manifest){.body = a.body};
    a.body = (struct buf){0};
    if (str_copy(fetch_answer_header(&a, "Content-Type"), out->media_type,
                 sizeof(out->media_type)) < 0) {
        out->media_type[0] = '\0';
    }
    return check_bytes(r, reference, out, e);
}

int remote_manifest_head(struct remote *r, struct str repository, struct str reference,
                         char digest[CONTENT_DIGEST_MAX], struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX], scope[1024];
    struct ask q = {.method = "HEAD",
                    .url = url,
                    .scope = scope_of(scope, repository, "pull", (struct str){0}),
                    .more = {.headers = {{"Accept", ACCEPT}}, .n_headers = 1, .follows = true}};

    if (manifest_url(r, url, repository, reference, e) < 0 || ask(r, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status != 200) {
        return refuse(r, &q, &a, e);
    }
    return content_digest_parse(fetch_answer_header(&a, "Docker-Content-Digest"), digest, e) < 0
               ? err_wrap(e, "%s does not say which digest %.*s has", r->url, STR_ARG(reference))
               : 0;
}

static int change_manifest(struct remote *r, struct ask *q, struct str repository,
                           struct str reference, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX];

    q->url = url;
    if (manifest_url(r, url, repository, reference, e) < 0 || ask(r, q, &a, e) < 0) {
        return -1;
    }
    return a.status >= 200 && a.status < 300 ? 0 : refuse(r, q, &a, e);
}

int remote_manifest_put(struct remote *r, struct str repository, struct str reference,
                        const char *media_type, struct str body, struct err *e)
{
    char scope[1024];
    struct ask q = {
        .method = "PUT",
        .scope = scope_of(scope, repository, "pull,push", (struct str){0}),
        .more = {.body = body, .headers = {{"Content-Type", media_type}}, .n_headers = 1}};

    return change_manifest(r, &q, repository, reference, e);
}

int remote_manifest_delete(struct remote *r, struct str repository, struct str reference,
                           struct err *e)
{
    char scope[1024];
    struct ask q = {.method = "DELETE",
                    .scope = scope_of(scope, repository, "delete", (struct str){0})};

    return change_manifest(r, &q, repository, reference, e);
}

int remote_referrers(struct remote *r, struct str repository, const char *digest, struct buf *out,
                     struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX], scope[1024];
    struct ask q = {.method = "GET",
                    .url = url,
                    .scope = scope_of(scope, repository, "pull", (struct str){0}),
                    .more = {.answer_max = LIST_BYTES_MAX}};

    if (url_of(r, url, "/v2/%.*s/referrers/%s", repository, digest, e) < 0 ||
        ask(r, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status != 200 && a.status != 404 && a.status != 405) {
        return refuse(r, &q, &a, e);
    }
    buf_clear(out);
    return a.status == 200 && buf_add(out, buf_str(&a.body)) < 0
               ? err_set(e, ERR_LIMIT, "%s has too many referrers of %s", r->url, digest)
               : 0;
}

/* --- blobs --- */

static int blob_url(const struct remote *r, char url[URL_MAX], struct str repository,
                    const char *digest, struct err *e)
{
    return url_of(r, url, "/v2/%.*s/blobs/%s", repository, digest, e);
}

int remote_blob_get(struct remote *r, struct str repository, const char *digest, int64_t offset,
                    fetch_sink *sink, void *ctx, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX], scope[1024], range[64];
    struct ask q = {
        .method = "GET",
        .url = url,
        .scope = scope_of(scope, repository, "pull", (struct str){0}),
        .more = {.sink = sink, .sink_status = offset > 0 ? 206 : 200, .ctx = ctx, .follows = true}};

    if (offset > 0) {
        (void)snprintf(range, sizeof(range), "bytes=%lld-", (long long)offset);
        q.more.headers[q.more.n_headers++] = (struct fetch_header){"Range", range};
    }
    if (blob_url(r, url, repository, digest, e) < 0) {
        return -1;
    }
    if (ask(r, &q, &a, e) < 0) { /* all of it from the beginning is too long to be kept */
        return offset > 0 && a.status == 200
                   ? err_set(e, ERR_RANGE, "%s cannot go on in the middle of a blob", r->url)
                   : -1;
    }
    return a.status == (offset > 0 ? 206 : 200) ? 0 : refuse(r, &q, &a, e);
}

int remote_blob_there(struct remote *r, struct str repository, const char *digest, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX], scope[1024];
    struct ask q = {.method = "HEAD",
                    .url = url,
                    .scope = scope_of(scope, repository, "pull", (struct str){0}),
                    .more = {.follows = true}};

    if (blob_url(r, url, repository, digest, e) < 0 || ask(r, &q, &a, e) < 0) {
        return -1;
    }
    return a.status == 200 ? 1 : a.status == 404 ? 0 : refuse(r, &q, &a, e);
}

/* --- uploads: OCI dist-spec 1.1 "Pushing a blob in chunks", with one chunk as long as it lasts ---
 */

struct sending {
    struct remote *r;
    const struct remote_upload *u;
    struct str scope;
    char at[URL_MAX]; /* where the session is */
    int64_t offset;   /* what the peer has */
};

static ssize_t read_piece(void *ctx, int64_t offset, char *p, size_t n, struct err *e)
{
    const struct sending *s = ctx;
    ssize_t got = pread(s->u->fd, p, n, s->offset + offset);

    if (got < 0) {
        return err_sys(e, "read %s", s->u->digest);
    }
    if (s->u->progress != NULL) {
        s->u->progress(s->u->ctx, s->offset + offset + got);
    }
    return got;
}

static int note_session(struct sending *s, const struct fetch_answer *a, struct err *e)
{
    char next[URL_MAX];

    if (fetch_url_join(s->at, fetch_answer_header(a, "Location"), next, e) < 0) {
        return -1;
    }
    memcpy(s->at, next, URL_MAX);
    return 0;
}

/* 1: mounted, or uploaded already; 0: a session. */
static int begin_upload(struct sending *s, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    const struct remote_upload *u = s->u;
    struct buf query = BUF_MAX(2048);
    struct ask q = {.method = "POST", .url = s->at, .scope = s->scope, .more = {.body = STR_EMPTY}};
    int result;

    if (u->mount_from.p != NULL) {
        (void)buf_printf(&query, "?mount=%s&from=", u->digest);
        escape_into(&query, u->mount_from);
    }
    result =
        url_of(s->r, s->at, "/v2/%.*s/blobs/uploads/%s", u->repository, query.p ? query.p : "", e);
    buf_done(&query);
    if (result < 0 || ask(s->r, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status == 201) {
        return 1;
    }
    s->offset = 0;
    return a.status == 202 ? note_session(s, &a, e) : refuse(s->r, &q, &a, e);
}

/* "0-1023": what the peer has, both ends inclusive. An empty session looks like one of one byte, so
 * that much is sent again where it matters: a chunk that begins elsewhere is refused, not mixed up.
 */
static int64_t received_of(const struct fetch_answer *a)
{
    struct str range = fetch_answer_header(a, "Range");
    uint64_t last;

    if (str_starts(range, STR("bytes="))) {
        range = str_from(range, 6);
    }
    (void)str_cut(&range, '-');
    return range.p != NULL && str_to_u64(range, &last) == 0 && last > 0 && last < INT64_MAX
               ? (int64_t)last + 1
               : 0;
}

static int ask_offset(struct sending *s, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    struct ask q = {.method = "GET", .url = s->at, .scope = s->scope};

    if (ask(s->r, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status != 204) {
        return refuse(s->r, &q, &a, e);
    }
    s->offset = received_of(&a);
    return fetch_answer_header(&a, "Location").p ? note_session(s, &a, e) : 0;
}

static int send_rest(struct sending *s, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    int64_t size = s->u->size_bytes;
    char range[64];
    struct ask q = {.method = "PATCH",
                    .url = s->at,
                    .scope = s->scope,
                    .more = {.source = read_piece,
                             .body_bytes = size - s->offset,
                             .ctx = s,
                             .headers = {{"Content-Type", "application/octet-stream"},
                                         {"Content-Range", range}},
                             .n_headers = 2}};

    if (s->offset >= size) {
        return 0;
    }
    (void)snprintf(range, sizeof(range), "%lld-%lld", (long long)s->offset, (long long)size - 1);
    if (ask(s->r, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status != 202 && a.status != 201 && a.status != 204) {
        return refuse(s->r, &q, &a, e);
    }
    s->offset = size;
    return note_session(s, &a, e);
}

static int end_upload(struct sending *s, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX + 200];
    struct ask q = {.method = "PUT", .url = url, .scope = s->scope, .more = {.body = STR_EMPTY}};

    (void)snprintf(url, sizeof(url), "%s%sdigest=%s", s->at, strchr(s->at, '?') ? "&" : "?",
                   s->u->digest);
    if (ask(s->r, &q, &a, e) < 0) {
        return -1;
    }
    return a.status == 201 || a.status == 204 ? 0 : refuse(s->r, &q, &a, e);
}

static bool may_go_on(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_RANGE;
}

/* After a cut, from where the peer says it stands, as long as each try brings it further. */
static int send_all(struct sending *s, struct err *e)
{
    int64_t best = 0;
    int tries = 0;

    while (send_rest(s, e) < 0) {
        struct err first = *e;

        if (!may_go_on(e) || ask_offset(s, e) < 0) {
            *e = first;
            return -1;
        }
        tries = s->offset > best ? 0 : tries + 1;
        best = s->offset > best ? s->offset : best;
        if (tries >= UPLOAD_TRIES) {
            *e = first;
            return -1;
        }
    }
    return end_upload(s, e);
}

int remote_blob_put(struct remote *r, const struct remote_upload *u, struct err *e)
{
    char scope[1024];
    struct sending s = {
        .r = r, .u = u, .scope = scope_of(scope, u->repository, "pull,push", u->mount_from)};
    int done = remote_blob_there(r, u->repository, u->digest, e);

    if (done == 0) {
        done = begin_upload(&s, e);
    }
    if (done != 0) {
        return done < 0 ? -1 : 0;
    }
    return send_all(&s, e);
}
