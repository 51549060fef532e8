#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access_priv.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/http.h"
#include "secrets/secrets.h"
#include "state/state.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The routes through a real server on the loopback. */

static const struct state_schema *const schemas[] = {&access_schema, &secrets_schema, NULL};
static char dir[64];
static struct state *state;
static struct secrets *secrets;
static struct access *ac;
static struct http_server *server;

/* Credentials of one caller: what is added to each request. */
struct caller {
    char headers[512];
};
static struct caller admin, nobody;
static char admin_password[33];

struct answer {
    int status;
    char head[4096];
    char body[16384];
    json_t *json; /* or NULL */
};
static struct answer last;

static int bearer(void *ctx UNUSED, struct http_req *r UNUSED, struct str token,
                  struct principal *out, struct err *e)
{
    if (str_eq_c(token, "jwt-of-admin")) {
        return access_principal(ac, 1, out, e) < 0 ? -1 : 1;
    }
    return str_eq_c(token, "jwt-expired") ? err_set(e, ERR_UNAUTHENTICATED, "expired") : 0;
}

static int start(void **arg UNUSED)
{
    static struct http_mount mount;
    char path[128];
    struct err e = {0};

    (void)snprintf(dir, sizeof(dir), "/tmp/strata-access-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    state = state_open(path, schemas, &e);
    (void)snprintf(path, sizeof(path), "%s/secrets.key", dir);
    secrets = state ? secrets_open(state, path, &e) : NULL;
    ac = secrets ? access_open(state, NULL, &(struct access_hooks){.secrets = secrets}, &e) : NULL;
    if (ac == NULL || access_bootstrap(ac, admin_password, &e) != 1) {
        return -1;
    }
    access_set_bearer(ac, bearer, NULL);
    mount = (struct http_mount){access_routes, ac, NULL};
    server = http_server_open(
        &(struct http_options){.listen = STR("127.0.0.1:0"),
                               .trusted_proxies = STR("127.0.0.1"),
                               .mounts = &mount,
                               .n_mounts = 1,
                               .hooks = {ac, access_authenticate, access_authorize, access_audit}},
        &e);
    if (server == NULL || http_server_start(server, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        return -1;
    }
    return 0;
}

static int stop(void **arg UNUSED)
{
    struct err e;

    json_decref(last.json);
    last.json = NULL;
    http_server_close(server);
    access_close(ac);
    secrets_close(secrets);
    state_close(state);
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static size_t exchange(const char *request, size_t len, char *out, size_t out_size)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)http_server_port(server)),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    SCOPED(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct err e;
    size_t n = 0;
    ssize_t r;

    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fs_write_all(fd, str_n(request, len), &e), 0);
    while ((r = read(fd, out + n, out_size - 1 - n)) > 0) {
        n += (size_t)r;
    }
    out[n] = '\0';
    return n;
}

/* Sends one request and keeps the answer in `last`. */
static int ask(const struct caller *who, const char *method, const char *path, const char *body)
{
    char request[8192], reply[20480];
    char *end;
    struct err e;
    int n = snprintf(request, sizeof(request),
                     "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %zu\r\n"
                     "\r\n%s",
                     method, path, who->headers, body ? strlen(body) : 0, body ? body : "");

    (void)exchange(request, (size_t)n, reply, sizeof(reply));
    end = strstr(reply, "\r\n\r\n");
    assert_non_null(end);
    end[2] = '\0';
    json_decref(last.json);
    last.status = (int)strtol(reply + 9, NULL, 10);
    (void)snprintf(last.head, sizeof(last.head), "%s", reply);
    (void)snprintf(last.body, sizeof(last.body), "%s", end + 4);
    last.json = last.body[0] == '{' ? json_parse(str_of(last.body), &e) : NULL;
    return last.status;
}

static const char *text(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    return s ? s : "(none)";
}

static const char *kind(void)
{
    return text(json_object_get(last.json, "error"), "kind");
}

static struct caller with_password(const char *user, const char *password)
{
    struct buf plain = BUF_MAX(512), coded = BUF_MAX(512);
    struct caller c;

    buf_printf(&plain, "%s:%s", user, password);
    base64_add(&coded, buf_str(&plain));
    (void)snprintf(c.headers, sizeof(c.headers), "Authorization: Basic %s\r\n", coded.p);
    buf_done(&plain);
    buf_done(&coded);
    return c;
}

