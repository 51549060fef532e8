/* The engine from the inside: what handlers may get wrong, and streams that meet the end. */
#include "net/http.h"

#include "base/limits.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct http_server *server;
static struct err e;
static _Atomic int closed;

static int plain(struct http_req *r, struct err *err)
{
    http_set_header(r, "X-Kept", "%s-%d", "a", 1);
    return http_reply(r, 200, "text/plain", STR("ok"), err);
}

static int injects(struct http_req *r, struct err *err)
{
    http_set_header(r, "Location", "/x\r\nSet-Cookie: evil=1");
    return http_reply_empty(r, 303, err);
}

static int frames_itself(struct http_req *r, struct err *err)
{
    http_set_header(r, "Transfer-Encoding", "chunked");
    return http_reply_empty(r, 200, err);
}

static int answers_twice(struct http_req *r, struct err *err)
{
    if (http_reply_empty(r, 204, err) < 0) {
        return -1;
    }
    return http_reply_empty(r, 200, err);
}

static int forgets(struct http_req *r UNUSED, struct err *err UNUSED)
{
    return 0;
}

static int too_big(struct http_req *r, struct err *err)
{
    struct buf b = BUF_MAX(4);

    (void)buf_add_c(&b, "12345");
    if (http_reply_json(r, 200, &b, err) < 0) {
        buf_done(&b);
        return -1;
    }
    return 0;
}

static int forever(void *ctx UNUSED, struct buf *out UNUSED)
{
    return 1;
}

static void count_close(void *ctx UNUSED)
{
    (void)atomic_fetch_add(&closed, 1);
}

static const struct http_stream_ops ops = {forever, count_close};

static int parks(struct http_req *r, struct err *err)
{
    struct http_waker *w;

    if (http_park(r, "text/plain", &ops, NULL, 0, &w, err) < 0) {
        return -1;
    }
    http_wake(w); /* before the relay has it */
    return 0;
}

static int parks_and_fails(struct http_req *r, struct err *err)
{
    if (http_park(r, "text/plain", &ops, NULL, 0, NULL, err) < 0) {
        return -1;
    }
    return err_set(err, ERR_IO, "changed my mind");
}

static void own_errors(const struct http_req *r, int status, const struct err *err, struct buf *out)
{
    (void)buf_printf(out, "%d %s %s", status, r->error_code ? r->error_code : "-", err->msg);
}

static void own_challenge(struct http_req *r, enum perm perm, struct str project)
{
    http_set_header(r, "WWW-Authenticate", "Own %s %.*s", perm_name(perm), STR_ARG(project));
}

static const struct http_style style = {.error_body = own_errors, .challenge = own_challenge};
static const struct route routes[] = {
    {HTTP_GET, "/plain", PERM_PUBLIC, plain, "", .flags = 0},
    {HTTP_GET, "/injects", PERM_PUBLIC, injects, "", .flags = 0},
    {HTTP_GET, "/frames", PERM_PUBLIC, frames_itself, "", .flags = 0},
    {HTTP_GET, "/twice", PERM_PUBLIC, answers_twice, "", .flags = 0},
    {HTTP_GET, "/forgets", PERM_PUBLIC, forgets, "", .flags = 0},
    {HTTP_GET, "/big", PERM_PUBLIC, too_big, "", .flags = 0},
    {HTTP_GET, "/parks", PERM_PUBLIC, parks, "", .flags = 0},
    {HTTP_GET, "/fails", PERM_PUBLIC, parks_and_fails, "", .flags = 0},
    {HTTP_GET, "/v2/{repo...}/x", PERM_IMAGE_PULL, plain, "", .flags = 0},
    {0},
};
static const struct http_mount mount = {.routes = routes, .style = &style};

static int start(void **state)
{
    const struct http_options o = {.listen = STR("127.0.0.1:0"),
                                   .trusted_proxies = STR_EMPTY,
                                   .mounts = &mount,
                                   .n_mounts = 1};

    (void)state;
    log_set_level(LOG_ERROR - 1);
    server = http_server_open(&o, &e);
    return server && http_server_start(server, &e) == 0 ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_server_close(server);
    return 0;
}

static int dial(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void ask(int fd, const char *path)
{
    char text[128];
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path);

    assert_int_equal(write(fd, text, (size_t)n), n);
}

/* Everything until the connection ends; it is closed for writing first. */
static char *fetch(const char *path)
{
    static char text[8192];
    size_t len = 0;
    int fd = dial();
    ssize_t n;

    ask(fd, path);
    (void)shutdown(fd, SHUT_WR);
    while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    (void)close(fd);
    text[len] = '\0';
    return text;
}

static void a_handler_answers(void **state)
{
    char *text = fetch("/plain");

    (void)state;
    assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "\r\nX-Kept: a-1\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Length: 2\r\n"));
    assert_non_null(strstr(text, "\r\n\r\nok"));
}

