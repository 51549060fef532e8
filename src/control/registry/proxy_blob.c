/* Blobs of caches. Each is fetched by a thread of its own into an upload, whoever asked for it and
 * however fast he reads; all who want it follow the file as it grows:
 *
 *   other registry -> copy_pull.c -> upload  ======~~~~~~~~~~~   ~ is to come
 *                                      |   |
 *                                   client client              behind what has arrived
 *
 * The last byte of an answer is sent when the whole blob has the digest it is named by: an answer
 * that ends is right. When it has another one, or is begun again, those who follow are cut.
 *
 * Who wants a blob that is being fetched for another repository of his project waits for that. When
 * it fails, it may be that repository's fault: his own is asked then, once. */
#include "proxy_priv.h"

#include "base/log.h"
#include "base/mem.h"
#include "copy_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    FETCHER_STACK_BYTES = 1024 * 1024,
    FOLLOW_BYTES = 256 * 1024 /* what is smaller is checked before its first byte is given out */
};

struct fetcher {
    enum { FETCHER_FREE, FETCHER_RUNS, FETCHER_ENDED } state; /* guarded by registry.lock */
    pthread_t thread;                                         /* whoever takes it; close */
};

/* What such a thread works on; its own. */
struct task {
    struct fetching f;
    struct flight *flight;
    struct fetcher *me;
    char *name, *by;
    int64_t at;   /* how much of the blob is here */
    bool is_deaf; /* nobody can follow */
};

/* --- the thread --- */

/* The blob's file, from its first new byte on. */
static void note_begin(struct task *t)
{
    char id[COPY_UPLOAD_ID];
    struct err e;
    int fd;

    copy_upload_id(&t->f.to, t->f.ref.digest, id);
    if (content_upload_open(t->f.r->content, id, &fd, &e) < 0) {
        log_warn("proxy.follow", "upload=%s: %s; its clients wait for all of it", id, e.msg);
        t->is_deaf = true;
        return;
    }
    lock_take(&t->flight->lock);
    t->flight->fd = fd;
    t->flight->size_bytes = t->f.size_bytes;
    lock_drop(&t->flight->lock);
}

static void note_bytes(void *ctx, const struct copy_bytes *more)
{
    struct task *t = ctx;
    struct flight *f = t->flight;

    t->at += more->done;
    if (more->moved > 0 && f->fd < 0 && !t->is_deaf) { /* written by this thread only */
        note_begin(t);
    }
    lock_take(&f->lock);
    f->is_cut = f->is_cut || (more->done < 0 && f->fd >= 0);
    f->arrived = t->at;
    lock_broadcast(&f->lock);
    lock_drop(&f->lock);
}

static const struct copy_hooks hooks = {.bytes = note_bytes};

/* What another repository of the project has costs nothing. */
static int fetch_blob(struct task *t, struct err *e)
{
    struct fetching *f = &t->f;
    struct copy c = {.registry = f->r, .hooks = &hooks, .ctx = t};
    struct descriptor d = {.size_bytes = f->size_bytes};

    if (store_blob_mount(f->r, (struct str){0}, &f->to, f->ref.digest, &f->code, e) == 0) {
        return 0;
    }
    f->code = NULL;
    if (e->kind != ERR_NOT_FOUND || proxy_take_turn(f, PROXY_PATIENCE_SEC, e) < 0) {
        return -1;
    }
    memcpy(d.digest, f->ref.digest, sizeof(d.digest));
    c.remote = f->remote;
    return copy_pull_blob(&c, f->from, &f->to, &d, e);
}

static void free_task(struct task *t)
{
    free(t->name);
    free(t->by);
    free(t);
}

static void give_back(struct registry *r, struct upstream *u, struct fetcher *f, int state)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    f->state = state;
    u->threads--;
    lock_broadcast(l);
}

static void *fetch_main(void *arg)
{
    struct task *t = arg;
    struct registry *r = t->f.r;
    struct upstream *u = t->flight->upstream;
    struct fetcher *me = t->me;
    struct err why;
    int result = fetch_blob(t, &why);

    if (result < 0) {
        proxy_explain(&t->f, &why);
    }
    proxy_end_turn(&t->f);
    proxy_land(&t->f, t->flight, result, &why);
    proxy_let_go(r, t->flight);
    free_task(t);
    give_back(r, u, me, FETCHER_ENDED);
    return NULL;
}

static struct fetcher *find_fetcher_locked(struct registry *r, const struct upstream *u)
{
    for (size_t i = 0; i < PROXY_THREADS_MAX && u->threads < PROXY_THREADS_EACH; i++) {
        if (r->fetchers[i].state != FETCHER_RUNS) {
            return &r->fetchers[i];
        }
    }
    return NULL;
}

/* When one is free; NULL: none was for a while. */
static struct fetcher *take_fetcher(struct registry *r, struct upstream *u)
{
    struct fetcher *found;
    struct lock *l = &r->lock;
    int64_t deadline = clock_mono_ms() + PROXY_SLOT_WAIT_MS;
    bool has_ended, in_time = true;

