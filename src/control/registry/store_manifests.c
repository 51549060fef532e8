#include "store_priv.h"

#include "access/access.h"
#include "base/vec.h"
#include "copy_priv.h"
#include "labels.h"

#include <string.h>

struct get_op {
    const struct reference *ref;
    struct arena *arena;
    struct stored_manifest *out;
    const char **code;
};

static int manifest_unknown(const struct reference *ref, const char **code, struct err *e)
{
    *code = "MANIFEST_UNKNOWN";
    if (ref->tag.p != NULL) {
        return err_set(e, ERR_NOT_FOUND, "repository %.*s has no tag %.*s",
                       STR_ARG(ref->repository), STR_ARG(ref->tag));
    }
    return err_set(e, ERR_NOT_FOUND, "repository %.*s has no manifest %s", STR_ARG(ref->repository),
                   ref->digest);
}

static int open_manifest(struct query *q, struct state_db *db, int64_t repository_id,
                         const struct reference *ref, struct err *e)
{
    if (ref->tag.p != NULL) {
        return query_open(q, db, e,
                          "SELECT m.digest, m.media_type, m.body, m.id, m.project_id FROM tags t"
                          " JOIN manifests m ON m.id = t.manifest_id"
                          " WHERE t.repository_id = ? AND t.name = ?",
                          "is", repository_id, ref->tag);
    }
    return query_open(q, db, e,
                      "SELECT digest, media_type, body, id, project_id FROM manifests"
                      " WHERE repository_id = ? AND digest = ?",
                      "iz", repository_id, ref->digest);
}

static int get_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct get_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t id;
    int r;

    if (db_repository(db, op->ref->repository, &id, op->code, e) < 0 ||
        open_manifest(&q, db, id, op->ref, e) < 0 || (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return manifest_unknown(op->ref, op->code, e);
    }
    op->out->media_type = arena_str(op->arena, query_str(&q, 1));
    op->out->body = arena_str(op->arena, query_str(&q, 2));
    op->out->id = query_i64(&q, 3);
    op->out->project_id = query_i64(&q, 4);
    op->out->repository_id = id;
    return str_copy(query_str(&q, 0), op->out->digest, sizeof(op->out->digest)) < 0
               ? -1
               : state_one_i64(db, &op->out->repository_created_ms, e, "repository",
                               "SELECT created_ms FROM repositories WHERE id = ?", "i", id);
}

int store_manifest_get(struct registry *r, struct arena *a, const struct reference *ref,
                       struct stored_manifest *out, const char **code, struct err *e)
{
    struct get_op op = {ref, a, out, code};

    return state_read(r->state, get_fn, &op, e);
}

/* --- put --- */

struct put_op {
    struct registry *r;
    const struct manifest_put *put;
    const char **code;
    int64_t repository_id, manifest_id, total_bytes;
};

static int blob_missing(struct put_op *op, const struct descriptor *d, struct err *e)
{
    *op->code = "MANIFEST_BLOB_UNKNOWN";
    return err_set(e, ERR_INVALID,
                   "the manifest refers to %s, which %.*s does not have: push it first", d->digest,
                   STR_ARG(op->put->repository.name));
}

static int check_blob(struct state_db *db, struct put_op *op, const struct descriptor *d,
                      struct err *e)
{
    int64_t size;

    if (db_blob_size(db, op->repository_id, d->digest, &size, e) < 0) {
        return -1;
    }
    if (size < 0 && op->put->repository.is_cache && !d->foreign) {
        op->total_bytes = op->total_bytes > INT64_MAX - d->size_bytes
                              ? INT64_MAX
                              : op->total_bytes + d->size_bytes;
        return 0;
    }
    if (size < 0) {
        return d->foreign ? 0 : blob_missing(op, d, e);
    }
    if (size != d->size_bytes) {
        *op->code = "MANIFEST_INVALID";
        return err_set(e, ERR_INVALID, "the manifest says that %s has %lld bytes, it has %lld",
                       d->digest, (long long)d->size_bytes, (long long)size);
    }
    op->total_bytes = op->total_bytes > INT64_MAX - size ? INT64_MAX : op->total_bytes + size;
    return 0;
}

