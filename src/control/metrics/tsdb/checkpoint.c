#include "tsdb/checkpoint.h"

#include "base/fs.h"
#include "base/limits.h"
#include "tsdb/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CK_HEAD = 16, CK_PAIRS, CK_SERIES, CK_FILES, CK_END, CK_DELETED };
enum { PAIRS_AT_ONCE = 4096, SERIES_AT_ONCE = 1024, VERSION = 1 };

#define CHECKPOINT_MAX (16 * GIB)
#define PIECE_MAX (256 * MIB)

static const char name_now[] = "checkpoint", name_next[] = "checkpoint.tmp";

/* --- writing --- */

struct writing {
    struct tsdb *db;
    int fd;
    struct buf out;
    uint32_t pairs, ids; /* written up to here */
    uint64_t n_series;
    struct column_times times;
};

static int flush(struct writing *w, size_t at_least, struct err *e)
{
    if (w->out.failed) {
        return err_set(e, ERR_LIMIT, "a piece of the checkpoint is larger than %llu bytes",
                       PIECE_MAX);
    }
    if (w->out.len < at_least) {
        return 0;
    }
    if (fs_write_all(w->fd, buf_str(&w->out), e) < 0) {
        return err_wrap(e, "%s", name_next);
    }
    buf_clear(&w->out);
    return 0;
}

/* Pairs that some series has, up to `most` of them. head_lock held. */
static void put_pairs(struct writing *w, uint32_t most)
{
    const struct index *x = w->db->head.index;
    size_t begun = wal_begin(&w->out, CK_PAIRS);

    for (uint32_t n = 0; w->pairs < x->n_pairs && n < most; n++) {
        const struct pair *p = index_at(x, ++w->pairs);

        if (p->len > 0) {
            column_put_varint(w->pairs, &w->out);
            bytes_put_text(p->name, &w->out);
            bytes_put_text(p->value, &w->out);
        }
    }
    wal_end(&w->out, begun);
}

static void put_run(struct writing *w, const int64_t *ts, const double *v, size_t n)
{
    struct buf *out = &w->out;

    column_put_varint(n, out);
    if (n > 0) {
        column_put_times_again(&w->times, ts, n, out);
        column_put_values_quick(v, n, out);
    }
}

static void put_series(struct writing *w, const struct series *s)
{
    struct buf *out = &w->out;
    int64_t ts[RUN_MAX];
    double v[RUN_MAX];
    uint64_t bits = s->last_bits;

    column_put_varint(s->id, out);
    column_put_varint(s->n_pairs, out);
    for (size_t i = 0; i < s->n_pairs; i++) {
        column_put_varint(s->pairs[i], out);
    }
    bytes_put_signed(s->first_ts, out);
    bytes_put_signed(s->last_ts, out);
    column_put_varint(__builtin_bswap64(bits), out);
    column_put_varint(s->chunks, out);
    column_put_varint(s->late_chunks, out);
    put_run(w, ts, v, run_copy(&s->run, ts, v));
    put_run(w, s->late == NULL ? NULL : s->late->ts, s->late == NULL ? NULL : s->late->v,
            s->late == NULL ? 0 : s->late->len);
}

/* Some series, and before them the pairs that they may have. head_lock held. */
static bool put_some(struct writing *w)
{
    uint32_t next = 0;
    size_t begun;

    if (w->pairs < w->db->head.index->n_pairs) {
        put_pairs(w, PAIRS_AT_ONCE);
        return true;
    }
    begun = wal_begin(&w->out, CK_SERIES);
    for (uint32_t n = 0; n < SERIES_AT_ONCE && (next = head_next_id(w->db, w->ids)) != 0; n++) {
        const struct series *s = head_series(w->db, next);

        w->ids = next;
        if (s->logged) {
            put_series(w, s);
            w->n_series++;
        }
    }
    wal_end(&w->out, begun);
    return next != 0;
}

static void put_head(struct writing *w, uint32_t first_segment)
{
    size_t begun = wal_begin(&w->out, CK_HEAD);

    column_put_varint(VERSION, &w->out);
    column_put_varint(first_segment, &w->out);
    bytes_put_signed(w->db->head.floor, &w->out);
    bytes_put_signed(w->db->head.cut_end, &w->out);
    wal_end(&w->out, begun);
}

