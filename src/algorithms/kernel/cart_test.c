#include "algorithms/kernel/cart.h"

#include "algorithms/kernel/bins_testing.h"

/* Two features of eight rows: the first tells the classes apart, the second says nothing. */
static struct table *two_features(void)
{
    const double x[] = {0, 1, 2, 3, 4, 5, 6, 7}, y[] = {1, 2, 1, 2, 1, 2, 1, 2};
    struct table *t = table_new(8);

    (void)binned_column(t, "a", x);
    (void)binned_column(t, "b", y);
    return t;
}

static struct trees emit(const struct binned *s, const struct cart_data *data,
                         const struct cart_options *o, const uint8_t *draws, double alpha)
{
    struct err e = {0};
    SCOPED(cart_freep) struct cart *c = cart_new(data, o, &e);
    struct trees t;
    struct rng rng;

    assert_non_null(c);
    rng_init(&rng, 1, 1);
    assert_int_equal(cart_grow(c, draws, &rng, &e), 0);
    assert_int_equal(trees_init(&t, s->f.n, cart_width(data->n_classes), &s->bins, &s->f, &e), 0);
    assert_int_equal(cart_emit(c, alpha, /* looked_at */ false, &t, &e), 0);
    return t;
}

static const uint32_t classes[] = {0, 0, 0, 1, 1, 1, 1, 1};

static void a_split_makes_pure_leaves(void **state)
{
    const enum cart_criterion all[] = {CART_GINI, CART_ENTROPY};
    struct binned s = binned_of(two_features(), 255, 1);
    struct cart_data data = {.bins = &s.bins, .classes = classes, .n_classes = 2};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cart_options o = {.criterion = all[i], .max_features = 2, .min_leaf = 1};
        struct trees t = emit(&s, &data, &o, NULL, 0);

        assert_int_equal(t.n_nodes, 3);
        assert_int_equal(t.nodes[0].feature & TREE_FEATURE, 0);
        assert_true(t.nodes[0].value == 2.5);
        assert_true(t.nodes[1].value == 0 && t.nodes[2].value == 1);
        trees_done(&t);
    }
    binned_done(&s);
}

static void a_leaf_of_numbers_is_their_mean(void **state)
{
    const double targets[] = {1, 1, 1, 1, 5, 5, 5, 9};
    struct binned s = binned_of(two_features(), 255, 1);
    struct cart_data data = {.bins = &s.bins, .targets = targets};
    struct cart_options o = {
        .criterion = CART_SQUARES, .max_depth = 1, .max_features = 2, .min_leaf = 1};
    struct trees t = emit(&s, &data, &o, NULL, 0);

    (void)state;
    assert_int_equal(t.n_nodes, 3);
    assert_true(t.nodes[0].value == 3.5);
    assert_true(fabs(t.nodes[1].value - 1) < 1e-6 && fabs(t.nodes[2].value - 6) < 1e-6);
    trees_done(&t);
    binned_done(&s);
}

static void leaves_are_as_large_as_asked(void **state)
{
    struct binned s = binned_of(two_features(), 255, 1);
    struct cart_data data = {.bins = &s.bins, .classes = classes, .n_classes = 2};
    struct cart_options o = {.max_features = 2, .min_leaf = 4};
    struct trees t = emit(&s, &data, &o, NULL, 0);

    (void)state;
    assert_int_equal(t.n_nodes, 3);
    assert_true(t.nodes[0].value == 3.5);
    assert_true(fabs(t.nodes[1].value - 0.25) < 1e-9);
    trees_done(&t);
    binned_done(&s);
}

static void rows_that_were_not_drawn_are_not_seen(void **state)
{
    const uint8_t draws[] = {1, 1, 1, 0, 0, 0, 0, 0};
    struct binned s = binned_of(two_features(), 255, 1);
    struct cart_data data = {.bins = &s.bins, .classes = classes, .n_classes = 2};
    struct cart_options o = {.max_features = 2, .min_leaf = 1};
    struct trees t = emit(&s, &data, &o, draws, 0);

    (void)state;
    assert_int_equal(t.n_nodes, 1);
    assert_true(t.nodes[0].value == 0);
    trees_done(&t);
    binned_done(&s);
}

