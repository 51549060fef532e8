/* The workers: one looks what is due, takes it and lets the next one look while it sends. What
 * fails waits longer and longer, and never holds more than half of the workers; a project holds two
 * at most. */
#include "webhooks_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "state/state.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    DUE_MAX = 256,                   /* hooks looked at together */
    PROJECT_WORKERS = 2,             /* at once for one project */
    MORE_MS = 1000,                  /* until the next look when there were more of them */
    PAUSE_MS = 5000,                 /* after the database failed */
    CLOCK_BACK_MS = 2 * 3600 * 1000, /* further ahead than we ever plan: the clock was set back */
    WORKER_STACK = 512 * 1024
};

struct due {
    int64_t hook_id, project_id, streak, next_ms;
};
struct due_list {
    struct due items[DUE_MAX];
    size_t n;
    int64_t now_ms;
};

/* Those whose target answers come first. */
static int due_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct due_list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT id, project_id, streak, next_ms FROM webhooks"
                   " WHERE next_ms IS NOT NULL ORDER BY streak > 0, next_ms LIMIT ?",
                   "i", (int64_t)DUE_MAX) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        int64_t next_ms = query_i64(&q, 3);

        l->items[l->n++] =
            (struct due){.hook_id = query_i64(&q, 0),
                         .project_id = query_i64(&q, 1),
                         .streak = query_i64(&q, 2),
                         .next_ms = next_ms > l->now_ms + CLOCK_BACK_MS ? l->now_ms : next_ms};
    }
    return r;
}

static struct turn *take_locked(struct webhooks *h, const struct due *d)
{
    unsigned of_project = 0, failing = 0, healthy = 0;
    struct turn *free_turn = NULL;

    lock_assert(&h->lock);
    for (size_t i = 0; i < WEBHOOK_WORKERS; i++) {
        struct turn *t = &h->turns[i];

        if (t->hook_id == 0) {
            free_turn = t;
            continue;
        }
        if (t->hook_id == d->hook_id) {
            return NULL;
        }
        of_project += t->project_id == d->project_id;
        failing += t->is_failing;
        healthy += !t->is_failing;
    }
    if (free_turn == NULL || of_project >= PROJECT_WORKERS ||
        (d->streak > 0 ? failing >= WEBHOOK_WORKERS / 2 : healthy >= WEBHOOK_WORKERS - 1)) {
        return NULL;
    }
    free_turn->hook_id = d->hook_id;
    free_turn->project_id = d->project_id;
    free_turn->is_failing = d->streak > 0;
    atomic_store(&free_turn->is_stopped, atomic_load(&h->is_closing));
    return free_turn;
}

/* The first that is due and may be taken; else *wait_ms says when the next will be (< 0: none). */
static struct turn *choose_locked(struct webhooks *h, const struct due_list *l, int64_t *wait_ms)
{
    *wait_ms = -1;
    for (size_t i = 0; i < l->n; i++) {
        const struct due *d = &l->items[i];

        if (d->next_ms <= l->now_ms) {
            struct turn *t = take_locked(h, d);

            if (t != NULL) {
                return t;
            }
        } else if (*wait_ms < 0 || d->next_ms - l->now_ms < *wait_ms) {
            *wait_ms = d->next_ms - l->now_ms;
        }
    }
    if (l->n == DUE_MAX && (*wait_ms < 0 || *wait_ms > MORE_MS)) {
        *wait_ms = MORE_MS; /* there are more that we did not see */
    }
    return NULL;
}

static bool notes_are_due_locked(const struct webhooks *h)
{
    return h->n_notes > 0 && clock_mono_ms() >= h->notes_due_ms;
}

/* Reads without the lock. -1: the database failed. */
static int read_due(struct webhooks *h, unsigned what, struct due_list *l, struct err *e)
{
    l->n = 0;
    l->now_ms = clock_wall_ms();
    return ((what & 1) && interests_read(h, e) < 0) || ((what & 2) && notes_write(h, e) < 0) ||
                   state_read(h->state, due_fn, l, e) < 0
               ? -1
               : 0;
}

static void wait_locked(struct webhooks *h, uint64_t seen, int64_t wait_ms)
{
    int64_t now = clock_mono_ms();
    int64_t until = wait_ms < 0 ? INT64_MAX : now + wait_ms;

    if (h->n_notes > 0 && h->notes_due_ms < until) {
        until = h->notes_due_ms;
    }
    if (h->looks != seen || atomic_load(&h->is_closing)) {
        return;
    }
    if (until == INT64_MAX) {
        lock_wait(&h->lock);
    } else {
        (void)lock_wait_until(&h->lock, until);
    }
}

/* One look: a turn, or NULL after a wait. The lock is dropped meanwhile. */
static struct turn *look_locked(struct webhooks *h, struct due_list *l)
{
    uint64_t seen = h->looks, returns = h->returns;
    unsigned what = (h->interests_stale ? 1U : 0U) | (notes_are_due_locked(h) ? 2U : 0U);
    int64_t wait_ms;
    struct turn *t = NULL;
    struct err e;
    int result;

