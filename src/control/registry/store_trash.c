/* The trash: what was deleted, as long as it can be had again.
 *
 * Deleting copies the manifests that go, with what they refer to, into tables of their own, in the
 * same transaction; the rows of trash_blobs count as holders of the blobs, so the collector leaves
 * their files. Nothing of it is charged to the project until it is restored, and its names are free
 * at once. */
#include "store_priv.h"

#include "access/access.h"
#include "base/log.h"

/* One; or those of a repository between two. */
#define NAMED                                                                                      \
    "SELECT id FROM manifests WHERE ?4 = 0 AND id = ?2 AND repository_id = ?1"                     \
    " UNION SELECT id FROM " SQL_MANIFESTS_BY_ID "BETWEEN ?2 AND ?3 AND ?4 <> 0"

/* One comes with what only it holds together: images of an index, and what refers to it. */
#define GOING                                                                                      \
    "WITH RECURSIVE going(id) AS (" NAMED                                                          \
    " UNION SELECT m.id FROM going g JOIN manifest_children c ON c.manifest_id = g.id"             \
    "   JOIN manifests m ON m.repository_id = c.repository_id AND m.digest = c.digest"             \
    "   WHERE ?4 = 0"                                                                              \
    " UNION SELECT m.id FROM going g JOIN manifests d ON d.id = g.id JOIN manifests m"             \
    "   ON m.repository_id = d.repository_id AND m.subject = d.digest WHERE ?4 = 0) "

static int copy_rows(struct state_db *db, int64_t trash_id, const struct going *g, struct err *e)
{
    static const char *const copies[] = {
        GOING "INSERT INTO trash_manifests SELECT ?5, m.digest, m.media_type, m.artifact_type,"
              " m.subject, m.platform, m.total_bytes, m.pushed_ms, m.annotations, m.body"
              " FROM going JOIN manifests m USING (id)",
        GOING "INSERT INTO trash_references SELECT DISTINCT ?5, m.digest, b.digest, 0"
              " FROM going JOIN manifests m USING (id) JOIN manifest_blobs b ON b.manifest_id = id",
        GOING "INSERT INTO trash_references SELECT DISTINCT ?5, m.digest, c.digest, 1"
              " FROM going JOIN manifests m USING (id) JOIN manifest_children c"
              " ON c.manifest_id = id",
        GOING "INSERT INTO trash_labels SELECT ?5, m.digest, x.label_id FROM going"
              " JOIN manifests m USING (id) JOIN manifest_labels x ON x.manifest_id = m.id",
        GOING "INSERT INTO trash_blobs SELECT DISTINCT ?5, b.digest FROM going"
              " JOIN manifest_blobs b ON b.manifest_id = id",
    };

    for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
        if (state_run(db, e, copies[i], "iiiii", g->repository_id, g->first_id, g->last_id,
                      (int64_t)g->is_whole, trash_id) < 0) {
            return -1;
        }
    }
    if (state_run(db, e,
                  "INSERT INTO trash_tags SELECT ?5, t.name, m.digest, t.pushed_ms"
                  " FROM (" NAMED ") g JOIN manifests m ON m.id = g.id"
                  " JOIN tags t ON t.manifest_id = m.id WHERE ?6 IS NULL OR t.name = ?6",
                  "iiiiis", g->repository_id, g->first_id, g->last_id, (int64_t)g->is_whole,
                  trash_id, g->tag) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "UPDATE trash SET"
                     " manifests = (SELECT count(*) FROM trash_manifests WHERE trash_id = ?1),"
                     " body_bytes = (SELECT coalesce(sum(length(body)), 0) FROM trash_manifests"
                     "  WHERE trash_id = ?1),"
                     " blob_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM trash_blobs"
                     "  JOIN blobs USING (digest) WHERE trash_id = ?1) WHERE id = ?1",
                     "i", trash_id);
}

