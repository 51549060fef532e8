#include "volume/agent_wire.h"

#include "volume/path.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Which fields each operation takes. */
enum use { NO, ROOT_TOO, BELOW, NAME, UPLOAD };
static const struct {
    enum use path, other;
    unsigned flags;
    const char *name;
} shapes[VOLUME_AGENT_OP_COUNT] = {
    [VOLUME_AGENT_OPEN_READ] = {BELOW, NO, VOLUME_NO_FOLLOW, "OPEN_READ"},
    [VOLUME_AGENT_STAT] = {ROOT_TOO, NO, 0, "STAT"},
    [VOLUME_AGENT_LIST] = {ROOT_TOO, NAME, VOLUME_BY_SIZE | VOLUME_BY_TIME | VOLUME_DESC, "LIST"},
    [VOLUME_AGENT_READ_DIR] = {ROOT_TOO, NO, VOLUME_ONLY_DIRS, "READ_DIR"},
    [VOLUME_AGENT_READ_LINK] = {BELOW, NO, 0, "READ_LINK"},
    [VOLUME_AGENT_MAKE_DIR] = {BELOW, NO, 0, "MAKE_DIR"},
    [VOLUME_AGENT_RENAME] = {BELOW, BELOW, VOLUME_REPLACE | VOLUME_OF_USER, "RENAME"},
    [VOLUME_AGENT_REMOVE] = {BELOW, NO, VOLUME_RECURSIVE | VOLUME_UNSYNCED, "REMOVE"},
    [VOLUME_AGENT_UPLOAD_OPEN] = {NO, UPLOAD, VOLUME_CREATE, "UPLOAD_OPEN"},
    [VOLUME_AGENT_UPLOAD_COMMIT] = {BELOW, UPLOAD, VOLUME_OF_USER, "UPLOAD_COMMIT"},
    [VOLUME_AGENT_UPLOAD_DROP] = {NO, UPLOAD, 0, "UPLOAD_DROP"},
    [VOLUME_AGENT_SWEEP_UPLOADS] = {NO, NO, 0, "SWEEP_UPLOADS"},
    [VOLUME_AGENT_SWEEP_TRASH] = {NO, NO, 0, "SWEEP_TRASH"},
    [VOLUME_AGENT_USAGE] = {NO, NO, 0, "USAGE"},
};

static int check_field(struct str s, enum use use, struct err *e)
{
    switch (use) {
    case ROOT_TOO:
        return volume_path_check(s, VOLUME_PATH_OR_ROOT, e);
    case BELOW:
        return volume_path_check(s, VOLUME_PATH_BELOW_ROOT, e);
    case NAME:
        return s.len > 255 || memchr(s.p, '\0', s.len) ? err_set(e, ERR_INVALID, "bad cursor") : 0;
    case UPLOAD:
        return volume_upload_name_ok(s) ? 0 : err_set(e, ERR_INVALID, "bad name of an upload");
    case NO:
        break;
    }
    return s.len == 0 ? 0 : err_set(e, ERR_INVALID, "a field that is not used is filled");
}

void volume_request_put(struct buf *b, const struct volume_request *q)
{
    wire_put_u64(b, q->op);
    wire_put_u64(b, q->flags);
    wire_put_u64(b, q->number);
    wire_put_str(b, q->path);
    wire_put_str(b, q->other);
    wire_put_u64(b, q->size_bytes);
    wire_put_u64(b, (uint64_t)q->key);
    wire_put_str(b, q->words);
}

int volume_request_get(struct str packet, struct volume_request *q, struct err *e)
{
    struct wire_reader r = {.rest = packet};
    uint64_t op = wire_get_u64(&r), flags = wire_get_u64(&r), number = wire_get_u64(&r);
    struct str path = wire_get_str(&r), other = wire_get_str(&r);
    uint64_t size_bytes = wire_get_u64(&r);
    int64_t key = (int64_t)wire_get_u64(&r);
    struct str words = wire_get_str(&r);

    if (wire_end(&r, e) < 0) {
        return -1;
    }
    if (op >= VOLUME_AGENT_OP_COUNT || (flags & ~(uint64_t)shapes[op].flags) != 0) {
        return err_set(e, ERR_INVALID, "unknown operation or flag");
    }
    if (check_field(path, shapes[op].path, e) < 0 || check_field(other, shapes[op].other, e) < 0) {
        return -1;
    }
    if ((size_bytes != 0 && op != VOLUME_AGENT_UPLOAD_COMMIT) ||
        ((key != 0 || words.len > 0) && op != VOLUME_AGENT_LIST)) {
        return err_set(e, ERR_INVALID, "a field that is not used is filled");
    }
    *q = (struct volume_request){
        (enum volume_agent_op)op, (unsigned)flags, number, path, other, size_bytes, key, words};
    return 0;
}

