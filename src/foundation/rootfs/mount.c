#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Where the parts of one overlay get short names: a tmpfs on <scratch>/stage, unmounted afterwards.
 *
 *   stage/0 .. stage/126   the layers, seen through the container's ids
 *   stage/e                an empty directory, the only lower of an image without layers
 *   stage/s                the scratch directory
 *
 * mount(2) takes one page of options, 127 layers with their paths do not fit; and overlay takes
 * detached mounts only since 6.15. This way works on 6.1 and on 6.18. */
struct stage {
    int fd;       /* the tmpfs; the current directory while mounting */
    int back;     /* the directory we were in */
    int target;   /* O_PATH */
    int userns;   /* not owned */
    bool mounted; /* to be taken away */
    char path[LIMIT_PATH_BYTES];
};

static void stage_done(struct stage *s)
{
    int home = s->back >= 0 ? fchdir(s->back) : 0;

    closep(&s->fd);
    if (s->mounted && home == 0) { /* the path is relative to home */
        /* The empty directory goes with the scratch: rmdir(2) of one that was a mount point waits
         * for other processors, up to some milliseconds. */
        (void)umount2(s->path, MNT_DETACH);
    }
    closep(&s->back);
    closep(&s->target);
}

static int stage_open(struct stage *s, const char *scratch, const char *target, struct err *e)
{
    if ((size_t)snprintf(s->path, sizeof(s->path), "%s/stage", scratch) >= sizeof(s->path)) {
        return err_set(e, ERR_LIMIT, "path is too long: %.60s...", scratch);
    }
    s->target = open(target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->target < 0) {
        return err_sys(e, "open %s", target);
    }
    if (fs_mkdir(AT_FDCWD, s->path, 0700, e) < 0) {
        return -1;
    }
    if (mount("strata", s->path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700,size=1m") <
        0) {
        return err_sys(e, "mount tmpfs on %s", s->path);
    }
    s->mounted = true;
    s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->fd < 0 ? err_sys(e, "open %s", s->path) : 0;
}

static int attach(const struct stage *s, int tree, const char *name, struct err *e)
{
    if (mkdirat(s->fd, name, 0755) < 0 ||
        move_mount(tree, "", s->fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
        return err_sys(e, "attach layer %s", name);
    }
    return 0;
}

/* --- upper and work --- */

/* The merged root directory has the owner and mode of the upper one: the image's own. */
static int copy_root(const struct stat *like, uint32_t id_base, int scratch, struct err *e)
{
    mode_t mode = like ? like->st_mode & 07777 : 0755;
    uid_t uid = id_base + (like ? like->st_uid : 0);
    gid_t gid = id_base + (like ? like->st_gid : 0);

    if (fchownat(scratch, "upper", uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(scratch, "upper", mode, 0) < 0) {
        return err_sys(e, "set the owner of the container's root");
    }
    return 0;
}

static int make_scratch(const struct stage *s, const char *path, const struct stat *like,
                        uint32_t id_base, struct err *e)
{
    SCOPED(closep) int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (tree < 0) {
        return err_sys(e, "open_tree %s", path);
    }
    if (fs_mkdir(tree, "upper", 0755, e) < 0 || fs_mkdir(tree, "work", 0700, e) < 0 ||
        copy_root(like, id_base, tree, e) < 0) {
        return -1;
    }
    /* A volatile overlay leaves this mark, and refuses to be mounted again with it. */
    if (fs_remove_tree(tree, "work/work/incompat", e) < 0) {
        return -1;
    }
    return attach(s, tree, "s", e);
}

/* --- layers --- */

static int check_layer(const char *chain, char path[128], struct err *e)
{
    if (!rootfs_chain_ok(str_n(chain, strnlen(chain, 65)))) {
        return err_set(e, ERR_INVALID, "a layer's id is 64 hexadecimal digits");
    }
    (void)snprintf(path, 128, "rootfs/%s/done", chain);
    if (access(path, F_OK) < 0) {
        return err_set(e, ERR_NOT_FOUND, "layer %.12s is not unpacked on this machine", chain);
    }
    (void)snprintf(path, 128, "rootfs/%s/fs", chain);
    return 0;
}

static int add_layer(const struct stage *s, const char *chain, size_t number, struct err *e)
{
    SCOPED(closep) int tree = -1;
    char path[128], name[16];

    if (check_layer(chain, path, e) < 0) {
        return -1;
    }
    tree = idmap_clone(AT_FDCWD, path, s->userns, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, e);
    if (tree < 0) {
        return -1;
    }
    (void)snprintf(name, sizeof(name), "%zu", number);
    return attach(s, tree, name, e);
}

/* Overlay does not look at an opaque root directory: we do not mount what such a layer hides. */
static bool hides_all_below(const char *chain)
{
    char path[128], value[2];

    (void)snprintf(path, sizeof(path), "rootfs/%s/fs", chain);
    return lgetxattr(path, ROOTFS_OPAQUE_XATTR, value, sizeof(value)) == 1 && value[0] == 'y';
}

/* Highest first, as overlay wants them. */
static int add_layers(const struct stage *s, const char (*chains)[65], size_t n,
                      struct buf *options, struct stat *top, struct err *e)
{
    (void)buf_add_c(options, "lowerdir=");
    for (size_t i = n; i-- > 0;) {
        if (add_layer(s, chains[i], i, e) < 0) {
            return -1;
        }
        (void)buf_printf(options, "%s%zu", i + 1 < n ? ":" : "", i);
        if (i + 1 == n) {
            char path[128];

            (void)snprintf(path, sizeof(path), "rootfs/%s/fs", chains[i]);
            if (lstat(path, top) < 0) {
                return err_sys(e, "stat %s", path);
            }
        }
        if (hides_all_below(chains[i])) {
            break;
        }
    }
    if (n == 0) {
        (void)buf_add_c(options, "e");
        return mkdirat(s->fd, "e", 0755) < 0 ? err_sys(e, "mkdir stage/e") : 0;
    }
    return 0;
}

/* --- the overlay --- */

static int mount_overlay(struct stage *s, struct buf *options, struct err *e)
{
    char target[64];

    /* Nothing in a layer may redirect overlay; volatile: a container's files need no fsync. */
    (void)buf_add_c(options, ",upperdir=s/upper,workdir=s/work,index=off,metacopy=off,"
                             "redirect_dir=nofollow,volatile");
    (void)snprintf(target, sizeof(target), "/proc/self/fd/%d", s->target);
    s->back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->back < 0 || fchdir(s->fd) < 0) {
        return err_sys(e, "enter %s", s->path);
    }
    if (mount("overlay", target, "overlay", MS_NODEV, options->p) < 0) {
        if (errno == ENODEV) {
            return err_set(e, ERR_UNAVAILABLE,
                           "this kernel has no overlay file system: run modprobe overlay");
        }
        return err_sys(e, "mount the overlay");
    }
    return 0;
}

int rootfs_mount(struct rootfs_helper *r, const char (*chains)[65], size_t n, const char *scratch,
                 const char *target, uint32_t id_base, struct err *e)
{
    SCOPED(stage_done) struct stage s = {.fd = -1, .back = -1, .target = -1, .userns = -1};
    SCOPED(buf_done) struct buf options = BUF_MAX(4 * KIB);
    struct stat top;

    if (n > LIMIT_LAYERS) {
        return err_set(e, ERR_LIMIT, "image has %zu layers; %d can be mounted", n, LIMIT_LAYERS);
    }
    if (id_base < ROOTFS_IDS || id_base > UINT32_MAX - 2 * ROOTFS_IDS) {
        return err_set(e, ERR_INVALID, "id range from %u is not for containers", id_base);
    }
    if (rootfs_helper_userns(r, id_base, &s.userns, e) < 0 ||
        stage_open(&s, scratch, target, e) < 0 ||
        add_layers(&s, chains, n, &options, &top, e) < 0 ||
        make_scratch(&s, scratch, n > 0 ? &top : NULL, id_base, e) < 0) {
        return -1;
    }
    return mount_overlay(&s, &options, e);
}
