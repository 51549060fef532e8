#include "base/fs.h"
#include "scrape/page.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;
static char dir[64];
static struct tsdb *db;
static struct page_memory *memory;
static struct scrape_config config;
static struct page_rules rules;
static struct label target_labels[] = {{{"instance", 8}, {"i:1", 3}}, {{"job", 3}, {"j", 1}}};
static int64_t now = 1700000000000;

static int open_store(void **state UNUSED)
{
    struct tsdb_options o = {.block_ms = 7200000, .max_series = 1000};

    (void)snprintf(dir, sizeof(dir), "/tmp/page-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    db = tsdb_open(dir, &o, &e);
    if (db == NULL) {
        fail_msg("%s", e.msg);
    }
    memory = page_memory_new();
    config = (struct scrape_config){.honor_timestamps = true};
    rules = (struct page_rules){.target = {target_labels, 2}, .config = &config};
    return 0;
}

static int close_store(void **state UNUSED)
{
    page_memory_free(memory);
    tsdb_close(db);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
    return 0;
}

static struct page_counts counts;

/* One scrape, a second after the last. */
static int scrape(const char *text)
{
    struct tsdb_appender *a = tsdb_appender_new(db);
    bool has_meta;
    int rc;

    now += 1000;
    rc = page_read(memory, a, &rules, str_of(text), EXPOSITION_TEXT, now, &counts, &has_meta, &e);
    page_settle(memory, rc == 0);
    if (rc < 0) {
        tsdb_appender_free(a);
        a = tsdb_appender_new(db);
        page_end(memory, a, now);
    }
    assert_int_equal(tsdb_commit(a, TSDB_SOON, &e), 0);
    tsdb_appender_free(a);
    return rc;
}

/* "name{labels} v v stale\n" of all series, by their order. */
static const char *stored(void)
{
    static char text[65536];
    struct arena a = {0};
    struct tsdb_view *v = tsdb_view_open(db, now - 3600000, now);
    struct label_matcher m;
    struct tsdb_found *found;
    struct tsdb_samples s = {0};
    size_t n, len = 0;

    assert_int_equal(label_matcher_init(&m, &a, STR(LABEL_NAME), LABEL_LIKE, STR(".+"), &e), 0);
    assert_int_equal(tsdb_select(v, &m, 1, &a, &found, &n, &e), 0);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < found[i].labels.len; k++) {
            const struct label *l = &found[i].labels.p[k];

            if (!str_eq_c(l->value, "i:1") && !str_eq_c(l->value, "j")) {
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s=%.*s",
                                        k > 0 ? "," : "", STR_ARG(l->name), STR_ARG(l->value));
            }
        }
        assert_int_equal(tsdb_read(v, &found[i], now - 3600000, now, &s, &e), 0);
        for (size_t k = 0; k < s.len; k++) {
            len += tsdb_is_stale(s.v[k])
                       ? (size_t)snprintf(text + len, sizeof(text) - len, " stale")
                       : (size_t)snprintf(text + len, sizeof(text) - len, " %g", s.v[k]);
        }
        len += (size_t)snprintf(text + len, sizeof(text) - len, "\n");
    }
    tsdb_samples_done(&s);
    tsdb_view_close(v);
    arena_done(&a);
    return text;
}

static void lines_find_their_series_wherever_they_stand(void **state UNUSED)
{
    assert_int_equal(scrape("a 1\nb 1\nc{x=\"1\"} 1\nd 1\n"), 0);
    assert_int_equal(counts.added, 4);
    assert_int_equal(scrape("a 2\nb 2\nc{x=\"1\"} 2\nd 2\n"), 0);
    assert_int_equal(counts.added, 0);
    assert_int_equal(scrape("new 3\nd 3\nc{x=\"1\"} 3\nb 3\na 3\n"), 0);
    assert_int_equal(counts.added, 1);
    assert_int_equal(scrape("a 4\nnew 4\nb 4\nb 4\nc{x=\"1\"} 4\nd 4\n"), 0);
    assert_int_equal(counts.scraped, 6);
    assert_string_equal(stored(), "__name__=a 1 2 3 4\n__name__=b 1 2 3 4\n"
                                  "__name__=c,x=1 1 2 3 4\n__name__=d 1 2 3 4\n"
                                  "__name__=new 3 4\n");
}

