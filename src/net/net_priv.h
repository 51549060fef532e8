/* net_priv - what the files of the engine share. Who owns a connection at a moment:
 *
 *            accept                    event                      handler parked it
 *   worker ---------> epoll (PARKED) --------> one worker (BUSY) ------------------> relay thread
 *                        ^                         |                                     |
 *                        +----- keep-alive --------+<---------- stream has ended --------+
 *
 * Only the owner touches a connection, with one exception: the relay's sweep may turn PARKED into
 * EXPIRED and shut the socket down, which makes epoll hand it to a worker that closes it. */
#pragma once
#include "base/cidr.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/parse.h"
#include "net/route.h"

#include <stdatomic.h>
#include <sys/uio.h>

enum {
    NET_IN_BYTES = LIMIT_HEAD_BYTES + 16 * 1024, /* a whole head and room for chunk framing */
    NET_STALL_MS = 30 * 1000,     /* nobody may stand still for longer in a body or an answer */
    NET_GRACE_MS = 10 * 1000,     /* before the minimum rate counts */
    NET_LINGER_MS = 2 * 1000,     /* reading on after our last word, so that it is not lost */
    NET_DRAIN_BYTES = 256 * 1024, /* of an unread body, to keep the connection */
    NET_DRAIN_MS = 500,
    NET_PUMP_BYTES = 64 * 1024,
    NET_HEARTBEAT_MS = 15 * 1000,
    NET_WS_MESSAGE_BYTES = 1024 * 1024
};

struct relay;
struct ssl_st;
struct worker_slot;
struct ssl_ctx_st;

enum conn_state { CONN_BUSY, CONN_PARKED, CONN_EXPIRED };

enum conn_phase {
    PHASE_HANDSHAKE, /* TLS is not up yet */
    PHASE_HEAD,      /* idle, or part of a head has come */
    PHASE_LINGER     /* answered for the last time; what comes is dropped */
};

struct http_conn {
    struct http_server *server;
    struct ssl_st *tls; /* NULL: plain */
    struct exchange *x; /* of the worker that runs it; NULL while parked */
    char *saved;        /* received but not used, while parked; or NULL */
    size_t saved_len;
    size_t scanned;              /* of it, by http_head_scan */
    size_t lingered;             /* bytes dropped so far */
    _Atomic int64_t deadline_ms; /* while PARKED */
    int64_t head_deadline_ms;    /* of the head that has begun; 0: none has */
    _Atomic int state;           /* enum conn_state: who may touch it */
    enum conn_phase phase;
    bool registered; /* with epoll */
    int fd;
    unsigned wants;         /* epoll events that the last I/O call waits for */
    struct list link;       /* guarded by server.conns_lock */
    struct list ready_link; /* guarded by server.workers_lock */
    char peer[46];
};

/* Minimum rate: waiting for the peer spends credit, every byte buys some, up to NET_STALL_MS. Time
 * that a handler spends elsewhere is not held against the peer. */
struct pace {
    int64_t credit_ms;
};

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

struct body {
    enum body_kind kind;
    int64_t left; /* BODY_LENGTH */
    struct chunk_decoder chunk;
    struct pace pace;
    bool started;
    bool awaits_continue; /* the client waits for our 100 */
    bool failed;          /* cannot find the next request any more */
};

enum reply_state {
    REPLY_NONE,
    REPLY_SENT,   /* whole */
    REPLY_STREAM, /* head is out, chunks follow */
    REPLY_PARKED, /* the relay goes on */
    REPLY_BROKEN  /* part of it may be out: cut the connection */
};

struct reply {
    enum reply_state state;
    struct buf headers; /* "Name: value\r\n" set by the handler */
    unsigned overrides; /* bits of default headers that the handler set itself */
    bool bad_header;    /* one of them held a line break */
    bool closes;        /* the connection ends with this answer */
    bool chunked;
    bool no_body; /* HEAD, 204, 304 */
    int status;
    struct http_waker *parked; /* REPLY_PARKED: not yet with the relay */
};

/* One request on a worker: the worker owns it and uses it again for the next. */
struct exchange {
    struct http_req req;
    struct http_server *server;
    struct http_conn *conn;
    struct http_head head;
    struct http_header headers[LIMIT_HEADERS];
    char *in;        /* NET_IN_BYTES; views of `req` point into it */
    size_t in_len;   /* received */
    size_t head_len; /* of it */
    size_t in_used;  /* of it: the head, then the part of the body that was read */
    struct body body;
    struct reply reply;
    struct buf out; /* the head of the answer */
    struct route_match match;
    const struct url *url; /* of the request, while dispatch() runs */
    int64_t date_sec;      /* of `date` */
    char date[32];
    uint64_t id_state;
    struct worker_slot *slot; /* NULL: the reserve, which runs only ROUTE_OWN_WORKER */
};

