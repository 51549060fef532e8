#include "volume/commit.h"

/* Twice: when no agent answered, the next one has first ended that one, so that it does what is
 * left to do, or finds that all was done. */
int volume_commit(struct volume_store *v, const struct volume_info *i, const struct volume_whole *w,
                  unsigned *created, struct err *e)
{
    struct volume_request q = {.op = VOLUME_AGENT_UPLOAD_COMMIT,
                               .number = w->inode,
                               .path = w->path,
                               .other = str_of(w->name),
                               .size_bytes = w->size_bytes,
                               .flags = w->of_user ? VOLUME_OF_USER : 0};
    SCOPED(buf_done) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_reply reply;
    int rc = volume_ask(v, i, &q, &packet, &reply, NULL, e);

    if (rc < 0 && reply.err.kind == ERR_NONE) {
        rc = volume_ask(v, i, &q, &packet, &reply, NULL, e);
    }
    if (rc < 0) {
        return -1;
    }
    *created = reply.flags & VOLUME_CREATED;
    return 0;
}

bool volume_commit_undone(struct volume_store *v, const struct volume_info *i, const char *name,
                          uint64_t inode)
{
    struct volume_request q = {
        .op = VOLUME_AGENT_UPLOAD_OPEN, .path = STR_EMPTY, .other = str_of(name)};
    SCOPED(buf_done) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    SCOPED(closep) int fd = -1;
    struct volume_reply reply;
    struct err ignored;

    return volume_ask(v, i, &q, &packet, &reply, &fd, &ignored) == 0 && reply.file.inode == inode;
}