static void a_line_break_in_a_header_is_never_sent(void **state)
{
    char *text = fetch("/injects");

    (void)state;
    assert_non_null(strstr(text, "HTTP/1.1 500 "));
    assert_null(strstr(text, "evil"));
    assert_non_null(strstr(fetch("/frames"), "HTTP/1.1 500 "));
}

static void mistakes_of_handlers_do_not_hang_the_client(void **state)
{
    (void)state;
    assert_non_null(strstr(fetch("/twice"), "HTTP/1.1 204 "));
    assert_non_null(strstr(fetch("/forgets"), "HTTP/1.1 500 "));
    assert_non_null(strstr(fetch("/big"), "HTTP/1.1 413 "));
}

static void a_mount_has_its_own_errors_and_challenges(void **state)
{
    char *text = fetch("/v2/a/b/x");

    (void)state;
    assert_non_null(strstr(text, "HTTP/1.1 401 "));
    assert_non_null(strstr(text, "\r\nWWW-Authenticate: Own image:pull a\r\n"));
    assert_non_null(strstr(text, "\r\n\r\n401 - nobody can sign in here"));
    assert_non_null(strstr(fetch("/v2/unknown"), "\r\n\r\n404 - there is nothing"));
}

static void a_stream_is_closed_once_when_the_server_ends(void **state)
{
    int fd[3];
    char c;

    assert_int_equal(start(state), 0);
    atomic_store(&closed, 0);
    for (int i = 0; i < 3; i++) {
        fd[i] = dial();
        ask(fd[i], "/parks");
        assert_int_equal(read(fd[i], &c, 1), 1);
    }
    http_server_drain(server, 5000);
    assert_int_equal(atomic_load(&closed), 3);
    http_server_close(server);
    assert_int_equal(atomic_load(&closed), 3);
    for (int i = 0; i < 3; i++) {
        (void)close(fd[i]);
    }
}

static void a_stream_is_closed_when_the_server_is_closed_without_drain(void **state)
{
    int fd;
    char c;

    assert_int_equal(start(state), 0);
    atomic_store(&closed, 0);
    fd = dial();
    ask(fd, "/parks");
    assert_int_equal(read(fd, &c, 1), 1);
    http_server_close(server);
    assert_int_equal(atomic_load(&closed), 1);
    (void)close(fd);
}

static void a_handler_may_fail_after_it_parked(void **state)
{
    assert_int_equal(start(state), 0);
    atomic_store(&closed, 0);
    (void)fetch("/fails");
    assert_int_equal(atomic_load(&closed), 1);
    http_server_close(server);
}

static void a_server_can_be_closed_before_it_starts(void **state)
{
    const struct http_options o = {.listen = STR("127.0.0.1:0"), .mounts = &mount, .n_mounts = 1};

    (void)state;
    server = http_server_open(&o, &e);
    assert_non_null(server);
    http_server_close(server);
    http_server_close(NULL);
}

static void a_list_in_a_header_is_read_with_its_weights(void **state)
{
    static const struct {
        const char *value;
        bool gzip;
    } rows[] = {
        {"gzip", true},
        {"deflate, GZIP;q=1.0, *;q=0.5", true},
        {"br , gzip ; q=0.001", true},
        {"*", true},
        {"gzip;q=0", false},
        {"gzip; q=0.000, deflate", false},
        {"gzip;level=1;q=0.", false},
        {"*;q=0", false},
        {"xgzip, deflate", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct http_header header = {STR("accept-encoding"), str_of(rows[i].value)};
        const struct http_req r = {.headers = &header, .n_headers = 1};

        if (http_takes(&r, "Accept-Encoding", "gzip") != rows[i].gzip) {
            fail_msg("%s", rows[i].value);
        }
    }
    assert_false(http_takes(&(struct http_req){0}, "Accept", "text/plain"));
}

int main(void)
{
    const struct CMUnitTest shared[] = {
        cmocka_unit_test(a_list_in_a_header_is_read_with_its_weights),
        cmocka_unit_test(a_handler_answers),
        cmocka_unit_test(a_line_break_in_a_header_is_never_sent),
        cmocka_unit_test(mistakes_of_handlers_do_not_hang_the_client),
        cmocka_unit_test(a_mount_has_its_own_errors_and_challenges),
    };
    const struct CMUnitTest own[] = {
        cmocka_unit_test(a_stream_is_closed_once_when_the_server_ends),
        cmocka_unit_test(a_stream_is_closed_when_the_server_is_closed_without_drain),
        cmocka_unit_test(a_handler_may_fail_after_it_parked),
        cmocka_unit_test(a_server_can_be_closed_before_it_starts),
    };
    int failed = cmocka_run_group_tests(shared, start, stop);

    return failed + cmocka_run_group_tests(own, NULL, NULL);
}
