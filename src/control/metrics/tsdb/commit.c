#include "tsdb/tsdb_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* --- who leads --- */

static void take_lead(struct tsdb *db)
{
    db->leading = true;
    db->wal.broken =
        db->wal.broken || (db->lost_segment > 0 && db->lost_segment == db->wal.segment);
}

/* log held */
static void drop_lead(struct tsdb *db)
{
    db->leading = false;
    db->logged = db->wal.samples;
    db->log_end = wal_end_place(&db->wal);
    lock_broadcast(&db->log);
}

void lead_begin(struct tsdb *db)
{
    WITH_LOCK(&db->log);
    while (db->leading) {
        lock_wait(&db->log);
    }
    take_lead(db);
}

void lead_end(struct tsdb *db)
{
    WITH_LOCK(&db->log);
    drop_lead(db);
}

/* A sync that failed: the kernel may have dropped what it was for, and the next one says nothing of
 * it. The segment is left; until a checkpoint has all of it again, nothing new is durable: samples
 * in later segments may be of series that this one named. log held. */
static void note_lost(struct tsdb *db, uint32_t segment)
{
    db->lost_segment = segment > db->lost_segment ? segment : db->lost_segment;
}

void log_is_safe(struct tsdb *db, uint64_t position, uint32_t segment)
{
    WITH_LOCK(&db->log);
    db->synced = position > db->synced ? position : db->synced;
    db->lost_segment = db->lost_segment < segment ? 0 : db->lost_segment;
    lock_broadcast(&db->log);
}

static int not_durable(struct err *e)
{
    return err_set(e, ERR_IO, "the log of the metrics could not be written to the disk");
}

/* Makes durable what is in the log up to `position`: one fsync for all who wait. */
int log_sync(struct tsdb *db, uint64_t position, struct err *e)
{
    WITH_LOCK(&db->log);
    while (db->synced < position && db->lost_segment == 0) {
        uint64_t target;
        uint32_t segment;
        int fd, rc;

        if (db->syncing || db->leading) {
            lock_wait(&db->log);
            continue;
        }
        target = db->wal.written;
        segment = db->wal.segment;
        fd = fcntl(db->wal.fd, F_DUPFD_CLOEXEC, 3); /* the leader may begin the next segment */
        db->syncing = true;
        lock_drop(&db->log);
        rc = fd < 0 ? -1 : fdatasync(fd);
        closep(&fd);
        lock_take(&db->log);
        db->syncing = false;
        if (rc < 0) {
            note_lost(db, segment);
        } else if (target > db->synced) {
            db->synced = target;
        }
        lock_broadcast(&db->log);
    }
    return db->synced < position ? not_durable(e) : 0;
}

/* A failed sync is told once to all who share the file: nobody else may be told of this one. */
int lead_rotate(struct tsdb *db, struct err *e)
{
    uint32_t segment = db->wal.segment;
    bool lost;
    int rc;

    lock_take(&db->log);
    while (db->syncing) {
        lock_wait(&db->log);
    }
    lock_drop(&db->log);
    rc = wal_rotate(&db->wal, &lost, e);
    if (lost) {
        WITH_LOCK(&db->log);
        note_lost(db, segment);
    }
    return rc;
}

int lead_write_log(struct tsdb *db, struct str records, struct err *e)
{
    if (wal_is_over(&db->wal) && lead_rotate(db, e) < 0) {
        return -1;
    }
    return wal_write(&db->wal, records, e);
}

/* --- the leader's work --- */

int lead_write_chunks(struct tsdb *db, size_t at_least, struct err *e)
{
    struct chunk_file *next;
    bool any;

    lock_take(&db->head_lock);
    any = chunk_files_write_begin(&db->chunks, at_least);
    lock_drop(&db->head_lock);
    if (!any) {
        return 0;
    }
    if (chunk_files_write(&db->chunks, e) < 0) {
        return -1;
    }
    lock_take(&db->head_lock);
    chunk_files_write_end(&db->chunks);
    any = db->chunks.filling_at > 64 * MIB && db->chunks.filling.len == 0;
    lock_drop(&db->head_lock);
    if (!any) {
        return 0;
    }
    next = chunk_files_next(&db->chunks, db->chunks.files.p[db->chunks.files.len - 1]->number, e);
    if (next == NULL) {
        return -1;
    }
    lock_take(&db->head_lock);
    chunk_files_push(&db->chunks, next);
    lock_drop(&db->head_lock);
    return 0;
}

