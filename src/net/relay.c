/* The relay: one thread for everything that is not a running request. It serves parked streams and
 * WebSockets without waiting for any of them, sweeps expired connections every second, and starts
 * workers when connections wait for one. Asleep when there is nothing of that. */
#include "net/net_priv.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    WHEEL_SLOTS = 256,
    WHEEL_TICK_MS = 100,
    SWEEP_MS = 1000,
    SWEEP_DRAIN_MS = 50,
    EMPTY_SWEEPS = 5, /* then it sleeps until somebody comes */
    WATCH_MS = 2,
    WATCH_ROUNDS = 250, /* without starvation, until the watch ends */
    EVENTS_AT_ONCE = 64,
    WOKEN_AT_ONCE = 1024
};

struct relay {
    struct http_server *server;
    int epoll_fd, event_fd;
    pthread_t thread;
    bool started;
    _Atomic bool asleep; /* there were no connections, so it does not sweep */
    _Atomic bool nudged; /* event_fd is written already */
    struct lock lock;    /* LOCK_net_conns */
    struct list inbox;   /* guarded by lock: woken or new */
    /* relay thread only */
    struct list all;
    struct list wheel[WHEEL_SLOTS];
    struct epoll_event events[EVENTS_AT_ONCE];
    int n_events; /* of them, what epoll_wait() told and is being served */
    int64_t wheel_tick;
    int64_t next_sweep_ms;
    unsigned empty_sweeps; /* in a row */
    unsigned quiet_rounds;
    int64_t next_watch_ms;
    bool finishing;
    struct buf scratch;
};

/* --- from other threads --- */

void relay_nudge(struct relay *r)
{
    if (r && !atomic_exchange(&r->nudged, true)) {
        (void)eventfd_write(r->event_fd, 1);
    }
}

void relay_needs_sweep(struct relay *r)
{
    if (atomic_load_explicit(&r->asleep, memory_order_seq_cst) &&
        atomic_exchange(&r->asleep, false)) {
        relay_nudge(r);
    }
}

void waker_init(struct http_waker *w, const struct relayed_ops *ops, struct http_conn *c)
{
    w->ops = ops;
    w->conn = c;
    list_init(&w->wake_link);
    list_init(&w->all_link);
    list_init(&w->timer_link);
}

void relay_adopt(struct http_waker *w)
{
    struct relay *r = w->conn->server->relay;

    {
        struct lock *l = &r->lock;
        WITH_LOCK(l);
        w->adopted = true;
        w->woken = true;
        list_append(&r->inbox, &w->wake_link);
    }
    relay_nudge(r);
}

void http_wake(struct http_waker *w)
{
    struct relay *r;
    bool queued;

    if (w == NULL) {
        return;
    }
    r = w->conn->server->relay;
    {
        struct lock *l = &r->lock;
        WITH_LOCK(l);
        queued = w->adopted && !w->woken;
        w->woken = true;
        if (queued) {
            list_append(&r->inbox, &w->wake_link);
        }
    }
    if (queued) {
        relay_nudge(r);
    }
}

/* --- timers: a wheel of 100 ms slots; what is further away goes round again --- */

void relay_timer(struct http_waker *w, int64_t due_ms)
{
    struct relay *r = w->conn->server->relay;
    int64_t tick = due_ms / WHEEL_TICK_MS + 1;

    list_remove(&w->timer_link);
    w->due_ms = due_ms;
    if (due_ms == 0) {
        return;
    }
    tick = tick > r->wheel_tick ? tick : r->wheel_tick + 1;
    tick = tick < r->wheel_tick + WHEEL_SLOTS ? tick : r->wheel_tick + WHEEL_SLOTS - 1;
    list_append(&r->wheel[tick % WHEEL_SLOTS], &w->timer_link);
}

/* The next slot with anything in it, or INT64_MAX. */
static int64_t next_timer_ms(const struct relay *r)
{
    for (int64_t t = r->wheel_tick + 1; t < r->wheel_tick + WHEEL_SLOTS; t++) {
        if (!list_empty(&r->wheel[t % WHEEL_SLOTS])) {
            return t * WHEEL_TICK_MS;
        }
    }
    return INT64_MAX;
}

/* --- serving --- */

void relay_arm(struct http_waker *w, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};

    if (w->armed != events) {
        w->armed = events;
        (void)epoll_ctl(w->conn->server->relay->epoll_fd, EPOLL_CTL_MOD, w->conn->fd, &ev);
    }
}

/* A watched descriptor is told from the waker's own connection by this bit of the pointer. */
#define WATCHED 1UL

static struct http_waker *waker_of(const struct epoll_event *ev)
{
    return (struct http_waker *)((uintptr_t)ev->data.ptr & ~WATCHED);
}

void relay_watch(struct http_waker *w, struct relay_fd *f, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.u64 = (uintptr_t)w | WATCHED};
    int op = events == 0 ? EPOLL_CTL_DEL : f->armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (f->fd >= 0 && f->armed != events) {
        (void)epoll_ctl(w->conn->server->relay->epoll_fd, op, f->fd, &ev);
        f->armed = events;
    }
}

