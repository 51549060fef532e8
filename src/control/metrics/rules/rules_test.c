#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/lock.h"
#include "rules/rules.h"
#include "tsdb/tsdb.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;
static const struct promql_limits limits = {1000000, 300000, 60000, NULL, NULL};

struct world {
    char dir[64];
    struct tsdb *db;
    struct arena arena;
    struct rule_file file;
    struct rule_run *run;
    struct buf out;
};

static void open_world(struct world *w, const char *rules)
{
    static const struct tsdb_options options = {.block_ms = 7200000, .max_series = 100000};
    struct err_list errors = {0};

    memset(w, 0, sizeof(*w));
    snprintf(w->dir, sizeof(w->dir), "/tmp/rules-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->db = tsdb_open(w->dir, &options, &e);
    assert_non_null(w->db);
    w->out = BUF_MAX(1 << 20);
    if (rules_parse(&w->arena, str_of(rules), &w->file, &errors) < 0) {
        fail_msg("line %u: %s", errors.items[0].line, errors.items[0].msg);
    }
    w->run = w->file.n_groups > 0 ? rule_run_new(&w->file.groups[0]) : NULL;
}

static void close_world(struct world *w)
{
    rule_run_free(w->run);
    tsdb_close(w->db);
    assert_int_equal(fs_remove_tree(AT_FDCWD, w->dir, &e), 0);
    arena_done(&w->arena);
    buf_done(&w->out);
}

/* A sample of m{i="<instance>"}. */
static void put(struct world *w, const char *instance, int64_t ts_ms, double v)
{
    struct tsdb_appender *a = tsdb_appender_new(w->db);
    struct label p[] = {{STR(LABEL_NAME), STR("m")}, {STR("i"), str_of(instance)}};

    assert_int_equal(tsdb_append(a, tsdb_series(a, (struct labels){p, 2}), ts_ms, v), TSDB_TAKEN);
    assert_int_equal(tsdb_commit(a, TSDB_SOON, &e), 0);
    tsdb_appender_free(a);
}

static void work(struct world *w, int64_t at_ms)
{
    struct rule_host host = {.db = w->db, .limits = &limits};

    rule_run_eval(w->run, &host, at_ms);
}

/* n samples of m{i="00000"}, ... */
static void put_many(struct world *w, int n, int64_t ts_ms, double v)
{
    struct tsdb_appender *a = tsdb_appender_new(w->db);

    for (int i = 0; i < n; i++) {
        char text[16];
        struct label p[] = {{STR(LABEL_NAME), STR("m")}, {STR("i"), str_of(text)}};

        snprintf(text, sizeof(text), "%05d", i);
        p[1].value = str_of(text);
        assert_int_equal(tsdb_append(a, tsdb_series(a, (struct labels){p, 2}), ts_ms, v),
                         TSDB_TAKEN);
    }
    assert_int_equal(tsdb_commit(a, TSDB_SOON, &e), 0);
    tsdb_appender_free(a);
}

/* "x{i=1} 2; ..." of a query at a moment. */
static const char *ask(struct world *w, int64_t at_ms, const char *query)
{
    struct promql_node *n = promql_parse(&w->arena, str_of(query), &e);
    struct promql_range now = {at_ms, at_ms, 0};
    struct promql_answer a;
    int64_t from, to;

    assert_non_null(n);
    promql_times(n, &now, &limits, &from, &to);

    SCOPED(tsdb_view_closep) struct tsdb_view *view = tsdb_view_open(w->db, from, to);

    assert_int_equal(promql_run(view, n, &now, &limits, &w->arena, &a, &e), 0);
    buf_clear(&w->out);
    for (size_t i = 0; i < a.n_rows; i++) {
        (void)buf_add(&w->out, i > 0 ? STR("; ") : STR_EMPTY);
        (void)buf_add(&w->out, labels_get(a.rows[i].labels, STR(LABEL_NAME)));
        for (size_t k = 0; k < a.rows[i].labels.len; k++) {
            struct label l = a.rows[i].labels.p[k];

            if (!str_eq(l.name, STR(LABEL_NAME))) {
                (void)buf_printf(&w->out, ",%.*s=%.*s", STR_ARG(l.name), STR_ARG(l.value));
            }
        }
        (void)buf_printf(&w->out, " %g", a.rows[i].v[0]);
    }
    return w->out.len > 0 ? w->out.p : "";
}

static void a_later_rule_sees_what_an_earlier_one_wrote(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  labels: {team: t, a: group}\n  rules:\n"
                   "  - {record: one, expr: m, labels: {a: rule, i: ''}}\n"
                   "  - {record: two, expr: one + 1}\n"
                   "  - {record: three, expr: 3}\n");
    put(&w, "1", 1000, 5);
    work(&w, 1500);
    assert_string_equal(ask(&w, 1500, "one"), "one,a=rule,team=t 5");
    assert_string_equal(ask(&w, 1500, "two"), "two,a=group,team=t 6");
    assert_string_equal(ask(&w, 1500, "three"), "three,a=group,team=t 3");
    assert_int_equal(rule_run_health(w.run, 1)->samples, 1);
    close_world(&w);
}

