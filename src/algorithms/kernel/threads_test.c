#include "algorithms/kernel/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct job {
    uint32_t hits[1000];
    unsigned n_workers;
};

static void hit(void *ctx, size_t task, unsigned worker)
{
    struct job *j = ctx;

    assert_true(worker < j->n_workers);
    j->hits[task]++;
}

static void every_task_runs_once_in_every_round(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 8; n++) {
        SCOPED(threads_closep) struct threads *t = threads_open(n);
        struct job j = {.n_workers = threads_count(t)};

        for (unsigned round = 1; round <= 200; round++) {
            size_t tasks = round % 7 == 0 ? 0 : round * 5 % 1000;

            threads_each(t, tasks, hit, &j);
            for (size_t i = 0; i < tasks; i++) {
                assert_true(j.hits[i] >= 1);
            }
        }
        for (size_t i = 1; i < ARRAY_LEN(j.hits); i++) {
            assert_true(j.hits[i] <= j.hits[i - 1]); /* none was run twice in a round */
        }
    }
}

static void there_is_at_least_one_thread(void **state)
{
    SCOPED(threads_closep) struct threads *t = threads_open(0);

    (void)state;
    assert_int_equal(threads_count(t), 1);
    assert_true(threads_default() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once_in_every_round),
        cmocka_unit_test(there_is_at_least_one_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
