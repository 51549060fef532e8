/* containers - the helper's table of containers and what its operations share. The helper's one
 * thread only.
 *
 *   STARTING --shim answers--> RUNNING --shim ends--> ENDED --CONTAINER_REMOVE--> REMOVING
 *                                                       ^                            |
 *                                                       +------- could not ----------+--> forgotten
 *
 * container.c: the table and the end of one. start.c: CONTAINER_START. exec_handle.c:
 * CONTAINER_EXEC. adopt.c: what a new helper finds. runtime_helper.c: all other operations. */
#pragma once
#include "runtime/runtime_priv.h"

#include "base/list.h"

enum phase { STARTING, RUNNING, ENDED, REMOVING };

/* A container this helper knows: started by it or found at adoption. Kept, and listed, until its
 * files are gone. */
struct container {
    struct list link;
    struct runtime_helper *owner;
    enum phase phase;
    struct runtime_status status;
    struct shim_record record;
    int shim;   /* pidfd, -1 when ended */
    int answer; /* pipe from the shim while it starts */
    struct buf answer_bytes;
    struct helper_request *request; /* who asked for the start; NULL after adoption */
    int pending_signal;             /* asked for while it started */
};

/* The helper's one thread only. */
struct runtime_helper {
    struct rootfs_helper *rootfs;
    struct helper_server *server;
    char instance[33], run_dir[64];
    char boot[40];
    struct cgroups cgroups;
    struct buf seccomp; /* base64, made at the first start */
    struct list containers;
    struct list keepers; /* of shells, to be waited for: exec_handle.c */
    size_t n_keepers;
};

struct container *container_new(struct runtime_helper *r, const char *id);
void container_free(struct container *c);
struct container *container_find(struct runtime_helper *r, const char *id);
/* Stops watching and closes. */
void container_unwatch(struct container *c, int *fd);
/* A start that an earlier helper began: did the shim get on meanwhile? */
void container_refresh(struct container *c);

/* The exit record of jobs/<id>. */
int container_read_exit(const char *id, struct runtime_status *out, struct err *e) MUST_USE;
void container_read_shim(const char *id, struct shim_record *out); /* zeroed when there is none */
/* The shim left no word: ends what it held and writes the exit record itself. */
void container_lost(struct container *c, const char *why);
/* The shim has ended: reads what it wrote. */
void container_finish(struct container *c);
void container_emit_end(struct container *c);
/* SIGKILL for what an id has in its cgroup, and all that crun keeps of it. */
void container_sweep(struct runtime_helper *r, const char *id);
int container_signal(struct container *c, int signal, struct err *e) MUST_USE;
/* helper_watch's `ready` for the shim's pidfd. */
void container_on_shim_end(void *ctx, int pidfd);

/* The id that a message begins with. */
int container_get_id(struct wire_reader *r, char id[65], struct err *e) MUST_USE;

int start_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e);
int exec_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e);
/* At the helper's end: they live on, and end with the server. */
void keepers_forget(struct runtime_helper *r);
int remove_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e);
int remove_log_handle(void *ctx, struct helper_request *q, struct str payload, int fd,
                      struct err *e);
/* Everything of jobs/<id> but the log and the samples. */
int remove_files(const char *id, struct err *e) MUST_USE;
