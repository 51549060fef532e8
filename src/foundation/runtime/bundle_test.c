#include "runtime/runtime_priv.h"

#include "base/hash.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const args[] = {"/bin/true", NULL};
static const char *const env[] = {"PATH=/x", NULL};
static const struct runtime_mount mounts[] = {{"v-1", "/data", NULL, true},
                                              {"v-2", "/out", NULL, false}};

typedef int bundle_writer(const struct bundle *b, struct buf *out, struct err *e);

/* What it writes, behind `head`. */
static json_t *written(enum runtime_network network, bundle_writer *write, const char *head)
{
    static struct cgroups cgroups;
    const struct runtime_spec spec = {.id = "j",
                                      .args = args,
                                      .env = env,
                                      .cwd = "/",
                                      .hostname = "h",
                                      .mounts = mounts,
                                      .n_mounts = 2,
                                      .id_base = 100000000,
                                      .cpu_milli = 1500,
                                      .memory_bytes = 1 << 28,
                                      .pids = 64,
                                      .network = network};
    const struct image_user user = {
        .uid = 5, .gid = 6, .groups = {44}, .n_groups = 1, .home = "/home/joe"};
    struct bundle_device gpu = {"/dev/nvidia0", 195, 0};
    const struct bundle b = {.spec = &spec,
                             .user = &user,
                             .cgroups = &cgroups,
                             .box = "/run/strata-x/box",
                             .cgroup = "/strata-x/j",
                             .seccomp = STR("QUJD"),
                             .devices = &gpu,
                             .n_devices = 1};
    struct buf out = BUF_MAX(1 << 20);
    struct err e;
    json_t *j;

    assert_int_equal(buf_add_c(&out, head), 0);
    assert_int_equal(write(&b, &out, &e), 0);
    j = json_parse(buf_str(&out), &e);
    assert_non_null(j);
    buf_done(&out);
    return j;
}

static json_t *make(enum runtime_network network)
{
    return written(network, bundle_write, "");
}

/* The object in a list whose `key` is `value`. */
static json_t *find(json_t *list, const char *key, const char *value)
{
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, key)), value) == 0) {
            return one;
        }
    }
    return NULL;
}

static bool has(json_t *list, const char *word)
{
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(one), word) == 0) {
            return true;
        }
    }
    return false;
}

static void a_container_is_confined(void **state)
{
    json_t *j = make(RUNTIME_NET_NONE), *process = json_object_get(j, "process");
    json_t *lin = json_object_get(j, "linux"), *ns = json_object_get(lin, "namespaces");
    json_t *bounding = json_object_get(json_object_get(process, "capabilities"), "bounding");

    (void)state;
    assert_true(json_is_true(json_object_get(process, "noNewPrivileges")));
    assert_int_equal(json_array_size(bounding), 11);
    assert_false(has(bounding, "CAP_SYS_ADMIN"));
    assert_false(has(bounding, "CAP_NET_RAW"));
    assert_non_null(find(ns, "type", "user"));
    assert_non_null(find(ns, "type", "network"));
    assert_non_null(find(ns, "type", "cgroup"));
    assert_true(has(json_object_get(lin, "maskedPaths"), "/proc/kcore"));
    assert_true(has(json_object_get(lin, "readonlyPaths"), "/proc/sys"));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(lin, "seccomp"), "defaultAction")),
        "SCMP_ACT_ERRNO");
    json_decref(j);
}

static void only_the_hosts_network_shares_its_namespace(void **state)
{
    json_t *j = make(RUNTIME_NET_HOST);
    json_t *ns = json_object_get(json_object_get(j, "linux"), "namespaces");

    (void)state;
    assert_null(find(ns, "type", "network"));
    assert_non_null(find(json_object_get(j, "mounts"), "destination", "/etc/resolv.conf"));
    json_decref(j);
}

static void limits_become_cgroup_settings(void **state)
{
    json_t *j = make(RUNTIME_NET_NONE);
    json_t *r = json_object_get(json_object_get(j, "linux"), "resources");
    json_t *cpu = json_object_get(r, "cpu");

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r, "memory"), "limit")),
                     1 << 28);
    assert_int_equal(json_integer_value(json_object_get(cpu, "quota")), 150000);
    assert_int_equal(json_integer_value(json_object_get(cpu, "shares")), 1536);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r, "pids"), "limit")), 64);
    assert_int_equal(json_array_size(json_object_get(r, "devices")), 2); /* deny all, one GPU */
    json_decref(j);
}