static void a_series_that_does_not_come_again_ends(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  rules:\n  - {record: r, expr: m > 1}\n");
    put(&w, "1", 1000, 5);
    put(&w, "2", 1000, 6);
    work(&w, 2000);
    put(&w, "1", 60000, 0);
    work(&w, 60000);
    assert_string_equal(ask(&w, 59999, "r"), "r,i=1 5; r,i=2 6");
    assert_string_equal(ask(&w, 60000, "r"), "r,i=2 6");
    close_world(&w);
}

static void what_was_written_in_this_moment_ends_behind_it(void **state UNUSED)
{
    struct world w;
    struct rule_host host = {.limits = &limits};

    open_world(&w, "groups:\n- name: g\n  rules:\n  - {record: r, expr: m}\n");
    host.db = w.db;
    put(&w, "1", 1000, 5);
    work(&w, 2000);
    assert_int_equal(rule_run_end(w.run, &host, 2000, &e), 0);
    assert_string_equal(ask(&w, 2001, "r"), "");
    close_world(&w);
}

static void the_moment_asked_for_is_moved_by_the_offset(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  query_offset: 1m\n  rules:\n  - {record: r, expr: m}\n");
    put(&w, "1", 1000, 5);
    put(&w, "1", 61000, 6);
    work(&w, 100000);
    assert_string_equal(ask(&w, 40000, "r"), "r,i=1 5");
    assert_string_equal(ask(&w, 39999, "r"), "");
    close_world(&w);
}

static void too_many_and_equal_series_are_errors(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  limit: 1\n  rules:\n  - {record: r, expr: m}\n"
                   "  - {record: s, expr: m, labels: {i: same}}\n");
    put(&w, "1", 1000, 5);
    work(&w, 1000);
    assert_string_equal(rule_run_health(w.run, 0)->error, "");
    put(&w, "2", 2000, 5);
    work(&w, 2000);
    assert_string_equal(rule_run_health(w.run, 0)->error, "exceeded limit of 1 with 2 series");
    assert_string_equal(
        rule_run_health(w.run, 1)->error,
        "vector contains metrics with the same labelset after applying rule labels");
    assert_string_equal(ask(&w, 2000, "{__name__=~\"r|s\"}"), "r,i=1 5; s,i=same 5");
    close_world(&w);
}

static const struct rule_alert *alert(struct world *w, size_t n)
{
    size_t len;
    const struct rule_alert *a = rule_run_alerts(w->run, 0, &len);

    assert_int_equal(len, n);
    return a;
}

