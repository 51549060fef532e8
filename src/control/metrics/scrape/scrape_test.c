#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "scrape/scrape.h"
#include "tsdb/tsdb.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct err e;
static char dir[64];
static struct tsdb *db;
static struct scrape *scraper;

/* --- a target: answers every connection with what it is told to say --- */

static struct {
    int fd;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock;
    char says[4096], heard[4096];
    bool is_silent; /* keeps connections and says nothing */
    int kept[64];
    size_t n_kept;
} peer = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static void say(const char *status, const char *type, const char *body)
{
    (void)pthread_mutex_lock(&peer.lock);
    (void)snprintf(peer.says, sizeof(peer.says),
                   "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                   "Connection: close\r\n\r\n%s",
                   status, type, strlen(body), body);
    (void)pthread_mutex_unlock(&peer.lock);
}

static void answer(int c)
{
    char head[4096];
    size_t n = 0;

    head[0] = '\0';
    while (n + 1 < sizeof(head) && strstr(head, "\r\n\r\n") == NULL) {
        ssize_t got = read(c, head + n, sizeof(head) - 1 - n);

        if (got <= 0) {
            break;
        }
        n += (size_t)got;
        head[n] = '\0';
    }
    (void)pthread_mutex_lock(&peer.lock);
    memcpy(peer.heard, head, sizeof(head));
    if (peer.is_silent && peer.n_kept < ARRAY_LEN(peer.kept)) {
        peer.kept[peer.n_kept++] = c;
        c = -1;
    } else {
        (void)!write(c, peer.says, strlen(peer.says));
    }
    (void)pthread_mutex_unlock(&peer.lock);
    if (c >= 0) {
        (void)close(c);
    }
}

static void *serve(void *ctx UNUSED)
{
    for (;;) {
        int c = accept4(peer.fd, NULL, NULL, SOCK_CLOEXEC);

        if (c < 0) {
            return NULL;
        }
        answer(c);
    }
}

static int set_up(void **state UNUSED)
{
    struct tsdb_options o = {.block_ms = 7200000, .max_series = 1000};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    (void)snprintf(dir, sizeof(dir), "/tmp/scrape-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    db = tsdb_open(dir, &o, &e);
    assert_non_null(db);
    peer.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer.fd, (struct sockaddr *)(void *)&a, sizeof(a)), 0);
    assert_int_equal(listen(peer.fd, 64), 0);
    assert_int_equal(getsockname(peer.fd, (struct sockaddr *)(void *)&a, &len), 0);
    peer.port = ntohs(a.sin_port);
    peer.is_silent = false;
    say("200 OK", "text/plain; version=0.0.4", "a 1\nb 2\n");
    assert_int_equal(pthread_create(&peer.thread, NULL, serve, NULL), 0);
    return 0;
}

static int clean_up(void **state UNUSED)
{
    scrape_stop(scraper);
    scraper = NULL;
    (void)shutdown(peer.fd, SHUT_RDWR);
    (void)close(peer.fd);
    (void)pthread_join(peer.thread, NULL);
    while (peer.n_kept > 0) {
        (void)close(peer.kept[--peer.n_kept]);
    }
    tsdb_close(db);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
    return 0;
}

/* --- what the tests ask --- */

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

/* "%P" is the peer's port. */
static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "we");
    const char *at;

    assert_non_null(f);
    while ((at = strstr(text, "%P")) != NULL) {
        (void)fprintf(f, "%.*s%u", (int)(at - text), text, peer.port);
        text = at + 2;
    }
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void begin(const char *text)
{
    struct scrape_options o = {.db = db};

    write_file("p.yml", text);
    o.config_file = path_of("p.yml");
    scraper = scrape_start(&o, &e);
    if (scraper == NULL) {
        fail_msg("%s", e.msg);
    }
}

