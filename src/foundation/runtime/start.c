#include "runtime/containers.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3 /* linux/wait.h clashes with sys/wait.h */
#endif

/* --- starting --- */

/* Reads what the shim has said so far. */
static void read_answer(struct container *c)
{
    char block[1024];
    ssize_t n;

    while (c->answer >= 0 && (n = read(c->answer, block, sizeof(block))) > 0) {
        (void)buf_add(&c->answer_bytes, str_n(block, (size_t)n));
    }
}

static void answer_running(struct container *c)
{
    struct helper_request *q = TAKE(c->request);
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct err e = {0};

    c->phase = RUNNING;
    c->status.started_ms = c->record.started_ms;
    if (c->pending_signal && container_signal(c, c->pending_signal, &e) < 0) {
        log_warn("runtime.signal_failed", "%s", e.msg);
    }
    status_put(&b, &c->status);
    helper_answer(q, buf_str(&b), -1);
    buf_done(&b);
}

/* The pipe is at its end when the shim closed it, after it answered, or died. A start that failed
 * is answered when the shim has ended, so that the container can be removed at once. */
static void on_answer(void *ctx, int fd)
{
    struct container *c = ctx;
    struct err ignored;
    char probe;

    read_answer(c);
    if (read(fd, &probe, 1) == 0) {
        container_unwatch(c, &c->answer);
        if (shim_answer_parse(buf_str(&c->answer_bytes), &c->record, &ignored) == 0) {
            answer_running(c);
        }
    }
}

/* The directory of an id that was used before is not this container's: it is forgotten and nothing
 * there is touched. */
static void answer_failed(struct container *c)
{
    struct helper_request *q = TAKE(c->request);
    struct err e = {0};

    (void)!shim_answer_parse(buf_str(&c->answer_bytes), &c->record, &e);
    if (e.kind == ERR_CONFLICT) {
        container_free(c);
    } else {
        container_finish(c);
    }
    helper_answer_err(q, &e);
}

void container_on_shim_end(void *ctx, int fd)
{
    struct container *c = ctx;
    siginfo_t si = {0};

    (void)waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG); /* not ours after adoption */
    if (c->answer >= 0) {
        on_answer(c, c->answer);
    }
    container_unwatch(c, &c->answer);
    container_unwatch(c, &c->shim);
    if (c->request) {
        answer_failed(c);
        return;
    }
    container_finish(c);
    container_emit_end(c);
}

static gid_t jobs_group(void)
{
    struct stat st;

    return stat("jobs", &st) == 0 ? st.st_gid : 0;
}

static int prepare(struct runtime_helper *r, struct crun *crun, struct err *e)
{
    /* `strata doctor --mend` may have mounted what was missing since. */
    bool trap = r->cgroups.mode == CGROUP_HYBRID && r->cgroups.v2_controllers[0] != '\0';

    if ((trap || r->cgroups.mode == CGROUP_NONE) && cgroups_load(&r->cgroups, e) < 0) {
        return -1;
    }
    if (r->cgroups.mode == CGROUP_NONE) {
        return err_set(e, ERR_UNAVAILABLE, "no cgroups are mounted: run `strata doctor`");
    }
    if (r->seccomp.len == 0 && seccomp_profile_bpf(&r->seccomp, e) < 0) {
        return -1;
    }
    return crun_find(crun, e);
}

static int watch_shim(struct container *c, pid_t pid, struct err *e)
{
    c->shim = pidfd_open(pid, 0);
    if (c->shim < 0) {
        return err_sys(e, "pidfd_open");
    }
    return helper_watch(c->owner->server, c->shim, container_on_shim_end, c, e);
}

static int fork_shim(struct runtime_helper *r, const struct runtime_spec *spec,
                     struct helper_request *q, struct err *e)
{
    struct shim_job job = {.spec = spec,
                           .rootfs = r->rootfs,
                           .cgroups = &r->cgroups,
                           .instance = r->instance,
                           .run_dir = r->run_dir,
                           .helper = getpid(),
                           .group = jobs_group()};
    struct container *c;
    int ends[2];
    pid_t pid;

    if (prepare(r, &job.crun, e) < 0) {
        return -1;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    job.seccomp = buf_str(&r->seccomp);
    job.answer = ends[1];
    pid = fork();
    if (pid == 0) {
        shim_main(&job);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return err_sys(e, "fork");
    }
    c = container_new(r, spec->id);
    c->answer = ends[0];
    (void)fcntl(c->answer, F_SETFL, O_NONBLOCK);
    if (helper_watch(r->server, c->answer, on_answer, c, e) < 0 || watch_shim(c, pid, e) < 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        container_free(c);
        return -1;
    }
    c->request = q;
    return 0;
}

int start_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e)
{
    struct runtime_helper *r = ctx;
    struct arena a = {0};
    struct runtime_spec spec;
    int rc = spec_get(payload, &a, &spec, e);

    (void)fd;
    if (rc == 0) {
        rc = spec_check(&spec, e);
    }
    if (rc == 0 && container_find(r, spec.id)) {
        rc = err_set(e, ERR_CONFLICT, "container %s exists already", spec.id);
    }
    if (rc == 0) {
        rc = fork_shim(r, &spec, q, e);
    }
    arena_done(&a);
    return rc;
}
