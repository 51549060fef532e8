#include "net/net_priv.h"
#include "net/url.h"

#include <errno.h>
#include <string.h>

enum { READ_STEP = 64 * 1024 };

void body_begin(struct exchange *x)
{
    const struct http_head *h = &x->head;

    x->body = (struct body){.kind = BODY_NONE};
    if (h->chunked) {
        x->body.kind = BODY_CHUNKED;
    } else if (h->content_length > 0) {
        x->body.kind = BODY_LENGTH;
        x->body.left = h->content_length;
    }
    x->body.awaits_continue = h->expects_continue && x->body.kind != BODY_NONE;
}

static bool at_end(const struct body *b)
{
    return b->kind == BODY_NONE || (b->kind == BODY_LENGTH && b->left == 0) ||
           (b->kind == BODY_CHUNKED && b->chunk.state == CHUNK_DONE);
}

int64_t http_body_length(const struct http_req *r)
{
    const struct http_head *h = &r->conn->x->head;

    return h->chunked ? -1 : h->content_length < 0 ? 0 : h->content_length;
}

static int start_body(struct exchange *x, struct err *e)
{
    struct body *b = &x->body;
    struct iovec go_on = {(void *)"HTTP/1.1 100 Continue\r\n\r\n", 25};

    b->started = true;
    b->pace = (struct pace){NET_GRACE_MS};
    if (!b->awaits_continue) {
        return 0;
    }
    b->awaits_continue = false;
    if (x->in_used < x->in_len || x->reply.state != REPLY_NONE) {
        return 0; /* it did not wait */
    }
    return conn_send_all(x->conn, &go_on, 1, 0, e);
}

/* From the socket, at least one byte. */
static ssize_t receive(struct exchange *x, void *p, size_t n, struct err *e)
{
    for (;;) {
        ssize_t got = conn_recv(x->conn, p, n);

        if (got > 0) {
            pace_moved(&x->body.pace, (size_t)got);
            return got;
        }
        if (got == 0) {
            return err_set(e, ERR_INVALID, "the body was cut short: the connection ended");
        }
        if (errno != EAGAIN) {
            return err_set(e, ERR_INVALID, "the body was cut short: %s", strerror(errno));
        }
        if (conn_may_wait(x->conn, e) < 0) {
            return -1;
        }
        if (!pace_wait(&x->body.pace, x->conn)) {
            return err_set(e, ERR_TIMEOUT,
                           "the body comes too slowly: less than %d bytes per second",
                           LIMIT_BODY_MIN_BYTES_PER_SEC);
        }
    }
}

static struct str buffered(const struct exchange *x)
{
    return str_n(x->in + x->in_used, x->in_len - x->in_used);
}

static ssize_t read_length(struct exchange *x, void *p, size_t n, struct err *e)
{
    struct str have = buffered(x);
    ssize_t got;

    n = (int64_t)n < x->body.left ? n : (size_t)x->body.left;
    if (have.len > 0) {
        n = n < have.len ? n : have.len;
        memcpy(p, have.p, n);
        x->in_used += n;
        got = (ssize_t)n;
    } else {
        got = receive(x, p, n, e);
    }
    x->body.left -= got > 0 ? got : 0;
    return got;
}

/* Framing is read into the space behind the head, payload goes straight to its reader. */
static ssize_t receive_chunked(struct exchange *x, void *p, size_t n, struct err *e)
{
    struct chunk_decoder *d = &x->body.chunk;
    ssize_t got;

    if (d->state == CHUNK_DATA) {
        got = receive(x, p, d->left < n ? (size_t)d->left : n, e);
        if (got > 0) {
            chunk_took(d, (size_t)got);
        }
        return got;
    }
    x->in_len = x->in_used = x->head_len;
    got = receive(x, x->in + x->in_len, NET_IN_BYTES - x->in_len, e);
    x->in_len += got > 0 ? (size_t)got : 0;
    return got < 0 ? -1 : 0;
}

static ssize_t read_chunked(struct exchange *x, void *p, size_t n, struct err *e)
{
    while (x->body.chunk.state != CHUNK_DONE) {
        struct str data;
        size_t used;
        ssize_t got;

        if (chunk_next(&x->body.chunk, buffered(x), n, &used, &data) < 0) {
            return err_set(e, ERR_INVALID, "the chunked body is malformed");
        }
        x->in_used += used;
        if (data.len > 0) {
            memcpy(p, data.p, data.len);
            return (ssize_t)data.len;
        }
        if (x->body.chunk.state == CHUNK_DONE) {
            break;
        }
        got = receive_chunked(x, p, n, e);
        if (got != 0) {
            return got;
        }
    }
    return 0;
}

