#include "base/limits.h"
#include "promql/promql.h"
#include "rules/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

struct row {
    const char *text, *out;
};

static struct label labels[] = {{{"i", 1}, {"a b", 3}}, {{"instance", 8}, {"db.example:9100", 15}}};

/* "none": nothing; "fail": an error; "2": a number; otherwise two rows. */
static int answer(void *ctx UNUSED, struct str text, struct arena *a, struct promql_answer *out,
                  struct err *err)
{
    static struct label x[] = {{{"__name__", 8}, {"m", 1}}, {{"d", 1}, {"z", 1}}};
    static struct label y[] = {{{"d", 1}, {"b", 1}}};
    static const double v[] = {1, 2.5};

    *out = (struct promql_answer){.type = PROMQL_VECTOR, .scalar = 2};
    if (str_eq(text, STR("fail"))) {
        return err_set(err, ERR_INVALID, "it fails");
    }
    if (str_eq(text, STR("2"))) {
        out->type = PROMQL_SCALAR;
    } else if (!str_eq(text, STR("none"))) {
        out->rows = arena_new_array(a, struct promql_row, 2);
        out->rows[0] = (struct promql_row){.labels = {x, 2}, .len = 1, .v = &v[0]};
        out->rows[1] = (struct promql_row){.labels = {y, 1}, .len = 1, .v = &v[1]};
        out->n_rows = 2;
    }
    return 0;
}

static void try_all(const struct row *rows, size_t n)
{
    struct rule_values v = {.labels = {labels, 2},
                            .external_url = STR("http://x/p"),
                            .value = 1234567.5,
                            .at_ms = 1500,
                            .query = answer};

    for (size_t i = 0; i < n; i++) {
        struct buf out = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);

        if (rule_template(str_of(rows[i].text), &v, &out, &e) < 0) {
            assert_string_equal(e.msg, rows[i].out);
        } else {
            (void)buf_add(&out, str_n("", 1));
            assert_string_equal(out.p, rows[i].out);
        }
        buf_done(&out);
    }
}

static void values_and_pipelines(void **state UNUSED)
{
    static const struct row rows[] = {
        {"plain", "plain"},
        {"{{ $labels.i }}/{{ .Labels.i }}/{{$labels.none}}.", "a b/a b/."},
        {"{{ $value }} {{ .Value }}", "1.2345675e+06 1.2345675e+06"},
        {"{{ $labels }}", "map[i:a b instance:db.example:9100]"},
        {"{{ $externalURL }} {{ externalURL }} {{ pathPrefix }}", "http://x/p http://x/p /p"},
        {"{{ index $labels \"i\" }} {{ (printf \"%s\" `q`) }} {{ \"}}\" }}", "a b q }}"},
        {"{{ \"\\x41\\u00e9\\101\\n\" }}{{ 'a' }} {{ 0x1F }} {{ 1e3 }} {{ 1_000 }} {{ -.5 }} {{ "
         "010 }}",
         "A\xc3\xa9"
         "A\n97 31 1000 1000 -0.5 8"},
        {"{{ true }} {{ nil | print }} {{ len $labels }} {{ len \"abc\" }}",
         "nil is not a command"},
        {"{{ $x := 1 }}{{ $x = 2 }}{{ $x }} {{ $.Value | humanize }}", "2 1.235M"},
        {"a {{- /* none */ -}} b {{- \" c\" }}", "ab c"},
        {"a{{/* {{ */}} b", "a b"},
        {"{{ 3 }}{{- 4 }} {{-3}}", "34 -3"},
        {"{{ slice \"abcdef\" 1 3 }} {{ index \"a\" 0 }} {{ print 1 2 \"x\" 3 true nil }}",
         "bc 97 1 2x3 true <nil>"},
        {"{{ now }} {{ toTime 1.5 }} {{ toDuration 90.5 }} {{ parseDuration \"1h30m\" }}",
         "1.5 1970-01-01 00:00:01.5 +0000 UTC 1m30.5s 5400"},
        {"{{ (toTime 7).Unix }} {{ (args 1 \"b\").arg1 }} {{ (args).arg0 }}", "7 b <no value>"},
    };

    try_all(rows, ARRAY_LEN(rows));
}

