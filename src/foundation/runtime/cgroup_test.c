#include "runtime/runtime_priv.h"

#include "base/fs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char hybrid[] =
    "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
    "30 22 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    "34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "35 22 0:28 / /mnt/memory rw,relatime - cgroup cgroup rw,memory\n";

static void a_hybrid_host_is_seen_as_one(void **state)
{
    struct cgroups c;

    (void)state;
    cgroups_parse(str_of(hybrid), &c);
    assert_int_equal(c.mode, CGROUP_HYBRID);
    assert_int_equal(c.n, 4); /* memory is mounted twice and counts once */
    assert_string_equal(cgroups_find(&c, "memory")->path, "/sys/fs/cgroup/memory");
    assert_string_equal(cgroups_find(&c, "cpuacct")->path, "/sys/fs/cgroup/cpu,cpuacct");
    assert_true(cgroups_find(&c, "hugetlb")->v2);
}

static void a_unified_host_has_one_hierarchy(void **state)
{
    struct cgroups c;

    (void)state;
    cgroups_parse(STR("29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 "
                      "rw,nsdelegate,memory_recursiveprot\n"),
                  &c);
    assert_int_equal(c.mode, CGROUP_V2);
    assert_string_equal(cgroups_find(&c, "memory")->path, "/sys/fs/cgroup");
    assert_string_equal(cgroups_find(&c, "pids")->path, "/sys/fs/cgroup");
}

static void a_unified_host_with_one_v1_group_beside_it_stays_unified(void **state)
{
    struct cgroups c;

    (void)state;
    cgroups_parse(STR("29 22 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n"
                      "90 22 0:50 / /run/vpn/net_cls rw - cgroup net_cls rw,net_cls\n"),
                  &c);
    assert_int_equal(c.mode, CGROUP_V2);
    assert_true(cgroups_find(&c, "memory")->v2);
}

static void a_v1_host_without_a_controller_has_none(void **state)
{
    struct cgroups c;

    (void)state;
    cgroups_parse(STR("1 2 0:3 / /cg/cpu rw - cgroup cgroup rw,cpu\n"), &c);
    assert_int_equal(c.mode, CGROUP_V1);
    assert_null(cgroups_find(&c, "memory"));
    assert_null(cgroups_find(&c, "cp"));
}

static void nonsense_is_no_cgroup(void **state)
{
    static const char *const bad[] = {"", "\n\n", "1 2 3 - cgroup", " - cgroup2 x y\n",
                                      "a b c d e - cgroupx cgroup rw,memory"};
    struct cgroups c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cgroups_parse(str_of(bad[i]), &c);
        assert_null(
            cgroups_find(&c, "memory") && cgroups_find(&c, "memory")->path[0] == '/' ? &c : NULL);
    }
}

static void figures_are_read_by_whole_names(void **state)
{
    static const char events[] = "low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n";
    uint64_t v = 77;

    (void)state;
    assert_true(cgroup_parse_key(str_of(events), "oom_kill", &v));
    assert_int_equal(v, 1);
    assert_true(cgroup_parse_key(str_of(events), "oom", &v));
    assert_int_equal(v, 2);
    assert_false(cgroup_parse_key(str_of(events), "oo", &v));
    assert_false(cgroup_parse_key(STR("oom_kill"), "oom_kill", &v));
    assert_false(cgroup_parse_key(STR("oom_kill x"), "oom_kill", &v));
}

