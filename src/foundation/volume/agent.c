#include "volume/agent.h"

#include "base/mem.h"

static int dispatch(struct volume_agent *a, const struct volume_request *q, struct buf *rows,
                    struct volume_reply *reply, int *fd, struct err *e)
{
    switch (q->op) {
    case VOLUME_AGENT_OPEN_READ:
        return volume_op_open_read(a, q, reply, fd, e);
    case VOLUME_AGENT_STAT:
        return volume_op_stat(a, q, reply, e);
    case VOLUME_AGENT_LIST:
        return volume_op_list(a, q, rows, reply, e);
    case VOLUME_AGENT_READ_DIR:
        return volume_op_read_dir(a, q, rows, reply, e);
    case VOLUME_AGENT_READ_LINK:
        return volume_op_read_link(a, q, rows, reply, e);
    case VOLUME_AGENT_MAKE_DIR:
        return volume_op_make_dir(a, q, reply, e);
    case VOLUME_AGENT_RENAME:
        return volume_op_rename(a, q, e);
    case VOLUME_AGENT_REMOVE:
        return volume_op_remove(a, q, reply, e);
    case VOLUME_AGENT_UPLOAD_OPEN:
        return volume_op_upload_open(a, q, reply, fd, e);
    case VOLUME_AGENT_UPLOAD_COMMIT:
        return volume_op_upload_commit(a, q, reply, e);
    case VOLUME_AGENT_UPLOAD_DROP:
        return volume_op_upload_drop(a, q, e);
    case VOLUME_AGENT_SWEEP_UPLOADS:
        return volume_op_sweep_uploads(a, q, reply, e);
    case VOLUME_AGENT_SWEEP_TRASH:
        return volume_op_sweep_trash(a, reply, e);
    case VOLUME_AGENT_USAGE:
        return volume_op_usage(a, reply, e);
    case VOLUME_AGENT_OP_COUNT:
        break;
    }
    return err_set(e, ERR_INTERNAL, "unknown operation");
}

/* One request, one reply. */
static int answer(struct volume_agent *a, int sock, struct str packet, struct buf *rows,
                  struct buf *out, struct err *e)
{
    struct volume_request q;
    struct volume_reply reply = {0};
    struct err failed = {0};
    SCOPED(closep) int fd = -1;

    buf_clear(rows);
    buf_clear(out);
    if (volume_request_get(packet, &q, &failed) < 0 ||
        dispatch(a, &q, rows, &reply, &fd, &failed) < 0) {
        reply = (struct volume_reply){.err = failed};
        reply.err.kind = failed.kind == ERR_NONE ? ERR_INTERNAL : failed.kind;
    }
    volume_reply_put(out, &reply);
    return volume_packet_send(sock, buf_str(out), fd, e);
}

static int serve(struct volume_agent *a, int sock, struct err *e)
{
    struct buf in = BUF_MAX(VOLUME_PACKET_MAX), out = BUF_MAX(VOLUME_PACKET_MAX);
    struct buf rows = BUF_MAX(VOLUME_PACKET_MAX - 1024);
    int rc;

    do {
        SCOPED(closep) int stray = -1; /* nobody sends us descriptors */

        rc = volume_packet_receive(sock, &in, &stray, e);
        if (rc > 0 && answer(a, sock, buf_str(&in), &rows, &out, e) < 0) {
            rc = -1;
        }
    } while (rc > 0);
    buf_done(&in);
    buf_done(&out);
    buf_done(&rows);
    return rc;
}

static int say_ready(int sock, struct err *e)
{
    struct buf b = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_reply ready = {0};
    int rc;

    volume_reply_put(&b, &ready);
    rc = volume_packet_send(sock, buf_str(&b), -1, e);
    buf_done(&b);
    return rc;
}

int volume_agent_serve(int sock, int root, struct err *e)
{
    struct volume_agent a = {.root = root};
    struct stat st;
    int rc;

    if (fstat(root, &st) < 0) {
        return err_sys(e, "look at the volume");
    }
    a.root_dev = st.st_dev;
    a.root_inode = st.st_ino;
    rc = say_ready(sock, e) < 0 ? -1 : serve(&a, sock, e);
    volume_walk_done(&a.walk);
    return rc;
}