static void put_deleted(struct writing *w)
{
    size_t begun = wal_begin(&w->out, CK_DELETED);

    for (size_t i = 0; i < w->db->deleted.len; i++) {
        const struct deleted_range *d = &w->db->deleted.p[i];

        deleted_put(d->id, d->from, d->to, &w->out);
    }
    wal_end(&w->out, begun);
}

/* A sync that failed is told once; what it was for may be dropped by then. */
static int sync_file(struct chunk_file *f, uint64_t size, struct err *e)
{
    if (f->is_unsure && chunk_file_write_again(f, size, e) < 0) {
        return -1;
    }
    f->is_unsure = fdatasync(f->fd) < 0;
    return f->is_unsure ? err_sys(e, "fsync head/%08x", f->number) : 0;
}

/* The files that hold all that the written series point at, made durable. */
static int sync_files(struct writing *w, struct err *e)
{
    struct tsdb *db = w->db;
    VEC(struct chunk_file *) files = {0};
    VEC(uint64_t) sizes = {0};
    size_t begun;
    int rc;

    lead_begin(db);
    rc = lead_write_chunks(db, 0, e);
    lock_take(&db->head_lock);
    begun = wal_begin(&w->out, CK_FILES);
    for (size_t i = 0; i < db->chunks.files.len; i++) {
        struct chunk_file *f = db->chunks.files.p[i];

        f->refs++;
        *vec_push(&files) = f;
        *vec_push(&sizes) = f->size;
        column_put_varint(f->number, &w->out);
        column_put_varint(f->size, &w->out);
        bytes_put_signed(f->min_ts, &w->out);
        bytes_put_signed(f->max_ts, &w->out);
    }
    wal_end(&w->out, begun);
    lock_drop(&db->head_lock);
    lead_end(db);
    for (size_t i = 0; i < files.len; i++) {
        rc = rc == 0 ? sync_file(files.p[i], sizes.p[i], e) : rc;
        chunk_file_unref(files.p[i]);
    }
    vec_done(&files);
    vec_done(&sizes);
    return rc;
}

static int put_all(struct writing *w, uint32_t first_segment, struct err *e)
{
    size_t begun;
    bool more = true;

    lock_take(&w->db->head_lock);
    put_head(w, first_segment);
    put_deleted(w);
    lock_drop(&w->db->head_lock);
    while (more) {
        lock_take(&w->db->head_lock);
        more = put_some(w);
        lock_drop(&w->db->head_lock);
        if (flush(w, 1 * MIB, e) < 0) {
            return -1;
        }
    }
    if (sync_files(w, e) < 0) {
        return -1;
    }
    begun = wal_begin(&w->out, CK_END);
    column_put_varint(w->n_series, &w->out);
    wal_end(&w->out, begun);
    if (flush(w, 0, e) < 0) {
        return -1;
    }
    if (fsync(w->fd) < 0) {
        return err_sys(e, "fsync %s", name_next);
    }
    return 0;
}

static int begin_segment(struct tsdb *db, uint32_t *segment, uint64_t *before, struct err *e)
{
    int rc;

    lead_begin(db);
    rc = lead_write_chunks(db, 0, e) < 0 ? -1 : lead_rotate(db, e);
    *segment = db->wal.segment;
    *before = db->wal.written;
    if (rc == 0) {
        db->wal.samples = 0;
    }
    lead_end(db);
    return rc;
}

int checkpoint_write(struct tsdb *db, struct err *e)
{
    struct writing w = {.db = db, .out = BUF_MAX(PIECE_MAX)};
    SCOPED(closep) int fd = -1;
    uint32_t segment;
    uint64_t before;
    int rc;

    if (gone_save(db, e) < 0 || begin_segment(db, &segment, &before, e) < 0) {
        return -1;
    }
    fd = openat(db->dir, name_next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, "create %s", name_next);
    }
    w.fd = fd;
    rc = put_all(&w, segment, e);
    buf_done(&w.out);
    if (rc < 0) {
        (void)unlinkat(db->dir, name_next, 0);
        return -1;
    }
    if (renameat(db->dir, name_next, db->dir, name_now) < 0) {
        return err_sys(e, "rename to %s", name_now);
    }
    if (fs_sync_dir(db->dir, ".", e) < 0) {
        return -1;
    }
    db->first_segment = segment;
    log_is_safe(db, before, segment);
    followers_trim(db, segment);
    return 0;
}

/* --- reading --- */

