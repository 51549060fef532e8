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
#include <unistd.h>

/* Followers read the log itself: what is committed, late or not, stands there in its order. Kept of
 * each is how far he is, in followers/NAME. Series that leave the head are named in wal/NNNN.gone
 * as long as somebody may read of them in the segments up to NNNN. */

#define WINDOW_BYTES (1 * MIB)
#define SEGMENT_MAX (4 * GIB)

enum { PIECE_SAMPLES = 100000, NAME_MAX_BYTES = 100 };

/* A name of wal/NNNN.gone. */
struct named {
    uint32_t id;
    struct labels labels;
};

struct tsdb_follower {
    struct tsdb *db;
    char *name;
    /* guarded by log */
    struct wal_place at;    /* everything before is taken */
    struct wal_place begun; /* up to here he may have some; segment 0: nothing is begun */
    uint64_t note, lost_bytes;
    /* his thread only */
    struct wal_place read_to;
    uint32_t forgotten; /* when `gone` was read */
    VEC(struct named) gone;
    struct arena texts;
};

static bool is_before(struct wal_place a, struct wal_place b)
{
    return a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset;
}

static void follower_free(struct tsdb_follower *f)
{
    vec_done(&f->gone);
    arena_done(&f->texts);
    free(f->name);
    free(f);
}

void followers_done(struct tsdb *db)
{
    for (size_t i = 0; i < db->followers.len; i++) {
        follower_free(db->followers.p[i]);
    }
    vec_done(&db->followers);
    closep(&db->followers_dir);
}

/* --- on disk: "SEGMENT OFFSET", and "SEGMENT OFFSET NOTE" of the end of what is begun --- */

static int save(const struct tsdb_follower *f, struct wal_place at, struct wal_place begun,
                uint64_t note, struct err *e)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "%u %ju %u %ju %ju\n", at.segment, (uintmax_t)at.offset,
                   begun.segment, (uintmax_t)begun.offset, (uintmax_t)note);
    return fs_write_atomic(f->db->followers_dir, f->name, str_of(text), 0600, e);
}

static int parse(struct tsdb_follower *f, struct str text)
{
    uint64_t v[5];

    text = str_trim(str_first(text, text.len - (text.len > 0)));
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        if (str_to_u64(str_cut(&text, ' '), &v[i]) < 0) {
            return -1;
        }
    }
    if (v[0] == 0 || v[0] > UINT32_MAX || v[2] > UINT32_MAX || text.len > 0) {
        return -1;
    }
    f->at = (struct wal_place){(uint32_t)v[0], v[1]};
    f->begun = (struct wal_place){(uint32_t)v[2], v[3]};
    f->note = v[4];
    if (!is_before(f->at, f->begun)) {
        f->begun = (struct wal_place){0};
    }
    return 0;
}

static void load_one(struct tsdb *db, const char *name)
{
    struct tsdb_follower *f = xnew(struct tsdb_follower);
    struct buf b = BUF_MAX(256);
    struct err e;

    f->db = db;
    f->name = xstrdup(name);
    if (fs_read(db->followers_dir, name, &b, &e) < 0 || parse(f, buf_str(&b)) < 0) {
        log_warn("metrics.follower", "name=%s: where it was cannot be read, it begins anew",
                 Q(str_of(name)));
        follower_free(f);
    } else {
        *vec_push(&db->followers) = f;
    }
    buf_done(&b);
}

/* 0: it is none of wal/NNNN.gone. */
static uint32_t gone_number(const char *name)
{
    char *end;
    unsigned long n = strtoul(name, &end, 16);

    return strlen(name) == 13 && end == name + 8 && strcmp(end, ".gone") == 0 ? (uint32_t)n : 0;
}

