#include "store_priv.h"

#include "access/access.h"

int db_repository(struct state_db *db, struct str name, int64_t *id, const char **code,
                  struct err *e)
{
    int64_t project_id;

    *code = "NAME_UNKNOWN";
    if (access_project_find(db, name_project(name), &project_id, e) < 0) {
        return -1;
    }
    if (state_one_i64(db, id, e, "",
                      "SELECT id FROM repositories WHERE name = ? AND project_id = ?", "si", name,
                      project_id) == 0) {
        return 0;
    }
    return e->kind == ERR_NOT_FOUND
               ? err_set(e, ERR_NOT_FOUND, "there is no repository %.*s", STR_ARG(name))
               : -1;
}

int err_is_cache(struct str project, const struct project_proxy *p, struct err *e)
{
    return err_set(e, ERR_FORBIDDEN,
                   "project %.*s is a cache of the registry %s: what is pulled from it comes from "
                   "there, and nothing is pushed into it; push to another project",
                   STR_ARG(project), p->registry);
}

/* In the transaction, for all ways that lead into a project. */
static int check_cache(struct state_db *db, const struct repo_key *key, struct err *e)
{
    struct project_proxy p;
    int is_cache = access_project_proxy(db, name_project(key->name), &p, e);

    return is_cache < 0                     ? -1
           : is_cache == 0 || key->is_cache ? 0
                                            : err_is_cache(name_project(key->name), &p, e);
}

static int find_not_going(struct state_db *db, struct str name, int64_t *id, struct err *e)
{
    int64_t going;

    if (state_one_i64(db, id, e, "repository", "SELECT id FROM repositories WHERE name = ?", "s",
                      name) < 0 ||
        state_one_i64(db, &going, e, "repository", "SELECT going FROM repositories WHERE id = ?",
                      "i", *id) < 0) {
        return -1;
    }
    return going ? err_set(e, ERR_UNAVAILABLE, "%.*s is being deleted: try again in a moment",
                           STR_ARG(name))
                 : 0;
}

int db_repository_make(struct state_db *db, const struct repo_key *key, int64_t *id, struct err *e)
{
    int64_t now = clock_wall_ms();

    /* What a deleted project of the same name may have left is not this one. */
    if (access_project_check(db, key->project_id, e) < 0 || check_cache(db, key, e) < 0 ||
        state_run(db, e, "DELETE FROM repositories WHERE name = ? AND project_id <> ?", "si",
                  key->name, key->project_id) < 0 ||
        state_run(db, e,
                  "INSERT INTO repositories(project_id, name, created_ms, updated_ms)"
                  " VALUES (?, ?, ?, ?) ON CONFLICT(name) DO NOTHING",
                  "isii", key->project_id, key->name, now, now) < 0) {
        return -1;
    }
    return find_not_going(db, key->name, id, e);
}

int db_blob_size(struct state_db *db, int64_t repository_id, const char *digest,
                 int64_t *size_bytes, struct err *e)
{
    struct query q;
    int r;

    if (query_open(&q, db, e,
                   "SELECT b.size_bytes FROM repository_blobs rb JOIN blobs b USING (digest)"
                   " WHERE rb.repository_id = ? AND rb.digest = ?",
                   "iz", repository_id, digest) < 0) {
        return -1;
    }
    r = query_step(&q, e);
    *size_bytes = r > 0 ? query_i64(&q, 0) : -1;
    query_done(&q);
    return r < 0 ? -1 : 0;
}

struct blob_op {
    struct registry *r;
    struct str from; /* repository that is read */
    int64_t from_id; /* what find_fn found */
    const struct repo_key *to;
    const char *digest;
    struct stored_blob blob;
    const char **code;
};

static int blob_unknown(const struct blob_op *op, struct err *e)
{
    *op->code = "BLOB_UNKNOWN";
    return err_set(e, ERR_NOT_FOUND, "repository %.*s has no blob %s", STR_ARG(op->from),
                   op->digest);
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct blob_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (db_repository(db, op->from, &op->from_id, op->code, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT b.size_bytes, rb.manifests = 0"
                   " AND rb.touched_ms < iif(rb.charged, ?3, ?4)"
                   " FROM repository_blobs rb JOIN blobs b ON b.digest = rb.digest"
                   " WHERE rb.repository_id = ?1 AND rb.digest = ?2",
                   "izii", op->from_id, op->digest, clock_wall_ms() - BLOB_GRACE_MS / 2,
                   clock_wall_ms() - RELEASED_GRACE_MS / 2) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return blob_unknown(op, e);
    }
    op->blob = (struct stored_blob){query_i64(&q, 0), query_i64(&q, 1) != 0};
    return 0;
}

int store_blob_find(struct registry *r, struct str repository, const char *digest,
                    struct stored_blob *out, const char **code, struct err *e)
{
    struct blob_op op = {.from = repository, .digest = digest, .code = code};

    if (state_read(r->state, find_fn, &op, e) < 0) {
        return -1;
    }
    *out = op.blob;
    return 0;
}

