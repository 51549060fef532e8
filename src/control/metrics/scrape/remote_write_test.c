#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "scrape/proto.h"
#include "scrape/remote_out.h"
#include "scrape/remote_write.h"
#include "scrape/snappy.h"
#include "tsdb/tsdb.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct err e;
static char dir[64];
static struct tsdb *db;
static const int64_t now = 1700000000000;
static size_t max_series = 2;

/* Which of the threads that are started now are refused: "bit 1" is the second. */
static _Atomic unsigned refused_threads;

int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    create *real = NULL;
    void *found = dlsym(RTLD_NEXT, "pthread_create");
    unsigned refused = refused_threads;

    refused_threads = refused >> 1;
    memcpy(&real, &found, sizeof(found));
    return (refused & 1) != 0 ? EAGAIN : real(t, attr, fn, arg);
}

static int open_store(void **state UNUSED)
{
    struct tsdb_options o = {.block_ms = 7200000, .max_series = max_series};

    (void)snprintf(dir, sizeof(dir), "/tmp/write-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    db = tsdb_open(dir, &o, &e);
    assert_non_null(db);
    return 0;
}

static int close_store(void **state UNUSED)
{
    tsdb_close(db);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
    return 0;
}

/* A message in `to` as field `number`. */
static void wrap(struct buf *to, unsigned number, struct buf *inner)
{
    proto_put_bytes(to, number, buf_str(inner));
    buf_done(inner);
}

static void put_sample(struct buf *series, double v, int64_t ts)
{
    struct buf s = BUF_MAX(100);

    proto_put_double(&s, 1, v);
    proto_put_int(&s, 2, (uint64_t)ts);
    wrap(series, 2, &s);
}

static void put_v1(struct buf *request, const char *name, const char *job, double v, int64_t ts)
{
    struct buf series = BUF_MAX(1000), label = BUF_MAX(100);

    proto_put_bytes(&label, 1, STR(LABEL_NAME));
    proto_put_bytes(&label, 2, str_of(name));
    wrap(&series, 1, &label);
    label = BUF_MAX(100);
    proto_put_bytes(&label, 1, STR("job"));
    proto_put_bytes(&label, 2, str_of(job));
    wrap(&series, 1, &label);
    put_sample(&series, v, ts);
    wrap(request, 1, &series);
}

static struct remote_write_answer answer;

static const struct remote_write_owner nobody = {.label = {.name = {NULL, 0}}};

static int send_packed(struct str body, const char *type, const struct remote_write_owner *owner)
{
    return remote_write_take(db, str_of(type), STR("snappy"), body, owner, &answer, &e);
}

static int give(struct buf *request, const char *type)
{
    struct buf packed = BUF_MAX(100000);
    int rc;

    snappy_pack(buf_str(request), &packed);
    rc = send_packed(buf_str(&packed), type, &nobody);
    buf_done(&packed);
    buf_done(request);
    return rc;
}

static double stored(const char *name, const char *job)
{
    struct arena a = {0};
    struct tsdb_view *v = tsdb_view_open(db, now - 1000000, now + 1000000);
    struct label_matcher m[2];
    struct tsdb_found *found;
    struct tsdb_samples s = {0};
    size_t n;
    double value = -1;

    assert_int_equal(label_matcher_init(&m[0], &a, STR(LABEL_NAME), LABEL_IS, str_of(name), &e), 0);
    assert_int_equal(label_matcher_init(&m[1], &a, STR("job"), LABEL_IS, str_of(job), &e), 0);
    assert_int_equal(tsdb_select(v, m, 2, &a, &found, &n, &e), 0);
    if (n == 1) {
        assert_int_equal(tsdb_read(v, &found[0], now - 1000000, now + 1000000, &s, &e), 0);
        value = s.len > 0 ? s.v[s.len - 1] : -1;
    }
    tsdb_samples_done(&s);
    tsdb_view_close(v);
    arena_done(&a);
    return value;
}

static void version_1_is_stored(void **state UNUSED)
{
    struct buf r = BUF_MAX(10000);

    put_v1(&r, "a", "x", 1.5, now);
    put_v1(&r, "b", "x", 2.5, now);
    assert_int_equal(give(&r, "application/x-protobuf"), 0);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.samples, 2);
    assert_true(!answer.is_v2);
    assert_true(stored("a", "x") == 1.5 && stored("b", "x") == 2.5);
}