static struct caller with_bearer(const char *token)
{
    struct caller c;

    (void)snprintf(c.headers, sizeof(c.headers), "Authorization: Bearer %s\r\n", token);
    return c;
}

static void sign_in_admin(void)
{
    admin = with_password("admin", admin_password);
    nobody.headers[0] = '\0';
}

static struct caller add_user(const char *name)
{
    char body[200];
    struct caller c;

    (void)snprintf(body, sizeof(body), "{\"name\":\"%s\",\"password\":\"password of all\"}", name);
    assert_int_equal(ask(&admin, "POST", "/api/v1/users", body), 201);
    c = with_password(name, "password of all");
    assert_int_equal(ask(&c, "POST", "/api/v1/tokens", "{\"name\":\"t\"}"), 201);
    return with_bearer(text(last.json, "token"));
}

static void me_says_who_one_is_however_one_came_in(void **arg UNUSED)
{
    struct caller token, jwt = with_bearer("jwt-of-admin");

    sign_in_admin();
    assert_int_equal(ask(&admin, "GET", "/api/v1/me", NULL), 200);
    assert_string_equal(text(last.json, "name"), "admin");
    assert_string_equal(text(last.json, "kind"), "password");
    assert_true(json_is_true(json_object_get(last.json, "is_admin")));
    assert_true(json_is_array(json_object_get(last.json, "projects")));
    assert_int_equal(ask(&admin, "POST", "/api/v1/tokens", "{\"name\":\"cli\"}"), 201);
    token = with_bearer(text(last.json, "token"));
    assert_int_equal(ask(&token, "GET", "/api/v1/me", NULL), 200);
    assert_string_equal(text(last.json, "kind"), "token");
    assert_int_equal(ask(&jwt, "GET", "/api/v1/me", NULL), 200);
    assert_int_equal(ask(&nobody, "GET", "/api/v1/me", NULL), 401);
    assert_string_equal(kind(), "unauthenticated");
}

static void wrong_credentials_are_401_even_where_anybody_may_come(void **arg UNUSED)
{
    struct caller wrong[] = {
        with_bearer("strata_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        with_bearer("strata_"),
        with_bearer(""),
        with_bearer("jwt-expired"),
        with_bearer("something else"),
        with_password("admin", "wrong"),
        with_password("no-such-user", "wrong"),
        {"Authorization: Basic !!!!\r\n"},
        {"Authorization: Basic YWRtaW4=\r\n"}, /* no colon */
        {"Authorization: Digest x\r\n"},
        {"Authorization: Basic\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (ask(&wrong[i], "GET", "/api/v1/projects", NULL) != 401) {
            fail_msg("%s: %d", wrong[i].headers, last.status);
        }
    }
    sign_in_admin();
    assert_int_equal(ask(&nobody, "GET", "/api/v1/projects", NULL), 200);
}

static void a_page_of_another_site_cannot_use_a_saved_password(void **arg UNUSED)
{
    static const char *const elsewhere[] = {"cross-site", "same-site", "", "Same-Origin"};
    static const char *const here[] = {"same-origin", "none"};
    struct caller c;

    sign_in_admin();
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        c = admin;
        (void)snprintf(c.headers + strlen(c.headers), 60, "Sec-Fetch-Site: %s\r\n", elsewhere[i]);
        assert_int_equal(ask(&c, "POST", "/api/v1/tokens", "{\"name\":\"evil\"}"), 403);
        assert_int_equal(ask(&c, "GET", "/api/v1/me", NULL), 200);
    }
    for (size_t i = 0; i < ARRAY_LEN(here); i++) {
        c = admin;
        (void)snprintf(c.headers + strlen(c.headers), 60, "Sec-Fetch-Site: %s\r\n", here[i]);
        assert_int_equal(ask(&c, "POST", "/api/v1/tokens", "{\"name\":\"good\"}"), 201);
    }
}

/* The cookie of the last answer as a header. */
static struct caller with_cookie(const char *extra)
{
    const char *at = strstr(last.head, "Set-Cookie: strata_session=");
    struct caller c;
    int n;

