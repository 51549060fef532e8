#include "tsdb/block.h"

#include "base/fs.h"
#include "base/limits.h"
#include "tsdb/bytes.h"
#include "tsdb/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define SECTION_MAX (8 * GIB)
#define FRAME_MAX (16 * MIB) /* a page ends after the run that fills it; a piece has 1 MiB */

/* --- bytes of the file --- */

static int read_at(const struct block *b, uint64_t at, char *to, size_t n, struct err *e)
{
    while (n > 0) {
        ssize_t got = pread(b->fd, to, n, (off_t)at);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? err_sys(e, "read blocks/%08x", b->number)
                           : err_set(e, ERR_IO, "blocks/%08x is cut short", b->number);
        }
        at += (uint64_t)got;
        to += got;
        n -= (size_t)got;
    }
    return 0;
}

static int unpack(const struct block *b, struct str stored, size_t raw, struct buf *out,
                  struct err *e)
{
    char *to = buf_reserve(out, raw);

    if (to == NULL) {
        return err_set(e, ERR_IO, "blocks/%08x: a section is larger than it can be", b->number);
    }
    if (stored.len == raw) {
        memcpy(to, stored.p, raw);
    } else if (ZSTD_decompress(to, raw, stored.p, stored.len) != raw) {
        return err_set(e, ERR_IO, "blocks/%08x: a page cannot be unpacked", b->number);
    }
    out->len += raw;
    return 0;
}

/* Adds what the frame at *at holds, and moves *at behind it. */
static int get_frame(const struct block *b, uint64_t *at, struct buf *out, struct err *e)
{
    char head[BLOCK_FRAME];
    struct buf stored = BUF_MAX(FRAME_MAX);
    size_t raw, n;
    char *to;
    int rc = -1;

    if (*at > b->bytes - BLOCK_TAIL || read_at(b, *at, head, sizeof(head), e) < 0) {
        return *at > b->bytes - BLOCK_TAIL ? err_set(e, ERR_IO, "blocks/%08x is damaged", b->number)
                                           : -1;
    }
    raw = bytes_get_u32(head);
    n = bytes_get_u32(head + 4);
    to = n > raw || raw > FRAME_MAX ? NULL : buf_reserve(&stored, n);
    if (to == NULL) {
        return err_set(e, ERR_IO, "blocks/%08x is damaged at %ju", b->number, (uintmax_t)*at);
    }
    if (read_at(b, *at + BLOCK_FRAME, to, n, e) < 0) {
        rc = -1;
    } else if (crc32c(str_n(to, n)) != bytes_get_u32(head + 8)) {
        err_set(e, ERR_IO, "blocks/%08x is damaged at %ju: its checksum does not fit", b->number,
                (uintmax_t)*at);
    } else {
        rc = unpack(b, str_n(to, n), raw, out, e);
    }
    buf_done(&stored);
    *at += BLOCK_FRAME + n;
    return rc;
}

static int get_section(const struct block *b, uint64_t at, struct buf *out, struct err *e)
{
    struct buf head = BUF_MAX(64);
    struct str in;
    uint64_t len = 0;
    int rc = get_frame(b, &at, &head, e);

    in = buf_str(&head);
    if (rc == 0 && (column_get_varint(&in, &len) < 0 || len > SECTION_MAX)) {
        rc = err_set(e, ERR_IO, "blocks/%08x: a section has no length", b->number);
    }
    buf_done(&head);
    while (rc == 0 && out->len < len) {
        rc = get_frame(b, &at, out, e);
    }
    return rc;
}

/* --- opening --- */

