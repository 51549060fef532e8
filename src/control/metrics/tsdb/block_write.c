#include "base/fs.h"
#include "base/limits.h"
#include "tsdb/block.h"
#include "tsdb/bytes.h"
#include "tsdb/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define SECTION_MAX (8 * GIB)

enum { TIMES_KEPT = 32, LEVEL = 3 };

/* A column of times in the page that is being filled. */
struct times_at {
    uint32_t at, len;
};

struct block_writer {
    int dir, fd;
    uint32_t number;
    uint64_t at; /* written */
    ZSTD_CCtx *zstd;
    struct buf page, packed, table;
    struct times_at times[TIMES_KEPT];
    uint32_t n_times;
    struct index *index;
    struct buf series; /* n_pairs, pairs as u32; length of runs, runs: a varint each */
    struct buf runs;   /* of the series that is being written */
    struct block_meta meta;
};

static void file_name(char out[32], const char *form, uint32_t number)
{
    (void)snprintf(out, 32, form, number);
}

struct block_writer *block_writer_new(int dir, uint32_t number, struct err *e)
{
    SCOPED(block_writer_freep) struct block_writer *w = xnew(struct block_writer);
    char name[32];

    w->dir = dir;
    w->fd = -1;
    w->number = number;
    w->zstd = ZSTD_createCCtx();
    w->index = index_new();
    w->page = BUF_MAX(MIB);
    w->packed = BUF_MAX(4 * MIB);
    w->table = w->series = BUF_MAX(SECTION_MAX);
    w->runs = BUF_MAX(SECTION_MAX);
    w->meta = (struct block_meta){.min_ts = INT64_MAX, .max_ts = INT64_MIN};
    if (w->zstd == NULL) {
        err_set(e, ERR_UNAVAILABLE, "no memory for zstd");
        return NULL;
    }
    file_name(name, "tmp.%08x", number);
    w->fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (w->fd < 0 || fs_write_all(w->fd, STR(BLOCK_MAGIC), e) < 0) {
        err_sys(e, "create blocks/%s", name);
        return NULL;
    }
    w->at = sizeof(BLOCK_MAGIC) - 1;
    return TAKE(w);
}

void block_writer_free(struct block_writer *w)
{
    char name[32];

    if (w == NULL) {
        return;
    }
    if (w->fd >= 0) {
        file_name(name, "tmp.%08x", w->number);
        (void)unlinkat(w->dir, name, 0);
        closep(&w->fd);
    }
    (void)ZSTD_freeCCtx(w->zstd);
    index_unref(w->index);
    buf_done(&w->page);
    buf_done(&w->packed);
    buf_done(&w->table);
    buf_done(&w->series);
    buf_done(&w->runs);
    free(w);
}

/* [raw length u32][stored length u32][crc u32] and the bytes, packed when that makes them fewer. */
static int put_frame(struct block_writer *w, struct str raw, struct err *e)
{
    size_t bound = ZSTD_compressBound(raw.len), n;
    char *to;

    buf_clear(&w->packed);
    to = buf_reserve(&w->packed, BLOCK_FRAME + bound);
    if (to == NULL) {
        return err_set(e, ERR_LIMIT, "a page of a block is too large");
    }
    n = ZSTD_compressCCtx(w->zstd, to + BLOCK_FRAME, bound, raw.p, raw.len, LEVEL);
    if (ZSTD_isError(n) || n >= raw.len) {
        n = raw.len;
        memcpy(to + BLOCK_FRAME, raw.p, raw.len);
    }
    bytes_put_u32((uint32_t)raw.len, to);
    bytes_put_u32((uint32_t)n, to + 4);
    bytes_put_u32(crc32c(str_n(to + BLOCK_FRAME, n)), to + 8);
    if (fs_write_all(w->fd, str_n(to, BLOCK_FRAME + n), e) < 0) {
        return err_wrap(e, "blocks/tmp.%08x", w->number);
    }
    w->at += BLOCK_FRAME + n;
    return 0;
}

static int end_page(struct block_writer *w, struct err *e)
{
    if (w->page.len == 0) {
        return 0;
    }
    column_put_varint(w->at, &w->table);
    w->meta.n_pages++;
    if (put_frame(w, buf_str(&w->page), e) < 0) {
        return -1;
    }
    buf_clear(&w->page);
    w->n_times = 0;
    return 0;
}

/* Series of a target have the same times: they are written once in a page. */
static uint32_t put_times(struct block_writer *w, const int64_t *ts, size_t n)
{
    uint32_t at = (uint32_t)w->page.len, len;

    column_put_times(ts, n, &w->page);
    len = (uint32_t)w->page.len - at;
    for (uint32_t i = 0; i < w->n_times; i++) {
        if (w->times[i].len == len &&
            memcmp(w->page.p + w->times[i].at, w->page.p + at, len) == 0) {
            w->page.len = at;
            return w->times[i].at;
        }
    }
    if (w->n_times < TIMES_KEPT) {
        w->times[w->n_times++] = (struct times_at){at, len};
    }
    return at;
}