static void put_file(struct buf *b, const struct volume_file *f)
{
    wire_put_u64(b, f->type);
    wire_put_u64(b, f->size_bytes);
    wire_put_u64(b, f->inode);
    wire_put_u64(b, (uint64_t)f->modified_ns);
    wire_put_u64(b, (uint64_t)f->changed_ns);
    wire_put_u64(b, f->mode);
}

static void get_file(struct wire_reader *r, struct volume_file *f)
{
    uint64_t type = wire_get_u64(r), mode;

    f->size_bytes = wire_get_u64(r);
    f->inode = wire_get_u64(r);
    f->modified_ns = (int64_t)wire_get_u64(r);
    f->changed_ns = (int64_t)wire_get_u64(r);
    mode = wire_get_u64(r);
    r->failed = r->failed || type >= VOLUME_FILE_TYPES || mode > 07777 ||
                f->size_bytes > (uint64_t)INT64_MAX;
    f->type = r->failed ? VOLUME_OTHER : (enum volume_file_type)type;
    f->mode = r->failed ? 0 : (unsigned)mode;
}

void volume_reply_put(struct buf *b, const struct volume_reply *a)
{
    wire_put_u64(b, a->err.kind);
    wire_put_u64(b, (uint64_t)a->err.sys);
    wire_put_str(b, a->err.kind == ERR_NONE ? STR_EMPTY : str_of(a->err.msg));
    wire_put_u64(b, a->flags);
    wire_put_u64(b, a->first);
    wire_put_u64(b, a->second);
    put_file(b, &a->file);
    wire_put_str(b, a->rows);
}

int volume_reply_get(struct str packet, struct volume_reply *a, struct err *e)
{
    struct wire_reader r = {.rest = packet};
    struct volume_reply out = {0};
    uint64_t kind = wire_get_u64(&r), sys = wire_get_u64(&r), flags;

    wire_get_name(&r, out.err.msg, sizeof(out.err.msg));
    flags = wire_get_u64(&r);
    out.first = wire_get_u64(&r);
    out.second = wire_get_u64(&r);
    get_file(&r, &out.file);
    out.rows = wire_get_str(&r);
    if (wire_end(&r, e) < 0) {
        return err_wrap(e, "answer of the files agent");
    }
    if (kind >= ERR_KINDS || sys > 4095 || (flags & ~(uint64_t)VOLUME_FLAGS) != 0) {
        return err_set(e, ERR_INTERNAL, "answer of the files agent has unknown values");
    }
    out.err.kind = (enum err_kind)kind;
    out.err.sys = (int)sys;
    out.flags = (unsigned)flags;
    *a = out;
    return 0;
}

void volume_row_put(struct buf *b, const struct volume_row *row)
{
    wire_put_str(b, row->name);
    put_file(b, &row->file);
}

int volume_row_next(struct str *rows, struct volume_row *row, struct err *e)
{
    struct wire_reader r = {.rest = *rows};
    struct volume_row out = {0};

    if (rows->len == 0) {
        return 0;
    }
    out.name = wire_get_str(&r);
    get_file(&r, &out.file);
    if (r.failed || out.name.len == 0 || out.name.len > 255 ||
        memchr(out.name.p, '/', out.name.len) || memchr(out.name.p, '\0', out.name.len)) {
        return err_set(e, ERR_INTERNAL, "answer of the files agent has a broken row");
    }
    *rows = r.rest;
    *row = out;
    return 1;
}

/* --- packets --- */

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

int volume_packet_send(int sock, struct str packet, int fd, struct err *e)
{
    struct iovec iov = {(void *)packet.p, packet.len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control = {0};
    ssize_t n;

    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
    }
    do {
        n = sendmsg(sock, &m, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        err_sys(e, "send to the files agent");
        e->kind = ERR_UNAVAILABLE;
        return -1;
    }
    return 0;
}

int volume_packet_receive(int sock, struct buf *b, int *fd, struct err *e)
{
    struct iovec iov;
    union control control = {0};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c;
    ssize_t n;

    *fd = -1;
    buf_clear(b);
    iov = (struct iovec){buf_reserve(b, VOLUME_PACKET_MAX), VOLUME_PACKET_MAX};
    do {
        n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        err_sys(e, "receive from the other end of the agent's socket");
        e->kind = e->sys == EAGAIN ? ERR_TIMEOUT : ERR_UNAVAILABLE;
        return -1;
    }
    c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        memcpy(fd, CMSG_DATA(c), sizeof(int));
    }
    if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        if (*fd >= 0) {
            (void)close(TAKE_FD(*fd));
        }
        return err_set(e, ERR_INTERNAL, "a packet on the agent's socket is too large");
    }
    b->len = (size_t)n;
    return n > 0 ? 1 : 0;
}
