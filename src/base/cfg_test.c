#include "base/cfg.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct cfg_item net_items[] = {
    {"net.listen", CFG_STRING, "127.0.0.1:8080", "Where to listen."},
    {"net.workers", CFG_INT, "64", "Threads."},
    {0},
};
static const struct cfg_item job_items[] = {
    {"jobs.memory", CFG_BYTES, "1Gi", "Memory for jobs."},
    {"jobs.grace", CFG_SECONDS, "10s", "Time after SIGTERM."},
    {"jobs.enabled", CFG_BOOL, "true", "Whether jobs start."},
    {0},
};
static const struct cfg_item *const tables[] = {net_items, job_items, NULL};

static void every_setting_has_its_default(void **state UNUSED)
{
    SCOPED(cfg_freep) struct cfg *c = cfg_new(tables);

    assert_true(str_eq_c(cfg_str(c, "net.listen"), "127.0.0.1:8080"));
    assert_int_equal(cfg_i64(c, "jobs.memory"), 1 << 30);
    assert_int_equal(cfg_i64(c, "jobs.grace"), 10);
    assert_true(cfg_bool(c, "jobs.enabled"));
}

static void nested_and_dotted_keys_mean_the_same(void **state UNUSED)
{
    SCOPED(cfg_freep) struct cfg *c = cfg_new(tables);
    SCOPED(err_list_done) struct err_list errors = {0};

    cfg_load(c, STR("net:\n  workers: 8\njobs.memory: 2Gi\n"), &errors);
    assert_int_equal(errors.len, 0);
    assert_int_equal(cfg_i64(c, "net.workers"), 8);
    assert_int_equal(cfg_i64(c, "jobs.memory"), 2LL << 30);
}

static void all_mistakes_come_at_once_with_their_lines(void **state UNUSED)
{
    SCOPED(cfg_freep) struct cfg *c = cfg_new(tables);
    SCOPED(err_list_done) struct err_list errors = {0};
    struct err e;

    cfg_load(c, STR("net:\n  lissten: x\n  workers: many\njobs: [1]\n"), &errors);
    assert_int_equal(errors.len, 3);
    assert_int_equal(errors.items[0].line, 2);
    assert_string_equal(errors.items[0].key, "net.lissten");
    assert_non_null(strstr(errors.items[0].msg, "net.listen"));
    assert_int_equal(errors.items[1].line, 3);
    assert_int_equal(err_list_result(&errors, "strata.yaml", &e), -1);
    assert_non_null(strstr(e.msg, "3 mistakes"));
}

static void what_is_printed_can_be_loaded(void **state UNUSED)
{
    SCOPED(cfg_freep) struct cfg *a = cfg_new(tables);
    SCOPED(cfg_freep) struct cfg *b = cfg_new(tables);
    SCOPED(err_list_done) struct err_list errors = {0};
    SCOPED(buf_done) struct buf text = BUF_MAX(100000);
    struct err e;

    assert_int_equal(cfg_set(a, STR("jobs.grace=1m"), &e), 0);
    assert_int_equal(cfg_set(a, STR("jobs.grac=1m"), &e), -1);
    assert_int_equal(cfg_set(a, STR("jobs.grace"), &e), -1);
    cfg_print(a, &text);
    cfg_load(b, buf_str(&text), &errors);
    assert_int_equal(errors.len, 0);
    assert_int_equal(cfg_i64(b, "jobs.grace"), 60);
}

static void json_tells_what_is_changed(void **state UNUSED)
{
    SCOPED(cfg_freep) struct cfg *c = cfg_new(tables);
    SCOPED(buf_done) struct buf text = BUF_MAX(100000);
    struct jw w = JW(&text);
    struct err e;

    assert_int_equal(cfg_set(c, STR("jobs.grace=60"), &e), 0);
    assert_int_equal(cfg_set(c, STR("jobs.memory=1024Mi"), &e),
                     0); /* its default, said otherwise */
    jw_array(&w);
    cfg_json(c, &w);
    jw_end(&w);
    assert_non_null(strstr(text.p, "{\"key\":\"jobs.grace\",\"value\":\"60\","));
    assert_non_null(strstr(text.p, "\"unit\":\"seconds\""));
    assert_null(strstr(strstr(text.p, "\"changed\":true") + 1, "\"changed\":true"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_has_its_default),
        cmocka_unit_test(nested_and_dotted_keys_mean_the_same),
        cmocka_unit_test(all_mistakes_come_at_once_with_their_lines),
        cmocka_unit_test(what_is_printed_can_be_loaded),
        cmocka_unit_test(json_tells_what_is_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
