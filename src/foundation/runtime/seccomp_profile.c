#include "runtime/runtime_priv.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* What programs need: files, memory, processes, threads, sockets, time, signals. What is not here
 * answers EPERM: the kernel's own business (mount, modules, kexec, clocks, swap, quotas, reboot,
 * bpf, perf, keyrings, userfaultfd), ways to new privileges (namespaces, setns, pivot_root,
 * open_by_handle_at), and io_uring, whose requests no filter sees. Names that a kernel or
 * libseccomp does not know are left out. ptrace is allowed as in docker since Linux 4.8 (debuggers,
 * py-spy): it reaches only the container's own processes. */
/* clang-format off */
static const char *const allowed[] = {
    /* files and directories */
    "access", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range",
    "creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fadvise64_64",
    "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat",
    "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr",
    "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
    "ftruncate64", "futimesat", "getcwd", "getdents", "getdents64", "getxattr",
    "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "ioctl", "lchown",
    "lchown32", "lgetxattr", "link", "linkat", "listxattr", "llistxattr", "_llseek",
    "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod",
    "mknodat", "newfstatat", "open", "openat", "openat2", "pipe", "pipe2", "pread64", "preadv",
    "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat",
    "readv", "removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile", "sendfile64",
    "setxattr", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat",
    "sync", "sync_file_range", "syncfs", "tee", "truncate", "truncate64", "umask", "unlink",
    "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes", "vmsplice", "write", "writev",
    "cachestat", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    "fanotify_mark", "getxattrat", "setxattrat", "listxattrat", "removexattrat",
    /* memory */
    "brk", "madvise", "process_madvise", "process_mrelease", "membarrier", "memfd_create",
    "memfd_secret", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect",
    "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "remap_file_pages", "map_shadow_stack", "mbind", "get_mempolicy",
    "set_mempolicy", "set_mempolicy_home_node",
    /* processes and threads; clone without new namespaces is below */
    "arch_prctl", "modify_ldt", "set_thread_area", "get_thread_area", "capget", "capset", "execve",
    "execveat", "exit", "exit_group", "fork", "vfork", "futex", "futex_time64", "futex_wait",
    "futex_waitv", "futex_wake", "futex_requeue", "get_robust_list", "set_robust_list", "getcpu",
    "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
    "getgroups32", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getresgid",
    "getresgid32", "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid", "gettid",
    "getuid", "getuid32", "kcmp", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "prctl",
    "prlimit64", "process_vm_readv", "process_vm_writev", "ptrace", "rseq", "sched_getaffinity",
    "sched_getattr", "sched_getparam", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
    "seccomp", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
    "setgroups", "setgroups32", "setpgid", "setpriority", "setregid", "setregid32", "setresgid",
    "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit", "setsid",
    "set_tid_address", "setuid", "setuid32", "ioprio_get", "ioprio_set", "sysinfo", "times",
    "ugetrlimit", "uname", "wait4", "waitid", "waitpid", "chroot",
    /* signals */
    "alarm", "kill", "pause", "restart_syscall", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
    "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sigaltstack", "signal", "sigaction",
    "signalfd", "signalfd4", "sigpending", "sigprocmask", "sigreturn", "sigsuspend", "tgkill",
    "tkill",
    /* waiting and time */
    "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old",
    "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2",
    "getitimer", "gettimeofday", "nanosleep", "poll", "ppoll", "ppoll_time64", "pselect6",
    "pselect6_time64", "select", "_newselect", "setitimer", "time", "timer_create", "timer_delete",
    "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64",
    "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
    "timerfd_settime64",
    /* sockets and messages; socket is below */
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg",
    "sendto", "setsockopt", "shutdown", "socketpair", "ipc", "mq_getsetattr",
    "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
    "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget",
    "semop", "semtimedop", "semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget",
    /* old asynchronous input and output (databases), random numbers */
    "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup",
    "io_submit", "getrandom",
};
/* clang-format on */

/* Flags of clone that make namespaces (clone(2)). */
#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)

/* Allowed when (argument & mask) op value; a mask of 0 stands for the whole argument. */
struct conditional {
    const char *name;
    unsigned arg;
    enum scmp_compare op;
    uint64_t mask, value;
};

