/* Robots: accounts of programs. One belongs to a project and goes with it, or to the system; what
 * it may is written down by project (robot_grants), and read where the roles of users are: through
 * the view `memberships`, by authorize.c. */
#include "access_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "state/state.h"

#include <stdio.h>
#include <string.h>

uint64_t access_robot_may(void)
{
    return role_permissions(ROLE_MAINTAINER) & ~role_permissions(ROLE_NONE) &
           ~PERM_BIT(PERM_PROJECT_MANAGE);
}

/* As Harbor names them. No user's name has '$' or '+'. */
void access_robot_login(struct str project, struct str name, char out[LIMIT_LOGIN_BYTES + 1])
{
    (void)snprintf(out, LIMIT_LOGIN_BYTES + 1, "robot$%.*s%s%.*s", STR_ARG(project),
                   project.len > 0 ? "+" : "", STR_ARG(name));
}

int access_robot_home(struct access *a, const struct principal *who, struct str project,
                      struct robot_home *out, struct err *e)
{
    struct place p;

    if (project.len == 0) {
        *out = (struct robot_home){.project = STR_EMPTY,
                                   .held = role_permissions(ROLE_ADMIN) & who->scopes};
        return 0;
    }
    if (access_place(a, who->user_id, project, &p, e) < 0) {
        return -1;
    }
    if (p.project_id == 0) {
        return access_err_no_project(project, e);
    }
    *out = (struct robot_home){p.project_id, project, access_rights(who, &p)};
    return 0;
}

struct one_robot {
    const struct robot_home *home;
    struct str name;
    const struct robot_change *change;
    const char *maker;
    unsigned char hash[SHA256_BYTES];
    int64_t id;
    struct jw *w;
};

static struct str hash_view(const unsigned char hash[SHA256_BYTES])
{
    return str_n((const char *)hash, SHA256_BYTES);
}

static int err_no_robot(const struct one_robot *r, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no robot \"%.*s\" here",
                   STR_ARG(str_first(r->name, LIMIT_NAME_BYTES)));
}

static int find_robot(struct state_db *db, struct one_robot *r, struct err *e)
{
    int n = state_one_i64(db, &r->id, e, "",
                          "SELECT id FROM robots WHERE coalesce(project_id, 0) = ? AND name = ?",
                          "is", r->home->project_id, r->name);

    return n < 0 && e->kind == ERR_NOT_FOUND ? err_no_robot(r, e) : n;
}

/* --- what it may --- */

/* Nobody gives more than he holds. */
static int check_held(uint64_t given, uint64_t held, struct err *e)
{
    for (int p = 0; p < PERM_COUNT; p++) {
        if (given & PERM_BIT(p) & ~access_robot_may()) {
            return err_set(e, ERR_INVALID, "%s cannot be given to a robot",
                           perm_name((enum perm)p));
        }
        if (given & PERM_BIT(p) & ~held) {
            return err_set(
                e, ERR_FORBIDDEN,
                "a robot with %s is for those who have it themselves: you do not, or the "
                "token that you came with does not",
                perm_name((enum perm)p));
        }
    }
    return 0;
}

