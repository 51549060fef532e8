#include "rootfs/fixture.h"

#include <grp.h>

#define BASE 200000U

/* A mounted container root at "c/root" with its scratch at "c". */
static int mount_chains(struct fixture *f, const char (*chains)[65], size_t n, struct err *e)
{
    assert_true(mkdir("jobs/c", 0755) == 0 || errno == EEXIST);
    assert_true(mkdir("jobs/c/root", 0755) == 0 || errno == EEXIST);
    return rootfs_mount(f->mounts, chains, n, "jobs/c", "jobs/c/root", BASE, e);
}

/* Only the empty directory stays. */
static void check_stage_is_gone(void)
{
    struct stat stage, scratch;

    assert_int_equal(stat("jobs/c", &scratch), 0);
    assert_true(stat("jobs/c/stage", &stage) < 0 || stage.st_dev == scratch.st_dev);
    assert_true(access("jobs/c/stage", F_OK) < 0 || count_names("jobs/c/stage") == 0);
}

static void mount_ok(struct fixture *f, const char (*chains)[65], size_t n)
{
    struct err e = {0};

    if (mount_chains(f, chains, n, &e) < 0) {
        fail_msg("%s", e.msg);
    }
    check_stage_is_gone();
    assert_int_equal(access("canary", F_OK), 0); /* still in our directory */
}

static void unmount(void)
{
    struct err e = {0};

    assert_int_equal(umount2("jobs/c/root", 0), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, "jobs/c", &e), 0);
}

static void merged_text(const char *path, const char *want)
{
    struct buf b = BUF_MAX(4096);
    char full[512];

    (void)snprintf(full, sizeof(full), "jobs/c/root/%s", path);
    (void)read_small(full, &b);
    assert_string_equal(b.p ? b.p : "", want);
    buf_done(&b);
}

static bool merged_stat(const char *path, struct stat *st)
{
    char full[512];

    (void)snprintf(full, sizeof(full), "jobs/c/root/%s", path);
    return lstat(full, st) == 0;
}

static void layers_are_merged_and_ids_are_shifted(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry low[] = {{.name = "./", .type = '5', .mode = 0751},
                                           {.name = "etc/motd", .data = "low", .uid = 12},
                                           {.name = "etc/both", .data = "low"},
                                           {.name = "bin/su", .data = "su", .mode = 04755}};
    static const struct tar_entry high[] = {{.name = "./", .type = '5', .mode = 0711, .uid = 3},
                                            {.name = "etc/both", .data = "high"},
                                            {.name = "ids", .data = "", .uid = 65535, .gid = 1}};
    char chains[2][65];
    struct stat st;

    NEEDS_ROOT(f);
    UNPACK(f, low, chains[0]);
    UNPACK(f, high, chains[1]);
    mount_ok(f, chains, 2);
    merged_text("etc/motd", "low");
    merged_text("etc/both", "high");
    assert_true(merged_stat("etc/motd", &st) && st.st_uid == BASE + 12 && st.st_gid == BASE);
    assert_true(merged_stat("ids", &st) && st.st_uid == BASE + 65535 && st.st_gid == BASE + 1);
    assert_true(merged_stat("bin/su", &st) && st.st_mode == (S_IFREG | 04755));
    assert_true(merged_stat(".", &st) && st.st_mode == (S_IFDIR | 0711)); /* of the topmost */
    assert_int_equal(st.st_uid, BASE + 3);
    unmount();
}

