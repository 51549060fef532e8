#include "helper/helper_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Room for more descriptors than we take, so that too many are seen and not cut off. */
union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(8 * sizeof(int))];
};

void frame_done(struct frame *f)
{
    closep(&f->fd);
    buf_done(&f->big);
    *f = (struct frame){.fd = -1};
}

static void put_le(unsigned char *at, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) {
        at[i] = (unsigned char)(v >> (8 * i));
    }
}

static uint64_t get_le(const char *at, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++) {
        v |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return v;
}

void frame_put_head(const struct frame *f, unsigned char out[HELPER_HEAD_BYTES])
{
    out[0] = (unsigned char)f->kind;
    out[1] = (unsigned char)f->flags;
    put_le(out + 2, f->code, 2);
    put_le(out + 4, f->length, 4);
    put_le(out + 8, f->id, 8);
}

int frame_parse(struct str packet, struct frame *out, struct err *e)
{
    struct frame f = {.fd = -1};
    size_t inside;

    if (packet.len < HELPER_HEAD_BYTES) {
        return err_set(e, ERR_INVALID, "packet of %zu bytes has no head", packet.len);
    }
    inside = packet.len - HELPER_HEAD_BYTES;
    f.kind = (enum frame_kind)(unsigned char)packet.p[0];
    f.flags = (unsigned char)packet.p[1];
    f.code = (unsigned)get_le(packet.p + 2, 2);
    f.length = (uint32_t)get_le(packet.p + 4, 4);
    f.id = get_le(packet.p + 8, 8);
    if (f.kind < FRAME_CALL || f.kind >= FRAME_KINDS || f.flags > FRAME_FLAGS) {
        return err_set(e, ERR_INVALID, "packet of unknown kind %d, flags %u", (int)f.kind, f.flags);
    }
    if (f.flags & FRAME_IN_MEMFD ? inside != 0 || f.length > HELPER_PAYLOAD_MAX
                                 : inside != f.length) {
        return err_set(e, ERR_INVALID, "packet says %u bytes and brings %zu", f.length, inside);
    }
    if (!(f.flags & FRAME_IN_MEMFD)) {
        f.payload = str_from(packet, HELPER_HEAD_BYTES);
    }
    *out = f;
    return 0;
}

/* --- sending --- */

static int memfd_of(struct str payload, struct err *e)
{
    SCOPED(closep) int fd = memfd_create("strata-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        return err_sys(e, "memfd_create");
    }
    if (fs_write_all(fd, payload, e) < 0) {
        return -1;
    }
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        return err_sys(e, "seal a message");
    }
    return TAKE_FD(fd);
}

static int send_packet(int sock, struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds,
                       int flags, struct err *e)
{
    union control control = {0};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = n_iov};
    ssize_t n;

    if (n_fds > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
    }
    do {
        n = sendmsg(sock, &m, flags | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return 0;
    }
    err_sys(e, "send to the other end of the helper socket");
    if (e->sys == EPIPE || e->sys == ECONNRESET || e->sys == ENOTCONN) {
        e->kind = ERR_UNAVAILABLE;
    }
    return -1;
}

int frame_send(int sock, struct frame *f, int msg_flags, struct err *e)
{
    unsigned char head[HELPER_HEAD_BYTES];
    struct iovec iov[2] = {{head, sizeof(head)}, {(void *)f->payload.p, f->payload.len}};
    SCOPED(closep) int memfd = -1;
    int fds[HELPER_FDS_MAX];
    size_t n_fds = 0;

    if (f->payload.len > HELPER_PAYLOAD_MAX) {
        return err_set(e, ERR_LIMIT, "a helper message of %zu bytes is larger than %llu",
                       f->payload.len, HELPER_PAYLOAD_MAX);
    }
    f->length = (uint32_t)f->payload.len;
    f->flags = 0;
    if (f->payload.len > HELPER_INLINE_BYTES) {
        memfd = memfd_of(f->payload, e);
        if (memfd < 0) {
            return -1;
        }
        f->flags |= FRAME_IN_MEMFD;
        fds[n_fds++] = memfd;
        iov[1].iov_len = 0;
    }
    if (f->fd >= 0) {
        f->flags |= FRAME_HAS_FD;
        fds[n_fds++] = f->fd;
    }
    frame_put_head(f, head);
    return send_packet(sock, iov, iov[1].iov_len > 0 ? 2 : 1, fds, n_fds, msg_flags, e);
}

