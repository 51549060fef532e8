#include "volume/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_part_says_where_it_begins_and_how_long_all_is(void **state UNUSED)
{
    struct volume_range r;
    struct err e;

    assert_int_equal(volume_range_parse(STR("bytes 0-0/1"), &r, &e), 0);
    assert_true(r.from == 0 && r.length == 1 && r.total == 1);
    assert_int_equal(volume_range_parse(STR("Bytes 100-199/9223372036854775807"), &r, &e), 0);
    assert_true(r.from == 100 && r.length == 100 && r.total == INT64_MAX);
}

static void an_empty_part_only_says_that_all_is_there(void **state UNUSED)
{
    struct volume_range r;
    struct err e;

    assert_int_equal(volume_range_parse(STR("bytes */500"), &r, &e), 0);
    assert_true(r.from == 500 && r.length == 0 && r.total == 500);
    assert_int_equal(volume_range_parse(STR("bytes 500-499/500"), &r, &e), 0);
    assert_true(r.from == 500 && r.length == 0 && r.total == 500);
    assert_int_equal(volume_range_parse(STR("bytes 5-4/500"), &r, &e), -1);
}

static void broken_ranges_are_refused_with_an_example(void **state UNUSED)
{
    static const char *const bad[] = {"",
                                      "bytes",
                                      "bytes 0-1",
                                      "bytes 0-1/*",
                                      "bytes 1-0/5",
                                      "bytes 0-5/5",
                                      "items 0-1/5",
                                      "bytes=0-1/5",
                                      "bytes 0-1/5/6",
                                      "bytes -1/5",
                                      "bytes 0-/5",
                                      "bytes a-b/5",
                                      "bytes 0-1/5 x",
                                      "bytes  0-1/5",
                                      "bytes 0-1/9223372036854775808",
                                      "bytes 0-99999999999999999999/5"};
    struct volume_range r;
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(volume_range_parse(str_of(bad[i]), &r, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, "bytes 0-1048575/4194304"));
    }
}

#define EMPTY_BASE64 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static void the_sha256_is_found_among_other_digests(void **state UNUSED)
{
    static const char *const good[] = {
        "sha-256=:" EMPTY_BASE64 ":",
        "  sha-256=:" EMPTY_BASE64 ":  ",
        "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:, sha-256=:" EMPTY_BASE64 ":;q=1",
        "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:,sha-256=:" EMPTY_BASE64 ":",
    };
    unsigned char want[SHA256_BYTES], got[SHA256_BYTES];
    struct err e;

    sha256_of(STR_EMPTY, want);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        memset(got, 0, sizeof(got));
        assert_int_equal(volume_digest_parse("Content-Digest", str_of(good[i]), got, &e), 0);
        assert_memory_equal(got, want, sizeof(want));
    }
}

static void a_digest_that_cannot_be_checked_is_an_error(void **state UNUSED)
{
    static const char *const bad[] = {
        "",
        "sha-256",
        "sha-256=" EMPTY_BASE64,
        "sha-256=:" EMPTY_BASE64,
        "sha-256=::",
        "sha-256=:AAAA:",
        "sha-256=:!!!!:",
        "sha-256=\"text\"",
        "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:",
        "SHA-256=:" EMPTY_BASE64 ":",
        "sha-256=:" EMPTY_BASE64 ":,",
        "sha-256=:" EMPTY_BASE64 "AAAA:",
    };
    unsigned char got[SHA256_BYTES];
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(volume_digest_parse("Content-Digest", str_of(bad[i]), got, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_says_where_it_begins_and_how_long_all_is),
        cmocka_unit_test(an_empty_part_only_says_that_all_is_there),
        cmocka_unit_test(broken_ranges_are_refused_with_an_example),
        cmocka_unit_test(the_sha256_is_found_among_other_digests),
        cmocka_unit_test(a_digest_that_cannot_be_checked_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
