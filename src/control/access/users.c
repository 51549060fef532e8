#include "access_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/vec.h"
#include "state/state.h"

#include <stdlib.h>
#include <string.h>

#define USER_COLUMNS "id, name, is_admin, disabled, created_ms, last_seen_ms"

static int read_user(const struct query *q, struct user *out, struct err *e)
{
    *out = (struct user){.id = query_i64(q, 0),
                         .is_admin = query_i64(q, 2) != 0,
                         .disabled = query_i64(q, 3) != 0,
                         .created_ms = query_i64(q, 4),
                         .last_seen_ms = query_i64(q, 5)};
    if (str_copy(query_str(q, 1), out->name, sizeof(out->name)) < 0) {
        return err_set(e, ERR_INTERNAL, "user %lld has a name that is too long",
                       (long long)out->id);
    }
    return 0;
}

static int load_user(struct state_db *db, struct str name, struct user *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT " USER_COLUMNS " FROM users WHERE name = ?", "s", name) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no user \"%.*s\"",
                       STR_ARG(str_first(name, LIMIT_NAME_BYTES)));
    }
    return read_user(&q, out, e);
}

static int hash_under_slot(struct access *a, struct str user, struct str password,
                           char out[PASSWORD_HASH_SIZE], struct err *e)
{
    int r;

    if (access_password_slot_take(&a->slots, user, e) < 0) {
        return -1;
    }
    r = access_password_hash(password, out, e);
    access_password_slot_drop(&a->slots);
    return r;
}

struct one_user {
    struct str name;
    struct user *out;
    unsigned flags;
    const char *hash; /* NULL: stays */
    const struct user_change *change;
    int64_t id; /* of one that is deleted; and what he was a member of */
    VEC(char *) projects;
};

static int insert_user(struct state_db *db, void *ctx, struct err *e)
{
    struct one_user *u = ctx;

    if (state_run(db, e,
                  "INSERT INTO users(name, password, is_admin, created_ms) VALUES(?, ?, ?, ?)",
                  "szii", u->name, u->hash, (int64_t)(u->flags & USER_ADMIN ? 1 : 0),
                  clock_wall_ms()) < 0) {
        return e->kind == ERR_CONFLICT
                   ? err_set(e, ERR_CONFLICT, "user \"%.*s\" exists already", STR_ARG(u->name))
                   : -1;
    }
    return load_user(db, u->name, u->out, e);
}

int access_user_add(struct access *a, struct str name, struct str password, unsigned flags,
                    struct user *out, struct err *e)
{
    char hash[PASSWORD_HASH_SIZE];
    struct one_user u = {.name = name, .out = out, .flags = flags, .hash = hash};

    if (access_check_user_name(name, e) < 0 || access_password_check_rules(name, password, e) < 0 ||
        hash_under_slot(a, name, password, hash, e) < 0) {
        return -1;
    }
    if (state_write(a->state, insert_user, &u, e) < 0) {
        return -1;
    }
    access_tell_user(a, name, "created");
    return 0;
}

static int read_one(struct state_db *db, void *ctx, struct err *e)
{
    struct one_user *u = ctx;

    return load_user(db, u->name, u->out, e);
}

int access_user_get(struct access *a, struct str name, struct user *out, struct err *e)
{
    return state_read(a->state, read_one, &(struct one_user){.name = name, .out = out}, e);
}

/* Asked after the change, inside its transaction: refusing undoes it. */
static int check_an_admin_is_left(struct state_db *db, struct err *e)
{
    int64_t n;

    if (state_one_i64(db, &n, e, "", "SELECT count(*) FROM users WHERE is_admin AND NOT disabled",
                      "") < 0) {
        return -1;
    }
    return n > 0
               ? 0
               : err_set(e, ERR_CONFLICT, "this is the last admin: make another user admin first");
}

static bool changed(bool now, enum change c)
{
    return c == CHANGE_KEEP ? now : c == CHANGE_SET;
}

