/* Online garbage collection. Each step costs what it deletes:
 *
 *   1  rows of repository_blobs that no manifest uses and nobody touched for the grace time
 *   2  rows of blobs that no repository has -> blob_trash
 *   3  their files
 *   4  their rows of blob_trash                                  (with the next step's transaction)
 *
 * 1 runs ahead of the others: a digest's first byte is its shard and 2 takes them in their order,
 * so of many that wait a step empties a few shards, and 3 syncs these instead of all 256.
 *
 * What the hook `held` names is passed over in 2: a job that waits runs what was submitted, also
 * when its image is deleted meanwhile.
 *
 * A kill between 2 and 4 leaves rows in blob_trash: the next step goes on with them. A push that
 * brings the same bytes meanwhile waits for the pin of the digest, finds the row gone, and puts
 * file and row in place again.
 *
 * A kill (or a failed commit) between a file and its row leaves a file that nothing of this sees:
 * registry_sweep. */
#include "store_priv.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_MS (3600 * 1000LL)

enum { UNLINKS_AHEAD = 32 }; /* transactions of a step, so that none is long */

struct victim {
    char digest[CONTENT_DIGEST_MAX];
    bool in_use; /* pushed or mounted again since we looked */
};

struct collect_op {
    struct registry *r;
    int64_t before_ms, max, unlinked;
    VEC(struct victim) found; /* unpinned */
    struct victim *pinned;
    size_t n_pinned;
    struct map held; /* digests; the value only says that it is there */
    int64_t freed_bytes;
};

/* Up to `max` more that nobody holds. Those that are held are passed over, not counted: else many
 * of them would hide all that come after them. */
static int read_digests(struct state_db *db, struct collect_op *op, const char *sql, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int64_t n = 0;
    int r = 1;

    if (query_open(&q, db, e, sql, "") < 0) {
        return -1;
    }
    while (n < op->max && (r = query_step(&q, e)) > 0) {
        struct str digest = query_str(&q, 0);

        if (map_get(&op->held, digest) == NULL &&
            str_copy(digest, vec_push(&op->found)->digest, CONTENT_DIGEST_MAX) < 0) {
            op->found.len--;
        }
        n += map_get(&op->held, digest) == NULL;
    }
    return r < 0 ? -1 : 0;
}

/* A repository goes with its last blob. This looks at all of them: once in a step. */
static int drop_empty_repositories(struct state_db *db, void *ctx, struct err *e)
{
    const struct collect_op *op = ctx;

    return state_run(db, e,
                     "DELETE FROM repositories WHERE updated_ms < ? AND NOT EXISTS"
                     " (SELECT 1 FROM manifests m WHERE m.repository_id = repositories.id)"
                     " AND NOT EXISTS"
                     " (SELECT 1 FROM repository_blobs b WHERE b.repository_id = repositories.id)",
                     "i", op->before_ms);
}

/* Blobs that repositories no longer need. */
static int unlink_old_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct collect_op *op = ctx;

    if (state_run(db, e,
                  "DELETE FROM repository_blobs WHERE (repository_id, digest) IN"
                  " (SELECT repository_id, digest FROM repository_blobs"
                  "  WHERE manifests = 0 AND touched_ms < ?2"
                  "  AND (charged = 0 OR touched_ms < ?1) LIMIT ?3)",
                  "iii", op->before_ms, op->before_ms + BLOB_GRACE_MS - RELEASED_GRACE_MS,
                  op->max) < 0) {
        return -1;
    }
    op->unlinked = state_changes(db);
    return 0;
}

static int unlink_old(struct collect_op *op, struct err *e)
{
    int64_t all = 0;

    op->unlinked = op->max;
    for (int i = 0; i < UNLINKS_AHEAD && op->unlinked == op->max; i++) {
        if (state_write(op->r->state, unlink_old_fn, op, e) < 0) {
            return -1;
        }
        all += op->unlinked;
    }
    return all > 0 ? state_write(op->r->state, drop_empty_repositories, op, e) : 0;
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct collect_op *op = ctx;

    return read_digests(db, op, "SELECT digest FROM blobs WHERE repositories = 0 ORDER BY digest",
                        e) < 0
               ? -1
               : read_digests(db, op, "SELECT digest FROM blob_trash ORDER BY digest", e);
}

