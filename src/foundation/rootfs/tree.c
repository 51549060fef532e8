#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "helper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Links inside the layer are followed, but never out of the root: an absolute target and ".." start
 * and end there (openat2(2), RESOLVE_IN_ROOT). */
int tree_open_dir(const struct tree *t, const char *path, size_t len, int flags)
{
    char copy[LIMIT_PATH_BYTES];

    if (str_copy(str_n(path, len), copy, sizeof(copy)) < 0) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return fs_open_within(t->root, len > 0 ? copy : ".", O_DIRECTORY | flags, 0,
                          RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

/* --- replacing --- */

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

int tree_clear(int parent, const char *base, struct err *e)
{
    return fs_remove_tree(parent, base, e);
}

int tree_mark_opaque(struct tree *t, const char *path, size_t len, struct err *e)
{
    wire_put_str(t->opaque, str_n(path, len));
    if (t->opaque->failed) {
        return err_set(e, ERR_LIMIT, "more opaque directories than %zu bytes of names",
                       t->opaque->max);
    }
    return 0;
}

int tree_make_dir(struct tree *t, int parent, const char *base, const char *path, size_t len,
                  struct err *e)
{
    struct stat st;

    if (mkdirat(parent, base, 0755) == 0) {
        return 0;
    }
    if (errno != EEXIST || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return err_sys(e, "make the directory");
    }
    if (S_ISDIR(st.st_mode)) {
        return 0;
    }
    if (unlinkat(parent, base, 0) < 0 || mkdirat(parent, base, 0755) < 0) {
        return err_sys(e, "replace by a directory");
    }
    /* The whiteout hid what lies below; the directory that takes its place must go on doing so. */
    return is_whiteout(&st) ? tree_mark_opaque(t, path, len, e) : 0;
}

int tree_whiteout(struct tree *t, int parent, const struct entry_name *n, struct err *e)
{
    struct stat st;

    if (mknodat(parent, n->base, S_IFCHR, makedev(0, 0)) == 0) {
        return 0;
    }
    if (errno != EEXIST || fstatat(parent, n->base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return err_sys(e, "make the whiteout");
    }
    /* A file of this layer hides what is below by itself; a directory would be merged with it. */
    return S_ISDIR(st.st_mode) ? tree_mark_opaque(t, n->path, strlen(n->path), e) : 0;
}

/* --- parents --- */

static size_t component_end(const char *path, size_t len, size_t from)
{
    const char *slash = memchr(path + from, '/', len - from);

    return slash ? (size_t)(slash - path) : len;
}

/* Makes one that has no entry of its own; its parent's time stays what the image says. */
static int make_missing(struct tree *t, int at, const char *path, size_t from, size_t end,
                        struct err *e)
{
    struct stat st, parent;
    char base[256];

    if (str_copy(str_n(path + from, end - from), base, sizeof(base)) < 0) {
        return err_set(e, ERR_LIMIT, "a part of the path is too long");
    }
    if (fstatat(at, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && !is_whiteout(&st)) {
        return err_set(e, ERR_INVALID, "the parent %s is not a directory in this layer",
                       Q(str_n(path, end)));
    }
    if (fstat(at, &parent) < 0) {
        return err_sys(e, "stat the parent directory");
    }
    if (tree_make_dir(t, at, base, path, end, e) < 0) {
        return -1;
    }
    return futimens(at, (struct timespec[]){parent.st_atim, parent.st_mtim}) < 0
               ? err_sys(e, "set the time of a directory")
               : 0;
}

/* Opens `path`, making each directory that is missing. */
static int make_parents(struct tree *t, const char *path, size_t len, struct err *e)
{
    SCOPED(closep) int at = tree_open_dir(t, "", 0, O_RDONLY);
    size_t from = 0;

    while (at >= 0 && from < len) {
        size_t end = component_end(path, len, from);
        int next = tree_open_dir(t, path, end, O_RDONLY);

        if (next < 0) {
            if (make_missing(t, at, path, from, end, e) < 0) {
                return -1;
            }
            next = tree_open_dir(t, path, end, O_RDONLY);
        }
        closep(&at);
        at = next;
        from = end + 1;
    }
    return at < 0 ? err_sys(e, "open the parent directory") : TAKE_FD(at);
}

int tree_leave(struct tree *t, struct err *e)
{
    int rc = 0;

    if (t->parent >= 0) {
        rc = futimens(t->parent, t->parent_times);
        if (rc < 0) {
            err_sys(e, "set the time of %s", Q(str_n(t->parent_path, t->parent_len)));
        }
    }
    closep(&t->parent);
    return rc;
}

int tree_enter(struct tree *t, const struct entry_name *n, int *fd, struct err *e)
{
    struct stat st;
    int parent;

    if (t->parent >= 0 && t->parent_len == n->parent_len &&
        memcmp(t->parent_path, n->path, n->parent_len) == 0) {
        *fd = t->parent;
        return 0;
    }
    if (tree_leave(t, e) < 0) {
        return -1;
    }
    parent = tree_open_dir(t, n->path, n->parent_len, O_RDONLY);
    if (parent < 0) {
        parent = make_parents(t, n->path, n->parent_len, e);
    }
    if (parent < 0) {
        return -1;
    }
    if (fstat(parent, &st) < 0) {
        (void)close(parent);
        return err_sys(e, "stat the parent directory");
    }
    memcpy(t->parent_path, n->path, n->parent_len);
    t->parent_len = n->parent_len;
    t->parent_times[0] = st.st_atim;
    t->parent_times[1] = st.st_mtim;
    *fd = t->parent = parent;
    return 0;
}

void tree_done(struct tree *t)
{
    closep(&t->parent);
}
