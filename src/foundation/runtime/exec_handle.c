/* CONTAINER_EXEC in the helper: a keeper is forked, the answer is its socket. Nothing is waited
 * for. */
#include "runtime/containers.h"

#include "base/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3 /* linux/wait.h clashes with sys/wait.h */
#endif

struct kept {
    struct list link;
    struct runtime_helper *owner;
    int pidfd;
};

static void kept_free(struct kept *k)
{
    list_remove(&k->link);
    k->owner->n_keepers--;
    if (k->pidfd >= 0 && k->owner->server) {
        helper_unwatch(k->owner->server, k->pidfd);
    }
    closep(&k->pidfd);
    free(k);
}

static void on_keeper_end(void *ctx, int pidfd)
{
    siginfo_t ignored = {0};

    (void)waitid((idtype_t)P_PIDFD, (id_t)pidfd, &ignored, WEXITED | WNOHANG);
    kept_free(ctx);
}

void keepers_forget(struct runtime_helper *r)
{
    list_each(it, &r->keepers) kept_free(list_entry(it, struct kept, link));
}

static int watch_keeper(struct runtime_helper *r, pid_t pid, struct err *e)
{
    struct kept *k = xnew(struct kept);

    k->owner = r;
    k->pidfd = pidfd_open(pid, 0);
    list_append(&r->keepers, &k->link);
    r->n_keepers++;
    if (k->pidfd < 0 || helper_watch(r->server, k->pidfd, on_keeper_end, k, e) < 0) {
        kept_free(k);
        return err_set(e, ERR_UNAVAILABLE, "the helper cannot watch a shell: out of descriptors");
    }
    return 0;
}

static int fork_keeper(struct runtime_helper *r, const struct keeper_job *job, struct err *e)
{
    pid_t pid = fork();

    if (pid == 0) {
        keeper_main(job);
    }
    if (pid < 0) {
        return err_sys(e, "fork");
    }
    if (watch_keeper(r, pid, e) < 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return -1;
    }
    return 0;
}

static int check(struct runtime_helper *r, const struct container *c, const char *id, struct err *e)
{
    if (c == NULL) {
        return err_set(e, ERR_NOT_FOUND, "there is no container %s", id);
    }
    if (c->phase != RUNNING || c->record.init == 0) {
        return err_set(e, ERR_CONFLICT, "container %s does not run", id);
    }
    if (r->n_keepers >= RUNTIME_EXECS_MAX) {
        return err_set(e, ERR_THROTTLED, "%d shells are open on this machine: close one first",
                       RUNTIME_EXECS_MAX);
    }
    return 0;
}

static int begin(struct runtime_helper *r, const struct runtime_exec *x, int *socket, struct err *e)
{
    struct container *c = container_find(r, x->id);
    struct keeper_job job = {
        .exec = x, .cgroups = &r->cgroups, .instance = r->instance, .run_dir = r->run_dir};
    SCOPED(closep) int ours = -1;
    SCOPED(closep) int theirs = -1;
    int ends[2];

    if (c) {
        container_refresh(c);
    }
    if (check(r, c, x->id, e) < 0 || crun_find(&job.crun, e) < 0) {
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return err_sys(e, "socketpair");
    }
    ours = ends[0];
    theirs = ends[1];
    job.container = &c->record;
    job.socket = theirs;
    if (fork_keeper(r, &job, e) < 0) {
        return -1;
    }
    *socket = TAKE_FD(ours);
    return 0;
}

int exec_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(closep) int socket = -1;
    struct runtime_exec x;

    (void)fd;
    if (exec_get(payload, &a, &x, e) < 0 || exec_check(&x, e) < 0 ||
        begin(ctx, &x, &socket, e) < 0) {
        return -1;
    }
    helper_answer(q, STR_EMPTY, socket);
    return 0;
}
