#include "algorithms/kernel/tokens.h"

#include "algorithms/kernel/utf8.h"

#include <string.h>

/* The last words, one behind the other with a space between them. */
struct window {
    char bytes[TOKENS_NGRAM * (TOKENS_WORD_BYTES + 8)];
    size_t at[TOKENS_NGRAM + 1]; /* where each begins; at[n]: the end + 1 */
    unsigned n, max;
    tokens_fn fn;
    void *ctx;
};

static bool is_cjk(uint32_t c)
{
    return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff);
}

/* All of other scripts but punctuation and spaces. */
static bool is_letter(uint32_t c)
{
    if (c < 0x80) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_';
    }
    return c == 0xaa || c == 0xb5 || c == 0xba ||
           (c >= 0xc0 && c != 0xd7 && c != 0xf7 && !(c >= 0x2000 && c <= 0x2bff) &&
            !(c >= 0x3000 && c <= 0x303f) && !(c >= 0xfe00 && c <= 0xfe6f) &&
            !(c >= 0xff00 && c <= 0xff0f) && !(c >= 0xff1a && c <= 0xff20) &&
            !(c >= 0xe000 && c <= 0xf8ff) && !(c >= 0x1f000 && c <= 0x1ffff));
}

/* A word more: all runs of words that end with it. */
static int add_word(struct window *w, struct str word, struct err *e)
{
    if (w->n == w->max) { /* the first one goes */
        size_t cut = w->at[1];

        memmove(w->bytes, w->bytes + cut, w->at[w->n] - cut);
        for (unsigned i = 0; i < w->n; i++) {
            w->at[i] = w->at[i + 1] - cut;
        }
        w->n--;
    }
    memcpy(w->bytes + w->at[w->n], word.p, word.len);
    w->at[w->n + 1] = w->at[w->n] + word.len + 1;
    w->bytes[w->at[w->n + 1] - 1] = ' ';
    w->n++;
    for (unsigned i = w->n; i-- > 0;) {
        if (w->fn(w->ctx, str_n(w->bytes + w->at[i], w->at[w->n] - 1 - w->at[i]), e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* A run of letters that has ended. */
static int end_word(struct window *w, const char *word, size_t len, size_t characters,
                    struct err *e)
{
    return characters < 2 || len > TOKENS_WORD_BYTES ? 0 : add_word(w, str_n(word, len), e);
}

int tokens_each(struct str text, unsigned ngram_max, tokens_fn fn, void *ctx, struct err *e)
{
    struct window w = {.max = ngram_max, .fn = fn, .ctx = ctx};
    char word[TOKENS_WORD_BYTES + 8], pair[8];
    size_t len = 0, characters = 0, before = 0; /* bytes of the CJK character before */
    bool alone = false;                         /* it is in no pair yet */

    for (size_t at = 0, step; at <= text.len; at += step) {
        uint32_t c = ' ';
        char put[4];
        size_t bytes;

        step = at < text.len ? utf8_next(str_from(text, at), &c) : 1;
        bytes = utf8_put(put, utf8_lower(c));
        if (is_cjk(c) || !is_letter(c)) {
            if (end_word(&w, word, len, characters, e) < 0) {
                return -1;
            }
            len = characters = 0;
        }
        if (!is_cjk(c)) {
            if (alone && add_word(&w, str_n(pair, before), e) < 0) {
                return -1;
            }
            before = 0;
            alone = false;
        }
        if (is_cjk(c)) {
            memcpy(pair + before, put, bytes);
            if (before > 0 && add_word(&w, str_n(pair, before + bytes), e) < 0) {
                return -1;
            }
            alone = before == 0;
            memcpy(pair, put, bytes);
            before = bytes;
        } else if (is_letter(c)) {
            if (len + bytes <= sizeof(word)) {
                memcpy(word + len, put, bytes);
            }
            len += bytes;
            characters++;
        }
    }
    return 0;
}
