#include "scrape/client.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "fetch/deny.h"
#include "fetch/fetch.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SECRET_MAX = 64 * 1024, REDIRECTS_MAX = 10 };

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

void client_init(void)
{
    (void)pthread_once(&started, start_curl);
}

/* --- the answer --- */

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct client_call *c = ctx;
    struct str piece = str_n(p, size * n);
    long status = 0;

    if (c->sink != NULL) {
        (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
        if (status == 200) {
            return c->sink(c->ctx, piece) < 0 ? 0 : piece.len;
        }
    }
    if (buf_add(&c->body, piece) < 0) {
        c->is_too_long = true;
        return 0;
    }
    return piece.len;
}

static int on_progress(void *ctx, curl_off_t a UNUSED, curl_off_t b UNUSED, curl_off_t d UNUSED,
                       curl_off_t f UNUSED)
{
    struct client_call *c = ctx;

    c->was_stopped = c->stop != NULL && __atomic_load_n(c->stop, __ATOMIC_RELAXED);
    return c->was_stopped;
}

/* --- where it goes --- */

static curl_socket_t open_socket(void *ctx, curlsocktype purpose UNUSED, struct curl_sockaddr *to)
{
    struct client_call *c = ctx;

    if (c->is_unix && to->family == AF_UNIX) {
        return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    }
    return fetch_deny_socket(c->http->deny, to, &c->is_denied);
}

/* What another host must not see is taken away before curl asks it. False: it is denied. */
static bool mind_redirect(struct client_call *c, const char *from, struct str to)
{
    char url[2048];
    struct err ignored;

    if (fetch_deny_location(c->http->deny, from, to)) {
        c->is_denied = true;
        return false;
    }
    if (fetch_url_join(from, to, url, &ignored) < 0 || !fetch_same_origin(from, url)) {
        (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->common);
    }
    return true;
}

static size_t on_head(char *p, size_t size, size_t n, void *ctx)
{
    struct client_call *c = ctx;
    struct str value = str_n(p, size * n), name = str_cut(&value, ':');
    const char *from = NULL;

    while (value.len > 0 && (value.p[value.len - 1] == '\n' || value.p[value.len - 1] == '\r')) {
        value.len--;
    }
    if (c->http->follow_redirects && value.p != NULL && str_eq_nocase(name, STR("Location")) &&
        curl_easy_getinfo(c->curl, CURLINFO_EFFECTIVE_URL, &from) == CURLE_OK && from != NULL) {
        return mind_redirect(c, from, str_trim(value)) ? size * n : 0;
    }
    return size * n;
}

/* Of the address only what is no secret: it is shown to whoever sees the target. */
static int is_denied(const char *url, struct err *e)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL;

    if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
        (void)curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
        (void)curl_url_get(u, CURLUPART_HOST, &host, 0);
    }
    err_set(e, ERR_FORBIDDEN,
            "%s://%s leads to an address that this server does not connect to "
            "(net.outbound_deny)",
            scheme != NULL ? scheme : "?", host != NULL ? host : "?");
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return -1;
}

