#include "volume/agent.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SWEEP_BUDGET 20000 /* entries removed before others get their turn */

/* --- the hidden directory --- */

/* What a job has put in its place, if it is no directory, goes: the name is ours. */
static int make_hidden_one(int dir, const char *name, uid_t owner, struct err *e)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return 0;
        }
        (void)unlinkat(dir, name, 0);
    }
    if (mkdirat(dir, name, 0700) == 0) {
        return fchownat(dir, name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0
                   ? err_sys(e, "chown %s", name)
                   : 0;
    }
    return errno == EEXIST ? err_set(e, ERR_CONFLICT, "a job of yours keeps replacing \"%s\"", name)
                           : err_sys(e, "mkdir %s", name);
}

int volume_hidden_make(int root, uid_t owner, struct err *e)
{
    SCOPED(closep) int dir = -1;

    if (make_hidden_one(root, VOLUME_HIDDEN, owner, e) < 0) {
        return -1;
    }
    dir = volume_open_beneath(root, STR(VOLUME_HIDDEN), O_RDONLY | O_DIRECTORY, 0, VOLUME_NO_LINKS);
    if (dir < 0) {
        return volume_path_error(e, "open", STR(VOLUME_HIDDEN));
    }
    if (make_hidden_one(dir, "uploads", owner, e) < 0 ||
        make_hidden_one(dir, "trash", owner, e) < 0) {
        return -1;
    }
    return fsync(dir) < 0 ? err_sys(e, "fsync %s", VOLUME_HIDDEN) : 0;
}

static int open_hidden(const struct volume_agent *a, const char *path, struct err *e)
{
    int fd = volume_open_beneath(a->root, str_of(path), O_RDONLY | O_DIRECTORY, 0, VOLUME_NO_LINKS);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) {
        if (volume_hidden_make(a->root, 0, e) < 0) {
            return -1;
        }
        fd = volume_open_beneath(a->root, str_of(path), O_RDONLY | O_DIRECTORY, 0, VOLUME_NO_LINKS);
    }
    return fd < 0 ? volume_path_error(e, "open", str_of(path)) : fd;
}

/* --- uploads --- */

/* Regular and under no second name: else a job could make us write into another of its files. */
static int check_upload(int fd, struct stat *st, struct err *e)
{
    if (fstat(fd, st) < 0) {
        return err_sys(e, "look at the upload");
    }
    if (!S_ISREG(st->st_mode) || st->st_nlink != 1) {
        return err_set(e, ERR_CONFLICT,
                       "a job has replaced the unfinished upload; use another upload id");
    }
    return 0;
}

static int no_upload(struct err *e)
{
    return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "there is no such upload")
                           : volume_path_error(e, "open", STR("the upload"));
}

int volume_op_upload_open(struct volume_agent *a, const struct volume_request *q,
                          struct volume_reply *reply, int *fd, struct err *e)
{
    SCOPED(closep) int dir = open_hidden(a, VOLUME_UPLOADS, e);
    SCOPED(closep) int file = -1;
    int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    struct stat st;

    if (dir < 0) {
        return -1;
    }
    flags |= q->flags & VOLUME_CREATE ? O_CREAT : 0;
    file = volume_open_beneath(dir, q->other, flags, 0666, VOLUME_NO_LINKS);
    if (file < 0) {
        return no_upload(e);
    }
    if (check_upload(file, &st, e) < 0) {
        return -1;
    }
    volume_file_of(&st, &reply->file);
    *fd = TAKE_FD(file);
    return 0;
}

/* Renames onto the path: first only if nothing is there, so that the answer can tell. */
static int put_in_place(int uploads, const char *name, const struct volume_place *to,
                        struct str path, unsigned *flags, struct err *e)
{
    if (renameat2(uploads, name, to->dir, to->name, RENAME_NOREPLACE) == 0) {
        *flags = VOLUME_CREATED;
        return 0;
    }
    if (errno != EEXIST || renameat(uploads, name, to->dir, to->name) < 0) {
        return volume_path_error(e, "write", path);
    }
    return 0;
}

/* What is renamed is what the server wrote, all of it. */
static int check_whole(int file, const struct volume_request *q, struct stat *st, struct err *e)
{
    if (check_upload(file, st, e) < 0) {
        return -1;
    }
    if (st->st_ino != q->number || (uint64_t)st->st_size != q->size_bytes) {
        return err_set(e, ERR_CONFLICT, "a job has replaced the upload; send the file again");
    }
    return 0;
}

/* The upload has gone: an agent that could not tell any more may have put it in its place. */
static int find_in_place(struct volume_agent *a, const struct volume_request *q,
                         struct volume_reply *reply, struct err *e)
{
    SCOPED(volume_place_done) struct volume_place to = {.dir = -1};
    struct stat st;

    if (volume_place_open(a, q->path, VOLUME_PARENTS_MUST_EXIST, &to, e) < 0) {
        return -1;
    }
    if (fstatat(to.dir, to.name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
        st.st_ino != q->number || (uint64_t)st.st_size != q->size_bytes) {
        return err_set(e, ERR_NOT_FOUND, "there is no such upload");
    }
    volume_file_of(&st, &reply->file);
    return fsync(to.dir) < 0 ? err_sys(e, "fsync of a directory") : 0;
}

int volume_op_upload_commit(struct volume_agent *a, const struct volume_request *q,
                            struct volume_reply *reply, struct err *e)
{
    SCOPED(closep) int dir = open_hidden(a, VOLUME_UPLOADS, e);
    SCOPED(closep) int file = -1;
    SCOPED(volume_place_done) struct volume_place to = {.dir = -1};
    char name[101];
    struct stat st;

