#include "helper/helper_priv.h"

#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <sys/socket.h>

/* One waiting thread. It lives on that thread's stack, and in the list until the thread has left,
 * so that helper_client_free can wait for it. */
struct call {
    struct list link;
    uint64_t id;
    pthread_cond_t answered; /* with the client's lock: each answer wakes one thread */
    bool done;
    struct frame reply; /* owned by the caller once done */
};

struct helper_client {
    int fd;
    helper_sink *sink;
    void *ctx;
    pthread_t receiver;
    struct lock lock;
    /* guarded by lock */
    struct list calls;
    uint64_t next_id;
    bool gone;
};

static struct call *call_find(struct helper_client *h, uint64_t id)
{
    lock_assert(&h->lock);
    list_each(it, &h->calls)
    {
        struct call *c = list_entry(it, struct call, link);

        if (c->id == id && !c->done) {
            return c;
        }
    }
    return NULL;
}

/* Gives the frame to who waits for it; false when nobody does. */
static bool deliver(struct helper_client *h, struct frame *f)
{
    struct lock *l = &h->lock;
    struct call *c;

    WITH_LOCK(l);
    c = call_find(h, f->id);
    if (c == NULL) {
        return false;
    }
    c->reply = *f;
    if (f->flags & FRAME_IN_MEMFD) {
        *f = (struct frame){.fd = -1}; /* the payload is in f->big and moves along */
    } else {
        /* The payload borrows from the receiver's buffer, which the next packet overwrites. */
        c->reply.big = BUF_MAX(HELPER_INLINE_BYTES);
        (void)buf_add(&c->reply.big, f->payload);
        c->reply.payload = buf_str(&c->reply.big);
        f->fd = -1;
    }
    c->done = true;
    (void)pthread_cond_signal(&c->answered);
    return true;
}

static void fail_all(struct helper_client *h)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    h->gone = true;
    list_each(it, &h->calls)
    {
        (void)pthread_cond_signal(&list_entry(it, struct call, link)->answered);
    }
}

static void handle_frame(struct helper_client *h, struct frame *f)
{
    switch (f->kind) {
    case FRAME_REPLY:
    case FRAME_ERROR:
        if (!deliver(h, f)) {
            log_warn("helper.answer_unknown", "call=%llu, ignoring", (unsigned long long)f->id);
        }
        break;
    case FRAME_EVENT:
        if (f->code < HELPER_EVENT_COUNT && h->sink) {
            h->sink(h->ctx, (enum helper_event)f->code, f->payload);
        }
        break;
    default:
        log_warn("helper.frame_unexpected", "kind=%d, ignoring", (int)f->kind);
        break;
    }
    frame_done(f);
}

static void *receiver_main(void *arg)
{
    struct helper_client *h = arg;
    SCOPED(freep) char *room = xcalloc(1, FRAME_ROOM);

    for (;;) {
        struct frame f = {.fd = -1};
        struct err e = {0};
        int rc = frame_receive(h->fd, room, 0, &f, &e);

        if (rc > 0) {
            handle_frame(h, &f);
            continue;
        }
        if (rc == 0 || e.sys != 0) {
            break;
        }
        log_warn("helper.packet_bad", "%s, ignoring", e.msg);
    }
    fail_all(h);
    return NULL;
}

struct helper_client *helper_client_new(int fd, helper_sink *sink, void *ctx)
{
    struct helper_client *h = xnew(struct helper_client);

    h->fd = fd;
    h->sink = sink;
    h->ctx = ctx;
    h->next_id = 1;
    list_init(&h->calls);
    lock_init(&h->lock, LOCK_helper_client);
    if (pthread_create(&h->receiver, NULL, receiver_main, h) != 0) {
        abort(); /* at start: no thread, no server */
    }
    return h;
}

void helper_client_free(struct helper_client *h)
{
    if (h == NULL) {
        return;
    }
    (void)shutdown(h->fd, SHUT_RDWR);
    (void)pthread_join(h->receiver, NULL);
    lock_take(&h->lock);
    while (!list_empty(&h->calls)) {
        lock_wait(&h->lock); /* the last callers are on their way out */
    }
    lock_drop(&h->lock);
    closep(&h->fd);
    lock_done(&h->lock);
    free(h);
}

/* False when the helper is known to be gone. */
static bool call_enter(struct helper_client *h, struct call *c)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    if (h->gone) {
        return false;
    }
    c->id = h->next_id++;
    list_append(&h->calls, &c->link);
    return true;
}

static void call_leave(struct helper_client *h, struct call *c)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    list_remove(&c->link);
    lock_broadcast(l); /* helper_client_free may wait for us */
}

static void call_wait(struct helper_client *h, struct call *c)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    while (!c->done && !h->gone) {
        (void)pthread_cond_wait(&c->answered, &l->mutex);
    }
}

static int take_reply(struct frame *f, struct buf *reply, int *fd_out, struct err *e)
{
    if (f->kind == FRAME_ERROR) {
        frame_get_err(f->code, f->payload, e);
        return -1;
    }
    if (reply != NULL && buf_add(reply, f->payload) < 0) {
        return err_set(e, ERR_LIMIT, "the helper's answer of %zu bytes is larger than %zu",
                       f->payload.len, reply->max);
    }
    if (fd_out != NULL) {
        *fd_out = TAKE_FD(f->fd);
    }
    return 0;
}

int helper_call(struct helper_client *h, enum helper_op op, struct str payload, int fd_in,
                struct buf *reply, int *fd_out, struct err *e)
{
    struct call c = {.answered = PTHREAD_COND_INITIALIZER, .reply = {.fd = -1}};
    struct frame f = {.kind = FRAME_CALL, .code = op, .payload = payload, .fd = fd_in};
    int rc;

    list_init(&c.link);
    if (!call_enter(h, &c)) {
        (void)pthread_cond_destroy(&c.answered);
        return err_set(e, ERR_UNAVAILABLE, "the helper process has ended; it is being restarted");
    }
    f.id = c.id;
    rc = frame_send(h->fd, &f, 0, e);
    if (rc == 0) {
        call_wait(h, &c);
    }
    call_leave(h, &c);
    (void)pthread_cond_destroy(&c.answered);
    if (rc == 0) {
        rc = c.done ? take_reply(&c.reply, reply, fd_out, e)
                    : err_set(e, ERR_UNAVAILABLE, "the helper process ended before it answered");
    }
    frame_done(&c.reply);
    return rc;
}