static const struct conditional conditionals[] = {
    {"clone", 0, SCMP_CMP_MASKED_EQ, NEW_NAMESPACES, 0},
    /* Every family below 64 but AF_VSOCK (40), which reaches the hypervisor: no namespace holds it.
     * The kernel reads an int and a filter 64 bits, so "not 40" would let 2^32 + 40 pass. */
    {"socket", 0, SCMP_CMP_MASKED_EQ, 0xffffffe0, 0},
    {"socket", 0, SCMP_CMP_MASKED_EQ, 0xfffffff8, 32},
    {"socket", 0, SCMP_CMP_MASKED_EQ, 0xffffffff, 41},
    {"socket", 0, SCMP_CMP_MASKED_EQ, 0xfffffffe, 42},
    {"socket", 0, SCMP_CMP_MASKED_EQ, 0xfffffffc, 44},
    {"socket", 0, SCMP_CMP_MASKED_EQ, 0xfffffff0, 48},
    /* personality(2): query, Linux, PER_LINUX32, UNAME26 and both */
    {"personality", 0, SCMP_CMP_EQ, 0, 0x0},
    {"personality", 0, SCMP_CMP_EQ, 0, 0x8},
    {"personality", 0, SCMP_CMP_EQ, 0, 0x20000},
    {"personality", 0, SCMP_CMP_EQ, 0, 0x20008},
    {"personality", 0, SCMP_CMP_EQ, 0, 0x40000}, /* ADDR_NO_RANDOMIZE: gdb */
    {"personality", 0, SCMP_CMP_EQ, 0, 0xffffffff},
};

#if defined(__x86_64__)
static const uint32_t architectures[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32};
/* For runtimes that compile the profile themselves, without i386: libseccomp turns any rule about
 * socket there into leave for the whole of socketcall, see add_prologue. */
static const char *const architecture_names[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X32"};
#define OUR_AUDIT_ARCH AUDIT_ARCH_X86_64
#define COMPAT_AUDIT_ARCH AUDIT_ARCH_I386
#define NR_UNKNOWN_MAX 0x3fffffff /* x32 begins after */
#elif defined(__aarch64__)
static const uint32_t architectures[] = {SCMP_ARCH_AARCH64};
static const char *const architecture_names[] = {"SCMP_ARCH_AARCH64"};
#define OUR_AUDIT_ARCH AUDIT_ARCH_AARCH64
#define COMPAT_AUDIT_ARCH AUDIT_ARCH_ARM
#define NR_UNKNOWN_MAX 0x7fffffff
#else
#error "add the seccomp architectures of this machine"
#endif

/* --- as OCI JSON (runtime-spec 1.0, config-linux.md "Seccomp"), for a runtime that does not take
 * the compiled filter --- */

static void json_conditional(struct jw *w, const struct conditional *c)
{
    static const char *const ops[] = {[SCMP_CMP_NE] = "SCMP_CMP_NE",
                                      [SCMP_CMP_EQ] = "SCMP_CMP_EQ",
                                      [SCMP_CMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ"};
    bool masked = c->op == SCMP_CMP_MASKED_EQ;

    jw_object(w);
    jw_key(w, "names");
    jw_array(w);
    jw_str(w, str_of(c->name));
    jw_end(w);
    jw_kv_c(w, "action", "SCMP_ACT_ALLOW");
    jw_key(w, "args");
    jw_array(w);
    jw_object(w);
    jw_kv_i64(w, "index", c->arg);
    jw_kv_i64(w, "value", (int64_t)(masked ? c->mask : c->value));
    if (masked) {
        jw_kv_i64(w, "valueTwo", (int64_t)c->value);
    }
    jw_kv_c(w, "op", ops[c->op]);
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

void seccomp_profile_json(struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "defaultAction", "SCMP_ACT_ERRNO");
    jw_kv_i64(w, "defaultErrnoRet", EPERM);
    jw_key(w, "architectures");
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(architecture_names); i++) {
        jw_str(w, str_of(architecture_names[i]));
    }
    jw_end(w);
    jw_key(w, "syscalls");
    jw_array(w);
    jw_object(w);
    jw_key(w, "names");
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        jw_str(w, str_of(allowed[i]));
    }
    jw_end(w);
    jw_kv_c(w, "action", "SCMP_ACT_ALLOW");
    jw_end(w);
    for (size_t i = 0; i < ARRAY_LEN(conditionals); i++) {
        json_conditional(w, &conditionals[i]);
    }
    jw_object(
        w); /* its flags are behind a pointer, which no filter sees: libc falls back to clone */
    jw_key(w, "names");
    jw_array(w);
    jw_str(w, STR("clone3"));
    jw_end(w);
    jw_kv_c(w, "action", "SCMP_ACT_ERRNO");
    jw_kv_i64(w, "errnoRet", ENOSYS);
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

/* --- compiled --- */

static int add_rules(scmp_filter_ctx ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        int nr = seccomp_syscall_resolve_name(allowed[i]);

        if (nr != __NR_SCMP_ERROR && seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(conditionals); i++) {
        const struct conditional *c = &conditionals[i];
        struct scmp_arg_cmp arg = {c->arg, c->op, c->op == SCMP_CMP_MASKED_EQ ? c->mask : c->value,
                                   c->value};
        int nr = seccomp_syscall_resolve_name(c->name);

        if (seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &arg) < 0) {
            return -1;
        }
    }
    return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name("clone3"), 0);
}