static void blocks_branch_and_repeat(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{{ if gt $value 90.0 }}high{{ else }}low{{ end }}", "high"},
        {"{{ if lt $value 1. }}a{{ else if eq $labels.i \"x\" \"a b\" }}b{{ else }}c{{ end }}",
         "b"},
        {"{{ with $labels.none }}x{{ else with $labels.i }}{{ . }}!{{ end }}", "a b!"},
        {"{{ with query \"m\" }}{{ . | first | value | printf \"%.2f\" }}{{ end }}", "1.00"},
        {"{{ with query \"none\" }}x{{ else }}none{{ end }}", "none"},
        {"{{ range query \"m\" }}{{ .Labels.d }}={{ .Value }} {{ end }}", "z=1 b=2.5 "},
        {"{{ range $i, $s := query \"m\" | sortByLabel \"d\" }}{{ $i }}{{ label \"d\" $s }}{{ end "
         "}}",
         "0b1z"},
        {"{{ range $k, $v := $labels }}{{ $k }}:{{ $v }};{{ end }}",
         "i:a b;instance:db.example:9100;"},
        {"{{ range query \"none\" }}x{{ else }}empty{{ end }}", "empty"},
        {"{{ range 4 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}"
         "{{ . }}{{ end }}",
         "02"},
        {"{{ $n := 0 }}{{ range query \"m\" }}{{ $n = . | value }}{{ end }}{{ $n }}", "2.5"},
        {"{{ define \"t\" }}<{{ . }}{{ $ }}>{{ end }}{{ template \"t\" 5 }}{{ template \"t\" }}",
         "<55><<no value><no value>>"},
        {"{{ block \"b\" $value }}[{{ humanize . }}]{{ end }}", "[1.235M]"},
        {"{{ (query \"2\" | first).Value }} {{ query \"2\" | len }}", "2 1"},
        {"{{ and 1 0 2 }} {{ or 0 \"\" \"x\" }} {{ not 0 }} {{ and (query \"none\") (fail) }}",
         "function \"fail\" is not known in templates of alerts"},
        {"{{ or true (first (query \"none\")) }} {{ ne 1 2 }} {{ le 1 1 }} {{ ge \"b\" \"a\" }}",
         "true true true true"},
        {"{{ query \"none\" | first }}", "first() called on vector with no elements"},
        {"{{ query \"fail\" }}", "query \"fail\": it fails"},
    };

    try_all(rows, ARRAY_LEN(rows));
}

static void functions_of_prometheus(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{{ $value | humanize }} {{ humanize 0.00012 }} {{ humanize 0 }} {{ humanize \"1024\" }}",
         "1.235M 120u 0 1.024k"},
        {"{{ $value | humanize1024 }}", "1.177Mi"},
        {"{{ humanizeDuration 0.5 }} {{ humanizeDuration 59.5 }} {{ humanizeDuration 86461 }}",
         "500ms 59.5s 1d 0h 1m 1s"},
        {"{{ humanizeDuration -125 }} {{ 0.256 | humanizePercentage }}", "-2m 5s 25.6%"},
        {"{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"},
        {"{{ $labels.i | title }} {{ toUpper \"x\" }} {{ \"Y\" | toLower }}", "A B X y"},
        {"{{ reReplaceAll \"(.)\\\\s(.)\" \"$2$1\" $labels.i }}", "ba"},
        {"{{ reReplaceAll \":[0-9]+\" \"\" $labels.instance }} {{ reReplaceAll \"x*\" \"-\" "
         "\"abx\" }}",
         "db.example -a-b-"},
        {"{{ match \"b\" $labels.i }} {{ match \"^b\" $labels.i }}", "true false"},
        {"{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }} {{ stripPort \"x\" "
         "}}",
         "db.example db:9100 x"},
        {"{{ stripDomain \"1.2.3.4:9\" }} {{ stripPort \"[::1]:9\" }}", "1.2.3.4:9 ::1"},
        {"{{ graphLink \"a + b\" }} {{ tableLink \"x\" }}",
         "/graph?g0.expr=a+%2B+b&g0.tab=0 /graph?g0.expr=x&g0.tab=1"},
        {"{{ \"<a b='c'>\" | html }} {{ urlquery \"a/b c\" }} {{ js \"a=\\\"b\\\"\" }}",
         "&lt;a b=&#39;c&#39;&gt; a%2Fb+c a\\u003D\\\"b\\\""},
        {"{{ safeHtml \"<\" }}{{ query \"m\" | first | strvalue }}", "<"},
    };

    try_all(rows, ARRAY_LEN(rows));
}

