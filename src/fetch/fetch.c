#include "fetch/fetch.h"

#include "base/clock.h"
#include "base/mem.h"
#include "fetch/deny.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECT_SEC = 10,
    STALL_SEC = 30,
    REDIRECTS_MAX = 5,
    ERROR_BODY_MAX = 64 * 1024,
    ERROR_BODY_MS = 10000,
    BUFFER_BYTES = 128 * 1024
};

struct fetch {
    CURL *curl;
    struct fetch_deny deny;
    char *ca_pem;
    bool insecure;
};

/* One request under way. */
struct turn {
    const struct fetch *f;
    const struct fetch_request *q;
    struct fetch_answer *out;
    int64_t sent;     /* of the request's body */
    bool is_denied;   /* the address may not be connected to */
    bool is_too_long; /* the answer */
    bool was_stopped;
    bool has_enough;    /* of an answer that only says what went wrong */
    int64_t refused_ms; /* monotonic: since when it says so; 0: it does not */
    bool callback_failed;
    struct err failed; /* of a callback */
};

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct fetch *fetch_new(const struct fetch_options *o, struct err *e)
{
    SCOPED(fetch_freep) struct fetch *f = xnew(struct fetch);

    (void)pthread_once(&started, start_curl);
    f->curl = curl_easy_init();
    if (f->curl == NULL) {
        err_set(e, ERR_INTERNAL, "libcurl does not start");
        return NULL;
    }
    f->deny = (struct fetch_deny){o->denied, o->n_denied};
    f->ca_pem = o->ca_pem ? xstrdup(o->ca_pem) : NULL;
    f->insecure = o->insecure;
    return TAKE(f);
}

void fetch_free(struct fetch *f)
{
    if (f == NULL) {
        return;
    }
    curl_easy_cleanup(f->curl);
    free(f->ca_pem);
    free(f);
}

void fetch_answer_done(struct fetch_answer *a)
{
    buf_done(&a->head);
    buf_done(&a->body);
}

/* --- where it may go --- */

static CURLU *parse_url(const char *text)
{
    CURLU *u = curl_url();

    if (u != NULL && curl_url_set(u, CURLUPART_URL, text, 0) != CURLUE_OK) {
        curl_url_cleanup(u);
        return NULL;
    }
    return u;
}

/* A redirect that curl is about to follow. */
static bool redirect_is_denied(const struct turn *t, struct str line)
{
    struct str value = line, name = str_cut(&value, ':');
    const char *from = NULL;

    while (value.len > 0 && (value.p[value.len - 1] == '\n' || value.p[value.len - 1] == '\r')) {
        value.len--;
    }
    return t->q->follows && value.p != NULL && str_eq_nocase(name, STR("Location")) &&
           (curl_easy_getinfo(t->f->curl, CURLINFO_EFFECTIVE_URL, &from) != CURLE_OK ||
            from == NULL || fetch_deny_location(&t->f->deny, from, str_trim(value)));
}

/* curl asks here for a socket to the address it is about to connect to. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose UNUSED, struct curl_sockaddr *to)
{
    struct turn *t = ctx;

    return fetch_deny_socket(&t->f->deny, to, &t->is_denied);
}

/* --- bytes --- */

static size_t on_head(char *p, size_t size, size_t n, void *ctx)
{
    struct turn *t = ctx;
    struct str line = str_n(p, size * n);

    if (str_starts(line, STR("HTTP/"))) { /* another answer: after a redirect, or 100 Continue */
        buf_clear(&t->out->head);
        buf_clear(&t->out->body);
    }
    if (buf_add(&t->out->head, line) < 0) {
        t->is_too_long = true;
        return 0;
    }
    if (redirect_is_denied(t, line)) {
        t->is_denied = true;
        return 0;
    }
    return size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct turn *t = ctx;
    struct str piece = str_n(p, size * n);
    long status = 0;

    (void)curl_easy_getinfo(t->f->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->q->sink != NULL && status == (t->q->sink_status ? t->q->sink_status : 200)) {
        if (t->q->sink(t->q->ctx, piece, &t->failed) < 0) {
            t->callback_failed = true;
            return 0;
        }
        return piece.len;
    }
    if (status >= 400 && t->out->body.len + piece.len > t->out->body.max) {
        t->has_enough = true; /* the beginning of what went wrong; there may be no end of it */
        return 0;
    }
    if (buf_add(&t->out->body, piece) < 0) {
        t->is_too_long = true;
        return 0;
    }
    return piece.len;
}

static size_t on_upload(char *p, size_t size, size_t n, void *ctx)
{
    struct turn *t = ctx;
    size_t room = size * n;
    ssize_t got;

    if (t->q->source == NULL) {
        struct str rest = str_from(t->q->body, (size_t)t->sent);

        got = (ssize_t)(rest.len < room ? rest.len : room);
        memcpy(p, rest.p, (size_t)got);
    } else {
        got = t->q->source(t->q->ctx, t->sent, p, room, &t->failed);
    }
    if (got < 0) {
        t->callback_failed = true;
        return CURL_READFUNC_ABORT;
    }
    t->sent += got;
    return (size_t)got;
}

