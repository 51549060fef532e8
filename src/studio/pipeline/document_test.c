#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "pipeline/graph.h"

#include <string.h>

struct parsed {
    struct arena a;
    struct err_list mistakes;
    struct doc d;
    struct err e;
    int rc;
};

static struct parsed parse(const char *text)
{
    struct parsed p = {0};

    p.rc = doc_parse(&p.a, str_of(text), &p.d, &p.mistakes, &p.e);
    return p;
}

static void done(struct parsed *p)
{
    arena_done(&p->a);
    err_list_done(&p->mistakes);
}

static void values_keep_their_form(void **state UNUSED)
{
    struct parsed p = parse(
        "pipeline: 1\n"
        "nodes:\n"
        "  a: {module: m, params: {n: 0.80, s: \"0.8\", t: true, u: 012, l: [x, y], o: ~}}\n");
    const struct doc_param *v = p.d.nodes[0].params;

    assert_int_equal(p.rc, 0);
    assert_int_equal(p.d.nodes[0].n_params, 5);
    assert_string_equal(v[0].value.text, "0.8"); /* the one form of it */
    assert_false(v[0].value.is_text);
    assert_true(v[1].value.is_text);
    assert_false(v[2].value.is_text);
    assert_true(v[3].value.is_text); /* no number in JSON */
    assert_string_equal(v[4].value.text, "x,y");
    assert_string_equal(p.d.volume, "studio");
    done(&p);
}

static void mistakes_have_lines_and_the_nearest_key(void **state UNUSED)
{
    struct parsed p = parse("pipeline: 1\nnodes:\n  a:\n    modul: split\n  B: {module: x}\n");

    assert_int_equal(p.rc, -1);
    assert_int_equal(p.mistakes.len, 3);
    assert_int_equal(p.mistakes.items[0].line, 4);
    assert_non_null(strstr(p.mistakes.items[0].msg, "did you mean 'module'"));
    assert_string_equal(p.mistakes.items[1].key, "nodes.a");
    assert_string_equal(p.mistakes.items[2].key, "nodes.B");
    done(&p);
}

static void names_of_pipelines_are_plain(void **state UNUSED)
{
    static const char *const bad[] = {"", "A", "-a", ".a", "a b", "a/b", "ä"};
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(doc_name_check(str_of(bad[i]), &e), -1);
    }
    assert_int_equal(doc_name_check(STR("a1._-"), &e), 0);
    assert_int_equal(doc_name_check(str_n("a\0b", 3), &e), -1);
}

/* --- graphs --- */

struct built {
    struct parsed p;
    struct catalog catalog;
    struct graph g;
    struct mistakes mistakes;
};

static struct built *build(struct built *b, const char *text, const struct graph_value *values,
                           size_t n, enum graph_use use)
{
    *b = (struct built){.p = parse(text)};
    assert_int_equal(b->p.rc, 0);
    b->mistakes.a = &b->p.a;
    catalog_built_in(&b->p.a, &b->catalog);
    graph_build(&b->p.a, &b->p.d, &b->catalog, values, n, use, &b->g, &b->mistakes);
    return b;
}

#define CHAIN                                                                                      \
    "pipeline: 1\nparams: [{name: seed, type: int}]\nnodes:\n"                                     \
    "  last: {module: split, inputs: {table: mid.train}, params: {seed: \"${seed}\"}}\n"           \
    "  mid: {module: split, inputs: {table: first.table}}\n"                                       \
    "  first: {module: read_csv, params: {path: \"d:x.csv\"}}\n"

static void inputs_run_first_whatever_the_order_in_the_document(void **state UNUSED)
{
    const struct graph_value seed = {"seed", "41"};
    struct built b;
    bool up[4] = {0}, down[4] = {0};

    build(&b, CHAIN, &seed, 1, GRAPH_FOR_RUN);
    assert_int_equal(b.mistakes.n, 0);
    assert_int_equal(b.g.n_order, 3);
    assert_int_equal(b.g.order[0], 2);
    assert_int_equal(b.g.order[2], 0);
    graph_reach(&b.g, 1, GRAPH_UP, up);
    graph_reach(&b.g, 1, GRAPH_DOWN, down);
    assert_true(up[1] && up[2] && !up[0]);
    assert_true(down[1] && down[0] && !down[2]);
    done(&b.p);
}

static void a_value_that_only_a_run_knows_is_no_mistake_of_a_check(void **state UNUSED)
{
    const struct graph_value bad = {"seed", "many"};
    struct built b;

    build(&b, CHAIN, NULL, 0, GRAPH_FOR_CHECK);
    assert_int_equal(b.mistakes.n, 0);
    done(&b.p);
    build(&b, CHAIN, NULL, 0, GRAPH_FOR_RUN);
    assert_int_equal(b.mistakes.n, 1);
    assert_non_null(strstr(b.mistakes.items[0].message, "needs a value"));
    done(&b.p);
    build(&b, CHAIN, &bad, 1, GRAPH_FOR_RUN);
    assert_true(b.mistakes.n >= 1);
    done(&b.p);
}

static void only_those_in_a_circle_are_told(void **state UNUSED)
{
    struct built b;

    build(&b,
          "pipeline: 1\nnodes:\n"
          "  a: {module: split, inputs: {table: b.train}}\n"
          "  b: {module: split, inputs: {table: a.train}}\n"
          "  c: {module: split, inputs: {table: b.test}}\n"
          "  d: {module: split, inputs: {table: d.test}}\n",
          NULL, 0, GRAPH_FOR_CHECK);
    assert_int_equal(b.mistakes.n, 3);
    assert_string_equal(b.mistakes.items[0].node, "a");
    assert_string_equal(b.mistakes.items[1].node, "b");
    assert_string_equal(b.mistakes.items[2].node, "d");
    done(&b.p);
}

static void dollars_may_be_meant(void **state UNUSED)
{
    struct built b;

    build(&b,
          "pipeline: 1\nparams: [{name: a, default: x}]\nnodes:\n"
          "  r: {module: read_csv, params: {path: \"d:$${a}-${a}.csv\"}}\n"
          "  q: {module: read_csv, params: {path: \"d:${b}\"}}\n",
          NULL, 0, GRAPH_FOR_CHECK);
    assert_int_equal(b.mistakes.n, 1);
    assert_string_equal(b.mistakes.items[0].node, "q");
    assert_string_equal(b.g.nodes[0].params[0], "d:${a}-x.csv");
    done(&b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_keep_their_form),
        cmocka_unit_test(mistakes_have_lines_and_the_nearest_key),
        cmocka_unit_test(names_of_pipelines_are_plain),
        cmocka_unit_test(inputs_run_first_whatever_the_order_in_the_document),
        cmocka_unit_test(a_value_that_only_a_run_knows_is_no_mistake_of_a_check),
        cmocka_unit_test(only_those_in_a_circle_are_told),
        cmocka_unit_test(dollars_may_be_meant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
