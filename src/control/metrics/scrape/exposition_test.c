#include "scrape/exposition.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static void samples_are_read_with_their_series(void **state UNUSED)
{
    static const struct {
        const char *line, *series;
        double value;
        int64_t ms; /* -1: none */
    } rows[] = {
        {"up 1\n", "up", 1, -1},
        {"up 1", "up", 1, -1},
        {"  up\t 1 \r\n", "up", 1, -1},
        {"a:b{} 2.5 1395066363000\n", "a:b{}", 2.5, 1395066363000},
        {"x{a=\"}\",b=\"\\\"{\"} -3e-2\n", "x{a=\"}\",b=\"\\\"{\"}", -0.03, -1},
        {"x {a=\"b\"} +Inf 12\n", "x {a=\"b\"}", (double)INFINITY, 12},
        {"x 123456789012345678 -5\n", "x", 123456789012345678.0, -5},
        {"x 1.7976931348623157e308\n", "x", 1.7976931348623157e308, -1},
        {"x 0.1\n", "x", 0.1, -1},
        {"x .5\n", "x", 0.5, -1},
        {"x 5.\n", "x", 5, -1},
        {"x 0x1p4\n", "x", 16, -1},
        {"{\"my.metric\",a=\"b\"} 4\n", "{\"my.metric\",a=\"b\"}", 4, -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct exposition x;

        exposition_init(&x, str_of(rows[i].line), EXPOSITION_TEXT);
        if (exposition_next(&x, &e) != EXPOSITION_SAMPLE) {
            fail_msg("%s: %s", rows[i].line, e.msg);
        }
        assert_true(str_eq_c(x.series, rows[i].series));
        assert_true(x.value == rows[i].value);
        assert_int_equal(x.has_time, rows[i].ms != -1);
        assert_true(!x.has_time || x.time_ms == rows[i].ms);
        assert_int_equal(exposition_next(&x, &e), EXPOSITION_END);
    }
}

static void not_a_number_is_the_one_that_means_nothing_else(void **state UNUSED)
{
    struct exposition x;
    uint64_t bits;

    exposition_init(&x, STR("x NaN\n"), EXPOSITION_TEXT);
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_SAMPLE);
    memcpy(&bits, &x.value, 8);
    assert_true(bits == 0x7ff8000000000001ULL);
}

static void types_help_and_comments_are_told_apart(void **state UNUSED)
{
    struct exposition x;

    exposition_init(
        &x,
        STR("# a comment\n#\n# HELP up Whether\\nit is.\n#  TYPE up gauge\n\n# UNIT up s\n"
            "# TYPE \"a b\" counter\nup 1\n"),
        EXPOSITION_TEXT);
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_HELP);
    assert_true(str_eq_c(x.text, "Whether\\nit is."));
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_TYPE);
    assert_true(str_eq_c(x.name, "up") && str_eq_c(x.text, "gauge"));
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_UNIT);
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_TYPE);
    assert_true(str_eq_c(x.name, "a b"));
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_SAMPLE);
    assert_int_equal(x.line, 8);
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_END);
}

static void openmetrics_has_seconds_exemplars_and_an_end(void **state UNUSED)
{
    struct exposition x;

    exposition_init(&x,
                    STR("# TYPE a counter\na_total 1 1.5 # {trace_id=\"x\"} 0.5 1.2\na_total 2 # "
                        "{} 1\n# EOF\n"),
                    EXPOSITION_OPENMETRICS);
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_TYPE);
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_SAMPLE);
    assert_true(x.time_ms == 1500 && x.has_exemplar);
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_SAMPLE);
    assert_true(!x.has_time && x.has_exemplar);
    assert_int_equal(exposition_next(&x, &e), EXPOSITION_END);
}

/* A line that is expected is read by a shorter way: with the same outcome. */
static void an_expected_line_is_read_as_any_other(void **state UNUSED)
{
    static const char *const lines[] = {"up 1\n",    "up 1",
                                        "up  1\n",   "up\t1\n",
                                        "up 1 5\n",  "up 1 \n",
                                        "up 1\r\n",  "up 0x1p3\n",
                                        "up +Inf\n", "up nan\n",
                                        "up -.\n",   "up .\n",
                                        "up \n",     "up -0\n",
                                        "up 1e\n",   "up 1e5\n",
                                        "up 1_0\n",  "up {a=\"b\"} 1\n",
                                        "upper 1\n", "up{a=\"b\"} 1\n",
                                        "u 1\n",     " up 1\n"};

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct exposition plain, expecting;
        int kind;

        exposition_init(&plain, str_of(lines[i]), EXPOSITION_TEXT);
        exposition_init(&expecting, str_of(lines[i]), EXPOSITION_TEXT);
        expecting.expected = STR("up");
        kind = exposition_next(&plain, &e);
        assert_int_equal(exposition_next(&expecting, &e), kind);
        assert_int_equal(expecting.line, plain.line);
        if (kind == EXPOSITION_SAMPLE) {
            assert_true(str_eq(expecting.series, plain.series));
            assert_memory_equal(&expecting.value, &plain.value, sizeof(double));
            assert_int_equal(expecting.at, plain.at);
            assert_int_equal(expecting.has_time, plain.has_time);
        }
    }
}