static void branches_that_bring_too_little_are_cut(void **state)
{
    struct binned s = binned_of(two_features(), 255, 1);
    struct cart_data data = {.bins = &s.bins, .classes = classes, .n_classes = 2};
    struct cart_options o = {.max_features = 2, .min_leaf = 1};
    struct trees t = emit(&s, &data, &o, NULL, 1);

    (void)state;
    assert_int_equal(t.n_nodes, 1);
    assert_true(fabs(t.nodes[0].value - 5.0 / 8) < 1e-6);
    trees_done(&t);
    binned_done(&s);
}

static void leaves_of_one_class_share_their_outputs(void **state)
{
    const uint32_t of[] = {0, 0, 1, 1, 0, 2, 2, 0};
    struct binned s = binned_of(two_features(), 255, 1);
    struct cart_data data = {.bins = &s.bins, .classes = of, .n_classes = 3};
    struct cart_options o = {.max_features = 1, .min_leaf = 1};
    struct trees t = emit(&s, &data, &o, NULL, 0);
    size_t leaves = 0;

    (void)state;
    for (size_t i = 0; i < t.n_nodes; i++) {
        leaves += t.nodes[i].child == 0;
        assert_true(t.nodes[i].child || t.nodes[i].slot < 3);
    }
    assert_true(leaves > 3);
    assert_int_equal(t.n_outputs, 3 * 3);
    trees_done(&t);
    binned_done(&s);
}

/* Every row of `once` so many times. */
static struct table *repeated(const struct table *once, size_t times, uint32_t *of)
{
    size_t n = once->n_rows;
    struct table *t = table_new(n * times);
    double *v = xnew_array(double, n *times);

    for (size_t j = 0; j < once->n_columns; j++) {
        for (size_t i = 0; i < n * times; i++) {
            v[i] = once->columns[j].numbers[i % n];
        }
        (void)binned_column(t, once->columns[j].name, v);
    }
    for (size_t i = 0; i < n * times; i++) {
        of[i] = (uint32_t)(i % n * 37 % 24);
    }
    free(v);
    return t;
}

/* Rows of few rows and many classes are sorted, of many rows counted: 768 and more here. */
static void few_rows_of_many_classes_are_split_like_many(void **state)
{
    enum { N = 240, TIMES = 16 };
    const enum cart_criterion all[] = {CART_GINI, CART_ENTROPY};
    struct table *once = random_table(N, 3);
    SCOPED(freep) uint32_t *of = xnew_array(uint32_t, N * TIMES);
    struct binned many = binned_of(repeated(once, TIMES, of), 255, 1),
                  few = binned_of(once, 255, 1);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cart_options o = {.criterion = all[i], .max_features = 3, .min_leaf = 1};
        struct cart_data a = {.bins = &few.bins, .classes = of, .n_classes = 24},
                         b = {.bins = &many.bins, .classes = of, .n_classes = 24};
        struct trees s = emit(&few, &a, &o, NULL, 0), t = emit(&many, &b, &o, NULL, 0);

        assert_int_equal(s.n_nodes, t.n_nodes);
        assert_true(s.n_nodes > 200);
        assert_memory_equal(s.nodes, t.nodes, s.n_nodes * sizeof(*s.nodes));
        trees_done(&s);
        trees_done(&t);
    }
    binned_done(&few);
    binned_done(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_makes_pure_leaves),
        cmocka_unit_test(a_leaf_of_numbers_is_their_mean),
        cmocka_unit_test(leaves_are_as_large_as_asked),
        cmocka_unit_test(rows_that_were_not_drawn_are_not_seen),
        cmocka_unit_test(branches_that_bring_too_little_are_cut),
        cmocka_unit_test(leaves_of_one_class_share_their_outputs),
        cmocka_unit_test(few_rows_of_many_classes_are_split_like_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