/* --- receiving --- */

/* Collects the descriptors of a packet; all of them, so that none leaks. */
static size_t take_fds(struct msghdr *m, int fds[8])
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < here; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (n < 8) {
                fds[n++] = fd;
            } else {
                (void)close(fd);
            }
        }
    }
    return n;
}

/* The seals promise that nobody changes the bytes while and after we read them. */
static int read_memfd(int fd, uint32_t length, struct buf *out, struct err *e)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    char *at;

    if (seals < 0 || (seals & SEALS) != SEALS) {
        return err_set(e, ERR_INVALID, "the payload is not in a sealed memfd");
    }
    if (fstat(fd, &st) < 0 || st.st_size != (off_t)length) {
        return err_set(e, ERR_INVALID, "the payload's memfd is not %u bytes long", length);
    }
    *out = BUF_MAX(HELPER_PAYLOAD_MAX);
    at = buf_reserve(out, length);
    for (size_t done = 0; at != NULL && done < length;) {
        ssize_t n = pread(fd, at + done, length - done, (off_t)done);

        if (n <= 0) {
            return err_set(e, ERR_INVALID, "the payload's memfd cannot be read");
        }
        done += (size_t)n;
    }
    out->len = at ? length : 0;
    return 0;
}

static int adopt_fds(struct frame *f, int *fds, size_t n_fds, struct err *e)
{
    size_t want = (f->flags & FRAME_IN_MEMFD ? 1 : 0) + (f->flags & FRAME_HAS_FD ? 1 : 0);

    if (n_fds != want) {
        return err_set(e, ERR_INVALID, "packet says %zu descriptors and brings %zu", want, n_fds);
    }
    if (f->flags & FRAME_IN_MEMFD) {
        if (read_memfd(fds[0], f->length, &f->big, e) < 0) {
            return -1;
        }
        f->payload = buf_str(&f->big);
    }
    if (f->flags & FRAME_HAS_FD) {
        f->fd = TAKE_FD(fds[n_fds - 1]);
    }
    return 0;
}

static int accept_packet(struct str packet, const struct msghdr *m, int *fds, size_t n_fds,
                         struct frame *out, struct err *e)
{
    struct frame f = {.fd = -1};

    if (m->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        return err_set(e, ERR_INVALID, "packet is larger than the protocol allows");
    }
    if (frame_parse(packet, &f, e) < 0) {
        return -1;
    }
    if (adopt_fds(&f, fds, n_fds, e) < 0) {
        frame_done(&f);
        return -1;
    }
    *out = f;
    return 0;
}

int frame_receive(int sock, char *room, int msg_flags, struct frame *out, struct err *e)
{
    union control control;
    struct iovec iov = {room, FRAME_ROOM};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    int fds[8], rc;
    size_t n_fds;
    ssize_t n;

    do {
        n = recvmsg(sock, &m, msg_flags | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return err_sys(e, "receive from the helper socket");
    }
    n_fds = take_fds(&m, fds);
    if (n == 0 && n_fds == 0) {
        return 0;
    }
    rc = accept_packet(str_n(room, (size_t)n), &m, fds, n_fds, out, e);
    if (rc < 0) {
        e->sys = 0;
    }
    for (size_t i = 0; i < n_fds; i++) {
        closep(&fds[i]);
    }
    return rc < 0 ? -1 : 1;
}

/* --- errors --- */

void frame_put_err(struct buf *b, const struct err *e)
{
    wire_put_u64(b, (uint64_t)(uint32_t)e->sys);
    wire_put_str(b, str_of(e->msg));
}

void frame_get_err(unsigned code, struct str payload, struct err *e)
{
    struct wire_reader r = {payload, false};
    struct err ignored;
    int sys = (int)wire_get_u64(&r);
    struct str msg = wire_get_str(&r);

    if (wire_end(&r, &ignored) < 0 || code == ERR_NONE || code >= ERR_KINDS) {
        err_set(e, ERR_INTERNAL, "the helper answered with an error that cannot be read");
        return;
    }
    err_set(e, (enum err_kind)code, "%.*s", STR_ARG(msg));
    e->sys = sys;
}
