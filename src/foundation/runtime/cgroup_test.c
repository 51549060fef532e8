#include "runtime/runtime_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hybrid_host_is_seen_as_one),
        cmocka_unit_test(a_unified_host_has_one_hierarchy),
        cmocka_unit_test(a_unified_host_with_one_v1_group_beside_it_stays_unified),
        cmocka_unit_test(a_v1_host_without_a_controller_has_none),
        cmocka_unit_test(nonsense_is_no_cgroup),
        cmocka_unit_test(figures_are_read_by_whole_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