    assert_non_null(at);
    at += strlen("Set-Cookie: ");
    n = (int)strcspn(at, ";");
    (void)snprintf(c.headers, sizeof(c.headers), "Cookie: a=b; %.*s; c=d\r\n%s", n, at, extra);
    return c;
}

static void log_in(const char *extra)
{
    char body[200];
    struct caller c;

    (void)snprintf(c.headers, sizeof(c.headers), "%s", extra);
    (void)snprintf(body, sizeof(body), "{\"user\":\"admin\",\"password\":\"%s\"}", admin_password);
    assert_int_equal(ask(&c, "POST", "/api/v1/login", body), 200);
}

static void a_session_changes_things_only_with_its_csrf_token(void **arg UNUSED)
{
    struct caller plain, proven, forged;
    char header[100];

    sign_in_admin();
    log_in("");
    assert_string_equal(text(json_object_get(last.json, "user"), "name"), "admin");
    assert_non_null(strstr(last.head, "; Path=/; HttpOnly; SameSite=Strict"));
    assert_null(strstr(last.head, "Secure"));
    (void)snprintf(header, sizeof(header), "X-CSRF-Token: %s\r\n", text(last.json, "csrf"));
    plain = with_cookie("");
    proven = with_cookie(header);
    forged = with_cookie("X-CSRF-Token: 00000000000000000000000000000000\r\n");
    assert_int_equal(ask(&plain, "GET", "/api/v1/me", NULL), 200);
    assert_string_equal(text(last.json, "kind"), "session");
    assert_non_null(strstr(header, text(last.json, "csrf"))); /* after a reload of the page */
    assert_int_equal(ask(&plain, "POST", "/api/v1/projects", "{\"name\":\"demo\"}"), 403);
    assert_int_equal(ask(&forged, "POST", "/api/v1/projects", "{\"name\":\"demo\"}"), 403);
    assert_int_equal(ask(&proven, "POST", "/api/v1/projects", "{\"name\":\"demo\"}"), 201);
    assert_int_equal(ask(&plain, "POST", "/api/v1/logout", NULL), 403);
    assert_int_equal(ask(&proven, "POST", "/api/v1/logout", NULL), 204);
    assert_non_null(strstr(last.head, "Max-Age=0"));
    assert_int_equal(ask(&plain, "GET", "/api/v1/me", NULL), 401);
}

static void behind_https_the_cookie_is_secure(void **arg UNUSED)
{
    log_in("X-Forwarded-Proto: https\r\n");
    assert_non_null(strstr(last.head, "; Secure"));
}

static void an_old_cookie_does_not_keep_one_from_signing_in(void **arg UNUSED)
{
    struct caller old;

    log_in("Cookie: strata_session=0000\r\n");
    old = with_cookie("");
    log_in(old.headers); /* a living session without its CSRF token */
}

static void a_page_of_another_site_cannot_sign_in(void **arg UNUSED)
{
    struct caller c = {"Sec-Fetch-Site: cross-site\r\n"};

    assert_int_equal(ask(&c, "POST", "/api/v1/login", "{\"user\":\"a\",\"password\":\"b\"}"), 403);
    log_in("Sec-Fetch-Site: same-origin\r\n");
}

static void bad_logins_say_what_is_wrong(void **arg UNUSED)
{
    sign_in_admin();
    assert_int_equal(ask(&nobody, "POST", "/api/v1/login", "{\"user\":\"admin\"}"), 400);
    assert_int_equal(ask(&nobody, "POST", "/api/v1/login", "not json"), 400);
    assert_int_equal(
        ask(&nobody, "POST", "/api/v1/login", "{\"user\":\"admin\",\"pasword\":\"x\"}"), 400);
    assert_int_equal(
        ask(&nobody, "POST", "/api/v1/login", "{\"user\":\"admin\",\"password\":\"wrong\"}"), 401);
    assert_int_equal(
        ask(&nobody, "POST", "/api/v1/login", "{\"user\":\"a\\u0000b\",\"password\":\"x\"}"), 400);
    for (int i = 0; i < 10 && last.status != 429; i++) {
        (void)ask(&nobody, "POST", "/api/v1/login", "{\"user\":\"admin\",\"password\":\"wrong\"}");
    }
    assert_int_equal(last.status, 429);
    assert_string_equal(kind(), "throttled");
    assert_int_equal(ask(&admin, "GET", "/api/v1/me", NULL), 429);
}

