#include "access_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "state/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "strata_";
enum { TOUCH_MS = 60000 }; /* last_used_ms is written at most this often */

bool access_is_token(struct str text)
{
    return text.len == TOKEN_SIZE - 1 && str_starts(text, STR("strata_"));
}

/* Permissions that need no scope: what everybody may, and what concerns only oneself. */
#define ALWAYS (PERM_BIT(PERM_PUBLIC) | PERM_BIT(PERM_SIGNED_IN) | PERM_BIT(PERM_PERSON))

/* Names, not numbers: the enum may get new members in between. */
static void scopes_write(uint64_t scopes, struct buf *out)
{
    for (int p = 0; p < PERM_COUNT; p++) {
        if (scopes & PERM_BIT(p) & ~ALWAYS) {
            buf_printf(out, "%s%s", out->len ? " " : "", perm_name((enum perm)p));
        }
    }
}

/* A name that this version does not know allows nothing. */
static uint64_t scopes_read(struct str text)
{
    uint64_t scopes = ALWAYS;
    struct err ignored;

    while (text.p) {
        struct str word = str_cut(&text, ' ');
        enum perm p;

        if (word.len > 0 && perm_parse(word, &p, &ignored) == 0) {
            scopes |= PERM_BIT(p);
        }
    }
    return scopes;
}

void access_scopes_json(struct jw *w, uint64_t scopes)
{
    if (scopes == PERM_ALL) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (int p = 0; p < PERM_COUNT; p++) {
        if (scopes & PERM_BIT(p) & ~ALWAYS) {
            jw_str(w, str_of(perm_name((enum perm)p)));
        }
    }
    jw_end(w);
}

static struct str hash_view(const unsigned char hash[SHA256_BYTES])
{
    return str_n((const char *)hash, SHA256_BYTES);
}

void access_token_text(char out[TOKEN_SIZE])
{
    (void)snprintf(out, TOKEN_SIZE, "%s", prefix);
    random_name(out + strlen(prefix), TOKEN_LETTERS);
}

struct add {
    const struct principal *maker;
    struct str name;
    struct token *out;
    unsigned char hash[SHA256_BYTES];
    struct str scopes; /* p == NULL: all */
};

static int check_parent(struct state_db *db, const struct add *t, struct err *e)
{
    int64_t expires_ms;

    if (t->maker->token_id == 0) {
        return 0;
    }
    if (state_one_i64(db, &expires_ms, e, "the token that you came with is gone",
                      "SELECT expires_ms FROM tokens WHERE id = ?", "i", t->maker->token_id) < 0) {
        return -1;
    }
    if (expires_ms && (t->out->expires_ms == 0 || t->out->expires_ms > expires_ms)) {
        t->out->expires_ms = expires_ms;
    }
    return 0;
}

static int insert_token(struct state_db *db, void *ctx, struct err *e)
{
    struct add *t = ctx;
    int64_t n;

    if (check_parent(db, t, e) < 0 ||
        state_run(db, e,
                  "DELETE FROM tokens WHERE user_id = ? AND expires_ms > 0 AND expires_ms < ?",
                  "ii", t->maker->user_id, t->out->created_ms) < 0 ||
        state_one_i64(db, &n, e, "", "SELECT count(*) FROM tokens WHERE user_id = ?", "i",
                      t->maker->user_id) < 0) {
        return -1;
    }
    if (n >= TOKENS_PER_USER) {
        return err_set(e, ERR_LIMIT, "you have %d tokens: delete some first", TOKENS_PER_USER);
    }
    if (state_run(db, e,
                  "INSERT INTO tokens(user_id, name, sha256, scopes, created_ms, expires_ms) "
                  "VALUES(?, ?, ?, ?, ?, ?)",
                  "isbsii", t->maker->user_id, t->name, hash_view(t->hash), t->scopes,
                  t->out->created_ms, t->out->expires_ms) < 0) {
        return -1;
    }
    t->out->id = state_last_id(db);
    return 0;
}

