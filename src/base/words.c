#include "base/words.h"

#include <string.h>

enum { TEXT_MAX = 64 * 1024 };

/* Unicode's simple lower case, from UnicodeData.txt: every `step`th character from first to last.
 * What is missing are letters that stand alone, and scripts that nobody writes file names in. */
static const struct {
    unsigned first, last, step;
    int delta;
} cases[] = {
    {0x00c0, 0x00d6, 1, 32},   {0x00d8, 0x00de, 1, 32},    {0x0100, 0x012e, 2, 1},
    {0x0132, 0x0136, 2, 1},    {0x0139, 0x0147, 2, 1},     {0x014a, 0x0176, 2, 1},
    {0x0178, 0x0178, 1, -121}, {0x0179, 0x017d, 2, 1},     {0x01cb, 0x01db, 2, 1},
    {0x01de, 0x01ee, 2, 1},    {0x01f8, 0x021e, 2, 1},     {0x0222, 0x0232, 2, 1},
    {0x0246, 0x024e, 2, 1},    {0x0386, 0x0386, 1, 38},    {0x0388, 0x038a, 1, 37},
    {0x038c, 0x038c, 1, 64},   {0x038e, 0x038f, 1, 63},    {0x0391, 0x03a1, 1, 32},
    {0x03a3, 0x03ab, 1, 32},   {0x03d8, 0x03ee, 2, 1},     {0x0400, 0x040f, 1, 80},
    {0x0410, 0x042f, 1, 32},   {0x0460, 0x0480, 2, 1},     {0x048a, 0x04be, 2, 1},
    {0x04c1, 0x04cd, 2, 1},    {0x04d0, 0x052e, 2, 1},     {0x0531, 0x0556, 1, 48},
    {0x10a0, 0x10c5, 1, 7264}, {0x1c90, 0x1cba, 1, -3008}, {0x1e00, 0x1e94, 2, 1},
    {0x1ea0, 0x1efe, 2, 1},    {0x1f08, 0x1f0f, 1, -8},    {0x1f18, 0x1f1d, 1, -8},
    {0x1f28, 0x1f2f, 1, -8},   {0x1f38, 0x1f3f, 1, -8},    {0x1f48, 0x1f4d, 1, -8},
    {0x1f68, 0x1f6f, 1, -8},   {0x2160, 0x216f, 1, 16},    {0x24b6, 0x24cf, 1, 26},
    {0x2c00, 0x2c2f, 1, 48},   {0x2c80, 0x2ce2, 2, 1},     {0xa640, 0xa66c, 2, 1},
    {0xff21, 0xff3a, 1, 32},
};

static unsigned lower(unsigned c)
{
    for (size_t i = 0; i < ARRAY_LEN(cases) && c >= cases[i].first; i++) {
        if (c <= cases[i].last) {
            return (c - cases[i].first) % cases[i].step == 0 ? c + (unsigned)cases[i].delta : c;
        }
    }
    return c;
}

/* Two or three bytes of UTF-8: the cased letters that we know. Returns how many bytes of `in` were
 * read, and writes as many or one more to `out`; *n is how many. Whatever it is not goes through as
 * it is: it need not be valid. */
static size_t fold_letter(const unsigned char *in, size_t left, unsigned char *out, size_t *n)
{
    size_t len = in[0] >= 0xc3 && in[0] <= 0xdf ? 2 : in[0] >= 0xe1 && in[0] <= 0xef ? 3 : 1;
    unsigned c;

    if (len == 1 || len > left || (in[1] & 0xc0) != 0x80 || (len == 3 && (in[2] & 0xc0) != 0x80)) {
        out[0] = in[0];
        *n = 1;
        return 1;
    }
    c = len == 2 ? (in[0] & 0x1fU) << 6 | (in[1] & 0x3fU)
                 : (in[0] & 0x0fU) << 12 | (in[1] & 0x3fU) << 6 | (in[2] & 0x3fU);
    c = lower(c);
    *n = c < 0x800 ? 2 : 3;
    out[*n - 1] = (unsigned char)(0x80 | (c & 0x3f));
    if (*n == 3) {
        out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
    }
    out[0] = (unsigned char)(*n == 2 ? 0xc0 | c >> 6 : 0xe0 | c >> 12);
    return len;
}

/* `out` has room for 1.5 times as much: two bytes become three at the most. */
static size_t fold(struct str s, char *out)
{
    const unsigned char *in = (const unsigned char *)s.p;
    unsigned char *to = (unsigned char *)out;

    for (size_t i = 0; i < s.len;) {
        size_t n = 1;

        if (in[i] < 0x80) {
            *to = in[i] >= 'A' && in[i] <= 'Z' ? (unsigned char)(in[i] + 32) : in[i];
            i++;
        } else {
            i += fold_letter(in + i, s.len - i, to, &n);
        }
        to += n;
    }
    return (size_t)((char *)to - out);
}

int words_init(struct words *w, struct str q, struct err *e)
{
    struct str rest;

    w->n = 0;
    w->text = BUF_MAX(TEXT_MAX);
    if (q.len > LIMIT_FILTER_BYTES) {
        return err_set(e, ERR_INVALID, "the filter (q) has %zu bytes and at most %d are allowed",
                       q.len, LIMIT_FILTER_BYTES);
    }
    rest = str_n(w->folded, q.len > 0 ? fold(q, w->folded) : 0);
    while (rest.p) {
        struct str word = str_trim(str_cut(&rest, ' '));

        if (word.len == 0) {
            continue;
        }
        if (w->n == LIMIT_FILTER_WORDS) {
            return err_set(e, ERR_INVALID, "the filter (q) has more than %d words",
                           LIMIT_FILTER_WORDS);
        }
        w->words[w->n++] = word;
    }
    return 0;
}

void words_done(struct words *w)
{
    buf_done(&w->text);
    w->n = 0;
}

void words_begin(struct words *w)
{
    buf_clear(&w->text);
}

void words_add(struct words *w, struct str part)
{
    char *to = buf_reserve(&w->text, part.len + part.len / 2 + 2);

    if (to == NULL) {
        return; /* longer than anything that we list */
    }
    w->text.len += fold(part, to);
    (void)buf_add(&w->text, STR("\n"));
}

bool words_fit(const struct words *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->text.len == 0 ||
            memmem(w->text.p, w->text.len, w->words[i].p, w->words[i].len) == NULL) {
            return false;
        }
    }
    return true;
}

bool words_match(struct words *w, struct str text)
{
    if (w->n == 0) {
        return true;
    }
    words_begin(w);
    words_add(w, text);
    return words_fit(w);
}
