#include "tsdb/run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t bits_of(double v)
{
    uint64_t b;

    memcpy(&b, &v, sizeof(b));
    return b;
}

static double of_bits(uint64_t b)
{
    double v;

    memcpy(&v, &b, sizeof(v));
    return v;
}

/* Puts in `n`, reading all after each one, and again in the room that was kept. */
static void check(const int64_t *ts, const double *v, size_t n)
{
    struct run r[3] = {0}; /* one and another have the same times, a third goes its own way */
    struct run_memo memo = {0};
    int64_t got_ts[RUN_MAX];
    double got_v[RUN_MAX];
    size_t from[3] = {0};

    for (int turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < n; i++) {
            for (int k = 0; k < 3; k++) {
                int64_t late = k == 2 && i > n / 2 ? (int64_t)i : 0;

                if (!run_has_room(&r[k], ts[i] + late)) {
                    run_clear(&r[k]);
                    from[k] = i;
                }
                run_push(&r[k], &memo, ts[i] + late, v[i]);
                assert_int_equal(run_copy(&r[k], got_ts, got_v), i + 1 - from[k]);
                for (size_t j = from[k]; j <= i; j++) {
                    late = k == 2 && j > n / 2 ? (int64_t)j : 0;
                    assert_int_equal(got_ts[j - from[k]], ts[j] + late);
                    assert_int_equal(bits_of(got_v[j - from[k]]), bits_of(v[j]));
                }
            }
        }
        for (int k = 0; k < 3; k++) {
            run_clear(&r[k]);
            from[k] = 0;
            assert_int_equal(run_copy(&r[k], got_ts, got_v), 0);
        }
    }
    for (int k = 0; k < 3; k++) {
        run_done(&r[k]);
    }
    run_memo_done(&memo);
}

static void every_value_comes_back_bit_for_bit(void **state)
{
    static const double strange[] = {0.0,
                                     -0.0,
                                     1,
                                     -1,
                                     127,
                                     -128,
                                     128,
                                     32767,
                                     32768,
                                     2147483647.0,
                                     2147483648.0,
                                     -2147483649.0,
                                     9007199254740991.0,
                                     9007199254740993.0,
                                     1e308,
                                     0.1,
                                     0.5,
                                     1.1,
                                     (double)INFINITY,
                                     -(double)INFINITY,
                                     (double)NAN,
                                     5e-324};
    enum { N = sizeof(strange) / sizeof(strange[0]) };
    int64_t ts[RUN_MAX];
    double v[RUN_MAX];

    (void)state;
    for (size_t i = 0; i < RUN_MAX; i++) {
        ts[i] = 1700000000000 + (int64_t)i * 15000;
    }
    for (size_t a = 0; a < N; a++) {
        for (size_t b = 0; b < N; b++) {
            const double some[] = {strange[a], strange[a], strange[b],
                                   strange[a], strange[b], of_bits(0x7ff0000000000002ULL)};

            check(ts, some, 6);
        }
    }
    srandom(3);
    for (int turn = 0; turn < 200; turn++) {
        double at = strange[(size_t)random() % N];

        for (size_t i = 0; i < RUN_MAX; i++) {
            at = random() % 20 == 0 ? strange[(size_t)random() % N]
                                    : at + (double)(random() % (1L << turn % 40));
            v[i] = at;
        }
        check(ts, v, 1 + (size_t)random() % RUN_MAX);
    }
}

static void every_time_comes_back(void **state)
{
    int64_t ts[RUN_MAX];
    double v[RUN_MAX] = {0};

    (void)state;
    srandom(4);
    for (int turn = 0; turn < 400; turn++) {
        int64_t at = turn % 4 == 0 ? -(1LL << 60) : 1700000000000;

        for (size_t i = 0; i < RUN_MAX; i++) {
            ts[i] = at;
            at += 100 + (turn % 3 == 0 ? 14900 : random() % (1L << turn % 50));
        }
        check(ts, v, 1 + (size_t)random() % RUN_MAX);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_comes_back_bit_for_bit),
        cmocka_unit_test(every_time_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
