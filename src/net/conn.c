#include "net/net_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TLS_COPY_BYTES = 16 * 1024,      /* one record */
    SENDFILE_BYTES = 2 * 1024 * 1024 /* at most, between two looks at the clock */
};

struct http_conn *conn_new(struct http_server *s, int fd, const char *peer)
{
    struct http_conn *c = xnew(struct http_conn);

    c->server = s;
    c->fd = fd;
    c->phase = PHASE_HEAD;
    (void)!str_copy(str_of(peer), c->peer, sizeof(c->peer));
    if (s->tls) {
        c->tls = tls_new(s->tls, fd);
        c->phase = PHASE_HANDSHAKE;
    }
    list_init(&c->ready_link);
    {
        struct lock *l = &s->conns_lock;
        WITH_LOCK(l);
        list_append(&s->conns, &c->link);
    }
    (void)atomic_fetch_add(&s->n_conns, 1);
    relay_needs_sweep(s->relay);
    return c;
}

void conn_close(struct http_conn *c)
{
    struct http_server *s = c->server;

    {
        struct lock *l = &s->conns_lock;
        WITH_LOCK(l);
        list_remove(&c->link);
        if (atomic_load_explicit(&s->draining, memory_order_relaxed)) {
            lock_broadcast(l); /* http_server_drain() counts them out */
        }
    }
    tls_free(c->tls);
    (void)close(c->fd);
    free(c->saved);
    free(c);
    (void)atomic_fetch_sub(&s->n_conns, 1);
}

void conn_park(struct http_conn *c, unsigned wants, int64_t deadline_ms)
{
    struct epoll_event ev = {
        /* RDHUP: the sweep must be heard also while TLS waits for room to write */
        .events = wants | EPOLLRDHUP | EPOLLONESHOT,
        .data.ptr = c};
    int epoll_fd = c->server->epoll_fd, fd = c->fd;
    int how = c->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    c->x = NULL;
    c->registered = true;
    atomic_store_explicit(&c->deadline_ms, deadline_ms, memory_order_relaxed);
    atomic_store_explicit(&c->state, CONN_PARKED, memory_order_release);
    (void)epoll_ctl(epoll_fd, how, fd, &ev); /* from here on it may be another thread's */
}

void conn_linger(struct http_conn *c)
{
    if (c->tls) {
        tls_say_goodbye(c->tls);
    }
    (void)shutdown(c->fd, SHUT_WR);
    c->phase = PHASE_LINGER;
    conn_park(c, EPOLLIN,
              clock_mono_ms() +
                  (atomic_load(&c->server->draining) ? NET_LINGER_MS / 8 : NET_LINGER_MS));
}

/* --- one try --- */

ssize_t conn_recv(struct http_conn *c, void *p, size_t n)
{
    ssize_t got;

    if (c->tls) {
        return tls_recv(c->tls, p, n, &c->wants);
    }
    do {
        got = recv(c->fd, p, n, 0);
    } while (got < 0 && errno == EINTR);
    c->wants = EPOLLIN;
    return got;
}

static ssize_t send_tls(struct http_conn *c, const struct iovec *iov, int n)
{
    char copy[TLS_COPY_BYTES];
    size_t len = 0;

    if (n == 1 || iov[0].iov_len >= sizeof(copy)) {
        return tls_send(c->tls, iov[0].iov_base, iov[0].iov_len, &c->wants);
    }
    for (int i = 0; i < n && len < sizeof(copy); i++) { /* head and body in one record */
        size_t part = iov[i].iov_len < sizeof(copy) - len ? iov[i].iov_len : sizeof(copy) - len;

        memcpy(copy + len, iov[i].iov_base, part);
        len += part;
    }
    return tls_send(c->tls, copy, len, &c->wants);
}

ssize_t conn_send(struct http_conn *c, const struct iovec *iov, int n, int flags)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
    ssize_t sent;

    while (n > 1 && iov[0].iov_len == 0) {
        msg.msg_iov = (struct iovec *)++iov;
        msg.msg_iovlen = (size_t)--n;
    }
    if (c->tls) {
        return send_tls(c, iov, n);
    }
    do {
        sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL | flags);
    } while (sent < 0 && errno == EINTR);
    c->wants = EPOLLOUT;
    return sent;
}

bool conn_has_hidden_bytes(const struct http_conn *c)
{
    return c->tls && tls_has_pending(c->tls);
}

/* --- until it is done, under a deadline --- */

void pace_moved(struct pace *p, size_t bytes)
{
    p->credit_ms += (int64_t)(bytes * 1000 / LIMIT_BODY_MIN_BYTES_PER_SEC);
    p->credit_ms = p->credit_ms < NET_STALL_MS ? p->credit_ms : NET_STALL_MS;
}

