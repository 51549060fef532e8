#include "helper/helper.h"
#include "helper/helper_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a helper in a process of its own, with operations made for these tests --- */

/* ROOTFS_UNPACK: the payload back. */
static int op_echo(void *ctx UNUSED, struct helper_request *q, struct str payload, int fd UNUSED,
                   struct err *e UNUSED)
{
    helper_answer(q, payload, -1);
    return 0;
}

/* ROOTFS_REMOVE: an error with an errno. */
static int op_fail(void *ctx UNUSED, struct helper_request *q UNUSED, struct str payload,
                   int fd UNUSED, struct err *e)
{
    errno = ENOSPC;
    return err_sys(e, "layer %.*s", STR_ARG(payload));
}

static int work_upper(void *ctx, int fd, struct buf *reply, struct err *e)
{
    char *text = ctx;
    char from_file[16] = {0};

    if (strcmp(text, "fail") == 0) {
        return err_set(e, ERR_CONFLICT, "work failed on purpose");
    }
    if (strcmp(text, "die") == 0) {
        (void)raise(SIGKILL);
    }
    if (strcmp(text, "exit") == 0) {
        _exit(7);
    }
    if (strcmp(text, "flood") == 0) {
        while (!reply->failed) {
            (void)buf_add(reply, STR("more and more"));
        }
        return 0;
    }
    if (strcmp(text, "hang") == 0) {
        (void)pause();
    }
    if (fd >= 0 && pread(fd, from_file, sizeof(from_file) - 1, 0) < 0) {
        return err_sys(e, "read");
    }
    /* Nothing but 0-2, the kept one and the result pipe is open. */
    for (int other = 3; other < 256; other++) {
        struct stat st;

        if (other != fd && fcntl(other, F_GETFD) >= 0 &&
            (fstat(other, &st) < 0 || !S_ISFIFO(st.st_mode))) {
            return err_set(e, ERR_INTERNAL, "fd %d is open in the child", other);
        }
    }
    (void)buf_printf(reply, "%s%s", text, from_file);
    return 0;
}

static int after_mark(void *ctx UNUSED, struct buf *reply, struct err *e UNUSED)
{
    return buf_add_c(reply, "+after");
}

/* CONTAINER_START: what a child makes of it. An event tells that work which never ends is there. */
static int op_fork(void *ctx UNUSED, struct helper_request *q, struct str payload, int fd,
                   struct err *e)
{
    if (str_eq(payload, STR("hang"))) {
        helper_emit(helper_request_server(q), HELPER_EVENT_CONTAINER_EXITED, STR("hangs"));
    }
    return helper_fork(q, fd, work_upper, after_mark, str_dup(payload), free, e);
}