/* The series of a batch lie far apart in memory, and so does what they hold: all of it is asked for
 * before it is needed. */
static void fetch_ahead(const struct sample *p, size_t i, size_t n)
{
    enum { SERIES_AHEAD = 18, RUN_AHEAD = 12, PLACE_AHEAD = 6 };

    if (i + SERIES_AHEAD < n) {
        const char *s = (const char *)p[i + SERIES_AHEAD].s;

        __builtin_prefetch(s, 1);
        __builtin_prefetch(s + 64, 1);
        run_fetch(&p[i + RUN_AHEAD].s->run);
        run_fetch_place(&p[i + PLACE_AHEAD].s->run);
    }
}

static void apply(struct tsdb *db, struct tsdb_appender *a)
{
    size_t taken = 0;

    WITH_LOCK(&db->head_lock);
    db->head.seq++;
    for (size_t i = 0; i < a->samples.len; i++) {
        const struct sample *x = &a->samples.p[i];

        fetch_ahead(a->samples.p, i, a->samples.len);
        taken += head_append(db, x->s, x->ts, x->v);
    }
    for (size_t i = 0; i < a->late.len; i++) {
        const struct sample *x = &a->late.p[i];

        taken += head_append_late(db, x->s, x->ts, x->v);
    }
    db->status.samples_appended += taken;
}

static int write_fresh(struct tsdb *db, struct tsdb_appender *a, struct err *e)
{
    struct buf b = BUF_MAX(RECORD_MAX);
    int rc;

    if (a->fresh.len == 0) {
        return 0;
    }
    lock_take(&db->head_lock);
    for (size_t i = 0; i < a->fresh.len; i++) {
        if (!a->fresh.p[i]->logged) {
            wal_put_series(db, a->fresh.p[i], &b);
        }
    }
    lock_drop(&db->head_lock);
    rc = b.len == 0 ? 0 : lead_write_log(db, buf_str(&b), e);
    lock_take(&db->head_lock);
    for (size_t i = 0; rc == 0 && i < a->fresh.len; i++) {
        a->fresh.p[i]->logged = true;
    }
    lock_drop(&db->head_lock);
    buf_done(&b);
    return rc;
}

static int pause_or_go_on(struct tsdb *db, int rc, const struct err *e)
{
    int64_t now = clock_wall_ms(), since;

    lock_take(&db->head_lock);
    since = db->status.paused_since_ms;
    db->status.paused_since_ms = rc == 0 ? 0 : since != 0 ? since : now;
    if (rc < 0) {
        (void)snprintf(db->status.paused_why, sizeof(db->status.paused_why), "%s", e->msg);
    }
    lock_drop(&db->head_lock);
    if (rc < 0 && since == 0) {
        log_error("metrics.paused", "error=%s", e->msg);
    } else if (rc == 0 && since != 0) {
        log_info("metrics.resumed", "seconds=%jd", (intmax_t)(now - since) / 1000);
    }
    return rc;
}

static void encode(struct tsdb_appender *a)
{
    buf_clear(&a->record);
    wal_put_samples(WAL_SAMPLES, a->samples.p, a->samples.len, &a->record);
    wal_put_samples(WAL_LATE, a->late.p, a->late.len, &a->record);
}

/* Series that were forgotten while the batch was made are made again. */
static void revive(struct tsdb *db, struct tsdb_appender *a, struct sample *p, size_t n)
{
    struct arena room = {0};

    for (size_t i = 0; i < n; i++) {
        struct series *s = p[i].s;
        struct labels l;

        if (!s->gone) {
            continue;
        }
        arena_reset(&room);
        l = head_labels(db->head.index, s, &room);
        p[i].s = head_find(db, l, s->hash);
        if (p[i].s == NULL) {
            p[i].s = head_add(db, db->head.last_id + 1, l, s->hash);
            *vec_push(&a->fresh) = p[i].s;
        }
        p[i].id = p[i].s->id;
    }
    arena_done(&room);
}

