#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "jobs/channel.h"

#include <string.h>

static int parse(struct str s, enum channel_version v, struct channel_message *m)
{
    struct err e;

    return channel_parse(s, v, m, &e);
}

static void the_first_byte_is_the_channel(void **arg UNUSED)
{
    struct channel_message m;

    assert_int_equal(parse(STR("\0ls\n"), CHANNEL_V4, &m), 0);
    assert_int_equal(m.channel, CHANNEL_IN);
    assert_true(str_eq_c(m.bytes, "ls\n"));
    assert_int_equal(parse(STR("\0"), CHANNEL_V5, &m), 0);
    assert_int_equal(m.bytes.len, 0);
}

static void a_size_has_two_sides_of_sixteen_bits(void **arg UNUSED)
{
    static const char *const bad[] = {"\4",
                                      "\4x",
                                      "\4[]",
                                      "\4{\"Width\":80}",
                                      "\4{\"Width\":-1,\"Height\":2}",
                                      "\4{\"Width\":65536,\"Height\":2}",
                                      "\4{\"Width\":\"80\",\"Height\":2}",
                                      "\4{\"Width\":1e9,\"Height\":2}"};
    struct channel_message m;
    char huge[400];

    assert_int_equal(parse(STR("\4{\"Width\":132,\"Height\":43}"), CHANNEL_V4, &m), 0);
    assert_int_equal(m.width, 132);
    assert_int_equal(m.height, 43);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(parse(str_of(bad[i]), CHANNEL_V5, &m), -1);
    }
    memset(huge, ' ', sizeof(huge));
    memcpy(huge, "\4{\"Width\":1,\"Height\":1}", 23);
    assert_int_equal(parse(str_n(huge, sizeof(huge)), CHANNEL_V5, &m), -1);
}

static void what_a_client_may_not_write_to_is_refused(void **arg UNUSED)
{
    static const unsigned char channels[] = {1, 2, 3, 5, 9, 128, 254};
    struct channel_message m;

    assert_int_equal(parse(STR(""), CHANNEL_V5, &m), -1);
    for (size_t i = 0; i < sizeof(channels); i++) {
        assert_int_equal(parse(str_n((const char *)&channels[i], 1), CHANNEL_V5, &m), -1);
    }
}

static void only_v5_closes_a_channel(void **arg UNUSED)
{
    struct channel_message m;

    assert_int_equal(parse(STR("\377\0"), CHANNEL_V5, &m), 0);
    assert_int_equal(m.channel, CHANNEL_CLOSE);
    assert_int_equal(m.closed, CHANNEL_IN);
    assert_int_equal(parse(STR("\377\0"), CHANNEL_V4, &m), -1);
    assert_int_equal(parse(STR("\377"), CHANNEL_V5, &m), -1);
    assert_int_equal(parse(STR("\377\0\0"), CHANNEL_V5, &m), -1);
    assert_int_equal(channel_version_of("v5.channel.k8s.io"), CHANNEL_V5);
    assert_int_equal(channel_version_of("v4.channel.k8s.io"), CHANNEL_V4);
}

static void expect_status(const struct channel_end *end, const char *want)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(1024);

    channel_status_put(&b, end);
    assert_int_equal(b.p[0], CHANNEL_STATUS);
    assert_string_equal(b.p + 1, want);
}

static void the_status_is_what_clients_of_kubernetes_read(void **arg UNUSED)
{
    expect_status(&(struct channel_end){.exit_code = 0},
                  "{\"metadata\":{},\"status\":\"Success\"}");
    expect_status(&(struct channel_end){.exit_code = 7, .message = "exit code 7"},
                  "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"exit code 7\","
                  "\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":"
                  "\"ExitCode\",\"message\":\"7\"}]}}");
    expect_status(&(struct channel_end){.reason = "Gone", .message = "the job has ended"},
                  "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"the job has ended\","
                  "\"reason\":\"Gone\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_byte_is_the_channel),
        cmocka_unit_test(a_size_has_two_sides_of_sixteen_bits),
        cmocka_unit_test(what_a_client_may_not_write_to_is_refused),
        cmocka_unit_test(only_v5_closes_a_channel),
        cmocka_unit_test(the_status_is_what_clients_of_kubernetes_read),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