/* Reads all files of names, or (out NULL) removes those of segments before `first`. */
static int each_gone(struct tsdb *db, uint32_t first, struct buf *out, struct err *e)
{
    int fd = openat(db->wal.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    int rc = 0;

    if (d == NULL) {
        err_sys(e, "open wal");
        closep(&fd);
        return -1;
    }
    while (rc == 0 && (ent = readdir(d)) != NULL) {
        uint32_t number = gone_number(ent->d_name);

        if (number > 0 && out != NULL) {
            rc = fs_read(db->wal.dir, ent->d_name, out, e);
        } else if (number > 0 && number < first) {
            (void)unlinkat(db->wal.dir, ent->d_name, 0);
        }
    }
    (void)closedir(d);
    return rc;
}

/* Numbers that the log still speaks of are not given to others. */
static int load_gone(struct tsdb *db, struct err *e)
{
    struct buf b = BUF_MAX(SEGMENT_MAX);
    struct label room[LIMIT_SERIES_LABELS];
    struct labels l = {room, 0};
    int rc = each_gone(db, 0, &b, e);
    struct str in = buf_str(&b), body;
    bool passed_over;
    uint32_t id;

    while (rc == 0 && wal_next(&in, WAL_ALL, &body, &passed_over)) {
        if (body.p[0] == WAL_SERIES && wal_get_series(str_from(body, 1), &id, &l) == 0 &&
            id > db->head.last_id) {
            db->head.last_id = id;
        }
    }
    buf_done(&b);
    return rc;
}

int followers_load(struct tsdb *db, struct err *e)
{
    int fd = openat(db->followers_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;

    if (d == NULL) {
        err_sys(e, "open followers");
        closep(&fd);
        return -1;
    }
    while ((ent = readdir(d)) != NULL) {
        size_t len = strlen(ent->d_name);

        if (len > 4 && strcmp(ent->d_name + len - 4, ".tmp") == 0) {
            (void)unlinkat(db->followers_dir, ent->d_name, 0);
        } else if (ent->d_name[0] != '.') {
            load_one(db, ent->d_name);
        }
    }
    (void)closedir(d);
    return load_gone(db, e);
}

int followers_save_gone(struct tsdb *db, struct err *e)
{
    SCOPED(closep) int fd = -1;
    struct buf b;
    char name[16];
    off_t size;

    lock_take(&db->log);
    (void)snprintf(name, sizeof(name), "%08x.gone", db->log_end.segment);
    lock_drop(&db->log);
    lock_take(&db->head_lock);
    b = db->gone;
    lock_drop(&db->head_lock);
    if (b.len == 0) {
        return 0;
    }
    fd = openat(db->wal.dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, "create wal/%s", name);
    }
    size = lseek(fd, 0, SEEK_END);
    if (fs_write_all(fd, buf_str(&b), e) < 0) {
        (void)!ftruncate(fd, size); /* half a record is passed over, too */
        return err_wrap(e, "wal/%s", name);
    }
    if (fsync(fd) < 0) {
        return err_sys(e, "fsync wal/%s", name);
    }
    if (fs_sync_dir(db->wal.dir, ".", e) < 0) {
        return -1;
    }
    lock_take(&db->head_lock); /* only whoever is `working` adds to it */
    buf_done(&db->gone);
    db->gone = BUF_MAX(b.max);
    lock_drop(&db->head_lock);
    return 0;
}

/* --- what is kept for them --- */

uint32_t followers_need(struct tsdb *db, uint32_t first)
{
    WITH_LOCK(&db->log);
    for (size_t i = 0; i < db->followers.len; i++) {
        const struct tsdb_follower *f = db->followers.p[i];

        first = f->at.segment < first ? f->at.segment : first;
    }
    return first;
}

void followers_clamp(struct tsdb *db)
{
    WITH_LOCK(&db->log);
    for (size_t i = 0; i < db->followers.len; i++) {
        struct tsdb_follower *f = db->followers.p[i];

        if (is_before(db->log_end, f->at)) {
            f->at = db->log_end;
        }
        if (is_before(db->log_end, f->begun) || !is_before(f->at, f->begun)) {
            f->begun = (struct wal_place){0};
        }
    }
}

static uint64_t size_of(const struct tsdb *db, uint32_t segment)
{
    struct stat st;
    char name[16];

    (void)snprintf(name, sizeof(name), "%08x", segment);
    return fstatat(db->wal.dir, name, &st, 0) == 0 ? (uint64_t)st.st_size : 0;
}

/* What a follower loses when only segments from `first` on are kept. log held. */
static uint64_t lose(struct tsdb_follower *f, const struct ids *segments, uint32_t first)
{
    uint64_t lost = 0;

    for (size_t i = 0; i < segments->len && segments->p[i] < first; i++) {
        uint64_t size = size_of(f->db, segments->p[i]);
        uint64_t taken = segments->p[i] == f->at.segment ? f->at.offset : 0;

        lost += segments->p[i] < f->at.segment || taken > size ? 0 : size - taken;
    }
    if (f->at.segment < first) {
        f->at = (struct wal_place){first, 0};
    }
    if (!is_before(f->at, f->begun)) {
        f->begun = (struct wal_place){0};
    }
    f->lost_bytes += lost;
    return lost;
}

/* The oldest segment that they may have: of those before `first`, as many as follow_bytes allows.
 */
static uint32_t oldest_kept(const struct tsdb *db, const struct ids *segments, uint32_t first)
{
    uint64_t kept = 0;
    uint32_t oldest = first;

    for (size_t i = segments->len; i > 0; i--) {
        if (segments->p[i - 1] < first) {
            kept += size_of(db, segments->p[i - 1]);
            if (db->o.follow_bytes > 0 && kept > (uint64_t)db->o.follow_bytes) {
                break;
            }
            oldest = segments->p[i - 1];
        }
    }
    return oldest;
}

void followers_trim(struct tsdb *db, uint32_t first)
{
    SCOPED(ids_done) struct ids segments = {0};
    uint64_t lost = 0;
    uint32_t need, oldest;
    struct err e;
    char name[16];

    if (numbered_files(db->wal.dir, &segments, &e) < 0) {
        return; /* they cost room only */
    }
    oldest = oldest_kept(db, &segments, first);
    lock_take(&db->log);
    for (size_t i = 0; i < db->followers.len; i++) {
        lost += lose(db->followers.p[i], &segments, oldest);
    }
    lock_drop(&db->log);
    if (lost > 0) {
        lock_take(&db->head_lock);
        db->status.lost_ms = clock_wall_ms();
        lock_drop(&db->head_lock);
        log_error("metrics.follower", "lost=%ju bytes of the log, who reads it is too far behind",
                  (uintmax_t)lost);
    }
    need = followers_need(db, first);
    for (size_t i = 0; i < segments.len && segments.p[i] < need; i++) {
        (void)snprintf(name, sizeof(name), "%08x", segments.p[i]);
        (void)unlinkat(db->wal.dir, name, 0);
    }
    (void)!each_gone(db, need, NULL, &e);
}

/* --- who follows --- */

/* Other names, other files: what is no letter or digit is written as %XX. */
static char *file_name(struct str name)
{
    struct buf b = BUF_MAX(1024);

    for (size_t i = 0; i < name.len && b.len < NAME_MAX_BYTES; i++) {
        unsigned char c = (unsigned char)name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-';

        (void)buf_printf(&b, plain ? "%c" : "%%%02x", c);
    }
    if (b.len >= NAME_MAX_BYTES) {
        (void)buf_printf(&b, "%%%016jx", (uintmax_t)labels_mix(0, name));
    }
    return buf_take(&b);
}

/* log held */
static struct tsdb_follower *find(struct tsdb *db, const char *name)
{
    for (size_t i = 0; i < db->followers.len; i++) {
        if (strcmp(db->followers.p[i]->name, name) == 0) {
            return db->followers.p[i];
        }
    }
    return NULL;
}

struct tsdb_follower *tsdb_follow(struct tsdb *db, struct str name)
{
    char *file = file_name(name);
    struct tsdb_follower *f;
    bool is_new;
    struct err e;

    lock_take(&db->log);
    f = find(db, file);
    is_new = f == NULL;
    if (!is_new) {
        free(file);
    } else {
        f = xnew(struct tsdb_follower);
        f->db = db;
        f->name = file;
        f->at = db->log_end;
        *vec_push(&db->followers) = f;
    }
    lock_drop(&db->log);
    if (is_new && save(f, f->at, f->begun, f->note, &e) < 0) {
        log_warn("metrics.follower", "error=%s: written down when it has taken something", e.msg);
    }
    return f;
}

struct tsdb_behind tsdb_follow_behind(struct tsdb *db, struct str name)
{
    SCOPED(freep) char *file = file_name(name);
    struct wal_place at = {0}, end = {0};
    const struct tsdb_follower *f;
    struct tsdb_behind b = {0};

    lock_take(&db->log);
    f = find(db, file);
    if (f != NULL) {
        at = f->at;
        end = db->log_end;
        b.lost_bytes = f->lost_bytes;
    }
    lock_drop(&db->log);
    for (uint32_t i = at.segment; f != NULL && i <= end.segment; i++) {
        uint64_t size = i == end.segment ? end.offset : size_of(db, i);

        size -= i == at.segment && at.offset <= size ? at.offset : 0;
        b.waiting_bytes += size;
    }
    return b;
}

void tsdb_follow_only(struct tsdb *db, const struct str *names, size_t n)
{
    VEC(struct tsdb_follower *) others = {0};
    size_t kept = 0;

    lock_take(&db->log);
    for (size_t i = 0; i < db->followers.len; i++) {
        struct tsdb_follower *f = db->followers.p[i];
        bool named = false;

        for (size_t k = 0; k < n && !named; k++) {
            char *file = file_name(names[k]);

            named = strcmp(file, f->name) == 0;
            free(file);
        }
        if (named) {
            db->followers.p[kept++] = f;
        } else {
            *vec_push(&others) = f;
        }
    }
    db->followers.len = kept;
    lock_drop(&db->log);
    for (size_t i = 0; i < others.len; i++) {
        (void)unlinkat(db->followers_dir, others.p[i]->name, 0);
        follower_free(others.p[i]);
    }
    vec_done(&others);
}

/* --- reading --- */

void tsdb_piece_done(struct tsdb_piece *p)
{
    free(p->p);
    *p = (struct tsdb_piece){0};
}

static void take_samples(struct str body, struct tsdb_piece *out)
{
    struct wal_samples r;

    if ((body.p[0] != WAL_SAMPLES && body.p[0] != WAL_LATE) ||
        wal_samples_begin(str_from(body, 1), &r) < 0) {
        return;
    }
    while (wal_samples_next(&r) > 0) {
        if (out->len == out->cap) {
            out->cap = out->cap == 0 ? 1024 : out->cap * 2;
            out->p = xrealloc(out->p, out->cap * sizeof(*out->p));
        }
        out->p[out->len++] = (struct tsdb_followed){r.id, body.p[0] == WAL_LATE, r.ts, r.v};
    }
}

/* Reads what a file has there, up to `most`. */
static int read_window(int fd, uint64_t at, size_t most, struct buf *out, struct err *e)
{
    buf_clear(out);
    if (buf_reserve(out, most) == NULL) {
        return err_set(e, ERR_LIMIT, "a record of the log is too large");
    }
    while (out->len < most) {
        ssize_t n = pread(fd, out->p + out->len, most - out->len, (off_t)(at + out->len));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(e, "read the log");
        }
        if (n == 0) {
            break;
        }
        out->len += (size_t)n;
    }
    return 0;
}

