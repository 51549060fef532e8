#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_tree_knows_its_lines(void **state UNUSED)
{
    SCOPED(arena_done) struct arena a = {0};
    struct err e;
    const struct yaml_node *root =
        yaml_parse(&a, STR("name: x\nresources:\n  cpu: 2\n  list: [a, 'null', ~]\n"), &e);
    const struct yaml_node *list;

    assert_non_null(root);
    assert_int_equal(root->n_children, 2);
    assert_int_equal(yaml_get(yaml_get(root, "resources"), "cpu")->line, 3);
    assert_int_equal(yaml_get(yaml_get(root, "resources"), "cpu")->column, 8);
    list = yaml_get(yaml_get(root, "resources"), "list");
    assert_int_equal(list->n_children, 3);
    assert_false(yaml_is_null(list->children->next));
    assert_true(yaml_is_null(list->children->next->next));
    assert_null(yaml_get(root, "nothing"));
    assert_true(yaml_is_null(NULL));
}

static void json_is_read_by_the_same_door(void **state UNUSED)
{
    SCOPED(arena_done) struct arena a = {0};
    struct err e;
    const struct yaml_node *root =
        yaml_parse(&a, STR("{\"a\": [1, 2],\n \"b\": {\"c\": \"\\u00e9\"}}"), &e);

    assert_non_null(root);
    assert_true(str_eq_c(yaml_get(yaml_get(root, "b"), "c")->scalar, "\xc3\xa9"));
    assert_int_equal(yaml_get(root, "b")->line, 2);
}

static void what_explodes_is_refused(void **state UNUSED)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"a: &x 1\nb: *x\n", "anchors"},
        {"b: *x\n", "aliases"},
        {"a: !!python/object x\n", "tags"},
        {"a: 1\na: 2\n", "twice"},
        {"a: 1\n---\nb: 2\n", "one document"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "32 levels"},
        {"a: [1, 2\n", "line"},
        {"? [a]\n: b\n", "plain word"},
        {"\tx: 1\n", "line 1"},
        {"", "empty"},
        {"# nothing\n", "empty"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        SCOPED(arena_done) struct arena a = {0};
        struct err e = {0};

        assert_null(yaml_parse(&a, str_of(bad[i].text), &e));
        if (strstr(e.msg, bad[i].message) == NULL) {
            fail_msg("'%s': %s", bad[i].text, e.msg);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_knows_its_lines),
        cmocka_unit_test(json_is_read_by_the_same_door),
        cmocka_unit_test(what_explodes_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
