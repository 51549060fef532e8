#include "tsdb/checkpoint.h"
#include "tsdb/tsdb_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SEGMENT_MAX (4 * GIB)
#define GONE_MAX (4 * GIB)

enum { DAMAGED_LISTED = 1000 };

double tsdb_stale(void)
{
    uint64_t bits = TSDB_STALE_BITS;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

bool tsdb_is_stale(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits == TSDB_STALE_BITS;
}

/* --- opening --- */

static int open_dir(int at, const char *name, struct err *e)
{
    int fd;

    if (fs_mkdir(at, name, 0700, e) < 0) {
        return -1;
    }
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        err_sys(e, "open %s", name);
    }
    return fd;
}

int numbered_files(int dir, struct ids *out, struct err *e)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;

    if (d == NULL) {
        err_sys(e, "open a directory of metrics");
        closep(&fd);
        return -1;
    }
    while ((ent = readdir(d)) != NULL) {
        char *end;
        unsigned long number = strtoul(ent->d_name, &end, 16);

        if (strlen(ent->d_name) == 8 && *end == '\0' && number > 0) {
            uint32_t id = (uint32_t)number;
            size_t at = out->len;

            ids_add(out, &id, 1);
            for (; at > 0 && out->p[at - 1] > id; at--) {
                out->p[at] = out->p[at - 1];
            }
            out->p[at] = id;
        }
    }
    (void)closedir(d);
    return 0;
}

bool tsdb_set_aside(struct tsdb *db, int at, const char *name)
{
    struct err e;
    char to[128];

    lock_take(&db->head_lock);
    db->status.damaged++;
    lock_drop(&db->head_lock);
    (void)snprintf(to, sizeof(to), "damaged/%.60s.%jd", name, (intmax_t)clock_wall_ms());
    log_error("metrics.damaged", "file=%s kept=%s", name, to);
    if (fs_mkdir(db->dir, "damaged", 0700, &e) < 0 || linkat(at, name, db->dir, to, 0) < 0) {
        log_warn("metrics.damaged", "file=%s: no copy of it is kept", name);
        return false;
    }
    return true;
}

static int take_record(void *ctx, uint8_t type, struct str payload)
{
    struct tsdb *db = ctx;
    size_t pending;
    struct err e;
    int rc;

    lock_take(&db->head_lock);
    rc = apply_record(db, type, payload);
    pending = chunk_files_pending(&db->chunks);
    lock_drop(&db->head_lock);
    if (pending > 8 * MIB && lead_write_chunks(db, 0, &e) < 0) {
        log_warn("metrics.replay", "error=%s: kept in memory", e.msg);
    }
    return rc;
}

static int replay_segment(struct tsdb *db, uint32_t number, struct err *e)
{
    struct buf bytes = BUF_MAX(SEGMENT_MAX);
    struct wal_found found = {0};
    SCOPED(closep) int fd = -1;
    char name[16];
    int rc;

    (void)snprintf(name, sizeof(name), "%08x", number);
    fd = openat(db->wal.dir, name, O_RDONLY | O_CLOEXEC);
    rc = fd < 0 ? err_sys(e, "open wal/%s", name) : fs_read_fd(fd, name, &bytes, e);
    if (rc == 0) {
        (void)wal_replay(buf_str(&bytes), take_record, db, &found);
        if (fdatasync(fd) < 0) { /* a kill came before; who sends it again asks for it */
            db->lost_segment = number;
        }
    }
    buf_done(&bytes);
    if (found.damaged > 0) {
        (void)tsdb_set_aside(db, db->wal.dir, name);
    }
    db->status.torn += found.torn;
    return rc;
}

/* What was logged after the checkpoint. Segments before are of followers, or what a kill left of
 * its end. */
static int replay(struct tsdb *db, uint32_t first, struct err *e)
{
    SCOPED(ids_done) struct ids segments = {0};
    char name[16];

    if (numbered_files(db->wal.dir, &segments, e) < 0) {
        return -1;
    }
    db->wal.segment = first > 0 ? first - 1 : 0; /* a number never comes twice */
    db->first_segment = first;
    for (size_t i = 0; i < segments.len; i++) {
        if (segments.p[i] < first) {
            (void)snprintf(name, sizeof(name), "%08x", segments.p[i]);
            if (segments.p[i] < followers_need(db, first)) {
                (void)unlinkat(db->wal.dir, name, 0);
            }
            continue;
        }
        if (replay_segment(db, segments.p[i], e) < 0) {
            return -1;
        }
        db->wal.segment = segments.p[i];
    }
    return 0;
}

static int keep_head_file(struct tsdb *db, uint32_t number, struct err *e)
{
    struct chunk_file *f = chunk_file_open(db->chunks.dir, number, e);

    if (f == NULL) {
        return -1;
    }
    chunk_file_note_times(f);
    chunk_files_push(&db->chunks, f);
    return 0;
}

/* Files of the head that no checkpoint knows: the log makes them again. But when a part of the
 * checkpoint is damaged, that may be the one which named them. */
