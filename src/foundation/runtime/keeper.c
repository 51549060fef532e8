/* The keeper: a small root process beside each shell. It runs crun, which starts the process and
 * leaves it to us (we are a subreaper), gives the descriptors to the server, waits for the end and
 * tells it. It belongs to the server, not to the helper: when the server closes the socket or dies,
 * the process ends, and its session with it. What a process moved into a session of its own is the
 * container's from then on, as if the job had started it, and ends with the container. */
#include "runtime/runtime_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PF_EXITING 0x4 /* linux/sched.h */

struct keeper {
    const struct keeper_job *job;
    char dir[96]; /* <run_dir>/exec/<our pid>: what crun reads and writes */
    int children; /* signalfd of SIGCHLD */
    pid_t pid;
    int ours[3];   /* in, out, err; or the terminal alone */
    int theirs[3]; /* until crun has them */
    int console;   /* listens for crun, which brings the terminal */
};

static const char *const shells[] = {"/bin/bash", "/bin/sh"};

/* --- what crun needs --- */

static void path_of(const struct keeper *k, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", k->dir, name);
}

/* From the box of the container's shim, which is a mount in its namespace. While the shim is held
 * and lives, its number is its own. */
static int read_setting(const struct keeper *k, struct buf *out, struct err *e)
{
    const struct shim_record *c = k->job->container;
    SCOPED(closep) int shim = process_open(c->pid, c->start);
    struct pollfd ended = {.fd = shim, .events = POLLIN};
    char path[160];

    (void)snprintf(path, sizeof(path), "/proc/%d/root%s/box/process", (int)c->pid, k->job->run_dir);
    if (shim < 0 || fs_read(AT_FDCWD, path, out, e) < 0 || poll(&ended, 1, 0) != 0) {
        return err_set(e, ERR_CONFLICT,
                       "the container has ended, or was started by an earlier version of strata");
    }
    return 0;
}

/* runtime-spec's "process": see bundle_process. */
static int write_process(const struct keeper *k, const char *const *args, struct err *e)
{
    bool tty = k->job->exec->terminal == RUNTIME_TTY;
    SCOPED(buf_done) struct buf b = BUF_MAX(2 * RUNTIME_CONFIG_MAX);
    SCOPED(buf_done) struct buf setting = BUF_MAX(RUNTIME_CONFIG_MAX);
    SCOPED(closep) int fd = -1;
    struct jw w = JW(&b);
    char path[128];

    if (read_setting(k, &setting, e) < 0) {
        return -1;
    }
    buf_printf(&b, "{\"terminal\":%s,\"args\":", tty ? "true" : "false");
    jw_array(&w);
    for (size_t i = 0; args[i]; i++) {
        jw_str(&w, str_of(args[i]));
    }
    jw_end(&w);
    buf_printf(&b, ",\"env\":[%s", tty ? "\"TERM=xterm-256color\"," : "");
    (void)buf_add(&b, buf_str(&setting));
    path_of(k, "process.json", path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_sys(e, "create %s", path);
    }
    return b.failed ? err_set(e, ERR_LIMIT, "the command is too long")
                    : fs_write_all(fd, buf_str(&b), e);
}

static int make_pipe(int *reader, int *writer, struct err *e)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    *reader = ends[0];
    *writer = ends[1];
    return 0;
}

/* At a terminal the process gets the terminal; the pipes are crun's alone then. */
static int make_pipes(struct keeper *k, struct err *e)
{
    return make_pipe(&k->theirs[0], &k->ours[0], e) < 0 ||
                   make_pipe(&k->ours[1], &k->theirs[1], e) < 0 ||
                   make_pipe(&k->ours[2], &k->theirs[2], e) < 0
               ? -1
               : 0;
}

static void close_all(int fds[3])
{
    for (size_t i = 0; i < 3; i++) {
        closep(&fds[i]);
    }
}

