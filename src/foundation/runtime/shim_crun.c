#include "runtime/shim_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PF_FORKNOEXEC 0x40 /* linux/sched.h: made by fork, has not called execve */
#define EXEC_DEADLINE_MS 30000

/* argv of crun or runc for one verb. */
struct command {
    const char *argv[16];
    char root[96], pid_file[160], log[160];
};

static void fill_command(const struct shim *s, struct command *c, const char *verb)
{
    size_t n;

    (void)snprintf(c->pid_file, sizeof(c->pid_file), "%s/pid", s->box);
    (void)snprintf(c->log, sizeof(c->log), "%s/crun.log", s->box);
    (void)snprintf(c->root, sizeof(c->root), "%s/crun", s->job->run_dir);
    n = crun_argv(&s->job->crun, c->root, c->log, c->argv);
    c->argv[n++] = verb;
    if (strcmp(verb, "start") != 0) {
        c->argv[n++] = "--bundle";
        c->argv[n++] = s->box;
        c->argv[n++] = "--pid-file";
        c->argv[n++] = c->pid_file;
    }
    if (strcmp(verb, "run") == 0) {
        c->argv[n++] = "--detach";
    }
    c->argv[n++] = s->id;
    c->argv[n] = NULL;
}

/* Between vfork and execve. crun ends with the shim, or it would go on to start what nobody
 * holds. */
static void exec_crun(const struct command *c, int input, int output, int alive)
{
    (void)dup2(alive, 3);
    child_exec(c->argv, (int[]){input, output, output});
}

/* An empty file of the box: see open_output for what crun does to it. */
static int open_input(const struct shim *s, struct err *e)
{
    char path[160];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/stdin", s->box);
    fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
    return fd < 0 ? err_sys(e, "create %s", path) : fd;
}

/* At least 10, so that it is in nobody's way when 0 to 3 are filled. */
static int raise_fd(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);

    (void)close(fd);
    return high;
}

static int wait_for_crun(const struct shim *s, pid_t pid, const char *verb, struct err *e)
{
    int status = 0;

    if (pid < 0) {
        return err_sys(e, "start %s", s->job->crun.path);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return err_set(e, ERR_UNAVAILABLE, "%s %s failed", s->job->crun.path, verb);
    }
    return 0;
}

/* Runs crun to its end. *alive (may be NULL) receives the reading end of a pipe whose writing end
 * the container's process keeps until it calls execve or dies. */
static int run_crun(struct shim *s, const char *verb, int *alive, struct err *e)
{
    struct command c;
    SCOPED(closep) int input = open_input(s, e);
    SCOPED(closep) int writer = -1;
    SCOPED(closep) int reader = -1;
    int ends[2];
    pid_t pid;

    if (input < 0) {
        return -1;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    input = raise_fd(input);
    reader = ends[0];
    writer = raise_fd(ends[1]);
    fill_command(s, &c, verb);
    /* NOLINTBEGIN(clang-analyzer-unix.Vfork,clang-analyzer-security.insecureAPI.vfork): the child
     * moves descriptors and calls execve, and the shim has one thread. */
    pid = vfork();
    if (pid == 0) {
        exec_crun(&c, input, s->output_writer, writer);
    }
    /* NOLINTEND(clang-analyzer-unix.Vfork,clang-analyzer-security.insecureAPI.vfork) */
    if (alive) {
        *alive = TAKE_FD(reader);
    }
    return wait_for_crun(s, pid, verb, e);
}

/* What crun said: on its log, or through the pipe when its last process failed at execve. */
static int explain_failure(struct shim *s, struct err *e)
{
    struct buf text = BUF_MAX(RUNTIME_CRUN_TEXT_MAX);
    char path[160], block[4096];
    struct err ignored;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%s/crun.log", s->box);
    (void)!fs_read(AT_FDCWD, path, &text, &ignored);
    while ((n = read(s->output, block, sizeof(block))) > 0) {
        (void)buf_add(&text, str_n(block, (size_t)n));
    }
    crun_explain(buf_str(&text), s->job->spec->args[0], &s->start_code, e);
    buf_done(&text);
    return -1;
}

static int read_init(struct shim *s, struct err *e)
{
    struct buf text = BUF_MAX(32);
    char path[160];
    struct process_stat st;
    uint64_t pid = 0;

    (void)snprintf(path, sizeof(path), "%s/pid", s->box);
    if (fs_read(AT_FDCWD, path, &text, e) < 0) {
        buf_done(&text);
        return -1;
    }
    (void)!str_to_u64(str_trim(buf_str(&text)), &pid);
    buf_done(&text);
    if (pid == 0 || pid > INT32_MAX) {
        return err_set(e, ERR_UNAVAILABLE, "crun wrote no process id");
    }
    s->init = pidfd_open((pid_t)pid, 0);
    if (s->init < 0 || process_stat_of((pid_t)pid, &st, e) < 0) {
        return err_sys(e, "the container's process %d", (int)pid);
    }
    s->record.init = (pid_t)pid;
    s->record.init_start = st.start;
    return 0;
}

/* Waits until the container's process has called execve. 1: it did; 0: it died before. */
static int wait_for_exec(struct shim *s, int alive, struct err *e)
{
    int64_t deadline = clock_mono_ms() + EXEC_DEADLINE_MS;
    struct pollfd p = {.fd = alive, .events = POLLIN};

    while (poll(&p, 1, EXEC_DEADLINE_MS) < 0 && errno == EINTR) {
    }
    for (;;) {
        struct process_stat st;

        if (process_stat_of(s->record.init, &st, e) < 0) {
            return -1;
        }
        if (!(st.flags & PF_FORKNOEXEC)) {
            return 1;
        }
        if (st.state == 'Z' || st.state == 'X') {
            return 0;
        }
        if (clock_mono_ms() > deadline) {
            return err_set(e, ERR_UNAVAILABLE, "the container's command does not begin to run");
        }
        p = (struct pollfd){.fd = s->init, .events = POLLIN};
        (void)poll(&p, 1, 1); /* runc closes the pipe a moment before execve */
    }
}

int shim_start_crun(struct shim *s, struct err *e)
{
    bool bridge = s->job->spec->network == RUNTIME_NET_BRIDGE;
    SCOPED(closep) int alive = -1;
    int rc;

    if (run_crun(s, bridge ? "create" : "run", &alive, e) < 0) {
        return explain_failure(s, e);
    }
    if (read_init(s, e) < 0) {
        return -1;
    }
    if (bridge && bridge_attach(s->job->run_dir, s->id, s->record.init, e) < 0) {
        return -1;
    }
    if (bridge && run_crun(s, "start", NULL, e) < 0) {
        return explain_failure(s, e);
    }
    closep(&s->output_writer);
    rc = wait_for_exec(s, alive, e);
    return rc == 0 ? explain_failure(s, e) : rc < 0 ? -1 : 0;
}