/* For the last day of GET /api/v1/registry/storage. */
static int note_hour(struct state_db *db, int64_t hour_ms, int64_t blobs, int64_t bytes,
                     struct err *e)
{
    return state_run(db, e,
                     "INSERT INTO registry_freed VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                     " SET blobs = blobs + excluded.blobs, bytes = bytes + excluded.bytes",
                     "iii", hour_ms, blobs, bytes) < 0
               ? -1
               : state_run(db, e, "DELETE FROM registry_freed WHERE hour_ms < ?", "i",
                           hour_ms - 24 * HOUR_MS);
}

static int64_t this_hour(void)
{
    return clock_wall_ms() / HOUR_MS * HOUR_MS;
}

static int note_freed(struct state_db *db, int64_t blobs, int64_t bytes, struct err *e)
{
    return blobs == 0 ? 0 : note_hour(db, this_hour(), blobs, bytes, e);
}

static int to_trash_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct collect_op *op = ctx;
    int64_t freed = 0;

    op->freed_bytes = 0;
    for (size_t i = 0; i < op->n_pinned; i++) {
        const char *digest = op->pinned[i].digest;
        int64_t in_use, bytes;

        if (state_one_i64(db, &bytes, e, "rows",
                          "SELECT coalesce(sum(size_bytes), 0) FROM blobs"
                          " WHERE digest = ? AND repositories = 0",
                          "z", digest) < 0 ||
            state_run(db, e,
                      "INSERT OR IGNORE INTO blob_trash SELECT digest FROM blobs"
                      " WHERE digest = ? AND repositories = 0",
                      "z", digest) < 0 ||
            state_run(db, e, "DELETE FROM blobs WHERE digest = ? AND repositories = 0", "z",
                      digest) < 0) {
            return -1;
        }
        freed += state_changes(db);
        op->freed_bytes += bytes;
        if (state_one_i64(db, &in_use, e, "rows",
                          "SELECT NOT EXISTS (SELECT 1 FROM blob_trash WHERE digest = ?)", "z",
                          digest) < 0) {
            return -1;
        }
        op->pinned[i].in_use = in_use;
    }
    return note_freed(db, freed, op->freed_bytes, e);
}

static int empty_trash_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct collect_op *op = ctx;

    for (size_t i = 0; i < op->n_pinned; i++) {
        if (state_run(db, e, "DELETE FROM blob_trash WHERE digest = ?", "z", op->pinned[i].digest) <
            0) {
            return -1;
        }
    }
    return 0;
}

static void note_held(void *ctx, const char *digest)
{
    (void)map_put(ctx, str_of(digest), ctx);
}

int registry_held(struct registry *r, struct map *out, struct err *e)
{
    return r->hooks.held ? r->hooks.held(r->hooks.ctx, note_held, out, e) : 0;
}

static void pin_found(struct collect_op *op)
{
    op->pinned = xnew_array(struct victim, op->found.len + 1);
    for (size_t i = 0; i < op->found.len; i++) {
        const char *digest = op->found.p[i].digest;

        if (registry_try_pin(op->r, digest)) { /* also skips what is listed twice */
            op->pinned[op->n_pinned++] = op->found.p[i];
        }
    }
}

static int delete_files(struct collect_op *op, int *deleted, struct err *e)
{
    SCOPED(freep) const char **digests = xnew_array(const char *, op->n_pinned + 1);
    size_t n = 0;

    for (size_t i = 0; i < op->n_pinned; i++) {
        if (!op->pinned[i].in_use) {
            digests[n++] = op->pinned[i].digest;
        }
    }
    *deleted = (int)n;
    return content_blobs_delete(op->r->content, digests, n, e);
}

