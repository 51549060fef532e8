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
    X(ROOTFS_UNPACK)    /* [rootfs] one layer from a blob fd */                                    \
    X(ROOTFS_REMOVE)    /* [rootfs] a cached layer */                                              \
    X(CONTAINER_START)  /* [runtime] overlay, cgroup, bundle, shim, crun */                        \
    X(CONTAINER_SIGNAL) /* [runtime] */                                                            \
    X(CONTAINER_LIST)   /* [runtime] what runs and what ended, for re-adoption */                  \
    X(CONTAINER_STATS)  /* [runtime] cgroup figures */                                             \
    X(CONTAINER_REMOVE) /* [runtime] */                                                            \
    X(VOLUME_CREATE)    /* [volume] */                                                             \
    X(VOLUME_DELETE)    /* [volume] */                                                             \
    X(VOLUME_AGENT)     /* [volume] a confined files agent; the answer carries its socket */       \
    X(HOST_CHECK)       /* [runtime] strata doctor, as root sees it */
#define HELPER_OP_ENUM(name) HELPER_##name,
enum helper_op { HELPER_OPS(HELPER_OP_ENUM) HELPER_OP_COUNT };

/* X(NAME): what the helper tells by itself. */
#define HELPER_EVENTS(X) X(CONTAINER_EXITED)
#define HELPER_EVENT_ENUM(name) HELPER_EVENT_##name,
enum helper_event { HELPER_EVENTS(HELPER_EVENT_ENUM) HELPER_EVENT_COUNT };

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

/* --- the server's end; any thread, many calls at once --- */
struct helper_client;
typedef void helper_sink(void *ctx, enum helper_event event, struct str payload);

/* Takes over `fd`. The sink runs on the client's own thread. */
struct helper_client *helper_client_new(int fd, helper_sink *sink, void *ctx) MUST_USE;
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

void helper_answer(struct helper_request *q, struct str payload, int fd);
/* Runs `work` in a forked child and answers when it ends: what it appended to `reply`, or its
 * error. The child has all fds but 0-2 and `keep_fd` closed. `after` (may be NULL) runs in the
 * helper before the answer is sent. */
int helper_fork(struct helper_request *q, int keep_fd,
                int (*work)(void *ctx, int fd, struct buf *reply, struct err *e),
                int (*after)(void *ctx, struct buf *reply, struct err *e), void *ctx,
                void (*free_ctx)(void *ctx), struct err *e) MUST_USE;
void helper_emit(struct helper_server *s, enum helper_event event, struct str payload);
/* Calls `ready` on the helper's thread when fd is readable, until helper_unwatch. */
int helper_watch(struct helper_server *s, int fd, void (*ready)(void *ctx, int fd), void *ctx,
                 struct err *e) MUST_USE;
void helper_unwatch(struct helper_server *s, int fd);

struct helper_server *helper_server_new(int fd, const struct helper_operation *ops, size_t n_ops,
                                        struct err *e) MUST_USE;
/* Serves until the server's end of the socket closes or SIGTERM. */
int helper_server_run(struct helper_server *s, struct err *e) MUST_USE;
void helper_server_free(struct helper_server *s);
