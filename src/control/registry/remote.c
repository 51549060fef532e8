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
    PAGES_MAX = 2000,                  /* peers that give fewer names than asked for give 100 */
    TOKEN_BYTES_MAX = 64 * 1024,
    TOKEN_SEC = 60,   /* when the peer does not say: what Docker's protocol has */
    ANSWER_SEC = 300, /* of all that is no blob: a peer that drips is given up */
    COMMIT_SEC = 900, /* a peer may read the whole blob again before it says yes */
    UPLOAD_TRIES = 3, /* without progress between them */
    MIN_PROGRESS = 256 * 1024,
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
    bool stays;
    int64_t retry_sec;
    unsigned answer_sec; /* 0: ANSWER_SEC */
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
    r->stays = o->stays;
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

void remote_set_patience(struct remote *r, unsigned answer_sec)
{
    r->answer_sec = answer_sec;
}

bool remote_is_hub(const struct remote *r)
{
    static const char *const hosts[] = {"registry-1.docker.io", "index.docker.io", "docker.io"};
    struct str rest = str_of(r->url), host;

    (void)str_cut(&rest, '/');
    (void)str_cut(&rest, '/');
    host = rest.p ? str_cut(&rest, '/') : STR_EMPTY;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        if (str_eq_c(host, hosts[i])) {
            return true;
        }
    }
    return false;
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
                              .total_sec = r->answer_sec ? r->answer_sec : 30};
    struct str rest = scope;
    char realm[URL_MAX];
    int result = fetch_url_join(r->url, c->realm, realm, e);

    if (result == 0 && r->stays && !fetch_same_origin(r->url, realm)) {
        result = err_set(e, ERR_INVALID,
                         "%s sends its users to %.200s to sign in, which is not followed: give the "
                         "address that it calls its own",
                         r->url, realm);
    }
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
               ? err_set(e, ERR_FORBIDDEN,
                         r->basic ? "%s does not take this user and password: set others"
                                  : "%s wants a user and a password: set them",
                         r->url)
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
        return err_set(e, ERR_FORBIDDEN, "%s wants a user and a password: set them", r->url);
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
    f.follows = f.follows && !r->stays;
    f.connect_sec = r->answer_sec && r->answer_sec < 10 ? r->answer_sec : 0;
    if (f.sink != NULL || f.source != NULL) {
        f.rate_bytes = r->rate_bytes;
    } else if (f.total_sec == 0) {
        f.total_sec = r->answer_sec ? r->answer_sec : ANSWER_SEC;
    }
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
    } kinds[] = {{401, ERR_FORBIDDEN},   {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
                 {405, ERR_UNSUPPORTED}, {408, ERR_TIMEOUT},   {409, ERR_CONFLICT},
                 {412, ERR_CONFLICT},    {413, ERR_LIMIT},     {416, ERR_RANGE},
                 {429, ERR_THROTTLED},   {507, ERR_NO_SPACE}};
    enum err_kind kind = a->status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
    char why[200];

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        kind = kinds[i].status == a->status ? kinds[i].kind : kind;
    }
    say_why(a, why);
    return err_set(e, kind, "%s answers %d to %s %.300s%s%s", r->url, a->status, q->method,
                   q->url + (str_starts(str_of(q->url), str_of(r->url)) ? strlen(r->url) : 0), why,
                   r->stays && a->status >= 300 && a->status < 400
                       ? " (it leads to another address, and is not followed)"
                   : kind != ERR_FORBIDDEN ? ""
                   : r->basic              ? " (may this user do it? is the project there?)"
                                           : " (set a user and a password)");
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

static int understands(const struct fetch_answer *a, struct err *e)
{
    SCOPED(arena_done) struct arena arena = {0};
    struct challenge c;

    return challenge_parse(&arena, fetch_answer_header(a, "WWW-Authenticate"), &c, e);
}