static int forget_head_files(struct tsdb *db, uint32_t *last, struct err *e)
{
    SCOPED(ids_done) struct ids files = {0};
    char name[16];

    if (numbered_files(db->chunks.dir, &files, e) < 0) {
        return -1;
    }
    *last = 0;
    for (size_t i = 0; i < files.len; i++) {
        bool known = false;

        for (size_t k = 0; k < db->chunks.files.len; k++) {
            known = known || db->chunks.files.p[k]->number == files.p[i];
        }
        *last = files.p[i];
        (void)snprintf(name, sizeof(name), "%08x", files.p[i]);
        if (!known && db->checkpoint_damaged) {
            if (keep_head_file(db, files.p[i], e) < 0) {
                return -1;
            }
        } else if (!known && unlinkat(db->chunks.dir, name, 0) < 0 && errno != ENOENT) {
            return err_sys(e, "remove head/%s", name);
        }
    }
    return 0;
}

static int load(struct tsdb *db, struct err *e)
{
    struct chunk_file *f;
    uint32_t first_segment, last_file;

    if (checkpoint_load(db, &first_segment, e) < 0 || blocks_load(db, e) < 0 ||
        followers_load(db, e) < 0 || forget_head_files(db, &last_file, e) < 0) {
        return -1;
    }
    f = chunk_files_next(&db->chunks, last_file, e);
    if (f == NULL) {
        return -1;
    }
    chunk_files_push(&db->chunks, f);
    if (replay(db, first_segment, e) < 0) {
        return -1;
    }
    db->log_end = wal_end_place(&db->wal);
    followers_clamp(db);
    return 0;
}

/* --- the thread that keeps it in order --- */

static void sync_soon(struct tsdb *db)
{
    struct err e;
    uint64_t written;

    lock_take(&db->log);
    while (db->leading) {
        lock_wait(&db->log);
    }
    written = db->wal.written;
    lock_drop(&db->log);
    if (log_sync(db, written, &e) < 0) {
        log_error("metrics.sync", "error=%s", e.msg);
    }
}

/* So that a start has few samples to read: how many may be logged between two checkpoints. */
enum { LOGGED_MAX = 2000000 };

/* What fails (the disk is full) is not tried again at once: it is much work. */
enum { RETRY_MS = 15000 };

static void complain(struct tsdb *db, const char *what, const struct err *e)
{
    log_error("metrics.store", "failed=%s error=%s", what, e->msg);
    db->retry_mono_ms = clock_mono_ms() + RETRY_MS;
}

static void checkpoint_when_due(struct tsdb *db)
{
    struct err e;
    bool due;

    lead_begin(db);
    due = db->wal.samples >= LOGGED_MAX;
    lead_end(db);
    lock_take(&db->log);
    due = due || db->lost_segment > 0;
    lock_drop(&db->log);
    if (due && checkpoint_write(db, &e) < 0) {
        complain(db, "checkpoint", &e);
    }
}

/* Blocks are cut, merged and dropped as long as there is something to do. */
static void tidy(struct tsdb *db)
{
    bool any = true;
    struct err e;

    checkpoint_when_due(db);
    if (head_cut_when_due(db, &any, &e) < 0) {
        complain(db, "cut", &e);
    }
    any = true;
    while (any) {
        if (blocks_compact(db, &any, &e) < 0) {
            complain(db, "merge", &e);
            any = false;
        }
    }
}

/* The last of the disk is for others: the database of the server lies there, too. */
static void look_at_room(struct tsdb *db)
{
    struct fs_room room;
    struct err e;

    if (fs_room(db->dir, LIMIT_DISK_RESERVE_BYTES / 4, &room, &e) == 0) {
        db->no_room = room.bytes == 0 || room.files == 0;
    }
}

static void work(struct tsdb *db)
{
    struct err e;

    work_begin(db);
    look_at_room(db);
    if (clock_mono_ms() >= db->retry_mono_ms) {
        if (blocks_retain(db, &e) < 0) { /* first: it makes room */
            complain(db, "retention", &e);
        }
        tidy(db);
    }
    blocks_unload_idle(db);
    head_drop_texts(db);
    work_end(db);
}

/* log held */
static bool is_checkpoint_due(const struct tsdb *db)
{
    return (db->logged >= LOGGED_MAX || db->lost_segment > 0) &&
           clock_mono_ms() >= db->retry_mono_ms;
}

static void *keep(void *ctx)
{
    struct tsdb *db = ctx;
    int64_t next;

    for (;;) {
        bool stopping;

        next = clock_mono_ms() + 1000;
        lock_take(&db->log);
        while (!db->stopping && clock_mono_ms() < next && !is_checkpoint_due(db)) {
            (void)lock_wait_until(&db->log, next);
        }
        stopping = db->stopping;
        lock_drop(&db->log);
        if (stopping) {
            return NULL;
        }
        sync_soon(db);
        work(db);
    }
}

