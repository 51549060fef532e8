#include "access_priv.h"

#include "base/clock.h"
#include "net/http.h"
#include "state/state.h"

#include <string.h>

void access_set_principal(struct principal *out, enum principal_kind kind, int64_t user_id,
                          enum user_flags flags, struct str name)
{
    *out = (struct principal){.kind = kind,
                              .user_id = user_id,
                              .is_admin = (flags & USER_ADMIN) != 0,
                              .scopes = PERM_ALL};
    (void)!str_copy(name, out->name, sizeof(out->name));
}

static int err_password(struct err *e)
{
    return err_set(e, ERR_UNAUTHENTICATED, "user name or password is wrong");
}

struct candidate {
    struct str name;
    int64_t user_id; /* 0 when there is none */
    int64_t generation;
    bool is_admin, disabled;
    char hash[PASSWORD_HASH_SIZE];
};

static int find_candidate(struct state_db *db, void *ctx, struct err *e)
{
    struct candidate *c = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT id, is_admin, disabled, password, generation FROM users WHERE name = ?",
                   "s", c->name) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r > 0) {
        c->user_id = query_i64(&q, 0);
        c->is_admin = query_i64(&q, 1) != 0;
        c->disabled = query_i64(&q, 2) != 0;
        (void)!str_copy(query_str(&q, 3), c->hash, sizeof(c->hash));
        c->generation = query_i64(&q, 4);
    }
    return 0;
}

struct attempt {
    struct str user, password;
    const char *peer;
    struct cache_key key;
};

static bool is_known(struct access *a, const struct attempt *t, struct principal *out)
{
    struct known k;

    if (!access_cache_get(a->known, &t->key, atomic_load(&a->epoch), clock_mono_ms(), &k)) {
        return false;
    }
    *out = k.who;
    return true;
}

/* Under a slot. The same work for a user that is not there, has no password or is disabled. */
static int verify_slowly(struct access *a, const struct attempt *t, struct principal *out,
                         struct err *e)
{
    struct candidate c = {.name = t->user};
    struct known k = {0};
    uint64_t epoch = atomic_load(&a->epoch);
    bool right;

    if (access_throttle_begin(a->throttle, t->user, t->peer, clock_mono_ms(), e) < 0 ||
        state_read(a->state, find_candidate, &c, e) < 0) {
        return -1;
    }
    right = access_password_matches(t->password, str_of(c.hash));
    explicit_bzero(c.hash, sizeof(c.hash));
    if (!right || c.user_id == 0 || c.disabled) {
        return err_password(e);
    }
    access_throttle_success(a->throttle, t->user, t->peer, clock_mono_ms());
    access_set_principal(&k.who, PRINCIPAL_PASSWORD, c.user_id, c.is_admin ? USER_ADMIN : 0,
                         t->user);
    k.who.generation = c.generation;
    access_cache_put(a->known, &t->key, epoch, clock_mono_ms(), &k);
    *out = k.who;
    return 0;
}

int access_verify_password(struct access *a, struct str user, struct str password, const char *peer,
                           struct principal *out, struct err *e)
{
    struct attempt t = {.user = user, .password = password, .peer = peer};
    int r;

    if (user.len > LIMIT_NAME_BYTES || password.len > LIMIT_PASSWORD_BYTES) {
        return err_password(e);
    }
    t.key = access_cache_key(a, 'p', user, password);
    if (is_known(a, &t, out)) {
        return 0;
    }
    if (access_throttle_check(a->throttle, user, peer, clock_mono_ms(), e) < 0 ||
        access_password_slot_take(&a->slots, user, e) < 0) {
        return -1;
    }
    /* The same client may have been verified while this thread waited: ask again. */
    r = is_known(a, &t, out) ? 0 : verify_slowly(a, &t, out, e);
    access_password_slot_drop(&a->slots);
    return r;
}

int access_verify(struct access *a, struct str user, struct str password, const char *peer,
                  struct principal *out, struct err *e)
{
    struct principal who;

    if (!access_is_token(password)) {
        return access_verify_password(a, user, password, peer, out, e);
    }
    if (access_verify_token(a, password, &who, e) < 0) {
        return -1;
    }
    if (!str_eq_c(user, who.name)) {
        return err_set(e, ERR_UNAUTHENTICATED,
                       "this token belongs to another user (a robot's name is "
                       "robot$PROJECT+NAME, or robot$NAME)");
    }
    *out = who;
    return 0;
}

struct by_id {
    int64_t id;
    bool is_found;
    struct known known;
};

static int find_robot_by_id(struct state_db *db, struct by_id *b, struct err *e)
{
    struct robot_found robot = {0};
    int r = access_robot_by_id(db, -b->id, &robot, e);

    b->is_found = r > 0;
    b->known = robot.known;
    return r < 0 ? -1 : 0;
}

