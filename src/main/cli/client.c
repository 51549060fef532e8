#include "main/cli/cli.h"

#include "base/arena.h"
#include "main/main_priv.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 * 1024 * 1024 };

struct client {
    CURL *curl;
    char *server; /* no slash at the end */
    char *token;
    char *user, *password;
};

char *client_base_url(const char *server)
{
    size_t n = strlen(server);

    while (n > 0 && server[n - 1] == '/') {
        n--;
    }
    return strstr(server, "://") ? xstrndup(server, n) : xasprintf("http://%.*s", (int)n, server);
}

struct client *client_new(const char *server, const char *token, struct err *e)
{
    struct client *c = xnew(struct client);

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    c->curl = curl_easy_init();
    c->server = client_base_url(server);
    c->token = token && token[0] ? xstrdup(token) : NULL;
    if (strncmp(c->server, "http://", 7) != 0 && strncmp(c->server, "https://", 8) != 0) {
        err_set(e, ERR_INVALID,
                "'%s' is no address of a Strata server: http://HOST:PORT or https://", server);
        client_free(c);
        return NULL;
    }
    if (c->curl == NULL) {
        err_set(e, ERR_INTERNAL, "libcurl does not start");
        client_free(c);
        return NULL;
    }
    return c;
}

void client_free(struct client *c)
{
    if (c == NULL) {
        return;
    }
    curl_easy_cleanup(c->curl);
    free(c->server);
    free(c->token);
    free(c->user);
    free(c->password);
    free(c);
}

void client_set_password(struct client *c, const char *user, const char *password)
{
    free(TAKE(c->token)); /* else the old token would sign in whoever has the password */
    c->user = xstrdup(user);
    c->password = xstrdup(password);
}

const char *client_server(const struct client *c)
{
    return c->server;
}

const char *client_token(const struct client *c)
{
    return c->token;
}

/* --- one exchange --- */

struct exchange {
    struct client *client;
    const struct client_request *q;
    struct client_answer *out;
    struct str body_left;
    int64_t fd_left;
    bool sink_stopped;
};

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    struct str bytes = str_n(p, size * n);
    long status = 0;

    (void)curl_easy_getinfo(x->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (x->q->sink && status < 300) {
        x->sink_stopped = x->q->sink(x->q->ctx, bytes) < 0;
        return x->sink_stopped ? 0 : bytes.len;
    }
    return buf_add(&x->out->body, bytes) < 0 ? 0 : bytes.len;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    struct str rest = str_n(p, size * n);
    struct str name = str_cut(&rest, ':');

    while (rest.len > 0 && (rest.p[rest.len - 1] == '\r' || rest.p[rest.len - 1] == '\n')) {
        rest.len--;
    }
    if (rest.p && str_eq_nocase(name, STR("Location"))) {
        (void)!str_copy(str_trim(rest), x->out->location, sizeof(x->out->location));
    } else if (rest.p && str_eq_nocase(name, STR("Upload-Offset"))) {
        (void)!str_copy(str_trim(rest), x->out->upload_offset, sizeof(x->out->upload_offset));
    }
    return size * n;
}

static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t room = size * n;
    ssize_t got;

    if (x->q->body.p) {
        struct str part = str_first(x->body_left, room);

        memcpy(p, part.p, part.len);
        x->body_left = str_from(x->body_left, part.len);
        return part.len;
    }
    if ((int64_t)room > x->fd_left) {
        room = (size_t)x->fd_left;
    }
    got = x->q->source ? x->q->source(x->q->ctx, p, room) : read(x->q->body_fd, p, room);
    if (got < 0) {
        return CURL_READFUNC_ABORT;
    }
    x->fd_left -= got;
    return (size_t)got;
}

static int on_progress(void *ctx, curl_off_t down_total UNUSED, curl_off_t down_now UNUSED,
                       curl_off_t up_total, curl_off_t up_now)
{
    struct exchange *x = ctx;

    if (x->q->progress && up_total > 0) {
        x->q->progress(x->q->ctx, up_now, up_total);
    }
    return 0;
}

static struct curl_slist *headers_of(const struct client *c, const struct client_request *q)
{
    struct curl_slist *h = curl_slist_append(NULL, "Expect:");

    if (c->token) {
        SCOPED(freep) char *auth = xasprintf("Authorization: Bearer %s", c->token);

        h = curl_slist_append(h, auth);
    }
    if (q->type) {
        SCOPED(freep) char *type = xasprintf("Content-Type: %s", q->type);

        h = curl_slist_append(h, type);
    }
    for (size_t i = 0; i < ARRAY_LEN(q->headers) && q->headers[i]; i++) {
        h = curl_slist_append(h, q->headers[i]);
    }
    return h;
}

static void set_body(CURL *curl, struct exchange *x)
{
    int64_t length = x->q->body.p ? (int64_t)x->q->body.len : x->q->body_length;
    bool has_body = x->q->body.p || x->q->body_length > 0;

    if (strcmp(x->q->method, "HEAD") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (has_body || strcmp(x->q->method, "PUT") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)length);
        (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(curl, CURLOPT_READDATA, x);
    } else if (strcmp(x->q->method, "POST") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    }
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, x->q->method);
}

