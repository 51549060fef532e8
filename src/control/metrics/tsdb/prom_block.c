#include "tsdb/prom_block.h"

#include "base/limits.h"
#include "tsdb/bytes.h"
#include "tsdb/crc32c.h"

#include <string.h>

static uint32_t get_u32be(const char *p)
{
    return __builtin_bswap32(bytes_get_u32(p));
}

static uint64_t get_u64be(const char *p)
{
    return (uint64_t)get_u32be(p) << 32 | get_u32be(p + 4);
}

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "this is no block of Prometheus that we can read: %s", what);
}

/* --- the index --- */

enum { TOC_BYTES = 52 };

static int read_symbols(struct prom_index *x, uint64_t at, struct err *e)
{
    struct str in = str_from(x->bytes, at);
    uint32_t len, n;

    if (at >= x->bytes.len || in.len < 12 || (len = get_u32be(in.p)) > in.len - 8 || len < 4) {
        return bad(e, "its index has no symbols");
    }
    if (crc32c(str_n(in.p + 4, len)) != get_u32be(in.p + 4 + len)) {
        return bad(e, "the checksum of its symbols does not fit");
    }
    n = get_u32be(in.p + 4);
    in = str_n(in.p + 8, len - 4);
    if (n > in.len) {
        return bad(e, "it has more symbols than bytes for them");
    }
    x->symbols = xnew_array(struct str, n + 1UL);
    for (; x->n_symbols < n; x->n_symbols++) {
        if (bytes_get_text(&in, &x->symbols[x->n_symbols]) < 0) {
            return bad(e, "a symbol is cut short");
        }
    }
    return 0;
}

int prom_index_open(struct prom_index *x, struct str bytes, struct err *e)
{
    const char *toc = bytes.p + bytes.len - TOC_BYTES;
    uint64_t series, end;

    *x = (struct prom_index){.bytes = bytes};
    if (bytes.len < TOC_BYTES + 5 || get_u32be(bytes.p) != 0xBAAAD700) {
        return bad(e, "its index does not begin as one");
    }
    if (bytes.p[4] != 2) {
        return bad(e, "its index has not the version 2");
    }
    if (crc32c(str_n(toc, TOC_BYTES - 4)) != get_u32be(toc + TOC_BYTES - 4)) {
        return bad(e, "the checksum of its table of contents does not fit");
    }
    if (read_symbols(x, get_u64be(toc), e) < 0) {
        prom_index_done(x);
        return -1;
    }
    series = get_u64be(toc + 8);
    end = get_u64be(toc + 16) != 0 ? get_u64be(toc + 16) : get_u64be(toc + 32);
    if (series > end || end > bytes.len) {
        prom_index_done(x);
        return bad(e, "its series lie outside");
    }
    x->at = series;
    x->end = end;
    return 0;
}

void prom_index_done(struct prom_index *x)
{
    free(x->symbols);
    *x = (struct prom_index){0};
}

static int read_labels(const struct prom_index *x, struct str *in, struct arena *a,
                       struct labels *out)
{
    uint64_t n, name, value;

    if (column_get_varint(in, &n) < 0 || n > LIMIT_SERIES_LABELS) {
        return -1;
    }
    *out = (struct labels){arena_new_array(a, struct label, n + 1), 0};
    for (; out->len < n; out->len++) {
        if (column_get_varint(in, &name) < 0 || column_get_varint(in, &value) < 0 ||
            name >= x->n_symbols || value >= x->n_symbols) {
            return -1;
        }
        out->p[out->len] = (struct label){x->symbols[name], x->symbols[value]};
    }
    return 0;
}

static int read_chunks(struct str *in, struct arena *a, struct prom_series *out)
{
    uint64_t n, span, first;
    int64_t step;

    if (column_get_varint(in, &n) < 0 || n > in->len) {
        return -1;
    }
    out->chunks = arena_new_array(a, struct prom_chunk, n + 1);
    out->n_chunks = n;
    for (uint64_t i = 0; i < n; i++) {
        struct prom_chunk *c = &out->chunks[i];

        if (i == 0) {
            if (bytes_get_signed(in, &c->min_ts) < 0 || column_get_varint(in, &span) < 0 ||
                column_get_varint(in, &c->ref) < 0) {
                return -1;
            }
        } else {
            if (column_get_varint(in, &first) < 0 || column_get_varint(in, &span) < 0 ||
                bytes_get_signed(in, &step) < 0) {
                return -1;
            }
            c->min_ts = (int64_t)((uint64_t)c[-1].max_ts + first);
            c->ref = c[-1].ref + (uint64_t)step;
        }
        c->max_ts = (int64_t)((uint64_t)c->min_ts + span);
    }
    return 0;
}

int prom_index_next(struct prom_index *x, struct arena *a, struct prom_series *out, struct err *e)
{
    struct str in, body;
    uint64_t len;

    x->at = (x->at + 15) & ~(size_t)15;
    if (x->at >= x->end) {
        return 0;
    }
    in = str_n(x->bytes.p + x->at, x->end - x->at);
    *out = (struct prom_series){.ref = x->at / 16};
    if (column_get_varint(&in, &len) < 0 || in.len < 4 || len > in.len - 4) {
        return bad(e, "a series is cut short");
    }
    body = str_n(in.p, len);
    if (crc32c(body) != get_u32be(in.p + len)) {
        return bad(e, "the checksum of a series does not fit");
    }
    x->at = (size_t)(in.p + len + 4 - x->bytes.p);
    if (read_labels(x, &body, a, &out->labels) < 0 || read_chunks(&body, a, out) < 0) {
        return bad(e, "a series is damaged");
    }
    return 1;
}

