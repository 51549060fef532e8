#include "net/parse.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct http_header headers[LIMIT_HEADERS];
static const char *why;

/* The status it is refused with, 0 when it is taken. */
static int parse(const char *text, struct http_head *h)
{
    struct str in = str_of(text);
    size_t scanned = 0;
    ssize_t len = http_head_scan(in, &scanned, &why);

    *h = (struct http_head){.headers = headers, .max_headers = LIMIT_HEADERS};
    if (len <= 0) {
        return len == 0 ? -1 : (int)-len;
    }
    return -http_head_parse(str_first(in, (size_t)len), h, &why);
}

static void a_head_is_taken_apart(void **state)
{
    struct http_head h;

    (void)state;
    assert_int_equal(parse("PUT /a?b HTTP/1.1\r\nHost: h:80\r\nContent-Length: 12\r\n"
                           "Expect: 100-continue\r\nX-Y: \t z \r\n\r\nrest",
                           &h),
                     0);
    assert_int_equal(h.method, HTTP_PUT);
    assert_true(str_eq_c(h.target, "/a?b"));
    assert_true(str_eq_c(h.host, "h:80"));
    assert_int_equal(h.content_length, 12);
    assert_true(h.expects_continue && h.keep_alive && !h.chunked);
    assert_int_equal(h.n_headers, 4);
    assert_true(str_eq_c(h.headers[3].value, "z"));
}

static void an_incomplete_head_asks_for_more(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    size_t scanned = 0;

    (void)state;
    for (size_t n = 1; n < sizeof(text) - 1; n++) {
        assert_int_equal(http_head_scan(str_n(text, n), &scanned, &why), 0);
        assert_int_equal(scanned <= n, 1);
    }
    assert_int_equal(http_head_scan(str_n(text, sizeof(text) - 1), &scanned, &why),
                     sizeof(text) - 1);
}

static void close_wins_over_keep_alive(void **state)
{
    struct http_head h;

    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                           "Connection: keep-alive\r\n\r\n",
                           &h),
                     0);
    assert_false(h.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", &h), 0);
    assert_true(h.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &h), 0);
    assert_false(h.keep_alive);
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET / HTTP/1.1\nHost: h\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"},
        {400,
         "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999999999999\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
        {400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {417, "GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n"},
        {505, "GET / HTTP/3.0\r\nHost: h\r\n\r\n"},
    };
    struct http_head h;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(parse(cases[i].text, &h), cases[i].status);
        assert_non_null(why);
    }
}

static void one_header_more_than_the_limit_is_refused(void **state)
{
    struct buf b = BUF_MAX(64 * KIB);
    struct http_head h;

    (void)state;
    (void)buf_add_c(&b, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 1; i < LIMIT_HEADERS; i++) {
        (void)buf_add_c(&b, "A: b\r\n");
    }
    (void)buf_add_c(&b, "\r\n");
    assert_int_equal(parse(b.p, &h), 0);
    b.len -= 2;
    (void)buf_add_c(&b, "A: b\r\n\r\n");
    assert_int_equal(parse(b.p, &h), 431);
    buf_done(&b);
}

static void a_head_larger_than_the_limit_is_refused(void **state)
{
    size_t size = LIMIT_HEAD_BYTES, scanned = 0;
    char *text = malloc(size + 4);

    (void)state;
    memset(text, 'a', size + 4);
    assert_int_equal(http_head_scan(str_n(text, size - 1), &scanned, &why), 0);
    assert_int_equal(http_head_scan(str_n(text, size), &scanned, &why), -431);
    memcpy(text + size, "\r\n\r\n", 4);
    scanned = 0;
    assert_int_equal(http_head_scan(str_n(text, size + 4), &scanned, &why), -431);
    free(text);
}

static void hosts_are_checked(void **state)
{
    static const char *const good[] = {
        "h", "a.b-c_d", "h:80", "h:", "[::1]", "[::1]:65535", "1.2.3.4"};
    static const char *const bad[] = {"",     "h:65536", "h:x", "a b",    "a/b", "u@h",
                                      "[::1", "[]",      "::1", "[::1]x", "a,b", "h:80:81"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(http_host_valid(str_of(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(http_host_valid(str_of(bad[i])));
    }
}

/* The payload, or NULL when the framing is refused or the end is not reached. */
static char *decode(const char *text, char out[64])
{
    struct chunk_decoder d = {0};
    struct str in = str_of(text), data;
    size_t used, len = 0;

    while (d.state != CHUNK_DONE && in.len > 0) {
        if (chunk_next(&d, in, 64, &used, &data) < 0) {
            return NULL;
        }
        memcpy(out + len, data.p, data.len);
        len += data.len;
        in = str_from(in, used);
    }
    out[len] = '\0';
    return d.state == CHUNK_DONE ? out : NULL;
}

static void chunks_become_payload(void **state)
{
    char out[64];

    (void)state;
    assert_string_equal(decode("5\r\nhello\r\n0\r\n\r\n", out), "hello");
    assert_string_equal(decode("1;a=\"b\"\r\nx\r\n00A\r\n0123456789\r\n000\r\nT: v\r\n\r\n", out),
                        "x0123456789");
    assert_string_equal(decode("0\r\n\r\n", out), "");
}

static void bad_chunks_are_refused(void **state)
{
    static const char *const bad[] = {
        "\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1 \r\nx\r\n",
        "1\nx\r\n",
        "1\r\nxx\r\n",
        "1\r\nx\n",
        "ffffffffffffffff0\r\n",
        "8000000000000000\r\n",
        "0\r\n x\r\n\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\nx: \n\r\n",
        "1;\x01\r\nx\r\n",
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_null(decode(bad[i], out));
    }
}

static void a_chunk_is_handed_out_in_the_pieces_asked_for(void **state)
{
    struct chunk_decoder d = {0};
    struct str in = STR("6\r\nabcdef\r\n"), data;
    size_t used;

    (void)state;
    assert_int_equal(chunk_next(&d, in, 4, &used, &data), 0);
    assert_true(str_eq_c(data, "abcd"));
    assert_int_equal(used, 7);
    chunk_took(&d, 2); /* straight from the socket */
    assert_int_equal(d.state, CHUNK_DATA_CR);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_head_is_taken_apart),
        cmocka_unit_test(an_incomplete_head_asks_for_more),
        cmocka_unit_test(close_wins_over_keep_alive),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(one_header_more_than_the_limit_is_refused),
        cmocka_unit_test(a_head_larger_than_the_limit_is_refused),
        cmocka_unit_test(hosts_are_checked),
        cmocka_unit_test(chunks_become_payload),
        cmocka_unit_test(bad_chunks_are_refused),
        cmocka_unit_test(a_chunk_is_handed_out_in_the_pieces_asked_for),
    };

    return cmocka_run_group_tests(all, NULL, NULL);
}