int client_go_to(struct client_call *c, const char *url, struct err *e)
{
    if (fetch_deny_url(c->http->deny, url)) {
        return is_denied(url, e);
    }
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    (void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
    return 0;
}

/* --- what a configuration says --- */

/* The value itself, or what its file holds now, without the line's end. */
static int secret(struct str value, struct str file, struct buf *out, struct err *e)
{
    if (file.len == 0) {
        return buf_add(out, value) < 0 ? err_set(e, ERR_LIMIT, "a secret is too long") : 0;
    }
    SCOPED(freep) char *path = str_dup(file);

    if (fs_read(AT_FDCWD, path, out, e) < 0) {
        return -1;
    }
    while (out->len > 0 && (out->p[out->len - 1] == '\n' || out->p[out->len - 1] == '\r' ||
                            out->p[out->len - 1] == ' ')) {
        out->p[--out->len] = '\0';
    }
    return 0;
}

static void set_text(CURL *c, CURLoption option, struct str s)
{
    SCOPED(freep) char *text = str_dup(s);

    (void)curl_easy_setopt(c, option, text); /* is copied */
}

static int set_basic(struct client_call *c, const struct http_config *h, struct err *e)
{
    struct buf user = BUF_MAX(SECRET_MAX), password = BUF_MAX(SECRET_MAX);
    int rc = secret(h->username, h->username_file, &user, e) < 0 ||
                     secret(h->password, h->password_file, &password, e) < 0
                 ? -1
                 : 0;

    if (rc == 0) {
        (void)curl_easy_setopt(c->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        (void)curl_easy_setopt(c->curl, CURLOPT_USERNAME, user.len > 0 ? user.p : "");
        (void)curl_easy_setopt(c->curl, CURLOPT_PASSWORD, password.len > 0 ? password.p : "");
    }
    buf_done(&user);
    buf_done(&password);
    return rc;
}

static int add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer =
        strpbrk(text, "\r\n") == NULL ? curl_slist_append(*list, text) : NULL;

    *list = longer != NULL ? longer : *list;
    return longer != NULL ? 0 : -1;
}

static int own_header(struct client_call *c, struct str name, const char *between, struct str value)
{
    SCOPED(freep) char *text = xasprintf("%.*s%s%.*s", STR_ARG(name), between, STR_ARG(value));

    return add_header(&c->headers, text);
}

int client_header(struct client_call *c, const char *fmt, ...)
{
    va_list ap;
    SCOPED(freep) char *text = NULL;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0) {
        text = NULL;
    }
    va_end(ap);
    return text == NULL || add_header(&c->headers, text) < 0 ? -1 : add_header(&c->common, text);
}

void client_own_headers(struct client_call *c, struct labels headers)
{
    for (size_t i = 0; i < headers.len; i++) {
        (void)own_header(c, headers.p[i].name, ": ", headers.p[i].value);
    }
}

static int set_authorization(struct client_call *c, const struct http_config *h, struct err *e)
{
    struct buf token = BUF_MAX(SECRET_MAX);
    int rc = secret(h->credentials, h->credentials_file, &token, e);

    SCOPED(freep)
    char *name = xasprintf("Authorization: %.*s",
                           STR_ARG(h->auth_type.len > 0 ? h->auth_type : STR("Bearer")));

    if (rc == 0 && own_header(c, str_of(name), " ", buf_str(&token)) < 0) {
        rc = err_set(e, ERR_INVALID, "authorization: the credentials have more than one line");
    }
    buf_done(&token);
    return rc;
}

static void set_blob(CURL *c, CURLoption option, struct str pem)
{
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)pem.p, .len = pem.len, .flags = CURL_BLOB_COPY};

    (void)curl_easy_setopt(c, option, &blob);
}

static long tls_version(struct str s, long none)
{
    static const long versions[] = {CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_TLSv1_1,
                                    CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_3};

    return s.len == 5 && s.p[4] >= '0' && s.p[4] <= '3' ? versions[s.p[4] - '0'] : none;
}

static void set_tls(CURL *c, const struct http_config *h)
{
    static const long most[] = {CURL_SSLVERSION_MAX_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_1,
                                CURL_SSLVERSION_MAX_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_3};
    long min = tls_version(h->tls.min_version, CURL_SSLVERSION_TLSv1_2);
    long max = h->tls.max_version.len == 5 ? most[(h->tls.max_version.p[4] - '0') & 3]
                                           : CURL_SSLVERSION_MAX_DEFAULT;

    (void)curl_easy_setopt(c, CURLOPT_SSLVERSION, min | max);
    if (h->tls.insecure) {
        (void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (h->tls.ca.len > 0) {
        set_blob(c, CURLOPT_CAINFO_BLOB, h->tls.ca);
    } else if (h->tls.ca_file.len > 0) {
        set_text(c, CURLOPT_CAINFO, h->tls.ca_file);
    }
    if (h->tls.cert.len > 0) {
        set_blob(c, CURLOPT_SSLCERT_BLOB, h->tls.cert);
    } else if (h->tls.cert_file.len > 0) {
        set_text(c, CURLOPT_SSLCERT, h->tls.cert_file);
    }
    if (h->tls.key.len > 0) {
        set_blob(c, CURLOPT_SSLKEY_BLOB, h->tls.key);
    } else if (h->tls.key_file.len > 0) {
        set_text(c, CURLOPT_SSLKEY, h->tls.key_file);
    }
}

static void set_way(CURL *c, const struct http_config *h)
{
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https"); /* not FTP */
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, h->follow_redirects ? 1L : 0L);
    (void)curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)curl_easy_setopt(
        c, CURLOPT_HTTP_VERSION,
        (long)(h->enable_http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 128L * 1024);
    (void)curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    if (h->proxy_url.len > 0) {
        set_text(c, CURLOPT_PROXY, h->proxy_url);
        set_text(c, CURLOPT_NOPROXY, h->no_proxy);
    } else if (!h->proxy_from_environment) {
        (void)curl_easy_setopt(c, CURLOPT_PROXY, "");
    }
}

int client_prepare(struct client_call *c, const struct http_config *h, size_t max, struct err *e)
{
    curl_easy_reset(c->curl);
    c->headers = c->common = NULL;
    c->http = h;
    c->is_denied = false;
    (void)client_header(c, "Expect:");
    c->body = BUF_MAX(max);
    c->is_too_long = c->was_stopped = false;
    c->detail[0] = '\0';
    c->type[0] = '\0';
    set_way(c->curl, h);
    set_tls(c->curl, h);
    if ((h->has_basic && set_basic(c, h, e) < 0) ||
        (h->has_authorization && set_authorization(c, h, e) < 0)) {
        return -1;
    }
    client_own_headers(c, h->headers);
    (void)curl_easy_setopt(c->curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(c->curl, CURLOPT_OPENSOCKETDATA, c);
    (void)curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_head);
    (void)curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, c);
    (void)curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "strata");
    (void)curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->detail);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    if (c->stop != NULL) {
        (void)curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        (void)curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, c);
        (void)curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
    }
    return 0;
}

