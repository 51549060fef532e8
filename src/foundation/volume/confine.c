#include "volume/confine.h"

#include "base/fs.h"
#include "base/mem.h"
#include "volume/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDS 65536 /* in a project's range */

/* --- detached processes --- */

static void close_others(int keep_fd)
{
    if (keep_fd > 3) {
        (void)close_range(3, (unsigned)keep_fd - 1, 0);
    }
    (void)close_range(keep_fd < 3 ? 3U : (unsigned)keep_fd + 1, ~0U, 0);
}

/* The helper blocks SIGTERM and may catch others. */
static void default_signals(void)
{
    sigset_t none;

    (void)sigemptyset(&none);
    for (int s = 1; s < NSIG; s++) {
        (void)signal(s, s == SIGPIPE ? SIG_IGN : SIG_DFL);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int volume_detach(void (*work)(void *ctx, int fd), void *ctx, int keep_fd, struct err *e)
{
    pid_t child = fork();
    int status;

    if (child < 0) {
        return err_sys(e, "fork");
    }
    if (child == 0) {
        pid_t orphan = fork();

        if (orphan == 0) {
            default_signals();
            close_others(keep_fd);
            work(ctx, keep_fd);
            _exit(0);
        }
        _exit(orphan < 0 ? 1 : 0);
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return err_sys(e, "wait for a child");
        }
    }
    return status == 0 ? 0 : err_set(e, ERR_UNAVAILABLE, "the helper cannot start a process");
}

/* --- the launcher: root, until the agent is in its namespaces --- */

struct launch {
    char id[65];
    uint32_t id_base;
};

/* The volume becomes the only thing that is mounted. Device nodes and set-user-id programs in it
 * mean nothing here. */
static int enter_volume(const char *path, struct err *e)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID) < 0) {
        return err_sys(e, "unshare namespaces for a files agent");
    }
    if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
        mount(path, path, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_NODEV | MS_NOSUID | MS_NOEXEC, NULL) <
            0) {
        return err_sys(e, "mount %s for a files agent", path);
    }
    if (chdir(path) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0) {
        return err_sys(e, "make %s the root of a files agent", path);
    }
    return 0;
}

static int write_map(int proc, pid_t pid, const char *file, uint32_t id_base, struct err *e)
{
    char path[64], map[64];
    SCOPED(closep) int fd = -1;
    int n = snprintf(map, sizeof(map), "0 %u %d\n", id_base, IDS);

    (void)snprintf(path, sizeof(path), "%d/%s", (int)pid, file);
    fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, map, (size_t)n) != n) {
        return err_sys(e, "write %s of a files agent", file);
    }
    return 0;
}

/* --- the agent itself --- */

/* Everything that agent*.c, trash.c and their C library need; no path without openat2, no socket,
 * no process, no mount, no memory that can be executed. */
static const int allowed[] = {
    SCMP_SYS(recvmsg),         SCMP_SYS(sendmsg),       SCMP_SYS(openat2),
    SCMP_SYS(close),           SCMP_SYS(fstat),         SCMP_SYS(newfstatat),
    SCMP_SYS(statx),           SCMP_SYS(getdents64),    SCMP_SYS(lseek),
    SCMP_SYS(mkdirat),         SCMP_SYS(renameat),      SCMP_SYS(renameat2),
    SCMP_SYS(unlinkat),        SCMP_SYS(fchownat),      SCMP_SYS(fsync),
    SCMP_SYS(fcntl),           SCMP_SYS(getrandom),     SCMP_SYS(brk),
    SCMP_SYS(munmap),          SCMP_SYS(mremap),        SCMP_SYS(madvise),
    SCMP_SYS(futex),           SCMP_SYS(clock_gettime), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall), SCMP_SYS(exit),          SCMP_SYS(exit_group),
    SCMP_SYS(readlinkat),      SCMP_SYS(write), /* to standard error: a sanitizer's or abort's last
                                                   words */
};

