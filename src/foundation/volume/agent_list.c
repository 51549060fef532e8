#include "volume/agent.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Entries looked at before USAGE gives others their turn. */
#define WALK_BUDGET 20000

/* --- LIST: the `cap` first names after the cursor, found in one pass with memory for `cap` --- */

struct name {
    unsigned char len;
    char text[255];
};

/* A heap with the greatest name on top, so that it is the one to go. */
struct smallest {
    struct name *p;
    size_t len, cap;
    bool dropped; /* there are more names than fit */
};

static struct str name_str(const struct name *n)
{
    return str_n(n->text, n->len);
}

static int name_order(const void *a, const void *b)
{
    return str_cmp(name_str(a), name_str(b));
}

static void swap(struct name *a, struct name *b)
{
    struct name t = *a;

    *a = *b;
    *b = t;
}

static void sift_up(struct smallest *h)
{
    for (size_t i = h->len - 1; i > 0 && name_order(&h->p[i], &h->p[(i - 1) / 2]) > 0;
         i = (i - 1) / 2) {
        swap(&h->p[i], &h->p[(i - 1) / 2]);
    }
}

static void sift_down(struct smallest *h)
{
    for (size_t i = 0;;) {
        size_t top = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < h->len; child++) {
            top = name_order(&h->p[child], &h->p[top]) > 0 ? child : top;
        }
        if (top == i) {
            return;
        }
        swap(&h->p[i], &h->p[top]);
        i = top;
    }
}

static void smallest_offer(struct smallest *h, struct str name)
{
    struct name *slot;

    if (h->len == h->cap) {
        h->dropped = true;
        if (str_cmp(name, name_str(&h->p[0])) >= 0) {
            return;
        }
        slot = &h->p[0];
    } else {
        slot = &h->p[h->len++];
    }
    slot->len = (unsigned char)name.len;
    memcpy(slot->text, name.p, name.len);
    if (slot == &h->p[0]) {
        sift_down(h);
    } else {
        sift_up(h);
    }
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int collect(DIR *d, struct str after, bool at_root, struct smallest *h)
{
    struct dirent *ent;

    errno = 0;
    while ((ent = readdir(d)) != NULL) {
        struct str name = str_of(ent->d_name);

        if (!is_dots(ent->d_name) && !(at_root && str_eq_c(name, VOLUME_HIDDEN)) &&
            name.len <= 255 && (after.len == 0 || str_cmp(name, after) > 0)) {
            smallest_offer(h, name);
        }
        errno = 0;
    }
    return errno == 0 ? 0 : -1;
}

/* As many rows as the packet takes. Returns how many names were dealt with. */
static size_t put_rows(int dir, const struct smallest *h, struct buf *rows)
{
    for (size_t i = 0; i < h->len; i++) {
        struct volume_row row = {.name = name_str(&h->p[i])};
        char name[256];
        struct stat st;

        if (rows->len + row.name.len + 4 + sizeof(struct volume_file) + 64 > rows->max) {
            return i;
        }
        if (str_copy(row.name, name, sizeof(name)) == 0 &&
            fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            volume_file_of(&st, &row.file);
            volume_row_put(rows, &row);
        } /* else it has gone since */
    }
    return h->len;
}

/* Takes over `fd`. NULL with errno. */
static DIR *dir_of(int fd)
{
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (d == NULL && fd >= 0) {
        int sys = errno;

        (void)close(fd);
        errno = sys;
    }
    return d;
}

static int list_into(DIR *d, const struct volume_request *q, bool at_root, struct buf *rows,
                     struct volume_reply *reply, struct err *e)
{
    struct smallest h = {.cap = q->number < 1                 ? 1
                                : q->number > LIMIT_LIST_ROWS ? LIMIT_LIST_ROWS
                                                              : (size_t)q->number};
    SCOPED(freep) struct name *names = xnew_array(struct name, h.cap);

    h.p = names;
    if (collect(d, q->other, at_root, &h) < 0) {
        return volume_path_error(e, "list", q->path);
    }
    qsort(h.p, h.len, sizeof(h.p[0]), name_order);
    if (put_rows(dirfd(d), &h, rows) < h.len || h.dropped) {
        reply->flags |= VOLUME_MORE;
    }
    reply->rows = buf_str(rows);
    return 0;
}

int volume_op_list(struct volume_agent *a, const struct volume_request *q, struct buf *rows,
                   struct volume_reply *reply, struct err *e)
{
    DIR *d =
        dir_of(volume_open_beneath(a->root, q->path, O_RDONLY | O_DIRECTORY, 0, VOLUME_FOLLOW));
    struct stat st;
    int rc;

    if (d == NULL) {
        return errno == ENOTDIR
                   ? err_set(e, ERR_CONFLICT,
                             "the path names a file, not a directory: there is nothing to list")
                   : volume_path_error(e, "list", q->path);
    }
    rc = fstat(dirfd(d), &st) < 0
             ? volume_path_error(e, "list", q->path)
             : list_into(d, q, st.st_dev == a->root_dev && st.st_ino == a->root_inode, rows, reply,
                         e);
    (void)closedir(d);
    return rc;
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
    d = dir_of(volume_open_beneath(parent, str_of(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                                   VOLUME_NO_LINKS));
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
        w->stack[0] = dir_of(
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