/* 1: no more than may be copied in one transaction. */
static int fits(struct state_db *db, const struct going *g, struct err *e)
{
    int64_t too_much;

    if (state_one_i64(db, &too_much, e, "rows",
                      GOING "SELECT count(*) > ?5 OR coalesce(sum(length(m.body)), 0) > ?6"
                            " FROM going JOIN manifests m USING (id)",
                      "iiiiii", g->repository_id, g->first_id, g->last_id, (int64_t)g->is_whole,
                      (int64_t)LIMIT_TRASH_WHOLE_MANIFESTS, (int64_t)LIMIT_TRASH_WHOLE_BYTES) < 0) {
        return -1;
    }
    if (too_much) {
        log_warn("registry.not_kept",
                 "repository_id=%lld: what refers to one image is more than "
                 "%d manifests; the trash does not keep it",
                 (long long)g->repository_id, LIMIT_TRASH_WHOLE_MANIFESTS);
    }
    return !too_much;
}

static int is_cache(struct state_db *db, int64_t repository_id, struct err *e)
{
    int64_t found;

    return state_one_i64(db, &found, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM repositories r JOIN projects p"
                         " ON p.id = r.project_id WHERE r.id = ? AND p.proxy_registry IS NOT NULL)",
                         "i", repository_id) < 0
               ? -1
               : found != 0;
}

int db_trash(struct state_db *db, const struct registry *r, const struct going *g, struct err *e)
{
    int cache = r->trash_ms > 0 ? is_cache(db, g->repository_id, e) : 1, fit;

    if (cache != 0) { /* what a cache had it fetches again */
        return cache < 0 ? -1 : 0;
    }
    fit = fits(db, g, e);
    if (fit <= 0) {
        return fit;
    }
    return state_run(db, e,
                     "INSERT INTO trash(project_id, repository, tag, digest, deleted_ms,"
                     " deleted_by) SELECT project_id, name, ?2, iif(?4, NULL, (SELECT digest FROM"
                     " manifests WHERE id = ?3)), ?5, ?6 FROM repositories WHERE id = ?1",
                     "isiiis", g->repository_id, g->tag, g->first_id, (int64_t)g->is_whole,
                     clock_wall_ms(), g->by) < 0
               ? -1
           : state_changes(db) == 0 ? 0
                                    : copy_rows(db, state_last_id(db), g, e);
}

/* --- restore --- */

struct restore_op {
    struct registry *r;
    int64_t id, project_id;  /* 0: of any */
    int64_t from_project_id; /* it was deleted from */
    int64_t parts;           /* 1: images of its indexes come along */
    struct arena *arena;
    struct restored *out;
    struct str by, tag;
    const char *code;
};

int trash_no_such(int64_t id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is nothing numbered %lld in the trash", (long long)id);
}

static int find_trash(struct state_db *db, struct restore_op *op, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT repository, tag, project_id FROM trash WHERE id = ?1"
                   " AND (?2 = 0 OR project_id = ?2)",
                   "ii", op->id, op->project_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return trash_no_such(op->id, e);
    }
    op->out->repository = arena_str(op->arena, query_str(&q, 0));
    op->tag = query_is_null(&q, 1) ? (struct str){0} : arena_str(op->arena, query_str(&q, 1));
    op->from_project_id = query_i64(&q, 2);
    return 0;
}

/* What comes back with an entry (?1): its manifests; and of an index those that it lists and that
 * are in other entries of its repository (?2 > 0), as a large repository goes in several and each
 * image may have gone before it. */