/* CONTAINER_SIGNAL: two events before the answer. */
static int op_emit(void *ctx UNUSED, struct helper_request *q, struct str payload, int fd UNUSED,
                   struct err *e UNUSED)
{
    helper_emit(helper_request_server(q), HELPER_EVENT_CONTAINER_EXITED, payload);
    helper_emit(helper_request_server(q), HELPER_EVENT_CONTAINER_EXITED, STR("second"));
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

/* CONTAINER_LIST: a pipe's reading end; its writing end gets a line. */
static int op_pipe(void *ctx UNUSED, struct helper_request *q, struct str payload UNUSED,
                   int fd UNUSED, struct err *e)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    (void)!write(ends[1], "line", 4);
    helper_answer(q, STR("pipe"), ends[0]);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

/* CONTAINER_STATS: answers when a watched pipe becomes readable. */
struct later {
    struct helper_request *q;
    int ends[2];
};

static void later_ready(void *ctx, int fd)
{
    struct later *w = ctx;

    helper_unwatch(helper_request_server(w->q), fd);
    helper_answer(w->q, STR("later"), -1);
    (void)close(w->ends[0]);
    (void)close(w->ends[1]);
    free(w);
}

static int op_later(void *ctx UNUSED, struct helper_request *q, struct str payload UNUSED,
                    int fd UNUSED, struct err *e)
{
    struct later *w = xnew(struct later);

    w->q = q;
    if (pipe2(w->ends, O_CLOEXEC) < 0 ||
        helper_watch(helper_request_server(q), w->ends[0], later_ready, w, e) < 0) {
        return err_set(e, ERR_IO, "pipe");
    }
    (void)!write(w->ends[1], "x", 1);
    return 0;
}

/* VOLUME_CREATE: the helper itself dies. */
static int op_die(void *ctx UNUSED, struct helper_request *q UNUSED, struct str payload UNUSED,
                  int fd UNUSED, struct err *e UNUSED)
{
    _exit(9);
}

/* VOLUME_DELETE: is the descriptor a plain read-only file? */
static int op_check(void *ctx UNUSED, struct helper_request *q, struct str payload UNUSED, int fd,
                    struct err *e)
{
    if (helper_fd_check(fd, e) < 0) {
        return -1;
    }
    helper_answer(q, STR("fine"), -1);
    return 0;
}

static const struct helper_operation operations[] = {
    {HELPER_ROOTFS_UNPACK, op_echo, NULL},   {HELPER_ROOTFS_REMOVE, op_fail, NULL},
    {HELPER_CONTAINER_START, op_fork, NULL}, {HELPER_CONTAINER_SIGNAL, op_emit, NULL},
    {HELPER_CONTAINER_LIST, op_pipe, NULL},  {HELPER_CONTAINER_STATS, op_later, NULL},
    {HELPER_VOLUME_CREATE, op_die, NULL},    {HELPER_VOLUME_DELETE, op_check, NULL},
};

struct pair {
    pid_t pid;
    struct helper_client *client;
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t more; /* with lock: an event came */
    size_t n_events;
    struct buf events;
};

static void on_event(void *ctx, enum helper_event event, struct str payload)
{
    struct pair *p = ctx;

    (void)pthread_mutex_lock(&p->lock);
    (void)buf_printf(&p->events, "[%d:%.*s]", (int)event, STR_ARG(payload));
    p->n_events++;
    (void)pthread_cond_broadcast(&p->more);
    (void)pthread_mutex_unlock(&p->lock);
}

static void wait_events(struct pair *p, size_t n)
{
    (void)pthread_mutex_lock(&p->lock);
    while (p->n_events < n) {
        (void)pthread_cond_wait(&p->more, &p->lock);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void serve(int fd)
{
    struct err e = {0};
    struct helper_server *s = helper_server_new(fd, operations, ARRAY_LEN(operations), &e);
    int rc = s == NULL || helper_server_run(s, &e) < 0;

    helper_server_free(s);
    _exit(rc);
}

static pid_t fork_helper(int *fd)
{
    int ends[2];
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        serve(ends[1]);
    }
    (void)close(ends[1]);
    *fd = ends[0];
    return pid;
}

static int start(void **state)
{
    struct pair *p = xnew(struct pair);
    int fd;

    p->pid = fork_helper(&fd);
    p->events = BUF_MAX(65536);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->more, NULL);
    p->client = helper_client_new(fd, on_event, p);
    *state = p;
    return 0;
}

static int stop(void **state)
{
    struct pair *p = *state;
    int status = 0;

    helper_client_free(p->client);
    if (p->pid > 0) {
        assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
        assert_true(WIFEXITED(status));
    }
    buf_done(&p->events);
    (void)pthread_cond_destroy(&p->more);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
    return 0;
}

/* Calls and compares the answer with `want`, or the error's sentence with it. */
static void expect(struct pair *p, enum helper_op op, const char *payload, int fd, const char *want)
{
    struct buf reply = BUF_MAX(1 << 20);
    struct err e = {0};

    if (helper_call(p->client, op, str_of(payload), fd, &reply, NULL, &e) < 0) {
        assert_string_equal(e.msg, want);
    } else {
        assert_string_equal(reply.p ? reply.p : "", want);
    }
    buf_done(&reply);
}

static void fields_come_back_as_they_were_put(void **state UNUSED)
{
    struct buf b = BUF_MAX(1024);
    struct wire_reader r;
    struct err e = {0};
    char name[8];

    wire_put_u64(&b, 0xfedcba9876543210ULL);
    wire_put_str(&b, STR("a\0b"));
    wire_put_str(&b, STR("seven77"));
    r = (struct wire_reader){buf_str(&b), false};
    assert_true(wire_get_u64(&r) == 0xfedcba9876543210ULL);
    assert_true(str_eq(wire_get_str(&r), STR("a\0b")));
    wire_get_name(&r, name, sizeof(name));
    assert_string_equal(name, "seven77");
    assert_int_equal(wire_end(&r, &e), 0);
    buf_done(&b);
}

static void short_long_and_nul_fields_are_refused(void **state UNUSED)
{
    struct buf b = BUF_MAX(1024);
    struct wire_reader r;
    struct err e = {0};
    char name[8];

    wire_put_str(&b, STR("eight888"));
    r = (struct wire_reader){buf_str(&b), false};
    wire_get_name(&r, name, sizeof(name));
    assert_string_equal(name, "");
    assert_int_equal(wire_end(&r, &e), -1);

    buf_clear(&b);
    wire_put_str(&b, STR("a\0b"));
    r = (struct wire_reader){buf_str(&b), false};
    wire_get_name(&r, name, sizeof(name));
    assert_true(r.failed);

    r = (struct wire_reader){str_first(buf_str(&b), b.len - 1), false};
    assert_true(str_eq(wire_get_str(&r), STR_EMPTY));
    assert_int_equal(wire_end(&r, &e), -1);
    assert_true(wire_get_u64(&r) == 0);

    r = (struct wire_reader){buf_str(&b), false};
    assert_int_equal(wire_end(&r, &e), -1);
    assert_string_equal(e.msg, "message has 7 bytes too many");
    buf_done(&b);
}

static void ids_are_lower_case_letters_digits_and_dashes(void **state UNUSED)
{
    char sixty_five[66];

    memset(sixty_five, 'a', 65);
    sixty_five[65] = '\0';
    assert_true(helper_id_ok(STR("a")));
    assert_true(helper_id_ok(STR("j-0123456789abcdefghijklmnopqrstuvwxyz")));
    assert_true(helper_id_ok(str_n(sixty_five, 64)));
    assert_false(helper_id_ok(str_of(sixty_five)));
    assert_false(helper_id_ok(STR("")));
    assert_false(helper_id_ok(STR("..")));
    assert_false(helper_id_ok(STR("a/b")));
    assert_false(helper_id_ok(STR("A")));
    assert_false(helper_id_ok(STR("a\0")));
}

static void an_answer_comes_back(void **state)
{
    expect(*state, HELPER_ROOTFS_UNPACK, "hello", -1, "hello");
    expect(*state, HELPER_ROOTFS_UNPACK, "", -1, "");
}

static void an_error_comes_back_as_it_was(void **state)
{
    struct pair *p = *state;
    struct err e = {0};

    assert_int_equal(helper_call(p->client, HELPER_ROOTFS_REMOVE, STR("abc"), -1, NULL, NULL, &e),
                     -1);
    assert_int_equal(e.kind, ERR_NO_SPACE);
    assert_int_equal(e.sys, ENOSPC);
    assert_string_equal(e.msg, "layer abc: No space left on device");
}

static void an_operation_without_a_row_is_unsupported(void **state)
{
    char want[64];

    (void)snprintf(want, sizeof(want), "the helper does not serve operation %d", HELPER_HOST_CHECK);
    expect(*state, HELPER_HOST_CHECK, "", -1, want);
}

static void large_payloads_travel_in_a_memfd_both_ways(void **state)
{
    struct pair *p = *state;
    static const size_t sizes[] = {HELPER_INLINE_BYTES, HELPER_INLINE_BYTES + 1,
                                   HELPER_PAYLOAD_MAX};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf big = BUF_MAX(HELPER_PAYLOAD_MAX), reply = BUF_MAX(HELPER_PAYLOAD_MAX);
        struct err e = {0};
        char *at = buf_reserve(&big, sizes[i]);

        for (size_t k = 0; k < sizes[i]; k++) {
            at[k] = (char)(k * 31 >> 3);
        }
        big.len = sizes[i];
        assert_int_equal(
            helper_call(p->client, HELPER_ROOTFS_UNPACK, buf_str(&big), -1, &reply, NULL, &e), 0);
        assert_true(str_eq(buf_str(&big), buf_str(&reply)));
        buf_done(&big);
        buf_done(&reply);
    }
}

