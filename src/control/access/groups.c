/* Groups of users, made by administrators. A group is a member of projects (members.c), and its
 * users have its role there: the view `memberships` says so, which authorize.c reads. */
#include "access_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/vec.h"
#include "state/state.h"

#include <stdlib.h>

struct one_group {
    struct str name, user;
    struct str description; /* p == NULL: stays */
    int64_t id;
    struct user_ids touched; /* whose rights are others now */
    VEC(char *) projects;    /* that lose it as a member */
    struct jw *w;
};

static int err_no_group(struct str name, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no group \"%.*s\"",
                   STR_ARG(str_first(name, LIMIT_NAME_BYTES)));
}

static int find_group(struct state_db *db, struct one_group *g, struct err *e)
{
    int r =
        state_one_i64(db, &g->id, e, "", "SELECT id FROM user_groups WHERE name = ?", "s", g->name);

    return r < 0 && e->kind == ERR_NOT_FOUND ? err_no_group(g->name, e) : r;
}

int access_group_users(struct state_db *db, int64_t group_id, struct user_ids *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT user_id FROM group_users WHERE group_id = ?", "i", group_id) <
        0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        *vec_push(out) = query_i64(&q, 0);
    }
    return r;
}

static int insert_group(struct state_db *db, void *ctx, struct err *e)
{
    struct one_group *g = ctx;
    int64_t n;

    if (state_one_i64(db, &n, e, "", "SELECT count(*) FROM user_groups", "") < 0) {
        return -1;
    }
    if (n >= LIMIT_GROUPS) {
        return err_set(e, ERR_LIMIT, "there are %d groups: delete some first", LIMIT_GROUPS);
    }
    if (state_run(db, e, "INSERT INTO user_groups(name, description, created_ms) VALUES(?, ?, ?)",
                  "ssi", g->name, g->description, clock_wall_ms()) < 0) {
        return e->kind == ERR_CONFLICT
                   ? err_set(e, ERR_CONFLICT, "group \"%.*s\" exists already", STR_ARG(g->name))
                   : -1;
    }
    return 0;
}

int access_group_add(struct access *a, struct str name, struct str description, struct err *e)
{
    struct one_group g = {.name = name, .description = description.p ? description : STR_EMPTY};

    if (access_check_group_name(name, e) < 0 || state_write(a->state, insert_group, &g, e) < 0) {
        return -1;
    }
    access_tell_group(a, name, "created");
    return 0;
}

static int update_group(struct state_db *db, void *ctx, struct err *e)
{
    struct one_group *g = ctx;

    return find_group(db, g, e) < 0
               ? -1
               : state_run(db, e,
                           "UPDATE user_groups SET description = coalesce(?, description) "
                           "WHERE id = ?",
                           "si", g->description, g->id);
}

int access_group_change(struct access *a, struct str name, struct str description, struct err *e)
{
    struct one_group g = {.name = name, .description = description};

    if (state_write(a->state, update_group, &g, e) < 0) {
        return -1;
    }
    access_tell_group(a, name, "changed");
    return 0;
}

static void forget_projects(struct one_group *g)
{
    for (size_t i = 0; i < g->projects.len; i++) {
        free(g->projects.p[i]);
    }
    g->projects.len = 0;
}

static int note_projects(struct state_db *db, struct one_group *g, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    forget_projects(g); /* a transaction may be run again */
    if (query_open(&q, db, e,
                   "SELECT p.name FROM project_groups m JOIN projects p ON p.id = m.project_id "
                   "WHERE m.group_id = ?",
                   "i", g->id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        *vec_push(&g->projects) = str_dup(query_str(&q, 0));
    }
    return r;
}

/* Its users and roles go with the row. */
static int delete_group(struct state_db *db, void *ctx, struct err *e)
{
    struct one_group *g = ctx;

    g->touched.len = 0;
    return find_group(db, g, e) < 0 || note_projects(db, g, e) < 0 ||
                   access_group_users(db, g->id, &g->touched, e) < 0
               ? -1
               : state_run(db, e, "DELETE FROM user_groups WHERE id = ?", "i", g->id);
}

int access_group_delete(struct access *a, struct str name, struct err *e)
{
    struct one_group g = {.name = name};
    int r = state_write(a->state, delete_group, &g, e);

    if (r == 0) {
        access_forget(a);
        access_tell_group(a, name, "deleted");
        for (size_t i = 0; i < g.projects.len; i++) {
            access_tell_member(a, str_of(g.projects.p[i]), "group", name, ROLE_NONE);
        }
        access_tell_all(a, &g.touched);
    }
    forget_projects(&g);
    vec_done(&g.projects);
    vec_done(&g.touched);
    return r;
}

/* --- who is in it --- */

/* One that somebody else fills (a directory) is not changed by hand: it would be undone. */
static int find_both(struct state_db *db, struct one_group *g, int64_t *user_id, struct err *e)
{
    int64_t is_local;

    if (find_group(db, g, e) < 0 ||
        state_one_i64(db, &is_local, e, "", "SELECT source = 'local' FROM user_groups WHERE id = ?",
                      "i", g->id) < 0) {
        return -1;
    }
    if (!is_local) {
        return err_set(e, ERR_CONFLICT, "group \"%.*s\" is filled by a directory: change it there",
                       STR_ARG(g->name));
    }
    if (state_one_i64(db, user_id, e, "", "SELECT id FROM users WHERE name = ?", "s", g->user) <
        0) {
        return e->kind == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "there is no user \"%.*s\"",
                                                  STR_ARG(str_first(g->user, LIMIT_NAME_BYTES)))
                                        : -1;
    }
    g->touched.len = 0;
    *vec_push(&g->touched) = *user_id;
    return 0;
}

