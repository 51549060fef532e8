#include "algorithms/kernel/parquet_priv.h"

#include <string.h>

/* Up to 64 bits, from bit `at` on; the caller knows that they are there. */
static uint64_t bits_at(struct str s, size_t at, unsigned width)
{
    size_t byte = at / 8, left = s.len - byte;
    unsigned shift = at % 8;
    uint64_t v = 0;

    memcpy(&v, s.p + byte, left < 8 ? left : 8);
    v >>= shift;
    if (shift > 0 && shift + width > 64) {
        v |= (uint64_t)(unsigned char)s.p[byte + 8] << (64 - shift);
    }
    return width == 64 ? v : v & ((1ULL << width) - 1);
}

static int take_varint(struct str *in, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 64 && in->len > 0; shift += 7) {
        unsigned char b = (unsigned char)in->p[0];

        *in = str_from(*in, 1);
        *v |= (uint64_t)(b & 127) << shift;
        if (b < 128) {
            return 0;
        }
    }
    return -1;
}

static int take_zigzag(struct str *in, int64_t *v)
{
    uint64_t u;

    if (take_varint(in, &u) < 0) {
        return -1;
    }
    *v = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    return 0;
}

/* --- RLE / bit-packing hybrid --------------------------------------------------------------------
 */

void parquet_runs_init(struct parquet_runs *r, struct str in, unsigned width)
{
    *r = (struct parquet_runs){.in = in, .width = width, .bad = width > 32};
}

/* A run of one value, or groups of eight packed ones; the last group may be cut short. */
static int next_run(struct parquet_runs *r)
{
    uint64_t head, bytes;

    if (take_varint(&r->in, &head) < 0) {
        return -1;
    }
    r->packed = head & 1;
    r->left = head >> 1;
    if (r->packed) {
        if (r->left > UINT32_MAX) {
            return -1;
        }
        bytes = r->left * r->width;
        r->packed_in = str_first(r->in, bytes);
        r->in = str_from(r->in, bytes);
        r->bit = 0;
        r->left = r->width > 0 ? r->packed_in.len * 8 / r->width : r->left * 8;
        return 0;
    }
    bytes = (r->width + 7) / 8;
    if (bytes > r->in.len) {
        return -1;
    }
    r->value = 0;
    memcpy(&r->value, r->in.p, bytes);
    r->in = str_from(r->in, bytes);
    return 0;
}

/* As many of m packed values as have eight bytes from where they begin. */
static size_t take_words(const struct parquet_runs *r, uint32_t *out, size_t m)
{
    uint64_t mask = (1ULL << r->width) - 1;
    size_t i = 0, bit = r->bit;

    for (; i < m && bit / 8 + 8 <= r->packed_in.len; i++, bit += r->width) {
        uint64_t v;

        memcpy(&v, r->packed_in.p + bit / 8, sizeof(v));
        out[i] = (uint32_t)(v >> bit % 8 & mask);
    }
    return i;
}

/* The next m values of a run. */
static void take_values(const struct parquet_runs *r, uint32_t *out, size_t m)
{
    if (!r->packed || r->width == 0) {
        uint32_t value = r->packed ? 0 : r->value;

        for (size_t i = 0; i < m; i++) {
            out[i] = value;
        }
        return;
    }
    for (size_t i = take_words(r, out, m); i < m; i++) {
        out[i] = (uint32_t)bits_at(r->packed_in, r->bit + i * r->width, r->width);
    }
}

static int need_run(struct parquet_runs *r)
{
    while (r->left == 0) {
        if (r->bad || next_run(r) < 0) {
            return -1;
        }
    }
    return 0;
}

int parquet_runs_get(struct parquet_runs *r, uint32_t *out, size_t n)
{
    while (n > 0) {
        size_t m;

        if (need_run(r) < 0) {
            return -1;
        }
        m = r->left < n ? (size_t)r->left : n;
        take_values(r, out, m);
        r->bit += m * r->width;
        r->left -= m;
        out += m;
        n -= m;
    }
    return 0;
}

static void take_bit(const struct parquet_runs *r, size_t i, unsigned char *out, size_t to)
{
    size_t bit = r->bit + i;
    unsigned v = r->packed ? (unsigned char)r->packed_in.p[bit / 8] >> bit % 8 & 1 : r->value != 0;

    out[to / 8] |= (unsigned char)(v << to % 8);
}

/* Whole bytes where both sides have them. */
static size_t take_bytes(const struct parquet_runs *r, size_t i, unsigned char *out, size_t n)
{
    if (!r->packed) {
        memset(out, r->value != 0 ? 0xff : 0, n);
    } else if ((r->bit + i) % 8 == 0) {
        memcpy(out, r->packed_in.p + (r->bit + i) / 8, n);
    } else {
        return 0;
    }
    return 8 * n;
}

/* m values of the run at hand, to bit `at`. */
static void take_bits(const struct parquet_runs *r, unsigned char *out, size_t at, size_t m)
{
    size_t i = 0;

    for (; i < m && (at + i) % 8 > 0; i++) {
        take_bit(r, i, out, at + i);
    }
    i += m - i >= 8 ? take_bytes(r, i, out + (at + i) / 8, (m - i) / 8) : 0;
    for (; i < m; i++) {
        take_bit(r, i, out, at + i);
    }
}

int parquet_runs_bits(struct parquet_runs *r, unsigned char *out, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t m;

        if (need_run(r) < 0) {
            return -1;
        }
        m = r->left < n - at ? (size_t)r->left : n - at;
        take_bits(r, out, at, m);
        r->bit += m;
        r->left -= m;
        at += m;
    }
    return 0;
}

/* --- DELTA_BINARY_PACKED -----------------------------------------------------------------------
 */

/* One miniblock: differences of `width` bits above the least one. */
static int take_miniblock(struct str *in, unsigned width, size_t per, int64_t least, int64_t *out,
                          size_t n)
{
    size_t bytes = per / 8 * width;
    uint64_t last = (uint64_t)out[-1];

    if (width > 64 || bytes > in->len) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        last += (uint64_t)least + (width > 0 ? bits_at(*in, i * width, width) : 0);
        out[i] = (int64_t)last;
    }
    *in = str_from(*in, bytes);
    return 0;
}

int parquet_deltas(struct str *in, int64_t *out, size_t n)
{
    uint64_t block, blocks, total, per;
    int64_t first;

    if (n == 0 && in->len == 0) {
        return 0;
    }
    if (take_varint(in, &block) < 0 || take_varint(in, &blocks) < 0 ||
        take_varint(in, &total) < 0 || take_zigzag(in, &first) < 0 || blocks == 0 ||
        block > 1 << 20 || block % blocks != 0 || block / blocks % 8 != 0 || total != n) {
        return -1;
    }
    per = block / blocks;
    if (n == 0) {
        return 0;
    }
    out[0] = first;
    for (size_t at = 1; at < n;) {
        int64_t least;
        struct str widths;

        if (per == 0 || take_zigzag(in, &least) < 0 || in->len < blocks) {
            return -1;
        }
        widths = str_first(*in, blocks);
        *in = str_from(*in, blocks);
        for (size_t k = 0; k < blocks && at < n; k++) {
            size_t m = n - at < per ? n - at : per;

            if (take_miniblock(in, (unsigned char)widths.p[k], per, least, out + at, m) < 0) {
                return -1;
            }
            at += m;
        }
    }
    return 0;
}
