#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access_priv.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "net/http.h"
#include "state/state.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct state_schema *const schemas[] = {&access_schema, NULL};
static char dir[64], db_path[128], wal_path[140];
static struct state *state;
static struct access *ac;

static struct hook_log {
    int gone;
    int64_t gone_id;
    bool refuse;
    bool was_visible;
    char events[4096];
} hook_log;

static int project_gone(void *ctx UNUSED, int64_t id, struct str name, struct err *e)
{
    struct principal admin = {.user_id = 1, .is_admin = true, .scopes = PERM_ALL};

    hook_log.gone++;
    hook_log.gone_id = id;
    hook_log.was_visible = access_permissions(ac, &admin, name) != 0;
    return hook_log.refuse ? err_set(e, ERR_CONFLICT, "a job is running") : 0;
}

static void on_event(void *ctx UNUSED, const char *type, const struct http_audience *to UNUSED,
                     struct str json)
{
    size_t n = strlen(hook_log.events);

    (void)snprintf(hook_log.events + n, sizeof(hook_log.events) - n, "%s %.*s\n", type,
                   STR_ARG(json));
}

static const struct access_hooks hooks = {.project_gone = project_gone, .event = on_event};

static int start(void **arg UNUSED)
{
    struct err e;

    (void)snprintf(dir, sizeof(dir), "/tmp/strata-access-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(db_path, sizeof(db_path), "%s/state.db", dir);
    (void)snprintf(wal_path, sizeof(wal_path), "%s-wal", db_path);
    hook_log = (struct hook_log){0};
    state = state_open(db_path, schemas, &e);
    ac = state ? access_open(state, NULL, &hooks, &e) : NULL;
    return ac ? 0 : -1;
}

static int stop(void **arg UNUSED)
{
    struct err e;

    clock_set_wall_ms(0);
    access_close(ac);
    state_close(state);
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static struct user add_user(const char *name, unsigned flags)
{
    struct user u = {0};
    struct err e = {0};

    (void)!access_user_add(ac, str_of(name), STR("password of all"), flags, &u, &e);
    assert_string_equal(e.msg, "");
    return u;
}

/* Without the 15 ms of a hash. */
static int insert_plain(struct state_db *db, void *name, struct err *e)
{
    return state_run(db, e, "INSERT INTO users(name, is_admin, created_ms) VALUES(?, 0, 1)", "z",
                     (const char *)name);
}

static struct principal principal_of(const char *name)
{
    struct principal p = {0};
    struct user u;
    struct err e = {0};

    if (access_user_get(ac, str_of(name), &u, &e) < 0) {
        assert_int_equal(state_write(state, insert_plain, (void *)name, &e), 0);
        assert_int_equal(access_user_get(ac, str_of(name), &u, &e), 0);
    }
    access_set_principal(&p, PRINCIPAL_PASSWORD, u.id, u.is_admin ? USER_ADMIN : 0, str_of(name));
    return p;
}

static struct principal nobody(void)
{
    struct principal p;

    access_set_principal(&p, PRINCIPAL_ANONYMOUS, 0, 0, STR("anonymous"));
    return p;
}

static void add_project(const struct principal *maker, const char *name, unsigned flags)
{
    struct err e = {0};

    (void)!access_project_add(ac, maker, str_of(name), flags, &e);
    assert_string_equal(e.msg, "");
}

static enum err_kind verify(const char *user, const char *password)
{
    struct principal who;
    struct err e = {0};

    if (access_verify(ac, str_of(user), str_of(password), "10.0.0.1", &who, &e) == 0) {
        assert_string_equal(who.name, user);
        return ERR_NONE;
    }
    return e.kind;
}

static struct token add_token(const struct principal *who, int64_t expires_ms, uint64_t scopes)
{
    struct token t = {0};
    struct err e = {0};

    (void)!access_token_add(ac, who, STR("test"), expires_ms, scopes, &t, &e);
    assert_string_equal(e.msg, "");
    return t;
}

static enum err_kind verify_token(const char *text, struct principal *who)
{
    struct err e = {0};

    return access_verify_token(ac, str_of(text), who, &e) == 0 ? ERR_NONE : e.kind;
}

static void the_first_start_makes_admin_and_library_once(void **arg UNUSED)
{
    char password[33] = "", again[33] = "none";
    struct principal who;
    int64_t id;
    uint32_t base;
    struct err e = {0};

    assert_int_equal(access_bootstrap(ac, password, &e), 1);
    assert_int_equal(strlen(password), 20);
    assert_int_equal(access_bootstrap(ac, again, &e), 0);
    assert_string_equal(again, "none");
    assert_int_equal(access_verify(ac, STR("admin"), str_of(password), "::1", &who, &e), 0);
    assert_true(who.is_admin);
    assert_int_equal(access_project(ac, STR("library"), &id, &base, &e), 0);
    assert_int_equal(base, 100000000 + id * 65536);
    who = nobody();
    assert_true(access_permissions(ac, &who, STR("library")) & PERM_BIT(PERM_IMAGE_PULL));
}

static void the_first_start_can_be_begun_again(void **arg UNUSED)
{
    struct principal maker = {.name = "admin", .is_admin = true};
    struct err e = {0};

    assert_int_equal(access_is_empty(ac, &e), 1);
    add_project(&maker, "library", PROJECT_PUBLIC); /* and then the power went */
    assert_int_equal(access_is_empty(ac, &e), 1);
    assert_int_equal(access_bootstrap_with(ac, STR("written down"), &e), 1);
    assert_int_equal(access_is_empty(ac, &e), 0);
    assert_int_equal(access_bootstrap_with(ac, STR("another one"), &e), 0);
    assert_int_equal(verify("admin", "written down"), ERR_NONE);
}

static void every_wrong_sign_in_gets_the_same_answer(void **arg UNUSED)
{
    struct user_change disable = {.disabled = CHANGE_SET};
    struct principal who;
    struct user u;
    struct err wrong = {0}, unknown = {0}, disabled = {0}, longer = {0};
    char big[1000];

    memset(big, 'x', sizeof(big));
    (void)add_user("alice", USER_ADMIN);
    (void)add_user("bob", 0);
    assert_int_equal(access_user_change(ac, STR("bob"), &disable, &u, &wrong), 0);
    assert_int_equal(verify("alice", "password of all"), ERR_NONE);
    assert_int_equal(access_verify(ac, STR("alice"), STR("wrong"), "::1", &who, &wrong), -1);
    assert_int_equal(access_verify(ac, STR("carol"), STR("wrong"), "::1", &who, &unknown), -1);
    assert_int_equal(access_verify(ac, STR("bob"), STR("password of all"), "::1", &who, &disabled),
                     -1);
    assert_int_equal(access_verify(ac, STR("alice"), str_n(big, sizeof(big)), "::1", &who, &longer),
                     -1);
    assert_int_equal(wrong.kind, ERR_UNAUTHENTICATED);
    assert_string_equal(wrong.msg, unknown.msg);
    assert_string_equal(wrong.msg, disabled.msg);
    assert_string_equal(wrong.msg, longer.msg);
}

static void a_changed_password_acts_at_once_in_spite_of_the_cache(void **arg UNUSED)
{
    struct user_change change = {.password = STR("another password")};
    struct user u;
    struct err e;

    (void)add_user("alice", USER_ADMIN);
    assert_int_equal(verify("alice", "password of all"), ERR_NONE);
    assert_int_equal(verify("alice", "password of all"), ERR_NONE); /* cached */
    assert_int_equal(access_user_change(ac, STR("alice"), &change, &u, &e), 0);
    assert_int_equal(verify("alice", "password of all"), ERR_UNAUTHENTICATED);
    assert_int_equal(verify("alice", "another password"), ERR_NONE);
}

static int64_t generation_of(const char *name)
{
    struct principal p = {0};
    struct user u = {0};
    struct err e = {0};

    assert_int_equal(access_user_get(ac, str_of(name), &u, &e), 0);
    assert_int_equal(access_principal(ac, u.id, &p, &e), 0);
    return p.generation;
}

/* What the registry makes from a password names its generation. */
static void a_password_has_another_generation_than_the_one_before(void **arg UNUSED)
{
    struct user_change password = {.password = STR("another password")};
    struct user_change admin = {.is_admin = CHANGE_SET}, off = {.disabled = CHANGE_SET},
                       on = {.disabled = CHANGE_CLEAR};
    struct principal who = {0};
    struct user u = add_user("alice", 0);
    char cookie[COOKIE_SIZE];
    struct err e = {0};

    (void)add_user("root", USER_ADMIN);
    assert_int_equal(generation_of("alice"), 0);
    assert_int_equal(access_user_change(ac, STR("alice"), &admin, &u, &e), 0);
    assert_int_equal(generation_of("alice"), 0);
    assert_int_equal(access_user_change(ac, STR("alice"), &password, &u, &e), 0);
    assert_int_equal(generation_of("alice"), 1);
    assert_int_equal(access_user_change(ac, STR("alice"), &off, &u, &e), 0);
    assert_int_equal(access_user_change(ac, STR("alice"), &on, &u, &e), 0);
    assert_int_equal(generation_of("alice"), 2);
    for (int i = 0; i < 2; i++) { /* also out of the cache */
        assert_int_equal(
            access_verify(ac, STR("alice"), STR("another password"), "10.0.0.1", &who, &e), 0);
        assert_int_equal(who.generation, 2);
    }
    assert_int_equal(access_session_new(ac, u.id, "10.0.0.1", cookie, &e), 0);
    assert_int_equal(access_session_find(ac, str_of(cookie), &who, &e), 0);
    assert_int_equal(who.generation, 2);
}

static void guessing_is_throttled_but_tokens_go_on(void **arg UNUSED)
{
    struct principal alice, who;
    struct token t;
    int tries = 0;

    (void)add_user("alice", USER_ADMIN);
    alice = principal_of("alice");
    t = add_token(&alice, 0, PERM_ALL);
    while (verify("alice", "wrong") == ERR_UNAUTHENTICATED && tries < 50) {
        tries++;
    }
    assert_int_equal(tries, 6);
    assert_int_equal(verify("alice", "password of all"), ERR_THROTTLED);
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_int_equal(verify("alice", t.text), ERR_NONE);
}

static void *verify_ten(void *good)
{
    for (int i = 0; i < 10; i++) {
        enum err_kind kind;

        do { /* a slow machine says "too many sign-ins at a time: try again" */
            kind = verify("alice", "password of all");
        } while (kind == ERR_UNAVAILABLE);
        __atomic_fetch_add((int *)good, kind == ERR_NONE, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void right_sign_ins_side_by_side_are_never_throttled(void **arg UNUSED)
{
    pthread_t threads[16];
    int good = 0;

    (void)add_user("alice", USER_ADMIN);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, verify_ten, &good), 0);
    }
    for (int i = 0; i < 16; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(good, 160);
}

static void a_token_works_until_it_expires(void **arg UNUSED)
{
    int64_t now = 1800000000000;
    struct principal alice, who;
    struct token t;

    clock_set_wall_ms(now);
    alice = principal_of("alice");
    t = add_token(&alice, now + 60000, PERM_ALL);
    assert_int_equal(strlen(t.text), 47);
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_string_equal(who.name, "alice");
    assert_int_equal(who.kind, PRINCIPAL_TOKEN);
    assert_int_equal(who.token_id, t.id);
    clock_set_wall_ms(now + 59999);
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    clock_set_wall_ms(now + 60000); /* still cached, and expired all the same */
    assert_int_equal(verify_token(t.text, &who), ERR_UNAUTHENTICATED);
}

static void a_revoked_token_stops_at_once(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob"), who;
    struct token t = add_token(&alice, 0, PERM_ALL);
    struct err e;

    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_int_equal(access_token_delete(ac, &bob, t.id, &e), -1); /* not his */
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_int_equal(access_token_delete(ac, &alice, t.id, &e), 0);
    assert_int_equal(verify_token(t.text, &who), ERR_UNAUTHENTICATED);
}

static void other_texts_are_no_tokens(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), who;
    struct token t = add_token(&alice, 0, PERM_ALL);

    t.text[46] = t.text[46] == 'a' ? 'b' : 'a';
    assert_int_equal(verify_token(t.text, &who), ERR_UNAUTHENTICATED);
    assert_int_equal(verify_token("strata_", &who), ERR_UNAUTHENTICATED);
    assert_int_equal(verify_token("", &who), ERR_UNAUTHENTICATED);
}

static void a_token_with_the_name_of_another_user_is_refused(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct token t = add_token(&alice, 0, PERM_ALL);

    assert_int_equal(verify("alice", t.text), ERR_NONE);
    assert_int_equal(verify("bob", t.text), ERR_UNAUTHENTICATED);
}

static void tokens_and_sessions_of_a_disabled_or_deleted_user_stop_at_once(void **arg UNUSED)
{
    struct user_change disable = {.disabled = CHANGE_SET}, enable = {.disabled = CHANGE_CLEAR};
    char cookie[COOKIE_SIZE];
    struct principal bob, who;
    struct token t;
    struct user u;
    struct err e;

    (void)add_user("root-like", USER_ADMIN);
    bob = principal_of("bob");
    t = add_token(&bob, 0, PERM_ALL);
    assert_int_equal(access_session_new(ac, bob.user_id, "::1", cookie, &e), 0);
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_int_equal(access_principal(ac, bob.user_id, &who, &e), 0);
    assert_int_equal(access_session_find(ac, str_of(cookie), &who, &e), 0);

    assert_int_equal(access_user_change(ac, STR("bob"), &disable, &u, &e), 0);
    assert_int_equal(verify_token(t.text, &who), ERR_UNAUTHENTICATED);
    assert_int_equal(access_principal(ac, bob.user_id, &who, &e), -1);
    assert_int_equal(access_session_find(ac, str_of(cookie), &who, &e), 1);

    assert_int_equal(access_user_change(ac, STR("bob"), &enable, &u, &e), 0);
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_int_equal(access_session_find(ac, str_of(cookie), &who, &e), 1); /* ended for good */
    assert_int_equal(access_user_delete(ac, STR("bob"), &e), 0);
    assert_int_equal(verify_token(t.text, &who), ERR_UNAUTHENTICATED);
    assert_int_equal(access_principal(ac, bob.user_id, &who, &e), -1);
}

static bool file_holds(const char *path, const char *text)
{
    struct buf b = BUF_MAX(8 * MIB);
    struct err e;
    bool found;

    assert_int_equal(fs_read(AT_FDCWD, path, &b, &e), 0);
    found = str_find(buf_str(&b), str_of(text)) >= 0;
    buf_done(&b);
    return found;
}

static void no_password_token_or_cookie_is_on_the_disk(void **arg UNUSED)
{
    char cookie[COOKIE_SIZE], csrf[CSRF_SIZE];
    struct principal alice;
    struct token t;
    struct err e;

    (void)add_user("alice", USER_ADMIN);
    alice = principal_of("alice");
    t = add_token(&alice, 0, PERM_ALL);
    assert_int_equal(access_session_new(ac, alice.user_id, "::1", cookie, &e), 0);
    access_session_csrf(str_of(cookie), csrf);
    assert_true(file_holds(wal_path, "alice"));
    assert_false(file_holds(wal_path, t.text));
    assert_false(file_holds(wal_path, t.text + 7));
    assert_false(file_holds(wal_path, cookie));
    assert_false(file_holds(wal_path, csrf));
    assert_false(file_holds(wal_path, "password of all"));
}

static int read_used(struct state_db *db, void *out, struct err *e)
{
    return state_one_i64(db, out, e, "", "SELECT last_used_ms FROM tokens", "");
}

/* Writes are in order: after this one, the note is written. */
static int64_t last_used(void)
{
    int64_t ms = -1;
    struct err e;

    assert_int_equal(state_write(state, read_used, &ms, &e), 0);
    return ms;
}

static void the_last_use_of_a_token_is_noted_at_most_once_a_minute(void **arg UNUSED)
{
    int64_t now = 1800000000000;
    struct principal alice, who;
    struct token t;

    clock_set_wall_ms(now);
    alice = principal_of("alice");
    t = add_token(&alice, 0, PERM_ALL);
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_int_equal(last_used(), now);
    clock_set_wall_ms(now + 59000);
    access_forget(ac); /* not cached any more */
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_int_equal(last_used(), now);
    clock_set_wall_ms(now + 60000);
    access_forget(ac);
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_int_equal(last_used(), now + 60000);
}

static void scopes_narrow_what_a_token_may_do(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), who;
    struct token t;

    add_project(&alice, "demo", 0);
    t = add_token(&alice, 0, PERM_BIT(PERM_JOB_READ) | PERM_BIT(PERM_SYSTEM_MANAGE));
    assert_int_equal(verify_token(t.text, &who), ERR_NONE);
    assert_true(access_permissions(ac, &alice, STR("demo")) & PERM_BIT(PERM_JOB_SUBMIT));
    assert_true(access_permissions(ac, &who, STR("demo")) & PERM_BIT(PERM_JOB_READ));
    assert_false(access_permissions(ac, &who, STR("demo")) & PERM_BIT(PERM_JOB_SUBMIT));
    assert_false(access_permissions(ac, &who, STR("demo")) & PERM_BIT(PERM_PROJECT_MANAGE));
    assert_true(who.scopes & PERM_BIT(PERM_SIGNED_IN));
}

static void a_narrow_token_makes_no_tokens_and_deletes_only_itself(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), who;
    struct token full = add_token(&alice, 0, PERM_ALL), made;
    struct token narrow = add_token(&alice, 0, PERM_BIT(PERM_JOB_READ));
    struct err e;

    assert_int_equal(verify_token(narrow.text, &who), ERR_NONE);
    assert_int_equal(access_token_add(ac, &who, STR("x"), 0, PERM_ALL, &made, &e), -1);
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_int_equal(access_token_delete(ac, &who, full.id, &e), -1);
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_int_equal(access_token_delete(ac, &who, narrow.id, &e), 0);
    assert_int_equal(verify_token(narrow.text, &who), ERR_UNAUTHENTICATED);
}

