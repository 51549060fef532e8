#include "runtime/doctor_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the kernel --- */

void doctor_check_kernel(struct doctor *d, struct finding *f)
{
    struct utsname u;
    unsigned long major, minor;
    char *dot;

    (void)d;
    (void)uname(&u);
    major = strtoul(u.release, &dot, 10);
    minor = *dot == '.' ? strtoul(dot + 1, NULL, 10) : 0;
    if (major < 5 || (major == 5 && minor < 19)) {
        doctor_found(f, DOCTOR_FAIL, "Linux %s; idmapped overlay layers need 5.19", u.release);
        doctor_mend(f, "install a newer kernel (Debian 12 has 6.1)");
        return;
    }
    doctor_found(f, DOCTOR_OK, "Linux %s", u.release);
}

void doctor_check_root(struct doctor *d, struct finding *f)
{
    (void)d;
    if (geteuid() != 0) {
        doctor_found(f, DOCTOR_FAIL, "runs as user %u", (unsigned)geteuid());
        doctor_mend(f, "sudo strata up");
        return;
    }
    doctor_found(f, DOCTOR_OK, "runs as root");
}

void doctor_check_seccomp(struct doctor *d, struct finding *f)
{
    uint32_t action = SECCOMP_RET_ERRNO;

    (void)d;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0) {
        doctor_found(f, DOCTOR_FAIL, "this kernel filters no system calls");
        doctor_mend(f, "use a kernel with CONFIG_SECCOMP_FILTER");
        return;
    }
    doctor_found(f, DOCTOR_OK, "system call filters work");
}

void doctor_check_pidfd(struct doctor *d, struct finding *f)
{
    SCOPED(closep) int fd = pidfd_open(getpid(), 0);

    (void)d;
    if (fd < 0) {
        doctor_found(f, DOCTOR_FAIL, "pidfd_open: %s", strerrordesc_np(errno));
        doctor_mend(
            f, "install a newer kernel; in a container, allow pidfd_open in its seccomp profile");
        return;
    }
    doctor_found(f, DOCTOR_OK, "processes can be held by descriptor");
}

void doctor_check_pressure(struct doctor *d, struct finding *f)
{
    (void)d;
    if (access("/proc/pressure/memory", R_OK) < 0) {
        doctor_found(f, DOCTOR_OK, "no pressure figures (optional)");
        doctor_mend(f, "add psi=1 to the kernel's command line");
        return;
    }
    doctor_found(f, DOCTOR_OK, "pressure figures are there");
}

static int child_in_userns(void *arg)
{
    (void)arg;
    return 0;
}

void doctor_check_userns(struct doctor *d, struct finding *f)
{
    static char stack[16384] __attribute__((aligned(16)));
    pid_t pid;

    (void)d;
    if (geteuid() != 0) {
        doctor_found(f, DOCTOR_WARN, "not tried: needs root");
        return;
    }
    pid = clone(child_in_userns, stack + sizeof(stack), CLONE_NEWUSER | SIGCHLD, NULL);
    if (pid < 0) {
        doctor_found(f, DOCTOR_FAIL, "user namespaces are refused: %s", strerrordesc_np(errno));
        doctor_mend(f, "sysctl -w user.max_user_namespaces=10000");
        return;
    }
    (void)waitpid(pid, NULL, 0);
    doctor_found(f, DOCTOR_OK, "user namespaces work");
}

/* --- cgroups --- */

static const char *const cgroup_mode_names[] = {"none", "v1", "hybrid", "v2"};
static const char *const needed_controllers[] = {"memory", "cpu", "pids"};

static bool has_word(const char *words, const char *word)
{
    struct str rest = str_of(words);

    while (rest.p) {
        if (str_eq_c(str_cut(&rest, ' '), word)) {
            return true;
        }
    }
    return false;
}

static bool has_controller(const struct cgroups *c, const char *name)
{
    const struct cgroup_mount *m = cgroups_find(c, name);

    return m && (!m->v2 || has_word(c->v2_controllers, name));
}

