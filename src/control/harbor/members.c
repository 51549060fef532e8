/* Members of a project. Ours have no id of their own: that of a user is twice his id, that of a
 * group twice its id and one. */
#include "harbor_priv.h"

#include <stdlib.h>

#define MEMBERS                                                                                    \
    "(SELECT 2 * u.id AS id, u.id AS entity, u.name AS name, m.role AS role, 'u' AS kind"          \
    " FROM members m JOIN users u ON u.id = m.user_id WHERE m.project_id = ?1"                     \
    " UNION ALL SELECT 2 * g.id + 1, g.id, g.name, m.role, 'g'"                                    \
    " FROM project_groups m JOIN user_groups g ON g.id = m.group_id WHERE m.project_id = ?1)"

/* Harbor's maintainer (4) and limited guest (5) may less than ours of the next name: nobody gets
 * more than was asked for. */
static const struct {
    const char *ours, *theirs;
    int64_t id;
    enum role role;
} roles[] = {{"maintainer", "projectAdmin", 1, ROLE_MAINTAINER},
             {"developer", "developer", 2, ROLE_DEVELOPER},
             {"guest", "guest", 3, ROLE_GUEST}};

static void write_member(struct jw *w, int64_t project_id, const struct query *q)
{
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(roles) && !str_eq_c(query_str(q, 3), roles[i].ours)) {
        i++;
    }
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_i64(w, "project_id", project_id);
    jw_kv_str(w, "entity_name", query_str(q, 2));
    jw_kv_c(w, "role_name", roles[i].theirs);
    jw_kv_i64(w, "role_id", roles[i].id);
    jw_kv_i64(w, "entity_id", query_i64(q, 1));
    jw_kv_str(w, "entity_type", query_str(q, 4));
    jw_end(w);
}

struct members {
    struct list list; /* first: harbor_list_reply hands it over */
    int64_t project_id;
};

static int fill_members(struct state_db *db, void *ctx, struct err *e)
{
    struct members *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str part = http_query(l->r, "entityname");
    int r;

    part = part.p ? part : STR_EMPTY;
    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM " MEMBERS " WHERE instr(name, ?2)", "is",
                      of->project_id, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT id, entity, name, role, kind FROM " MEMBERS
                   " WHERE instr(name, ?2) ORDER BY kind DESC, name LIMIT ?3 OFFSET ?4",
                   "isii", of->project_id, part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_member(&l->w, of->project_id, &q);
    }
    return r;
}

int harbor_members(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct members of = {0};

    return harbor_project_id(r, &of.project_id, e) < 0 ||
                   harbor_list_begin(&of.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_members, e);
}

struct one {
    int64_t project_id, id;
    bool is_member; /* false: whom the id names need not be one yet */
    enum member_kind kind;
    char name[NAME_SIZE];
    struct jw *w; /* or NULL */
};

static int member_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT id, entity, name, role, kind FROM " MEMBERS " WHERE id = ?2",
                   "ii", o->project_id, o->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the project has no member of that id");
    }
    o->kind = str_eq_c(query_str(&q, 4), "u") ? MEMBER_USER : MEMBER_GROUP;
    (void)!str_copy(query_str(&q, 2), o->name, sizeof(o->name));
    if (o->w) {
        write_member(o->w, o->project_id, &q);
    }
    return 0;
}

static int member_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    return harbor_project_id(r, &o->project_id, e) < 0 || harbor_path_id(r, "id", &o->id, e) < 0
               ? -1
               : state_read(h->state, member_fn, o, e);
}

int harbor_member(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_reply_and_free(r, 200, &b, member_of(r, &o, e), e);
}

static int role_of(const json_t *body, enum role *out, struct err *e)
{
    int64_t id = 0;

    if (json_get_i64(body, "role_id", &id, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (roles[i].id == id) {
            *out = roles[i].role;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID,
                   "role_id: give 1 (project admin), 2 (developer) or 3 (guest); 4 and 5 are not "
                   "here");
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   o->kind == MEMBER_USER
                       ? "SELECT 2 * u.id, u.name, EXISTS (SELECT 1 FROM members m WHERE"
                         " m.user_id = u.id AND m.project_id = ?3) FROM users u"
                         " WHERE u.id = ?1 OR u.name = ?2"
                       : "SELECT 2 * g.id + 1, g.name, EXISTS (SELECT 1 FROM project_groups m WHERE"
                         " m.group_id = g.id AND m.project_id = ?3) FROM user_groups g"
                         " WHERE g.id = ?1 OR g.name = ?2",
                   "isi", o->id, str_of(o->name), o->project_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_INVALID, "there is no such %s",
                       o->kind == MEMBER_USER ? "user" : "group");
    }
    o->id = query_i64(&q, 0);
    (void)!str_copy(query_str(&q, 1), o->name, sizeof(o->name));
    o->is_member = query_i64(&q, 2) != 0;
    return 0;
}

/* {"member_user": {"user_id" or "username"}} or {"member_group": {"id" or "group_name"}}. */
static int who_of(const json_t *body, struct one *o, struct err *e)
{
    const json_t *user = json_object_get(body, "member_user");
    const json_t *group = json_object_get(body, "member_group");
    const json_t *who = json_is_object(user) ? user : group;
    struct str name = STR_EMPTY;

    if (!json_is_object(who) || (json_is_object(user) && json_is_object(group))) {
        return err_set(e, ERR_INVALID, "give member_user or member_group");
    }
    o->kind = who == user ? MEMBER_USER : MEMBER_GROUP;
    if (json_get_i64(who, o->kind == MEMBER_USER ? "user_id" : "id", &o->id, e) < 0 ||
        json_get_str(who, o->kind == MEMBER_USER ? "username" : "group_name", &name, e) < 0) {
        return -1;
    }
    /* An id goes first, as in Harbor. */
    if ((o->id == 0 && name.len == 0) ||
        (o->id == 0 && str_copy(name, o->name, sizeof(o->name)) < 0)) {
        return err_set(e, ERR_INVALID, "say who by %s",
                       o->kind == MEMBER_USER ? "user_id or username" : "id or group_name");
    }
    return 0;
}

int harbor_member_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct one o = {0};
    enum role role;

    if (harbor_project_id(r, &o.project_id, e) < 0 || http_body_json(r, &body, e) < 0 ||
        role_of(body, &role, e) < 0 || who_of(body, &o, e) < 0 ||
        state_read(h->state, find_fn, &o, e) < 0) {
        return -1;
    }
    if (o.is_member) {
        return err_set(e, ERR_CONFLICT, "%s is a member already", o.name);
    }
    return access_member_put(h->access, r->project, o.kind, str_of(o.name), role, e) < 0
               ? -1
               : harbor_reply_made(r, o.id, e);
}

int harbor_member_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct one o = {0};
    enum role role;

    return member_of(r, &o, e) < 0 || http_body_json(r, &body, e) < 0 ||
                   role_of(body, &role, e) < 0 ||
                   access_member_put(h->access, r->project, o.kind, str_of(o.name), role, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

int harbor_member_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o = {0};

    return member_of(r, &o, e) < 0 ||
                   access_member_delete(h->access, r->project, o.kind, str_of(o.name), e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}
