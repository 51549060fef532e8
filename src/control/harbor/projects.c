#include "metadata.h"

#include "registry/store.h"

/* ?1 his id, ?2 whether he is admin, ?3 his name. */
#define SELECT_SEEN                                                                                \
    "WITH his(project_id, rank) AS (SELECT project_id, max(rank) FROM memberships"                 \
    " WHERE user_id = ?1 AND (permission IS NULL OR permission = 'project:read')"                  \
    " GROUP BY project_id) "
#define FROM_SEEN                                                                                  \
    " FROM projects p LEFT JOIN his ON his.project_id = p.id"                                      \
    " LEFT JOIN users u ON u.name = p.created_by"                                                  \
    " WHERE p.deleting = 0 AND (?2 OR p.public OR his.rank IS NOT NULL)"
#define HAS_RETENTION                                                                              \
    "coalesce((SELECT json_array_length(g.policy, '$.retention.rules') FROM registry_projects g"   \
    " WHERE g.project_id = p.id AND g.policy <> ''), 0)"
#define PROJECT_COLUMNS                                                                            \
    "p.id, p.name, p.public, p.created_ms, p.created_by, coalesce(u.id, 0),"                       \
    " iif(?2, 4, coalesce(his.rank, 0)),"                                                          \
    " (SELECT count(*) FROM repositories r WHERE r.project_id = p.id"                              \
    "  AND EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id)), " HAS_RETENTION       \
    ", (SELECT s.policy FROM supply_projects s WHERE s.project_id = p.id),"                        \
    " coalesce((SELECT x.id FROM replication_registries x WHERE x.name = p.proxy_registry), 0)"
/* ?3 its name whole, ?4 a part, ?5 "true", "false" or "" , ?6 the owner. */
#define PROJECTS_ASKED                                                                             \
    " AND (?3 IS NULL OR p.name = ?3) AND instr(p.name, ?4)"                                       \
    " AND (?5 IS NULL OR p.public = (?5 = 'true')) AND (?6 IS NULL OR p.created_by = ?6)"

/* Harbor's roles: 1 project admin, 2 developer, 3 guest, 4 maintainer. Ours that manages a project
 * is its project admin. */
static int64_t role_id_of_rank(int64_t rank)
{
    static const int64_t ids[] = {0, 3, 2, 1, 1};

    return ids[rank];
}

static int write_project(struct jw *w, struct arena *a, const struct query *q, struct err *e)
{
    int64_t role = role_id_of_rank(query_i64(q, 6));
    struct project_facts f = {.id = query_i64(q, 0),
                              .is_public = query_i64(q, 2) != 0,
                              .created_ms = query_i64(q, 3),
                              .has_retention = query_i64(q, 8) > 0};

    if (trust_policy_of_text(a, query_str(q, 9), &f.rules, e) < 0) {
        return -1;
    }
    jw_object(w);
    jw_kv_i64(w, "project_id", f.id);
    jw_kv_str(w, "name", query_str(q, 1));
    jw_kv_i64(w, "owner_id", query_i64(q, 5));
    jw_kv_str(w, "owner_name", query_str(q, 4));
    jw_kv_time(w, "creation_time", f.created_ms);
    jw_kv_time(w, "update_time", f.created_ms);
    jw_kv_bool(w, "deleted", false);
    jw_kv_i64(w, "repo_count", query_i64(q, 7));
    jw_kv_i64(w, "current_user_role_id", role);
    jw_key(w, "current_user_role_ids");
    jw_array(w);
    if (role != 0) {
        jw_i64(w, role);
    }
    jw_end(w);
    if (query_i64(q, 10) != 0) {
        jw_kv_i64(w, "registry_id", query_i64(q, 10));
    }
    jw_key(w, "metadata");
    metadata_write(w, &f);
    jw_key(w, "cve_allowlist");
    allowlist_write(w, &f);
    jw_end(w);
    return 0;
}

/* Both the old parameters and those of q. */
static struct str asked(const struct list *l, const char *key, const char *parameter)
{
    struct str v = harbor_list_exact(l, key);