static int explain(const struct client *c, CURLcode rc, const char *detail, struct err *e)
{
    if (rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST) {
        return err_set(
            e, ERR_UNAVAILABLE,
            "no Strata server answers at %s: start one (sudo strata up), or name it with "
            "--server or STRATA_SERVER",
            c->server);
    }
    return err_set(e, rc == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE,
                   "%s does not answer as a Strata server does: %s", c->server,
                   detail[0] ? detail : curl_easy_strerror(rc));
}

int client_send(struct client *c, const struct client_request *q, struct client_answer *out,
                struct err *e)
{
    struct exchange x = {
        .client = c, .q = q, .out = out, .body_left = q->body, .fd_left = q->body_length};
    SCOPED(freep) char *url = xasprintf("%s%.*s", c->server, STR_ARG(q->path));
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = headers_of(c, q);
    long status = 0;
    CURLcode rc;

    *out = (struct client_answer){.body = BUF_MAX(ANSWER_MAX)};
    curl_easy_reset(c->curl);
    (void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
    /* ".." in a name must reach the server, which refuses it: here it would name something else. */
    (void)curl_easy_setopt(c->curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, detail);
    (void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    (void)curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPALIVE, 1L); /* a log may be silent for long */
    (void)curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "strata/" STRATA_VERSION);
    (void)curl_easy_setopt(c->curl, CURLOPT_UPLOAD_BUFFERSIZE, 1024L * 1024L);
    (void)curl_easy_setopt(c->curl, CURLOPT_BUFFERSIZE, 256L * 1024L);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &x);
    (void)curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, &x);
    (void)curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, q->progress ? 0L : 1L);
    (void)curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, &x);
    if (c->user) {
        (void)curl_easy_setopt(c->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        (void)curl_easy_setopt(c->curl, CURLOPT_USERNAME, c->user);
        (void)curl_easy_setopt(c->curl, CURLOPT_PASSWORD, c->password);
    }
    set_body(c->curl, &x);
    rc = curl_easy_perform(c->curl);
    curl_slist_free_all(headers);
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
    /* An early refusal may cut the upload: the answer counts when there is one. */
    if (rc != CURLE_OK && !(status >= 400 && rc == CURLE_SEND_ERROR)) {
        client_answer_done(out);
        return x.sink_stopped ? err_set(e, ERR_IO, "writing the answer failed")
                              : explain(c, rc, detail, e);
    }
    return 0;
}

void client_answer_done(struct client_answer *a)
{
    buf_done(&a->body);
}

int client_error(const struct client_answer *a, struct err *e)
{
    struct err ignored;
    SCOPED(json_decrefp) json_t *j = json_parse(buf_str(&a->body), &ignored);
    const json_t *error = json_object_get(j, "error");
    const json_t *first = json_array_get(json_object_get(j, "errors"), 0);
    enum err_kind kind = err_kind_of_http(a->status);

    if (error && json_text(error, "message")[0]) {
        return err_set(e, kind, "%s (request %s)", json_text(error, "message"),
                       json_text(error, "request_id"));
    }
    if (json_is_string(error)) { /* Prometheus */
        return err_set(e, kind, "%s", json_string_value(error));
    }
    if (first) { /* OCI distribution-spec, "Error Codes" */
        return err_set(e, kind, "%s: %s", json_text(first, "code"), json_text(first, "message"));
    }
    return err_set(e, kind, "the server answered %d", a->status);
}

int client_json(struct client *c, const char *method, struct str path, const json_t *body,
                json_t **out, struct err *e)
{
    SCOPED(freep) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    SCOPED(client_answer_done) struct client_answer a = {0};
    struct client_request q = {.method = method,
                               .path = path,
                               .type = text ? "application/json" : NULL,
                               .body = text ? str_of(text) : (struct str){0}};

    if (client_send(c, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return client_error(&a, e);
    }
    if (out == NULL) {
        return 0;
    }
    *out = json_parse_answer(buf_str(&a.body), e);
    return *out ? 0 : err_wrap(e, "%s is not a Strata server", c->server);
}

int client_call(struct client *c, const char *method, const json_t *body, json_t **out,
                struct err *e, const char *path_fmt, ...)
{
    SCOPED(freep) char *path = NULL;
    va_list ap;
    int n;

    va_start(ap, path_fmt);
    n = vasprintf(&path, path_fmt, ap);
    va_end(ap);
    if (n < 0) {
        path = NULL;
        return err_set(e, ERR_INTERNAL, "out of memory");
    }
    return client_json(c, method, str_of(path), body, out, e);
}

static const char *encode(const char *s, const char *keep)
{
    static struct arena arena; /* of the process: see cli.h */
    char *out = arena_alloc(&arena, 3 * strlen(s) + 1);
    size_t n = 0;

    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;

        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
            strchr(keep, ch)) {
            out[n++] = (char)ch;
        } else {
            n += (size_t)snprintf(out + n, 4, "%%%02X", ch);
        }
    }
    return out;
}

const char *url_segment(const char *s)
{
    return encode(s, "-._~:@");
}

const char *url_path(const char *s)
{
    return encode(s, "-._~:@/");
}