static int put_run(struct block_writer *w, const int64_t *ts, const double *v, size_t n,
                   struct err *e)
{
    uint32_t times, values;

    if (w->page.len >= BLOCK_PAGE_BYTES && end_page(w, e) < 0) {
        return -1;
    }
    times = put_times(w, ts, n);
    values = (uint32_t)w->page.len;
    column_put_values(v, n, &w->page);
    column_put_varint(w->meta.n_pages, &w->runs); /* the page that will be */
    column_put_varint(times, &w->runs);
    column_put_varint(values, &w->runs);
    column_put_varint(n, &w->runs);
    bytes_put_signed(ts[0], &w->runs);
    column_put_varint((uint64_t)ts[n - 1] - (uint64_t)ts[0], &w->runs);
    w->meta.n_runs++;
    w->meta.n_samples += n;
    w->meta.min_ts = ts[0] < w->meta.min_ts ? ts[0] : w->meta.min_ts;
    w->meta.max_ts = ts[n - 1] > w->meta.max_ts ? ts[n - 1] : w->meta.max_ts;
    return 0;
}

int block_writer_add(struct block_writer *w, struct labels l, const int64_t *ts, const double *v,
                     size_t n, struct err *e)
{
    uint32_t runs = 0;

    if (n == 0) {
        return 0;
    }
    buf_clear(&w->runs);
    w->meta.n_series++;
    column_put_varint(l.len, &w->series);
    for (size_t i = 0; i < l.len; i++) {
        uint32_t pair = index_intern(w->index, l.p[i].name, l.p[i].value);

        pair_add(index_at(w->index, pair), w->meta.n_series);
        column_put_varint(pair, &w->series);
    }
    for (size_t i = 0; i < n; i += BLOCK_RUN, runs++) {
        if (put_run(w, ts + i, v + i, n - i < BLOCK_RUN ? n - i : BLOCK_RUN, e) < 0) {
            return -1;
        }
    }
    column_put_varint(runs, &w->series);
    bytes_put_text(buf_str(&w->runs), &w->series);
    return w->page.failed || w->series.failed || w->runs.failed
               ? err_set(e, ERR_LIMIT, "a block has too many series")
               : 0;
}

uint32_t block_writer_number(const struct block_writer *w)
{
    return w->number;
}

uint64_t block_writer_samples(const struct block_writer *w)
{
    return w->meta.n_samples;
}

/* --- the index --- */

/* [raw length u64 as a varint frame] pieces of 1 MiB. */
static int put_section(struct block_writer *w, struct str s, uint64_t *at, struct err *e)
{
    struct buf head = BUF_MAX(64);
    int rc;

    *at = w->at;
    column_put_varint(s.len, &head);
    rc = put_frame(w, buf_str(&head), e);
    buf_done(&head);
    while (rc == 0 && s.len > 0) {
        rc = put_frame(w, str_first(s, BLOCK_PIECE), e);
        s = str_from(s, BLOCK_PIECE);
    }
    return rc;
}

struct numbered_pair {
    const struct pair *p;
    uint32_t was;
};

static int by_text(const void *a, const void *b)
{
    const struct pair *x = ((const struct numbered_pair *)a)->p,
                      *y = ((const struct numbered_pair *)b)->p;
    int r = x->name.p == y->name.p ? 0 : str_cmp(x->name, y->name);

    return r != 0 ? r : str_cmp(x->value, y->value);
}

/* Pairs by name and value: the name where it changes, the value, how many series, which. */
static int put_pairs(struct block_writer *w, uint32_t *renumbered, struct err *e)
{
    uint32_t n = w->index->n_pairs;
    struct numbered_pair *sorted = xnew_array(struct numbered_pair, n + 1);
    struct buf texts = BUF_MAX(SECTION_MAX), postings = BUF_MAX(SECTION_MAX);
    int rc;

    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = (struct numbered_pair){index_at(w->index, i + 1), i + 1};
    }
    qsort(sorted, n, sizeof(*sorted), by_text);
    for (uint32_t i = 0; i < n; i++) {
        const struct pair *p = sorted[i].p;
        const uint32_t *ids = pair_ids(p);

        renumbered[sorted[i].was] = i + 1;
        bytes_put_text(i > 0 && sorted[i - 1].p->name.p == p->name.p ? STR_EMPTY : p->name, &texts);
        bytes_put_text(p->value, &texts);
        column_put_varint(p->len, &texts);
        for (uint32_t k = 0; k < p->len; k++) {
            column_put_varint(ids[k] - (k > 0 ? ids[k - 1] : 0), &postings);
        }
    }
    w->meta.n_pairs = n;
    rc = texts.failed || postings.failed ? err_set(e, ERR_LIMIT, "a block has too many labels") : 0;
    rc = rc < 0 || put_section(w, buf_str(&texts), &w->meta.pairs_at, e) < 0 ||
                 put_section(w, buf_str(&postings), &w->meta.postings_at, e) < 0
             ? -1
             : 0;
    free(sorted);
    buf_done(&texts);
    buf_done(&postings);
    return rc;
}