static void an_alert_waits_fires_is_kept_and_ends(void **state UNUSED)
{
    struct world w;
    const struct rule_alert *a;

    open_world(&w, "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: m == 0\n    for: 1m\n"
                   "    keep_firing_for: 2m\n    labels: {sev: 'x{{ $labels.i }}'}\n"
                   "    annotations: {text: '{{ $value }}'}\n");
    put(&w, "1", 0, 0);
    work(&w, 1000);
    a = alert(&w, 1);
    assert_int_equal(a[0].state, RULE_PENDING);
    assert_string_equal(ask(&w, 1000, "ALERTS"),
                        "ALERTS,alertname=Down,alertstate=pending,i=1,sev=x1 1");
    put(&w, "1", 61000, 0);
    work(&w, 61000);
    a = alert(&w, 1);
    assert_int_equal(a[0].state, RULE_FIRING);
    assert_true(str_eq(labels_get(a[0].annotations, STR("text")), STR("0")));
    assert_string_equal(ask(&w, 61000, "ALERTS"),
                        "ALERTS,alertname=Down,alertstate=firing,i=1,sev=x1 1");
    assert_string_equal(ask(&w, 61000, "ALERTS_FOR_STATE"),
                        "ALERTS_FOR_STATE,alertname=Down,i=1,sev=x1 1");
    put(&w, "1", 121000, 1);
    work(&w, 121000);
    assert_int_equal(alert(&w, 1)[0].state, RULE_FIRING); /* kept from here on, two minutes */
    work(&w, 181000);
    assert_int_equal(alert(&w, 1)[0].state, RULE_FIRING);
    work(&w, 241000);
    assert_int_equal(alert(&w, 1)[0].state, RULE_INACTIVE);
    assert_string_equal(ask(&w, 241000, "ALERTS"), "");
    work(&w, 241000 + 15 * 60000);
    (void)alert(&w, 1);
    work(&w, 241000 + 16 * 60000);
    (void)alert(&w, 0);
    close_world(&w);
}

/* "Down 301;" for each that was sent: until when it is believed, in seconds. */
static void note_sent(void *ctx, const struct rule *rule, const struct rule_alert *a UNUSED,
                      int64_t ends_ms)
{
    (void)buf_printf(ctx, "%.*s %lld;", STR_ARG(rule->name), (long long)ends_ms / 1000);
}

static const char *sent(struct world *w, int64_t at_ms)
{
    struct rule_sink to = {note_sent, &w->out};

    work(w, at_ms);
    buf_clear(&w->out);
    rule_run_send(w->run, &to, at_ms, 15000);
    return w->out.len > 0 ? w->out.p : "";
}

static void alerts_are_sent_when_they_fire_each_minute_and_when_they_end(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: m == 0}\n"
                   "  - {alert: Pending, expr: m == 0, for: 1h}\n");
    put(&w, "1", 0, 0);
    assert_string_equal(sent(&w, 1000), "A 241;");
    assert_string_equal(sent(&w, 16000), "");
    assert_string_equal(sent(&w, 62000), "A 302;");
    put(&w, "1", 70000, 1);
    assert_string_equal(sent(&w, 76000), "A 76;");
    assert_string_equal(sent(&w, 91000), "");
    assert_string_equal(sent(&w, 137000), "A 76;");
    put(&w, "1", 140000, 0); /* anew, at once */
    assert_string_equal(sent(&w, 141000), "A 381;");
    close_world(&w);
}

static void a_pending_alert_that_goes_is_forgotten(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: m == 0, for: 1h}\n");
    put(&w, "1", 0, 0);
    work(&w, 1000);
    (void)alert(&w, 1);
    put(&w, "1", 2000, 1);
    work(&w, 2000);
    (void)alert(&w, 0);
    close_world(&w);
}

/* How often it was asked whether the rule is over, and from when on it is. */
struct counting {
    int asked, ends;
};

static bool count_and_end(void *ctx)
{
    struct counting *c = ctx;

    return ++c->asked >= c->ends;
}

/* How often it was asked while the group was worked out. */
static int work_until(struct world *w, int64_t at_ms, int ends)
{
    struct counting c = {0, ends};
    struct promql_limits counted = limits;
    struct rule_host host = {.db = w->db, .limits = &counted};

    counted.is_over = count_and_end;
    counted.ctx = &c;
    rule_run_eval(w->run, &host, at_ms);
    return c.asked;
}