ssize_t http_body_read(struct http_req *r, void *p, size_t n, struct err *e)
{
    struct exchange *x = r->conn->x;
    ssize_t got;

    if (x->body.failed) {
        return err_set(e, ERR_INVALID, "the body was cut short");
    }
    if (n == 0 || at_end(&x->body)) {
        return 0;
    }
    if (!x->body.started && start_body(x, e) < 0) {
        x->body.failed = true;
        return -1;
    }
    got = x->body.kind == BODY_LENGTH ? read_length(x, p, n, e) : read_chunked(x, p, n, e);
    x->body.failed = got < 0;
    return got;
}

/* --- whole bodies --- */

static int too_large(size_t max, struct err *e)
{
    char text[16];

    return err_set(e, ERR_LIMIT, "the body is larger than %s",
                   str_format_bytes((int64_t)max, text));
}

static int read_all(struct http_req *r, struct buf *b, struct err *e)
{
    for (;;) {
        size_t room = b->max - b->len < READ_STEP ? b->max - b->len : READ_STEP;
        char past;
        char *at = room > 0 ? buf_reserve(b, room) : &past;
        ssize_t got = http_body_read(r, at, room > 0 ? room : 1, e);

        if (got <= 0) {
            return (int)got;
        }
        if (room == 0) {
            return too_large(b->max, e);
        }
        b->len += (size_t)got;
    }
}

static void buf_donep(struct buf *b)
{
    buf_done(b);
}

int http_body_all(struct http_req *r, size_t max, struct str *out, struct err *e)
{
    SCOPED(buf_donep) struct buf b = BUF_MAX(max);
    int64_t length = http_body_length(r);

    if (length > (int64_t)max) {
        return too_large(max, e);
    }
    if (length > 0 && buf_reserve(&b, (size_t)length) == NULL) {
        return too_large(max, e);
    }
    if (read_all(r, &b, e) < 0) {
        return -1;
    }
    *out = arena_str(&r->arena, buf_str(&b));
    return 0;
}

int http_body_json(struct http_req *r, json_t **out, struct err *e)
{
    struct str text;
    json_t *j;

    if (http_body_all(r, LIMIT_JSON_BODY_BYTES, &text, e) < 0) {
        return -1;
    }
    if (text.len == 0) {
        return err_set(e, ERR_INVALID, "the body is empty; a JSON object is expected");
    }
    j = json_parse(text, e);
    if (j == NULL) {
        return err_wrap(e, "body");
    }
    if (!json_is_object(j)) {
        json_decref(j);
        return err_set(e, ERR_INVALID, "the body is not a JSON object");
    }
    *out = j;
    return 0;
}

int http_body_form(struct http_req *r, const struct http_param **out, size_t *n, struct err *e)
{
    struct str text;

    if (http_body_all(r, LIMIT_JSON_BODY_BYTES, &text, e) < 0) {
        return -1;
    }
    return url_parse_form(&r->arena, text, out, n, e);
}

/* --- what the handler did not read --- */

bool body_is_too_much(const struct exchange *x)
{
    const struct body *b = &x->body;

    return b->failed || (!at_end(b) && (b->awaits_continue ||
                                        (b->kind == BODY_LENGTH && b->left > NET_DRAIN_BYTES)));
}

bool body_drain(struct exchange *x)
{
    int64_t deadline;
    size_t dropped = 0;

    if (at_end(&x->body) || body_is_too_much(x)) {
        return !body_is_too_much(x);
    }
    deadline = clock_mono_ms() + NET_DRAIN_MS;
    x->body.started = true;
    while (!at_end(&x->body) && dropped < NET_DRAIN_BYTES) {
        char bin[8 * 1024];
        struct err ignored;
        ssize_t got;

        x->body.pace.credit_ms = deadline - clock_mono_ms();
        got = x->body.pace.credit_ms < 0 ? -1 : http_body_read(&x->req, bin, sizeof(bin), &ignored);
        if (got < 0) {
            return false;
        }
        dropped += (size_t)got;
    }
    return at_end(&x->body);
}
