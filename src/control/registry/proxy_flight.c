/* Whose turn it is: one fetch of a thing at a time, so many of one registry, and a pause for one
 * that is down or asked for it. */
#include "proxy_priv.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FETCHES_MAX = 16, /* of one registry at a time */
    DOWN_MS = 5000    /* so long one that failed is not asked for what is here */
};

/* --- other registries --- */

static bool is_stopping(void *ctx)
{
    const struct registry *r = ctx;

    return atomic_load(&r->is_stopping);
}

static struct upstream *upstream_locked(struct registry *r, struct str name)
{
    struct upstream *u = map_get(&r->upstreams, name);

    if (u == NULL) {
        u = xnew(struct upstream);
        (void)map_put(&r->upstreams, name, u);
    }
    return u;
}

bool proxy_is_down(const struct fetching *f)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    return upstream_locked(r, str_of(f->proxy.registry))->down_until_ms > clock_mono_ms();
}

/* Nobody asks one that said 429 before its time is over, however many wait for what it has. */
static int wait_is_over(const struct fetching *f, struct err *e)
{
    int64_t ms = f->upstream->throttled_until_ms - clock_mono_ms();

    return ms <= 0 ? 0
                   : err_set(e, ERR_THROTTLED,
                             "the registry %s answered 429 and is not asked again for %lld seconds",
                             f->proxy.registry, (long long)(ms + 999) / 1000);
}

/* Its turn, and a connection that somebody left. */
static int take_slot(struct fetching *f, struct err *e)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;
    int64_t deadline = clock_mono_ms() + PROXY_SLOT_WAIT_MS;
    bool in_time = true;

    WITH_LOCK(l);
    f->upstream = upstream_locked(r, str_of(f->proxy.registry));
    while (f->upstream->busy >= FETCHES_MAX && in_time && !is_stopping(r)) {
        in_time = lock_wait_until(l, deadline);
    }
    if (is_stopping(r)) {
        f->upstream = NULL;
        return err_set(e, ERR_UNAVAILABLE, "the server stops: try again in a moment");
    }
    if (wait_is_over(f, e) < 0) {
        f->upstream = NULL;
        return -1;
    }
    if (f->upstream->busy >= FETCHES_MAX) {
        f->upstream = NULL;
        return err_set(e, ERR_UNAVAILABLE,
                       "the registry %s is busy with %d other fetches of this cache: try again",
                       f->proxy.registry, FETCHES_MAX);
    }
    f->upstream->busy++;
    f->generation = f->upstream->generation;
    if (f->upstream->n_idle > 0) {
        f->remote = f->upstream->idle[--f->upstream->n_idle];
    }
    return 0;
}

void proxy_end_turn(struct fetching *f)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;

    if (f->upstream == NULL) {
        return;
    }
    lock_take(l);
    f->upstream->busy--;
    if (f->remote != NULL && f->generation == f->upstream->generation &&
        f->upstream->n_idle < PROXY_IDLE_MAX) {
        f->upstream->idle[f->upstream->n_idle++] = TAKE(f->remote);
    }
    lock_broadcast(l);
    lock_drop(l);
    remote_close(f->remote);
    f->remote = NULL;
    f->upstream = NULL;
}

int proxy_take_turn(struct fetching *f, unsigned patience_sec, struct err *e)
{
    const struct registry_hooks *h = &f->r->hooks;
    struct str rest = str_from(f->to.name, name_project(f->to.name).len + 1);

    if (take_slot(f, e) < 0) {
        return -1;
    }
    if (f->remote == NULL) {
        f->remote = h->upstream
                        ? h->upstream(h->ctx, str_of(f->proxy.registry), is_stopping, f->r, e)
                        : (err_set(e, ERR_UNSUPPORTED, "no other registries here"), NULL);
    }
    if (f->remote == NULL) {
        return -1;
    }
    remote_set_patience(f->remote, patience_sec);
    f->from = rest;
    if (remote_is_hub(f->remote) && str_find_char(rest, '/') < 0) {
        (void)snprintf(f->name, sizeof(f->name), "library/%.*s", STR_ARG(rest));
        f->from = str_of(f->name);
    }
    return 0;
}