bool pace_wait(struct pace *p, const struct http_conn *c)
{
    struct pollfd fd = {.fd = c->fd, .events = c->wants & EPOLLOUT ? POLLOUT : POLLIN};
    int64_t start = clock_mono_ms(), deadline = start + p->credit_ms, now = start;
    int rc = 0;

    if (c->x->slot) {
        atomic_store(&c->x->slot->waits_for, c->x->req.who.user_id);
    }
    worker_waits(c->server);
    while (rc == 0 && now < deadline) {
        rc = poll(&fd, 1, (int)(deadline - now)); /* at most NET_STALL_MS */
        rc = rc < 0 && errno == EINTR ? 0 : rc;
        now = clock_mono_ms();
    }
    worker_goes_on(c->server);
    if (c->x->slot) {
        atomic_store(&c->x->slot->waits_for, 0);
    }
    p->credit_ms -= now - start;
    return rc > 0;
}

static unsigned waits_of(struct http_server *s, int64_t user_id)
{
    unsigned n = 0;

    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        n += atomic_load(&s->slots[i].waits_for) == user_id;
    }
    return n;
}

int conn_may_wait(const struct http_conn *c, struct err *e)
{
    const struct principal *who = &c->x->req.who;

    if (c->x->slot == NULL) {
        return err_set(e, ERR_UNAVAILABLE, "the server is busy, and this client is slow");
    }
    if (atomic_load(&c->server->waiting) < LIMIT_WAITS) {
        return 0;
    }
    if (who->kind == PRINCIPAL_ANONYMOUS) {
        return err_set(
            e, ERR_UNAVAILABLE,
            "too many slow connections of clients that are not signed in: sign in, or try "
            "again later");
    }
    if (waits_of(c->server, who->user_id) >= LIMIT_USER_WAITS) {
        return err_set(e, ERR_UNAVAILABLE,
                       "too many slow connections of %s: try again when some are done", who->name);
    }
    return 0;
}

static int wait_to_send(struct http_conn *c, struct pace *pace, struct err *e)
{
    if (errno != EAGAIN) {
        return err_sys(e, "sending to %s", c->peer);
    }
    if (conn_may_wait(c, e) < 0) {
        return -1;
    }
    if (!pace_wait(pace, c)) {
        return err_set(e, ERR_TIMEOUT, "%s reads its answer too slowly", c->peer);
    }
    return 0;
}

static void skip_sent(struct iovec **iov, int *n, size_t sent)
{
    while (*n > 0 && sent >= (*iov)->iov_len) {
        sent -= (*iov)->iov_len;
        (*iov)++;
        (*n)--;
    }
    if (*n > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + sent;
        (*iov)->iov_len -= sent;
    }
}

int conn_send_all(struct http_conn *c, struct iovec *iov, int n, int flags, struct err *e)
{
    struct pace pace = {NET_STALL_MS};

    for (;;) {
        ssize_t sent = conn_send(c, iov, n, flags);

        if (sent < 0 && wait_to_send(c, &pace, e) < 0) {
            return -1;
        }
        if (sent > 0) {
            pace_moved(&pace, (size_t)sent);
            skip_sent(&iov, &n, (size_t)sent);
        }
        if (n == 0) {
            return 0;
        }
    }
}

static ssize_t send_file_tls(struct http_conn *c, int fd, int64_t offset, int64_t len)
{
    char copy[TLS_COPY_BYTES];
    size_t want = len < (int64_t)sizeof(copy) ? (size_t)len : sizeof(copy);
    ssize_t got = pread(fd, copy, want, offset);

    return got <= 0 ? got : tls_send(c->tls, copy, (size_t)got, &c->wants);
}

static ssize_t send_file_part(struct http_conn *c, int fd, int64_t offset, int64_t len)
{
    off_t at = offset;
    ssize_t sent;

    if (c->tls) {
        return send_file_tls(c, fd, offset, len);
    }
    do {
        sent = sendfile(c->fd, fd, &at, len < SENDFILE_BYTES ? (size_t)len : SENDFILE_BYTES);
    } while (sent < 0 && errno == EINTR);
    c->wants = EPOLLOUT;
    return sent;
}

int conn_send_file(struct http_conn *c, int fd, int64_t offset, int64_t len, struct pace *pace,
                   struct err *e)
{
    while (len > 0) {
        ssize_t sent = send_file_part(c, fd, offset, len);

        if (sent == 0) {
            return err_set(e, ERR_IO, "the file became shorter while it was sent");
        }
        if (sent > 0) {
            pace_moved(pace, (size_t)sent);
            offset += sent;
            len -= sent;
        } else if (wait_to_send(c, pace, e) < 0) {
            return -1;
        }
    }
    return 0;
}
