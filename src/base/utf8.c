#include "base/utf8.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

size_t utf8_put(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        return 0;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

uint32_t utf8_get(const unsigned char *p, size_t n)
{
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fU >> n);

    for (size_t i = 1; i < n; i++) {
        c = c << 6 | (p[i] & 0x3f);
    }
    return c;
}

/* --- case --- */

static locale_t unicode;
static pthread_once_t unicode_once = PTHREAD_ONCE_INIT;

static void make_unicode(void)
{
    unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static bool is_between_words(wint_t c)
{
    return c < 0x80 ? !(iswalnum_l(c, unicode) || c == '_') : iswspace_l(c, unicode) != 0;
}

struct str utf8_cased(struct arena *a, struct str s, enum utf8_case to)
{
    char *out = arena_alloc(a, s.len * 4 + 1);
    bool begins = true;
    size_t len = 0;

    (void)pthread_once(&unicode_once, make_unicode);
    for (size_t i = 0; i < s.len;) {
        const unsigned char *p = (const unsigned char *)s.p + i;
        size_t n = str_utf8_len(p, s.len - i);

        if (n == 0 || unicode == (locale_t)0) {
            out[len++] = s.p[i++];
            continue;
        }
        wint_t c = utf8_get(p, n);

        if (to == UTF8_LOWER) {
            len += utf8_put(out + len, towlower_l(c, unicode));
        } else if (to == UTF8_UPPER || begins) {
            len += utf8_put(out + len, towupper_l(c, unicode));
        } else {
            len += utf8_put(out + len, c);
        }
        begins = is_between_words(c);
        i += n;
    }
    return str_n(out, len);
}