bool proxy_is_outage(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_THROTTLED;
}

static void note_outage(const struct fetching *f, const struct err *e)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;
    int64_t wait_ms = f->remote ? remote_retry_sec(f->remote) * 1000 : 0;

    if (f->upstream == NULL) {
        return; /* it had no turn: that says nothing of the other registry */
    }
    wait_ms = wait_ms > DOWN_MS ? wait_ms : DOWN_MS;
    if (proxy_is_outage(e)) {
        struct upstream *u;

        WITH_LOCK(l);
        u = upstream_locked(r, str_of(f->proxy.registry));
        wait_ms += clock_mono_ms(); /* a longer pause that was asked for stays */
        u->down_until_ms = u->down_until_ms > wait_ms ? u->down_until_ms : wait_ms;
        if (e->kind == ERR_THROTTLED && u->throttled_until_ms < wait_ms) {
            u->throttled_until_ms = wait_ms;
        }
    }
}

int64_t proxy_pause_sec(struct registry *r, struct str repository)
{
    struct fetching f;
    struct err ignored;
    struct lock *l = &r->lock;
    int64_t ms;

    if (proxy_begin(r, STR_EMPTY, repository, &f, &ignored) <= 0) {
        return 0;
    }
    WITH_LOCK(l);
    ms = upstream_locked(r, str_of(f.proxy.registry))->throttled_until_ms - clock_mono_ms();
    return ms > 0 ? (ms + 999) / 1000 : 0;
}

void registry_upstream_changed(struct registry *r, struct str name)
{
    struct remote *old[PROXY_IDLE_MAX];
    size_t n = 0;
    struct lock *l = &r->lock;
    struct upstream *u;

    atomic_store(&r->has_caches, true);
    if (name.p == NULL) {
        return;
    }
    lock_take(l);
    u = upstream_locked(r, name);
    u->generation++;
    u->down_until_ms = u->throttled_until_ms = 0;
    while (u->n_idle > 0) {
        old[n++] = u->idle[--u->n_idle];
    }
    lock_drop(l);
    while (n > 0) {
        remote_close(old[--n]);
    }
}

void proxy_upstreams_close(struct registry *r)
{
    struct str key;
    void *value;

    for (size_t i = 0; map_next(&r->upstreams, &i, &key, &value);) {
        struct upstream *u = value;

        while (u->n_idle > 0) {
            remote_close(u->idle[--u->n_idle]);
        }
        free(u);
    }
    map_done(&r->upstreams);
}

/* --- one fetch of a thing at a time --- */

static struct flight *find_flight_locked(struct registry *r, const char *key, const char *shared)
{
    struct flight *f = map_get(&r->flights, str_of(key));

    return f == NULL && shared != NULL ? map_get(&r->flights, str_of(shared)) : f;
}

static struct flight *new_flight_locked(struct registry *r, struct upstream *u, const char *key,
                                        const char *shared)
{
    struct flight *f = xnew(struct flight);

    lock_init(&f->lock, LOCK_flight);
    f->fd = -1;
    f->upstream = u;
    f->key = xstrdup(key);
    f->shared = shared ? xstrdup(shared) : NULL;
    (void)map_put(&r->flights, str_of(key), f);
    if (shared != NULL) {
        (void)map_put(&r->flights, str_of(shared), f);
    }
    return f;
}

struct flight *proxy_board(const struct fetching *f, const char *key, const char *shared,
                           bool *is_first, struct err *e)
{
    struct registry *r = f->r;
    struct upstream *u;
    struct flight *flight;
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    u = upstream_locked(r, str_of(f->proxy.registry));
    if (r->n_fetchers >= PROXY_FETCHERS_MAX || u->workers >= PROXY_FETCHERS_EACH) {
        err_set(e, ERR_UNAVAILABLE,
                "too many wait for the registry %s already: try again in a moment",
                f->proxy.registry);
        return NULL;
    }
    flight = find_flight_locked(r, key, shared);
    *is_first = flight == NULL;
    if (flight == NULL) {
        flight = new_flight_locked(r, u, key, shared);
    }
    r->n_fetchers++;
    flight->upstream->workers++; /* it may be another one: the project was pointed elsewhere */
    flight->users++;
    return flight;
}

