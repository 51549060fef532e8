/* Walks through a volume: by the server, page by page (READ_DIR), and to count what is in it. */
#include "volume/agent.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Entries looked at before others have their turn. */
#define WALK_BUDGET 20000

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

DIR *volume_dir_of(int fd)
{
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (d == NULL && fd >= 0) {
        int sys = errno;

        (void)close(fd);
        errno = sys;
    }
    return d;
}

bool volume_entry_shown(const struct volume_agent *a, const struct stat *dir, const char *name)
{
    return !is_dots(name) && !(dir->st_dev == a->root_dev && dir->st_ino == a->root_inode &&
                               strcmp(name, VOLUME_HIDDEN) == 0);
}

bool volume_row_fits(const struct buf *rows, struct str name)
{
    return rows->len + name.len + 4 + sizeof(struct volume_file) + 64 <= rows->max;
}

/* --- READ_DIR --- */

/* What d_type cannot say, a look tells. False: it has gone. */
static bool look_at(DIR *d, const struct dirent *ent, struct volume_file *out)
{
    struct stat st;

    if (fstatat(dirfd(d), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return false;
    }
    volume_file_of(&st, out);
    return true;
}

enum entry_fate { ENTRY_PASSED, ENTRY_TAKEN, ENTRY_NO_ROOM };

static enum entry_fate take_entry(DIR *d, const struct dirent *ent, unsigned flags,
                                  struct buf *rows, struct volume_reply *reply)
{
    bool wants_dir = (flags & VOLUME_ONLY_DIRS) != 0;
    struct volume_row row = {.name = str_of(ent->d_name)};

    if (wants_dir && ent->d_type != DT_DIR && ent->d_type != DT_UNKNOWN) {
        return ENTRY_PASSED;
    }
    if (!volume_row_fits(rows, row.name)) {
        return ENTRY_NO_ROOM;
    }
    if (!look_at(d, ent, &row.file)) {
        return ENTRY_PASSED;
    }
    reply->second += row.file.type == VOLUME_DIR;
    if ((row.file.type == VOLUME_DIR) != wants_dir) {
        return ENTRY_PASSED;
    }
    volume_row_put(rows, &row);
    return ENTRY_TAKEN;
}

/* Where a directory was left is told by the file system (d_off), as NFS does: so a page costs a
 * page, and nothing is kept here between two. */
static int read_page(DIR *d, const struct volume_agent *a, const struct volume_request *q,
                     struct buf *rows, struct volume_reply *reply, struct err *e)
{
    struct dirent *ent;
    struct stat st;

    if (fstat(dirfd(d), &st) < 0) {
        return volume_path_error(e, "list", q->path);
    }
    if (q->number != 0) {
        seekdir(d, (long)q->number);
    }
    reply->first = q->number;
    for (unsigned budget = WALK_BUDGET;; budget--) {
        enum entry_fate fate = ENTRY_PASSED;

        errno = 0;
        ent = readdir(d);
        if (ent == NULL) {
            return errno == 0 ? 0 : volume_path_error(e, "list", q->path);
        }
        if (volume_entry_shown(a, &st, ent->d_name)) {
            fate = take_entry(d, ent, q->flags, rows, reply);
        }
        if (fate != ENTRY_NO_ROOM) {
            reply->first = (uint64_t)ent->d_off;
        }
        if (fate == ENTRY_NO_ROOM || budget == 1 ||
            (fate == ENTRY_TAKEN && q->flags & VOLUME_ONLY_DIRS)) {
            reply->flags |= VOLUME_MORE;
            return 0;
        }
    }
}

int volume_op_read_dir(struct volume_agent *a, const struct volume_request *q, struct buf *rows,
                       struct volume_reply *reply, struct err *e)
{
    DIR *d = volume_dir_of(
        volume_open_beneath(a->root, q->path, O_RDONLY | O_DIRECTORY, 0, VOLUME_NO_LINKS));
    int rc;

    if (d == NULL) {
        return errno == ENOTDIR ? err_set(e, ERR_CONFLICT, "the path names a file, not a directory")
                                : volume_path_error(e, "list", q->path);
    }
    rc = read_page(d, a, q, rows, reply, e);
    (void)closedir(d);
    reply->rows = buf_str(rows);
    return rc;
}

int volume_op_read_link(struct volume_agent *a, const struct volume_request *q, struct buf *rows,
                        struct volume_reply *reply, struct err *e)
{
    ptrdiff_t slash = str_rfind_char(q->path, '/');
    struct str parent = slash < 0 ? STR_EMPTY : str_first(q->path, (size_t)slash);
    SCOPED(closep)
    int dir = volume_open_beneath(a->root, parent, O_PATH | O_DIRECTORY, 0, VOLUME_NO_LINKS);
    char *to = buf_reserve(rows, LIMIT_PATH_BYTES);
    char name[256];
    ssize_t n;

    if (dir < 0) {
        return volume_path_error(e, "read the link", q->path);
    }
    if (to == NULL || str_copy(str_from(q->path, (size_t)(slash + 1)), name, sizeof(name)) < 0) {
        return err_set(e, ERR_INVALID, "a part of the path is too long");
    }
    n = readlinkat(dir, name, to, LIMIT_PATH_BYTES);
    if (n < 0) {
        return volume_path_error(e, "read the link", q->path);
    }
    rows->len += (size_t)n;
    reply->rows = buf_str(rows);
    return 0;
}

/* --- USAGE --- */

void volume_walk_done(struct volume_walk *w)
{
    while (w->depth > 0) {
        (void)closedir(w->stack[--w->depth]);
    }
    *w = (struct volume_walk){0};
}

static void walk_enter(struct volume_walk *w, int parent, const char *name)
{
    DIR *d;

    if (w->depth == VOLUME_DEPTH_MAX) {
        w->flags |= VOLUME_PARTIAL;
        return;
    }
    d = volume_dir_of(volume_open_beneath(parent, str_of(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                                          0, VOLUME_NO_LINKS));
    if (d != NULL) {
        w->stack[w->depth++] = d;
    } else if (errno != ENOENT && errno != ENOTDIR) {
        w->flags |= VOLUME_PARTIAL;
    }
}

static void walk_entry(struct volume_walk *w, const struct dirent *ent)
{
    int dir = dirfd(w->stack[w->depth - 1]);
    struct stat st;

    if (is_dots(ent->d_name) || (w->depth == 1 && strcmp(ent->d_name, VOLUME_HIDDEN) == 0) ||
        fstatat(dir, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        walk_enter(w, dir, ent->d_name);
        return;
    }
    w->files++;
    w->bytes += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

int volume_op_usage(struct volume_agent *a, struct volume_reply *reply, struct err *e)
{
    struct volume_walk *w = &a->walk;

    if (w->depth == 0) {
        w->stack[0] = volume_dir_of(
            volume_open_beneath(a->root, STR_EMPTY, O_RDONLY | O_DIRECTORY, 0, VOLUME_NO_LINKS));
        if (w->stack[0] == NULL) {
            return volume_path_error(e, "count", STR_EMPTY);
        }
        w->depth = 1;
    }
    for (unsigned budget = WALK_BUDGET; budget > 0 && w->depth > 0; budget--) {
        struct dirent *ent = readdir(w->stack[w->depth - 1]);

        if (ent != NULL) {
            walk_entry(w, ent);
        } else {
            (void)closedir(w->stack[--w->depth]);
        }
    }
    reply->first = w->files;
    reply->second = w->bytes;
    reply->flags = w->flags | (w->depth > 0 ? VOLUME_MORE : 0U);
    if (w->depth == 0) {
        volume_walk_done(w);
    }
    return 0;
}