static void an_alert_over_the_limit_costs_no_templates(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  limit: 10\n  rules:\n  - alert: A\n    expr: m == 0\n"
                   "    annotations: {all: '{{ query \"count(m)\" | first | value }}'}\n");
    put_many(&w, 10, 1000, 0);
    work(&w, 1000);
    (void)alert(&w, 10);
    put_many(&w, 500, 2000, 0);
    assert_in_range(work_until(&w, 2000, INT32_MAX), 1, 2000);
    assert_string_equal(rule_run_health(w.run, 0)->error, "exceeded limit of 10 with 500 alerts");
    (void)alert(&w, 0);
    close_world(&w);
}

static void a_rule_that_takes_too_long_ends_and_its_alerts_stay(void **state UNUSED)
{
    struct world w;
    int asked;

    open_world(&w, "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: m == 0\n"
                   "    annotations: {i: '{{ $labels.i }}'}\n");
    put_many(&w, 100, 1000, 0);
    asked = work_until(&w, 1000, INT32_MAX);
    assert_in_range(asked, 100, 1000);
    (void)alert(&w, 100);
    put_many(&w, 100, 2000, 0);
    assert_int_equal(work_until(&w, 2000, asked), asked);
    assert_string_equal(rule_run_health(w.run, 0)->error,
                        "the templates of 100 alerts take too long: aggregate the expression, or "
                        "give the group a limit");
    assert_true(alert(&w, 100)[99].state == RULE_FIRING);
    close_world(&w);
}

static void alerts_are_in_the_order_of_their_labels_and_bounded(void **state UNUSED)
{
    struct world w;
    char why[200];

    open_world(&w, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: m == 0}\n");
    put(&w, "00002", 0, 0);
    put(&w, "00000", 0, 1);
    work(&w, 1000);
    put_many(&w, 4, 2000, 0);
    work(&w, 2000);
    for (size_t i = 0; i < 4; i++) {
        const struct rule_alert *a = &alert(&w, 4)[i];

        assert_int_equal(labels_get(a->labels, STR("i")).p[4], '0' + (int)i);
        assert_int_equal(a->active_at_ms, i == 2 ? 1000 : 2000);
    }
    put_many(&w, LIMIT_RULE_ALERTS + 1, 3000, 0);
    work(&w, 3000);
    snprintf(why, sizeof(why),
             "the expression gives %d alerts; at most %d are kept: ", LIMIT_RULE_ALERTS + 1,
             LIMIT_RULE_ALERTS);
    assert_memory_equal(rule_run_health(w.run, 0)->error, why, strlen(why));
    assert_int_equal(alert(&w, 4)[3].state, RULE_FIRING);
    close_world(&w);
}

/* Another process: nothing is known but what is in the store. */
static void start_again(struct world *w)
{
    rule_run_free(w->run);
    w->run = rule_run_new(&w->file.groups[0]);
    rule_run_restore(w->run);
}

static void an_alert_waits_on_after_a_restart(void **state UNUSED)
{
    static const struct {
        int64_t ran, down, active; /* minutes: until it stops, not running, since when it is then */
    } rows[] = {
        {20, 5, 5},   /* the time without us does not count */
        {55, 10, 15}, /* five minutes were left: it gets ten */
        {61, 10, 0},  /* it was firing */
        {20, 70, 90}, /* too long ago: anew, at the first turn after the start */
    };
    const int64_t min = 60000;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t now = (rows[i].ran + rows[i].down) * min;
        char since[80];
        struct world w;

        open_world(&w, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: m == 0, for: 1h}\n");
        for (int64_t t = 0; t <= rows[i].ran; t++) {
            put(&w, "1", t * min, 0);
            work(&w, t * min);
        }
        start_again(&w);
        put(&w, "1", now, 0);
        work(&w, now);
        assert_int_equal(alert(&w, 1)->state, RULE_PENDING);
        assert_int_equal(alert(&w, 1)->active_at_ms, now);
        work(&w, now);
        assert_int_equal(alert(&w, 1)->active_at_ms, rows[i].active * min);
        put(&w, "1", now + min, 0);
        work(&w, now + min);
        assert_int_equal(alert(&w, 1)->state, rows[i].ran > 60 ? RULE_FIRING : RULE_PENDING);
        snprintf(since, sizeof(since), "ALERTS_FOR_STATE,alertname=A,i=1 %lld",
                 (long long)rows[i].active * 60);
        assert_string_equal(ask(&w, now + min, "ALERTS_FOR_STATE"), since);
        close_world(&w);
    }
}

