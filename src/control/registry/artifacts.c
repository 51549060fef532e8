#include "artifacts.h"

#include "store_priv.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                    \
    "m.id, m.project_id, m.pushed_ms, m.total_bytes, m.digest, m.media_type, m.artifact_type,"     \
    " CASE WHEN length(m.body) <= 131072 THEN m.body END, m.pushed_by"

struct artifact_op {
    struct registry *r;
    struct arena *arena;
    struct str repository, ref;
    const char *sql; /* of a list: ?1 the repository's id, ?2 the text, ?3 the rows, ?4 */
    int64_t before;
    struct artifact *out;
    struct artifact_list *list;
};

static void fill(struct artifact_op *op, const struct query *q, struct artifact *out)
{
    *out = (struct artifact){.id = query_i64(q, 0),
                             .project_id = query_i64(q, 1),
                             .pushed_ms = query_i64(q, 2),
                             .total_bytes = query_i64(q, 3),
                             .repository = op->repository,
                             .media_type = arena_str(op->arena, query_str(q, 5)),
                             .artifact_type = arena_str(op->arena, query_str(q, 6)),
                             .body = arena_str(op->arena, query_str(q, 7)),
                             .pushed_by = arena_str(op->arena, query_str(q, 8))};
    (void)!str_copy(query_str(q, 4), out->digest, sizeof(out->digest));
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct artifact_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    const char *code;
    int64_t id;
    int r;

    if (db_repository(db, op->repository, &id, &code, e) < 0 ||
        query_open(&q, db, e,
                   str_find_char(op->ref, ':') >= 0
                       ? "SELECT " COLUMNS " FROM manifests m"
                         " WHERE m.repository_id = ? AND m.digest = ?"
                       : "SELECT " COLUMNS " FROM tags t JOIN manifests m ON m.id = t.manifest_id"
                         " WHERE t.repository_id = ? AND t.name = ?",
                   "is", id, op->ref) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "repository %.*s has no image %.*s",
                       STR_ARG(op->repository), STR_ARG(str_first(op->ref, 150)));
    }
    fill(op, &q, op->out);
    return 0;
}

int artifact_find(struct registry *r, struct arena *a, struct str repository, struct str ref,
                  struct artifact *out, struct err *e)
{
    struct artifact_op op = {.r = r, .arena = a, .repository = repository, .ref = ref, .out = out};

    return state_read(r->state, find_fn, &op, e);
}

static int list_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct artifact_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    const char *code;
    int64_t id;
    int r;

    if (db_repository(db, op->repository, &id, &code, e) < 0 ||
        query_open(&q, db, e, op->sql, "isii", id, op->ref, (int64_t)ARTIFACTS_LIST_MAX,
                   op->before) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct artifact *one = &op->list->items[op->list->n++];

        fill(op, &q, one);
        one->tag = arena_str(op->arena, query_str(&q, 9));
    }
    return r;
}

static int list_before(struct registry *r, struct arena *a, const struct artifact *of,
                       const char *sql, int64_t before, struct artifact_list *out, struct err *e)
{
    struct artifact_op op = {.r = r,
                             .arena = a,
                             .repository = of->repository,
                             .ref = str_of(of->digest),
                             .sql = sql,
                             .before = before,
                             .list = out};

    *out = (struct artifact_list){arena_new_array(a, struct artifact, ARTIFACTS_LIST_MAX), 0};
    return state_read(r->state, list_fn, &op, e);
}

static int list(struct registry *r, struct arena *a, const struct artifact *of, const char *sql,
                struct artifact_list *out, struct err *e)
{
    return list_before(r, a, of, sql, INT64_MAX, out, e);
}

int artifacts_about(struct registry *r, struct arena *a, const struct artifact *of,
                    struct artifact_list *out, struct err *e)
{
    return list(r, a, of,
                "SELECT " COLUMNS ", (SELECT name FROM tags WHERE manifest_id = m.id LIMIT 1)"
                " FROM manifests m WHERE m.id IN ("
                "SELECT id FROM manifests WHERE repository_id = ?1 AND subject = ?2"
                " UNION SELECT manifest_id FROM tags WHERE repository_id = ?1 AND name IN ("
                "replace(?2, ':', '-') || '.sig', replace(?2, ':', '-') || '.att',"
                " replace(?2, ':', '-') || '.sbom')) AND m.id < ?4 ORDER BY m.id DESC LIMIT ?3",
                out, e);
}

/* What cosign and sigstore call theirs, and what a manifest without a type of its own is called by
 * its configuration: that of an image, or an empty one. */
int artifacts_signatures(struct registry *r, struct arena *a, const struct artifact *of,
                         int64_t before, struct artifact_list *out, struct err *e)
{
    return list_before(
        r, a, of,
        "SELECT " COLUMNS ", NULL FROM manifests m WHERE m.id IN ("
        "SELECT id FROM manifests WHERE repository_id = ?1 AND subject = ?2"
        " AND artifact_type >= 'application/vnd.dev.' AND artifact_type < 'application/vnd.dev/'"
        " UNION SELECT id FROM manifests WHERE repository_id = ?1 AND subject = ?2"
        " AND artifact_type IN ('application/vnd.oci.image.config.v1+json',"
        " 'application/vnd.oci.empty.v1+json', '')"
        " UNION SELECT manifest_id FROM tags WHERE repository_id = ?1"
        " AND name = replace(?2, ':', '-') || '.sig') AND m.id < ?4 ORDER BY m.id DESC LIMIT ?3",
        before > 0 ? before : INT64_MAX, out, e);
}

int artifacts_above(struct registry *r, struct arena *a, const struct artifact *of,
                    struct artifact_list *out, struct err *e)
{
    return list(r, a, of,
                "SELECT " COLUMNS ", NULL FROM manifest_children c"
                " JOIN manifests m ON m.id = c.manifest_id"
                " WHERE c.repository_id = ?1 AND c.digest = ?2 AND m.id < ?4"
                " ORDER BY m.id DESC LIMIT ?3",
                out, e);
}

int artifacts_below(struct registry *r, struct arena *a, const struct artifact *of,
                    struct artifact_list *out, struct err *e)
{
    return list(r, a, of,
                "SELECT " COLUMNS ", NULL FROM manifests i"
                " JOIN manifest_children c ON c.manifest_id = i.id"
                " JOIN manifests m ON m.repository_id = ?1 AND m.digest = c.digest"
                " WHERE i.repository_id = ?1 AND i.digest = ?2 AND m.id < ?4"
                " ORDER BY m.id LIMIT ?3",
                out, e);
}
