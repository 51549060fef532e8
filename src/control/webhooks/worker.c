/* The workers: one looks what is due, takes it and lets the next one look while it sends. What
 * fails waits longer and longer, and never holds more than half of the workers; a project holds two
 * at most. */
#include "webhooks_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "secrets/secrets.h"
#include "state/state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DUE_MAX = 256,                   /* hooks looked at together */
    PROJECT_WORKERS = 2,             /* at once for one project */
    NOTES_AFTER_MS = 1000,           /* as long may a pull wait in memory */
    PAUSE_MS = 5000,                 /* after the database failed */
    CLOCK_BACK_MS = 2 * 3600 * 1000, /* further ahead than we ever plan: the clock was set back */
    SEND_SEC = 10,
    SEND_RATE = 4 * 1024 * 1024, /* a second: an endless answer shall not cost a core */
    RETRY_AFTER_MAX_SEC = 3600,
    WORKER_STACK = 512 * 1024
};

/* --- notes: what has no transaction --- */

struct note {
    struct webhook_news news;
    struct webhook_image image;
    struct arena arena;
};

static int by_project(const void *a, const void *b)
{
    const struct interest *x = a, *y = b;

    return x->project_id < y->project_id ? -1 : x->project_id > y->project_id;
}

static bool is_wanted_locked(struct webhooks *h, const struct webhook_news *n)
{
    struct interest key = {.project_id = n->project_id};
    const struct interest *found;

    lock_assert(&h->lock);
    if (h->interests_stale || h->interests.len == 0) {
        return h->interests_stale;
    }
    found = bsearch(&key, h->interests.p, h->interests.len, sizeof(key), by_project);
    return found != NULL && (found->events & EVENT_BIT(n->event)) != 0;
}

static struct note *note_of(const struct webhook_news *n)
{
    struct note *note = xnew(struct note);
    struct arena *a = &note->arena;

    note->news = (struct webhook_news){.event = n->event,
                                       .project_id = n->project_id,
                                       .repository = arena_str(a, n->repository),
                                       .repository_created_ms = n->repository_created_ms,
                                       .by = arena_str(a, n->by),
                                       .details = arena_str(a, n->details)};
    if (n->n_images > 0) {
        struct str tag = n->images[0].tag;

        note->image = (struct webhook_image){.tag = tag.p ? arena_str(a, tag) : tag,
                                             .digest = arena_str(a, n->images[0].digest)};
        note->news.images = &note->image;
        note->news.n_images = 1;
    }
    return note;
}

void webhooks_note(struct webhooks *h, const struct webhook_news *n)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    if (!is_wanted_locked(h, n)) {
        return;
    }
    if (h->notes.len == LIMIT_WEBHOOK_NOTES) {
        h->notes_dropped++;
        return;
    }
    if (h->notes.len == 0) {
        h->notes_due_ms = clock_mono_ms() + NOTES_AFTER_MS;
        lock_broadcast(l); /* whoever looks, waits no longer than that from now on */
    }
    *vec_push(&h->notes) = note_of(n);
}

struct taken {
    struct webhooks *h;
    struct note **notes;
    size_t n;
};

static int write_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct taken *t = ctx;

    for (size_t i = 0; i < t->n; i++) {
        if (webhooks_queue(t->h, db, &t->notes[i]->news, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static void free_notes(struct note **notes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        arena_done(&notes[i]->arena);
        free(notes[i]);
    }
    free(notes);
}

void notes_free(struct webhooks *h)
{
    free_notes(h->notes.p, h->notes.len);
}

int notes_write(struct webhooks *h, struct err *e)
{
    struct lock *l = &h->lock;
    struct taken t = {.h = h};
    size_t dropped;
    int result;

    lock_take(l);
    t.notes = h->notes.p;
    t.n = h->notes.len;
    dropped = h->notes_dropped;
    h->notes.p = NULL;
    h->notes.len = h->notes.cap = 0;
    h->notes_dropped = 0;
    lock_drop(l);
    result = t.n > 0 ? state_write(h->state, write_fn, &t, e) : 0;
    free_notes(t.notes, t.n);
    if (dropped > 0) {
        log_warn("webhooks.notes_dropped", "events=%zu next=only %d a second are told of", dropped,
                 LIMIT_WEBHOOK_NOTES);
    }
    return result;
}

struct interests {
    VEC(struct interest) v;
};

static int interests_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct interests *out = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT project_id, events FROM webhooks WHERE enabled = 1 ORDER BY project_id",
                   "") < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        int64_t project = query_i64(&q, 0);

        if (out->v.len == 0 || out->v.p[out->v.len - 1].project_id != project) {
            *vec_push(&out->v) = (struct interest){.project_id = project};
        }
        out->v.p[out->v.len - 1].events |= (unsigned)query_i64(&q, 1);
    }
    return r;
}