int access_token_add(struct access *a, const struct principal *maker, struct str name,
                     int64_t expires_ms, uint64_t scopes, struct token *out, struct err *e)
{
    struct buf words = BUF_MAX(2048);
    struct token made = {.created_ms = clock_wall_ms(),
                         .expires_ms = expires_ms,
                         .scopes = scopes == PERM_ALL ? scopes : scopes | ALWAYS};
    struct add t = {.maker = maker, .name = name, .out = &made, .scopes = {NULL, 0}};
    int r;

    if (maker->scopes != PERM_ALL) {
        return err_set(e, ERR_FORBIDDEN,
                       "the token that you came with is narrowed by scopes: make tokens with your "
                       "password or with a full token");
    }
    if (name.len == 0 || name.len > 100) {
        return err_set(e, ERR_INVALID, "name: give 1 to 100 bytes that say what the token is for");
    }
    access_token_text(made.text);
    sha256_of(str_of(made.text), t.hash);
    if (scopes != PERM_ALL) {
        scopes_write(scopes, &words);
        t.scopes = buf_str(&words);
    }
    r = state_write(a->state, insert_token, &t, e);
    buf_done(&words);
    if (r == 0) {
        *out = made;
        access_tell_token(a, maker->user_id, made.id, "created");
    }
    explicit_bzero(&made, sizeof(made));
    return r;
}

struct token_ref {
    const struct principal *who;
    int64_t id;
};

static int delete_token(struct state_db *db, void *ctx, struct err *e)
{
    const struct token_ref *t = ctx;

    if (state_run(db, e, "DELETE FROM tokens WHERE id = ? AND user_id = ?", "ii", t->id,
                  t->who->user_id) < 0) {
        return -1;
    }
    return state_changes(db) > 0
               ? 0
               : err_set(e, ERR_NOT_FOUND, "you have no token with the id %lld", (long long)t->id);
}

int access_token_delete(struct access *a, const struct principal *who, int64_t id, struct err *e)
{
    if (who->scopes != PERM_ALL && who->token_id != id) {
        return err_set(e, ERR_FORBIDDEN,
                       "a token that is narrowed by scopes may only delete itself");
    }
    if (state_write(a->state, delete_token, &(struct token_ref){who, id}, e) < 0) {
        return -1;
    }
    access_forget(a);
    access_tell_token(a, who->user_id, id, "revoked");
    return 0;
}

struct token_list {
    int64_t user_id, after;
    const struct page *page;
};