    return v.p ? v : http_query(l->r, parameter);
}

static int fill_projects(struct state_db *db, void *ctx, struct err *e)
{
    struct list *l = ctx;
    const struct principal *who = &l->r->who;
    SCOPED(query_done) struct query q = {0};
    /* ?name= is a part of it, as in Harbor. */
    struct str name = harbor_list_exact(l, "name"), old = http_query(l->r, "name");
    struct str part = old.p ? old : harbor_list_part(l, "name");
    struct str is_public = asked(l, "public", "public"), owner = asked(l, "owner", "owner");
    int r;

    if (state_one_i64(db, &l->total, e, "", SELECT_SEEN "SELECT count(*)" FROM_SEEN PROJECTS_ASKED,
                      "iissss", who->user_id, (int64_t)who->is_admin, name, part, is_public,
                      owner) < 0 ||
        query_open(&q, db, e,
                   SELECT_SEEN "SELECT " PROJECT_COLUMNS FROM_SEEN PROJECTS_ASKED
                               " ORDER BY CASE ?7 WHEN 'creation_time' THEN p.created_ms"
                               "   WHEN '-creation_time' THEN -p.created_ms END,"
                               " iif(?7 = '-name', p.name, '') DESC, p.name LIMIT ?8 OFFSET ?9",
                   "iisssssii", who->user_id, (int64_t)who->is_admin, name, part, is_public, owner,
                   l->sort, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (write_project(&l->w, &l->r->arena, &q, e) < 0) {
            return -1;
        }
    }
    return r;
}

static int check_scope(const struct http_req *r, struct err *e)
{
    return r->who.scopes & PERM_BIT(PERM_PROJECT_READ)
               ? 0
               : err_set(e, ERR_FORBIDDEN, "this token does not have the scope project:read");
}

int harbor_projects(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", "public", "owner", NULL};
    struct list l;

    return check_scope(r, e) < 0 || harbor_list_begin(&l, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&l, fill_projects, e);
}

/* Of those that he may see: whether there are others is nobody's business. */
int harbor_project_head(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct str name = http_query(r, "project_name");

    if (!(access_permissions(h->access, &r->who, name.p ? name : STR_EMPTY) &
          PERM_BIT(PERM_PROJECT_READ))) {
        return err_set(e, ERR_NOT_FOUND, "there is no project of that name that you may see");
    }
    return http_reply_empty(r, 200, e);
}

struct one {
    struct http_req *r;
    int64_t id;
    struct jw *w;
};

static int project_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, SELECT_SEEN "SELECT " PROJECT_COLUMNS FROM_SEEN " AND p.id = ?3",
                   "iii", o->r->who.user_id, (int64_t)o->r->who.is_admin, o->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no such project");
    }
    return write_project(o->w, &o->r->arena, &q, e);
}

int harbor_project(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);
    struct one o = {.r = r, .w = &w};

    return harbor_project_id(r, &o.id, e) < 0
               ? -1
               : harbor_reply_and_free(r, 200, &b, state_read(h->state, project_fn, &o, e), e);
}

/* --- changes --- */

/* Only an administrator's quota counts; that of others is left alone, as in Harbor. */
static int set_storage(struct http_req *r, int64_t id, const struct project_wish *c, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct err no;

    if (c->storage == 0 || access_authorize(h->access, r, PERM_SYSTEM_MANAGE, STR_EMPTY, &no) < 0) {
        return 0;
    }
    return store_quota_set(h->registry, id, c->storage, e);
}

struct registry_op {
    struct arena *arena;
    int64_t id;
    struct str name;
};

static int registry_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct registry_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT name FROM replication_registries WHERE id = ?", "i", op->id) <
            0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_INVALID, "registry_id: there is no registry of that id");
    }
    op->name = arena_str(op->arena, query_str(&q, 0));
    return 0;
}

