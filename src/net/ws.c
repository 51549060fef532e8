/* WebSocket (RFC 6455): the handshake on the worker, frames by libwslay on the relay thread.
 *
 *   http_ws_send (any thread) -> outbox -> wslay -> socket          socket -> wslay -> on_message
 *
 * A message leaves the outbox only when wslay has sent the one before, so the outbox is all that a
 * slow reader can hold: past WS_OUTBOX_BYTES he is cut. Who feeds it from a descriptor asks for the
 * room first and stops reading at WS_FEED_BYTES. */
#include "net/net_priv.h"

#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/epoll.h>
#include <wslay/wslay.h>

enum {
    WS_OUTBOX_BYTES = 4 * 1024 * 1024,
    WS_FEED_BYTES = 256 * 1024,
    WS_READ_AT_ONCE = 256 * 1024, /* then the others have a turn */
    WS_PING_MS = 10 * 1000,       /* also how often pump is called at least */
    WS_SILENCE_MS = 65 * 1000,    /* six pings without any answer */
    WS_CLOSE_MS = 5 * 1000,       /* for the peer's half of the closing handshake */
    WS_CUT_MS = 30 * 1000,        /* for what is still to be sent before that */
    WS_ANSWERS_MAX = 32           /* pongs that are not sent: past them nothing more is read */
};

struct message {
    struct list link;
    size_t len;
    uint8_t opcode;
    uint8_t bytes[];
};

struct http_ws {
    struct http_waker waker;
    const struct http_ws_ops *ops;
    void *ctx;
    struct lock lock;               /* LOCK_net_conns */
    struct list outbox;             /* guarded by lock */
    size_t outbox_bytes;            /* guarded by lock */
    unsigned close_code;            /* guarded by lock; 0: nobody asked to close */
    char close_reason[124];         /* guarded by lock; RFC 6455 5.5: at most 123 bytes */
    bool overflowed;                /* guarded by lock */
    bool ends_soon;                 /* guarded by lock: the server stops */
    wslay_event_context_ptr frames; /* relay thread only, as all below */
    size_t early_used;              /* of conn->saved, which came with the handshake */
    size_t budget;
    bool pauses;  /* takes no messages */
    bool starved; /* pump found no room */
    int64_t heard_ms, next_ping_ms, close_by_ms, cut_by_ms;
};

/* --- any thread --- */

int http_ws_send(struct http_ws *ws, bool is_text, struct str message)
{
    struct lock *l = &ws->lock;
    struct message *m = NULL;
    int rc = -1;

    if (message.len <= WS_OUTBOX_BYTES) {
        m = xcalloc(1, sizeof(*m) + message.len);
        m->len = message.len;
        m->opcode = is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME;
        if (message.len > 0) {
            memcpy(m->bytes, message.p, message.len);
        }
    }
    {
        WITH_LOCK(l);
        if (m && ws->close_code == 0 && ws->outbox_bytes + m->len <= WS_OUTBOX_BYTES) {
            ws->outbox_bytes += m->len;
            list_append(&ws->outbox, &m->link);
            m = NULL;
            rc = 0;
        } else {
            ws->overflowed = ws->overflowed || ws->close_code == 0;
        }
    }
    free(m);
    http_wake(&ws->waker);
    return rc;
}

/* A close frame must be UTF-8 (RFC 6455 5.5.1) and is cut anywhere: ASCII is always right. */
static void copy_reason(const char *reason, char *out, size_t size)
{
    size_t n = 0;

    for (; reason && reason[n] && n < size - 1; n++) {
        out[n] = reason[n] >= ' ' && reason[n] < 127 ? reason[n] : '?';
    }
    out[n] = '\0';
}

void http_ws_close(struct http_ws *ws, unsigned code, const char *reason)
{
    struct lock *l = &ws->lock;

    {
        WITH_LOCK(l);
        if (ws->close_code == 0) {
            ws->close_code = code;
            copy_reason(reason, ws->close_reason, sizeof(ws->close_reason));
        }
    }
    http_wake(&ws->waker);
}