static int find_by_id(struct state_db *db, void *ctx, struct err *e)
{
    struct by_id *b = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (b->id < 0) {
        return find_robot_by_id(db, b, e);
    }
    if (query_open(&q, db, e,
                   "SELECT name, is_admin, generation FROM users WHERE id = ? AND NOT disabled",
                   "i", b->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r > 0) {
        b->is_found = true;
        access_set_principal(&b->known.who, PRINCIPAL_TOKEN, b->id,
                             query_i64(&q, 1) ? USER_ADMIN : 0, query_str(&q, 0));
        b->known.who.generation = query_i64(&q, 2);
    }
    return 0;
}

int access_principal(struct access *a, int64_t user_id, struct principal *out, struct err *e)
{
    uint64_t epoch = atomic_load(&a->epoch);
    struct by_id b = {.id = user_id};
    struct cache_key key =
        access_cache_key(a, 'u', str_n((const char *)&user_id, sizeof(user_id)), STR_EMPTY);

    if (!access_cache_get(a->known, &key, epoch, clock_mono_ms(), &b.known)) {
        if (state_read(a->state, find_by_id, &b, e) < 0) {
            return -1;
        }
        if (!b.is_found) {
            return err_set(e, ERR_UNAUTHENTICATED, "this %s is gone or disabled",
                           user_id < 0 ? "robot" : "user");
        }
        access_cache_put(a->known, &key, epoch, clock_mono_ms(), &b.known);
    }
    if (b.known.expires_ms != 0 && b.known.expires_ms <= clock_wall_ms()) {
        return err_set(e, ERR_UNAUTHENTICATED, "%s has expired: give it more time, or make another",
                       b.known.who.name);
    }
    *out = b.known.who;
    return 0;
}

/* RFC 7617 */
static int by_basic(struct access *a, struct http_req *r, struct str text, struct principal *out,
                    struct err *e)
{
    struct buf plain = BUF_MAX(LIMIT_LOGIN_BYTES + LIMIT_PASSWORD_BYTES + 16);
    struct str password;
    int result;

    if (base64_decode(text, &plain) < 0 || str_find_char(buf_str(&plain), ':') < 0) {
        result = err_set(e, ERR_UNAUTHENTICATED,
                         "Authorization: Basic takes base64 of user:password (RFC 7617)");
    } else {
        struct str user;

        password = buf_str(&plain);
        user = str_cut(&password, ':');
        result = access_verify(a, user, password, r->peer, out, e);
    }
    if (plain.p) {
        explicit_bzero(plain.p, plain.len);
    }
    buf_done(&plain);
    return result;
}

/* RFC 6750 */
static int by_bearer(struct access *a, struct http_req *r, struct str token, struct principal *out,
                     struct err *e)
{
    int result = 0;

    if (str_starts(token, STR("strata_"))) {
        return access_verify_token(a, token, out, e);
    }
    if (a->bearer) {
        result = a->bearer(a->bearer_ctx, r, token, out, e);
    }
    if (result == 0) {
        return err_set(e, ERR_UNAUTHENTICATED, "this bearer token is not one of ours");
    }
    return result < 0 ? -1 : 0;
}

static bool changes_something(const struct http_req *r)
{
    return r->method != HTTP_GET && r->method != HTTP_HEAD && r->method != HTTP_OPTIONS;
}

/* A browser that was once asked for a password adds it by itself to what other sites make it send;
 * then it says where the request came from (Fetch Metadata Request Headers, 2.3), which programs
 * never do. Reading is safe: no answer of ours is shown to another site. */
static int check_cross_site(const struct http_req *r, struct err *e)
{
    struct str site = http_header(r, "Sec-Fetch-Site");

    bool matters = changes_something(r) || (r->route && r->route->flags & ROUTE_AUDIT);

    if (!matters || site.p == NULL || str_eq_c(site, "same-origin") || str_eq_c(site, "none")) {
        return 0;
    }
    return err_set(e, ERR_FORBIDDEN,
                   "a page of another site may not change anything here with a saved password");
}

/* A browser adds the cookie by itself, so a change must also bring what only our own pages know.
 * Where anybody may come in, a session that does not prove itself counts as nobody. */
static int check_csrf(const struct http_req *r, struct str cookie, struct principal *out,
                      struct err *e)
{
    char want[CSRF_SIZE];

    access_session_csrf(cookie, want);
    if (!changes_something(r) || secret_eq(http_header(r, "X-CSRF-Token"), str_of(want))) {
        return 0;
    }
    if (r->route && r->route->perm == PERM_PUBLIC) {
        access_set_principal(out, PRINCIPAL_ANONYMOUS, 0, 0, STR("anonymous"));
        return 0;
    }
    return err_set(e, ERR_FORBIDDEN,
                   "a change by a session needs the header X-CSRF-Token (see /api/v1/me)");
}

/* A cookie that has expired is no mistake of the visitor: he is anonymous again. */
static int by_cookie(struct access *a, struct http_req *r, struct str cookie, struct principal *out,
                     struct err *e)
{
    switch (access_session_find(a, cookie, out, e)) {
    case 0:
        return check_csrf(r, cookie, out, e);
    case 1:
        return 0;
    default:
        return -1;
    }
}

int access_authenticate(void *ctx, struct http_req *r, struct principal *out, struct err *e)
{
    struct access *a = ctx;
    struct str header = http_header(r, "Authorization");
    struct str cookie;
    struct str scheme;

    access_set_principal(out, PRINCIPAL_ANONYMOUS, 0, 0, STR("anonymous"));
    if (header.p) {
        scheme = str_cut(&header, ' ');
        header = header.p ? str_trim(header) : STR_EMPTY;
        if (str_eq_nocase(scheme, STR("Bearer"))) {
            return by_bearer(a, r, header, out, e);
        }
        if (str_eq_nocase(scheme, STR("Basic"))) {
            return check_cross_site(r, e) < 0 ? -1 : by_basic(a, r, header, out, e);
        }
        return err_set(e, ERR_UNAUTHENTICATED, "Authorization: use Bearer or Basic");
    }
    cookie = access_session_cookie(r);
    return cookie.p ? by_cookie(a, r, cookie, out, e) : 0;
}