static int touch_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct blob_op *op = ctx;
    struct repo_key key = {.name = op->from, .by = STR_EMPTY};
    int64_t id, used;

    /* Who wants it again is charged for it again. */
    if (db_repository(db, op->from, &id, op->code, e) < 0 ||
        access_project_find(db, name_project(op->from), &key.project_id, e) < 0 ||
        db_quota_begin(db, op->r, key.project_id, &used, e) < 0 ||
        state_run(db, e,
                  "UPDATE repository_blobs SET touched_ms = ?, charged = 1"
                  " WHERE digest = ? AND repository_id = ?",
                  "izi", clock_wall_ms(), op->digest, id) < 0) {
        return -1;
    }
    return db_quota_end(db, op->r, &key, used, op->code, e);
}

void store_blob_renew(struct registry *r, struct str repository, const char *digest)
{
    const char *code;
    struct blob_op op = {.r = r, .from = repository, .digest = digest, .code = &code};
    struct err e;

    /* When it cannot be renewed the client learns it from the manifest, and pushes again. */
    (void)!state_write(r->state, touch_fn, &op, &e);
}

/* Manifests of a cache that named it before it was here. */
static int give_to_waiting(struct state_db *db, int64_t repository_id, const char *digest,
                           struct err *e)
{
    return state_run(db, e,
                     "INSERT OR IGNORE INTO manifest_blobs(manifest_id, digest, repository_id)"
                     " SELECT manifest_id, digest, repository_id FROM manifest_wants"
                     " WHERE repository_id = ? AND digest = ?",
                     "iz", repository_id, digest) < 0
               ? -1
               : state_run(db, e,
                           "DELETE FROM manifest_wants WHERE repository_id = ? AND digest = ?",
                           "iz", repository_id, digest);
}

static int link_blob(struct state_db *db, const struct blob_op *op, struct err *e)
{
    const struct repo_key *to = op->to;
    int64_t id, used;

    if (db_repository_make(db, to, &id, e) < 0 ||
        db_quota_begin(db, op->r, to->project_id, &used, e) < 0 ||
        state_run(db, e,
                  "INSERT INTO repository_blobs(repository_id, digest, touched_ms, project_id)"
                  " VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                  " SET touched_ms = excluded.touched_ms, charged = 1",
                  "izii", id, op->digest, clock_wall_ms(), to->project_id) < 0 ||
        (to->is_cache && give_to_waiting(db, id, op->digest, e) < 0)) {
        return -1;
    }
    return db_quota_end(db, op->r, to, used, op->code, e);
}

static int link_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct blob_op *op = ctx;

    if (state_run(db, e, "DELETE FROM blob_trash WHERE digest = ?", "z", op->digest) < 0 ||
        state_run(db, e,
                  "INSERT INTO blobs(digest, size_bytes) VALUES (?, ?) ON CONFLICT DO NOTHING",
                  "zi", op->digest, op->blob.size_bytes) < 0) {
        return -1;
    }
    return link_blob(db, op, e);
}

int store_blob_link(struct registry *r, const struct repo_key *to, const char *digest,
                    int64_t size_bytes, const char **code, struct err *e)
{
    struct blob_op op = {
        .r = r, .to = to, .digest = digest, .blob = {.size_bytes = size_bytes}, .code = code};

    return state_write(r->state, link_fn, &op, e);
}

static int find_in_project(struct state_db *db, const struct blob_op *op, struct err *e)
{
    int64_t id;

    return state_one_i64(db, &id, e, "blob",
                         "SELECT rb.repository_id FROM repository_blobs rb"
                         " JOIN repositories r ON r.id = rb.repository_id"
                         " WHERE rb.digest = ? AND r.project_id = ? LIMIT 1",
                         "zi", op->digest, op->to->project_id);
}

static int mount_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct blob_op *op = ctx;

    return (op->from.p ? find_fn(db, op, e) : find_in_project(db, op, e)) < 0
               ? -1
               : link_blob(db, op, e);
}

int store_blob_mount(struct registry *r, struct str from, const struct repo_key *to,
                     const char *digest, const char **code, struct err *e)
{
    struct blob_op op = {.r = r, .from = from, .to = to, .digest = digest, .code = code};

    return state_write(r->state, mount_fn, &op, e);
}

static int unlink_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct blob_op *op = ctx;

    if (find_fn(db, op, e) < 0 ||
        state_run(db, e,
                  "DELETE FROM repository_blobs"
                  " WHERE repository_id = ? AND digest = ? AND manifests = 0",
                  "iz", op->from_id, op->digest) < 0) {
        return -1;
    }
    if (state_changes(db) == 0) {
        *op->code = "UNSUPPORTED";
        return err_set(e, ERR_UNSUPPORTED,
                       "blob %s is used by a manifest of %.*s: delete that first", op->digest,
                       STR_ARG(op->from));
    }
    return 0;
}

int store_blob_unlink(struct registry *r, struct str repository, const char *digest,
                      const char **code, struct err *e)
{
    struct blob_op op = {.from = repository, .digest = digest, .code = code};

    return state_write(r->state, unlink_fn, &op, e);
}
