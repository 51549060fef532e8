/* Server-Sent Events: one ring of recent events, many readers with a cursor each. Ids are
 * "<hub>-<number>": a number of another run of the server is recognized and answered with
 * "event: missed", as is one that has left the ring; the reader then loads its state anew. The
 * greeting has an id, too: who comes back before the first event resumes as well. */
#include "net/net_priv.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

enum {
    EVENTS_AT_ONCE = 32,
    REPLAY_MS_MAX = 24 * 3600 * 1000,
    EVENT_BYTES_MAX = 60 * 1024 /* must fit one pump */
};

/* Shared by the ring and by pumps that copy it outside the lock: hence the count. */
struct event {
    _Atomic unsigned refs;
    atomic_bool is_forgotten; /* of a project that is gone: its name may be another one's soon */
    uint64_t number;
    int64_t at_ms;           /* monotonic */
    struct http_audience to; /* its project lies in bytes */
    size_t text_len;
    char bytes[]; /* project, then "event: ...\ndata: ...\n\n" */
};

struct http_events {
    struct lock lock; /* LOCK_net_events */
    char name[9];     /* first half of every id */
    int64_t since_ms; /* monotonic: what was before, another run of the server knows */
    struct event **ring;
    size_t len;
    uint64_t next;       /* number of the next event; guarded by lock */
    struct list readers; /* guarded by lock */
};

struct reader {
    struct http_events *hub;
    struct http_waker *waker;
    struct list link; /* guarded by hub.lock */
    uint64_t next;    /* number it wants; relay thread only, as all below */
    bool greeted, missed, signed_out;
    int64_t last_ms;
    http_events_filter *may_see;
    void *filter_ctx;
    struct principal who;
};

static void event_unref(struct event *ev)
{
    if (ev && atomic_fetch_sub(&ev->refs, 1) == 1) {
        free(ev);
    }
}

struct http_events *http_events_new(size_t ring_len)
{
    struct http_events *ev = xnew(struct http_events);

    lock_init(&ev->lock, LOCK_net_events);
    list_init(&ev->readers);
    random_name(ev->name, sizeof(ev->name) - 1);
    ev->since_ms = clock_mono_ms();
    ev->len = ring_len > 0 ? ring_len : 1;
    ev->ring = xnew_array(struct event *, ev->len);
    ev->next = 1;
    return ev;
}

void http_events_free(struct http_events *ev)
{
    if (ev == NULL) {
        return;
    }
    for (size_t i = 0; i < ev->len; i++) {
        event_unref(ev->ring[i]);
    }
    free(ev->ring);
    lock_done(&ev->lock);
    free(ev);
}

static struct event *event_new(const char *type, const struct http_audience *to, struct str json)
{
    size_t type_len = strlen(type),
           text_len = type_len + json.len + sizeof("event: \ndata: \n\n") - 1;
    struct event *ev = xcalloc(1, sizeof(*ev) + to->project.len + text_len + 1);

    atomic_init(&ev->refs, 1);
    ev->to = *to;
    ev->to.project = str_n(ev->bytes, to->project.len);
    ev->text_len = text_len;
    if (to->project.len > 0) {
        memcpy(ev->bytes, to->project.p, to->project.len);
    }
    (void)snprintf(ev->bytes + to->project.len, text_len + 1, "event: %s\ndata: %.*s\n\n", type,
                   STR_ARG(json));
    return ev;
}

void http_events_publish(struct http_events *hub, const char *type, const struct http_audience *to,
                         struct str json)
{
    struct lock *l = &hub->lock;
    struct event *ev, *old;

    if (json.len > EVENT_BYTES_MAX || memchr(json.p, '\n', json.len)) {
        return; /* a mistake of ours that must not break the stream for all */
    }
    ev = event_new(type, to, json);
    {
        WITH_LOCK(l);
        ev->number = hub->next++;
        ev->at_ms = clock_mono_ms();
        old = hub->ring[ev->number % hub->len];
        hub->ring[ev->number % hub->len] = ev;
        list_each(it, &hub->readers)
        {
            http_wake(list_entry(it, struct reader, link)->waker);
        }
    }
    event_unref(old);
}

void http_events_forget(struct http_events *hub, struct str project)
{
    struct lock *l = &hub->lock;
    WITH_LOCK(l);

    for (size_t i = 0; i < hub->len; i++) {
        struct event *ev = hub->ring[i];

        if (ev != NULL && project.len > 0 && str_eq(ev->to.project, project)) {
            atomic_store(&ev->is_forgotten, true);
        }
    }
}

/* --- one reader --- */

/* References to the next events, at most n; marks the reader when some have left the ring. */
static size_t collect(struct reader *rd, struct event **out, size_t n)
{
    struct http_events *hub = rd->hub;
    struct lock *l = &hub->lock;
    size_t found = 0;
    WITH_LOCK(l);

    if (rd->next + hub->len < hub->next) {
        rd->missed = true;
        rd->next = hub->next - hub->len;
    }
    while (found < n && rd->next < hub->next) {
        struct event *ev = hub->ring[rd->next % hub->len];

        (void)atomic_fetch_add(&ev->refs, 1);
        out[found++] = ev;
        rd->next++;
    }
    return found;
}