static void a_short_wait_begins_anew_after_a_restart(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: m == 0, for: 5m}\n");
    put(&w, "1", 0, 0);
    work(&w, 1000);
    start_again(&w);
    work(&w, 61000);
    work(&w, 62000);
    assert_int_equal(alert(&w, 1)->active_at_ms, 61000);
    close_world(&w);
}

static void an_alert_is_kept_firing_over_a_restart(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: m == 0, "
                   "keep_firing_for: 5m, labels: {sev: page}}\n"
                   "  - {alert: A, expr: m == 0, keep_firing_for: 5m, labels: {sev: other}}\n");
    put(&w, "1", 0, 0);
    work(&w, 1000);
    start_again(&w);
    put(&w, "1", 60000, 1);
    work(&w, 60000);
    (void)alert(&w, 0);
    work(&w, 61000);
    assert_int_equal(alert(&w, 1)->state, RULE_FIRING);
    work(&w, 62000);
    assert_string_equal(ask(&w, 62000, "ALERTS{sev='page'}"),
                        "ALERTS,alertname=A,alertstate=firing,i=1,sev=page 1");
    work(&w, 301000);
    assert_int_equal(alert(&w, 1)->state, RULE_INACTIVE);
    close_world(&w);
}

static void no_more_are_kept_than_the_limit_of_the_group(void **state UNUSED)
{
    struct world w;

    open_world(&w, "groups:\n- name: g\n  limit: 3\n  rules:\n"
                   "  - {alert: A, expr: m == 0, keep_firing_for: 5m}\n");
    put_many(&w, 3, 0, 0);
    work(&w, 1000);
    put_many(&w, 3, 30000, 1);
    put(&w, "new", 30000, 0);
    start_again(&w);
    work(&w, 60000);
    (void)alert(&w, 1);
    work(&w, 61000);
    (void)alert(&w, 3); /* two of the old ones beside it */
    work(&w, 62000);
    assert_string_equal(rule_run_health(w.run, 0)->error, "");
    close_world(&w);
}

static void mistakes_are_all_told_with_their_lines(void **state UNUSED)
{
    static const struct {
        unsigned line;
        const char *msg;
    } expected[] = {
        {3, "a group has no key \"intervall\"; is it \"interval\"?"},
        {5, "a recording rule has no for"},
        {6, "could not parse expression: 1:5: parse error: unexpected end of input"},
        {8, "one of \"record\" and \"alert\" must be set"},
        {9, "t: function \"nope\" is not known in templates of alerts"},
        {10, "groupname: \"a\" is repeated in the same file"},
    };
    struct err_list errors = {0};
    struct arena a = {0};
    struct rule_file file;

    assert_int_equal(
        rules_parse(&a,
                    STR("groups:\n"
                        "- name: a\n"
                        "  intervall: 1m\n"
                        "  rules:\n"
                        "  - record: x\n"
                        "    expr: sum(\n"
                        "    for: 5m\n"
                        "  - expr: up\n"
                        "  - {alert: b, expr: up, annotations: {t: '{{ $value | nope }}'}}\n"
                        "- name: a\n"),
                    &file, &errors),
        -1);
    assert_int_equal(errors.len, ARRAY_LEN(expected));
    for (size_t i = 0; i < errors.len; i++) {
        assert_int_equal(errors.items[i].line, expected[i].line);
        assert_string_equal(errors.items[i].msg, expected[i].msg);
    }
    err_list_done(&errors);
    arena_done(&a);
}

