#include "rootfs/rootfs_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- descriptors --- */

int confine_fds(int null_fd, int *const *keep, size_t n, struct err *e)
{
    /* Out of the way first: a wanted number may be that of another one we keep. */
    for (size_t i = 0; i < n; i++) {
        *keep[i] = fcntl(*keep[i], F_DUPFD_CLOEXEC, 64);
        if (*keep[i] < 0) {
            return err_sys(e, "arrange descriptors");
        }
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(null_fd, i) < 0) {
            return err_sys(e, "arrange descriptors");
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (dup2(*keep[i], 3 + (int)i) < 0) {
            return err_sys(e, "arrange descriptors");
        }
        *keep[i] = 3 + (int)i;
    }
    return close_range(3 + (unsigned)n, ~0U, 0) < 0 ? err_sys(e, "close descriptors") : 0;
}

/* --- limits --- */

/* Lowers a limit; never above what we were given, which needs no power. */
static int lower(int resource, uint64_t want, struct err *e)
{
    struct rlimit r;

    if (getrlimit((__rlimit_resource_t)resource, &r) < 0) {
        return err_sys(e, "getrlimit");
    }
    r.rlim_max = want < r.rlim_max ? want : r.rlim_max;
    r.rlim_cur = r.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &r) < 0 ? err_sys(e, "setrlimit") : 0;
}

static int lower_all(const struct unpack_limits *l, struct err *e)
{
    if (l->memory_bytes > 0 && lower(RLIMIT_AS, l->memory_bytes, e) < 0) {
        return -1;
    }
    return lower(RLIMIT_CPU, l->cpu_sec, e) < 0 || lower(RLIMIT_FSIZE, l->bytes, e) < 0 ||
                   lower(RLIMIT_NOFILE, 32, e) < 0 || lower(RLIMIT_CORE, 0, e) < 0
               ? -1
               : 0;
}

/* --- powers --- */

/* Over files of any owner in the mapped range, and only there: the user namespace owns nothing
 * else. No CAP_MKNOD: a whiteout (character device 0:0) needs none, every other node does. */
static const cap_value_t kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                   CAP_SETFCAP};

static void cap_freep(cap_t *c)
{
    (void)cap_free(*c);
}

static int enter_userns(int userns, struct err *e)
{
    SCOPED(cap_freep) cap_t caps = cap_init();

    if (setns(userns, CLONE_NEWUSER) < 0) {
        return err_sys(e, "enter the unpacker's user namespace");
    }
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
        return err_sys(e, "become the unpacker's ids");
    }
    if (caps == NULL || cap_set_flag(caps, CAP_PERMITTED, ARRAY_LEN(kept), kept, CAP_SET) < 0 ||
        cap_set_flag(caps, CAP_EFFECTIVE, ARRAY_LEN(kept), kept, CAP_SET) < 0 ||
        cap_set_proc(caps) < 0) {
        return err_sys(e, "drop capabilities");
    }
    return 0;
}

int confine_self(int userns, const struct unpack_limits *l, struct err *e)
{
    if (enter_userns(userns, e) < 0 || lower_all(l, e) < 0) {
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
        return err_sys(e, "prctl");
    }
    return 0;
}

/* --- system calls --- */

static const int allowed[] = {
    /* memory; mmap and mprotect are below */
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    /* descriptors we have */
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getdents64),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchown),
    SCMP_SYS(fsetxattr),
    /* names, in a root that is the layer */
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(newfstatat),
    SCMP_SYS(mkdirat),
    SCMP_SYS(symlinkat),
    SCMP_SYS(linkat),
    SCMP_SYS(unlinkat),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(fchownat),
    SCMP_SYS(fchmodat),
    SCMP_SYS(utimensat),
    /* the process itself */
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* what sanitizers ask at the end; harmless */
    SCMP_SYS(sigaltstack),
};

static int add_rules(scmp_filter_ctx ctx)
{
    static const int kinds[] = {S_IFIFO, S_IFCHR};

    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0) < 0) {
            return -1;
        }
    }
    /* Nothing becomes code: no memory is ever executable. */
    if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                         SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) < 0 ||
        seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                         SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) < 0) {
        return -1;
    }
    /* Fifos and whiteouts: device number 0. */
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 2,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, (scmp_datum_t)kinds[i]),
                             SCMP_A3(SCMP_CMP_EQ, 0, 0)) < 0) {
            return -1;
        }
    }
    return 0;
}

int confine_calls(struct err *e)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc;

    if (ctx == NULL) {
        return err_set(e, ERR_INTERNAL, "seccomp cannot start");
    }
    /* As a search tree: about 6 comparisons a call and not 40. */
    rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    rc = rc < 0 || add_rules(ctx) < 0 ? -EINVAL : seccomp_load(ctx);
    seccomp_release(ctx);
    if (rc < 0) {
        errno = -rc;
        return err_sys(e, "install the system call filter");
    }
    return 0;
}
