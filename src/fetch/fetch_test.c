#include "base/mem.h"
#include "fetch/fetch.h"

#include <arpa/inet.h>
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

/* A peer that reads one head and says what it was told to say. */
struct peer {
    int fd;
    unsigned port;
    const char *says;
    pthread_t thread;
    char heard[4096];
};

static void *serve(void *ctx)
{
    struct peer *p = ctx;
    int c = accept(p->fd, NULL, NULL);
    size_t n = 0;

    while (c >= 0 && n + 1 < sizeof(p->heard) && strstr(p->heard, "\r\n\r\n") == NULL) {
        ssize_t got = read(c, p->heard + n, sizeof(p->heard) - 1 - n);

        if (got <= 0) {
            break;
        }
        n += (size_t)got;
        p->heard[n] = '\0';
    }
    if (c >= 0) {
        (void)!write(c, p->says, strlen(p->says));
        (void)close(c);
    }
    return NULL;
}

static void peer_open(struct peer *p, const char *says)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    *p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .says = says};
    assert_int_equal(bind(p->fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(p->fd, 1), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&at, &len), 0);
    p->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void peer_close(struct peer *p)
{
    (void)shutdown(p->fd, SHUT_RDWR);
    (void)pthread_join(p->thread, NULL);
    (void)close(p->fd);
}

static int get(const struct peer *p, const struct fetch_options *o, struct fetch_request q,
               struct fetch_answer *out)
{
    SCOPED(fetch_freep) struct fetch *f = fetch_new(o, &e);
    char url[64];

    assert_non_null(f);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", p->port);
    q.method = q.method ? q.method : "GET";
    q.url = url;
    return fetch_do(f, &q, out, &e);
}

static const struct fetch_options anywhere;

static void an_answer_has_status_headers_and_body(void **state UNUSED)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    struct peer p;

    peer_open(&p, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nRETRY-after:  7 \r\n\r\nnone");
    assert_int_equal(get(&p, &anywhere,
                         (struct fetch_request){.headers = {{"X-Ours", "yes"}}, .n_headers = 1},
                         &a),
                     0);
    peer_close(&p);
    assert_int_equal(a.status, 404);
    assert_true(str_eq_c(buf_str(&a.body), "none"));
    assert_true(str_eq_c(fetch_answer_header(&a, "content-length"), "4"));
    assert_null(fetch_answer_header(&a, "X-None").p);
    assert_int_equal(fetch_retry_after(&a, 1, 60), 7);
    assert_int_equal(fetch_retry_after(&a, 1, 5), 5);
    assert_non_null(strstr(p.heard, "X-Ours: yes\r\n"));
}

static int add(void *ctx, struct str piece, struct err *err)
{
    struct buf *b = ctx;

    return buf_add(b, piece) < 0 ? err_set(err, ERR_LIMIT, "too much") : 0;
}

static void a_sink_takes_what_succeeded_only(void **state UNUSED)
{
    SCOPED(fetch_answer_done) struct fetch_answer good = {0}, bad = {0}, long_one = {0};
    struct buf b = BUF_MAX(16);
    struct peer p;

    peer_open(&p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes");
    assert_int_equal(get(&p, &anywhere, (struct fetch_request){.sink = add, .ctx = &b}, &good), 0);
    peer_close(&p);
    assert_true(str_eq_c(buf_str(&b), "bytes"));
    peer_open(&p, "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nwrong");
    assert_int_equal(get(&p, &anywhere, (struct fetch_request){.sink = add, .ctx = &b}, &bad), 0);
    peer_close(&p);
    assert_int_equal(b.len, 5);
    assert_true(str_eq_c(buf_str(&bad.body), "wrong"));
    peer_open(&p, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789");
    assert_int_equal(get(&p, &anywhere, (struct fetch_request){.sink = add, .ctx = &b}, &long_one),
                     -1);
    peer_close(&p);
    assert_string_equal(e.msg, "too much");
    buf_done(&b);
}

static void what_is_cut_short_is_no_answer(void **state UNUSED)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    struct peer p;

    peer_open(&p, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nbytes");
    assert_int_equal(get(&p, &anywhere, (struct fetch_request){.answer_max = 1000}, &a), -1);
    peer_close(&p);
    assert_int_equal(e.kind, ERR_UNAVAILABLE);
}

static void a_denied_address_is_not_connected_to(void **state UNUSED)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};
    SCOPED(fetch_freep) struct fetch *f = NULL;
    struct cidr denied[2];

    assert_int_equal(cidr_parse(STR("127.0.0.0/8"), &denied[0]), 0);
    assert_int_equal(cidr_parse(STR("::1"), &denied[1]), 0);
    f = fetch_new(&(struct fetch_options){.denied = denied, .n_denied = 2}, &e);
    assert_non_null(f);
    assert_int_equal(
        fetch_do(f, &(struct fetch_request){.method = "GET", .url = "http://localhost:9/"}, &a, &e),
        -1);
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_non_null(strstr(e.msg, "net.outbound_deny"));
}

