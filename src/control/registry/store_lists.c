#include "store_priv.h"

#include "access/access.h"
#include "labels.h"

struct list_op {
    struct registry *r;
    struct str repository, subject, artifact_type;
    struct page *page;
    struct jw *w;
    const char **code;
};

/* The next row, up to the page's limit; one more than that only tells that there is more. `key` is
 * the column the list is sorted by. */
static int next_row(struct query *q, struct list_op *op, int key, int64_t *count, struct str *last,
                    struct err *e)
{
    int r = query_step(q, e);

    if (r <= 0) {
        return r;
    }
    if (*count == op->page->limit) {
        op->page->last = *last;
        return 0;
    }
    (*count)++;
    if (*count == op->page->limit) { /* only the last key of a page is needed */
        *last = arena_str(op->page->arena, query_str(q, key));
    }
    return 1;
}

static int tag_names_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct list_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str last = {0};
    int64_t id, count = 0;
    int r;

    if (db_repository(db, op->repository, &id, op->code, e) < 0) {
        return -1;
    }
    if (op->page->limit == 0) {
        return 0;
    }
    if (query_open(&q, db, e,
                   "SELECT name FROM tags WHERE repository_id = ? AND name > ?"
                   " ORDER BY name LIMIT ?",
                   "isi", id, op->page->after.p ? op->page->after : STR_EMPTY,
                   op->page->limit + 1) < 0) {
        return -1;
    }
    while ((r = next_row(&q, op, 0, &count, &last, e)) > 0) {
        jw_str(op->w, query_str(&q, 0));
    }
    return r;
}

int store_tag_names(struct registry *r, struct str repository, struct page *p, struct jw *w,
                    const char **code, struct err *e)
{
    struct list_op op = {.repository = repository, .page = p, .w = w, .code = code};

    return state_read(r->state, tag_names_fn, &op, e);
}

static void write_referrer(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_str(w, "mediaType", query_str(q, 1));
    jw_kv_str(w, "digest", query_str(q, 0));
    jw_kv_i64(w, "size", query_i64(q, 2));
    if (query_str(q, 3).len > 0) {
        jw_kv_str(w, "artifactType", query_str(q, 3));
    }
    if (!query_is_null(q, 4)) {
        jw_key(w, "annotations");
        jw_raw(w, query_str(q, 4));
    }
    jw_end(w);
}

