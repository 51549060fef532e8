/* Snappy's other direction (format description of google/snappy): the length as a varint, then
 * literals and copies of what came before, block by block, so that a copy never reaches back more
 * than two bytes can say. */
#include "algorithms/kernel/codec.h"

#include "algorithms/kernel/failure.h"

#include <string.h>

enum {
    BLOCK_BYTES = 64 * 1024,
    SLOT_BITS = 14,
    SHORTEST = 4,  /* bytes of a match */
    LONGEST = 64,  /* bytes of one copy */
    SKIP_BITS = 5, /* after 32 misses each step is a byte longer: what does not pack costs little */
};

static uint32_t four_at(const unsigned char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t slot_of(uint32_t four)
{
    return (four * 0x9e3779b1U) >> (32 - SLOT_BITS);
}

static unsigned char *put_literal(unsigned char *out, const unsigned char *from, size_t n)
{
    size_t less = n - 1;

    if (n == 0) {
        return out;
    }
    if (less < 60) {
        *out++ = (unsigned char)(less << 2);
    } else if (less < 256) {
        *out++ = 60 << 2;
        *out++ = (unsigned char)less;
    } else {
        *out++ = 61 << 2;
        *out++ = (unsigned char)less;
        *out++ = (unsigned char)(less >> 8);
    }
    memcpy(out, from, n);
    return out + n;
}

/* n is 4 to 64. */
static unsigned char *put_piece(unsigned char *out, size_t back, size_t n)
{
    if (n < 12 && back < 2048) {
        *out++ = (unsigned char)(1 | (n - 4) << 2 | back >> 8 << 5);
        *out++ = (unsigned char)back;
        return out;
    }
    *out++ = (unsigned char)(2 | (n - 1) << 2);
    *out++ = (unsigned char)back;
    *out++ = (unsigned char)(back >> 8);
    return out;
}

/* No piece is shorter than a match. */
static unsigned char *put_copy(unsigned char *out, size_t back, size_t n)
{
    while (n >= LONGEST + SHORTEST) {
        out = put_piece(out, back, LONGEST);
        n -= LONGEST;
    }
    if (n > LONGEST) {
        out = put_piece(out, back, LONGEST - SHORTEST);
        n -= LONGEST - SHORTEST;
    }
    return put_piece(out, back, n);
}

static size_t match_length(const unsigned char *a, const unsigned char *b, const unsigned char *end)
{
    const unsigned char *from = b;

    while (b < end && *a == *b) {
        a++;
        b++;
    }
    return (size_t)(b - from);
}

static unsigned char *pack_block(const unsigned char *in, size_t n, unsigned char *out)
{
    uint16_t slots[1 << SLOT_BITS] = {0};
    size_t literal = 0, at = 1, misses = 1 << SKIP_BITS;

    while (at + SHORTEST <= n) {
        uint32_t four = four_at(in + at), slot = slot_of(four);
        size_t before = slots[slot], len;

        slots[slot] = (uint16_t)at;
        if (four_at(in + before) != four) {
            at += misses++ >> SKIP_BITS;
            continue;
        }
        len = match_length(in + before, in + at, in + n);
        out = put_literal(out, in + literal, at - literal);
        out = put_copy(out, at - before, len);
        at += len;
        literal = at;
        misses = 1 << SKIP_BITS;
    }
    return put_literal(out, in + literal, n - literal);
}

/* A literal takes three bytes more at most, and stands in front of a match that saves one. */
static size_t bound_of(size_t n)
{
    return 32 + n + n / 6;
}

int codec_pack_snappy(struct str in, struct buf *out, struct err *e)
{
    const unsigned char *from = (const unsigned char *)in.p;
    char *room = in.len > UINT32_MAX ? NULL : buf_reserve(out, bound_of(in.len));
    unsigned char *to = (unsigned char *)room;
    size_t left;

    if (room == NULL) {
        return err_set(e, ERR_DATA, "too many bytes to be packed at once");
    }
    for (left = in.len; left >= 128; left >>= 7) {
        *to++ = (unsigned char)(left | 128);
    }
    *to++ = (unsigned char)left;
    for (size_t i = 0; i < in.len; i += BLOCK_BYTES) {
        to = pack_block(from + i, in.len - i < BLOCK_BYTES ? in.len - i : BLOCK_BYTES, to);
    }
    out->len += (size_t)((char *)to - room);
    return 0;
}
