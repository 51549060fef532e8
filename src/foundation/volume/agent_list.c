#include "volume/agent.h"

#include "base/mem.h"
#include "base/words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* --- LIST: the `cap` first rows after the cursor, found in one pass with memory for `cap` --- */

struct name {
    int64_t key; /* size or time; 0 when they are sorted by name alone */
    unsigned char len;
    char text[255];
};

/* A heap with the last one on top, so that it is the one to go. */
struct firsts {
    struct name *p;
    size_t len, cap;
    bool is_desc;
    bool dropped; /* there are more than fit */
};

static struct str name_str(const struct name *n)
{
    return str_n(n->text, n->len);
}

static int ascending(const void *a, const void *b)
{
    const struct name *x = a, *y = b;

    return x->key != y->key ? (x->key < y->key ? -1 : 1) : str_cmp(name_str(x), name_str(y));
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

static int order_of(const struct firsts *h, const struct name *a, const struct name *b)
{
    return h->is_desc ? descending(a, b) : ascending(a, b);
}

static void swap(struct name *a, struct name *b)
{
    struct name t = *a;

    *a = *b;
    *b = t;
}

static void sift_up(struct firsts *h)
{
    for (size_t i = h->len - 1; i > 0 && order_of(h, &h->p[i], &h->p[(i - 1) / 2]) > 0;
         i = (i - 1) / 2) {
        swap(&h->p[i], &h->p[(i - 1) / 2]);
    }
}

static void sift_down(struct firsts *h)
{
    for (size_t i = 0;;) {
        size_t top = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < h->len; child++) {
            top = order_of(h, &h->p[child], &h->p[top]) > 0 ? child : top;
        }
        if (top == i) {
            return;
        }
        swap(&h->p[i], &h->p[top]);
        i = top;
    }
}

static void firsts_offer(struct firsts *h, const struct name *name)
{
    if (h->len < h->cap) {
        h->p[h->len++] = *name;
        sift_up(h);
        return;
    }
    h->dropped = true;
    if (order_of(h, name, &h->p[0]) < 0) {
        h->p[0] = *name;
        sift_down(h);
    }
}

static void name_set(struct name *n, struct str text)
{
    n->len = (unsigned char)text.len;
    memcpy(n->text, text.p, text.len);
}

/* One listing: what is asked, and where. */
struct list {
    const struct volume_agent *a;
    const struct volume_request *q;
    DIR *dir;
    struct stat st; /* of the directory */
    struct words words;
    struct firsts firsts;
};

/* False: it has gone since. */
static bool key_of(const struct list *l, const char *name, int64_t *key)
{
    struct volume_file f;
    struct stat st;

    *key = 0;
    if (!(l->q->flags & (VOLUME_BY_SIZE | VOLUME_BY_TIME))) {
        return true;
    }
    if (fstatat(dirfd(l->dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return false;
    }
    volume_file_of(&st, &f);
    *key = l->q->flags & VOLUME_BY_SIZE ? (int64_t)f.size_bytes : f.modified_ns;
    return true;
}

static void offer(struct list *l, const char *text, const struct name *after)
{
    struct str s = str_of(text);
    struct name name;

    if (s.len > 255 || !volume_entry_shown(l->a, &l->st, text) || !words_match(&l->words, s) ||
        !key_of(l, text, &name.key)) {
        return;
    }
    name_set(&name, s);
    if (l->q->other.len == 0 || order_of(&l->firsts, &name, after) > 0) {
        firsts_offer(&l->firsts, &name);
    }
}

/* Sizes and times mean a look at each entry, which not everybody may wait for. */
static int collect(struct list *l, struct err *e)
{
    bool looks = (l->q->flags & (VOLUME_BY_SIZE | VOLUME_BY_TIME)) != 0;
    struct name after = {.key = l->q->key};
    struct dirent *ent;
    size_t seen = 0;

    name_set(&after, l->q->other);
    errno = 0;
    while ((ent = readdir(l->dir)) != NULL) {
        if (looks && ++seen > LIMIT_SORTED_ENTRIES) {
            return err_set(e, ERR_LIMIT,
                           "the directory has more than %d entries: they are only sorted by name",
                           LIMIT_SORTED_ENTRIES);
        }
        offer(l, ent->d_name, &after);
        errno = 0;
    }
    return errno == 0 ? 0 : volume_path_error(e, "list", l->q->path);
}

/* As many rows as the packet takes. Returns how many names were dealt with. */
static size_t put_rows(const struct list *l, struct buf *rows)
{
    for (size_t i = 0; i < l->firsts.len; i++) {
        struct volume_row row = {.name = name_str(&l->firsts.p[i])};
        char name[256];
        struct stat st;

        if (!volume_row_fits(rows, row.name)) {
            return i;
        }
        if (str_copy(row.name, name, sizeof(name)) == 0 &&
            fstatat(dirfd(l->dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            volume_file_of(&st, &row.file);
            volume_row_put(rows, &row);
        } /* else it has gone since */
    }
    return l->firsts.len;
}

static int list_into(struct list *l, struct buf *rows, struct volume_reply *reply, struct err *e)
{
    struct firsts *h = &l->firsts;

    h->cap = l->q->number < 1                 ? 1
             : l->q->number > LIMIT_LIST_ROWS ? LIMIT_LIST_ROWS
                                              : (size_t)l->q->number;
    h->is_desc = (l->q->flags & VOLUME_DESC) != 0;
    h->p = xnew_array(struct name, h->cap);
    if (collect(l, e) < 0) {
        return -1;
    }
    qsort(h->p, h->len, sizeof(h->p[0]), h->is_desc ? descending : ascending);
    if (put_rows(l, rows) < h->len || h->dropped) {
        reply->flags |= VOLUME_MORE;
    }
    reply->rows = buf_str(rows);
    return 0;
}

static int list_open(struct list *l, struct err *e)
{
    l->dir = volume_dir_of(
        volume_open_beneath(l->a->root, l->q->path, O_RDONLY | O_DIRECTORY, 0, VOLUME_FOLLOW));
    if (l->dir == NULL) {
        return errno == ENOTDIR
                   ? err_set(e, ERR_CONFLICT,
                             "the path names a file, not a directory: there is nothing to list")
                   : volume_path_error(e, "list", l->q->path);
    }
    return fstat(dirfd(l->dir), &l->st) < 0 ? volume_path_error(e, "list", l->q->path)
                                            : words_init(&l->words, l->q->words, e);
}

int volume_op_list(struct volume_agent *a, const struct volume_request *q, struct buf *rows,
                   struct volume_reply *reply, struct err *e)
{
    struct list l = {.a = a, .q = q};
    int rc = list_open(&l, e) < 0 ? -1 : list_into(&l, rows, reply, e);

    if (l.dir) {
        (void)closedir(l.dir);
    }
    words_done(&l.words);
    free(l.firsts.p);
    return rc;
}