/* A cache spends the credentials that an administrator gave for the other registry. */
static int read_registry(struct http_req *r, int64_t id, struct project_form *f, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct registry_op op = {.arena = &r->arena, .id = id};

    if (id == 0) {
        return 0;
    }
    if (access_authorize(h->access, r, PERM_SYSTEM_MANAGE, STR_EMPTY, e) < 0 ||
        state_read(h->state, registry_fn, &op, e) < 0) {
        return -1;
    }
    f->registry = op.name;
    return 0;
}

int harbor_project_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct project_wish c = {0};
    struct project_form form = {.ttl_sec = -1};
    struct str name;
    int64_t id;

    if (http_body_json(r, &body, e) < 0 || json_need_str(body, "project_name", &name, e) < 0 ||
        project_wish_read(body, &c, e) < 0 || project_wish_check(r, &c, e) < 0 ||
        read_registry(r, c.registry_id, &form, e) < 0) {
        return -1;
    }
    form.is_public = c.is_public;
    c.is_public = CHANGE_KEEP;
    if (access_project_make(h->access, &r->who, name, &form, e) < 0) {
        return -1;
    }
    r->project = arena_str(&r->arena, name); /* for the audit */
    if (harbor_project_id(r, &id, e) < 0 || project_wish_follow(r, id, &c, e) < 0 ||
        set_storage(r, id, &c, e) < 0) {
        return -1;
    }
    if (str_eq_nocase(http_header(r, "X-Resource-Name-In-Location"), STR("true"))) {
        http_set_header(r, "Location", HARBOR "/projects/%.*s", STR_ARG(r->project));
        return http_reply_empty(r, 201, e);
    }
    return harbor_reply_created(r, "/projects", id, e);
}

/* What a project is a cache of stays; clients send back what they read. */
int harbor_project_change(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct project_wish c = {0};
    int64_t id;

    return harbor_project_id(r, &id, e) < 0 || http_body_json(r, &body, e) < 0 ||
                   project_wish_read(body, &c, e) < 0 || project_wish_follow(r, id, &c, e) < 0 ||
                   set_storage(r, id, &c, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

static int repositories_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    int64_t project = o->id;

    return state_one_i64(db, &o->id, e, "",
                         "SELECT count(*) FROM repositories r WHERE r.project_id = ?"
                         " AND EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id)",
                         "i", project);
}

static int count_repositories(struct http_req *r, int64_t *n, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o = {.r = r};

    if (harbor_project_id(r, &o.id, e) < 0 || state_read(h->state, repositories_fn, &o, e) < 0) {
        return -1;
    }
    *n = o.id;
    return 0;
}

/* Harbor keeps a project that holds images; our own API deletes it with all. */
int harbor_project_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    int64_t n;

    if (count_repositories(r, &n, e) < 0) {
        return -1;
    }
    if (n > 0) {
        return harbor_reply_needed(r, "the project holds repositories: delete them first", e);
    }
    return access_project_delete(h->access, r->project, e) < 0 ? -1 : http_reply_empty(r, 200, e);
}

int harbor_project_deletable(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    int64_t n;

    if (count_repositories(r, &n, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_bool(&w, "deletable", n == 0);
    if (n > 0) {
        jw_kv_c(&w, "message", "the project holds repositories: delete them first");
    }
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

static int summary_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};

    if (query_open(&q, db, e,
                   "SELECT (SELECT count(*) FROM repositories r WHERE r.project_id = ?1"
                   "  AND EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id)),"
                   " (SELECT count(*) FROM members WHERE project_id = ?1 AND role = 'maintainer'),"
                   " (SELECT count(*) FROM members WHERE project_id = ?1 AND role = 'developer'),"
                   " (SELECT count(*) FROM members WHERE project_id = ?1 AND role = 'guest'),"
                   " (SELECT used_bytes FROM registry_projects WHERE project_id = ?1),"
                   " (SELECT quota_bytes FROM registry_projects WHERE project_id = ?1)",
                   "i", o->id) < 0 ||
        query_step(&q, e) < 0) {
        return -1;
    }
    jw_kv_i64(o->w, "repo_count", query_i64(&q, 0));
    jw_kv_i64(o->w, "project_admin_count", query_i64(&q, 1));
    jw_kv_i64(o->w, "maintainer_count", 0);
    jw_kv_i64(o->w, "developer_count", query_i64(&q, 2));
    jw_kv_i64(o->w, "guest_count", query_i64(&q, 3));
    jw_kv_i64(o->w, "limited_guest_count", 0);
    jw_key(o->w, "quota");
    jw_object(o->w);
    jw_key(o->w, "hard");
    jw_object(o->w);
    jw_kv_i64(o->w, "storage", query_is_null(&q, 5) ? -1 : query_i64(&q, 5));
    jw_end(o->w);
    jw_key(o->w, "used");
    jw_object(o->w);
    jw_kv_i64(o->w, "storage", query_i64(&q, 4));
    jw_end(o->w);
    jw_end(o->w);
    return 0;
}

int harbor_project_summary(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct one o = {.r = r, .w = &w};
    int result;

    if (harbor_project_id(r, &o.id, e) < 0) {
        return -1;
    }
    jw_object(&w);
    result = state_read(h->state, summary_fn, &o, e);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, result, e);
}

