#include "harbor_priv.h"

#include "registry/store.h"

#define REPOSITORY_COLUMNS                                                                         \
    "r.id, r.project_id, r.name, r.created_ms, r.updated_ms,"                                      \
    " (SELECT count(*) FROM manifests m WHERE m.repository_id = r.id), r.pulls, r.description"
#define IS_THERE " EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id) "
/* Those he may pull from: ?1 his id, ?2 whether he is admin, ?3 a project's id or 0 for all, ?4
 * the name whole, ?5 a part of it. */
#define FROM_REPOSITORIES                                                                          \
    " FROM repositories r JOIN projects p ON p.id = r.project_id WHERE p.deleting = 0"             \
    " AND (?3 = p.id OR (?3 = 0 AND (?2 OR p.public OR p.id IN (SELECT project_id FROM"            \
    " memberships WHERE user_id = ?1 AND (permission IS NULL OR permission = 'image:pull')))))"    \
    " AND (?4 IS NULL OR r.name = ?4 OR substr(r.name, length(p.name) + 2) = ?4)"                  \
    " AND instr(r.name, ?5) AND " IS_THERE

static void write_repository(const struct harbor *h, struct jw *w, const struct query *q)
{
    struct pulled pulled = store_pulled(
        h->registry, &(struct pulled_thing){query_i64(q, 0), query_i64(q, 3), STR_EMPTY},
        (struct pulled){.times = query_i64(q, 6)});

    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_i64(w, "project_id", query_i64(q, 1));
    jw_kv_str(w, "name", query_str(q, 2));
    jw_kv_str(w, "description", query_str(q, 7));
    jw_kv_time(w, "creation_time", query_i64(q, 3));
    jw_kv_time(w, "update_time", query_i64(q, 4));
    jw_kv_i64(w, "artifact_count", query_i64(q, 5));
    jw_kv_i64(w, "pull_count", pulled.times);
    jw_end(w);
}

struct repositories {
    struct list list;
    int64_t project_id;
};

static int fill_repositories(struct state_db *db, void *ctx, struct err *e)
{
    struct repositories *of = ctx;
    struct list *l = &of->list;
    const struct principal *who = &l->r->who;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "name"), part = harbor_list_part(l, "name");
    int r;

    if (state_one_i64(db, &l->total, e, "", "SELECT count(*)" FROM_REPOSITORIES, "iiiss",
                      who->user_id, (int64_t)who->is_admin, of->project_id, name, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT " REPOSITORY_COLUMNS FROM_REPOSITORIES
                   " ORDER BY CASE ?6 WHEN 'creation_time' THEN r.created_ms"
                   "   WHEN '-creation_time' THEN -r.created_ms WHEN 'update_time' THEN"
                   "   r.updated_ms WHEN '-update_time' THEN -r.updated_ms END,"
                   " iif(?6 = '-name', r.name, '') DESC, r.name LIMIT ?7 OFFSET ?8",
                   "iiisssii", who->user_id, (int64_t)who->is_admin, of->project_id, name, part,
                   l->sort, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_repository(l->r->ctx, &l->w, &q);
    }
    return r;
}

static int reply_repositories(struct http_req *r, int64_t project, struct err *e)
{
    static const char *const keys[] = {"name", NULL};
    struct repositories of = {.project_id = project};

    return harbor_list_begin(&of.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_repositories, e);
}

int harbor_repositories(struct http_req *r, struct err *e)
{
    int64_t id;

    return harbor_project_id(r, &id, e) < 0 ? -1 : reply_repositories(r, id, e);
}

int harbor_all_repositories(struct http_req *r, struct err *e)
{
    if (!(r->who.scopes & PERM_BIT(PERM_IMAGE_PULL))) {
        return err_set(e, ERR_FORBIDDEN, "this token does not have the scope image:pull");
    }
    return reply_repositories(r, 0, e);
}

struct one {
    const struct harbor *h;
    struct str name;
    int64_t project_id;
    struct jw *w;
};

static int repository_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " REPOSITORY_COLUMNS
                   " FROM repositories r WHERE r.name = ? AND r.project_id = ? AND " IS_THERE,
                   "si", o->name, o->project_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no repository %.*s", STR_ARG(o->name));
    }
    write_repository(o->h, o->w, &q);
    return 0;
}

int harbor_repository(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(128 * 1024);
    struct jw w = JW(&b);
    struct one o = {.h = h, .w = &w};

    return harbor_project_id(r, &o.project_id, e) < 0 || harbor_repository_of(r, &o.name, e) < 0
               ? -1
               : harbor_reply_and_free(r, 200, &b, state_read(h->state, repository_fn, &o, e), e);
}

/* Its description; what else a client sends back is what it read. */
int harbor_repository_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str name, text = STR_EMPTY;
    int64_t project;

    return harbor_project_id(r, &project, e) < 0 || harbor_repository_of(r, &name, e) < 0 ||
                   http_body_json(r, &body, e) < 0 ||
                   json_get_str(body, "description", &text, e) < 0 ||
                   store_repository_describe(h->registry, project, name, text, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

int harbor_repository_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct str name;

    if (harbor_repository_of(r, &name, e) < 0 ||
        store_repository_drop(h->registry, name, str_of(r->who.name), e) < 0) {
        return -1;
    }
    registry_emit(h->registry, name, STR_EMPTY, "", "deleted");
    return http_reply_empty(r, 200, e);
}
