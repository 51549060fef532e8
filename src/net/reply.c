#include "net/net_priv.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { HEADERS_MAX = 32 * 1024 };

/* Sent with every answer unless the handler says otherwise. */
static const struct {
    const char *name, *line;
} defaults[] = {
    {"Server", "Server: strata\r\n"},
    {"X-Content-Type-Options", "X-Content-Type-Options: nosniff\r\n"},
    {"Referrer-Policy", "Referrer-Policy: same-origin\r\n"},
    {"X-Frame-Options", "X-Frame-Options: DENY\r\n"},
    {"Content-Security-Policy", "Content-Security-Policy: frame-ancestors 'none'\r\n"},
};
enum {
    OVERRIDES_TYPE = 1U << 30,
    OVERRIDES_LENGTH = 1U << 29,
};

/* Framing is the engine's business. */
static const char *const forbidden[] = {"Connection", "Transfer-Encoding", "Date", "X-Request-Id",
                                        "Keep-Alive"};

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {101, "Switching Protocols"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Status";
}

void reply_begin(struct exchange *x)
{
    struct buf headers = x->reply.headers;

    buf_clear(&headers);
    x->reply = (struct reply){.headers = headers};
    x->reply.headers.max = HEADERS_MAX;
}

void reply_done(struct reply *r)
{
    buf_done(&r->headers);
}

/* --- headers --- */

static bool note_override(struct exchange *x, struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        if (str_eq_nocase(name, str_of(forbidden[i]))) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        if (str_eq_nocase(name, str_of(defaults[i].name))) {
            x->reply.overrides |= 1U << i;
        }
    }
    if (str_eq_nocase(name, STR("Content-Type"))) {
        x->reply.overrides |= OVERRIDES_TYPE;
    }
    if (str_eq_nocase(name, STR("Content-Length"))) {
        x->reply.overrides |= OVERRIDES_LENGTH;
        return x->req.method == HTTP_HEAD; /* the length that GET would have */
    }
    return true;
}

void http_set_header(struct http_req *r, const char *name, const char *fmt, ...)
{
    struct exchange *x = r->conn->x;
    struct buf *b = &x->reply.headers;
    size_t start = b->len, value, n;
    va_list ap;
    int len;

    (void)buf_printf(b, "%s: ", name);
    value = b->len;
    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    n = len < 0 ? HEADERS_MAX : (size_t)len;
    if (buf_reserve(b, n + 2)) {
        va_start(ap, fmt);
        (void)vsnprintf(b->p + b->len, n + 1, fmt, ap);
        va_end(ap);
        b->len += n;
    }
    if (b->failed || strcspn(b->p + value, "\r\n") != n || !note_override(x, str_of(name))) {
        b->failed = false;
        b->len = start;
        x->reply.bad_header = true;
        return;
    }
    (void)buf_add(b, STR("\r\n"));
}

static void add_date(struct exchange *x, struct buf *b)
{
    int64_t now = clock_wall_ms() / 1000;

    if (now != x->date_sec) {
        x->date_sec = now;
        (void)clock_format_http(now * 1000, x->date);
    }
    (void)buf_add(b, STR("Date: "));
    (void)buf_add(b, str_n(x->date, 29));
    (void)buf_add(b, STR("\r\nX-Request-Id: "));
    (void)buf_add(b, str_n(x->req.id, 16));
    (void)buf_add(b, STR("\r\n"));
}

