#include "base/fs.h"
#include "scrape/notify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct err e;

static void on_change(void *ctx UNUSED) {}

static struct config *read_config(const char *text)
{
    const char *path = "/tmp/notify-test.yml";
    char own[64];
    struct config *c;

    (void)snprintf(own, sizeof(own), "%s.%d", path, (int)getpid());
    assert_int_equal(fs_write_atomic(AT_FDCWD, own, str_of(text), 0600, &e), 0);
    c = config_read(own, NULL, NULL, &e);
    (void)remove(own);
    if (c == NULL) {
        fail_msg("%s", e.msg);
    }
    return c;
}

/* The number behind a row of the metrics. */
static long long number(struct notify *n, const char *row)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(1 << 20);
    const char *at;

    notify_metrics(n, &b);
    at = strstr(b.p, row);
    return at != NULL ? strtoll(at + strlen(row), NULL, 10) : -1;
}

static size_t managers(struct notify *n, struct arena *a, struct scrape_alertmanager **out)
{
    size_t len;

    notify_managers(n, a, out, &len);
    return len;
}

#define ONE "{alertmanager=\"http://127.0.0.1:1/api/v2/alerts\"} "

static void a_full_queue_loses_its_oldest_and_waits_for_nobody(void **state UNUSED)
{
    struct config *c = read_config("alerting:\n  alertmanagers:\n"
                                   "  - static_configs: [{targets: ['127.0.0.1:1']}]\n");
    struct notify *n = notify_new(on_change, NULL);
    struct label p[] = {{STR("alertname"), STR("A")}};
    struct scrape_alert alert = {.labels = {p, 1},
                                 .expression = STR("up == 0"),
                                 .external_url = STR_EMPTY,
                                 .starts_ms = 1000,
                                 .ends_ms = INT64_MAX};

    notify_apply(n, c);
    notify_sync(n);
    for (int i = 0; i < 11000; i++) {
        notify_alert(n, &alert);
    }
    assert_in_range(number(n, "strata_notifications_queue_length" ONE), 10000, 10064);
    assert_in_range(number(n, "strata_notifications_dropped_total" ONE), 936, 1000);
    assert_int_equal(number(n, "strata_notifications_sent_total" ONE), 0);
    notify_free(n);
    config_unref(c);
}

static void what_a_reload_does_not_change_goes_on(void **state UNUSED)
{
    static const char *const texts[] = {
        "alerting:\n  alertmanagers:\n"
        "  - static_configs: [{targets: ['127.0.0.1:1', 'b/c', '127.0.0.1:1', d, \"a\\nb\"]}]\n"
        "    relabel_configs:\n"
        "    - {source_labels: [__address__], regex: d, action: drop}\n",
        "alerting:\n  alertmanagers:\n"
        "  - static_configs: [{targets: ['127.0.0.1:1', 'b/c', '127.0.0.1:1', d, \"a\\nb\"]}]\n"
        "    relabel_configs:\n"
        "    - {source_labels: [__address__], regex: d, action: drop}\n"
        "  - {static_configs: [{targets: ['127.0.0.1:2']}], path_prefix: x, scheme: https}\n",
        "global: {scrape_interval: 1m}\n"};
    struct notify *n = notify_new(on_change, NULL);
    struct label p[] = {{STR("alertname"), STR("A")}};
    struct scrape_alert alert = {.labels = {p, 1}, .ends_ms = INT64_MAX};
    struct arena a = {0};
    struct scrape_alertmanager *m;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct config *c = read_config(texts[i]);
        size_t len;

        notify_apply(n, c);
        notify_sync(n);
        config_unref(c);
        len = managers(n, &a, &m);
        if (i == 0) {
            notify_alert(n, &alert);
        }
        assert_int_equal(number(n, "strata_notifications_queue_length" ONE), i < 2 ? 1 : -1);
        assert_int_equal(len, i == 0 ? 2 : i == 1 ? 3 : 0);
        if (i < 2) {
            assert_true(str_eq_c(m[0].url, "http://127.0.0.1:1/api/v2/alerts"));
            assert_false(m[0].is_dropped);
            assert_true(str_eq_c(m[1].url, "http://d/api/v2/alerts"));
            assert_true(m[1].is_dropped);
        }
        if (i == 1) {
            assert_true(str_eq_c(m[2].url, "https://127.0.0.1:2/x/api/v2/alerts"));
        }
    }
    notify_free(n);
    arena_done(&a);
}

