/* helper - typed messages between the server (user strata, parses the world) and the helper (root,
 * no network, parses only these).
 *
 *   server: helper_call -> SOCK_SEQPACKET pair -> helper: table of operations -> reply (+ one fd)
 *                                                 helper: helper_emit -> server: event sink
 *
 * Each privileged operation is a row of a table given at start (main/helper.c): rootfs, runtime and
 * volume bring their own. Long operations fork a child and answer later, so the helper never
 * blocks. Formats: docs/formats/helper.md. The two ends are always the same program, so no
 * versions. */
#pragma once
#include "base/buf.h"

/* X(NAME) - who serves it is in brackets. */
#define HELPER_OPS(X)                                                                              \
    X(ROOTFS_UNPACK)        /* [rootfs] one layer from a blob fd */                                \
    X(ROOTFS_REMOVE)        /* [rootfs] a cached layer */                                          \
    X(CONTAINER_START)      /* [runtime] overlay, cgroup, bundle, shim, crun */                    \
    X(CONTAINER_EXEC)       /* [runtime] a process more; the answer carries its keeper's socket */ \
    X(CONTAINER_SIGNAL)     /* [runtime] */                                                        \
    X(CONTAINER_LIST)       /* [runtime] what runs and what ended, for re-adoption */              \
    X(CONTAINER_STATS)      /* [runtime] cgroup figures */                                         \
    X(CONTAINER_REMOVE)     /* [runtime] all but the log */                                        \
    X(CONTAINER_REMOVE_LOG) /* [runtime] */                                                        \
    X(VOLUME_CREATE)        /* [volume] */                                                         \
    X(VOLUME_DELETE)        /* [volume] */                                                         \
    X(VOLUME_AGENT)         /* [volume] a confined files agent; the answer carries its socket */   \
    X(HOST_CHECK)           /* [runtime] strata doctor, as root sees it */
#define HELPER_OP_ENUM(name) HELPER_##name,
enum helper_op { HELPER_OPS(HELPER_OP_ENUM) HELPER_OP_COUNT };

/* X(NAME): what the helper tells by itself. */
#define HELPER_EVENTS(X) X(CONTAINER_EXITED)
#define HELPER_EVENT_ENUM(name) HELPER_EVENT_##name,
enum helper_event { HELPER_EVENTS(HELPER_EVENT_ENUM) HELPER_EVENT_COUNT };

/* A payload, in either direction. More than one packet holds travels in a sealed memfd, unseen. */
#define HELPER_PAYLOAD_MAX (4ULL << 20)

/* --- fields of a message: little endian, lengths checked, nothing trusted --- */
struct wire_reader {
    struct str rest;
    bool failed; /* sticks; check once at the end with wire_end */
};
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_str(struct buf *b, struct str s);
uint64_t wire_get_u64(struct wire_reader *r);
struct str wire_get_str(struct wire_reader *r); /* borrows from the message */
/* As a C string of the arena-free kind: copies into out; fails on NUL bytes or when too long. */
void wire_get_name(struct wire_reader *r, char *out, size_t out_size);
/* 0 when everything was read and nothing failed. */
int wire_end(const struct wire_reader *r, struct err *e) MUST_USE;
/* What every operation checks of its fields. An id is [a-z0-9-]{1,64}, so it is one path component
 * and neither "." nor "..". */
bool helper_id_ok(struct str id);
/* `fd` is a regular file opened for reading only. */
int helper_fd_check(int fd, struct err *e) MUST_USE;

/* --- the server's end; any thread, many calls at once --- */
struct helper_client;
typedef void helper_sink(void *ctx, enum helper_event event, struct str payload);

/* Takes over `fd`. The sink runs on the client's own thread. */
struct helper_client *helper_client_new(int fd, helper_sink *sink, void *ctx) MUST_USE;
/* No other thread may be about to call; calls that still wait fail with ERR_UNAVAILABLE. */
void helper_client_free(struct helper_client *h);
DEFINE_SCOPED(struct helper_client, helper_client_free)
/* Blocks until the answer. `fd_in` is sent along (or -1) and stays the caller's. *fd_out (may be
 * NULL) receives the answer's descriptor or -1. `reply` may be NULL. The helper's error comes back
 * as it was. ERR_UNAVAILABLE when the helper is gone. */
int helper_call(struct helper_client *h, enum helper_op op, struct str payload, int fd_in,
                struct buf *reply, int *fd_out, struct err *e) MUST_USE;

/* --- the helper's end; one thread --- */
struct helper_server;
struct helper_request; /* answered exactly once: now, or later by a child's end */

struct helper_operation {
    enum helper_op op;
    /* 0: answered, or will be (helper_fork). -1: *e is the answer. `fd` is closed afterwards. */
    int (*handle)(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e);
    void *ctx;
};

/* `q` is gone afterwards; `fd` (or -1) stays the caller's. */
void helper_answer(struct helper_request *q, struct str payload, int fd);
/* The same with an error, for answers that come later than the handler's return. */
void helper_answer_err(struct helper_request *q, const struct err *answer);
struct helper_server *helper_request_server(struct helper_request *q);
/* Runs `work` in a forked child and answers when it ends: what it appended to `reply` (at most
 * HELPER_PAYLOAD_MAX), or its error. The child has all fds but 0-2 and `keep_fd` closed (keep_fd
 * keeps its number), default signals, and dies with the helper. `after` (may be NULL) runs in the
 * helper when the work succeeded, before the answer is sent; it may fail it. Takes over `ctx`, also
 * when it fails: free_ctx (may be NULL) runs in the helper when all is done. */
int helper_fork(struct helper_request *q, int keep_fd,
                int (*work)(void *ctx, int fd, struct buf *reply, struct err *e),
                int (*after)(void *ctx, struct buf *reply, struct err *e), void *ctx,
                void (*free_ctx)(void *ctx), struct err *e) MUST_USE;
void helper_emit(struct helper_server *s, enum helper_event event, struct str payload);
/* Calls `ready` on the helper's thread when fd is readable or hung up, until helper_unwatch, which
 * is due before the fd is closed and may be called from `ready`. */
int helper_watch(struct helper_server *s, int fd, void (*ready)(void *ctx, int fd), void *ctx,
                 struct err *e) MUST_USE;
void helper_unwatch(struct helper_server *s, int fd);

/* Takes over `fd` (also when it fails). `ops` outlives the server; a row per operation, each once.
 */
struct helper_server *helper_server_new(int fd, const struct helper_operation *ops, size_t n_ops,
                                        struct err *e) MUST_USE;
/* Serves until the server's end of the socket closes or SIGTERM. helper_server_new blocks SIGTERM
 * in this thread; children get the old mask back. */
int helper_server_run(struct helper_server *s, struct err *e) MUST_USE;
/* Ends the children of helper_fork and waits for them. */
void helper_server_free(struct helper_server *s);
DEFINE_SCOPED(struct helper_server, helper_server_free)