static void version_2_is_stored_and_counted(void **state UNUSED)
{
    static const char *const symbols[] = {"", LABEL_NAME, "a", "job", "x"};
    struct buf r = BUF_MAX(10000), series = BUF_MAX(1000);

    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        proto_put_bytes(&r, 4, str_of(symbols[i]));
    }
    proto_put_bytes(&series, 1, STR("\1\2\3\4"));
    put_sample(&series, 7, now);
    put_sample(&series, 8, now + 1000);
    wrap(&r, 5, &series);
    assert_int_equal(give(&r, "application/x-protobuf;proto=io.prometheus.write.v2.Request"), 0);
    assert_true(answer.is_v2);
    assert_int_equal(answer.samples, 2);
    assert_true(stored("a", "x") == 8);
    r = BUF_MAX(10000);
    series = BUF_MAX(1000);
    proto_put_bytes(&r, 4, STR(""));
    proto_put_bytes(&series, 1, STR("\1\2"));
    wrap(&r, 5, &series);
    assert_int_equal(give(&r, "application/x-protobuf;proto=io.prometheus.write.v2.Request"), -1);
    assert_int_equal(answer.status, 400);
}

static void a_writer_cannot_say_he_is_another(void **state UNUSED)
{
    struct buf r = BUF_MAX(10000), packed = BUF_MAX(10000);
    struct label l = {STR("job"), STR("mine")};

    put_v1(&r, "a", "theirs", 1, now);
    snappy_pack(buf_str(&r), &packed);
    assert_int_equal(
        send_packed(buf_str(&packed), "application/x-protobuf", &(struct remote_write_owner){l, 2}),
        0);
    assert_true(stored("a", "mine") == 1 && stored("a", "theirs") == -1);
    buf_done(&r);
    buf_done(&packed);
}

static void what_is_wrong_has_its_status(void **state UNUSED)
{
    struct buf r = BUF_MAX(10000);

    put_v1(&r, "a", "x", 1, now);
    assert_int_equal(give(&r, "text/plain"), -1);
    assert_int_equal(answer.status, 415);
    assert_int_equal(remote_write_take(db, STR("application/x-protobuf"), STR("gzip"), STR("x"),
                                       &nobody, &answer, &e),
                     -1);
    assert_int_equal(answer.status, 415);
    assert_int_equal(send_packed(STR("\xff\xff\xff\xff\xff"), "application/x-protobuf", &nobody),
                     -1);
    assert_int_equal(answer.status, 400);
    r = BUF_MAX(10000);
    put_v1(&r, "", "x", 1, now);
    assert_int_equal(give(&r, "application/x-protobuf"), -1);
    assert_int_equal(answer.status, 400);
    r = BUF_MAX(10000);
    put_v1(&r, "a", "x", 1, now);
    put_v1(&r, "b", "x", 1, now);
    put_v1(&r, "c", "x", 1, now); /* one series too many: the others are taken */
    assert_int_equal(give(&r, "application/x-protobuf"), -1);
    assert_int_equal(answer.status, 400);
    assert_int_equal(answer.samples, 2);
    assert_non_null(strstr(e.msg, "too many series"));
    assert_true(stored("a", "x") == 1);
    r = BUF_MAX(10000);
    put_v1(&r, "a", "x", 2, now);
    assert_int_equal(give(&r, "application/x-protobuf"), -1);
    assert_int_equal(answer.status, 400);
}