static int check_child(struct state_db *db, struct put_op *op, const struct descriptor *d,
                       struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int64_t size;
    int r;

    if (query_open(&q, db, e,
                   "SELECT total_bytes FROM manifests WHERE repository_id = ? AND digest = ?", "iz",
                   op->repository_id, d->digest) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r > 0) {
        size = query_i64(&q, 0);
        op->total_bytes = op->total_bytes > INT64_MAX - size ? INT64_MAX : op->total_bytes + size;
        return 0;
    }
    if (db_blob_size(db, op->repository_id, d->digest, &size, e) < 0) {
        return -1;
    }
    return size < 0 && !op->put->repository.is_cache ? blob_missing(op, d, e)
                                                     : 0; /* an index may list other things too */
}

static int check_references(struct state_db *db, struct put_op *op, struct err *e)
{
    const struct manifest *m = op->put->manifest;

    for (size_t i = 0; i < m->n_children; i++) {
        if (check_child(db, op, &m->children[i], e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < m->n_layers; i++) {
        if (check_blob(db, op, &m->layers[i], e) < 0) {
            return -1;
        }
    }
    return m->is_index ? 0 : check_blob(db, op, &m->config, e);
}

/* What is fetched for a cache, or comes from nobody, was pushed by nobody. */
static struct str pusher_of(const struct repo_key *key)
{
    return key->is_cache || key->by.p == NULL ? STR_EMPTY : key->by;
}

static int insert_manifest(struct state_db *db, struct put_op *op, struct err *e)
{
    const struct manifest_put *p = op->put;
    const struct manifest *m = p->manifest;

    /* The same bytes again: only a missing mediaType inside lets the type differ. */
    if (state_run(db, e,
                  "INSERT INTO manifests(repository_id, digest, media_type, artifact_type, subject,"
                  " platform, total_bytes, pushed_ms, annotations, body, project_id, pushed_by)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(repository_id, digest)"
                  " DO UPDATE SET media_type = excluded.media_type, pushed_ms = excluded.pushed_ms,"
                  " pushed_by = excluded.pushed_by",
                  "izzszsiisbis", op->repository_id, p->digest, m->media_type, m->artifact_type,
                  m->subject[0] ? m->subject : NULL, p->platform, op->total_bytes, clock_wall_ms(),
                  m->annotations, p->body, p->repository.project_id,
                  pusher_of(&p->repository)) < 0) {
        return -1;
    }
    return state_one_i64(db, &op->manifest_id, e, "manifest",
                         "SELECT id FROM manifests WHERE repository_id = ? AND digest = ?", "iz",
                         op->repository_id, p->digest);
}

static int refer_blob(struct state_db *db, struct put_op *op, const char *digest, struct err *e)
{
    return state_run(db, e,
                     "INSERT INTO manifest_blobs(manifest_id, repository_id, digest)"
                     " SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM repository_blobs"
                     " WHERE repository_id = ?2 AND digest = ?3) ON CONFLICT DO NOTHING",
                     "iiz", op->manifest_id, op->repository_id, digest);
}

/* A cache's manifest comes before what it names: that is fetched when somebody asks for it. */
static int refer(struct state_db *db, struct put_op *op, const struct descriptor *d, struct err *e)
{
    if (refer_blob(db, op, d->digest, e) < 0) {
        return -1;
    }
    return !op->put->repository.is_cache || d->foreign || copy_is_manifest(d->media_type)
               ? 0
               : state_run(db, e,
                           "INSERT INTO manifest_wants(manifest_id, repository_id, digest,"
                           " size_bytes) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM"
                           " repository_blobs WHERE repository_id = ?2 AND digest = ?3)"
                           " ON CONFLICT DO NOTHING",
                           "iizi", op->manifest_id, op->repository_id, d->digest, d->size_bytes);
}

static int insert_references(struct state_db *db, struct put_op *op, struct err *e)
{
    const struct manifest *m = op->put->manifest;

    for (size_t i = 0; i < m->n_layers; i++) {
        if (refer(db, op, &m->layers[i], e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < m->n_children; i++) {
        if (refer(db, op, &m->children[i], e) < 0 ||
            state_run(db, e,
                      "INSERT INTO manifest_children(manifest_id, repository_id, digest)"
                      " VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                      "iiz", op->manifest_id, op->repository_id, m->children[i].digest) < 0) {
            return -1;
        }
    }
    return m->is_index ? 0 : refer(db, op, &m->config, e);
}

static int set_tag(struct state_db *db, const struct put_op *op, struct str tag, int64_t now,
                   struct err *e)
{
    if (db_tags_may_change(db,
                           &(struct tags_named){.repository_id = op->repository_id,
                                                .tag = tag,
                                                .unless_manifest_id = op->manifest_id},
                           op->code, e) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "INSERT INTO tags(repository_id, name, manifest_id, pushed_ms, checked_ms)"
                     " VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT(repository_id, name) DO UPDATE SET"
                     " manifest_id = excluded.manifest_id, pushed_ms = excluded.pushed_ms,"
                     " checked_ms = excluded.checked_ms",
                     "isii", op->repository_id, tag, op->manifest_id, now);
}

static int tell_pushed(struct state_db *db, const struct put_op *op, struct err *e)
{
    const struct manifest_put *p = op->put;
    struct artifacts a = {.n = 0};
    int result;

    for (size_t i = 0; i < p->n_tags; i++) {
        artifacts_add(&a, p->tags[i], str_of(p->digest));
    }
    if (p->n_tags == 0) {
        artifacts_add(&a, (struct str){0}, str_of(p->digest));
    }
    result = db_tell(db, op->r, op->repository_id, REGISTRY_PUSHED, p->repository.by, &a, e);
    arena_done(&a.arena);
    return result;
}

static int put_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct put_op *op = ctx;
    const struct manifest_put *p = op->put;
    int64_t now = clock_wall_ms(), used;

    op->total_bytes = (int64_t)p->body.len;
    if (db_repository_make(db, &p->repository, &op->repository_id, e) < 0 ||
        db_quota_begin(db, op->r, p->repository.project_id, &used, e) < 0 ||
        check_references(db, op, e) < 0 || insert_manifest(db, op, e) < 0 ||
        insert_references(db, op, e) < 0 ||
        state_run(db, e, "UPDATE repositories SET updated_ms = ? WHERE id = ?", "ii", now,
                  op->repository_id) < 0) {
        return -1;
    }
    for (size_t i = 0; i < p->n_tags; i++) {
        if (set_tag(db, op, p->tags[i], now, e) < 0) {
            return -1;
        }
    }
    return db_quota_end(db, op->r, &p->repository, used, op->code, e) < 0 ? -1
                                                                          : tell_pushed(db, op, e);
}

int store_manifest_put(struct registry *r, const struct manifest_put *p, const char **code,
                       struct err *e)
{
    struct put_op op = {.r = r, .put = p, .code = code};

    return state_write(r->state, put_fn, &op, e);
}

/* --- delete --- */

struct delete_op {
    struct registry *r;
    const struct reference *ref;
    struct str by;
    const char **code;
};

#define ARTIFACTS_OF_TAG                                                                           \
    "SELECT t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id"                 \
    " WHERE t.repository_id = ?1 AND t.name = ?2"
#define ARTIFACTS_OF_MANIFEST                                                                      \
    "SELECT t.name, m.digest FROM manifests m LEFT JOIN tags t ON t.manifest_id = m.id"            \
    " WHERE m.repository_id = ?1 AND m.digest = ?2"

/* What is not there goes nowhere; the deletion says so. */
static int trash_reference(struct state_db *db, const struct delete_op *op, int64_t repository_id,
                           struct err *e)
{
    const struct reference *ref = op->ref;
    struct going g = {.repository_id = repository_id, .tag = ref->tag, .by = op->by};
    int r = state_one_i64(db, &g.first_id, e, "",
                          ref->tag.p ? "SELECT manifest_id FROM tags WHERE repository_id = ?"
                                       " AND name = ?"
                                     : "SELECT id FROM manifests WHERE repository_id = ?"
                                       " AND digest = ?",
                          "is", repository_id, ref->tag.p ? ref->tag : str_of(ref->digest));

    g.last_id = g.first_id;
    return r == 0 ? db_trash(db, op->r, &g, e) : e->kind == ERR_NOT_FOUND ? 0 : -1;
}

static int delete_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct delete_op *op = ctx;
    const struct reference *ref = op->ref;
    int64_t id;
    int r;

    if (db_repository(db, ref->repository, &id, op->code, e) < 0 ||
        db_tags_may_change(
            db, &(struct tags_named){.repository_id = id, .tag = ref->tag, .digest = ref->digest},
            op->code, e) < 0 ||
        db_tell_deleted(db, op->r, id, op->by,
                        ref->tag.p ? ARTIFACTS_OF_TAG : ARTIFACTS_OF_MANIFEST,
                        ref->tag.p ? ref->tag : str_of(ref->digest), e) < 0) {
        return -1;
    }
    if (trash_reference(db, op, id, e) < 0) {
        return -1;
    }
    if (ref->tag.p != NULL) {
        r = state_run(db, e, "DELETE FROM tags WHERE repository_id = ? AND name = ?", "is", id,
                      ref->tag);
    } else {
        r = state_run(db, e, "DELETE FROM manifests WHERE repository_id = ? AND digest = ?", "iz",
                      id, ref->digest);
    }
    if (r < 0) {
        return -1;
    }
    if (state_changes(db) == 0) {
        return manifest_unknown(ref, op->code, e);
    }
    return state_run(db, e, "UPDATE repositories SET updated_ms = ? WHERE id = ?", "ii",
                     clock_wall_ms(), id);
}

int store_manifest_delete(struct registry *r, const struct reference *ref, struct str by,
                          const char **code, struct err *e)
{
    struct delete_op op = {.r = r, .ref = ref, .by = by, .code = code};

    return state_write(r->state, delete_fn, &op, e);
}

/* Is a manifest still held by a tag or an index? 0 also when it is gone. */
static int is_held(struct state_db *db, int64_t manifest_id, int64_t *held, struct err *e)
{
    return state_one_i64(db, held, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM tags WHERE manifest_id = ?1) OR EXISTS"
                         " (SELECT 1 FROM manifests m JOIN manifest_children c"
                         "  ON c.repository_id = m.repository_id AND c.digest = m.digest"
                         "  WHERE m.id = ?1)",
                         "i", manifest_id);
}

struct ids {
    VEC(int64_t) v;
};

/* What a manifest may be the last to keep: the children of an index, and manifests about it. */
static int read_dependants(struct state_db *db, int64_t manifest_id, struct ids *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT m.id FROM manifest_children c JOIN manifests m"
                   " ON m.repository_id = c.repository_id AND m.digest = c.digest"
                   " WHERE c.manifest_id = ?1 UNION ALL"
                   " SELECT m.id FROM manifests d JOIN manifests m"
                   " ON m.repository_id = d.repository_id AND m.subject = d.digest"
                   " WHERE d.id = ?1",
                   "i", manifest_id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        *vec_push(&out->v) = query_i64(&q, 0);
    }
    return r;
}

int db_prune(struct state_db *db, int64_t manifest_id, struct err *e)
{
    struct ids queue = {0};
    int r = 0;

    *vec_push(&queue.v) = manifest_id;
    while (r == 0 && queue.v.len > 0) {
        int64_t id = queue.v.p[--queue.v.len], held = 0;

        r = is_held(db, id, &held, e);
        if (r == 0 && !held) {
            r = read_dependants(db, id, &queue, e) < 0 ||
                        state_run(db, e, "DELETE FROM manifests WHERE id = ?", "i", id) < 0
                    ? -1
                    : 0;
        }
    }
    vec_done(&queue.v);
    return r;
}

static int find_tag(struct state_db *db, const struct tag_drop *op, int64_t repository_id,
                    int64_t *manifest_id, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT m.id, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id"
                   " WHERE t.repository_id = ? AND t.name = ?",
                   "is", repository_id, op->tag) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "repository %.*s has no tag %.*s", STR_ARG(op->repository),
                       STR_ARG(op->tag));
    }
    *manifest_id = query_i64(&q, 0);
    return str_copy(query_str(&q, 1), op->digest, CONTENT_DIGEST_MAX);
}