static void users_are_managed_by_admins(void **arg UNUSED)
{
    struct caller bob;

    sign_in_admin();
    bob = add_user("bob");
    assert_int_equal(ask(&bob, "GET", "/api/v1/users", NULL), 403);
    assert_int_equal(ask(&bob, "PATCH", "/api/v1/users/bob", "{\"is_admin\":true}"), 403);
    assert_int_equal(ask(&nobody, "GET", "/api/v1/users", NULL), 401);
    assert_int_equal(ask(&admin, "GET", "/api/v1/users?limit=1", NULL), 200);
    assert_string_equal(text(last.json, "next"), "admin");
    assert_int_equal(ask(&admin, "GET", "/api/v1/users?limit=0", NULL), 400);
    assert_int_equal(ask(&admin, "GET", "/api/v1/users/bob", NULL), 200);
    assert_string_equal(text(last.json, "name"), "bob");
    assert_null(strstr(last.body, "password"));
    assert_int_equal(ask(&admin, "GET", "/api/v1/users/carol", NULL), 404);
    assert_int_equal(ask(&admin, "PATCH", "/api/v1/users/bob", "{\"is_admin\":true}"), 200);
    assert_true(json_is_true(json_object_get(last.json, "is_admin")));
    assert_int_equal(ask(&bob, "GET", "/api/v1/users", NULL), 200); /* at once */
    assert_int_equal(ask(&admin, "PATCH", "/api/v1/users/bob", "{\"admin\":true}"), 400);
    assert_int_equal(ask(&admin, "PATCH", "/api/v1/users/bob", "{\"disabled\":true}"), 200);
    assert_int_equal(ask(&bob, "GET", "/api/v1/me", NULL), 401);
    assert_int_equal(ask(&admin, "DELETE", "/api/v1/users/bob", NULL), 204);
    assert_int_equal(ask(&admin, "DELETE", "/api/v1/users/admin", NULL), 409);
    assert_int_equal(ask(&admin, "POST", "/api/v1/users", "{\"name\":\"x\",\"password\":\"1\"}"),
                     400);
}

static void one_changes_ones_own_password(void **arg UNUSED)
{
    struct caller bob, as_before = with_password("bob", "password of all");
    struct caller after = with_password("bob", "another password");

    sign_in_admin();
    bob = add_user("bob");
    assert_int_equal(ask(&bob, "PUT", "/api/v1/me/password",
                         "{\"old\":\"wrong one\",\"new\":\"another password\"}"),
                     403);
    assert_int_equal(
        ask(&bob, "PUT", "/api/v1/me/password", "{\"old\":\"password of all\",\"new\":\"short\"}"),
        400);
    assert_int_equal(ask(&bob, "PUT", "/api/v1/me/password",
                         "{\"old\":\"password of all\",\"new\":\"another password\"}"),
                     204);
    assert_int_equal(ask(&as_before, "GET", "/api/v1/me", NULL), 401);
    assert_int_equal(ask(&after, "GET", "/api/v1/me", NULL), 200);
    assert_int_equal(ask(&bob, "GET", "/api/v1/me", NULL), 200); /* tokens live on */
}

static void one_changes_ones_password_five_times_a_minute(void **arg UNUSED)
{
    struct caller bob, carol;

    sign_in_admin();
    bob = add_user("bob");
    carol = add_user("carol");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&bob, "PUT", "/api/v1/me/password",
                             "{\"old\":\"password of all\",\"new\":\"short\"}"),
                         400);
    }
    assert_int_equal(ask(&bob, "PUT", "/api/v1/me/password",
                         "{\"old\":\"password of all\",\"new\":\"another password\"}"),
                     429);
    assert_non_null(strstr(last.head, "Retry-After: "));
    assert_int_equal(ask(&carol, "PUT", "/api/v1/me/password",
                         "{\"old\":\"password of all\",\"new\":\"another password\"}"),
                     204);
}