static int listen_for_terminal(struct keeper *k, struct err *e)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/console", k->dir);
    (void)unlink(at.sun_path);
    closep(&k->console);
    k->console = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->console < 0 || bind(k->console, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(k->console, 1) < 0) {
        return err_sys(e, "listen at %s", at.sun_path);
    }
    return 0;
}

/* crun has sent it before it ended. */
static int receive_terminal(struct keeper *k, struct err *e)
{
    SCOPED(closep) int from = accept4(k->console, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char name[64];
    struct iovec iov = {name, sizeof(name)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    const struct cmsghdr *c;

    if (from < 0 || recvmsg(from, &m, MSG_CMSG_CLOEXEC) < 0 || !(c = CMSG_FIRSTHDR(&m)) ||
        c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int))) {
        return err_set(e, ERR_UNAVAILABLE, "the container runtime brought no terminal");
    }
    close_all(k->ours);
    memcpy(&k->ours[0], CMSG_DATA(c), sizeof(int));
    k->ours[1] = fcntl(k->ours[0], F_DUPFD_CLOEXEC, 3);
    return 0;
}

/* --- running crun --- */

/* crun sets it for a container, but not for a further process: that inherits crun's. */
static void set_oom_score(void)
{
    SCOPED(closep) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!dprintf(fd, "%d", RUNTIME_OOM_SCORE_ADJ);
    }
}

static void run_program(const struct keeper *k)
{
    const struct keeper_job *job = k->job;
    const char *argv[20];
    char root[96], log[128], pid_file[128], process[128], console[128];
    size_t n;

    (void)snprintf(root, sizeof(root), "%s/crun", job->run_dir);
    path_of(k, "log", log);
    path_of(k, "pid", pid_file);
    path_of(k, "process.json", process);
    path_of(k, "console", console);
    n = crun_argv(&job->crun, root, log, argv);
    argv[n++] = "exec";
    argv[n++] = "--detach";
    argv[n++] = "--pid-file";
    argv[n++] = pid_file;
    argv[n++] = "--process";
    argv[n++] = process;
    if (job->exec->terminal == RUNTIME_TTY) {
        argv[n++] = "--console-socket";
        argv[n++] = console;
    }
    argv[n++] = job->exec->id;
    argv[n] = NULL;
    set_oom_score();
    child_exec(argv, k->theirs);
}

/* False when the server has closed its end. */
static bool is_wanted(const struct keeper *k)
{
    struct pollfd p = {.fd = k->job->socket, .events = POLLIN};

    return poll(&p, 1, 0) == 0;
}

static void drain_children(const struct keeper *k)
{
    struct signalfd_siginfo ignored;

    while (read(k->children, &ignored, sizeof(ignored)) > 0) {
    }
}

/* 0 when it ended with success; -1 without *e when it failed and its words are to be read. */
static int wait_for_program(const struct keeper *k, pid_t crun, bool *said, struct err *e)
{
    int64_t deadline = clock_mono_ms() + KEEPER_START_MS;
    struct pollfd p[2] = {{.fd = k->children, .events = POLLIN},
                          {.fd = k->job->socket, .events = POLLIN}};
    int status = 0;

    while (waitpid(crun, &status, WNOHANG) == 0) {
        int64_t left = deadline - clock_mono_ms();

        if (left <= 0 || !is_wanted(k)) {
            (void)kill(crun, SIGKILL);
            (void)waitpid(crun, NULL, 0);
            return err_set(e, ERR_TIMEOUT, "the command did not begin to run within %d seconds",
                           KEEPER_START_MS / 1000);
        }
        (void)poll(p, 2, (int)left);
        drain_children(k);
    }
    *said = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return *said ? -1 : 0;
}