/* As strtod() has them, which rounds correctly. */
static void numbers_are_exact(void **state UNUSED)
{
    char line[64];

    srandom(5);
    for (int i = 0; i < 20000; i++) {
        long whole = random() % (1L << random() % 31), more = random() % (1L << random() % 31);
        int power = (int)(random() % 60) - 30;
        const char *sign = i % 3 == 0 ? "-" : "";
        struct exposition x;
        double want;

        if (i % 2 == 0) {
            (void)snprintf(line, sizeof(line), "up %s%ld%ld\n", sign, whole, more);
        } else {
            (void)snprintf(line, sizeof(line),
                           i % 5 == 0 ? "up %s%ld.%lde%d\n" : "up %s%ld.%ld%.d\n", sign, whole,
                           more, i % 5 == 0 ? power : 0);
        }
        want = strtod(line + 3, NULL);
        exposition_init(&x, str_of(line), EXPOSITION_TEXT);
        x.expected = STR("up");
        assert_int_equal(exposition_next(&x, &e), EXPOSITION_SAMPLE);
        assert_memory_equal(&x.value, &want, sizeof(want));
    }
}

static void mistakes_are_refused_with_their_line(void **state UNUSED)
{
    static const struct {
        const char *page;
        enum exposition_format format;
        const char *message;
    } rows[] = {
        {"up\n", EXPOSITION_TEXT, "line 1: expected a number behind the series: up"},
        {"up 1\nup{a=\"b\" 1\n", EXPOSITION_TEXT,
         "line 2: expected a name, or \"}\" behind the labels: up{a=\"b\" 1"},
        {"up x\n", EXPOSITION_TEXT, "line 1: expected a number behind the series: up x"},
        {"up 1 2 3\n", EXPOSITION_TEXT, "line 1: nothing is expected behind the time: up 1 2 3"},
        {"up 1 1.5\n", EXPOSITION_TEXT, "line 1: expected a time behind the value: up 1 1.5"},
        {"up --1\n", EXPOSITION_TEXT, "line 1: expected a number behind the series: up --1"},
        {"up 1e\n", EXPOSITION_TEXT, "line 1: expected a number behind the series: up 1e"},
        {"up .\n", EXPOSITION_TEXT, "line 1: expected a number behind the series: up ."},
        {"up -.\n", EXPOSITION_TEXT, "line 1: expected a number behind the series: up -."},
        {"up 1 # {} 1\n", EXPOSITION_TEXT,
         "line 1: nothing is expected behind the time: up 1 # {} 1"},
        {"up 1\n", EXPOSITION_OPENMETRICS,
         "line 1: the page ends without # EOF, so a part of it may be missing: "},
        {"up 1\n\n# EOF\n", EXPOSITION_OPENMETRICS, "line 2: OpenMetrics has no empty lines: "},
        {"# EOF\nup 1\n", EXPOSITION_OPENMETRICS,
         "line 1: nothing is expected behind # EOF: up 1\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct exposition x;
        int r;

        exposition_init(&x, str_of(rows[i].page), rows[i].format);
        while ((r = exposition_next(&x, &e)) > 0) {
        }
        if (r == 0) {
            fail_msg("%s is taken", rows[i].page);
        }
        assert_string_equal(e.msg, rows[i].message);
    }
}

static void labels_are_taken_apart(void **state UNUSED)
{
    static const struct {
        const char *series, *labels; /* NULL: refused */
    } rows[] = {
        {"up", "__name__=up;"},
        {"up{}", "__name__=up;"},
        {"up{b=\"2\",a=\"1\",}", "__name__=up;a=1;b=2;"},
        {"up { a = \"1\" , b=\"\" }", "__name__=up;a=1;"},
        {"up{a=\"x\\\\y\\\"z\\nw\\q\"}", "__name__=up;a=x\\y\"z\nw\\q;"},
        {"{\"my.metric\",\"a b\"=\"c\"}", "__name__=my.metric;a b=c;"},
        {"{__name__=\"up\"}", "__name__=up;"},
        {"{a=\"b\"}", NULL},
        {"up{__name__=\"x\"}", NULL},
        {"up{a=\"1\",a=\"2\"}", NULL},
        {"up{a=\"1\" b=\"2\"}", NULL},
        {"up{a=1}", NULL},
        {"up{=\"1\"}", NULL},
        {"up{a}", NULL},
        {"up{a-b=\"1\"}", NULL},
        {"up{,}", NULL},
        {"1up", NULL},
        {"up{a=\"\xff\"}", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct labels s;
        char text[256] = "";

        if (exposition_labels(str_of(rows[i].series), &a, &s, &e) < 0) {
            if (rows[i].labels != NULL) {
                fail_msg("%s: %s", rows[i].series, e.msg);
            }
        } else {
            for (size_t k = 0; k < s.len; k++) {
                size_t n = strlen(text);

                snprintf(text + n, sizeof(text) - n, "%.*s=%.*s;", STR_ARG(s.p[k].name),
                         STR_ARG(s.p[k].value));
            }
            assert_non_null(rows[i].labels);
            assert_string_equal(text, rows[i].labels);
        }
        arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_read_with_their_series),
        cmocka_unit_test(not_a_number_is_the_one_that_means_nothing_else),
        cmocka_unit_test(types_help_and_comments_are_told_apart),
        cmocka_unit_test(openmetrics_has_seconds_exemplars_and_an_end),
        cmocka_unit_test(an_expected_line_is_read_as_any_other),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(mistakes_are_refused_with_their_line),
        cmocka_unit_test(labels_are_taken_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
