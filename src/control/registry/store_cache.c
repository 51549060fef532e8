/* What a project that is a cache of another registry knows of its own state. */
#include "store_priv.h"

struct cache_op {
    const struct reference *ref;
    struct stored_cache *out;
    struct str repository;
    const char *digest;
    int64_t *size_bytes;
};

/* 1: the repository is here. */
static int find_repository(struct state_db *db, struct str name, int64_t *id, struct err *e)
{
    const char *code;

    if (db_repository(db, name, id, &code, e) == 0) {
        return 1;
    }
    return e->kind == ERR_NOT_FOUND ? 0 : -1;
}

static int look_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct cache_op *op = ctx;
    const struct reference *ref = op->ref;
    SCOPED(query_done) struct query q = {0};
    int64_t id;
    int r = find_repository(db, ref->repository, &id, e);

    if (r <= 0) {
        return r;
    }
    r = ref->tag.p ? query_open(&q, db, e,
                                "SELECT m.digest, t.checked_ms, m.referrers_ms FROM tags t"
                                " JOIN manifests m ON m.id = t.manifest_id"
                                " WHERE t.repository_id = ? AND t.name = ?",
                                "is", id, ref->tag)
                   : query_open(&q, db, e,
                                "SELECT digest, 0, referrers_ms FROM manifests"
                                " WHERE repository_id = ? AND digest = ?",
                                "iz", id, ref->digest);
    if (r < 0 || (r = query_step(&q, e)) <= 0) {
        return r;
    }
    op->out->is_here = true;
    op->out->checked_ms = query_i64(&q, 1);
    op->out->referrers_ms = query_i64(&q, 2);
    return str_copy(query_str(&q, 0), op->out->digest, sizeof(op->out->digest));
}

int store_cache_look(struct registry *r, const struct reference *ref, struct stored_cache *out,
                     struct err *e)
{
    struct cache_op op = {.ref = ref, .out = out};

    *out = (struct stored_cache){.is_here = false};
    return state_read(r->state, look_fn, &op, e);
}

static int checked_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct cache_op *op = ctx;
    int64_t id;
    int r = find_repository(db, op->ref->repository, &id, e);

    return r <= 0 ? r
                  : state_run(db, e,
                              "UPDATE tags SET checked_ms = ? WHERE repository_id = ? AND name = ?",
                              "iis", clock_wall_ms(), id, op->ref->tag);
}

int store_cache_checked(struct registry *r, const struct reference *ref, struct err *e)
{
    struct cache_op op = {.ref = ref};

    return state_write(r->state, checked_fn, &op, e);
}

static int referrers_checked_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct cache_op *op = ctx;
    int64_t id;
    int r = find_repository(db, op->ref->repository, &id, e);

    return r <= 0 ? r
                  : state_run(db, e,
                              "UPDATE manifests SET referrers_ms = ?"
                              " WHERE repository_id = ? AND digest = ?",
                              "iiz", clock_wall_ms(), id, op->ref->digest);
}

int store_cache_referrers_checked(struct registry *r, const struct reference *ref, struct err *e)
{
    struct cache_op op = {.ref = ref};

    return state_write(r->state, referrers_checked_fn, &op, e);
}

static int wants_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct cache_op *op = ctx;
    const char *code;
    int64_t id;

    return db_repository(db, op->repository, &id, &code, e) < 0
               ? -1
               : state_one_i64(db, op->size_bytes, e, "no manifest here names it",
                               "SELECT size_bytes FROM manifest_wants"
                               " WHERE repository_id = ? AND digest = ? LIMIT 1",
                               "iz", id, op->digest);
}

int store_cache_wants(struct registry *r, struct str repository, const char *digest,
                      int64_t *size_bytes, struct err *e)
{
    struct cache_op op = {.repository = repository, .digest = digest, .size_bytes = size_bytes};

    return state_read(r->state, wants_fn, &op, e);
}
