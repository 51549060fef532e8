/* The key of a step: what it stands for, and what is said when it is another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/pipeline_priv.h"

#include <stdio.h>
#include <string.h>

/* One run of two nodes, of which the first has ended. */
struct tried {
    struct pipelines s;
    struct run r;
    struct err_list mistakes;
    struct mistakes wrong;
};

#define CHAIN(params)                                                                              \
    "pipeline: 1\nnodes:\n"                                                                        \
    "  a: {module: split, inputs: {table: z.table}}\n"                                             \
    "  b: {module: split, params: {" params "}, inputs: {table: a.train}}\n"                       \
    "  z: {module: read_csv, params: {path: \"d:x\"}}\n"

static struct run_node *try_it(struct tried *t, const char *text)
{
    struct run_node *nodes;
    struct err e = {0};
    int64_t bytes;

    *t = (struct tried){0};
    t->wrong.a = &t->r.arena;
    memcpy(t->s.image.image.digest, "sha256:1", 9);
    assert_int_equal(doc_parse(&t->r.arena, str_of(text), &t->r.doc, &t->mistakes, &e), 0);
    catalog_built_in(&t->r.arena, &t->r.catalog);
    graph_build(&t->r.arena, &t->r.doc, &t->r.catalog, NULL, 0, GRAPH_FOR_CHECK, &t->r.graph,
                &t->wrong);
    assert_int_equal(t->wrong.n, 0);
    nodes = arena_new_array(&t->r.arena, struct run_node, 2);
    nodes[0] = (struct run_node){.row = {.node = "a"}, .g = graph_find(&t->r.graph, STR("a"))};
    nodes[1] = (struct run_node){.row = {.node = "b"}, .g = graph_find(&t->r.graph, STR("b"))};
    memcpy(nodes[0].outputs[0].sha256, "aa", 3);
    t->r.nodes = nodes;
    t->r.of = arena_new_array(&t->r.arena, struct run_node *, 3);
    t->r.of[nodes[0].g] = &nodes[0];
    t->r.of[nodes[1].g] = &nodes[1];
    t->r.n = 2;
    assert_int_equal(step_words(&t->s, &t->r, &nodes[1], &bytes, &e), 0);
    return &nodes[1];
}

static void forget(struct tried *t)
{
    err_list_done(&t->mistakes);
    arena_done(&t->r.nodes[1].arena);
    arena_done(&t->r.arena);
}

static bool has_same_key(const struct run_node *a, const struct run_node *b)
{
    char one[STEP_KEY], other[STEP_KEY];

    step_words_key(a->row.words, one);
    step_words_key(b->row.words, other);
    return strcmp(one, other) == 0;
}

/* Whether two documents give their node "b" the same key, and why not. */
static bool same(const char *one, const char *other, char why[200])
{
    struct tried x, y;
    struct run_node *a = try_it(&x, one);
    struct run_node *b = try_it(&y, other);
    bool is_same = has_same_key(a, b);

    (void)snprintf(why, 200, "%s", step_why(b, a->row.words));
    forget(&x);
    forget(&y);
    return is_same;
}

static void a_default_that_is_written_out_is_no_change(void **state UNUSED)
{
    char why[200];

    assert_true(same(CHAIN(""), CHAIN("fraction: 0.8"), why));
    assert_true(same(CHAIN("fraction: 0.80"), CHAIN("fraction: 0.8"), why));
}

static void a_parameter_that_differs_is_told(void **state UNUSED)
{
    char why[200];

    assert_false(same(CHAIN("fraction: 0.8"), CHAIN("fraction: 0.7"), why));
    assert_string_equal(why, "parameter fraction changed from 0.8 to 0.7");
}

static void what_is_for_people_changes_nothing(void **state UNUSED)
{
    char why[200];

    assert_true(same(CHAIN(""),
                     "pipeline: 1\ndescription: x\nnodes:\n"
                     "  z: {module: read_csv, params: {path: \"d:other\"}}\n"
                     "  a: {module: split, at: [1, 2], inputs: {table: z.table}}\n"
                     "  b: {module: split, title: T, at: [3, 4], inputs: {table: a.train}}\n",
                     why));
}

static void what_was_read_is_part_of_it(void **state UNUSED)
{
    struct tried x, y;
    struct run_node *a = try_it(&x, CHAIN(""));
    struct run_node *b = try_it(&y, CHAIN(""));
    struct err e = {0};
    int64_t bytes;

    memcpy(y.r.nodes[0].outputs[0].sha256, "bb", 3);
    assert_int_equal(step_words(&y.s, &y.r, b, &bytes, &e), 0);
    assert_false(has_same_key(a, b));
    assert_string_equal(step_why(b, a->row.words), "input table has changed");
    memcpy(y.r.nodes[0].outputs[0].sha256, "aa", 3);
    memcpy(y.s.image.image.digest, "sha256:2", 9);
    assert_int_equal(step_words(&y.s, &y.r, b, &bytes, &e), 0);
    assert_string_equal(step_why(b, a->row.words), "strata-ml has changed");
    assert_string_equal(step_why(b, NULL), "never run before");
    forget(&x);
    forget(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_default_that_is_written_out_is_no_change),
        cmocka_unit_test(a_parameter_that_differs_is_told),
        cmocka_unit_test(what_is_for_people_changes_nothing),
        cmocka_unit_test(what_was_read_is_part_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
