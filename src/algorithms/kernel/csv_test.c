#include "algorithms/kernel/csv.h"
#include "algorithms/kernel/failure.h"
#include "base/buf.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct csv_options defaults(void)
{
    return (struct csv_options){.quote = '"', .null_values = STR("NA,NaN,null,?")};
}

static struct table *read_with(struct str text, const struct csv_options *o, struct csv_report *r,
                               struct err *e)
{
    /* An exact copy on the heap, so that reading past the end is seen. */
    char *copy = malloc(text.len + 1);
    struct table *t;

    if (text.len > 0) {
        memcpy(copy, text.p, text.len);
    }
    copy = realloc(copy, text.len ? text.len : 1);
    t = csv_read(str_n(copy, text.len), o, r, e);
    free(copy);
    return t;
}

static struct table *read_text(struct str text)
{
    struct csv_options o = defaults();
    struct csv_report r;
    struct err e = {0};
    struct table *t = read_with(text, &o, &r, &e);

    if (t == NULL) {
        print_error("%s\n", e.msg);
    }
    assert_non_null(t);
    return t;
}

static void assert_refused(struct str text, const struct csv_options *o, const char *sentence)
{
    struct csv_report r;
    struct err e = {0};
    struct table *t = read_with(text, o, &r, &e);

    assert_null(t);
    assert_int_equal(e.kind, ERR_DATA);
    if (strstr(e.msg, sentence) == NULL) {
        print_error("'%s' is not in '%s'\n", sentence, e.msg);
    }
    assert_non_null(strstr(e.msg, sentence));
}

static void assert_text(const struct table *t, size_t column, size_t row, const char *want)
{
    const struct column *c = &t->columns[column];

    assert_int_equal(c->kind, COLUMN_TEXT);
    assert_int_not_equal(c->codes[row], DICT_MISSING);
    assert_true(str_eq_c(dict_text(c->dict, c->codes[row]), want));
}

static void kinds_header_and_missing_cells_are_found(void **state)
{
    SCOPED(table_freep)
    struct table *t = read_text(STR("a,b,c\n1,x,\n2.5,NA,3\n-1e3,\"NA\",?\n"));

    (void)state;
    assert_int_equal(t->n_rows, 3);
    assert_int_equal(t->n_columns, 3);
    assert_string_equal(t->columns[2].name, "c");
    assert_true(t->columns[0].numbers[2] == -1000);
    assert_text(t, 1, 0, "x");
    assert_int_equal(t->columns[1].codes[1], DICT_MISSING);
    assert_text(t, 1, 2, "NA"); /* quoted: the word itself */
    assert_true(isnan(t->columns[2].numbers[0]) && t->columns[2].numbers[1] == 3);
}

static void quotes_hold_separators_line_breaks_and_quotes(void **state)
{
    SCOPED(table_freep)
    struct table *t = read_text(STR("id,text\r\n1,\"a,b\"\r\n2,\"line\r\nbreak\"\r\n3,\"say "
                                    "\"\"hi\"\"\"\r\n4,\"\"\r\n5,\"\"\"\""));

    (void)state;
    assert_int_equal(t->n_rows, 5);
    assert_text(t, 1, 0, "a,b");
    assert_text(t, 1, 1, "line\r\nbreak");
    assert_text(t, 1, 2, "say \"hi\"");
    assert_text(t, 1, 3, "");
    assert_text(t, 1, 4, "\"");
}

static void the_delimiter_is_found_by_looking(void **state)
{
    static const struct str texts[] = {
        STR("a;b\n1,5;x\n2,5;y\n"),
        STR("a\tb\n1,5\tx y\n2\tz\n"),
        STR("a|b\n1|x\n"),
        STR("a,b\n1,\"x;y;z\"\n"),
    };
    static const char delims[] = ";\t|,";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct csv_options o = defaults();
        struct csv_report r = {0};
        struct err e = {0};
        SCOPED(table_freep) struct table *t = read_with(texts[i], &o, &r, &e);

        assert_non_null(t);
        assert_int_equal(r.delim, delims[i]);
        assert_int_equal(t->n_columns, 2);
    }
}

static void tables_without_header_number_their_columns(void **state)
{
    SCOPED(table_freep) struct table *t = read_text(STR("1,x\n2,y\n"));
    SCOPED(table_freep) struct table *names = read_text(STR(",x\n1,2\n")); /* R's row names */

    (void)state;
    assert_int_equal(t->n_rows, 2);
    assert_string_equal(t->columns[1].name, "column_2");
    assert_int_equal(names->n_rows, 1);
    assert_string_equal(names->columns[0].name, "column_1");
}

