#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cache.h"
#include "password.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static void a_hash_is_yescrypt_and_fits_only_its_password(void **arg UNUSED)
{
    char one[PASSWORD_HASH_SIZE], two[PASSWORD_HASH_SIZE];
    struct err e;

    assert_int_equal(access_password_hash(STR("correct horse"), one, &e), 0);
    assert_int_equal(access_password_hash(STR("correct horse"), two, &e), 0);
    assert_true(str_starts(str_of(one), STR("$y$")));
    assert_string_not_equal(one, two); /* salted */
    assert_true(access_password_matches(STR("correct horse"), str_of(one)));
    assert_false(access_password_matches(STR("correct hors"), str_of(one)));
    assert_false(access_password_matches(STR(""), str_of(one)));
}

static void nothing_fits_a_missing_or_broken_hash(void **arg UNUSED)
{
    assert_false(access_password_matches(STR("x"), STR_EMPTY));
    assert_false(access_password_matches(STR(""), STR_EMPTY));
    assert_false(access_password_matches(STR("x"), STR("*")));
    assert_false(access_password_matches(STR("x"), STR("$y$")));
    assert_false(access_password_matches(STR("x"), STR("$y$j9T$zt2Dyz2zEbEGXCOGQEt.F/")));
}

static void rules_name_what_is_wrong(void **arg UNUSED)
{
    char big[300];
    struct err e;

    memset(big, 'p', sizeof(big));
    assert_int_equal(access_password_check_rules(STR("u"), STR("12345678"), &e), 0);
    assert_int_equal(access_password_check_rules(STR("u"), str_n(big, 256), &e), 0);
    assert_int_equal(access_password_check_rules(STR("u"), STR("1234567"), &e), -1);
    assert_int_equal(access_password_check_rules(STR("u"), str_n(big, 257), &e), -1);
    assert_int_equal(access_password_check_rules(STR("u"),
                                                 STR("1234\0"
                                                     "5678"),
                                                 &e),
                     -1);
    assert_int_equal(access_password_check_rules(STR("username"), STR("username"), &e), -1);
    assert_int_equal(access_password_check_rules(STR("u"), STR("strata_x1"), &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static struct cache_key key_of(const char *text)
{
    struct cache_key k;

    sha256_of(str_of(text), k.hash);
    return k;
}

static void a_cached_answer_dies_by_age_and_by_epoch(void **arg UNUSED)
{
    struct cache *c = access_cache_new(16, sizeof(int), 1000);
    struct cache_key k = key_of("a"), other = key_of("b");
    int v = 7, got = 0;

    assert_false(access_cache_get(c, &k, 0, 100, &got));
    access_cache_put(c, &k, 5, 100, &v);
    assert_true(access_cache_get(c, &k, 5, 1099, &got));
    assert_int_equal(got, 7);
    assert_false(access_cache_get(c, &k, 5, 1100, &got));
    assert_false(access_cache_get(c, &k, 6, 200, &got));
    assert_false(access_cache_get(c, &other, 5, 200, &got));
    access_cache_free(c);
}

static void more_keys_than_slots_never_mix_up_answers(void **arg UNUSED)
{
    struct cache *c = access_cache_new(8, sizeof(int), 1000);

    for (int i = 1; i < 500; i++) {
        char text[16];
        struct cache_key k;
        int got = 0;

        (void)snprintf(text, sizeof(text), "%d", i);
        k = key_of(text);
        assert_false(access_cache_get(c, &k, 0, 100, &got));
        access_cache_put(c, &k, 0, 100, &i);
        assert_true(access_cache_get(c, &k, 0, 100, &got));
        assert_int_equal(got, i);
    }
    access_cache_free(c);
}

static struct password_slots slots;

static void *wait_as(void *user)
{
    struct err e;

    assert_int_equal(access_password_slot_take(&slots, str_of(user), &e), 0);
    access_password_slot_drop(&slots);
    return NULL;
}

static size_t waiting(void)
{
    size_t n = 0;

    WITH_LOCK(&slots.lock);
    list_each(it, &slots.waiters)
    {
        n++;
    }
    return n;
}

static void one_user_holds_half_of_the_places_to_wait(void **arg UNUSED)
{
    pthread_t threads[LIMIT_PASSWORD_WAITS], other;
    struct err e;

    access_password_slots_init(&slots);
    for (int i = 0; i < PASSWORD_AT_ONCE; i++) {
        assert_int_equal(access_password_slot_take(&slots, STR("one"), &e), 0);
    }
    for (int i = 0; i < LIMIT_PASSWORD_WAITS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_as, (void *)"one"), 0);
    }
    while (waiting() < LIMIT_PASSWORD_WAITS) {
        (void)sched_yield();
    }
    assert_int_equal(access_password_slot_take(&slots, STR("one"), &e), -1);
    assert_int_equal(e.kind, ERR_UNAVAILABLE);
    assert_int_equal(pthread_create(&other, NULL, wait_as, (void *)"other"), 0);
    while (waiting() < LIMIT_PASSWORD_WAITS + 1) {
        (void)sched_yield();
    }
    for (int i = 0; i < PASSWORD_AT_ONCE; i++) {
        access_password_slot_drop(&slots);
    }
    for (int i = 0; i < LIMIT_PASSWORD_WAITS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_join(other, NULL);
    access_password_slots_done(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_is_yescrypt_and_fits_only_its_password),
        cmocka_unit_test(nothing_fits_a_missing_or_broken_hash),
        cmocka_unit_test(rules_name_what_is_wrong),
        cmocka_unit_test(one_user_holds_half_of_the_places_to_wait),
        cmocka_unit_test(a_cached_answer_dies_by_age_and_by_epoch),
        cmocka_unit_test(more_keys_than_slots_never_mix_up_answers),
    };

    return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