void doctor_check_cgroups(struct doctor *d, struct finding *f)
{
    const struct cgroup_mount *memory = cgroups_find(&d->cgroups, "memory");
    char path[300];

    if (memory == NULL) {
        doctor_found(f, DOCTOR_FAIL, "no cgroups are mounted");
        doctor_mend(f, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(needed_controllers); i++) {
        if (!has_controller(&d->cgroups, needed_controllers[i])) {
            doctor_found(f, DOCTOR_FAIL, "cgroups (%s) have no controller %s",
                         cgroup_mode_names[d->cgroups.mode], needed_controllers[i]);
            doctor_mend(f, "take cgroup_disable=%s off the kernel's command line",
                        needed_controllers[i]);
            return;
        }
    }
    (void)snprintf(path, sizeof(path), "%s/strata-doctor-%d", memory->path, (int)getpid());
    if (mkdir(path, 0755) < 0) {
        doctor_found(f, DOCTOR_FAIL, "cannot make a group in %s: %s", memory->path,
                     strerrordesc_np(errno));
        doctor_mend(f, "run as root, outside of a container that has its cgroups read-only");
        return;
    }
    (void)rmdir(path);
    doctor_found(f, DOCTOR_OK, "%s, with memory, cpu and pids", cgroup_mode_names[d->cgroups.mode]);
}

/* crun refuses a host where v1 and v2 are mixed while a controller is left on v2. Mounting that
 * controller as v1, too, takes it off v2. */
static int mount_left_controllers(const struct doctor *d, struct err *e)
{
    struct str rest = str_of(d->cgroups.v2_controllers);

    while (rest.p) {
        struct str name = str_cut(&rest, ' ');
        char path[300], option[100];

        (void)snprintf(option, sizeof(option), "%.*s", STR_ARG(str_first(name, 60)));
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", option);
        if (fs_mkdir(AT_FDCWD, path, 0755, e) < 0) {
            return -1;
        }
        if (mount("cgroup", path, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, option) < 0) {
            return err_sys(e, "mount %s", path);
        }
    }
    return 0;
}

void doctor_check_hybrid(struct doctor *d, struct finding *f)
{
    const char *left = d->cgroups.v2_controllers;
    struct err e;

    if (d->cgroups.mode != CGROUP_HYBRID || left[0] == '\0') {
        doctor_found(f, DOCTOR_OK, "no controller is left on v2 of a hybrid host");
        return;
    }
    doctor_found(f, DOCTOR_FAIL, "hybrid cgroups with %.100s left on v2: crun refuses to work",
                 left);
    doctor_mend(f,
                "for c in %.80s; do mkdir -p /sys/fs/cgroup/$c && mount -t cgroup -o $c cgroup "
                "/sys/fs/cgroup/$c; done",
                left);
    if (d->mode == DOCTOR_MEND) {
        if (mount_left_controllers(d, &e) < 0) {
            doctor_found(f, DOCTOR_FAIL, "hybrid cgroups could not be mended: %.200s", e.msg);
            return;
        }
        f->level = DOCTOR_MENDED;
        (void)!cgroups_load(&d->cgroups, &e);
    }
}

/* v1 counts swap only when it is told to at boot; without it a job may swap past its limit. */
void doctor_check_swap(struct doctor *d, struct finding *f)
{
    const struct cgroup_mount *m = cgroups_find(&d->cgroups, "memory");
    char path[300];

    if (m && !m->v2) {
        (void)snprintf(path, sizeof(path), "%s/memory.memsw.limit_in_bytes", m->path);
        if (access(path, F_OK) < 0) {
            doctor_found(f, DOCTOR_WARN, "swap of containers is not limited");
            doctor_mend(f, "add swapaccount=1 to the kernel's command line, or swapoff -a");
            return;
        }
    }
    doctor_found(f, DOCTOR_OK, "containers are kept from swap");
}