/* --- the relay thread, inside pump and on_message --- */

size_t http_ws_room(struct http_ws *ws)
{
    struct lock *l = &ws->lock;
    size_t room;

    {
        WITH_LOCK(l);
        room = ws->outbox_bytes < WS_FEED_BYTES ? WS_FEED_BYTES - ws->outbox_bytes : 0;
    }
    ws->starved = room == 0;
    return room;
}

void http_ws_set_intake(struct http_ws *ws, enum http_ws_intake intake)
{
    ws->pauses = intake == HTTP_WS_PAUSES;
}

void http_ws_watch(struct http_ws *ws, struct http_ws_fd *f, unsigned events)
{
    struct relay_fd armed = {f->fd, f->armed};
    unsigned epoll = (events & HTTP_WS_READABLE ? (unsigned)EPOLLIN : 0U) |
                     (events & HTTP_WS_WRITABLE ? (unsigned)EPOLLOUT : 0U);

    relay_watch(&ws->waker, &armed, epoll);
    f->armed = armed.armed;
}

/* --- wslay's hands --- */

static ssize_t would_block(wslay_event_context_ptr frames)
{
    wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static ssize_t recv_early(struct http_ws *ws, uint8_t *p, size_t n)
{
    struct http_conn *c = ws->waker.conn;
    size_t left = c->saved_len - ws->early_used;

    n = n < left ? n : left;
    memcpy(p, c->saved + ws->early_used, n);
    ws->early_used += n;
    if (ws->early_used == c->saved_len) {
        free(c->saved);
        c->saved = NULL;
        c->saved_len = 0;
    }
    return (ssize_t)n;
}

/* wslay answers each ping itself: whoever does not read the answers is not heard either. */
static bool listens(const struct http_ws *ws)
{
    return !ws->pauses && wslay_event_get_queued_msg_count(ws->frames) <= WS_ANSWERS_MAX;
}

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *p, size_t n, int flags UNUSED,
                       void *arg)
{
    struct http_ws *ws = arg;
    ssize_t got;

    if (!listens(ws)) {
        return would_block(frames);
    }
    if (ws->waker.conn->saved) {
        return recv_early(ws, p, n);
    }
    if (ws->budget == 0) {
        return would_block(frames);
    }
    got = conn_recv(ws->waker.conn, p, n < ws->budget ? n : ws->budget);
    if (got > 0) {
        ws->budget -= (size_t)got;
        ws->heard_ms = clock_mono_ms();
        return got;
    }
    if (got < 0 && errno == EAGAIN) {
        return would_block(frames);
    }
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *p, size_t n, int flags UNUSED,
                       void *arg)
{
    struct http_ws *ws = arg;
    struct iovec iov = {(void *)p, n};
    ssize_t sent = conn_send(ws->waker.conn, &iov, 1, 0);

    if (sent > 0) {
        return sent;
    }
    if (sent < 0 && errno == EAGAIN) {
        return would_block(frames);
    }
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_msg(wslay_event_context_ptr frames UNUSED,
                   const struct wslay_event_on_msg_recv_arg *msg, void *arg)
{
    struct http_ws *ws = arg;

    if (msg->opcode == WSLAY_TEXT_FRAME || msg->opcode == WSLAY_BINARY_FRAME) {
        ws->ops->on_message(ws->ctx, ws, msg->opcode == WSLAY_TEXT_FRAME,
                            str_n((const char *)msg->msg, msg->msg_length));
    }
}

/* --- relay thread --- */

enum next_message { NEXT_SENT, NEXT_NONE, NEXT_CUT };

/* Hands one thing from outside to wslay: a message, or the wish to close once all are out. */
static enum next_message hand_over(struct http_ws *ws, int64_t now_ms)
{
    struct lock *l = &ws->lock;
    struct message *m = NULL;
    struct wslay_event_msg msg;
    char reason[sizeof(ws->close_reason)];
    unsigned code;
    int rc;

    {
        WITH_LOCK(l);
        if (ws->overflowed) {
            return NEXT_CUT;
        }
        code = ws->close_code;
        memcpy(reason, ws->close_reason, sizeof(reason));
        if (!list_empty(&ws->outbox)) {
            m = list_entry(ws->outbox.next, struct message, link);
            list_remove(&m->link);
            ws->outbox_bytes -= m->len;
        }
    }
    if (m) {
        msg = (struct wslay_event_msg){m->opcode, m->bytes, m->len};
        rc = wslay_event_queue_msg(ws->frames, &msg);
        free(m);
        return rc == 0 ? NEXT_SENT : NEXT_CUT;
    }
    if (code == 0 || ws->close_by_ms > 0) {
        return NEXT_NONE;
    }
    ws->close_by_ms = now_ms + WS_CLOSE_MS;
    (void)wslay_event_queue_close(ws->frames, (uint16_t)code, (const uint8_t *)reason,
                                  strlen(reason));
    return NEXT_SENT;
}

static int write_all(struct http_ws *ws, int64_t now_ms)
{
    for (;;) {
        enum next_message next;

        if (wslay_event_want_write(ws->frames)) {
            if (wslay_event_send(ws->frames) != 0) {
                return -1;
            }
            if (wslay_event_want_write(ws->frames)) {
                return 0; /* the socket is full */
            }
        }
        if (!wslay_event_get_write_enabled(ws->frames)) {
            return 0;
        }
        next = hand_over(ws, now_ms);
        if (next != NEXT_SENT) {
            return next == NEXT_CUT ? -1 : 0;
        }
    }
}

/* How long a peer is waited for that does not read to the end; 0: nobody asked to end. */
static int64_t patience_of(struct http_ws *ws)
{
    struct lock *l = &ws->lock;
    WITH_LOCK(l);

    return ws->close_code == 0 ? 0 : ws->ends_soon ? WS_CLOSE_MS : WS_CUT_MS;
}

static bool timed_out(struct http_ws *ws, int64_t now_ms)
{
    static const struct wslay_event_msg ping = {WSLAY_PING, NULL, 0};
    int64_t patience_ms = patience_of(ws);

    /* We do not listen, or he does not read, and answers no ping before he has: TCP finds out
     * whether he is there at all. Once it is to end, he has so long to read the rest. */
    if (patience_ms > 0) {
        int64_t cut_by_ms = now_ms + patience_ms;

        ws->cut_by_ms = ws->cut_by_ms > 0 && ws->cut_by_ms < cut_by_ms ? ws->cut_by_ms : cut_by_ms;
    } else if (ws->pauses || wslay_event_want_write(ws->frames)) {
        ws->heard_ms = now_ms;
    }
    if ((ws->close_by_ms > 0 && now_ms >= ws->close_by_ms) ||
        (ws->cut_by_ms > 0 && now_ms >= ws->cut_by_ms) || now_ms - ws->heard_ms > WS_SILENCE_MS) {
        return true;
    }
    if (now_ms >= ws->next_ping_ms) {
        ws->next_ping_ms = now_ms + WS_PING_MS;
        if (!wslay_event_want_write(ws->frames)) { /* else it has something to answer already */
            (void)wslay_event_queue_msg(ws->frames, &ping);
        }
    }
    return false;
}

static bool is_full(struct http_ws *ws)
{
    struct lock *l = &ws->lock;
    WITH_LOCK(l);

    return ws->outbox_bytes >= WS_FEED_BYTES;
}

static enum relayed_result wait_for_more(struct http_ws *ws)
{
    unsigned events = EPOLLRDHUP;
    int64_t due = ws->next_ping_ms;

    if (listens(ws) && wslay_event_want_read(ws->frames)) {
        events |= EPOLLIN;
        /* decrypted bytes wait that epoll cannot see: being writable wakes us */
        events |= ws->budget == 0 && conn_has_hidden_bytes(ws->waker.conn) ? EPOLLOUT : 0;
    }
    if (wslay_event_want_write(ws->frames)) {
        events |= ws->waker.conn->wants | EPOLLOUT;
    }
    if (ws->starved && !is_full(ws)) {
        events |= EPOLLOUT; /* all went out since: soon again */
    }
    due = ws->close_by_ms > 0 && ws->close_by_ms < due ? ws->close_by_ms : due;
    due = ws->cut_by_ms > 0 && ws->cut_by_ms < due ? ws->cut_by_ms : due;
    relay_arm(&ws->waker, events);
    relay_timer(&ws->waker, due);
    return RELAYED_STAYS;
}

static enum relayed_result ws_serve(struct http_waker *w, unsigned events, int64_t now_ms)
{
    struct http_ws *ws = (struct http_ws *)w;

    if (timed_out(ws, now_ms)) {
        return RELAYED_CUT;
    }
    ws->budget = WS_READ_AT_ONCE;
    ws->starved = false;
    if (ws->ops->pump) {
        ws->ops->pump(ws->ctx, ws);
    }
    if (listens(ws) && wslay_event_want_read(ws->frames)) {
        if (wslay_event_recv(ws->frames) != 0) {
            return RELAYED_CUT;
        }
    } else if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        return RELAYED_CUT;
    }
    if (write_all(ws, now_ms) < 0) {
        return RELAYED_CUT;
    }
    if (!wslay_event_want_read(ws->frames) && !wslay_event_want_write(ws->frames)) {
        return RELAYED_LINGER;
    }
    return wait_for_more(ws);
}