static void what_vanishes_gets_its_marker(void **state UNUSED)
{
    assert_int_equal(scrape("a 1\nb 1\nc 1 1700000000500\n"), 0);
    assert_int_equal(scrape("a 2\n"), 0); /* c had times of its own: no marker */
    assert_int_equal(scrape("a 3\nb 3\n"), 0);
    assert_int_equal(counts.added, 1);
    assert_string_equal(stored(), "__name__=a 1 2 3\n__name__=b 1 stale 3\n__name__=c 1\n");
}

static void a_bad_line_ends_the_page_and_its_series(void **state UNUSED)
{
    assert_int_equal(scrape("a 1\nb 1\n"), 0);
    assert_int_equal(scrape("a 2\nneu 2\nb zwei\n"), -1);
    assert_non_null(strstr(e.msg, "line 3"));
    assert_int_equal(scrape("neu 3\na 3\nb 3\n"), 0);
    assert_string_equal(stored(), "__name__=a 1 stale 3\n__name__=b 1 stale 3\n__name__=neu 3\n");
}

static void labels_of_the_target_win_or_give_way(void **state UNUSED)
{
    assert_int_equal(scrape("a{job=\"x\",exported_job=\"y\"} 1\n"), 0);
    config.honor_labels = true;
    assert_int_equal(scrape("b{job=\"x\"} 1\n"), 0);
    assert_string_equal(stored(), "__name__=a,exported_exported_job=x,exported_job=y 1 stale\n"
                                  "__name__=b,job=x 1\n");
}

static void limits_fail_the_page(void **state UNUSED)
{
    config.limits.samples = 2;
    assert_int_equal(scrape("a 1\nb 1\nc 1\nd 1\n"), -1);
    assert_non_null(strstr(e.msg, "sample limit"));
    assert_int_equal(counts.scraped, 4);
    config.limits = (struct scrape_limits){.labels = 3};
    assert_int_equal(scrape("a{x=\"1\"} 1\n"), -1);
    assert_non_null(strstr(e.msg, "label_limit"));
    config.limits = (struct scrape_limits){.label_value = 5};
    assert_int_equal(scrape("a{x=\"123456\"} 1\n"), -1);
    assert_int_equal(scrape("a{x=\"12345\"} 1\n"), 0);
}

static void times_far_ahead_are_not_taken(void **state UNUSED)
{
    assert_int_equal(scrape("a 1 9000000000000\nb 1\n"), 0);
    assert_int_equal(counts.out_of_order, 1);
    assert_string_equal(stored(), "__name__=b 1\n");
}

static void rules_drop_and_change_series(void **state UNUSED)
{
    struct arena a = {0};
    struct str name = STR(LABEL_NAME);
    struct relabel_rule r[] = {{.source_labels = &name,
                                .n_source_labels = 1,
                                .regex = STR("go_.*"),
                                .action = RELABEL_DROP},
                               {.target_label = STR("dc"), .replacement = STR("x")}};

    assert_int_equal(relabel_init(&r[0], &a, &e), 0);
    assert_int_equal(relabel_init(&r[1], &a, &e), 0);
    rules.relabel = (struct relabel){r, 2};
    assert_int_equal(scrape("go_x 1\na 1\n"), 0);
    assert_int_equal(scrape("go_x 2\na 2\n"), 0);
    assert_int_equal(counts.scraped, 2);
    assert_int_equal(counts.kept, 1);
    assert_string_equal(stored(), "__name__=a,dc=x 1 2\n");
    arena_done(&a);
}

#define IN_A_STORE(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_STORE(lines_find_their_series_wherever_they_stand),
        IN_A_STORE(what_vanishes_gets_its_marker),
        IN_A_STORE(a_bad_line_ends_the_page_and_its_series),
        IN_A_STORE(labels_of_the_target_win_or_give_way),
        IN_A_STORE(limits_fail_the_page),
        IN_A_STORE(times_far_ahead_are_not_taken),
        IN_A_STORE(rules_drop_and_change_series),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
