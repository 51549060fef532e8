/* Another process in a container, the server's end, and the packets between keeper and server. */
#include "runtime/runtime_priv.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- packets --- */

void exec_started_put(struct buf *b, const struct err *why)
{
    wire_put_u64(b, why ? why->kind : ERR_NONE);
    wire_put_str(b, why ? str_of(why->msg) : STR_EMPTY);
}

int exec_started_get(struct str packet, struct err *e)
{
    struct wire_reader r = {packet, false};
    uint64_t kind = wire_get_u64(&r);
    struct str why = wire_get_str(&r);
    struct err ignored;

    if (wire_end(&r, &ignored) < 0 || kind >= ERR_KINDS) {
        return err_set(e, ERR_INTERNAL, "the process's keeper cannot be understood");
    }
    return kind == ERR_NONE ? 0 : err_set(e, (enum err_kind)kind, "%.*s", STR_ARG(why));
}

void exec_end_put(struct buf *b, const struct runtime_exec_end *end)
{
    wire_put_u64(b, end->end);
    wire_put_u64(b, (uint64_t)end->code);
    wire_put_u64(b, end->container_is_ended);
}

int exec_end_get(struct str packet, struct runtime_exec_end *out, struct err *e)
{
    struct wire_reader r = {packet, false};
    uint64_t end = wire_get_u64(&r), code = wire_get_u64(&r), over = wire_get_u64(&r);

    if (wire_end(&r, e) < 0) {
        return -1;
    }
    if (end > RUNTIME_LOST || code > 255) {
        return err_set(e, ERR_INVALID, "end %llu %llu of a process", (unsigned long long)end,
                       (unsigned long long)code);
    }
    *out = (struct runtime_exec_end){(enum runtime_end)end, (int)code, over != 0};
    return 0;
}

/* --- receiving --- */

enum { FDS_MAX = 3 };

struct packet {
    char bytes[KEEPER_MESSAGE_MAX];
    size_t len;
    int fds[FDS_MAX];
    size_t n_fds;
};

static void take_fds(struct msghdr *m, struct packet *p)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            p->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(p->fds, CMSG_DATA(c), p->n_fds * sizeof(int)); /* the room is for FDS_MAX */
        }
    }
}

/* 1 a packet, 0 the keeper is gone, -1 none yet. */
static int receive(int keeper, struct packet *p)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control = {0};
    struct iovec iov = {p->bytes, sizeof(p->bytes)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(keeper, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    p->n_fds = 0;
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    }
    take_fds(&m, p);
    p->len = (size_t)n;
    return n > 0;
}

int runtime_exec_end_read(int keeper, struct runtime_exec_end *out)
{
    struct packet p;
    struct err ignored;
    int rc = receive(keeper, &p);

    for (size_t i = 0; i < p.n_fds; i++) {
        (void)close(p.fds[i]);
    }
    if (rc < 0) {
        return 0;
    }
    if (rc == 0 || exec_end_get(str_n(p.bytes, p.len), out, &ignored) < 0) {
        *out = (struct runtime_exec_end){.end = RUNTIME_LOST};
    }
    return 1;
}

/* --- starting --- */

/* The open file of each end is ours alone: the process does not see the flag. */
static int give_out(const struct packet *p, enum runtime_terminal terminal,
                    struct runtime_process *out, struct err *e)
{
    size_t want = terminal == RUNTIME_TTY ? 2 : 3;

    if (p->n_fds != want) {
        for (size_t i = 0; i < p->n_fds; i++) {
            (void)close(p->fds[i]);
        }
        return err_set(e, ERR_INTERNAL, "the process's keeper brings %zu descriptors", p->n_fds);
    }
    for (size_t i = 0; i < want; i++) {
        (void)fcntl(p->fds[i], F_SETFL, fcntl(p->fds[i], F_GETFL) | O_NONBLOCK);
    }
    out->in = p->fds[0];
    out->out = p->fds[1];
    out->err = want == 3 ? p->fds[2] : -1;
    return 0;
}

int exec_wait_for_start(int keeper, enum runtime_terminal terminal, struct runtime_process *out,
                        struct err *e)
{
    int64_t deadline = clock_mono_ms() + KEEPER_START_MS + 5000; /* it has its own */
    struct packet p;
    int rc;

    while ((rc = receive(keeper, &p)) < 0) {
        struct pollfd ready = {.fd = keeper, .events = POLLIN};
        int64_t left = deadline - clock_mono_ms();

        if (left <= 0) {
            return err_set(e, ERR_TIMEOUT, "the command did not begin to run within %d seconds",
                           KEEPER_START_MS / 1000);
        }
        (void)poll(&ready, 1, (int)left);
    }
    if (rc == 0) {
        return err_set(e, ERR_UNAVAILABLE, "the command's keeper ended before it ran: try again");
    }
    return exec_started_get(str_n(p.bytes, p.len), e) < 0 ? -1 : give_out(&p, terminal, out, e);
}