struct loading {
    struct tsdb *db;
    uint32_t first_segment;
    VEC(uint32_t) pairs; /* what the pair with a number in the file is called here */
    bool ended;
    uint64_t n_series;
};

static int load_pairs(struct loading *l, struct str in)
{
    while (in.len > 0) {
        uint32_t id;
        struct str name, value;

        if (bytes_get_u32v(&in, &id) < 0 || id > (1U << 31) || bytes_get_text(&in, &name) < 0 ||
            bytes_get_text(&in, &value) < 0) {
            return -1;
        }
        if (id > l->pairs.len + (1U << 24)) {
            return -1; /* no file of ours has such a gap */
        }
        while (l->pairs.len <= id) {
            *vec_push(&l->pairs) = 0;
        }
        l->pairs.p[id] = index_intern(l->db->head.index, name, value);
    }
    return 0;
}

static int get_run(struct str *in, int64_t *ts, double *v, size_t max, uint32_t *n)
{
    struct err e;

    if (bytes_get_u32v(in, n) < 0 || *n > max) {
        return -1;
    }
    return *n == 0                                                                        ? 0
           : column_get_times(in, ts, *n, &e) < 0 || column_get_values(in, v, *n, &e) < 0 ? -1
                                                                                          : 0;
}

/* What was read of a series, before it becomes one. */
struct loaded {
    uint32_t id, n_pairs, n, n_late;
    uint32_t pairs[LIMIT_SERIES_LABELS];
    int64_t first_ts, last_ts;
    uint64_t last_bits, chunks, late_chunks;
    int64_t ts[RUN_MAX];
    double v[RUN_MAX];
    struct late late;
};

static int get_series(struct loading *l, struct str *in, struct loaded *s)
{
    if (bytes_get_u32v(in, &s->id) < 0 || s->id == 0 || s->id > UINT32_MAX / 2 ||
        bytes_get_u32v(in, &s->n_pairs) < 0 || s->n_pairs > ARRAY_LEN(s->pairs)) {
        return -1;
    }
    for (uint32_t i = 0; i < s->n_pairs; i++) {
        uint32_t p;

        if (bytes_get_u32v(in, &p) < 0) {
            return -1;
        }
        s->pairs[i] = p < l->pairs.len ? l->pairs.p[p] : 0;
    }
    if (bytes_get_signed(in, &s->first_ts) < 0 || bytes_get_signed(in, &s->last_ts) < 0 ||
        column_get_varint(in, &s->last_bits) < 0 || column_get_varint(in, &s->chunks) < 0 ||
        column_get_varint(in, &s->late_chunks) < 0 ||
        get_run(in, s->ts, s->v, RUN_MAX, &s->n) < 0 ||
        get_run(in, s->late.ts, s->late.v, LATE_MAX, &s->n_late) < 0) {
        return -1;
    }
    return 0;
}

static bool is_whole(const struct loaded *from)
{
    for (uint32_t i = 0; i < from->n_pairs; i++) {
        if (from->pairs[i] == 0) {
            return false; /* its pair was in a damaged piece */
        }
    }
    for (uint32_t i = 1; i < from->n; i++) {
        if (from->ts[i] <= from->ts[i - 1]) {
            return false;
        }
    }
    return from->id != 0;
}

static void make_series(struct tsdb *db, const struct loaded *from)
{
    struct label labels[LIMIT_SERIES_LABELS];
    struct series *s = xcalloc(1, sizeof(*s) + from->n_pairs * sizeof(s->pairs[0]));

    for (uint32_t i = 0; i < from->n_pairs; i++) {
        const struct pair *p = index_at(db->head.index, from->pairs[i]);

        s->pairs[i] = from->pairs[i];
        labels[i] = (struct label){p->name, p->value};
    }
    s->id = from->id;
    s->n_pairs = (uint8_t)from->n_pairs;
    s->hash = labels_hash((struct labels){labels, from->n_pairs});
    s->last_ts = INT64_MIN;
    s->first_ts = from->first_ts;
    s->chunks = from->chunks;
    s->late_chunks = from->late_chunks;
    s->logged = true;
    head_put_series(db, s);
    for (uint32_t i = 0; i < from->n; i++) {
        if (from->ts[i] >= db->head.cut_end) { /* others are in blocks */
            (void)head_append(db, s, from->ts[i], from->v[i]);
        }
    }
    for (uint32_t i = 0; i < from->n_late; i++) {
        (void)head_append_late(db, s, from->late.ts[i], from->late.v[i]);
    }
    if (from->late_chunks != 0) {
        s->late = s->late != NULL ? s->late : xnew(struct late);
        s->late->chunks_max = from->last_ts != INT64_MIN ? from->last_ts : db->head.floor;
    }
    s->last_ts = from->last_ts;
    s->last_bits = __builtin_bswap64(from->last_bits);
    s->first_ts = from->first_ts;
    if (from->first_ts < db->head.min_ts) {
        db->head.min_ts = from->first_ts;
    }
    if (from->last_ts > db->head.max_ts) {
        db->head.max_ts = from->last_ts;
    }
}

