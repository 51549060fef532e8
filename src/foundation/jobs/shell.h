/* shell - an open shell: bytes between a WebSocket and a process in a job's container.
 *
 *   browser, CLI -> WebSocket -> on_message -> input -> pipe or terminal -> process
 *                <- outbox (256 KiB) <--------- pump <- pipe or terminal <-
 *
 * Costs no thread: the relay waits for its descriptors. Who is slow stops the other: while the
 * outbox is full nothing is read from the process, while the process does not read no message is
 * taken. It ends with the process, with the WebSocket, and when its user may not any more.
 * Threads: relay thread, except that it is made on a worker. Guarded by jobs.lock: the list. */
#pragma once
#include "jobs/channel.h"
#include "jobs/jobs_priv.h"

enum shell_streams { SHELL_IN = 1, SHELL_OUT = 2, SHELL_ERR = 4, SHELL_TTY = 8 };

struct shell {
    struct list link; /* jobs.shells */
    /* constant */
    struct jobs *jobs;
    char job[JOB_ID_SIZE];
    char *project;
    struct principal who;
    unsigned streams; /* enum shell_streams */
    enum channel_version version;
    int64_t opened_ms;
    /* relay thread */
    struct http_ws *ws;
    struct http_ws_fd keeper, in, out, err;
    struct buf input; /* not taken by the process yet, from input_used on */
    size_t input_used;
    bool input_ends; /* behind what is in `input` */
    bool has_end, closing;
    struct runtime_exec_end end;
    int64_t checked_ms;
};

/* Counts it; ERR_THROTTLED past the limits. The caller frees it. */
struct shell *shell_new(struct jobs *j, const struct principal *who, const char *job,
                        struct str project, struct err *e) MUST_USE;
void shell_free(struct shell *sh);
/* Takes over its descriptors. */
void shell_set_process(struct shell *sh, const struct runtime_process *p);
/* The process could not be started: the client is told so, as of an end. */
void shell_fail(struct shell *sh, struct http_ws *ws, const struct err *why);
extern const struct http_ws_ops shell_ops; /* ctx: struct shell *, taken over */
