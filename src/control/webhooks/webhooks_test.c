#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access/access.h"
#include "base/cidr.h"
#include "base/clock.h"
#include "base/fs.h"
#include "secrets/secrets.h"
#include "state/state.h"
#include "webhooks_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct state_schema *const schemas[] = {&access_schema, &secrets_schema,
                                                     &webhooks_schema, NULL};
static char dir[64], path[128];
static struct state *state;
static struct access *ac;
static struct secrets *secrets;
static struct webhooks *hooks;
static struct cidr everywhere[1]; /* nothing leaves the test */
static struct err e;

static int start(void **arg UNUSED)
{
    char password[33];

    (void)snprintf(dir, sizeof(dir), "/tmp/strata-webhooks-XXXXXX");
    if (mkdtemp(dir) == NULL || cidr_parse(STR("::/0"), &everywhere[0]) < 0) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    state = state_open(path, schemas, &e);
    (void)snprintf(path, sizeof(path), "%s/secrets.key", dir);
    secrets = state ? secrets_open(state, path, &e) : NULL;
    ac = secrets ? access_open(state, NULL, NULL, &e) : NULL;
    if (ac == NULL || access_bootstrap(ac, password, &e) < 0) { /* makes the project library */
        return -1;
    }
    hooks = webhooks_open(&(struct webhooks_parts){.state = state,
                                                   .access = ac,
                                                   .secrets = secrets,
                                                   .denied = everywhere,
                                                   .n_denied = 1,
                                                   .host = "hub.example:8080"},
                          &e);
    return hooks ? 0 : -1;
}