static void printf_is_gos(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{{ printf \"%.2f %s %v %5.1f%%\" $value $labels.i 3 7.0 }}", "1234567.50 a b 3   7.0%"},
        {"{{ printf \"%d %s %f\" 1.5 1.5 3 }}", "%!d(float64=1.5) %!s(float64=1.5) %!f(int=3)"},
        {"{{ printf \"%05.1f|%-6v|%+d|%x|%X|%6d|%03d\" 2.25 1.5 3 255 255 7 7 }}",
         "002.2|1.5   |+3|ff|FF|     7|007"},
        {"{{ printf \"%q %8s|%-4s|%.2s|%x\" \"a\\\"b\" \"x\" \"y\" \"abc\" \"hi\" }}",
         "\"a\\\"b\"        x|y   |ab|6869"},
        {"{{ printf \"%t %v %T %g %e\" true false 1.5 1e21 15.0 }}",
         "true false float64 1e+21 1.500000e+01"},
        {"{{ printf \"%d\" }} {{ printf \"x\" 1 }} {{ printf \"%\" }} {{ printf \"%z\" 1 }}",
         "%!d(MISSING) x%!(EXTRA int=1) %!(NOVERB) %!z(int=1)"},
        {"{{ printf \"%*d|%-*d|\" 4 7 4 7 }}", "   7|7   |"},
        {"{{ println 1 \"a\" }}", "1 a\n"},
    };

    try_all(rows, ARRAY_LEN(rows));
}

static void mistakes_are_named(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{{ $value", "{{ has no }}"},
        {"{{ }}", "a value is missing in an action"},
        {"{{ 1 | 2 }}", "only a function stands behind a pipe"},
        {"{{ humanize }}", "humanize takes 1 argument(s) at least, not 0"},
        {"{{ if $value }}x", "a block has no {{ end }}"},
        {"x\n{{ end }}", "line 2 of the template: {{ end }} stands in no block"},
        {"{{ break }}", "{{ break }} stands in no range"},
        {"{{ $nope }}", "variable \"$nope\" is not known here"},
        {"{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "variable \"$x\" is not known here"},
        {"{{ define \"a\" }}{{ $value }}{{ end }}", "variable \"$value\" is not known here"},
        {"{{ $value | nope }}", "function \"nope\" is not known in templates of alerts"},
        {"{{ template \"t\" }}", "template \"t\" is not defined"},
        {"{{ gt $value 90 }}", "incompatible types for comparison: float64 and int; write whole "
                               "numbers with a point, as in 90.0"},
        {"{{ toUpper $value }}", "toUpper takes a string, not a float64"},
        {"{{ humanize \"x\" }}", "humanize: \"x\" is no number"},
        {"{{ .Nope }}", "a struct has no field \"Nope\""},
        {"{{ $value 1 }}", "an argument is given to what is no function"},
        {"{{ \"a", "a string has no end"},
        {"{{ print \"a\"\"b\" }}", "a space is missing before \"\""},
        {"{{ (1 }}", "\"}}\" is too much in a command"},
        {"{{ range $value }}{{ end }}",
         "range goes over results of a query or labels, not a float64"},
    };

    try_all(rows, ARRAY_LEN(rows));
}

/* What is built to hurt ends at a limit. */
static void everything_has_a_limit(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
         "templates call each other more than 128 deep"},
        {"{{ range 1000000000 }}{{ end }}",
         "a template needs more than 100000 steps or 32 MiB: range over less, with topk or limitk "
         "in its query"},
        {"{{ range 99999 }}0123456789{{ end }}",
         "a label or annotation is longer than 65536 bytes"},
        {"{{ range 99 }}{{ $x := query \"m\" }}{{ end }}", "a template asks more than 32 queries"},
        {"{{ $x := \"x\" }}{{ range 99 }}{{ $x = print $x $x }}{{ end }}",
         "a text in a template is longer than 65536 bytes"},
    };
    char deep[600];

    try_all(rows, ARRAY_LEN(rows));
    memset(deep, '(', sizeof(deep));
    memcpy(deep, "{{ ", 3);
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(rule_template_check(str_of(deep), &e), -1);
    assert_string_equal(e.msg, "more than 64 blocks and parentheses stand in each other");
}

static bool at_once(void *ctx UNUSED)
{
    return true;
}

static void a_template_ends_when_its_time_is_over(void **state UNUSED)
{
    const struct rule_values v = {.is_over = at_once};
    struct buf out = BUF_MAX(100);

    assert_int_equal(rule_template(STR("{{ 1 }}"), &v, &out, &e), -1);
    assert_string_equal(e.msg, "a template takes too long");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_pipelines),
        cmocka_unit_test(blocks_branch_and_repeat),
        cmocka_unit_test(functions_of_prometheus),
        cmocka_unit_test(printf_is_gos),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(everything_has_a_limit),
        cmocka_unit_test(a_template_ends_when_its_time_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