int remote_ping(struct remote *r, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX];
    struct ask q = {.method = "GET", .url = url, .scope = STR_EMPTY, .more = {.total_sec = 30}};

    if (url_of(r, url, "/v2/%.*s%s", STR_EMPTY, "", e) < 0) {
        return -1;
    }
    if (r->basic ==
        NULL) { /* no token for nobody and nothing: it says how to sign in, that is all */
        if (ask_once(r, &q, &a, e) < 0) {
            return -1;
        }
        if (a.status == 401) {
            return understands(&a, e);
        }
    } else if (ask(r, &q, &a, e) < 0) {
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

/* Names, or descriptors of which the digest is meant. */
static int each_name(struct str body, const char *key, remote_name *each, void *ctx, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = json_count_check(body, e) < 0 ? NULL : json_parse(body, e);
    const json_t *list = json_object_get(doc, key);

    if (doc == NULL) {
        return err_wrap(e, "the list of %s that the registry gives is none", key);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *name = json_is_object(item) ? json_object_get(item, "digest") : item;

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
        if (each_name(buf_str(&a.body), key, each, ctx, e) < 0 ||
            (more = next_page(&a, url, next, e)) < 0) {
            return -1;
        }
        if (more == 0) {
            return 0;
        }
        if (strcmp(url, next) == 0) {
            return err_set(e, ERR_INVALID, "%s names the same page of %s again and again", r->url,
                           key);
        }
        memcpy(url, next, URL_MAX);
    }
    return err_set(e, ERR_LIMIT, "%s has more than %d pages of %s: name fewer", r->url, PAGES_MAX,
                   key);
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

/* `said` is what the answer's header has, or p == NULL. */
static int check_bytes(const struct remote *r, struct str reference, struct str said,
                       struct remote_manifest *m, struct err *e)
{
    bool by_digest = str_find_char(reference, ':') >= 0;
    struct str want = by_digest ? reference : said;
    struct str rest = want;
    char ignored[CONTENT_DIGEST_MAX];
    struct err unknown;

    if (!by_digest && content_digest_parse(said, ignored, &unknown) < 0) {
        want = (struct str){0}; /* what it says is of no use: the bytes say it */
    }
    if (content_digest_of(buf_str(&m->body), want.p ? str_cut(&rest, ':') : STR("sha256"),
                          m->digest, e) < 0) {
        return -1;
    }
    return want.p != NULL && !str_eq_c(want, m->digest)
               ? err_set(e, ERR_INVALID,
                         "%s answers with other bytes (%s) than the digest %.*s names: it is "
                         "broken, or it lies",
                         r->url, m->digest, STR_ARG(want))
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
    return check_bytes(r, reference, fetch_answer_header(&a, "Docker-Content-Digest"), out, e);
}

static void read_head(const struct fetch_answer *a, struct remote_head *out)
{
    struct err unknown;
    uint64_t size;

    *out = (struct remote_head){.size_bytes = -1};
    if (content_digest_parse(fetch_answer_header(a, "Docker-Content-Digest"), out->digest,
                             &unknown) < 0) {
        out->digest[0] = '\0';
    }
    if (str_copy(fetch_answer_header(a, "Content-Type"), out->media_type, sizeof(out->media_type)) <
        0) {
        out->media_type[0] = '\0';
    }
    if (str_to_u64(fetch_answer_header(a, "Content-Length"), &size) == 0 && size <= INT64_MAX) {
        out->size_bytes = (int64_t)size;
    }
}

int remote_manifest_look(struct remote *r, struct str repository, struct str reference,
                         struct remote_head *out, struct err *e)
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
    read_head(&a, out);
    return 0;
}

int remote_manifest_head(struct remote *r, struct str repository, struct str reference,
                         char digest[CONTENT_DIGEST_MAX], struct err *e)
{
    struct remote_head head;

    if (remote_manifest_look(r, repository, reference, &head, e) < 0) {
        return -1;
    }
    memcpy(digest, head.digest, CONTENT_DIGEST_MAX);
    return 0;
}

static int change_manifest(struct remote *r, const struct ask *how, struct str repository,
                           struct str reference, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    char url[URL_MAX];
    struct ask q = *how;

    q.url = url;
    if (manifest_url(r, url, repository, reference, e) < 0 || ask(r, &q, &a, e) < 0) {
        return -1;
    }
    return a.status >= 200 && a.status < 300 ? 0 : refuse(r, &q, &a, e);
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

void remote_referrers_tag(const char *digest, char tag[CONTENT_DIGEST_MAX])
{
    (void)!str_copy(str_of(digest), tag, CONTENT_DIGEST_MAX);
    tag[strcspn(tag, ":")] = '-';
}

static int referrers_of_tag(struct remote *r, struct str repository, const char *digest,
                            remote_name *each, void *ctx, struct err *e)
{
    struct remote_manifest m = {0};
    char tag[CONTENT_DIGEST_MAX];
    int result;

    remote_referrers_tag(digest, tag);
    result = remote_manifest_get(r, repository, str_of(tag), &m, e);
    if (result < 0 && e->kind == ERR_NOT_FOUND) {
        result = 0;
    } else if (result == 0) {
        result = each_name(buf_str(&m.body), "manifests", each, ctx, e);
    }
    buf_done(&m.body);
    return result;
}

int remote_referrers(struct remote *r, struct str repository, const char *digest, remote_name *each,
                     void *ctx, struct err *e)
{
    char url[URL_MAX], scope[1024];
    struct ask q = {.method = "GET",
                    .url = url,
                    .scope = scope_of(scope, repository, "pull", (struct str){0}),
                    .more = {.answer_max = LIST_BYTES_MAX}};

    if (url_of(r, url, "/v2/%.*s/referrers/%s", repository, digest, e) < 0) {
        return -1;
    }
    if (list(r, &q, url, "manifests", each, ctx, e) == 0) {
        return 0;
    }
    return e->kind == ERR_NOT_FOUND || e->kind == ERR_UNSUPPORTED
               ? referrers_of_tag(r, repository, digest, each, ctx, e)
               : -1;
}

int remote_knows_referrers(struct remote *r, struct str repository, const char *digest,
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
    return a.status == 200 ? 1 : a.status == 404 || a.status == 405 ? 0 : refuse(r, &q, &a, e);
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
    int result;
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
    result = ask(r, &q, &a, e);
    if (offset > 0 && a.status == 200) { /* all of it from the beginning: may be too long to keep */
        return err_set(e, ERR_RANGE, "%s cannot go on in the middle of a blob", r->url);
    }
    return result < 0 ? -1 : a.status == (offset > 0 ? 206 : 200) ? 0 : refuse(r, &q, &a, e);
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
    char *at;       /* where the session is; URL_MAX bytes */
    int64_t offset; /* what the peer has */
};

static ssize_t read_piece(void *ctx, int64_t offset, char *p, size_t n, struct err *e)
{
    const struct sending *s = ctx;
    ssize_t got = pread(s->u->fd, p, n, s->offset + offset);

    if (got < 0) {
        return err_sys(e, "read %s", s->u->digest);
    }
    if (s->u->progress != NULL) {
        s->u->progress(s->u->ctx, s->offset + offset + got, got);
    }
    return got;
}

static int note_session(struct sending *s, const struct fetch_answer *a, struct err *e)
{
    struct str location = fetch_answer_header(a, "Location");
    char next[URL_MAX];

    if (location.p == NULL) {
        return err_set(e, ERR_INVALID, "%s does not say where its upload goes on (no Location)",
                       s->r->url);
    }
    if (fetch_url_join(s->at, location, next, e) < 0) {
        return -1;
    }
    memcpy(s->at, next, URL_MAX);
    if (s->u->moved != NULL) {
        s->u->moved(s->u->ctx, s->at);
    }
    return 0;
}

static void forget_session(struct sending *s)
{
    s->at[0] = '\0';
    s->offset = 0;
    if (s->u->moved != NULL) {
        s->u->moved(s->u->ctx, "");
    }
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
    result = result < 0 ? -1 : ask(s->r, &q, &a, e);
    if (result == 0) {
        result = a.status == 201   ? 1
                 : a.status == 202 ? note_session(s, &a, e)
                                   : refuse(s->r, &q, &a, e);
    }
    if (result != 0) {
        s->at[0] = '\0'; /* an address without a session */
    }
    s->offset = 0;
    return result;
}

/* "0-1023": what the peer has, both ends inclusive. An empty session looks like one of one byte:
 * taken for empty, and should the peer refuse that, a new session is begun. */
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

/* 1: the session goes on at s->offset; 0: there is none any more. */
static int ask_offset(struct sending *s, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    struct ask q = {.method = "GET", .url = s->at, .scope = s->scope};

    if (ask(s->r, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status >= 500 || a.status == 429 || a.status == 401 || a.status == 403) {
        return refuse(s->r, &q, &a, e);
    }
    s->offset = received_of(&a);
    if (a.status != 204 || s->offset > s->u->size_bytes) {
        forget_session(s);
        return 0;
    }
    return fetch_answer_header(&a, "Location").p && note_session(s, &a, e) < 0 ? -1 : 1;
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
                             .stall_sec = ANSWER_SEC,
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
    struct ask q = {.method = "PUT",
                    .url = url,
                    .scope = s->scope,
                    .more = {.body = STR_EMPTY, .total_sec = COMMIT_SEC, .stall_sec = COMMIT_SEC}};

    (void)snprintf(url, sizeof(url), "%s%sdigest=%s", s->at, strchr(s->at, '?') ? "&" : "?",
                   s->u->digest);
    if (ask(s->r, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status == 201 || a.status == 204) {
        forget_session(s);
        return 0;
    }
    if (a.status < 500 && a.status != 429) {
        forget_session(s); /* going on with it would not mend it */
    }
    return refuse(s->r, &q, &a, e);
}

static bool may_go_on(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_RANGE ||
           e->kind == ERR_NOT_FOUND;
}

/* After a cut, from where the peer says it stands, as long as each try brings it further. 1: it is
 * there. */
static int go_on(struct sending *s, const struct err *cut, struct err *e)
{
    int result;

    if (cut->kind == ERR_RANGE || cut->kind == ERR_NOT_FOUND) {
        forget_session(s);
        return begin_upload(s, e);
    }
    result = ask_offset(s, e);
    return result == 0 ? begin_upload(s, e) : result < 0 ? -1 : 0;
}

static int send_all(struct sending *s, struct err *e)
{
    int64_t best = s->offset;
    int tries = 0;

    while (send_rest(s, e) < 0) {
        struct err cut = *e;
        int there;

        if (!may_go_on(&cut) || ++tries > UPLOAD_TRIES || (there = go_on(s, &cut, e)) < 0) {
            *e = cut;
            return -1;
        }
        if (there > 0) {
            return 0;
        }
        tries = s->offset > best + MIN_PROGRESS ? 0 : tries;
        best = s->offset > best ? s->offset : best;
    }
    return end_upload(s, e);
}

int remote_blob_mount(struct remote *r, const struct remote_upload *u, struct err *e)
{
    char scope[1024];
    struct sending s = {.r = r,
                        .u = u,
                        .scope = scope_of(scope, u->repository, "pull,push", u->mount_from),
                        .at = u->session};

    return begin_upload(&s, e);
}

int remote_blob_put(struct remote *r, const struct remote_upload *u, struct err *e)
{
    char scope[1024], own[URL_MAX] = "";
    struct sending s = {.r = r,
                        .u = u,
                        .scope = scope_of(scope, u->repository, "pull,push", u->mount_from),
                        .at = u->session ? u->session : own};
    int done = remote_blob_there(r, u->repository, u->digest, e);

    if (done != 0) {
        return done;
    }
    if (s.at[0] != '\0') {
        done = ask_offset(&s, e);
        if (done < 0) {
            return -1;
        }
    }
    if (done == 0) {
        done = begin_upload(&s, e);
        if (done != 0) {
            return done;
        }
    }
    return send_all(&s, e);
}