/* Whole records of a segment from *at on, until there are enough samples (`whole`: all of them) or
 * the end is reached. */
static int read_segment(int fd, uint64_t end, bool whole, uint64_t *at, struct tsdb_piece *out,
                        struct err *e)
{
    struct buf window = BUF_MAX(SEGMENT_MAX);
    size_t want = WINDOW_BYTES;
    int rc = 0;

    while (*at < end && (whole || out->len < PIECE_SAMPLES)) {
        size_t most = end - *at < want ? (size_t)(end - *at) : want;
        uint64_t began = *at;
        struct str in, body;
        enum wal_rest rest;
        bool passed_over, any = true;

        rc = read_window(fd, began, most, &window, e);
        if (rc < 0) {
            break;
        }
        in = buf_str(&window);
        rest = window.len == most && began + most < end ? WAL_MORE : WAL_ALL;
        while (any && (whole || out->len < PIECE_SAMPLES)) {
            any = wal_next(&in, rest, &body, &passed_over);
            if (any) {
                take_samples(body, out);
                *at = began + (window.len - in.len);
            }
        }
        if (!any && rest == WAL_ALL) {
            *at = end; /* what is left is no record */
        }
        want = *at == began ? want * 4 : WINDOW_BYTES;
    }
    buf_done(&window);
    return rc;
}

