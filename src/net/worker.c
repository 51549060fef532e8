/* Workers: each takes one connection from epoll, runs its requests to the end with blocking I/O,
 * and parks it again. Their number follows the load:
 *
 *   up to one a processor   a worker that leaves nobody waiting starts the next one
 *   up to LIMIT_WORKERS     the relay sees connections that nobody takes (workers_grow)
 *   all are busy            the reserve reads heads and runs ROUTE_OWN_WORKER; the others queue
 *   idle for 10 s           a worker above WORKERS_MIN goes home */
#include "net/net_priv.h"

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
    RESERVE_WAIT_MS = 20
};

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