static void ws_finish(struct http_waker *w)
{
    struct http_ws *ws = (struct http_ws *)w;
    struct lock *l = &ws->lock;
    WITH_LOCK(l);

    ws->close_code = ws->close_code ? ws->close_code : WSLAY_CODE_GOING_AWAY;
    ws->ends_soon = true;
}

static void ws_release(struct http_ws *ws)
{
    list_each(it, &ws->outbox)
    {
        free(list_entry(it, struct message, link));
    }
    wslay_event_context_free(ws->frames);
    lock_done(&ws->lock);
    free(ws);
}

static void ws_free(struct http_waker *w)
{
    struct http_ws *ws = (struct http_ws *)w;

    ws->ops->close(ws->ctx);
    ws_release(ws);
}

static const struct relayed_ops ws_relayed = {ws_serve, ws_finish, ws_free};

/* --- the handshake, RFC 6455 section 4 --- */

static bool has_token(struct str list, struct str token)
{
    while (list.p) {
        if (str_eq_nocase(str_trim(str_cut(&list, ',')), token)) {
            return true;
        }
    }
    return false;
}

static struct str without_port(struct str host, struct str port)
{
    return str_ends(host, port) ? str_first(host, host.len - port.len) : host;
}

/* Browsers always send Origin; a page of another site must not speak with the user's cookie. */
static bool origin_fits(const struct http_req *r)
{
    struct str origin = http_header(r, "Origin"), port = STR(":80"), host = r->host;

    if (origin.p == NULL) {
        return true;
    }
    if (str_starts(origin, STR("http://"))) {
        if (str_eq_c(r->scheme, "https") && r->who.kind == PRINCIPAL_SESSION) {
            return false; /* whoever is on the line can write such a page; programs say so too */
        }
        origin = str_from(origin, 7);
    } else if (str_starts(origin, STR("https://"))) {
        origin = str_from(origin, 8);
        port = STR(":443");
    } else {
        return false;
    }
    return str_eq_nocase(without_port(origin, port), without_port(host, port));
}

