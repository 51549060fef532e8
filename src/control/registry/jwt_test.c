#include "jwt.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[80];
static struct err e;
static struct arena a;
static struct jwt_key *key;

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/strata-jwt-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/registry.key", dir);
    key = jwt_key_open(path, &e);
    return key ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    jwt_key_free(key);
    arena_done(&a);
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static struct scope access_list[] = {{{"repository", 10}, {"demo/app", 8}, SCOPE_PULL | SCOPE_PUSH},
                                     {{"registry", 8}, {"catalog", 7}, SCOPE_ALL}};

static struct str make(const char *audience, int64_t life_sec)
{
    struct buf b = BUF_MAX(JWT_BYTES_MAX);
    struct jwt_claims c = {.audience = str_of(audience),
                           .user_name = STR("ann"),
                           .user_id = 7,
                           .issued_sec = clock_wall_ms() / 1000,
                           .expires_sec = clock_wall_ms() / 1000 + life_sec,
                           .access = access_list,
                           .n_access = 2};
    struct str token;

    assert_int_equal(jwt_sign(key, &c, &b, &e), 0);
    token = arena_str(&a, buf_str(&b));
    buf_done(&b);
    return token;
}

static void a_token_says_what_was_signed(void **state)
{
    struct jwt_claims c;

    (void)state;
    assert_int_equal(jwt_verify(key, &a, make(JWT_AUDIENCE, 60), JWT_AUDIENCE, &c, &e), 0);
    assert_int_equal(c.user_id, 7);
    assert_true(str_eq_c(c.user_name, "ann"));
    assert_int_equal(c.n_access, 2);
    assert_true(str_eq_c(c.access[0].name, "demo/app"));
    assert_int_equal(c.access[0].actions, SCOPE_PULL | SCOPE_PUSH);
    assert_int_equal(c.access[1].actions, SCOPE_ALL);
}

static void the_key_is_kept_and_private(void **state)
{
    struct str token = make(JWT_AUDIENCE, 60);
    struct jwt_claims c;
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    jwt_key_free(key);
    key = jwt_key_open(path, &e);
    assert_non_null(key);
    assert_int_equal(jwt_verify(key, &a, token, JWT_AUDIENCE, &c, &e), 0);
}

static void a_broken_key_file_is_told_and_kept(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, STR("no key"), 0600, &e), 0);
    assert_null(jwt_key_open(path, &e));
    assert_non_null(strstr(e.msg, "registry.key"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 6);
}

static void every_changed_byte_is_noticed(void **state)
{
    struct str token = make(JWT_AUDIENCE, 60);
    struct jwt_claims c;
    char *copy = arena_strdup(&a, token);

    (void)state;
    for (size_t i = 0; i < token.len; i++) {
        char before = copy[i];

        copy[i] = before == 'A' ? 'B' : 'A';
        assert_int_equal(jwt_verify(key, &a, str_n(copy, token.len), JWT_AUDIENCE, &c, &e), -1);
        assert_int_equal(e.kind, ERR_UNAUTHENTICATED);
        copy[i] = before;
    }
}

static void expired_tokens_are_refused(void **state)
{
    struct str token = make(JWT_AUDIENCE, 60);
    struct jwt_claims c;

    (void)state;
    clock_set_wall_ms(clock_wall_ms() + 61000);
    assert_int_equal(jwt_verify(key, &a, token, JWT_AUDIENCE, &c, &e), -1);
    assert_non_null(strstr(e.msg, "expired"));
    clock_set_wall_ms(clock_wall_ms() - 3600000);
    assert_int_equal(jwt_verify(key, &a, token, JWT_AUDIENCE, &c, &e), -1);
    clock_set_wall_ms(0);
}

static void a_refresh_token_opens_nothing(void **state)
{
    struct jwt_claims c;

    (void)state;
    assert_int_equal(jwt_verify(key, &a, make(JWT_AUDIENCE_REFRESH, 60), JWT_AUDIENCE, &c, &e), -1);
    assert_non_null(strstr(e.msg, "another use"));
}

static struct str forged(const char *header)
{
    struct str token = make(JWT_AUDIENCE, 60), rest = token;
    struct buf b = BUF_MAX(JWT_BYTES_MAX);
    struct str out;

    (void)str_cut(&rest, '.');
    (void)base64url_add(&b, str_of(header));
    (void)buf_printf(&b, ".%.*s", STR_ARG(rest));
    out = arena_str(&a, buf_str(&b));
    buf_done(&b);
    return out;
}

static void other_algorithms_and_keys_are_refused(void **state)
{
    struct jwt_claims c;

    (void)state;
    assert_int_equal(jwt_verify(key, &a, forged("{\"alg\":\"none\"}"), JWT_AUDIENCE, &c, &e), -1);
    assert_int_equal(
        jwt_verify(key, &a, forged("{\"alg\":\"HS256\",\"kid\":\"x\"}"), JWT_AUDIENCE, &c, &e), -1);
    assert_int_equal(
        jwt_verify(key, &a,
                   forged(arena_printf(&a, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"crit\":[]}",
                                       jwt_key_id(key))),
                   JWT_AUDIENCE, &c, &e),
        -1);
}

static void other_forms_are_refused(void **state)
{
    static const char *const bad[] = {"", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "=.=.="};
    struct jwt_claims c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(jwt_verify(key, &a, str_of(bad[i]), JWT_AUDIENCE, &c, &e), -1);
    }
}

static void the_key_id_has_the_form_of_libtrust(void **state)
{
    const char *kid = jwt_key_id(key);

    (void)state;
    assert_int_equal(strlen(kid), 59);
    for (size_t i = 0; i < 59; i++) {
        assert_true(i % 5 == 4 ? kid[i] == ':'
                               : strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", kid[i]) != NULL);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_token_says_what_was_signed),
        T(the_key_is_kept_and_private),
        T(a_broken_key_file_is_told_and_kept),
        T(every_changed_byte_is_noticed),
        T(expired_tokens_are_refused),
        T(a_refresh_token_opens_nothing),
        T(other_algorithms_and_keys_are_refused),
        T(other_forms_are_refused),
        T(the_key_id_has_the_form_of_libtrust),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
