#include "runtime/runtime_priv.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* The container's tree: the image's overlay, mounted by now, and the volumes in it. All of it is
 * written by strangers: every path is resolved inside, and what is found decides, not its name. */

/* --- paths inside --- */

/* Resolved as if `root` were /, so that a link of the image or of a volume stays inside. */
static int open_inside(int root, const char *path)
{
    return fs_open_within(root, path, O_PATH | O_DIRECTORY, 0,
                          RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* From errno. What lies in the way in the image or in a volume is the job's own fault: another try
 * finds the same. */
PRINTF_LIKE(2, 3)
static int tree_err(struct err *e, const char *fmt, ...)
{
    static const int own_fault[] = {ENOTDIR, ENOENT, ELOOP, EROFS, EEXIST, ENAMETOOLONG};
    int why = errno;
    char what[200];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    errno = why;
    err_sys(e, "%s", what);
    for (size_t i = 0; i < ARRAY_LEN(own_fault); i++) {
        if (why == own_fault[i]) {
            e->kind = ERR_INVALID;
        }
    }
    return -1;
}

/* The next directory of a path; made when it is missing. -1: errno says why. */
static int step_inside(int root, int at, const char *prefix, const char *name, uint32_t owner)
{
    int next = open_inside(root, prefix);

    if (next >= 0 || errno != ENOENT) {
        return next;
    }
    if (mkdirat(at, name, 0755) == 0) {
        (void)!fchownat(at, name, owner, owner, AT_SYMLINK_NOFOLLOW);
    } else if (errno != EEXIST) {
        return -1;
    }
    return open_inside(root, prefix);
}

/* A directory of the container by its path, which is runtime_path_ok. What is missing of it is
 * made, as docker does. -1: errno says why. */
static int open_made(int root, const char *path, uint32_t owner)
{
    SCOPED(closep) int at = fcntl(root, F_DUPFD_CLOEXEC, 3);
    char prefix[LIMIT_PATH_BYTES + 1], name[256];
    struct str rest = str_from(str_of(path), 1);

    while (at >= 0 && rest.p && rest.len > 0) {
        struct str part = str_cut(&rest, '/');
        int next;

        (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)(part.p + part.len - path), path);
        (void)snprintf(name, sizeof(name), "%.*s", STR_ARG(part));
        next = step_inside(root, at, prefix, name, owner);
        if (next < 0) {
            return -1;
        }
        (void)close(at);
        at = next;
    }
    return TAKE_FD(at);
}

static int path_of_fd(int fd, char *out, size_t size)
{
    char link[40];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, out, size - 1);
    if (n < 0) {
        return -1;
    }
    out[n] = '\0';
    return 0;
}

/* Where a directory is in the container, whatever links led to it. */
static int place_of(int root, int fd, char out[LIMIT_PATH_BYTES], struct err *e)
{
    char all[LIMIT_PATH_BYTES], top[256];
    size_t n;

    if (path_of_fd(root, top, sizeof(top)) < 0 || path_of_fd(fd, all, sizeof(all)) < 0) {
        return err_sys(e, "find a directory of the container again");
    }
    n = strlen(top);
    if (strncmp(all, top, n) != 0 || (all[n] != '/' && all[n] != '\0')) {
        return err_set(e, ERR_INVALID, "it is outside of the container");
    }
    (void)snprintf(out, LIMIT_PATH_BYTES, "%s", all[n] ? all + n : "/");
    return 0;
}

/* --- volumes --- */

/* The path was checked as text; a link leads where it likes. Over / or the kernel's directories a
 * volume would take the place of what masks them. */
static int check_place(int root, int fd, const char *target, struct err *e)
{
    char place[LIMIT_PATH_BYTES];

    if (place_of(root, fd, place, e) < 0) {
        return err_wrap(e, "a volume cannot be mounted on %.80s", target);
    }
    if (strcmp(place, "/") == 0 || spec_path_of_kernel(str_of(place))) {
        return err_set(e, ERR_INVALID,
                       "a volume cannot be mounted on %.80s: a link of the image leads to %.80s",
                       target, place);
    }
    return 0;
}