static int open_segment(const struct tsdb *db, uint32_t number, uint64_t *size, struct err *e)
{
    char name[16];
    struct stat st;
    int fd;

    (void)snprintf(name, sizeof(name), "%08x", number);
    fd = openat(db->wal.dir, name, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        *size = (uint64_t)st.st_size;
    } else if (fd < 0 && errno != ENOENT) {
        return err_sys(e, "open wal/%s", name);
    }
    return fd >= 0 ? fd : -2;
}

/* From `at` to `end`, or until it is enough. */
static int read_log(struct tsdb_follower *f, struct wal_place *at, struct wal_place end, bool whole,
                    struct tsdb_piece *out, struct err *e)
{
    while (is_before(*at, end) && (whole || out->len < PIECE_SAMPLES)) {
        uint64_t size = 0;
        SCOPED(closep) int fd = open_segment(f->db, at->segment, &size, e);

        if (fd == -1) {
            return -1;
        }
        if (at->segment == end.segment && end.offset < size) {
            size = end.offset;
        }
        if (fd >= 0 && read_segment(fd, size, whole, &at->offset, out, e) < 0) {
            return -1;
        }
        if (at->offset < size) {
            continue;
        }
        if (at->segment == end.segment) {
            at->offset = end.offset; /* after a loss of power it may be shorter */
        } else {
            *at = (struct wal_place){at->segment + 1, 0};
        }
    }
    return 0;
}

