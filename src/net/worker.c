/* Workers: each takes one connection from epoll, runs its requests to the end with blocking I/O,
 * and parks it again. The aim is that one a processor turns over:
 *
 * - a worker that waits for its peer starts another when nobody else is free (worker_waits);
 * - a worker that leaves nobody waiting for work has the relay watch, which every 2 ms starts
 *   another for those that are stuck in a request (workers_watch);
 * - when LIMIT_WORKERS are busy, the reserve reads heads, runs ROUTE_OWN_WORKER itself and queues
 *   the rest;
 * - one that finds as many waiting in epoll as there are processors becomes a spare, and is called
 *   when another is needed: with more in epoll every request wakes a thread that has just gone to
 *   sleep (half a switch a request instead of a twentieth, and a third of the CPU time);
 * - one that was idle for 10 s goes home, down to WORKERS_MIN. */
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

/* The last waiting worker has left: from now on the relay looks for stuck ones. */
static void nobody_waits(struct http_server *s)
{
    if (!atomic_load_explicit(&s->watched, memory_order_relaxed) &&
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

/* This thread ends now; whoever looks for a free slot joins it. */
static void leave_locked(struct worker_slot *me)
{
    lock_assert(&me->server->workers_lock);
    me->server->n_workers--;
    me->state = SLOT_ENDED;
    lock_broadcast(&me->server->workers_lock);
}

static void leave(struct worker_slot *me)
{
    struct lock *l = &me->server->workers_lock;
    WITH_LOCK(l);

    leave_locked(me);
}

/* True when this worker, which has idled, is not needed any more: then it has left. Spares do not
 * count: they may all go home before one is called. */
static bool may_leave(struct worker_slot *me)
{
    struct http_server *s = me->server;
    struct lock *l = &s->workers_lock;
    WITH_LOCK(l);

    if (s->n_workers - s->n_spare <= WORKERS_MIN) {
        return false;
    }
    leave_locked(me);
    return true;
}

/* Waits as a spare. True: called, or the server stops; false: not needed for long, it has left. */
static bool rest(struct worker_slot *me)
{
    struct http_server *s = me->server;
    int64_t until = clock_mono_ms() + WORKER_IDLE_MS;
    const struct timespec deadline = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    struct lock *l = &s->workers_lock;
    int rc = 0;
    WITH_LOCK(l);

    s->n_spare++;
    while (s->n_called == 0 && !atomic_load(&s->stopping) && rc == 0) {
        rc = pthread_cond_clockwait(&s->spare_called, &l->mutex, CLOCK_MONOTONIC, &deadline);
    }
    if (s->n_called > 0) {
        s->n_called--;
        return true;
    }
    s->n_spare--;
    if (atomic_load(&s->stopping)) {
        return true;
    }
    leave_locked(me);
    return false;
}

/* False when there is none. One that is called is no spare from now on. */
static bool call_spare(struct http_server *s)
{
    struct lock *l = &s->workers_lock;
    WITH_LOCK(l);

    if (s->n_spare == 0) {
        return false;
    }
    s->n_spare--;
    s->n_called++;
    (void)pthread_cond_signal(&s->spare_called);
    return true;
}

static void *worker_main(void *arg)
{
    struct worker_slot *me = arg;
    struct http_server *s = me->server;
    struct exchange *x = exchange_new(s, me);
    unsigned turns = 0;
    bool left = false;

    while (!left) {
        struct http_conn *c = NULL;
        int what;

        if (atomic_load(&s->idle) >= s->ready_workers && !rest(me)) {
            left = true;
            break;
        }
        what = wait_event(s, &c);
        if (what == EVENT_STOP) {
            break;
        }
        atomic_store_explicit(&me->turns, ++turns, memory_order_relaxed);
        handle(s, what, c, x);
        atomic_store_explicit(&me->turns, ++turns, memory_order_relaxed);
        left = what == EVENT_TIMEOUT && may_leave(me);
    }
    exchange_free(x);
    if (!left) {
        leave(me);
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

/* A slot for a new worker, counted as running; NULL: LIMIT_WORKERS, or the server stops. */
static struct worker_slot *take_slot(struct http_server *s)
{
    struct worker_slot *found = NULL;
    struct lock *l = &s->workers_lock;
    bool ended;

    {
        WITH_LOCK(l);
        for (size_t i = 0; i < LIMIT_WORKERS && !found && !atomic_load(&s->stopping); i++) {
            found = s->slots[i].state != SLOT_RUNS ? &s->slots[i] : NULL;
        }
        if (found == NULL) {
            return NULL;
        }
        ended = found->state == SLOT_ENDED;
        found->state = SLOT_RUNS;
        s->n_workers++;
    }
    if (ended) {
        (void)pthread_join(found->thread, NULL);
    }
    return found;
}

/* One more worker; -1 when there are LIMIT_WORKERS, or it cannot be. */
static int spawn(struct http_server *s)
{
    struct worker_slot *slot = take_slot(s);
    struct lock *l = &s->workers_lock;
    int rc;

    if (slot == NULL) {
        return -1;
    }
    slot->server = s;
    atomic_store(&slot->turns, 0);
    rc = net_start_thread(&slot->thread, worker_main, slot);
    if (rc != 0) {
        {
            WITH_LOCK(l);
            s->n_workers--;
            slot->state = SLOT_FREE;
            lock_broadcast(l); /* workers_stop() counts them out */
        }
        log_warn("http.no-thread", "error=%s, going on with fewer workers", strerror(rc));
        return -1;
    }
    return 0;
}

/* One more worker that turns over; -1 when all there may be do already. */
static int add_worker(struct http_server *s)
{
    return call_spare(s) ? 0 : spawn(s);
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
    struct exchange *x = exchange_new(s, NULL);

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

/* Those that turn over or are stuck. */
static unsigned count_workers(struct http_server *s)
{
    struct lock *l = &s->workers_lock;
    WITH_LOCK(l);

    return s->n_workers - s->n_spare;
}

void worker_waits(struct http_server *s)
{
    unsigned waiting = atomic_fetch_add(&s->waiting, 1) + 1;

    if (atomic_load(&s->idle) == 0 && count_workers(s) < waiting + s->ready_workers) {
        (void)add_worker(s);
    }
}

void worker_goes_on(struct http_server *s)
{
    (void)atomic_fetch_sub(&s->waiting, 1);
}

/* Workers that have been inside the same connection since the last look. On a busy machine that may
 * be one that only waits for a processor; the worker added for it becomes a spare soon. */
static unsigned count_stuck(struct http_server *s)
{
    unsigned stuck = 0;

    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        struct worker_slot *slot = &s->slots[i];
        unsigned turns = atomic_load_explicit(&slot->turns, memory_order_relaxed);

        stuck += turns % 2 == 1 && turns == slot->seen;
        slot->seen = turns;
    }
    return stuck;
}

static void call_reserve(struct http_server *s)
{
    struct lock *l = &s->workers_lock;
    WITH_LOCK(l);

    s->reserve_called = true;
    lock_broadcast(l);
}

bool workers_watch(struct http_server *s)
{
    unsigned stuck = count_stuck(s), workers = count_workers(s);
    unsigned turning = workers > stuck ? workers - stuck : 0;
    /* one by one, but when nobody turns over any more, all that may be missing */
    unsigned want = turning == 0 ? s->ready_workers : turning + 1;

    if (atomic_load(&s->idle) > 0 || turning >= s->ready_workers) {
        return false;
    }
    while (turning < want && add_worker(s) == 0) {
        turning++;
    }
    if (turning < want) {
        call_reserve(s);
    }
    return true;
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
        if (spawn(s) < 0) {
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
        (void)pthread_cond_broadcast(&s->spare_called);
        while (s->n_workers > 0) {
            lock_wait(l);
        }
    }
    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        if (s->slots[i].state == SLOT_ENDED) {
            (void)pthread_join(s->slots[i].thread, NULL);
            s->slots[i].state = SLOT_FREE;
        }
    }
    if (s->has_reserve) {
        (void)pthread_join(s->reserve, NULL);
        s->has_reserve = false;
    }
}
