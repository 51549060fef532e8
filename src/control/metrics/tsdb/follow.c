#include "tsdb/follow.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Followers read the log itself: what is committed, late or not, stands there in its order. Kept of
 * each is how far he is, in followers/NAME. */

enum { NAME_MAX_BYTES = 100 };

static void follower_free(struct tsdb_follower *f)
{
    gone_forget(f);
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
    if (!wal_is_before(f->at, f->begun)) {
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
    return gone_load(db, e);
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

        if (wal_is_before(db->log_end, f->at)) {
            f->at = db->log_end;
        }
        if (wal_is_before(db->log_end, f->begun) || !wal_is_before(f->at, f->begun)) {
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

/* A segment of the log as it was found on the disk. */
struct found {
    uint32_t number;
    uint64_t size;
};

/* What a follower loses when only segments from `first` on are kept. log held. */
static uint64_t lose(struct tsdb_follower *f, const struct found *segments, size_t n,
                     uint32_t first)
{
    uint64_t lost = 0;

    for (size_t i = 0; i < n && segments[i].number < first; i++) {
        uint64_t size = segments[i].size;
        uint64_t taken = segments[i].number == f->at.segment ? f->at.offset : 0;

        lost += segments[i].number < f->at.segment || taken > size ? 0 : size - taken;
    }
    if (f->at.segment < first) {
        f->at = (struct wal_place){first, 0};
    }
    if (!wal_is_before(f->at, f->begun)) {
        f->begun = (struct wal_place){0};
    }
    f->lost_bytes += lost;
    return lost;
}

/* The oldest segment that they may have: of those before `first`, as many as follow_bytes allows.
 */
static uint32_t oldest_kept(const struct tsdb *db, const struct found *segments, size_t n,
                            uint32_t first)
{
    uint64_t kept = 0;
    uint32_t oldest = first;

    for (size_t i = n; i > 0; i--) {
        kept += segments[i - 1].size;
        if (db->o.follow_bytes > 0 && kept > (uint64_t)db->o.follow_bytes) {
            break;
        }
        oldest = segments[i - 1].number;
    }
    return oldest;
}

/* Those before `first` that are not needed to start, but may be by somebody; ascending. */
static int find_segments(struct tsdb *db, uint32_t first, struct found **out, size_t *n,
                         struct err *e)
{
    SCOPED(ids_done) struct ids numbers = {0};

    if (numbered_files(db->wal.dir, &numbers, e) < 0) {
        return -1;
    }
    *out = xnew_array(struct found, numbers.len + 1);
    for (*n = 0; *n < numbers.len && numbers.p[*n] < first; (*n)++) {
        (*out)[*n] = (struct found){numbers.p[*n], size_of(db, numbers.p[*n])};
    }
    return 0;
}

void followers_trim(struct tsdb *db, uint32_t first)
{
    struct found *segments;
    uint64_t lost = 0;
    uint32_t need, oldest;
    struct err e;
    size_t n;
    char name[16];

    if (find_segments(db, first, &segments, &n, &e) < 0) {
        return; /* they cost room only */
    }
    oldest = oldest_kept(db, segments, n, first);
    lock_take(&db->log);
    for (size_t i = 0; i < db->followers.len; i++) {
        lost += lose(db->followers.p[i], segments, n, oldest);
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
    for (size_t i = 0; i < n && segments[i].number < need; i++) {
        (void)snprintf(name, sizeof(name), "%08x", segments[i].number);
        (void)unlinkat(db->wal.dir, name, 0);
    }
    free(segments);
    gone_trim(db, need);
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

/* --- how far he is --- */

static int move_to(struct tsdb_follower *f, struct wal_place at, struct wal_place begun,
                   uint64_t note, struct err *e)
{
    lock_take(&f->db->log);
    f->at = wal_is_before(at, f->at) ? f->at : at; /* it may be lost meanwhile */
    f->begun = wal_is_before(f->at, begun) ? begun : (struct wal_place){0};
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
    moved = wal_is_before(f->at, f->read_to);
    lock_drop(&f->db->log);
    return moved ? move_to(f, f->read_to, (struct wal_place){0}, 0, e) : 0;
}