static void volumes_are_in_the_tree_and_not_mounted_by_crun(void **state)
{
    json_t *j = make(RUNTIME_NET_NONE), *list = json_object_get(j, "mounts");

    (void)state;
    assert_null(find(list, "destination", "/data"));
    assert_non_null(find(list, "destination", "/etc/hosts"));
    json_decref(j);
}

static void the_environment_of_the_image_wins_over_defaults(void **state)
{
    json_t *j = make(RUNTIME_NET_NONE);
    json_t *list = json_object_get(json_object_get(j, "process"), "env");

    (void)state;
    assert_true(has(list, "PATH=/x"));
    assert_true(has(list, "HOME=/home/joe"));
    assert_true(has(list, "HOSTNAME=h"));
    assert_int_equal(json_array_size(list), 3);
    json_decref(j);
}

/* --- the filter, tried on ourselves in a child --- */

static void another_process_differs_in_its_command_and_terminal_alone(void **state)
{
    SCOPED(json_decrefp) json_t *j = make(RUNTIME_NET_NONE);
    SCOPED(json_decrefp)
    json_t *other = written(RUNTIME_NET_NONE, bundle_process,
                            "{\"terminal\":true,\"args\":[\"sh\"],\"env\":[\"TERM=x\",");
    json_t *own = json_object_get(j, "process");

    (void)state;
    assert_true(has(json_object_get(other, "env"), "TERM=x"));
    (void)json_array_remove(json_object_get(other, "env"), 0);
    for (size_t i = 0; i < 2; i++) {
        json_t *p = i ? own : other;

        assert_int_equal(json_object_del(p, "terminal"), 0);
        assert_int_equal(json_object_del(p, "args"), 0);
    }
    assert_true(json_equal(own, other));
    assert_true(json_object_size(own) >= 7);
}

static void load_filter(void)
{
    struct buf base64 = BUF_MAX(1 << 20), code = BUF_MAX(1 << 20);
    struct sock_fprog prog;
    struct err e;

    if (seccomp_profile_bpf(&base64, &e) < 0 || base64_decode(buf_str(&base64), &code) < 0) {
        _exit(100);
    }
    prog.len = (unsigned short)(code.len / sizeof(struct sock_filter));
    prog.filter = (struct sock_filter *)(void *)code.p;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0) {
        _exit(101);
    }
}

static long errno_of(long rc)
{
    return rc < 0 ? errno : 0;
}

/* What must be refused, and with which error. */
static int refused(void)
{
    return errno_of(syscall(SYS_mount, "a", "/b", "tmpfs", 0, NULL)) != EPERM           ? 1
           : errno_of(syscall(SYS_unshare, CLONE_NEWUSER)) != EPERM                     ? 2
           : errno_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)) != EPERM ? 3
           : errno_of(syscall(SYS_keyctl, 0, 0)) != EPERM                               ? 4
           : errno_of(syscall(SYS_bpf, 0, 0, 0)) != EPERM                               ? 5
           : errno_of(syscall(SYS_io_uring_setup, 1, NULL)) != EPERM                    ? 6
           : errno_of(syscall(SYS_clone3, NULL, 0)) != ENOSYS                           ? 7
           : errno_of(syscall(SYS_userfaultfd, 0)) != EPERM                             ? 8
           : errno_of(syscall(SYS_kexec_load, 0, 0, 0, 0)) != EPERM                     ? 9
           : errno_of(syscall(SYS_setns, -1, 0)) != EPERM                               ? 10
           : errno_of(syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0)) != EPERM           ? 11
           : errno_of(syscall(SYS_open_by_handle_at, -1, NULL, 0)) != EPERM             ? 12
           : errno_of(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0)) != EPERM          ? 13
           : errno_of(syscall(900)) != ENOSYS                                           ? 14
                                                                                        : 0;
}

#if defined(__x86_64__)
static void *low_page(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
}

