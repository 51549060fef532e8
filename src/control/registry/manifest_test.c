#include "manifest.h"

#include "image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define CONFIG                                                                                     \
    "\"config\":{\"mediaType\":\"" MEDIA_OCI_CONFIG "\",\"digest\":\"" D1 "\",\"size\":7}"
#define LAYER                                                                                      \
    "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"" D2 "\",\"size\":9}"

static struct err e;
static struct arena a;
static struct manifest m;

static int teardown(void **state)
{
    (void)state;
    arena_done(&a);
    return 0;
}

static int parse(const char *type, const char *text)
{
    return manifest_parse(&a, str_of(type), str_of(text), &m, &e);
}

static void an_image_manifest_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        parse(MEDIA_OCI_MANIFEST, "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER "]}"), 0);
    assert_string_equal(m.media_type, MEDIA_OCI_MANIFEST);
    assert_false(m.is_index);
    assert_string_equal(m.config.digest, D1);
    assert_int_equal(m.n_layers, 1);
    assert_int_equal(m.layers[0].size_bytes, 9);
    assert_string_equal(m.subject, "");
    assert_true(str_eq_c(m.artifact_type, MEDIA_OCI_CONFIG));
}

static void an_index_is_read_with_its_platforms(void **state)
{
    (void)state;
    assert_int_equal(parse(MEDIA_DOCKER_LIST,
                           "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_DOCKER_LIST
                           "\",\"manifests\":[{\"mediaType\":\"" MEDIA_DOCKER_MANIFEST
                           "\",\"digest\":\"" D1
                           "\",\"size\":7,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\","
                           "\"variant\":\"v7\"}}]}"),
                     0);
    assert_true(m.is_index);
    assert_int_equal(m.n_children, 1);
    assert_true(str_eq_c(m.children[0].architecture, "arm"));
    assert_true(str_eq_c(m.children[0].variant, "v7"));
}

static void the_type_may_come_from_the_body(void **state)
{
    (void)state;
    assert_int_equal(
        parse("", "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[]}"),
        0);
    assert_int_equal(parse("", "{\"schemaVersion\":2,\"manifests\":[]}"), -1);
    assert_int_equal(
        parse(MEDIA_OCI_INDEX "; charset=utf-8", "{\"schemaVersion\":2,\"manifests\":[]}"), 0);
}

static void two_different_types_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(MEDIA_OCI_INDEX,
                           "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_DOCKER_LIST
                           "\",\"manifests\":[]}"),
                     -1);
    assert_non_null(strstr(e.msg, "Content-Type"));
}

static void docker_schema_1_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("application/vnd.docker.distribution.manifest.v1+prettyjws",
                           "{\"schemaVersion\":1,\"name\":\"a\",\"tag\":\"b\",\"fsLayers\":[]}"),
                     -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "schemaVersion 1"));
}

static void an_index_with_layers_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(MEDIA_OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}"),
                     -1);
    assert_int_equal(parse(MEDIA_OCI_MANIFEST,
                           "{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"manifests\":[]}"),
                     -1);
}

static void descriptors_must_be_whole(void **state)
{
    static const char *const layers[] = {
        "{\"mediaType\":\"x\",\"size\":9}",
        "{\"mediaType\":\"x\",\"digest\":\"" D1 "\"}",
        "{\"mediaType\":\"x\",\"digest\":\"" D1 "\",\"size\":-1}",
        "{\"mediaType\":\"x\",\"digest\":\"" D1 "\",\"size\":\"9\"}",
        "{\"mediaType\":\"x\",\"digest\":\"sha256:zz\",\"size\":9}",
        "{\"mediaType\":5,\"digest\":\"" D1 "\",\"size\":9}",
        "7",
        "null",
        "{\"mediaType\":\"x\",\"digest\":\"" D1 "\",\"size\":1e300}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
        char *text =
            arena_printf(&a, "{\"schemaVersion\":2," CONFIG ",\"layers\":[%s]}", layers[i]);

        assert_int_equal(parse(MEDIA_OCI_MANIFEST, text), -1);
        assert_non_null(strstr(e.msg, "layers[0]"));
    }
}

static void only_layers_with_urls_are_foreign(void **state)
{
    (void)state;
    assert_int_equal(
        parse(MEDIA_DOCKER_MANIFEST,
              "{\"schemaVersion\":2," CONFIG
              ",\"layers\":[{\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff.tar."
              "gzip\",\"digest\":\"" D1 "\",\"size\":1,\"urls\":[\"https://example.com/x\"]},"
              "{\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\","
              "\"digest\":\"" D2 "\",\"size\":1}," LAYER "]}"),
        0);
    assert_true(m.layers[0].foreign);
    assert_false(m.layers[1].foreign);
    assert_false(m.layers[2].foreign);
}