    {
        WITH_LOCK(l);
        while ((found = find_fetcher_locked(r, u)) == NULL && in_time &&
               !atomic_load(&r->is_stopping)) {
            in_time = lock_wait_until(l, deadline);
        }
        if (found == NULL) {
            return NULL;
        }
        u->threads++;
        has_ended = found->state == FETCHER_ENDED;
        found->state = FETCHER_RUNS;
    }
    if (has_ended) {
        (void)pthread_join(found->thread, NULL);
    }
    return found;
}

static int start_thread(pthread_t *thread, struct task *t)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, FETCHER_STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals belong to the main thread */
    rc = pthread_create(thread, &attr, fetch_main, t);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return rc;
}

static void start(const struct fetching *f, struct flight *flight)
{
    struct registry *r = f->r;
    struct task *t = xnew(struct task);
    struct err e;
    int rc;

    *t = (struct task){.f = *f,
                       .flight = flight,
                       .me = take_fetcher(r, flight->upstream),
                       .name = xstrndup(f->to.name.p, f->to.name.len),
                       .by = xstrndup(f->to.by.p, f->to.by.len)};
    t->f.to.name = str_of(t->name);
    t->f.to.by = str_of(t->by);
    t->f.ref.repository = t->f.to.name;
    proxy_hold(r, flight);
    rc = t->me ? start_thread(&t->me->thread, t) : EAGAIN;
    if (rc == 0) {
        return;
    }
    err_set(&e, ERR_UNAVAILABLE,
            "too many blobs of the registry %s are being fetched already: try again in a moment",
            f->proxy.registry);
    if (t->me != NULL) {
        give_back(r, flight->upstream, t->me, FETCHER_FREE);
    }
    proxy_land(&t->f, flight, -1, &e);
    proxy_let_go(r, flight);
    free_task(t);
}

void proxy_fetchers_open(struct registry *r)
{
    r->fetchers = xcalloc(PROXY_THREADS_MAX, sizeof(*r->fetchers));
}

void proxy_fetchers_close(struct registry *r)
{
    for (size_t i = 0; i < PROXY_THREADS_MAX && r->fetchers != NULL; i++) {
        if (r->fetchers[i].state != FETCHER_FREE) {
            (void)pthread_join(r->fetchers[i].thread, NULL);
        }
    }
    free(r->fetchers);
}

/* --- who wants it --- */

/* 1: f is what to fetch; 0: the project is no cache. */
static int look_up(struct registry *r, struct str by, struct str repository, const char *digest,
                   struct fetching *f, const char **code, struct err *e)
{
    struct stored_blob blob;
    struct err why;
    int is_cache = proxy_begin(r, by, repository, f, &why);

    if (is_cache < 0) {
        *e = why;
    }
    if (is_cache <= 0) {
        return is_cache;
    }
    (void)!str_copy(str_of(digest), f->ref.digest, sizeof(f->ref.digest));
    if (store_cache_wants(r, repository, digest, &f->size_bytes, &why) == 0) {
        return 1;
    }
    /* Nobody waits for it any more: it came a moment ago, or it is not ours to have. */
    return store_blob_find(r, repository, digest, &blob, code, e) < 0 ? -1 : 2;
}

/* Whose fetch is waited for. */
enum whose { ANY, OWN };

/* *whose is OWN after it when it is one for his own repository. */
static struct flight *join(struct fetching *f, enum whose *whose, struct err *e)
{
    SCOPED(freep) char *key = proxy_key(f, "b", str_of(f->ref.digest));
    SCOPED(freep) char *shared = xasprintf("s %lld %s", (long long)f->to.project_id, f->ref.digest);
    bool is_first = false;
    struct flight *flight = proxy_board(f, key, *whose == OWN ? NULL : shared, &is_first, e);

    if (flight != NULL && is_first) {
        start(f, flight);
    }
    *whose = flight == NULL || strcmp(flight->key, key) == 0 ? OWN : ANY;
    return flight;
}

static int leave(struct registry *r, struct flight *flight, const char **code, struct err *e)
{
    if (proxy_leave(r, flight, code, e) < 0) {
        *code = e->kind == ERR_NOT_FOUND ? "BLOB_UNKNOWN" : *code;
        return -1;
    }
    return 0;
}

/* After the fetch for another repository of the project: links what came of it (that needs no
 * thread and no turn), or does without. */
static int fetch_own(struct registry *r, struct str by, struct str repository, const char *digest,
                     const char **code, struct err *e)
{
    struct fetching f;
    enum whose whose = OWN;
    int wants = look_up(r, by, repository, digest, &f, code, e);
    struct flight *flight;

    if (wants != 1) {
        return wants > 0 ? 1 : wants;
    }
    if (store_blob_mount(r, (struct str){0}, &f.to, digest, code, e) == 0) {
        return 1;
    }
    if (e->kind != ERR_NOT_FOUND) {
        return -1;
    }
    *code = NULL;
    flight = join(&f, &whose, e);
    return flight == NULL || leave(r, flight, code, e) < 0 ? -1 : 1;
}

