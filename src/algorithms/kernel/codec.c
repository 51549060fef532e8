#include "algorithms/kernel/codec.h"

#include "algorithms/kernel/failure.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

static int damaged(const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: its %s bytes do not unpack", what);
}

int codec_zstd(struct str in, void *out, size_t out_len, struct err *e)
{
    return ZSTD_decompress(out, out_len, in.p, in.len) == out_len ? 0 : damaged("zstd", e);
}

int codec_gzip(struct str in, void *out, size_t out_len, struct err *e)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .next_out = out};
    size_t left = out_len;
    int rc = in.len > UINT32_MAX || out_len > UINT32_MAX
                 ? Z_DATA_ERROR
                 : inflateInit2(&z, 32 + MAX_WBITS /* gzip or zlib, by its head */);

    if (rc != Z_OK) {
        return damaged("gzip", e);
    }
    z.avail_in = (uInt)in.len;
    z.avail_out = (uInt)out_len;
    while ((rc = inflate(&z, Z_FINISH)) == Z_STREAM_END && z.avail_in > 0 && z.avail_out > 0) {
        if (inflateReset(&z) != Z_OK) { /* the next member */
            break;
        }
    }
    left = z.avail_out;
    (void)inflateEnd(&z);
    return rc == Z_STREAM_END && left == 0 ? 0 : damaged("gzip", e);
}

static int too_long(struct err *e)
{
    return err_set(e, ERR_DATA, "too many bytes to be packed at once");
}

int codec_pack_zstd(struct str in, struct buf *out, struct err *e)
{
    size_t bound = ZSTD_compressBound(in.len);
    char *to = buf_reserve(out, bound);
    size_t n = to ? ZSTD_compress(to, bound, in.p, in.len, ZSTD_CLEVEL_DEFAULT) : 0;

    if (to == NULL || ZSTD_isError(n)) {
        return too_long(e);
    }
    out->len += n;
    return 0;
}

int codec_pack_gzip(struct str in, struct buf *out, struct err *e)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p};
    uLong bound;
    char *to;
    int rc;

    if (in.len > UINT32_MAX / 2 || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                                                16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return too_long(e);
    }
    bound = deflateBound(&z, in.len);
    to = buf_reserve(out, bound);
    z.avail_in = (uInt)in.len;
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)bound;
    rc = to ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
    (void)deflateEnd(&z);
    if (rc != Z_STREAM_END) {
        return too_long(e);
    }
    out->len += bound - z.avail_out;
    return 0;
}

/* --- LZ4 and Snappy: literals, and copies of what came before
 * ------------------------------------------------------------------------------------ */

struct window {
    const unsigned char *in, *end;
    unsigned char *out;
    size_t n, cap; /* written, and room for */
};

/* The rest of a length whose four bits were all set. */
static int long_length(struct window *z, size_t *n)
{
    unsigned char more = 255;

    while (more == 255) {
        if (z->in == z->end) {
            return -1;
        }
        more = *z->in++;
        *n += more; /* in + n stays far from SIZE_MAX: each 255 took a byte of input */
    }
    return 0;
}

/* Bytes that were there before, `back` bytes ago; they may overlap with what they make. */
static int copy_match(struct window *z, size_t back, size_t n)
{
    if (back == 0 || back > z->n || n > z->cap - z->n) {
        return -1;
    }
    if (back >= n) {
        memcpy(z->out + z->n, z->out + z->n - back, n);
        z->n += n;
        return 0;
    }
    for (size_t i = 0; i < n; i++, z->n++) {
        z->out[z->n] = z->out[z->n - back];
    }
    return 0;
}

/* One block: sequences of token, literals, distance; the last one ends after its literals. */
static int lz4_block(struct window *z)
{
    while (z->in < z->end) {
        unsigned char token = *z->in++;
        size_t literals = token >> 4, match = token & 15, back;

        if ((literals == 15 && long_length(z, &literals) < 0) ||
            literals > (size_t)(z->end - z->in) || literals > z->cap - z->n) {
            return -1;
        }
        memcpy(z->out + z->n, z->in, literals);
        z->in += literals;
        z->n += literals;
        if (z->in == z->end) {
            return 0;
        }
        if (z->end - z->in < 2) {
            return -1;
        }
        back = (size_t)(z->in[0] | z->in[1] << 8);
        z->in += 2;
        if ((match == 15 && long_length(z, &match) < 0) || copy_match(z, back, match + 4) < 0) {
            return -1;
        }
    }
    return 0;
}

