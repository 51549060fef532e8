#include "rootfs/rootfs_priv.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *name, enum entry_kind kind, const char *path, const char *base)
{
    struct entry_name n;
    struct err e = {0};

    if (entry_parse(str_of(name), &n, &e) < 0) {
        fail_msg("%s: %s", name, e.msg);
    }
    assert_int_equal(n.kind, kind);
    assert_string_equal(n.path, path);
    assert_string_equal(n.base, base);
}

static void refuse(struct str name, enum err_kind kind)
{
    struct entry_name n;
    struct err e = {0};

    assert_int_equal(entry_parse(name, &n, &e), -1);
    assert_int_equal(e.kind, kind);
}

static void names_are_cleaned(void **state UNUSED)
{
    check("usr/bin/env", ENTRY_PLAIN, "usr/bin/env", "env");
    check("./usr//bin/./env/", ENTRY_PLAIN, "usr/bin/env", "env");
    check("./", ENTRY_ROOT, "", "");
    check(".", ENTRY_ROOT, "", "");
    check("..a/b..", ENTRY_PLAIN, "..a/b..", "b..");
    check("...", ENTRY_PLAIN, "...", "...");
}

static void names_that_lead_out_are_refused(void **state UNUSED)
{
    refuse(STR("../x"), ERR_INVALID);
    refuse(STR("a/../../x"), ERR_INVALID);
    refuse(STR("a/.."), ERR_INVALID);
    refuse(STR(".."), ERR_INVALID);
    refuse(STR("/etc/passwd"), ERR_INVALID);
    refuse(STR("//x"), ERR_INVALID);
    refuse(STR(""), ERR_INVALID);
    refuse(STR("a\0b"), ERR_INVALID);
}

static void long_names_are_refused(void **state UNUSED)
{
    char text[LIMIT_PATH_BYTES + 2];

    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 2 ? '/' : 'd';
    }
    refuse(str_n(text, sizeof(text)), ERR_LIMIT);
    memset(text, 'x', sizeof(text));
    refuse(str_n(text, 256), ERR_LIMIT);
    text[255] = '\0';
    check(text, ENTRY_PLAIN, text, text);
}

static void whiteouts_name_what_they_hide(void **state UNUSED)
{
    check("etc/.wh.motd", ENTRY_WHITEOUT, "etc/motd", "motd");
    check(".wh.motd", ENTRY_WHITEOUT, "motd", "motd");
    check("etc/.wh.motd/", ENTRY_WHITEOUT, "etc/motd", "motd");
    check("etc/.wh..hidden", ENTRY_WHITEOUT, "etc/.hidden", ".hidden");
    check("etc/.wh..wh..opq", ENTRY_OPAQUE, "etc", "etc");
    check(".wh..wh..opq", ENTRY_OPAQUE, "", "");
    check(".wh..wh.plnk/99.7", ENTRY_IGNORED, ".wh..wh.plnk/99.7", "99.7");
    check("a/.wh..wh.aufs", ENTRY_IGNORED, "a/.wh..wh.aufs", ".wh..wh.aufs");
    check("a.wh..wh.b", ENTRY_PLAIN, "a.wh..wh.b", "a.wh..wh.b");
    check("a/x.wh.b", ENTRY_PLAIN, "a/x.wh.b", "x.wh.b");
}

static void whiteouts_of_nothing_or_of_the_parent_are_refused(void **state UNUSED)
{
    refuse(STR(".wh."), ERR_INVALID);
    refuse(STR("a/.wh.."), ERR_INVALID);
    refuse(STR("a/.wh..."), ERR_INVALID);
}

static void hard_link_targets_start_at_the_layers_root(void **state UNUSED)
{
    struct entry_name n;
    struct err e = {0};

    assert_int_equal(entry_parse_link(STR("/usr/bin/perl"), &n, &e), 0);
    assert_string_equal(n.path, "usr/bin/perl");
    assert_int_equal(n.parent_len, 7);
    assert_string_equal(n.base, "perl");
    assert_int_equal(entry_parse_link(STR("../x"), &n, &e), -1);
    assert_int_equal(entry_parse_link(STR("/"), &n, &e), -1);
}

static void only_capabilities_and_user_attributes_are_taken(void **state UNUSED)
{
    assert_true(entry_xattr_ok("security.capability"));
    assert_true(entry_xattr_ok("user.note"));
    assert_false(entry_xattr_ok("security.selinux"));
    assert_false(entry_xattr_ok("trusted.overlay.redirect"));
    assert_false(entry_xattr_ok("user.overlay.opaque"));
    assert_false(entry_xattr_ok("system.posix_acl_access"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_cleaned),
        cmocka_unit_test(names_that_lead_out_are_refused),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(whiteouts_name_what_they_hide),
        cmocka_unit_test(whiteouts_of_nothing_or_of_the_parent_are_refused),
        cmocka_unit_test(hard_link_targets_start_at_the_layers_root),
        cmocka_unit_test(only_capabilities_and_user_attributes_are_taken),
    };

    return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