void proxy_hold(struct registry *r, struct flight *f)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    f->users++;
}

static void drop(struct registry *r, struct flight *f, unsigned workers)
{
    bool is_last;

    lock_take(&r->lock);
    r->n_fetchers -= workers;
    f->upstream->workers -= workers;
    is_last = --f->users == 0;
    lock_drop(&r->lock);
    if (is_last) {
        closep(&f->fd);
        lock_done(&f->lock);
        free(f->key);
        free(f->shared);
        free(f);
    }
}

void proxy_let_go(struct registry *r, struct flight *f)
{
    drop(r, f, 0);
}

void proxy_unboard(struct registry *r, struct flight *f)
{
    drop(r, f, 1);
}

int proxy_leave(struct registry *r, struct flight *f, const char **code, struct err *e)
{
    int result;

    lock_take(&f->lock);
    while (!f->is_done) {
        lock_wait(&f->lock);
    }
    result = f->result;
    if (result < 0) {
        *e = f->err;
        *code = f->code;
    }
    lock_drop(&f->lock);
    proxy_unboard(r, f);
    return result;
}

static void forget_flight(struct registry *r, const struct flight *flight)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    (void)map_del(&r->flights, str_of(flight->key));
    if (flight->shared != NULL && map_get(&r->flights, str_of(flight->shared)) == flight) {
        (void)map_del(&r->flights, str_of(flight->shared));
    }
}

void proxy_land(struct fetching *f, struct flight *flight, int result, const struct err *why)
{
    forget_flight(f->r, flight);
    lock_take(&flight->lock);
    flight->result = result;
    flight->code = f->code;
    flight->head = f->head;
    if (result < 0) {
        flight->err = *why;
    }
    flight->is_done = true;
    lock_broadcast(&flight->lock);
    lock_drop(&flight->lock);
}

/* What went wrong there, as our client is to hear it: his request was good. */
static void translate(struct fetching *f, struct err *e)
{
    if (e->kind == ERR_NOT_FOUND || e->kind == ERR_THROTTLED || f->code != NULL) {
        return;
    }
    f->code = e->kind == ERR_FORBIDDEN ? "DENIED" : NULL;
    e->kind = e->kind == ERR_FORBIDDEN ? ERR_FORBIDDEN : ERR_UNAVAILABLE;
}

void proxy_explain(struct fetching *f, struct err *e)
{
    note_outage(f, e);
    translate(f, e);
    err_wrap(e, "cache of %s", f->proxy.registry);
}

int proxy_fetch_once(struct fetching *f, const char *key, fetch_fn *fetch, const char **code,
                     struct err *e)
{
    struct registry *r = f->r;
    bool is_first = false;
    struct flight *flight = proxy_board(f, key, /* shared */ NULL, &is_first, e);
    int result;

    if (flight == NULL) {
        return -1;
    }
    if (is_first) {
        struct err why;

        result = fetch(f, &why);
        if (result < 0) {
            proxy_explain(f, &why);
        }
        proxy_end_turn(f);
        proxy_land(f, flight, result, &why);
    }
    lock_take(&flight->lock);
    while (!flight->is_done) {
        lock_wait(&flight->lock);
    }
    f->head = flight->head;
    lock_drop(&flight->lock);
    return proxy_leave(r, flight, code, e);
}

char *proxy_key(const struct fetching *f, const char *what, struct str name)
{
    return xasprintf("%s %lld %.*s %.*s", what, (long long)f->to.project_id, STR_ARG(f->to.name),
                     STR_ARG(name));
}
