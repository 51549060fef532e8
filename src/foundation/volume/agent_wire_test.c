#include "volume/agent_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

static void a_request_arrives_as_it_was_sent(void **state UNUSED)
{
    struct buf b = BUF_MAX(1024);
    struct volume_request in = {.op = VOLUME_AGENT_LIST,
                                .flags = VOLUME_BY_TIME | VOLUME_DESC,
                                .number = 7,
                                .path = STR("a/b"),
                                .other = STR("c"),
                                .key = -5,
                                .words = STR("two words")},
                          out;
    struct err e;

    volume_request_put(&b, &in);
    assert_int_equal(volume_request_get(buf_str(&b), &out, &e), 0);
    assert_int_equal(out.op, VOLUME_AGENT_LIST);
    assert_int_equal(out.flags, VOLUME_BY_TIME | VOLUME_DESC);
    assert_int_equal(out.number, 7);
    assert_int_equal(out.key, -5);
    assert_true(str_eq(out.words, in.words));
    assert_true(str_eq(out.path, in.path) && str_eq(out.other, in.other));
    for (size_t n = 0; n < b.len; n++) { /* every cut of it is refused */
        assert_int_equal(volume_request_get(str_n(b.p, n), &out, &e), -1);
    }
    (void)buf_add_c(&b, "x");
    assert_int_equal(volume_request_get(buf_str(&b), &out, &e), -1);
    buf_done(&b);
}

static void fields_that_an_operation_does_not_take_are_refused(void **state UNUSED)
{
    static const struct volume_request bad[] = {
        {VOLUME_AGENT_OP_COUNT, 0, 0, {"", 0}, {"", 0}, 0, 0, {"", 0}},
        {VOLUME_AGENT_STAT, VOLUME_REPLACE, 0, {"a", 1}, {"", 0}, 0, 0, {"", 0}},
        {VOLUME_AGENT_STAT, 0, 0, {"a", 1}, {"b", 1}, 0, 0, {"", 0}},
        {VOLUME_AGENT_USAGE, 0, 0, {"a", 1}, {"", 0}, 0, 0, {"", 0}},
        {VOLUME_AGENT_OPEN_READ, 0, 0, {"", 0}, {"", 0}, 0, 0, {"", 0}},
        {VOLUME_AGENT_OPEN_READ, 0, 0, {"../a", 4}, {"", 0}, 0, 0, {"", 0}},
        {VOLUME_AGENT_RENAME, 0, 0, {"a", 1}, {"/b", 2}, 0, 0, {"", 0}},
        {VOLUME_AGENT_UPLOAD_OPEN, VOLUME_CREATE, 0, {"", 0}, {"a/b", 3}, 0, 0, {"", 0}},
        {VOLUME_AGENT_UPLOAD_OPEN, VOLUME_CREATE, 0, {"", 0}, {"", 0}, 0, 0, {"", 0}},
        {VOLUME_AGENT_LIST, 0, 5, {"", 0}, {"a\0b", 3}, 0, 0, {"", 0}},
        {VOLUME_AGENT_STAT, 0, 0, {"a", 1}, {"", 0}, 1, 0, {"", 0}},
        {VOLUME_AGENT_STAT, 0, 0, {"a", 1}, {"", 0}, 0, 1, {"", 0}},
        {VOLUME_AGENT_READ_DIR, 0, 0, {"a", 1}, {"", 0}, 0, 0, {"w", 1}},
        {VOLUME_AGENT_READ_DIR, VOLUME_DESC, 0, {"a", 1}, {"", 0}, 0, 0, {"", 0}},
        {VOLUME_AGENT_READ_LINK, 0, 0, {"", 0}, {"", 0}, 0, 0, {"", 0}},
    };
    struct volume_request out;
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf b = BUF_MAX(1024);

        volume_request_put(&b, &bad[i]);
        assert_int_equal(volume_request_get(buf_str(&b), &out, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        buf_done(&b);
    }
}

static void a_reply_brings_its_rows(void **state UNUSED)
{
    struct buf rows = BUF_MAX(1024), b = BUF_MAX(2048);
    struct volume_row row = {STR("name"), {VOLUME_LINK, 5, 6, 7, -8, 0755}}, got;
    struct volume_reply in = {.flags = VOLUME_MORE, .first = 1, .second = 2}, out;
    struct err e;

    volume_row_put(&rows, &row);
    volume_row_put(&rows, &row);
    in.rows = buf_str(&rows);
    volume_reply_put(&b, &in);
    assert_int_equal(volume_reply_get(buf_str(&b), &out, &e), 0);
    assert_int_equal(out.flags, VOLUME_MORE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(volume_row_next(&out.rows, &got, &e), 1);
        assert_true(str_eq_c(got.name, "name"));
        assert_int_equal(got.file.type, VOLUME_LINK);
        assert_int_equal(got.file.changed_ns, -8);
    }
    assert_int_equal(volume_row_next(&out.rows, &got, &e), 0);
    buf_done(&rows);
    buf_done(&b);
}

static void an_error_comes_back_as_it_was(void **state UNUSED)
{
    struct buf b = BUF_MAX(2048);
    struct volume_reply in = {0}, out;
    struct err e;

    err_set(&in.err, ERR_NO_SPACE, "the disk is full");
    in.err.sys = 28;
    volume_reply_put(&b, &in);
    assert_int_equal(volume_reply_get(buf_str(&b), &out, &e), 0);
    assert_int_equal(out.err.kind, ERR_NO_SPACE);
    assert_int_equal(out.err.sys, 28);
    assert_string_equal(out.err.msg, "the disk is full");
    buf_done(&b);
}

static void a_row_with_a_slash_is_no_row(void **state UNUSED)
{
    struct buf rows = BUF_MAX(1024);
    struct volume_row row = {STR("../x"), {0}}, got;
    struct str rest;
    struct err e;

    volume_row_put(&rows, &row);
    rest = buf_str(&rows);
    assert_int_equal(volume_row_next(&rest, &got, &e), -1);
    buf_done(&rows);
}

static void a_packet_carries_one_descriptor(void **state UNUSED)
{
    struct buf b = BUF_MAX(VOLUME_PACKET_MAX);
    struct err e;
    int pair[2], fd;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(volume_packet_send(pair[0], STR("one"), 1, &e), 0);
    assert_int_equal(volume_packet_send(pair[0], STR("two"), -1, &e), 0);
    assert_int_equal(volume_packet_receive(pair[1], &b, &fd, &e), 1);
    assert_true(str_eq_c(buf_str(&b), "one"));
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(volume_packet_receive(pair[1], &b, &fd, &e), 1);
    assert_true(str_eq_c(buf_str(&b), "two"));
    assert_int_equal(fd, -1);
    (void)close(pair[0]);
    assert_int_equal(volume_packet_receive(pair[1], &b, &fd, &e), 0);
    assert_int_equal(volume_packet_send(pair[1], STR("x"), -1, &e), -1);
    assert_int_equal(e.kind, ERR_UNAVAILABLE);
    (void)close(pair[1]);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_arrives_as_it_was_sent),
        cmocka_unit_test(fields_that_an_operation_does_not_take_are_refused),
        cmocka_unit_test(a_reply_brings_its_rows),
        cmocka_unit_test(an_error_comes_back_as_it_was),
        cmocka_unit_test(a_row_with_a_slash_is_no_row),
        cmocka_unit_test(a_packet_carries_one_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
