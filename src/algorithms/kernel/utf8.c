#include "algorithms/kernel/utf8.h"

/* Length of the sequence at `p`, 0 when it is none. */
static size_t sequence(const unsigned char *p, size_t left)
{
    unsigned low = 0x80, high = 0xbf; /* of the second byte */
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (n < 2) {
        return n;
    }
    if (p[0] > 0xf4 || left < n) {
        return 0;
    }
    low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;
    high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

ptrdiff_t utf8_check(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0; i < s.len;) {
        size_t n = sequence(p + i, s.len - i);

        if (n == 0) {
            return (ptrdiff_t)i;
        }
        i += n;
    }
    return -1;
}

void utf8_from_latin1(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};

        (void)(c < 0x80 ? buf_add(out, str_n(s.p + i, 1)) : buf_add(out, str_n(two, 2)));
    }
}

size_t utf8_next(struct str s, uint32_t *c)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n = str_utf8_len(p, s.len);

    *c = n > 0 ? utf8_get(p, n) : p[0];
    return n > 0 ? n : 1;
}

/* Capitals first .. last stand `shift` before their small letters; every: only each second
 * character is a capital. */
static const struct {
    uint32_t first, last, shift;
    bool every_second;
} pairs[] = {
    {'A', 'Z', 32, false},     {0xc0, 0xd6, 32, false},   {0xd8, 0xde, 32, false},
    {0x100, 0x12e, 1, true},   {0x132, 0x136, 1, true},   {0x139, 0x147, 1, true},
    {0x14a, 0x176, 1, true},   {0x179, 0x17d, 1, true},   {0x391, 0x3a1, 32, false},
    {0x3a3, 0x3ab, 32, false}, {0x400, 0x40f, 80, false}, {0x410, 0x42f, 32, false},
    {0x460, 0x480, 1, true},   {0x48a, 0x4be, 1, true},   {0x1ea0, 0x1efe, 1, true},
};

uint32_t utf8_lower(uint32_t c)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]) && c >= pairs[i].first; i++) {
        if (c <= pairs[i].last && (!pairs[i].every_second || (c - pairs[i].first) % 2 == 0)) {
            return c + pairs[i].shift;
        }
    }
    return c;
}

uint32_t utf8_upper(uint32_t c)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        uint32_t up = c - pairs[i].shift;

        if (up >= pairs[i].first && up <= pairs[i].last &&
            (!pairs[i].every_second || (up - pairs[i].first) % 2 == 0)) {
            return up;
        }
    }
    return c;
}