/* A kept connection that had died: curl sends the body again, from its beginning. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct turn *t = ctx;

    if (origin != SEEK_SET) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    t->sent = offset;
    return CURL_SEEKFUNC_OK;
}

/* What went wrong may come drop by drop. */
static bool refuses_for_long(struct turn *t)
{
    long status = 0;

    (void)curl_easy_getinfo(t->f->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 400) {
        return false;
    }
    t->refused_ms = t->refused_ms ? t->refused_ms : clock_mono_ms();
    return clock_mono_ms() - t->refused_ms > ERROR_BODY_MS;
}

static int on_progress(void *ctx, curl_off_t a UNUSED, curl_off_t b UNUSED, curl_off_t c UNUSED,
                       curl_off_t d UNUSED)
{
    struct turn *t = ctx;

    t->was_stopped = t->q->stop != NULL && t->q->stop(t->q->stop_ctx);
    t->has_enough = t->has_enough || refuses_for_long(t);
    return t->was_stopped || t->has_enough;
}

/* --- one request --- */

/* libcurl reads up to 100 buffers before it looks at the limit: together they are a second of it.
 */
static long buffer_bytes(int64_t rate_bytes)
{
    int64_t n = rate_bytes / 100;

    return rate_bytes == 0 || n > BUFFER_BYTES ? BUFFER_BYTES : n < 1024 ? 1024 : (long)n;
}

static void set_limits(CURL *c, const struct fetch_request *q)
{
    bool is_safe = str_eq_nocase(str_first(str_of(q->url), 6), STR("https:"));

    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* a stop does not wait for slow DNS */
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, is_safe ? "https" : "http,https");
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, q->follows ? 1L : 0L);
    (void)curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT,
                           (long)(q->connect_sec ? q->connect_sec : CONNECT_SEC));
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)q->total_sec);
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT,
                           (long)(q->slowest_bytes ? q->slowest_bytes : 1));
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME,
                           (long)(q->stall_sec ? q->stall_sec : STALL_SEC));
    (void)curl_easy_setopt(c, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)q->rate_bytes);
    (void)curl_easy_setopt(c, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)q->rate_bytes);
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, buffer_bytes(q->rate_bytes));
    (void)curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
}

static void set_trust(CURL *c, const struct fetch *f)
{
    if (f->insecure) {
        (void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (f->ca_pem != NULL) {
        struct curl_blob pem = {
            .data = f->ca_pem, .len = strlen(f->ca_pem), .flags = CURL_BLOB_COPY};

        (void)curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &pem);
    }
}

static void set_callbacks(CURL *c, struct turn *t)
{
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

static void set_body(CURL *c, struct turn *t)
{
    const struct fetch_request *q = t->q;
    bool has_body = q->source != NULL || q->body.p != NULL;

    if (has_body) {
        (void)curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload);
        (void)curl_easy_setopt(c, CURLOPT_READDATA, t);
        (void)curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
        (void)curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
        (void)curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE,
                               (curl_off_t)(q->source ? q->body_bytes : (int64_t)q->body.len));
    }
    if (strcmp(q->method, "HEAD") == 0) {
        (void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    } else {
        (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    }
}

/* Headers with line breaks would be two: they are ours to check, whoever wrote the value. */
static int make_headers(const struct fetch_request *q, struct curl_slist **out, struct err *e)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no second of waiting for 100 */

    for (size_t i = 0; i < q->n_headers && list != NULL; i++) {
        struct buf line = BUF_MAX(16384);
        struct curl_slist *longer = NULL;

        (void)buf_printf(&line, "%s: %s", q->headers[i].name, q->headers[i].value);
        if (!line.failed && strpbrk(line.p, "\r\n") == NULL) {
            longer = curl_slist_append(list, line.p);
        }
        buf_done(&line);
        if (longer == NULL) {
            curl_slist_free_all(list);
            return err_set(e, ERR_INVALID, "the header %s cannot be sent", q->headers[i].name);
        }
        list = longer;
    }
    *out = list;
    return 0;
}

static bool is_untrusted(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_ISSUER_ERROR;
}

static int explain(const struct turn *t, CURLcode code, const char *detail, struct err *e)
{
    const char *url = t->q->url, *text = detail[0] ? detail : curl_easy_strerror(code);

    if (t->callback_failed) {
        *e = t->failed;
        return -1;
    }
    if (t->was_stopped) {
        return err_set(e, ERR_CONFLICT, "%s %s: stopped", t->q->method, url);
    }
    if (t->is_too_long) {
        return err_set(e, ERR_LIMIT, "%s %s: the answer is longer than it may be", t->q->method,
                       url);
    }
    if (t->is_denied) {
        return err_set(e, ERR_FORBIDDEN,
                       "%s leads to an address that this server does not connect to "
                       "(net.outbound_deny)",
                       url);
    }
    if (is_untrusted(code)) {
        return err_set(e, ERR_UNAVAILABLE,
                       "the certificate of %s is not trusted: %s; give its CA certificate", url,
                       text);
    }
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return err_set(e, ERR_INVALID,
                       "%s is no address of a server: give http://... or https://...", url);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(e, ERR_TIMEOUT, "%s does not answer in time: %s", url, text);
    default:
        return err_set(e, ERR_UNAVAILABLE, "%s cannot be reached: %s", url, text);
    }
}