static void snappy_packs_and_unpacks(void **state UNUSED)
{
    struct buf text = BUF_MAX(1 << 20), packed = BUF_MAX(1 << 20), back = BUF_MAX(1 << 20);

    for (int i = 0; i < 20000; i++) {
        (void)buf_printf(&text, "series_%d;", i % 97);
    }
    snappy_pack(buf_str(&text), &packed);
    assert_true(packed.len * 4 < text.len);
    assert_int_equal(snappy_unpack(buf_str(&packed), &back, &e), 0);
    assert_true(str_eq(buf_str(&text), buf_str(&back)));
    buf_clear(&back);
    assert_int_equal(snappy_unpack(STR("\x05\x10hell"), &back, &e), -1);
    assert_int_equal(snappy_unpack(STR("\xff\xff\xff\xff\x0f"), &back, &e), -1);
    buf_done(&text);
    buf_done(&packed);
    buf_done(&back);
}

/* --- out: a peer that is another store of ours behind a socket --- */

static struct {
    int fd;
    unsigned port;
    _Atomic unsigned refuses; /* so many requests, with `status` */
    _Atomic int status;
    _Atomic uint64_t largest; /* of what was packed in the requests */
    pthread_t thread;
    struct tsdb *store;
    char dir[64];
} peer;

static void answer_one(int c)
{
    struct buf in = BUF_MAX(64 << 20);
    struct remote_write_answer took;
    const char *body = NULL, *head;
    uint64_t whole = 0;
    struct str packed;
    size_t length = 0;
    struct err why;
    char text[128];

    while (body == NULL || (size_t)(in.p + in.len - body) < length) {
        char *room = buf_reserve(&in, 65536);
        ssize_t got = room != NULL ? read(c, room, 65536) : -1;

        if (got <= 0) {
            break;
        }
        in.len += (size_t)got;
        in.p[in.len] = '\0';
        body = memmem(in.p, in.len, "\r\n\r\n", 4);
        body = body != NULL ? body + 4 : NULL;
        head = strstr(in.p, "Content-Length: ");
        length = head != NULL ? (size_t)strtoul(head + 16, NULL, 10) : 0;
    }
    took.status = peer.status;
    packed = str_n(body, body != NULL ? length : 0);
    if (proto_varint(&packed, &whole) > 0 && whole > peer.largest) {
        peer.largest = whole;
    }
    if (peer.refuses > 0) {
        peer.refuses--;
    } else if (body != NULL) {
        const char *v2 = strstr(in.p, "proto=io.prometheus.write.v2.Request");

        if (remote_write_take(peer.store,
                              v2 != NULL ? STR("application/x-protobuf;"
                                               "proto=io.prometheus.write.v2.Request")
                                         : STR("application/x-protobuf"),
                              STR("snappy"), str_n(body, length), &nobody, &took, &why) < 0) {
            (void)fprintf(stderr, "%s\n", why.msg);
        }
    }
    (void)snprintf(text, sizeof(text),
                   "HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", took.status);
    (void)!write(c, text, strlen(text));
    buf_done(&in);
}

static void *serve(void *ctx UNUSED)
{
    int c;

    while ((c = accept4(peer.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        answer_one(c);
        (void)close(c);
    }
    return NULL;
}

static int open_peer(void **state)
{
    struct tsdb_options o = {.block_ms = 7200000, .max_series = 1000};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    (void)snprintf(peer.dir, sizeof(peer.dir), "/tmp/peer-test-XXXXXX");
    assert_non_null(mkdtemp(peer.dir));
    peer.store = tsdb_open(peer.dir, &o, &e);
    assert_non_null(peer.store);
    peer.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer.fd, (struct sockaddr *)(void *)&a, sizeof(a)), 0);
    assert_int_equal(listen(peer.fd, 16), 0);
    assert_int_equal(getsockname(peer.fd, (struct sockaddr *)(void *)&a, &len), 0);
    peer.port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&peer.thread, NULL, serve, NULL), 0);
    max_series = 1000;
    return open_store(state);
}

