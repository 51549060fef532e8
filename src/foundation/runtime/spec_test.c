#include "runtime/runtime_priv.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHAIN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const args[] = {"/bin/sh", "-c", "echo hi", NULL};
static const char *const env[] = {"A=1", "B=", NULL};
static const char chains[2][65] = {CHAIN, CHAIN};
static const struct runtime_mount mounts[] = {{"v-1", "/data", NULL, true},
                                              {"v-2", "/data2", NULL, false}};

static struct runtime_spec good(void)
{
    return (struct runtime_spec){.id = "j-abc-1",
                                 .args = args,
                                 .env = env,
                                 .cwd = "/work",
                                 .user = "joe:video",
                                 .hostname = "j-abc",
                                 .chains = chains,
                                 .n_chains = 2,
                                 .mounts = mounts,
                                 .n_mounts = 2,
                                 .id_base = 100000000,
                                 .cpu_milli = 1500,
                                 .memory_bytes = 1 << 28,
                                 .pids = 64,
                                 .log_max_bytes = 1LL << 40,
                                 .network = RUNTIME_NET_BRIDGE,
                                 .labels = "{\"project\":\"demo\"}"};
}

static int check(const struct runtime_spec *s)
{
    struct err e = {0};
    int rc = spec_check(s, &e);

    assert_int_equal(e.kind, rc < 0 ? ERR_INVALID : ERR_NONE);
    return rc;
}

static void a_spec_comes_through_the_wire_as_it_was(void **state)
{
    struct runtime_spec in = good(), out;
    struct buf b = BUF_MAX(1 << 20);
    struct arena a = {0};
    struct err e;

    (void)state;
    spec_put(&b, &in);
    assert_int_equal(spec_get(buf_str(&b), &a, &out, &e), 0);
    assert_int_equal(check(&out), 0);
    assert_string_equal(out.labels, in.labels);
    assert_string_equal(out.id, in.id);
    assert_string_equal(out.args[2], "echo hi");
    assert_null(out.args[3]);
    assert_string_equal(out.env[1], "B=");
    assert_string_equal(out.user, "joe:video");
    assert_string_equal(out.chains[1], CHAIN);
    assert_string_equal(out.mounts[1].target, "/data2");
    assert_true(out.mounts[0].read_only);
    assert_false(out.mounts[1].read_only);
    assert_int_equal(out.id_base, 100000000);
    assert_int_equal(out.memory_bytes, 1 << 28);
    assert_int_equal(out.network, RUNTIME_NET_BRIDGE);
    arena_done(&a);
    buf_done(&b);
}

static void every_cut_of_a_message_is_refused(void **state)
{
    struct runtime_spec in = good(), out;
    struct buf b = BUF_MAX(1 << 20);
    struct err e;

    (void)state;
    spec_put(&b, &in);
    for (size_t n = 0; n < b.len; n++) {
        struct arena a = {0};

        assert_int_equal(spec_get(str_first(buf_str(&b), n), &a, &out, &e), -1);
        arena_done(&a);
    }
    buf_done(&b);
}

static void counts_past_their_limit_are_refused_before_memory_is_taken(void **state)
{
    struct buf b = BUF_MAX(1 << 20);
    struct runtime_spec out;
    struct arena a = {0};
    struct err e;

    (void)state;
    wire_put_str(&b, STR("j-1"));
    wire_put_u64(&b, UINT64_MAX / 2);
    assert_int_equal(spec_get(buf_str(&b), &a, &out, &e), -1);
    assert_true(a.used_bytes < 4096);
    arena_done(&a);
    buf_done(&b);
}

static void a_nul_byte_in_a_string_is_refused(void **state)
{
    struct buf b = BUF_MAX(1 << 20);
    struct runtime_spec out;
    struct arena a = {0};
    struct err e;

    (void)state;
    wire_put_str(&b, str_n("j\0x", 3));
    assert_int_equal(spec_get(buf_str(&b), &a, &out, &e), -1);
    arena_done(&a);
    buf_done(&b);
}

static void ids_that_are_paths_are_refused(void **state)
{
    static const char *const bad[] = {"", "..", "a/b", "A", "a b", "a.b"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct runtime_spec s = good();
        struct runtime_mount m = {.target = "/data"};

        s.id = bad[i];
        assert_int_equal(check(&s), -1);
        s = good();
        (void)snprintf(m.volume_id, sizeof(m.volume_id), "%s", bad[i]);
        s.mounts = &m;
        s.n_mounts = 1;
        assert_int_equal(check(&s), -1);
    }
}