static void a_header_of_numbers_is_seen_where_it_can_be(void **state)
{
    static const struct {
        struct str text;
        bool header;
    } rows[] = {
        {STR("0,1,2\n5.1,3.5,x\n4.9,3,y\n"), true}, /* pandas without names */
        {STR(",0,1,2\n0,5,3,1\n1,4,3,2\n"), true},  /* and with its index */
        {STR("id,2019,2020\n1,5,6\n2,7,8\n"), true},
        {STR("city,2019,2020\nx,1,2\ny,3,4\n"), true},
        {STR("width,1\n1,5\n2,7\n"), true},
        {STR("5.1,3.5,setosa\n4.9,3,setosa\n"), false}, /* iris has no header */
        {STR("x,1,2\ny,3,4\n"), false},
        {STR("NA,1,2\n5,3,4\n"), false},
        {STR("1,2,3\n4,5,6\n"), false},
        {STR("0\n1\n"), false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct csv_options o = defaults();
        struct csv_report r = {0};
        struct err e = {0};
        SCOPED(table_freep) struct table *t = read_with(rows[i].text, &o, &r, &e);

        assert_non_null(t);
        if (r.header != rows[i].header) {
            fail_msg("%.*s: header %d", STR_ARG(rows[i].text), r.header);
        }
    }
}

static void a_first_line_that_may_be_both_is_the_users_to_decide(void **state)
{
    struct str text = STR("0,1\n0,2\n1,5\n"); /* names of pandas, or pairs */
    struct csv_options o = defaults();
    struct csv_report r = {0};
    struct err e = {0};
    struct table *t;

    (void)state;
    assert_refused(text, &o, "line 1 may name the columns or be data: say header=yes or header=no");
    o.header = CSV_HEADER_NO;
    t = read_with(text, &o, &r, &e);
    assert_int_equal(t->n_rows, 3);
    table_free(t);
    o.header = CSV_HEADER_YES;
    t = read_with(text, &o, &r, &e);
    assert_int_equal(t->n_rows, 2);
    table_free(t);
}

static void numbers_that_would_not_read_back_are_text(void **state)
{
    struct str text = STR("id,zip,n\n9007199254740992,8001,1\n9007199254740993,0012,2\n");
    struct csv_options o = defaults();
    struct csv_report r = {0};
    struct err e = {0};
    SCOPED(table_freep) struct table *t = read_with(text, &o, &r, &e);
    SCOPED(table_freep) struct table *zeros = NULL;

    (void)state;
    assert_non_null(t);
    assert_text(t, 0, 0, "9007199254740992");
    assert_text(t, 0, 1, "9007199254740993");
    assert_text(t, 1, 1, "0012");
    assert_true(t->columns[2].numbers[1] == 2);
    assert_int_equal(r.as_text, 2);
    assert_int_equal(r.as_text_column, 0);
    assert_int_equal(r.as_text_line, 3);
    o.number_columns = STR("zip");
    zeros = read_with(text, &o, &r, &e);
    assert_non_null(zeros);
    assert_true(zeros->columns[1].numbers[1] == 12);
    o.number_columns = STR("id");
    assert_refused(text, &o, "line 3, column 1 ('id'): '9007199254740993' is an integer that");
}

static void a_number_column_that_turns_to_text_late_is_read_again(void **state)
{
    struct buf b = BUF_MAX(1 << 20);
    SCOPED(table_freep) struct table *t = NULL;

    (void)state;
    (void)buf_add_c(&b, "n,m\n");
    for (int i = 0; i < 5000; i++) {
        (void)buf_printf(&b, "%d,%d\n", i, i * 2);
    }
    (void)buf_add_c(&b, "5000,later\n");
    t = read_text(buf_str(&b));
    buf_done(&b);
    assert_int_equal(t->n_rows, 5001);
    assert_true(t->columns[0].numbers[5000] == 5000);
    assert_text(t, 1, 0, "0");
    assert_text(t, 1, 5000, "later");
}

static void odd_line_ends_marks_and_blank_lines_are_understood(void **state)
{
    SCOPED(table_freep) struct table *mac = read_text(STR("a,b\r1,2\r3,4"));
    SCOPED(table_freep)
    struct table *mark = read_text(STR("\xef\xbb\xbf"
                                       "a,b\n1,2\n\n\n3,4\n\n"));
    SCOPED(table_freep) struct table *one = read_text(STR("a\n1\n\n3\n"));

    (void)state;
    assert_int_equal(mac->n_rows, 2);
    assert_string_equal(mark->columns[0].name, "a");
    assert_int_equal(mark->n_rows, 2);
    assert_int_equal(one->n_rows, 3); /* a blank line is a missing cell of a single column */
    assert_true(isnan(one->columns[0].numbers[1]));
}

static void bad_rows_stop_or_are_skipped_or_mended(void **state)
{
    struct str text = STR("a,b\n1,2\n3\n4,5,6\n7,8\n");
    struct csv_options o = defaults();
    struct csv_report r = {0};
    struct err e = {0};
    struct table *t;

    (void)state;
    assert_refused(text, &o, "line 3 has 1 cells");
    o.bad_row = CSV_BAD_SKIP;
    t = read_with(text, &o, &r, &e);
    assert_int_equal(t->n_rows, 2);
    assert_int_equal(r.skipped, 2);
    table_free(t);
    o.bad_row = CSV_BAD_NULL;
    t = read_with(text, &o, &r, &e);
    assert_int_equal(t->n_rows, 4);
    assert_int_equal(r.mended, 2);
    assert_true(isnan(t->columns[1].numbers[1]) && t->columns[1].numbers[2] == 5);
    table_free(t);
}

static void mistakes_name_their_line_and_column(void **state)
{
    struct csv_options o = defaults();

    (void)state;
    assert_refused(STR(""), &o, "empty");
    assert_refused(STR("a,b\n1,\"x\" y\n"), &o, "line 2, column 2: text follows a closing quote");
    assert_refused(STR("a,b\n1,x\n2,\"y\n3,z\n"), &o, "line 3, column 2: a quote is opened");
    assert_refused(STR("a,b\n1,\xff\xfe\n"), &o, "line 2, column 2 is not UTF-8");
    assert_refused(STR("a,b\n1,x\0y\n"), &o, "NUL");
    assert_refused(STR("\xff\xfe"
                       "a\0"),
                   &o, "UTF-16");
    assert_refused(STR("\xff\xfe\0\0a\0\0\0"), &o, "UTF-32");
    assert_refused(STR("\x1f\x8b\x08"), &o, "gzip: unpack it first");
    assert_refused(STR("PAR1\x15"), &o, "read_parquet reads it");
    o.header = CSV_HEADER_YES;
    assert_refused(STR("a,b,a\n1,2,3\n"), &o, "columns 1 and 3 are both named 'a'");
    o.number_columns = STR("b");
    assert_refused(STR("a,b\n1,2\n3,four\n"), &o, "line 3, column 2 ('b'): 'four' is not a number");
}

static void a_line_of_names_may_end_with_a_delimiter(void **state)
{
    struct csv_options o = defaults();
    struct csv_report r = {0};
    struct err e = {0};
    struct table *t = csv_read(STR("a,b,\n1,x,\n2,y,\n"), &o, &r, &e);

    (void)state;
    assert_non_null(t);
    assert_true(r.header && t->n_rows == 2 && t->n_columns == 3);
    table_free(t);
    t = csv_read(STR("Bob,x,\nAnn,y,3\n"), &o, &r, &e); /* a value may be missing */
    assert_non_null(t);
    assert_true(!r.header && t->n_rows == 2);
    table_free(t);
}

static void the_value_that_makes_a_column_text_is_told(void **state)
{
    struct csv_options o = defaults();
    struct csv_report r = {0};
    struct err e = {0};
    struct buf text = BUF_MAX(1024);
    struct table *t = csv_read(STR("a;b;c\n1;2,5;x\n2;3;y\nmany;4;1\n"), &o, &r, &e);

    (void)state;
    assert_non_null(t);
    assert_int_equal(r.odd, 2);
    assert_int_equal(r.odd_column, 1);
    assert_int_equal(r.odd_line, 2);
    assert_string_equal(r.odd_value, "2,5");
    table_free(t);
    (void)buf_add_c(&text, "a,b\n1,2\n3,\n2,");
    for (int i = 0; i < 20; i++) {
        (void)buf_add_c(&text, "\xe5\xae\xae");
    }
    r = (struct csv_report){0};
    t = csv_read(buf_str(&text), &o, &r, &e);
    buf_done(&text);
    assert_non_null(t);
    assert_int_equal(r.odd_after, 1);          /* an empty cell is no value */
    assert_int_equal(strlen(r.odd_value), 45); /* whole characters */
    table_free(t);
}

static void latin1_becomes_utf8_and_text_columns_stay_text(void **state)
{
    struct csv_options o = defaults();
    struct csv_report r = {0};
    struct err e = {0};
    SCOPED(table_freep) struct table *t = NULL;

    (void)state;
    o.encoding = CSV_LATIN1;
    o.text_columns = STR("zip");
    t = read_with(STR("zip,city\n01067,K\xf6ln\n"), &o, &r, &e);
    assert_non_null(t);
    assert_text(t, 0, 0, "01067");
    assert_text(t, 1, 0, "K\xc3\xb6ln");
}

static void types_are_found_by_looking(void **state)
{
    SCOPED(table_freep)
    struct table *t = read_text(STR("i,r,b,d,t,m,e,half,late\n"
                                    "1,2,true,2024-02-29,2024-02-29 08:00:00+08:00,2024-01-01,,1,\n"
                                    ",2.5,FALSE,,NA,2024-01-01 10:00,,true,2024-01-01\n"
                                    "-3,1,True,1969-12-31,1969-12-31T23:59:59.5Z,x,NA,0,\n"));
    static const char *const want[] = {"int",  "real", "bool", "date", "time",
                                       "text", "real", "text", "date"};

    (void)state;
    for (size_t i = 0; i < t->n_columns; i++) {
        assert_string_equal(column_type_name(&t->columns[i]), want[i]);
    }
    assert_true(t->columns[1].numbers[0] == 2 && t->columns[2].numbers[1] == 0);
    assert_true(t->columns[3].numbers[2] == -1 && t->columns[4].numbers[2] == -500000);
    assert_true(isnan(t->columns[3].numbers[1]));
}

static void an_int_column_becomes_real_without_another_pass(void **state)
{
    static const char *const texts[] = {"n\n1\n1.0\n", "n\n1\n-0\n", "n\n1\n1e3\n", "n\ninf\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        SCOPED(table_freep) struct table *t = read_text(str_of(texts[i]));

        assert_string_equal(column_type_name(&t->columns[0]), "real");
    }
}

static void the_user_may_say_what_a_column_is(void **state)
{
    struct str text = STR("a,b,c,when\n1,0012,true,2024-01-01\n2,7,FALSE,2024-01-01 06:00\n");
    struct csv_options o = defaults();
    struct csv_report r = {0};
    struct err e = {0};
    SCOPED(table_freep) struct table *t = NULL;
    static const char *const want[] = {"real", "int", "text", "time"};

    (void)state;
    o.types = STR("a:real, b:int,c:text,when:time");
    t = read_with(text, &o, &r, &e);
    assert_non_null(t);
    for (size_t i = 0; i < t->n_columns; i++) {
        assert_string_equal(column_type_name(&t->columns[i]), want[i]);
    }
    assert_true(t->columns[1].numbers[0] == 12);
    assert_true(t->columns[3].numbers[1] - t->columns[3].numbers[0] == 6 * 3600e6);
    o.types = STR("c:date");
    assert_refused(text, &o, "line 2, column 3 ('c'): 'true' is not a date");
    o.types = STR("a:bool");
    assert_refused(text, &o, "'1' is not true or false");
    o.types = STR("a:integer");
    assert_null(read_with(text, &o, &r, &e));
    assert_int_equal(e.kind, ERR_INVALID);
}

static void unknown_column_names_are_the_users_mistake(void **state)
{
    struct csv_options o = defaults();
    struct csv_report r;
    struct err e = {0};

    (void)state;
    o.text_columns = STR("nope");
    assert_null(read_with(STR("a,b\n1,2\n"), &o, &r, &e));
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "'nope'"));
}

