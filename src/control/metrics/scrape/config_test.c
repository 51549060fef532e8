#include "scrape/config.h"
#include "scrape/target.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct err e;
static char dir[64];

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state UNUSED)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/scrape-test-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int clean_up(void **state UNUSED)
{
    static const char *const names[] = {"p.yml", "one.yml", "rules.yml"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)unlink(path_of(names[i]));
    }
    return rmdir(dir);
}

static struct config *read_text(const char *text)
{
    write_file("p.yml", text);
    return config_read(path_of("p.yml"), NULL, NULL, &e);
}

static void defaults_are_prometheus(void **state UNUSED)
{
    struct config *c = read_text("scrape_configs:\n"
                                 "- job_name: node\n"
                                 "  static_configs:\n"
                                 "  - targets: [a:9100, 'b:9100']\n"
                                 "    labels: {rack: r1}\n");
    struct scrape_config *s;

    if (c == NULL) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(c->n_scrape, 1);
    s = c->scrape;
    assert_true(str_eq_c(s->job_name, "node"));
    assert_int_equal(s->interval_ms, 60000);
    assert_int_equal(s->timeout_ms, 10000);
    assert_true(str_eq_c(s->metrics_path, "/metrics"));
    assert_true(str_eq_c(s->scheme, "http"));
    assert_true(s->honor_timestamps && !s->honor_labels && s->http.follow_redirects);
    assert_int_equal(s->sd.len, 1);
    assert_int_equal(s->sd.p[0].groups[0].n_targets, 2);
    assert_true(
        str_eq_c(labels_get(s->sd.p[0].groups[0].targets[1], STR("__address__")), "b:9100"));
    assert_true(str_eq_c(labels_get(s->sd.p[0].groups[0].labels, STR("rack")), "r1"));
    config_unref(c);
}

static void relabeling_makes_addresses_of_urls(void **state UNUSED)
{
    struct config *c =
        read_text("scrape_configs:\n"
                  "- job_name: blackbox\n"
                  "  metrics_path: /probe\n"
                  "  params: {module: [http_2xx]}\n"
                  "  static_configs:\n"
                  "  - targets: ['http://example.com/a?b=c']\n"
                  "  relabel_configs:\n"
                  "  - {source_labels: [__address__], target_label: __param_target}\n"
                  "  - {source_labels: [__param_target], target_label: instance}\n"
                  "  - {target_label: __address__, replacement: '127.0.0.1:9115'}\n");
    struct target_group *g;
    struct target t;
    struct arena a = {0};

    if (c == NULL) {
        fail_msg("%s", e.msg);
    }
    g = c->scrape[0].sd.p[0].groups;
    assert_int_equal(target_make(&a, &c->scrape[0], g->labels, g->targets[0], &t, &e), 1);
    assert_true(str_eq_c(labels_get(t.labels, STR("instance")), "http://example.com/a?b=c"));
    assert_true(str_eq_c(t.url, "http://127.0.0.1:9115/probe?module=http_2xx&target="
                                "http%3A%2F%2Fexample.com%2Fa%3Fb%3Dc"));
    arena_done(&a);
    config_unref(c);
}

static void global_is_what_jobs_begin_with(void **state UNUSED)
{
    struct config *c;

    write_file("one.yml", "scrape_configs:\n- job_name: two\n  scrape_interval: 5s\n");
    write_file("rules.yml", "groups: []\n");
    c = read_text("global:\n"
                  "  scrape_interval: 15s\n"
                  "  evaluation_interval: 1m30s\n"
                  "  sample_limit: 7\n"
                  "  body_size_limit: 10MB\n"
                  "  external_labels: {dc: x}\n"
                  "alerting:\n"
                  "  alertmanagers:\n"
                  "  - static_configs:\n"
                  "    - targets:\n"
                  "  - static_configs: [{targets: ['a:1']}]\n"
                  "    path_prefix: am/\n"
                  "    scheme: https\n"
                  "  alert_relabel_configs: [{action: labeldrop, regex: replica}]\n"
                  "rule_files: [rules.yml, 'more/*.yml']\n"
                  "scrape_config_files: [one*.yml]\n"
                  "scrape_configs:\n"
                  "- job_name: one\n"
                  "  basic_auth: {username: u, password: 'geheim'}\n"
                  "remote_write:\n"
                  "- url: http://127.0.0.1:9090/api/v1/write\n");
    if (c == NULL) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(c->n_scrape, 2);
    assert_int_equal(c->alerting.n_managers, 2);
    assert_int_equal(c->alerting.relabel.len, 1);
    assert_true(str_eq_c(c->alerting.managers[0].s.metrics_path, "/api/v2/alerts"));
    assert_true(str_eq_c(c->alerting.managers[1].s.metrics_path, "/am/api/v2/alerts"));
    assert_int_equal(c->alerting.managers[1].s.sd.len, 1);
    assert_int_equal(c->scrape[0].interval_ms, 15000);
    assert_int_equal(c->scrape[1].interval_ms, 5000);
    assert_int_equal(c->scrape[1].timeout_ms, 5000);
    assert_int_equal(c->scrape[1].limits.samples, 7);
    assert_int_equal(c->scrape[1].limits.body_bytes, 10 << 20);
    assert_int_equal(c->evaluation_ms, 90000);
    assert_int_equal(c->rule_files.len, 1);
    assert_int_equal(c->n_writes, 1);
    assert_int_equal(c->writes[0].max_samples, 2000);
    assert_null(strstr(c->text.p, "geheim"));
    assert_non_null(strstr(c->text.p, "<secret>"));
    config_unref(c);
}

