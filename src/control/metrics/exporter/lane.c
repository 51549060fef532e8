#include "exporter/lane.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { STACK_BYTES = 256 * 1024, KEPT_BYTES = 32 * 1024, NONE = COLLECTORS_MAX };

enum lane_state { IDLE, ASKED, RUNS, DONE, ENDS };

/* `node`, `out` and `told` are the thread's own. */
struct lane {
    const struct collector *all;
    size_t n;
    struct node node;
    struct buf out;            /* of the collector that runs */
    bool told[COLLECTORS_MAX]; /* its error was logged, and is the same since */
    pthread_t thread;
    struct lock lock;
    enum lane_state state; /* guarded by lock, as all below */
    enum exporter_format format;
    bool asked[COLLECTORS_MAX]; /* and not begun yet */
    size_t at;                  /* runs now, or NONE */
    int64_t at_ms;              /* since */
    struct buf came;            /* what those gave that came back */
    struct outcome outcomes[COLLECTORS_MAX];
};

/* What is larger than most are is given back. */
static void pass_on(struct buf *from, struct buf *to)
{
    if (to->len == 0) {
        struct buf empty = *to;

        *to = *from;
        *from = empty;
    } else {
        (void)buf_add(to, buf_str(from));
    }
    to->failed = to->failed || from->failed;
    buf_clear(from);
    if (from->cap > KEPT_BYTES) {
        buf_done(from);
        *from = BUF_MAX(LIMIT_EXPOSITION_BYTES);
    }
}

/* A failure is logged when it begins, not with each page. */
static struct outcome run(struct lane *l, size_t i, enum exporter_format format)
{
    struct page p = {.out = &l->out, .format = format};
    const struct collector *c = &l->all[i];
    int64_t began_us = clock_mono_us();
    struct err e = {0};
    int rc = c->collect(&l->node, &p, &e);

    arena_reset(&l->node.arena);
    if (rc < 0 && e.kind != ERR_NOT_FOUND && !l->told[i]) {
        log_warn("exporter.collector", "collector=%s error=%s; the page goes without", c->name,
                 Q(str_of(e.msg)));
    }
    l->told[i] = rc < 0;
    return (struct outcome){
        .ok = rc == 0, .shown = true, .seconds = (double)(clock_mono_us() - began_us) / 1e6};
}

/* The next that was asked for begins. */
static bool next_locked(struct lane *l, size_t *at)
{
    lock_assert(&l->lock);
    for (size_t i = 0; i < l->n && l->state == RUNS; i++) {
        if (l->asked[i]) {
            l->asked[i] = false;
            l->at = *at = i;
            l->at_ms = clock_mono_ms();
            return true;
        }
    }
    l->at = NONE;
    return false;
}

static void *lane_main(void *ctx)
{
    struct lane *l = ctx;
    size_t at;

    lock_take(&l->lock);
    while (l->state != ENDS) {
        if (l->state != ASKED) {
            lock_wait(&l->lock);
            continue;
        }
        l->state = RUNS;
        while (next_locked(l, &at)) {
            enum exporter_format format = l->format;
            struct outcome outcome;

            lock_drop(&l->lock);
            outcome = run(l, at, format);
            lock_take(&l->lock);
            l->outcomes[at] = outcome;
            pass_on(&l->out, &l->came);
        }
        if (l->state == RUNS) {
            l->state = DONE;
        }
        lock_broadcast(&l->lock);
    }
    lock_drop(&l->lock);
    return NULL;
}

static void lane_free(struct lane *l)
{
    node_done(&l->node);
    buf_done(&l->out);
    buf_done(&l->came);
    lock_done(&l->lock);
    free(l);
}

struct lane *lane_open(const struct exporter_options *o, const struct collector *all, size_t n,
                       enum lane_flags flags, struct err *e)
{
    struct lane *l = xnew(struct lane);
    pthread_attr_t attr;
    int rc;

    *l = (struct lane){.all = all, .n = n, .at = NONE};
    l->out = l->came = BUF_MAX(LIMIT_EXPOSITION_BYTES);
    lock_init(&l->lock, LOCK_exporter_lane);
    if (node_init(&l->node, o, e) < 0 ||
        (flags == LANE_CHOOSES && node_expressions(&l->node, e) < 0)) {
        lane_free(l);
        return NULL;
    }
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    rc = pthread_create(&l->thread, &attr, lane_main, l);
    (void)pthread_attr_destroy(&attr);
    if (rc != 0) {
        lane_free(l);
        (void)err_set(e, ERR_UNAVAILABLE, "a thread for collectors: %s", strerror(rc));
        return NULL;
    }
    return l;
}

/* A lane that hangs cannot be waited for: its memory stays, the process ends anyway. */
bool lane_close(struct lane *l)
{
    bool runs;

    lock_take(&l->lock);
    runs = l->state == RUNS;
    l->state = ENDS;
    lock_broadcast(&l->lock);
    lock_drop(&l->lock);
    if (runs) {
        (void)pthread_detach(l->thread);
        return false;
    }
    (void)pthread_join(l->thread, NULL);
    lane_free(l);
    return true;
}

bool lane_ask(struct lane *l, const bool *which, enum exporter_format format)
{
    struct lock *lock = &l->lock;
    WITH_LOCK(lock);

    if (l->state == ASKED || l->state == RUNS) {
        return false;
    }
    l->format = format;
    buf_clear(&l->came);
    for (size_t i = 0; i < l->n; i++) {
        l->asked[i] = which[i];
        l->outcomes[i] = (struct outcome){0};
    }
    l->state = ASKED;
    lock_broadcast(lock);
    return true;
}

enum lane_answer lane_await(struct lane *l, int64_t deadline, int64_t patience_ms, size_t *at)
{
    struct lock *lock = &l->lock;
    WITH_LOCK(lock);

    while (l->state == ASKED || l->state == RUNS) {
        int64_t now = clock_mono_ms();
        int64_t end = (l->at == NONE ? now : l->at_ms) + patience_ms;

        if (now >= deadline) {
            return LANE_LATE;
        }
        if (patience_ms > 0 && now >= end) {
            *at = l->at;
            return LANE_HANGS;
        }
        /* Nobody says that the next has begun: look again then. */
        (void)lock_wait_until(lock, patience_ms > 0 && end < deadline ? end : deadline);
    }
    return LANE_DONE;
}

void lane_take(struct lane *l, struct buf *out, struct outcome *outcomes)
{
    struct lock *lock = &l->lock;
    WITH_LOCK(lock);

    for (size_t i = 0; i < l->n; i++) {
        l->asked[i] = false;
        if (l->outcomes[i].shown) {
            outcomes[i] = l->outcomes[i];
        }
    }
    pass_on(&l->came, out);
}
