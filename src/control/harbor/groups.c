/* Groups of users by their ids, and names to choose members from. All are of the kind that Harbor
 * calls 2 (HTTP): LDAP is not here. */
#include "harbor_priv.h"

static void write_group(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "group_name", query_str(q, 1));
    jw_kv_i64(w, "group_type", 2);
    jw_end(w);
}

struct names {
    struct list list; /* first: harbor_list_reply hands it over */
    struct str part;
};

static int fill_groups(struct state_db *db, void *ctx, struct err *e)
{
    struct names *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (state_one_i64(db, &l->total, e, "", "SELECT count(*) FROM user_groups WHERE instr(name, ?)",
                      "s", of->part) < 0 ||
        query_open(&q, db, e,
                   "SELECT id, name FROM user_groups WHERE instr(name, ?) ORDER BY name"
                   " LIMIT ? OFFSET ?",
                   "sii", of->part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_group(&l->w, &q);
    }
    return r;
}

static int reply_names(struct http_req *r, const char *parameter, state_fn *fill, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct str part = http_query(r, parameter);
    struct names of = {.part = part.p ? part : STR_EMPTY};

    return harbor_list_begin(&of.list, r, keys, e) < 0 ? -1 : harbor_list_reply(&of.list, fill, e);
}

int harbor_groups(struct http_req *r, struct err *e)
{
    return reply_names(r, "group_name", fill_groups, e);
}

/* --- names to choose from --- */

/* Of the projects that ?1 is in. */
#define HIS_PROJECTS                                                                               \
    "(SELECT project_id FROM memberships WHERE user_id = ?1 AND (permission IS NULL"               \
    " OR permission = 'member:read'))"
/* ?2 whether he is admin, ?3 the word. Others are found who share a project with him; everybody is
 * by his whole name, as when he is added to a project. */
#define FROM_USERS                                                                                 \
    " FROM users u WHERE instr(u.name, ?3) AND (?2 OR u.name = ?3 OR u.id IN (SELECT user_id"      \
    " FROM memberships WHERE project_id IN " HIS_PROJECTS "))"
#define FROM_GROUPS                                                                                \
    " FROM user_groups g WHERE instr(g.name, ?3) AND (?2 OR g.name = ?3 OR g.id IN (SELECT"        \
    " group_id FROM project_groups WHERE project_id IN " HIS_PROJECTS "))"

static int fill_found(struct state_db *db, struct names *of, const char *count, const char *select,
                      void (*write)(struct jw *w, const struct query *q), struct err *e)
{
    struct list *l = &of->list;
    const struct principal *who = &l->r->who;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (state_one_i64(db, &l->total, e, "", count, "iis", who->user_id, (int64_t)who->is_admin,
                      of->part) < 0 ||
        query_open(&q, db, e, select, "iisii", who->user_id, (int64_t)who->is_admin, of->part,
                   l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write(&l->w, &q);
    }
    return r;
}

static void write_found_user(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "user_id", query_i64(q, 0));
    jw_kv_str(w, "username", query_str(q, 1));
    jw_end(w);
}

static int fill_found_users(struct state_db *db, void *ctx, struct err *e)
{
    return fill_found(db, ctx, "SELECT count(*)" FROM_USERS,
                      "SELECT u.id, u.name" FROM_USERS
                      " ORDER BY length(u.name), u.name LIMIT ?4 OFFSET ?5",
                      write_found_user, e);
}

static int fill_found_groups(struct state_db *db, void *ctx, struct err *e)
{
    return fill_found(db, ctx, "SELECT count(*)" FROM_GROUPS,
                      "SELECT g.id, g.name" FROM_GROUPS
                      " ORDER BY length(g.name), g.name LIMIT ?4 OFFSET ?5",
                      write_group, e);
}

static int reply_found(struct http_req *r, const char *parameter, state_fn *fill, struct err *e)
{
    struct str word = http_query(r, parameter);

    if (!(r->who.scopes & PERM_BIT(PERM_MEMBER_READ))) {
        return err_set(e, ERR_FORBIDDEN, "this token does not have the scope member:read");
    }
    return word.p == NULL || word.len == 0
               ? err_set(e, ERR_INVALID, "%s: give a part of a name", parameter)
               : reply_names(r, parameter, fill, e);
}

int harbor_user_search(struct http_req *r, struct err *e)
{
    return reply_found(r, "username", fill_found_users, e);
}

int harbor_group_search(struct http_req *r, struct err *e)
{
    return reply_found(r, "groupname", fill_found_groups, e);
}

/* --- one group --- */

struct one {
    int64_t id;
    char name[NAME_SIZE];
    struct jw *w; /* or NULL */
};

static int group_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT id, name FROM user_groups WHERE id = ?1 OR (?1 = 0 AND name"
                   " = ?2)",
                   "is", o->id, str_of(o->name)) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no group of that id");
    }
    o->id = query_i64(&q, 0);
    (void)!str_copy(query_str(&q, 1), o->name, sizeof(o->name));
    if (o->w) {
        write_group(o->w, &q);
    }
    return 0;
}

static int group_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    return harbor_path_id(r, "id", &o->id, e) < 0 ? -1 : state_read(h->state, group_fn, o, e);
}

int harbor_group(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_reply_and_free(r, 200, &b, group_of(r, &o, e), e);
}

int harbor_group_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct one o = {0};
    struct str name = STR_EMPTY;
    int64_t type = 2;

    if (http_body_json(r, &body, e) < 0 || json_need_str(body, "group_name", &name, e) < 0 ||
        json_get_i64(body, "group_type", &type, e) < 0) {
        return -1;
    }
    if (type != 2) {
        return err_set(e, ERR_INVALID, "group_type: 2; groups of LDAP are not here");
    }
    r->audit_note = arena_str(&r->arena, name);
    return access_group_add(h->access, name, STR_EMPTY, e) < 0 ||
                   str_copy(name, o.name, sizeof(o.name)) < 0 ||
                   state_read(h->state, group_fn, &o, e) < 0
               ? -1
               : harbor_reply_made(r, o.id, e);
}

/* A group has nothing else that could change. */
int harbor_group_change(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct one o = {0};
    struct str name = STR_EMPTY;

    if (group_of(r, &o, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_get_str(body, "group_name", &name, e) < 0) {
        return -1;
    }
    return name.len > 0 && !str_eq_c(name, o.name)
               ? err_set(e, ERR_INVALID, "group_name: a group keeps its name")
               : http_reply_empty(r, 200, e);
}

int harbor_group_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o = {0};

    return group_of(r, &o, e) < 0 || access_group_delete(h->access, str_of(o.name), e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}