static int write_tokens(struct state_db *db, void *ctx, struct err *e)
{
    const struct token_list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct jw w = JW(l->page->out);
    int64_t n = 0, last = 0;
    char next[24];
    int r;

    if (query_open(&q, db, e,
                   "SELECT id, name, scopes, created_ms, expires_ms, last_used_ms FROM tokens "
                   "WHERE user_id = ? AND id > ? AND has_words(?, name) ORDER BY id LIMIT ?",
                   "iisi", l->user_id, l->after, l->page->q, l->page->limit + 1) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    while ((r = query_step(&q, e)) > 0 && n++ < l->page->limit) {
        last = query_i64(&q, 0);
        jw_object(&w);
        jw_kv_i64(&w, "id", last);
        jw_kv_str(&w, "name", query_str(&q, 1));
        jw_key(&w, "scopes");
        access_scopes_json(&w, query_is_null(&q, 2) ? PERM_ALL : scopes_read(query_str(&q, 2)));
        jw_kv_time(&w, "created_at", query_i64(&q, 3));
        jw_kv_time(&w, "expires_at", query_i64(&q, 4));
        jw_kv_time(&w, "last_used_at", query_i64(&q, 5));
        jw_end(&w);
    }
    jw_end(&w);
    (void)snprintf(next, sizeof(next), "%lld", (long long)last);
    jw_kv_c(&w, "next", r > 0 ? next : NULL);
    jw_end(&w);
    return r < 0 ? -1 : 0;
}

int access_tokens_page(struct access *a, int64_t user_id, const struct page *p, struct err *e)
{
    struct token_list l = {.user_id = user_id, .page = p};
    uint64_t after = 0;

    if (p->after.len > 0 && (str_to_u64(p->after, &after) < 0 || after > INT64_MAX)) {
        return err_set(e, ERR_INVALID, "after: give the \"next\" of the page before");
    }
    l.after = (int64_t)after;
    return state_read(a->state, write_tokens, &l, e);
}

struct lookup {
    unsigned char hash[SHA256_BYTES];
    struct known found;
    int64_t last_used_ms;
    bool is_found;
};

static int find_robot(struct state_db *db, struct lookup *l, struct err *e)
{
    struct robot_found robot = {0};
    int r = access_robot_by_secret(db, l->hash, &robot, e);

    if (r > 0) {
        l->found = robot.known;
        l->last_used_ms = robot.last_seen_ms;
        l->is_found = true;
    }
    return r < 0 ? -1 : 0;
}

/* A personal token, or the secret of a robot: they look the same. */
static int find_token(struct state_db *db, void *ctx, struct err *e)
{
    struct lookup *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct principal *who = &l->found.who;

    if (query_open(&q, db, e,
                   "SELECT t.id, t.scopes, t.expires_ms, t.last_used_ms, u.id, u.name, u.is_admin "
                   "FROM tokens t JOIN users u ON u.id = t.user_id "
                   "WHERE t.sha256 = ? AND NOT u.disabled",
                   "b", hash_view(l->hash)) < 0) {
        return -1;
    }
    switch (query_step(&q, e)) {
    case 0:
        return find_robot(db, l, e);
    case 1:
        access_set_principal(who, PRINCIPAL_TOKEN, query_i64(&q, 4),
                             query_i64(&q, 6) ? USER_ADMIN : 0, query_str(&q, 5));
        who->token_id = query_i64(&q, 0);
        who->scopes = query_is_null(&q, 1) ? PERM_ALL : scopes_read(query_str(&q, 1));
        l->found.expires_ms = query_i64(&q, 2);
        l->last_used_ms = query_i64(&q, 3);
        l->is_found = true;
        return 0;
    default:
        return -1;
    }
}

struct touch {
    int64_t token_id, user_id, now_ms;
};

static int write_touch(struct state_db *db, void *ctx, struct err *e)
{
    const struct touch *t = ctx;

    if (t->user_id < 0) {
        return state_run(db, e, "UPDATE robots SET last_seen_ms = ? WHERE id = ?", "ii", t->now_ms,
                         -t->user_id);
    }
    if (state_run(db, e, "UPDATE tokens SET last_used_ms = ? WHERE id = ?", "ii", t->now_ms,
                  t->token_id) < 0) {
        return -1;
    }
    return state_run(db, e, "UPDATE users SET last_seen_ms = ? WHERE id = ?", "ii", t->now_ms,
                     t->user_id);
}

static void free_touch(void *ctx, const struct err *e UNUSED)
{
    free(ctx); /* a full disk only costs the note */
}

static void touch(struct access *a, const struct principal *who, int64_t now_ms)
{
    struct touch *t = xnew(struct touch);

    *t = (struct touch){who->token_id, who->user_id, now_ms};
    state_submit(a->state, write_touch, t, free_touch);
}

static int find_expiry(struct state_db *db, void *ctx, struct err *e)
{
    struct known *k = ctx;

    return state_one_i64(db, &k->expires_ms, e, "", "SELECT expires_ms FROM tokens WHERE id = ?",
                         "i", k->who.token_id);
}

static int err_token(struct err *e)
{
    return err_set(e, ERR_UNAUTHENTICATED,
                   "this token is unknown, expired or revoked: make a new one (strata login)");
}

/* The index finds the SHA-256 of 200 random bits: its comparison tells nothing of use. */
int access_verify_token(struct access *a, struct str token, struct principal *out, struct err *e)
{
    uint64_t epoch = atomic_load(&a->epoch);
    int64_t now_ms = clock_wall_ms();
    struct cache_key key;
    struct lookup l = {0};

    if (!access_is_token(token)) {
        return err_token(e);
    }
    key = access_cache_key(a, 't', token, STR_EMPTY);
    if (!access_cache_get(a->known, &key, epoch, clock_mono_ms(), &l.found)) {
        sha256_of(token, l.hash);
        if (state_read(a->state, find_token, &l, e) < 0) {
            return -1;
        }
        if (!l.is_found) {
            return err_token(e);
        }
        if (l.found.expires_ms == 0 || l.found.expires_ms > now_ms) {
            access_cache_put(a->known, &key, epoch, clock_mono_ms(), &l.found);
            if (now_ms - l.last_used_ms >= TOUCH_MS) {
                touch(a, &l.found.who, now_ms);
            }
        }
    }
    if (l.found.expires_ms && l.found.expires_ms <= now_ms) {
        return err_token(e);
    }
    *out = l.found.who;
    return 0;
}

int access_token_alive(struct access *a, int64_t token_id, struct err *e)
{
    uint64_t epoch = atomic_load(&a->epoch);
    struct known k = {.who = {.token_id = token_id}};
    struct cache_key key =
        access_cache_key(a, 'i', str_n((const char *)&token_id, sizeof(token_id)), STR_EMPTY);

    if (!access_cache_get(a->known, &key, epoch, clock_mono_ms(), &k)) {
        if (state_read(a->state, find_expiry, &k, e) < 0) {
            return e->kind == ERR_NOT_FOUND ? err_token(e) : -1;
        }
        access_cache_put(a->known, &key, epoch, clock_mono_ms(), &k);
    }
    return k.expires_ms && k.expires_ms <= clock_wall_ms() ? err_token(e) : 0;
}
