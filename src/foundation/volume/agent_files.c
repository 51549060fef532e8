#include "volume/agent.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const char *type_text(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory: list it, or name a file in it";
    case S_IFIFO:
        return "a named pipe";
    case S_IFSOCK:
        return "a socket";
    case S_IFCHR:
    case S_IFBLK:
        return "a device";
    default:
        return "no regular file";
    }
}

static int need_regular(int fd, struct str path, struct stat *st, struct err *e)
{
    if (fstat(fd, st) < 0) {
        return volume_path_error(e, "look at", path);
    }
    if (!S_ISREG(st->st_mode)) {
        return err_set(e, ERR_CONFLICT, "%s is %s", Q(path), type_text(st->st_mode));
    }
    return 0;
}

/* Looked at through O_PATH first: merely opening a fifo or a device does something. Then opened and
 * looked at again, as it may be another one by now; O_NONBLOCK, so that no fifo or lease holds us.
 */
int volume_op_open_read(struct volume_agent *a, const struct volume_request *q,
                        struct volume_reply *reply, int *fd, struct err *e)
{
    enum volume_follow follow = q->flags & VOLUME_NO_FOLLOW ? VOLUME_NO_LINKS : VOLUME_FOLLOW;
    SCOPED(closep) int peek = volume_open_beneath(a->root, q->path, O_PATH, 0, follow);
    SCOPED(closep) int file = -1;
    struct stat st;

    if (peek < 0) {
        return volume_path_error(e, "open", q->path);
    }
    if (need_regular(peek, q->path, &st, e) < 0) {
        return -1;
    }
    file = volume_open_beneath(a->root, q->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, follow);
    if (file < 0) {
        return volume_path_error(e, "open", q->path);
    }
    if (need_regular(file, q->path, &st, e) < 0) {
        return -1;
    }
    volume_file_of(&st, &reply->file);
    *fd = TAKE_FD(file);
    return 0;
}

int volume_op_stat(struct volume_agent *a, const struct volume_request *q,
                   struct volume_reply *reply, struct err *e)
{
    SCOPED(closep)
    int fd = volume_open_beneath(a->root, q->path, O_PATH | O_NOFOLLOW, 0, VOLUME_FOLLOW);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return volume_path_error(e, "look at", q->path);
    }
    volume_file_of(&st, &reply->file);
    return 0;
}

int volume_op_make_dir(struct volume_agent *a, const struct volume_request *q,
                       struct volume_reply *reply, struct err *e)
{
    SCOPED(volume_place_done) struct volume_place at;
    SCOPED(closep) int dir = -1;

    if (volume_place_open(a, q->path, VOLUME_PARENTS_MADE, &at, e) < 0) {
        return -1;
    }
    if (mkdirat(at.dir, at.name, 0777) == 0) {
        reply->flags = VOLUME_CREATED;
        return volume_sync_dir(at.dir, q, e);
    }
    if (errno != EEXIST) {
        return volume_path_error(e, "make the directory", q->path);
    }
    dir = volume_open_beneath(a->root, q->path, O_PATH | O_DIRECTORY, 0, VOLUME_FOLLOW);
    if (dir < 0) {
        errno = EEXIST;
        return volume_path_error(e, "make the directory", q->path);
    }
    return 0;
}

static int sync_both(const struct volume_place *a, const struct volume_place *b, struct err *e)
{
    return fsync(a->dir) < 0 || fsync(b->dir) < 0 ? err_sys(e, "fsync of a directory") : 0;
}

/* A directory comes with its entries, whoever made them. One of a user outside the project stays
 * closed to us: nothing was promised of what is in it. */
static int sync_what_moves(const struct volume_place *from, struct str path, struct err *e)
{
    SCOPED(closep)
    int dir = volume_open_beneath(from->dir, str_of(from->name),
                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, VOLUME_NO_LINKS);

    if (dir < 0) {
        return errno == ENOTDIR || errno == ELOOP || errno == EACCES
                   ? 0
                   : volume_path_error(e, "rename", path);
    }
    return fsync(dir) < 0 ? err_sys(e, "fsync of a directory") : 0;
}

int volume_op_rename(struct volume_agent *a, const struct volume_request *q, struct err *e)
{
    SCOPED(volume_place_done) struct volume_place from;
    SCOPED(volume_place_done) struct volume_place to = {.dir = -1};
    struct stat st;
    unsigned flags = q->flags & VOLUME_REPLACE ? 0 : RENAME_NOREPLACE;

    if (volume_place_open(a, q->path, VOLUME_PARENTS_MUST_EXIST, &from, e) < 0) {
        return -1;
    }
    if (fstatat(from.dir, from.name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return volume_path_error(e, "rename", q->path); /* before parents are made for nothing */
    }
    if (volume_place_open(a, q->other, VOLUME_PARENTS_MADE, &to, e) < 0) {
        return -1;
    }
    if (q->flags & VOLUME_OF_USER &&
        (volume_place_is_kept(a, &from) || volume_place_is_kept(a, &to))) {
        return err_set(e, ERR_FORBIDDEN,
                       "nothing is renamed in \"%s\": pipelines keep there what they made",
                       VOLUME_STUDIO);
    }
    if (sync_what_moves(&from, q->path, e) < 0) {
        return -1;
    }
    if (renameat2(from.dir, from.name, to.dir, to.name, flags) < 0) {
        return volume_path_error(e, "rename to", q->other);
    }
    return sync_both(&from, &to, e);
}
