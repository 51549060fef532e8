/* server_priv - what server.c and fork.c share. The helper is one thread; nothing here is locked.
 */
#pragma once
#include "helper/helper_priv.h"

#include "base/list.h"

#include <signal.h>

/* While so many calls are unanswered no more are read: the rest wait in the socket and in the
 * server's threads. */
#define HELPER_PENDING_MAX 256

struct watch {
    struct list link;
    int fd;
    void (*ready)(void *ctx, int fd);
    void *ctx;
};

/* A frame that the socket had no room for. */
struct outgoing {
    struct list link;
    struct frame frame;
    struct buf payload;
};

struct helper_server {
    int socket, epoll, signals;
    sigset_t old_mask;
    const struct helper_operation *by_op[HELPER_OP_COUNT];
    struct list watches, requests, outgoing, children;
    size_t n_requests;
    bool ended;
    char *room;
};

struct helper_request {
    struct list link;
    struct helper_server *server;
    uint64_t id;
};

/* A child of helper_fork (fork.c). */
void child_kill_all(struct helper_server *s);
