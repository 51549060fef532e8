#include "algorithms/kernel/failure.h"
#include "algorithms/modules/module_testing.h"

#include <math.h>

static const char *const scale[] = {"standard_scaler", "--in", "table=x", "--out", "table=y", NULL};

static void columns_get_mean_zero_and_deviation_one(void **state)
{
    struct value in = testing_table("a,same,name\n1,7,x\n2,7,y\nNA,7,z\n6,7,w\n");
    struct step s;
    struct err e = {0};
    const double *a, *same;

    (void)state;
    assert_int_equal(testing_run(&s, scale, &in, NULL, 1, &e), 0);
    a = s.out[0].table->columns[0].numbers;
    same = s.out[0].table->columns[1].numbers;
    assert_true(fabs(a[0] + a[1] + a[3]) < 1e-15);
    assert_true(fabs(a[0] * a[0] + a[1] * a[1] + a[3] * a[3] - 3) < 1e-14);
    assert_true(isnan(a[2]));                  /* missing stays missing */
    assert_true(same[0] == 0 && same[3] == 0); /* constant: moved, not stretched */
    assert_int_equal(s.out[0].table->columns[2].kind, COLUMN_TEXT);
    assert_true(in.table->columns[0].numbers[0] == 1); /* the input is as it was */
    step_done(&s);
    value_done(&in);
}

static void a_table_remembers_and_catches_up(void **state)
{
    struct value in = testing_table("a,b\n1,10\n2,20\n3,60\n");
    struct step s;
    struct err e = {0};
    SCOPED(table_freep) struct table *owned = NULL;
    SCOPED(table_freep) struct table *none = NULL;
    const struct table *scaled, *again;

    (void)state;
    assert_int_equal(testing_run(&s, scale, &in, NULL, 1, &e), 0);
    scaled = s.out[0].table;
    assert_int_equal(scaled->n_applied, 1);
    again = transform_catch_up(scaled->applied, 1, in.table, &owned, &e);
    assert_non_null(again);
    assert_memory_equal(again->columns[1].numbers, scaled->columns[1].numbers, 24);
    assert_ptr_equal(transform_catch_up(scaled->applied, 1, scaled, &none, &e), scaled);
    assert_null(transform_catch_up(NULL, 0, scaled, &none, &e)); /* through more than it should */
    assert_int_equal(e.kind, ERR_DATA);
    step_done(&s);
    value_done(&in);
}

static void text_and_infinite_values_are_refused_by_name(void **state)
{
    static const char *const words[] = {"standard_scaler", "--in",    "table=x",   "--out",
                                        "table=y",         "--param", "cols=name", NULL};
    struct value in = testing_table("a,name\n1,x\ninf,y\n");
    struct step s;
    struct err e = {0};

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), -1);
    assert_int_equal(e.kind, ERR_DATA);
    assert_non_null(strstr(e.msg, "'name' holds text"));
    step_done(&s);
    assert_int_equal(testing_run(&s, scale, &in, NULL, 1, &e), -1);
    assert_non_null(strstr(e.msg, "'a', row 2"));
    step_done(&s);
    value_done(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_get_mean_zero_and_deviation_one),
        cmocka_unit_test(a_table_remembers_and_catches_up),
        cmocka_unit_test(text_and_infinite_values_are_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
