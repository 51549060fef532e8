#include "access_priv.h"

#include "base/json.h"
#include "state/state.h"

struct member {
    struct str project, user;
    enum role role;
    int64_t user_id; /* found by the change */
};

static int find_both(struct state_db *db, struct member *m, int64_t *project_id, struct err *e)
{
    if (state_one_i64(db, project_id, e, "there is no such project",
                      "SELECT id FROM projects WHERE name = ?", "s", m->project) < 0) {
        return -1;
    }
    if (state_one_i64(db, &m->user_id, e, "", "SELECT id FROM users WHERE name = ?", "s", m->user) <
        0) {
        return e->kind == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "there is no user \"%.*s\"",
                                                  STR_ARG(str_first(m->user, LIMIT_NAME_BYTES)))
                                        : -1;
    }
    return 0;
}

static int put_member(struct state_db *db, void *ctx, struct err *e)
{
    struct member *m = ctx;
    int64_t project_id;

    if (find_both(db, m, &project_id, e) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "INSERT INTO members VALUES(?, ?, ?) "
                     "ON CONFLICT DO UPDATE SET role = excluded.role",
                     "iiz", project_id, m->user_id, role_name(m->role));
}

static int change_member(struct access *a, state_fn *change, struct member *m, struct err *e)
{
    if (state_write(a->state, change, m, e) < 0) {
        return -1;
    }
    access_forget(a);
    access_tell_member(a, m->project, m->user, m->role);
    access_tell_me(a, m->user_id);
    return 0;
}

int access_member_put(struct access *a, struct str project, struct str user, enum role role,
                      struct err *e)
{
    struct member m = {.project = project, .user = user, .role = role};

    return change_member(a, put_member, &m, e);
}

static int delete_member(struct state_db *db, void *ctx, struct err *e)
{
    struct member *m = ctx;
    int64_t project_id;

    if (find_both(db, m, &project_id, e) < 0 ||
        state_run(db, e, "DELETE FROM members WHERE project_id = ? AND user_id = ?", "ii",
                  project_id, m->user_id) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? 0
                                 : err_set(e, ERR_NOT_FOUND, "\"%.*s\" is no member of \"%.*s\"",
                                           STR_ARG(m->user), STR_ARG(m->project));
}

int access_member_delete(struct access *a, struct str project, struct str user, struct err *e)
{
    struct member m = {.project = project, .user = user, .role = ROLE_NONE};

    return change_member(a, delete_member, &m, e);
}

struct member_list {
    struct str project;
    const struct page *page;
};

static int write_members(struct state_db *db, void *ctx, struct err *e)
{
    const struct member_list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct jw w = JW(l->page->out);
    char last[NAME_SIZE] = "";
    int64_t n = 0;
    int r;

    if (query_open(&q, db, e,
                   "SELECT u.name, m.role FROM projects p JOIN members m ON m.project_id = p.id "
                   "JOIN users u ON u.id = m.user_id WHERE p.name = ? AND u.name > ? "
                   "AND has_words(?, u.name, m.role) ORDER BY u.name LIMIT ?",
                   "sssi", l->project, l->page->after, l->page->q, l->page->limit + 1) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    while ((r = query_step(&q, e)) > 0 && n++ < l->page->limit) {
        (void)!str_copy(query_str(&q, 0), last, sizeof(last));
        jw_object(&w);
        jw_kv_c(&w, "user", last);
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
                   "SELECT p.name, m.role FROM members m JOIN projects p ON p.id = m.project_id "
                   "WHERE m.user_id = ? AND p.deleting = 0 ORDER BY p.name LIMIT ?",
                   "ii", m->user_id, (int64_t)LIMIT_LIST_ROWS) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(m->w);
        jw_kv_str(m->w, "name", query_str(&q, 0));
        jw_kv_str(m->w, "role", query_str(&q, 1));
        jw_end(m->w);
    }
    return r;
}

int access_memberships(struct access *a, int64_t user_id, struct jw *w, struct err *e)
{
    return state_read(a->state, write_memberships, &(struct memberships){user_id, w}, e);
}
