#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "tsdb/tsdb_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FACTOR = 3, LEVELS = 4, IDLE_MS = 300000 };

void work_begin(struct tsdb *db)
{
    WITH_LOCK(&db->log);
    while (db->working) {
        lock_wait(&db->log);
    }
    db->working = true;
}

void work_end(struct tsdb *db)
{
    WITH_LOCK(&db->log);
    db->working = false;
    lock_broadcast(&db->log);
}

/* --- the list --- */

static int by_time(const void *a, const void *b)
{
    const struct block *x = *(struct block *const *)a, *y = *(struct block *const *)b;

    return x->meta.min_ts != y->meta.min_ts ? (x->meta.min_ts < y->meta.min_ts ? -1 : 1)
           : x->number < y->number          ? -1
                                            : 1;
}

void blocks_add(struct tsdb *db, struct block *b)
{
    WITH_LOCK(&db->head_lock);
    *vec_push(&db->blocks) = b;
    qsort(db->blocks.p, db->blocks.len, sizeof(struct block *), by_time);
}

static struct block *take_out(struct tsdb *db, uint32_t number)
{
    struct block *b = NULL;
    size_t kept = 0;

    WITH_LOCK(&db->head_lock);
    for (size_t i = 0; i < db->blocks.len; i++) {
        if (db->blocks.p[i]->number == number) {
            b = db->blocks.p[i];
        } else {
            db->blocks.p[kept++] = db->blocks.p[i];
        }
    }
    db->blocks.len = kept;
    return b;
}

static void remove_files(struct tsdb *db, uint32_t number)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%08x", number);
    (void)unlinkat(db->blocks_dir, name, 0);
    (void)snprintf(name, sizeof(name), "%08x.del", number);
    (void)unlinkat(db->blocks_dir, name, 0);
}

void blocks_remove(struct tsdb *db, uint32_t number)
{
    block_unref(take_out(db, number));
    remove_files(db, number);
}

/* --- at the start --- */

/* "0000002a.del" of a block that was removed just before a kill: another block will have that
 * number.
 */
static bool is_orphan(const struct tsdb *db, const char *name)
{
    char block[9] = "";

    return strlen(name) == 12 && strcmp(name + 8, ".del") == 0 &&
           str_copy(str_n(name, 8), block, sizeof(block)) == 0 &&
           faccessat(db->blocks_dir, block, F_OK, 0) < 0 && errno == ENOENT;
}

/* What a kill left half written or half removed. */
static void remove_unfinished(struct tsdb *db)
{
    int fd = openat(db->blocks_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;

    if (d == NULL) {
        closep(&fd);
        return;
    }
    while ((ent = readdir(d)) != NULL) {
        if (strncmp(ent->d_name, "tmp.", 4) == 0 || is_orphan(db, ent->d_name)) {
            (void)unlinkat(db->blocks_dir, ent->d_name, 0);
        }
    }
    (void)closedir(d);
}

/* A block that another one was made of was to be removed when the process died. */
static void remove_replaced(struct tsdb *db)
{
    struct block_meta meta;

    for (size_t i = 0; i < db->blocks.len; i++) {
        meta = db->blocks.p[i]->meta;
        for (uint32_t k = 0; k < meta.n_parents; k++) {
            blocks_remove(db, meta.parents[k]);
        }
    }
}

static void set_block_aside(struct tsdb *db, uint32_t number, const struct err *why)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%08x", number);
    log_error("metrics.block", "error=%s", why->msg);
    if (tsdb_set_aside(db, db->blocks_dir, name)) {
        remove_files(db, number);
    }
}