int db_tag_drop(struct state_db *db, const struct tag_drop *op, struct err *e)
{
    int64_t id, manifest_id = 0;

    if (db_repository(db, op->repository, &id, op->code, e) < 0 ||
        find_tag(db, op, id, &manifest_id, e) < 0 ||
        db_tags_may_change(db, &(struct tags_named){.repository_id = id, .tag = op->tag}, op->code,
                           e) < 0 ||
        db_tell_deleted(db, op->r, id, op->by, ARTIFACTS_OF_TAG, op->tag, e) < 0 ||
        db_trash(db, op->r,
                 &(struct going){.repository_id = id,
                                 .first_id = manifest_id,
                                 .last_id = manifest_id,
                                 .tag = op->tag,
                                 .by = op->by},
                 e) < 0 ||
        state_run(db, e, "DELETE FROM tags WHERE repository_id = ? AND name = ?", "is", id,
                  op->tag) < 0 ||
        state_run(db, e, "UPDATE repositories SET updated_ms = ? WHERE id = ?", "ii",
                  clock_wall_ms(), id) < 0) {
        return -1;
    }
    return db_prune(db, manifest_id, e);
}

static int tag_drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    return db_tag_drop(db, ctx, e);
}

int store_tag_drop(struct registry *r, struct str repository, struct str tag, struct str by,
                   char digest[CONTENT_DIGEST_MAX], struct err *e)
{
    const char *code;
    struct tag_drop op = {
        .r = r, .repository = repository, .tag = tag, .by = by, .digest = digest, .code = &code};

    return state_write(r->state, tag_drop_fn, &op, e);
}

struct describe_op {
    int64_t project_id;
    struct str repository, text;
};

static int describe_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct describe_op *op = ctx;

    if (state_run(db, e,
                  "UPDATE repositories SET description = ? WHERE name = ? AND project_id = ?"
                  " AND EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = repositories.id)",
                  "ssi", op->text, op->repository, op->project_id) < 0) {
        return -1;
    }
    return state_changes(db) > 0
               ? 0
               : err_set(e, ERR_NOT_FOUND, "there is no repository %.*s", STR_ARG(op->repository));
}

int store_repository_describe(struct registry *r, int64_t project_id, struct str repository,
                              struct str text, struct err *e)
{
    struct describe_op op = {project_id, repository, text};
    bool ok = text.len <= LIMIT_REPOSITORY_TEXT_BYTES;

    for (size_t i = 0; i < text.len && ok; i++) {
        unsigned char c = (unsigned char)text.p[i];

        ok = (c >= ' ' && c != 0x7f) || c == '\n' || c == '\r' || c == '\t';
    }
    return ok ? state_write(r->state, describe_fn, &op, e)
              : err_set(e, ERR_INVALID, "description: text of at most %d bytes",
                        LIMIT_REPOSITORY_TEXT_BYTES);
}