/* Who is asked through a proxy is named in the URL alone. */
static void a_denied_address_is_not_asked_for_behind_a_proxy(void **state UNUSED)
{
    static const char *const urls[] = {"http://169.254.169.254/latest/", "http://2852039166/",
                                       "http://[::ffff:169.254.169.254]/", "http://0xa9fea9fe:80/"};
    SCOPED(fetch_freep) struct fetch *f = NULL;
    struct cidr denied;
    struct peer proxy;
    char at[64];

    assert_int_equal(cidr_parse(STR("169.254.0.0/16"), &denied), 0);
    f = fetch_new(&(struct fetch_options){.denied = &denied, .n_denied = 1}, &e);
    peer_open(&proxy, "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/x\r\n"
                      "Content-Length: 0\r\n\r\n");
    (void)snprintf(at, sizeof(at), "http://127.0.0.1:%u", proxy.port);
    assert_int_equal(setenv("http_proxy", at, 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        SCOPED(fetch_answer_done) struct fetch_answer a = {0};

        assert_int_equal(
            fetch_do(f, &(struct fetch_request){.method = "GET", .url = urls[i]}, &a, &e), -1);
        assert_int_equal(e.kind, ERR_FORBIDDEN);
    }
    assert_string_equal(proxy.heard, "");
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};

    assert_int_equal(fetch_do(f,
                              &(struct fetch_request){
                                  .method = "GET", .url = "http://far.example/x", .follows = true},
                              &a, &e),
                     -1);
    assert_int_equal(unsetenv("http_proxy"), 0);
    peer_close(&proxy);
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_non_null(strstr(proxy.heard, "GET http://far.example/x HTTP/1.1\r\n"));
}

static void wrong_addresses_and_headers_are_refused(void **state UNUSED)
{
    static const char *const urls[] = {"file:///etc/passwd", "gopher://x/", "http://",
                                       "no url at all"};
    SCOPED(fetch_freep) struct fetch *f = fetch_new(&anywhere, &e);

    assert_non_null(f);
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        SCOPED(fetch_answer_done) struct fetch_answer a = {0};

        assert_int_equal(
            fetch_do(f, &(struct fetch_request){.method = "GET", .url = urls[i]}, &a, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};

    assert_int_equal(fetch_do(f,
                              &(struct fetch_request){.method = "GET",
                                                      .url = "http://127.0.0.1:9/",
                                                      .headers = {{"X", "a\r\nY: b"}},
                                                      .n_headers = 1},
                              &a, &e),
                     -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_status_headers_and_body),
        cmocka_unit_test(a_sink_takes_what_succeeded_only),
        cmocka_unit_test(what_is_cut_short_is_no_answer),
        cmocka_unit_test(a_denied_address_is_not_connected_to),
        cmocka_unit_test(a_denied_address_is_not_asked_for_behind_a_proxy),
        cmocka_unit_test(wrong_addresses_and_headers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
