#include "algorithms/kernel/expr.h"

#include "algorithms/kernel/bigmem.h"
#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* n: 1, 2, missing (whole numbers)   x: 0.5, -2, 4   s: "Taipei", missing, "tainan" */
static struct table *sample(void)
{
    struct table *t = table_new(3);
    struct dict *d = dict_new();
    struct err e = {0};
    struct column *c = table_add_numbers(t, STR("n"), &e);
    const double n[] = {1, 2, NAN}, x[] = {0.5, -2, 4};
    uint32_t codes[3] = {0, DICT_MISSING, 0};

    assert_non_null(c);
    c->as = AS_INT;
    memcpy(c->numbers, n, sizeof(n));
    c = table_add_numbers(t, STR("x"), &e);
    assert_non_null(c);
    memcpy(c->numbers, x, sizeof(x));
    assert_int_equal(dict_intern(d, STR("Taipei"), &codes[0], &e), 0);
    assert_int_equal(dict_intern(d, STR("tainan"), &codes[2], &e), 0);
    dict_seal(d);
    c = table_add_text(t, STR("s"), d, &e);
    assert_non_null(c);
    memcpy(c->codes, codes, sizeof(codes));
    return t;
}

static void numbers_are_what_is_written(void **state)
{
    const struct {
        const char *source;
        double want[3];
    } cases[] = {
        {"n + x * 2", {2, -2, NAN}},       {"-x ^ 2", {-0.25, -4, -16}},
        {"(n + 1) % 2", {0, 1, NAN}},      {"if(x > 0, n, x)", {1, -2, NAN}},
        {"coalesce(n, x)", {1, 2, 4}},     {"min(x, 1)", {0.5, -2, 1}},
        {"length(s)", {6, NAN, 6}},        {"n is missing", {0, 0, 1}},
        {"n = 1 or x > 3", {1, 0, 1}},     {"n = 1 and x > 3", {0, 0, NAN}},
        {"not n = 1", {0, 1, NAN}},        {"n in (1, 7)", {1, 0, NAN}},
        {"s = 'Taipei'", {1, NAN, 0}},     {"lower(s) = 'taipei'", {1, NAN, 0}},
        {"x between -2 and 1", {1, 1, 0}},
    };
    SCOPED(table_freep) struct table *t = sample();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        SCOPED(table_freep) struct table *to = table_new(3);
        struct err e = {0};
        SCOPED(expr_freep) struct expr *x = expr_parse(str_of(cases[i].source), t, &e);

        if (x == NULL || expr_add_column(x, to, STR("r"), &e) < 0) {
            fail_msg("%s: %s", cases[i].source, e.msg);
        }
        for (size_t r = 0; r < 3; r++) {
            double got = to->columns[0].numbers[r], want = cases[i].want[r];

            if (isnan(got) ? !isnan(want) : got != want) {
                fail_msg("%s: row %zu is %g, not %g", cases[i].source, r + 1, got, want);
            }
        }
    }
}

static void a_filter_keeps_what_is_true_and_not_what_is_missing(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    struct err e = {0};
    SCOPED(expr_freep) struct expr *x = expr_parse(STR("n >= 1"), t, &e);
    size_t n = 0;
    SCOPED(big_freep) uint32_t *rows = NULL;

    (void)state;
    assert_non_null(x);
    assert_int_equal(expr_as(x), AS_BOOL);
    rows = expr_rows(x, &n, &e);
    assert_int_equal(n, 2);
    assert_true(rows[0] == 0 && rows[1] == 1);
}

static void texts_become_texts(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    SCOPED(table_freep) struct table *to = table_new(3);
    struct err e = {0};
    SCOPED(expr_freep) struct expr *x = expr_parse(STR("upper(s)"), t, &e);
    const struct column *c;

    (void)state;
    assert_non_null(x);
    assert_true(expr_is_text(x));
    assert_int_equal(expr_add_column(x, to, STR("r"), &e), 0);
    c = &to->columns[0];
    assert_true(str_eq_c(dict_text(c->dict, c->codes[0]), "TAIPEI"));
    assert_true(c->codes[1] == DICT_MISSING);
    assert_true(str_eq_c(dict_text(c->dict, c->codes[2]), "TAINAN"));
}

static void a_mistake_is_told_with_its_place_and_its_mending(void **state)
{
    const char *const cases[][2] = {
        {"n + ", "expected"}, {"m + 1", "no column 'm'"}, {"s + 1", "text"},
        {"(n", ")"},          {"sqrtt(x)", "'sqrt'"},     {"'open", "never closed"},
        {"n = 'a'", "text"},  {"n is 3", "missing"},
    };
    SCOPED(table_freep) struct table *t = sample();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err e = {0};
        SCOPED(expr_freep) struct expr *x = expr_parse(str_of(cases[i][0]), t, &e);

        if (x || e.kind != ERR_INVALID || strstr(e.msg, cases[i][1]) == NULL) {
            fail_msg("%s: %s", cases[i][0], e.msg);
        }
    }
}

static void nesting_without_end_is_refused(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    struct err e = {0};
    char deep[2000];

    (void)state;
    memset(deep, '(', sizeof(deep));
    assert_null(expr_parse(str_n(deep, sizeof(deep)), t, &e));
    assert_int_equal(e.kind, ERR_INVALID);
}

static void assignments_are_parted_outside_of_quotes(void **state)
{
    struct str rest = STR("a = n + 1; b = s = 'x;y'\nc = 2"), source;
    const char *const want[][2] = {{"a", "n + 1"}, {"b", "s = 'x;y'"}, {"c", "2"}};
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        SCOPED(freep) char *name = NULL;

        assert_int_equal(expr_next_assignment(&rest, &name, &source, &e), 1);
        assert_string_equal(name, want[i][0]);
        assert_true(str_eq_c(str_trim(source), want[i][1]));
    }
    {
        SCOPED(freep) char *name = NULL;

        assert_int_equal(expr_next_assignment(&rest, &name, &source, &e), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_what_is_written),
        cmocka_unit_test(a_filter_keeps_what_is_true_and_not_what_is_missing),
        cmocka_unit_test(texts_become_texts),
        cmocka_unit_test(a_mistake_is_told_with_its_place_and_its_mending),
        cmocka_unit_test(nesting_without_end_is_refused),
        cmocka_unit_test(assignments_are_parted_outside_of_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
