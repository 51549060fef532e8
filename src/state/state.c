#include "state_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_MAX = 16384,     /* submitted and not run: then state_submit waits (40 bytes each) */
    READERS_IDLE = 8,      /* read connections kept open between reads */
    WAL_PAGES_IDLE = 1000, /* 4 MiB: checkpoint as soon as nothing waits */
    WAL_PAGES_BUSY = 8000, /* 32 MiB: checkpoint even when writes wait */
    WAL_PAGES_MAX = 64000, /* 256 MiB: wait for readers, so that the WAL starts again */
    WRITER_STACK = 512 * 1024,
};

/* One transaction. Waiting callers have it on their stack. */
struct work {
    struct list link;
    state_fn *fn;
    void *ctx;
    void (*done)(void *ctx, const struct err *e);
    pthread_cond_t *waiter; /* with state.queue; NULL: nobody waits, the writer frees it */
    int result;
    bool is_lazy;
    bool finished; /* guarded by state.queue */
    struct err err;
};

/* guarded by `queue`, except where noted */
struct state {
    struct lock queue; /* its condition wakes the writer and those who wait for room */
    struct list works;
    size_t n_works;
    struct list readers; /* idle; most recently used last */
    size_t n_idle, n_readers;
    bool stopping;
    char *path;              /* constant */
    struct state_db *writer; /* writer thread only */
    bool is_lazy;            /* how its next commit goes; writer thread only */
    pthread_t thread;
    bool started;
    /* counters */
    uint64_t groups, transactions, refused, checkpoints, reads;
    size_t largest_group;
    int64_t slowest_commit_us;
    int wal_pages;
};

static void step_back(struct state_db *db, const char *sql)
{
    struct err ignored;

    if (!sqlite3_get_autocommit(db->h)) {
        (void)!state_db_exec(db, sql, &ignored);
    }
}

/* One work inside its savepoint. Afterwards the outer transaction may be gone: SQLite rolls all of
 * it back by itself when the disk is full or fails. */
static void run_one(struct state_db *db, struct work *w)
{
    w->result = state_run(db, &w->err, "SAVEPOINT work", "");
    if (w->result == 0 && w->fn(db, w->ctx, &w->err) < 0) {
        w->result = -1;
    }
    assert(db->open_queries == 0); /* fn forgot a query_done */
    if (w->result == 0) {
        w->result = state_run(db, &w->err, "RELEASE work", "");
    }
    if (w->result < 0) {
        step_back(db, "ROLLBACK TO work; RELEASE work");
    }
}

static void fail_all(struct work **works, size_t n, const struct err *why)
{
    for (size_t i = 0; i < n; i++) {
        if (works[i]->result == 0) {
            works[i]->result = -1;
            works[i]->err = *why;
        }
    }
}

/* Runs works until the transaction is committed or lost; how many were dealt with. */
static size_t run_transaction(struct state_db *db, struct work **works, size_t n)
{
    struct err e;

    if (state_run(db, &e, "BEGIN IMMEDIATE", "") < 0) {
        fail_all(works, n, &e);
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        run_one(db, works[i]);
        if (sqlite3_get_autocommit(db->h)) {
            if (works[i]->result == 0) {
                err_set(&works[i]->err, ERR_INTERNAL, "a write ended the transaction");
            }
            works[i]->result = -1;
            fail_all(works, i, &works[i]->err);
            return i + 1;
        }
    }
    if (state_run(db, &e, "COMMIT", "") < 0) {
        step_back(db, "ROLLBACK");
        fail_all(works, n, &e);
    }
    return n;
}

static void finish(struct state *s, struct work **works, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct work *w = works[i];

        if (w->done) {
            w->done(w->ctx, w->result < 0 ? &w->err : NULL);
        }
        if (w->waiter == NULL) {
            free(w);
            works[i] = NULL;
        }
    }
    WITH_LOCK(&s->queue);
    for (size_t i = 0; i < n; i++) {
        if (works[i]) {
            works[i]->finished = true; /* from here on it belongs to the caller again */
            (void)pthread_cond_signal(works[i]->waiter);
        }
    }
}

static size_t take_works(struct state *s, struct work *works[LIMIT_STATE_BATCH])
{
    size_t n = 0;

    WITH_LOCK(&s->queue);
    while (list_empty(&s->works) && !s->stopping) {
        lock_wait(&s->queue);
    }
    if (s->n_works >= QUEUE_MAX) {
        lock_broadcast(&s->queue);
    }
    while (n < LIMIT_STATE_BATCH && !list_empty(&s->works)) {
        works[n] = list_entry(s->works.next, struct work, link);
        list_remove(&works[n]->link);
        n++;
    }
    s->n_works -= n;
    return n;
}