#define COMING                                                                                     \
    "WITH RECURSIVE whole AS (SELECT project_id, repository FROM trash WHERE id = ?1),"            \
    " coming(trash_id, digest) AS (SELECT trash_id, digest FROM trash_manifests"                   \
    "  WHERE trash_id = ?1"                                                                        \
    " UNION SELECT x.trash_id, x.digest FROM coming g JOIN trash_references c"                     \
    "  ON c.trash_id = g.trash_id AND c.digest = g.digest AND c.is_child = 1"                      \
    "  JOIN trash_manifests x ON x.digest = c.refers_to AND x.trash_id ="                          \
    "   (SELECT y.trash_id FROM whole CROSS JOIN trash_manifests y JOIN trash t"                   \
    "    ON t.id = y.trash_id WHERE y.digest = c.refers_to AND t.repository = whole.repository"    \
    "    AND t.project_id = whole.project_id ORDER BY y.trash_id <> ?1, y.trash_id DESC LIMIT 1)"  \
    "  WHERE ?2 > 0) "

/* 1: no more comes along than may be copied in one transaction. */
static int parts_fit(struct state_db *db, const struct restore_op *op, struct err *e)
{
    int64_t too_much;

    return state_one_i64(db, &too_much, e, "rows",
                         COMING "SELECT count(*) > ?3 OR sum(n) > ?4 FROM (SELECT length(x.body)"
                                " AS n FROM coming JOIN trash_manifests x USING (trash_id, digest)"
                                " WHERE trash_id <> ?1 LIMIT ?3 + 1)",
                         "iiii", op->id, 1LL, (int64_t)LIMIT_TRASH_WHOLE_MANIFESTS,
                         (int64_t)LIMIT_TRASH_WHOLE_BYTES) < 0
               ? -1
               : !too_much;
}

static int read_digests(struct state_db *db, const struct restore_op *op, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    size_t n = 0;
    int r;

    op->out->digests = arena_new_array(op->arena, const char *, RESTORED_MAX + 1);
    if (query_open(&q, db, e, COMING "SELECT digest FROM coming LIMIT ?3", "iii", op->id, op->parts,
                   (int64_t)RESTORED_MAX) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        op->out->digests[n++] = arena_strdup(op->arena, query_str(&q, 0));
    }
    return r;
}

static int tell_restoring(struct state_db *db, const struct restore_op *op, struct err *e)
{
    const struct registry_hooks *h = &op->r->hooks;

    return h->restoring == NULL
               ? 0
               : h->restoring(h->ctx, db,
                              &(struct registry_restore){.trash_id = op->id,
                                                         .from_project_id = op->from_project_id,
                                                         .project_id = op->out->project_id},
                              e);
}

static int restore_rows(struct state_db *db, const struct restore_op *op, const struct repo_key *to,
                        int64_t repository_id, struct err *e)
{
    static const char *const copies[] = {
        COMING "INSERT INTO repository_blobs(repository_id, digest, touched_ms, project_id)"
               " SELECT DISTINCT ?3, t.refers_to, ?5, ?4 FROM coming JOIN trash_references t"
               " USING (trash_id, digest) WHERE t.is_child = 0 ON CONFLICT DO UPDATE"
               " SET touched_ms = excluded.touched_ms, charged = 1",
        COMING "INSERT INTO manifests(repository_id, digest, media_type, artifact_type, subject,"
               " platform, total_bytes, pushed_ms, annotations, body, project_id) SELECT ?3,"
               " digest, media_type, artifact_type, subject, platform, total_bytes, pushed_ms,"
               " annotations, body, ?4 FROM coming JOIN trash_manifests USING (trash_id, digest)"
               " WHERE ?5 > 0 ON CONFLICT DO NOTHING",
        COMING "INSERT OR IGNORE INTO manifest_blobs(manifest_id, repository_id, digest)"
               " SELECT m.id, ?3, t.refers_to FROM coming JOIN trash_references t"
               " USING (trash_id, digest) JOIN manifests m ON m.repository_id = ?3"
               " AND m.digest = t.digest WHERE t.is_child = 0 AND ?4 > 0 AND ?5 > 0",
        COMING "INSERT OR IGNORE INTO manifest_children(manifest_id, repository_id, digest)"
               " SELECT m.id, ?3, t.refers_to FROM coming JOIN trash_references t"
               " USING (trash_id, digest) JOIN manifests m ON m.repository_id = ?3"
               " AND m.digest = t.digest WHERE t.is_child = 1 AND ?4 > 0 AND ?5 > 0",
        /* Those that there still are; an image that was pushed again keeps those it has. */
        COMING "INSERT INTO manifest_labels(manifest_id, label_id) SELECT m.id, l.id FROM coming"
               " JOIN trash_labels t USING (trash_id, digest)"
               " JOIN manifests m ON m.repository_id = ?3 AND m.digest = t.digest"
               " JOIN labels l ON l.id = t.label_id WHERE l.gone = 0"
               " AND l.project_id IN (0, ?4) AND ?5 > 0"
               " AND NOT EXISTS (SELECT 1 FROM manifest_labels x WHERE x.manifest_id = m.id)",
    };
    int64_t now = clock_wall_ms();

    for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
        if (state_run(db, e, copies[i], "iiiii", op->id, op->parts, repository_id, to->project_id,
                      now) < 0) {
            return -1;
        }
    }
    return state_run(db, e,
                     "INSERT INTO tags(repository_id, name, manifest_id, pushed_ms)"
                     " SELECT ?2, t.name, m.id, t.pushed_ms FROM trash_tags t JOIN manifests m"
                     " ON m.repository_id = ?2 AND m.digest = t.digest WHERE t.trash_id = ?1"
                     " ON CONFLICT DO NOTHING",
                     "ii", op->id, repository_id);
}