int http_check_websocket(struct http_req *r, struct err *e)
{
    struct str key = http_header(r, "Sec-WebSocket-Key");

    if (r->method != HTTP_GET || r->conn->x->head.minor == 0 ||
        !has_token(http_header(r, "Upgrade"), STR("websocket")) ||
        !has_token(http_header(r, "Connection"), STR("upgrade")) || key.len != 24 ||
        r->conn->x->body.kind != BODY_NONE) {
        return err_set(e, ERR_INVALID, "this address speaks WebSocket only (RFC 6455)");
    }
    if (!str_eq(http_header(r, "Sec-WebSocket-Version"), STR("13"))) {
        http_set_header(r, "Sec-WebSocket-Version", "13");
        return err_set(e, ERR_INVALID, "only version 13 of WebSocket is spoken here");
    }
    if (!origin_fits(r)) {
        return err_set(e, ERR_FORBIDDEN, "a page of another site may not open this WebSocket");
    }
    return 0;
}

const char *http_ws_subprotocol(const struct http_req *r, const char *const *ours)
{
    struct str offered = http_header(r, "Sec-WebSocket-Protocol");

    for (; *ours; ours++) {
        if (has_token(offered, str_of(*ours))) {
            return *ours;
        }
    }
    return NULL;
}

static int set_accept(struct http_req *r, struct err *e)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char text[24 + sizeof(guid) - 1], sha1[EVP_MAX_MD_SIZE];
    struct buf b = BUF_MAX(64);
    unsigned len = 0;

    memcpy(text, http_header(r, "Sec-WebSocket-Key").p, 24);
    memcpy(text + 24, guid, sizeof(guid) - 1);
    if (EVP_Digest(text, sizeof(text), sha1, &len, EVP_sha1(), NULL) != 1 ||
        base64_add(&b, str_n((const char *)sha1, len)) < 0) {
        buf_done(&b);
        return err_set(e, ERR_INTERNAL, "SHA-1 is not available");
    }
    http_set_header(r, "Sec-WebSocket-Accept", "%s", b.p);
    buf_done(&b);
    return 0;
}