static int put_user(struct state_db *db, void *ctx, struct err *e)
{
    struct one_group *g = ctx;
    int64_t user_id, n;

    if (find_both(db, g, &user_id, e) < 0 ||
        state_run(db, e, "INSERT INTO group_users VALUES(?, ?) ON CONFLICT DO NOTHING", "ii", g->id,
                  user_id) < 0 ||
        state_one_i64(db, &n, e, "", "SELECT count(*) FROM group_users WHERE group_id = ?", "i",
                      g->id) < 0) {
        return -1;
    }
    return n <= LIMIT_GROUP_USERS
               ? 0
               : err_set(e, ERR_LIMIT, "a group has at most %d users: make another group",
                         LIMIT_GROUP_USERS);
}

static int drop_user(struct state_db *db, void *ctx, struct err *e)
{
    struct one_group *g = ctx;
    int64_t user_id;

    if (find_both(db, g, &user_id, e) < 0 ||
        state_run(db, e, "DELETE FROM group_users WHERE group_id = ? AND user_id = ?", "ii", g->id,
                  user_id) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? 0
                                 : err_set(e, ERR_NOT_FOUND, "\"%.*s\" is not in group \"%.*s\"",
                                           STR_ARG(g->user), STR_ARG(g->name));
}

static int change_users(struct access *a, state_fn *change, struct str name, struct str user,
                        struct err *e)
{
    struct one_group g = {.name = name, .user = user};
    int r = state_write(a->state, change, &g, e);

    if (r == 0) {
        access_forget(a);
        access_tell_group(a, name, "changed");
        access_tell_all(a, &g.touched);
    }
    vec_done(&g.touched);
    return r;
}

int access_group_put_user(struct access *a, struct str name, struct str user, struct err *e)
{
    return change_users(a, put_user, name, user, e);
}

int access_group_drop_user(struct access *a, struct str name, struct str user, struct err *e)
{
    return change_users(a, drop_user, name, user, e);
}

/* --- to be shown --- */

#define SELECT_GROUPS                                                                              \
    "SELECT g.name, g.description, g.source, g.created_ms, "                                       \
    "(SELECT count(*) FROM group_users u WHERE u.group_id = g.id) FROM user_groups g "

static void open_row(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_str(w, "name", query_str(q, 0));
    jw_kv_str(w, "description", query_str(q, 1));
    jw_kv_str(w, "source", query_str(q, 2));
    jw_kv_time(w, "created_at", query_i64(q, 3));
    jw_kv_i64(w, "users", query_i64(q, 4));
}

/* Names, or names with roles, as a list. */
static int write_list(struct state_db *db, struct jw *w, const char *sql, int64_t id, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, sql, "ii", id, (int64_t)LIMIT_LIST_ROWS) < 0) {
        return -1;
    }
    jw_array(w);
    while ((r = query_step(&q, e)) > 0) {
        if (query_is_null(&q, 1)) {
            jw_str(w, query_str(&q, 0));
            continue;
        }
        jw_object(w);
        jw_kv_str(w, "name", query_str(&q, 0));
        jw_kv_str(w, "role", query_str(&q, 1));
        jw_end(w);
    }
    jw_end(w);
    return r;
}

static int write_group(struct state_db *db, void *ctx, struct err *e)
{
    struct one_group *g = ctx;
    SCOPED(query_done) struct query q = {0};

    if (find_group(db, g, e) < 0 ||
        query_open(&q, db, e, SELECT_GROUPS "WHERE g.id = ?", "i", g->id) < 0 ||
        query_step(&q, e) < 0) {
        return -1;
    }
    open_row(g->w, &q);
    jw_key(g->w, "members");
    if (write_list(db, g->w,
                   "SELECT u.name, NULL FROM group_users m JOIN users u ON u.id = m.user_id "
                   "WHERE m.group_id = ? ORDER BY 1 LIMIT ?",
                   g->id, e) < 0) {
        return -1;
    }
    jw_key(g->w, "projects");
    if (write_list(db, g->w,
                   "SELECT p.name, m.role FROM project_groups m JOIN projects p "
                   "ON p.id = m.project_id WHERE m.group_id = ? ORDER BY 1 LIMIT ?",
                   g->id, e) < 0) {
        return -1;
    }
    jw_end(g->w);
    return 0;
}

int access_group_json(struct access *a, struct str name, struct jw *w, struct err *e)
{
    return state_read(a->state, write_group, &(struct one_group){.name = name, .w = w}, e);
}

static int write_groups(struct state_db *db, void *ctx, struct err *e)
{
    const struct page *p = ctx;
    SCOPED(query_done) struct query q = {0};
    struct jw w = JW(p->out);
    char last[NAME_SIZE] = "";
    int64_t n = 0;
    int r;

    if (query_open(&q, db, e,
                   SELECT_GROUPS "WHERE g.name > ? AND has_words(?, g.name, g.description) "
                                 "ORDER BY g.name LIMIT ?",
                   "ssi", p->after, p->q, p->limit + 1) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    while ((r = query_step(&q, e)) > 0 && n++ < p->limit) {
        (void)!str_copy(query_str(&q, 0), last, sizeof(last));
        open_row(&w, &q);
        jw_end(&w);
    }
    jw_end(&w);
    jw_kv_c(&w, "next", r > 0 ? last : NULL);
    jw_end(&w);
    return r < 0 ? -1 : 0;
}

int access_groups_page(struct access *a, const struct page *p, struct err *e)
{
    return state_read(a->state, write_groups, (void *)p, e);
}