static int stop(void **arg UNUSED)
{
    webhooks_close(hooks);
    access_close(ac);
    secrets_close(secrets);
    state_close(state);
    hooks = NULL;
    clock_set_wall_ms(0);
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static int64_t library(void)
{
    uint32_t base;
    int64_t id = 0;

    assert_int_equal(access_project(ac, STR("library"), &id, &base, &e), 0);
    return id;
}

static int64_t add(unsigned events, const char *tags)
{
    struct hook_change c = {.given = HOOK_HAS_NAME | HOOK_HAS_URL | HOOK_HAS_EVENTS,
                            .name = STR("ci"),
                            .url = STR("http://127.0.0.1:1/"),
                            .events = events,
                            .tags = str_of(tags),
                            .enabled = true};
    int64_t id = 0;

    assert_int_equal(hook_add(hooks, library(), &c, STR("ada"), &id, &e), 0);
    return id;
}

static int64_t count;

static int count_fn(struct state_db *db, void *ctx UNUSED, struct err *err)
{
    return state_one_i64(db, &count, err, "", "SELECT count(*) FROM webhook_deliveries", "");
}

static int64_t deliveries(void)
{
    assert_int_equal(state_read(state, count_fn, NULL, &e), 0);
    return count;
}

struct told {
    struct webhook_news news;
    bool undoes;
};

static int tell_fn(struct state_db *db, void *ctx, struct err *err)
{
    const struct told *t = ctx;

    if (webhooks_queue(hooks, db, &t->news, err) < 0) {
        return -1;
    }
    return t->undoes ? err_set(err, ERR_CONFLICT, "the change is undone") : 0;
}

static const struct webhook_image image = {STR("v1"), STR("sha256:1234")};

static struct webhook_news news_of(enum webhook_event event)
{
    return (struct webhook_news){.event = event,
                                 .project_id = hooks ? library() : 0,
                                 .repository = STR("library/team/app"),
                                 .repository_created_ms = 1586922308000,
                                 .by = STR("ada"),
                                 .images = &image,
                                 .n_images = 1};
}

static void tell(enum webhook_event event)
{
    struct told t = {.news = news_of(event)};

    assert_int_equal(state_write(state, tell_fn, &t, &e), 0);
}

/* --- */

static void an_event_lives_and_dies_with_its_change(void **arg UNUSED)
{
    struct told undone = {.news = news_of(WEBHOOK_PUSH), .undoes = true};

    tell(WEBHOOK_PUSH);
    assert_int_equal(deliveries(), 0);
    (void)add(EVENT_BIT(WEBHOOK_PUSH), "");
    assert_int_equal(state_write(state, tell_fn, &undone, &e), -1);
    assert_int_equal(deliveries(), 0);
    tell(WEBHOOK_DELETE);
    assert_int_equal(deliveries(), 0);
    tell(WEBHOOK_PUSH);
    assert_int_equal(deliveries(), 1);
}

static void a_hook_that_is_off_is_told_nothing(void **arg UNUSED)
{
    struct hook_key k = {library(), add(EVENT_BIT(WEBHOOK_PUSH), "")};
    struct hook_change off = {.given = HOOK_HAS_ENABLED};

    assert_int_equal(hook_update(hooks, &k, &off, &e), 0);
    tell(WEBHOOK_PUSH);
    assert_int_equal(deliveries(), 0);
    k.project_id++;
    assert_int_equal(hook_update(hooks, &k, &off, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void a_full_project_is_told_of_once_a_minute(void **arg UNUSED)
{
    int64_t now = clock_wall_ms();

    (void)add(EVENT_BIT(WEBHOOK_QUOTA_EXCEED), "v*");
    clock_set_wall_ms(now);
    tell(WEBHOOK_QUOTA_EXCEED);
    tell(WEBHOOK_QUOTA_EXCEED);
    assert_int_equal(deliveries(), 1);
    clock_set_wall_ms(now + 61 * 1000);
    tell(WEBHOOK_QUOTA_EXCEED);
    assert_int_equal(deliveries(), 2);
}

static void notes_are_kept_only_for_who_asks(void **arg UNUSED)
{
    struct webhook_news pull = news_of(WEBHOOK_PULL);

    assert_int_equal(interests_read(hooks, &e), 0);
    webhooks_note(hooks, &pull);
    assert_int_equal(notes_write(hooks, &e), 0);
    assert_int_equal(deliveries(), 0);
    (void)add(EVENT_BIT(WEBHOOK_PULL), "");
    webhooks_note(hooks, &pull);
    assert_int_equal(notes_write(hooks, &e), 0);
    assert_int_equal(deliveries(), 1);
}

static void a_project_takes_its_hooks_along(void **arg UNUSED)
{
    (void)add(EVENT_BIT(WEBHOOK_PUSH), "");
    tell(WEBHOOK_PUSH);
    assert_int_equal(webhooks_project_gone(hooks, library(), &e), 0);
    assert_int_equal(deliveries(), 0);
}

static char *body_of(enum hook_format format, const struct webhook_news *n)
{
    static char text[4096];
    unsigned char chosen[4] = {1, 1, 1, 1};
    struct buf b = BUF_MAX(sizeof(text) - 1);

    payload_write(&(struct payload){.news = n,
                                    .project = "library",
                                    .is_public = true,
                                    .host = "hub.example:8080",
                                    .hook_id = 7,
                                    .at_ms = 1586922308123,
                                    .request_id = "abc",
                                    .format = format,
                                    .chosen = chosen},
                  &b);
    assert_false(b.failed);
    (void)snprintf(text, sizeof(text), "%s", b.p);
    buf_done(&b);
    return text;
}

#define DATA                                                                                       \
    "{\"resources\":[{\"digest\":\"sha256:1234\",\"tag\":\"v1\","                                  \
    "\"resource_url\":\"hub.example:8080/library/team/app:v1\"}],"                                 \
    "\"repository\":{\"date_created\":1586922308,\"name\":\"team/app\","                           \
    "\"namespace\":\"library\",\"repo_full_name\":\"library/team/app\",\"repo_type\":\"public\"}}"

static void bodies_are_harbors(void **arg UNUSED)
{
    struct webhook_news push = news_of(WEBHOOK_PUSH);
    struct webhook_news copied = {.event = WEBHOOK_REPLICATION,
                                  .by = STR("ada"),
                                  .about = STR("{\"job_status\":\"Success\"}")};

    assert_string_equal(body_of(HOOK_DEFAULT, &push),
                        "{\"type\":\"PUSH_ARTIFACT\",\"occur_at\":1586922308,"
                        "\"operator\":\"ada\",\"event_data\":" DATA "}");
    assert_string_equal(
        body_of(HOOK_CLOUDEVENTS, &push),
        "{\"specversion\":\"1.0\",\"id\":\"abc\",\"requestid\":\"abc\","
        "\"source\":\"/api/v1/projects/library/webhooks/7\",\"type\":\"harbor.artifact.pushed\","
        "\"datacontenttype\":\"application/json\",\"time\":\"2020-04-15T03:45:08.123Z\","
        "\"data\":" DATA ",\"operator\":\"ada\"}");
    assert_string_equal(body_of(HOOK_DEFAULT, &copied),
                        "{\"type\":\"REPLICATION\",\"occur_at\":1586922308,\"operator\":\"ada\","
                        "\"event_data\":{\"replication\":{\"harbor_hostname\":"
                        "\"hub.example:8080\",\"job_status\":\"Success\"}}}");
    copied.about = STR("{}");
    assert_non_null(strstr(body_of(HOOK_DEFAULT, &copied), "{\"replication\":{\"harbor_hostname\":"
                                                           "\"hub.example:8080\"}}"));
}

static void filters_choose_images(void **arg UNUSED)
{
    const struct webhook_image images[] = {
        {STR("v1"), STR("sha256:1")}, {STR("dev"), STR("sha256:2")}, {{0}, STR("sha256:3")}};
    struct webhook_news n = news_of(WEBHOOK_DELETE);
    unsigned char chosen[3];

    n.images = images;
    n.n_images = 3;
    assert_true(payload_filter(&n, STR_EMPTY, STR_EMPTY, chosen));
    assert_memory_equal(chosen, "\1\1\1", 3);
    assert_true(payload_filter(&n, STR("team/*"), STR("v*"), chosen));
    assert_memory_equal(chosen, "\1\0\0", 3);
    assert_false(payload_filter(&n, STR("team/*"), STR("w*"), chosen));
    assert_false(payload_filter(&n, STR("app"), STR_EMPTY, chosen));
    n.event = WEBHOOK_QUOTA_WARNING;
    n.n_images = 0;
    assert_true(payload_filter(&n, STR("app"), STR("w*"), chosen));
}

static void tries_are_further_and_further_apart(void **arg UNUSED)
{
    int64_t all = 0;

    assert_int_equal(queue_delay_ms(5000, 1), 5000);
    assert_int_equal(queue_delay_ms(5000, 2), 15000);
    assert_int_equal(queue_delay_ms(5000, 6), 1200000);
    assert_int_equal(queue_delay_ms(5000, INT64_MAX), 1200000);
    for (int i = 1; i <= 8; i++) {
        all += queue_delay_ms(5000, i);
    }
    assert_true(all > 3600 * 1000);
}

static void addresses_are_looked_at(void **arg UNUSED)
{
    static const char *const good[] = {"http://h", "https://h.example:8443/a?b=c@d",
                                       "http://[::1]:1/", "http://h/%20"};
    static const char *const bad[] = {"",
                                      "http://",
                                      "http:///x",
                                      "HTTP://h/",
                                      "ftp://h/",
                                      "http://u@h/",
                                      "http://u:p@h",
                                      "http://h/ ",
                                      "http://h/#",
                                      "http://h\\@g/",
                                      "http://h:99999/",
                                      "http://h/\n",
                                      "http://h/\xc3\xa9",
                                      "//h/"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(hook_url_check(str_of(good[i]), &e), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(hook_url_check(str_of(bad[i]), &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

static void another_server_does_not_get_the_header(void **arg UNUSED)
{
    struct hook_key k = {library(), add(EVENT_BIT(WEBHOOK_PUSH), "")};
    struct hook_change c = {.given = HOOK_HAS_AUTH, .auth = STR("Bearer x")};

    assert_int_equal(hook_update(hooks, &k, &c, &e), 0);
    c = (struct hook_change){.given = HOOK_HAS_URL, .url = STR("http://127.0.0.1:1/other")};
    assert_int_equal(hook_update(hooks, &k, &c, &e), 0);
    c.url = STR("http://127.0.0.1:2/");
    assert_int_equal(hook_update(hooks, &k, &c, &e), -1);
    assert_non_null(strstr(e.msg, "auth_header"));
    c.given |= HOOK_HAS_AUTH;
    c.auth = STR_EMPTY;
    assert_int_equal(hook_update(hooks, &k, &c, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_event_lives_and_dies_with_its_change, start, stop),
        cmocka_unit_test_setup_teardown(a_hook_that_is_off_is_told_nothing, start, stop),
        cmocka_unit_test_setup_teardown(a_full_project_is_told_of_once_a_minute, start, stop),
        cmocka_unit_test_setup_teardown(notes_are_kept_only_for_who_asks, start, stop),
        cmocka_unit_test_setup_teardown(a_project_takes_its_hooks_along, start, stop),
        cmocka_unit_test_setup_teardown(another_server_does_not_get_the_header, start, stop),
        cmocka_unit_test(bodies_are_harbors),
        cmocka_unit_test(filters_choose_images),
        cmocka_unit_test(tries_are_further_and_further_apart),
        cmocka_unit_test(addresses_are_looked_at),
    };

    return cmocka_run_group_tests_name("webhooks", tests, NULL, NULL);
}
