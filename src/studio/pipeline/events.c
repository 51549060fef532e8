/* Whoever follows a run: server-sent events, made by the runner, taken by the relay thread. */
#include "pipeline/pipeline_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 1000, BEAT_MS = 15000 };
#define WAITING_BYTES (2 * MIB) /* for one reader: past it his stream is cut, and he loads anew */
#define FIRST_BYTES (8 * MIB)   /* everything as it is, of the largest run */

/* Two hold it: the stream until its close, and the handler until it has passed on the waker. */
struct follower {
    struct list link; /* pipelines.followers; guarded by pipelines.lock, like the five below */
    struct http_waker *waker;
    unsigned holders;
    bool closed, over;
    struct buf waiting;
    /* constant, or relay thread only */
    struct pipelines *s;
    int64_t run_id, checked_ms, sent_ms;
    struct principal who;
    char project[LIMIT_NAME_BYTES + 1];
};

static void drop(struct follower *f)
{
    struct lock *l = &f->s->lock;
    bool last;

    {
        WITH_LOCK(l);
        last = --f->holders == 0;
    }
    if (last) {
        buf_done(&f->waiting);
        free(f);
    }
}

static void on_close(void *ctx)
{
    struct follower *f = ctx;

    {
        struct lock *l = &f->s->lock;

        WITH_LOCK(l);
        f->closed = true;
        list_remove(&f->link);
    }
    drop(f);
}

/* There will be no stream: the handler holds it alone. */
static void abandon(struct follower *f)
{
    struct lock *l = &f->s->lock;

    WITH_LOCK(l);
    f->closed = true;
    f->holders--;
    list_remove(&f->link);
}

static int pump(void *ctx, struct buf *out)
{
    struct follower *f = ctx;
    struct lock *l = &f->s->lock;
    int64_t now = clock_mono_ms();

    if (now - f->checked_ms >= TICK_MS) {
        f->checked_ms = now;
        if (!access_still_may(f->s->parts.access, &f->who, PERM_PIPELINE_READ,
                              str_of(f->project))) {
            return -1;
        }
    }
    WITH_LOCK(l);
    if (f->waiting.failed) {
        return -1;
    }
    if (f->waiting.len > 0) {
        size_t room = out->max - out->len, n = f->waiting.len < room ? f->waiting.len : room;

        (void)buf_add(out, str_n(f->waiting.p, n));
        memmove(f->waiting.p, f->waiting.p + n, f->waiting.len - n);
        f->waiting.len -= n;
        f->sent_ms = now;
    } else if (now - f->sent_ms >= BEAT_MS) {
        (void)buf_add(out, STR(":\n\n"));
        f->sent_ms = now;
    }
    return f->over && f->waiting.len == 0 ? 0 : 1;
}

static void tell(struct pipelines *s, int64_t run_id, const char *type, const struct buf *json,
                 bool over)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    list_each(it, &s->followers)
    {
        struct follower *f = list_entry(it, struct follower, link);

        if (f->run_id == run_id) {
            (void)buf_printf(&f->waiting, "event: %s\ndata: ", type);
            (void)buf_add(&f->waiting, buf_str(json));
            (void)buf_add(&f->waiting, STR("\n\n"));
            f->over = f->over || over;
            if (f->waker) {
                http_wake(f->waker);
            }
        }
    }
}

/* Nobody may follow: then nothing is written. */
static bool is_followed(struct pipelines *s, int64_t run_id)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    list_each(it, &s->followers)
    {
        if (list_entry(it, struct follower, link)->run_id == run_id) {
            return true;
        }
    }
    return false;
}

static void node_json(const struct node_row *n, double done, const char *text, struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "node", n->node);
    jw_key(w, "value");
    node_view(n, done, text, w);
    jw_end(w);
}

void run_events_node(struct pipelines *s, const struct run *r, const struct run_node *n)
{
    SCOPED(buf_done) struct buf json = BUF_MAX(MIB);
    struct jw w = JW(&json);

    if (is_followed(s, r->row.id)) {
        node_json(&n->row, n->done, n->text, &w);
        tell(s, r->row.id, "node", &json, false);
    }
}

