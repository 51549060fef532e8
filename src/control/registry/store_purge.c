/* The end of the trash: what is over its time, what somebody empties, and what is more than it may
 * hold. An entry holds little (LIMIT_TRASH_ENTRY_MANIFESTS), so it goes in one piece; many go in
 * transactions of their own, one after the other, so that pushes come between. */
#include "store_priv.h"

#include "base/log.h"

enum { STEP_ENTRIES = 100, STEP_MANIFESTS = 2000 };

struct purge {
    struct registry *r;
    /* Entries of this condition, the oldest first; ?1 and ?2 are its values. */
    const char *which;
    int64_t a, b;
    bool is_bounded; /* a step takes no more than is needed for these */
    struct trash_size need;
    int64_t ids[STEP_ENTRIES];
    size_t n;
    int64_t purged;
};

#define ENTRIES(which)                                                                             \
    "SELECT id, manifests, body_bytes, blob_bytes FROM trash WHERE " which " LIMIT ?3"
#define OVERDUE ENTRIES("deleted_ms < ?1 AND ?2 = 0 ORDER BY deleted_ms")
/* Of the project that holds most, so that nobody empties the trash of others. */
#define OLDEST                                                                                     \
    ENTRIES("project_id = (SELECT project_id FROM trash_totals WHERE project_id <> 0"              \
            " ORDER BY max(manifests * 4096, body_bytes) DESC LIMIT 1)"                            \
            " AND ?1 = 0 AND ?2 = 0 ORDER BY id")
#define OLDEST_OF ENTRIES("project_id = ?1 AND ?2 = 0 ORDER BY id")
#define CHOSEN ENTRIES("id = ?1 AND (?2 = 0 OR project_id = ?2)")

static bool is_enough(const struct purge *p, const struct trash_size *taken)
{
    return taken->manifests >= STEP_MANIFESTS ||
           (p->is_bounded && taken->manifests >= p->need.manifests &&
            taken->body_bytes >= p->need.body_bytes && taken->blob_bytes >= p->need.blob_bytes);
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct purge *p = ctx;
    SCOPED(query_done) struct query q = {0};
    struct trash_size taken = {0};
    int r = 1;

    p->n = 0;
    if (query_open(&q, db, e, p->which, "iii", p->a, p->b, (int64_t)STEP_ENTRIES) < 0) {
        return -1;
    }
    while (!is_enough(p, &taken) && (r = query_step(&q, e)) > 0) {
        p->ids[p->n++] = query_i64(&q, 0);
        taken.manifests += query_i64(&q, 1);
        taken.body_bytes += query_i64(&q, 2);
        taken.blob_bytes += query_i64(&q, 3);
    }
    return r < 0 ? -1 : 0;
}