static int close_peer(void **state)
{
    (void)shutdown(peer.fd, SHUT_RDWR);
    (void)close(peer.fd);
    (void)pthread_join(peer.thread, NULL);
    tsdb_close(peer.store);
    assert_int_equal(fs_remove_tree(AT_FDCWD, peer.dir, &e), 0);
    max_series = 2;
    return close_store(state);
}

/* One sample of "out" a moment ago, here. */
static void put_here(double v)
{
    struct label l[] = {{STR(LABEL_NAME), STR("out")}, {STR("job"), STR("x")}};
    struct tsdb_appender *a = tsdb_appender_new(db);

    assert_int_equal(tsdb_append(a, tsdb_series(a, (struct labels){l, 2}), clock_wall_ms(), v),
                     TSDB_TAKEN);
    assert_int_equal(tsdb_commit(a, TSDB_SOON, &e), 0);
    tsdb_appender_free(a);
}

/* Series of that label that the peer has. */
static size_t series_there(const char *name, const char *value)
{
    struct arena a = {0};
    int64_t wall = clock_wall_ms();
    struct tsdb_view *v = tsdb_view_open(peer.store, wall - 600000, wall + 10000);
    struct label_matcher m;
    struct tsdb_found *found;
    size_t n;

    assert_int_equal(label_matcher_init(&m, &a, str_of(name), LABEL_IS, str_of(value), &e), 0);
    assert_int_equal(tsdb_select(v, &m, 1, &a, &found, &n, &e), 0);
    tsdb_view_close(v);
    arena_done(&a);
    return n;
}

static double newest_there(void)
{
    struct arena a = {0};
    int64_t wall = clock_wall_ms();
    struct tsdb_view *v = tsdb_view_open(peer.store, wall - 600000, wall + 10000);
    struct label_matcher m;
    struct tsdb_found *found;
    struct tsdb_samples s = {0};
    size_t n;
    double value = -1;

    assert_int_equal(label_matcher_init(&m, &a, STR("dc"), LABEL_IS, STR("here"), &e), 0);
    assert_int_equal(tsdb_select(v, &m, 1, &a, &found, &n, &e), 0);
    if (n == 1) {
        assert_int_equal(tsdb_read(v, &found[0], wall - 600000, wall + 10000, &s, &e), 0);
        value = s.len > 0 ? s.v[s.len - 1] : -1;
    }
    tsdb_samples_done(&s);
    tsdb_view_close(v);
    arena_done(&a);
    return value;
}

static void rest(void)
{
    struct timespec t = {.tv_nsec = 10000000};

    (void)nanosleep(&t, NULL);
}

static void until_there(double v)
{
    int64_t deadline = clock_mono_ms() + 20000;

    while (newest_there() != v) {
        assert_true(clock_mono_ms() < deadline);
        rest();
    }
}

static struct remote_out *send_out(const char *message, struct config **c)
{
    char path[128], text[512];
    struct remote_out_options o = {.db = db};
    struct remote_out *r;

    (void)snprintf(path, sizeof(path), "%s/out.yml", peer.dir);
    (void)snprintf(text, sizeof(text),
                   "global: {external_labels: {dc: here}}\nremote_write:\n"
                   "- url: http://127.0.0.1:%u/w\n  name: out\n  protobuf_message: %s\n"
                   "  queue_config: {batch_send_deadline: 10ms, retry_on_http_429: true}\n",
                   peer.port, message);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, str_of(text), 0600, &e), 0);
    *c = config_read(path, NULL, NULL, &e);
    if (*c == NULL) {
        fail_msg("%s", e.msg);
    }
    o.config = *c;
    o.write = (*c)->writes;
    r = remote_out_start(&o, &e);
    assert_non_null(r);
    return r;
}

static uint64_t counted(struct remote_out *r, size_t offset)
{
    struct arena a = {0};
    struct remote_out_counts c = remote_out_counts(r, &a);
    uint64_t v;

    memcpy(&v, (const char *)&c + offset, sizeof(v));
    arena_done(&a);
    return v;
}