void run_events_run(struct pipelines *s, const struct run *r)
{
    SCOPED(buf_done) struct buf json = BUF_MAX(MIB);
    SCOPED(buf_done) struct buf note = BUF_MAX(4 * KIB);
    struct jw w = JW(&json), short_w = JW(&note);

    run_view_begin(&r->row, &w);
    jw_end(&w);
    tell(s, r->row.id, "run", &json, r->row.finished_ms > 0);
    jw_object(&short_w);
    jw_kv_c(&short_w, "project", r->row.project);
    jw_kv_i64(&short_w, "id", r->row.id);
    jw_kv_c(&short_w, "pipeline", r->row.pipeline);
    jw_kv_c(&short_w, "state", run_state_name(r->row.state));
    jw_end(&short_w);
    s->parts.event(s->parts.ctx, "run", str_of(r->row.project), buf_str(&note));
}

/* --- the route --- */

struct first {
    int64_t project_id, id;
    struct arena *a;
    struct run_row run;
    struct node_row *nodes;
    size_t n;
};

static int first_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct first *x = ctx;

    return run_store_get(db, x->project_id, x->id, x->a, &x->run, e) < 0
               ? -1
               : run_store_nodes(db, x->id, x->a, &x->nodes, &x->n, e);
}

/* Everything as it is now; what comes meanwhile is told too, and comes after it. */
static void write_first(struct follower *f, const struct first *x)
{
    SCOPED(buf_done) struct buf all = BUF_MAX(FIRST_BYTES);
    SCOPED(buf_done) struct buf later = {0};
    struct jw w = JW(&all);
    struct lock *l = &f->s->lock;

    (void)buf_add(&all, STR("event: run\ndata: "));
    run_view_begin(&x->run, &w);
    jw_end(&w);
    (void)buf_add(&all, STR("\n\n"));
    for (size_t i = 0; i < x->n; i++) {
        struct jw node = JW(&all);

        (void)buf_add(&all, STR("event: node\ndata: "));
        node_json(&x->nodes[i], 0, "", &node);
        (void)buf_add(&all, STR("\n\n"));
    }
    WITH_LOCK(l);
    later = f->waiting;
    f->waiting = all;
    all = (struct buf){0};
    (void)buf_add(&f->waiting, buf_str(&later));
    f->over = f->over || x->run.finished_ms > 0;
}

static int park(struct http_req *r, struct follower *f, struct err *e)
{
    static const struct http_stream_ops ops = {pump, on_close};
    struct http_waker *waker = NULL;
    struct lock *l = &f->s->lock;

    if (http_park(r, "text/event-stream", &ops, f, TICK_MS, &waker, e) < 0) {
        abandon(f);
        return -1;
    }
    WITH_LOCK(l);
    if (!f->closed && waker) {
        f->waker = waker;
        http_wake(waker);
    }
    return 0;
}

/* A reader that stands still costs WAITING_BYTES, and connections are many. */
static int check_room(struct pipelines *s, const struct principal *who, struct err *e)
{
    struct lock *l = &s->lock;
    size_t all = 0, own = 0;

    WITH_LOCK(l);
    list_each(it, &s->followers)
    {
        const struct follower *f = list_entry(it, struct follower, link);

        all++;
        own += strcmp(f->who.name, who->name) == 0;
    }
    return all < LIMIT_RUN_FOLLOWERS && own < LIMIT_RUN_FOLLOWERS_USER
               ? 0
               : err_set(e, ERR_THROTTLED,
                         "too many follow runs: at most %d, of one user at most %d",
                         LIMIT_RUN_FOLLOWERS, LIMIT_RUN_FOLLOWERS_USER);
}

int run_events_get(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct first x = {.a = &r->arena};
    struct follower *f;
    uint64_t id = 0;
    int rc;

    if (str_to_u64(http_path_param(r, "id"), &id) < 0 || id > INT64_MAX) {
        id = 0;
    }
    x.id = (int64_t)id;
    if (studio_project(r, &x.project_id, e) < 0) {
        return -1;
    }
    if (check_room(s, &r->who, e) < 0) {
        return -1;
    }
    f = xnew(struct follower);
    *f = (struct follower){.holders = 2,
                           .waiting = BUF_MAX(WAITING_BYTES),
                           .s = s,
                           .run_id = x.id,
                           .who = r->who,
                           .checked_ms = clock_mono_ms(),
                           .sent_ms = clock_mono_ms()};
    (void)snprintf(f->project, sizeof(f->project), "%.*s", STR_ARG(r->project));
    lock_take(&s->lock);
    list_append(&s->followers, &f->link);
    lock_drop(&s->lock);
    if (state_read(s->parts.state, first_fn, &x, e) < 0) {
        abandon(f);
        rc = -1;
    } else {
        write_first(f, &x);
        rc = park(r, f, e);
    }
    drop(f);
    return rc;
}