static scmp_filter_ctx make_filter(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    bool ok = ctx != NULL;

    for (size_t i = 0; ok && i < ARRAY_LEN(architectures); i++) {
        int rc = seccomp_arch_add(ctx, architectures[i]);

        ok = rc == 0 || rc == -EEXIST;
    }
    /* 2: a binary tree instead of a list of 370 comparisons. */
    (void)(ok && seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
    if (!ok || add_rules(ctx) < 0) {
        seccomp_release(ctx);
        return NULL;
    }
    return ctx;
}

#define COMPAT_NR_SOCKETCALL 102

/* A system call newer than libseccomp is ENOSYS and not EPERM, so that a newer libc falls back. So
 * is socketcall, whose arguments lie in memory, where no filter sees a family: libraries have had
 * the direct calls since Linux 4.3.
 *
 *   32 bits:  socketcall -> ENOSYS;  else filter
 *   64 bits:  nr > last known, but not past NR_UNKNOWN_MAX (x32) -> ENOSYS;  else filter */
static int add_prologue(struct buf *out)
{
    enum { LAST_KNOWN = 7 };
    uint32_t last = 0;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_AUDIT_ARCH, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, COMPAT_AUDIT_ARCH, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, COMPAT_NR_SOCKETCALL, 3, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NR_UNKNOWN_MAX, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0, 0, 1), /* LAST_KNOWN */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };

    for (uint32_t nr = 0; nr < 1024; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(architectures[0], (int)nr);

        last = name ? nr : last;
        free(name);
    }
    code[LAST_KNOWN].k = last;
    return buf_add(out, str_n((const char *)code, sizeof(code)));
}

int seccomp_profile_bpf(struct buf *base64, struct err *e)
{
    SCOPED(closep) int fd = memfd_create("strata-seccomp", MFD_CLOEXEC);
    struct buf code = BUF_MAX(4096 * sizeof(struct sock_filter)); /* BPF_MAXINSNS */
    scmp_filter_ctx ctx;
    int rc = fd < 0 ? err_sys(e, "memfd_create") : 0;

    if (rc == 0) {
        ctx = make_filter();
        if (ctx == NULL || seccomp_export_bpf(ctx, fd) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
            add_prologue(&code) < 0) {
            rc = err_set(e, ERR_INTERNAL, "libseccomp cannot build the system call filter");
        }
        seccomp_release(ctx);
    }
    for (ssize_t n = 1; rc == 0 && n > 0;) {
        char *at = buf_reserve(&code, 4096);

        n = at ? read(fd, at, 4096) : -1;
        rc = n < 0 ? err_set(e, ERR_INTERNAL, "the system call filter is too long") : 0;
        code.len += n > 0 ? (size_t)n : 0;
    }
    if (rc == 0 && base64_add(base64, buf_str(&code)) < 0) {
        rc = err_set(e, ERR_INTERNAL, "the system call filter is too long");
    }
    buf_done(&code);
    return rc;
}