struct buf *relay_scratch(struct http_waker *w)
{
    struct buf *b = &w->conn->server->relay->scratch;

    buf_clear(b);
    return b;
}

static void give_back(struct http_conn *c, enum relayed_result result)
{
    int64_t deadline = clock_mono_ms() + LIMIT_IDLE_SECONDS * 1000;

    if (result == RELAYED_KEEP) {
        /* bytes that are here already cannot wake epoll; being writable can */
        unsigned also = c->saved || conn_has_hidden_bytes(c) ? EPOLLOUT : 0;

        c->phase = PHASE_HEAD;
        c->head_deadline_ms = 0;
        conn_park(c, EPOLLIN | also, deadline);
    } else if (result == RELAYED_LINGER) {
        conn_linger(c);
    } else {
        conn_close(c);
    }
}

/* Several descriptors of one waker may have been told at once. */
static void forget_events(struct relay *r, const struct http_waker *w)
{
    for (int i = 0; i < r->n_events; i++) {
        if (waker_of(&r->events[i]) == w) {
            r->events[i].data.ptr = NULL;
            r->events[i].events = 0;
        }
    }
}

static void retire(struct relay *r, struct http_waker *w, enum relayed_result result)
{
    struct http_conn *c = w->conn;

    list_remove(&w->timer_link);
    list_remove(&w->all_link);
    (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    {
        struct lock *l = &r->lock;
        WITH_LOCK(l);
        list_remove(&w->wake_link);
        w->woken = true; /* a late http_wake() finds nothing to do */
    }
    forget_events(r, w);
    w->ops->free(w);
    give_back(c, result);
}

static void serve(struct relay *r, struct http_waker *w, unsigned events)
{
    enum relayed_result result = w->ops->serve(w, events, clock_mono_ms());

    if (result != RELAYED_STAYS) {
        retire(r, w, result);
    }
}

static struct http_waker *next_woken(struct relay *r)
{
    struct lock *l = &r->lock;
    struct http_waker *w;
    WITH_LOCK(l);

    if (list_empty(&r->inbox)) {
        return NULL;
    }
    w = list_entry(r->inbox.next, struct http_waker, wake_link);
    list_remove(&w->wake_link);
    w->woken = false;
    return w;
}

static void register_new(struct relay *r, struct http_waker *w)
{
    struct epoll_event ev = {.events = EPOLLRDHUP, .data.ptr = w};

    w->registered = true;
    w->armed = EPOLLRDHUP;
    list_append(&r->all, &w->all_link);
    if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, w->conn->fd, &ev) < 0) {
        log_warn("http.relay", "error=%s, cutting one stream", strerror(errno));
        retire(r, w, RELAYED_CUT);
        return;
    }
    if (r->finishing) {
        w->ops->finish(w);
    }
    serve(r, w, 0);
}

static void serve_woken(struct relay *r)
{
    for (int i = 0; i < WOKEN_AT_ONCE; i++) {
        struct http_waker *w = next_woken(r);

        if (w == NULL) {
            return;
        }
        if (w->registered) {
            serve(r, w, 0);
        } else {
            register_new(r, w);
        }
    }
    relay_nudge(r); /* sockets and timers first, then the rest */
}

static void serve_slot(struct relay *r, struct list *slot, int64_t now_ms)
{
    list_each(it, slot)
    {
        struct http_waker *w = list_entry(it, struct http_waker, timer_link);

        if (w->due_ms > now_ms) {
            relay_timer(w, w->due_ms); /* goes round again */
        } else {
            relay_timer(w, 0);
            serve(r, w, 0);
        }
    }
}

static void serve_timers(struct relay *r, int64_t now_ms)
{
    int64_t now_tick = now_ms / WHEEL_TICK_MS;
    int64_t first = r->wheel_tick + 1;

    first = first > now_tick - WHEEL_SLOTS ? first : now_tick - WHEEL_SLOTS + 1;
    for (int64_t t = first; t <= now_tick; t++) {
        r->wheel_tick = t;
        serve_slot(r, &r->wheel[t % WHEEL_SLOTS], now_ms);
    }
}

static void finish_all(struct relay *r)
{
    r->finishing = true;
    r->next_sweep_ms = 0;
    list_each(it, &r->all)
    {
        struct http_waker *w = list_entry(it, struct http_waker, all_link);

        w->ops->finish(w);
        serve(r, w, 0);
    }
}

/* --- housekeeping --- */

static void sweep(struct relay *r, int64_t now_ms)
{
    struct http_server *s = r->server;
    bool draining = atomic_load(&s->draining);

    if (now_ms < r->next_sweep_ms) {
        return;
    }
    r->next_sweep_ms = now_ms + (draining ? SWEEP_DRAIN_MS : SWEEP_MS);
    server_sweep(s, now_ms);
    r->empty_sweeps = atomic_load(&s->n_conns) > 0 ? 0 : r->empty_sweeps + 1;
    if (atomic_exchange(&s->accept_paused, false)) {
        server_arm_listener(s);
    }
}

