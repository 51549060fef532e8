#include "helper/server_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3 /* linux/wait.h clashes with sys/wait.h */
#endif

/* What a child writes into its pipe: one byte of enum err_kind, then the reply (ERR_NONE) or the
 * error. Whole only when the child exits with 0. */
#define RESULT_MAX (HELPER_PAYLOAD_MAX + 1)

struct child {
    struct list link;
    struct helper_server *server;
    struct helper_request *request;
    pid_t pid;
    int pidfd, pipe;
    struct buf result;
    int (*after)(void *ctx, struct buf *reply, struct err *e);
    void *ctx;
    void (*free_ctx)(void *ctx);
};

static void child_free(struct child *c)
{
    list_remove(&c->link);
    if (c->pipe >= 0) {
        helper_unwatch(c->server, c->pipe);
    }
    if (c->pidfd >= 0) {
        helper_unwatch(c->server, c->pidfd);
    }
    closep(&c->pipe);
    closep(&c->pidfd);
    buf_done(&c->result);
    if (c->free_ctx) {
        c->free_ctx(c->ctx);
    }
    free(c);
}

/* --- in the child --- */

static void keep_only(int a, int b)
{
    int low = a < b ? a : b, high = a < b ? b : a;

    if (low > 3) {
        (void)close_range(3, (unsigned)low - 1, 0);
    }
    if (high > low + 1) {
        (void)close_range(low < 3 ? 3 : (unsigned)low + 1, (unsigned)high - 1, 0);
    }
    (void)close_range((unsigned)high + 1, ~0U, 0);
}

static void child_main(const struct helper_server *s, pid_t parent, int pipe, int keep_fd,
                       int (*work)(void *ctx, int fd, struct buf *reply, struct err *e), void *ctx)
{
    struct buf reply = BUF_MAX(HELPER_PAYLOAD_MAX), out = BUF_MAX(RESULT_MAX);
    struct err e = {0}, ignored;
    char kind;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1); /* the helper died before we asked to die with it */
    }
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
    keep_only(pipe, keep_fd);
    if (work(ctx, keep_fd, &reply, &e) < 0) {
        kind = (char)(e.kind == ERR_NONE ? ERR_INTERNAL : e.kind);
        (void)buf_add(&out, str_n(&kind, 1));
        frame_put_err(&out, &e);
    } else if (reply.failed) {
        err_set(&e, ERR_LIMIT, "the answer is larger than %llu bytes", HELPER_PAYLOAD_MAX);
        kind = ERR_LIMIT;
        (void)buf_add(&out, str_n(&kind, 1));
        frame_put_err(&out, &e);
    } else {
        kind = ERR_NONE;
        (void)buf_add(&out, str_n(&kind, 1));
        (void)buf_add(&out, buf_str(&reply));
    }
    _exit(fs_write_all(pipe, buf_str(&out), &ignored) < 0 ? 1 : 0);
}

/* --- in the helper --- */

/* Reads what is there. The ceiling is the child's death. */
static void on_pipe(void *ctx, int fd)
{
    struct child *c = ctx;
    char block[16384];

    for (;;) {
        ssize_t n = read(fd, block, sizeof(block));

        if (n > 0 && buf_add(&c->result, str_n(block, (size_t)n)) == 0) {
            continue;
        }
        if (n > 0) {
            (void)kill(c->pid, SIGKILL);
        }
        if (n >= 0) {
            helper_unwatch(c->server, fd);
        }
        return;
    }
}

static int end_error(const siginfo_t *si, struct err *e)
{
    if (si->si_code == CLD_EXITED) {
        return err_set(e, ERR_INTERNAL,
                       "a child of the helper ended with code %d before it "
                       "answered",
                       si->si_status);
    }
    return err_set(e, ERR_INTERNAL, "a child of the helper was ended by signal %d (SIG%s)",
                   si->si_status, sigabbrev_np(si->si_status) ? sigabbrev_np(si->si_status) : "?");
}

/* The child's end as an answer: its reply in c->result without the kind byte, or its error. */
static int child_result(struct child *c, const siginfo_t *si, struct err *e)
{
    struct str s = buf_str(&c->result);

    if (c->result.failed) {
        return err_set(e, ERR_LIMIT, "a child of the helper answered more than %llu bytes",
                       HELPER_PAYLOAD_MAX);
    }
    if (si->si_code != CLD_EXITED || si->si_status != 0 || s.len == 0) {
        return end_error(si, e);
    }
    if (s.p[0] != ERR_NONE) {
        frame_get_err((unsigned char)s.p[0], str_from(s, 1), e);
        return -1;
    }
    memmove(c->result.p, c->result.p + 1, c->result.len - 1);
    c->result.len--;
    return c->after ? c->after(c->ctx, &c->result, e) : 0;
}

static void on_end(void *ctx, int pidfd)
{
    struct child *c = ctx;
    struct helper_request *q = c->request;
    siginfo_t si = {0};
    struct err e = {0};

    if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0) {
        return;
    }
    on_pipe(c, c->pipe);
    if (child_result(c, &si, &e) < 0) {
        helper_answer_err(q, &e);
    } else {
        helper_answer(q, buf_str(&c->result), -1);
    }
    child_free(c);
}

static int child_watch(struct child *c, struct err *e)
{
    c->pidfd = pidfd_open(c->pid, 0);
    if (c->pidfd < 0) {
        return err_sys(e, "pidfd_open");
    }
    return helper_watch(c->server, c->pidfd, on_end, c, e) < 0 ||
                   helper_watch(c->server, c->pipe, on_pipe, c, e) < 0
               ? -1
               : 0;
}

static struct child *child_new(struct helper_request *q, void *ctx, void (*free_ctx)(void *))
{
    struct child *c = xnew(struct child);

    c->server = q->server;
    c->request = q;
    c->pidfd = c->pipe = -1;
    c->result = BUF_MAX(RESULT_MAX);
    c->ctx = ctx;
    c->free_ctx = free_ctx;
    list_append(&q->server->children, &c->link);
    return c;
}

int helper_fork(struct helper_request *q, int keep_fd,
                int (*work)(void *ctx, int fd, struct buf *reply, struct err *e),
                int (*after)(void *ctx, struct buf *reply, struct err *e), void *ctx,
                void (*free_ctx)(void *ctx), struct err *e)
{
    struct child *c = child_new(q, ctx, free_ctx);
    pid_t parent = getpid();
    int ends[2];

    c->after = after;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        err_sys(e, "pipe");
        child_free(c);
        return -1;
    }
    c->pid = fork();
    if (c->pid == 0) {
        child_main(q->server, parent, ends[1], keep_fd, work, ctx);
    }
    (void)close(ends[1]);
    c->pipe = ends[0];
    if (c->pid < 0) {
        err_sys(e, "fork");
        child_free(c);
        return -1;
    }
    (void)fcntl(c->pipe, F_SETFL, O_NONBLOCK);
    if (child_watch(c, e) < 0) {
        (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
        child_free(c);
        return -1;
    }
    return 0;
}

void child_kill_all(struct helper_server *s)
{
    list_each(it, &s->children)
    {
        struct child *c = list_entry(it, struct child, link);

        (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
        child_free(c);
    }
}