static bool container_is_ended(const struct keeper *k)
{
    const struct shim_record *c = k->job->container;
    SCOPED(closep) int init = process_open(c->init, c->init_start);
    struct process_stat st;
    struct err ignored;

    return init < 0 || process_stat_of(c->init, &st, &ignored) < 0 || st.state == 'Z' ||
           (st.flags & PF_EXITING) != 0;
}

static int explain(const struct keeper *k, const char *command, int *code, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(RUNTIME_CRUN_TEXT_MAX);
    char path[128];
    struct err ignored;

    if (container_is_ended(k)) {
        return err_set(e, ERR_CONFLICT, "the container has ended");
    }
    path_of(k, "log", path);
    (void)!fs_read(AT_FDCWD, path, &text, &ignored);
    return crun_explain(buf_str(&text), command, code, e);
}

static int read_pid(struct keeper *k, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(32);
    char path[128];
    uint64_t pid = 0;

    path_of(k, "pid", path);
    if (fs_read(AT_FDCWD, path, &text, e) < 0 || str_to_u64(str_trim(buf_str(&text)), &pid) < 0 ||
        pid == 0 || pid > INT32_MAX) {
        return err_set(e, ERR_UNAVAILABLE, "the container runtime wrote no process id");
    }
    k->pid = (pid_t)pid;
    return 0;
}

/* *code: as crun_explain. */
static int start_command(struct keeper *k, const char *const *args, int *code, struct err *e)
{
    bool tty = k->job->exec->terminal == RUNTIME_TTY, said = false;
    pid_t crun;

    *code = 0;
    if (write_process(k, args, e) < 0 || make_pipes(k, e) < 0 ||
        (tty && listen_for_terminal(k, e) < 0)) {
        return -1;
    }
    crun = fork();
    if (crun == 0) {
        run_program(k);
    }
    close_all(k->theirs);
    if (crun < 0) {
        return err_sys(e, "fork");
    }
    if (wait_for_program(k, crun, &said, e) < 0) {
        return said ? explain(k, args[0], code, e) : -1;
    }
    return read_pid(k, e) < 0 || (tty && receive_terminal(k, e) < 0) ? -1 : 0;
}

static int start_shell(struct keeper *k, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        const char *const args[] = {shells[i], NULL};
        int code, rc = start_command(k, args, &code, e);

        if (rc == 0 || code != 127) {
            return rc;
        }
        close_all(k->ours);
    }
    return err_set(e, ERR_INVALID,
                   "the image has no shell (no /bin/bash, no /bin/sh): give a command that it has");
}

static int start(struct keeper *k, struct err *e)
{
    const char *const *args = k->job->exec->args;
    int code;

    /* of a killed keeper with our number */
    if (fs_remove_tree(AT_FDCWD, k->dir, e) < 0) {
        return -1;
    }
    if (mkdir(k->dir, 0700) < 0) {
        return err_sys(e, "mkdir %s", k->dir);
    }
    return args[0] ? start_command(k, args, &code, e) : start_shell(k, e);
}

/* --- telling --- */

static int send_packet(const struct keeper *k, const struct buf *b, size_t n_fds)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct iovec iov = {b->p, b->len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (n_fds > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), k->ours, n_fds * sizeof(int));
    }
    return sendmsg(k->job->socket, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static void tell_start(struct keeper *k, const struct err *why)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(KEEPER_MESSAGE_MAX);

    exec_started_put(&b, why);
    (void)!send_packet(k, &b, why ? 0 : k->job->exec->terminal == RUNTIME_TTY ? 2 : 3);
    close_all(k->ours); /* a terminal hangs up when the server closes the last of it */
}

static void tell_end(const struct keeper *k, int status)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(KEEPER_MESSAGE_MAX);
    struct runtime_exec_end end = {.end = RUNTIME_EXITED, .code = WEXITSTATUS(status)};

    if (WIFSIGNALED(status)) {
        end.end = RUNTIME_SIGNALED;
        end.code = WTERMSIG(status);
        end.container_is_ended = container_is_ended(k);
    }
    exec_end_put(&b, &end);
    (void)!send_packet(k, &b, 0);
}