static int filter_syscalls(struct err *e)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = f == NULL ? -ENOMEM : 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(allowed); i++) {
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    if (rc == 0) {
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    if (rc == 0) {
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    if (rc == 0) {
        rc = seccomp_load(f);
    }
    seccomp_release(f);
    if (rc < 0) {
        errno = -rc;
        return err_sys(e, "seccomp filter of a files agent");
    }
    return 0;
}

/* Inside the volume the agent is the project's root (it may read and change what a job's other
 * users made); everywhere else it is nobody. */
static int drop_capabilities(struct err *e)
{
    static const cap_value_t kept[] = {CAP_DAC_OVERRIDE, CAP_FOWNER};
    cap_t caps;
    int rc;

    for (unsigned long c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++) {
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0) {
            return err_sys(e, "drop capability %lu", c);
        }
    }
    caps = cap_init();
    rc = caps == NULL || cap_set_flag(caps, CAP_PERMITTED, 2, kept, CAP_SET) < 0 ||
                 cap_set_flag(caps, CAP_EFFECTIVE, 2, kept, CAP_SET) < 0 || cap_set_proc(caps) < 0
             ? err_sys(e, "set the capabilities of a files agent")
             : 0;
    (void)cap_free(caps);
    return rc;
}

static int limit(int resource, rlim_t value, struct err *e)
{
    struct rlimit r = {value, value};

    return setrlimit((__rlimit_resource_t)resource, &r) < 0
               ? err_sys(e, "set a resource limit of a files agent")
               : 0;
}

static int limit_resources(struct err *e)
{
    return limit(RLIMIT_NOFILE, VOLUME_DEPTH_MAX + 32, e) < 0 || limit(RLIMIT_CORE, 0, e) < 0 ||
                   limit(RLIMIT_NPROC, 1, e) < 0 || limit(RLIMIT_MEMLOCK, 0, e) < 0
               ? -1
               : 0;
}

/* Waits until the launcher has mapped the ids. System calls as they are: after a bare clone(2) the
 * C library may know of threads (a sanitizer's) that did not come along, and would wait for them.
 */
static int become_project(int go, struct err *e)
{
    char byte;

    if (read(go, &byte, 1) != 1) {
        return err_set(e, ERR_UNAVAILABLE, "the launcher of a files agent has ended");
    }
    if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, 0, 0, 0) < 0 ||
        syscall(SYS_setresuid, 0, 0, 0) < 0) {
        return err_sys(e, "become the project's root");
    }
    return 0;
}

static int confine_self(struct err *e)
{
    (void)umask(0002);
    if (limit_resources(e) < 0 || drop_capabilities(e) < 0) {
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        return err_sys(e, "prctl of a files agent");
    }
    return filter_syscalls(e);
}

/* What went wrong before the first request, instead of "ready". */
static void say_failed(int sock, const struct err *e)
{
    struct buf b = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_reply r = {.err = *e};
    struct err ignored;

    volume_reply_put(&b, &r);
    (void)!volume_packet_send(sock, buf_str(&b), -1, &ignored);
    buf_done(&b);
}

static int agent_main(int sock, int go, struct err *e)
{
    SCOPED(closep) int root = -1;

    if (become_project(go, e) < 0) {
        return -1;
    }
    (void)close(go);
    root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        return err_sys(e, "open the volume");
    }
    if (confine_self(e) < 0) {
        return -1;
    }
    return volume_agent_serve(sock, root, e);
}

static int map_ids(int proc, pid_t agent, uint32_t id_base, struct err *e)
{
    return write_map(proc, agent, "uid_map", id_base, e) < 0 ||
                   write_map(proc, agent, "gid_map", id_base, e) < 0
               ? -1
               : 0;
}

/* From here on the socket is the agent's alone: as long as a copy is open, the server is not told
 * that the agent has died. */
static void let_go(int sock, int go)
{
    char byte = 0;

    (void)close(sock);
    (void)!write(go, &byte, 1); /* when it fails, the agent sees the pipe's end and says so */
}

/* fork(2) into a new user namespace at once: unshare(2) would refuse where a sanitizer has a
 * thread.
 */
static pid_t fork_in_user_namespace(void)
{
    return (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}

/* Ends what was there before, forks the agent, maps its ids, and is done. */
static int launch(const struct launch *l, int sock, struct err *e)
{
    SCOPED(closep) int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char path[80];
    int go[2];
    pid_t agent;

    (void)snprintf(path, sizeof(path), "volumes/%s", l->id);
    if (proc < 0 || pipe2(go, O_CLOEXEC) < 0 || prctl(PR_SET_NAME, VOLUME_AGENT_COMM) < 0) {
        return err_sys(e, "prepare a files agent");
    }
    if (volume_end_agents(proc, path, e) < 0 || enter_volume(path, e) < 0) {
        return -1;
    }
    agent = fork_in_user_namespace();
    if (agent < 0) {
        return err_sys(e, "fork a files agent");
    }
    if (agent == 0) {
        (void)close(go[1]);
        closep(&proc);
        if (agent_main(sock, go[0], e) < 0) {
            say_failed(sock, e);
        }
        (void)syscall(SYS_exit_group, 0);
    }
    (void)close(go[0]);
    if (map_ids(proc, agent, l->id_base, e) < 0) {
        return -1;
    }
    let_go(sock, go[1]);
    return 0;
}

static void launcher_main(void *ctx, int sock)
{
    struct err e = {0};

    if (launch(ctx, sock, &e) < 0) {
        say_failed(sock, &e);
    }
}

int volume_confine_launch(const char *id, uint32_t id_base, int sock, struct err *e)
{
    struct launch l = {.id_base = id_base};

    if (str_copy(str_of(id), l.id, sizeof(l.id)) < 0) {
        return err_set(e, ERR_INVALID, "the volume id is too long");
    }
    return volume_detach(launcher_main, &l, sock, e);
}