/* Runs `work` as the container's root would: in a user namespace with this mapping, in its root. */
static int in_container(int (*work)(void))
{
    struct err e = {0};
    int status = 0, userns = idmap_userns(BASE, &e);
    pid_t pid = fork();

    if (pid == 0) {
        if (chdir("jobs/c/root") < 0 || setns(userns, CLONE_NEWUSER) < 0 ||
            setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
            _exit(100);
        }
        _exit(work());
    }
    (void)close(userns);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int write_everywhere(void)
{
    struct stat st;
    int fd = open("etc/motd", O_WRONLY | O_TRUNC | O_CLOEXEC); /* copied up */

    if (fd < 0 || write(fd, "changed", 7) != 7 || fchown(fd, 33, 33) < 0) {
        return 1;
    }
    (void)close(fd);
    fd = open("new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || unlink("etc/gone") < 0) {
        return 2;
    }
    if (mkdir("dir", 0700) < 0 || rename("new", "dir/n") < 0) {
        return 3;
    }
    return stat("etc/motd", &st) == 0 && st.st_uid == 33 ? 0 : 4;
}

static void what_a_container_writes_stays_in_its_scratch(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry e[] = {{.name = "etc/motd", .data = "low"},
                                         {.name = "etc/gone", .data = "x"}};
    char chains[1][65];
    struct stat st;

    NEEDS_ROOT(f);
    UNPACK(f, e, chains[0]);
    mount_ok(f, chains, 1);
    assert_int_equal(in_container(write_everywhere), 0);
    merged_text("etc/motd", "changed");
    layer_text(chains[0], "etc/motd", "low");
    layer_text(chains[0], "etc/gone", "x");
    assert_int_equal(stat("jobs/c/upper/etc/motd", &st), 0);
    assert_int_equal(st.st_uid, BASE + 33);
    assert_int_equal(stat("jobs/c/upper/dir/n", &st), 0);
    assert_int_equal(st.st_uid, BASE);
    unmount();
}

static void whiteouts_and_opaque_directories_hide_what_is_below(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry low[] = {
        {.name = "gone", .data = "low"},      {.name = "dir/a", .data = "low"},
        {.name = "dir/b", .data = "low"},     {.name = "opq/a", .data = "low"},
        {.name = "opq/sub/b", .data = "low"}, {.name = "tree/x/y", .data = "low"},
        {.name = "again/old", .data = "low"}, {.name = "first/old", .data = "low"},
        {.name = "file", .data = "low"},      {.name = "implied/old", .data = "low"},
        {.name = "lonely/old", .data = "low"}};
    static const struct tar_entry high[] = {
        {.name = ".wh.gone"},
        {.name = ".wh.absent"}, /* hides nothing */
        {.name = "dir/.wh.a"},
        {.name = "opq/", .type = '5'},
        {.name = "opq/new", .data = "high"},
        {.name = "opq/.wh..wh..opq"},
        {.name = ".wh.tree"},
        {.name = ".wh.again"}, /* then a directory of the same name: it starts empty */
        {.name = "again/", .type = '5'},
        {.name = "again/new", .data = "high"},
        {.name = "first/", .type = '5'}, /* the same in the other order */
        {.name = "first/new", .data = "high"},
        {.name = ".wh.first"},
        {.name = "file", .data = "high"}, /* and for a file */
        {.name = ".wh.file"},
        {.name = ".wh.implied"},
        {.name = "implied/new", .data = "high"}, /* without an entry for the directory */
        {.name = "lonely/.wh..wh..opq"},
    };
    char chains[2][65];
    struct stat st;

    NEEDS_ROOT(f);
    UNPACK(f, low, chains[0]);
    UNPACK(f, high, chains[1]);
    mount_ok(f, chains, 2);
    assert_false(merged_stat("gone", &st));
    assert_false(merged_stat("absent", &st));
    assert_false(merged_stat("dir/a", &st));
    merged_text("dir/b", "low");
    assert_int_equal(count_names("jobs/c/root/opq"), 1);
    merged_text("opq/new", "high");
    assert_false(merged_stat("tree", &st));
    assert_int_equal(count_names("jobs/c/root/again"), 1);
    merged_text("again/new", "high");
    assert_int_equal(count_names("jobs/c/root/first"), 1);
    merged_text("first/new", "high");
    merged_text("file", "high");
    assert_int_equal(count_names("jobs/c/root/implied"), 1);
    merged_text("implied/new", "high");
    assert_int_equal(count_names("jobs/c/root/lonely"), 0);
    unmount();
    mount_ok(f, chains, 1); /* the lower layer alone is as it was */
    merged_text("gone", "low");
    assert_int_equal(count_names("jobs/c/root/opq"), 2);
    unmount();
}

static void what_was_hidden_can_come_back_in_a_third_layer(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry one[] = {{.name = "d/old", .data = "1"},
                                           {.name = "e/old", .data = "1"}};
    static const struct tar_entry two[] = {{.name = ".wh.d"}, {.name = "e/.wh..wh..opq"}};
    static const struct tar_entry three[] = {{.name = "d/new", .data = "3"},
                                             {.name = "e/new", .data = "3"}};
    char chains[3][65];

    NEEDS_ROOT(f);
    UNPACK(f, one, chains[0]);
    UNPACK(f, two, chains[1]);
    UNPACK(f, three, chains[2]);
    mount_ok(f, chains, 3);
    assert_int_equal(count_names("jobs/c/root/d"), 1);
    merged_text("d/new", "3");
    assert_int_equal(count_names("jobs/c/root/e"), 1);
    unmount();
}

static void an_opaque_root_hides_all_layers_below(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry low[] = {{.name = "low", .data = "low"}};
    static const struct tar_entry high[] = {{.name = ".wh..wh..opq"},
                                            {.name = "high", .data = "high"}};
    char chains[2][65];
    struct stat st;

    NEEDS_ROOT(f);
    UNPACK(f, low, chains[0]);
    UNPACK(f, high, chains[1]);
    mount_ok(f, chains, 2);
    assert_false(merged_stat("low", &st));
    merged_text("high", "high");
    unmount();
}

static void an_image_without_layers_is_an_empty_root(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    NEEDS_ROOT(f);
    mount_ok(f, NULL, 0);
    assert_int_equal(count_names("jobs/c/root"), 0);
    assert_true(merged_stat(".", &st) && st.st_uid == BASE && st.st_mode == (S_IFDIR | 0755));
    unmount();
}

static void all_127_layers_fit(void **state)
{
    struct fixture *f = *state;
    static char chains[LIMIT_LAYERS + 1][65];
    struct err e = {0};

    NEEDS_ROOT(f);
    for (size_t i = 0; i < LIMIT_LAYERS; i++) {
        char name[16], text[16];
        struct tar_entry entries[] = {{.name = name, .data = text}, {.name = "top", .data = text}};

        (void)snprintf(name, sizeof(name), "f%zu", i);
        (void)snprintf(text, sizeof(text), "%zu", i);
        UNPACK(f, entries, chains[i]);
    }
    mount_ok(f, chains, LIMIT_LAYERS);
    assert_int_equal(count_names("jobs/c/root"), LIMIT_LAYERS + 1);
    merged_text("f0", "0");
    merged_text("top", "126");
    unmount();
    assert_int_equal(mount_chains(f, chains, LIMIT_LAYERS + 1, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void bad_arguments_are_told_and_leave_no_mount(void **state)
{
    struct fixture *f = *state;
    char chains[2][65] = {{0}};
    struct err e = {0};

    NEEDS_ROOT(f);
    assert_int_equal(mount_chains(f, chains, 1, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    memset(chains[0], 'a', 64);
    assert_int_equal(mount_chains(f, chains, 1, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.msg, "layer aaaaaaaaaaaa is not unpacked on this machine");
    assert_int_equal(rootfs_mount(f->mounts, NULL, 0, "jobs/c", "jobs/c/root", 0, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(rootfs_mount(f->mounts, NULL, 0, "jobs/c", "jobs/none", BASE, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    check_stage_is_gone();
    assert_int_equal(access("canary", F_OK), 0);
}

static void a_scratch_with_a_strange_name_works_and_can_be_mounted_again(void **state)
{
    struct fixture *f = *state;
    static const char scratch[] = "jobs/a,b:c\\d";
    struct err e = {0};

    NEEDS_ROOT(f);
    assert_int_equal(mkdir(scratch, 0700), 0);
    assert_int_equal(mkdir("jobs/t", 0700), 0);
    for (int i = 0; i < 2; i++) { /* the second time there is the mark of the volatile one */
        if (rootfs_mount(f->mounts, NULL, 0, scratch, "jobs/t", BASE + 65536, &e) < 0) {
            fail_msg("%s", e.msg);
        }
        put_file("jobs/t/kept", "kept", 0644);
        assert_int_equal(umount2("jobs/t", 0), 0);
    }
}

static int capability_is_plain(void)
{
    char value[24];

    return getxattr("show", "security.capability", value, sizeof(value)) == 20 ? 0 : 1;
}

static void file_capabilities_belong_to_the_containers_root(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry e[] = {{.name = "show", .data = "x", .mode = 0755}};
    /* VFS_CAP_REVISION_2, effective, CAP_NET_RAW */
    static const char cap[20] = "\x01\0\0\2\0\x20";
    unsigned char value[24] = {0};
    char chains[1][65], path[160];

    NEEDS_ROOT(f);
    UNPACK(f, e, chains[0]);
    (void)snprintf(path, sizeof(path), "rootfs/%s/fs/show", chains[0]);
    assert_int_equal(setxattr(path, "security.capability", cap, sizeof(cap), 0), 0);
    mount_ok(f, chains, 1);
    /* Seen from the machine: version 3, whose last word is the root that it counts for. */
    assert_int_equal(getxattr("jobs/c/root/show", "security.capability", value, sizeof(value)), 24);
    assert_int_equal(value[20] | value[21] << 8 | value[22] << 16, BASE);
    assert_int_equal(in_container(capability_is_plain), 0);
    unmount();
}

#define MOUNT_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_start, fixture_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOUNT_TEST(layers_are_merged_and_ids_are_shifted),
        MOUNT_TEST(what_a_container_writes_stays_in_its_scratch),
        MOUNT_TEST(whiteouts_and_opaque_directories_hide_what_is_below),
        MOUNT_TEST(what_was_hidden_can_come_back_in_a_third_layer),
        MOUNT_TEST(an_opaque_root_hides_all_layers_below),
        MOUNT_TEST(an_image_without_layers_is_an_empty_root),
        MOUNT_TEST(all_127_layers_fit),
        MOUNT_TEST(bad_arguments_are_told_and_leave_no_mount),
        MOUNT_TEST(a_scratch_with_a_strange_name_works_and_can_be_mounted_again),
        MOUNT_TEST(file_capabilities_belong_to_the_containers_root),
    };

    return cmocka_run_group_tests_name("mount", tests, NULL, NULL);
}