static int check_grants(const struct robot_home *home, const struct robot_change *c, struct err *e)
{
    if (c->n_grants > LIMIT_ROBOT_GRANTS) {
        return err_set(e, ERR_LIMIT, "a robot is given at most %d projects by name: use \"*\"",
                       LIMIT_ROBOT_GRANTS);
    }
    for (size_t i = 0; i < c->n_grants; i++) {
        if (check_held(c->grants[i].perms, home->held, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int insert_grant(struct state_db *db, const struct one_robot *r, const struct robot_grant *g,
                        struct err *e)
{
    int64_t project_id = r->home->project_id;

    if (project_id == 0 && !str_eq_c(g->project, "*") &&
        access_project_find(db, g->project, &project_id, e) < 0) {
        return -1;
    }
    for (int p = 0; p < PERM_COUNT; p++) {
        if (g->perms & PERM_BIT(p) &&
            state_run(db, e,
                      "INSERT INTO robot_grants(robot_id, project_id, permission) "
                      "VALUES(?, nullif(?, 0), ?)",
                      "iiz", r->id, project_id, perm_name((enum perm)p)) < 0) {
            return -1;
        }
    }
    return 0;
}

static int put_grants(struct state_db *db, const struct one_robot *r, struct err *e)
{
    if (state_run(db, e, "DELETE FROM robot_grants WHERE robot_id = ?", "i", r->id) < 0) {
        return -1;
    }
    for (size_t i = 0; i < r->change->n_grants; i++) {
        if (insert_grant(db, r, &r->change->grants[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* All that it was given anywhere. A permission of a newer version allows nothing. */
static int read_grants(struct state_db *db, int64_t id, uint64_t *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    uint64_t perms = 0;
    struct err unknown;
    enum perm p;
    int r;

    if (query_open(&q, db, e, "SELECT DISTINCT permission FROM robot_grants WHERE robot_id = ?",
                   "i", id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (perm_parse(query_str(&q, 0), &p, &unknown) == 0) {
            perms |= PERM_BIT(p) & access_robot_may();
        }
    }
    *out = perms;
    return r;
}

/* --- changes --- */

static int check_expiry(const struct access *a, const struct robot_change *c, struct err *e)
{
    int64_t max_ms = a->robot_expiry_max_ms;

    if (!c->has_expiry || max_ms <= 0 ||
        (c->expires_ms != 0 && c->expires_ms <= clock_wall_ms() + max_ms)) {
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "expires_in_seconds: give 1 to %lld, a robot lives no longer on this server "
                   "(setting access.robot_expiry_max)",
                   (long long)max_ms / 1000);
}

static void make_secret(char secret[TOKEN_SIZE], unsigned char hash[SHA256_BYTES])
{
    access_token_text(secret);
    sha256_of(str_of(secret), hash);
}

static int check_count(struct state_db *db, const struct one_robot *r, struct err *e)
{
    int64_t n;

    if (state_one_i64(db, &n, e, "",
                      "SELECT count(*) FROM robots WHERE coalesce(project_id, 0) = ?", "i",
                      r->home->project_id) < 0) {
        return -1;
    }
    return n < LIMIT_ROBOTS
               ? 0
               : err_set(e, ERR_LIMIT, "there are %d robots here: delete some first", LIMIT_ROBOTS);
}

static int insert_robot(struct state_db *db, void *ctx, struct err *e)
{
    struct one_robot *r = ctx;
    const struct robot_change *c = r->change;

    if ((r->home->project_id != 0 && access_project_check(db, r->home->project_id, e) < 0) ||
        check_count(db, r, e) < 0) {
        return -1;
    }
    if (state_run(db, e,
                  "INSERT INTO robots(project_id, name, description, sha256, disabled, created_ms, "
                  "created_by, expires_ms) VALUES(nullif(?, 0), ?, ?, ?, ?, ?, ?, ?)",
                  "issbiizi", r->home->project_id, r->name,
                  c->description.p ? c->description : STR_EMPTY, hash_view(r->hash),
                  (int64_t)(c->disabled == CHANGE_SET), clock_wall_ms(), r->maker,
                  c->expires_ms) < 0) {
        return e->kind == ERR_CONFLICT
                   ? err_set(e, ERR_CONFLICT, "robot \"%.*s\" exists already", STR_ARG(r->name))
                   : -1;
    }
    r->id = state_last_id(db);
    return put_grants(db, r, e);
}

int access_robot_add(struct access *a, const struct robot_home *home, const char *maker,
                     struct str name, const struct robot_change *c, char secret[TOKEN_SIZE],
                     struct err *e)
{
    struct one_robot r = {.home = home, .name = name, .change = c, .maker = maker};

    if (access_check_robot_name(name, e) < 0 || check_grants(home, c, e) < 0 ||
        check_expiry(a, c, e) < 0) {
        return -1;
    }
    make_secret(secret, r.hash);
    if (state_write(a->state, insert_robot, &r, e) < 0) {
        return -1;
    }
    access_tell_robot(a, home->project, name, "created");
    return 0;
}

/* After the commit: what was made of the robot (cached answers, JWTs, streams) is judged anew. */
static void robot_changed(struct access *a, const struct one_robot *r, const char *action)
{
    access_forget(a);
    access_tell_robot(a, r->home->project, r->name, action);
    access_tell_me(a, -r->id);
}

static int update_robot(struct state_db *db, void *ctx, struct err *e)
{
    struct one_robot *r = ctx;
    const struct robot_change *c = r->change;

    if (find_robot(db, r, e) < 0 ||
        state_run(db, e,
                  "UPDATE robots SET description = coalesce(?, description), "
                  "disabled = iif(?, ?, disabled), expires_ms = iif(?, ?, expires_ms), "
                  "generation = generation + ? WHERE id = ?",
                  "siiiiii", c->description, (int64_t)(c->disabled != CHANGE_KEEP),
                  (int64_t)(c->disabled == CHANGE_SET), (int64_t)c->has_expiry, c->expires_ms,
                  (int64_t)(c->disabled == CHANGE_SET), r->id) < 0) {
        return -1;
    }
    return c->n_grants > 0 ? put_grants(db, r, e) : 0;
}

int access_robot_change(struct access *a, const struct robot_home *home, struct str name,
                        const struct robot_change *c, struct err *e)
{
    struct one_robot r = {.home = home, .name = name, .change = c};

    if (check_grants(home, c, e) < 0 || check_expiry(a, c, e) < 0 ||
        state_write(a->state, update_robot, &r, e) < 0) {
        return -1;
    }
    robot_changed(a, &r, "changed");
    return 0;
}

/* Whoever is told the new secret could have made this robot himself. */
static int rotate_robot(struct state_db *db, void *ctx, struct err *e)
{
    struct one_robot *r = ctx;
    uint64_t perms;

    if (find_robot(db, r, e) < 0 || read_grants(db, r->id, &perms, e) < 0 ||
        check_held(perms, r->home->held, e) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "UPDATE robots SET sha256 = ?, generation = generation + 1 WHERE id = ?", "bi",
                     hash_view(r->hash), r->id);
}

int access_robot_rotate(struct access *a, const struct robot_home *home, struct str name,
                        char secret[TOKEN_SIZE], struct err *e)
{
    struct one_robot r = {.home = home, .name = name};

    make_secret(secret, r.hash);
    if (state_write(a->state, rotate_robot, &r, e) < 0) {
        return -1;
    }
    robot_changed(a, &r, "rotated");
    return 0;
}

static int delete_robot(struct state_db *db, void *ctx, struct err *e)
{
    struct one_robot *r = ctx;

    return find_robot(db, r, e) < 0
               ? -1
               : state_run(db, e, "DELETE FROM robots WHERE id = ?", "i", r->id);
}

int access_robot_delete(struct access *a, const struct robot_home *home, struct str name,
                        struct err *e)
{
    struct one_robot r = {.home = home, .name = name};

    if (state_write(a->state, delete_robot, &r, e) < 0) {
        return -1;
    }
    robot_changed(a, &r, "deleted");
    return 0;
}

/* --- to be shown --- */

static void end_grant(struct jw *w, bool is_open)
{
    if (is_open) {
        jw_end(w);
        jw_end(w);
    }
}

/* An object for each project; rows come by project. */
static int write_grants(struct state_db *db, int64_t id, struct jw *w, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int64_t now = -1;
    int r;

    if (query_open(&q, db, e,
                   "SELECT coalesce(g.project_id, 0), coalesce(p.name, '*'), g.permission "
                   "FROM robot_grants g LEFT JOIN projects p ON p.id = g.project_id "
                   "WHERE g.robot_id = ? ORDER BY 2, g.rowid",
                   "i", id) < 0) {
        return -1;
    }
    jw_array(w);
    while ((r = query_step(&q, e)) > 0) {
        if (query_i64(&q, 0) != now) {
            end_grant(w, now >= 0);
            now = query_i64(&q, 0);
            jw_object(w);
            jw_kv_str(w, "project", query_str(&q, 1));
            jw_key(w, "permissions");
            jw_array(w);
        }
        jw_str(w, query_str(&q, 2));
    }
    end_grant(w, now >= 0);
    jw_end(w);
    return r;
}

#define ROBOT_COLUMNS                                                                              \
    "r.id, r.name, p.name, r.description, r.disabled, r.created_ms, r.created_by, r.expires_ms, "  \
    "r.last_seen_ms "
#define FROM_ROBOTS "FROM robots r LEFT JOIN projects p ON p.id = r.project_id "

static int write_row(struct state_db *db, const struct query *q, struct jw *w, struct err *e)
{
    char login[LIMIT_LOGIN_BYTES + 1];
    bool is_project = !query_is_null(q, 2);

    access_robot_login(is_project ? query_str(q, 2) : STR_EMPTY, query_str(q, 1), login);
    jw_object(w);
    jw_kv_str(w, "name", query_str(q, 1));
    jw_kv_c(w, "login", login);
    jw_key(w, "project");
    if (is_project) {
        jw_str(w, query_str(q, 2));
    } else {
        jw_null(w);
    }
    jw_kv_str(w, "description", query_str(q, 3));
    jw_key(w, "grants");
    if (write_grants(db, query_i64(q, 0), w, e) < 0) {
        return -1;
    }
    jw_kv_bool(w, "disabled", query_i64(q, 4) != 0);
    jw_kv_time(w, "created_at", query_i64(q, 5));
    jw_kv_str(w, "created_by", query_str(q, 6));
    jw_kv_time(w, "expires_at", query_i64(q, 7));
    jw_kv_time(w, "last_seen_at", query_i64(q, 8));
    jw_end(w);
    return 0;
}

static int write_one(struct state_db *db, void *ctx, struct err *e)
{
    struct one_robot *r = ctx;
    SCOPED(query_done) struct query q = {0};
    int n;

    if (query_open(&q, db, e,
                   "SELECT " ROBOT_COLUMNS FROM_ROBOTS
                   "WHERE coalesce(r.project_id, 0) = ? AND r.name = ?",
                   "is", r->home->project_id, r->name) < 0 ||
        (n = query_step(&q, e)) < 0) {
        return -1;
    }
    return n == 0 ? err_no_robot(r, e) : write_row(db, &q, r->w, e);
}

int access_robot_json(struct access *a, const struct robot_home *home, struct str name,
                      struct jw *w, struct err *e)
{
    return state_read(a->state, write_one, &(struct one_robot){.home = home, .name = name, .w = w},
                      e);
}

struct robot_list {
    const struct robot_home *home;
    const struct page *page;
};

static int write_robots(struct state_db *db, void *ctx, struct err *e)
{
    const struct robot_list *l = ctx;
    const struct page *p = l->page;
    SCOPED(query_done) struct query q = {0};
    struct jw w = JW(p->out);
    char last[NAME_SIZE] = "";
    int64_t n = 0;
    int r;

    if (query_open(&q, db, e,
                   "SELECT " ROBOT_COLUMNS FROM_ROBOTS
                   "WHERE coalesce(r.project_id, 0) = ? AND r.name > ? "
                   "AND has_words(?, r.name, r.description) ORDER BY r.name LIMIT ?",
                   "issi", l->home->project_id, p->after, p->q, p->limit + 1) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    while ((r = query_step(&q, e)) > 0 && n++ < p->limit) {
        (void)!str_copy(query_str(&q, 1), last, sizeof(last));
        if (write_row(db, &q, &w, e) < 0) {
            return -1;
        }
    }
    jw_end(&w);
    jw_kv_c(&w, "next", r > 0 ? last : NULL);
    jw_end(&w);
    return r < 0 ? -1 : 0;
}

int access_robots_page(struct access *a, const struct robot_home *home, const struct page *p,
                       struct err *e)
{
    return state_read(a->state, write_robots, &(struct robot_list){home, p}, e);
}

/* --- signing in --- */

#define SELECT_LIVING                                                                              \
    "SELECT r.id, r.name, p.name, r.generation, r.expires_ms, r.last_seen_ms " FROM_ROBOTS         \
    "WHERE NOT r.disabled AND (r.project_id IS NULL OR p.deleting = 0) AND "

/* `scopes`: all that it may anywhere, and in public projects what anybody may. Where, says its
 * place. */
static int read_living(struct state_db *db, struct query *q, struct robot_found *out, struct err *e)
{
    struct principal *who = &out->known.who;
    char login[LIMIT_LOGIN_BYTES + 1];
    int r = query_step(q, e);

    if (r <= 0) {
        return r;
    }
    access_robot_login(query_is_null(q, 2) ? STR_EMPTY : query_str(q, 2), query_str(q, 1), login);
    access_set_principal(who, PRINCIPAL_ROBOT, -query_i64(q, 0), 0, str_of(login));
    who->generation = query_i64(q, 3);
    out->known.expires_ms = query_i64(q, 4);
    out->last_seen_ms = query_i64(q, 5);
    if (read_grants(db, query_i64(q, 0), &who->scopes, e) < 0) {
        return -1;
    }
    who->scopes |= role_permissions(ROLE_ANONYMOUS) | PERM_BIT(PERM_SIGNED_IN);
    return 1;
}

int access_robot_by_secret(struct state_db *db, const unsigned char hash[SHA256_BYTES],
                           struct robot_found *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    return query_open(&q, db, e, SELECT_LIVING "r.sha256 = ?", "b", hash_view(hash)) < 0
               ? -1
               : read_living(db, &q, out, e);
}

int access_robot_by_id(struct state_db *db, int64_t id, struct robot_found *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    return query_open(&q, db, e, SELECT_LIVING "r.id = ?", "i", id) < 0
               ? -1
               : read_living(db, &q, out, e);
}

struct own_grants {
    int64_t id;
    struct jw *w;
};

static int write_own(struct state_db *db, void *ctx, struct err *e)
{
    const struct own_grants *o = ctx;

    return write_grants(db, o->id, o->w, e);
}

int access_robot_own_grants(struct access *a, const struct principal *who, struct jw *w,
                            struct err *e)
{
    return state_read(a->state, write_own, &(struct own_grants){-who->user_id, w}, e);
}
