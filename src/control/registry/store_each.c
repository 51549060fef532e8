/* Walks over tags, for those who compare two registries. */
#include "labels.h"
#include "store_priv.h"

struct each_op {
    struct str repository; /* empty: all */
    struct str labels;     /* as in SQL_HAS_LABELS */
    const char *digest;
    store_tag *each;
    void *ctx;
};

/* A repository without tags comes once, with an empty tag. */
static int each_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct each_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT r.name, coalesce(t.name, '') FROM repositories r"
                   " LEFT JOIN tags t ON t.repository_id = r.id"
                   " LEFT JOIN manifests m ON m.id = t.manifest_id"
                   " WHERE (?1 = '' OR r.name = ?1)"
                   " AND (?2 IS NULL OR " SQL_HAS_LABELS("?2") ") ORDER BY r.name, t.name",
                   "ss", op->repository, op->labels) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (op->each(op->ctx, query_str(&q, 0), query_str(&q, 1), e) < 0) {
            return -1;
        }
    }
    return r;
}

int store_each_tag(struct registry *r, struct str repository, store_tag *each, void *ctx,
                   struct err *e)
{
    struct each_op op = {
        .repository = repository.p ? repository : STR_EMPTY, .each = each, .ctx = ctx};

    return state_read(r->state, each_fn, &op, e);
}

int store_each_tag_with(struct registry *r, struct str labels, store_tag *each, void *ctx,
                        struct err *e)
{
    struct each_op op = {.repository = STR_EMPTY, .labels = labels, .each = each, .ctx = ctx};

    return state_read(r->state, each_fn, &op, e);
}

static int digest_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct each_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT r.name, t.name FROM repositories r"
                   " JOIN manifests m ON m.repository_id = r.id"
                   " JOIN tags t ON t.manifest_id = m.id WHERE r.name = ? AND m.digest = ?",
                   "sz", op->repository, op->digest) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (op->each(op->ctx, query_str(&q, 0), query_str(&q, 1), e) < 0) {
            return -1;
        }
    }
    return r;
}

int store_each_tag_of(struct registry *r, struct str repository, const char *digest,
                      store_tag *each, void *ctx, struct err *e)
{
    struct each_op op = {.repository = repository, .digest = digest, .each = each, .ctx = ctx};

    return state_read(r->state, digest_fn, &op, e);
}

static int subject_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct each_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT r.name, t.name FROM repositories r"
                   " JOIN manifests m ON m.repository_id = r.id"
                   " JOIN manifests s ON s.repository_id = r.id AND s.digest = m.subject"
                   " JOIN tags t ON t.manifest_id = s.id WHERE r.name = ? AND m.digest = ?",
                   "sz", op->repository, op->digest) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (op->each(op->ctx, query_str(&q, 0), query_str(&q, 1), e) < 0) {
            return -1;
        }
    }
    return r;
}

int store_each_subject_tag(struct registry *r, struct str repository, const char *digest,
                           store_tag *each, void *ctx, struct err *e)
{
    struct each_op op = {.repository = repository, .digest = digest, .each = each, .ctx = ctx};

    return state_read(r->state, subject_fn, &op, e);
}
