#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "throttle.h"

#include <stdio.h>

static struct str user(const char *name)
{
    return str_of(name);
}

/* Fails until refused; how many tries were taken, and when the next is allowed. */
static int fail_until_refused(struct throttle *t, const char *name, const char *peer, int64_t now)
{
    struct err e;
    int n = 0;

    while (n < 1000 && access_throttle_begin(t, user(name), peer, now, &e) == 0) {
        n++;
    }
    assert_int_equal(e.kind, ERR_THROTTLED);
    return n;
}

static void guessing_at_one_user_is_refused_after_a_few_tries(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(100);
    struct err e;

    assert_int_equal(fail_until_refused(t, "alice", "10.0.0.1", 1000), 6);
    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 1999, &e), -1);
    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 2000, &e), 0);
    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 3999, &e), -1); /* 2 s */
    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 4000, &e), 0);
    assert_int_equal(access_throttle_begin(t, user("bob"), "10.0.0.1", 4000, &e), 0);
    access_throttle_free(t);
}

/* Two threads read the clock, and take the lock in the other order. */
static void a_free_try_makes_nobody_wait_who_read_the_clock_before(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(100);
    struct err e;

    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 1001, &e), 0);
    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 1000, &e), 0);
    access_throttle_success(t, user("alice"), "10.0.0.1", 1001);
    assert_int_equal(access_throttle_check(t, user("alice"), "10.0.0.1", 1000, &e), 0);
    access_throttle_free(t);
}

static void the_wait_never_grows_past_a_minute(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(100);
    struct err e;
    int64_t now = 1000;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", now, &e), 0);
        now += 60000;
    }
    access_throttle_free(t);
}

static void a_refused_try_does_not_lengthen_the_wait(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(100);
    struct err e;

    (void)fail_until_refused(t, "alice", "10.0.0.1", 1000);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 1500, &e), -1);
    }
    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 2000, &e), 0);
    access_throttle_free(t);
}

static void strangers_cannot_lock_out_who_signed_in_from_his_address_before(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(1000);
    struct err e;
    char peer[32];

    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 0, &e), 0);
    access_throttle_success(t, user("alice"), "10.0.0.1", 0);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(peer, sizeof(peer), "10.1.0.%d", i);
        (void)!access_throttle_begin(t, user("alice"), peer, 1000, &e);
    }
    assert_int_equal(access_throttle_begin(t, user("alice"), "10.9.9.9", 1000, &e), -1);
    assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 1000, &e), 0);
    access_throttle_free(t);
}

static void one_address_that_tries_many_users_is_refused(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(1000);
    struct err e;
    char name[32];
    int taken = 0;

    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "user%d", i);
        taken += access_throttle_begin(t, user(name), "10.0.0.1", 1000, &e) == 0;
    }
    assert_int_equal(taken, 31);
    assert_int_equal(access_throttle_begin(t, user("user1"), "10.0.0.2", 1000, &e), 0);
    access_throttle_free(t);
}

static void addresses_of_one_ipv6_network_count_as_one(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(1000);
    struct err e;
    char peer[48];
    int taken = 0;

    for (int i = 0; i < 50; i++) {
        (void)snprintf(peer, sizeof(peer), "2001:db8::%x", i + 1);
        taken += access_throttle_begin(t, user("alice"), peer, 1000, &e) == 0;
    }
    assert_int_equal(taken, 6);
    assert_int_equal(access_throttle_begin(t, user("alice"), "2001:db8:0:1::1", 1000, &e), 0);
    access_throttle_free(t);
}

static void a_right_password_starts_the_count_again(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(100);
    struct err e;

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 3; i++) {
            assert_int_equal(access_throttle_begin(t, user("alice"), "10.0.0.1", 1000, &e), 0);
        }
        access_throttle_success(t, user("alice"), "10.0.0.1", 1000);
    }
    access_throttle_free(t);
}

static void old_failures_are_forgotten(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(100);

    assert_int_equal(fail_until_refused(t, "alice", "10.0.0.1", 1000), 6);
    assert_int_equal(fail_until_refused(t, "alice", "10.0.0.1", 1000 + 16 * 60 * 1000), 6);
    access_throttle_free(t);
}

static void memory_is_bounded(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(64);
    struct err e;
    char name[32];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "10.0.%d.%d", i / 250, i % 250);
        (void)!access_throttle_begin(t, user(name), name, 1000, &e);
    }
    assert_true(access_throttle_entries(t) <= 64);
    access_throttle_free(t);
}

static void a_password_is_changed_five_times_a_minute(void **arg UNUSED)
{
    struct throttle *t = access_throttle_new(16);
    int64_t wait_ms = 0;
    struct err e;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(access_throttle_change(t, STR("bob"), 1000 + i, &wait_ms, &e), 0);
    }
    assert_int_equal(access_throttle_change(t, STR("bob"), 21000, &wait_ms, &e), -1);
    assert_int_equal(e.kind, ERR_THROTTLED);
    assert_int_equal(wait_ms, 40000);
    assert_int_equal(access_throttle_change(t, STR("carol"), 21000, &wait_ms, &e), 0);
    assert_int_equal(access_throttle_check(t, STR("bob"), "10.0.0.1", 21000, &e), 0);
    assert_int_equal(access_throttle_change(t, STR("bob"), 61000, &wait_ms, &e), 0);
    access_throttle_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guessing_at_one_user_is_refused_after_a_few_tries),
        cmocka_unit_test(a_password_is_changed_five_times_a_minute),
        cmocka_unit_test(a_free_try_makes_nobody_wait_who_read_the_clock_before),
        cmocka_unit_test(the_wait_never_grows_past_a_minute),
        cmocka_unit_test(a_refused_try_does_not_lengthen_the_wait),
        cmocka_unit_test(strangers_cannot_lock_out_who_signed_in_from_his_address_before),
        cmocka_unit_test(one_address_that_tries_many_users_is_refused),
        cmocka_unit_test(addresses_of_one_ipv6_network_count_as_one),
        cmocka_unit_test(a_right_password_starts_the_count_again),
        cmocka_unit_test(old_failures_are_forgotten),
        cmocka_unit_test(memory_is_bounded),
    };

    return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