/* --- search: names that hold the word --- */

enum { FOUND_MAX = 100 };

struct search {
    struct http_req *r;
    struct str word;
    struct jw *w;
    bool pulls; /* his token may name images */
};

static int search_projects(struct state_db *db, const struct search *s, struct err *e)
{
    const struct principal *who = &s->r->who;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   SELECT_SEEN "SELECT " PROJECT_COLUMNS FROM_SEEN
                               " AND instr(p.name, ?3) ORDER BY p.name LIMIT ?4",
                   "iisi", who->user_id, (int64_t)who->is_admin, s->word, (int64_t)FOUND_MAX) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (write_project(s->w, &s->r->arena, &q, e) < 0) {
            return -1;
        }
    }
    return r;
}

static int search_repositories(struct state_db *db, const struct search *s, struct err *e)
{
    const struct principal *who = &s->r->who;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT p.id, p.name, p.public, r.name, r.pulls, (SELECT count(*) FROM manifests"
                   " m WHERE m.repository_id = r.id) AS n FROM repositories r JOIN projects p ON"
                   " p.id = r.project_id WHERE p.deleting = 0 AND n > 0 AND instr(r.name, ?3)"
                   " AND (?2 OR p.public OR p.id IN (SELECT project_id FROM memberships WHERE"
                   "  user_id = ?1 AND (permission IS NULL OR permission = 'image:pull')))"
                   " ORDER BY r.name LIMIT ?4",
                   "iisi", who->user_id, (int64_t)who->is_admin, s->word, (int64_t)FOUND_MAX) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(s->w);
        jw_kv_i64(s->w, "project_id", query_i64(&q, 0));
        jw_kv_str(s->w, "project_name", query_str(&q, 1));
        jw_kv_bool(s->w, "project_public", query_i64(&q, 2) != 0);
        jw_kv_str(s->w, "repository_name", query_str(&q, 3));
        jw_kv_i64(s->w, "pull_count", query_i64(&q, 4));
        jw_kv_i64(s->w, "artifact_count", query_i64(&q, 5));
        jw_end(s->w);
    }
    return r;
}

static int search_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct search *s = ctx;
    int r;

    jw_key(s->w, "project");
    jw_array(s->w);
    r = search_projects(db, s, e);
    jw_end(s->w);
    jw_key(s->w, "repository");
    jw_array(s->w);
    r = r == 0 && s->pulls ? search_repositories(db, s, e) : r;
    jw_end(s->w);
    return r;
}

int harbor_search(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(1024 * 1024);
    struct jw w = JW(&b);
    struct search s = {.r = r,
                       .word = http_query(r, "q"),
                       .w = &w,
                       .pulls = (r->who.scopes & PERM_BIT(PERM_IMAGE_PULL)) != 0};
    int result;

    if (check_scope(r, e) < 0) {
        return -1;
    }
    if (s.word.p == NULL) {
        return err_set(e, ERR_INVALID, "q: give a part of a name");
    }
    jw_object(&w);
    result = state_read(h->state, search_fn, &s, e);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, result, e);
}
