#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access_priv.h"

#include <string.h>

/* Written by hand, to be read beside roles.c: user, anonymous (in a public project), guest,
 * developer, maintainer, admin. */
static const struct {
    const char *permission;
    const char *who;
} table[PERM_COUNT] = {
    {"public", "unGDMA"},         {"signed-in", "u-GDMA"},      {"person", "u-GDMA"},
    {"system:read", "-----A"},    {"system:manage", "-----A"},  {"user:manage", "-----A"},
    {"audit:read", "-----A"},     {"project:create", "u----A"}, {"project:read", "-nGDMA"},
    {"project:manage", "----MA"}, {"member:read", "--GDMA"},    {"image:pull", "-nGDMA"},
    {"image:push", "---DMA"},     {"image:delete", "----MA"},   {"job:read", "--GDMA"},
    {"job:submit", "---DMA"},     {"job:cancel", "---DMA"},     {"job:exec", "---DMA"},
    {"volume:read", "--GDMA"},    {"volume:write", "---DMA"},   {"volume:manage", "---DMA"},
    {"pipeline:read", "--GDMA"},  {"pipeline:write", "---DMA"}, {"pipeline:run", "---DMA"},
    {"metric:read", "--GDMA"},    {"metric:write", "---DMA"},   {"secret:read", "---DMA"},
    {"secret:write", "----MA"},
};

static void every_role_holds_exactly_its_permissions(void **arg UNUSED)
{
    for (int p = 0; p < PERM_COUNT; p++) {
        assert_string_equal(table[p].permission, perm_name((enum perm)p));
        for (int role = 0; role < ROLES; role++) {
            bool holds = role_permissions((enum role)role) & PERM_BIT(p);

            if (holds != (table[p].who[role] != '-')) {
                fail_msg("%s and %s", role_name((enum role)role), perm_name((enum perm)p));
            }
        }
    }
}

static void only_roles_of_a_project_are_given_to_members(void **arg UNUSED)
{
    enum role r = ROLE_NONE;
    struct err e;

    assert_int_equal(role_parse_member(STR("guest"), &r, &e), 0);
    assert_int_equal(r, ROLE_GUEST);
    assert_int_equal(role_parse_member(STR("developer"), &r, &e), 0);
    assert_int_equal(role_parse_member(STR("maintainer"), &r, &e), 0);
    assert_int_equal(r, ROLE_MAINTAINER);
    assert_int_equal(role_parse_member(STR("admin"), &r, &e), -1);
    assert_int_equal(role_parse_member(STR("anonymous"), &r, &e), -1);
    assert_int_equal(role_parse_member(STR(""), &r, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void names_follow_the_rule_of_image_names(void **arg UNUSED)
{
    static const char *const good[] = {"a", "demo", "team-1", "a.b_c-d", "0x", "library"};
    static const char *const bad[] = {"",    "A",   "-a",  "a-",   "a--b",   "a..b", "a/b",
                                      "a b", "ü",   ".a",  "a\n",  "a_.b",   "..",   "api",
                                      "v2",  "all", "new", "none", "metrics"};
    char longest[LIMIT_NAME_BYTES + 2];
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(access_check_project_name(str_of(good[i]), &e), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(access_check_project_name(str_of(bad[i]), &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(access_check_user_name(str_n(longest, LIMIT_NAME_BYTES), &e), 0);
    assert_int_equal(access_check_user_name(str_n(longest, LIMIT_NAME_BYTES + 1), &e), -1);
    assert_int_equal(access_check_user_name(STR("anonymous"), &e), -1);
    assert_int_equal(access_check_user_name(STR("me"), &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_holds_exactly_its_permissions),
        cmocka_unit_test(only_roles_of_a_project_are_given_to_members),
        cmocka_unit_test(names_follow_the_rule_of_image_names),
    };

    return cmocka_run_group_tests_name("roles", tests, NULL, NULL);
}
