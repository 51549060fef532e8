#include "helper/server_priv.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const op_names[] = {
#define OP_NAME(name) #name,
    HELPER_OPS(OP_NAME)};

/* --- sending --- */

/* Reads while there is room for answers, writes while answers wait. */
static void update_interest(struct helper_server *s)
{
    bool waiting = !list_empty(&s->outgoing);
    bool reading = !waiting && s->n_requests < HELPER_PENDING_MAX;
    struct epoll_event ev = {.events = (reading ? EPOLLIN : 0U) | (waiting ? EPOLLOUT : 0U),
                             .data.fd = s->socket};

    (void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->socket, &ev);
}

static void queue_frame(struct helper_server *s, const struct frame *f)
{
    struct outgoing *o = xnew(struct outgoing);

    o->frame = *f;
    o->frame.big = (struct buf){0};
    o->frame.fd = f->fd < 0 ? -1 : fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
    o->payload = BUF_MAX(HELPER_PAYLOAD_MAX);
    (void)buf_add(&o->payload, f->payload);
    o->frame.payload = buf_str(&o->payload);
    list_append(&s->outgoing, &o->link);
    update_interest(s);
}

static void outgoing_free(struct outgoing *o)
{
    list_remove(&o->link);
    frame_done(&o->frame);
    buf_done(&o->payload);
    free(o);
}

/* Never blocks: what does not fit now waits for EPOLLOUT. -1 with *e when it can never be sent. */
static int send_frame(struct helper_server *s, struct frame *f, struct err *e)
{
    if (!list_empty(&s->outgoing) && f->payload.len <= HELPER_PAYLOAD_MAX) {
        queue_frame(s, f);
        return 0;
    }
    if (frame_send(s->socket, f, MSG_DONTWAIT, e) == 0) {
        return 0;
    }
    if (e->sys == EAGAIN) {
        queue_frame(s, f);
        return 0;
    }
    s->ended = s->ended || e->kind == ERR_UNAVAILABLE;
    return s->ended ? 0 : -1;
}

static void send_error(struct helper_server *s, uint64_t id, const struct err *answer)
{
    struct buf b = BUF_MAX(HELPER_INLINE_BYTES);
    struct frame f = {.kind = FRAME_ERROR, .id = id, .fd = -1};
    struct err e;

    f.code = answer->kind > ERR_NONE && answer->kind < ERR_KINDS ? answer->kind : ERR_INTERNAL;
    frame_put_err(&b, answer);
    f.payload = buf_str(&b);
    if (send_frame(s, &f, &e) < 0) {
        log_error("helper.send_failed", "%s", e.msg);
    }
    buf_done(&b);
}

static void send_waiting(struct helper_server *s)
{
    while (!list_empty(&s->outgoing)) {
        struct outgoing *o = list_entry(s->outgoing.next, struct outgoing, link);
        struct err e;

        if (frame_send(s->socket, &o->frame, MSG_DONTWAIT, &e) < 0) {
            if (e.sys == EAGAIN) {
                return;
            }
            s->ended = s->ended || e.kind == ERR_UNAVAILABLE;
            log_error("helper.send_failed", "%s", e.msg);
        }
        outgoing_free(o);
    }
    update_interest(s);
}

/* --- requests --- */

static struct helper_request *request_new(struct helper_server *s, uint64_t id)
{
    struct helper_request *q = xnew(struct helper_request);

    q->server = s;
    q->id = id;
    list_append(&s->requests, &q->link);
    s->n_requests++;
    if (s->n_requests == HELPER_PENDING_MAX) {
        update_interest(s);
    }
    return q;
}

static void request_free(struct helper_request *q)
{
    struct helper_server *s = q->server;

    list_remove(&q->link);
    free(q);
    s->n_requests--;
    if (s->n_requests == HELPER_PENDING_MAX - 1) {
        update_interest(s);
    }
}

struct helper_server *helper_request_server(struct helper_request *q)
{
    return q->server;
}

void helper_answer(struct helper_request *q, struct str payload, int fd)
{
    struct frame f = {.kind = FRAME_REPLY, .id = q->id, .payload = payload, .fd = fd};
    struct err e;

    if (send_frame(q->server, &f, &e) < 0) {
        send_error(q->server, q->id, &e); /* too large, or no memory for it */
    }
    request_free(q);
}

void helper_answer_err(struct helper_request *q, const struct err *answer)
{
    send_error(q->server, q->id, answer);
    request_free(q);
}

void helper_emit(struct helper_server *s, enum helper_event event, struct str payload)
{
    struct frame f = {.kind = FRAME_EVENT, .code = event, .payload = payload, .fd = -1};
    struct err e;

    if (send_frame(s, &f, &e) < 0) {
        log_error("helper.send_failed", "%s", e.msg);
    }
}

static void handle_call(struct helper_server *s, struct frame *f)
{
    const struct helper_operation *op = f->code < HELPER_OP_COUNT ? s->by_op[f->code] : NULL;
    struct helper_request *q;
    struct err e = {0};

    if (f->kind != FRAME_CALL) {
        log_warn("helper.frame_unexpected", "kind=%d, ignoring", (int)f->kind);
        return;
    }
    q = request_new(s, f->id);
    if (op == NULL) {
        err_set(&e, ERR_UNSUPPORTED, "the helper does not serve operation %u", f->code);
        helper_answer_err(q, &e);
        return;
    }
    if (op->handle(op->ctx, q, f->payload, f->fd, &e) < 0) {
        log_info("helper.refused", "op=%s error=%s", op_names[f->code], Q(str_of(e.msg)));
        helper_answer_err(q, &e);
    }
}