/* The newest value of a series of that name; NAN-free: -1 without. `stale`: it ended. */
static double newest(const char *name, bool *stale)
{
    struct arena a = {0};
    int64_t now = clock_wall_ms();
    struct tsdb_view *v = tsdb_view_open(db, now - 600000, now + 10000);
    struct label_matcher m;
    struct tsdb_found *found;
    struct tsdb_samples s = {0};
    size_t n;
    double value = -1;

    *stale = false;
    assert_int_equal(label_matcher_init(&m, &a, STR(LABEL_NAME), LABEL_IS, str_of(name), &e), 0);
    assert_int_equal(tsdb_select(v, &m, 1, &a, &found, &n, &e), 0);
    if (n > 0) {
        assert_int_equal(tsdb_read(v, &found[0], now - 600000, now + 10000, &s, &e), 0);
        if (s.len > 0) {
            *stale = tsdb_is_stale(s.v[s.len - 1]);
            value = *stale ? -1 : s.v[s.len - 1];
        }
    }
    tsdb_samples_done(&s);
    tsdb_view_close(v);
    arena_done(&a);
    return value;
}

static void rest(void)
{
    struct timespec t = {.tv_nsec = 5000000};

    (void)nanosleep(&t, NULL);
}

static void until(const char *name, double value)
{
    int64_t deadline = clock_mono_ms() + 20000;
    bool stale;

    while (newest(name, &stale) != value) {
        if (clock_mono_ms() > deadline) {
            fail_msg("%s is %g, not %g", name, newest(name, &stale), value);
        }
        rest();
    }
}

static void until_stale(const char *name)
{
    int64_t deadline = clock_mono_ms() + 20000;
    bool stale = false;

    while (newest(name, &stale), !stale) {
        if (clock_mono_ms() > deadline) {
            fail_msg("%s does not end", name);
        }
        rest();
    }
}

/* The error of the only target, once it has one. */
static const char *until_error(void)
{
    static char text[512];
    int64_t deadline = clock_mono_ms() + 20000;

    for (text[0] = '\0'; text[0] == '\0';) {
        struct arena a = {0};
        struct scrape_target *t;
        size_t n;

        if (clock_mono_ms() > deadline) {
            fail_msg("no error");
        }
        scrape_targets(scraper, &a, &t, &n);
        assert_int_equal(n, 1);
        if (t[0].health == SCRAPE_DOWN) {
            (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(t[0].error));
        }
        arena_done(&a);
        rest();
    }
    return text;
}

#define JOB                                                                                        \
    "scrape_configs:\n- job_name: j\n  scrape_interval: 50ms\n"                                    \
    "  static_configs: [{targets: ['127.0.0.1:%P']}]\n"

/* --- promises --- */

static void a_target_is_scraped_with_its_reports(void **state UNUSED)
{
    begin(JOB "  params: {x: ['1 2']}\n  bearer_token: geheim\n");
    until("a", 1);
    until("up", 1);
    until("scrape_samples_scraped", 2);
    until("scrape_samples_post_metric_relabeling", 2);
    until("scrape_timeout_seconds", 0.05);
    (void)pthread_mutex_lock(&peer.lock);
    assert_non_null(strstr(peer.heard, "GET /metrics?x=1+2 HTTP/1.1\r\n"));
    assert_non_null(strstr(peer.heard, "Accept-Encoding: gzip"));
    assert_non_null(strstr(peer.heard, "Authorization: Bearer geheim"));
    assert_non_null(strstr(peer.heard, "X-Prometheus-Scrape-Timeout-Seconds: 0.05"));
    assert_non_null(strstr(peer.heard, "application/openmetrics-text;version=1.0.0"));
    (void)pthread_mutex_unlock(&peer.lock);
}

