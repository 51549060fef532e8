/* What others are told of changes, inside the transaction that makes them. */
#include "store_priv.h"

void artifacts_add(struct artifacts *a, struct str tag, struct str digest)
{
    if (a->n == REGISTRY_ARTIFACTS_MAX) {
        a->n_left_out++;
        return;
    }
    a->items[a->n++] =
        (struct registry_artifact){.tag = tag.p ? arena_str(&a->arena, tag) : (struct str){0},
                                   .digest = arena_str(&a->arena, digest)};
}

int artifacts_read(struct artifacts *a, struct query *q, struct err *e)
{
    int r;

    while ((r = query_step(q, e)) > 0) {
        artifacts_add(a, query_is_null(q, 0) ? (struct str){0} : query_str(q, 0), query_str(q, 1));
    }
    return r;
}

int db_tell(struct state_db *db, const struct registry *r, int64_t repository_id,
            enum registry_what what, struct str by, const struct artifacts *a, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rows;

    if (r->hooks.changed == NULL) {
        return 0;
    }
    if (query_open(&q, db, e, "SELECT project_id, name, created_ms FROM repositories WHERE id = ?",
                   "i", repository_id) < 0 ||
        (rows = query_step(&q, e)) < 0) {
        return -1;
    }
    return rows == 0 ? 0
                     : r->hooks.changed(
                           r->hooks.ctx, db,
                           &(struct registry_change){.what = what,
                                                     .project_id = query_i64(&q, 0),
                                                     .repository = query_str(&q, 1),
                                                     .repository_created_ms = query_i64(&q, 2),
                                                     .by = by,
                                                     .artifacts = a->items,
                                                     .n_artifacts = a->n,
                                                     .n_left_out = a->n_left_out},
                           e);
}

int db_tell_deleted(struct state_db *db, const struct registry *r, int64_t repository_id,
                    struct str by, const char *sql, struct str text, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    struct artifacts a = {.n = 0};
    int result = 0;

    if (r->hooks.changed == NULL) {
        return 0;
    }
    if (query_open(&q, db, e, sql, "is", repository_id, text) < 0 ||
        artifacts_read(&a, &q, e) < 0) {
        result = -1;
    } else if (a.n > 0) {
        result = db_tell(db, r, repository_id, REGISTRY_DELETED, by, &a, e);
    }
    arena_done(&a.arena);
    return result;
}

void registry_tell_pull(struct registry *r, const struct registry_change *c)
{
    struct err ignored;

    if (r->hooks.changed != NULL) {
        (void)r->hooks.changed(r->hooks.ctx, NULL, c, &ignored);
    }
}
