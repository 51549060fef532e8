#include "access_priv.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/http.h"
#include "state/state.h"

#include <stdlib.h>
#include <string.h>

enum { TOUCH_MS = 60000 }; /* last_seen_ms is written at most this often */

static const char cookie_name[] = "strata_session";

struct session {
    struct access *a;
    unsigned char hash[SHA256_BYTES];
    int64_t user_id, now_ms, last_seen_ms;
    const char *peer;
    struct principal who;
    bool is_found;
};

static struct str hash_view(const struct session *s)
{
    return str_n((const char *)s->hash, SHA256_BYTES);
}

int access_sessions_drop(struct state_db *db, int64_t user_id, struct str keep, struct err *e)
{
    return state_run(db, e, "DELETE FROM sessions WHERE user_id = ? AND sha256 <> ?", "ib", user_id,
                     keep.p ? keep : STR_EMPTY);
}

/* Makes room: what has expired, and the least used ones past the limit. */
static int trim(struct state_db *db, const struct session *s, struct err *e)
{
    if (state_run(db, e, "DELETE FROM sessions WHERE last_seen_ms < ? OR created_ms < ?", "ii",
                  s->now_ms - s->a->session_idle_ms, s->now_ms - s->a->session_max_ms) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "DELETE FROM sessions WHERE user_id = ?1 AND sha256 NOT IN (SELECT sha256 "
                     "FROM sessions WHERE user_id = ?1 ORDER BY last_seen_ms DESC LIMIT ?2)",
                     "ii", s->user_id, (int64_t)SESSIONS_PER_USER - 1);
}

static int insert_session(struct state_db *db, void *ctx, struct err *e)
{
    const struct session *s = ctx;

    if (trim(db, s, e) < 0 || state_run(db, e, "UPDATE users SET last_seen_ms = ? WHERE id = ?",
                                        "ii", s->now_ms, s->user_id) < 0) {
        return -1;
    }
    return state_run(db, e, "INSERT INTO sessions VALUES(?, ?, ?, ?, ?)", "bizii", hash_view(s),
                     s->user_id, s->peer, s->now_ms, s->now_ms);
}

int access_session_new(struct access *a, int64_t user_id, const char *peer,
                       char cookie[COOKIE_SIZE], struct err *e)
{
    struct session s = {.a = a, .user_id = user_id, .peer = peer, .now_ms = clock_wall_ms()};
    unsigned char random[32];
    char made[COOKIE_SIZE];
    int r;

    random_bytes(random, sizeof(random));
    hex_encode(random, sizeof(random), made);
    sha256_of(str_of(made), s.hash);
    r = state_write(a->state, insert_session, &s, e);
    if (r == 0) {
        memcpy(cookie, made, sizeof(made));
    }
    explicit_bzero(random, sizeof(random));
    explicit_bzero(made, sizeof(made));
    return r;
}

static int find_session(struct state_db *db, void *ctx, struct err *e)
{
    struct session *s = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT u.id, u.name, u.is_admin, s.last_seen_ms, u.generation FROM sessions s "
                   "JOIN users u ON u.id = s.user_id WHERE s.sha256 = ? AND NOT u.disabled "
                   "AND s.last_seen_ms > ? AND s.created_ms > ?",
                   "bii", hash_view(s), s->now_ms - s->a->session_idle_ms,
                   s->now_ms - s->a->session_max_ms) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r > 0) {
        s->is_found = true;
        s->user_id = query_i64(&q, 0);
        s->last_seen_ms = query_i64(&q, 3);
        access_set_principal(&s->who, PRINCIPAL_SESSION, s->user_id,
                             query_i64(&q, 2) ? USER_ADMIN : 0, query_str(&q, 1));
        s->who.generation = query_i64(&q, 4);
    }
    return 0;
}

static int write_seen(struct state_db *db, void *ctx, struct err *e)
{
    const struct session *s = ctx;

    if (state_run(db, e, "UPDATE sessions SET last_seen_ms = ? WHERE sha256 = ?", "ib", s->now_ms,
                  hash_view(s)) < 0) {
        return -1;
    }
    return state_run(db, e, "UPDATE users SET last_seen_ms = ? WHERE id = ?", "ii", s->now_ms,
                     s->user_id);
}

