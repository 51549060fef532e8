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
