#include "algorithms/kernel/table.h"

#include "algorithms/kernel/bigmem.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct table *sample(void)
{
    struct table *t = table_new(3);
    struct dict *d = dict_new();
    struct err e = {0};
    struct column *c = table_add_numbers(t, STR("n"), &e);
    uint32_t code;

    assert_non_null(c);
    c->as = AS_INT;
    for (int i = 0; i < 3; i++) {
        c->numbers[i] = i + 1;
    }
    assert_int_equal(dict_intern(d, STR("x"), &code, &e), 0);
    assert_non_null(table_add_text(t, STR("s"), d, &e));
    return t;
}

static void copies_share_their_values_until_one_writes(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    SCOPED(table_freep) struct table *copy = NULL;
    struct err e = {0};
    uint64_t before = big_in_use();
    struct column *mine;

    (void)state;
    copy = table_copy(t, &e);
    assert_non_null(copy);
    assert_int_equal(big_in_use(), before);
    assert_ptr_equal(copy->columns[0].numbers, t->columns[0].numbers);
    assert_ptr_equal(copy->columns[1].dict, t->columns[1].dict);
    assert_int_equal(copy->columns[0].as, AS_INT);
    mine = table_own_numbers(copy, STR("n"), &e);
    assert_non_null(mine);
    mine->numbers[0] = 7;
    assert_true(t->columns[0].numbers[0] == 1 && copy->columns[0].numbers[0] == 7);
    assert_ptr_equal(table_own_numbers(copy, STR("n"), &e)->numbers, mine->numbers);
}

static void a_column_outlives_the_table_it_came_from(void **state)
{
    struct table *t = sample();
    SCOPED(table_freep) struct table *other = table_new(3);
    struct err e = {0};

    (void)state;
    assert_non_null(table_add_as(other, STR("again"), &t->columns[0], &e));
    assert_int_equal(table_add_copy(other, &t->columns[1], &e), 0);
    table_free(t);
    assert_true(other->columns[0].numbers[2] == 3);
    assert_int_equal(other->columns[0].as, AS_INT);
    assert_string_equal(column_type_name(&other->columns[0]), "int");
    assert_string_equal(column_type_name(&other->columns[1]), "text");
    assert_true(str_eq_c(dict_text(other->columns[1].dict, 0), "x"));
}

static void own_numbers_change_only_their_own_table(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    struct err e = {0};
    SCOPED(table_freep) struct table *copy = table_copy(t, &e);
    struct column *c = table_own_numbers(copy, STR("n"), &e);

    (void)state;
    assert_non_null(c);
    c->numbers[1] = 20;
    assert_true(copy->columns[0].numbers[1] == 20 && t->columns[0].numbers[1] == 2);
    assert_ptr_equal(table_own_numbers(copy, STR("n"), &e)->numbers, c->numbers);
}

static void shared_texts_are_copied_before_a_new_one_comes(void **state)
{
    SCOPED(dict_freep) struct dict *d = dict_new();
    SCOPED(dict_freep) struct dict *other = dict_ref(d);
    struct err e = {0};
    uint32_t code;

    (void)state;
    assert_int_equal(dict_own(&other, &e), 0);
    assert_ptr_not_equal(other, d);
    assert_int_equal(dict_intern(other, STR("y"), &code, &e), 0);
    assert_int_equal(d->len, 0);
    assert_int_equal(dict_is_distinct(other, &e), 1);
}

static int all_is_given_back(void **state)
{
    (void)state;
    assert_int_equal(big_in_use(), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_share_their_values_until_one_writes),
        cmocka_unit_test(a_column_outlives_the_table_it_came_from),
        cmocka_unit_test(own_numbers_change_only_their_own_table),
        cmocka_unit_test(shared_texts_are_copied_before_a_new_one_comes),
    };

    return cmocka_run_group_tests(tests, NULL, all_is_given_back);
}
