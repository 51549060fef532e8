#include "base/fs.h"

#include "base/hash.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whoever renames in a loop must not hold us for ever. */
#define RACE_TRIES 128

int fs_open_within(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
                           .mode = flags & O_CREAT ? mode : 0,
                           .resolve = resolve};

    for (int i = 0; i < RACE_TRIES; i++) {
        long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

        if (fd >= 0 || errno != EAGAIN) {
            return (int)fd;
        }
    }
    return -1;
}

int fs_read_fd(int fd, const char *name, struct buf *out, struct err *e)
{
    for (;;) {
        size_t room = out->max - out->len < 65536 ? out->max - out->len : 65536;
        char *at = buf_reserve(out, room ? room : 1);
        ssize_t n;

        if (at == NULL) {
            return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", name, out->max);
        }
        n = read(fd, at, room);
        if (n < 0) {
            return err_sys(e, "read %s", name);
        }
        if (n == 0) {
            at[0] = '\0';
            return 0;
        }
        out->len += (size_t)n;
        out->p[out->len] = '\0';
    }
}

int fs_read(int dirfd, const char *path, struct buf *out, struct err *e)
{
    SCOPED(closep) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? err_sys(e, "open %s", path) : fs_read_fd(fd, path, out, e);
}

static uint64_t without_reserve(uint64_t left, uint64_t all, uint64_t most)
{
    uint64_t reserve = all / 20 < most ? all / 20 : most;

    return left > reserve ? left - reserve : 0;
}

int fs_room(int fd, uint64_t reserve_bytes, struct fs_room *out, struct err *e)
{
    struct statvfs v;

    if (fstatvfs(fd, &v) < 0) {
        return err_sys(e, "look at the free space");
    }
    out->left_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    out->bytes = without_reserve(out->left_bytes, (uint64_t)v.f_blocks * v.f_frsize, reserve_bytes);
    /* btrfs makes them as it needs them, and says 0 */
    out->files = v.f_files == 0
                     ? UINT64_MAX
                     : without_reserve(v.f_favail, v.f_files, reserve_bytes / v.f_frsize);
    return 0;
}

int fs_write_all(int fd, struct str bytes, struct err *e)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.p, bytes.len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(e, "write");
        }
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

static int write_and_sync(int fd, struct str bytes, struct err *e)
{
    if (fs_write_all(fd, bytes, e) < 0) {
        return -1;
    }
    return fsync(fd) < 0 ? err_sys(e, "fsync") : 0;
}

/* The directory part of `path`, "." when there is none. */
static void parent_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');

    (void)snprintf(out, PATH_MAX, "%.*s", slash ? (int)(slash - path) + (slash == path) : 1,
                   slash ? path : ".");
}

int fs_write_atomic(int dirfd, const char *path, struct str bytes, mode_t mode, struct err *e)
{
    char tmp[PATH_MAX], parent[PATH_MAX], tail[9];
    SCOPED(closep) int fd = -1;

    random_name(tail, 8);
    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.%s.tmp", path, tail) >= sizeof(tmp)) {
        return err_set(e, ERR_INVALID, "path is too long: %.60s...", path);
    }
    fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return err_sys(e, "create %s", tmp);
    }
    if (write_and_sync(fd, bytes, e) < 0) {
        (void)unlinkat(dirfd, tmp, 0);
        return err_wrap(e, "%s", path);
    }
    if (renameat(dirfd, tmp, dirfd, path) < 0) {
        err_sys(e, "rename to %s", path);
        (void)unlinkat(dirfd, tmp, 0);
        return -1;
    }
    parent_of(path, parent);
    return fs_sync_dir(dirfd, parent, e);
}

int fs_mkdir(int dirfd, const char *path, mode_t mode, struct err *e)
{
    if (mkdirat(dirfd, path, mode) < 0 && errno != EEXIST) {
        return err_sys(e, "mkdir %s", path);
    }
    return 0;
}

int fs_sync_dir(int dirfd, const char *path, struct err *e)
{
    SCOPED(closep) int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return err_sys(e, "open %s", path);
    }
    return fsync(fd) < 0 ? err_sys(e, "fsync %s", path) : 0;
}

/* What fs_remove_tree moved up to the root of the tree, waiting to be emptied. Names are random, so
 * nothing in the tree carries one already. */
struct removal {
    int root;
    char prefix[16];
    unsigned made;
};

/* Depth of a tree made by others is not bounded, so no recursion: a directory that is not empty is
 * moved up to the root and emptied later. */
static int remove_entry(struct removal *r, int dir, const char *name, struct err *e)
{
    char up[32];

    if (unlinkat(dir, name, 0) == 0) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return err_sys(e, "remove %s", name);
    }
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0) {
        return 0;
    }
    (void)snprintf(up, sizeof(up), "%s%u", r->prefix, r->made);
    if (renameat(dir, name, r->root, up) < 0) {
        return err_sys(e, "remove %s", name);
    }
    r->made++;
    return 0;
}

static int empty_dir(struct removal *r, const char *name, struct err *e)
{
    int fd = openat(r->root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    int rc = 0;

    if (d == NULL) {
        err_sys(e, "open %s", name);
        closep(&fd);
        return -1;
    }
    while (rc == 0 && (ent = readdir(d))) {
        if (strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0 &&
            strncmp(ent->d_name, r->prefix, strlen(r->prefix)) != 0) {
            rc = remove_entry(r, dirfd(d), ent->d_name, e);
        }
    }
    (void)closedir(d);
    return rc;
}

static int remove_moved(struct removal *r, struct err *e)
{
    for (unsigned i = 0; i < r->made; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "%s%u", r->prefix, i);
        if (empty_dir(r, name, e) < 0) {
            return -1;
        }
        if (unlinkat(r->root, name, AT_REMOVEDIR) < 0) {
            return err_sys(e, "remove %s", name);
        }
    }
    return 0;
}

int fs_remove_tree(int dirfd, const char *path, struct err *e)
{
    SCOPED(closep) int root = -1;
    struct removal r = {0};

    if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return err_sys(e, "remove %s", path);
    }
    root = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0) {
        return err_sys(e, "open %s", path);
    }
    r.root = root;
    r.prefix[0] = '.';
    random_name(r.prefix + 1, 12);
    if (empty_dir(&r, ".", e) < 0 || remove_moved(&r, e) < 0) {
        return err_wrap(e, "remove %s", path);
    }
    if (unlinkat(dirfd, path, AT_REMOVEDIR) < 0) {
        return err_sys(e, "remove %s", path);
    }
    return 0;
}
