#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exporter/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void write_all(struct page *p)
{
    page_family(p, "a_total", PAGE_COUNTER, "A.");
    page_add(p, 3, "x", "1", "y", "", NULL);
    page_one(p, "failcnt", PAGE_COUNTER, "Named by others.", 1.5);
    page_one(p, "plain", PAGE_UNTYPED, "P.", INFINITY);
}

static void check(enum exporter_format format, const char *expected)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(4096);
    struct page p = {.out = &out, .format = format};

    write_all(&p);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.p, expected, out.len);
}

static void the_text_format(void **arg UNUSED)
{
    check(EXPORTER_TEXT, "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\",y=\"\"} 3\n"
                         "# HELP failcnt Named by others.\n# TYPE failcnt counter\nfailcnt 1.5\n"
                         "# HELP plain P.\n# TYPE plain untyped\nplain +Inf\n");
}

/* The family of a counter has no _total; one that others named without it keeps its name. */
static void openmetrics(void **arg UNUSED)
{
    check(EXPORTER_OPENMETRICS,
          "# HELP a A.\n# TYPE a counter\na_total{x=\"1\",y=\"\"} 3\n"
          "# HELP failcnt Named by others.\n# TYPE failcnt unknown\nfailcnt 1.5\n"
          "# HELP plain P.\n# TYPE plain unknown\nplain +Inf\n");
}

static void values_of_labels_are_escaped(void **arg UNUSED)
{
    static const char *const rows[][2] = {{"plain", "plain"},
                                          {"a\"b\\c\nd", "a\\\"b\\\\c\\nd"},
                                          {"\xe4\xb8\xad", "\xe4\xb8\xad"},
                                          {"\xff.\xc3", "\xef\xbf\xbd.\xef\xbf\xbd"}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        SCOPED(buf_done) struct buf out = BUF_MAX(4096);
        char expected[64];

        page_label(&out, "x", str_of(rows[i][0]));
        (void)snprintf(expected, sizeof(expected), "x=\"%s\"", rows[i][1]);
        assert_int_equal(out.len, strlen(expected));
        assert_memory_equal(out.p, expected, out.len);
    }
}

static void numbers_are_short(void **arg UNUSED)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {{0, "0"},
                {-0.0, "-0"},
                {1, "1"},
                {-3, "-3"},
                {0.1, "0.1"},
                {1418183276, "1418183276"},
                {1e14, "100000000000000"},
                {NAN, "NaN"},
                {-INFINITY, "-Inf"}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        SCOPED(buf_done) struct buf out = BUF_MAX(4096);
        struct page p = {.out = &out};
        char expected[64];

        p.name = "n";
        page_put(&p, STR_EMPTY, rows[i].v);
        (void)snprintf(expected, sizeof(expected), "n %s\n", rows[i].text);
        assert_int_equal(out.len, strlen(expected));
        assert_memory_equal(out.p, expected, out.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_format),
        cmocka_unit_test(openmetrics),
        cmocka_unit_test(values_of_labels_are_escaped),
        cmocka_unit_test(numbers_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
