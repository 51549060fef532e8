#include "volume/walk.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* A path has at most that many parts, each with a slash. */
#define DEPTH_MAX (LIMIT_VOLUME_PATH_BYTES / 2 + 1)

/* A folder that we are in. */
struct frame {
    uint16_t path_len;
    uint64_t cookie; /* of its folders: where to go on */
};

struct walker {
    struct volume_store *v;
    const struct volume_info *info;
    const struct volume_walk_ops *ops;
    void *ctx;
    size_t base_len;                     /* of what is walked, with its slash */
    char path[LIMIT_VOLUME_PATH_BYTES];  /* of the folder that we are in */
    char child[LIMIT_VOLUME_PATH_BYTES]; /* of one entry in it */
    struct frame frames[DEPTH_MAX];
    size_t depth;
    bool is_ours; /* the error is that of a callback: no fault of a path */
    struct buf packet;
};

bool volume_is_about_path(const struct err *e)
{
    return e->kind == ERR_NOT_FOUND || e->kind == ERR_CONFLICT || e->kind == ERR_INVALID ||
           e->kind == ERR_FORBIDDEN;
}

static struct str rel_of(const struct walker *w, struct str path)
{
    return str_from(path, w->base_len);
}

/* The path of an entry; p == NULL when it is longer than a path may be. */
static struct str child_path(struct walker *w, size_t path_len, struct str name)
{
    size_t at = path_len;

    if (path_len + 1 + name.len > sizeof(w->child)) {
        return (struct str){NULL, 0};
    }
    memcpy(w->child, w->path, path_len);
    if (at > 0) {
        w->child[at++] = '/';
    }
    memcpy(w->child + at, name.p, name.len);
    return str_n(w->child, at + name.len);
}

static void tell_skipped(struct walker *w, struct str path, const struct err *why)
{
    if (w->ops->skipped) {
        w->ops->skipped(w->ctx, rel_of(w, path), why);
    }
}

static int read_page(struct walker *w, const struct frame *at, uint64_t cookie, unsigned flags,
                     struct volume_reply *reply, struct err *e)
{
    struct volume_request q = {.op = VOLUME_AGENT_READ_DIR,
                               .flags = flags,
                               .number = cookie,
                               .path = str_n(w->path, at->path_len),
                               .other = STR_EMPTY};

    if (volume_ask(w->v, w->info, &q, &w->packet, reply, NULL, e) < 0) {
        return -1;
    }
    return reply->flags & VOLUME_MORE && reply->first == cookie && reply->rows.len == 0
               ? err_set(e, ERR_INTERNAL, "the files agent does not get on in a directory")
               : 0;
}

/* An entry is shown; 0, 1, -1 as there. A path that is too long is told. */
static int show(struct walker *w, const struct frame *at, const struct volume_row *row,
                struct err *e)
{
    struct str path = child_path(w, at->path_len, row->name);
    struct err why;
    int rc;

    if (path.p == NULL) {
        (void)err_set(&why, ERR_INVALID, "paths below it are too long");
        tell_skipped(w, str_n(w->path, at->path_len), &why);
        return 0;
    }
    rc = w->ops->entry(w->ctx, path, rel_of(w, path), &row->file, e);
    w->is_ours = rc < 0;
    return rc;
}

/* All that are no folders. *dirs: how many are. */
static int walk_files(struct walker *w, const struct frame *at, uint64_t *dirs, struct err *e)
{
    struct volume_reply reply = {0};
    uint64_t cookie = 0;

    *dirs = 0;
    do {
        struct volume_row row;
        int rc = read_page(w, at, cookie, 0, &reply, e);

        while (rc == 0 && (rc = volume_row_next(&reply.rows, &row, e)) > 0) {
            rc = show(w, at, &row, e);
            if (rc != 0) {
                return rc;
            }
        }
        if (rc < 0) {
            return -1;
        }
        *dirs += reply.second;
        cookie = reply.first;
    } while (reply.flags & VOLUME_MORE);
    return 0;
}

