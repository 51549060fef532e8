#include "algorithms/kernel/codec.h"

#include "algorithms/kernel/failure.h"

#include <string.h>
#include <zstd.h>

static int damaged(const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: its %s bytes do not unpack", what);
}

int codec_zstd(struct str in, void *out, size_t out_len, struct err *e)
{
    return ZSTD_decompress(out, out_len, in.p, in.len) == out_len ? 0 : damaged("zstd", e);
}

/* --- LZ4 ------------------------------------------------------------------------------------- */

struct lz4 {
    const unsigned char *in, *end;
    unsigned char *out;
    size_t n, cap; /* written, and room for */
};

/* The rest of a length whose four bits were all set. */
static int long_length(struct lz4 *z, size_t *n)
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
static int copy_match(struct lz4 *z, size_t back, size_t n)
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
static int lz4_block(struct lz4 *z)
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

static int stored_block(struct lz4 *z)
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
    struct lz4 z = {.out = out, .cap = out_len};
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
