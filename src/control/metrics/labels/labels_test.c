#include "base/buf.h"
#include "labels/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static void expressions_match_as_in_re2(void **state UNUSED)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"a|b", "b", true},
        {"a|b", "ab", false},
        {"(?:a|b)", "a", true},
        {"(a|)", "", true},
        {"a.c", "a\nc", true},
        {".*", "any\nthing", true},
        {".+", "", false},
        {"a$", "a\n", false},
        {"a", "a\n", false},
        {"(?i)NODE.*", "node-1", true},
        {"5..", "503", true},
        {"[[:digit:]]+", "42", true},
        {"[^a]b", "cb", true},
        {"\\d{2,3}", "12", true},
        {"x{,2}", "x{,2}", true},
        {"a{", "a{", true},
        {"\\s", "\v", false},
        {"\\S", "\v", true},
        {"[\\s]", "\t", true},
        {"\\v", "\v", true},
        {"\\Qa.b\\E", "a.b", true},
        {"\\Qa.b\\E", "axb", false},
        {"\\pL+", "\xc3\xa9", true},
        {"1\\p{L}", "1\xc3\xa9", true},
        {"\\P{N}{2}", "ab", true},
        {"\\x{6E}1", "n1", true},
        {"\\x{006E}+1", "nn1", true},
        {"\\x{2603}.", "\xe2\x98\x83!", true},
        {"[\\x{6e}\\p{Lu}]{2}", "nN", true},
        {".", "\xc3\xa9", true},
        {"(?P<n>a)b", "ab", true},
        {"a.*?b", "axxb", true},
        {"abc?", "ab", true},
        {"node-.*", "mode-1", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct label_regex *r = label_regex_new(&a, str_of(rows[i].pattern), &e);

        if (r == NULL) {
            fail_msg("%s: %s", rows[i].pattern, e.msg);
        }
        if (label_regex_match(r, str_of(rows[i].text), &e) != rows[i].matches) {
            fail_msg("%s of \"%s\"", rows[i].pattern, rows[i].text);
        }
        arena_done(&a);
    }
}

static void what_re2_does_not_have_is_refused(void **state UNUSED)
{
    static const char *const patterns[] = {
        "(?=a)", "(?!a)",   "(?<=a)",  "(?<!a)",      "(?>a)",   "(a)\\1", "a++",
        "a**",   "a{2}{3}", "(?R)",    "(*FAIL)",     "(?(1)a)", "\\K",    "\\X",
        "\\h",   "(?|a)",   "(?x)a",   "a{1001}",     "*a",      "[a",     "(",
        ")",     "\\",      "\\C",     "(?#c)",       "(?P=n)",  "(?&n)",  "(?)",
        "\\x{}", "\\x{6E",  "\\x{6G}", "\\x{110000}", "\\p{}",   "\\p{L",  "\\p{Nobody}",
    };

    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct arena a = {0};

        if (label_regex_new(&a, str_of(patterns[i]), &e) != NULL) {
            fail_msg("%s is taken", patterns[i]);
        }
        arena_done(&a);
    }
}

