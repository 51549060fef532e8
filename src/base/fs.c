#include "base/fs.h"

#include "base/hash.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int fs_read(int dirfd, const char *path, struct buf *out, struct err *e)
{
    SCOPED(closep) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return err_sys(e, "open %s", path);
    }
    for (;;) {
        size_t room = out->max - out->len < 65536 ? out->max - out->len : 65536;
        char *at = buf_reserve(out, room ? room : 1);
        ssize_t n;

        if (at == NULL) {
            return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", path, out->max);
        }
        n = read(fd, at, room);
        if (n < 0) {
            return err_sys(e, "read %s", path);
        }
        if (n == 0) {
            at[0] = '\0';
            return 0;
        }
        out->len += (size_t)n;
        out->p[out->len] = '\0';
    }
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

/* Depth of a tree made by others is not bounded, so no recursion: one directory is emptied at a
 * time, and a directory inside is first moved up beside it. */
static int empty_dir(int root, const char *name, unsigned *counter, struct err *e)
{
    int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;

    if (d == NULL) {
        return err_sys(e, "open %s", name);
    }
    while ((ent = readdir(d))) {
        char up[NAME_MAX + 1];

        if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0 ||
            unlinkat(dirfd(d), ent->d_name, 0) == 0) {
            continue;
        }
        if (errno != EISDIR) {
            err_sys(e, "remove %s", ent->d_name);
            (void)closedir(d);
            return -1;
        }
        if (unlinkat(dirfd(d), ent->d_name, AT_REMOVEDIR) == 0) {
            continue;
        }
        (void)snprintf(up, sizeof(up), ".removing-%u", (*counter)++);
        if (renameat(dirfd(d), ent->d_name, root, up) < 0) {
            err_sys(e, "remove %s", ent->d_name);
            (void)closedir(d);
            return -1;
        }
    }
    (void)closedir(d);
    return 0;
}

int fs_remove_tree(int dirfd, const char *path, struct err *e)
{
    SCOPED(closep) int root = -1;
    unsigned made = 0, emptied = 0;

    if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR) {
        return err_sys(e, "remove %s", path);
    }
    root = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0) {
        return err_sys(e, "open %s", path);
    }
    if (empty_dir(root, ".", &made, e) < 0) {
        return err_wrap(e, "remove %s", path);
    }
    while (emptied < made) {
        char name[NAME_MAX + 1];

        (void)snprintf(name, sizeof(name), ".removing-%u", emptied++);
        if (empty_dir(root, name, &made, e) < 0) {
            return err_wrap(e, "remove %s", path);
        }
        if (unlinkat(root, name, AT_REMOVEDIR) < 0) {
            return err_sys(e, "remove %s/%s", path, name);
        }
    }
    if (unlinkat(dirfd, path, AT_REMOVEDIR) < 0) {
        return err_sys(e, "remove %s", path);
    }
    return 0;
}
