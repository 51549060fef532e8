#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supply_priv.h"

#include <string.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct err e;

static enum accessory_kind kind_of(const char *artifact_type, const char *layers)
{
    SCOPED(arena_done) struct arena a = {0};
    struct accessory out;
    struct str body = str_of(arena_printf(&a, "{\"layers\": [%s]}", layers));

    accessory_parse(&a, str_of(artifact_type), body, &out);
    return out.kind;
}

static void test_a_kind_is_that_of_all_layers(void **state UNUSED)
{
    const char *cosign = "{\"mediaType\": \"application/vnd.dev.cosign.simplesigning.v1+json\"}";
    const char *both = "{\"mediaType\": \"application/spdx+json\"},"
                       "{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar\"}";
    const char *jose = "{\"mediaType\": \"application/jose+json\"}";

    assert_int_equal(kind_of("", cosign), ACCESSORY_COSIGN);
    assert_int_equal(kind_of("application/spdx+json", both), ACCESSORY_OTHER);
    assert_int_equal(kind_of("application/vnd.cncf.notary.signature", jose), ACCESSORY_NOTATION);
    assert_int_equal(kind_of("", jose), ACCESSORY_OTHER);
    assert_int_equal(kind_of("application/vnd.cncf.notary.signature", ""), ACCESSORY_OTHER);
}

static void test_a_payload_names_its_image(void **state UNUSED)
{
    struct str good = STR("{\"critical\": {\"type\": \"cosign container image signature\","
                          " \"image\": {\"docker-manifest-digest\": \"" DIGEST "\"}}}");
    struct str other = STR("{\"critical\": {\"type\": \"other\"}}");

    assert_int_equal(payload_check(good, DIGEST, &e), 0);
    assert_int_equal(payload_check(good, "sha256:00", &e), -1);
    assert_non_null(strstr(e.msg, "another image"));
    assert_int_equal(payload_check(other, DIGEST, &e), -1);
    assert_int_equal(payload_check(STR("{"), DIGEST, &e), -1);
}

static void test_a_report_counts_and_sorts(void **state UNUSED)
{
    static const char text[] =
        "{\"scanner\": {\"name\": \"s\"}, \"vulnerabilities\": ["
        "{\"id\": \"B\", \"severity\": \"Low\", \"links\": [\"javascript:x\"]},"
        "{\"id\": \"A\", \"severity\": \"Critical\", \"links\": [\"https://h/\"]}]}";
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(json_decrefp) json_t *doc = json_parse(str_of(text), &e);
    struct report r;

    assert_int_equal(report_of_json(&a, doc, &r, &e), 0);
    assert_int_equal(r.n, 2);
    assert_true(str_eq_c(r.findings[0].id, "A") && str_eq_c(r.findings[0].link, "https://h/"));
    assert_int_equal(r.findings[1].link.len, 0);
    assert_int_equal(r.counts[SEV_CRITICAL], 1);
    assert_int_equal(r.counts[SEV_LOW], 1);
}

static void test_long_texts_end_between_characters(void **state UNUSED)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(json_decrefp) json_t *doc = NULL;
    char id[2 * LIMIT_FINDING_TEXT + 2] = "x";
    struct report r;

    for (size_t i = 1; i + 1 < sizeof(id); i += 2) {
        memcpy(id + i, "\xc3\xa9", 2); /* an e with an accent */
    }
    id[sizeof(id) - 1] = '\0';
    doc = json_pack("{s:[{s:s}]}", "vulnerabilities", "id", id);
    assert_int_equal(report_of_json(&a, doc, &r, &e), 0);
    assert_int_equal(r.findings[0].id.len, LIMIT_FINDING_TEXT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kind_is_that_of_all_layers),
        cmocka_unit_test(test_a_payload_names_its_image),
        cmocka_unit_test(test_a_report_counts_and_sorts),
        cmocka_unit_test(test_long_texts_end_between_characters),
    };

    return cmocka_run_group_tests_name("supply", tests, NULL, NULL);
}