/* A series: its length, pairs (each from the one before), runs. */
static int put_series(struct block_writer *w, const uint32_t *renumbered, struct err *e)
{
    struct buf out = BUF_MAX(SECTION_MAX), one = BUF_MAX(SECTION_MAX);
    struct str in = buf_str(&w->series), runs = STR_EMPTY;
    int rc;

    for (uint32_t i = 0; i < w->meta.n_series; i++) {
        uint64_t n = 0, pair = 0, before = 0;

        buf_clear(&one);
        (void)!column_get_varint(&in, &n);
        column_put_varint(n, &one);
        for (uint64_t k = 0; k < n; k++) {
            (void)!column_get_varint(&in, &pair);
            pair = renumbered[pair];
            bytes_put_signed((int64_t)(pair - before), &one);
            before = pair;
        }
        (void)!column_get_varint(&in, &n);
        (void)!bytes_get_text(&in, &runs);
        column_put_varint(n, &one);
        (void)buf_add(&one, runs);
        bytes_put_text(buf_str(&one), &out);
    }
    rc = out.failed || one.failed ? err_set(e, ERR_LIMIT, "a block has too many series")
                                  : put_section(w, buf_str(&out), &w->meta.series_at, e);
    buf_done(&out);
    buf_done(&one);
    return rc;
}

static int put_meta(struct block_writer *w, struct err *e)
{
    const struct block_meta *m = &w->meta;
    struct buf b = BUF_MAX(64 * KIB);
    char tail[BLOCK_TAIL];
    uint64_t at = w->at;
    int rc;

    column_put_varint(1, &b); /* version */
    bytes_put_signed(m->min_ts, &b);
    bytes_put_signed(m->max_ts, &b);
    bytes_put_signed(m->floor, &b);
    bytes_put_signed(m->window_ms, &b);
    column_put_varint(m->n_samples, &b);
    column_put_varint(m->n_runs, &b);
    column_put_varint(m->n_series, &b);
    column_put_varint(m->n_pairs, &b);
    column_put_varint(m->n_pages, &b);
    column_put_varint(m->pairs_at, &b);
    column_put_varint(m->postings_at, &b);
    column_put_varint(m->series_at, &b);
    column_put_varint(m->table_at, &b);
    column_put_varint(m->n_parents, &b);
    for (uint32_t i = 0; i < m->n_parents; i++) {
        column_put_varint(m->parents[i], &b);
    }
    rc = put_frame(w, buf_str(&b), e);
    buf_done(&b);
    if (rc < 0) {
        return -1;
    }
    bytes_put_u32((uint32_t)at, tail);
    bytes_put_u32((uint32_t)(at >> 32), tail + 4);
    bytes_put_u32(0, tail + 8);
    bytes_put_u32(crc32c(str_n(tail, 12)), tail + 12);
    memcpy(tail + 16, BLOCK_END, 8);
    return fs_write_all(w->fd, str_n(tail, BLOCK_TAIL), e);
}

static int publish(struct block_writer *w, struct err *e)
{
    char from[32], to[32];

    if (fsync(w->fd) < 0) {
        return err_sys(e, "fsync blocks/tmp.%08x", w->number);
    }
    file_name(from, "tmp.%08x", w->number);
    file_name(to, "%08x", w->number);
    if (renameat(w->dir, from, w->dir, to) < 0) {
        return err_sys(e, "rename to blocks/%s", to);
    }
    closep(&w->fd);
    return fs_sync_dir(w->dir, ".", e);
}

int block_writer_finish(struct block_writer *w, const struct block_meta *meta, struct err *e)
{
    uint32_t *renumbered = xnew_array(uint32_t, w->index->n_pairs + 1UL);
    int rc;

    w->meta.floor = meta->floor;
    w->meta.window_ms = meta->window_ms;
    w->meta.n_parents = meta->n_parents;
    memcpy(w->meta.parents, meta->parents, sizeof(meta->parents));
    rc = end_page(w, e) < 0 || put_pairs(w, renumbered, e) < 0 ||
                 put_series(w, renumbered, e) < 0 ||
                 put_section(w, buf_str(&w->table), &w->meta.table_at, e) < 0 ||
                 put_meta(w, e) < 0 || publish(w, e) < 0
             ? -1
             : 0;
    free(renumbered);
    return rc;
}
