/* Streams that outlive their handler: the relay calls pump() when there may be something, frames it
 * and writes what the socket takes. An idle stream holds no buffer. */
#include "net/net_priv.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

enum {
    FRAME_HEAD = 10,    /* room for "10000\r\n" in front of what pump() adds */
    FRAME_TAIL = 16,    /* "\r\n0\r\n\r\n" */
    ROUNDS_AT_ONCE = 4, /* 256 KiB, then the others have a turn */
};

struct stream {
    struct http_waker waker;
    const struct http_stream_ops *ops;
    void *ctx;
    unsigned tick_ms;
    bool chunked, closes, last;
    char *pending; /* framed, not taken by the socket yet; or NULL */
    size_t pending_len, sent;
    int64_t stalled_ms; /* since when the socket takes nothing; 0: it does */
};

static void stream_free(struct http_waker *w)
{
    struct stream *st = (struct stream *)w;

    st->ops->close(st->ctx);
    free(st->pending);
    free(st);
}

/* 1: all is out, 0: the socket is full, -1: it is dead. */
static int write_pending(struct stream *st)
{
    while (st->sent < st->pending_len) {
        struct iovec iov = {st->pending + st->sent, st->pending_len - st->sent};
        ssize_t n = conn_send(st->waker.conn, &iov, 1, 0);

        if (n < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        st->sent += (size_t)n;
        st->stalled_ms = 0;
    }
    free(st->pending);
    st->pending = NULL;
    st->pending_len = st->sent = 0;
    return 1;
}

/* Tries without keeping a copy first: nearly always the socket takes all. */
static int write_frame(struct stream *st, const char *p, size_t len)
{
    while (len > 0) {
        struct iovec iov = {(void *)p, len};
        ssize_t n = conn_send(st->waker.conn, &iov, 1, 0);

        if (n < 0 && errno != EAGAIN) {
            return -1;
        }
        if (n < 0) {
            st->pending = xcalloc(1, len);
            memcpy(st->pending, p, len);
            st->pending_len = len;
            return 0;
        }
        p += n;
        len -= (size_t)n;
    }
    return 1;
}

/* Puts the size in front and the tail behind; returns where the frame begins. */
static char *frame(const struct stream *st, struct buf *b, size_t payload)
{
    char head[FRAME_HEAD + 1];
    int n;

    b->max += FRAME_TAIL;
    if (!st->chunked) {
        return b->p + FRAME_HEAD;
    }
    if (payload == 0) {
        (void)buf_add(b, st->last ? STR("0\r\n\r\n") : STR_EMPTY);
        return b->p + FRAME_HEAD;
    }
    n = snprintf(head, sizeof(head), "%zx\r\n", payload);
    memcpy(b->p + FRAME_HEAD - n, head, (size_t)n);
    (void)buf_add(b, st->last ? STR("\r\n0\r\n\r\n") : STR("\r\n"));
    return b->p + FRAME_HEAD - n;
}

enum pumped { PUMPED_NOTHING, PUMPED_OUT, PUMPED_FULL, PUMPED_DEAD };

static enum pumped pump(struct stream *st)
{
    struct buf *b = relay_scratch(&st->waker);
    char *begin;
    int rc;

    b->max = FRAME_HEAD + NET_PUMP_BYTES;
    (void)buf_add(b, str_n("          ", FRAME_HEAD));
    rc = st->ops->pump(st->ctx, b);
    if (rc < 0 || b->failed || b->len < FRAME_HEAD) {
        return PUMPED_DEAD;
    }
    st->last = rc == 0;
    if (b->len == FRAME_HEAD && !st->last) {
        return PUMPED_NOTHING;
    }
    begin = frame(st, b, b->len - FRAME_HEAD);
    rc = write_frame(st, begin, (size_t)(b->p + b->len - begin));
    return rc < 0 ? PUMPED_DEAD : rc == 0 ? PUMPED_FULL : PUMPED_OUT;
}

static enum relayed_result wait_for_room(struct stream *st, int64_t now_ms)
{
    if (st->stalled_ms == 0) {
        st->stalled_ms = now_ms;
    }
    if (now_ms - st->stalled_ms >= NET_STALL_MS) {
        return RELAYED_CUT; /* reads too slowly */
    }
    relay_arm(&st->waker, st->waker.conn->wants | EPOLLRDHUP);
    relay_timer(&st->waker, st->stalled_ms + NET_STALL_MS);
    return RELAYED_STAYS;
}

static enum relayed_result wait_for_wake(struct stream *st, int64_t now_ms)
{
    relay_arm(&st->waker, EPOLLRDHUP);
    relay_timer(&st->waker, st->tick_ms ? now_ms + st->tick_ms : 0);
    return RELAYED_STAYS;
}

static enum relayed_result stream_serve(struct http_waker *w, unsigned events, int64_t now_ms)
{
    struct stream *st = (struct stream *)w;

    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        return RELAYED_CUT;
    }
    for (int round = 0; round < ROUNDS_AT_ONCE; round++) {
        int rc = write_pending(st);

        if (rc <= 0) {
            return rc == 0 ? wait_for_room(st, now_ms) : RELAYED_CUT;
        }
        if (st->last) {
            return st->closes ? RELAYED_LINGER : RELAYED_KEEP;
        }
        switch (pump(st)) {
        case PUMPED_NOTHING:
            return wait_for_wake(st, now_ms);
        case PUMPED_FULL:
            return wait_for_room(st, now_ms);
        case PUMPED_DEAD:
            return RELAYED_CUT;
        case PUMPED_OUT:
            break;
        }
    }
    relay_arm(w, EPOLLOUT | EPOLLRDHUP); /* there is more: soon again */
    return RELAYED_STAYS;
}

static void stream_finish(struct http_waker *w)
{
    struct stream *st = (struct stream *)w;
    char *more = st->chunked && !st->last ? xrealloc(st->pending, st->pending_len + 5) : NULL;

    if (more) {
        memcpy(more + st->pending_len, "0\r\n\r\n", 5);
        st->pending = more;
        st->pending_len += 5;
    }
    st->last = true;
    st->closes = true;
}

static const struct relayed_ops stream_ops = {stream_serve, stream_finish, stream_free};

int http_park(struct http_req *r, const char *type, const struct http_stream_ops *ops,
              void *stream_ctx, unsigned tick_ms, struct http_waker **waker, struct err *e)
{
    struct exchange *x = r->conn->x;
    struct stream *st;

    if (!body_drain(x)) {
        x->reply.closes = true;
    }
    if (http_stream_begin(r, 200, type, e) < 0) {
        return -1;
    }
    if (waker) {
        *waker = NULL;
    }
    if (x->reply.no_body) {
        x->reply.state = REPLY_SENT;
        ops->close(stream_ctx);
        return 0;
    }
    st = xnew(struct stream);
    waker_init(&st->waker, &stream_ops, x->conn);
    st->ops = ops;
    st->ctx = stream_ctx;
    st->tick_ms = tick_ms;
    st->chunked = x->reply.chunked;
    st->closes = x->reply.closes;
    x->reply.state = REPLY_PARKED;
    x->reply.parked = &st->waker;
    if (waker) {
        *waker = &st->waker;
    }
    return 0;
}