static void bad_answers_are_down_with_a_reason(void **state UNUSED)
{
    begin(JOB);
    until("up", 1);
    say("404 Not Found", "text/plain", "no");
    until("up", 0);
    until_stale("a");
    assert_non_null(strstr(until_error(), "404"));
    say("200 OK", "text/html", "a 1\n");
    until("up", 0);
    say("200 OK", "text/plain", "a 7\n");
    until("a", 7);
    until_stale("b");
    say("200 OK", "text/plain", "a 8\nb eins\n");
    until("up", 0);
    until_stale("a");
    assert_non_null(strstr(until_error(), "line 2"));
}

static void who_says_nothing_or_too_much_is_cut(void **state UNUSED)
{
    char *page = xcalloc(1, 3000);

    memset(page, '#', 2900);
    begin(JOB "  body_size_limit: 1KB\n");
    until("up", 1);
    say("200 OK", "text/plain", page);
    until("up", 0);
    assert_non_null(strstr(until_error(), "body size limit"));
    say("200 OK", "text/plain", "a 1\n");
    until("up", 1);
    (void)pthread_mutex_lock(&peer.lock);
    peer.is_silent = true;
    (void)pthread_mutex_unlock(&peer.lock);
    until("up", 0);
    free(page);
}

static void a_reload_keeps_what_did_not_change(void **state UNUSED)
{
    struct arena a = {0};
    struct scrape_target *t;
    size_t n;

    begin(JOB);
    until("a", 1);
    write_file("p.yml",
               JOB "- job_name: k\n  static_configs: [{targets: [x:1]}]\n"
                   "  relabel_configs: [{action: drop, source_labels: [job], regex: k}]\n");
    assert_int_equal(scrape_reload(scraper, &e), 0);
    scrape_targets(scraper, &a, &t, &n);
    assert_int_equal(n, 2);
    assert_int_equal(t[0].health, SCRAPE_UP); /* the loop of before */
    assert_true(t[1].is_dropped);
    assert_true(str_eq_c(labels_get(t[1].discovered, STR("__address__")), "x:1"));
    write_file("p.yml", "scrape_configs: [\n");
    assert_int_equal(scrape_reload(scraper, &e), -1);
    write_file("p.yml", "scrape_configs:\n");
    assert_int_equal(scrape_reload(scraper, &e), 0);
    until_stale("a");
    until_stale("up");
    arena_done(&a);
}

static void files_of_targets_are_watched(void **state UNUSED)
{
    write_file("t.json", "[]");
    begin("scrape_configs:\n- job_name: f\n  scrape_interval: 50ms\n"
          "  file_sd_configs: [{files: ['t*.json']}]\n");
    write_file("t.json", "[{\"targets\":[\"127.0.0.1:%P\"],\"labels\":{\"x\":\"y\"}}]");
    until("a", 1);
    write_file("t.json", "no json: [");
    write_file("t2.json", "[]");
    until("up", 1);
    write_file("t.json", "[]");
    until_stale("a");
}

static void metadata_is_kept(void **state UNUSED)
{
    struct arena a = {0};
    struct scrape_metadata *m;
    int64_t deadline = clock_mono_ms() + 20000;
    size_t n;

    say("200 OK", "text/plain", "# HELP a What a is.\n# TYPE a gauge\na 1\n");
    begin(JOB);
    for (n = 0; n == 0; rest()) {
        assert_true(clock_mono_ms() < deadline);
        scrape_metadata(scraper, STR("a"), 0, &a, &m, &n);
    }
    assert_true(str_eq_c(m[0].type, "gauge"));
    assert_true(str_eq_c(m[0].help, "What a is."));
    arena_done(&a);
}

#define WITH_A_PEER(f) cmocka_unit_test_setup_teardown(f, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_A_PEER(a_target_is_scraped_with_its_reports),
        WITH_A_PEER(bad_answers_are_down_with_a_reason),
        WITH_A_PEER(who_says_nothing_or_too_much_is_cut),
        WITH_A_PEER(a_reload_keeps_what_did_not_change),
        WITH_A_PEER(files_of_targets_are_watched),
        WITH_A_PEER(metadata_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
