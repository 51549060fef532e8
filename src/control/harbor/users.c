/* Users by their ids, and the quotas of projects. A quota has the id of its project. */
#include "harbor_priv.h"

#include "registry/store.h"

#define USER_COLUMNS "u.id, u.name, u.is_admin, u.created_ms"
#define USERS_ASKED " FROM users u WHERE (?1 IS NULL OR u.name = ?1) AND instr(u.name, ?2)"

/* Mail and real names are not kept here. */
static void write_user(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "user_id", query_i64(q, 0));
    jw_kv_str(w, "username", query_str(q, 1));
    jw_kv_c(w, "email", "");
    jw_kv_str(w, "realname", query_str(q, 1));
    jw_kv_c(w, "comment", "");
    jw_kv_bool(w, "sysadmin_flag", query_i64(q, 2) != 0);
    jw_kv_bool(w, "admin_role_in_auth", false);
    jw_kv_time(w, "creation_time", query_i64(q, 3));
    jw_kv_time(w, "update_time", query_i64(q, 3));
    jw_end(w);
}

static int fill_users(struct state_db *db, void *ctx, struct err *e)
{
    struct list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "username"), part = harbor_list_part(l, "username");
    int r;

    if (state_one_i64(db, &l->total, e, "", "SELECT count(*)" USERS_ASKED, "ss", name, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT " USER_COLUMNS USERS_ASKED
                   " ORDER BY iif(?3 = '-username', u.name, '') DESC, u.name LIMIT ?4 OFFSET ?5",
                   "sssii", name, part, l->sort, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_user(&l->w, &q);
    }
    return r;
}

int harbor_users(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"username", NULL};
    struct list l;

    return harbor_list_begin(&l, r, keys, e) < 0 ? -1 : harbor_list_reply(&l, fill_users, e);
}

struct one {
    int64_t id;
    struct jw *w; /* or NULL */
    char name[NAME_SIZE];
    const struct registry *registry;
};

static int user_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};

    if (harbor_row(&q, db, "SELECT " USER_COLUMNS " FROM users u WHERE u.id = ?", o->id,
                   "there is no user of that id", e) < 0) {
        return -1;
    }
    (void)!str_copy(query_str(&q, 1), o->name, sizeof(o->name));
    if (o->w) {
        write_user(o->w, &q);
    }
    return 0;
}

static int reply_user(struct http_req *r, int64_t id, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    return harbor_reply_and_free(
        r, 200, &b, state_read(h->state, user_fn, &(struct one){.id = id, .w = &w}, e), e);
}

/* The id of the path: his own, or an administrator may have any. */
static int seen_id(struct http_req *r, int64_t *id, struct err *e)
{
    const struct harbor *h = r->ctx;

    return harbor_path_id(r, "id", id, e) < 0 ||
                   (*id != r->who.user_id &&
                    access_authorize(h->access, r, PERM_USER_MANAGE, STR_EMPTY, e) < 0)
               ? -1
               : 0;
}

int harbor_user(struct http_req *r, struct err *e)
{
    int64_t id;

    return seen_id(r, &id, e) < 0 ? -1 : reply_user(r, id, e);
}

int harbor_user_current(struct http_req *r, struct err *e)
{
    return reply_user(r, r->who.user_id, e);
}

/* The user that the path names by his id. */
static int user_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    *o = (struct one){0};
    if (harbor_path_id(r, "id", &o->id, e) < 0 || state_read(h->state, user_fn, o, e) < 0) {
        return -1;
    }
    r->audit_note = arena_str(&r->arena, str_of(o->name));
    return 0;
}

int harbor_user_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str name, password;
    struct user made;

    if (http_body_json(r, &body, e) < 0 || json_need_str(body, "username", &name, e) < 0 ||
        json_need_str(body, "password", &password, e) < 0 ||
        access_user_add(h->access, name, password, 0, &made, e) < 0) {
        return -1;
    }
    r->audit_note = arena_str(&r->arena, name);
    return harbor_reply_created(r, "/users", made.id, e);
}