/* The files of the folder on top. When it cannot be read, or has no folders, it is left. */
static int enter(struct walker *w, struct err *e)
{
    struct frame *at = &w->frames[w->depth - 1];
    uint64_t dirs;
    int rc = walk_files(w, at, &dirs, e);

    if (rc < 0 && !w->is_ours && w->depth > 1 && volume_is_about_path(e)) {
        tell_skipped(w, str_n(w->path, at->path_len), e);
        w->depth--;
        return 0;
    }
    if (rc == 0 && dirs == 0) {
        w->depth--;
    }
    return rc;
}

/* The next folder of the one on top, or back to the one above. */
static int next_folder(struct walker *w, struct err *e)
{
    struct frame *at = &w->frames[w->depth - 1];
    struct volume_reply reply;
    struct volume_row row;
    int rc = read_page(w, at, at->cookie, VOLUME_ONLY_DIRS, &reply, e);

    if (rc < 0 && volume_is_about_path(e)) {
        tell_skipped(w, str_n(w->path, at->path_len), e);
        w->depth--;
        return 0;
    }
    if (rc == 0) {
        at->cookie = reply.first;
        rc = volume_row_next(&reply.rows, &row, e);
    }
    if (rc < 0) {
        return -1;
    }
    if (rc == 0) {
        w->depth -= !(reply.flags & VOLUME_MORE);
        return 0;
    }
    rc = show(w, at, &row, e);
    if (rc == 0 && child_path(w, at->path_len, row.name).p != NULL && w->depth < DEPTH_MAX) {
        size_t len = (size_t)at->path_len + (at->path_len > 0) + row.name.len;

        memcpy(w->path, w->child, len);
        w->frames[w->depth++] = (struct frame){.path_len = (uint16_t)len};
        rc = enter(w, e);
    }
    return rc;
}

static int walk(struct walker *w, struct err *e)
{
    int rc = enter(w, e);

    while (rc == 0 && w->depth > 0) {
        rc = next_folder(w, e);
    }
    return rc;
}

int volume_walk(struct volume_store *v, const struct volume_info *i, struct str folder,
                const struct volume_walk_ops *ops, void *ctx, struct err *e)
{
    struct walker *w = xnew(struct walker);
    int rc;

    w->v = v;
    w->info = i;
    w->ops = ops;
    w->ctx = ctx;
    w->packet = BUF_MAX(VOLUME_PACKET_MAX);
    w->base_len = folder.len > 0 ? folder.len + 1 : 0;
    w->depth = 1;
    w->frames[0].path_len = (uint16_t)folder.len; /* checked: volume_path_check */
    memcpy(w->path, folder.p, folder.len);
    rc = walk(w, e);
    buf_done(&w->packet);
    free(w);
    return rc;
}

int volume_walk_enter(struct volume_store *v, int64_t user_id, struct err *e)
{
    struct lock *l = &v->lock;
    size_t mine = 0, at = LIMIT_WALKS;

    WITH_LOCK(l);
    for (size_t i = 0; i < LIMIT_WALKS; i++) {
        mine += v->walks[i] == user_id;
        at = v->walks[i] == 0 ? i : at;
    }
    if (mine >= LIMIT_USER_WALKS || at == LIMIT_WALKS) {
        return err_set(e, ERR_UNAVAILABLE,
                       "%s at work on whole folders already; try again when one is done",
                       at == LIMIT_WALKS ? "too many requests are" : "four requests of yours are");
    }
    v->walks[at] = user_id;
    return 0;
}

void volume_walk_leave(struct volume_store *v, int64_t user_id)
{
    struct lock *l = &v->lock;

    WITH_LOCK(l);
    for (size_t i = 0; i < LIMIT_WALKS; i++) {
        if (v->walks[i] == user_id) {
            v->walks[i] = 0;
            return;
        }
    }
}