    h->interests_stale = false;
    lock_drop(&h->lock);
    result = read_due(h, what, l, &e);
    if (result < 0) {
        log_warn("webhooks.look_failed", "error=%s next=again in %d s", Q(str_of(e.msg)),
                 PAUSE_MS / 1000);
    }
    lock_take(&h->lock);
    if (result < 0) {
        (void)lock_wait_until(&h->lock, clock_mono_ms() + PAUSE_MS);
        return NULL;
    }
    if (h->returns != returns) {
        return NULL; /* what we read of that hook may be from before its last try */
    }
    t = choose_locked(h, l, &wait_ms);
    if (t == NULL) {
        wait_locked(h, seen, wait_ms);
    }
    return t;
}

static struct turn *next_turn(struct webhooks *h, bool *makes_another)
{
    struct lock *l = &h->lock;
    SCOPED(freep) struct due_list *due = xnew(struct due_list);
    struct turn *t = NULL;

    WITH_LOCK(l);
    while (h->is_looking && !atomic_load(&h->is_closing)) {
        h->n_idle++;
        lock_wait(l);
        h->n_idle--;
    }
    h->is_looking = true;
    while (t == NULL && !atomic_load(&h->is_closing)) {
        t = look_locked(h, due);
    }
    h->is_looking = false;
    *makes_another =
        t != NULL && h->n_idle == 0 && !h->is_starting && h->n_threads < WEBHOOK_WORKERS;
    h->is_starting |= *makes_another;
    lock_broadcast(l);
    return t;
}

static void give_back(struct webhooks *h, struct turn *t)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    t->hook_id = 0;
    h->returns++;
    h->looks++;
    lock_broadcast(l);
}

static void log_outcome(const struct parcel *p, const struct outcome *o)
{
    if (o->error == NULL) {
        log_info("webhook.sent", "hook=%lld delivery=%lld event=%s status=%d ms=%lld",
                 (long long)p->hook_id, (long long)p->delivery_id, p->event, o->status,
                 (long long)o->duration_ms);
        return;
    }
    /* The address may hold a key, and the error holds the address: both stay in the log of the
     * hook, which only those see who set it. */
    log_warn("webhook.not_sent", "hook=%lld delivery=%lld event=%s status=%d ms=%lld next=%s",
             (long long)p->hook_id, (long long)p->delivery_id, p->event, o->status,
             (long long)o->duration_ms, o->is_final ? "given up" : "tried again");
}

/* What cannot be written down is not sent again and again meanwhile. */
static void note_outcome(struct webhooks *h, const struct parcel *p, const struct outcome *o)
{
    struct lock *l = &h->lock;
    struct err e;

    while (queue_note(h, p, o, &e) < 0 && !atomic_load(&h->is_closing)) {
        int64_t until = clock_mono_ms() + PAUSE_MS;

        log_warn("webhooks.note_failed", "hook=%lld error=%s next=again in %d s",
                 (long long)p->hook_id, Q(str_of(e.msg)), PAUSE_MS / 1000);
        lock_take(l);
        while (!atomic_load(&h->is_closing) && lock_wait_until(l, until)) {
        }
        lock_drop(l);
    }
}

static void pause_after(struct webhooks *h, const struct err *e)
{
    struct lock *l = &h->lock;
    int64_t until = clock_mono_ms() + PAUSE_MS;

    log_warn("webhooks.read_failed", "error=%s next=again in %d s", Q(str_of(e->msg)),
             PAUSE_MS / 1000);
    WITH_LOCK(l);
    while (!atomic_load(&h->is_closing) && lock_wait_until(l, until)) {
    }
}

static void do_turn(struct webhooks *h, struct turn *t)
{
    SCOPED(arena_done) struct arena arena = {0};
    struct parcel p = {0};
    struct outcome o;
    struct err e;
    char error[512];
    int found = queue_first(h, t->hook_id, &arena, &p, &e);

    if (found < 0) {
        pause_after(h, &e);
    } else if (found > 0 && parcel_send(h, t, &p, error, &o) == 0) {
        log_outcome(&p, &o);
        note_outcome(h, &p, &o);
    }
}

static void *work(void *arg)
{
    struct webhooks *h = arg;
    bool makes_another = false;
    struct turn *t;

    (void)pthread_setname_np(pthread_self(), "webhooks");
    while ((t = next_turn(h, &makes_another)) != NULL) {
        struct err e;

        if (makes_another && worker_start(h, &e) < 0) {
            log_warn("webhooks.no_thread", "error=%s next=going on with those there are",
                     Q(str_of(e.msg)));
        }
        do_turn(h, t);
        give_back(h, t);
    }
    return NULL;
}

int worker_start(struct webhooks *h, struct err *e)
{
    struct lock *l = &h->lock;
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int r;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, WORKER_STACK);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals belong to the main thread */
    r = pthread_create(&thread, &attr, work, h);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    lock_take(l);
    h->is_starting = false;
    if (r == 0) {
        h->threads[h->n_threads++] = thread;
    }
    lock_drop(l);
    return r == 0
               ? 0
               : err_set(e, ERR_UNAVAILABLE, "cannot start a thread for webhooks: %s", strerror(r));
}
