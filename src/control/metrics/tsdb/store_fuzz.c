/* The files of the store: any bytes are refused or make a store that can be read. The first byte
 * says which file. Checksums are made to fit, or nothing would get past them. */
#include "base/limits.h"
#include "tsdb/checkpoint.h"
#include "tsdb/prom_block.h"

#include <stdlib.h>
#include <string.h>

/* Read in windows, a log has the records that it has when it is read whole. */
static void windows(struct str in)
{
    size_t window = in.len > 0 ? 1 + (unsigned char)in.p[0] : 1, want = window, at = 0, n = 0;
    struct str whole = in, body;
    bool passed_over;

    while (wal_next(&whole, WAL_ALL, &body, &passed_over)) {
        n++;
    }
    while (at < in.len) {
        struct str part = str_first(str_from(in, at), want);
        enum wal_rest rest = at + part.len < in.len ? WAL_MORE : WAL_ALL;
        size_t began = at, len = part.len;

        while (wal_next(&part, rest, &body, &passed_over)) {
            at = began + (len - part.len);
            n--;
        }
        if (rest == WAL_ALL) {
            break;
        }
        want = at == began ? want * 4 : window;
    }
    if (n != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tsdb *make(void)
{
    struct tsdb *db = xnew(struct tsdb);
    struct chunk_file *f = xnew(struct chunk_file);

    lock_init(&db->log, LOCK_tsdb_log);
    lock_init(&db->head_lock, LOCK_tsdb_head);
    list_init(&db->users);
    list_init(&db->waiting);
    head_init(&db->head);
    chunk_files_init(&db->chunks, -1);
    f->fd = -1;
    f->refs = 1;
    f->number = 1;
    chunk_files_push(&db->chunks, f);
    return db;
}

static void end(struct tsdb *db)
{
    head_done(db);
    chunk_files_done(&db->chunks);
    vec_done(&db->deleted);
    vec_done(&db->aliases);
    vec_done(&db->undo);
    vec_done(&db->retired);
    lock_done(&db->log);
    lock_done(&db->head_lock);
    free(db);
}

static void read_all(struct tsdb *db)
{
    struct tsdb_view *v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    struct arena a = {0};
    struct tsdb_found *found;
    struct tsdb_samples s = {0};
    size_t n;
    struct err e;

    if (tsdb_select(v, NULL, 0, &a, &found, &n, &e) == 0) {
        for (size_t i = 0; i < n; i++) {
            (void)!tsdb_read(v, &found[i], INT64_MIN, INT64_MAX, &s, &e);
            for (size_t k = 1; k < s.len; k++) {
                if (s.ts_ms[k] <= s.ts_ms[k - 1]) {
                    abort();
                }
            }
        }
    }
    tsdb_samples_done(&s);
    arena_done(&a);
    tsdb_view_close(v);
}

/* [type][length u16][payload] again and again, as records with fitting checksums. */
static void frame(struct str in, struct buf *out)
{
    while (in.len > 3) {
        size_t len = (unsigned char)in.p[1] | (size_t)(unsigned char)in.p[2] << 8, begun;

        begun = wal_begin(out, (uint8_t)in.p[0]);
        in = str_from(in, 3);
        (void)buf_add(out, str_first(in, len));
        wal_end(out, begun);
        in = str_from(in, len);
    }
    (void)buf_add(out, in);
}

static int take(void *ctx, uint8_t type, struct str payload)
{
    struct tsdb *db = ctx;

    WITH_LOCK(&db->head_lock);
    return apply_record(db, type, payload);
}

static void records(struct str in, bool checkpoint)
{
    struct tsdb *db = make();
    struct buf b = BUF_MAX(16 * MIB);
    struct wal_found found = {0};
    uint32_t first;
    bool damaged;

    frame(in, &b);
    if (checkpoint) {
        checkpoint_parse(db, buf_str(&b), &first, &damaged);
    } else {
        (void)wal_replay(buf_str(&b), take, db, &found);
    }
    read_all(db);
    buf_done(&b);
    end(db);
}

static void chunk(struct str in)
{
    int64_t ts[CHUNK_SAMPLES];
    double v[CHUNK_SAMPLES];
    struct chunk c;
    struct err e;

    if (chunk_parse_body(in, &c, &e) == 0) {
        (void)!chunk_decode(&c, ts, v, &e);
    }
}

static void part(struct str *in, struct buf *to)
{
    size_t len;

    if (in->len < 2) {
        return;
    }
    len = (unsigned char)in->p[0] | (size_t)(unsigned char)in->p[1] << 8;
    *in = str_from(*in, 2);
    (void)buf_add(to, str_first(*in, len));
    *in = str_from(*in, len);
}

static void block(struct str in)
{
    struct block b = {.fd = -1};
    struct block_index *x = xnew(struct block_index);
    struct block_cursor at = {.page = BUF_MAX(MIB), .number = 1};
    struct tsdb_samples s = {0};
    struct arena a = {0};
    struct ids chosen = {0};
    struct err e;
    uint64_t damaged = 0;

    x->refs = 1;
    x->texts = x->postings = x->series = x->table = BUF_MAX(MIB);
    if (in.len >= 2) {
        x->n_pairs = (unsigned char)in.p[0];
        x->n_series = (unsigned char)in.p[1];
        in = str_from(in, 2);
    }
    part(&in, &x->texts);
    part(&in, &x->postings);
    part(&in, &x->series);
    (void)buf_add(&at.page, in);
    if (block_index_find(x) == 0) {
        for (uint32_t i = 1; i <= x->n_pairs; i++) {
            chosen.len = 0;
            (void)!block_ops.series_of(x, i, &chosen, &e);
        }
        for (uint32_t i = 1; i <= x->n_series; i++) {
            (void)block_labels(x, i, &a);
            s.len = 0;
            at.number = 1;
            block_read(&b, x, i, INT64_MIN, INT64_MAX, &at, &s, &damaged);
        }
    }
    ids_done(&chosen);
    arena_done(&a);
    tsdb_samples_done(&s);
    block_cursor_done(&at);
    block_index_unref(x);
}

/* A record of the corpus is a whole one: its checksums fit until they are touched. */
static void prom_index(struct str in)
{
    struct prom_index x;
    struct prom_series s;
    struct arena a = {0};
    struct err e;

    if (prom_index_open(&x, in, &e) == 0) {
        while (prom_index_next(&x, &a, &s, &e) > 0) {
        }
        prom_index_done(&x);
    }
    arena_done(&a);
}

static void prom_chunk(struct str in)
{
    static int64_t ts[PROM_CHUNK_SAMPLES];
    static double v[PROM_CHUNK_SAMPLES];
    size_t n, need;
    int encoding;
    struct str data;
    struct err e;

    (void)!prom_chunk_open(in, &encoding, &data, &need, &e);
    (void)!prom_xor_decode(in, ts, v, &n, &e);
}

static void prom_tombstones(struct str in)
{
    struct prom_tombstone *t;
    size_t n;
    struct err e;

    if (prom_tombstones_read(in, &t, &n, &e) == 0) {
        free(t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_n((const char *)data, size);

    if (size < 1) {
        return 0;
    }
    in = str_from(in, 1);
    switch (data[0] % 8) {
    case 4:
        prom_index(in);
        break;
    case 5:
        prom_chunk(in);
        break;
    case 6:
        prom_tombstones(in);
        break;
    case 7:
        windows(in);
        break;
    case 0:
        records(in, false);
        break;
    case 1:
        records(in, true);
        break;
    case 2:
        chunk(in);
        break;
    default:
        block(in);
    }
    return 0;
}