/* Copies the WAL into the file. Passive waits for no reader: what is not copied now is copied next
 * time. When readers that overlap have kept the WAL from starting again for long, wait for them
 * once (up to the busy timeout). A failure (full disk) loses nothing: the WAL keeps all. */
static void checkpoint(struct state *s)
{
    int mode = s->writer->wal_pages > WAL_PAGES_MAX ? SQLITE_CHECKPOINT_RESTART
                                                    : SQLITE_CHECKPOINT_PASSIVE;
    int rc = sqlite3_wal_checkpoint_v2(s->writer->h, NULL, mode, NULL, NULL);

    if (rc != SQLITE_OK && rc != SQLITE_BUSY) {
        log_warn("state.checkpoint_failed", "error=%s next=the log of changes keeps growing",
                 sqlite3_errmsg(s->writer->h));
    }
    s->writer->wal_pages = 0; /* until the next commit tells */
    WITH_LOCK(&s->queue);
    s->checkpoints++;
}

static bool is_idle(struct state *s)
{
    WITH_LOCK(&s->queue);
    return list_empty(&s->works);
}

static void count_group(struct state *s, struct work *const *works, size_t n, int64_t took_us)
{
    size_t refused = 0;

    for (size_t i = 0; i < n; i++) {
        refused += works[i]->result < 0;
    }
    WITH_LOCK(&s->queue);
    s->groups++;
    s->transactions += n - refused;
    s->refused += refused;
    s->wal_pages = s->writer->wal_pages;
    s->largest_group = n > s->largest_group ? n : s->largest_group;
    s->slowest_commit_us = took_us > s->slowest_commit_us ? took_us : s->slowest_commit_us;
}

static bool all_are_lazy(struct work *const *works, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!works[i]->is_lazy) {
            return false;
        }
    }
    return true;
}

/* With NORMAL a commit does not wait for the disk; the next one with FULL syncs the whole WAL, and
 * a checkpoint does with either. */
static int choose_sync(struct state *s, struct work *const *works, size_t n, struct err *e)
{
    bool is_lazy = all_are_lazy(works, n);
    const char *sql = is_lazy ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL";

    if (s->is_lazy == is_lazy) {
        return 0;
    }
    if (state_db_exec(s->writer, sql, e) < 0) {
        return is_lazy ? 0 : -1;
    }
    s->is_lazy = is_lazy;
    return 0;
}

static void run_group(struct state *s, struct work **works, size_t n)
{
    struct err e;

    if (choose_sync(s, works, n, &e) < 0) {
        fail_all(works, n, &e);
        return;
    }
    for (size_t i = 0; i < n;) {
        i += run_transaction(s->writer, works + i, n - i);
    }
}

static void *writer_main(void *arg)
{
    struct state *s = arg;
    struct work *works[LIMIT_STATE_BATCH];
    size_t n;

    (void)pthread_setname_np(pthread_self(), "state-writer");
    while ((n = take_works(s, works)) > 0) {
        int64_t start_us = clock_mono_us();

        run_group(s, works, n);
        count_group(s, works, n, clock_mono_us() - start_us);
        finish(s, works, n);
        if (s->writer->wal_pages > WAL_PAGES_BUSY ||
            (s->writer->wal_pages > WAL_PAGES_IDLE && is_idle(s))) {
            checkpoint(s);
        }
    }
    return NULL;
}

static int start_writer(struct state *s, struct err *e)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int r;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, WRITER_STACK);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals belong to the main thread */
    r = pthread_create(&s->thread, &attr, writer_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    if (r != 0) {
        return err_set(e, ERR_UNAVAILABLE, "cannot start the state writer: %s", strerror(r));
    }
    s->started = true;
    return 0;
}

struct state *state_open(const char *path, const struct state_schema *const *schemas, struct err *e)
{
    SCOPED(state_closep) struct state *s = xnew(struct state);

    lock_init(&s->queue, LOCK_state_queue);
    list_init(&s->works);
    list_init(&s->readers);
    s->path = xstrdup(path);
    if (state_migrate_look(path, schemas, e) < 0 || state_file_create(path, e) < 0) {
        return NULL;
    }
    s->writer = state_db_open(path, STATE_WRITER, e);
    if (s->writer == NULL || state_migrate(s->writer, schemas, e) < 0 || start_writer(s, e) < 0) {
        return NULL;
    }
    return TAKE(s);
}

void state_close(struct state *s)
{
    if (s == NULL) {
        return;
    }
    if (s->started) {
        lock_take(&s->queue);
        s->stopping = true;
        lock_broadcast(&s->queue);
        lock_drop(&s->queue);
        (void)pthread_join(s->thread, NULL);
    }
    assert(s->n_readers == s->n_idle); /* somebody still reads */
    list_each(it, &s->readers)
    {
        list_remove(it);
        state_db_close(list_entry(it, struct state_db, link));
    }
    state_db_close(s->writer); /* the last one: checkpoints and removes the WAL */
    lock_done(&s->queue);
    free(s->path);
    free(s);
}