/* Images that an index of the entry lists and that are neither here nor in the trash. */
static int count_missing(struct state_db *db, const struct restore_op *op, int64_t repository_id,
                         struct err *e)
{
    return state_one_i64(db, &op->out->missing, e, "rows",
                         "SELECT count(DISTINCT c.refers_to) FROM trash_references c"
                         " WHERE c.trash_id = ?1 AND c.is_child = 1 AND NOT EXISTS (SELECT 1"
                         "  FROM manifests WHERE repository_id = ?2 AND digest = c.refers_to)"
                         " AND NOT EXISTS (SELECT 1 FROM repository_blobs"
                         "  WHERE repository_id = ?2 AND digest = c.refers_to)",
                         "ii", op->id, repository_id);
}

static int check_tag_is_free(struct state_db *db, const struct restore_op *op,
                             int64_t repository_id, struct err *e)
{
    int64_t taken;

    if (op->tag.p == NULL) {
        return 0;
    }
    if (state_one_i64(db, &taken, e, "rows",
                      "SELECT EXISTS (SELECT 1 FROM tags WHERE repository_id = ? AND name = ?)",
                      "is", repository_id, op->tag) < 0) {
        return -1;
    }
    return taken ? err_set(e, ERR_CONFLICT,
                           "there is a tag %.*s of %.*s again: delete it, or give it another name, "
                           "first",
                           STR_ARG(op->tag), STR_ARG(op->out->repository))
                 : 0;
}

static int tell_restored(struct state_db *db, const struct restore_op *op, int64_t repository_id,
                         struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    struct artifacts a = {.n = 0};
    int result;

    if (query_open(&q, db, e, "SELECT name, digest FROM trash_tags WHERE trash_id = ?", "i",
                   op->id) < 0) {
        return -1;
    }
    result = artifacts_read(&a, &q, e) < 0 ? -1
             : a.n == 0                    ? 0
                        : db_tell(db, op->r, repository_id, REGISTRY_PUSHED, op->by, &a, e);
    arena_done(&a.arena);
    return result;
}