/* --- the end --- */

/* Waits for what has ended. True when the process was among it. */
static bool reap(const struct keeper *k, int *status)
{
    bool ended = false;
    int st;
    pid_t pid;

    drain_children(k);
    while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
        if (pid == k->pid) {
            *status = st;
            ended = true;
        }
    }
    return ended;
}

struct hit {
    pid_t session;
    int signal;
    bool any;
};

/* The pidfd is held before the look, so nobody else is hit. */
static void hit_member(void *ctx, pid_t pid)
{
    struct hit *h = ctx;
    SCOPED(closep) int fd = pidfd_open(pid, 0);
    struct process_stat st;
    struct err ignored;

    if (fd < 0 || process_stat_of(pid, &st, &ignored) < 0 || st.session != h->session ||
        st.state == 'Z' || st.state == 'X') {
        return;
    }
    h->any = true;
    (void)pidfd_send_signal(fd, h->signal, NULL, 0);
}

/* Of the container's processes only. */
static bool hit_session(const struct keeper *k, pid_t session, int signal)
{
    struct hit h = {.session = session, .signal = signal};
    char cgroup[160];

    (void)snprintf(cgroup, sizeof(cgroup), "strata-%s/%s", k->job->instance, k->job->exec->id);
    cgroup_each(k->job->cgroups, cgroup, hit_member, &h);
    return h.any;
}

/* Nobody wants it any more: as a terminal that is switched off, and for those who do not mind. */
static void hang_up(const struct keeper *k)
{
    int64_t deadline = clock_mono_ms() + KEEPER_GRACE_MS;
    struct pollfd p = {.fd = k->children, .events = POLLIN};
    struct process_stat st;
    struct err ignored;
    int status;

    if (process_stat_of(k->pid, &st, &ignored) < 0) {
        return;
    }
    (void)hit_session(k, st.session, SIGHUP);
    (void)hit_session(k, st.session, SIGCONT);
    while (!reap(k, &status) && clock_mono_ms() < deadline) {
        (void)poll(&p, 1, (int)(deadline - clock_mono_ms()));
    }
    for (int i = 0; i < 100 && hit_session(k, st.session, SIGKILL); i++) {
        (void)poll(&p, 1, 20);
        (void)reap(k, &status);
    }
}

static void keep(const struct keeper *k)
{
    struct pollfd p[2] = {{.fd = k->children, .events = POLLIN},
                          {.fd = k->job->socket, .events = POLLIN}};
    int status = 0;

    for (;;) {
        if (reap(k, &status)) {
            tell_end(k, status);
            return;
        }
        if (!is_wanted(k)) {
            hang_up(k);
            return;
        }
        (void)poll(p, 2, -1);
    }
}

static int watch_children(struct keeper *k, struct err *e)
{
    sigset_t child;

    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    k->children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return k->children < 0 ? err_sys(e, "signalfd") : 0;
}

void keeper_main(const struct keeper_job *job)
{
    struct keeper k = {
        .job = job, .children = -1, .ours = {-1, -1, -1}, .theirs = {-1, -1, -1}, .console = -1};
    struct err e = {0};
    int rc;

    rc = child_become("strata-keeper", &e);
    child_keep_only(job->socket);
    (void)snprintf(k.dir, sizeof(k.dir), "%s/exec/%d", job->run_dir, (int)getpid());
    if (rc == 0) {
        rc = watch_children(&k, &e) < 0 || start(&k, &e) < 0 ? -1 : 0;
    }
    {
        struct err ignored;

        closep(&k.console);
        (void)!fs_remove_tree(AT_FDCWD, k.dir, &ignored); /* it holds the job's secrets */
    }
    tell_start(&k, rc < 0 ? &e : NULL);
    if (k.pid) {
        keep(&k);
    }
    _exit(0);
}
