/* The examples that AWS publishes: "Signature Calculations for the Authorization Header". */
#include "imports/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void sign(const char *path, const char *query, const char *signature)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(4096);
    struct sigv4 s = {.access_key = "AKIAIOSFODNN7EXAMPLE",
                      .region = "us-east-1",
                      .secret = STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                      .host = "examplebucket.s3.amazonaws.com",
                      .path = path,
                      .query = query,
                      .date = "20130524T000000Z"};

    sigv4_authorization(&s, &out);
    assert_string_equal(strstr(out.p, "Signature=") + strlen("Signature="), signature);
    assert_non_null(strstr(out.p, "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"));
}

static void a_list_of_keys_is_signed_as_amazon_says(void **state)
{
    (void)state;
    sign("/", "max-keys=2&prefix=J",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void a_query_without_a_value_is_signed_as_amazon_says(void **state)
{
    (void)state;
    sign("/", "lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void what_an_address_cannot_hold_is_encoded(void **state)
{
    SCOPED(buf_done) struct buf kept = BUF_MAX(100);
    SCOPED(buf_done) struct buf all = BUF_MAX(100);

    (void)state;
    sigv4_encode(STR("a/b c~\xc3\xa4+"), SIGV4_SLASH_KEPT, &kept);
    assert_string_equal(kept.p, "a/b%20c~%C3%A4%2B");
    sigv4_encode(STR("a/b"), SIGV4_SLASH_ENCODED, &all);
    assert_string_equal(all.p, "a%2Fb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_keys_is_signed_as_amazon_says),
        cmocka_unit_test(a_query_without_a_value_is_signed_as_amazon_says),
        cmocka_unit_test(what_an_address_cannot_hold_is_encoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
