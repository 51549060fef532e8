#include "main/main_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

static int keep_net_bind(struct err *e)
{
    static const cap_value_t bind_cap[] = {CAP_NET_BIND_SERVICE};
    cap_t caps = cap_init();
    int rc = 0;

    if (caps == NULL || cap_set_flag(caps, CAP_PERMITTED, 1, bind_cap, CAP_SET) < 0 ||
        cap_set_flag(caps, CAP_EFFECTIVE, 1, bind_cap, CAP_SET) < 0 || cap_set_proc(caps) < 0) {
        rc = err_sys(e, "drop capabilities");
    }
    (void)cap_free(caps);
    return rc;
}

int confine_drop(uid_t uid, gid_t gid, struct err *e)
{
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
        setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
        return err_sys(e, "become user %u", (unsigned)uid);
    }
    if (keep_net_bind(e) < 0) {
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return err_sys(e, "set no_new_privs");
    }
    return 0;
}

/* What the server never does, and what a hole in it would be widened with: namespaces with powers
 * of their own, other processes' memory, kernel subsystems with a history. */
static const int denied[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(fsopen),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
};

/* Typing into the terminal that `strata up` was started from, as if its user did (ioctl_tty(2)). */
static const unsigned denied_ioctls[] = {TIOCSTI, TIOCLINUX};

static int add_denied(scmp_filter_ctx f)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(denied); i++) {
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
    }
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(denied_ioctls); i++) {
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, denied_ioctls[i]));
    }
    return rc;
}

int confine_no_exec(struct err *e)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    const struct scmp_arg_cmp no_thread = {
        .arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = CLONE_THREAD, .datum_b = 0};
    int rc;

    if (f == NULL) {
        return err_set(e, ERR_INTERNAL, "seccomp: out of memory");
    }
    rc = add_denied(f);
    rc = rc ? rc : seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &no_thread);
    /* The flags of clone3 lie in memory, where a filter cannot look: glibc falls back to clone. */
    rc = rc ? rc : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    rc = rc ? rc : seccomp_load(f);
    seccomp_release(f);
    if (rc != 0) {
        errno = -rc;
        return err_sys(e, "load the seccomp filter");
    }
    return 0;
}