enum slot_state { SLOT_FREE, SLOT_RUNS, SLOT_ENDED /* to be joined */ };

/* One worker thread; a cache line each. */
struct worker_slot {
    _Alignas(64) struct http_server *server;
    pthread_t thread;
    enum slot_state state;     /* guarded by workers_lock */
    _Atomic unsigned turns;    /* odd: inside a connection. Changed by the worker only */
    _Atomic int64_t waits_for; /* the user whose peer it waits for, or 0 */
    unsigned seen;             /* relay thread only: `turns` at the last look */
};

enum { PROXIES_MAX = 32 };

enum { ROUTE_KINDS = 6, STATUSES = 500 }; /* 100 to 599 */

struct http_server {
    struct http_options options;
    struct route_table *routes;
    struct ssl_ctx_st *tls;
    struct cidr proxies[PROXIES_MAX];
    size_t n_proxies;
    int listen_fd, epoll_fd, stop_fd;
    unsigned port;
    unsigned max_conns;
    _Atomic bool draining, stopping;
    _Atomic bool accept_paused; /* out of descriptors: the relay arms the listener again */

    struct lock conns_lock; /* LOCK_net_conns */
    struct list conns;      /* guarded by conns_lock */
    _Atomic unsigned n_conns;

    struct lock workers_lock;    /* LOCK_net_workers */
    struct list ready;           /* guarded by workers_lock: read by the reserve, need a worker */
    unsigned n_workers;          /* guarded by workers_lock */
    unsigned n_spare;            /* guarded by workers_lock: of n_workers, those that rest */
    unsigned n_called;           /* guarded by workers_lock: spares on their way back */
    pthread_cond_t spare_called; /* with workers_lock */
    struct worker_slot slots[LIMIT_WORKERS];
    unsigned ready_workers; /* that many without waiting for the relay */
    bool reserve_called;    /* guarded by workers_lock */
    pthread_t reserve;
    bool has_reserve;
    _Atomic unsigned n_ready;
    _Atomic unsigned waiting; /* workers that wait for their peer */
    _Atomic unsigned idle;    /* workers in epoll_wait */
    _Atomic bool watched;     /* the relay looks for starvation every 2 ms */
    _Atomic unsigned n_busy;  /* requests between head and end of answer */

    struct relay *relay;
    _Atomic uint64_t answers[ROUTE_KINDS][STATUSES]; /* metrics.c */
};

/* --- metrics.c --- */

void count_answer(struct http_server *s, struct str path, int status);

/* --- conn.c: bytes in and out --- */

struct http_conn *conn_new(struct http_server *s, int fd, const char *peer);
void conn_close(struct http_conn *c);
/* Gives it to epoll; nobody may touch it afterwards. `wants`: EPOLLIN, EPOLLOUT. */
void conn_park(struct http_conn *c, unsigned wants, int64_t deadline_ms);
/* The last answer is out: read on for a moment, then close. */
void conn_linger(struct http_conn *c);
/* One try: > 0, 0 at the end, -1 with errno (EAGAIN: c->wants says for what). */
ssize_t conn_recv(struct http_conn *c, void *p, size_t n);
ssize_t conn_send(struct http_conn *c, const struct iovec *iov, int n, int flags);
/* True when TLS holds decrypted bytes that epoll cannot see. */
bool conn_has_hidden_bytes(const struct http_conn *c);
/* All of it, under a minimum rate. ERR_TIMEOUT, ERR_IO. Changes `iov`. */
int conn_send_all(struct http_conn *c, struct iovec *iov, int n, int flags, struct err *e);
int conn_send_file(struct http_conn *c, int fd, int64_t offset, int64_t len, struct pace *pace,
                   struct err *e);

void pace_moved(struct pace *p, size_t bytes);
/* Waits for c->wants; false when the credit is used up. */
bool pace_wait(struct pace *p, const struct http_conn *c);
/* Before waiting for a peer: when three quarters of the workers wait already, nobody who is not
 * signed in may, and no user with more than half of all. The reserve never waits. */
int conn_may_wait(const struct http_conn *c, struct err *e) MUST_USE;

/* --- tls.c --- */

struct ssl_ctx_st *tls_context_new(const char *cert, const char *key, struct err *e);
void tls_context_free(struct ssl_ctx_st *ctx);
struct ssl_st *tls_new(struct ssl_ctx_st *ctx, int fd);
void tls_free(struct ssl_st *tls);
/* 1 done, 0 again later (*wants), -1 failed. */
int tls_handshake(struct ssl_st *tls, unsigned *wants);
ssize_t tls_recv(struct ssl_st *tls, void *p, size_t n, unsigned *wants);
ssize_t tls_send(struct ssl_st *tls, const void *p, size_t n, unsigned *wants);
bool tls_has_pending(const struct ssl_st *tls);
void tls_say_goodbye(struct ssl_st *tls);