static int update_user(struct state_db *db, void *ctx, struct err *e)
{
    struct one_user *u = ctx;
    const struct user_change *c = u->change;
    bool ends_sign_ins = u->hash || c->disabled == CHANGE_SET;
    struct user now = {0};

    if (load_user(db, u->name, &now, e) < 0) {
        return -1;
    }
    if (state_run(db, e,
                  "UPDATE users SET password = coalesce(?, password), is_admin = ?, disabled = ?, "
                  "generation = generation + ? WHERE id = ?",
                  "ziiii", u->hash, (int64_t)changed(now.is_admin, c->is_admin),
                  (int64_t)changed(now.disabled, c->disabled), (int64_t)ends_sign_ins,
                  now.id) < 0 ||
        check_an_admin_is_left(db, e) < 0) {
        return -1;
    }
    if (ends_sign_ins && access_sessions_drop(db, now.id, c->keep_session, e) < 0) {
        return -1;
    }
    return load_user(db, u->name, u->out, e);
}

int access_user_change(struct access *a, struct str name, const struct user_change *c,
                       struct user *out, struct err *e)
{
    char hash[PASSWORD_HASH_SIZE];
    struct one_user u = {.name = name, .out = out, .change = c};

    if (c->password.p) {
        if (access_password_check_rules(name, c->password, e) < 0 ||
            hash_under_slot(a, name, c->password, hash, e) < 0) {
            return -1;
        }
        u.hash = hash;
    }
    if (state_write(a->state, update_user, &u, e) < 0) {
        return -1;
    }
    access_forget(a);
    access_tell_user(a, name, "changed");
    access_tell_me(a, out->id);
    return 0;
}

static int note_projects(struct state_db *db, struct one_user *u, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT p.name FROM members m JOIN projects p ON p.id = m.project_id "
                   "WHERE m.user_id = ?",
                   "i", u->id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        *vec_push(&u->projects) = str_dup(query_str(&q, 0));
    }
    return r;
}

/* Tokens, sessions and memberships go with the row. */
static int delete_user(struct state_db *db, void *ctx, struct err *e)
{
    struct one_user *u = ctx;
    struct user now = {0};

    if (load_user(db, u->name, &now, e) < 0) {
        return -1;
    }
    u->id = now.id;
    if (note_projects(db, u, e) < 0 ||
        state_run(db, e, "DELETE FROM users WHERE id = ?", "i", now.id) < 0) {
        return -1;
    }
    return check_an_admin_is_left(db, e);
}

int access_user_delete(struct access *a, struct str name, struct err *e)
{
    struct one_user u = {.name = name};
    int r = state_write(a->state, delete_user, &u, e);

    if (r == 0) {
        access_forget(a);
        access_tell_user(a, name, "deleted");
        access_tell_me(a, u.id); /* whose stream ends */
    }
    for (size_t i = 0; i < u.projects.len; i++) {
        if (r == 0) {
            access_tell_member(a, str_of(u.projects.p[i]), "user", name, ROLE_NONE);
        }
        free(u.projects.p[i]);
    }
    vec_done(&u.projects);
    return r;
}

void access_user_json(struct jw *w, const struct user *u)
{
    jw_object(w);
    jw_kv_c(w, "name", u->name);
    jw_kv_bool(w, "is_admin", u->is_admin);
    jw_kv_bool(w, "disabled", u->disabled);
    jw_kv_time(w, "created_at", u->created_ms);
    jw_kv_time(w, "last_seen_at", u->last_seen_ms);
    jw_end(w);
}

struct user_list {
    enum user_kind kind;
    const struct page *page;
};

static int write_users(struct state_db *db, void *ctx, struct err *e)
{
    const struct user_list *l = ctx;
    const struct page *p = l->page;
    SCOPED(query_done) struct query q = {0};
    struct jw w = JW(p->out);
    struct user u = {0};
    int64_t n = 0;
    int r;

    if (query_open(&q, db, e,
                   "SELECT " USER_COLUMNS " FROM users WHERE name > ?1 AND has_words(?2, name)"
                   " AND (?3 = 0 OR (?3 = 1 AND is_admin) OR (?3 = 2 AND disabled))"
                   " ORDER BY name LIMIT ?4",
                   "ssii", p->after, p->q, (int64_t)l->kind, p->limit + 1) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    while ((r = query_step(&q, e)) > 0 && n++ < p->limit) {
        if (read_user(&q, &u, e) < 0) {
            return -1;
        }
        access_user_json(&w, &u);
    }
    jw_end(&w);
    jw_kv_c(&w, "next", r > 0 ? u.name : NULL);
    jw_end(&w);
    return r < 0 ? -1 : 0;
}

int access_users_page(struct access *a, enum user_kind kind, const struct page *p, struct err *e)
{
    return state_read(a->state, write_users, &(struct user_list){kind, p}, e);
}