/* Annotations may be long, so a page ends by size too. */
static int referrers_fn(struct state_db *db, void *ctx, struct err *e)
{
    enum { PAGE_BYTES = 1 << 20 };
    struct list_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str last = {0};
    int64_t id, count = 0;
    const char *code;
    int r;

    if (db_repository(db, op->repository, &id, &code, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1; /* the subject need not be there, says the spec */
    }
    if (query_open(&q, db, e,
                   "SELECT m.digest, m.media_type, length(m.body), m.artifact_type, m.annotations"
                   " FROM manifests m WHERE m.repository_id = ?1 AND m.subject = ?2"
                   " AND m.digest > ?3 AND (?4 = '' OR m.artifact_type = ?4)"
                   " ORDER BY m.digest LIMIT ?5",
                   "isssi", id, op->subject, op->page->after.p ? op->page->after : STR_EMPTY,
                   op->artifact_type, op->page->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (count == op->page->limit || (count > 0 && op->w->out->len > PAGE_BYTES)) {
            op->page->last = last;
            return 0;
        }
        write_referrer(op->w, &q);
        last = arena_str(op->page->arena, query_str(&q, 0));
        count++;
    }
    return r;
}

int store_referrers(struct registry *r, struct str repository, const char *subject,
                    struct str artifact_type, struct page *p, struct jw *w, struct err *e)
{
    struct list_op op = {.repository = repository,
                         .subject = str_of(subject),
                         .artifact_type = artifact_type.p ? artifact_type : STR_EMPTY,
                         .page = p,
                         .w = w};

    return state_read(r->state, referrers_fn, &op, e);
}

static void write_pulled(const struct list_op *op, const struct pulled_thing *of,
                         struct pulled written)
{
    struct pulled now = store_pulled(op->r, of, written);

    jw_kv_time(op->w, "pulled_at", now.last_ms);
    jw_kv_i64(op->w, "pulls", now.times);
}

/* Labels may be many and long, so a page ends by size too. */
static int tag_rows_fn(struct state_db *db, void *ctx, struct err *e)
{
    enum { PAGE_BYTES = 2 << 20 };
    struct list_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str last = {0}, written = {0};
    const char *code;
    int64_t id, count = 0;
    int r;

    if (db_repository(db, op->repository, &id, &code, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT t.name, m.digest, m.media_type, m.total_bytes, m.platform, t.pushed_ms,"
                   " p.pulled_ms, p.pulls, " SQL_LABELS
                   ", r.created_ms FROM tags t JOIN repositories r ON r.id = t.repository_id"
                   " JOIN manifests m ON m.id = t.manifest_id"
                   " LEFT JOIN manifest_pulls p ON p.manifest_id = m.id"
                   " WHERE t.repository_id = ?1 AND t.name > ?2"
                   " AND has_words(?3, t.name, m.digest, " SQL_LABEL_NAMES ")"
                   " AND " SQL_HAS_LABELS("?4") " ORDER BY t.name LIMIT ?5",
                   "isssi", id, op->page->after.p ? op->page->after : STR_EMPTY, op->page->q,
                   op->page->labels, op->page->limit + 1) < 0) {
        return -1;
    }
    while ((r = next_row(&q, op, 0, &count, &last, e)) > 0) {
        if (op->w->out->len > PAGE_BYTES) {
            op->page->last = written;
            return 0;
        }
        written = arena_str(op->page->arena, query_str(&q, 0));
        jw_object(op->w);
        jw_kv_str(op->w, "tag", query_str(&q, 0));
        jw_kv_str(op->w, "digest", query_str(&q, 1));
        jw_kv_str(op->w, "media_type", query_str(&q, 2));
        jw_kv_i64(op->w, "size_bytes", query_i64(&q, 3));
        jw_kv_str(op->w, "platform", query_str(&q, 4));
        jw_kv_time(op->w, "pushed_at", query_i64(&q, 5));
        write_pulled(op, &(struct pulled_thing){id, query_i64(&q, 9), query_str(&q, 1)},
                     (struct pulled){.times = query_i64(&q, 7), .last_ms = query_i64(&q, 6)});
        jw_key(op->w, "labels");
        jw_raw(op->w, query_str(&q, 8));
        jw_end(op->w);
    }
    return r;
}

int store_tag_rows(struct registry *r, struct str repository, struct page *p, struct jw *w,
                   struct err *e)
{
    struct list_op op = {.r = r, .repository = repository, .page = p, .w = w};

    return state_read(r->state, tag_rows_fn, &op, e);
}

/* Repositories of a project; `after` and `last` are names without the project. */
static int repository_rows_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct list_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str last = {0};
    int64_t project_id, count = 0;
    int r;

    if (access_project_find(db, op->repository, &project_id, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT substr(r.name, length(?1) + 2),"
                   " (SELECT count(*) FROM tags t WHERE t.repository_id = r.id),"
                   " (SELECT total(b.size_bytes) FROM repository_blobs rb JOIN blobs b"
                   "   USING (digest) WHERE rb.repository_id = r.id AND rb.manifests > 0),"
                   " r.updated_ms, r.pulls, (SELECT max(pulled_ms) FROM manifest_pulls m"
                   "  WHERE m.repository_id = r.id), r.id, r.created_ms FROM repositories r"
                   " WHERE r.name > ?1 || '/' || ?2 AND r.name < ?1 || '0' AND r.project_id = ?4"
                   " AND has_words(?5, substr(r.name, length(?1) + 2))"
                   " AND EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id"
                   "  AND " SQL_HAS_LABELS("?6") ")"
                                                 " ORDER BY r.name LIMIT ?3",
                   "ssiiss", op->repository, op->page->after.p ? op->page->after : STR_EMPTY,
                   op->page->limit + 1, project_id, op->page->q, op->page->labels) < 0) {
        return -1;
    }
    while ((r = next_row(&q, op, 0, &count, &last, e)) > 0) {
        jw_object(op->w);
        jw_kv_str(op->w, "name", query_str(&q, 0));
        jw_kv_i64(op->w, "tags", query_i64(&q, 1));
        jw_kv_i64(op->w, "size_bytes", query_i64(&q, 2));
        jw_kv_time(op->w, "updated_at", query_i64(&q, 3));
        write_pulled(op, &(struct pulled_thing){query_i64(&q, 6), query_i64(&q, 7), STR_EMPTY},
                     (struct pulled){.times = query_i64(&q, 4), .last_ms = query_i64(&q, 5)});
        jw_end(op->w);
    }
    return r;
}

int store_repository_rows(struct registry *r, struct str project, struct page *p, struct jw *w,
                          struct err *e)
{
    struct list_op op = {.r = r, .repository = project, .page = p, .w = w};

    return state_read(r->state, repository_rows_fn, &op, e);
}

struct catalog_op {
    const struct project_refs *projects;
    struct page *page;
    struct jw *w;
    struct str written; /* the last one */
};

/* One project; 0 when the page is full. */
static int catalog_of(struct state_db *db, struct catalog_op *op, const struct project_ref *project,
                      struct err *e)
{
    struct page *p = op->page;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT name FROM repositories r WHERE name > max(?1 || '/', ?2)"
                   " AND name < ?1 || '0' AND project_id = ?3 AND EXISTS"
                   " (SELECT 1 FROM manifests m WHERE m.repository_id = r.id)"
                   " ORDER BY name LIMIT ?4",
                   "ssii", project->name, p->after.p ? p->after : STR_EMPTY, project->id,
                   p->limit - p->n + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (p->n == p->limit) {
            p->last = op->written;
            return 0;
        }
        p->written = op->written = arena_str(p->arena, query_str(&q, 0));
        jw_str(op->w, op->written);
        p->n++;
    }
    return r < 0 ? -1 : 1;
}