static void stop_keeper(struct tsdb *db)
{
    lock_take(&db->log);
    db->stopping = true;
    lock_broadcast(&db->log);
    lock_drop(&db->log);
    if (db->has_keeper) {
        (void)pthread_join(db->keeper, NULL);
    }
}

static void free_all(struct tsdb *db)
{
    head_done(db);
    for (size_t i = 0; i < db->blocks.len; i++) {
        block_unref(db->blocks.p[i]);
    }
    vec_done(&db->blocks);
    closep(&db->blocks_dir);
    chunk_files_done(&db->chunks);
    wal_done(&db->wal);
    vec_done(&db->retired);
    vec_done(&db->undo);
    vec_done(&db->deleted);
    vec_done(&db->aliases);
    buf_done(&db->gone);
    followers_done(db);
    lock_done(&db->log);
    lock_done(&db->head_lock);
    closep(&db->dir);
    free(db);
}

static int open_dirs(struct tsdb *db, const char *dir, struct err *e)
{
    int wal, head;

    db->dir = open_dir(AT_FDCWD, dir, e);
    if (db->dir < 0) {
        return -1;
    }
    if (flock(db->dir, LOCK_EX | LOCK_NB) < 0) {
        return err_set(e, ERR_CONFLICT, "%s is in use by another process", dir);
    }
    wal = open_dir(db->dir, "wal", e);
    if (wal < 0) {
        return -1;
    }
    wal_init(&db->wal, wal, 0);
    head = open_dir(db->dir, "head", e);
    if (head < 0) {
        return -1;
    }
    chunk_files_init(&db->chunks, head);
    db->blocks_dir = open_dir(db->dir, "blocks", e);
    if (db->blocks_dir < 0) {
        return -1;
    }
    db->followers_dir = open_dir(db->dir, "followers", e);
    if (db->followers_dir < 0) {
        return -1;
    }
    return fs_sync_dir(db->dir, ".", e);
}

struct tsdb *tsdb_open(const char *dir, const struct tsdb_options *o, struct err *e)
{
    struct tsdb *db = xnew(struct tsdb);

    db->o = *o;
    db->dir = -1;
    db->chunks.dir = db->blocks_dir = db->followers_dir = -1;
    db->gone = BUF_MAX(GONE_MAX);
    wal_init(&db->wal, -1, 0);
    lock_init(&db->log, LOCK_tsdb_log);
    lock_init(&db->head_lock, LOCK_tsdb_head);
    list_init(&db->users);
    list_init(&db->waiting);
    head_init(&db->head);
    if (open_dirs(db, dir, e) < 0 || load(db, e) < 0) {
        err_wrap(e, "the metrics in %s", dir);
        free_all(db);
        return NULL;
    }
    if (pthread_create(&db->keeper, NULL, keep, db) != 0) {
        err_set(e, ERR_UNAVAILABLE, "no thread for the metrics");
        free_all(db);
        return NULL;
    }
    db->has_keeper = true;
    return db;
}

void tsdb_close(struct tsdb *db)
{
    struct err e;

    if (db == NULL) {
        return;
    }
    stop_keeper(db);
    sync_soon(db);
    if (checkpoint_write(db, &e) < 0) {
        complain(db, "checkpoint", &e);
    }
    free_all(db);
}

int tsdb_damaged_files(struct tsdb *db, struct arena *a, struct str **out, size_t *len,
                       struct err *e)
{
    int fd = openat(db->dir, "damaged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    VEC(struct str) names = {0};
    struct dirent *ent;

    *out = NULL;
    *len = 0;
    if (d == NULL) {
        int why = errno;

        closep(&fd);
        errno = why;
        return why == ENOENT ? 0 : err_sys(e, "open damaged");
    }
    while ((ent = readdir(d)) != NULL && names.len < DAMAGED_LISTED) {
        if (ent->d_name[0] != '.') {
            *vec_push(&names) = arena_str(a, str_of(ent->d_name));
        }
    }
    (void)closedir(d);
    *len = names.len;
    *out = arena_new_array(a, struct str, names.len + 1);
    if (names.len > 0) {
        memcpy(*out, names.p, names.len * sizeof(names.p[0]));
    }
    vec_done(&names);
    return 0;
}

void tsdb_status(struct tsdb *db, struct tsdb_status *out)
{
    WITH_LOCK(&db->head_lock);
    *out = db->status;
    out->series = db->head.n_series;
    out->full_since_ms = out->series < db->o.max_series ? 0 : out->full_since_ms;
    out->chunks = db->chunks.n + db->head.n_series;
    out->blocks = db->blocks.len;
    for (size_t i = 0; i < db->blocks.len; i++) {
        out->block_bytes += db->blocks.p[i]->bytes;
        out->block_samples += db->blocks.p[i]->meta.n_samples;
    }
    out->min_ms = db->head.min_ts;
    out->max_ms = db->head.max_ts;
    out->floor_ms = db->head.floor;
}
