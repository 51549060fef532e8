#include "runtime/runtime_priv.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rootfs/rootfs.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* The shim has a mount namespace of its own, and in it a small tmpfs, the box, at the same place
 * for every container:
 *
 *   /run/strata-<instance>/box/ rootfs/                   overlay of the image, and in it the
 *                                                         volumes with their final flags
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

static int fill_tree(int box, const struct runtime_spec *s, struct err *e)
{
    SCOPED(closep) int root = openat(box, "rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root < 0) {
        return err_sys(e, "open the container's root");
    }
    return tree_fill(root, s, e);
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
    if (rootfs_mount(job->rootfs, s->chains, s->n_chains, scratch, target, s->id_base, e) < 0) {
        return -1;
    }
    return fill_tree(dir, s, e);
}

int box_make(const struct shim_job *job, char box[128], struct err *e)
{
    (void)snprintf(box, 128, "%s/box", job->run_dir);
    return mount_tmpfs(box, e) < 0 ? -1 : fill_box(job, box, e);
}
