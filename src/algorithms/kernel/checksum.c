#include "algorithms/kernel/checksum.h"

#include <string.h>

#define P1 0x9E3779B185EBCA87ULL
#define P2 0xC2B2AE3D27D4EB4FULL
#define P3 0x165667B19E3779F9ULL
#define P4 0x85EBCA77C2B2AE63ULL
#define P5 0x27D4EB2F165667C5ULL

enum { STRIPE = 32 };

static uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

static uint64_t get64(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v)); /* little endian: see binary.c */
    return v;
}

static uint64_t mix(uint64_t lane, uint64_t input)
{
    return rotl(lane + input * P2, 31) * P1;
}

/* As many whole stripes as there are; the bytes left over. */
static size_t take_stripes(struct checksum *c, const unsigned char *p, size_t len)
{
    uint64_t a = c->lanes[0], b = c->lanes[1], d = c->lanes[2], f = c->lanes[3];

    for (; len >= STRIPE; len -= STRIPE, p += STRIPE) {
        a = mix(a, get64(p));
        b = mix(b, get64(p + 8));
        d = mix(d, get64(p + 16));
        f = mix(f, get64(p + 24));
    }
    c->lanes[0] = a, c->lanes[1] = b, c->lanes[2] = d, c->lanes[3] = f;
    return len;
}

void checksum_init(struct checksum *c)
{
    *c = (struct checksum){.lanes = {P1 + P2, P2, 0, 0 - P1}};
}

void checksum_add(struct checksum *c, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    size_t kept = c->len % STRIPE, left;

    c->len += len;
    if (kept > 0) {
        size_t n = len < STRIPE - kept ? len : STRIPE - kept;

        memcpy(c->rest + kept, p, n);
        p += n;
        len -= n;
        if (kept + n < STRIPE) {
            return;
        }
        (void)take_stripes(c, c->rest, STRIPE);
    }
    left = take_stripes(c, p, len);
    if (left > 0) {
        memcpy(c->rest, p + (len - left), left);
    }
}

static uint64_t converge(const struct checksum *c)
{
    const uint64_t *l = c->lanes;
    uint64_t v = rotl(l[0], 1) + rotl(l[1], 7) + rotl(l[2], 12) + rotl(l[3], 18);

    for (int i = 0; i < 4; i++) {
        v = (v ^ mix(0, l[i])) * P1 + P4;
    }
    return v;
}

uint64_t checksum_value(const struct checksum *c)
{
    uint64_t v = (c->len >= STRIPE ? converge(c) : P5) + c->len;
    const unsigned char *p = c->rest;
    size_t left = c->len % STRIPE;

    for (; left >= 8; left -= 8, p += 8) {
        v = rotl(v ^ mix(0, get64(p)), 27) * P1 + P4;
    }
    if (left >= 4) {
        uint32_t word;

        memcpy(&word, p, sizeof(word));
        v = rotl(v ^ word * P1, 23) * P2 + P3;
        p += 4;
        left -= 4;
    }
    for (; left > 0; left--, p++) {
        v = rotl(v ^ *p * P5, 11) * P1;
    }
    v = (v ^ v >> 33) * P2;
    v = (v ^ v >> 29) * P3;
    return v ^ v >> 32;
}

uint64_t checksum_of(const void *p, size_t len)
{
    struct checksum c;

    checksum_init(&c);
    checksum_add(&c, p, len);
    return checksum_value(&c);
}
