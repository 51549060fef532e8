#include "query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void conditions_are_told_apart(void **state)
{
    struct harbor_term t[HARBOR_TERMS_MAX];
    struct err e;
    size_t n;

    (void)state;
    assert_int_equal(harbor_terms(STR("name=~ad, public=true,x="), t, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_true(str_eq_c(t[0].key, "name") && str_eq_c(t[0].value, "ad") && t[0].is_fuzzy);
    assert_true(str_eq_c(t[1].key, "public") && str_eq_c(t[1].value, "true") && !t[1].is_fuzzy);
    assert_true(t[2].value.len == 0);
    assert_int_equal(harbor_terms(STR_EMPTY, t, &n, &e), 0);
    assert_int_equal(n, 0);
}

static void what_is_no_condition_is_refused(void **state)
{
    struct harbor_term t[HARBOR_TERMS_MAX];
    struct err e;
    size_t n;

    (void)state;
    assert_int_equal(harbor_terms(STR("name"), t, &n, &e), -1);
    assert_int_equal(harbor_terms(STR("=x"), t, &n, &e), -1);
    assert_int_equal(harbor_terms(STR("a=1,,b=2"), t, &n, &e), -1);
    assert_int_equal(harbor_terms(STR("a={x y}"), t, &n, &e), -1);
    assert_int_equal(harbor_terms(STR("a=[1~2]"), t, &n, &e), -1);
    assert_int_equal(harbor_terms(STR("a=(1 2)"), t, &n, &e), -1);
    assert_int_equal(harbor_terms(STR("labels=(1 2)"), t, &n, &e), 0);
    assert_int_equal(harbor_terms(STR("a=,a=,a=,a=,a=,a=,a=,a=,a="), t, &n, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_told_apart),
        cmocka_unit_test(what_is_no_condition_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
