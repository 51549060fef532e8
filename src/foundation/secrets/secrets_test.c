#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "secrets_priv.h"
#include "state/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct state_schema *const schemas[] = {&secrets_schema, NULL};
static char dir[64], db_path[128], wal_path[128], key_path[128];
static struct state *state;
static struct secrets *secrets;

static int start(void **arg UNUSED)
{
    struct err e;

    (void)snprintf(dir, sizeof(dir), "/tmp/strata-secrets-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(db_path, sizeof(db_path), "%s/state.db", dir);
    (void)snprintf(wal_path, sizeof(wal_path), "%s/state.db-wal", dir);
    (void)snprintf(key_path, sizeof(key_path), "%s/secrets.key", dir);
    state = state_open(db_path, schemas, &e);
    secrets = state ? secrets_open(state, key_path, &e) : NULL;
    return secrets ? 0 : -1;
}

static int stop(void **arg UNUSED)
{
    struct err e;

    secrets_close(secrets);
    state_close(state);
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static void put(int64_t project, const char *name, const char *value)
{
    struct err e = {0};
    int r = secrets_put(secrets, project, str_of(name), str_of(value), STR("alice"), &e);

    assert_string_equal(e.msg, "");
    assert_int_equal(r, 0);
}

static void assert_value(int64_t project, const char *name, const char *value)
{
    struct buf b = BUF_MAX(LIMIT_SECRET_BYTES);
    struct err e = {0};

    assert_int_equal(secrets_get(secrets, project, str_of(name), &b, &e), 0);
    assert_true(str_eq_c(buf_str(&b), value));
    buf_done(&b);
}

static enum err_kind why_not(int64_t project, const char *name)
{
    struct buf b = BUF_MAX(LIMIT_SECRET_BYTES);
    struct err e = {0};

    assert_int_equal(secrets_get(secrets, project, str_of(name), &b, &e), -1);
    assert_int_equal(b.len, 0);
    buf_done(&b);
    return e.kind;
}

static void a_value_comes_back_and_a_new_one_replaces_it(void **arg UNUSED)
{
    put(1, "API_KEY", "first");
    put(1, "API_KEY", "second");
    put(2, "API_KEY", "other project");
    put(1, "empty", "");
    assert_value(1, "API_KEY", "second");
    assert_value(2, "API_KEY", "other project");
    assert_value(1, "empty", "");
    assert_int_equal(why_not(1, "missing"), ERR_NOT_FOUND);
    assert_int_equal(why_not(3, "API_KEY"), ERR_NOT_FOUND);
}

static void values_survive_a_restart(void **arg UNUSED)
{
    struct err e;

    put(1, "k", "v");
    secrets_close(secrets);
    secrets = secrets_open(state, key_path, &e);
    assert_non_null(secrets);
    assert_value(1, "k", "v");
}

static void delete_removes_one_and_the_end_of_a_project_all(void **arg UNUSED)
{
    struct err e;

    put(1, "a", "1");
    put(1, "b", "2");
    put(2, "a", "3");
    assert_int_equal(secrets_delete(secrets, 1, STR("a"), &e), 0);
    assert_int_equal(secrets_delete(secrets, 1, STR("a"), &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(secrets_project_gone(secrets, 1, &e), 0);
    assert_int_equal(why_not(1, "b"), ERR_NOT_FOUND);
    assert_value(2, "a", "3");
}

static void the_list_has_names_and_never_values(void **arg UNUSED)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct err e;

    clock_set_wall_ms(1700000000000);
    put(1, "zeta", "hidden-value");
    put(1, "alpha", "hidden-value");
    clock_set_wall_ms(0);
    jw_array(&w);
    assert_int_equal(secrets_list(secrets, 1, STR_EMPTY, &w, &e), 0);
    jw_end(&w);
    assert_string_equal(buf_str(&b).p, "[{\"name\":\"alpha\",\"updated_at\":\"2023-11-14T22:13:20."
                                       "000Z\",\"updated_by\":\"alice\"},"
                                       "{\"name\":\"zeta\",\"updated_at\":\"2023-11-14T22:13:20."
                                       "000Z\",\"updated_by\":\"alice\"}]");
    buf_done(&b);
}

static bool file_holds(const char *path, const char *text)
{
    struct buf b = BUF_MAX(8 * MIB);
    struct err e;
    bool found;

    assert_int_equal(fs_read(AT_FDCWD, path, &b, &e), 0);
    found = str_find(buf_str(&b), str_of(text)) >= 0;
    buf_done(&b);
    return found;
}

static void the_value_is_on_no_disk_in_the_clear(void **arg UNUSED)
{
    put(1, "NAME-IN-CLEAR", "correct-horse-battery-staple");
    assert_true(file_holds(wal_path, "NAME-IN-CLEAR"));
    assert_false(file_holds(wal_path, "correct-horse-battery-staple"));
    assert_false(file_holds(db_path, "correct-horse-battery-staple"));
}

static int run_sql(struct state_db *db, void *sql, struct err *e)
{
    return state_run(db, e, sql, "");
}

static void change_rows(const char *sql)
{
    struct err e;

    assert_int_equal(state_write(state, run_sql, (void *)sql, &e), 0);
}

static void rows_cannot_be_swapped_or_changed(void **arg UNUSED)
{
    put(1, "a", "secret of a");
    put(1, "b", "secret of b");
    put(2, "c", "secret of c");
    change_rows("UPDATE secrets SET (nonce, sealed) = (SELECT nonce, sealed FROM secrets WHERE "
                "name = 'a') WHERE name = 'b'");
    assert_int_equal(why_not(1, "b"), ERR_IO);
    change_rows("UPDATE secrets SET project_id = 1 WHERE name = 'c'");
    assert_int_equal(why_not(1, "c"), ERR_IO);
    assert_value(1, "a", "secret of a");
    change_rows("UPDATE secrets SET sealed = substr(sealed, 2) WHERE name = 'a'");
    assert_int_equal(why_not(1, "a"), ERR_IO);
    change_rows("UPDATE secrets SET sealed = x'00' WHERE name = 'a'");
    assert_int_equal(why_not(1, "a"), ERR_IO);
    change_rows("UPDATE secrets SET nonce = x'00' WHERE name = 'b'");
    assert_int_equal(why_not(1, "b"), ERR_IO);
}

static void names_and_values_have_limits(void **arg UNUSED)
{
    static const char *const bad[] = {"", ".x", "-x", "a b", "a/b", "a\n", "ä"};
    static char big[LIMIT_SECRET_BYTES + 1];
    struct buf b = BUF_MAX(LIMIT_SECRET_BYTES);
    struct err e;

    memset(big, 'v', sizeof(big));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(secrets_put(secrets, 1, str_of(bad[i]), STR("v"), STR("alice"), &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    assert_int_equal(secrets_put(secrets, 1, str_n(big, 65), STR("v"), STR("alice"), &e), -1);
    assert_int_equal(
        secrets_put(secrets, 1, STR("n"), str_n(big, LIMIT_SECRET_BYTES), STR("alice"), &e), 0);
    assert_int_equal(secrets_get(secrets, 1, STR("n"), &b, &e), 0);
    assert_int_equal(b.len, LIMIT_SECRET_BYTES);
    buf_done(&b);
    assert_int_equal(secrets_put(secrets, 1, STR("n"), str_n(big, sizeof(big)), STR("alice"), &e),
                     -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(secrets_put(secrets, 1, STR("n"), STR("a\0b"), STR("alice"), &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void a_project_holds_256_at_most(void **arg UNUSED)
{
    char name[32];
    struct err e;

    for (int i = 0; i < 256; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        put(1, name, "v");
    }
    assert_int_equal(secrets_put(secrets, 1, STR("more"), STR("v"), STR("alice"), &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(secrets_put(secrets, 1, STR("n1"), STR("new"), STR("alice"), &e), 0);
    put(2, "more", "v");
}

static void the_key_is_0600_and_refused_when_others_may_read_it(void **arg UNUSED)
{
    struct stat st;
    struct err e = {0};

    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(chmod(key_path, 0640), 0);
    assert_null(secrets_open(state, key_path, &e));
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "chmod 600"));
}

static void a_lost_key_is_not_replaced_while_there_are_secrets(void **arg UNUSED)
{
    struct err e = {0};

    put(1, "a", "v");
    assert_int_equal(unlink(key_path), 0);
    assert_null(secrets_open(state, key_path, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(access(key_path, F_OK), -1);
    assert_int_equal(secrets_project_gone(secrets, 1, &e), 0);
    secrets_close(secrets);
    secrets = secrets_open(state, key_path, &e);
    assert_non_null(secrets);
}

static void another_key_opens_nothing(void **arg UNUSED)
{
    static const char other[] =
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    struct err e;

    put(1, "a", "v");
    assert_int_equal(fs_write_atomic(AT_FDCWD, key_path, str_of(other), 0600, &e), 0);
    secrets_close(secrets);
    secrets = secrets_open(state, key_path, &e);
    assert_non_null(secrets);
    assert_int_equal(why_not(1, "a"), ERR_IO);
}

static void a_key_file_with_other_bytes_is_refused(void **arg UNUSED)
{
    static const char not_hex[] =
        "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    static const char *const bad[] = {"", "short\n", not_hex};
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(fs_write_atomic(AT_FDCWD, key_path, str_of(bad[i]), 0600, &e), 0);
        assert_null(secrets_open(state, key_path, &e));
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

/* The Galois/Counter Mode of Operation (McGrew, Viega), test case 16: the tag is over additional
 * data as ours is. */
static void sealing_is_aes_256_gcm(void **arg UNUSED)
{
    unsigned char key[KEY_BYTES], nonce[NONCE_BYTES], aad[20] = {0}, plain[60];
    char hex[2 * 76 + 1];
    struct buf out = BUF_MAX(76), back = BUF_MAX(60);
    struct err e;
    struct str extra = str_n((const char *)aad, sizeof(aad));

    assert_int_equal(
        hex_decode(STR("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"), key,
                   sizeof(key)),
        0);
    assert_int_equal(hex_decode(STR("cafebabefacedbaddecaf888"), nonce, sizeof(nonce)), 0);
    assert_int_equal(hex_decode(STR("feedfacedeadbeeffeedfacedeadbeefabaddad2"), aad, sizeof(aad)),
                     0);
    assert_int_equal(hex_decode(STR("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a"
                                    "721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
                                plain, sizeof(plain)),
                     0);
    assert_int_equal(
        secrets_seal(key, nonce, extra, str_n((const char *)plain, sizeof(plain)), &out, &e), 0);
    hex_encode(out.p, out.len, hex);
    assert_string_equal(
        hex, "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b0"
             "8b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
    assert_int_equal(secrets_unseal(key, nonce, extra, buf_str(&out), &back, &e), 0);
    assert_memory_equal(back.p, plain, sizeof(plain));
    buf_done(&out);
    buf_done(&back);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_value_comes_back_and_a_new_one_replaces_it),
        ROW(values_survive_a_restart),
        ROW(delete_removes_one_and_the_end_of_a_project_all),
        ROW(the_list_has_names_and_never_values),
        ROW(the_value_is_on_no_disk_in_the_clear),
        ROW(rows_cannot_be_swapped_or_changed),
        ROW(names_and_values_have_limits),
        ROW(a_project_holds_256_at_most),
        ROW(the_key_is_0600_and_refused_when_others_may_read_it),
        ROW(a_lost_key_is_not_replaced_while_there_are_secrets),
        ROW(another_key_opens_nothing),
        ROW(a_key_file_with_other_bytes_is_refused),
        cmocka_unit_test(sealing_is_aes_256_gcm),
    };

    return cmocka_run_group_tests_name("secrets", tests, NULL, NULL);
}