/* The directory inside the volume in place of the volume. Users write there: no link is followed,
 * whatever they make of the path meanwhile. */
static int enter_subpath(int *fd, const char *subpath, struct err *e)
{
    int inner = fs_open_within(*fd, subpath, O_PATH | O_DIRECTORY, 0,
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                                   RESOLVE_NO_XDEV);

    if (inner < 0 && errno == ELOOP) {
        return err_set(e, ERR_INVALID, "the directory %.200s of the volume: a link is in the way",
                       subpath);
    }
    if (inner < 0) {
        return err_sys(e, "the directory %.200s of the volume", subpath);
    }
    (void)close(*fd);
    *fd = inner;
    return 0;
}

/* A copy of the volume's mount alone: what may be mounted below it is not the container's. */
static int clone_volume(const struct runtime_mount *m, uint32_t id_base, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                          (m->read_only ? MOUNT_ATTR_RDONLY : 0)};
    SCOPED(closep) int fd = -1;
    SCOPED(closep) int tree = -1;
    char path[80];
    struct stat st;

    (void)snprintf(path, sizeof(path), "volumes/%s", m->volume_id);
    fd = fs_open_within(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0,
                        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "volume %s", m->volume_id);
    }
    if (st.st_uid < id_base || st.st_uid - id_base >= RUNTIME_IDS) {
        return err_set(e, ERR_FORBIDDEN, "volume %s belongs to another project", m->volume_id);
    }
    if (m->subpath && *m->subpath && enter_subpath(&fd, m->subpath, e) < 0) {
        return -1;
    }
    tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
        return err_sys(e, "mount volume %s", m->volume_id);
    }
    return TAKE_FD(tree);
}

/* What pipelines keep is mounted over itself, read-only, so that it cannot be renamed either. None,
 * or a link in its place, which pipelines do not follow: there is nothing to keep. */