/* The i386 door of a 64-bit kernel. */
static long call_i386(long nr, long a, long b, long c)
{
    long rc;

    __asm__ volatile("int $0x80" : "=a"(rc) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
    return rc < 0 ? -rc : 0;
}

/* AF_VSOCK by every way there is: upper bits that the kernel ignores, i386, and i386's socketcall,
 * which hides its arguments in memory. */
static int vsock_refused(void)
{
    uint32_t *hidden = low_page();

    if (hidden == MAP_FAILED) {
        return 40;
    }
    hidden[0] = AF_VSOCK;
    hidden[1] = SOCK_STREAM;
    hidden[2] = 0;
    return errno_of(syscall(SYS_socket, 0x100000028L, SOCK_STREAM, 0)) != EPERM        ? 41
           : errno_of(syscall(SYS_socket, ~0xffffffffL | 40, SOCK_STREAM, 0)) != EPERM ? 42
           : call_i386(359, AF_VSOCK, SOCK_STREAM, 0) != EPERM                         ? 43
           : call_i386(102, 1 /* SYS_SOCKET */, (long)hidden, 0) != ENOSYS             ? 44
           : call_i386(359, AF_UNIX, SOCK_STREAM, 0) != 0                              ? 45
                                                                                       : 0;
}
#else
static int vsock_refused(void)
{
    return errno_of(syscall(SYS_socket, 0x100000028L, SOCK_STREAM, 0)) != EPERM;
}
#endif

static int permitted(void)
{
    int fds[2];
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t pid;

    if (p == MAP_FAILED || pipe(fds) < 0 || socket(AF_UNIX, SOCK_STREAM, 0) < 0 ||
        socket(AF_INET, SOCK_STREAM, 0) < 0) {
        return 20;
    }
    pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 || waitpid(pid, NULL, 0) != pid || syscall(SYS_memfd_create, "x", 0) < 0 ? 21
                                                                                            : 0;
}

static void vsock_is_refused_by_every_way(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        load_filter();
        _exit(vsock_refused());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_filter_refuses_what_it_should_and_nothing_else(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        load_filter();
        _exit(refused() ? refused() : permitted());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- what crun says --- */

static void crun_is_understood(void **state)
{
    static const struct {
        const char *text;
        enum err_kind kind;
        int code;
    } cases[] = {
        {"executable file `nosuch` not found in $PATH: No such file or directory\n", ERR_INVALID,
         127},
        {"open executable: Permission denied", ERR_INVALID, 126},
        {"exec container process `/bin/x`: Exec format error\n", ERR_INVALID, 126},
        {"exec container process (missing dynamic library?) `/x`: No such file or directory",
         ERR_INVALID, 126},
        {"cgroups in hybrid mode not supported, drop all controllers from cgroupv2",
         ERR_UNAVAILABLE, 0},
        {"write to `/proc/1/setgroups`: Operation not permitted", ERR_UNAVAILABLE, 0},
        {"the target `/proc` is invalid: Not a directory", ERR_INVALID, 0},
        {"mount `/run/strata-x/box/hosts` to `etc/hosts`: Not a directory", ERR_INVALID, 0},
        {"open `/run/strata-x/box/rootfs/etc/hosts`: Not a directory", ERR_INVALID, 0},
        {"mkdir `/m/in`: Read-only file system", ERR_INVALID, 0},
        {"openat2 `etc`: Too many levels of symbolic links", ERR_INVALID, 0},
        {"mkdir `/sys/fs/cgroup/strata-x`: Read-only file system", ERR_UNAVAILABLE, 0},
        {"mount `proc` to `proc`: Operation not permitted", ERR_UNAVAILABLE, 0},
        {"", ERR_UNAVAILABLE, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        int code = -1;

        assert_int_equal(crun_explain(str_of(cases[i].text), "nosuch", &code, &e), -1);
        assert_int_equal(e.kind, cases[i].kind);
        assert_int_equal(code, cases[i].code);
        assert_true(strlen(e.msg) > 20);
    }
}

static void loopback_name_servers_do_not_reach_the_bridge(void **state)
{
    static const char host[] = "# made by x\nnameserver 127.0.0.53\n nameserver ::1\n"
                               "nameserver 10.0.0.2\nsearch example.org\n";
    struct buf out = BUF_MAX(4096);

    (void)state;
    bridge_resolv_conf(str_of(host), RUNTIME_NET_BRIDGE, &out);
    assert_string_equal(out.p, "# made by x\nnameserver 10.0.0.2\nsearch example.org\n");
    buf_clear(&out);
    bridge_resolv_conf(str_of(host), RUNTIME_NET_HOST, &out);
    assert_string_equal(out.p, host);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_is_confined),
        cmocka_unit_test(only_the_hosts_network_shares_its_namespace),
        cmocka_unit_test(limits_become_cgroup_settings),
        cmocka_unit_test(volumes_are_in_the_tree_and_not_mounted_by_crun),
        cmocka_unit_test(the_environment_of_the_image_wins_over_defaults),
        cmocka_unit_test(another_process_differs_in_its_command_and_terminal_alone),
        cmocka_unit_test(vsock_is_refused_by_every_way),
        cmocka_unit_test(the_filter_refuses_what_it_should_and_nothing_else),
        cmocka_unit_test(crun_is_understood),
        cmocka_unit_test(loopback_name_servers_do_not_reach_the_bridge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
