#include "algorithms/kernel/boost.h"

#include "algorithms/kernel/bins_testing.h"

enum { COLUMNS = 3, LIMIT = 20000 };

struct grown {
    struct binned s;
    struct boost *boost;
    struct trees trees;
    uint64_t *words;
    uint32_t *rows;
};

static void grown_done(struct grown *g)
{
    boost_free(g->boost);
    trees_done(&g->trees);
    free(g->words);
    free(g->rows);
    binned_done(&g->s);
}

/* One tree from first derivatives of the rows, all second ones 1. */
static struct grown grow(struct table *t, const double *first, const struct boost_options *o,
                         unsigned n_threads)
{
    struct grown g = {.s = binned_of(t, 255, n_threads),
                      .words = xnew_array(uint64_t, t->n_rows),
                      .rows = xnew_array(uint32_t, t->n_rows)};
    uint32_t features[COLUMNS] = {0, 1, 2};
    struct boost_sums sums = {g.words, 1.0 / 1000, 1.0 / 1000};
    struct err e = {0};

    for (size_t r = 0; r < t->n_rows; r++) {
        g.words[r] = ((uint64_t)llrint(first[r] * 1000) << BOOST_H_SUM_BITS) + 1000;
        g.rows[r] = (uint32_t)r;
    }
    g.boost = boost_new(&g.s.bins, o, g.s.threads, &e);
    assert_non_null(g.boost);
    assert_int_equal(trees_init(&g.trees, g.s.f.n, 1, &g.s.bins, &g.s.f, &e), 0);
    assert_int_equal(boost_tree(g.boost, &g.trees, &sums, features, g.s.f.n, g.rows, t->n_rows,
                                /* rate */ 0.5, &e),
                     0);
    return g;
}

static const struct boost_options stump = {.lambda = 1, .max_depth = 1};

static void leaves_say_the_step_of_newton(void **state)
{
    const double x[] = {0, 1, 2, 3, 4, 5, 6, 7}, first[] = {-1, -1, -1, 1, 1, 1, 1, 1};
    struct table *t = table_new(8);
    struct grown g;

    (void)state;
    (void)binned_column(t, "a", x);
    g = grow(t, first, &stump, 1);
    assert_int_equal(g.trees.n_nodes, 3);
    assert_true(g.trees.nodes[0].value == 2.5);
    assert_true(fabs(g.trees.nodes[1].value - 0.5 * 3 / 4) < 1e-12);
    assert_true(fabs(g.trees.nodes[2].value + 0.5 * 5 / 6) < 1e-12);
    grown_done(&g);
}

static void what_is_missing_goes_where_it_helps(void **state)
{
    const double x[] = {0, 1, NAN, 3, 4, NAN}, first[] = {-1, -1, 1, 1, 1, 1};
    struct table *t = table_new(6);
    struct grown g;

    (void)state;
    (void)binned_column(t, "a", x);
    g = grow(t, first, &stump, 1);
    assert_true(g.trees.nodes[0].value == 2 && g.trees.nodes[0].feature == 0);
    grown_done(&g);
}

static void a_leaf_that_is_too_light_is_not_made(void **state)
{
    const double x[] = {0, 1, 2, 3}, first[] = {-1, 1, 1, 1};
    struct boost_options o = stump;
    struct table *t = table_new(4);
    struct grown g;

    (void)state;
    o.min_child_weight = 2;
    (void)binned_column(t, "a", x);
    g = grow(t, first, &o, 1);
    assert_true(g.trees.nodes[0].value == 1.5); /* and not 0.5 */
    grown_done(&g);
}

/* The gain of a stump by looking at every cut of every feature, missing left and right. */
static double best_gain(const struct binned *s, const double *first)
{
    size_t n = s->t->n_rows;
    double best = 0;

    for (size_t j = 0; j < COLUMNS; j++) {
        uint32_t bins = bins_of(&s->bins, j);

        for (uint32_t k = 0; k < 2 * bins; k++) {
            double g[2] = {0, 0}, h[2] = {0, 0}, gain;

            for (size_t r = 0; r < n; r++) {
                uint8_t cell = s->bins.cells[r * COLUMNS + j];
                int right = cell == bins ? k >= bins : cell > k % bins;

                g[right] += llrint(first[r] * 1000) / 1000.0;
                h[right]++;
            }
            gain = g[0] * g[0] / (h[0] + 1) + g[1] * g[1] / (h[1] + 1) -
                   (g[0] + g[1]) * (g[0] + g[1]) / (h[0] + h[1] + 1);
            best = h[0] > 0 && h[1] > 0 && gain > best ? gain : best;
        }
    }
    return best;
}

static double *random_derivatives(size_t n)
{
    double *first = xnew_array(double, n);
    struct rng rng;

    rng_init(&rng, 7, 7);
    for (size_t r = 0; r < n; r++) {
        first[r] = rng_unit(&rng) - 0.5;
    }
    return first;
}

static void no_split_is_better_than_the_one_that_is_taken(void **state)
{
    double *first = random_derivatives(400);
    struct grown g = grow(random_table(400, COLUMNS), first, &stump, 1);
    double sum = 0;

    (void)state;
    for (size_t j = 0; j < COLUMNS; j++) {
        sum += g.trees.gains[j];
    }
    assert_true(fabs(sum - best_gain(&g.s, first)) < 1e-9);
    grown_done(&g);
    free(first);
}

static void threads_do_not_change_a_node(void **state)
{
    const struct boost_options o = {.lambda = 1, .max_depth = 8, .max_leaves = 60};
    double *first = random_derivatives(LIMIT);
    struct grown one = grow(random_table(LIMIT, COLUMNS), first, &o, 1);
    struct grown four = grow(random_table(LIMIT, COLUMNS), first, &o, 4);
    size_t n_leaves;

    (void)state;
    (void)boost_leaves(one.boost, &n_leaves);
    assert_int_equal(n_leaves, 60);
    assert_int_equal(one.trees.n_nodes, four.trees.n_nodes);
    assert_memory_equal(one.trees.nodes, four.trees.nodes,
                        one.trees.n_nodes * sizeof(*one.trees.nodes));
    assert_memory_equal(one.rows, four.rows, LIMIT * sizeof(*one.rows));
    grown_done(&one);
    grown_done(&four);
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_say_the_step_of_newton),
        cmocka_unit_test(what_is_missing_goes_where_it_helps),
        cmocka_unit_test(a_leaf_that_is_too_light_is_not_made),
        cmocka_unit_test(no_split_is_better_than_the_one_that_is_taken),
        cmocka_unit_test(threads_do_not_change_a_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