static int keep_studio(int tree, const struct runtime_mount *m, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY};
    SCOPED(closep) int kept = -1;
    SCOPED(closep) int copy = -1;

    if (m->read_only || (m->subpath && *m->subpath)) {
        return 0;
    }
    kept = fs_open_within(tree, RUNTIME_KEPT, O_PATH | O_DIRECTORY, 0,
                          RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                              RESOLVE_NO_XDEV);
    if (kept < 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                   ? 0
                   : err_sys(e, "%s of volume %s", RUNTIME_KEPT, m->volume_id);
    }
    copy = open_tree(kept, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (copy < 0 || mount_setattr(copy, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
        move_mount(copy, "", kept, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
        return err_sys(e, "mount %s of volume %s", RUNTIME_KEPT, m->volume_id);
    }
    return 0;
}

static int mount_id(int fd, uint64_t *out, struct err *e)
{
    struct statx sx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0) {
        return err_sys(e, "statx");
    }
    *out = sx.stx_mnt_id;
    return 0;
}

static int mount_volume(int root, const struct runtime_mount *m, uint32_t id_base, uint64_t *id,
                        struct err *e)
{
    SCOPED(closep) int tree = clone_volume(m, id_base, e);
    SCOPED(closep) int at = -1;

    if (tree < 0) {
        return -1;
    }
    at = open_made(root, m->target, id_base);
    if (at < 0) {
        return tree_err(e, "a volume cannot be mounted on %.80s", m->target);
    }
    if (check_place(root, at, m->target, e) < 0) {
        return -1;
    }
    if (move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
        return tree_err(e, "a volume cannot be mounted on %.80s", m->target);
    }
    return keep_studio(tree, m, e) < 0 ? -1 : mount_id(tree, id, e);
}

static size_t depth(const char *path)
{
    size_t n = 0;

    for (; *path; path++) {
        n += *path == '/';
    }
    return n;
}

/* Outer before inner, whatever order the job gives them in. */
static void sort_mounts(const struct runtime_spec *s, const struct runtime_mount **order)
{
    for (size_t i = 0; i < s->n_mounts; i++) {
        size_t k = i;

        for (; k > 0 && depth(order[k - 1]->target) > depth(s->mounts[i].target); k--) {
            order[k] = order[k - 1];
        }
        order[k] = &s->mounts[i];
    }
}

/* Links may lead two volumes to one place, or an outer one over an inner: its results would land in
 * the wrong volume. */
static int check_seen(int root, const struct runtime_mount *m, uint64_t want, struct err *e)
{
    SCOPED(closep) int fd = open_inside(root, m->target);
    uint64_t seen;

    if (fd < 0 || mount_id(fd, &seen, e) < 0 || seen != want) {
        return err_set(e, ERR_INVALID,
                       "the volume on %.80s is hidden by another one: a link of the image leads "
                       "there",
                       m->target);
    }
    return 0;
}

/* Into the tree of the image, here and not by crun: nobody but us resolves their paths, and the
 * container finds them mounted, with flags it cannot change. */
static int mount_volumes(int root, const struct runtime_spec *s, struct err *e)
{
    const struct runtime_mount *order[LIMIT_JOB_VOLUMES];
    uint64_t ids[LIMIT_JOB_VOLUMES] = {0};

    sort_mounts(s, order);
    for (size_t i = 0; i < s->n_mounts; i++) {
        if (mount_volume(root, order[i], s->id_base, &ids[i], e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < s->n_mounts; i++) {
        if (check_seen(root, order[i], ids[i], e) < 0) {
            return -1;
        }
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

/* The working directory is made when the image lacks it, as docker does. */
static int make_cwd(int root, const struct runtime_spec *s, struct err *e)
{
    SCOPED(closep) int fd = -1;

    if (in_volume(s, str_of(s->cwd))) {
        return 0;
    }
    fd = open_made(root, s->cwd, s->id_base);
    return fd < 0 ? tree_err(e, "working directory %.80s", s->cwd) : 0;
}

/* --- what crun mounts itself --- */

/* Its mount points: where the image has something else there, no try will succeed. */
static int check_kernel_dirs(int root, struct err *e)
{
    static const char *const names[] = {"proc", "sys", "dev"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct stat st;

        if (fstatat(root, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
            return err_set(e, ERR_INVALID, "/%s of the image is no directory, but a %s", names[i],
                           S_ISLNK(st.st_mode) ? "link" : "file");
        }
    }
    return 0;
}

static int check_names(int etc, struct err *e)
{
    static const char *const names[] = {"hosts", "hostname", "resolv.conf"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct stat st;

        if (fstatat(etc, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
            return err_set(e, ERR_INVALID, "/etc/%s is a directory: a file is mounted there",
                           names[i]);
        }
    }
    return 0;
}

int tree_names(int root, enum tree_names *out, struct err *e)
{
    SCOPED(closep) int etc = open_inside(root, "/etc");
    char place[LIMIT_PATH_BYTES];
    struct stat top, st;

    *out = TREE_NAMES;
    if (etc < 0 && fstatat(root, "etc", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
        return 0;
    }
    if (etc < 0) {
        return err_set(e, ERR_INVALID, "/etc of the image is no directory and leads to none");
    }
    if (place_of(root, etc, place, e) < 0 || fstat(root, &top) < 0 || fstat(etc, &st) < 0) {
        return err_wrap(e, "/etc of the image");
    }
    if (spec_path_of_kernel(str_of(place))) {
        return err_set(e, ERR_INVALID, "/etc of the image is a link to %.80s", place);
    }
    if (st.st_dev != top.st_dev) {
        *out = TREE_NO_NAMES;
        return 0;
    }
    return check_names(etc, e);
}

int tree_fill(int root, const struct runtime_spec *s, struct err *e)
{
    return check_kernel_dirs(root, e) < 0 || mount_volumes(root, s, e) < 0 ? -1
                                                                           : make_cwd(root, s, e);
}
