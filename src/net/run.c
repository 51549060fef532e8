/* One connection on one worker: from the first byte epoll has seen to parking or closing it. */
#include "net/net_priv.h"

#include "base/hash.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { REQUESTS_IN_A_ROW = 64 /* of a pipelining client, before others have a turn */ };

enum conn_fate { FATE_KEEP, FATE_CLOSE, FATE_LINGER, FATE_GONE };

struct exchange *exchange_new(struct http_server *s, struct worker_slot *slot)
{
    struct exchange *x = xnew(struct exchange);

    x->server = s;
    x->slot = slot;
    x->in = xcalloc(1, NET_IN_BYTES);
    x->out = BUF_MAX(64 * KIB);
    random_bytes(&x->id_state, sizeof(x->id_state));
    return x;
}

void exchange_free(struct exchange *x)
{
    if (x) {
        arena_done(&x->req.arena);
        reply_done(&x->reply);
        buf_done(&x->out);
        free(x->in);
        free(x);
    }
}

static void load_input(struct http_conn *c, struct exchange *x)
{
    c->x = x;
    x->conn = c;
    x->in_len = c->saved_len;
    x->in_used = x->head_len = 0;
    if (c->saved) {
        memcpy(x->in, c->saved, c->saved_len);
        free(c->saved);
        c->saved = NULL;
        c->saved_len = 0;
    }
}

/* Keeps what has come behind the request, for the next one. */
static void save_input(struct http_conn *c, const struct exchange *x)
{
    size_t n = x->in_len - x->in_used;

    if (n > 0) {
        c->saved = xcalloc(1, n);
        memcpy(c->saved, x->in + x->in_used, n);
        c->saved_len = n;
    }
}

static void refuse(struct exchange *x, int status, const char *why)
{
    x->head.minor = 1;
    x->head.keep_alive = false;
    x->head.chunked = false;
    x->head.content_length = -1;
    x->body = (struct body){.kind = BODY_NONE};
    request_begin(x);
    reply_refusal(x, status, why);
}

static enum conn_fate fate_of(struct exchange *x)
{
    switch (x->reply.state) {
    case REPLY_SENT:
        break;
    case REPLY_PARKED:
        return FATE_GONE;
    case REPLY_NONE:
    case REPLY_STREAM:
    case REPLY_BROKEN:
        return FATE_CLOSE;
    }
    if (x->reply.closes || !body_drain(x)) {
        return FATE_LINGER;
    }
    return FATE_KEEP;
}

/* The head in x->in is whole: x->head_len. */
static enum conn_fate serve(struct http_conn *c, struct exchange *x)
{
    const char *why = NULL;
    enum dispatch_result done;
    int rc;

    x->head.headers = x->headers;
    x->head.max_headers = LIMIT_HEADERS;
    rc = http_head_parse(str_n(x->in, x->head_len), &x->head, &why);
    x->in_used = x->head_len;
    if (rc < 0) {
        refuse(x, -rc, why);
        return x->reply.state == REPLY_SENT ? FATE_LINGER : FATE_CLOSE;
    }
    (void)atomic_fetch_add_explicit(&c->server->n_busy, 1, memory_order_relaxed);
    done = dispatch(x);
    (void)atomic_fetch_sub_explicit(&c->server->n_busy, 1, memory_order_relaxed);
    if (done == DISPATCH_NEEDS_WORKER) {
        struct lock *l = &c->server->workers_lock;

        x->in_used = 0;
        c->scanned = 0;
        save_input(c, x);
        WITH_LOCK(l);
        list_append(&c->server->ready, &c->ready_link);
        (void)atomic_fetch_add(&c->server->n_ready, 1);
        return FATE_GONE;
    }
    return fate_of(x);
}

/* 1: more bytes are in x->in; 0: none now; -1: the connection is over. */
static int receive(struct http_conn *c, struct exchange *x)
{
    ssize_t got = conn_recv(c, x->in + x->in_len, NET_IN_BYTES - x->in_len);

    if (got > 0) {
        x->in_len += (size_t)got;
        return 1;
    }
    return got < 0 && errno == EAGAIN ? 0 : -1;
}

static void park(struct http_conn *c, struct exchange *x, unsigned wants)
{
    int64_t now = clock_mono_ms();

    if (x->in_len > x->in_used && c->head_deadline_ms == 0) {
        c->head_deadline_ms = now + LIMIT_HEAD_SECONDS * 1000;
    }
    save_input(c, x);
    conn_park(c, wants,
              c->head_deadline_ms ? c->head_deadline_ms : now + LIMIT_IDLE_SECONDS * 1000);
}