int interests_read(struct webhooks *h, struct err *e)
{
    struct lock *l = &h->lock;
    struct interests now = {0};
    int result = state_read(h->state, interests_fn, &now, e);

    lock_take(l);
    if (result == 0) {
        struct interest *old = h->interests.p;

        h->interests.p = now.v.p;
        h->interests.len = now.v.len;
        h->interests.cap = now.v.cap;
        now.v.p = old;
    } else {
        h->interests_stale = true;
    }
    lock_drop(l);
    free(now.v.p);
    return result;
}

/* --- sending one --- */

static bool is_stopped(void *ctx)
{
    const struct turn *t = ctx;

    return atomic_load(&t->is_stopped);
}

struct sealed {
    struct buf auth, signature, stamp, signed_text;
};

static void sealed_done(struct sealed *s)
{
    if (s->auth.p != NULL) {
        explicit_bzero(s->auth.p, s->auth.len);
    }
    buf_done(&s->auth);
    buf_done(&s->signature);
    buf_done(&s->stamp);
    buf_done(&s->signed_text);
}

static int open_value(const struct webhooks *h, const struct parcel *p, const char *what,
                      struct str sealed, struct buf *out, struct err *e)
{
    char place[SECRETS_PLACE_MAX];
    int n = snprintf(place, sizeof(place), "webhook/%lld/%s", (long long)p->hook_id, what);

    return sealed.len == 0 ? 0
                           : secrets_unwrap(h->secrets, str_n(place, (size_t)n), sealed, out, e);
}

/* sha256=<hex> of HMAC-SHA256 over "<timestamp>.<body>": an old request cannot be sent anew. */
static int sign(const struct webhooks *h, const struct parcel *p, struct sealed *s, struct err *e)
{
    SCOPED(buf_done) struct buf key = BUF_MAX(LIMIT_WEBHOOK_VALUE_BYTES + 1);
    unsigned char mac[SHA256_BYTES];
    char hex[SHA256_HEX + 1];

    buf_printf(&s->stamp, "%lld", (long long)(clock_wall_ms() / 1000));
    if (p->secret.len == 0) {
        return 0;
    }
    if (open_value(h, p, "secret", p->secret, &key, e) < 0) {
        return -1;
    }
    buf_printf(&s->signed_text, "%s.", s->stamp.p);
    buf_add(&s->signed_text, p->payload);
    hmac_sha256(buf_str(&key), buf_str(&s->signed_text), mac);
    explicit_bzero(key.p, key.len);
    hex_encode(mac, sizeof(mac), hex);
    buf_printf(&s->signature, "sha256=%s", hex);
    return 0;
}

static void add_header(struct fetch_request *q, const char *name, const char *value)
{
    q->headers[q->n_headers++] = (struct fetch_header){name, value};
}

static struct fetch_request request_of(const struct parcel *p, const struct sealed *s,
                                       struct turn *t)
{
    struct fetch_request q = {.method = "POST",
                              .url = p->url,
                              .body = p->payload,
                              .stop = is_stopped,
                              .stop_ctx = t,
                              .rate_bytes = SEND_RATE,
                              .total_sec = SEND_SEC};

    add_header(&q, "Content-Type", payload_type(p->format));
    add_header(&q, "X-Request-Id", p->request_id);
    add_header(&q, "X-Strata-Event", p->event);
    add_header(&q, "X-Strata-Timestamp", s->stamp.p);
    if (s->signature.len > 0) {
        add_header(&q, "X-Strata-Signature", s->signature.p);
    }
    if (s->auth.len > 0) {
        add_header(&q, "Authorization", s->auth.p);
    }
    return q;
}