int codec_lz4_block(struct str in, void *out, size_t out_len, struct err *e)
{
    struct window z = {.in = (const unsigned char *)in.p,
                       .end = (const unsigned char *)in.p + in.len,
                       .out = out,
                       .cap = out_len};

    return lz4_block(&z) == 0 && z.n == out_len ? 0 : damaged("lz4", e);
}

static int stored_block(struct window *z)
{
    size_t n = (size_t)(z->end - z->in);

    if (n > z->cap - z->n) {
        return -1;
    }
    memcpy(z->out + z->n, z->in, n);
    z->n += n;
    return 0;
}

static uint32_t u32_at(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* Magic, descriptor (flags, block size, maybe the length, checksum), blocks, an empty block.
 * Checksums are passed over: the length promised is the check. */
int codec_lz4_frame(struct str in, void *out, size_t out_len, struct err *e)
{
    struct window z = {.out = out, .cap = out_len};
    unsigned flags = in.len > 6 ? (unsigned char)in.p[4] : 0;
    bool block_sums = flags & 16, has_length = flags & 8, has_dictionary = flags & 1;

    if (in.len < 7 || u32_at(in.p) != 0x184D2204 || flags >> 6 != 1 || has_dictionary) {
        return damaged("lz4", e);
    }
    in = str_from(in, 7 + (has_length ? 8 : 0));
    while (in.len >= 4) {
        uint32_t head = u32_at(in.p), n = head & 0x7fffffff;

        in = str_from(in, 4);
        if (head == 0) {
            return z.n == out_len ? 0 : damaged("lz4", e);
        }
        if (n > in.len) {
            break;
        }
        z.in = (const unsigned char *)in.p;
        z.end = z.in + n;
        if ((head >> 31 ? stored_block(&z) : lz4_block(&z)) < 0) {
            break;
        }
        in = str_from(in, (size_t)n + (block_sums ? 4 : 0));
    }
    return damaged("lz4", e);
}

/* --- Snappy: the length as a varint, then elements by the low bits of their tag ------------------
 */

/* 1 to 4 bytes, little endian. */
static int take_bytes(struct window *z, unsigned n, uint32_t *v)
{
    *v = 0;
    if (z->end - z->in < (ptrdiff_t)n) {
        return -1;
    }
    for (unsigned i = 0; i < n; i++) {
        *v |= (uint32_t)z->in[i] << (8 * i);
    }
    z->in += n;
    return 0;
}

static int snappy_literal(struct window *z, unsigned tag)
{
    uint32_t n = tag >> 2;

    if (n >= 60 && take_bytes(z, n - 59, &n) < 0) {
        return -1;
    }
    if (n >= (size_t)(z->end - z->in) || n >= z->cap - z->n) { /* n + 1 bytes */
        return -1;
    }
    memcpy(z->out + z->n, z->in, (size_t)n + 1);
    z->in += (size_t)n + 1;
    z->n += (size_t)n + 1;
    return 0;
}

static int snappy_element(struct window *z)
{
    unsigned tag = *z->in++;
    uint32_t back;

    switch (tag & 3) {
    case 0:
        return snappy_literal(z, tag);
    case 1:
        return take_bytes(z, 1, &back) < 0
                   ? -1
                   : copy_match(z, (tag >> 5) << 8 | back, (tag >> 2 & 7) + 4);
    default:
        return take_bytes(z, (tag & 3) == 2 ? 2 : 4, &back) < 0
                   ? -1
                   : copy_match(z, back, (tag >> 2) + 1);
    }
}

int codec_snappy(struct str in, void *out, size_t out_len, struct err *e)
{
    struct window z = {.in = (const unsigned char *)in.p,
                       .end = (const unsigned char *)in.p + in.len,
                       .out = out,
                       .cap = out_len};
    uint64_t len = 0;

    for (unsigned shift = 0; z.in < z.end && shift < 35; shift += 7) {
        len |= (uint64_t)(*z.in & 127) << shift;
        if (*z.in++ < 128) {
            break;
        }
    }
    while (len == out_len && z.in < z.end) {
        if (snappy_element(&z) < 0) {
            return damaged("snappy", e);
        }
    }
    return len == out_len && z.n == out_len ? 0 : damaged("snappy", e);
}