static void revive_all(struct tsdb *db, struct tsdb_appender *a)
{
    if (a->forgotten == db->forgotten) {
        return;
    }
    a->forgotten = db->forgotten;
    lock_take(&db->head_lock);
    revive(db, a, a->samples.p, a->samples.len);
    revive(db, a, a->late.p, a->late.len);
    for (size_t i = 0, kept = 0; i <= a->fresh.len; i++) {
        if (i == a->fresh.len) {
            a->fresh.len = kept;
        } else if (!a->fresh.p[i]->gone) {
            a->fresh.p[kept++] = a->fresh.p[i];
        }
    }
    lock_drop(&db->head_lock);
    encode(a);
}

static int commit_one(struct tsdb *db, struct tsdb_appender *a, struct err *e)
{
    if (db->no_room) {
        return err_set(
            e, ERR_NO_SPACE,
            "the disk of the metrics is full: No space left on device; make room, and it "
            "goes on by itself");
    }
    revive_all(db, a);
    if (batch_order(a)) {
        encode(a);
    }
    if (chunk_files_pending(&db->chunks) > 16 * MIB && lead_write_chunks(db, 0, e) < 0) {
        return -1; /* the disk is full: no more into memory */
    }
    if (write_fresh(db, a, e) < 0 || lead_write_log(db, buf_str(&a->record), e) < 0) {
        return -1;
    }
    db->wal.samples += a->samples.len + a->late.len;
    a->end = db->wal.written;
    apply(db, a);
    return 0;
}

static void lead(struct tsdb *db, struct list *batches)
{
    struct err e;

    list_each(l, batches)
    {
        struct tsdb_appender *a = list_entry(l, struct tsdb_appender, link);

        a->rc = pause_or_go_on(db, commit_one(db, a, &a->err), &a->err);
    }
    if (lead_write_chunks(db, 256 * KIB, &e) < 0) {
        return; /* tried again at the next commit, which fails when too much waits */
    }
}

static void join_or_lead(struct tsdb *db, struct tsdb_appender *a)
{
    struct list mine;

    WITH_LOCK(&db->log);
    a->done = false;
    list_append(&db->waiting, &a->link);
    while (!a->done && db->leading) {
        lock_wait(&db->log);
    }
    if (a->done) {
        return;
    }
    take_lead(db);
    list_init(&mine);
    list_each(l, &db->waiting)
    {
        list_remove(l);
        list_append(&mine, l);
    }
    lock_drop(&db->log);
    lead(db, &mine);
    lock_take(&db->log);
    list_each(l, &mine)
    {
        list_remove(l);
        list_entry(l, struct tsdb_appender, link)->done = true;
    }
    drop_lead(db);
}

/* Makes all durable that was committed before, also before the start. */
static int sync_all(struct tsdb *db, struct err *e)
{
    uint64_t all;
    bool lost;

    lock_take(&db->log);
    while (db->leading) {
        lock_wait(&db->log);
    }
    all = db->wal.written;
    lost = db->lost_segment > 0;
    lock_drop(&db->log);
    return lost ? not_durable(e) : log_sync(db, all, e);
}

int tsdb_commit(struct tsdb_appender *a, enum tsdb_durability d, struct err *e)
{
    struct tsdb *db = a->db;
    bool repeats = a->repeats;

    encode(a);
    if (a->record.failed) {
        return err_set(e, ERR_LIMIT, "a batch of samples is larger than 1 GiB");
    }
    if (a->record.len > 0) {
        join_or_lead(db, a);
        if (a->rc < 0) {
            *e = a->err;
            return -1;
        }
    }
    batch_begin(a);
    if (d != TSDB_DURABLE) {
        return 0;
    }
    return repeats ? sync_all(db, e) : log_sync(db, a->end, e);
}
