#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_map(pid_t pid, const char *which, uint32_t id_base, struct err *e)
{
    char path[64], line[64];
    SCOPED(closep) int fd = -1;
    int n = snprintf(line, sizeof(line), "0 %u %u\n", id_base, ROOTFS_IDS);

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, which);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, line, (size_t)n) != n) {
        return err_sys(e, "map the ids %u..%u (%s)", id_base, id_base + ROOTFS_IDS - 1, path);
    }
    return 0;
}

static int open_userns(pid_t pid, uint32_t id_base, struct err *e)
{
    char path[64];
    int fd;

    if (write_map(pid, "uid_map", id_base, e) < 0 || write_map(pid, "gid_map", id_base, e) < 0) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_sys(e, "open %s", path) : fd;
}

/* A user namespace needs a process to be born in; it may end when we hold the descriptor. */
int idmap_userns(uint32_t id_base, struct err *e)
{
    int fd;
    pid_t parent = getpid();
    /* CLONE_VFORK would wait for it; as fork(2) with one more flag it only has to wait for us. */
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0) {
        /* Or it would stay for ever, with all we have open, when we are killed now. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        while (getppid() == parent) {
            (void)pause();
        }
        _exit(1);
    }
    if (pid < 0) {
        return err_sys(e, "make a user namespace (is user.max_user_namespaces 0?)");
    }
    fd = open_userns(pid, id_base, e);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return fd;
}

/* statfs(2) f_type of what people put state directories on. */
static const struct {
    long magic;
    const char *name;
} fs_names[] = {
    {0xef53, "ext4"},           {0x58465342, "xfs"},        {0x9123683e, "btrfs"},
    {0x794c7630, "overlay"},    {0x01021994, "tmpfs"},      {0x6969, "nfs"},
    {0x00c36400, "ceph"},       {0x0bd00bd0, "lustre"},     {0x65735546, "fuse"},
    {(long)0xff534d42, "cifs"}, {(long)0xf2f52010, "f2fs"}, {0x01021997, "9p"},
    {0x2fc12fc1, "zfs"},
};

static int no_idmap(int fd, const char *path, struct err *e)
{
    struct statfs v;
    char name[32] = "?";
    int sys = errno;

    if (fstatfs(fd, &v) == 0) {
        (void)snprintf(name, sizeof(name), "type %#lx", (unsigned long)v.f_type);
        for (size_t i = 0; i < ARRAY_LEN(fs_names); i++) {
            if (fs_names[i].magic == (long)v.f_type) {
                (void)snprintf(name, sizeof(name), "%s", fs_names[i].name);
            }
        }
    }
    errno = sys;
    if (sys != EINVAL) {
        return err_sys(e, "map the ids of %s", path);
    }
    return err_set(e, ERR_UNAVAILABLE,
                   "the file system of %s (%s) cannot map ids on this kernel: put the state "
                   "directory on ext4, xfs or btrfs",
                   path, name);
}

int idmap_clone(int dirfd, const char *path, int userns, uint64_t attributes, struct err *e)
{
    struct mount_attr attr = {.attr_set = attributes | MOUNT_ATTR_IDMAP,
                              .propagation = MS_PRIVATE,
                              .userns_fd = (uint64_t)userns};
    SCOPED(closep) int fd = open_tree(dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd < 0) {
        return err_sys(e, "open_tree %s", path);
    }
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
        return no_idmap(fd, path, e);
    }
    return TAKE_FD(fd);
}
