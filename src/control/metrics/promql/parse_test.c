#include "base/buf.h"
#include "base/limits.h"
#include "promql/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

/* What is printed is what Prometheus prints (String() of its expressions). */
static void queries_are_printed_in_their_canonical_form(void **state UNUSED)
{
    static const struct {
        const char *text, *printed; /* NULL: the same */
    } rows[] = {
        {"1", NULL},
        {"+Inf", NULL},
        {"inf", "+Inf"},
        {"nan", "NaN"},
        {"0x1F", "31"},
        {"0755", "493"},
        {"1_000_000", "1e+06"},
        {".5", "0.5"},
        {"1e-7", "1e-07"},
        {"-1", NULL},
        {"--1", "1"},
        {"1e21", "1e+21"},
        {"5m", NULL},
        {"time() - 1h30m", NULL},
        {"\"a\\x41\\u00e9\\n\"", "\"aA\xc3\xa9\\n\""},
        {"'it\\'s'", "\"it's\""},
        {"`a\\n`", "\"a\\\\n\""},
        {"up", NULL},
        {"a:b:c", NULL},
        {"up{}", "up"},
        {"up{job=\"a\",x!=\"b\",y=~\"c.*\",z!~'d',}", "up{job=\"a\",x!=\"b\",y=~\"c.*\",z!~\"d\"}"},
        {"{\"my.metric\", \"la bel\"=\"x\"}", "{\"my.metric\",\"la bel\"=\"x\"}"},
        {"{\"up\"}", "up"},
        {"{__name__=\"up\"}", NULL},
        {"{__name__=~\"a|b\"}", NULL},
        {"up offset 5m", NULL},
        {"up offset -1w", NULL},
        {"up offset 90", "up offset 1m30s"},
        {"up @ 1609746000.5", "up @ 1609746000.500"},
        {"up @ -1", "up @ -1.000"},
        {"up offset 1h @ start()", "up @ start() offset 1h"},
        {"rate(up[5m] @ end() offset 1d)", NULL},
        {"rate(up[600])", "rate(up[10m])"},
        {"max_over_time(rate(up[5m])[1h:1m] offset 3s)", NULL},
        {"max_over_time(up[1h:])", NULL},
        {"sum(up)", NULL},
        {"SUM(up)", "sum(up)"},
        {"sum by (job) (up)", NULL},
        {"sum(up) by (job, \"a b\",)", "sum by (job, \"a b\") (up)"},
        {"sum by () (up)", "sum(up)"},
        {"sum without () (up)", "sum without () (up)"},
        {"topk(3, up)", NULL},
        {"count_values(\"v\", up)", NULL},
        {"sum", NULL},
        {"sum + by", NULL},
        {"offset", NULL},
        {"sum{by=\"and\"}", NULL},
        {"{on=\"x\", inf=\"y\"}", "{on=\"x\",inf=\"y\"}"},
        {"sum by (and, bool, on) (up)", NULL},
        {"1 + 2 * 3 ^ 2 ^ 2", NULL},
        {"-a ^ 2", NULL},
        {"2 ^ -a", NULL},
        {"-(a)", NULL},
        {"a atan2 b", NULL},
        {"a and b or c unless d", NULL},
        {"a > bool 1", NULL},
        {"1 == bool 2", NULL},
        {"a * on (x) group_left (y, z) b", NULL},
        {"a * on(x) group_left b", "a * on (x) group_left () b"},
        {"a * ignoring(x) group_right(y) b", "a * ignoring (x) group_right (y) b"},
        {"a + ignoring() b", "a + b"},
        {"a and on() b", "a and on () b"},
        {"label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\")", NULL},
        {"label_join(up, \"a\", \"-\")", NULL},
        {"label_join(up, \"a\", \"-\", \"b\", \"c\", \"d\", \"e\")", NULL},
        {"round(up)", NULL},
        {"hour()", NULL},
        {"pi()", NULL},
        {"up # a comment\n + 1", "up + 1"},
        {"up{a=\"\xff\"}", "up{a=\"\\xff\"}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct buf out = BUF_MAX(4096);
        struct promql_node *n = promql_parse(&a, str_of(rows[i].text), &e);

        if (n == NULL) {
            fail_msg("%s: %s", rows[i].text, e.msg);
        }
        promql_print(n, &out);
        assert_string_equal(out.p, rows[i].printed != NULL ? rows[i].printed : rows[i].text);
        buf_done(&out);
        arena_done(&a);
    }
}

static void binding_is_as_in_prometheus(void **state UNUSED)
{
    static const struct {
        const char *text, *root, *left;
    } rows[] = {
        {"a + b * c", "+", NULL},     {"a * b + c", "+", "*"},
        {"a - b - c", "-", "-"},      {"a ^ b ^ c", "^", NULL},
        {"a or b and c", "or", NULL}, {"a and b unless c", "unless", "and"},
        {"a > b > c", ">", ">"},      {"a atan2 b * c", "*", "atan2"},
        {"-a * b", "*", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct promql_node *n = promql_parse(&a, str_of(rows[i].text), &e);

        assert_non_null(n);
        assert_int_equal(n->kind, PROMQL_BINARY);
        assert_string_equal(promql_op_name(n->op), rows[i].root);
        assert_int_equal(n->children[0]->kind == PROMQL_BINARY, rows[i].left != NULL);
        if (rows[i].left != NULL) {
            assert_string_equal(promql_op_name(n->children[0]->op), rows[i].left);
        }
        arena_done(&a);
    }
}

static void mistakes_are_refused_with_their_place(void **state UNUSED)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "1:1: parse error: no expression found in input"},
        {"1 +", "1:4: parse error: unexpected end of input"},
        {"up\n + )", "2:4: parse error: unexpected \")\""},
        {"(up", "1:1: parse error: unclosed left parenthesis"},
        {"sum(up", "1:4: parse error: unclosed left parenthesis"},
        {"up{", "1:4: parse error: unexpected end of input in label matching, expected identifier "
                "or \"}\""},
        {"up{a}",
         "1:5: parse error: unexpected \"}\" in label matching, expected label matching operator"},
        {"up{a=b}",
         "1:6: parse error: unexpected identifier \"b\" in label matching, expected string"},
        {"up{a==\"b\"}",
         "1:5: parse error: unexpected \"==\" in label matching, expected label matching operator"},
        {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
        {"{a=\"\",b=~\".*\",c!=\"x\"}",
         "1:1: parse error: vector selector must contain at least one non-empty matcher"},
        {"up{__name__=\"x\"}",
         "1:4: parse error: metric name must not be set twice: \"up\" or \"x\""},
        {"nosuch(up)", "1:1: parse error: unknown function with name \"nosuch\""},
        {"rate(up)", "1:6: parse error: expected type range vector in call to function \"rate\", "
                     "got instant vector"},
        {"rate()", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"},
        {"round(up, 1, 2)",
         "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
        {"abs(up,)", "1:8: parse error: trailing commas not allowed in function call args"},
        {"topk(up)", "1:1: parse error: wrong number of arguments for aggregate expression "
                     "provided, expected 2, got 1"},
        {"topk(\"a\", up)",
         "1:6: parse error: expected type scalar in aggregation parameter, got string"},
        {"sum(1)",
         "1:5: parse error: expected type instant vector in aggregation expression, got scalar"},
        {"1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
        {"1 and up",
         "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
        {"a + bool b", "1:5: parse error: bool modifier can only be used on comparison operators"},
        {"a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors"},
        {"a + on(x) group_left(x) b",
         "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"},
        {"a and on(x) group_left b",
         "1:13: parse error: no grouping allowed for \"and\" operation"},
        {"\"a\" + 1",
         "1:1: parse error: binary expression must contain only scalar and instant vector types"},
        {"up[5m] + 1",
         "1:1: parse error: binary expression must contain only scalar and instant vector types"},
        {"-up[5m]",
         "1:1: parse error: unary expression only allowed on expressions of type scalar or instant "
         "vector, got \"range vector\""},
        {"up[0s]", "1:3: parse error: duration must be greater than 0"},
        {"up[5m:0s]", "1:3: parse error: duration must be greater than 0"},
        {"sum(up)[5m]", "1:1: parse error: ranges only allowed for vector selectors"},
        {"up offset 5m [5m]", "1:1: parse error: no offset modifiers allowed before range"},
        {"up offset 300y", "1:11: parse error: duration out of range"},
        {"up[9300000000]", "1:4: parse error: duration out of range"},
        {"up[5m] offset -9300000000", "1:16: parse error: duration out of range"},
        {"up @ 9e15", "1:6: parse error: duration out of range"},
        {"up offset 5m offset 5m", "1:14: parse error: offset may not be set multiple times"},
        {"sum(up) offset 5m",
         "1:1: parse error: offset modifier must be preceded by an instant vector selector or "
         "range vector selector or a subquery"},
        {"up[5m][5m:1m]",
         "1:1: parse error: subquery is only allowed on instant vector, got range vector instead"},
        {"5mx", "1:1: parse error: bad number or duration syntax: \"5mx\""},
        {"1__0", "1:1: parse error: bad number or duration syntax: \"1__0\""},
        {"up[5s1m]", "1:4: parse error: bad number or duration syntax: \"5s1m\""},
        {"'a", "1:1: parse error: unterminated quoted string"},
        {"'\\q'", "1:2: parse error: unknown escape sequence in a string"},
        {"'\\ud800'", "1:2: parse error: unknown escape sequence in a string"},
        {"up ? 1", "1:4: parse error: unexpected character: '?'"},
        {"up up", "1:4: parse error: unexpected identifier \"up\""},
        {"histogram_sum(up)",
         "1:1: parse error: histogram_sum is about native histograms, which are not stored "
         "here; classic ones have _bucket, _sum and _count"},
        {"up{a=~\"(\"}", "1:4: parse error: the regular expression \"(\" cannot be read: missing "
                         "closing parenthesis"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};

        if (promql_parse(&a, str_of(rows[i].text), &e) != NULL) {
            fail_msg("%s is taken", rows[i].text);
        }
        assert_string_equal(e.msg, rows[i].message);
        arena_done(&a);
    }
}

static void wide_expressions_are_broken_into_lines(void **state UNUSED)
{
    struct arena a = {0};
    struct buf out = BUF_MAX(4096);
    struct promql_node *n = promql_parse(
        &a,
        STR("sum by (job, instance) (rate(http_requests_total{code=~\"5..\",method=\"GET\"}[5m])) "
            "/ "
            "topk(5, sum by (job, instance) (rate(http_requests_total{method=\"GET\"}[5m])))"),
        &e);

    assert_non_null(n);
    promql_format(n, &out);
    assert_string_equal(
        out.p,
        "  sum by (job, instance) (rate(http_requests_total{code=~\"5..\",method=\"GET\"}[5m]))\n"
        "/\n"
        "  topk(5, sum by (job, instance) (rate(http_requests_total{method=\"GET\"}[5m])))");
    buf_done(&out);
    arena_done(&a);
}

static char *repeat(const char *before, const char *middle, const char *after, size_t n)
{
    struct buf b = BUF_MAX(LIMIT_QUERY_BYTES + 1000);

    for (size_t i = 0; i < n; i++) {
        (void)buf_add_c(&b, before);
    }
    (void)buf_add_c(&b, middle);
    for (size_t i = 0; i < n; i++) {
        (void)buf_add_c(&b, after);
    }
    return buf_take(&b);
}

static void depth_and_length_are_limited(void **state UNUSED)
{
    static const struct {
        const char *before, *middle, *after;
        size_t n;
        bool taken;
    } rows[] = {
        {"(", "1", ")", LIMIT_QUERY_DEPTH - 1, true},
        {"(", "1", ")", 10000, false},
        {"-", "up", "", 10000, false},
        {"", "1", "+1", LIMIT_QUERY_HEIGHT, true},
        {"", "1", "+1", 10000, false},
        {"", "up", "[1h:]", 10000, false},
        {"2^", "2", "", 10000, false},
        {"", "1", " ", LIMIT_QUERY_BYTES, false},
        {"abs(", "up", ")", 10000, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        char *text = repeat(rows[i].before, rows[i].middle, rows[i].after, rows[i].n);

        assert_int_equal(promql_parse(&a, str_of(text), &e) != NULL, rows[i].taken);
        free(text);
        arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_printed_in_their_canonical_form),
        cmocka_unit_test(binding_is_as_in_prometheus),
        cmocka_unit_test(mistakes_are_refused_with_their_place),
        cmocka_unit_test(wide_expressions_are_broken_into_lines),
        cmocka_unit_test(depth_and_length_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
