/* Walks over tags, for those who compare two registries. */
#include "labels.h"
#include "store_priv.h"

struct each_op {
    struct str repository; /* empty: all */
    struct str labels;     /* as in SQL_HAS_LABELS */
    const char *digest;
    const char *sql; /* rows of repository and tag; ?1 repository, ?2 labels, ?3 digest */
    store_tag *each;
    void *ctx;
};

static int each_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct each_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, op->sql, "sss", op->repository, op->labels,
                   op->digest ? str_of(op->digest) : STR_EMPTY) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (op->each(op->ctx, query_str(&q, 0), query_str(&q, 1), e) < 0) {
            return -1;
        }
    }
    return r;
}

/* A repository without tags comes once, with an empty tag. */
#define ALL_TAGS                                                                                   \
    "SELECT r.name, coalesce(t.name, '') FROM repositories r"                                      \
    " LEFT JOIN tags t ON t.repository_id = r.id"                                                  \
    " LEFT JOIN manifests m ON m.id = t.manifest_id WHERE (?1 = '' OR r.name = ?1)"                \
    " AND (?2 IS NULL OR " SQL_HAS_LABELS("?2") ") AND ?3 = '' ORDER BY r.name, t.name"
#define TAGS_OF                                                                                    \
    "SELECT r.name, t.name FROM repositories r JOIN manifests m ON m.repository_id = r.id"         \
    " JOIN tags t ON t.manifest_id = m.id WHERE r.name = ?1 AND ?2 IS NULL AND m.digest = ?3"
#define TAGS_OF_SUBJECT                                                                            \
    "SELECT r.name, t.name FROM repositories r JOIN manifests m ON m.repository_id = r.id"         \
    " JOIN manifests s ON s.repository_id = r.id AND s.digest = m.subject"                         \
    " JOIN tags t ON t.manifest_id = s.id WHERE r.name = ?1 AND ?2 IS NULL AND m.digest = ?3"

int store_each_tag(struct registry *r, struct str repository, store_tag *each, void *ctx,
                   struct err *e)
{
    struct each_op op = {.repository = repository.p ? repository : STR_EMPTY,
                         .sql = ALL_TAGS,
                         .each = each,
                         .ctx = ctx};

    return state_read(r->state, each_fn, &op, e);
}

int store_each_tag_with(struct registry *r, struct str labels, store_tag *each, void *ctx,
                        struct err *e)
{
    struct each_op op = {
        .repository = STR_EMPTY, .labels = labels, .sql = ALL_TAGS, .each = each, .ctx = ctx};

    return state_read(r->state, each_fn, &op, e);
}

int store_each_tag_of(struct registry *r, struct str repository, const char *digest,
                      store_tag *each, void *ctx, struct err *e)
{
    struct each_op op = {
        .repository = repository, .digest = digest, .sql = TAGS_OF, .each = each, .ctx = ctx};

    return state_read(r->state, each_fn, &op, e);
}

int store_each_subject_tag(struct registry *r, struct str repository, const char *digest,
                           store_tag *each, void *ctx, struct err *e)
{
    struct each_op op = {.repository = repository,
                         .digest = digest,
                         .sql = TAGS_OF_SUBJECT,
                         .each = each,
                         .ctx = ctx};

    return state_read(r->state, each_fn, &op, e);
}
