#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exporter/container.h"
#include "exporter/node.h"

#include <string.h>

static void lines_and_words(void **arg UNUSED)
{
    struct str text = STR(" a\tbc  d\n\nlast"), line = text_line(&text);

    assert_true(str_eq_c(text_word(&line), "a"));
    assert_true(str_eq_c(text_word(&line), "bc"));
    assert_true(str_eq_c(text_word(&line), "d"));
    assert_int_equal(text_word(&line).len, 0);
    assert_int_equal(text_word(&line).len, 0);
    assert_int_equal(text_line(&text).len, 0);
    assert_true(str_eq_c(text_line(&text), "last"));
    assert_int_equal(text.len, 0);
    assert_int_equal(text_line(&text).len, 0);
}

static void numbers_are_whole_words(void **arg UNUSED)
{
    static const struct {
        const char *text;
        double v; /* -1: no number */
    } rows[] = {{"0", 0},     {"18446744073709551615", 18446744073709551615.0},
                {"1.5", 1.5}, {"1e3", 1000},
                {"", -1},     {"x", -1},
                {"1x", -1},   {"12:", -1}};
    uint64_t hex;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double v = -1;
        bool is = text_number(str_of(rows[i].text), &v);

        assert_int_equal(is, rows[i].v >= 0);
        assert_true(!is || v == rows[i].v);
        assert_true(text_or(str_of(rows[i].text), -1) == rows[i].v);
    }
    assert_true(text_hex(STR("0000588a"), &hex) && hex == 0x588a);
    assert_true(text_hex(STR("0x10"), &hex) && hex == 16);
    assert_false(text_hex(STR("g"), &hex) || text_hex(STR_EMPTY, &hex));
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void containers_are_known_by_their_cgroup(void **arg UNUSED)
{
    static const struct {
        const char *parent, *name;
        int engine; /* -1: it is none */
        const char *id;
    } rows[] = {
        {"system.slice", "docker-" ID ".scope", ENGINE_DOCKER, ID},
        {"docker", ID, ENGINE_DOCKER, ID},
        {"kubepods.slice/kubepods-pod1.slice", "cri-containerd-" ID ".scope", ENGINE_CONTAINERD,
         ID},
        {"kubepods/besteffort/pod1", ID, ENGINE_CONTAINERD, ID},
        {"kubepods.slice", "crio-" ID ".scope", ENGINE_CRIO, ID},
        {"machine.slice", "libpod-" ID ".scope", ENGINE_PODMAN, ID},
        {"system.slice", "nerdctl-" ID ".scope", ENGINE_CONTAINERD, ID},
        {"strata-01", "j-abc-1", ENGINE_STRATA, "j-abc-1"},
        {"strata-", "j-abc-1", -1, NULL},
        {"", "strata-01", -1, NULL},
        {"system.slice", "ssh.service", -1, NULL},
        {"system.slice", "docker-" ID "0.scope", -1, NULL},
        {"system.slice", "docker-" ID, ENGINE_DOCKER, ID},
        {"", "docker", -1, NULL},
        {"machine.slice", "crio-conmon-" ID ".scope", -1, NULL},
        {"machine.slice", "libpod-conmon-" ID ".scope", -1, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct container_kind kind;
        bool is = container_recognize(rows[i].parent, rows[i].name, &kind);

        if (is != (rows[i].engine >= 0)) {
            fail_msg("%s/%s", rows[i].parent, rows[i].name);
        }
        if (is) {
            assert_int_equal(kind.engine, rows[i].engine);
            assert_true(str_eq_c(kind.id, rows[i].id));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_words),
        cmocka_unit_test(numbers_are_whole_words),
        cmocka_unit_test(containers_are_known_by_their_cgroup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