static void add_status_line(struct buf *b, int status)
{
    if (status == 200) {
        (void)buf_add(b, STR("HTTP/1.1 200 OK\r\n"));
        return;
    }
    (void)buf_printf(b, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
}

static void add_decimal(struct buf *b, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    (void)buf_add(b, str_n(digits + at, sizeof(digits) - at));
}

static void add_framing(struct exchange *x, struct buf *b, int64_t length)
{
    struct reply *p = &x->reply;

    if (p->status == 204 || p->status == 304 || p->status == 101) {
        p->no_body = true;
    } else if (length >= 0 && !(p->overrides & OVERRIDES_LENGTH)) {
        (void)buf_add(b, STR("Content-Length: "));
        add_decimal(b, (uint64_t)length);
        (void)buf_add(b, STR("\r\n"));
    } else if (length < 0 && x->head.minor == 1) {
        p->chunked = true;
        (void)buf_add(b, STR("Transfer-Encoding: chunked\r\n"));
    } else if (length < 0) {
        p->closes = true; /* HTTP/1.0: the end of the connection ends the body */
    }
    if (p->status == 101) {
        (void)buf_add(b, STR("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    } else if (p->closes) {
        (void)buf_add(b, STR("Connection: close\r\n"));
    } else if (x->head.minor == 0) {
        (void)buf_add(b, STR("Connection: keep-alive\r\n"));
    }
}

static void build_head(struct exchange *x, const char *type, int64_t length)
{
    struct reply *p = &x->reply;
    struct buf *b = &x->out;

    buf_clear(b);
    add_status_line(b, p->status);
    add_date(x, b);
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        if (!(p->overrides & 1U << i)) {
            (void)buf_add_c(b, defaults[i].line);
        }
    }
    if (type && !(p->overrides & OVERRIDES_TYPE)) {
        (void)buf_add(b, STR("Content-Type: "));
        (void)buf_add_c(b, type);
        (void)buf_add(b, STR("\r\n"));
    }
    (void)buf_add(b, buf_str(&p->headers));
    add_framing(x, b, length);
    (void)buf_add(b, STR("\r\n"));
}

static void audit(struct exchange *x, int status)
{
    const struct http_hooks *h = &x->server->options.hooks;
    const struct route *route = x->req.route;
    bool reads = x->req.method == HTTP_GET || x->req.method == HTTP_HEAD;

    if (h->audit && route && !(route->flags & ROUTE_NO_AUDIT) &&
        (!reads || route->flags & ROUTE_AUDIT)) {
        h->audit(h->ctx, &x->req, status);
    }
}

int reply_head(struct exchange *x, int status, const char *type, int64_t length, struct err *e)
{
    struct reply *p = &x->reply;

    if (p->state != REPLY_NONE) {
        return err_set(e, ERR_INTERNAL, "the handler answers twice");
    }
    if (p->bad_header) {
        reply_begin(x);
        return err_set(e, ERR_INTERNAL, "the handler set a header that must not be sent");
    }
    p->status = status;
    p->no_body = x->req.method == HTTP_HEAD;
    p->closes = p->closes || !x->head.keep_alive || body_is_too_much(x) ||
                atomic_load_explicit(&x->server->draining, memory_order_relaxed);
    audit(x, status);
    count_answer(x->server, x->req.path, status);
    build_head(x, type, length);
    p->state = REPLY_BROKEN; /* until it is out */
    return 0;
}

bool http_client_is_gone(const struct http_req *r)
{
    struct pollfd p = {.fd = r->conn->x->conn->fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* --- whole answers --- */

int http_reply(struct http_req *r, int status, const char *type, struct str body, struct err *e)
{
    struct exchange *x = r->conn->x;
    struct iovec iov[2];

    if (reply_head(x, status, type, (int64_t)body.len, e) < 0) {
        return -1;
    }
    iov[0] = (struct iovec){x->out.p, x->out.len};
    iov[1] = (struct iovec){(void *)body.p, body.len};
    if (conn_send_all(x->conn, iov, x->reply.no_body || body.len == 0 ? 1 : 2, 0, e) < 0) {
        return -1;
    }
    x->reply.state = REPLY_SENT;
    return 0;
}

int http_reply_empty(struct http_req *r, int status, struct err *e)
{
    return http_reply(r, status, NULL, STR_EMPTY, e);
}

int http_reply_json(struct http_req *r, int status, const struct buf *json, struct err *e)
{
    if (json->failed) {
        char text[16];

        return err_set(e, ERR_LIMIT, "the answer is larger than %s; ask for less at once",
                       str_format_bytes((int64_t)json->max, text));
    }
    return http_reply(r, status, "application/json", buf_str(json), e);
}

/* --- streams --- */

int http_stream_begin(struct http_req *r, int status, const char *type, struct err *e)
{
    struct exchange *x = r->conn->x;
    struct iovec iov;

    if (reply_head(x, status, type, -1, e) < 0) {
        return -1;
    }
    iov = (struct iovec){x->out.p, x->out.len};
    if (conn_send_all(x->conn, &iov, 1, 0, e) < 0) {
        return -1;
    }
    x->reply.state = REPLY_STREAM;
    return 0;
}

int http_stream_write(struct http_req *r, struct str bytes, struct err *e)
{
    struct exchange *x = r->conn->x;
    struct iovec iov[3];
    char size[24];
    int n;

    if (x->reply.state != REPLY_STREAM) {
        return err_set(e, ERR_INTERNAL, "the handler writes outside a stream");
    }
    if (bytes.len == 0 || x->reply.no_body) {
        return 0;
    }
    n = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
    iov[0] = (struct iovec){size, (size_t)n};
    iov[1] = (struct iovec){(void *)bytes.p, bytes.len};
    iov[2] = (struct iovec){(void *)"\r\n", 2};
    n = x->reply.chunked ? conn_send_all(x->conn, iov, 3, 0, e)
                         : conn_send_all(x->conn, iov + 1, 1, 0, e);
    if (n < 0) {
        x->reply.state = REPLY_BROKEN;
    }
    return n;
}

int reply_end_stream(struct exchange *x, struct err *e)
{
    struct iovec last = {(void *)"0\r\n\r\n", 5};

    x->reply.state = REPLY_BROKEN;
    if (x->reply.chunked && !x->reply.no_body && conn_send_all(x->conn, &last, 1, 0, e) < 0) {
        return -1;
    }
    x->reply.state = REPLY_SENT;
    return 0;
}