static void note_answer(CURL *c, struct fetch_answer *out)
{
    const char *url = NULL;
    long status = 0;

    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(c, CURLINFO_EFFECTIVE_URL, &url);
    out->status = (int)status;
    if (url == NULL || str_copy(str_of(url), out->url, sizeof(out->url)) < 0) {
        out->url[0] = '\0';
    }
}

int fetch_do(struct fetch *f, const struct fetch_request *q, struct fetch_answer *out,
             struct err *e)
{
    struct turn t = {.f = f, .q = q, .out = out};
    struct curl_slist *headers = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    CURLcode code;

    *out = (struct fetch_answer){
        .head = BUF_MAX(FETCH_HEAD_BYTES_MAX),
        .body = BUF_MAX(q->answer_max > ERROR_BODY_MAX ? q->answer_max : ERROR_BODY_MAX)};
    if (fetch_deny_url(&f->deny, q->url)) {
        t.is_denied = true;
        return explain(&t, CURLE_COULDNT_CONNECT, detail, e);
    }
    if (make_headers(q, &headers, e) < 0) {
        return -1;
    }
    curl_easy_reset(f->curl); /* keeps connections and sessions of TLS */
    (void)curl_easy_setopt(f->curl, CURLOPT_URL, q->url);
    (void)curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(f->curl, CURLOPT_USERAGENT, "strata");
    (void)curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, detail);
    set_limits(f->curl, q);
    set_trust(f->curl, f);
    set_callbacks(f->curl, &t);
    set_body(f->curl, &t);
    code = curl_easy_perform(f->curl);
    note_answer(f->curl, out);
    out->is_untrusted = is_untrusted(code);
    curl_slist_free_all(headers);
    return code == CURLE_OK || (t.has_enough && !t.was_stopped) ? 0 : explain(&t, code, detail, e);
}

/* --- what came --- */

struct str fetch_answer_header(const struct fetch_answer *a, const char *name)
{
    struct str rest = buf_str(&a->head);

    while (rest.p != NULL && rest.len > 0) {
        struct str value = str_cut(&rest, '\n');
        struct str key = str_cut(&value, ':');

        if (value.p != NULL && str_eq_nocase(str_trim(key), str_of(name))) {
            ptrdiff_t end = str_find_char(value, '\r');

            return str_trim(end < 0 ? value : str_first(value, (size_t)end));
        }
    }
    return (struct str){0};
}

int64_t fetch_retry_after(const struct fetch_answer *a, int64_t def, int64_t max)
{
    struct str text = fetch_answer_header(a, "Retry-After");
    uint64_t seconds;

    if (text.p == NULL || str_to_u64(text, &seconds) < 0) {
        return def;
    }
    return seconds > (uint64_t)max ? max : (int64_t)seconds;
}

/* --- addresses --- */

int fetch_url_join(const char *base, struct str ref, char out[2048], struct err *e)
{
    CURLU *u = parse_url(base);
    char text[2048], *whole = NULL;
    int result = -1;

    if (u != NULL && str_copy(ref, text, sizeof(text)) == 0 &&
        curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK &&
        !(str_starts(str_of(base), STR("https:")) && !str_starts(str_of(whole), STR("https:")))) {
        result = str_copy(str_of(whole), out, 2048);
    }
    curl_free(whole);
    curl_url_cleanup(u);
    return result == 0 ? 0
                       : err_set(e, ERR_INVALID, "%s leads to \"%.*s\", which we do not follow",
                                 base, STR_ARG(str_first(ref, 200)));
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *x = NULL, *y = NULL;
    bool same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                str_eq_nocase(str_of(x), str_of(y));

    curl_free(x);
    curl_free(y);
    return same;
}

bool fetch_same_origin(const char *a, const char *b)
{
    CURLU *x = parse_url(a), *y = parse_url(b);
    bool same = x != NULL && y != NULL && same_part(x, y, CURLUPART_SCHEME) &&
                same_part(x, y, CURLUPART_HOST) && same_part(x, y, CURLUPART_PORT);

    curl_url_cleanup(x);
    curl_url_cleanup(y);
    return same;
}