static int get_meta(struct str in, struct block_meta *m)
{
    uint32_t version;

    if (bytes_get_u32v(&in, &version) < 0 || version != 1 ||
        bytes_get_signed(&in, &m->min_ts) < 0 || bytes_get_signed(&in, &m->max_ts) < 0 ||
        bytes_get_signed(&in, &m->floor) < 0 || bytes_get_signed(&in, &m->window_ms) < 0 ||
        column_get_varint(&in, &m->n_samples) < 0 || column_get_varint(&in, &m->n_runs) < 0 ||
        bytes_get_u32v(&in, &m->n_series) < 0 || bytes_get_u32v(&in, &m->n_pairs) < 0 ||
        bytes_get_u32v(&in, &m->n_pages) < 0 || column_get_varint(&in, &m->pairs_at) < 0 ||
        column_get_varint(&in, &m->postings_at) < 0 || column_get_varint(&in, &m->series_at) < 0 ||
        column_get_varint(&in, &m->table_at) < 0 || bytes_get_u32v(&in, &m->n_parents) < 0 ||
        m->n_parents > BLOCK_PARENTS) {
        return -1;
    }
    for (uint32_t i = 0; i < m->n_parents; i++) {
        if (bytes_get_u32v(&in, &m->parents[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int load_meta(struct block *b, struct err *e)
{
    char tail[BLOCK_TAIL];
    struct buf meta = BUF_MAX(64 * KIB);
    uint64_t at;
    int rc;

    if (b->bytes < sizeof(tail) + BLOCK_FRAME) {
        return err_set(e, ERR_IO, "blocks/%08x is cut short", b->number);
    }
    if (read_at(b, b->bytes - sizeof(tail), tail, sizeof(tail), e) < 0) {
        return -1;
    }
    if (memcmp(tail + 16, BLOCK_END, 8) != 0 ||
        crc32c(str_n(tail, 12)) != bytes_get_u32(tail + 12)) {
        return err_set(e, ERR_IO, "blocks/%08x has no end", b->number);
    }
    at = bytes_get_u32(tail) | (uint64_t)bytes_get_u32(tail + 4) << 32;
    rc = get_frame(b, &at, &meta, e);
    if (rc == 0 && get_meta(buf_str(&meta), &b->meta) < 0) {
        rc = err_set(e, ERR_IO, "blocks/%08x: its description is damaged", b->number);
    }
    buf_done(&meta);
    return rc;
}

struct block *block_open(int dir, uint32_t number, struct err *e)
{
    struct block *b = xnew(struct block);
    struct stat st;
    char name[32];

    (void)snprintf(name, sizeof(name), "%08x", number);
    b->refs = 1;
    b->number = number;
    b->fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (b->fd < 0 || fstat(b->fd, &st) < 0) {
        err_sys(e, "open blocks/%s", name);
        block_unref(b);
        return NULL;
    }
    b->bytes = (uint64_t)st.st_size;
    if (load_meta(b, e) < 0) {
        block_unref(b);
        return NULL;
    }
    return b;
}

void block_unref(struct block *b)
{
    if (b != NULL && --b->refs == 0) {
        block_index_unref(b->index);
        closep(&b->fd);
        free(b->deleted);
        free(b);
    }
}

/* --- the index --- */

void block_index_unref(struct block_index *x)
{
    if (x != NULL && --x->refs == 0) {
        buf_done(&x->texts);
        buf_done(&x->postings);
        buf_done(&x->series);
        buf_done(&x->table);
        free(x->pairs);
        free(x->series_at);
        free(x->pages);
        free(x);
    }
}

static int find_pairs(struct block_index *x)
{
    struct str in = buf_str(&x->texts), name = STR_EMPTY, lists = buf_str(&x->postings);

    if (x->n_pairs > in.len) {
        return -1;
    }
    x->pairs = xnew_array(struct block_pair, x->n_pairs + 1UL);
    for (uint32_t i = 0; i < x->n_pairs; i++) {
        struct block_pair *p = &x->pairs[i];
        struct str other;
        uint64_t skipped;

        if (bytes_get_text(&in, &other) < 0 || bytes_get_text(&in, &p->value) < 0 ||
            bytes_get_u32v(&in, &p->n) < 0) {
            return -1;
        }
        name = other.len > 0 ? other : name;
        p->name = name;
        p->at = (uint32_t)(x->postings.len - lists.len);
        for (uint32_t k = 0; k < p->n; k++) {
            if (column_get_varint(&lists, &skipped) < 0) {
                return -1;
            }
        }
    }
    return x->postings.len > UINT32_MAX ? -1 : 0;
}

static int find_series(struct block_index *x)
{
    struct str in = buf_str(&x->series), one;

    if (x->n_series > in.len || in.len > UINT32_MAX) {
        return -1;
    }
    x->series_at = xnew_array(uint32_t, x->n_series + 1UL);
    for (uint32_t i = 0; i < x->n_series; i++) {
        x->series_at[i] = (uint32_t)(x->series.len - in.len);
        if (bytes_get_text(&in, &one) < 0) {
            return -1;
        }
    }
    return 0;
}

static int find_pages(struct block_index *x)
{
    struct str in = buf_str(&x->table);

    if (x->n_pages > in.len) {
        return -1;
    }
    x->pages = xnew_array(uint64_t, x->n_pages + 1UL);
    for (uint32_t i = 0; i < x->n_pages; i++) {
        if (column_get_varint(&in, &x->pages[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

int block_index_find(struct block_index *x)
{
    return find_pairs(x) < 0 || find_series(x) < 0 || find_pages(x) < 0 ? -1 : 0;
}

struct block_index *block_index_load(const struct block *b, struct err *e)
{
    struct block_index *x = xnew(struct block_index);

    x->refs = 1;
    x->texts = x->postings = x->series = x->table = BUF_MAX(SECTION_MAX);
    x->n_pairs = b->meta.n_pairs;
    x->n_series = b->meta.n_series;
    x->n_pages = b->meta.n_pages;
    if (get_section(b, b->meta.pairs_at, &x->texts, e) < 0 ||
        get_section(b, b->meta.postings_at, &x->postings, e) < 0 ||
        get_section(b, b->meta.series_at, &x->series, e) < 0 ||
        get_section(b, b->meta.table_at, &x->table, e) < 0) {
        block_index_unref(x);
        return NULL;
    }
    if (block_index_find(x) < 0) {
        err_set(e, ERR_IO, "blocks/%08x: its index is damaged", b->number);
        block_index_unref(x);
        return NULL;
    }
    return x;
}

static int pair_cmp(const struct block_pair *p, struct str name, struct str value)
{
    int r = str_cmp(p->name, name);

    return r != 0 ? r : str_cmp(p->value, value);
}

/* The first pair that is not before. */
static uint32_t lower_bound(const struct block_index *x, struct str name, struct str value)
{
    uint32_t low = 0, high = x->n_pairs;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (pair_cmp(&x->pairs[mid], name, value) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static uint32_t find_pair(void *ctx, struct str name, struct str value)
{
    const struct block_index *x = ctx;
    uint32_t at = lower_bound(x, name, value);

    return at < x->n_pairs && pair_cmp(&x->pairs[at], name, value) == 0 ? at + 1 : 0;
}

static void values_of(void *ctx, struct str name, struct index_values *out)
{
    const struct block_index *x = ctx;

    for (uint32_t i = lower_bound(x, name, STR_EMPTY);
         i < x->n_pairs && str_eq(x->pairs[i].name, name); i++) {
        *vec_push(out) = (struct index_value){x->pairs[i].value, i + 1};
    }
}

static int series_of(void *ctx, uint32_t pair, struct ids *out, struct err *e)
{
    const struct block_index *x = ctx;
    const struct block_pair *p = &x->pairs[pair - 1];
    struct str in = str_from(buf_str(&x->postings), p->at);
    uint64_t id = 0, step;

    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t known;

        if (column_get_varint(&in, &step) < 0 || step == 0 || step > x->n_series - id) {
            return err_set(e, ERR_IO, "a block's index is damaged");
        }
        id += step;
        known = (uint32_t)id;
        ids_add(out, &known, 1);
    }
    return 0;
}

static void all_series(void *ctx, struct ids *out)
{
    const struct block_index *x = ctx;

    for (uint32_t i = 1; i <= x->n_series; i++) {
        ids_add(out, &i, 1);
    }
}

const struct index_ops block_ops = {find_pair, values_of, series_of, all_series};

/* The bytes of a series, and behind its labels. */
static struct str series_bytes(const struct block_index *x, uint32_t series)
{
    struct str in = str_from(buf_str(&x->series), x->series_at[series - 1]), one = STR_EMPTY;

    (void)!bytes_get_text(&in, &one); /* find_series() has read it */
    return one;
}

struct labels block_labels(const struct block_index *x, uint32_t series, struct arena *a)
{
    struct str in = series_bytes(x, series);
    struct labels l = {0};
    uint64_t n, pair = 0;
    int64_t step;

    if (column_get_varint(&in, &n) < 0 || n > LIMIT_SERIES_LABELS) {
        return l;
    }
    l.p = arena_new_array(a, struct label, n + 1);
    while (l.len < n) {
        if (bytes_get_signed(&in, &step) < 0 || (pair += (uint64_t)step) == 0 ||
            pair > x->n_pairs) {
            l.len = 0;
            return l;
        }
        l.p[l.len++] = (struct label){x->pairs[pair - 1].name, x->pairs[pair - 1].value};
    }
    return l;
}

/* --- samples --- */

void block_cursor_done(struct block_cursor *c)
{
    buf_done(&c->page);
    c->number = 0;
}

static int turn_to(const struct block *b, const struct block_index *x, uint64_t page,
                   struct block_cursor *c, struct err *e)
{
    uint64_t at;

    if (c->number == page + 1) {
        return 0;
    }
    c->number = 0;
    if (page >= x->n_pages) {
        return err_set(e, ERR_IO, "blocks/%08x has no page %ju", b->number, (uintmax_t)page);
    }
    buf_clear(&c->page);
    c->page.max = FRAME_MAX;
    at = x->pages[page];
    if (get_frame(b, &at, &c->page, e) < 0) {
        return -1;
    }
    c->number = (uint32_t)page + 1;
    return 0;
}

struct run_at {
    uint64_t page, times, values, n, span;
    int64_t min_ts;
};

static int get_run_at(struct str *in, struct run_at *r)
{
    return column_get_varint(in, &r->page) < 0 || column_get_varint(in, &r->times) < 0 ||
                   column_get_varint(in, &r->values) < 0 || column_get_varint(in, &r->n) < 0 ||
                   bytes_get_signed(in, &r->min_ts) < 0 || column_get_varint(in, &r->span) < 0 ||
                   r->n == 0 || r->n > COLUMN_MAX
               ? -1
               : 0;
}

/* Whether one of the ranges of a series has all from `from` to `to`. */
static bool is_deleted(const struct block *b, uint32_t series, int64_t from, int64_t to)
{
    size_t first = 0, end = b->n_deleted;

    while (first < end) {
        size_t middle = (first + end) / 2;

        if (b->deleted[middle].series < series) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    for (size_t i = first; i < b->n_deleted && b->deleted[i].series == series; i++) {
        if (from >= b->deleted[i].from && to <= b->deleted[i].to) {
            return true;
        }
    }
    return false;
}

void samples_reserve(struct tsdb_samples *s, size_t n)
{
    if (s->len + n > s->cap) {
        s->cap = s->len + n > 2 * s->cap ? s->len + n : 2 * s->cap;
        s->ts_ms = xrealloc(s->ts_ms, s->cap * sizeof(*s->ts_ms));
        s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
    }
}

static int read_run(const struct block *b, const struct block_index *x, const struct run_at *r,
                    struct block_cursor *c, struct tsdb_samples *out, struct err *e)
{
    struct str times, values;

    if (turn_to(b, x, r->page, c, e) < 0) {
        return -1;
    }
    times = str_from(buf_str(&c->page), r->times);
    values = str_from(buf_str(&c->page), r->values);
    samples_reserve(out, r->n);
    return column_get_times(&times, out->ts_ms + out->len, r->n, e) < 0 ||
                   column_get_values(&values, out->v + out->len, r->n, e) < 0
               ? -1
               : 0;
}

/* Of n samples behind the end of `out`, those that are wanted. */
static void keep_wanted(const struct block *b, uint32_t series, bool any_deleted, size_t n,
                        int64_t from_ms, int64_t to_ms, struct tsdb_samples *out)
{
    size_t end = out->len + n;

    for (size_t i = out->len; i < end; i++) {
        int64_t ts = out->ts_ms[i];

        if (ts > from_ms && ts <= to_ms && !(any_deleted && is_deleted(b, series, ts, ts))) {
            out->ts_ms[out->len] = ts;
            out->v[out->len++] = out->v[i];
        }
    }
}

/* The runs of a series: how many, and *in at the first. */
static int get_n_runs(const struct block_index *x, uint32_t series, struct str *in, uint64_t *n)
{
    uint64_t labels, skipped;

    *in = series_bytes(x, series);
    if (column_get_varint(in, &labels) < 0 || labels > LIMIT_SERIES_LABELS) {
        return -1;
    }
    while (labels-- > 0) {
        if (column_get_varint(in, &skipped) < 0) {
            return -1;
        }
    }
    return column_get_varint(in, n);
}

static bool reaches_into(const struct run_at *r, int64_t from_ms, int64_t to_ms)
{
    return r->min_ts <= to_ms && (int64_t)((uint64_t)r->min_ts + r->span) > from_ms;
}

bool block_has(const struct block *b, const struct block_index *x, uint32_t series, int64_t from_ms,
               int64_t to_ms)
{
    struct str in;
    struct run_at r;
    uint64_t n;

    if (is_deleted(b, series, b->meta.min_ts, b->meta.max_ts)) {
        return false;
    }
    if (get_n_runs(x, series, &in, &n) < 0) {
        return true; /* reading says what is wrong */
    }
    while (n-- > 0) {
        if (get_run_at(&in, &r) < 0 || reaches_into(&r, from_ms, to_ms)) {
            return true;
        }
    }
    return false;
}

void block_read(const struct block *b, const struct block_index *x, uint32_t series,
                int64_t from_ms, int64_t to_ms, struct block_cursor *c, struct tsdb_samples *out,
                uint64_t *damaged)
{
    struct str in;
    uint64_t n;
    struct run_at r;
    struct err e;

    if (get_n_runs(x, series, &in, &n) < 0) {
        ++*damaged;
        return;
    }
    while (n-- > 0) {
        if (get_run_at(&in, &r) < 0) {
            ++*damaged;
            return;
        }
        if (!reaches_into(&r, from_ms, to_ms)) {
            continue;
        }
        if (read_run(b, x, &r, c, out, &e) < 0) {
            ++*damaged;
            continue;
        }
        keep_wanted(b, series, b->n_deleted > 0, r.n, from_ms, to_ms, out);
    }
}