static void free_seen(void *ctx, const struct err *e UNUSED)
{
    free(ctx); /* a full disk only lets the session end a little earlier */
}

int access_session_find(struct access *a, struct str cookie, struct principal *out, struct err *e)
{
    struct session s = {.a = a, .now_ms = clock_wall_ms()};

    if (cookie.len != COOKIE_SIZE - 1) {
        return 1;
    }
    sha256_of(cookie, s.hash);
    if (state_read(a->state, find_session, &s, e) < 0) {
        return -1;
    }
    if (!s.is_found) {
        return 1;
    }
    if (s.now_ms - s.last_seen_ms >= TOUCH_MS) {
        struct session *seen = xnew(struct session);

        *seen = s;
        state_submit(a->state, write_seen, seen, free_seen);
    }
    memcpy(s.who.session, s.hash, sizeof(s.who.session));
    *out = s.who;
    return 0;
}

static int delete_session(struct state_db *db, void *ctx, struct err *e)
{
    struct session *s = ctx;

    if (state_one_i64(db, &s->user_id, e, "", "SELECT user_id FROM sessions WHERE sha256 = ?", "b",
                      hash_view(s)) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    return state_run(db, e, "DELETE FROM sessions WHERE sha256 = ?", "b", hash_view(s));
}

int access_session_end(struct access *a, struct str cookie, struct err *e)
{
    struct session s = {.a = a};

    sha256_of(cookie, s.hash);
    if (state_write(a->state, delete_session, &s, e) < 0) {
        return -1;
    }
    access_forget(a);
    if (s.user_id != 0) {
        access_tell_me(a, s.user_id); /* other streams of this session end */
    }
    return 0;
}

static int find_alive(struct state_db *db, void *ctx, struct err *e)
{
    const struct session *s = ctx;
    int64_t user_id;

    return state_one_i64(db, &user_id, e, "",
                         "SELECT user_id FROM sessions WHERE sha256 = ? AND last_seen_ms > ? "
                         "AND created_ms > ?",
                         "bii", hash_view(s), s->now_ms - s->a->session_idle_ms,
                         s->now_ms - s->a->session_max_ms);
}

int access_session_alive(struct access *a, const struct principal *who, struct err *e)
{
    uint64_t epoch = atomic_load(&a->epoch);
    struct session s = {.a = a, .now_ms = clock_wall_ms()};
    struct known k = {.who = *who};
    struct cache_key key = access_cache_key(
        a, 's', str_n((const char *)who->session, sizeof(who->session)), STR_EMPTY);

    if (access_cache_get(a->known, &key, epoch, clock_mono_ms(), &k)) {
        return 0;
    }
    memcpy(s.hash, who->session, sizeof(s.hash));
    if (state_read(a->state, find_alive, &s, e) < 0) {
        return e->kind == ERR_NOT_FOUND
                   ? err_set(e, ERR_UNAUTHENTICATED, "this session has ended: sign in again")
                   : -1;
    }
    access_cache_put(a->known, &key, epoch, clock_mono_ms(), &k);
    return 0;
}

void access_session_csrf(struct str cookie, char out[CSRF_SIZE])
{
    unsigned char mac[SHA256_BYTES];

    hmac_sha256(cookie, STR("csrf"), mac);
    hex_encode(mac, (CSRF_SIZE - 1) / 2, out);
}

/* RFC 6265 section 4.2.1: "a=b; c=d". The first of that name. */
struct str access_session_cookie(const struct http_req *r)
{
    struct str rest = http_header(r, "Cookie");

    while (rest.p) {
        struct str value = str_trim(str_cut(&rest, ';'));
        struct str name = str_cut(&value, '=');

        if (value.p && str_eq_c(name, cookie_name)) {
            return value;
        }
    }
    return (struct str){NULL, 0};
}
