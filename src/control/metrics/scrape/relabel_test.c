#include "base/buf.h"
#include "scrape/relabel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

/* "a=1,b=2" */
static struct labels set_of(struct arena *a, const char *text)
{
    struct labels s = {.p = arena_new_array(a, struct label, 32)};
    struct str rest = str_of(text);

    while (rest.p != NULL && rest.len > 0) {
        struct str value = str_cut(&rest, ','), name = str_cut(&value, '=');

        s.p[s.len++] = (struct label){name, value};
    }
    return s;
}

static const char *text_of(struct arena *a, struct labels s)
{
    struct buf b = BUF_MAX(65536);
    const char *text;

    for (size_t i = 0; i < s.len; i++) {
        (void)buf_printf(&b, "%s%.*s=%.*s", i > 0 ? "," : "", STR_ARG(s.p[i].name),
                         STR_ARG(s.p[i].value));
    }
    text = arena_strdup(a, buf_str(&b));
    buf_done(&b);
    return text;
}

struct row {
    const char *before;
    struct relabel_rule rule;
    const char *after; /* NULL: dropped */
};

#define S(text) STR(text)
#define FROM(...)                                                                                  \
    .source_labels = (struct str[]){__VA_ARGS__},                                                  \
    .n_source_labels = sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str)

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct arena a = {0};
        struct relabel_rule rule = rows[i].rule;
        struct labels s = set_of(&a, rows[i].before);
        int r;

        if (relabel_init(&rule, &a, &e) < 0) {
            fail_msg("row %zu: %s", i, e.msg);
        }
        r = relabel_apply((struct relabel){&rule, 1}, &a, &s, &e);
        assert_int_equal(r, rows[i].after != NULL);
        if (r == 1) {
            assert_string_equal(text_of(&a, s), rows[i].after);
        }
        arena_done(&a);
    }
}

static void replace_joins_matches_and_expands(void **state UNUSED)
{
    struct row rows[] = {
        {"a=foo,b=bar,c=baz",
         {FROM(S("a")), .regex = S("f(.*)"), .target_label = S("d"),
          .replacement = S("ch${1}-ch${1}")},
         "a=foo,b=bar,c=baz,d=choo-choo"},
        {"a=foo,b=bar",
         {FROM(S("a"), S("b")), .regex = S("f(.*);(.*)r"), .target_label = S("a"),
          .replacement = S("b${1}${2}m")},
         "a=booba"
         "m,b=bar"},
        {"a=foo", {FROM(S("a")), .regex = S("o"), .target_label = S("b")}, "a=foo"}, /* anchored */
        {"a=foo", {FROM(S("a")), .target_label = S("b")}, "a=foo,b=foo"},
        {"a=foo", {FROM(S("z")), .target_label = S("a")}, ""}, /* empty deletes */
        {"a=foo", {.target_label = S("b"), .replacement = S("x")}, "a=foo,b=x"},
        {"a=some-name-value",
         {FROM(S("a")), .regex = S("some-([^-]+)-([^,]+)"), .target_label = S("${1}"),
          .replacement = S("${2}")},
         "a=some-name-value,name=value"},
        {"a=some--value",
         {FROM(S("a")), .regex = S("some-([^-]*)-([^,]+)"), .target_label = S("${1}"),
          .replacement = S("${2}")},
         "a=some--value"}, /* no name: nothing */
        {"a=x\ny",
         {FROM(S("a")), .regex = S("x.y"), .target_label = S("b"), .replacement = S("1")},
         "a=x\ny,b=1"},
        {"a=foo",
         {FROM(S("a"), S("a")), .separator = S("-"), .target_label = S("b")},
         "a=foo,b=foo-foo"},
        {"a=foo",
         {FROM(S("a"), S("a")), .separator = S(""), .target_label = S("b")},
         "a=foo,b=foofoo"},
    };

    check(rows, ARRAY_LEN(rows));
}