static void note_time(void *ctx, const struct rules_shown *g)
{
    *(int64_t *)ctx = g->at_ms;
}

/* When the group was worked out for the first time since it was read; 0: not within 20 s. */
static int64_t first_time(struct rules *r)
{
    struct lock l;
    int64_t at_ms = 0, deadline = clock_mono_ms() + 20000;

    lock_init(&l, LOCK_wire);
    lock_take(&l);
    while (at_ms == 0 && clock_mono_ms() < deadline) {
        (void)lock_wait_until(&l, clock_mono_ms() + 5);
        rules_visit(r, note_time, &at_ms);
    }
    lock_drop(&l);
    lock_done(&l);
    return at_ms;
}

static void a_server_works_out_its_groups_at_their_interval(void **state UNUSED)
{
    struct world w;
    const char *path;
    int64_t at_ms = 0;

    open_world(&w, "");
    path = arena_printf(&w.arena, "%s.yml", w.dir);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path,
                                     STR("groups:\n- name: g\n  interval: 10ms\n  rules:\n"
                                         "  - {record: now, expr: time()}\n"),
                                     0600, &e),
                     0);

    const struct rules_parts parts = {
        .db = w.db, .files = &path, .n_files = 1, .interval_ms = 60000, .max_samples = 1000};
    struct rules *r = rules_open(&parts, &e);

    assert_non_null(r);
    at_ms = first_time(r);
    assert_true(at_ms > 0);
    assert_memory_equal(ask(&w, clock_wall_ms(), "now"), "now ", 4);
    /* another rule in the same file: "late" comes, "now" ends; a mistake changes nothing */
    for (int broken = 0; broken < 2; broken++) {
        assert_int_equal(fs_write_atomic(AT_FDCWD, path,
                                         broken ? STR("groups: 1\n")
                                                : STR("groups:\n- name: g\n  interval: 10ms\n"
                                                      "  rules:\n"
                                                      "  - {record: late, expr: time()}\n"),
                                         0600, &e),
                         0);
        assert_int_equal(rules_reload(r, &parts, &e), broken ? -1 : 0);
        assert_true(first_time(r) > 0);
        assert_memory_equal(ask(&w, clock_wall_ms(), "late"), "late ", 5);
        assert_string_equal(ask(&w, clock_wall_ms(), "now"), "");
    }
    rules_close(r);
    (void)remove(path);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_rule_sees_what_an_earlier_one_wrote),
        cmocka_unit_test(a_series_that_does_not_come_again_ends),
        cmocka_unit_test(what_was_written_in_this_moment_ends_behind_it),
        cmocka_unit_test(the_moment_asked_for_is_moved_by_the_offset),
        cmocka_unit_test(too_many_and_equal_series_are_errors),
        cmocka_unit_test(an_alert_waits_fires_is_kept_and_ends),
        cmocka_unit_test(alerts_are_sent_when_they_fire_each_minute_and_when_they_end),
        cmocka_unit_test(a_pending_alert_that_goes_is_forgotten),
        cmocka_unit_test(an_alert_over_the_limit_costs_no_templates),
        cmocka_unit_test(a_rule_that_takes_too_long_ends_and_its_alerts_stay),
        cmocka_unit_test(alerts_are_in_the_order_of_their_labels_and_bounded),
        cmocka_unit_test(an_alert_waits_on_after_a_restart),
        cmocka_unit_test(a_short_wait_begins_anew_after_a_restart),
        cmocka_unit_test(an_alert_is_kept_firing_over_a_restart),
        cmocka_unit_test(no_more_are_kept_than_the_limit_of_the_group),
        cmocka_unit_test(mistakes_are_all_told_with_their_lines),
        cmocka_unit_test(a_server_works_out_its_groups_at_their_interval),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