int harbor_user_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o;

    return user_of(r, &o, e) < 0 || access_user_delete(h->access, str_of(o.name), e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

static int check_same(const json_t *body, const char *key, const char *is, struct err *e)
{
    struct str said = str_of(is);

    if (!json_is_null(json_object_get(body, key)) && json_get_str(body, key, &said, e) < 0) {
        return -1;
    }
    return said.len == 0 || str_eq_c(said, is)
               ? 0
               : err_set(e, ERR_INVALID, "%s: it is not kept here; leave it out", key);
}

/* Clients send back what they read. */
int harbor_user_change(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    int64_t id;
    struct one o;

    return seen_id(r, &id, e) < 0 || user_of(r, &o, e) < 0 || http_body_json(r, &body, e) < 0 ||
                   check_same(body, "email", "", e) < 0 ||
                   check_same(body, "realname", o.name, e) < 0 ||
                   check_same(body, "comment", "", e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

static int change_user(struct http_req *r, const struct one *o, const struct user_change *c,
                       struct err *e)
{
    const struct harbor *h = r->ctx;
    struct user u;

    return access_user_change(h->access, str_of(o->name), c, &u, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

int harbor_user_password(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct user_change c = {0};
    struct one o;

    if (user_of(r, &o, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_need_str(body, "new_password", &c.password, e) < 0) {
        return -1;
    }
    return change_user(r, &o, &c, e);
}

int harbor_user_admin(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct user_change c = {0};
    struct one o;
    bool is_admin = false;

    if (user_of(r, &o, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_get_bool(body, "sysadmin_flag", &is_admin, e) < 0) {
        return -1;
    }
    if (json_object_get(body, "sysadmin_flag") == NULL) {
        return err_set(e, ERR_INVALID, "sysadmin_flag: give true or false");
    }
    c.is_admin = is_admin ? CHANGE_SET : CHANGE_CLEAR;
    return change_user(r, &o, &c, e);
}

/* --- quotas --- */

#define SELECT_QUOTAS                                                                              \
    "SELECT p.id, p.name, p.created_ms, g.quota_bytes, coalesce(g.used_bytes, 0)"                  \
    " FROM projects p LEFT JOIN registry_projects g ON g.project_id = p.id WHERE p.deleting = 0"

static void write_storage(struct jw *w, const char *key, int64_t bytes)
{
    jw_key(w, key);
    jw_object(w);
    jw_kv_i64(w, "storage", bytes);
    jw_end(w);
}

static void write_quota(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_key(w, "ref");
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "name", query_str(q, 1));
    jw_end(w);
    write_storage(w, "hard", query_is_null(q, 3) ? -1 : query_i64(q, 3));
    write_storage(w, "used", query_i64(q, 4));
    jw_kv_time(w, "creation_time", query_i64(q, 2));
    jw_kv_time(w, "update_time", query_i64(q, 2));
    jw_end(w);
}

static int fill_quotas(struct state_db *db, void *ctx, struct err *e)
{
    struct list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str ref = http_query(l->r, "reference_id");
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM projects WHERE deleting = 0 AND"
                      " (?1 IS NULL OR id = CAST(?1 AS INTEGER))",
                      "s", ref) < 0 ||
        query_open(&q, db, e,
                   SELECT_QUOTAS " AND (?1 IS NULL OR p.id = CAST(?1 AS INTEGER))"
                                 " ORDER BY p.id LIMIT ?2 OFFSET ?3",
                   "sii", ref, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_quota(&l->w, &q);
    }
    return r;
}

int harbor_quotas(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct str kind = http_query(r, "reference");
    struct list l;

    if (kind.p && !str_eq_c(kind, "project")) {
        return err_set(e, ERR_INVALID, "reference: only projects have quotas");
    }
    return harbor_list_begin(&l, r, keys, e) < 0 ? -1 : harbor_list_reply(&l, fill_quotas, e);
}

static int quota_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, SELECT_QUOTAS " AND p.id = ?", "i", o->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no project of that id");
    }
    if (o->w) {
        write_quota(o->w, &q);
    }
    return 0;
}

int harbor_quota(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_path_id(r, "id", &o.id, e) < 0
               ? -1
               : harbor_reply_and_free(r, 200, &b, state_read(h->state, quota_fn, &o, e), e);
}

int harbor_quota_set(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    const json_t *storage;
    struct one o = {0};

    if (harbor_path_id(r, "id", &o.id, e) < 0 || state_read(h->state, quota_fn, &o, e) < 0 ||
        http_body_json(r, &body, e) < 0) {
        return -1;
    }
    storage = json_object_get(json_object_get(body, "hard"), "storage");
    if (!json_is_integer(storage) || json_integer_value(storage) < -1 ||
        json_integer_value(storage) == 0) {
        return err_set(e, ERR_INVALID, "hard.storage: give bytes, or -1 for the default");
    }
    return store_quota_set(h->registry, o.id, json_integer_value(storage), e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}