static void reading_stops_after_max_rows(void **state)
{
    struct csv_options o = defaults();
    struct csv_report r;
    struct err e = {0};
    SCOPED(table_freep) struct table *t = NULL;

    (void)state;
    o.max_rows = 2;
    t = read_with(STR("a\n1\n2\n3\n4\n"), &o, &r, &e);
    assert_int_equal(t->n_rows, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_header_and_missing_cells_are_found),
        cmocka_unit_test(quotes_hold_separators_line_breaks_and_quotes),
        cmocka_unit_test(the_delimiter_is_found_by_looking),
        cmocka_unit_test(tables_without_header_number_their_columns),
        cmocka_unit_test(a_header_of_numbers_is_seen_where_it_can_be),
        cmocka_unit_test(a_first_line_that_may_be_both_is_the_users_to_decide),
        cmocka_unit_test(numbers_that_would_not_read_back_are_text),
        cmocka_unit_test(a_number_column_that_turns_to_text_late_is_read_again),
        cmocka_unit_test(odd_line_ends_marks_and_blank_lines_are_understood),
        cmocka_unit_test(bad_rows_stop_or_are_skipped_or_mended),
        cmocka_unit_test(mistakes_name_their_line_and_column),
        cmocka_unit_test(a_line_of_names_may_end_with_a_delimiter),
        cmocka_unit_test(the_value_that_makes_a_column_text_is_told),
        cmocka_unit_test(latin1_becomes_utf8_and_text_columns_stay_text),
        cmocka_unit_test(types_are_found_by_looking),
        cmocka_unit_test(an_int_column_becomes_real_without_another_pass),
        cmocka_unit_test(the_user_may_say_what_a_column_is),
        cmocka_unit_test(unknown_column_names_are_the_users_mistake),
        cmocka_unit_test(reading_stops_after_max_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