static void tokens_are_made_listed_and_revoked(void **arg UNUSED)
{
    struct caller narrow;
    char path[64];

    sign_in_admin();
    assert_int_equal(ask(&admin, "POST", "/api/v1/tokens",
                         "{\"name\":\"ci\",\"expires_in_seconds\":60,"
                         "\"scopes\":[\"image:pull\",\"project:read\"]}"),
                     201);
    narrow = with_bearer(text(last.json, "token"));
    (void)snprintf(path, sizeof(path), "/api/v1/tokens/%lld",
                   (long long)json_integer_value(json_object_get(last.json, "id")));
    assert_int_equal(json_array_size(json_object_get(last.json, "scopes")), 2);
    assert_string_not_equal(text(last.json, "expires_at"), "(none)");
    assert_int_equal(ask(&narrow, "GET", "/api/v1/projects/library", NULL), 200);
    assert_int_equal(ask(&narrow, "DELETE", "/api/v1/projects/library", NULL), 403);
    assert_int_equal(ask(&narrow, "POST", "/api/v1/tokens", "{\"name\":\"x\"}"), 403);
    assert_int_equal(ask(&narrow, "GET", "/api/v1/users", NULL), 403);
    assert_int_equal(ask(&admin, "GET", "/api/v1/tokens", NULL), 200);
    assert_null(strstr(last.body, "strata_"));
    assert_non_null(strstr(last.body, "\"name\":\"ci\""));
    assert_int_equal(ask(&admin, "DELETE", path, NULL), 204);
    assert_int_equal(ask(&admin, "DELETE", path, NULL), 404);
    assert_int_equal(ask(&narrow, "GET", "/api/v1/projects/library", NULL), 401);
    assert_int_equal(ask(&admin, "DELETE", "/api/v1/tokens/x", NULL), 404);
}

static void bad_tokens_say_what_is_wrong(void **arg UNUSED)
{
    static const char *const bad[] = {
        "{}",
        "{\"name\":\"\"}",
        "{\"name\":\"x\",\"scopes\":[]}",
        "{\"name\":\"x\",\"scopes\":\"job:read\"}",
        "{\"name\":\"x\",\"scopes\":[\"job:raed\"]}",
        "{\"name\":\"x\",\"scopes\":[1]}",
        "{\"name\":\"x\",\"expires_in_seconds\":0}",
        "{\"name\":\"x\",\"expires_in_seconds\":-1}",
        "{\"name\":\"x\",\"expires_in_seconds\":\"1h\"}",
        "{\"name\":\"x\",\"expires_in_seconds\":9223372036854775807}",
        "{\"name\":\"x\",\"expire\":1}",
        "[]",
    };

    sign_in_admin();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (ask(&admin, "POST", "/api/v1/tokens", bad[i]) != 400) {
            fail_msg("%s: %d", bad[i], last.status);
        }
    }
    assert_int_equal(ask(&admin, "POST", "/api/v1/tokens",
                         "{\"name\":\"x\",\"expires_in_seconds\":null,\"scopes\":null}"),
                     201);
}

