#include "tsdb/tsdb_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "tsdb/bytes.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- records --- */

/* A sample: [step of the number of its series : 4 | bytes of the value : 4], then what did not fit.
 * The value without the zero bytes at its end: whole numbers take two or three. */
enum { STEP_FAR = 0, STEP_TIMED = 15 };

static char *put_varint(char *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *to++ = (char)(v | 0x80);
    }
    *to++ = (char)v;
    return to;
}

enum { SAMPLE_MAX = 1 + 10 + 10 + 8 };

/* Behind what it wrote. */
static char *put_sample(const struct sample *x, int64_t base, uint32_t before, char *to)
{
    uint64_t bits;
    int64_t step = (int64_t)x->id - before;
    int bytes;
    int code = x->ts != base ? STEP_TIMED : step > 0 && step < STEP_TIMED ? (int)step : STEP_FAR;

    memcpy(&bits, &x->v, sizeof(bits));
    bytes = bits == 0 ? 0 : 8 - __builtin_ctzll(bits) / 8;
    *to++ = (char)(code << 4 | bytes);
    if (code == STEP_FAR || code == STEP_TIMED) {
        to = put_varint(to, bytes_zigzag(step));
        if (code == STEP_TIMED) {
            to = put_varint(to, bytes_zigzag((int64_t)((uint64_t)x->ts - (uint64_t)base)));
        }
    }
    bits = __builtin_bswap64(bits);
    memcpy(to, &bits, sizeof(bits));
    return to + bytes;
}

static void put_samples(uint8_t type, const struct sample *p, size_t n, struct buf *out)
{
    uint32_t before = 0;
    size_t begun;

    if (n == 0) {
        return;
    }
    begun = wal_begin(out, type);
    column_put_varint(bytes_zigzag(p[0].ts), out);
    for (size_t i = 0; i < n; i++) {
        char *to = out->p + out->len;

        if (out->cap - out->len <= SAMPLE_MAX) {
            to = buf_reserve(out, SAMPLE_MAX);
        }
        if (to == NULL) {
            return; /* the buffer says that it failed */
        }
        out->len = (size_t)(put_sample(&p[i], p[0].ts, before, to) - out->p);
        before = p[i].id;
    }
    wal_end(out, begun);
}

static int get_sample(struct str *in, int64_t base, uint32_t *id, int64_t *ts, double *v)
{
    unsigned head = (unsigned char)in->p[0], code = head >> 4, bytes = head & 15;
    uint64_t step = code, late = 0, bits = 0;

    *in = str_from(*in, 1);
    if (code == STEP_FAR || code == STEP_TIMED) {
        if (column_get_varint(in, &step) < 0) {
            return -1;
        }
        step = (uint64_t)bytes_unzigzag(step);
    }
    if (code == STEP_TIMED && column_get_varint(in, &late) < 0) {
        return -1;
    }
    if (bytes > 8 || in->len < bytes) {
        return -1;
    }
    memcpy(&bits, in->p, bytes);
    bits = __builtin_bswap64(bits);
    memcpy(v, &bits, sizeof(*v));
    *in = str_from(*in, bytes);
    *id = (uint32_t)(*id + step);
    *ts = (int64_t)((uint64_t)base + (uint64_t)bytes_unzigzag(late));
    return 0;
}

void wal_put_series(const struct tsdb *db, const struct series *s, struct buf *out)
{
    size_t begun = wal_begin(out, WAL_SERIES);

    column_put_varint(s->id, out);
    column_put_varint(s->n_pairs, out);
    for (size_t i = 0; i < s->n_pairs; i++) {
        const struct pair *p = index_at(db->head.index, s->pairs[i]);

        bytes_put_text(p->name, out);
        bytes_put_text(p->value, out);
    }
    wal_end(out, begun);
}

/* --- replay --- */