static void volumes_go_below_the_root_and_not_into_the_kernels_trees(void **state)
{
    static const char *const bad[] = {"/",          "data", "/a/../b", "/a//b",  "/a/",
                                      "/./a",       "",     "/proc",   "/sys/x", "/dev/shm/x",
                                      "/proc/self", "/dev", "//a"};
    static const char *const fine[] = {"/data", "/a/b", "/processed", "/device", "/system/x"};
    struct runtime_mount m = {.volume_id = "v"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad) + ARRAY_LEN(fine); i++) {
        struct runtime_spec s = good();

        m.target = i < ARRAY_LEN(bad) ? bad[i] : fine[i - ARRAY_LEN(bad)];
        s.mounts = &m;
        s.n_mounts = 1;
        assert_int_equal(check(&s), i < ARRAY_LEN(bad) ? -1 : 0);
    }
}

static void two_volumes_on_one_target_are_refused(void **state)
{
    static const struct runtime_mount twice[] = {{"v-1", "/data", NULL, true},
                                                 {"v-2", "/data", NULL, true}};
    struct runtime_spec s = good();

    (void)state;
    s.mounts = twice;
    assert_int_equal(check(&s), -1);
}

static void chain_ids_are_64_lower_case_hex_digits(void **state)
{
    static const char bad[3][65] = {
        "", "0123", "../../../../../../../../../../../../../../../../etc/passwd000000"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct runtime_spec s = good();

        s.chains = &bad[i];
        s.n_chains = 1;
        assert_int_equal(check(&s), -1);
    }
}

static void the_hosts_own_ids_are_never_mapped(void **state)
{
    static const uint32_t bad[] = {0, 1, 1000, 65535, UINT32_MAX, UINT32_MAX - 65536};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct runtime_spec s = good();

        s.id_base = bad[i];
        assert_int_equal(check(&s), -1);
    }
}

static void limits_must_make_sense(void **state)
{
    struct runtime_spec s = good();

    (void)state;
    s.memory_bytes = 1024;
    assert_int_equal(check(&s), -1);
    s = good();
    s.memory_bytes = -1;
    assert_int_equal(check(&s), -1);
    s = good();
    s.cpu_milli = 0;
    assert_int_equal(check(&s), -1);
    s = good();
    s.pids = 0;
    assert_int_equal(check(&s), -1);
}

static void only_nodes_of_accelerators_are_devices(void **state)
{
    static const char *const bad[] = {"/dev/sda", "/dev/mem",  "/dev/nvidia0/../sda",
                                      "nvidia0",  "/dev/kmsg", "/etc/passwd"};
    static const char *const fine[] = {"/dev/nvidia0", "/dev/nvidiactl",
                                       "/dev/nvidia-caps/nvidia-cap1", "/dev/dri/renderD128",
                                       "/dev/kfd"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(spec_device_ok(str_of(bad[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        assert_true(spec_device_ok(str_of(fine[i])));
    }
}

static void a_command_an_environment_and_a_directory_are_checked(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const no_name[] = {"=x", NULL};
    struct runtime_spec s = good();

    (void)state;
    s.args = none;
    assert_int_equal(check(&s), -1);
    s = good();
    s.env = no_name;
    assert_int_equal(check(&s), -1);
    s = good();
    s.cwd = "work";
    assert_int_equal(check(&s), -1);
    s = good();
    s.hostname = "a b";
    assert_int_equal(check(&s), -1);
    s = good();
    s.n_chains = 0;
    assert_int_equal(check(&s), -1);
}

static void a_status_comes_through_the_wire_as_it_was(void **state)
{
    static const struct runtime_status in = {.id = "j-1",
                                             .end = RUNTIME_OOM,
                                             .code = 9,
                                             .started_ms = 1,
                                             .ended_ms = 2,
                                             .memory_peak_bytes = 3,
                                             .cpu_usec = 4,
                                             .detail = "why"};
    struct runtime_status out;
    struct buf b = BUF_MAX(4096);
    struct wire_reader r;
    struct err e;

    (void)state;
    status_put(&b, &in);
    r = (struct wire_reader){buf_str(&b), false};
    status_get(&r, &out);
    assert_int_equal(wire_end(&r, &e), 0);
    assert_memory_equal(&in, &out, sizeof(in));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_comes_through_the_wire_as_it_was),
        cmocka_unit_test(every_cut_of_a_message_is_refused),
        cmocka_unit_test(counts_past_their_limit_are_refused_before_memory_is_taken),
        cmocka_unit_test(a_nul_byte_in_a_string_is_refused),
        cmocka_unit_test(ids_that_are_paths_are_refused),
        cmocka_unit_test(volumes_go_below_the_root_and_not_into_the_kernels_trees),
        cmocka_unit_test(two_volumes_on_one_target_are_refused),
        cmocka_unit_test(chain_ids_are_64_lower_case_hex_digits),
        cmocka_unit_test(the_hosts_own_ids_are_never_mapped),
        cmocka_unit_test(limits_must_make_sense),
        cmocka_unit_test(only_nodes_of_accelerators_are_devices),
        cmocka_unit_test(a_command_an_environment_and_a_directory_are_checked),
        cmocka_unit_test(a_status_comes_through_the_wire_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
