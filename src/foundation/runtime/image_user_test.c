#include "runtime/runtime_priv.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#include <cmocka.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "# a comment\n"
                             "broken:x:abc:0::/:\n"
                             "high:x:70000:0::/:\n"
                             "joe:x:1000:1001:Joe:/home/joe:/bin/sh\n"
                             "last:x:5:6:no newline:relative";
static const char group[] = "root:x:0:\njoe:x:1001:\nvideo:x:44:ann,joe\nrender:x:104:joe\n"
                            "other:x:7:joel,jo\n";

static int resolve(const char *user, struct image_user *u)
{
    struct err e;

    return image_user_resolve(str_of(user), str_of(passwd), str_of(group), u, &e);
}

static void no_user_is_root(void **state)
{
    struct image_user u;

    (void)state;
    assert_int_equal(resolve("", &u), 0);
    assert_int_equal(u.uid, 0);
    assert_int_equal(u.gid, 0);
    assert_string_equal(u.home, "/root");
}

static void a_name_brings_its_group_home_and_further_groups(void **state)
{
    struct image_user u;

    (void)state;
    assert_int_equal(resolve("joe", &u), 0);
    assert_int_equal(u.uid, 1000);
    assert_int_equal(u.gid, 1001);
    assert_string_equal(u.home, "/home/joe");
    assert_int_equal(u.n_groups, 2);
    assert_int_equal(u.groups[0], 44);
    assert_int_equal(u.groups[1], 104);
}

static void a_number_with_an_entry_is_that_user(void **state)
{
    struct image_user u;

    (void)state;
    assert_int_equal(resolve("1000", &u), 0);
    assert_int_equal(u.gid, 1001);
    assert_int_equal(u.n_groups, 2);
}

static void a_number_without_an_entry_is_taken(void **state)
{
    struct image_user u;

    (void)state;
    assert_int_equal(resolve("4242", &u), 0);
    assert_int_equal(u.uid, 4242);
    assert_int_equal(u.gid, 0);
    assert_string_equal(u.home, "/");
}

static void a_named_group_replaces_all_others(void **state)
{
    struct image_user u;

    (void)state;
    assert_int_equal(resolve("joe:video", &u), 0);
    assert_int_equal(u.gid, 44);
    assert_int_equal(u.n_groups, 0);
    assert_int_equal(resolve("1:2", &u), 0);
    assert_int_equal(u.uid, 1);
    assert_int_equal(u.gid, 2);
}

static void a_relative_home_is_not_believed(void **state)
{
    struct image_user u;

    (void)state;
    assert_int_equal(resolve("last", &u), 0);
    assert_int_equal(u.uid, 5);
    assert_string_equal(u.home, "/");
}

static void unknown_names_and_ids_past_the_range_are_refused(void **state)
{
    static const char *const bad[] = {"ann",         "broken",  "high", "65536",
                                      "joe:nogroup", "0:65536", "-1",   "99999999999999999999999"};
    struct image_user u;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(resolve(bad[i], &u), -1);
    }
}

static void an_image_from_scratch_has_only_numbers(void **state)
{
    struct image_user u;
    struct err e;

    (void)state;
    assert_int_equal(image_user_resolve(STR(""), STR_EMPTY, STR_EMPTY, &u, &e), 0);
    assert_int_equal(image_user_resolve(STR("7:8"), STR_EMPTY, STR_EMPTY, &u, &e), 0);
    assert_int_equal(u.gid, 8);
    assert_int_equal(image_user_resolve(STR("joe"), STR_EMPTY, STR_EMPTY, &u, &e), -1);
}

/* --- in a tree --- */

static int open_tree_of(char *dir)
{
    assert_non_null(mkdtemp(dir));
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void links_in_an_image_stay_in_the_image(void **state)
{
    char dir[] = "/tmp/strata-image-user-XXXXXX";
    int root = open_tree_of(dir);
    struct image_user u;
    struct err e;

    (void)state;
    assert_true(root >= 0);
    assert_int_equal(mkdirat(root, "etc", 0755), 0);
    assert_int_equal(mkdirat(root, "real", 0755), 0);
    /* Both would be the host's file without RESOLVE_IN_ROOT. */
    assert_int_equal(symlinkat("/real/passwd", root, "etc/passwd"), 0);
    assert_int_equal(symlinkat("../../../../etc/group", root, "etc/group"), 0);
    assert_int_equal(fs_write_atomic(root, "real/passwd", STR("ann:x:9:9::/ann:\n"), 0644, &e), 0);
    assert_int_equal(image_user_find(root, "ann", &u, &e), 0);
    assert_int_equal(u.uid, 9);
    assert_int_equal(image_user_find(root, "root:root", &u, &e), -1); /* no group file in there */
    (void)close(root);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
}

static void a_pipe_as_passwd_does_not_hold_us_up(void **state)
{
    char dir[] = "/tmp/strata-image-user-XXXXXX";
    int root = open_tree_of(dir);
    struct image_user u;
    struct err e;

    (void)state;
    assert_int_equal(mkdirat(root, "etc", 0755), 0);
    assert_int_equal(mkfifoat(root, "etc/passwd", 0644), 0);
    assert_int_equal(image_user_find(root, "ann", &u, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    (void)close(root);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
}

static void a_huge_passwd_is_refused(void **state)
{
    char dir[] = "/tmp/strata-image-user-XXXXXX";
    int root = open_tree_of(dir), fd;
    struct image_user u;
    struct err e;

    (void)state;
    assert_int_equal(mkdirat(root, "etc", 0755), 0);
    fd = openat(root, "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(fd, (off_t)RUNTIME_PASSWD_MAX + 1), 0);
    (void)close(fd);
    assert_int_equal(image_user_find(root, "", &u, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    (void)close(root);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_user_is_root),
        cmocka_unit_test(a_name_brings_its_group_home_and_further_groups),
        cmocka_unit_test(a_number_with_an_entry_is_that_user),
        cmocka_unit_test(a_number_without_an_entry_is_taken),
        cmocka_unit_test(a_named_group_replaces_all_others),
        cmocka_unit_test(a_relative_home_is_not_believed),
        cmocka_unit_test(unknown_names_and_ids_past_the_range_are_refused),
        cmocka_unit_test(an_image_from_scratch_has_only_numbers),
        cmocka_unit_test(links_in_an_image_stay_in_the_image),
        cmocka_unit_test(a_pipe_as_passwd_does_not_hold_us_up),
        cmocka_unit_test(a_huge_passwd_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