static void what_cannot_be_told_is_counted(void **state UNUSED)
{
    static const char *const relabels[] = {
        "  alert_relabel_configs:\n"
        "  - {source_labels: [x], regex: '(x+x+)+[yz]', target_label: y}\n",
        "    alert_relabel_configs:\n"
        "    - {source_labels: [x], regex: '(x+x+)+[yz]', target_label: y}\n",
        ""};
    SCOPED(buf_done) struct buf text = BUF_MAX(4 << 20);
    struct label p[] = {{STR("alertname"), STR("A")}, {STR("x"), STR_EMPTY}};
    struct scrape_alert alert = {.labels = {p, 2}, .ends_ms = INT64_MAX};

    while (text.len < 2 << 20) {
        (void)buf_add_c(&text, "xxxxxxxxxxxxxxxx");
    }
    for (size_t i = 0; i < ARRAY_LEN(relabels); i++) {
        char file[400];
        struct notify *n = notify_new(on_change, NULL);
        struct config *c;

        (void)snprintf(file, sizeof(file),
                       "alerting:\n  alertmanagers:\n"
                       "  - static_configs: [{targets: ['127.0.0.1:1']}]\n%s",
                       relabels[i]);
        c = read_config(file);
        notify_apply(n, c);
        notify_sync(n);
        p[1].value = str_first(buf_str(&text), i < 2 ? 100 : text.len);
        notify_alert(n, &alert);
        notify_alert(n, &alert);
        assert_int_equal(number(n, "strata_notifications_dropped_total" ONE), 2);
        assert_int_equal(number(n, "strata_notifications_queue_length" ONE), 0);
        notify_free(n);
        config_unref(c);
    }
}

static void an_address_of_two_items_has_one_row(void **state UNUSED)
{
    struct config *c =
        read_config("alerting:\n  alertmanagers:\n"
                    "  - static_configs: [{targets: ['127.0.0.1:1']}]\n"
                    "  - static_configs: [{targets: ['127.0.0.1:0', '127.0.0.1:1']}]\n");
    struct notify *n = notify_new(on_change, NULL);
    struct label p[] = {{STR("alertname"), STR("A")}};
    struct scrape_alert alert = {.labels = {p, 1}, .ends_ms = INT64_MAX};
    SCOPED(buf_done) struct buf b = BUF_MAX(1 << 20);
    const char *first;

    notify_apply(n, c);
    notify_sync(n);
    notify_alert(n, &alert);
    notify_metrics(n, &b);
    first = strstr(b.p, "strata_notifications_queue_length" ONE);
    assert_non_null(first);
    assert_null(strstr(first + 1, "strata_notifications_queue_length" ONE));
    assert_non_null(strstr(first, "strata_notifications_queue_length{"
                                  "alertmanager=\"http://127.0.0.1:0/api/v2/alerts\"}"));
    assert_int_equal(number(n, "strata_notifications_queue_length" ONE), 2);
    assert_int_equal(number(n, "\nstrata_notifications_alertmanagers_discovered "), 3);
    notify_free(n);
    config_unref(c);
}

static void alertmanagers_past_the_limit_are_named(void **state UNUSED)
{
    struct buf text = BUF_MAX(10000);
    struct notify *n = notify_new(on_change, NULL);
    struct arena a = {0};
    struct scrape_alertmanager *m;
    struct config *c;

    (void)buf_add_c(&text, "alerting:\n  alertmanagers:\n  - static_configs: [{targets: [");
    for (int i = 0; i < 66; i++) {
        (void)buf_printf(&text, "'127.0.0.1:%d',", i + 1);
    }
    (void)buf_add(&text, str_n("]}]\n", 5));
    c = read_config(text.p);
    notify_apply(n, c);
    notify_sync(n);
    assert_int_equal(number(n, "\nstrata_notifications_alertmanagers_discovered "), 64);
    assert_int_equal(number(n, "\nstrata_notifications_alertmanagers_dropped "), 2);
    assert_int_equal(managers(n, &a, &m), 66);
    assert_true(m[65].is_dropped && str_eq_c(m[65].url, "http://127.0.0.1:66/api/v2/alerts"));
    notify_free(n);
    config_unref(c);
    arena_done(&a);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_loses_its_oldest_and_waits_for_nobody),
        cmocka_unit_test(what_a_reload_does_not_change_goes_on),
        cmocka_unit_test(what_cannot_be_told_is_counted),
        cmocka_unit_test(an_address_of_two_items_has_one_row),
        cmocka_unit_test(alertmanagers_past_the_limit_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
