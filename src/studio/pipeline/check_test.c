/* What a check foretells when files are not there to be looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/pipeline_priv.h"

#include <string.h>

struct told {
    struct arena a;
    struct err_list wrong;
    struct mistakes mistakes;
    json_t *json;
};

static void check(struct told *t, const char *text)
{
    struct catalog catalog;
    struct check_files files = {0};
    struct graph graph;
    struct buf out = BUF_MAX(1024 * 1024);
    struct jw w = JW(&out);
    struct err e = {0};
    struct doc d;

    *t = (struct told){0};
    t->mistakes.a = &t->a;
    assert_int_equal(doc_parse(&t->a, str_of(text), &d, &t->wrong, &e), 0);
    catalog_built_in(&t->a, &catalog);
    graph_build(&t->a, &d, &catalog, NULL, 0, GRAPH_FOR_CHECK, &graph, &t->mistakes);
    check_json(&t->a, &graph, &files, &t->mistakes, &w);
    t->json = json_parse(buf_str(&out), &e);
    assert_non_null(t->json);
    buf_done(&out);
}

static void done(struct told *t)
{
    json_decref(t->json);
    err_list_done(&t->wrong);
    arena_done(&t->a);
}

static const json_t *port(const struct told *t, const char *node, const char *name)
{
    const json_t *n = json_object_get(json_object_get(t->json, "nodes"), node);

    return json_object_get(json_object_get(n, "outputs"), name);
}

static bool is_open_table(const json_t *p)
{
    return strcmp(json_string_value(json_object_get(p, "type")), "table") == 0 &&
           json_is_true(json_object_get(p, "open"));
}

#define OPEN                                                                                       \
    "pipeline: 1\nparams: [{name: file}]\nnodes:\n"                                                \
    "  r: {module: read_csv, params: {path: \"d:${file}\"}}\n"

static void a_file_that_only_a_run_knows_leaves_columns_open(void **state UNUSED)
{
    struct told t;

    check(&t, OPEN "  s: {module: split, inputs: {table: r.table}}\n"
                   "  l: {module: kmeans, inputs: {train: s.train}}\n");
    assert_true(json_is_true(json_object_get(t.json, "ok")));
    assert_true(is_open_table(port(&t, "r", "table")));
    assert_true(is_open_table(port(&t, "s", "train")));
    assert_string_equal(json_string_value(json_object_get(port(&t, "l", "model"), "type")),
                        "model");
    done(&t);
}

static void one_mistake_is_told_once(void **state UNUSED)
{
    struct told t;

    check(&t, OPEN "  s: {module: split, params: {fraction: 7}, inputs: {table: r.table}}\n"
                   "  m: {module: split, inputs: {table: s.train}}\n"
                   "  n: {module: split, inputs: {table: m.train}}\n");
    assert_int_equal(t.mistakes.n, 1);
    assert_string_equal(t.mistakes.items[0].node, "s");
    assert_string_equal(t.mistakes.items[0].param, "fraction");
    assert_true(is_open_table(port(&t, "n", "test")));
    done(&t);
}

static void what_is_no_module_has_no_outputs(void **state UNUSED)
{
    struct told t;

    check(&t, OPEN "  s: {module: splitt, inputs: {table: r.table}}\n"
                   "  n: {module: split, inputs: {table: s.train}}\n");
    assert_int_equal(t.mistakes.n, 1);
    assert_non_null(strstr(t.mistakes.items[0].message, "did you mean 'split'"));
    assert_null(json_object_get(json_object_get(t.json, "nodes"), "s"));
    assert_false(json_is_true(json_object_get(t.json, "ok")));
    done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_only_a_run_knows_leaves_columns_open),
        cmocka_unit_test(one_mistake_is_told_once),
        cmocka_unit_test(what_is_no_module_has_no_outputs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
