#include "algorithms/modules/module_testing.h"

#include "base/buf.h"

/* `n` rows: id, and a class that is rare (every tenth) or not. */
static struct value rows(int n)
{
    struct buf b = BUF_MAX(1 << 20);
    struct value v;

    (void)buf_add_c(&b, "id,class\n");
    for (int i = 0; i < n; i++) {
        (void)buf_printf(&b, "%d,%s\n", i, i % 10 ? "often" : "rare");
    }
    v = testing_table(b.p);
    buf_done(&b);
    return v;
}

static size_t count_rare(const struct table *t)
{
    size_t n = 0;

    for (size_t r = 0; r < t->n_rows; r++) {
        n += str_eq_c(dict_text(t->columns[1].dict, t->columns[1].codes[r]), "rare");
    }
    return n;
}

static void every_row_is_in_exactly_one_part_in_order(void **state)
{
    static const char *const words[] = {"split",   "--in",    "table=x",      "--out",
                                        "train=a", "--param", "fraction=0.7", NULL};
    struct value in = rows(1000);
    struct step s;
    struct err e = {0};
    int seen[1000] = {0};

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), 0);
    assert_int_equal(s.out[0].table->n_rows, 700);
    assert_int_equal(s.out[1].table->n_rows, 300);
    for (int part = 0; part < 2; part++) {
        const struct table *t = s.out[part].table;

        for (size_t r = 0; r < t->n_rows; r++) {
            seen[(int)t->columns[0].numbers[r]]++;
            assert_true(r == 0 || t->columns[0].numbers[r - 1] < t->columns[0].numbers[r]);
        }
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(seen[i], 1);
    }
    step_done(&s);
    value_done(&in);
}

static void stratified_parts_keep_proportions(void **state)
{
    static const char *const words[] = {"split",
                                        "--in",
                                        "table=x",
                                        "--out",
                                        "train=a",
                                        "--param",
                                        "fraction=0.8",
                                        "--param",
                                        "stratify_col=class",
                                        NULL};
    struct value in = rows(1000);
    struct step s;
    struct err e = {0};

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), 0);
    assert_int_equal(s.out[0].table->n_rows, 800);
    assert_int_equal(count_rare(s.out[0].table), 80);
    assert_int_equal(count_rare(s.out[1].table), 20);
    step_done(&s);
    value_done(&in);
}

static void the_seed_decides_and_nothing_else(void **state)
{
    static const char *const seeds[] = {"seed=1", "seed=1", "seed=2"};
    struct value in = rows(200);
    double sums[3] = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *const words[] = {"split",   "--in",    "table=x", "--out",
                                     "train=a", "--param", seeds[i],  NULL};
        struct step s;
        struct err e = {0};

        assert_int_equal(testing_run(&s, words, &in, NULL, (unsigned)i + 1, &e), 0);
        for (size_t r = 0; r < s.out[1].table->n_rows; r++) {
            sums[i] += (double)(r + 1) * s.out[1].table->columns[0].numbers[r];
        }
        step_done(&s);
    }
    assert_true(sums[0] == sums[1] && sums[0] != sums[2]);
    value_done(&in);
}

static void ordered_takes_the_first_rows(void **state)
{
    static const char *const words[] = {"split",   "--in",    "table=x",      "--out",
                                        "train=a", "--param", "mode=ordered", NULL};
    struct value in = rows(10);
    struct step s;
    struct err e = {0};

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), 0);
    assert_true(s.out[0].table->columns[0].numbers[7] == 7);
    assert_true(s.out[1].table->columns[0].numbers[0] == 8);
    step_done(&s);
    value_done(&in);
}

static void a_column_that_is_not_there_is_named(void **state)
{
    static const char *const words[] = {"split",   "--in",    "table=x",           "--out",
                                        "train=a", "--param", "stratify_col=clas", NULL};
    struct value in = rows(10);
    struct step s;
    struct err e = {0};

    (void)state;
    assert_int_equal(testing_run(&s, words, &in, NULL, 1, &e), -1);
    assert_non_null(strstr(e.msg, "did you mean 'class'"));
    step_done(&s);
    value_done(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_in_exactly_one_part_in_order),
        cmocka_unit_test(stratified_parts_keep_proportions),
        cmocka_unit_test(the_seed_decides_and_nothing_else),
        cmocka_unit_test(ordered_takes_the_first_rows),
        cmocka_unit_test(a_column_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