static struct http_ws *ws_new(struct http_conn *c, const struct http_ws_ops *ops, void *ctx)
{
    static const struct wslay_event_callbacks hands = {
        .recv_callback = on_recv, .send_callback = on_send, .on_msg_recv_callback = on_msg};
    struct http_ws *ws = xnew(struct http_ws);

    waker_init(&ws->waker, &ws_relayed, c);
    ws->ops = ops;
    ws->ctx = ctx;
    lock_init(&ws->lock, LOCK_net_conns);
    list_init(&ws->outbox);
    ws->heard_ms = clock_mono_ms();
    ws->next_ping_ms = ws->heard_ms + WS_PING_MS;
    if (wslay_event_context_server_init(&ws->frames, &hands, ws) != 0) {
        ws->frames = NULL;
        ws_release(ws);
        return NULL;
    }
    wslay_event_config_set_max_recv_msg_length(ws->frames, NET_WS_MESSAGE_BYTES);
    return ws;
}

int http_upgrade_websocket(struct http_req *r, const char *subprotocol,
                           const struct http_ws_ops *ops, void *ws_ctx, struct http_ws **out,
                           struct err *e)
{
    struct exchange *x = r->conn->x;
    struct http_ws *ws;
    struct iovec iov;

    if (http_check_websocket(r, e) < 0 || set_accept(r, e) < 0) {
        return -1;
    }
    if (subprotocol && has_token(http_header(r, "Sec-WebSocket-Protocol"), str_of(subprotocol))) {
        http_set_header(r, "Sec-WebSocket-Protocol", "%s", subprotocol);
    }
    if (reply_head(x, 101, NULL, -1, e) < 0) {
        return -1;
    }
    iov = (struct iovec){x->out.p, x->out.len};
    if (conn_send_all(x->conn, &iov, 1, 0, e) < 0) {
        return -1;
    }
    ws = ws_new(x->conn, ops, ws_ctx);
    if (ws == NULL) {
        return err_set(e, ERR_INTERNAL, "out of memory");
    }
    x->reply.state = REPLY_PARKED;
    x->reply.parked = &ws->waker;
    *out = ws;
    return 0;
}