/* Whatever becomes of the rest of its answer: a target that said 2xx has it. */
static bool was_taken(int status)
{
    return status >= 200 && status < 300;
}

static void explain_status(int status, char error[512])
{
    (void)snprintf(error, 512, "the target answered %d%s", status,
                   status >= 300 && status < 400
                       ? ": redirects are not followed; set the url it leads to"
                       : "");
}

static int64_t wait_ms(const struct webhooks *h, const struct parcel *p,
                       const struct fetch_answer *a)
{
    int64_t delay = queue_delay_ms(h->first_delay_ms, p->streak + 1);
    int64_t asked = 0;

    if (a->status == 429 || a->status == 503) {
        asked = fetch_retry_after(a, 0, RETRY_AFTER_MAX_SEC) * 1000;
    }
    return asked > delay ? asked : delay;
}

/* A denied or impossible address, a value that cannot be opened: time alone mends none of them. */
static bool is_hopeless(const struct fetch_answer *a, const struct err *e)
{
    return a->status == 0 &&
           (e->kind == ERR_FORBIDDEN || e->kind == ERR_INVALID || e->kind == ERR_IO);
}

static int send_it(struct webhooks *h, struct turn *t, const struct parcel *p,
                   struct fetch_answer *a, struct err *e)
{
    SCOPED(fetch_freep)
    struct fetch *f = fetch_new(&(struct fetch_options){.denied = h->denied,
                                                        .n_denied = h->n_denied,
                                                        .ca_pem = p->ca[0] ? p->ca : NULL,
                                                        .insecure = p->insecure},
                                e);
    SCOPED(sealed_done)
    struct sealed s = {.auth = BUF_MAX(LIMIT_WEBHOOK_VALUE_BYTES + 1),
                       .signature = BUF_MAX(128),
                       .stamp = BUF_MAX(32),
                       .signed_text = BUF_MAX(LIMIT_WEBHOOK_PAYLOAD + 32)};
    struct fetch_request q;

    if (f == NULL || sign(h, p, &s, e) < 0 || open_value(h, p, "auth", p->auth, &s.auth, e) < 0) {
        return -1;
    }
    q = request_of(p, &s, t);
    return fetch_do(f, &q, a, e);
}

int worker_send(struct webhooks *h, struct turn *t, const struct parcel *p, char error[512],
                struct outcome *out)
{
    struct fetch_answer a = {.status = 0};
    struct err e = {0};
    int64_t began_ms = clock_mono_ms();
    int result = send_it(h, t, p, &a, &e);

    *out = (struct outcome){.status = a.status, .duration_ms = clock_mono_ms() - began_ms};
    if (!was_taken(a.status)) {
        out->wait_ms = wait_ms(h, p, &a);
        out->is_final =
            p->is_ping || p->attempts + 1 >= h->tries || (result < 0 && is_hopeless(&a, &e));
        out->error = error;
        if (result == 0 || a.status >= 300) {
            explain_status(a.status, error);
        } else {
            (void)!str_copy(str_of(e.msg), error, 512);
        }
    }
    fetch_answer_done(&a);
    return result < 0 && e.kind == ERR_CONFLICT && !was_taken(out->status) && is_stopped(t) ? -1
                                                                                            : 0;
}

/* --- turns --- */

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
    if (l->n == DUE_MAX && (*wait_ms < 0 || *wait_ms > NOTES_AFTER_MS)) {
        *wait_ms = NOTES_AFTER_MS; /* there are more that we did not see */
    }
    return NULL;
}

static bool notes_are_due_locked(const struct webhooks *h)
{
    return h->notes.len > 0 && clock_mono_ms() >= h->notes_due_ms;
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

    if (h->notes.len > 0 && h->notes_due_ms < until) {
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
    uint64_t seen = h->looks;
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
    } else if (found > 0 && worker_send(h, t, &p, error, &o) == 0) {
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