/* Waits for the end of that fetch. */
static int arrive(const struct fetching *f, struct flight *flight, enum whose whose,
                  const char **code, struct err *e)
{
    struct err theirs;

    if (whose == OWN) {
        return leave(f->r, flight, code, e) < 0 ? -1 : 1;
    }
    if (leave(f->r, flight, code, &theirs) < 0) {
        *code = NULL;
    }
    return fetch_own(f->r, f->to.by, f->to.name, f->ref.digest, code, e);
}

int proxy_blob(struct registry *r, struct str by, struct str repository, const char *digest,
               const char **code, struct err *e)
{
    struct fetching f;
    enum whose whose = ANY;
    int wants = look_up(r, by, repository, digest, &f, code, e);
    struct flight *flight = wants == 1 ? join(&f, &whose, e) : NULL;

    if (wants != 1) {
        return wants > 0 ? 1 : wants;
    }
    return flight == NULL ? -1 : arrive(&f, flight, whose, code, e);
}

int proxy_blob_follow(struct registry *r, struct str by, struct str repository, const char *digest,
                      struct proxy_follow *out, const char **code, struct err *e)
{
    struct fetching f;
    enum whose whose = ANY;
    int wants = look_up(r, by, repository, digest, &f, code, e);
    struct flight *flight = wants == 1 ? join(&f, &whose, e) : NULL;
    bool grows;

    if (flight == NULL) {
        return wants == 1 ? -1 : wants > 0 ? 1 : wants;
    }
    lock_take(&flight->lock);
    /* Whose manifest says another size waits: one of the two lies. */
    while (!flight->is_done && (flight->fd < 0 || flight->is_cut || f.size_bytes < FOLLOW_BYTES ||
                                f.size_bytes != flight->size_bytes)) {
        lock_wait(&flight->lock);
    }
    grows = !flight->is_done;
    *out = (struct proxy_follow){r, flight, flight->fd, f.size_bytes, false};
    lock_drop(&flight->lock);
    if (grows) {
        return 2;
    }
    *out = (struct proxy_follow){.fd = -1};
    return arrive(&f, flight, whose, code, e);
}

static int64_t grown(const struct proxy_follow *v, int64_t at, int64_t end, struct err *e)
{
    struct flight *f = v->flight;
    struct lock *l = &f->lock;

    WITH_LOCK(l);
    for (;;) {
        int64_t to = f->arrived < end - 1 ? f->arrived : end - 1;

        if (f->is_cut || (f->is_done && f->result < 0)) {
            return err_set(e, ERR_UNAVAILABLE, "%s",
                           f->is_done && f->result < 0 ? f->err.msg : "the fetch was begun again");
        }
        if (f->is_done || to > at) {
            return f->is_done ? end : to;
        }
        lock_wait(l);
    }
}

int64_t proxy_follow_grown(void *ctx, int64_t at, int64_t end, struct err *e)
{
    struct proxy_follow *v = ctx;
    int64_t to = grown(v, at, end, e);

    if (to == end && !v->is_done) {
        proxy_hold(v->r, v->flight);
        proxy_unboard(v->r, v->flight);
        v->is_done = true;
    }
    return to;
}

void proxy_follow_end(struct proxy_follow *v)
{
    if (v->flight != NULL) {
        (v->is_done ? proxy_let_go : proxy_unboard)(v->r, v->flight);
    }
    *v = (struct proxy_follow){.fd = -1};
}

static int look_blob(struct fetching *f, struct err *e)
{
    int there;

    if (proxy_take_turn(f, PROXY_PATIENCE_SEC, e) < 0) {
        return -1;
    }
    there = remote_blob_there(f->remote, f->from, f->ref.digest, e);
    return there == 0
               ? err_set(e, ERR_NOT_FOUND, "the registry there has no blob %s", f->ref.digest)
           : there < 0 ? -1
                       : 0;
}

int proxy_blob_look(struct registry *r, struct str by, struct str repository, const char *digest,
                    int64_t *size_bytes, const char **code, struct err *e)
{
    SCOPED(freep) char *key = NULL;
    struct fetching f;
    int wants = look_up(r, by, repository, digest, &f, code, e);

    if (wants != 1) {
        return wants;
    }
    if (store_blob_mount(r, (struct str){0}, &f.to, digest, code, e) == 0) {
        return 2;
    }
    key = proxy_key(&f, "lb", str_of(digest));
    if (proxy_fetch_once(&f, key, look_blob, code, e) < 0) {
        *code = e->kind == ERR_NOT_FOUND ? "BLOB_UNKNOWN" : *code;
        return -1;
    }
    *size_bytes = f.size_bytes;
    return 1;
}
