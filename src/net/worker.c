/* Workers: each takes one connection from epoll, runs its requests to the end with blocking I/O,
 * and parks it again. Their number follows the load:
 *
 *   up to one a processor   a worker that leaves nobody waiting starts the next one
 *   up to LIMIT_WORKERS     the relay sees connections that nobody takes (workers_grow)
 *   all are busy            the reserve reads heads and runs ROUTE_OWN_WORKER; the others queue
 *   idle for 10 s           a worker above WORKERS_MIN goes home */
#include "net/net_priv.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WORKERS_MIN = 2,
    WORKER_IDLE_MS = 10 * 1000,
    WORKER_STACK_BYTES = 512 * 1024,
    REQUESTS_IN_A_ROW = 64, /* of a pipelining client, before others have a turn */
    RESERVE_WAIT_MS = 20
};

enum conn_fate { FATE_KEEP, FATE_CLOSE, FATE_LINGER, FATE_GONE };

struct exchange *exchange_new(struct http_server *s)
{
    struct exchange *x = xnew(struct exchange);

    x->server = s;
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

/* --- one connection --- */

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

/* --- who takes what --- */

static struct http_conn *take_ready(struct http_server *s)
{
    struct lock *l = &s->workers_lock;
    struct http_conn *c;
    WITH_LOCK(l);

    if (list_empty(&s->ready)) {
        return NULL;
    }
    c = list_entry(s->ready.next, struct http_conn, ready_link);
    list_remove(&c->ready_link);
    (void)atomic_fetch_sub(&s->n_ready, 1);
    return c;
}

static int spawn(struct http_server *s, unsigned below);

/* The last waiting worker has left: start another, or have the relay watch for starvation. */
static void nobody_waits(struct http_server *s)
{
    if (atomic_load_explicit(&s->n_workers, memory_order_relaxed) < s->ready_workers) {
        (void)spawn(s, s->ready_workers);
    } else if (!atomic_load_explicit(&s->watched, memory_order_relaxed) &&
               !atomic_exchange(&s->watched, true)) {
        relay_nudge(s->relay);
    }
}

enum { EVENT_TIMEOUT, EVENT_NONE, EVENT_STOP, EVENT_ACCEPT, EVENT_CONN };

static int next_event(struct http_server *s, int timeout_ms, struct http_conn **out)
{
    struct epoll_event ev;
    int n;

    do {
        n = epoll_wait(s->epoll_fd, &ev, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return EVENT_TIMEOUT;
    }
    if (ev.data.ptr == &s->stop_fd) {
        return EVENT_STOP;
    }
    *out = ev.data.ptr;
    return ev.data.ptr == &s->listen_fd ? EVENT_ACCEPT : EVENT_CONN;
}

/* Waits as one of the idle. */
static int wait_event(struct http_server *s, struct http_conn **out)
{
    int what;

    (void)atomic_fetch_add(&s->idle, 1);
    if (atomic_load(&s->n_ready) > 0) { /* after idle is counted: see reserve_flush() */
        (void)atomic_fetch_sub(&s->idle, 1);
        *out = take_ready(s);
        return *out ? EVENT_CONN : EVENT_NONE;
    }
    what = next_event(s, WORKER_IDLE_MS, out);
    if (atomic_fetch_sub(&s->idle, 1) == 1 && what >= EVENT_ACCEPT) {
        nobody_waits(s);
    }
    (void)atomic_fetch_add_explicit(&s->picks, 1, memory_order_relaxed);
    return what;
}

static void handle(struct http_server *s, int what, struct http_conn *c, struct exchange *x)
{
    if (what == EVENT_ACCEPT) {
        server_accept(s);
    } else if (what == EVENT_CONN) {
        conn_run(c, x);
    }
}

/* This thread ends now; whoever comes next joins it. */
static void leave_locked(struct http_server *s)
{
    lock_assert(&s->workers_lock);
    s->n_workers--;
    s->gone[s->n_gone++] = pthread_self();
    lock_broadcast(&s->workers_lock);
}

static void leave(struct http_server *s)
{
    struct lock *l = &s->workers_lock;
    WITH_LOCK(l);

    leave_locked(s);
}

/* True when this worker, which has idled, is not needed any more: then it has left. */
static bool may_leave(struct http_server *s)
{
    struct lock *l = &s->workers_lock;
    WITH_LOCK(l);

    if (s->n_workers <= WORKERS_MIN) {
        return false;
    }
    leave_locked(s);
    return true;
}

static void join_gone(struct http_server *s)
{
    struct lock *l = &s->workers_lock;
    pthread_t gone[LIMIT_WORKERS];
    unsigned n;

    {
        WITH_LOCK(l);
        n = s->n_gone;
        memcpy(gone, s->gone, n * sizeof(gone[0]));
        s->n_gone = 0;
    }
    for (unsigned i = 0; i < n; i++) {
        (void)pthread_join(gone[i], NULL);
    }
}

static void *worker_main(void *arg)
{
    struct http_server *s = arg;
    struct exchange *x = exchange_new(s);
    bool left = false;

    while (!left) {
        struct http_conn *c = NULL;
        int what = wait_event(s, &c);

        if (what == EVENT_STOP) {
            break;
        }
        handle(s, what, c, x);
        left = what == EVENT_TIMEOUT && may_leave(s);
    }
    exchange_free(x);
    if (!left) {
        leave(s);
    }
    return NULL;
}

int net_start_thread(pthread_t *thread, void *(*main_of)(void *), void *arg)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    pthread_attr_t attr;
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all); /* signals are for the main thread; a broken pipe is EPIPE */
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        (void)sigdelset(&all, faults[i]);
    }
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited from the first instruction */
    rc = pthread_create(thread, &attr, main_of, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return rc;
}

