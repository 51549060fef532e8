#include "scrape/snappy.h"

#include <string.h>

/* A varint of at most 32 bits; 0: it is none. Its length. */
static size_t read_length(struct str in, uint32_t *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < in.len && i < 5; i++) {
        unsigned char c = (unsigned char)in.p[i];

        v |= (uint64_t)(c & 127) << (7 * i);
        if (c < 128) {
            *out = (uint32_t)v;
            return v <= UINT32_MAX ? i + 1 : 0;
        }
    }
    return 0;
}

static uint32_t little_endian(const unsigned char *p, size_t n)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n; i++) {
        v |= (uint32_t)p[i] << (8 * i);
    }
    return v;
}

struct piece {
    size_t head, len;
    size_t offset; /* 0: a literal */
};

/* What the tag at `p` says; false when it does not fit. */
static bool read_tag(const unsigned char *p, size_t left, struct piece *out)
{
    unsigned tag = p[0];
    size_t more;

    switch (tag & 3) {
    case 0:
        more = tag >> 2 < 60 ? 0 : (tag >> 2) - 59;
        if (left < 1 + more) {
            return false;
        }
        *out = (struct piece){1 + more,
                              (more == 0 ? tag >> 2 : (size_t)little_endian(p + 1, more)) + 1, 0};
        return out->len <= left - out->head;
    case 1:
        *out = (struct piece){2, 4 + (tag >> 2 & 7), left < 2 ? 0 : (tag >> 5) << 8 | p[1]};
        break;
    case 2:
        *out = (struct piece){3, 1 + (tag >> 2), left < 3 ? 0 : little_endian(p + 1, 2)};
        break;
    default:
        *out = (struct piece){5, 1 + (tag >> 2), left < 5 ? 0 : little_endian(p + 1, 4)};
        break;
    }
    return left >= out->head && out->offset > 0;
}

/* May overlap: then it repeats. */
static void copy_back(char *to, size_t offset, size_t n)
{
    if (offset >= n) {
        memcpy(to, to - offset, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        to[i] = to[i - offset];
    }
}

int snappy_unpack(struct str in, struct buf *out, struct err *e)
{
    uint32_t whole;
    size_t at = read_length(in, &whole), len = 0;
    char *to;

    if (at == 0) {
        return err_set(e, ERR_INVALID, "the body is not packed with snappy (block format)");
    }
    /* a byte of input makes at most 64 of output: who promises more, lies */
    if (whole > out->max || whole / 64 > in.len) {
        return err_set(e, whole > out->max ? ERR_LIMIT : ERR_INVALID,
                       "the body unpacks to %u bytes, of at most %zu", whole, out->max);
    }
    to = buf_reserve(out, (size_t)whole + 1);
    if (to == NULL) {
        return err_set(e, ERR_LIMIT, "the body unpacks to more than %zu bytes", out->max);
    }
    while (at < in.len) {
        struct piece p;

        if (!read_tag((const unsigned char *)in.p + at, in.len - at, &p) || p.len > whole - len ||
            p.offset > len) {
            return err_set(e, ERR_INVALID, "snappy: byte %zu of the body is damaged", at);
        }
        if (p.offset > 0) {
            copy_back(to + len, p.offset, p.len);
            at += p.head;
        } else {
            memcpy(to + len, in.p + at + p.head, p.len);
            at += p.head + p.len;
        }
        len += p.len;
    }
    if (len != whole) {
        return err_set(e, ERR_INVALID, "snappy: the body ends after %zu of %u bytes", len, whole);
    }
    out->len += len;
    out->p[out->len] = '\0';
    return 0;
}

/* --- packing --- */

enum { TABLE_BITS = 14, BLOCK = 65536 };

static void add_byte(struct buf *out, unsigned v)
{
    char c = (char)v;

    (void)buf_add(out, str_n(&c, 1));
}

static void add_literal(struct buf *out, const char *p, size_t n)
{
    if (n == 0) {
        return;
    }
    if (n <= 60) {
        add_byte(out, (unsigned)(n - 1) << 2);
    } else if (n <= 256) {
        add_byte(out, 60 << 2);
        add_byte(out, (unsigned)(n - 1));
    } else {
        add_byte(out, 61 << 2);
        add_byte(out, (unsigned)(n - 1) & 255);
        add_byte(out, (unsigned)(n - 1) >> 8);
    }
    (void)buf_add(out, str_n(p, n));
}

static void add_copy(struct buf *out, size_t offset, size_t n)
{
    while (n > 0) {
        size_t part = n > 64 ? 64 : n;

        add_byte(out, (unsigned)(part - 1) << 2 | 2);
        add_byte(out, (unsigned)offset & 255);
        add_byte(out, (unsigned)(offset >> 8));
        n -= part;
    }
}

static void pack_block(const char *p, size_t n, struct buf *out)
{
    uint16_t table[1 << TABLE_BITS] = {0}; /* where these four bytes stood last; 0 may be wrong */
    size_t i = 1, from = 0;

    while (i + 4 <= n) {
        uint32_t word, there;
        size_t k, match = 4;

        memcpy(&word, p + i, 4);
        k = word * 0x1e35a7bdU >> (32 - TABLE_BITS);
        memcpy(&there, p + table[k], 4);
        if (there != word) {
            table[k] = (uint16_t)i;
            i += 1 + (i - from) / 32;
            continue;
        }
        while (i + match < n && p[i + match] == p[table[k] + match]) {
            match++;
        }
        add_literal(out, p + from, i - from);
        add_copy(out, i - table[k], match);
        table[k] = (uint16_t)i;
        i += match;
        from = i;
    }
    add_literal(out, p + from, n - from);
}

void snappy_pack(struct str in, struct buf *out)
{
    for (size_t v = in.len;; v >>= 7) {
        add_byte(out, (unsigned)(v & 127) | (v > 127 ? 128 : 0));
        if (v <= 127) {
            break;
        }
    }
    for (size_t at = 0; at < in.len; at += BLOCK) {
        size_t n = in.len - at < BLOCK ? in.len - at : BLOCK;

        pack_block(in.p + at, n, out);
    }
}