static void a_project_and_its_members(void **arg UNUSED)
{
    struct caller bob, carol;

    sign_in_admin();
    bob = add_user("bob");
    carol = add_user("carol");
    assert_int_equal(ask(&nobody, "POST", "/api/v1/projects", "{\"name\":\"demo\"}"), 401);
    assert_int_equal(ask(&bob, "POST", "/api/v1/projects", "{\"name\":\"demo\"}"), 201);
    assert_string_equal(text(last.json, "role"), "maintainer");
    assert_int_equal(ask(&bob, "POST", "/api/v1/projects", "{\"name\":\"demo\"}"), 409);
    assert_int_equal(ask(&bob, "POST", "/api/v1/projects", "{\"name\":\"Demo\"}"), 400);
    assert_int_equal(ask(&carol, "GET", "/api/v1/projects/demo", NULL), 404);
    assert_int_equal(ask(&nobody, "GET", "/api/v1/projects/demo", NULL), 401);
    assert_int_equal(ask(&nobody, "GET", "/api/v1/projects/missing", NULL), 401);
    assert_int_equal(
        ask(&bob, "PUT", "/api/v1/projects/demo/members/carol", "{\"role\":\"guest\"}"), 204);
    assert_int_equal(ask(&carol, "GET", "/api/v1/projects/demo", NULL), 200);
    assert_string_equal(text(last.json, "role"), "guest");
    assert_int_equal(
        ask(&carol, "PUT", "/api/v1/projects/demo/members/carol", "{\"role\":\"maintainer\"}"),
        403);
    assert_int_equal(
        ask(&bob, "PUT", "/api/v1/projects/demo/members/carol", "{\"role\":\"admin\"}"), 400);
    assert_int_equal(ask(&bob, "PUT", "/api/v1/projects/demo/members/dave", "{\"role\":\"guest\"}"),
                     404);
    assert_int_equal(ask(&carol, "GET", "/api/v1/projects/demo/members", NULL), 200);
    assert_string_equal(
        last.body, "{\"items\":[{\"kind\":\"user\",\"user\":\"bob\",\"role\":\"maintainer\"},"
                   "{\"kind\":\"user\",\"user\":\"carol\",\"role\":\"guest\"}],\"next\":null}");
    assert_int_equal(ask(&carol, "GET", "/api/v1/me", NULL), 200);
    assert_non_null(strstr(last.body, "\"projects\":[{\"name\":\"demo\",\"role\":\"guest\"}]"));
    assert_int_equal(ask(&bob, "DELETE", "/api/v1/projects/demo/members/carol", NULL), 204);
    assert_int_equal(ask(&carol, "GET", "/api/v1/projects/demo", NULL), 404);
    assert_int_equal(ask(&bob, "PATCH", "/api/v1/projects/demo", "{\"public\":true}"), 200);
    assert_int_equal(ask(&nobody, "GET", "/api/v1/projects/demo", NULL), 200);
    assert_int_equal(ask(&nobody, "DELETE", "/api/v1/projects/demo", NULL), 401);
    assert_int_equal(ask(&carol, "DELETE", "/api/v1/projects/demo", NULL), 403);
    assert_int_equal(ask(&bob, "DELETE", "/api/v1/projects/demo", NULL), 204);
    assert_int_equal(ask(&bob, "GET", "/api/v1/projects/demo", NULL), 404);
}

static void secrets_are_written_and_never_read(void **arg UNUSED)
{
    struct caller bob;
    struct buf value = BUF_MAX(LIMIT_SECRET_BYTES);
    int64_t id;
    uint32_t base;
    struct err e;

    sign_in_admin();
    bob = add_user("bob");
    assert_int_equal(ask(&bob, "POST", "/api/v1/projects", "{\"name\":\"demo\"}"), 201);
    assert_int_equal(
        ask(&bob, "PUT", "/api/v1/projects/demo/secrets/API_KEY", "{\"value\":\"hush-hush\"}"),
        204);
    assert_int_equal(ask(&bob, "GET", "/api/v1/projects/demo/secrets", NULL), 200);
    assert_non_null(strstr(last.body, "\"name\":\"API_KEY\""));
    assert_non_null(strstr(last.body, "\"updated_by\":\"bob\""));
    assert_null(strstr(last.body, "hush"));
    assert_int_equal(ask(&bob, "GET", "/api/v1/projects/demo/secrets/API_KEY", NULL), 405);
    assert_int_equal(ask(&bob, "PUT", "/api/v1/projects/demo/secrets/API_KEY", "{}"), 400);
    assert_int_equal(ask(&bob, "PUT", "/api/v1/projects/demo/secrets/-x", "{\"value\":\"v\"}"),
                     400);
    assert_int_equal(ask(&nobody, "GET", "/api/v1/projects/demo/secrets", NULL), 401);
    assert_int_equal(access_project(ac, STR("demo"), &id, &base, &e), 0);
    assert_int_equal(secrets_get(secrets, id, STR("API_KEY"), &value, &e), 0);
    assert_string_equal(value.p, "hush-hush");
    buf_done(&value);
    assert_int_equal(ask(&bob, "DELETE", "/api/v1/projects/demo/secrets/API_KEY", NULL), 204);
    assert_int_equal(ask(&bob, "DELETE", "/api/v1/projects/demo/secrets/API_KEY", NULL), 404);
}

