#include "base/arena.h"
#include "base/fs.h"
#include "base/limits.h"
#include "tsdb/bytes.h"
#include "tsdb/choose.h"
#include "tsdb/tsdb_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RANGES_MAX (1 * GIB)

/* Deleted ranges are kept beside the samples, and applied when these are read; the samples go when
 * their block is merged or the head is cut. */

void deleted_put(uint32_t series, int64_t from, int64_t to, struct buf *out)
{
    column_put_varint(series, out);
    bytes_put_signed(from, out);
    bytes_put_signed(to, out);
}

int deleted_get(struct str *in, uint32_t *series, int64_t *from, int64_t *to)
{
    return bytes_get_u32v(in, series) < 0 || bytes_get_signed(in, from) < 0 ||
                   bytes_get_signed(in, to) < 0
               ? -1
               : 0;
}

void series_note_deleted(struct series *s, int64_t from, int64_t to)
{
    if (s->first_ts != INT64_MAX && from <= s->first_ts && to >= s->last_ts) {
        s->first_ts = INT64_MAX;
        s->last_bits = TSDB_STALE_BITS;
    }
}

/* --- of a block: 0000002a.del --- */

static int by_series(const void *a, const void *b)
{
    uint32_t x = ((const struct deleted *)a)->series, y = ((const struct deleted *)b)->series;

    return x < y ? -1 : x > y;
}

static int take_ranges(void *ctx, uint8_t type, struct str in)
{
    struct block *b = ctx;
    size_t room = in.len / 3 + 1;

    if (type != WAL_DELETED) {
        return -1;
    }
    b->deleted = xrealloc(b->deleted, (b->n_deleted + room) * sizeof(*b->deleted));
    while (in.len > 0) {
        struct deleted *d = &b->deleted[b->n_deleted];

        if (deleted_get(&in, &d->series, &d->from, &d->to) < 0) {
            return -1;
        }
        b->n_deleted++;
    }
    return 0;
}

int block_load_deleted(int dir, struct block *b, struct err *e)
{
    struct buf bytes = BUF_MAX(RANGES_MAX);
    struct wal_found found = {0};
    char name[32];
    int rc;

    (void)snprintf(name, sizeof(name), "%08x.del", b->number);
    if (faccessat(dir, name, F_OK, 0) < 0 && errno == ENOENT) {
        return 0;
    }
    rc = fs_read(dir, name, &bytes, e);
    if (rc == 0) {
        (void)wal_replay(buf_str(&bytes), take_ranges, b, &found);
        if (found.damaged > 0 || found.torn) {
            rc = err_set(e, ERR_IO, "blocks/%s is damaged: some deleted samples may be back", name);
        }
    }
    if (b->n_deleted > 0) {
        qsort(b->deleted, b->n_deleted, sizeof(*b->deleted), by_series);
    }
    buf_done(&bytes);
    return rc;
}

static int save_deleted(struct tsdb *db, const struct block *b, const struct ids *chosen,
                        int64_t from, int64_t to, struct err *e)
{
    struct buf out = BUF_MAX(RANGES_MAX);
    size_t begun = wal_begin(&out, WAL_DELETED);
    char name[32];
    int rc;

    for (size_t i = 0; i < b->n_deleted; i++) {
        deleted_put(b->deleted[i].series, b->deleted[i].from, b->deleted[i].to, &out);
    }
    for (size_t i = 0; i < chosen->len; i++) {
        deleted_put(chosen->p[i], from, to, &out);
    }
    wal_end(&out, begun);
    (void)snprintf(name, sizeof(name), "%08x.del", b->number);
    rc = out.failed ? err_set(e, ERR_LIMIT, "too many deleted series in one block")
                    : fs_write_atomic(db->blocks_dir, name, buf_str(&out), 0600, e);
    buf_done(&out);
    return rc;
}

/* Readers that are there keep the block as it was. */
static int replace(struct tsdb *db, struct block *old, struct err *e)
{
    struct block *b = block_open(db->blocks_dir, old->number, e);

    if (b == NULL || block_load_deleted(db->blocks_dir, b, e) < 0) {
        block_unref(b);
        return -1;
    }
    WITH_LOCK(&db->head_lock);
    for (size_t i = 0; i < db->blocks.len; i++) {
        if (db->blocks.p[i] == old) {
            db->blocks.p[i] = b;
            block_unref(old);
            return 0;
        }
    }
    block_unref(b);
    return 0;
}

