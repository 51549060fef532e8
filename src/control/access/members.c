#include "access_priv.h"

#include "base/json.h"
#include "base/vec.h"
#include "state/state.h"

struct member {
    enum member_kind kind;
    struct str project, name;
    enum role role;
    int64_t id;              /* of the user or group, found by the change */
    struct user_ids touched; /* whose rights are others now */
};

/* What differs between the two. */
static const struct {
    const char *word, *find, *put, *drop;
} kinds[] = {
    [MEMBER_USER] = {"user", "SELECT id FROM users WHERE name = ?",
                     "INSERT INTO members VALUES(?, ?, ?) "
                     "ON CONFLICT DO UPDATE SET role = excluded.role",
                     "DELETE FROM members WHERE project_id = ? AND user_id = ?"},
    [MEMBER_GROUP] = {"group", "SELECT id FROM user_groups WHERE name = ?",
                      "INSERT INTO project_groups VALUES(?, ?, ?) "
                      "ON CONFLICT DO UPDATE SET role = excluded.role",
                      "DELETE FROM project_groups WHERE project_id = ? AND group_id = ?"},
};

static int find_both(struct state_db *db, struct member *m, int64_t *project_id, struct err *e)
{
    if (state_one_i64(db, project_id, e, "there is no such project",
                      "SELECT id FROM projects WHERE name = ?", "s", m->project) < 0) {
        return -1;
    }
    if (state_one_i64(db, &m->id, e, "", kinds[m->kind].find, "s", m->name) < 0) {
        return e->kind == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND, "there is no %s \"%.*s\"", kinds[m->kind].word,
                             STR_ARG(str_first(m->name, LIMIT_NAME_BYTES)))
                   : -1;
    }
    m->touched.len = 0; /* a transaction may be run again */
    if (m->kind == MEMBER_GROUP) {
        return access_group_users(db, m->id, &m->touched, e);
    }
    *vec_push(&m->touched) = m->id;
    return 0;
}

static int put_member(struct state_db *db, void *ctx, struct err *e)
{
    struct member *m = ctx;
    int64_t project_id;

    return find_both(db, m, &project_id, e) < 0
               ? -1
               : state_run(db, e, kinds[m->kind].put, "iiz", project_id, m->id, role_name(m->role));
}

static int change_member(struct access *a, state_fn *change, struct member *m, struct err *e)
{
    int r = state_write(a->state, change, m, e);

    if (r == 0) {
        access_forget(a);
        access_tell_member(a, m->project, kinds[m->kind].word, m->name, m->role);
        access_tell_all(a, &m->touched);
    }
    vec_done(&m->touched);
    return r;
}

int access_member_put(struct access *a, struct str project, enum member_kind kind, struct str name,
                      enum role role, struct err *e)
{
    struct member m = {.kind = kind, .project = project, .name = name, .role = role};

    return change_member(a, put_member, &m, e);
}

static int delete_member(struct state_db *db, void *ctx, struct err *e)
{
    struct member *m = ctx;
    int64_t project_id;

    if (find_both(db, m, &project_id, e) < 0 ||
        state_run(db, e, kinds[m->kind].drop, "ii", project_id, m->id) < 0) {
        return -1;
    }
    return state_changes(db) > 0
               ? 0
               : err_set(e, ERR_NOT_FOUND, "%s \"%.*s\" is no member of \"%.*s\"",
                         kinds[m->kind].word, STR_ARG(m->name), STR_ARG(m->project));
}

int access_member_delete(struct access *a, struct str project, enum member_kind kind,
                         struct str name, struct err *e)
{
    struct member m = {.kind = kind, .project = project, .name = name, .role = ROLE_NONE};

    return change_member(a, delete_member, &m, e);
}

struct member_list {
    struct str project;
    const struct page *page;
};

/* Users by name, then groups by name: the place of a group is its name behind a '~', which sorts
 * behind every letter and is in no name. */
static int open_members(struct query *q, struct state_db *db, const struct member_list *l,
                        struct err *e)
{
    return query_open(
        q, db, e,
        "SELECT u.name, m.role, u.name, 'user' FROM projects p "
        "JOIN members m ON m.project_id = p.id JOIN users u ON u.id = m.user_id "
        "WHERE p.name = ?1 AND u.name > ?2 AND has_words(?3, u.name, m.role) "
        "UNION ALL SELECT '~' || g.name, m.role, g.name, 'group' FROM projects p "
        "JOIN project_groups m ON m.project_id = p.id JOIN user_groups g ON g.id = m.group_id "
        "WHERE p.name = ?1 AND '~' || g.name > ?2 AND has_words(?3, g.name, m.role) "
        "ORDER BY 1 LIMIT ?4",
        "sssi", l->project, l->page->after, l->page->q, l->page->limit + 1);
}

static int write_members(struct state_db *db, void *ctx, struct err *e)
{
    const struct member_list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct jw w = JW(l->page->out);
    char last[NAME_SIZE + 1] = "";
    int64_t n = 0;
    int r;

    if (open_members(&q, db, l, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    while ((r = query_step(&q, e)) > 0 && n++ < l->page->limit) {
        bool is_user = str_eq_c(query_str(&q, 3), "user");

        (void)!str_copy(query_str(&q, 0), last, sizeof(last));
        jw_object(&w);
        jw_kv_str(&w, "kind", query_str(&q, 3));
        jw_kv_str(&w, is_user ? "user" : "group", query_str(&q, 2));
        jw_kv_str(&w, "role", query_str(&q, 1));
        jw_end(&w);
    }
    jw_end(&w);
    jw_kv_c(&w, "next", r > 0 ? last : NULL);
    jw_end(&w);
    return r < 0 ? -1 : 0;
}

int access_members_page(struct access *a, struct str project, const struct page *p, struct err *e)
{
    return state_read(a->state, write_members, &(struct member_list){project, p}, e);
}

struct memberships {
    int64_t user_id;
    struct jw *w;
};

static int write_memberships(struct state_db *db, void *ctx, struct err *e)
{
    const struct memberships *m = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT p.name, max(m.rank) FROM memberships m "
                   "JOIN projects p ON p.id = m.project_id WHERE m.user_id = ? AND m.rank > 0 "
                   "AND p.deleting = 0 GROUP BY p.id ORDER BY p.name LIMIT ?",
                   "ii", m->user_id, (int64_t)LIMIT_LIST_ROWS) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(m->w);
        jw_kv_str(m->w, "name", query_str(&q, 0));
        jw_kv_c(m->w, "role", role_name(access_role_of_rank(query_i64(&q, 1))));
        jw_end(m->w);
    }
    return r;
}

int access_memberships(struct access *a, int64_t user_id, struct jw *w, struct err *e)
{
    return state_read(a->state, write_memberships, &(struct memberships){user_id, w}, e);
}