static int catalog_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct catalog_op *op = ctx;
    int r = 1;

    for (size_t i = 0; r > 0 && i < op->projects->n; i++) {
        r = catalog_of(db, op, &op->projects->refs[i], e);
    }
    return r < 0 ? -1 : 0;
}

int store_catalog_names(struct registry *r, const struct project_refs *projects, struct page *p,
                        struct jw *w, struct err *e)
{
    struct catalog_op op = {projects, p, w, p->n > 0 ? p->written : p->after};

    return state_read(r->state, catalog_fn, &op, e);
}

struct search_op {
    const char *projects;
    struct str words;
    int64_t limit;
    struct jw *w;
};

#define FOUND(where)                                                                               \
    "SELECT name FROM repositories r WHERE " where "has_words(?1, name)"                           \
    " AND EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id)"                         \
    " ORDER BY length(name), name LIMIT ?2"

static int search_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct search_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r = op->projects ? query_open(&q, db, e,
                                      FOUND("project_id IN (SELECT value FROM json_each(?3)) AND "),
                                      "siz", op->words, op->limit, op->projects)
                         : query_open(&q, db, e, FOUND(""), "si", op->words, op->limit);

    if (r < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct str name = query_str(&q, 0);

        jw_object(op->w);
        jw_kv_str(op->w, "project", str_cut(&name, '/'));
        jw_kv_str(op->w, "name", name);
        jw_end(op->w);
    }
    return r;
}

int registry_search(struct registry *r, const char *projects, struct str words, int64_t limit,
                    struct jw *w, struct err *e)
{
    return state_read(r->state, search_fn, &(struct search_op){projects, words, limit, w}, e);
}
