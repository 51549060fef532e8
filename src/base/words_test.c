/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "base/words.h"

#include <string.h>

static bool fits(const char *q, const char *text)
{
    struct words w;
    struct err e;
    bool yes;

    assert_int_equal(words_init(&w, str_of(q), &e), 0);
    yes = words_match(&w, str_of(text));
    words_done(&w);
    return yes;
}

static void every_word_must_occur(void **state UNUSED)
{
    assert_true(fits("", "anything"));
    assert_true(fits("  ", ""));
    assert_true(fits("ada train", "train-7 ada"));
    assert_false(fits("ada bob", "train-7 ada"));
    assert_false(fits("x", ""));
}

static void case_does_not_count_in_any_script_of_the_table(void **state UNUSED)
{
    assert_true(fits("README", "readme.md"));
    assert_true(fits("readme", "README.md"));
    assert_true(fits("\xc3\xa4rger", "\xc3\x84RGER"));                         /* AERGER */
    assert_true(fits("\xce\xa3\xce\xa9", "\xcf\x83\xcf\x89"));                 /* sigma omega */
    assert_true(fits("\xd0\x96\xd0\xa3\xd0\x9a", "\xd0\xb6\xd1\x83\xd0\xba")); /* zhuk */
    assert_true(fits("\xc5\xbd", "\xc5\xbe"));                                 /* Z with caron */
    assert_true(fits("\xef\xbc\xa1", "\xef\xbd\x81"));                         /* full width A */
    assert_true(fits("\xe5\x9c\x96", "\xe5\x9c\x96.txt"));                     /* CJK: no case */
    assert_false(fits("a", "\xc3\xa4"));                                       /* accents count */
    assert_true(fits("\xe1\x82\xa0", "\xe2\xb4\x80"));                         /* Georgian */
}

static void signs_of_patterns_are_characters(void **state UNUSED)
{
    assert_false(fits("%", "abc"));
    assert_true(fits("%", "100%"));
    assert_false(fits("a_c", "abc"));
    assert_true(fits("a_c", "xa_cx"));
    assert_false(fits("*", "abc"));
}

static void bytes_that_are_no_text_are_themselves(void **state UNUSED)
{
    assert_true(fits("\xff", "a\xff"));
    assert_true(fits("\xc3", "\xc3"));          /* half a letter, at the end */
    assert_true(fits("\xe1\x82", "x\xe1\x82")); /* two thirds of one */
    assert_false(fits("\xfe", "a\xff"));
}

static void a_word_is_not_found_across_two_parts(void **state UNUSED)
{
    struct words w;
    struct err e;

    assert_int_equal(words_init(&w, STR("ab cd"), &e), 0);
    words_begin(&w);
    words_add(&w, STR("xa"));
    words_add(&w, STR("b cd"));
    assert_false(words_fit(&w));
    words_begin(&w);
    words_add(&w, STR("cd"));
    words_add(&w, STR("xAB"));
    assert_true(words_fit(&w));
    words_done(&w);
}

static void what_is_too_long_or_too_much_is_refused(void **state UNUSED)
{
    char text[LIMIT_FILTER_BYTES + 2];
    struct words w;
    struct err e;

    memset(text, 'a', sizeof(text));
    assert_int_equal(words_init(&w, str_n(text, LIMIT_FILTER_BYTES), &e), 0);
    words_done(&w);
    assert_int_equal(words_init(&w, str_n(text, LIMIT_FILTER_BYTES + 1), &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    for (size_t i = 1; i < sizeof(text); i += 2) {
        text[i] = ' ';
    }
    assert_int_equal(words_init(&w, str_n(text, 2 * LIMIT_FILTER_WORDS), &e), 0);
    words_done(&w);
    assert_int_equal(words_init(&w, str_n(text, 2 * LIMIT_FILTER_WORDS + 2), &e), -1);
    /* each becomes a byte longer */
    for (size_t i = 0; i + 1 < LIMIT_FILTER_BYTES; i += 3) {
        memcpy(text + i, "\xe1\x82\xa0", 3);
    }
    assert_int_equal(words_init(&w, str_n(text, LIMIT_FILTER_BYTES), &e), 0);
    words_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_must_occur),
        cmocka_unit_test(case_does_not_count_in_any_script_of_the_table),
        cmocka_unit_test(signs_of_patterns_are_characters),
        cmocka_unit_test(bytes_that_are_no_text_are_themselves),
        cmocka_unit_test(a_word_is_not_found_across_two_parts),
        cmocka_unit_test(what_is_too_long_or_too_much_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