/* --- chunks --- */

int prom_chunk_open(struct str bytes, int *encoding, struct str *data, size_t *need, struct err *e)
{
    struct str in = bytes;
    uint64_t len;

    if (bytes.len < 10) {
        *need = 10;
        return 0;
    }
    if (column_get_varint(&in, &len) < 0 || len > 16 * MIB) {
        return bad(e, "a chunk has no length");
    }
    if (in.len < len + 5) {
        *need = (size_t)(in.p - bytes.p) + (size_t)len + 5;
        return 0;
    }
    if (crc32c(str_n(in.p, len + 1)) != get_u32be(in.p + len + 1)) {
        return bad(e, "the checksum of a chunk does not fit");
    }
    *encoding = (unsigned char)in.p[0];
    *data = str_n(in.p + 1, len);
    return 1;
}

struct bits {
    struct str in;
    size_t at; /* in bits */
    bool ended;
};

static uint64_t get_bits(struct bits *b, unsigned n)
{
    uint64_t v = 0;

    if (b->at + n > b->in.len * 8) {
        b->ended = true;
        return 0;
    }
    while (n > 0) {
        unsigned left = 8 - b->at % 8, take = n < left ? n : left;
        unsigned byte = (unsigned char)b->in.p[b->at / 8];

        v = v << take | (byte >> (left - take) & ((1U << take) - 1));
        b->at += take;
        n -= take;
    }
    return v;
}

static uint64_t get_uvarint(struct bits *b)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && !b->ended; shift += 7) {
        uint64_t c = get_bits(b, 8);

        v |= (c & 0x7f) << shift;
        if (c < 0x80) {
            return v;
        }
    }
    b->ended = true;
    return 0;
}

/* The difference of a difference: 0, or of 14, 17, 20 or 64 bits by the ones before it. */
static int64_t get_step(struct bits *b)
{
    static const unsigned widths[] = {0, 14, 17, 20, 64};
    unsigned ones = 0, width;
    uint64_t v;

    while (ones < 4 && get_bits(b, 1) == 1) {
        ones++;
    }
    width = widths[ones];
    v = width == 0 ? 0 : get_bits(b, width);
    if (width > 0 && width < 64 && v > 1ULL << (width - 1)) {
        v -= 1ULL << width;
    }
    return (int64_t)v;
}

struct xor_state {
    uint64_t value;
    unsigned leading, trailing;
};

static double get_value(struct bits *b, struct xor_state *x)
{
    double v;

    if (get_bits(b, 1) == 1) {
        if (get_bits(b, 1) == 1) {
            unsigned leading = (unsigned)get_bits(b, 5), width = (unsigned)get_bits(b, 6);

            width = width == 0 ? 64 : width;
            x->leading = leading;
            x->trailing = leading + width > 64 ? 0 : 64 - leading - width;
            b->ended = b->ended || leading + width > 64;
        }
        if (!b->ended) {
            x->value ^= get_bits(b, 64 - x->leading - x->trailing) << x->trailing;
        }
    }
    memcpy(&v, &x->value, sizeof(v));
    return v;
}

int prom_xor_decode(struct str bytes, int64_t *ts, double *v, size_t *n, struct err *e)
{
    struct bits b = {.in = bytes};
    struct xor_state x = {0};
    size_t count = get_bits(&b, 16);
    uint64_t delta = 0;

    for (size_t i = 0; i < count; i++) {
        if (i == 0) {
            ts[0] = bytes_unzigzag(get_uvarint(&b));
            x.value = get_bits(&b, 64);
            memcpy(&v[0], &x.value, sizeof(v[0]));
        } else {
            delta = i == 1 ? get_uvarint(&b) : delta + (uint64_t)get_step(&b);
            ts[i] = (int64_t)((uint64_t)ts[i - 1] + delta);
            v[i] = get_value(&b, &x);
        }
        if (b.ended) {
            return bad(e, "a chunk ends before its last sample");
        }
    }
    *n = count;
    return 0;
}

/* --- tombstones --- */

int prom_tombstones_read(struct str bytes, struct prom_tombstone **out, size_t *n, struct err *e)
{
    VEC(struct prom_tombstone) v = {0};
    struct prom_tombstone t;
    struct str in;

    if (bytes.len < 9 || get_u32be(bytes.p) != 0x0130BA30 || bytes.p[4] != 1) {
        return bad(e, "its tombstones do not begin as such");
    }
    in = str_n(bytes.p + 5, bytes.len - 9);
    if (crc32c(in) != get_u32be(in.p + in.len)) {
        return bad(e, "the checksum of its tombstones does not fit");
    }
    while (in.len > 0) {
        if (column_get_varint(&in, &t.ref) < 0 || bytes_get_signed(&in, &t.from) < 0 ||
            bytes_get_signed(&in, &t.to) < 0) {
            vec_done(&v);
            return bad(e, "a tombstone is cut short");
        }
        *vec_push(&v) = t;
    }
    *out = v.p;
    *n = v.len;
    return 0;
}