static void a_token_made_by_a_token_does_not_outlive_it(void **arg UNUSED)
{
    int64_t now = 1800000000000;
    struct principal alice, who;
    struct token parent, child;

    clock_set_wall_ms(now);
    alice = principal_of("alice");
    parent = add_token(&alice, now + 1000, PERM_ALL);
    assert_int_equal(verify_token(parent.text, &who), ERR_NONE);
    child = add_token(&who, 0, PERM_ALL);
    assert_true(child.expires_ms == now + 1000);
    child = add_token(&who, now + 500, PERM_ALL);
    assert_true(child.expires_ms == now + 500);
}

static void a_user_holds_200_tokens_and_expired_ones_make_room(void **arg UNUSED)
{
    int64_t now = 1800000000000;
    struct principal alice;
    struct token made;
    struct err e;

    clock_set_wall_ms(now);
    alice = principal_of("alice");
    for (int i = 0; i < TOKENS_PER_USER; i++) {
        (void)add_token(&alice, now + 1000, PERM_ALL);
    }
    assert_int_equal(access_token_add(ac, &alice, STR("x"), 0, PERM_ALL, &made, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    clock_set_wall_ms(now + 2000);
    (void)add_token(&alice, 0, PERM_ALL);
}

static void a_session_ends_when_idle_and_at_its_full_age(void **arg UNUSED)
{
    int64_t now = 1800000000000, hour = 3600000;
    char cookie[COOKIE_SIZE];
    struct principal alice, who;
    struct err e;

    clock_set_wall_ms(now);
    alice = principal_of("alice");
    assert_int_equal(access_session_new(ac, alice.user_id, "::1", cookie, &e), 0);
    for (int i = 0; i < 15; i++) { /* used every 11 hours: not idle, until 7 days are over */
        clock_set_wall_ms(now += 11 * hour);
        assert_int_equal(access_session_find(ac, str_of(cookie), &who, &e), 0);
        assert_string_equal(who.name, "alice");
        (void)add_token(&alice, 0, PERM_ALL);
    }
    clock_set_wall_ms(now += 11 * hour);
    assert_int_equal(access_session_find(ac, str_of(cookie), &who, &e), 1);
    assert_int_equal(access_session_new(ac, alice.user_id, "::1", cookie, &e), 0);
    clock_set_wall_ms(now += 12 * hour);
    assert_int_equal(access_session_find(ac, str_of(cookie), &who, &e), 1);
}

static void a_new_password_ends_all_sessions_but_the_one_that_set_it(void **arg UNUSED)
{
    char mine[COOKIE_SIZE], other[COOKIE_SIZE];
    unsigned char hash[SHA256_BYTES];
    struct user_change change = {.password = STR("another password")};
    struct principal alice, who;
    struct user u;
    struct err e;

    (void)add_user("alice", USER_ADMIN);
    alice = principal_of("alice");
    assert_int_equal(access_session_new(ac, alice.user_id, "::1", mine, &e), 0);
    assert_int_equal(access_session_new(ac, alice.user_id, "::1", other, &e), 0);
    sha256_of(str_of(mine), hash);
    change.keep_session = str_n((char *)hash, sizeof(hash));
    assert_int_equal(access_user_change(ac, STR("alice"), &change, &u, &e), 0);
    assert_int_equal(access_session_find(ac, str_of(mine), &who, &e), 0);
    assert_int_equal(access_session_find(ac, str_of(other), &who, &e), 1);
    assert_int_equal(access_session_end(ac, str_of(mine), &e), 0);
    assert_int_equal(access_session_find(ac, str_of(mine), &who, &e), 1);
}

static void a_user_has_32_sessions_at_most(void **arg UNUSED)
{
    char first[COOKIE_SIZE], cookie[COOKIE_SIZE];
    struct principal alice = principal_of("alice"), who;
    struct err e;

    clock_set_wall_ms(1800000000000);
    assert_int_equal(access_session_new(ac, alice.user_id, "::1", first, &e), 0);
    clock_set_wall_ms(1800000001000);
    for (int i = 0; i < SESSIONS_PER_USER; i++) {
        assert_int_equal(access_session_new(ac, alice.user_id, "::1", cookie, &e), 0);
    }
    assert_int_equal(access_session_find(ac, str_of(first), &who, &e), 1);
    assert_int_equal(access_session_find(ac, str_of(cookie), &who, &e), 0);
}

static void the_last_admin_stays(void **arg UNUSED)
{
    struct user_change demote = {.is_admin = CHANGE_CLEAR}, disable = {.disabled = CHANGE_SET};
    struct user u;
    struct err e;

    (void)add_user("alice", USER_ADMIN);
    (void)principal_of("bob");
    assert_int_equal(access_user_delete(ac, STR("alice"), &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(access_user_change(ac, STR("alice"), &demote, &u, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(access_user_change(ac, STR("alice"), &disable, &u, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(access_user_delete(ac, STR("bob"), &e), 0);
    (void)add_user("carol", USER_ADMIN);
    assert_int_equal(access_user_change(ac, STR("alice"), &demote, &u, &e), 0);
    assert_false(u.is_admin);
    assert_int_equal(access_user_delete(ac, STR("carol"), &e), -1);
}

static void a_user_name_is_taken_once_and_follows_the_rules(void **arg UNUSED)
{
    struct user u;
    struct err e;

    (void)add_user("alice", 0);
    assert_int_equal(access_user_add(ac, STR("alice"), STR("12345678"), 0, &u, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "alice"));
    assert_int_equal(access_user_add(ac, STR("Alice"), STR("12345678"), 0, &u, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(access_user_get(ac, STR("carol"), &u, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

/* --- may he --- */

static enum err_kind may(const struct principal *who, enum perm perm, const char *project)
{
    struct http_req r = {.who = *who};
    struct err e = {0};

    return access_authorize(ac, &r, perm, str_of(project), &e) == 0 ? ERR_NONE : e.kind;
}

static void put_member(const char *project, const char *user, enum role role)
{
    struct err e = {0};

    assert_int_equal(access_member_put(ac, str_of(project), MEMBER_USER, str_of(user), role, &e),
                     0);
}

/* What a role gets where it lacks the permission: told to sign in, told no, or told nothing. */
static void every_role_in_every_project(void **arg UNUSED)
{
    struct principal admin = principal_of("boss");
    struct principal who[6];
    static const enum role roles[] = {ROLE_ANONYMOUS, ROLE_NONE,       ROLE_GUEST,
                                      ROLE_DEVELOPER, ROLE_MAINTAINER, ROLE_ADMIN};
    static const char *const projects[] = {"open", "closed", "missing"};

    admin.is_admin = true;
    add_project(&admin, "open", PROJECT_PUBLIC);
    add_project(&admin, "closed", 0);
    who[0] = nobody();
    who[1] = principal_of("stranger");
    who[2] = principal_of("guest");
    who[3] = principal_of("developer");
    who[4] = principal_of("maintainer");
    who[5] = admin;
    for (int i = 2; i <= 4; i++) {
        put_member("open", who[i].name, roles[i]);
        put_member("closed", who[i].name, roles[i]);
    }
    for (int p = 0; p < PERM_COUNT; p++) {
        for (size_t i = 0; i < 6; i++) {
            for (size_t j = 0; j < 3; j++) {
                enum perm_where where = perm_where((enum perm)p);
                bool is_member = i >= 2;
                enum role role = is_member ? roles[i] : j == 0 ? ROLE_ANONYMOUS : ROLE_NONE;
                bool sees = j < 2 && role != ROLE_NONE;
                enum err_kind want = ERR_NONE;

                if (where == PERM_WHERE_PROJECT) {
                    if (!sees || !(role_permissions(role) & PERM_BIT(p))) {
                        want = i == 0 ? ERR_UNAUTHENTICATED : sees ? ERR_FORBIDDEN : ERR_NOT_FOUND;
                    }
                } else if (i == 0) {
                    want = p == PERM_PUBLIC ? ERR_NONE : ERR_UNAUTHENTICATED;
                } else if (where == PERM_WHERE_SYSTEM && i != 5 && p != PERM_PROJECT_CREATE) {
                    want = ERR_FORBIDDEN;
                }
                if (may(&who[i], (enum perm)p, projects[j]) != want) {
                    fail_msg("%s as %s in %s: %s, wanted %s", perm_name((enum perm)p), who[i].name,
                             projects[j], err_name(may(&who[i], (enum perm)p, projects[j])),
                             err_name(want));
                }
            }
        }
    }
}

static void a_narrow_token_of_an_admin_is_told_which_scope_it_lacks(void **arg UNUSED)
{
    struct principal admin = principal_of("boss");

    admin.is_admin = true;
    admin.scopes = PERM_BIT(PERM_JOB_READ) | PERM_BIT(PERM_SIGNED_IN);
    add_project(&admin, "demo", 0);
    assert_int_equal(may(&admin, PERM_JOB_READ, "demo"), ERR_NONE);
    assert_int_equal(may(&admin, PERM_JOB_SUBMIT, "demo"), ERR_FORBIDDEN);
    assert_int_equal(may(&admin, PERM_USER_MANAGE, ""), ERR_FORBIDDEN);
    assert_int_equal(may(&admin, PERM_SIGNED_IN, ""), ERR_NONE);
}

static enum http_sight sight_of(const struct principal *who, enum perm perm, const char *project)
{
    return access_may_see(ac, who,
                          &(struct http_audience){.perm = perm, .project = str_of(project)});
}

static void membership_changes_act_at_once(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob");
    struct err e;

    add_project(&alice, "demo", 0);
    assert_int_equal(may(&alice, PERM_PROJECT_MANAGE, "demo"), ERR_NONE); /* its maker */
    assert_int_equal(may(&bob, PERM_JOB_SUBMIT, "demo"), ERR_NOT_FOUND);
    put_member("demo", "bob", ROLE_GUEST);
    assert_int_equal(may(&bob, PERM_JOB_SUBMIT, "demo"), ERR_FORBIDDEN);
    put_member("demo", "bob", ROLE_DEVELOPER);
    assert_int_equal(may(&bob, PERM_JOB_SUBMIT, "demo"), ERR_NONE);
    assert_int_equal(sight_of(&bob, PERM_JOB_READ, "demo"), HTTP_SEEN);
    assert_int_equal(access_member_delete(ac, STR("demo"), MEMBER_USER, STR("bob"), &e), 0);
    assert_int_equal(may(&bob, PERM_JOB_SUBMIT, "demo"), ERR_NOT_FOUND);
    assert_int_equal(sight_of(&bob, PERM_JOB_READ, "demo"), HTTP_UNSEEN);
    assert_int_equal(access_member_delete(ac, STR("demo"), MEMBER_USER, STR("bob"), &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(
        access_member_put(ac, STR("demo"), MEMBER_USER, STR("nobody-here"), ROLE_GUEST, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(
        access_project_change(ac, STR("demo"),
                              &(struct project_form){.is_public = CHANGE_SET, .ttl_sec = -1}, &e),
        0);
    assert_int_equal(may(&bob, PERM_IMAGE_PULL, "demo"), ERR_NONE);
    assert_int_equal(
        access_project_change(ac, STR("demo"),
                              &(struct project_form){.is_public = CHANGE_CLEAR, .ttl_sec = -1}, &e),
        0);
    assert_int_equal(may(&bob, PERM_IMAGE_PULL, "demo"), ERR_NOT_FOUND);
}

static void system_events_are_for_admins(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct user user;
    struct err e;

    assert_int_equal(sight_of(&alice, PERM_AUDIT_READ, ""), HTTP_UNSEEN);
    alice.is_admin = true; /* as he was when the stream began */
    assert_int_equal(sight_of(&alice, PERM_AUDIT_READ, ""), HTTP_UNSEEN);
    assert_int_equal(access_user_change(ac, STR("alice"),
                                        &(struct user_change){.is_admin = CHANGE_SET}, &user, &e),
                     0);
    assert_int_equal(sight_of(&alice, PERM_AUDIT_READ, ""), HTTP_SEEN);
    assert_int_equal(sight_of(&alice, PERM_PROJECT_READ, "a-deleted-project"), HTTP_SEEN);
}

static void visitors_of_a_public_project_hear_of_no_jobs(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob");
    struct user user;
    struct err e;

    assert_int_equal(access_user_change(ac, STR("alice"),
                                        &(struct user_change){.is_admin = CHANGE_SET}, &user, &e),
                     0); /* or bob could not be disabled */
    add_project(&alice, "open", PROJECT_PUBLIC);
    assert_int_equal(sight_of(&bob, PERM_JOB_READ, "open"), HTTP_UNSEEN);
    assert_int_equal(sight_of(&bob, PERM_MEMBER_READ, "open"), HTTP_UNSEEN);
    assert_int_equal(sight_of(&bob, PERM_IMAGE_PULL, "open"), HTTP_SEEN);
    put_member("open", "bob", ROLE_GUEST);
    assert_int_equal(sight_of(&bob, PERM_JOB_READ, "open"), HTTP_SEEN);
    assert_int_equal(sight_of(&bob, PERM_SECRET_READ, "open"), HTTP_UNSEEN);
    bob.scopes = PERM_BIT(PERM_PROJECT_READ) | PERM_BIT(PERM_SIGNED_IN);
    assert_int_equal(sight_of(&bob, PERM_JOB_READ, "open"), HTTP_UNSEEN);
    assert_int_equal(sight_of(&bob, PERM_PROJECT_READ, "open"), HTTP_SEEN);
    assert_int_equal(access_user_change(ac, STR("bob"),
                                        &(struct user_change){.disabled = CHANGE_SET}, &user, &e),
                     0);
    assert_int_equal(sight_of(&bob, PERM_PROJECT_READ, "open"), HTTP_SIGNED_OUT);
    assert_int_equal(access_may_see(ac, &bob, NULL), HTTP_SIGNED_OUT);
}

static void what_concerns_one_user_only_he_hears(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob");
    const struct http_audience to = {.perm = PERM_SIGNED_IN, .user_id = alice.user_id};

    assert_int_equal(access_may_see(ac, &alice, &to), HTTP_SEEN);
    assert_int_equal(access_may_see(ac, &bob, &to), HTTP_UNSEEN);
    bob.is_admin = true;
    assert_int_equal(access_may_see(ac, &bob, &to), HTTP_UNSEEN);
}

static void a_stream_ends_with_its_session_or_password(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), session, password;
    char cookie[COOKIE_SIZE];
    struct user user;
    struct err e;

    assert_int_equal(access_user_change(ac, STR("alice"),
                                        &(struct user_change){.is_admin = CHANGE_SET}, &user, &e),
                     0); /* one must be left */
    assert_int_equal(access_session_new(ac, alice.user_id, "peer", cookie, &e), 0);
    assert_int_equal(access_session_find(ac, str_of(cookie), &session, &e), 0);
    assert_int_equal(access_may_see(ac, &session, NULL), HTTP_UNSEEN);
    assert_int_equal(access_session_end(ac, str_of(cookie), &e), 0);
    assert_int_equal(access_may_see(ac, &session, NULL), HTTP_SIGNED_OUT);
    password = principal_of("alice");
    password.kind = PRINCIPAL_PASSWORD;
    assert_int_equal(access_may_see(ac, &password, NULL), HTTP_UNSEEN);
    assert_int_equal(access_user_change(ac, STR("alice"),
                                        &(struct user_change){.password = STR("another password")},
                                        &user, &e),
                     0);
    assert_int_equal(access_may_see(ac, &password, NULL), HTTP_SIGNED_OUT);
}

static void changes_of_users_and_members_are_told(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct err e;

    struct user user;

    assert_int_equal(access_user_change(ac, STR("alice"),
                                        &(struct user_change){.is_admin = CHANGE_SET}, &user, &e),
                     0); /* one must be left */
    add_project(&alice, "demo", 0);
    (void)principal_of("bob");
    hook_log.events[0] = '\0';
    put_member("demo", "bob", ROLE_GUEST);
    assert_int_equal(access_user_delete(ac, STR("bob"), &e), 0);
    assert_string_equal(hook_log.events,
                        "member {\"project\":\"demo\",\"user\":\"bob\",\"role\":\"guest\"}\n"
                        "me {}\n"
                        "user {\"name\":\"bob\",\"action\":\"deleted\"}\n"
                        "me {}\n"
                        "member {\"project\":\"demo\",\"user\":\"bob\",\"role\":null}\n");
}

static void what_a_token_made_ends_with_it(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct token made;
    struct err e;

    assert_int_equal(access_token_add(ac, &alice, STR("ci"), 0, PERM_ALL, &made, &e), 0);
    add_project(&alice, "demo", 0);
    assert_int_equal(access_token_alive(ac, made.id, &e), 0);
    alice.token_id = made.id;
    assert_int_equal(sight_of(&alice, PERM_JOB_READ, "demo"), HTTP_SEEN);
    alice.token_id = 0;
    assert_int_equal(access_token_delete(ac, &alice, made.id, &e), 0);
    assert_int_equal(access_token_alive(ac, made.id, &e), -1);
    assert_int_equal(e.kind, ERR_UNAUTHENTICATED);
    alice.token_id = made.id;
    assert_int_equal(sight_of(&alice, PERM_JOB_READ, "demo"), HTTP_SIGNED_OUT);
}

static void users_create_projects_only_where_the_setting_lets_them(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");

    assert_int_equal(may(&alice, PERM_PROJECT_CREATE, ""), ERR_NONE);
    ac->users_create_projects = false;
    assert_int_equal(may(&alice, PERM_PROJECT_CREATE, ""), ERR_FORBIDDEN);
    alice.is_admin = true;
    assert_int_equal(may(&alice, PERM_PROJECT_CREATE, ""), ERR_NONE);
}

/* --- projects --- */

static void a_project_is_deleted_after_all_that_is_kept_for_it(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    int64_t id, again;
    uint32_t base;
    struct err e = {0};

    add_project(&alice, "demo", 0);
    assert_int_equal(access_project(ac, STR("demo"), &id, &base, &e), 0);
    hook_log.refuse = true;
    assert_int_equal(access_project_delete(ac, STR("demo"), &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "a job is running"));
    assert_int_equal(may(&alice, PERM_PROJECT_MANAGE, "demo"), ERR_NONE); /* still there */
    hook_log.refuse = false;
    assert_int_equal(access_project_delete(ac, STR("demo"), &e), 0);
    assert_int_equal(hook_log.gone, 2);
    assert_true(hook_log.gone_id == id);
    assert_false(hook_log.was_visible); /* nothing new can be put in meanwhile */
    assert_int_equal(access_project(ac, STR("demo"), &again, &base, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(access_project_delete(ac, STR("demo"), &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    add_project(&alice, "demo", 0);
    assert_int_equal(access_project(ac, STR("demo"), &again, &base, &e), 0);
    assert_true(again > id); /* what others keep under the id is not found by the next one */
    assert_string_equal(hook_log.events, "me {}\n"
                                         "project {\"project\":\"demo\",\"action\":\"created\"}\n"
                                         "project {\"project\":\"demo\",\"action\":\"deleted\"}\n"
                                         "me {}\n"
                                         "me {}\n"
                                         "project {\"project\":\"demo\",\"action\":\"created\"}\n");
}

static int hide(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e, "UPDATE projects SET deleting = 1", "");
}

static void a_deletion_that_a_crash_interrupted_can_be_begun_again(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct err e;

    add_project(&alice, "demo", 0);
    assert_int_equal(state_write(state, hide, NULL, &e), 0);
    access_close(ac);
    ac = access_open(state, NULL, &hooks, &e);
    assert_non_null(ac);
    assert_int_equal(may(&alice, PERM_PROJECT_MANAGE, "demo"), ERR_NONE);
    assert_int_equal(access_project_delete(ac, STR("demo"), &e), 0);
}

static void a_project_name_is_taken_once(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct err e;

    add_project(&alice, "demo", 0);
    assert_int_equal(access_project_add(ac, &alice, STR("demo"), 0, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(access_project_add(ac, &alice, STR("api"), 0, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static int near_the_end(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e, "UPDATE projects SET slot = ? WHERE name = 'high'", "i",
                     (int64_t)SLOT_MAX - 1);
}

static uint32_t base_of(const char *project)
{
    int64_t id;
    uint32_t base = 0;
    struct err e = {0};

    (void)!access_project(ac, str_of(project), &id, &base, &e);
    assert_string_equal(e.msg, "");
    return base;
}

static void drop_project(const char *name, int64_t now_ms)
{
    struct err e = {0};

    clock_set_wall_ms(now_ms);
    (void)!access_project_delete(ac, str_of(name), &e);
    assert_string_equal(e.msg, "");
}

static void host_ids_never_pass_the_end_of_32_bits(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct err e = {0};

    add_project(&alice, "first", 0);
    assert_int_equal(base_of("first"), 100065536);
    add_project(&alice, "high", 0);
    assert_int_equal(state_write(state, near_the_end, NULL, &e), 0);
    add_project(&alice, "last", 0);
    assert_true((uint64_t)base_of("last") + 65536 <= 4294967296 - 65536);
    assert_int_equal(access_project_add(ac, &alice, STR("more"), 0, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

/* Making and deleting projects does not use them up for good. */
static void the_range_that_rests_longest_is_given_again(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    uint32_t first, last;
    struct err e = {0};

    add_project(&alice, "first", 0);
    first = base_of("first");
    drop_project("first", 1800000000000);
    add_project(&alice, "second", 0);
    assert_true(base_of("second") != first); /* while there are ranges that nobody had */
    add_project(&alice, "high", 0);
    assert_int_equal(state_write(state, near_the_end, NULL, &e), 0);
    add_project(&alice, "last", 0);
    last = base_of("last");
    drop_project("last", 1800000001000);
    add_project(&alice, "third", 0);
    assert_int_equal(base_of("third"), first);
    add_project(&alice, "fourth", 0);
    assert_int_equal(base_of("fourth"), last);
    assert_int_equal(access_project_add(ac, &alice, STR("more"), 0, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void a_user_makes_as_many_projects_as_the_setting_says(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob");
    struct err e = {0};

    ac->projects_per_user = 2;
    add_project(&alice, "one", 0);
    add_project(&alice, "two", 0);
    assert_int_equal(access_project_add(ac, &alice, STR("three"), 0, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    add_project(&bob, "three", 0);
    drop_project("one", 1800000000000);
    add_project(&alice, "four", 0);
    alice.is_admin = true;
    add_project(&alice, "five", 0);
    ac->projects_per_user = 0;
    add_project(&bob, "six", 0);
    add_project(&bob, "seven", 0);
}

static int fill_first_version(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e,
                     "INSERT INTO projects(id, name, created_ms, created_by) "
                     "VALUES(1, 'library', 1, 'admin'), (3, 'demo', 1, 'admin')",
                     "") < 0
               ? -1
               : state_run(db, e, "UPDATE sqlite_sequence SET seq = 4 WHERE name = 'projects'", "");
}

static int count_free(struct state_db *db, void *out, struct err *e)
{
    return state_one_i64(db, out, e, "", "SELECT count(*) FROM free_slots WHERE slot IN (2, 4)",
                         "");
}

/* A state that the first version wrote: every project keeps its range. */
static void ranges_stay_when_an_older_state_is_opened(void **arg UNUSED)
{
    const char *const first_steps[] = {access_schema.steps[0], NULL};
    const struct state_schema first = {"access", first_steps};
    const struct state_schema *const old[] = {&first, NULL};
    struct principal alice;
    int64_t n = 0;
    struct err e = {0};

    access_close(ac);
    state_close(state);
    (void)unlink(db_path);
    state = state_open(db_path, old, &e);
    assert_non_null(state);
    assert_int_equal(state_write(state, fill_first_version, NULL, &e), 0);
    state_close(state);
    state = state_open(db_path, schemas, &e);
    assert_string_equal(e.msg, "");
    ac = access_open(state, NULL, &hooks, &e);
    assert_non_null(ac);
    assert_int_equal(base_of("library"), 100000000 + 65536);
    assert_int_equal(base_of("demo"), 100000000 + 3 * 65536);
    assert_int_equal(state_read(state, count_free, &n, &e), 0);
    assert_int_equal(n, 2);
    alice = principal_of("alice");
    add_project(&alice, "next", 0);
    assert_int_equal(base_of("next"), 100000000 + 5 * 65536);
}

static json_t *page_of(int (*write)(const struct page *p, struct err *e), const char *after,
                       int64_t limit)
{
    struct buf b = BUF_MAX(MIB);
    struct page p = {.after = str_of(after), .limit = limit, .out = &b};
    struct err e = {0};
    json_t *j;

    assert_int_equal(write(&p, &e), 0);
    j = json_parse(buf_str(&b), &e);
    assert_string_equal(e.msg, "");
    buf_done(&b);
    return j;
}

static int users_page(const struct page *p, struct err *e)
{
    return access_users_page(ac, USERS_ALL, p, e);
}

static int audit_page(const struct page *p, struct err *e)
{
    struct audit_filter f = {.user = {NULL, 0}, .project = {NULL, 0}};

    return access_audit_page(ac, &f, p, e);
}

static int audit_of_bob(const struct page *p, struct err *e)
{
    struct audit_filter f = {.user = STR("bob"), .project = {NULL, 0}};

    return access_audit_page(ac, &f, p, e);
}

static int audit_of_bob_in_demo(const struct page *p, struct err *e)
{
    struct audit_filter f = {.user = STR("bob"), .project = STR("demo")};

    return access_audit_page(ac, &f, p, e);
}

/* Walks all pages; how many items and how many pages. */
static int walk(int (*write)(const struct page *p, struct err *e), int64_t limit, int *pages)
{
    char after[80] = "";
    int n = 0;

    for (*pages = 1;; (*pages)++) {
        json_t *j = page_of(write, after, limit);
        const char *next = json_string_value(json_object_get(j, "next"));

        n += (int)json_array_size(json_object_get(j, "items"));
        (void)snprintf(after, sizeof(after), "%s", next ? next : "");
        json_decref(j);
        if (after[0] == '\0') {
            return n;
        }
    }
}

static void lists_come_in_pages(void **arg UNUSED)
{
    char name[16];
    int pages;
    json_t *j;

    for (int i = 0; i < 25; i++) {
        (void)snprintf(name, sizeof(name), "user%02d", i);
        (void)principal_of(name);
    }
    assert_int_equal(walk(users_page, 10, &pages), 25);
    assert_int_equal(pages, 3);
    assert_int_equal(walk(users_page, 25, &pages), 25);
    assert_int_equal(pages, 1);
    j = page_of(users_page, "user23", 10);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
    assert_true(json_is_null(json_object_get(j, "next")));
    json_decref(j);
}

static void projects_that_one_may_see_are_listed(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob"), who = nobody();
    struct buf b = BUF_MAX(MIB);
    struct page p = {.after = STR_EMPTY, .limit = 10, .out = &b};
    struct err e;

    add_project(&alice, "hers", 0);
    add_project(&alice, "public", PROJECT_PUBLIC);
    add_project(&bob, "his", 0);
    assert_int_equal(access_projects_page(ac, &who, &p, &e), 0);
    assert_null(strstr(b.p, "hers"));
    assert_non_null(strstr(b.p, "\"name\":\"public\",\"public\":true,\"role\":\"anonymous\""));
    buf_clear(&b);
    assert_int_equal(access_projects_page(ac, &bob, &p, &e), 0);
    assert_null(strstr(b.p, "hers"));
    assert_non_null(strstr(b.p, "\"name\":\"his\",\"public\":false,\"role\":\"maintainer\""));
    buf_clear(&b);
    bob.is_admin = true;
    assert_int_equal(access_projects_page(ac, &bob, &p, &e), 0);
    assert_non_null(strstr(b.p, "\"name\":\"hers\",\"public\":false,\"role\":\"admin\""));
    buf_done(&b);
}

/* --- audit --- */

static void audit(const struct principal *who, const char *path, const char *project, int status)
{
    struct http_req r = {.method = HTTP_POST,
                         .path = str_of(path),
                         .who = *who,
                         .project = str_of(project),
                         .id = "00112233445566aa",
                         .peer = "10.0.0.7"};

    access_audit(ac, &r, status);
}

static void changes_are_listed_newest_first_by_user_and_project(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob"), who = nobody();
    const json_t *first;
    json_t *j;
    int pages;

    audit(&alice, "/api/v1/users", "", 201);
    audit(&bob, "/api/v1/projects/demo/jobs", "demo", 202);
    audit(&bob, "/api/v1/projects/demo/jobs/x", "demo", 403); /* written later, in order */
    audit(&who, "/api/v1/login", "", 401);                    /* strangers fill no disk */
    audit(&bob, "/bad \xff path", "other", 200);
    assert_int_equal(walk(audit_page, 10, &pages), 4);
    assert_int_equal(walk(audit_page, 2, &pages), 4);
    assert_int_equal(pages, 2);
    assert_int_equal(walk(audit_of_bob, 1, &pages), 3);
    assert_int_equal(walk(audit_of_bob_in_demo, 1, &pages), 2);
    j = page_of(audit_of_bob_in_demo, "", 10);
    first = json_array_get(json_object_get(j, "items"), 0);
    assert_int_equal(json_integer_value(json_object_get(first, "status")), 403);
    assert_string_equal(json_string_value(json_object_get(first, "user")), "bob");
    assert_string_equal(json_string_value(json_object_get(first, "method")), "POST");
    assert_string_equal(json_string_value(json_object_get(first, "project")), "demo");
    assert_string_equal(json_string_value(json_object_get(first, "peer")), "10.0.0.7");
    assert_string_equal(json_string_value(json_object_get(first, "request_id")),
                        "00112233445566aa");
    json_decref(j);
}

static void old_audit_entries_are_deleted(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    int64_t now = 1800000000000, day = 86400000;
    struct err e;
    int pages;

    clock_set_wall_ms(now);
    audit(&alice, "/old", "", 200);
    clock_set_wall_ms(now + 300 * day);
    audit(&alice, "/newer", "", 200);
    clock_set_wall_ms(now + 366 * day);
    access_audit_prune(ac);
    assert_int_equal(access_user_delete(ac, STR("no-one"), &e), -1); /* after the pruning */
    assert_int_equal(walk(audit_page, 10, &pages), 1);
}

static int count_audit(struct state_db *db, void *out, struct err *e)
{
    return state_one_i64(db, out, e, "", "SELECT count(*) FROM audit", "");
}

/* Behind all that was submitted before. */
static int64_t audit_rows(void)
{
    int64_t n = -1;
    struct err e = {0};

    assert_int_equal(state_write(state, count_audit, &n, &e), 0);
    return n;
}

static void refusals_of_a_user_are_counted_after_sixty_a_minute(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob");
    char path[2048];
    json_t *j;

    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    clock_set_wall_ms(1800000000000);
    for (int i = 0; i < 500; i++) {
        audit(&alice, path, path, 403);
    }
    assert_int_equal(audit_rows(), 60);
    audit(&bob, "/his", "", 404); /* who is not to blame is still heard */
    audit(&alice, "/done", "", 201);
    assert_int_equal(audit_rows(), 62);
    clock_set_wall_ms(1800000000000 + 60000);
    access_housekeep(ac);
    assert_int_equal(audit_rows(), 63);
    j = page_of(audit_page, "", 10);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(j, "items"), 0), "path")),
        "440 more refused requests within a minute");
    assert_int_equal(
        json_string_length(json_object_get(json_array_get(json_object_get(j, "items"), 3), "path")),
        256);
    assert_int_equal(json_string_length(json_object_get(
                         json_array_get(json_object_get(j, "items"), 3), "project")),
                     LIMIT_NAME_BYTES);
    json_decref(j);
    audit(&alice, "/again", "", 403);
    assert_int_equal(audit_rows(), 64);
}

static void only_so_many_audit_entries_are_kept(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    json_t *j;

    ac->audit_rows = 10;
    for (int i = 0; i < 25; i++) {
        audit(&alice, i < 24 ? "/old" : "/last", "", 200);
    }
    access_housekeep(ac);
    assert_int_equal(audit_rows(), 10);
    j = page_of(audit_page, "", 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(j, "items"), 0), "path")),
        "/last");
    json_decref(j);
}

/* --- groups --- */

static void add_group(const char *name, const char *user)
{
    struct err e = {0};

    assert_int_equal(access_group_add(ac, str_of(name), STR("people"), &e), 0);
    assert_int_equal(access_group_put_user(ac, str_of(name), str_of(user), &e), 0);
}

static void put_group(const char *project, const char *group, enum role role)
{
    struct err e = {0};

    assert_int_equal(access_member_put(ac, str_of(project), MEMBER_GROUP, str_of(group), role, &e),
                     0);
}

static void the_highest_role_of_a_user_and_his_groups_counts(void **arg UNUSED)
{
    struct principal alice = principal_of("alice"), bob = principal_of("bob");
    struct err e;

    add_project(&alice, "demo", 0);
    add_group("readers", "bob");
    add_group("writers", "bob");
    assert_int_equal(may(&bob, PERM_JOB_READ, "demo"), ERR_NOT_FOUND);
    put_group("demo", "readers", ROLE_GUEST);
    assert_int_equal(may(&bob, PERM_JOB_READ, "demo"), ERR_NONE);
    assert_int_equal(may(&bob, PERM_JOB_SUBMIT, "demo"), ERR_FORBIDDEN);
    put_group("demo", "writers", ROLE_DEVELOPER);
    assert_int_equal(may(&bob, PERM_JOB_SUBMIT, "demo"), ERR_NONE);
    put_member("demo", "bob", ROLE_MAINTAINER);
    assert_int_equal(may(&bob, PERM_PROJECT_MANAGE, "demo"), ERR_NONE);
    put_member("demo", "bob", ROLE_GUEST); /* lower than the group's */
    assert_int_equal(may(&bob, PERM_JOB_SUBMIT, "demo"), ERR_NONE);
    assert_int_equal(may(&bob, PERM_PROJECT_MANAGE, "demo"), ERR_FORBIDDEN);
    assert_int_equal(access_member_delete(ac, STR("demo"), MEMBER_USER, STR("bob"), &e), 0);
    assert_int_equal(access_group_drop_user(ac, STR("writers"), STR("bob"), &e), 0);
    assert_int_equal(may(&bob, PERM_JOB_SUBMIT, "demo"), ERR_FORBIDDEN);
    assert_int_equal(access_group_delete(ac, STR("readers"), &e), 0);
    assert_int_equal(may(&bob, PERM_JOB_READ, "demo"), ERR_NOT_FOUND);
    assert_int_equal(sight_of(&bob, PERM_JOB_READ, "demo"), HTTP_UNSEEN);
}

static void changes_of_groups_are_told_to_their_users(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct err e;

    (void)principal_of("bob");
    add_project(&alice, "demo", 0);
    hook_log.events[0] = '\0';
    add_group("team", "bob");
    put_group("demo", "team", ROLE_GUEST);
    assert_int_equal(access_group_delete(ac, STR("team"), &e), 0);
    assert_string_equal(hook_log.events,
                        "group {\"name\":\"team\",\"action\":\"created\"}\n"
                        "group {\"name\":\"team\",\"action\":\"changed\"}\n"
                        "me {}\n"
                        "member {\"project\":\"demo\",\"group\":\"team\",\"role\":\"guest\"}\n"
                        "me {}\n"
                        "group {\"name\":\"team\",\"action\":\"deleted\"}\n"
                        "member {\"project\":\"demo\",\"group\":\"team\",\"role\":null}\n"
                        "me {}\n");
}

static int fill_directory(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e, "UPDATE user_groups SET source = 'ldap'", "");
}

static void a_group_that_a_directory_fills_is_not_changed_by_hand(void **arg UNUSED)
{
    struct err e;

    (void)principal_of("bob");
    add_group("team", "bob");
    assert_int_equal(state_write(state, fill_directory, NULL, &e), 0);
    assert_int_equal(access_group_drop_user(ac, STR("team"), STR("bob"), &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
}

static int members_page(const struct page *p, struct err *e)
{
    return access_members_page(ac, STR("demo"), p, e);
}

static void members_are_users_and_then_groups_in_pages(void **arg UNUSED)
{
    struct principal zoe = principal_of("zoe");
    json_t *j;

    add_project(&zoe, "demo", 0);
    add_group("alpha", "zoe");
    add_group("beta", "zoe");
    put_group("demo", "alpha", ROLE_GUEST);
    put_group("demo", "beta", ROLE_DEVELOPER);
    j = page_of(members_page, "", 1);
    assert_string_equal(json_string_value(json_object_get(j, "next")), "zoe");
    json_decref(j);
    j = page_of(members_page, "zoe", 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(j, "items"), 0), "group")),
        "alpha");
    assert_string_equal(json_string_value(json_object_get(j, "next")), "~alpha");
    json_decref(j);
    j = page_of(members_page, "~alpha", 5);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
    assert_true(json_is_null(json_object_get(j, "next")));
    json_decref(j);
}

/* --- robots --- */

#define CAN(p) PERM_BIT(PERM_##p)

static struct principal boss(void)
{
    struct principal p = principal_of("boss");

    p.is_admin = true;
    return p;
}

static struct robot_home home_for(const struct principal *who, const char *project)
{
    struct robot_home home = {0};
    struct err e = {0};

    assert_int_equal(access_robot_home(ac, who, str_of(project), &home, &e), 0);
    return home;
}

/* `project` empty: of the system, with the right in `where`. */
static enum err_kind try_robot(const struct principal *who, const char *project, const char *where,
                               const char *name, uint64_t perms, int64_t expires_ms,
                               char secret[TOKEN_SIZE])
{
    struct robot_home home = home_for(who, project);
    const struct robot_grant grant = {str_of(where), perms};
    const struct robot_change c = {
        .grants = &grant, .n_grants = 1, .has_expiry = true, .expires_ms = expires_ms};
    struct err e = {0};

    return access_robot_add(ac, &home, who->name, str_of(name), &c, secret, &e) == 0 ? ERR_NONE
                                                                                     : e.kind;
}

static struct principal robot_of(const char *secret)
{
    struct principal p = {0};
    struct err e = {0};

    (void)!access_verify_token(ac, str_of(secret), &p, &e);
    assert_string_equal(e.msg, "");
    return p;
}

static void a_robot_may_what_it_was_given_where_it_was_given(void **arg UNUSED)
{
    struct principal admin = boss(), ci;
    char secret[TOKEN_SIZE];

    add_project(&admin, "demo", 0);
    add_project(&admin, "other", 0);
    add_project(&admin, "open", PROJECT_PUBLIC);
    assert_int_equal(
        try_robot(&admin, "demo", "", "ci", CAN(IMAGE_PUSH) | CAN(JOB_READ), 0, secret), ERR_NONE);
    ci = robot_of(secret);
    assert_string_equal(ci.name, "robot$demo+ci");
    assert_int_equal(ci.kind, PRINCIPAL_ROBOT);
    for (int p = 0; p < PERM_COUNT; p++) {
        bool given = p == PERM_IMAGE_PUSH || p == PERM_JOB_READ;
        bool is_visitors = p == PERM_PROJECT_READ || p == PERM_IMAGE_PULL;

        switch (perm_where((enum perm)p)) {
        case PERM_WHERE_NONE:
            assert_int_equal(may(&ci, (enum perm)p, ""),
                             p == PERM_PERSON ? ERR_FORBIDDEN : ERR_NONE);
            break;
        case PERM_WHERE_SYSTEM:
            assert_int_equal(may(&ci, (enum perm)p, ""), ERR_FORBIDDEN);
            break;
        case PERM_WHERE_PROJECT:
            assert_int_equal(may(&ci, (enum perm)p, "demo"), given ? ERR_NONE : ERR_FORBIDDEN);
            assert_int_equal(may(&ci, (enum perm)p, "other"), ERR_NOT_FOUND);
            assert_int_equal(may(&ci, (enum perm)p, "missing"), ERR_NOT_FOUND);
            assert_int_equal(may(&ci, (enum perm)p, "open"),
                             is_visitors ? ERR_NONE : ERR_FORBIDDEN);
            break;
        }
    }
    assert_int_equal(access_permissions(ac, &ci, STR("demo")), CAN(IMAGE_PUSH) | CAN(JOB_READ));
}

static void a_robot_of_the_system_may_in_some_or_in_every_project(void **arg UNUSED)
{
    struct principal admin = boss(), one, all;
    char secret[TOKEN_SIZE];

    add_project(&admin, "demo", 0);
    add_project(&admin, "other", 0);
    assert_int_equal(try_robot(&admin, "", "demo", "one", CAN(JOB_READ), 0, secret), ERR_NONE);
    one = robot_of(secret);
    assert_string_equal(one.name, "robot$one");
    assert_int_equal(try_robot(&admin, "", "*", "all", CAN(JOB_READ), 0, secret), ERR_NONE);
    all = robot_of(secret);
    assert_int_equal(may(&one, PERM_JOB_READ, "demo"), ERR_NONE);
    assert_int_equal(may(&one, PERM_JOB_READ, "other"), ERR_NOT_FOUND);
    assert_int_equal(may(&all, PERM_JOB_READ, "demo"), ERR_NONE);
    assert_int_equal(may(&all, PERM_JOB_READ, "other"), ERR_NONE);
    assert_int_equal(may(&all, PERM_JOB_SUBMIT, "other"), ERR_FORBIDDEN);
    add_project(&admin, "newer", 0);
    assert_int_equal(may(&all, PERM_JOB_READ, "newer"), ERR_NONE);
    assert_int_equal(try_robot(&admin, "", "missing", "x", CAN(JOB_READ), 0, secret),
                     ERR_NOT_FOUND);
}

static void nobody_gives_a_robot_more_than_he_holds(void **arg UNUSED)
{
    struct principal alice = principal_of("alice");
    struct robot_home home;
    char secret[TOKEN_SIZE];
    struct err e;

    add_project(&alice, "demo", 0);
    assert_int_equal(try_robot(&alice, "demo", "", "ci", CAN(SECRET_WRITE), 0, secret), ERR_NONE);
    alice.scopes = CAN(PROJECT_MANAGE) | CAN(JOB_READ);
    assert_int_equal(try_robot(&alice, "demo", "", "a", CAN(SECRET_WRITE), 0, secret),
                     ERR_FORBIDDEN);
    assert_int_equal(try_robot(&alice, "demo", "", "b", CAN(JOB_READ), 0, secret), ERR_NONE);
    assert_int_equal(try_robot(&alice, "demo", "", "c", CAN(PROJECT_MANAGE), 0, secret),
                     ERR_INVALID);
    assert_int_equal(try_robot(&alice, "demo", "", "d", CAN(USER_MANAGE), 0, secret), ERR_INVALID);
    assert_int_equal(try_robot(&alice, "demo", "", "e", CAN(PERSON), 0, secret), ERR_INVALID);
    home = home_for(&alice, "demo"); /* nor does he take over the robot of somebody who holds it */
    assert_int_equal(access_robot_rotate(ac, &home, STR("ci"), secret, &e), -1);
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_int_equal(access_robot_rotate(ac, &home, STR("b"), secret, &e), 0);
}

static void a_new_secret_ends_the_old_one_and_what_was_made_of_it(void **arg UNUSED)
{
    struct principal admin = boss(), before, ignored, now;
    char old[TOKEN_SIZE], fresh[TOKEN_SIZE];
    struct robot_home home;
    struct err e;

    add_project(&admin, "demo", 0);
    assert_int_equal(try_robot(&admin, "demo", "", "ci", CAN(JOB_READ), 0, old), ERR_NONE);
    before = robot_of(old);
    assert_int_equal(sight_of(&before, PERM_JOB_READ, "demo"), HTTP_SEEN);
    assert_true(access_still_may(ac, &before, PERM_JOB_READ, STR("demo")));
    home = home_for(&admin, "demo");
    assert_int_equal(access_robot_rotate(ac, &home, STR("ci"), fresh, &e), 0);
    assert_int_equal(access_verify_token(ac, str_of(old), &ignored, &e), -1);
    assert_int_equal(access_may_see(ac, &before, NULL), HTTP_SIGNED_OUT);
    assert_false(access_still_may(ac, &before, PERM_JOB_READ, STR("demo")));
    now = robot_of(fresh);
    assert_int_equal(now.user_id, before.user_id);
    assert_int_equal(sight_of(&now, PERM_JOB_READ, "demo"), HTTP_SEEN);
    assert_int_equal(access_principal(ac, now.user_id, &before, &e), 0);
    assert_int_equal(before.generation, now.generation); /* what a JWT of the registry asks */
}

static void change_robot(const char *name, const struct robot_change *c)
{
    struct principal admin = boss();
    struct robot_home home = home_for(&admin, "demo");
    struct err e = {0};

    assert_int_equal(access_robot_change(ac, &home, str_of(name), c, &e), 0);
}

static void a_robot_that_is_disabled_narrowed_or_deleted_stops_at_once(void **arg UNUSED)
{
    static const struct robot_grant narrow = {{"", 0}, CAN(VOLUME_READ)};
    struct principal admin = boss(), ci, ignored;
    char secret[TOKEN_SIZE];
    struct robot_home home;
    struct err e;

    add_project(&admin, "demo", 0);
    assert_int_equal(
        try_robot(&admin, "demo", "", "ci", CAN(JOB_READ) | CAN(VOLUME_READ), 0, secret), ERR_NONE);
    ci = robot_of(secret);
    change_robot("ci", &(struct robot_change){.grants = &narrow, .n_grants = 1});
    assert_int_equal(may(&ci, PERM_JOB_READ, "demo"), ERR_FORBIDDEN);
    assert_int_equal(sight_of(&ci, PERM_JOB_READ, "demo"), HTTP_UNSEEN);
    assert_int_equal(sight_of(&ci, PERM_VOLUME_READ, "demo"), HTTP_SEEN);
    change_robot("ci", &(struct robot_change){.disabled = CHANGE_SET});
    assert_int_equal(access_verify_token(ac, str_of(secret), &ignored, &e), -1);
    assert_int_equal(access_principal(ac, ci.user_id, &ignored, &e), -1);
    assert_int_equal(access_may_see(ac, &ci, NULL), HTTP_SIGNED_OUT);
    change_robot("ci", &(struct robot_change){.disabled = CHANGE_CLEAR});
    assert_int_equal(access_may_see(ac, &ci, NULL), HTTP_SIGNED_OUT); /* streams of before */
    ci = robot_of(secret);
    assert_int_equal(sight_of(&ci, PERM_VOLUME_READ, "demo"), HTTP_SEEN);
    home = home_for(&admin, "demo");
    assert_int_equal(access_robot_delete(ac, &home, STR("ci"), &e), 0);
    assert_int_equal(access_verify_token(ac, str_of(secret), &ignored, &e), -1);
    assert_int_equal(access_may_see(ac, &ci, NULL), HTTP_SIGNED_OUT);
    assert_int_equal(access_robot_delete(ac, &home, STR("ci"), &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void a_robot_works_until_it_expires(void **arg UNUSED)
{
    const int64_t now_ms = 1800000000000;
    struct principal admin = boss(), ci, ignored;
    char secret[TOKEN_SIZE];
    struct err e;

    clock_set_wall_ms(now_ms);
    add_project(&admin, "demo", 0);
    assert_int_equal(try_robot(&admin, "demo", "", "ci", CAN(JOB_READ), now_ms + 5000, secret),
                     ERR_NONE);
    ci = robot_of(secret);
    assert_int_equal(sight_of(&ci, PERM_JOB_READ, "demo"), HTTP_SEEN);
    clock_set_wall_ms(now_ms + 5000); /* all caches are warm */
    assert_int_equal(access_verify_token(ac, str_of(secret), &ignored, &e), -1);
    assert_int_equal(e.kind, ERR_UNAUTHENTICATED);
    assert_int_equal(access_principal(ac, ci.user_id, &ignored, &e), -1);
    assert_int_equal(access_may_see(ac, &ci, NULL), HTTP_SIGNED_OUT);
    change_robot("ci", &(struct robot_change){.has_expiry = true});
    assert_string_equal(robot_of(secret).name, "robot$demo+ci");
    ac->robot_expiry_max_ms = 10000;
    assert_int_equal(try_robot(&admin, "demo", "", "for-ever", CAN(JOB_READ), 0, secret),
                     ERR_INVALID);
    assert_int_equal(
        try_robot(&admin, "demo", "", "too-long", CAN(JOB_READ), now_ms + 5000 + 10001, secret),
        ERR_INVALID);
    assert_int_equal(try_robot(&admin, "demo", "", "ok", CAN(JOB_READ), now_ms + 15000, secret),
                     ERR_NONE);
}

static void a_robot_does_not_outlive_its_project(void **arg UNUSED)
{
    struct principal admin = boss(), ci, all, ignored;
    char secret[TOKEN_SIZE], of_system[TOKEN_SIZE];
    struct err e;

    add_project(&admin, "demo", 0);
    assert_int_equal(try_robot(&admin, "demo", "", "ci", CAN(JOB_READ), 0, secret), ERR_NONE);
    assert_int_equal(try_robot(&admin, "", "demo", "all", CAN(JOB_READ), 0, of_system), ERR_NONE);
    ci = robot_of(secret);
    all = robot_of(of_system);
    assert_int_equal(access_project_delete(ac, STR("demo"), &e), 0);
    assert_int_equal(access_verify_token(ac, str_of(secret), &ignored, &e), -1);
    assert_int_equal(access_may_see(ac, &ci, NULL), HTTP_SIGNED_OUT);
    add_project(&admin, "demo", 0); /* of the same name: nothing comes back */
    assert_int_equal(access_verify_token(ac, str_of(secret), &ignored, &e), -1);
    assert_int_equal(may(&all, PERM_JOB_READ, "demo"), ERR_NOT_FOUND);
    assert_int_equal(try_robot(&admin, "demo", "", "ci", CAN(JOB_READ), 0, secret), ERR_NONE);
    assert_int_not_equal(robot_of(secret).user_id, ci.user_id);
}

static void a_robots_secret_goes_with_its_own_name_only_and_is_no_password(void **arg UNUSED)
{
    struct principal admin = boss(), out;
    char secret[TOKEN_SIZE];
    struct err e = {0};

    add_project(&admin, "demo", 0);
    assert_int_equal(try_robot(&admin, "demo", "", "ci", CAN(JOB_READ), 0, secret), ERR_NONE);
    assert_int_equal(access_verify(ac, STR("robot$demo+ci"), str_of(secret), "p", &out, &e), 0);
    assert_int_equal(access_verify(ac, STR("boss"), str_of(secret), "p", &out, &e), -1);
    assert_int_equal(access_verify(ac, STR("robot$ci"), str_of(secret), "p", &out, &e), -1);
    assert_int_equal(access_verify(ac, STR("robot$demo+ci "), str_of(secret), "p", &out, &e), -1);
    assert_int_equal(
        access_verify_password(ac, STR("robot$demo+ci"), str_of(secret), "p", &out, &e), -1);
    assert_int_equal(e.kind, ERR_UNAUTHENTICATED);
}

static void a_robot_sees_the_projects_that_it_may_read(void **arg UNUSED)
{
    struct principal admin = boss(), ci;
    char secret[TOKEN_SIZE];
    struct arena arena = {0};
    struct project_ref refs[8];
    struct project_refs found = {.arena = &arena, .refs = refs, .max = ARRAY_LEN(refs)};
    struct buf ids = BUF_MAX(4096);
    struct err e;

    add_project(&admin, "demo", 0);
    add_project(&admin, "hidden", 0);
    add_project(&admin, "open", PROJECT_PUBLIC);
    assert_int_equal(try_robot(&admin, "demo", "", "ci", CAN(IMAGE_PULL), 0, secret), ERR_NONE);
    ci = robot_of(secret);
    assert_int_equal(access_visible(ac, &ci, STR_EMPTY, &found, &e), 0);
    assert_int_equal(found.n, 2);
    assert_true(str_eq_c(refs[0].name, "demo") && str_eq_c(refs[1].name, "open"));
    assert_int_equal(try_robot(&admin, "demo", "", "jobs", CAN(JOB_READ), 0, secret), ERR_NONE);
    ci = robot_of(secret);
    assert_int_equal(access_visible(ac, &ci, STR_EMPTY, &found, &e), 0); /* no images for it */
    assert_int_equal(found.n, 1);
    assert_int_equal(access_search_scope(ac, &ci, PERM_JOB_READ, &ids, &e), 0);
    assert_string_equal(ids.p, "[1]");
    assert_int_equal(access_search_scope(ac, &ci, PERM_VOLUME_READ, &ids, &e), 0);
    assert_string_equal(ids.p, "[]");
    assert_int_equal(try_robot(&admin, "", "*", "all", CAN(IMAGE_PULL), 0, secret), ERR_NONE);
    ci = robot_of(secret);
    assert_int_equal(access_visible(ac, &ci, STR_EMPTY, &found, &e), 0);
    assert_int_equal(found.n, 3);
    buf_done(&ids);
    arena_done(&arena);
}

struct rotator {
    pthread_t thread;
    const char *secret;
    _Atomic bool stop;
    unsigned good;
};

static void *use_robot(void *ctx)
{
    struct rotator *u = ctx;
    struct principal p;
    struct err e;

    while (!u->stop) {
        u->good += access_verify_token(ac, str_of(u->secret), &p, &e) == 0;
    }
    return NULL;
}

/* A reader that overlaps the change must not put what it read back into the cache. */
static void a_secret_that_is_used_while_it_is_rotated_stops_all_the_same(void **arg UNUSED)
{
    struct principal admin = boss(), ignored;
    char secret[TOKEN_SIZE], next[TOKEN_SIZE];
    struct robot_home home;
    struct err e;

    add_project(&admin, "demo", 0);
    home = home_for(&admin, "demo");
    assert_int_equal(try_robot(&admin, "demo", "", "ci", CAN(JOB_READ), 0, secret), ERR_NONE);
    for (int i = 0; i < 20; i++) {
        struct rotator user = {.secret = secret};

        assert_int_equal(pthread_create(&user.thread, NULL, use_robot, &user), 0);
        assert_int_equal(access_robot_rotate(ac, &home, STR("ci"), next, &e), 0);
        assert_int_equal(access_verify_token(ac, str_of(secret), &ignored, &e), -1);
        user.stop = true;
        (void)pthread_join(user.thread, NULL);
        assert_int_equal(access_verify_token(ac, str_of(secret), &ignored, &e), -1);
        memcpy(secret, next, sizeof(secret));
    }
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(the_first_start_makes_admin_and_library_once),
        ROW(the_first_start_can_be_begun_again),
        ROW(every_wrong_sign_in_gets_the_same_answer),
        ROW(a_changed_password_acts_at_once_in_spite_of_the_cache),
        ROW(a_password_has_another_generation_than_the_one_before),
        ROW(guessing_is_throttled_but_tokens_go_on),
        ROW(right_sign_ins_side_by_side_are_never_throttled),
        ROW(a_token_works_until_it_expires),
        ROW(a_revoked_token_stops_at_once),
        ROW(other_texts_are_no_tokens),
        ROW(a_token_with_the_name_of_another_user_is_refused),
        ROW(tokens_and_sessions_of_a_disabled_or_deleted_user_stop_at_once),
        ROW(no_password_token_or_cookie_is_on_the_disk),
        ROW(the_last_use_of_a_token_is_noted_at_most_once_a_minute),
        ROW(scopes_narrow_what_a_token_may_do),
        ROW(a_narrow_token_makes_no_tokens_and_deletes_only_itself),
        ROW(a_token_made_by_a_token_does_not_outlive_it),
        ROW(a_user_holds_200_tokens_and_expired_ones_make_room),
        ROW(a_session_ends_when_idle_and_at_its_full_age),
        ROW(a_new_password_ends_all_sessions_but_the_one_that_set_it),
        ROW(a_user_has_32_sessions_at_most),
        ROW(the_last_admin_stays),
        ROW(a_user_name_is_taken_once_and_follows_the_rules),
        ROW(every_role_in_every_project),
        ROW(a_narrow_token_of_an_admin_is_told_which_scope_it_lacks),
        ROW(membership_changes_act_at_once),
        ROW(system_events_are_for_admins),
        ROW(visitors_of_a_public_project_hear_of_no_jobs),
        ROW(what_concerns_one_user_only_he_hears),
        ROW(a_stream_ends_with_its_session_or_password),
        ROW(changes_of_users_and_members_are_told),
        ROW(what_a_token_made_ends_with_it),
        ROW(users_create_projects_only_where_the_setting_lets_them),
        ROW(a_project_is_deleted_after_all_that_is_kept_for_it),
        ROW(a_deletion_that_a_crash_interrupted_can_be_begun_again),
        ROW(a_project_name_is_taken_once),
        ROW(host_ids_never_pass_the_end_of_32_bits),
        ROW(the_range_that_rests_longest_is_given_again),
        ROW(a_user_makes_as_many_projects_as_the_setting_says),
        ROW(ranges_stay_when_an_older_state_is_opened),
        ROW(lists_come_in_pages),
        ROW(projects_that_one_may_see_are_listed),
        ROW(changes_are_listed_newest_first_by_user_and_project),
        ROW(old_audit_entries_are_deleted),
        ROW(refusals_of_a_user_are_counted_after_sixty_a_minute),
        ROW(only_so_many_audit_entries_are_kept),
        ROW(the_highest_role_of_a_user_and_his_groups_counts),
        ROW(changes_of_groups_are_told_to_their_users),
        ROW(a_group_that_a_directory_fills_is_not_changed_by_hand),
        ROW(members_are_users_and_then_groups_in_pages),
        ROW(a_robot_may_what_it_was_given_where_it_was_given),
        ROW(a_robot_of_the_system_may_in_some_or_in_every_project),
        ROW(nobody_gives_a_robot_more_than_he_holds),
        ROW(a_new_secret_ends_the_old_one_and_what_was_made_of_it),
        ROW(a_robot_that_is_disabled_narrowed_or_deleted_stops_at_once),
        ROW(a_robot_works_until_it_expires),
        ROW(a_robot_does_not_outlive_its_project),
        ROW(a_robots_secret_goes_with_its_own_name_only_and_is_no_password),
        ROW(a_robot_sees_the_projects_that_it_may_read),
        ROW(a_secret_that_is_used_while_it_is_rotated_stops_all_the_same),
    };

    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