static void an_expression_that_explodes_is_stopped(void **state UNUSED)
{
    struct arena a = {0};
    struct label_regex *r = label_regex_new(&a, STR("(x+x+)+[yz]"), &e);
    char text[4001];

    memset(text, 'x', 4000);
    text[4000] = '\0';
    assert_non_null(r);
    assert_int_equal(label_regex_match(r, str_of(text), &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    arena_done(&a);
}

static void plain_alternatives_and_prefixes_are_known(void **state UNUSED)
{
    struct arena a = {0};
    size_t n;
    const struct str *words = label_regex_literals(label_regex_new(&a, STR("(b|a|b)"), &e), &n);

    assert_int_equal(n, 2);
    assert_true(str_eq_c(words[0], "a") && str_eq_c(words[1], "b"));
    assert_null(label_regex_literals(label_regex_new(&a, STR("a.c|b"), &e), &n));
    assert_true(str_eq_c(label_regex_prefix(label_regex_new(&a, STR("node-.*"), &e)), "node-"));
    assert_true(str_eq_c(label_regex_prefix(label_regex_new(&a, STR("abc?"), &e)), "ab"));
    assert_true(str_eq_c(label_regex_prefix(label_regex_new(&a, STR("\xc3\xa9?"), &e)), ""));
    assert_true(str_eq_c(label_regex_prefix(label_regex_new(&a, STR("ab|ac.*"), &e)), ""));
    arena_done(&a);
}

static void templates_are_filled_in_as_in_go(void **state UNUSED)
{
    static const struct {
        const char *pattern, *text, *template, *result;
    } rows[] = {
        {"(.*)-(.*)", "a-b", "$2/$1", "b/a"},
        {"(.*)", "x", "${1}y", "xy"},
        {"(.*)", "x", "$1y", ""},
        {"(?P<n>.*)", "x", "<$n>", "<x>"},
        {"(.*)", "x", "$$1", "$1"},
        {"(.*)", "x", "$9|$", "|$"},
        {"a(b)?", "a", "[$1]", "[]"},
        {"a|b", "a", "$0!", "a!"},
        {"(.*)", "x", "${1", "${1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct buf out = BUF_MAX(1000);
        struct label_regex *r = label_regex_new(&a, str_of(rows[i].pattern), &e);

        assert_non_null(r);
        assert_int_equal(
            label_regex_expand(r, str_of(rows[i].text), str_of(rows[i].template), &out, &e), 1);
        assert_string_equal(out.p != NULL ? out.p : "", rows[i].result);
        buf_done(&out);
        arena_done(&a);
    }
}

static void a_text_of_too_many_matches_is_refused(void **state UNUSED)
{
    struct arena a = {0};
    struct label_regex *r = label_regex_search_new(&a, STR("x"), &e);
    char text[1001];

    memset(text, 'x', sizeof(text));
    for (size_t n = 1000; n <= 1001; n++) {
        struct buf out = BUF_MAX(4000);

        assert_int_equal(label_regex_replace(r, str_n(text, n), STR("yy"), &out, &e),
                         n == 1000 ? 0 : -1);
        assert_true(n > 1000 || out.len == 2000);
        buf_done(&out);
    }
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.msg, "the regular expression \"x\" matches more than 1000 times in one "
                               "text: match longer pieces of it");
    arena_done(&a);
}

static void sets_are_sorted_and_without_empty_values(void **state UNUSED)
{
    struct label p[] = {
        {STR("job"), STR("node")}, {STR("a"), STR("")}, {STR("__name__"), STR("up")}};
    struct labels s = {p, 3}, other;
    struct arena a = {0};

    assert_int_equal(labels_normalize(&s, &e), 0);
    assert_int_equal(s.len, 2);
    assert_true(str_eq_c(s.p[0].value, "up"));
    other = labels_copy(&a, s);
    assert_true(labels_eq(s, other));
    assert_true(labels_hash(s) == labels_hash(other));
    assert_true(str_eq_c(labels_get(other, STR("job")), "node"));
    assert_int_equal(labels_get(other, STR("none")).len, 0);
    other.p[1].value = STR("nodf");
    assert_true(labels_cmp(s, other) < 0);
    assert_true(labels_hash(s) != labels_hash(other));
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_match_as_in_re2),
        cmocka_unit_test(what_re2_does_not_have_is_refused),
        cmocka_unit_test(an_expression_that_explodes_is_stopped),
        cmocka_unit_test(plain_alternatives_and_prefixes_are_known),
        cmocka_unit_test(templates_are_filled_in_as_in_go),
        cmocka_unit_test(a_text_of_too_many_matches_is_refused),
        cmocka_unit_test(sets_are_sorted_and_without_empty_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
