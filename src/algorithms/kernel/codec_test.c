#include "algorithms/kernel/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 64 times "a", 6 times "abc", then "1 2 3 ... 30 ": what lz4 1.9 makes of it. */
static const unsigned char dependent_blocks[] = {
    0x04, 0x22, 0x4d, 0x18, 0x74, 0x40, 0xbd, 0x5d, 0x00, 0x00, 0x00, 0x1f, 0x61, 0x01, 0x00,
    0x2e, 0x2b, 0x62, 0x63, 0x03, 0x00, 0xf0, 0x42, 0x31, 0x20, 0x32, 0x20, 0x33, 0x20, 0x34,
    0x20, 0x35, 0x20, 0x36, 0x20, 0x37, 0x20, 0x38, 0x20, 0x39, 0x20, 0x31, 0x30, 0x20, 0x31,
    0x31, 0x20, 0x31, 0x32, 0x20, 0x31, 0x33, 0x20, 0x31, 0x34, 0x20, 0x31, 0x35, 0x20, 0x31,
    0x36, 0x20, 0x31, 0x37, 0x20, 0x31, 0x38, 0x20, 0x31, 0x39, 0x20, 0x32, 0x30, 0x20, 0x32,
    0x31, 0x20, 0x32, 0x32, 0x20, 0x32, 0x33, 0x20, 0x32, 0x34, 0x20, 0x32, 0x35, 0x20, 0x32,
    0x36, 0x20, 0x32, 0x37, 0x20, 0x32, 0x38, 0x20, 0x32, 0x39, 0x20, 0x33, 0x30, 0x20, 0xee,
    0x96, 0x0e, 0x73, 0x00, 0x00, 0x00, 0x00, 0xe8, 0x4c, 0x4f, 0xec};
static const unsigned char with_length[] = {
    0x04, 0x22, 0x4d, 0x18, 0x6c, 0x40, 0xa4, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe4,
    0x5d, 0x00, 0x00, 0x00, 0x1f, 0x61, 0x01, 0x00, 0x2e, 0x2b, 0x62, 0x63, 0x03, 0x00, 0xf0,
    0x42, 0x31, 0x20, 0x32, 0x20, 0x33, 0x20, 0x34, 0x20, 0x35, 0x20, 0x36, 0x20, 0x37, 0x20,
    0x38, 0x20, 0x39, 0x20, 0x31, 0x30, 0x20, 0x31, 0x31, 0x20, 0x31, 0x32, 0x20, 0x31, 0x33,
    0x20, 0x31, 0x34, 0x20, 0x31, 0x35, 0x20, 0x31, 0x36, 0x20, 0x31, 0x37, 0x20, 0x31, 0x38,
    0x20, 0x31, 0x39, 0x20, 0x32, 0x30, 0x20, 0x32, 0x31, 0x20, 0x32, 0x32, 0x20, 0x32, 0x33,
    0x20, 0x32, 0x34, 0x20, 0x32, 0x35, 0x20, 0x32, 0x36, 0x20, 0x32, 0x37, 0x20, 0x32, 0x38,
    0x20, 0x32, 0x39, 0x20, 0x33, 0x30, 0x20, 0x00, 0x00, 0x00, 0x00, 0xe8, 0x4c, 0x4f, 0xec};
static const char text[] =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcabcabcabcabcabc1 2 3 4 5 "
    "6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 ";

static void frames_of_the_lz4_program_unpack(void **state)
{
    char got[sizeof(text)];
    struct err e = {0};

    (void)state;
    assert_int_equal(
        codec_lz4_frame(str_n((const char *)dependent_blocks, sizeof(dependent_blocks)), got,
                        sizeof(text) - 1, &e),
        0);
    assert_memory_equal(got, text, sizeof(text) - 1);
    memset(got, 0, sizeof(got));
    assert_int_equal(codec_lz4_frame(str_n((const char *)with_length, sizeof(with_length)), got,
                                     sizeof(text) - 1, &e),
                     0);
    assert_memory_equal(got, text, sizeof(text) - 1);
}

/* Each byte changed and each length: refused, or other bytes; never one too many. */
static void damaged_frames_stay_inside(void **state)
{
    struct err e = {0};
    unsigned char copy[sizeof(with_length)];

    (void)state;
    for (size_t i = 0; i < sizeof(copy); i++) {
        char *got = malloc(sizeof(text) - 1); /* its end is watched */

        memcpy(copy, with_length, sizeof(copy));
        copy[i] ^= 0xff;
        (void)!codec_lz4_frame(str_n((const char *)copy, sizeof(copy)), got, sizeof(text) - 1, &e);
        assert_int_equal(codec_lz4_frame(str_n((const char *)with_length, i < 110 ? i : 110), got,
                                         sizeof(text) - 1, &e),
                         -1);
        assert_int_equal(
            codec_lz4_frame(str_n((const char *)with_length, sizeof(copy)), got, i, &e), -1);
        free(got);
    }
}

/* Runs, words, noise, and what lies around the ends of blocks. */
static void fill(unsigned char *p, size_t n, unsigned how)
{
    uint32_t x = 12345 + how;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = how == 0   ? 'a'
               : how == 1 ? (unsigned char)("the same words again and again "[i % 31])
               : how == 2 ? (unsigned char)(x >> 24)
                          : (unsigned char)((x >> 24) % 5 == 0 ? x >> 16 : i / 700);
    }
}

static void what_snappy_packs_unpacks(void **state)
{
    static const size_t sizes[] = {0,   1,   3,   4,     5,     60,    61,
                                   255, 256, 257, 65535, 65536, 65540, 300001};
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (unsigned how = 0; how < 4; how++) {
            size_t n = sizes[i];
            unsigned char *in = malloc(n), *got = malloc(n);
            struct buf packed = BUF_MAX(1 << 20);

            fill(in, n, how);
            assert_int_equal(codec_pack_snappy(str_n((const char *)in, n), &packed, &e), 0);
            assert_int_equal(codec_snappy(buf_str(&packed), got, n, &e), 0);
            assert_memory_equal(in, got, n);
            if (n > 1000 && how < 2) {
                assert_true(packed.len < n / 15);
            }
            buf_done(&packed);
            free(in);
            free(got);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_the_lz4_program_unpack),
        cmocka_unit_test(damaged_frames_stay_inside),
        cmocka_unit_test(what_snappy_packs_unpacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