static void keep_and_drop_choose_sets(void **state UNUSED)
{
    struct row rows[] = {
        {"a=foo", {FROM(S("a")), .regex = S("foo"), .action = RELABEL_KEEP}, "a=foo"},
        {"a=foo", {FROM(S("a")), .regex = S("fo"), .action = RELABEL_KEEP}, NULL},
        {"a=foo", {FROM(S("a")), .regex = S(".*o.*"), .action = RELABEL_DROP}, NULL},
        {"a=foo", {FROM(S("a")), .regex = S("f|o"), .action = RELABEL_DROP}, "a=foo"},
        {"a=foo", {FROM(S("b")), .regex = S(""), .action = RELABEL_DROP}, NULL},
        {"p=1,q=1", {FROM(S("p")), .target_label = S("q"), .action = RELABEL_KEEPEQUAL}, "p=1,q=1"},
        {"p=1,q=2", {FROM(S("p")), .target_label = S("q"), .action = RELABEL_KEEPEQUAL}, NULL},
        {"p=1,q=1", {FROM(S("p")), .target_label = S("q"), .action = RELABEL_DROPEQUAL}, NULL},
        {"p=1;2,a=1,b=2",
         {FROM(S("a"), S("b")), .target_label = S("p"), .action = RELABEL_DROPEQUAL},
         NULL},
    };

    check(rows, ARRAY_LEN(rows));
}

static void names_are_mapped_dropped_and_kept(void **state UNUSED)
{
    struct row rows[] = {
        {"__m_x=1,__m_y=2,c=3",
         {.regex = S("__m_(.*)"), .action = RELABEL_LABELMAP},
         "__m_x=1,__m_y=2,c=3,x=1,y=2"},
        {"b1=1,b2=2",
         {.regex = S("(b.*)"), .replacement = S("bar_${1}"), .action = RELABEL_LABELMAP},
         "b1=1,b2=2,bar_b1=1,bar_b2=2"},
        {"a=1,b1=1,b2=2", {.regex = S("(b.*)"), .action = RELABEL_LABELDROP}, "a=1"},
        {"a=1,b1=1,b2=2", {.regex = S("(b.*)"), .action = RELABEL_LABELKEEP}, "b1=1,b2=2"},
    };

    check(rows, ARRAY_LEN(rows));
}

/* The numbers are Prometheus' own. */
static void hashes_and_cases_are_prometheus(void **state UNUSED)
{
    struct row rows[] = {
        {"a=foo,b=bar,c=baz",
         {FROM(S("c")), .target_label = S("d"), .separator = S(";"), .modulus = 1000,
          .action = RELABEL_HASHMOD},
         "a=foo,b=bar,c=baz,d=976"},
        {"a=foo\nbar",
         {FROM(S("a")), .target_label = S("b"), .separator = S(";"), .modulus = 1000,
          .action = RELABEL_HASHMOD},
         "a=foo\nbar,b=734"},
        {"foo=bAr123Foo",
         {FROM(S("foo")), .target_label = S("l"), .action = RELABEL_LOWERCASE},
         "foo=bAr123Foo,l=bar123foo"},
        {"foo=bAr\xc3\xa9",
         {FROM(S("foo")), .target_label = S("u"), .action = RELABEL_UPPERCASE},
         "foo=bAr\xc3\xa9,u=BAR\xc3\x89"},
    };

    check(rows, ARRAY_LEN(rows));
}

static void what_does_not_belong_together_is_refused(void **state UNUSED)
{
    const struct {
        struct relabel_rule rule;
        const char *says;
    } rows[] = {
        {{.action = RELABEL_REPLACE}, "needs target_label"},
        {{.action = RELABEL_HASHMOD, .target_label = S("a")}, "modulus"},
        {{.action = RELABEL_LOWERCASE, .target_label = S("${3}")}, "no name"},
        {{.action = RELABEL_LABELDROP, .target_label = S("a")}, "nothing else"},
        {{.action = RELABEL_KEEPEQUAL, .target_label = S("a"), .regex = S("x")}, "nothing else"},
        {{.action = RELABEL_UPPERCASE, .target_label = S("a"), .replacement = S("x")},
         "no replacement"},
        {{.action = RELABEL_KEEP, .regex = S("(")}, "regex"},
        {{.action = RELABEL_KEEP, .regex = S("(?=a)")}, "regex"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct relabel_rule rule = rows[i].rule;

        assert_int_equal(relabel_init(&rule, &a, &e), -1);
        if (strstr(e.msg, rows[i].says) == NULL) {
            fail_msg("row %zu: %s", i, e.msg);
        }
        arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_joins_matches_and_expands),
        cmocka_unit_test(keep_and_drop_choose_sets),
        cmocka_unit_test(names_are_mapped_dropped_and_kept),
        cmocka_unit_test(hashes_and_cases_are_prometheus),
        cmocka_unit_test(what_does_not_belong_together_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