/* One more worker if there are fewer than `below`; -1 when there are not, or it cannot be. Called
 * when workers are missing, so those that left are joined in passing. */
static int spawn(struct http_server *s, unsigned below)
{
    struct lock *l = &s->workers_lock;
    pthread_t thread;
    int rc;

    join_gone(s);
    {
        WITH_LOCK(l);

        if (s->n_workers >= below || s->n_workers + s->n_gone >= LIMIT_WORKERS ||
            atomic_load(&s->stopping)) {
            return -1;
        }
        s->n_workers++;
    }
    rc = net_start_thread(&thread, worker_main, s);
    if (rc != 0) {
        {
            WITH_LOCK(l);
            s->n_workers--;
        }
        log_warn("http.no-thread", "error=%s, going on with fewer workers", strerror(rc));
        return -1;
    }
    return 0; /* it joins itself to s->gone when it ends */
}

/* --- the reserve --- */

/* Workers that became idle after a connection was queued would not see it: back to epoll. */
static void reserve_flush(struct http_server *s)
{
    while (atomic_load(&s->n_ready) > 0 && atomic_load(&s->idle) > 0) {
        struct http_conn *c = take_ready(s);

        if (c) {
            conn_park(c, EPOLLIN | EPOLLOUT, clock_mono_ms() + LIMIT_HEAD_SECONDS * 1000);
        }
    }
}

/* Sleeps until every worker is busy; false when the server stops. */
static bool reserve_waits(struct http_server *s)
{
    struct lock *l = &s->workers_lock;
    WITH_LOCK(l);

    while (!s->reserve_called && !atomic_load(&s->stopping)) {
        lock_wait(l);
    }
    s->reserve_called = false;
    return !atomic_load(&s->stopping);
}

static void *reserve_main(void *arg)
{
    struct http_server *s = arg;
    struct exchange *x = exchange_new(s);

    x->is_reserve = true;
    while (reserve_waits(s)) {
        while (!atomic_load(&s->stopping) &&
               (atomic_load(&s->idle) == 0 || atomic_load(&s->n_ready) > 0)) {
            struct http_conn *c = NULL;
            int what = next_event(s, RESERVE_WAIT_MS, &c);

            handle(s, what, c, x);
            reserve_flush(s);
        }
    }
    exchange_free(x);
    return NULL;
}

void workers_grow(struct http_server *s)
{
    struct lock *l = &s->workers_lock;

    if (spawn(s, LIMIT_WORKERS) < 0) {
        WITH_LOCK(l);
        s->reserve_called = true;
        lock_broadcast(l);
    }
}

/* More runnable threads than processors only cost switches (4.4 instead of 4.1 us a request). */
static unsigned one_a_processor(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    n = n < WORKERS_MIN ? WORKERS_MIN : n;
    return n < LIMIT_WORKERS / 2 ? (unsigned)n : LIMIT_WORKERS / 2;
}

int workers_start(struct http_server *s, struct err *e)
{
    int rc = net_start_thread(&s->reserve, reserve_main, s);

    if (rc != 0) {
        return err_set(e, ERR_INTERNAL, "cannot start a thread: %s", strerror(rc));
    }
    s->has_reserve = true;
    s->ready_workers = one_a_processor();
    for (int i = 0; i < WORKERS_MIN; i++) {
        if (spawn(s, WORKERS_MIN) < 0) {
            return err_set(e, ERR_INTERNAL, "cannot start a worker thread");
        }
    }
    return 0;
}

void workers_stop(struct http_server *s)
{
    struct lock *l = &s->workers_lock;

    {
        WITH_LOCK(l);
        lock_broadcast(l);
        while (s->n_workers > 0) {
            lock_wait(l);
        }
    }
    join_gone(s);
    if (s->has_reserve) {
        (void)pthread_join(s->reserve, NULL);
        s->has_reserve = false;
    }
}
