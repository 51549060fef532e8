#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/linear.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/modules/module_testing.h"

#include <math.h>

enum { ROWS = 300 };
static const double l2 = 0.01;

/* Two features, `classes` overlapping clouds, and a weight. */
static struct value clouds(unsigned classes)
{
    struct buf b = BUF_MAX(1 << 20);
    struct rng rng;
    struct value v;

    rng_init(&rng, 1, classes);
    (void)buf_add_c(&b, "x,y,w,label\n");
    for (int i = 0; i < ROWS; i++) {
        unsigned k = (unsigned)i % classes;

        (void)buf_printf(&b, "%.6f,%.6f,%.3f,class %c\n", (k & 1) * 2 + 3 * rng_unit(&rng),
                         (k >> 1) * 2 + 30 * rng_unit(&rng), rng_unit(&rng) * 2, 'a' + k);
    }
    v = testing_table(b.p);
    buf_done(&b);
    return v;
}

/* The objective of the header, computed plainly. */
static double objective(const struct table *t, const struct model *m, size_t weights)
{
    const struct linear *l = m->body;
    SCOPED(threads_closep) struct threads *threads = threads_open(1);
    struct err e = {0};
    double *p = model_predict(m, t, threads, &e), loss = 0, sum = 0, squares = 0;
    uint32_t *y = classes_encode(&m->classes, &t->columns[3], t->n_rows, &e);

    for (size_t r = 0; r < t->n_rows; r++) {
        double w = weights ? t->columns[2].numbers[r] : 1;

        loss -= w * log(p[r * m->classes.n + y[r]]);
        sum += w;
    }
    for (size_t i = 0; i < l->n_features * l->n_scores; i++) {
        squares += l->weights[i] * l->weights[i];
    }
    big_free(p);
    big_free(y);
    return loss / sum + l2 / 2 * squares;
}

/* At the result the objective is flat: every difference quotient is nearly zero. */
static void check_flat(unsigned classes, const char *weight)
{
    const char *const words[] = {
        "logistic_regression", "--in",    "train=x",          "--out",   "model=m", "--param",
        "label_col=label",     "--param", "feature_cols=x,y", "--param", "l2=0.01", "--param",
        "standardize=false",   "--param", "epsilon=1e-8",     "--param", weight,    NULL};
    struct value in = clouds(classes);
    struct step s;
    struct err e = {0};
    struct model *m;
    struct linear *l;

    assert_int_equal(testing_run(&s, words, &in, NULL, 2, &e), 0);
    m = s.out[0].model;
    l = m->body;
    assert_int_equal(m->classes.n, classes);
    for (size_t i = 0; i < linear_parameters(l); i++) {
        double keep = l->weights[i], h = 1e-4, up, down, at;

        at = objective(in.table, m, strlen(weight) > 11);
        l->weights[i] = keep + h;
        up = objective(in.table, m, strlen(weight) > 11);
        l->weights[i] = keep - h;
        down = objective(in.table, m, strlen(weight) > 11);
        l->weights[i] = keep;
        assert_true(fabs(up - down) / (2 * h) < 1e-5);
        assert_true(up > at && down > at);
    }
    step_done(&s);
    value_done(&in);
}

static void two_classes_end_where_the_gradient_is_zero(void **state)
{
    (void)state;
    check_flat(2, "weight_col=");
}

static void many_classes_end_where_the_gradient_is_zero(void **state)
{
    (void)state;
    check_flat(4, "weight_col=");
}

static void weights_count_rows(void **state)
{
    (void)state;
    check_flat(2, "weight_col=w");
    check_flat(3, "weight_col=w");
}

static void assert_refused(const char *csv, const char *param, enum err_kind kind,
                           const char *sentence)
{
    const char *const words[] = {
        "logistic_regression", "--in",    "train=x", "--out", "model=m", "--param",
        "label_col=label",     "--param", param,     NULL};
    struct value in = testing_table(csv);
    struct step s;
    struct err e = {0};

    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), -1);
    assert_int_equal(e.kind, kind);
    if (strstr(e.msg, sentence) == NULL) {
        print_error("'%s' is not in '%s'\n", sentence, e.msg);
    }
    assert_non_null(strstr(e.msg, sentence));
    step_done(&s);
    value_done(&in);
}

static void wrong_data_is_named_by_column_and_row(void **state)
{
    (void)state;
    assert_refused("x,label\n1,a\nNA,b\n", "l2=0", ERR_DATA, "column 'x', row 2: the value is mis");
    assert_refused("x,label\n1,a\ninf,b\n", "l2=0", ERR_DATA, "column 'x', row 2");
    assert_refused("x,label\n1,a\n2,NA\n", "l2=0", ERR_DATA, "label column 'label', row 2");
    assert_refused("x,label\n1,a\n2,a\n", "l2=0", ERR_DATA, "1 class");
    assert_refused("x,w,label\n1,1,a\n2,-1,b\n", "weight_col=w", ERR_DATA, "'w', row 2");
    assert_refused("x,t,label\n1,u,a\n2,v,b\n", "feature_cols=t", ERR_DATA, "'t' holds text");
    assert_refused("x,label\n1,a\n2,b\n", "feature_cols=label", ERR_INVALID, "'label' cannot be");
    assert_refused("x,label\n1,a\n2,b\n", "feature_cols=X", ERR_INVALID, "no column 'X'");
    assert_refused("t,label\nu,a\nv,b\n", "l2=0", ERR_INVALID, "no column is left");
}

/* No second derivatives to divide by: the weights have no end, or two columns are the same. */
static void what_newton_cannot_solve_is_learned_all_the_same(void **state)
{
    static const char *const csv[] = {"x,y,label\n1,1,a\n2,2,a\n3,3,b\n4,4,b\n",
                                      "x,y,label\n1,1,a\n2,2,b\n3,3,a\n4,4,b\n"};
    static const char *const words[] = {
        "logistic_regression", "--in",    "train=x", "--out", "model=m", "--param",
        "label_col=label",     "--param", "l2=0",    NULL};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct value in = testing_table(csv[i]);
        struct step s;
        struct err e = {0};
        const struct linear *l;

        assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), 0);
        l = s.out[0].model->body;
        assert_true(l->weights[0] > 0 && isfinite(l->weights[0] + l->weights[1] + l->weights[2]));
        assert_true(fabs(l->weights[0] - l->weights[1]) < 1e-6 * l->weights[0]);
        step_done(&s);
        value_done(&in);
    }
}

static void missing_values_take_the_mean_when_asked(void **state)
{
    static const char *const words[] = {
        "logistic_regression", "--in",    "train=x",      "--out", "model=m", "--param",
        "label_col=label",     "--param", "missing=mean", NULL};
    struct value in = testing_table("x,label\n1,0\nNA,1\n3,1\n0,0\n");
    struct step s;
    struct err e = {0};

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), 0);
    assert_true(fabs(s.out[0].model->features.fill[0] - 4.0 / 3) < 1e-15);
    assert_int_equal(s.out[0].model->classes.kind, COLUMN_NUMBER);
    step_done(&s);
    value_done(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_classes_end_where_the_gradient_is_zero),
        cmocka_unit_test(many_classes_end_where_the_gradient_is_zero),
        cmocka_unit_test(weights_count_rows),
        cmocka_unit_test(wrong_data_is_named_by_column_and_row),
        cmocka_unit_test(what_newton_cannot_solve_is_learned_all_the_same),
        cmocka_unit_test(missing_values_take_the_mean_when_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