int client_result(struct client_call *c, CURLcode code, struct err *e)
{
    const char *type = NULL, *text = c->detail[0] ? c->detail : curl_easy_strerror(code);
    long status = 0;

    if (c->was_stopped) {
        return err_set(e, ERR_CONFLICT, "stopped");
    }
    if (c->is_denied && code != CURLE_OK) {
        const char *url = NULL;

        (void)curl_easy_getinfo(c->curl, CURLINFO_EFFECTIVE_URL, &url);
        return is_denied(url != NULL ? url : "it", e);
    }
    if (c->is_too_long) {
        return err_set(e, ERR_LIMIT, "body size limit exceeded (%zu bytes)", c->body.max);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return err_set(e, ERR_TIMEOUT, "the target did not answer in time: %s", text);
    }
    if (code != CURLE_OK) {
        return err_set(e, ERR_UNAVAILABLE, "%s", text);
    }
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(c->curl, CURLINFO_CONTENT_TYPE, &type);
    if (type == NULL || str_copy(str_of(type), c->type, sizeof(c->type)) < 0) {
        c->type[0] = '\0';
    }
    if (status != 200) {
        return err_set(e, err_kind_of_http((int)status), "server returned HTTP status %ld", status);
    }
    return 0;
}

void client_done(struct client_call *c)
{
    curl_slist_free_all(c->headers);
    curl_slist_free_all(c->common);
    c->headers = c->common = NULL;
    buf_done(&c->body);
}

int client_get(const struct http_config *h, const char *url, const char *unix_socket,
               const char *accept, int64_t timeout_ms, const bool *stop, struct buf *out,
               struct err *e)
{
    struct client_call c = {.stop = stop, .is_unix = unix_socket != NULL};
    int rc;

    client_init();
    c.curl = curl_easy_init();
    if (c.curl == NULL) {
        return err_set(e, ERR_INTERNAL, "libcurl does not start");
    }
    rc = client_prepare(&c, h, out->max, e);
    if (rc == 0) {
        (void)client_header(&c, "Accept: %s", accept);
        rc = client_go_to(&c, url, e);
    }
    if (rc == 0) {
        (void)curl_easy_setopt(c.curl, CURLOPT_ACCEPT_ENCODING, "gzip");
        (void)curl_easy_setopt(c.curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
        if (unix_socket != NULL) {
            (void)curl_easy_setopt(c.curl, CURLOPT_UNIX_SOCKET_PATH, unix_socket);
        }
        rc = client_result(&c, curl_easy_perform(c.curl), e);
    }
    if (rc == 0) {
        buf_done(out);
        *out = c.body;
        c.body = BUF_MAX(0);
    } else {
        (void)err_wrap(e, "%s", url);
    }
    client_done(&c);
    curl_easy_cleanup(c.curl);
    return rc;
}