int wal_get_series(struct str in, uint32_t *id, struct labels *l)
{
    uint32_t n;

    if (bytes_get_u32v(&in, id) < 0 || *id == 0 || *id > UINT32_MAX / 2 ||
        bytes_get_u32v(&in, &n) < 0 || n > LIMIT_SERIES_LABELS) {
        return -1;
    }
    for (l->len = 0; l->len < n; l->len++) {
        if (bytes_get_text(&in, &l->p[l->len].name) < 0 ||
            bytes_get_text(&in, &l->p[l->len].value) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Where the number stands among the aliases, or belongs. */
static size_t alias_place(const struct tsdb *db, uint32_t id)
{
    size_t from = 0, to = db->aliases.len;

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (db->aliases.p[mid].id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

/* Numbers come in order, or nearly so. */
static void note_alias(struct tsdb *db, struct alias a)
{
    size_t at = alias_place(db, a.id), n = db->aliases.len;

    if (at == n || db->aliases.p[at].id != a.id) {
        (void)vec_push(&db->aliases);
        memmove(db->aliases.p + at + 1, db->aliases.p + at, (n - at) * sizeof(a));
    }
    db->aliases.p[at] = a;
}

static int replay_series(struct tsdb *db, struct str in)
{
    struct label room[LIMIT_SERIES_LABELS];
    struct labels l = {room, 0};
    struct series *s;
    uint64_t hash;
    uint32_t id;
    size_t begun;

    if (wal_get_series(in, &id, &l) < 0) {
        return -1;
    }
    hash = labels_hash(l);
    s = head_find(db, l, hash);
    if (head_series(db, id) != NULL) {
        return 0; /* the checkpoint has it */
    }
    if (s != NULL) { /* it was forgotten and came again before a checkpoint said so */
        note_alias(db, (struct alias){id, s->id});
        db->head.last_id = id > db->head.last_id ? id : db->head.last_id;
        if (db->followers.len > 0) { /* no checkpoint has the number, and they may read of it */
            begun = wal_begin(&db->gone, WAL_SERIES);
            (void)buf_add(&db->gone, in);
            wal_end(&db->gone, begun);
        }
        return 0;
    }
    s = head_add(db, id, l, hash);
    s->logged = true;
    return 0;
}

int wal_samples_begin(struct str payload, struct wal_samples *out)
{
    *out = (struct wal_samples){.in = payload};
    return bytes_get_signed(&out->in, &out->base);
}

int wal_samples_next(struct wal_samples *r)
{
    if (r->in.len == 0) {
        return 0;
    }
    return get_sample(&r->in, r->base, &r->id, &r->ts, &r->v) < 0 ? -1 : 1;
}

struct series *head_series_named(struct tsdb *db, uint32_t id)
{
    struct series *s = head_series(db, id);
    size_t at = s == NULL ? alias_place(db, id) : db->aliases.len;

    return at < db->aliases.len && db->aliases.p[at].id == id
               ? head_series(db, db->aliases.p[at].is)
               : s;
}

static int replay_samples(struct tsdb *db, struct str in, bool late)
{
    struct wal_samples r;
    int rc;

    if (wal_samples_begin(in, &r) < 0) {
        return -1;
    }
    db->head.seq++;
    while ((rc = wal_samples_next(&r)) > 0) {
        struct series *s = head_series_named(db, r.id);

        if (s == NULL) {
            db->status.samples_lost++;
        } else {
            (void)(late ? head_append_late : head_append)(db, s, r.ts, r.v);
        }
    }
    return rc;
}

static int replay_deleted(struct tsdb *db, struct str in)
{
    struct deleted_range d;
    struct series *s;

    while (in.len > 0) {
        if (deleted_get(&in, &d.id, &d.from, &d.to) < 0) {
            return -1;
        }
        s = head_series_named(db, d.id);
        if (s != NULL) {
            d.id = s->id;
            series_note_deleted(s, d.from, d.to);
        }
        *vec_push(&db->deleted) = d;
    }
    return 0;
}

int apply_record(struct tsdb *db, uint8_t type, struct str payload)
{
    switch (type) {
    case WAL_SERIES:
        return replay_series(db, payload);
    case WAL_SAMPLES:
        return replay_samples(db, payload, false);
    case WAL_LATE:
        return replay_samples(db, payload, true);
    case WAL_DELETED:
        return replay_deleted(db, payload);
    default:
        return -1;
    }
}

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
    put_samples(WAL_SAMPLES, a->samples.p, a->samples.len, &a->record);
    put_samples(WAL_LATE, a->late.p, a->late.len, &a->record);
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