static void bytes_of_all_devices_are_summed_in_either_form(void **state)
{
    static const struct {
        const char *text;
        uint64_t in, out;
    } rows[] = {
        {"8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Total 12288\n8:16 Read 1\nTotal 9\n", 4097,
         8192},
        {"8:16 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=5 dios=0\n8:0 rbytes=1 wbytes=2\n", 11, 22},
        {"Total 0\n", 0, 0},
        {"", 0, 0},
        {"8:0 Read\n8:0 Write x\n8:0 rbytes= wbytes=-1\nRead 5\n", 0, 0},
        {"8:0 rbytes=18446744073709551615\n8:1 rbytes=2\n", UINT64_MAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t in = 77, out = 77;

        cgroup_parse_io(str_of(rows[i].text), &in, &out);
        assert_int_equal(in, rows[i].in);
        assert_int_equal(out, rows[i].out);
    }
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[300];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* A group of a hierarchy that is a directory of the test. */
static void make_group(char root[64], char group[128])
{
    (void)snprintf(root, 64, "/tmp/strata-cgroup-test-XXXXXX");
    assert_non_null(mkdtemp(root));
    (void)snprintf(group, 128, "%s/g", root);
    assert_int_equal(mkdir(group, 0700), 0);
}

static void a_unified_group_gives_every_figure_that_has_a_file(void **state)
{
    struct cgroups c = {.mode = CGROUP_V2, .n = 1, .mounts = {{.v2 = true}}};
    struct runtime_sample s;
    char root[64], group[128];
    struct err ignored;

    (void)state;
    make_group(root, group);
    (void)snprintf(c.mounts[0].path, sizeof(c.mounts[0].path), "%s", root);
    cgroup_sample(&c, "g", &s);
    assert_int_equal(s.cpu_usec, RUNTIME_UNKNOWN);
    assert_int_equal(s.memory_bytes, RUNTIME_UNKNOWN);
    assert_int_equal(s.memory_peak_bytes, RUNTIME_UNKNOWN);
    assert_int_equal(s.io_read_bytes, RUNTIME_UNKNOWN);
    assert_int_equal(s.io_write_bytes, RUNTIME_UNKNOWN);
    assert_int_equal(s.processes, RUNTIME_UNKNOWN);
    put(group, "cpu.stat", "usage_usec 123\nuser_usec 100\n");
    put(group, "memory.current", "4096\n");
    put(group, "io.stat", "");
    put(group, "pids.current", "3\n");
    cgroup_sample(&c, "g", &s);
    assert_int_equal(s.cpu_usec, 123);
    assert_int_equal(s.memory_bytes, 4096);
    assert_int_equal(s.memory_peak_bytes, RUNTIME_UNKNOWN); /* before Linux 5.19 */
    assert_int_equal(s.io_read_bytes, 0);
    assert_int_equal(s.io_write_bytes, 0);
    assert_int_equal(s.processes, 3);
    assert_int_equal(cgroup_oom_kills(&c, "g"), RUNTIME_UNKNOWN);
    assert_int_equal(fs_remove_tree(AT_FDCWD, root, &ignored), 0);
}

static void v1_groups_are_read_where_their_controllers_are(void **state)
{
    struct cgroups c = {.mode = CGROUP_V1,
                        .n = 2,
                        .mounts = {{.controllers = ",memory,"}, {.controllers = ",cpu,cpuacct,"}}};
    struct runtime_sample s;
    char root[64], group[128];
    struct err ignored;

    (void)state;
    make_group(root, group);
    (void)snprintf(c.mounts[0].path, sizeof(c.mounts[0].path), "%s", root);
    (void)snprintf(c.mounts[1].path, sizeof(c.mounts[1].path), "%s", root);
    put(group, "cpuacct.usage", "123999\n");
    put(group, "memory.usage_in_bytes", "8192\n");
    put(group, "memory.max_usage_in_bytes", "9000\n");
    put(group, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    put(group, "pids.current", "3\n"); /* no mount has pids */
    cgroup_sample(&c, "g", &s);
    assert_int_equal(s.cpu_usec, 123);
    assert_int_equal(s.memory_bytes, 8192);
    assert_int_equal(s.memory_peak_bytes, 9000);
    assert_int_equal(s.io_read_bytes, RUNTIME_UNKNOWN);
    assert_int_equal(s.processes, RUNTIME_UNKNOWN);
    assert_int_equal(cgroup_oom_kills(&c, "g"), 2);
    put(group, "blkio.throttle.io_service_bytes", "8:0 Read 4096\n8:0 Write 1\nTotal 4097\n");
    (void)snprintf(c.mounts[0].controllers, sizeof(c.mounts[0].controllers), ",memory,blkio,");
    cgroup_sample(&c, "g", &s);
    assert_int_equal(s.io_read_bytes, RUNTIME_UNKNOWN); /* this kernel would say 0 for everything */
    c.counts_io = true;
    cgroup_sample(&c, "g", &s);
    assert_int_equal(s.io_read_bytes, 4096);
    assert_int_equal(s.io_write_bytes, 1);
    assert_int_equal(fs_remove_tree(AT_FDCWD, root, &ignored), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hybrid_host_is_seen_as_one),
        cmocka_unit_test(a_unified_host_has_one_hierarchy),
        cmocka_unit_test(a_unified_host_with_one_v1_group_beside_it_stays_unified),
        cmocka_unit_test(a_v1_host_without_a_controller_has_none),
        cmocka_unit_test(nonsense_is_no_cgroup),
        cmocka_unit_test(figures_are_read_by_whole_names),
        cmocka_unit_test(bytes_of_all_devices_are_summed_in_either_form),
        cmocka_unit_test(a_unified_group_gives_every_figure_that_has_a_file),
        cmocka_unit_test(v1_groups_are_read_where_their_controllers_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