static void enqueue_locked(struct state *s, struct work *w)
{
    lock_assert(&s->queue);
    assert(!s->stopping);
    list_append(&s->works, &w->link);
    if (s->n_works++ == 0) {
        lock_broadcast(&s->queue);
    }
}

static void enqueue_and_wait(struct state *s, struct work *w)
{
    WITH_LOCK(&s->queue);
    enqueue_locked(s, w);
    while (!w->finished) {
        (void)pthread_cond_wait(w->waiter, &s->queue.mutex);
    }
}

static int write_work(struct state *s, struct work *w, struct err *e)
{
    pthread_cond_t waiter = PTHREAD_COND_INITIALIZER;

    assert(!pthread_equal(pthread_self(), s->thread)); /* would wait for itself */
    w->waiter = &waiter;
    enqueue_and_wait(s, w);
    (void)pthread_cond_destroy(&waiter);
    if (w->result < 0) {
        *e = w->err;
        return -1;
    }
    return 0;
}

int state_write(struct state *s, state_fn *fn, void *ctx, struct err *e)
{
    return write_work(s, &(struct work){.fn = fn, .ctx = ctx}, e);
}

int state_write_lazy(struct state *s, state_fn *fn, void *ctx, struct err *e)
{
    return write_work(s, &(struct work){.fn = fn, .ctx = ctx, .is_lazy = true}, e);
}

void state_submit(struct state *s, state_fn *fn, void *ctx,
                  void (*done)(void *ctx, const struct err *e))
{
    struct work *w = xnew(struct work);
    bool on_writer = pthread_equal(pthread_self(), s->thread);

    w->fn = fn;
    w->ctx = ctx;
    w->done = done;
    WITH_LOCK(&s->queue);
    while (s->n_works >= QUEUE_MAX && !on_writer) {
        lock_wait(&s->queue);
    }
    enqueue_locked(s, w);
}

static struct state_db *reader_take_idle(struct state *s)
{
    struct list *last;

    WITH_LOCK(&s->queue);
    s->reads++;
    if (list_empty(&s->readers)) {
        s->n_readers++;
        return NULL;
    }
    last = s->readers.prev;
    list_remove(last);
    s->n_idle--;
    return list_entry(last, struct state_db, link);
}

/* The caller closes what is not kept. */
static struct state_db *reader_give_back(struct state *s, struct state_db *db)
{
    WITH_LOCK(&s->queue);
    if (db == NULL || s->n_idle >= READERS_IDLE) {
        s->n_readers--;
        return db;
    }
    list_append(&s->readers, &db->link);
    s->n_idle++;
    return NULL;
}

static int read_in_snapshot(struct state_db *db, state_fn *fn, void *ctx, struct err *e)
{
    int r;

    if (state_run(db, e, "BEGIN", "") < 0) {
        return -1;
    }
    r = fn(db, ctx, e);
    assert(db->open_queries == 0); /* fn forgot a query_done */
    step_back(db, "COMMIT");
    return r;
}

int state_read(struct state *s, state_fn *fn, void *ctx, struct err *e)
{
    struct state_db *db = reader_take_idle(s);
    int r = -1;

    if (db == NULL) {
        db = state_db_open(s->path, STATE_READER, e);
    }
    if (db) {
        r = read_in_snapshot(db, fn, ctx, e);
    }
    state_db_close(reader_give_back(s, db));
    return r < 0 ? -1 : 0;
}

static int quick_check(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    if (query_open(&q, db, e, "PRAGMA quick_check(1)", "") < 0 || query_step(&q, e) < 0) {
        return -1;
    }
    if (!str_eq_c(query_str(&q, 0), "ok")) {
        return err_set(e, ERR_IO,
                       "the state file is damaged: %.*s; stop the server, keep a copy, restore a "
                       "backup",
                       STR_ARG(query_str(&q, 0)));
    }
    return 0;
}

int state_check(struct state *s, struct err *e)
{
    return state_read(s, quick_check, NULL, e);
}

void state_dump(struct state *s, struct buf *out)
{
    WITH_LOCK(&s->queue);
    buf_printf(out,
               "state queued=%zu groups=%llu transactions=%llu refused=%llu largest_group=%zu "
               "slowest_commit_us=%lld checkpoints=%llu wal_pages=%d reads=%llu readers=%zu "
               "idle_readers=%zu\n",
               s->n_works, (unsigned long long)s->groups, (unsigned long long)s->transactions,
               (unsigned long long)s->refused, s->largest_group, (long long)s->slowest_commit_us,
               (unsigned long long)s->checkpoints, s->wal_pages, (unsigned long long)s->reads,
               s->n_readers, s->n_idle);
}