static int delete_in_block(struct tsdb *db, struct block *b, const struct label_matcher *m,
                           size_t n, int64_t from, int64_t to, struct err *e)
{
    SCOPED(ids_done) struct ids chosen = {0};
    struct block_index *x;
    int rc;

    if (b->meta.min_ts > to || b->meta.max_ts < from) {
        return 0;
    }
    x = block_index_load(b, e);
    if (x == NULL) {
        return -1;
    }
    rc = choose_series(&block_ops, x, (struct choose_patience){0}, m, n, &chosen, e);
    block_index_unref(x);
    if (rc < 0 || chosen.len == 0) {
        return rc;
    }
    return save_deleted(db, b, &chosen, from, to, e) < 0 ? -1 : replace(db, b, e);
}

/* --- of the head: in the log, then in the checkpoint --- */

static int delete_in_head(struct tsdb *db, struct tsdb_view *v, const struct label_matcher *m,
                          size_t n, int64_t from, int64_t to, struct err *e)
{
    SCOPED(ids_done) struct ids chosen = {0};
    struct buf out = BUF_MAX(RANGES_MAX);
    VEC(struct deleted_range) ranges = {0};
    size_t begun;
    uint64_t end = 0;
    int rc = 0;

    if (view_choose_head(v, m, n, &chosen, e) < 0) {
        return -1;
    }
    begun = wal_begin(&out, WAL_DELETED);
    lead_begin(db);
    lock_take(&db->head_lock);
    for (size_t i = 0; i < chosen.len; i++) {
        const struct series *s = head_series(db, chosen.p[i]);

        /* what comes later is not deleted */
        if (s != NULL && s->logged && s->first_ts <= to) {
            int64_t last = s->last_ts > db->head.floor ? s->last_ts : db->head.floor;
            struct deleted_range d = {s->id, from, to < last ? to : last};

            deleted_put(d.id, d.from, d.to, &out);
            *vec_push(&ranges) = d;
        }
    }
    lock_drop(&db->head_lock);
    wal_end(&out, begun);
    if (ranges.len > 0) {
        rc = out.failed ? err_set(e, ERR_LIMIT, "too many deleted series")
                        : lead_write_log(db, buf_str(&out), e);
    }
    end = db->wal.written;
    lock_take(&db->head_lock);
    for (size_t i = 0; rc == 0 && i < ranges.len; i++) {
        struct series *s = head_series(db, ranges.p[i].id);

        *vec_push(&db->deleted) = ranges.p[i];
        if (s != NULL) {
            series_note_deleted(s, ranges.p[i].from, ranges.p[i].to);
        }
    }
    lock_drop(&db->head_lock);
    lead_end(db);
    buf_done(&out);
    vec_done(&ranges);
    return rc < 0 ? -1 : log_sync(db, end, e);
}

int tsdb_clean(struct tsdb *db, struct err *e)
{
    bool any = true;
    int rc = 0;

    work_begin(db);
    while (rc == 0 && any) {
        rc = blocks_compact(db, &any, e);
    }
    work_end(db);
    return rc;
}

int tsdb_delete(struct tsdb *db, const struct label_matcher *m, size_t n, int64_t from_ms,
                int64_t to_ms, struct err *e)
{
    struct tsdb_view *v;
    struct block *blocks[256];
    size_t n_blocks = 0, done = 0;
    int rc;

    if (n == 0) {
        return err_set(e, ERR_INVALID, "say which series are to be deleted");
    }
    work_begin(db);
    v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    rc = delete_in_head(db, v, m, n, from_ms, to_ms, e);
    tsdb_view_close(v);
    while (rc == 0) {
        n_blocks = 0;
        lock_take(&db->head_lock);
        for (size_t i = done; i < db->blocks.len && n_blocks < ARRAY_LEN(blocks); i++) {
            blocks[n_blocks++] = db->blocks.p[i];
        }
        lock_drop(&db->head_lock);
        if (n_blocks == 0) {
            break;
        }
        for (size_t i = 0; rc == 0 && i < n_blocks; i++) {
            rc = delete_in_block(db, blocks[i], m, n, from_ms, to_ms, e);
        }
        done += n_blocks;
    }
    work_end(db);
    return rc;
}