static void watch_workers(struct relay *r, int64_t now_ms)
{
    struct http_server *s = r->server;

    if (!atomic_load(&s->watched) || now_ms < r->next_watch_ms) {
        return;
    }
    r->next_watch_ms = now_ms + WATCH_MS;
    r->quiet_rounds = workers_watch(s) || atomic_load(&s->idle) == 0 ? 0 : r->quiet_rounds + 1;
    if (r->quiet_rounds >= WATCH_ROUNDS) {
        r->quiet_rounds = 0;
        atomic_store(&s->watched, false);
        if (atomic_load(&s->idle) == 0) {
            atomic_store(&s->watched, true); /* the last one left before it saw that nobody looks */
        }
    }
}

/* True: nobody needs a sweep. A connection that comes later wakes us: relay_needs_sweep(). */
static bool fall_asleep(struct relay *r)
{
    struct http_server *s = r->server;

    if (r->empty_sweeps < EMPTY_SWEEPS || atomic_load(&s->accept_paused)) {
        return false;
    }
    atomic_store(&r->asleep, true);
    return atomic_load(&s->n_conns) == 0; /* else it came in this moment */
}

static int timeout_of(struct relay *r, int64_t now_ms)
{
    int64_t due = next_timer_ms(r);

    if (!fall_asleep(r)) {
        due = due < r->next_sweep_ms ? due : r->next_sweep_ms;
    }
    if (atomic_load(&r->server->watched)) {
        due = due < r->next_watch_ms ? due : r->next_watch_ms;
    }
    if (due == INT64_MAX) {
        return -1;
    }
    return due > now_ms ? (int)(due - now_ms) : 0;
}

static void hear_nudge(struct relay *r)
{
    eventfd_t count;

    (void)eventfd_read(r->event_fd, &count);
    atomic_store(&r->nudged, false);
}

static void serve_events(struct relay *r)
{
    for (int i = 0; i < r->n_events; i++) {
        const struct epoll_event *ev = &r->events[i];
        bool is_watched = ((uintptr_t)ev->data.ptr & WATCHED) != 0;

        if (ev->data.ptr != NULL) {
            serve(r, waker_of(ev), is_watched ? 0 : ev->events);
        } else if (ev->events != 0) {
            hear_nudge(r);
        }
    }
    r->n_events = 0;
}

static void *relay_main(void *arg)
{
    struct relay *r = arg;
    struct http_server *s = r->server;

    r->wheel_tick = clock_mono_ms() / WHEEL_TICK_MS;
    while (!atomic_load(&s->stopping)) {
        r->n_events =
            epoll_wait(r->epoll_fd, r->events, EVENTS_AT_ONCE, timeout_of(r, clock_mono_ms()));
        serve_events(r);
        serve_woken(r);
        serve_timers(r, clock_mono_ms());
        if (atomic_load(&s->draining) && !r->finishing) {
            finish_all(r);
        }
        sweep(r, clock_mono_ms());
        watch_workers(r, clock_mono_ms());
    }
    return NULL;
}

/* --- life --- */

struct relay *relay_open(struct http_server *s, struct err *e)
{
    struct relay *r = xnew(struct relay);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

    r->server = s;
    lock_init(&r->lock, LOCK_net_conns);
    list_init(&r->inbox);
    list_init(&r->all);
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&r->wheel[i]);
    }
    r->scratch = BUF_MAX(NET_PUMP_BYTES + 64);
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->epoll_fd < 0 || r->event_fd < 0 ||
        epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->event_fd, &ev) < 0) {
        err_sys(e, "epoll");
        relay_close(r);
        return NULL;
    }
    return r;
}

int relay_start(struct relay *r, struct err *e)
{
    int rc = net_start_thread(&r->thread, relay_main, r);

    if (rc != 0) {
        return err_set(e, ERR_INTERNAL, "cannot start a thread: %s", strerror(rc));
    }
    r->started = true;
    return 0;
}

void relay_stop(struct relay *r)
{
    if (r && r->started) {
        atomic_store(&r->nudged, false);
        relay_nudge(r);
        (void)pthread_join(r->thread, NULL);
        r->started = false;
    }
}

static void free_woken(struct relay *r)
{
    struct http_waker *w;

    while ((w = next_woken(r))) {
        if (!w->registered) {
            list_append(&r->all, &w->all_link);
        }
    }
}

void relay_close(struct relay *r)
{
    if (r == NULL) {
        return;
    }
    free_woken(r);
    list_each(it, &r->all)
    {
        struct http_waker *w = list_entry(it, struct http_waker, all_link);

        list_remove(&w->all_link);
        list_remove(&w->timer_link);
        w->ops->free(w); /* its connection is closed with the others */
    }
    buf_done(&r->scratch);
    closep(&r->epoll_fd);
    closep(&r->event_fd);
    lock_done(&r->lock);
    free(r);
}