static void what_we_do_not_have_is_refused_with_its_line(void **state UNUSED)
{
    static const struct {
        const char *text, *line, *says;
    } rows[] = {
        {"scrape_configs:\n- job_name: a\n  consul_sd_configs: []\n", ":3:", "file_sd_configs"},
        {"scrape_configs:\n- job_name: a\n  scrape_intervall: 5s\n", ":3:", "scrape_interval?"},
        {"scrape_configs:\n- job_name: a\n  scrape_interval: 5\n", ":3:", "no duration"},
        {"scrape_configs:\n- job_name: a\n- job_name: a\n", ":3:", "twice"},
        {"scrape_configs:\n- scrape_interval: 5s\n", ":2:", "job_name"},
        {"scrape_configs:\n- job_name: a\n  scrape_timeout: 2m\n", ":2:", "longer"},
        {"scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['http://x/']}]\n",
         ":3:", "no host and port"},
        {"scrape_configs:\n- job_name: a\n  body_size_limit: 10\n", ":3:", "no size"},
        {"scrape_configs:\n- job_name: a\n  relabel_configs:\n  - regex: '('\n    action: keep\n",
         ":4:", "regex"},
        {"scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: kepp\n", ":4:", "kepp"},
        {"scrape_configs:\n- job_name: a\n  scrape_protocols: [PrometheusProto]\n",
         ":3:", "take it from"},
        {"scrape_configs:\n- job_name: a\n  scrape_native_histograms: true\n", ":3:", "native"},
        {"tracing: {}\n", ":1:", "tracing"},
        {"alerting:\n  alertmanagers:\n  - api_version: v1\n", ":3:", "v2"},
        {"alerting:\n  alertmanagers:\n  - sigv4: {}\n", ":3:", "proxy"},
        {"alerting:\n  alertmanagers:\n  - timeout: 0s\n", ":3:", "timeout"},
        {"alerting:\n  nonsense: []\n", ":2:", "nonsense"},
        {"global:\n  query_log_file: x\n", ":2:", "query_log_file"},
        {"remote_write:\n- name: x\n", ":2:", "url"},
        {"rule_files: [none.yml]\n", ":1:", "not there"},
        {"a: [\n", "p.yml", "YAML"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config *c = read_text(rows[i].text);

        if (c != NULL || strstr(e.msg, rows[i].line) == NULL ||
            strstr(e.msg, rows[i].says) == NULL) {
            fail_msg("row %zu: %s", i, c != NULL ? "was taken" : e.msg);
        }
    }
}

static void anchors_and_merges_stand_for_what_they_name(void **state UNUSED)
{
    struct config *c = read_text("scrape_configs:\n"
                                 "- &base\n"
                                 "  job_name: a\n"
                                 "  scrape_interval: 5s\n"
                                 "  relabel_configs: &rules\n"
                                 "  - {action: drop, source_labels: [x], regex: y}\n"
                                 "- job_name: b\n"
                                 "  relabel_configs: *rules\n"
                                 "- <<: *base\n"
                                 "  job_name: c\n");

    if (c == NULL) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(c->n_scrape, 3);
    assert_int_equal(c->scrape[1].relabel.len, 1);
    assert_int_equal(c->scrape[2].interval_ms, 5000);
    assert_true(str_eq_c(c->scrape[2].job_name, "c"));
    config_unref(c);
    assert_null(read_text("a: &a [*a]\n"));
    assert_null(read_text("a: *b\n"));
}

static void durations_are_read_and_written(void **state UNUSED)
{
    static const struct {
        const char *text;
        int64_t ms;
        const char *back; /* NULL: the same */
    } rows[] = {{"15s", 15000, NULL},    {"1h30m", 5400000, NULL}, {"0", 0, "0s"},
                {"90s", 90000, "1m30s"}, {"1d", 86400000, NULL},   {"1500ms", 1500, "1s500ms"},
                {"1m1s", 61000, NULL},   {"m", -1, NULL},          {"1s1m", -1, NULL},
                {"1.5s", -1, NULL},      {"", -1, NULL},           {"99999999999y", -1, NULL}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        int64_t ms;
        int r = decode_ms(str_of(rows[i].text), &ms);

        assert_int_equal(r, rows[i].ms < 0 ? -1 : 0);
        if (r == 0) {
            assert_int_equal(ms, rows[i].ms);
            assert_string_equal(decode_ms_text(&a, ms), rows[i].back ? rows[i].back : rows[i].text);
        }
        arena_done(&a);
    }
}

static void groups_are_yaml_and_json(void **state UNUSED)
{
    struct arena a = {0};
    struct target_group *g;
    size_t n;

    assert_int_equal(config_groups(&a, STR("[{\"targets\":[\"a:1\"],\"labels\":{\"x\":\"y\"}}]"),
                                   "f.json", &g, &n, &e),
                     0);
    assert_int_equal(n, 1);
    assert_true(str_eq_c(g[0].source, "f.json:0"));
    assert_int_equal(
        config_groups(&a, STR("- targets: [a:1, b:2]\n- targets: []\n"), "f.yml", &g, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_int_equal(config_groups(&a, STR("- target: [a:1]\n"), "f.yml", &g, &n, &e), -1);
    assert_non_null(strstr(e.msg, "f.yml:1"));
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_prometheus),
        cmocka_unit_test(relabeling_makes_addresses_of_urls),
        cmocka_unit_test(global_is_what_jobs_begin_with),
        cmocka_unit_test(what_we_do_not_have_is_refused_with_its_line),
        cmocka_unit_test(anchors_and_merges_stand_for_what_they_name),
        cmocka_unit_test(durations_are_read_and_written),
        cmocka_unit_test(groups_are_yaml_and_json),
    };

    return cmocka_run_group_tests(tests, set_up, clean_up);
}