int tsdb_follow_read(struct tsdb_follower *f, struct tsdb_piece *out, struct err *e)
{
    struct wal_place at, end, begun;
    int rc;

    lock_take(&f->db->log);
    at = f->at;
    begun = f->begun;
    end = f->db->log_end;
    out->note = f->note;
    lock_drop(&f->db->log);
    out->len = 0;
    out->again = begun.segment != 0;
    rc = read_log(f, &at, out->again ? begun : end, out->again, out, e);
    f->read_to = out->again ? begun : at;
    out->more = is_before(f->read_to, end);
    if (out->len == 0) { /* names of the past are not asked for any more */
        vec_done(&f->gone);
        arena_done(&f->texts);
    }
    return rc;
}

static int move_to(struct tsdb_follower *f, struct wal_place at, struct wal_place begun,
                   uint64_t note, struct err *e)
{
    lock_take(&f->db->log);
    f->at = is_before(at, f->at) ? f->at : at; /* it may be lost meanwhile */
    f->begun = is_before(f->at, begun) ? begun : (struct wal_place){0};
    f->note = note;
    at = f->at;
    begun = f->begun;
    lock_drop(&f->db->log);
    return save(f, at, begun, note, e);
}

int tsdb_follow_begin(struct tsdb_follower *f, uint64_t note, struct err *e)
{
    return move_to(f, (struct wal_place){0}, f->read_to, note, e);
}

int tsdb_follow_end(struct tsdb_follower *f, struct err *e)
{
    bool moved;

    lock_take(&f->db->log);
    moved = is_before(f->at, f->read_to);
    lock_drop(&f->db->log);
    return moved ? move_to(f, f->read_to, (struct wal_place){0}, 0, e) : 0;
}

/* --- labels --- */

static int by_id(const void *a, const void *b)
{
    uint32_t x = ((const struct named *)a)->id, y = ((const struct named *)b)->id;

    return x < y ? -1 : x > y;
}

static void take_names(struct tsdb_follower *f, struct str in)
{
    struct label room[LIMIT_SERIES_LABELS];
    struct labels l = {room, 0};
    struct str body;
    bool passed_over;
    uint32_t id;

    while (wal_next(&in, WAL_ALL, &body, &passed_over)) {
        if (body.p[0] == WAL_SERIES && wal_get_series(str_from(body, 1), &id, &l) == 0) {
            *vec_push(&f->gone) = (struct named){id, labels_copy(&f->texts, l)};
        }
    }
}

/* What the file has, and what is not yet in it. */
static void read_gone(struct tsdb_follower *f)
{
    struct buf b = BUF_MAX(SEGMENT_MAX);
    struct err e;

    f->gone.len = 0;
    arena_reset(&f->texts);
    lock_take(&f->db->head_lock);
    f->forgotten = f->db->forgotten;
    (void)buf_add(&b, buf_str(&f->db->gone));
    lock_drop(&f->db->head_lock);
    take_names(f, buf_str(&b));
    buf_clear(&b);
    if (each_gone(f->db, 0, &b, &e) < 0) {
        log_warn("metrics.follower", "error=%s: some series have no name", e.msg);
    }
    take_names(f, buf_str(&b));
    buf_done(&b);
    if (f->gone.len > 0) {
        qsort(f->gone.p, f->gone.len, sizeof(*f->gone.p), by_id);
    }
}

int tsdb_follow_labels(struct tsdb_follower *f, uint32_t series, struct arena *a,
                       struct labels *out)
{
    struct tsdb *db = f->db;
    struct named key = {.id = series};
    const struct named *found;

    {
        WITH_LOCK(&db->head_lock);
        const struct series *s = head_series_named(db, series);

        if (s != NULL) {
            *out = labels_copy(a, head_labels(db->head.index, s, a));
            return 1;
        }
    }
    if (f->gone.len == 0 || f->forgotten != db->forgotten) {
        read_gone(f);
    }
    found =
        f->gone.len == 0 ? NULL : bsearch(&key, f->gone.p, f->gone.len, sizeof(*f->gone.p), by_id);
    if (found == NULL) {
        return 0;
    }
    *out = labels_copy(a, found->labels);
    return 1;
}
