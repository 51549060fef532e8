/* What a client asks first: is it there, which version, how much is in it. */
#include "harbor_priv.h"

#include "base/clock.h"

int harbor_ping(struct http_req *r, struct err *e)
{
    return http_reply(r, 200, "text/plain; charset=utf-8", STR("Pong"), e);
}

/* One process: being reached is being healthy. Clients look for these names. */
int harbor_health(struct http_req *r, struct err *e)
{
    static const char *const parts[] = {"core", "database", "portal", "registry"};
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_c(&w, "status", "healthy");
    jw_key(&w, "components");
    jw_array(&w);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        jw_object(&w);
        jw_kv_c(&w, "name", parts[i]);
        jw_kv_c(&w, "status", "healthy");
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

/* The version is that of Harbor's API which is spoken here: clients choose by it what they ask. */
int harbor_systeminfo(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_c(&w, "auth_mode", "db_auth");
    jw_kv_bool(&w, "primary_auth_mode", true);
    jw_kv_bool(&w, "self_registration", false);
    jw_kv_c(&w, "harbor_version", "v2.10.0-strata");
    if (r->who.user_id != 0) {
        jw_kv_str(&w, "registry_url", r->host);
        jw_kv_str(
            &w, "external_url",
            str_of(arena_printf(&r->arena, "%.*s://%.*s", STR_ARG(r->scheme), STR_ARG(r->host))));
        jw_kv_c(&w, "project_creation_restriction",
                harbor_everyone_creates(h) ? "everyone" : "adminonly");
        jw_kv_bool(&w, "has_ca_root", false);
        jw_kv_bool(&w, "read_only", false);
        jw_kv_bool(&w, "notification_enable", true);
        jw_kv_time(&w, "current_time", clock_wall_ms());
    }
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

struct count_op {
    struct http_req *r;
    struct jw *w;
};

#define PROJECTS_OF(kind) "(SELECT count(*) FROM projects p WHERE p.deleting = 0 AND " kind ")"
#define REPOS_OF(kind)                                                                             \
    "(SELECT count(*) FROM repositories r JOIN projects p ON p.id = r.project_id"                  \
    " WHERE p.deleting = 0 AND " kind                                                              \
    " AND EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id))"
#define IS_PRIVATE                                                                                 \
    "p.public = 0 AND (?2 OR p.id IN (SELECT project_id FROM memberships WHERE user_id = ?1))"

static int count_fn(struct state_db *db, void *ctx, struct err *e)
{
    static const char *const names[] = {"private_project_count", "public_project_count",
                                        "private_repo_count", "public_repo_count"};
    struct count_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t sums[2] = {0}, bytes = 0; /* of all blobs, for administrators */
    int r;

    if (query_open(&q, db, e,
                   "SELECT " PROJECTS_OF(IS_PRIVATE) "," PROJECTS_OF("p.public") "," REPOS_OF(
                       IS_PRIVATE) "," REPOS_OF("p.public"),
                   "ii", op->r->who.user_id, (int64_t)op->r->who.is_admin) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    for (int i = 0; r > 0 && i < 4; i++) {
        jw_kv_i64(op->w, names[i], query_i64(&q, i));
        sums[i / 2] += query_i64(&q, i);
    }
    jw_kv_i64(op->w, "total_project_count", sums[0]);
    jw_kv_i64(op->w, "total_repo_count", sums[1]);
    if (op->r->who.is_admin &&
        state_one_i64(db, &bytes, e, "", "SELECT coalesce(sum(size_bytes), 0) FROM blobs", "") <
            0) {
        return -1;
    }
    jw_kv_i64(op->w, "total_storage_consumption", bytes);
    return 0;
}

int harbor_statistics(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    int result;

    if (!(r->who.scopes & PERM_BIT(PERM_PROJECT_READ))) {
        return err_set(e, ERR_FORBIDDEN, "this token does not have the scope project:read");
    }
    jw_object(&w);
    result = state_read(h->state, count_fn, &(struct count_op){r, &w}, e);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, result, e);
}