static void a_payload_past_the_ceiling_is_refused(void **state)
{
    struct pair *p = *state;
    char *big = xcalloc(1, HELPER_PAYLOAD_MAX + 1);
    struct err e = {0};

    assert_int_equal(helper_call(p->client, HELPER_ROOTFS_UNPACK,
                                 str_n(big, HELPER_PAYLOAD_MAX + 1), -1, NULL, NULL, &e),
                     -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    free(big);
    expect(p, HELPER_ROOTFS_UNPACK, "still here", -1, "still here");
}

static void an_answer_larger_than_the_callers_buffer_is_a_limit_error(void **state)
{
    struct pair *p = *state;
    struct buf reply = BUF_MAX(3);
    struct err e = {0};

    assert_int_equal(
        helper_call(p->client, HELPER_ROOTFS_UNPACK, STR("four"), -1, &reply, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    buf_done(&reply);
}

static void an_answer_carries_a_descriptor(void **state)
{
    struct pair *p = *state;
    struct err e = {0};
    char line[8] = {0};
    int fd = -2;

    assert_int_equal(helper_call(p->client, HELPER_CONTAINER_LIST, STR_EMPTY, -1, NULL, &fd, &e),
                     0);
    assert_int_equal(read(fd, line, 7), 4);
    assert_string_equal(line, "line");
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    (void)close(fd);
    assert_int_equal(helper_call(p->client, HELPER_CONTAINER_LIST, STR_EMPTY, -1, NULL, NULL, &e),
                     0);
    assert_int_equal(helper_call(p->client, HELPER_ROOTFS_UNPACK, STR_EMPTY, -1, NULL, &fd, &e), 0);
    assert_int_equal(fd, -1);
}

static void only_plain_read_only_files_pass_the_check(void **state)
{
    int ends[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
                 dir = open("/", O_RDONLY | O_CLOEXEC), memory = memfd_create("rw", MFD_CLOEXEC),
                 path = open("/proc/self/exe", O_PATH | O_CLOEXEC);

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    expect(*state, HELPER_VOLUME_DELETE, "", file, "fine");
    expect(*state, HELPER_VOLUME_DELETE, "", dir, "the descriptor is not a regular file");
    expect(*state, HELPER_VOLUME_DELETE, "", ends[0], "the descriptor is not a regular file");
    expect(*state, HELPER_VOLUME_DELETE, "", memory, "the descriptor is not opened read-only");
    expect(*state, HELPER_VOLUME_DELETE, "", path, "the descriptor is not opened read-only");
    expect(*state, HELPER_VOLUME_DELETE, "", -1, "the message needs a descriptor and has none");
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(file);
    (void)close(dir);
    (void)close(memory);
    (void)close(path);
}

static void forked_work_answers_with_the_kept_descriptor(void **state)
{
    SCOPED(closep) int fd = memfd_create("kept", MFD_CLOEXEC);

    assert_int_equal(write(fd, " file", 5), 5);
    expect(*state, HELPER_CONTAINER_START, "text", fd, "text file+after");
    expect(*state, HELPER_CONTAINER_START, "text", -1, "text+after");
}

static void forked_work_that_fails_dies_or_floods_is_told_apart(void **state)
{
    expect(*state, HELPER_CONTAINER_START, "fail", -1, "work failed on purpose");
    expect(*state, HELPER_CONTAINER_START, "die", -1,
           "a child of the helper was ended by signal 9 (SIGKILL)");
    expect(*state, HELPER_CONTAINER_START, "exit", -1,
           "a child of the helper ended with code 7 before it answered");
    expect(*state, HELPER_CONTAINER_START, "flood", -1, "the answer is larger than 4194304 bytes");
}

static void *hang_main(void *arg)
{
    expect(arg, HELPER_CONTAINER_START, "hang", -1, "the helper process ended before it answered");
    return NULL;
}

static void waiting_calls_fail_when_the_helper_dies(void **state)
{
    struct pair *p = *state;
    pthread_t waiting[4];
    struct err e = {0};
    int status;

    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        assert_int_equal(pthread_create(&waiting[i], NULL, hang_main, p), 0);
    }
    wait_events(p, ARRAY_LEN(waiting));
    /* Long work does not hold up the others. */
    expect(p, HELPER_ROOTFS_UNPACK, "quick", -1, "quick");
    (void)kill(p->pid, SIGKILL);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        (void)pthread_join(waiting[i], NULL);
    }
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    p->pid = 0;
    assert_int_equal(helper_call(p->client, HELPER_ROOTFS_UNPACK, STR_EMPTY, -1, NULL, NULL, &e),
                     -1);
    assert_int_equal(e.kind, ERR_UNAVAILABLE);
}

static void the_caller_hears_when_the_helper_dies_of_its_call(void **state)
{
    struct pair *p = *state;
    int status;

    expect(p, HELPER_VOLUME_CREATE, "", -1, "the helper process ended before it answered");
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    p->pid = 0;
}

static void events_come_in_order_and_before_the_answer(void **state)
{
    struct pair *p = *state;

    expect(p, HELPER_CONTAINER_SIGNAL, "first", -1, "");
    assert_string_equal(p->events.p, "[0:first][0:second]");
}

static void a_watched_descriptor_answers_later(void **state)
{
    for (int i = 0; i < 20; i++) {
        expect(*state, HELPER_CONTAINER_STATS, "", -1, "later");
    }
}

static void *many_main(void *arg)
{
    for (int i = 0; i < 200; i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "%lx-%d", (unsigned long)pthread_self(), i);
        expect(arg, HELPER_ROOTFS_UNPACK, text, -1, text);
    }
    expect(arg, HELPER_CONTAINER_START, "t", -1, "t+after");
    return NULL;
}

static void many_threads_each_get_their_own_answer(void **state)
{
    pthread_t threads[8];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, many_main, *state), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static void sigterm_ends_the_helper_cleanly(void **state)
{
    struct pair *p = *state;
    int status;

    expect(p, HELPER_ROOTFS_UNPACK, "up", -1, "up");
    (void)kill(p->pid, SIGTERM);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_int_equal(status, 0);
    p->pid = 0;
}

/* --- a hostile server: raw packets --- */

static void send_raw(int fd, const void *p, size_t len, const int *fds, size_t n_fds)
{
    char control[CMSG_SPACE(16 * sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec iov = {(void *)p, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (n_fds > 0) {
        struct cmsghdr *c = (struct cmsghdr *)control;

        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    assert_true(sendmsg(fd, &m, MSG_NOSIGNAL) >= 0);
}

static void a_hostile_server_cannot_bring_the_helper_down(void **state UNUSED)
{
    int fd, status, rc, fds[16], ends[2];
    pid_t pid = fork_helper(&fd);
    char *huge = xcalloc(1, 120000), *room = xcalloc(1, FRAME_ROOM);
    struct frame f = {.kind = FRAME_CALL, .fd = -1}, in = {.fd = -1};
    unsigned char head[HELPER_HEAD_BYTES];
    struct err e = {0};

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (size_t i = 0; i < 16; i++) {
        fds[i] = ends[0];
    }
    send_raw(fd, "short", 5, NULL, 0);
    send_raw(fd, huge, 120000, NULL, 0); /* no kind, and cut off */
    send_raw(fd, huge, 16, fds, 16);     /* more descriptors than anyone takes */
    f.flags = FRAME_IN_MEMFD;            /* says memfd, brings a pipe */
    f.length = 100000;
    frame_put_head(&f, head);
    send_raw(fd, head, sizeof(head), fds, 1);
    send_raw(fd, head, sizeof(head), NULL, 0);
    f.length = 0xffffffff;
    frame_put_head(&f, head);
    send_raw(fd, head, sizeof(head), fds, 1);
    f.kind = FRAME_REPLY;
    f.flags = f.length = 0;
    frame_put_head(&f, head);
    send_raw(fd, head, sizeof(head), NULL, 0);
    /* A well-formed call is still answered, and it is the only one that was. */
    f = (struct frame){.kind = FRAME_CALL, .id = 77, .payload = STR("alive"), .fd = -1};
    assert_int_equal(frame_send(fd, &f, 0, &e), 0);
    rc = frame_receive(fd, room, 0, &in, &e);
    assert_int_equal(rc, 1);
    assert_int_equal(in.kind, FRAME_REPLY);
    assert_true(in.id == 77);
    assert_true(str_eq(in.payload, STR("alive")));
    frame_done(&in);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    free(huge);
    free(room);
}

static void an_unsealed_memfd_is_refused(void **state UNUSED)
{
    int fd, status, memory = memfd_create("soft", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    pid_t pid = fork_helper(&fd);
    struct frame f = {.kind = FRAME_CALL, .flags = FRAME_IN_MEMFD, .length = 100, .fd = -1};
    unsigned char head[HELPER_HEAD_BYTES];
    struct pollfd wait = {fd, POLLIN, 0};

    assert_int_equal(ftruncate(memory, 100), 0);
    frame_put_head(&f, head);
    send_raw(fd, head, sizeof(head), &memory, 1);
    (void)shutdown(fd, SHUT_WR);
    assert_int_equal(poll(&wait, 1, 10000), 1);
    assert_false(recv(fd, head, sizeof(head), MSG_DONTWAIT) > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(memory);
    (void)close(fd);
}

static void a_server_that_does_not_read_cannot_block_the_helper(void **state UNUSED)
{
    int fd, status;
    pid_t pid = fork_helper(&fd);
    char *big = xcalloc(1, 50000), *room = xcalloc(1, FRAME_ROOM);
    struct err e = {0};
    unsigned sent = 0, got = 0;

    /* Calls until nothing more is taken: answers wait in the helper, calls in the socket. */
    for (struct pollfd w = {fd, POLLOUT, 0}; poll(&w, 1, 200) == 1; sent++) {
        struct frame f = {.kind = FRAME_CALL, .id = sent, .payload = str_n(big, 50000), .fd = -1};

        if (frame_send(fd, &f, MSG_DONTWAIT, &e) < 0) {
            assert_int_equal(e.sys, EAGAIN);
            break;
        }
    }
    assert_true(sent > 2);
    while (got < sent) {
        struct frame in = {.fd = -1};

        assert_int_equal(frame_receive(fd, room, 0, &in, &e), 1);
        assert_true(in.id == got);
        got++;
        frame_done(&in);
    }
    (void)close(fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    free(big);
    free(room);
}

static void an_operation_that_is_there_twice_is_refused(void **state UNUSED)
{
    static const struct helper_operation twice[] = {{HELPER_HOST_CHECK, op_echo, NULL},
                                                    {HELPER_HOST_CHECK, op_echo, NULL}};
    struct err e = {0};
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_null(helper_server_new(ends[0], twice, 2, &e));
    assert_int_equal(e.kind, ERR_INTERNAL);
    (void)close(ends[1]);
}

#define WITH_HELPER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_back_as_they_were_put),
        cmocka_unit_test(short_long_and_nul_fields_are_refused),
        cmocka_unit_test(ids_are_lower_case_letters_digits_and_dashes),
        WITH_HELPER(an_answer_comes_back),
        WITH_HELPER(an_error_comes_back_as_it_was),
        WITH_HELPER(an_operation_without_a_row_is_unsupported),
        WITH_HELPER(large_payloads_travel_in_a_memfd_both_ways),
        WITH_HELPER(a_payload_past_the_ceiling_is_refused),
        WITH_HELPER(an_answer_larger_than_the_callers_buffer_is_a_limit_error),
        WITH_HELPER(an_answer_carries_a_descriptor),
        WITH_HELPER(only_plain_read_only_files_pass_the_check),
        WITH_HELPER(forked_work_answers_with_the_kept_descriptor),
        WITH_HELPER(forked_work_that_fails_dies_or_floods_is_told_apart),
        WITH_HELPER(waiting_calls_fail_when_the_helper_dies),
        WITH_HELPER(the_caller_hears_when_the_helper_dies_of_its_call),
        WITH_HELPER(events_come_in_order_and_before_the_answer),
        WITH_HELPER(a_watched_descriptor_answers_later),
        WITH_HELPER(many_threads_each_get_their_own_answer),
        WITH_HELPER(sigterm_ends_the_helper_cleanly),
        cmocka_unit_test(a_hostile_server_cannot_bring_the_helper_down),
        cmocka_unit_test(an_unsealed_memfd_is_refused),
        cmocka_unit_test(a_server_that_does_not_read_cannot_block_the_helper),
        cmocka_unit_test(an_operation_that_is_there_twice_is_refused),
    };

    return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