/* --- body.c --- */

void body_begin(struct exchange *x);
/* Reads what the handler left, if it is little. True: the next request can be found. */
bool body_drain(struct exchange *x);
/* Would body_drain() surely fail? Then the answer says "Connection: close". */
bool body_is_too_much(const struct exchange *x);

/* --- reply.c --- */

void reply_begin(struct exchange *x);
void reply_done(struct reply *r);
/* Builds the head in x->out; asks the audit hook. `length` -1: chunked or until close. */
int reply_head(struct exchange *x, int status, const char *type, int64_t length, struct err *e);
/* The last chunk of an http_stream_*. */
int reply_end_stream(struct exchange *x, struct err *e);
const char *http_reason(int status);

/* --- dispatch.c --- */

enum dispatch_result { DISPATCH_DONE, DISPATCH_NEEDS_WORKER };
/* x->head is parsed: route, hooks, handler, error body. */
enum dispatch_result dispatch(struct exchange *x);
/* An empty request with an id, for dispatch() and for what never becomes one. */
void request_begin(struct exchange *x);

/* For what never became a request: a complete answer with the default error body, then close. */
void reply_refusal(struct exchange *x, int status, const char *why);

/* --- proxy.c --- */

void proxies_apply(const struct http_server *s, struct http_req *r);

/* --- run.c --- */

struct exchange *exchange_new(struct http_server *s, struct worker_slot *slot);
void exchange_free(struct exchange *x);
/* What epoll has woken: handshake, requests, lingering. `c` belongs to somebody else afterwards. */
void conn_run(struct http_conn *c, struct exchange *x);

/* --- worker.c --- */

int workers_start(struct http_server *s, struct err *e);
/* No worker may be inside a handler for ever: waits for them. */
void workers_stop(struct http_server *s);
/* Starts workers for those that are stuck in a request (blocked, or computing for long), so that
 * one a processor turns over; past LIMIT_WORKERS calls the reserve. Relay thread, every 2 ms while
 * s->watched. True: it found too few. */
bool workers_watch(struct http_server *s);
/* This worker waits for its peer: if it was the last to turn over, another starts at once. */
void worker_waits(struct http_server *s);
void worker_goes_on(struct http_server *s);

/* --- server.c --- */

/* Takes what waits at the listener and arms it again. Worker. */
void server_accept(struct http_server *s);
void server_arm_listener(struct http_server *s);
/* Expires parked connections whose time is over; all idle ones when the server drains. */
void server_sweep(struct http_server *s, int64_t now_ms);

/* --- relay.c: connections that outlive their handler --- */

/* What the relay serves; first member of a stream or a WebSocket. */
struct http_waker {
    const struct relayed_ops *ops;
    struct http_conn *conn;
    struct list wake_link; /* guarded by relay.lock */
    bool woken, adopted;   /* guarded by relay.lock */
    bool registered;       /* relay thread only, as all below */
    struct list all_link;
    struct list timer_link;
    int64_t due_ms; /* 0: no timer */
    unsigned armed; /* epoll events */
};

struct relay_fd {
    int fd;
    unsigned armed;
};

enum relayed_result {
    RELAYED_STAYS,
    RELAYED_KEEP,   /* ended; the connection takes the next request */
    RELAYED_LINGER, /* ended, and the connection with it */
    RELAYED_CUT
};

struct relayed_ops {
    /* Moves what can be moved without waiting; relay_arm() and relay_timer() say when to come back.
     */
    enum relayed_result (*serve)(struct http_waker *w, unsigned events, int64_t now_ms);
    /* The server drains: make serve() end soon. */
    void (*finish)(struct http_waker *w);
    /* Of `w` itself and its user's context, not of the connection. Also before it was adopted. */
    void (*free)(struct http_waker *w);
};

struct relay *relay_open(struct http_server *s, struct err *e);
int relay_start(struct relay *r, struct err *e);
void relay_stop(struct relay *r);
/* Frees what is still there; after relay_stop(). */
void relay_close(struct relay *r);
void relay_nudge(struct relay *r);       /* any thread: look around */
void relay_needs_sweep(struct relay *r); /* any thread: there is a connection */

void waker_init(struct http_waker *w, const struct relayed_ops *ops, struct http_conn *c);
/* Takes over `w` and its connection. Worker. */
void relay_adopt(struct http_waker *w);
/* The rest: relay thread. */
void relay_arm(struct http_waker *w, unsigned events);
void relay_timer(struct http_waker *w, int64_t due_ms);
/* Another descriptor: while it is ready for `events`, serve() is called with none. 0: no more, due
 * before it is closed. */
void relay_watch(struct http_waker *w, struct relay_fd *f, unsigned events);
struct buf *relay_scratch(struct http_waker *w); /* empty; for the time of one serve() */

int net_start_thread(pthread_t *thread, void *(*main_of)(void *), void *arg);
