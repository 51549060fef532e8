/* Files of a volume for other modules of the server: the same requests to its files agent that the
 * routes make. */
#include "volume/store.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "volume/commit.h"
#include "volume/path.h"

#include <string.h>
#include <unistd.h>

enum { LIST_ROWS = 1000 }; /* asked for at once */

static int ask(struct volume_store *v, const struct volume_ref *ref, struct volume_request *q,
               struct volume_reply *reply, int *fd, struct err *e)
{
    SCOPED(buf_done) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_info i;

    if (q->path.p == NULL) {
        q->path = STR_EMPTY;
    }
    if (q->other.p == NULL) {
        q->other = STR_EMPTY;
    }
    if (volume_path_check(q->path, VOLUME_PATH_OR_ROOT, e) < 0 ||
        volume_path_check(q->other, VOLUME_PATH_OR_ROOT, e) < 0 ||
        volume_row_find(v, ref->project_id, ref->name, &i, e) < 0) {
        return -1;
    }
    return volume_ask(v, &i, q, &packet, reply, fd, e);
}

int volume_make(struct volume_store *v, struct str project, const struct volume_ref *ref,
                struct err *e)
{
    struct volume_info i;

    if (volume_row_find(v, ref->project_id, ref->name, &i, e) == 0) {
        return 0;
    }
    if (e->kind != ERR_NOT_FOUND) {
        return -1;
    }
    return volume_create(v, project, ref->name, &i, e) == 0 || e->kind == ERR_CONFLICT ? 0 : -1;
}

int volume_file_open(struct volume_store *v, const struct volume_ref *ref, struct str path,
                     enum volume_links links, struct volume_file_info *out, struct err *e)
{
    struct volume_request q = {.op = VOLUME_AGENT_OPEN_READ,
                               .path = path,
                               .flags = links == VOLUME_LINKS_REFUSED ? VOLUME_NO_FOLLOW : 0};
    struct volume_reply r = {0};
    int fd = -1;

    if (ask(v, ref, &q, &r, &fd, e) < 0) {
        return -1;
    }
    *out = (struct volume_file_info){.fd = fd,
                                     .size_bytes = (int64_t)r.file.size_bytes,
                                     .inode = r.file.inode,
                                     .modified_ns = r.file.modified_ns,
                                     .changed_ns = r.file.changed_ns};
    return 0;
}

/* The rows of one packet; the last name goes on in the next. */
static int each_row(struct str rows, size_t *left, char last[256], volume_dir_entry *each,
                    void *ctx, struct err *e)
{
    struct volume_row row;
    int rc;

    while ((rc = volume_row_next(&rows, &row, e)) > 0) {
        if (*left == 0) {
            return err_set(e, ERR_LIMIT, "the directory has too many entries");
        }
        (*left)--;
        each(ctx, row.name, row.file.type == VOLUME_DIR);
        if (str_copy(row.name, last, 256) < 0) {
            return err_set(e, ERR_INTERNAL, "the files agent sent a name that is none");
        }
    }
    return rc;
}

int volume_dir_list(struct volume_store *v, const struct volume_ref *ref, struct str path,
                    size_t max, volume_dir_entry *each, void *ctx, struct err *e)
{
    SCOPED(buf_done) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_info i;
    char last[256] = "";
    bool more = true;

    if (volume_path_check(path, VOLUME_PATH_OR_ROOT, e) < 0 ||
        volume_row_find(v, ref->project_id, ref->name, &i, e) < 0) {
        return -1;
    }
    while (more) {
        struct volume_request q = {
            .op = VOLUME_AGENT_LIST, .number = LIST_ROWS, .path = path, .other = str_of(last)};
        struct volume_reply reply = {0};

        if (volume_ask(v, &i, &q, &packet, &reply, NULL, e) < 0 ||
            each_row(reply.rows, &max, last, each, ctx, e) < 0) {
            return -1;
        }
        more = (reply.flags & VOLUME_MORE) != 0 && reply.rows.len > 0;
    }
    return 0;
}

int volume_dir_make(struct volume_store *v, const struct volume_ref *ref, struct str path,
                    struct err *e)
{
    struct volume_reply r = {0};

    return ask(v, ref, &(struct volume_request){.op = VOLUME_AGENT_MAKE_DIR, .path = path}, &r,
               NULL, e);
}

int volume_rename(struct volume_store *v, const struct volume_ref *ref, struct str from,
                  struct str to, struct err *e)
{
    struct volume_reply r = {0};

    return ask(v, ref,
               &(struct volume_request){.op = VOLUME_AGENT_RENAME, .path = from, .other = to}, &r,
               NULL, e);
}

static int remove_tree(struct volume_store *v, const struct volume_ref *ref, struct str path,
                       unsigned flags, struct err *e)
{
    struct volume_request q = {
        .op = VOLUME_AGENT_REMOVE, .path = path, .flags = VOLUME_RECURSIVE | flags};
    struct volume_reply r = {0};

    return ask(v, ref, &q, &r, NULL, e) == 0 || e->kind == ERR_NOT_FOUND ? 0 : -1;
}

int volume_remove(struct volume_store *v, const struct volume_ref *ref, struct str path,
                  struct err *e)
{
    return remove_tree(v, ref, path, 0, e);
}

int volume_discard(struct volume_store *v, const struct volume_ref *ref, struct str path,
                   struct err *e)
{
    return remove_tree(v, ref, path, VOLUME_UNSYNCED, e);
}

/* --- files that the server writes --- */

int volume_file_new(struct volume_store *v, const struct volume_ref *ref, struct volume_new *out,
                    struct err *e)
{
    struct volume_request q = {.op = VOLUME_AGENT_UPLOAD_OPEN, .flags = VOLUME_CREATE};
    struct volume_reply r = {0};

    *out = (struct volume_new){.fd = -1};
    memcpy(out->name, "own-", 4);
    random_name(out->name + 4, 20);
    q.other = str_of(out->name);
    if (ask(v, ref, &q, &r, &out->fd, e) < 0) {
        return -1;
    }
    out->inode = r.file.inode;
    return 0;
}

int volume_file_keep(struct volume_store *v, const struct volume_ref *ref,
                     const struct volume_new *n, struct str path, uint64_t size_bytes,
                     struct err *e)
{
    const struct volume_whole whole = {path, n->name, n->inode, size_bytes, .of_user = false};
    struct volume_info i;
    unsigned created;

    if (fdatasync(n->fd) < 0) {
        return err_sys(e, "write %s to disk", Q(path));
    }
    return volume_path_check(path, VOLUME_PATH_BELOW_ROOT, e) < 0 ||
                   volume_row_find(v, ref->project_id, ref->name, &i, e) < 0
               ? -1
               : volume_commit(v, &i, &whole, &created, e);
}

void volume_file_drop(struct volume_store *v, const struct volume_ref *ref,
                      const struct volume_new *n)
{
    struct volume_request q = {.op = VOLUME_AGENT_UPLOAD_DROP, .other = str_of(n->name)};
    struct volume_reply r = {0};
    struct err ignored; /* then the sweep of old uploads takes it */

    (void)!ask(v, ref, &q, &r, NULL, &ignored);
}

void volume_file_done(struct volume_new *n)
{
    closep(&n->fd);
}
