/* buf, arena, map, vec, list: what holds bytes and things. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_buffer_keeps_what_it_has_at_its_ceiling(void **state UNUSED)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(5);

    assert_int_equal(buf_add(&b, STR("abc")), 0);
    assert_int_equal(buf_add(&b, STR("def")), -1);
    assert_int_equal(buf_add(&b, STR("d")), -1); /* failures stick */
    assert_true(str_eq(buf_str(&b), STR("abc")));
    buf_clear(&b);
    assert_int_equal(buf_printf(&b, "%d", 12345), 0);
    assert_string_equal(b.p, "12345");
    assert_int_equal(buf_printf(&b, "x"), -1);
}

static void an_arena_gives_zeroed_memory_again_after_a_reset(void **state UNUSED)
{
    SCOPED(arena_done) struct arena a = {0};

    for (int round = 0; round < 3; round++) {
        char *p = arena_alloc(&a, 100);
        char *big = arena_alloc(&a, 100000);

        for (int i = 0; i < 100; i++) {
            assert_int_equal(p[i], 0);
        }
        memset(p, 'x', 100);
        memset(big, 'y', 100000);
        assert_string_equal(arena_printf(&a, "%s-%d", "a", round), round == 0   ? "a-0"
                                                                   : round == 1 ? "a-1"
                                                                                : "a-2");
        arena_reset(&a);
        assert_int_equal(a.used_bytes, 0);
    }
}

static void a_map_finds_puts_and_forgets_ten_thousand_keys(void **state UNUSED)
{
    static int values[10000];
    struct map m = {0};
    struct str key;
    void *value;
    size_t i = 0, n = 0;

    for (int k = 0; k < 10000; k++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "key-%d", k);
        values[k] = k;
        assert_null(map_put(&m, str_of(name), &values[k]));
    }
    for (int k = 0; k < 10000; k += 2) {
        char name[16];

        (void)snprintf(name, sizeof(name), "key-%d", k);
        assert_ptr_equal(map_del(&m, str_of(name)), &values[k]);
        assert_null(map_get(&m, str_of(name)));
    }
    while (map_next(&m, &i, &key, &value)) {
        assert_int_equal(*(int *)value % 2, 1);
        n++;
    }
    assert_int_equal(n, 5000);
    assert_int_equal(m.len, 5000);
    assert_ptr_equal(map_put(&m, STR("key-1"), &values[0]), &values[1]);
    map_done(&m);
}

static void deleting_and_adding_again_does_not_grow_a_map(void **state UNUSED)
{
    struct map m = {0};
    int v = 0;

    for (int i = 0; i < 100000; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "k%d", i);
        (void)map_put(&m, str_of(name), &v);
        (void)map_del(&m, str_of(name));
    }
    assert_int_equal(m.len, 0);
    assert_true(m.cap <= 64);
    map_done(&m);
}

static void a_list_survives_removal_while_walking(void **state UNUSED)
{
    struct item {
        struct list link;
        int n;
    } items[3] = {{.n = 0}, {.n = 1}, {.n = 2}};
    struct list head;
    int seen = 0;

    list_init(&head);
    for (int i = 0; i < 3; i++) {
        list_append(&head, &items[i].link);
    }
    list_each(it, &head)
    {
        assert_int_equal(list_entry(it, struct item, link)->n, seen++);
        list_remove(it);
        list_remove(it);
    }
    assert_int_equal(seen, 3);
    assert_true(list_empty(&head));
}

static void a_vector_grows(void **state UNUSED)
{
    VEC(int) v = {0};

    for (int i = 0; i < 1000; i++) {
        *vec_push(&v) = i;
    }
    assert_int_equal(v.len, 1000);
    assert_int_equal(v.p[999], 999);
    vec_done(&v);
    vec_done(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_keeps_what_it_has_at_its_ceiling),
        cmocka_unit_test(an_arena_gives_zeroed_memory_again_after_a_reset),
        cmocka_unit_test(a_map_finds_puts_and_forgets_ten_thousand_keys),
        cmocka_unit_test(deleting_and_adding_again_does_not_grow_a_map),
        cmocka_unit_test(a_list_survives_removal_while_walking),
        cmocka_unit_test(a_vector_grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
