#include "logo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(literal) str_n(literal, sizeof(literal) - 1)
#define CASE(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

#define PNG(w, h) "\x89PNG\r\n\x1a\n\0\0\0\rIHDR" w h
#define JPEG "\xff\xd8\xff\xe0\0\4ab\xff\xff\xc2\0\x0b\x08\0\x10\0\x20\1"
#define RIFF "RIFF\0\0\0\0WEBP"

static void the_kind_and_size_are_read_from_the_bytes(void **state)
{
    static const struct {
        struct str bytes;
        const char *type;
        unsigned width, height;
    } cases[] = {
        {CASE(PNG("\0\0\4\0", "\0\0\0\7")), "image/png", 1024, 7},
        {CASE(JPEG), "image/jpeg", 32, 16},
        {CASE(RIFF "VP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x20\x40\x10\0"), "image/webp", 32, 16},
        {CASE(RIFF "VP8L\0\0\0\0\x2f\x1f\xc0\x03\0\0\0\0\0\0"), "image/webp", 32, 16},
        {CASE(RIFF "VP8X\0\0\0\0\0\0\0\0\x1f\0\0\x0f\0\0"), "image/webp", 32, 16},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct logo l;
        struct err e;

        assert_int_equal(logo_read(cases[i].bytes, &l, &e), 0);
        assert_string_equal(l.type, cases[i].type);
        assert_int_equal(l.width, cases[i].width);
        assert_int_equal(l.height, cases[i].height);
    }
}

static void assert_refused(struct str bytes, const char *why)
{
    struct logo l;
    struct err e;

    assert_int_equal(logo_read(bytes, &l, &e), -1);
    assert_non_null(strstr(e.msg, why));
}

static void what_is_no_picture_cut_short_or_too_large_is_refused(void **state)
{
    (void)state;
    assert_refused(BYTES(""), "PNG, JPEG or WebP");
    assert_refused(BYTES("<svg xmlns='http://www.w3.org/2000/svg'/>"), "PNG, JPEG or WebP");
    assert_refused(BYTES("GIF89a"), "PNG, JPEG or WebP");
    assert_refused(BYTES(PNG("\0\0\4\0", "\0\0\0\0")), "does not tell its size");
    assert_refused(BYTES(PNG("\0\0\4\1", "\0\0\0\1")), "1025 x 1");
    assert_refused(BYTES(PNG("\0\1\0\1", "\0\0\0\1")), "65535 x 1");
    assert_refused(BYTES("\xff\xd8\xff\xda\0\4ab"), "does not tell its size");
    assert_refused(BYTES("\xff\xd8\xff\xe0\0\0\xff\xc0"), "does not tell its size");
    assert_refused(BYTES(RIFF "VP8L\0\0\0\0"), "does not tell its size");
    for (size_t n = 0; n < sizeof(JPEG) - 2; n++) {
        struct logo l;
        struct err e;

        assert_int_equal(logo_read(str_n(JPEG, n), &l, &e), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kind_and_size_are_read_from_the_bytes),
        cmocka_unit_test(what_is_no_picture_cut_short_or_too_large_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