/* Moves what follows the request to the front. */
static void next_request(struct http_conn *c, struct exchange *x)
{
    size_t n = x->in_len - x->in_used;

    if (n > 0) {
        memmove(x->in, x->in + x->in_used, n);
    }
    x->in_len = n;
    x->in_used = x->head_len = 0;
    c->scanned = 0;
    c->head_deadline_ms = 0;
}

/* Reads heads and serves them until nothing more is there. */
static enum conn_fate run_requests(struct http_conn *c, struct exchange *x)
{
    for (int served = 0;;) {
        const char *why = NULL;
        ssize_t head = x->in_len ? http_head_scan(str_n(x->in, x->in_len), &c->scanned, &why) : 0;
        enum conn_fate fate;
        int rc;

        if (head < 0) {
            refuse(x, (int)-head, why);
            return FATE_LINGER;
        }
        if (head > 0) {
            x->head_len = (size_t)head;
            fate = serve(c, x);
            if (fate != FATE_KEEP) {
                return fate;
            }
            next_request(c, x);
            if (++served >= REQUESTS_IN_A_ROW && x->in_len > 0) {
                park(c, x, EPOLLIN | EPOLLOUT); /* writable at once: back of the queue */
                return FATE_GONE;
            }
            if (x->in_len > 0 || conn_has_hidden_bytes(c)) {
                continue;
            }
            park(c, x, EPOLLIN);
            return FATE_GONE;
        }
        rc = receive(c, x);
        if (rc == 0) {
            park(c, x, c->wants);
            return FATE_GONE;
        }
        if (rc < 0) {
            return FATE_CLOSE;
        }
    }
}

static enum conn_fate shake_hands(struct http_conn *c)
{
    int rc = c->tls ? tls_handshake(c->tls, &c->wants) : -1;

    if (rc < 0) {
        return FATE_CLOSE;
    }
    if (rc == 0) {
        if (c->head_deadline_ms == 0) {
            c->head_deadline_ms = clock_mono_ms() + LIMIT_HEAD_SECONDS * 1000;
        }
        conn_park(c, c->wants, c->head_deadline_ms);
        return FATE_GONE;
    }
    c->phase = PHASE_HEAD;
    c->head_deadline_ms = 0;
    return FATE_KEEP;
}

/* After the last answer: until the peer closes, or has sent too much, or the sweep comes. */
static enum conn_fate linger_on(struct http_conn *c, struct exchange *x)
{
    ssize_t got;

    do {
        got = recv(c->fd, x->in, NET_IN_BYTES, 0);
        c->lingered += got > 0 ? (size_t)got : 0;
    } while (got > 0 && c->lingered < NET_DRAIN_BYTES * 16);
    if (got < 0 && errno == EAGAIN) {
        conn_park(c, EPOLLIN, atomic_load(&c->deadline_ms));
        return FATE_GONE;
    }
    return FATE_CLOSE;
}

/* The sweep found its time over and shut it for reading. What had come before is still served: the
 * next recv() gives that, or the end. */
static enum conn_fate expire(struct http_conn *c, struct exchange *x)
{
    bool partial = c->saved_len > 0;

    if (c->phase != PHASE_HEAD) {
        return FATE_CLOSE;
    }
    load_input(c, x);
    if (partial && !atomic_load(&c->server->draining)) {
        x->in_used = x->in_len;
        refuse(x, 408, "the request head was not complete in time");
        return FATE_CLOSE;
    }
    return run_requests(c, x);
}

static enum conn_fate run_phase(struct http_conn *c, struct exchange *x)
{
    if (atomic_exchange_explicit(&c->state, CONN_BUSY, memory_order_acquire) == CONN_EXPIRED) {
        return expire(c, x);
    }
    if (c->phase == PHASE_LINGER) {
        return linger_on(c, x);
    }
    if (c->phase == PHASE_HANDSHAKE) {
        enum conn_fate fate = shake_hands(c);

        if (fate != FATE_KEEP) {
            return fate;
        }
    }
    load_input(c, x);
    return run_requests(c, x);
}

void conn_run(struct http_conn *c, struct exchange *x)
{
    enum conn_fate fate;

    x->reply.parked = NULL;
    fate = run_phase(c, x);
    if (x->reply.parked) { /* the handler parked it; not so when it failed afterwards */
        struct http_waker *w = TAKE(x->reply.parked);

        x->in_used = fate == FATE_GONE ? x->in_used : x->in_len;
        save_input(c, x);
        c->scanned = 0;
        if (fate == FATE_GONE) {
            relay_adopt(w);
            return;
        }
        w->ops->free(w);
    }
    if (fate == FATE_LINGER) {
        conn_linger(c);
    } else if (fate != FATE_GONE) {
        conn_close(c);
    }
}
