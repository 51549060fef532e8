#include "runtime/runtime_priv.h"

#include "base/limits.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "strata-usage 1\ninterval_ms 1000\nstarted_ms 7\n\n"

static void samples_come_back_as_they_were_written(void **state)
{
    struct runtime_sample samples[] = {{1000, 990, 1 << 20, 2 << 20, 0, 4096, 3},
                                       {2000, INT64_MAX, RUNTIME_UNKNOWN, RUNTIME_UNKNOWN,
                                        RUNTIME_UNKNOWN, RUNTIME_UNKNOWN, RUNTIME_UNKNOWN}};
    struct runtime_usage in = {7, 4000, samples, 2}, out;
    struct buf b = BUF_MAX(RUNTIME_USAGE_MAX);
    struct arena a = {0};
    struct err e;

    (void)state;
    usage_head_put(&b, &in);
    usage_sample_put(&b, &samples[0]);
    usage_sample_put(&b, &samples[1]);
    assert_int_equal(usage_parse(buf_str(&b), &a, &out, &e), 0);
    assert_int_equal(out.started_ms, 7);
    assert_int_equal(out.interval_ms, 4000);
    assert_int_equal(out.n, 2);
    assert_memory_equal(out.samples, samples, sizeof(samples));
    buf_done(&b);
    arena_done(&a);
}

static void a_line_that_is_being_written_is_left_out(void **state)
{
    static const char whole[] = HEAD "8 1 2 3 4 5 6\n9 1 2 3 4 5 6\n";
    struct arena a = {0};
    struct runtime_usage u;
    struct err e;

    (void)state;
    for (size_t len = sizeof(HEAD) - 1; len < sizeof(whole); len++) {
        assert_int_equal(usage_parse(str_n(whole, len), &a, &u, &e), 0);
        assert_int_equal(u.n, (len >= sizeof(HEAD) + 13) + (len >= sizeof(whole) - 1));
    }
    arena_done(&a);
}

static void words_and_keys_of_later_versions_are_skipped(void **state)
{
    struct arena a = {0};
    struct runtime_usage u;
    struct err e;

    (void)state;
    assert_int_equal(
        usage_parse(STR("strata-usage 1\nhost x\ninterval_ms 5\n\n8 1 2 3 4 5 6 7\n"), &a, &u, &e),
        0);
    assert_int_equal(u.n, 1);
    assert_int_equal(u.samples[0].processes, 6);
    arena_done(&a);
}

static void what_is_no_usage_file_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "strata-usage 2\ninterval_ms 1000\n\n",
        "strata-usage 1\n",
        "strata-usage 1\nstarted_ms 7\n\n",
        "strata-usage 1\ninterval_ms 0\n\n",
        "strata-usage 1\ninterval_ms -1\n\n",
        "strata-usage 1\ninterval_ms\n\n",
        "strata-usage 1\ninterval_ms 1\nstarted_ms 253402300800000\n\n",
        HEAD "\n",
        HEAD "8 1 2 3 4 5\n",
        HEAD "8 1 2 3 4 5 x\n",
        HEAD "8 1 2 3 4 5 -6\n",
        HEAD "8  1 2 3 4 5\n",
        HEAD "- 1 2 3 4 5 6\n",
        HEAD "253402300800000 1 2 3 4 5 6\n", /* the year 10000 */
        HEAD "8 1 2 3 4 5 9223372036854775808\n",
    };
    struct arena a = {0};
    struct runtime_usage u;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(usage_parse(str_of(bad[i]), &a, &u, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    arena_done(&a);
}

static void more_samples_than_the_limit_are_refused_before_memory_is_taken(void **state)
{
    struct buf b = BUF_MAX(RUNTIME_USAGE_MAX);
    struct arena a = {0};
    struct runtime_usage u;
    struct err e;

    (void)state;
    (void)buf_add_c(&b, HEAD);
    for (int i = 0; i < LIMIT_USAGE_SAMPLES; i++) {
        (void)buf_add_c(&b, "8 1 2 3 4 5 6\n");
    }
    assert_int_equal(usage_parse(buf_str(&b), &a, &u, &e), 0);
    assert_int_equal(u.n, LIMIT_USAGE_SAMPLES);
    (void)buf_add_c(&b, "8 1 2 3 4 5 6\n");
    assert_int_equal(usage_parse(buf_str(&b), &a, &u, &e), -1);
    buf_done(&b);
    arena_done(&a);
}

/* A container of `seconds`, sampled as the shim does. */
static void live(struct runtime_usage *u, int64_t seconds)
{
    int64_t at_ms = 0;

    while (at_ms + u->interval_ms <= seconds * 1000) {
        at_ms += u->interval_ms;
        (void)usage_add(u, &(struct runtime_sample){.at_ms = at_ms, .cpu_usec = at_ms * 1000});
        assert_true(u->n < LIMIT_USAGE_SAMPLES);
        assert_int_equal(u->samples[u->n - 1].at_ms, at_ms);
    }
}

static void however_long_it_runs_the_samples_are_even_and_few(void **state)
{
    static const struct {
        int64_t seconds, interval_ms;
        size_t n;
    } rows[] = {{10, 1000, 10},    {719, 1000, 719},     {720, 2000, 360},       {1438, 2000, 719},
                {1440, 4000, 360}, {86400, 128000, 675}, {2592000, 4096000, 632}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct runtime_usage u = {
            .interval_ms = 1000, .samples = xnew_array(struct runtime_sample, LIMIT_USAGE_SAMPLES)};

        live(&u, rows[i].seconds);
        assert_int_equal(u.interval_ms, rows[i].interval_ms);
        assert_int_equal(u.n, rows[i].n);
        for (size_t k = 0; k < u.n; k++) {
            assert_int_equal(u.samples[k].at_ms, (int64_t)(k + 1) * u.interval_ms);
        }
        free(u.samples);
    }
}

static void the_longest_file_is_read_back(void **state)
{
    struct runtime_sample longest = {253402300799999, INT64_MAX, INT64_MAX, INT64_MAX,
                                     INT64_MAX,       INT64_MAX, INT64_MAX};
    struct runtime_usage u = {253402300799999, INT64_MAX, NULL, 0};
    struct buf b = BUF_MAX(RUNTIME_USAGE_MAX);
    struct arena a = {0};
    struct err e;

    (void)state;
    usage_head_put(&b, &u);
    for (int i = 0; i < LIMIT_USAGE_SAMPLES; i++) {
        usage_sample_put(&b, &longest);
    }
    assert_false(b.failed);
    assert_int_equal(usage_parse(buf_str(&b), &a, &u, &e), 0);
    assert_int_equal(u.n, LIMIT_USAGE_SAMPLES);
    buf_done(&b);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back_as_they_were_written),
        cmocka_unit_test(a_line_that_is_being_written_is_left_out),
        cmocka_unit_test(words_and_keys_of_later_versions_are_skipped),
        cmocka_unit_test(what_is_no_usage_file_is_refused),
        cmocka_unit_test(more_samples_than_the_limit_are_refused_before_memory_is_taken),
        cmocka_unit_test(however_long_it_runs_the_samples_are_even_and_few),
        cmocka_unit_test(the_longest_file_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