static int collect(struct collect_op *op, int *deleted, struct err *e)
{
    struct state *s = op->r->state;

    if (unlink_old(op, e) < 0 || registry_held(op->r, &op->held, e) < 0 ||
        state_read(s, find_fn, op, e) < 0) {
        return -1;
    }
    pin_found(op);
    if (op->n_pinned == 0) {
        return 0;
    }
    return state_write(s, to_trash_fn, op, e) < 0 || delete_files(op, deleted, e) < 0
               ? -1
               : state_write(s, empty_trash_fn, op, e);
}

/* *more: there may be more to do, although nothing was deleted: others still had what a repository
 * gave up. */
static int collect_bytes(struct registry *r, unsigned max, int64_t *bytes, bool *more,
                         struct err *e)
{
    struct collect_op op = {.r = r, .before_ms = clock_wall_ms() - BLOB_GRACE_MS, .max = max};
    int deleted = 0, result = collect(&op, &deleted, e);

    for (size_t i = 0; i < op.n_pinned; i++) {
        registry_unpin(r, op.pinned[i].digest);
    }
    if (deleted > 0) {
        log_info("registry.collected", "blobs=%d", deleted);
    }
    free(op.pinned);
    map_done(&op.held);
    vec_done(&op.found);
    if (result == 0) {
        *bytes += op.freed_bytes;
        *more = deleted > 0 || op.unlinked == op.max;
    }
    return result < 0 ? -1 : deleted;
}

int registry_collect(struct registry *r, unsigned max, struct err *e)
{
    int64_t bytes = 0;
    bool more;

    return collect_bytes(r, max, &bytes, &more, e);
}

static int note_asked_fn(struct state_db *db, void *ctx, struct err *e)
{
    return note_hour(db, *(const int64_t *)ctx, 0, 0, e);
}

int registry_collect_now(struct registry *r, struct collected *out, struct err *e)
{
    enum { STEP = 1000, FOR_MS = 20 * 1000 };
    int64_t until_ms = clock_mono_ms() + FOR_MS;
    struct collected c = {.hour_ms = this_hour()};
    int n;

    if (state_write(r->state, note_asked_fn, &c.hour_ms, e) < 0) {
        return -1;
    }
    do {
        n = collect_bytes(r, STEP, &c.bytes, &c.more, e);
        if (n < 0) {
            return -1;
        }
        c.blobs += n;
    } while (c.more && clock_mono_ms() < until_ms);
    *out = c;
    return 0;
}

/* --- files without a row --- */

struct sweep {
    struct registry *r;
    const char *digest;
    int64_t has_row;
    int deleted;
    bool failed;
    struct map held; /* registry_held() */
    struct err *e;
};

static int has_row_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct sweep *s = ctx;

    return state_one_i64(db, &s->has_row, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM blobs WHERE digest = ?1)"
                         " OR EXISTS (SELECT 1 FROM blob_trash WHERE digest = ?1)",
                         "z", s->digest);
}

static int sweep_pinned(struct sweep *s)
{
    if (state_read(s->r->state, has_row_fn, s, s->e) < 0) {
        return -1;
    }
    if (s->has_row) {
        return 0;
    }
    s->deleted++;
    return content_blob_delete(s->r->content, s->digest, s->e);
}

void registry_drop_orphan(struct registry *r, const char *digest)
{
    struct err ignored; /* the sweep finds it later */
    struct sweep s = {.r = r, .digest = digest, .e = &ignored};

    (void)!sweep_pinned(&s);
}

/* Under the digest's pin no push can put file and row in place: what has no row now has none. */
static void sweep_one(void *ctx, const char *digest)
{
    struct sweep *s = ctx;

    if (s->failed || map_get(&s->held, str_of(digest)) || !registry_try_pin(s->r, digest)) {
        return;
    }
    s->digest = digest;
    s->failed = sweep_pinned(s) < 0;
    registry_unpin(s->r, digest);
}

int registry_sweep(struct registry *r, struct err *e)
{
    struct sweep s = {.r = r, .e = e};
    int rc = registry_held(r, &s.held, e);

    if (rc == 0) {
        rc = content_shard_each(r->content, r->next_shard++, ORPHAN_AGE_MS, sweep_one, &s, e);
    }
    map_done(&s.held);
    return rc < 0 || s.failed ? -1 : s.deleted;
}
