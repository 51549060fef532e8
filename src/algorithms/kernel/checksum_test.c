#include "algorithms/kernel/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void published_values_come_out(void **state)
{
    static const char text[] = "Call me Ishmael. Some years ago--never mind how long precisely-";

    (void)state;
    assert_true(checksum_of("", 0) == 0xef46db3751d8e999ULL);
    assert_true(checksum_of("a", 1) == 0xd24ec4f1a98c6e5bULL);
    assert_true(checksum_of("as", 2) == 0x1c330fb2d66be179ULL);
    assert_true(checksum_of("asd", 3) == 0x631c37ce72a97393ULL);
    assert_true(checksum_of("asdf", 4) == 0x415872f599cea71eULL);
    assert_true(checksum_of(text, strlen(text)) == 0x02a2e85470d6fd96ULL);
}

static void pieces_of_any_length_give_the_value_of_the_whole(void **state)
{
    unsigned char bytes[300];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(i * 37 + 11);
    }
    for (size_t piece = 1; piece < 100; piece++) {
        struct checksum c;

        checksum_init(&c);
        for (size_t at = 0; at < sizeof(bytes); at += piece) {
            checksum_add(&c, bytes + at, piece < sizeof(bytes) - at ? piece : sizeof(bytes) - at);
        }
        assert_true(checksum_value(&c) == checksum_of(bytes, sizeof(bytes)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_come_out),
        cmocka_unit_test(pieces_of_any_length_give_the_value_of_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