static void every_change_is_in_the_audit(void **arg UNUSED)
{
    const json_t *items;
    struct caller bob;

    sign_in_admin();
    bob = add_user("bob");
    assert_int_equal(ask(&bob, "POST", "/api/v1/projects", "{\"name\":\"demo\"}"), 201);
    assert_int_equal(ask(&bob, "GET", "/api/v1/projects/demo", NULL), 200); /* no change */
    assert_int_equal(ask(&bob, "DELETE", "/api/v1/projects/library", NULL), 403);
    log_in("");
    assert_int_equal(ask(&bob, "GET", "/api/v1/audit", NULL), 403);
    assert_int_equal(ask(&admin, "GET", "/api/v1/audit?user=bob&limit=2", NULL), 200);
    items = json_object_get(last.json, "items");
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(text(json_array_get(items, 0), "method"), "DELETE");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(items, 0), "status")), 403);
    assert_string_equal(text(json_array_get(items, 1), "path"), "/api/v1/projects");
    assert_string_equal(text(json_array_get(items, 1), "project"), "demo");
    assert_string_equal(text(json_array_get(items, 1), "peer"), "127.0.0.1");
    assert_true(json_is_string(json_object_get(last.json, "next")));
    assert_int_equal(ask(&admin, "GET", "/api/v1/audit?user=admin&limit=1", NULL), 200);
    items = json_object_get(last.json, "items");
    assert_string_equal(text(json_array_get(items, 0), "path"), "/api/v1/login");
    assert_int_equal(ask(&admin, "GET", "/api/v1/audit?project=demo", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(last.json, "items")), 1);
    assert_int_equal(ask(&admin, "GET", "/api/v1/audit?after=x", NULL), 400);
}

static void the_table_of_permissions_is_shown(void **arg UNUSED)
{
    const json_t *roles;

    sign_in_admin();
    assert_int_equal(ask(&admin, "GET", "/api/v1/permissions", NULL), 200);
    roles = json_object_get(last.json, "roles");
    assert_int_equal(json_object_size(roles), ROLES);
    assert_int_equal(json_array_size(json_object_get(roles, "admin")), PERM_COUNT);
    assert_string_equal(json_string_value(json_array_get(json_object_get(roles, "anonymous"), 0)),
                        "public");
}

/* Each route, as nobody and as a user who is in no project: the column of the table decides. */
static void every_route_refuses_strangers_as_its_row_says(void **arg UNUSED)
{
    struct caller bob;

    sign_in_admin();
    bob = add_user("bob");
    assert_int_equal(ask(&admin, "POST", "/api/v1/projects", "{\"name\":\"closed\"}"), 201);
    for (const struct route *row = access_routes; row->pattern; row++) {
        const char *method = http_method_name(row->method);
        char path[128];
        const char *rest = strstr(row->pattern, "{p}");

        (void)snprintf(path, sizeof(path), "%s", row->pattern);
        if (rest) {
            (void)snprintf(path, sizeof(path), "/api/v1/projects/closed%s", rest + 3);
        }
        if (row->perm == PERM_PUBLIC) {
            continue;
        }
        if (ask(&nobody, method, path, NULL) != 401) {
            fail_msg("%s %s as nobody: %d", method, path, last.status);
        }
        if (perm_where(row->perm) == PERM_WHERE_PROJECT && ask(&bob, method, path, NULL) != 404) {
            fail_msg("%s %s as a stranger: %d", method, path, last.status);
        }
        if (perm_where(row->perm) == PERM_WHERE_SYSTEM && row->perm != PERM_PROJECT_CREATE &&
            ask(&bob, method, path, NULL) != 403) {
            fail_msg("%s %s as a user: %d", method, path, last.status);
        }
    }
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(me_says_who_one_is_however_one_came_in),
        ROW(wrong_credentials_are_401_even_where_anybody_may_come),
        ROW(a_page_of_another_site_cannot_use_a_saved_password),
        ROW(a_session_changes_things_only_with_its_csrf_token),
        ROW(behind_https_the_cookie_is_secure),
        ROW(an_old_cookie_does_not_keep_one_from_signing_in),
        ROW(a_page_of_another_site_cannot_sign_in),
        ROW(bad_logins_say_what_is_wrong),
        ROW(users_are_managed_by_admins),
        ROW(one_changes_ones_own_password),
        ROW(one_changes_ones_password_five_times_a_minute),
        ROW(tokens_are_made_listed_and_revoked),
        ROW(bad_tokens_say_what_is_wrong),
        ROW(a_project_and_its_members),
        ROW(secrets_are_written_and_never_read),
        ROW(every_change_is_in_the_audit),
        ROW(the_table_of_permissions_is_shown),
        ROW(every_route_refuses_strangers_as_its_row_says),
    };

    return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