/* `to` NULL: whether he still is who he was when the stream began. */
static enum http_sight sight(struct reader *rd, const struct http_audience *to)
{
    enum http_sight s = rd->may_see ? rd->may_see(rd->filter_ctx, &rd->who, to) : HTTP_SEEN;

    rd->signed_out = rd->signed_out || s == HTTP_SIGNED_OUT;
    return s;
}

static void add_event(struct reader *rd, const struct event *ev, struct buf *out)
{
    if (!atomic_load(&ev->is_forgotten) && !rd->signed_out && sight(rd, &ev->to) == HTTP_SEEN) {
        (void)buf_printf(out, "id: %s-%llu\n", rd->hub->name, (unsigned long long)ev->number);
        (void)buf_add(out, str_n(ev->bytes + ev->to.project.len, ev->text_len));
    }
}

/* Adds events while there surely is room for one more; gives the others back. */
static void add_events(struct reader *rd, struct buf *out)
{
    struct event *batch[EVENTS_AT_ONCE];
    size_t n = collect(rd, batch, EVENTS_AT_ONCE), taken = 0;

    while (taken < n && out->max - out->len > batch[taken]->text_len + 64) {
        add_event(rd, batch[taken++], out);
    }
    rd->next -= n - taken;
    for (size_t i = 0; i < n; i++) {
        event_unref(batch[i]);
    }
}

static int reader_pump(void *ctx, struct buf *out)
{
    struct reader *rd = ctx;
    size_t before = out->len;
    int64_t now = clock_mono_ms();

    if (!rd->greeted) {
        rd->greeted = true;
        (void)buf_printf(out, "retry: 2000\nid: %s-%llu\n\n", rd->hub->name,
                         (unsigned long long)rd->next - 1);
    }
    if (rd->missed) {
        rd->missed = false;
        (void)buf_add(out, STR("event: missed\ndata: {}\n\n"));
    }
    add_events(rd, out);
    if (rd->missed) {
        return -1; /* it reads so slowly that the ring went round: it comes back and resumes */
    }
    if (out->len > before) {
        rd->last_ms = now;
    } else if (now - rd->last_ms >= NET_HEARTBEAT_MS - 1000) {
        rd->last_ms = now;
        (void)sight(rd, NULL);
        (void)buf_add(out, STR(":\n\n")); /* writing is how a vanished client is noticed */
    }
    return rd->signed_out ? 0 : 1;
}

static void reader_close(void *ctx)
{
    struct reader *rd = ctx;
    struct lock *l = &rd->hub->lock;

    {
        WITH_LOCK(l);
        list_remove(&rd->link);
    }
    free(rd);
}

static const struct http_stream_ops reader_ops = {reader_pump, reader_close};

/* Where to begin: behind Last-Event-ID if it is ours and still in the ring. */
static void resume(struct reader *rd, struct str last_id)
{
    struct http_events *hub = rd->hub;
    struct str rest = last_id, name = str_cut(&rest, '-');
    uint64_t number;

    rd->next = hub->next;
    rd->missed = true;
    if (rest.p && str_eq_c(name, hub->name) && str_to_u64(rest, &number) == 0 &&
        number < hub->next && number + 1 + hub->len >= hub->next) {
        rd->next = number + 1;
        rd->missed = false;
    }
}

/* Or at the first event of the last so many milliseconds, if all of them are still there. */
static void replay(struct reader *rd, int64_t replay_ms)
{
    struct http_events *hub = rd->hub;
    int64_t from_ms = clock_mono_ms() - replay_ms;
    uint64_t oldest = hub->next > hub->len ? hub->next - hub->len : 1;

    rd->next = hub->next;
    while (rd->next > oldest && hub->ring[(rd->next - 1) % hub->len]->at_ms > from_ms) {
        rd->next--;
    }
    rd->missed = replay_ms > 0 && (from_ms < hub->since_ms || (rd->next == oldest && oldest > 1));
}

int http_events_serve(struct http_req *r, struct http_events *ev, http_events_filter *may_see,
                      void *filter_ctx, struct err *e)
{
    struct lock *l = &ev->lock;
    struct str last_id = http_header(r, "Last-Event-ID");
    struct http_waker *waker = NULL;
    struct reader *rd;
    int64_t replay_ms;

    if (http_query_i64(r, "replay_ms", 0, 0, REPLAY_MS_MAX, &replay_ms, e) < 0) {
        return -1;
    }
    rd = xnew(struct reader);
    rd->hub = ev;
    rd->may_see = may_see;
    rd->filter_ctx = filter_ctx;
    rd->who = r->who;
    rd->last_ms = clock_mono_ms();
    list_init(&rd->link);
    {
        WITH_LOCK(l);
        if (last_id.len > 0) {
            resume(rd, last_id);
        } else {
            replay(rd, replay_ms);
        }
    }
    http_set_header(r, "Cache-Control", "no-cache");
    http_set_header(r, "X-Accel-Buffering", "no"); /* nginx in front must not hold events back */
    if (http_park(r, "text/event-stream", &reader_ops, rd, NET_HEARTBEAT_MS, &waker, e) < 0) {
        free(rd);
        return -1;
    }
    if (waker) { /* NULL: HEAD, and rd is gone */
        WITH_LOCK(l);
        rd->waker = waker;
        list_append(&ev->readers, &rd->link);
    }
    return 0;
}