static int drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct purge *p = ctx;

    for (size_t i = 0; i < p->n; i++) {
        if (state_run(db, e, "DELETE FROM trash WHERE id = ?", "i", p->ids[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* 1: some went; 0: there are none. */
static int purge_step(struct purge *p, struct err *e)
{
    if (state_read(p->r->state, find_fn, p, e) < 0 ||
        (p->n > 0 && state_write(p->r->state, drop_fn, p, e) < 0)) {
        return -1;
    }
    p->purged += (int64_t)p->n;
    return p->n > 0;
}

static int purge_all(struct purge *p, struct err *e)
{
    int more = 1;

    while (more > 0 && !atomic_load(&p->r->is_closing)) {
        more = purge_step(p, e);
    }
    return more < 0 ? -1 : 0;
}

int store_trash_drop(struct registry *r, int64_t project_id, int64_t id, struct err *e)
{
    struct purge p = {.r = r, .which = OLDEST_OF, .a = project_id};

    if (id != 0) {
        p = (struct purge){.r = r, .which = CHOSEN, .a = id, .b = project_id};
    }
    if (purge_all(&p, e) < 0) {
        return -1;
    }
    if (atomic_load(&r->is_closing)) {
        return err_set(e, ERR_UNAVAILABLE, "the server stopped before the end: try again");
    }
    return id != 0 && p.purged == 0 ? trash_no_such(id, e) : 0;
}

/* --- bounds --- */

struct bound {
    int64_t project_id, bytes, quota_bytes;
    int64_t default_quota;
};

/* What is too much; negative: what there is room for. */
static int excess_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct purge *p = ctx;
    const struct trash_size *max = &p->r->trash_max;
    SCOPED(query_done) struct query q = {0};

    if (query_open(&q, db, e,
                   "SELECT sum(manifests) - ?, sum(body_bytes) - ? FROM trash_totals"
                   " WHERE project_id = 0",
                   "ii", max->manifests, max->body_bytes) < 0 ||
        query_step(&q, e) < 0) {
        return -1;
    }
    p->need = (struct trash_size){.manifests = query_i64(&q, 0), .body_bytes = query_i64(&q, 1)};
    return 0;
}

static int bound_whole(struct registry *r, struct err *e)
{
    struct purge p = {.r = r, .which = OLDEST, .is_bounded = true};
    int more = 1;

    while (more > 0 && !atomic_load(&r->is_closing)) {
        if (state_read(r->state, excess_fn, &p, e) < 0) {
            return -1;
        }
        more = p.need.manifests > 0 || p.need.body_bytes > 0 ? purge_step(&p, e) : 0;
    }
    if (more < 0) {
        return -1;
    }
    if (p.purged > 0) {
        log_warn("registry.trash_full", "entries=%lld went before their time", (long long)p.purged);
    }
    return 0;
}

/* The next project whose trash may hold more than the project itself: by the sum of its entries,
 * which counts twice what two of them share. */
static int suspect_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct bound *b = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT t.project_id, coalesce(p.quota_bytes, ?2) AS quota FROM trash_totals t"
                   " LEFT JOIN registry_projects p ON p.project_id = t.project_id"
                   " WHERE t.project_id > ?1 AND quota > 0 AND t.blob_bytes > quota"
                   " ORDER BY t.project_id LIMIT 1",
                   "ii", b->project_id, b->default_quota) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    b->project_id = r > 0 ? query_i64(&q, 0) : 0;
    b->quota_bytes = r > 0 ? query_i64(&q, 1) : 0;
    return 0;
}

static int measure_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct bound *b = ctx;

    return state_one_i64(db, &b->bytes, e, "rows",
                         "SELECT coalesce(sum(size_bytes), 0) FROM blobs WHERE digest IN"
                         " (SELECT b.digest FROM trash t JOIN trash_blobs b ON b.trash_id = t.id"
                         "  WHERE t.project_id = ? AND NOT EXISTS (SELECT 1 FROM project_blobs p"
                         "   WHERE p.project_id = t.project_id AND p.digest = b.digest))",
                         "i", b->project_id);
}

/* What was deleted is no longer charged: without this, pushing and deleting in turns would fill the
 * disk past every quota. */
static int bound_project(struct registry *r, struct bound *b, struct err *e)
{
    struct purge p = {.r = r, .which = OLDEST_OF, .a = b->project_id, .is_bounded = true};
    int more = 1;

    while (more > 0 && !atomic_load(&r->is_closing)) {
        if (state_read(r->state, measure_fn, b, e) < 0) {
            return -1;
        }
        p.need.blob_bytes = b->bytes - b->quota_bytes;
        more = p.need.blob_bytes > 0 ? purge_step(&p, e) : 0;
    }
    if (more < 0) {
        return -1;
    }
    if (p.purged > 0) {
        log_info("registry.trash_over_quota", "project_id=%lld entries=%lld went before their time",
                 (long long)b->project_id, (long long)p.purged);
    }
    return 0;
}

static int bound_projects(struct registry *r, struct err *e)
{
    struct bound b = {.project_id = 0, .default_quota = r->project_quota};

    while (!atomic_load(&r->is_closing)) {
        if (state_read(r->state, suspect_fn, &b, e) < 0) {
            return -1;
        }
        if (b.project_id == 0) {
            return 0;
        }
        if (bound_project(r, &b, e) < 0) {
            return -1;
        }
    }
    return 0;
}

int store_trash_purge(struct registry *r, struct err *e)
{
    struct purge p = {.r = r, .which = OVERDUE, .a = clock_wall_ms() - r->trash_ms};

    return purge_all(&p, e) < 0 || bound_whole(r, e) < 0 ? -1 : bound_projects(r, e);
}
