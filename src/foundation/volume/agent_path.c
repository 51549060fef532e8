#include "volume/agent.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <unistd.h>

int volume_open_beneath(int dir, struct str path, int flags, mode_t mode, enum volume_follow follow)
{
    char name[LIMIT_VOLUME_PATH_BYTES + 1] = ".";

    if (path.len > 0 && str_copy(path, name, sizeof(name)) < 0) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return fs_open_within(dir, name, flags, mode,
                          RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV |
                              (follow == VOLUME_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0U));
}

int volume_path_error(struct err *e, const char *verb, struct str path)
{
    static const struct {
        int sys;
        enum err_kind kind;
        const char *text;
    } texts[] = {
        {ENOENT, ERR_NOT_FOUND, "there is no such file or directory"},
        {ENOTDIR, ERR_CONFLICT, "a part of the path is a file, not a directory"},
        {EISDIR, ERR_CONFLICT, "it is a directory"},
        {EEXIST, ERR_CONFLICT, "something of that name is there already"},
        {ENOTEMPTY, ERR_CONFLICT, "a directory of that name is there already and is not empty"},
        {EXDEV, ERR_INVALID, "the path leaves the volume through a link"},
        {ELOOP, ERR_INVALID, "the path goes through too many or forbidden links"},
        {EAGAIN, ERR_CONFLICT, "the directory changes all the time; try again"},
        {ENAMETOOLONG, ERR_INVALID, "the path is too long"},
        {EINVAL, ERR_INVALID, "the path cannot be used (is a directory moved into itself?)"},
        {EACCES, ERR_FORBIDDEN, "it belongs to a user outside this project"},
        {EPERM, ERR_FORBIDDEN, "it belongs to a user outside this project"},
        {ENXIO, ERR_INVALID, "it is no regular file"},
        {ENOSPC, ERR_NO_SPACE, "the disk is full; remove something and try again"},
        {EDQUOT, ERR_NO_SPACE, "the quota is used up; remove something and try again"},
        {EROFS, ERR_CONFLICT, "the volume is read-only"},
    };
    int sys = errno;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].sys == sys) {
            err_set(e, texts[i].kind, "cannot %s %s: %s", verb, Q(path), texts[i].text);
            e->sys = sys;
            return -1;
        }
    }
    errno = sys;
    return err_sys(e, "cannot %s %s", verb, Q(path));
}

void volume_file_of(const struct stat *st, struct volume_file *out)
{
    *out = (struct volume_file){
        .type = S_ISREG(st->st_mode)   ? VOLUME_FILE
                : S_ISDIR(st->st_mode) ? VOLUME_DIR
                : S_ISLNK(st->st_mode) ? VOLUME_LINK
                                       : VOLUME_OTHER,
        .size_bytes = S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
        .inode = st->st_ino,
        .modified_ns = st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec,
        .changed_ns = st->st_ctim.tv_sec * 1000000000LL + st->st_ctim.tv_nsec,
        .mode = st->st_mode & 07777,
    };
}

static int sync_dir(int dir, struct err *e)
{
    return fsync(dir) < 0 ? err_sys(e, "fsync of a directory") : 0;
}

int volume_sync_dir(int dir, const struct volume_request *q, struct err *e)
{
    return q->flags & VOLUME_UNSYNCED ? 0 : sync_dir(dir, e);
}

/* Makes the directory `path`, whose parent is there. */
static int make_one(int root, struct str path, struct err *e)
{
    ptrdiff_t slash = str_rfind_char(path, '/');
    struct str parent = slash < 0 ? STR_EMPTY : str_first(path, (size_t)slash);
    SCOPED(closep)
    int dir = volume_open_beneath(root, parent, O_RDONLY | O_DIRECTORY, 0, VOLUME_FOLLOW);
    char name[256];

    if (dir < 0) {
        return volume_path_error(e, "open", parent);
    }
    if (str_copy(str_from(path, (size_t)(slash + 1)), name, sizeof(name)) < 0) {
        return err_set(e, ERR_INVALID, "a part of the path is too long");
    }
    if (mkdirat(dir, name, 0777) < 0) {
        return errno == EEXIST ? 0 : volume_path_error(e, "make the directory", path);
    }
    return sync_dir(dir, e);
}

/* The directory `path`, made with its parents where they are missing. Returns an fd. */
static int open_or_make(int root, struct str path, struct err *e)
{
    int fd = volume_open_beneath(root, path, O_RDONLY | O_DIRECTORY, 0, VOLUME_FOLLOW);

    if (fd >= 0) {
        return fd;
    }
    if (errno != ENOENT) {
        return volume_path_error(e, "open the directory", path);
    }
    for (size_t i = 1; i <= path.len; i++) {
        if ((i == path.len || path.p[i] == '/') && make_one(root, str_first(path, i), e) < 0) {
            return -1;
        }
    }
    fd = volume_open_beneath(root, path, O_RDONLY | O_DIRECTORY, 0, VOLUME_FOLLOW);
    return fd < 0 ? volume_path_error(e, "open the directory", path) : fd;
}

int volume_place_open(const struct volume_agent *a, struct str path, enum volume_parents parents,
                      struct volume_place *out, struct err *e)
{
    ptrdiff_t slash = str_rfind_char(path, '/');
    struct str parent = slash < 0 ? STR_EMPTY : str_first(path, (size_t)slash);

    out->dir = -1;
    if (str_copy(str_from(path, (size_t)(slash + 1)), out->name, sizeof(out->name)) < 0) {
        return err_set(e, ERR_INVALID, "the last part of the path is too long");
    }
    if (parents == VOLUME_PARENTS_MADE) {
        out->dir = open_or_make(a->root, parent, e);
        return out->dir < 0 ? -1 : 0;
    }
    out->dir = volume_open_beneath(a->root, parent, O_RDONLY | O_DIRECTORY, 0, VOLUME_FOLLOW);
    return out->dir < 0 ? volume_path_error(e, "open the directory of", path) : 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

bool volume_place_is_kept(const struct volume_agent *a, const struct volume_place *p)
{
    SCOPED(closep) int at = fcntl(p->dir, F_DUPFD_CLOEXEC, 3);
    struct stat root, kept, here;
    bool has_kept = fstatat(a->root, VOLUME_STUDIO, &kept, AT_SYMLINK_NOFOLLOW) == 0;

    if (at < 0 || fstat(a->root, &root) < 0 || fstat(at, &here) < 0) {
        return true;
    }
    if (is_same(&here, &root)) {
        return strcmp(p->name, VOLUME_STUDIO) == 0;
    }
    for (int up = 0; up < LIMIT_VOLUME_PATH_BYTES && !is_same(&here, &root); up++) {
        int parent;

        if (has_kept && is_same(&here, &kept)) {
            return true;
        }
        parent = fs_open_within(at, "..", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS);
        (void)close(at);
        at = parent;
        if (at < 0 || fstat(at, &here) < 0) {
            return true;
        }
    }
    return !is_same(&here, &root);
}

void volume_place_done(struct volume_place *p)
{
    closep(&p->dir);
}