/* One packet a turn, so that children and watches get theirs. */
static void receive_one(struct helper_server *s)
{
    struct frame f = {.fd = -1};
    struct err e = {0};
    int rc = frame_receive(s->socket, s->room, MSG_DONTWAIT, &f, &e);

    if (rc > 0) {
        handle_call(s, &f);
        frame_done(&f);
    } else if (rc == 0 || (e.sys != 0 && e.sys != EAGAIN)) {
        s->ended = true;
    } else if (e.sys == 0) {
        log_warn("helper.packet_bad", "%s, ignoring", e.msg);
    }
}

/* --- watches --- */

static struct watch *watch_find(struct helper_server *s, int fd)
{
    list_each(it, &s->watches)
    {
        struct watch *w = list_entry(it, struct watch, link);

        if (w->fd == fd) {
            return w;
        }
    }
    return NULL;
}

static int poll_add(struct helper_server *s, int fd, struct err *e)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? err_sys(e, "watch fd %d", fd) : 0;
}

int helper_watch(struct helper_server *s, int fd, void (*ready)(void *ctx, int fd), void *ctx,
                 struct err *e)
{
    struct watch *w;

    if (poll_add(s, fd, e) < 0) {
        return -1;
    }
    w = xnew(struct watch);
    w->fd = fd;
    w->ready = ready;
    w->ctx = ctx;
    list_append(&s->watches, &w->link);
    return 0;
}

static void watch_free(struct helper_server *s, struct watch *w)
{
    (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    list_remove(&w->link);
    free(w);
}

void helper_unwatch(struct helper_server *s, int fd)
{
    struct watch *w = watch_find(s, fd);

    if (w != NULL) {
        watch_free(s, w);
    }
}

/* --- the server --- */

static int fill_operations(struct helper_server *s, const struct helper_operation *ops, size_t n,
                           struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].op >= HELPER_OP_COUNT || ops[i].handle == NULL || s->by_op[ops[i].op]) {
            return err_set(e, ERR_INTERNAL, "helper operation row %zu is unknown or there twice",
                           i);
        }
        s->by_op[ops[i].op] = &ops[i];
    }
    return 0;
}

static int open_loop(struct helper_server *s, struct err *e)
{
    sigset_t term;

    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, &s->old_mask);
    s->signals = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->signals < 0 || s->epoll < 0) {
        return err_sys(e, "helper event loop");
    }
    return poll_add(s, s->signals, e) < 0 || poll_add(s, s->socket, e) < 0 ? -1 : 0;
}

struct helper_server *helper_server_new(int fd, const struct helper_operation *ops, size_t n_ops,
                                        struct err *e)
{
    SCOPED(helper_server_freep) struct helper_server *s = xnew(struct helper_server);

    s->socket = fd;
    s->epoll = s->signals = -1;
    list_init(&s->watches);
    list_init(&s->requests);
    list_init(&s->outgoing);
    list_init(&s->children);
    (void)sigprocmask(SIG_BLOCK, NULL, &s->old_mask);
    s->room = xcalloc(1, FRAME_ROOM);
    if (fill_operations(s, ops, n_ops, e) < 0 || open_loop(s, e) < 0) {
        return NULL;
    }
    return TAKE(s);
}

static void dispatch(struct helper_server *s, const struct epoll_event *ev)
{
    struct watch *w;

    if (ev->data.fd == s->signals) {
        struct signalfd_siginfo taken;

        (void)!read(s->signals, &taken, sizeof(taken)); /* or it would kill us when unblocked */
        log_info("helper.stopping", "signal=SIGTERM");
        s->ended = true;
        return;
    }
    if (ev->data.fd == s->socket) {
        /* Whatever we asked for, a closed peer is reported; both ways meet it and end. */
        if (!list_empty(&s->outgoing)) {
            send_waiting(s);
        } else {
            receive_one(s);
        }
        return;
    }
    w = watch_find(s, ev->data.fd);
    if (w != NULL) {
        w->ready(w->ctx, w->fd);
    }
}

int helper_server_run(struct helper_server *s, struct err *e)
{
    while (!s->ended) {
        struct epoll_event ev; /* one at a time: a handler may unwatch what would come next */
        int n = epoll_wait(s->epoll, &ev, 1, -1);

        if (n < 0 && errno != EINTR) {
            return err_sys(e, "helper epoll_wait");
        }
        if (n > 0) {
            dispatch(s, &ev);
        }
    }
    return 0;
}

void helper_server_free(struct helper_server *s)
{
    if (s == NULL) {
        return;
    }
    child_kill_all(s);
    list_each(it, &s->outgoing)
    {
        outgoing_free(list_entry(it, struct outgoing, link));
    }
    list_each(it, &s->requests)
    {
        free(list_entry(it, struct helper_request, link));
    }
    list_each(it, &s->watches)
    {
        watch_free(s, list_entry(it, struct watch, link));
    }
    closep(&s->socket);
    closep(&s->signals);
    closep(&s->epoll);
    (void)sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
    free(s->room);
    free(s);
}
