#include "tsdb/column.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static uint64_t seed = 88172645463325252ULL;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Bytes a number, after it was shown that all come back bit for bit and nothing is left over. */
static double round_trip(const double *v, size_t n)
{
    struct buf b = BUF_MAX(1 << 20);
    double *back = malloc(n * sizeof(double)), size;
    struct str in;

    column_put_values(v, n, &b);
    in = buf_str(&b);
    assert_int_equal(column_get_values(&in, back, n, &e), 0);
    assert_int_equal(in.len, 0);
    assert_memory_equal(v, back, n * sizeof(double));
    size = (double)b.len / (double)n;
    free(back);
    buf_done(&b);
    return size;
}

static void every_run_comes_back_bit_for_bit(void **state UNUSED)
{
    static const double odd[] = {
        0.0,     -0.0,  (double)NAN,        (double)INFINITY, -(double)INFINITY, 1e300, 5e-324, 0.1,
        123.456, -1e15, 9007199254740993.0, 1.0 / 3};
    double v[COLUMN_MAX];

    for (int turn = 0; turn < 3000; turn++) {
        size_t n = random_bits() % (turn % 50 == 0 ? COLUMN_MAX : 200) + 1;
        int shape = turn % 6;
        double at = (double)(random_bits() % 100000);

        for (size_t i = 0; i < n; i++) {
            uint64_t r = random_bits();

            at += (double)(r % 1000);
            v[i] = shape == 0   ? at
                   : shape == 1 ? round(at * 100) / 100 + 0.25
                   : shape == 2 ? (double)(r % 7)
                   : shape == 3 ? odd[r % ARRAY_LEN(odd)]
                   : shape == 4 ? (r % 40 == 0 ? (double)NAN : (double)(r % 1000) / 1000)
                                : (double)r / 3;
            if (shape == 5) {
                memcpy(&v[i], &r, 8);
            }
        }
        (void)round_trip(v, n);
    }
}

static void a_stale_marker_stays_what_it_is(void **state UNUSED)
{
    uint64_t bits = 0x7ff0000000000002ULL;
    double v[64], back[64];
    struct buf b = BUF_MAX(1 << 16);
    struct str in;

    for (size_t i = 0; i < 64; i++) {
        v[i] = 1;
    }
    memcpy(&v[63], &bits, 8);
    column_put_values(v, 64, &b);
    assert_true(b.len < 32);
    in = buf_str(&b);
    assert_int_equal(column_get_values(&in, back, 64, &e), 0);
    assert_memory_equal(v, back, sizeof(v));
    buf_done(&b);
}

static void measurements_take_little(void **state UNUSED)
{
    double v[960], at = 0;

    for (size_t i = 0; i < 960; i++) { /* a counter of bytes, some hundred a second */
        at += 500 + (double)(random_bits() % 128);
        v[i] = at;
    }
    assert_true(round_trip(v, 960) < 1.1);
    for (size_t i = 0; i < 960; i++) { /* a temperature */
        v[i] = 40 + (double)(random_bits() % 16) / 4;
    }
    assert_true(round_trip(v, 960) < 1.0);
    for (size_t i = 0; i < 960; i++) {
        v[i] = 1;
    }
    assert_true(round_trip(v, 960) < 0.01);
    for (size_t i = 0; i < 960; i++) { /* seconds of a processor, two decimals */
        at += (double)(random_bits() % 3) / 100;
        v[i] = round(at * 100) / 100;
    }
    assert_true(round_trip(v, 960) < 0.45);
}

static void times_come_back_and_take_little(void **state UNUSED)
{
    int64_t ms[COLUMN_MAX], back[COLUMN_MAX], at = 1700000000000;

    for (int turn = 0; turn < 500; turn++) {
        size_t n = random_bits() % 300 + 1;
        struct buf b = BUF_MAX(1 << 20);
        struct str in;
        int shape = turn % 3;

        for (size_t i = 0; i < n; i++) {
            uint64_t jitter = shape == 1   ? random_bits() % 5 - 2
                              : shape == 2 ? random_bits() >> 2
                                           : 0;

            at = (int64_t)((uint64_t)at + 15000 + jitter); /* all bits: it may wrap */
            ms[i] = at;
        }
        column_put_times(ms, n, &b);
        assert_true(shape != 0 || b.len < 16);
        in = buf_str(&b);
        assert_int_equal(column_get_times(&in, back, n, &e), 0);
        assert_int_equal(in.len, 0);
        assert_memory_equal(ms, back, n * 8);
        buf_done(&b);
        at = shape == 2 ? 1700000000000 : at;
    }
}

static void equal_times_are_coded_once(void **state UNUSED)
{
    struct column_times last = {0};
    struct buf often = BUF_MAX(1 << 20), once = BUF_MAX(1 << 20);
    int64_t ms[300];

    for (int turn = 0; turn < 200; turn++) {
        size_t n = turn % 10 == 0 ? 300 : random_bits() % 64 + 1;

        for (size_t i = 0; i < n; i++) {
            ms[i] = 1700000000000 + (int64_t)(i * 15000 + random_bits() % 5);
        }
        for (int again = 0; again < 3; again++) {
            ms[n - 1] += again / 2; /* the last time they differ */
            column_put_times_again(&last, ms, n, &often);
            column_put_times(ms, n, &once);
        }
    }
    assert_int_equal(often.len, once.len);
    assert_memory_equal(often.p, once.p, once.len);
    buf_done(&often);
    buf_done(&once);
}

static void damaged_bytes_are_an_error_or_numbers(void **state UNUSED)
{
    double v[100], back[100];
    struct buf b = BUF_MAX(1 << 16);

    for (size_t i = 0; i < 100; i++) {
        v[i] = i % 17 == 0 ? (double)NAN : (double)(random_bits() % 10000) / 10;
    }
    column_put_values(v, 100, &b);
    for (size_t len = 0; len < b.len; len++) {
        char *copy = malloc(len + 1);
        struct str in = str_n(copy, len);

        memcpy(copy, b.p, len);
        assert_int_equal(column_get_values(&in, back, 100, &e), -1);
        free(copy);
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_run_comes_back_bit_for_bit),
        cmocka_unit_test(a_stale_marker_stays_what_it_is),
        cmocka_unit_test(measurements_take_little),
        cmocka_unit_test(times_come_back_and_take_little),
        cmocka_unit_test(equal_times_are_coded_once),
        cmocka_unit_test(damaged_bytes_are_an_error_or_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