    if (dir < 0 || str_copy(q->other, name, sizeof(name)) < 0) {
        return -1;
    }
    file = volume_open_beneath(dir, q->other, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, VOLUME_NO_LINKS);
    if (file < 0) {
        return errno == ENOENT ? find_in_place(a, q, reply, e) : no_upload(e);
    }
    if (check_whole(file, q, &st, e) < 0) {
        return -1;
    }
    if (volume_place_open(a, q->path, VOLUME_PARENTS_MADE, &to, e) < 0) {
        return -1;
    }
    if (q->flags & VOLUME_OF_USER && volume_place_is_kept(a, &to)) {
        return err_set(e, ERR_FORBIDDEN,
                       "nothing is uploaded into \"%s\": pipelines keep there what they made",
                       VOLUME_STUDIO);
    }
    if (fsync(file) < 0) {
        return volume_path_error(e, "write", q->path);
    }
    if (put_in_place(dir, name, &to, q->path, &reply->flags, e) < 0) {
        return -1;
    }
    volume_file_of(&st, &reply->file);
    return fsync(to.dir) < 0 ? err_sys(e, "fsync of a directory") : 0;
}

int volume_op_upload_drop(struct volume_agent *a, const struct volume_request *q, struct err *e)
{
    SCOPED(closep) int dir = open_hidden(a, VOLUME_UPLOADS, e);
    char name[101];

    if (dir < 0 || str_copy(q->other, name, sizeof(name)) < 0) {
        return -1;
    }
    return unlinkat(dir, name, 0) == 0 || errno == ENOENT ? 0 : err_sys(e, "remove the upload");
}

/* --- sweeping --- */

/* Takes over `fd`. */
static DIR *dir_of(int fd)
{
    DIR *d = fdopendir(fd);

    if (d == NULL) {
        (void)close(fd);
    }
    return d;
}

int volume_op_sweep_uploads(struct volume_agent *a, const struct volume_request *q,
                            struct volume_reply *reply, struct err *e)
{
    int fd = open_hidden(a, VOLUME_UPLOADS, e);
    DIR *d = fd < 0 ? NULL : dir_of(fd);
    struct dirent *ent;
    struct stat st;

    if (d == NULL) {
        return fd < 0 ? -1 : err_sys(e, "list the uploads");
    }
    while ((ent = readdir(d)) != NULL) {
        if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0 ||
            fstatat(dirfd(d), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            continue;
        }
        if ((uint64_t)st.st_mtim.tv_sec * 1000 < q->number && !S_ISDIR(st.st_mode) &&
            unlinkat(dirfd(d), ent->d_name, 0) == 0) {
            reply->first++;
        } else {
            reply->second++;
        }
    }
    (void)closedir(d);
    return 0;
}

int volume_op_sweep_trash(struct volume_agent *a, struct volume_reply *reply, struct err *e)
{
    SCOPED(closep) int trash = open_hidden(a, VOLUME_TRASH, e);
    int rc = trash < 0 ? -1 : volume_trash_sweep(trash, SWEEP_BUDGET, e);

    if (rc < 0) {
        return -1;
    }
    reply->flags = rc > 0 ? VOLUME_MORE : 0U;
    return 0;
}

static int to_trash(struct volume_agent *a, const struct volume_place *at,
                    const struct volume_request *q, struct volume_reply *reply, struct err *e)
{
    SCOPED(closep) int trash = open_hidden(a, VOLUME_TRASH, e);
    char name[24];

    if (trash < 0) {
        return -1;
    }
    random_name(name, 20);
    if (renameat2(at->dir, at->name, trash, name, RENAME_NOREPLACE) < 0) {
        return volume_path_error(e, "remove", q->path);
    }
    reply->flags = VOLUME_MORE;
    return volume_sync_dir(at->dir, q, e);
}

/* A tree disappears at once, by one rename into the trash, and is then emptied bit by bit. */
int volume_op_remove(struct volume_agent *a, const struct volume_request *q,
                     struct volume_reply *reply, struct err *e)
{
    SCOPED(volume_place_done) struct volume_place at;
    struct stat st;

    if (volume_place_open(a, q->path, VOLUME_PARENTS_MUST_EXIST, &at, e) < 0) {
        return -1;
    }
    if (fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return volume_path_error(e, "remove", q->path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return unlinkat(at.dir, at.name, 0) < 0 ? volume_path_error(e, "remove", q->path)
                                                : volume_sync_dir(at.dir, q, e);
    }
    if (!(q->flags & VOLUME_RECURSIVE)) {
        return err_set(e, ERR_CONFLICT,
                       "%s is a directory: to remove it with all that is in it, say so "
                       "(strata data delete -r, or ?recursive=1)",
                       Q(q->path));
    }
    return to_trash(a, &at, q, reply, e);
}
