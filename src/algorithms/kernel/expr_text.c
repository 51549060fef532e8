#include "algorithms/kernel/expr_priv.h"

#include "algorithms/kernel/number.h"
#include "algorithms/kernel/utf8.h"

#include <math.h>
#include <string.h>

static const struct str no_text = {NULL, 0};

static double characters(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return (double)n;
}

EXPR_RUN(length)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = a[0].texts[i].p ? characters(a[0].texts[i]) : NAN;
    }
}

static struct str change_case(struct eval *v, struct str s, uint32_t (*letter)(uint32_t))
{
    char *to = s.p ? eval_text(v, s.len) : NULL;
    size_t used = 0;

    for (size_t at = 0; to && at < s.len;) {
        uint32_t c = 0, other;
        size_t len = utf8_next(str_from(s, at), &c);
        char put[4];

        other = letter(c);
        if (other != c && utf8_put(put, other) == len) {
            memcpy(to + used, put, len);
        } else {
            memcpy(to + used, s.p + at, len);
        }
        used += len;
        at += len;
    }
    return to ? str_n(to, used) : no_text;
}

EXPR_RUN(lower)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        out->own_texts[i] = change_case(v, a[0].texts[i], utf8_lower);
    }
}

EXPR_RUN(upper)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        out->own_texts[i] = change_case(v, a[0].texts[i], utf8_upper);
    }
}

EXPR_RUN(trim)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        struct str s = a[0].texts[i];

        while (s.p && s.len > 0 && strchr(" \t\r\n", s.p[0]) && s.p[0]) {
            s = str_n(s.p + 1, s.len - 1);
        }
        while (s.p && s.len > 0 && strchr(" \t\r\n", s.p[s.len - 1]) && s.p[s.len - 1]) {
            s.len--;
        }
        out->own_texts[i] = s;
    }
}

/* Where character `k` (from 0) begins. */
static size_t offset_of(struct str s, double k)
{
    size_t at = 0;
    uint32_t c;

    while (at < s.len && k >= 1) {
        at += utf8_next(str_from(s, at), &c);
        k--;
    }
    return at;
}

/* From a character (the first is 1) on, all or so many. */
EXPR_RUN(substr)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        struct str s = a[0].texts[i];
        double start = a[1].numbers[i], many = op->n_args > 2 ? a[2].numbers[i] : INFINITY;

        if (s.p == NULL || isnan(start) || isnan(many)) {
            out->own_texts[i] = no_text;
            continue;
        }
        s = str_from(s, offset_of(s, start - 1));
        out->own_texts[i] = str_first(s, offset_of(s, fmax(many, 0)));
    }
}

#define TEXT_TEST(name, test)                                                                      \
    EXPR_RUN(name)                                                                                 \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            struct str x = a[0].texts[i], y = a[1].texts[i];                                       \
            out->own_numbers[i] = x.p && y.p ? (test) : NAN;                                       \
        }                                                                                          \
    }

TEXT_TEST(contains, y.len == 0 || memmem(x.p, x.len, y.p, y.len) != NULL)
TEXT_TEST(starts_with, str_starts(x, y))
TEXT_TEST(ends_with, str_ends(x, y))

EXPR_RUN(regex_match)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        struct str s = a[0].texts[i];

        out->own_numbers[i] = s.p ? regex_found(op->regex, s) : NAN;
    }
}

static struct str replace_all(struct eval *v, struct str s, struct str from, struct str with)
{
    size_t hits = 0, used = 0, len;
    const char *at = s.p, *end = s.p + s.len, *hit;
    char *to;

    while (from.len > 0 && (hit = memmem(at, (size_t)(end - at), from.p, from.len))) {
        hits++;
        at = hit + from.len;
    }
    len = s.len - hits * from.len + hits * with.len;
    to = hits > 0 ? eval_text(v, len) : NULL;
    if (to == NULL) {
        return hits > 0 ? no_text : s;
    }
    at = s.p;
    while ((hit = memmem(at, (size_t)(end - at), from.p, from.len))) {
        memcpy(to + used, at, (size_t)(hit - at));
        used += (size_t)(hit - at);
        memcpy(to + used, with.p, with.len);
        used += with.len;
        at = hit + from.len;
    }
    memcpy(to + used, at, (size_t)(end - at));
    return str_n(to, len);
}

EXPR_RUN(replace)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        struct str s = a[0].texts[i], from = a[1].texts[i], with = a[2].texts[i];

        out->own_texts[i] = s.p && from.p && with.p ? replace_all(v, s, from, with) : no_text;
    }
}

EXPR_RUN(concat)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        size_t len = 0, used = 0;
        bool whole = true;
        char *to;

        for (unsigned k = 0; k < op->n_args; k++) {
            whole = whole && a[k].texts[i].p;
            len += a[k].texts[i].len;
        }
        to = whole ? eval_text(v, len) : NULL;
        for (unsigned k = 0; to && k < op->n_args; k++) {
            memcpy(to + used, a[k].texts[i].p, a[k].texts[i].len);
            used += a[k].texts[i].len;
        }
        out->own_texts[i] = to ? str_n(to, len) : no_text;
    }
}

EXPR_RUN(text_of)
{
    for (size_t i = 0; i < n; i++) {
        char text[AS_TEXT_BYTES];
        struct str s = str_of(as_format(op->as[0], a[0].numbers[i], text));
        char *to = isnan(a[0].numbers[i]) ? NULL : eval_text(v, s.len);

        if (to) {
            memcpy(to, s.p, s.len);
        }
        out->own_texts[i] = to ? str_n(to, s.len) : no_text;
    }
}

EXPR_RUN(same_text)
{
    EXPR_UNUSED;
    memcpy(out->own_texts, a[0].texts, n * sizeof(*out->own_texts));
}

/* What is no number, date or time is missing. */
#define PARSE(name, as)                                                                            \
    EXPR_RUN(name)                                                                                 \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            double x = 0;                                                                          \
            bool good = a[0].texts[i].p && as_parse(as, str_trim(a[0].texts[i]), &x) == 0;         \
            out->own_numbers[i] = good ? x : NAN;                                                  \
        }                                                                                          \
    }

PARSE(parse_number, AS_REAL)
PARSE(parse_date, AS_DATE)

const struct expr_fn expr_text_fns[] = {
    {"length", "t", 'i', NULL, length},
    {"lower", "t", 't', NULL, lower},
    {"upper", "t", 't', NULL, upper},
    {"trim", "t", 't', NULL, trim},
    {"substr", "tnn?", 't', NULL, substr},
    {"contains", "tt", 'b', NULL, contains},
    {"starts_with", "tt", 'b', NULL, starts_with},
    {"ends_with", "tt", 'b', NULL, ends_with},
    {"regex_match", "tp", 'b', NULL, regex_match},
    {"replace", "ttt", 't', NULL, replace},
    {"concat", "tt+", 't', NULL, concat},
    {"text", "a", 't', text_of, same_text},
    {"number", "t", 'r', NULL, parse_number},
    {"parse_date", "t", 'D', NULL, parse_date},
    {0},
};