#define COUNTED(r, what) counted(r, offsetof(struct remote_out_counts, what))

static void samples_arrive_after_trouble_and_restarts(void **state UNUSED)
{
    struct config *c;
    struct remote_out *r = send_out("prometheus.WriteRequest", &c);

    put_here(1);
    until_there(1);
    peer.status = 503;
    peer.refuses = 3;
    put_here(2);
    until_there(2);
    assert_true(COUNTED(r, retries) >= 3);
    remote_out_stop(r);
    config_unref(c);
    put_here(3); /* while nobody sends */
    r = send_out("io.prometheus.write.v2.Request", &c);
    until_there(3);
    assert_int_equal(COUNTED(r, dropped), 0);
    peer.status = 400;
    peer.refuses = 1;
    put_here(4);
    while (COUNTED(r, dropped) == 0) {
        rest();
    }
    put_here(5);
    until_there(5);
    remote_out_stop(r);
    config_unref(c);
}

static void names_of_peers_outlive_them(void **state UNUSED)
{
    struct arena a = {0};
    struct config *c;
    struct remote_out *r = send_out("prometheus.WriteRequest", &c);
    struct remote_out_counts counts = remote_out_counts(r, &a);

    remote_out_stop(r);
    config_unref(c);
    assert_true(str_eq_c(counts.name, "out"));
    arena_done(&a);
}

static void a_writer_without_threads_tries_again(void **state UNUSED)
{
    struct config *c;
    struct remote_out *r;

    refused_threads = 6; /* the reader is started, those who send are not, twice */
    r = send_out("prometheus.WriteRequest", &c);
    put_here(1);
    until_there(1);
    assert_int_equal(refused_threads, 0);
    assert_int_equal(COUNTED(r, shards), 1);
    remote_out_stop(r);
    config_unref(c);
}

static void long_names_do_not_make_long_requests(void **state UNUSED)
{
    enum { WIDE = 320, VALUE = 60000 };
    static char value[VALUE];
    struct tsdb_appender *a = tsdb_appender_new(db);
    int64_t deadline = clock_mono_ms() + 60000;
    struct config *c;
    struct remote_out *r = send_out("io.prometheus.write.v2.Request", &c);

    for (unsigned i = 0; i < WIDE; i++) {
        struct label l[] = {{STR(LABEL_NAME), STR("wide")}, {STR("v"), str_n(value, VALUE)}};

        memset(value, 'a' + (int)(i % 26), VALUE);
        memcpy(value, &(char[]){(char)('a' + i / 26), '.'}, 2);
        assert_int_equal(tsdb_append(a, tsdb_series(a, (struct labels){l, 2}), clock_wall_ms(), 1),
                         TSDB_TAKEN);
    }
    peer.largest = 0;
    assert_int_equal(tsdb_commit(a, TSDB_SOON, &e), 0);
    tsdb_appender_free(a);
    while (series_there(LABEL_NAME, "wide") < WIDE) {
        assert_true(clock_mono_ms() < deadline);
        rest();
    }
    assert_in_range(peer.largest, 1, (16 << 20) + 2 * VALUE);
    remote_out_stop(r);
    config_unref(c);
}

#define IN_A_STORE(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

#define WITH_A_PEER(f) cmocka_unit_test_setup_teardown(f, open_peer, close_peer)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_STORE(version_1_is_stored),
        IN_A_STORE(version_2_is_stored_and_counted),
        IN_A_STORE(a_writer_cannot_say_he_is_another),
        IN_A_STORE(what_is_wrong_has_its_status),
        cmocka_unit_test(snappy_packs_and_unpacks),
        WITH_A_PEER(samples_arrive_after_trouble_and_restarts),
        WITH_A_PEER(names_of_peers_outlive_them),
        WITH_A_PEER(a_writer_without_threads_tries_again),
        WITH_A_PEER(long_names_do_not_make_long_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