static int load_series(struct loading *l, struct str in)
{
    struct loaded s;

    while (in.len > 0) {
        if (get_series(l, &in, &s) < 0) {
            return -1;
        }
        if (is_whole(&s) && head_series(l->db, s.id) == NULL) {
            make_series(l->db, &s);
            l->n_series++;
        }
    }
    return 0;
}

static int load_head(struct loading *l, struct str in)
{
    uint32_t version;
    int64_t floor, cut_end;

    if (bytes_get_u32v(&in, &version) < 0 || version != VERSION ||
        bytes_get_u32v(&in, &l->first_segment) < 0 || bytes_get_signed(&in, &floor) < 0 ||
        bytes_get_signed(&in, &cut_end) < 0) {
        return -1;
    }
    l->db->head.floor = floor;
    l->db->head.cut_end = cut_end;
    return 0;
}

static int load_files(struct loading *l, struct str in)
{
    while (in.len > 0) {
        uint32_t number;
        uint64_t size;
        int64_t min_ts, max_ts;
        struct chunk_file *f;
        struct err e;

        if (bytes_get_u32v(&in, &number) < 0 || column_get_varint(&in, &size) < 0 ||
            bytes_get_signed(&in, &min_ts) < 0 || bytes_get_signed(&in, &max_ts) < 0) {
            return -1;
        }
        f = chunk_file_open(l->db->chunks.dir, number, &e);
        if (f == NULL || f->size < size) {
            l->db->status.damaged++;
        }
        if (f != NULL) {
            f->size = size;
            f->min_ts = min_ts;
            f->max_ts = max_ts;
            chunk_files_push(&l->db->chunks, f);
        }
    }
    return 0;
}

static int load_deleted(struct loading *l, struct str in)
{
    while (in.len > 0) {
        struct deleted_range d;

        if (deleted_get(&in, &d.id, &d.from, &d.to) < 0) {
            return -1;
        }
        *vec_push(&l->db->deleted) = d;
    }
    return 0;
}

static int load_record(void *ctx, uint8_t type, struct str in)
{
    struct loading *l = ctx;

    switch (type) {
    case CK_HEAD:
        return load_head(l, in);
    case CK_PAIRS:
        return load_pairs(l, in);
    case CK_SERIES:
        return load_series(l, in);
    case CK_FILES:
        return load_files(l, in);
    case CK_DELETED:
        return load_deleted(l, in);
    case CK_END:
        l->ended = true;
        return 0;
    default:
        return -1;
    }
}

void checkpoint_parse(struct tsdb *db, struct str bytes, uint32_t *first_segment, bool *damaged)
{
    struct loading l = {.db = db};
    struct wal_found found = {0};

    lock_take(&db->head_lock);
    (void)wal_replay(bytes, load_record, &l, &found);
    lock_drop(&db->head_lock);
    vec_done(&l.pairs);
    *first_segment = l.first_segment;
    *damaged = found.damaged > 0 || found.torn || !l.ended;
}

int checkpoint_load(struct tsdb *db, uint32_t *first_segment, struct err *e)
{
    struct buf bytes = BUF_MAX(CHECKPOINT_MAX);
    bool damaged = false;
    int rc;

    *first_segment = 0;
    (void)unlinkat(db->dir, name_next, 0);
    if (faccessat(db->dir, name_now, F_OK, 0) < 0 && errno == ENOENT) {
        return 0;
    }
    rc = fs_read(db->dir, name_now, &bytes, e);
    if (rc == 0) {
        checkpoint_parse(db, buf_str(&bytes), first_segment, &damaged);
    }
    buf_done(&bytes);
    db->checkpoint_damaged = damaged;
    if (rc == 0 && damaged) {
        (void)tsdb_set_aside(db, db->dir, name_now);
    }
    return rc;
}