static void a_subject_makes_a_referrer(void **state)
{
    (void)state;
    assert_int_equal(parse(MEDIA_OCI_MANIFEST,
                           "{\"schemaVersion\":2,\"artifactType\":\"application/x.sbom\"," CONFIG
                           ",\"layers\":[],\"subject\":{\"mediaType\":\"x\",\"digest\":\"" D2
                           "\",\"size\":3},\"annotations\":{\"a\":\"b\"}}"),
                     0);
    assert_string_equal(m.subject, D2);
    assert_true(str_eq_c(m.artifact_type, "application/x.sbom"));
    assert_true(str_eq_c(m.annotations, "{\"a\":\"b\"}"));
}

static void a_null_subject_is_none(void **state)
{
    (void)state;
    assert_int_equal(parse(MEDIA_OCI_MANIFEST,
                           "{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"subject\":null}"),
                     0);
    assert_string_equal(m.subject, "");
}

static void the_case_of_a_type_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(parse("Application/vnd.OCI.image.Manifest.v1+JSON; charset=utf-8",
                           "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"," CONFIG
                           ",\"layers\":[]}"),
                     0);
    assert_string_equal(m.media_type, MEDIA_OCI_MANIFEST);
}

static void a_flood_of_values_is_refused_before_it_takes_memory(void **state)
{
    char *text = malloc(2 * 300000 + 1);

    (void)state;
    for (size_t i = 0; i < 300000; i++) {
        memcpy(text + 2 * i, "1,", 2);
    }
    assert_int_equal(json_count_check(str_n(text, 600000), &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    text[0] = '"';
    assert_int_equal(json_count_check(str_n(text, 600000), &e), 0); /* all one string */
    free(text);
}

static int config(const char *text, struct image_config *c)
{
    return image_config_parse(&a, str_of(text), c, &e);
}

static void an_image_configuration_is_read(void **state)
{
    struct image_config c;

    (void)state;
    assert_int_equal(
        config("{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=b\"],"
               "\"Entrypoint\":[\"/x\"],\"Cmd\":[\"-v\",\"y\"],\"WorkingDir\":\"/w\",\"User\":"
               "\"1:2\"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D2 "\"]}}",
               &c),
        0);
    assert_string_equal(c.os, "linux");
    assert_int_equal(c.n_diff_ids, 2);
    assert_string_equal(c.diff_ids[1], D2);
    assert_string_equal(c.entrypoint[0], "/x");
    assert_string_equal(c.cmd[1], "y");
    assert_null(c.cmd[2]);
    assert_string_equal(c.env[0], "A=b");
    assert_string_equal(c.cwd, "/w");
    assert_string_equal(c.user, "1:2");
}

static void missing_and_null_fields_are_empty(void **state)
{
    struct image_config c;

    (void)state;
    assert_int_equal(config("{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":null,"
                            "\"Cmd\":null,\"User\":null},\"rootfs\":{\"diff_ids\":null}}",
                            &c),
                     0);
    assert_null(c.env[0]);
    assert_null(c.entrypoint[0]);
    assert_string_equal(c.user, "");
    assert_int_equal(c.n_diff_ids, 0);
}

static void broken_configurations_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"rootfs\":5}",
        "{\"rootfs\":{\"diff_ids\":[5]}}",
        "{\"rootfs\":{\"diff_ids\":[\"sha256:1\"]}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":[]}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Env\":\"A=b\"}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Env\":[5]}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Cmd\":[\"a\\u0000b\"]}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"os\":7}",
    };
    struct image_config c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(config(bad[i], &c), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_manifest_is_read),
        cmocka_unit_test(an_index_is_read_with_its_platforms),
        cmocka_unit_test(the_type_may_come_from_the_body),
        cmocka_unit_test(two_different_types_are_refused),
        cmocka_unit_test(docker_schema_1_is_refused),
        cmocka_unit_test(an_index_with_layers_is_refused),
        cmocka_unit_test(descriptors_must_be_whole),
        cmocka_unit_test(only_layers_with_urls_are_foreign),
        cmocka_unit_test(a_subject_makes_a_referrer),
        cmocka_unit_test(a_null_subject_is_none),
        cmocka_unit_test(the_case_of_a_type_does_not_count),
        cmocka_unit_test(a_flood_of_values_is_refused_before_it_takes_memory),
        cmocka_unit_test(an_image_configuration_is_read),
        cmocka_unit_test(missing_and_null_fields_are_empty),
        cmocka_unit_test(broken_configurations_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
