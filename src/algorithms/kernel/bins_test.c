#include "algorithms/kernel/bins_testing.h"

static void few_values_have_a_bin_each(void **state)
{
    const double v[] = {3, 1, 2, 1, NAN, 3};
    const uint8_t want[] = {2, 0, 1, 0, 3, 2};
    struct table *t = table_new(6);
    struct binned s;

    (void)state;
    (void)binned_column(t, "a", v);
    s = binned_of(t, 255, 1);
    assert_int_equal(bins_of(&s.bins, 0), 3);
    assert_memory_equal(s.bins.cells, want, sizeof(want));
    assert_true(s.bins.cuts[0] == 1.5 && s.bins.cuts[1] == 2.5);
    binned_done(&s);
}

static void bins_hold_about_equally_many_rows(void **state)
{
    struct binned s = binned_of(random_table(60000, 1), 16, 1);
    size_t count[17] = {0};

    (void)state;
    assert_int_equal(bins_of(&s.bins, 0), 16);
    for (size_t r = 0; r < 60000; r++) {
        count[s.bins.cells[r]]++;
    }
    for (size_t k = 0; k < 16; k++) {
        assert_in_range(count[k], 54000 / 16 - 300, 54000 / 16 + 300);
    }
    binned_done(&s);
}

static void a_cell_is_the_number_of_cuts_below_the_value(void **state)
{
    struct binned s = binned_of(random_table(3000, 3), 200, 1);

    (void)state;
    for (size_t i = 0; i < 3000 * 3; i++) {
        size_t j = i % 3;
        double v = s.bound.columns[j][i / 3];
        uint32_t below = 0;

        for (uint32_t k = 0; k + 1 < bins_of(&s.bins, j); k++) {
            below += s.bins.cuts[s.bins.offsets[j] + k] < v;
        }
        assert_int_equal(s.bins.cells[i], isnan(v) ? bins_of(&s.bins, j) : below);
    }
    binned_done(&s);
}

static void rare_categories_share_the_last_bin(void **state)
{
    const char *const texts[] = {"e", "a", "b", "a", "c", "b", "a", "d"};
    const uint8_t want[] = {2, 0, 1, 0, 2, 1, 0, 2};
    struct table *t = table_new(8);
    struct dict *d = dict_new();
    uint32_t codes[8];
    struct err e = {0};
    struct column *c;
    struct binned s;

    (void)state;
    for (size_t r = 0; r < 8; r++) {
        assert_int_equal(dict_intern(d, str_of(texts[r]), &codes[r], &e), 0);
    }
    dict_seal(d);
    c = table_add_text(t, STR("a"), d, &e);
    assert_non_null(c);
    memcpy(c->codes, codes, sizeof(codes));
    s = binned_of(t, 3, 1);
    assert_int_equal(bins_of(&s.bins, 0), 3);
    assert_memory_equal(s.bins.cells, want, sizeof(want));
    binned_done(&s);
}

static void a_column_without_values_has_only_the_missing_bin(void **state)
{
    const double v[] = {NAN, NAN};
    struct table *t = table_new(2);
    struct binned s;

    (void)state;
    (void)binned_column(t, "a", v);
    s = binned_of(t, 255, 1);
    assert_int_equal(bins_of(&s.bins, 0), 0);
    assert_int_equal(s.bins.cells[0] + s.bins.cells[1], 0);
    binned_done(&s);
}

static void threads_do_not_change_a_cell(void **state)
{
    struct binned one = binned_of(random_table(40000, 5), 255, 1);
    struct binned four = binned_of(random_table(40000, 5), 255, 4);

    (void)state;
    assert_int_equal(one.bins.n_cells, four.bins.n_cells);
    assert_memory_equal(one.bins.cells, four.bins.cells, 40000 * 5);
    assert_memory_equal(one.bins.cuts, four.bins.cuts, one.bins.n_cells * sizeof(double));
    binned_done(&one);
    binned_done(&four);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_values_have_a_bin_each),
        cmocka_unit_test(bins_hold_about_equally_many_rows),
        cmocka_unit_test(a_cell_is_the_number_of_cuts_below_the_value),
        cmocka_unit_test(rare_categories_share_the_last_bin),
        cmocka_unit_test(a_column_without_values_has_only_the_missing_bin),
        cmocka_unit_test(threads_do_not_change_a_cell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
