#include "runtime/runtime_priv.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The shim has a mount namespace of its own, and in it a small tmpfs, the box, at the same place
 * for every container:
 *
 *   /run/strata-<instance>/box/ rootfs/                   overlay of the image
 *                               v0/ v1/ ...               the volumes, with their final flags
 *                               hosts hostname resolv.conf
 *                               config.json               0600: the job's secrets are in it
 *
 * Three things come of it. Everything is unmounted by the kernel when the shim ends, whatever ends
 * it. The state directory may lie below directories that the container's root may not search. And
 * the bundle names only paths that nobody else can reach or change. */

static int mount_tmpfs(const char *box, struct err *e)
{
    if (unshare(CLONE_NEWNS) < 0) {
        return err_sys(e, "unshare the mount namespace");
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
        return err_sys(e, "make mounts private");
    }
    if (mount("strata", box, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m,nr_inodes=256") <
        0) {
        return err_sys(e, "mount a tmpfs on %s", box);
    }
    return 0;
}

static int put_file(int dir, const char *name, struct str text, struct err *e)
{
    SCOPED(closep) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    return fd < 0 ? err_sys(e, "create %s", name) : fs_write_all(fd, text, e);
}

static int put_names(int dir, const struct runtime_spec *s, struct err *e)
{
    struct buf text = BUF_MAX(4 * KIB);
    int rc;

    (void)buf_printf(&text,
                     "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
                     "127.0.1.1\t%s\n",
                     s->hostname);
    rc = put_file(dir, "hosts", buf_str(&text), e);
    buf_clear(&text);
    (void)buf_printf(&text, "%s\n", s->hostname);
    if (rc == 0) {
        rc = put_file(dir, "hostname", buf_str(&text), e);
    }
    buf_done(&text);
    return rc;
}

/* systemd-resolved keeps the servers behind its own loopback one in a file of its own. */
static int put_resolv_conf(int dir, enum runtime_network network, struct err *e)
{
    static const char *const paths[] = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
    struct buf text = BUF_MAX(64 * KIB);
    int rc;

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct buf host = BUF_MAX(64 * KIB);
        struct err ignored;

        buf_clear(&text);
        if (fs_read(AT_FDCWD, paths[i], &host, &ignored) == 0) {
            bridge_resolv_conf(buf_str(&host), network, &text);
        }
        buf_done(&host);
        if (str_find(buf_str(&text), STR("nameserver")) >= 0) {
            break;
        }
    }
    rc = put_file(dir, "resolv.conf", buf_str(&text), e);
    buf_done(&text);
    return rc;
}

/* A copy of the volume's mount alone: what may be mounted below it is not the container's. */
static int bind_volume(int dir, size_t i, const struct runtime_mount *m, uint32_t id_base,
                       struct err *e)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                          (m->read_only ? MOUNT_ATTR_RDONLY : 0)};
    SCOPED(closep) int fd = -1;
    SCOPED(closep) int tree = -1;
    char path[80], name[16];
    struct stat st;

    (void)snprintf(path, sizeof(path), "volumes/%s", m->volume_id);
    (void)snprintf(name, sizeof(name), "v%zu", i);
    fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "volume %s", m->volume_id);
    }
    if (st.st_uid < id_base || st.st_uid - id_base >= RUNTIME_IDS) {
        return err_set(e, ERR_FORBIDDEN, "volume %s belongs to another project", m->volume_id);
    }
    tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
        mkdirat(dir, name, 0755) < 0 ||
        move_mount(tree, "", dir, name, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
        return err_sys(e, "mount volume %s", m->volume_id);
    }
    return 0;
}

/* Where a path of the image would be in a volume, its directories are the volume's business. */
static bool in_volume(const struct runtime_spec *s, struct str path)
{
    for (size_t i = 0; i < s->n_mounts; i++) {
        struct str target = str_of(s->mounts[i].target);

        if (str_starts(path, target) && (path.len == target.len || path.p[target.len] == '/')) {
            return true;
        }
    }
    return false;
}

/* The working directory is made when the image lacks it, as docker does. Links of the image are
 * resolved inside the image. */
static int make_cwd(int box, const struct runtime_spec *s, struct err *e)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    SCOPED(closep) int at = openat(box, "rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC);
    SCOPED(closep) int root = at < 0 ? -1 : fcntl(at, F_DUPFD_CLOEXEC, 3);
    char prefix[LIMIT_PATH_BYTES + 1];
    struct str rest = str_from(str_of(s->cwd), 1);

    if (at < 0 || root < 0) {
        return err_sys(e, "open the container's root");
    }
    if (rest.len == 0 || in_volume(s, str_of(s->cwd))) {
        return 0;
    }
    while (rest.p) {
        struct str part = str_cut(&rest, '/');
        size_t end = (size_t)(part.p + part.len - s->cwd);
        char name[256];
        int next;

        (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)end, s->cwd);
        (void)snprintf(name, sizeof(name), "%.*s", STR_ARG(part));
        next = (int)syscall(SYS_openat2, root, prefix, &how, sizeof(how));
        if (next < 0 && errno == ENOENT) {
            if (mkdirat(at, name, 0755) == 0) {
                (void)!fchownat(at, name, s->id_base, s->id_base, AT_SYMLINK_NOFOLLOW);
            }
            next = (int)syscall(SYS_openat2, root, prefix, &how, sizeof(how));
        }
        if (next < 0) {
            err_sys(e, "working directory %.80s", s->cwd);
            e->kind = ERR_INVALID;
            return -1;
        }
        (void)close(at);
        at = next;
    }
    return 0;
}

static int fill_box(const struct shim_job *job, const char *box, struct err *e)
{
    const struct runtime_spec *s = job->spec;
    SCOPED(closep) int dir = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char scratch[96], target[160];

    if (dir < 0) {
        return err_sys(e, "open %s", box);
    }
    (void)snprintf(scratch, sizeof(scratch), "jobs/%s/scratch", s->id);
    (void)snprintf(target, sizeof(target), "%s/rootfs", box);
    if (mkdirat(dir, "rootfs", 0755) < 0) {
        return err_sys(e, "fill %s", box);
    }
    if (fs_mkdir(AT_FDCWD, scratch, 0700, e) < 0 || put_names(dir, s, e) < 0 ||
        (s->network != RUNTIME_NET_NONE && put_resolv_conf(dir, s->network, e) < 0)) {
        return -1;
    }
    for (size_t i = 0; i < s->n_mounts; i++) {
        if (bind_volume(dir, i, &s->mounts[i], s->id_base, e) < 0) {
            return -1;
        }
    }
    if (rootfs_mount(job->rootfs, s->chains, s->n_chains, scratch, target, s->id_base, e) < 0) {
        return -1;
    }
    return make_cwd(dir, s, e);
}

int box_make(const struct shim_job *job, char box[128], struct err *e)
{
    (void)snprintf(box, 128, "%s/box", job->run_dir);
    return mount_tmpfs(box, e) < 0 ? -1 : fill_box(job, box, e);
}