static int restore_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct restore_op *op = ctx;
    struct repo_key to = {.by = op->by};
    int64_t id, used, wanted;
    int fit;

    if (find_trash(db, op, e) < 0) {
        return -1;
    }
    to.name = op->out->repository;
    if (access_project_find(db, name_project(to.name), &to.project_id, e) < 0) {
        return -1;
    }
    op->out->project_id = to.project_id;
    fit = parts_fit(db, op, e);
    if (fit < 0) {
        return -1;
    }
    op->parts = fit;
    if (read_digests(db, op, e) < 0 || tell_restoring(db, op, e) < 0 ||
        db_repository_make(db, &to, &id, e) < 0 || check_tag_is_free(db, op, id, e) < 0 ||
        db_quota_begin(db, op->r, to.project_id, &used, e) < 0 ||
        restore_rows(db, op, &to, id, e) < 0) {
        return -1;
    }
    op->out->tags = state_changes(db);
    return state_one_i64(db, &wanted, e, "rows",
                         "SELECT count(*) FROM trash_tags WHERE trash_id = ?", "i", op->id) < 0 ||
                   (op->out->kept = wanted - op->out->tags, tell_restored(db, op, id, e)) < 0 ||
                   count_missing(db, op, id, e) < 0 ||
                   db_quota_end(db, op->r, &to, used, &op->code, e) < 0 ||
                   state_run(db, e, "UPDATE repositories SET updated_ms = ? WHERE id = ?", "ii",
                             clock_wall_ms(), id) < 0
               ? -1
               : state_run(db, e, "DELETE FROM trash WHERE id = ?", "i", op->id);
}

int store_trash_restore(struct registry *r, struct arena *a, int64_t project_id, int64_t id,
                        struct str by, struct restored *out, struct err *e)
{
    struct restore_op op = {
        .r = r, .id = id, .project_id = project_id, .arena = a, .out = out, .by = by};

    return state_write(r->state, restore_fn, &op, e);
}

/* --- list --- */

struct trash_list {
    const struct registry *r;
    int64_t project_id, after;
    struct page *page;
    struct jw *w;
};

static void write_row(const struct trash_list *l, const struct query *q)
{
    struct str repository = query_str(q, 1);
    struct jw *w = l->w;

    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "project", str_cut(&repository, '/'));
    jw_kv_str(w, "repository", repository);
    jw_kv_str_or_null(w, "tag", query_str_or_null(q, 2));
    jw_kv_str_or_null(w, "digest", query_str_or_null(q, 3));
    jw_kv_i64(w, "tags", query_i64(q, 6));
    jw_kv_i64(w, "size_bytes", query_i64(q, 7));
    jw_kv_time(w, "deleted_at", query_i64(q, 4));
    jw_kv_str(w, "deleted_by", query_str(q, 5));
    jw_kv_time(w, "ends_at", query_i64(q, 4) + l->r->trash_ms);
    jw_end(w);
}

static int list_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct trash_list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t n = 0, last = 0;
    int r;

    if (query_open(&q, db, e,
                   "SELECT t.id, t.repository, t.tag, t.digest, t.deleted_ms, t.deleted_by,"
                   " (SELECT count(*) FROM trash_tags WHERE trash_id = t.id),"
                   " (SELECT total(size_bytes) FROM trash_blobs JOIN blobs USING (digest)"
                   "  WHERE trash_id = t.id) FROM trash t WHERE (?1 = 0 OR t.project_id = ?1)"
                   " AND (?2 = 0 OR t.id < ?2) AND has_words(?3, t.repository, t.tag, t.digest,"
                   " t.deleted_by) ORDER BY t.id DESC LIMIT ?4",
                   "iisi", l->project_id, l->after, l->page->q, l->page->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (n++ == l->page->limit) {
            l->page->last = str_of(arena_printf(l->page->arena, "%lld", (long long)last));
            return 0;
        }
        last = query_i64(&q, 0);
        write_row(l, &q);
    }
    return r;
}

int store_trash_rows(struct registry *r, int64_t project_id, int64_t after, struct page *p,
                     struct jw *w, struct err *e)
{
    struct trash_list l = {r, project_id, after, p, w};

    return state_read(r->state, list_fn, &l, e);
}