int blocks_load(struct tsdb *db, struct err *e)
{
    SCOPED(ids_done) struct ids numbers = {0};
    struct err why;

    remove_unfinished(db);
    if (numbered_files(db->blocks_dir, &numbers, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < numbers.len; i++) {
        struct block *b = block_open(db->blocks_dir, numbers.p[i], &why);

        db->last_block = numbers.p[i];
        if (b == NULL && why.kind == ERR_IO && why.sys == 0) {
            set_block_aside(db, numbers.p[i], &why);
            continue;
        }
        if (b == NULL) {
            *e = why;
            return -1;
        }
        if (block_load_deleted(db->blocks_dir, b, &why) < 0) {
            log_error("metrics.block", "error=%s", why.msg);
            db->status.damaged++;
        }
        if (b->meta.floor > db->head.floor) {
            db->head.floor = b->meta.floor;
        }
        if (b->meta.floor > db->head.cut_end) {
            db->head.cut_end = b->meta.floor;
        }
        blocks_add(db, b);
    }
    remove_replaced(db);
    return 0;
}

/* --- merging --- */

struct source {
    struct block *b;
    struct block_index *x;
    struct block_cursor at;
    struct arena arena;
    uint32_t series; /* from 1; past the last: done */
    struct labels labels;
};

struct merging {
    struct source src[BLOCK_PARENTS];
    size_t n;
    int64_t window_ms; /* of what becomes of them */
    bool thin;
};

static void step(struct source *s)
{
    s->series++;
    arena_reset(&s->arena);
    if (s->series <= s->x->n_series) {
        s->labels = block_labels(s->x, s->series, &s->arena);
    }
}

static void merging_done(struct merging *m)
{
    for (size_t i = 0; i < m->n; i++) {
        block_index_unref(m->src[i].x);
        block_cursor_done(&m->src[i].at);
        arena_done(&m->src[i].arena);
        block_unref(m->src[i].b);
    }
}

static int begin_source(struct source *s, struct block *b, struct err *e)
{
    s->b = b;
    s->x = block_index_load(b, e);
    if (s->x == NULL) {
        return -1;
    }
    step(s);
    return 0;
}

static const struct labels *least_labels(const struct merging *m)
{
    const struct labels *least = NULL;

    for (size_t i = 0; i < m->n; i++) {
        const struct source *s = &m->src[i];

        if (s->series <= s->x->n_series && (least == NULL || labels_cmp(s->labels, *least) < 0)) {
            least = &s->labels;
        }
    }
    return least;
}

/* A block that is damaged is not merged: what can be read of it is served from where it is. */
static int merge_into(struct merging *m, struct block_writer *w, struct err *e)
{
    struct tsdb_samples all = {0};
    struct arena a = {0};
    const struct labels *least;
    uint64_t damaged = 0;
    int rc = 0;

    while (rc == 0 && (least = least_labels(m)) != NULL) {
        struct labels l;

        arena_reset(&a);
        l = labels_copy(&a, *least);
        all.len = 0;
        for (size_t i = 0; i < m->n; i++) {
            struct source *s = &m->src[i];

            if (s->series <= s->x->n_series && labels_eq(s->labels, l)) {
                block_read(s->b, s->x, s->series, INT64_MIN, INT64_MAX, &s->at, &all, &damaged);
                step(s);
            }
        }
        samples_in_order(&all);
        if (m->thin) {
            samples_thin(&all, m->window_ms);
        }
        rc = block_writer_add(w, l, all.ts_ms, all.v, all.len, e);
    }
    if (rc == 0 && damaged > 0) {
        rc = err_set(e, ERR_IO, "%ju runs of samples in blocks cannot be read", (uintmax_t)damaged);
    }
    tsdb_samples_done(&all);
    arena_done(&a);
    return rc;
}

static int merge(struct tsdb *db, struct merging *m, struct err *e)
{
    SCOPED(block_writer_freep) struct block_writer *w = NULL;
    struct block_meta meta = {.floor = INT64_MIN, .window_ms = m->window_ms};
    uint32_t number = ++db->last_block;
    struct block *b;

    w = block_writer_new(db->blocks_dir, number, e);
    if (w == NULL || merge_into(m, w, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < m->n; i++) {
        const struct block *from = m->src[i].b;

        meta.parents[meta.n_parents++] = from->number;
        meta.floor = from->meta.floor > meta.floor ? from->meta.floor : meta.floor;
    }
    if (block_writer_samples(w) > 0) {
        if (block_writer_finish(w, &meta, e) < 0) {
            return -1;
        }
        b = block_open(db->blocks_dir, number, e);
        if (b == NULL) {
            return -1;
        }
        blocks_add(db, b);
    }
    for (size_t i = 0; i < m->n; i++) {
        blocks_remove(db, m->src[i].b->number);
    }
    return 0;
}

static int64_t align_down(int64_t ts, int64_t span)
{
    int64_t rest = ts % span;

    return ts - (rest < 0 ? rest + span : rest);
}

/* Blocks that lie in one span and may become one: several whose time is over, or such of the
 * smallest span that overlap. Of damaged ones nothing is said twice. head_lock held. */
static size_t pick_span(const struct tsdb *db, int64_t span, bool smallest, struct block **out)
{
    for (size_t i = 0; i < db->blocks.len; i++) {
        int64_t start = align_down(db->blocks.p[i]->meta.min_ts, span);
        size_t n = 0;

        if (!smallest && start + span > db->head.floor) {
            return 0;
        }
        for (size_t k = i; k < db->blocks.len && n < BLOCK_PARENTS; k++) {
            struct block *b = db->blocks.p[k];

            if (b->meta.min_ts >= start && b->meta.max_ts < start + span && !b->unreadable &&
                b->meta.window_ms == db->blocks.p[i]->meta.window_ms) {
                out[n++] = b;
            }
        }
        if (n > 1) {
            return n;
        }
    }
    return 0;
}

static size_t pick(struct tsdb *db, struct block **out)
{
    int64_t span = db->o.block_ms, widest = db->o.retention_ms / 10;
    size_t n = 0;

    WITH_LOCK(&db->head_lock);
    for (int level = 0; n == 0 && level < LEVELS; level++, span *= FACTOR) {
        if (level < 2 || db->o.retention_ms == 0 || span <= widest) {
            n = pick_span(db, span, level == 0, out);
        }
    }
    for (size_t i = 0; n == 0 && i < db->blocks.len; i++) {
        if (db->blocks.p[i]->n_deleted > 0 && !db->blocks.p[i]->unreadable) {
            out[n++] = db->blocks.p[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        out[i]->refs++;
    }
    return n;
}

int blocks_compact(struct tsdb *db, bool *any, struct err *e)
{
    struct block *picked[BLOCK_PARENTS];
    size_t n = pick(db, picked);
    struct merging *m = xnew(struct merging);
    int rc = 0;

    *any = n > 0;
    m->window_ms = n > 0 ? picked[0]->meta.window_ms : 0;
    for (size_t i = 0; i < n; i++) {
        m->n = i + 1;
        m->src[i].b = picked[i];
        if (rc == 0 && begin_source(&m->src[i], picked[i], e) < 0) {
            rc = -1;
        }
    }
    if (n > 0 && rc == 0) {
        rc = merge(db, m, e);
    }
    if (rc < 0 && e->kind == ERR_IO && e->sys == 0) {
        lock_take(&db->head_lock);
        for (size_t i = 0; i < n; i++) {
            picked[i]->unreadable = true; /* until the next start; what can be read is served */
        }
        db->status.damaged++;
        lock_drop(&db->head_lock);
    }
    merging_done(m);
    free(m);
    return rc;
}

/* --- what is too old or too much --- */

enum { TIERS = 3 };
static const int64_t windows[TIERS] = {0, 300000, 3600000};

static size_t tier_of(const struct block *b)
{
    return b->meta.window_ms == 0 ? 0 : b->meta.window_ms <= windows[1] ? 1 : 2;
}

static int64_t kept_for(const struct tsdb *db, size_t tier)
{
    return tier == 0 ? db->o.retention_ms : tier == 1 ? db->o.tier_5m_ms : db->o.tier_1h_ms;
}

/* The tier that keeps it, when its own does not any more; TIERS: none. */
static size_t next_tier(const struct tsdb *db, size_t tier, int64_t age_ms)
{
    do {
        tier++;
    } while (tier < TIERS && kept_for(db, tier) < age_ms);
    return tier;
}

/* A block that has to go, or (*tier below TIERS) to become one of that tier. Referenced. */
static struct block *pick_old(struct tsdb *db, size_t *tier)
{
    int64_t newest = INT64_MIN, bytes = 0, now = clock_wall_ms();
    struct block *oldest = NULL;

    WITH_LOCK(&db->head_lock);
    for (size_t i = 0; i < db->blocks.len; i++) {
        struct block *b = db->blocks.p[i];

        newest = b->meta.max_ts > newest ? b->meta.max_ts : newest;
        bytes += (int64_t)b->bytes;
        oldest = oldest == NULL || b->meta.max_ts < oldest->meta.max_ts ? b : oldest;
    }
    newest = db->head.max_ts > newest ? db->head.max_ts : newest;
    newest = newest < now ? newest : now; /* a clock that is ahead deletes nothing */
    *tier = TIERS;
    if (oldest != NULL && db->o.retention_bytes > 0 && bytes > db->o.retention_bytes) {
        oldest->refs++;
        return oldest;
    }
    for (size_t i = 0; i < db->blocks.len; i++) {
        struct block *b = db->blocks.p[i];
        int64_t age = newest - b->meta.max_ts, kept = kept_for(db, tier_of(b));

        if ((kept > 0 || tier_of(b) > 0) && age > kept) {
            *tier = next_tier(db, tier_of(b), age);
            b->refs++;
            return b;
        }
    }
    return NULL;
}

static int make_tier(struct tsdb *db, struct block *b, size_t tier, struct err *e)
{
    struct merging *m = xnew(struct merging);
    int rc;

    m->n = 1;
    m->thin = true;
    m->window_ms = windows[tier];
    m->src[0].b = b;
    b->refs++;
    rc = begin_source(&m->src[0], b, e) < 0 || merge(db, m, e) < 0 ? -1 : 0;
    merging_done(m);
    free(m);
    return rc;
}

int blocks_retain(struct tsdb *db, struct err *e)
{
    struct block *b;
    size_t tier;
    int rc = 0;

    while (rc == 0 && (b = pick_old(db, &tier)) != NULL) {
        if (tier < TIERS) {
            rc = make_tier(db, b, tier, e);
        } else {
            log_info("metrics.retention", "block=%08x", b->number);
            blocks_remove(db, b->number);
        }
        block_unref(b);
    }
    return rc;
}

void blocks_unload_idle(struct tsdb *db)
{
    int64_t before = clock_mono_ms() - IDLE_MS;

    WITH_LOCK(&db->head_lock);
    for (size_t i = 0; i < db->blocks.len; i++) {
        if (db->blocks.p[i]->used_mono_ms < before) {
            block_index_unref(db->blocks.p[i]->index);
            db->blocks.p[i]->index = NULL;
        }
    }
}
