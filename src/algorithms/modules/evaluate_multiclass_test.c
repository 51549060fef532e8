#include "algorithms/kernel/failure.h"
#include "algorithms/modules/module_testing.h"
#include "base/json.h"

#include <math.h>

static const char *const words[] = {
    "evaluate_multiclass", "--in", "table=x", "--out", "report=r", "--param",
    "label_col=truth",     NULL};

static double number(const json_t *o, const char *key)
{
    assert_true(json_is_number(json_object_get(o, key)));
    return json_number_value(json_object_get(o, key));
}

/* By hand: confusion a: 2 right, 1 as b; b: 1 right, 1 as c; c: 1 right. */
static void figures_equal_those_by_hand(void **state)
{
    struct value in = testing_table("truth,prediction,prob_a,prob_b,prob_c\n"
                                    "a,a,0.8,0.1,0.1\na,a,0.5,0.5,0\na,b,0.25,0.5,0.25\n"
                                    "b,b,0,1,0\nb,c,0.1,0.4,0.5\nc,c,0,0.5,0.5\n");
    struct step s;
    struct err e = {0};
    SCOPED(json_decrefp) json_t *r = NULL;
    double loss = -(log(0.8) + log(0.5) + log(0.25) + log(1) + log(0.4) + log(0.5)) / 6;

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), 0);
    r = json_parse(buf_str(&s.out[0].report), &e);
    assert_non_null(r);
    assert_true(fabs(number(r, "accuracy") - 4.0 / 6) < 1e-15);
    assert_true(fabs(number(r, "logloss") - loss) < 1e-12);
    assert_true(fabs(number(json_object_get(r, "macro"), "recall") - (2.0 / 3 + 0.5 + 1) / 3) <
                1e-12);
    assert_true(fabs(number(json_object_get(r, "macro"), "precision") - (1 + 0.5 + 0.5) / 3) <
                1e-12);
    /* (4*6 - (3*2 + 2*2 + 1*2)) / sqrt((36 - 12) (36 - 14)) */
    assert_true(fabs(number(r, "mcc") - 12 / sqrt(24.0 * 22)) < 1e-12);
    assert_int_equal(
        json_integer_value(json_array_get(json_array_get(json_object_get(r, "confusion"), 1), 2)),
        1);
    step_done(&s);
    value_done(&in);
}

static void numbers_work_as_classes_and_loss_is_left_out_without_probabilities(void **state)
{
    struct value in = testing_table("truth,prediction\n0,0\n1,1\n10,2\n");
    struct step s;
    struct err e = {0};
    SCOPED(json_decrefp) json_t *r = NULL;

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), 0);
    r = json_parse(buf_str(&s.out[0].report), &e);
    assert_non_null(r);
    assert_int_equal(json_array_size(json_object_get(r, "classes")), 4);
    assert_true(json_is_null(json_object_get(r, "logloss")));
    step_done(&s);
    value_done(&in);
}

static void labels_and_predictions_of_other_kinds_are_refused(void **state)
{
    struct value in = testing_table("truth,prediction\n0,a\n1,b\n");
    struct step s;
    struct err e = {0};

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), -1);
    assert_int_equal(e.kind, ERR_DATA);
    step_done(&s);
    value_done(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_equal_those_by_hand),
        cmocka_unit_test(numbers_work_as_classes_and_loss_is_left_out_without_probabilities),
        cmocka_unit_test(labels_and_predictions_of_other_kinds_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
