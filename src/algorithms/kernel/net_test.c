#include "algorithms/kernel/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 9, IN = 5, CLASSES = 3 };

static const uint32_t sizes[] = {IN, 7, 4, CLASSES};

static double loss_of(const struct net *n, struct net_work *w, const float *x,
                      const uint32_t *classes, const float *weights)
{
    double loss = 0;

    memcpy(w->a[0], x, ROWS * IN * sizeof(float));
    net_forward(n, w, ROWS);
    for (size_t r = 0; r < ROWS; r++) {
        loss -= (double)weights[r] * log((double)w->a[3][r * CLASSES + classes[r]]);
    }
    return loss;
}

/* Each component against (f(x+h) - f(x-h)) / 2h. */
/* `kinks`: components that may differ because a unit of relu switches within h. */
static void check_gradient(enum net_activation activation, unsigned kinks)
{
    struct net n;
    struct net_work w;
    struct rng rng;
    struct err e = {0};
    float x[ROWS * IN], weights[ROWS], grad[200];
    uint32_t classes[ROWS];
    unsigned off = 0;

    rng_init(&rng, 3, 1);
    assert_int_equal(net_init(&n, sizes, 3, activation, &e), 0);
    assert_true(n.n_params < ARRAY_LEN(grad));
    net_randomise(&n, &rng);
    assert_int_equal(net_work_init(&w, &n, ROWS, &e), 0);
    for (size_t i = 0; i < ROWS * IN; i++) {
        x[i] = (float)(rng_unit(&rng) * 2 - 1);
    }
    for (size_t r = 0; r < ROWS; r++) {
        classes[r] = (uint32_t)rng_below(&rng, CLASSES);
        weights[r] = (float)(0.5 + rng_unit(&rng));
    }
    (void)loss_of(&n, &w, x, classes, weights);
    (void)net_backward(&n, &w, ROWS, &(struct net_truth){classes, NULL, weights}, grad);
    for (size_t i = 0; i < n.n_params; i++) {
        float keep = n.params[i], h = 2e-3F;
        double up, down, slope;

        n.params[i] = keep + h;
        up = loss_of(&n, &w, x, classes, weights);
        n.params[i] = keep - h;
        down = loss_of(&n, &w, x, classes, weights);
        n.params[i] = keep;
        slope = (up - down) / (2 * (double)h);
        off += fabs(slope - (double)grad[i]) > 2e-3 * (1 + fabs(slope));
    }
    assert_true(off <= kinks);
    net_work_done(&w);
    net_done(&n);
}

static void gradients_equal_differences_tanh(void **state)
{
    (void)state;
    check_gradient(NET_TANH, 0);
}

static void gradients_equal_differences_relu(void **state)
{
    (void)state;
    check_gradient(NET_RELU, 2);
}

static void probabilities_sum_to_one(void **state)
{
    struct net n;
    struct net_work w;
    struct rng rng;
    struct err e = {0};

    (void)state;
    rng_init(&rng, 4, 1);
    assert_int_equal(net_init(&n, sizes, 3, NET_RELU, &e), 0);
    net_randomise(&n, &rng);
    assert_int_equal(net_work_init(&w, &n, ROWS, &e), 0);
    for (size_t i = 0; i < ROWS * IN; i++) {
        w.a[0][i] = (float)(1000 * (rng_unit(&rng) - 0.5)); /* far out */
    }
    net_forward(&n, &w, ROWS);
    for (size_t r = 0; r < ROWS; r++) {
        float sum = 0;

        for (size_t k = 0; k < CLASSES; k++) {
            sum += w.a[3][r * CLASSES + k];
        }
        assert_true(fabsf(sum - 1) < 1e-5F);
    }
    net_work_done(&w);
    net_done(&n);
}

static void too_many_parameters_are_refused(void **state)
{
    static const uint32_t wide[] = {65536, 65536, 2};
    struct net n;
    struct err e = {0};

    (void)state;
    assert_int_equal(net_init(&n, wide, 2, NET_RELU, &e), -1);
    net_done(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_equal_differences_tanh),
        cmocka_unit_test(gradients_equal_differences_relu),
        cmocka_unit_test(probabilities_sum_to_one),
        cmocka_unit_test(too_many_parameters_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
