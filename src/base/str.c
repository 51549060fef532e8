#include "base/str.h"

#include "base/limits.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct str str_of(const char *cstr)
{
    return cstr ? (struct str){cstr, strlen(cstr)} : STR_EMPTY;
}

struct str str_n(const char *p, size_t len)
{
    return (struct str){p, len};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool str_eq_c(struct str a, const char *b)
{
    return str_eq(a, str_of(b));
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int r = n > 0 ? memcmp(a.p, b.p, n) : 0;

    if (r != 0) {
        return r;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_first(s, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_from(s, s.len - suffix.len), suffix);
}

struct str str_from(struct str s, size_t offset)
{
    if (offset >= s.len) {
        return (struct str){s.p + s.len, 0};
    }
    return (struct str){s.p + offset, s.len - offset};
}

struct str str_first(struct str s, size_t n)
{
    return (struct str){s.p, n < s.len ? n : s.len};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.p[0])) {
        s = str_from(s, 1);
    }
    while (s.len > 0 && is_blank(s.p[s.len - 1])) {
        s.len--;
    }
    return s;
}

ptrdiff_t str_find_char(struct str s, char c)
{
    const char *hit = s.len > 0 ? memchr(s.p, c, s.len) : NULL;

    return hit ? hit - s.p : -1;
}

ptrdiff_t str_rfind_char(struct str s, char c)
{
    const char *hit = s.len > 0 ? memrchr(s.p, c, s.len) : NULL;

    return hit ? hit - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
    const char *hit = memmem(s.p, s.len, needle.p, needle.len);

    return hit ? hit - s.p : -1;
}

struct str str_cut(struct str *rest, char sep)
{
    ptrdiff_t at = str_find_char(*rest, sep);
    struct str head = *rest;

    if (at < 0) {
        *rest = (struct str){NULL, 0};
        return head;
    }
    *rest = str_from(head, (size_t)at + 1);
    return str_first(head, (size_t)at);
}

int str_to_u64(struct str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.len == 0 || s.len > 20) {
        return -1;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) {
            return -1;
        }
    }
    *out = v;
    return 0;
}

char *str_dup(struct str s)
{
    char *out = xcalloc(1, s.len + 1);

    if (s.len > 0) {
        memcpy(out, s.p, s.len);
    }
    return out;
}

int str_copy(struct str s, char *out, size_t out_size)
{
    if (s.len >= out_size || str_find_char(s, '\0') >= 0) {
        return -1;
    }
    if (s.len > 0) {
        memcpy(out, s.p, s.len);
    }
    out[s.len] = '\0';
    return 0;
}

enum { NEAREST_MAX = 40 }; /* longer words are no typing mistakes of ours */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Levenshtein distance, one row at a time. */
static unsigned edit_distance(struct str a, struct str b)
{
    unsigned row[NEAREST_MAX + 1];

    for (unsigned j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (unsigned i = 0; i < a.len; i++) {
        unsigned diagonal = row[0];

        row[0] = i + 1;
        for (unsigned j = 0; j < b.len; j++) {
            unsigned cost = diagonal + (a.p[i] != b.p[j]);

            diagonal = row[j + 1];
            row[j + 1] = min3(cost, row[j + 1] + 1, row[j] + 1);
        }
    }
    return row[b.len];
}

const char *str_nearest(struct str s, const char *const *names, size_t n)
{
    const char *best = NULL;
    unsigned best_distance = 4;

    if (s.len == 0 || s.len > NEAREST_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        struct str name = str_of(names[i]);
        unsigned d = name.len <= NEAREST_MAX ? edit_distance(s, name) : 99;

        if (d < best_distance && d < s.len) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}

/* Digits with up to nine decimals, as units of 1e-9; what follows is left in *unit. */
static int parse_decimal(struct str s, __int128 *nano, struct str *unit)
{
    size_t i = 0, decimals = 0;
    __int128 v = 0;
    bool point = false, any = false;

    for (; i < s.len; i++) {
        if (s.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (s.p[i] < '0' || s.p[i] > '9') {
            break;
        }
        if (decimals == 9 || i > 20) {
            return -1;
        }
        v = v * 10 + (s.p[i] - '0');
        decimals += point;
        any = true;
    }
    for (; decimals < 9; decimals++) {
        v *= 10;
    }
    *nano = v;
    *unit = str_from(s, i);
    return any ? 0 : -1;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* value x factor as a whole number that fits, or -1. */
static int parse_with_units(struct str s, const struct unit *units, size_t n, int64_t *out)
{
    struct str unit;
    __int128 nano;

    if (parse_decimal(str_trim(s), &nano, &unit) < 0) {
        return -1;
    }
    unit = str_trim(unit);
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(unit, units[i].name)) {
            __int128 v = nano * units[i].factor / 1000000000;

            if (v > INT64_MAX) {
                return -1;
            }
            *out = (int64_t)v;
            return 0;
        }
    }
    return -1;
}

int str_parse_milli(struct str s, int64_t *out, struct err *e)
{
    static const struct unit units[] = {{"", 1000}, {"m", 1}};

    if (parse_with_units(s, units, ARRAY_LEN(units), out) < 0) {
        return err_set(e, ERR_INVALID, "'%.*s' is no amount: write 2, 0.5 or 500m", STR_ARG(s));
    }
    return 0;
}

int str_parse_bytes(struct str s, int64_t *out, struct err *e)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"k", 1000},
        {"K", 1000},
        {"kB", 1000},
        {"Ki", 1LL << 10},
        {"KiB", 1LL << 10},
        {"M", 1000000},
        {"MB", 1000000},
        {"Mi", 1LL << 20},
        {"MiB", 1LL << 20},
        {"G", 1000000000},
        {"GB", 1000000000},
        {"Gi", 1LL << 30},
        {"GiB", 1LL << 30},
        {"T", 1000000000000},
        {"TB", 1000000000000},
        {"Ti", 1LL << 40},
        {"TiB", 1LL << 40},
    };

    if (parse_with_units(s, units, ARRAY_LEN(units), out) < 0) {
        return err_set(e, ERR_INVALID,
                       "'%.*s' is no size: write a number with Ki, Mi, Gi, Ti (1024) or k, M, G, T "
                       "(1000), such as 512Mi",
                       STR_ARG(s));
    }
    return 0;
}

int str_parse_seconds(struct str s, int64_t *out, struct err *e)
{
    static const struct unit units[] = {{"", 1},     {"s", 1},     {"m", 60},    {"min", 60},
                                        {"h", 3600}, {"d", 86400}, {"w", 604800}};

    if (parse_with_units(s, units, ARRAY_LEN(units), out) < 0) {
        return err_set(e, ERR_INVALID, "'%.*s' is no time: write 90s, 15m, 2h or 7d", STR_ARG(s));
    }
    return 0;
}

char *str_format_bytes(int64_t bytes, char out[16])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t i = 0;

    while (v >= 1024 && i + 1 < ARRAY_LEN(names)) {
        v /= 1024;
        i++;
    }
    (void)snprintf(out, 16, i == 0 ? "%.0f %s" : "%.1f %s", v, names[i]);
    return out;
}

size_t str_utf8_len(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;

    if (n == 0 || n > left) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

bool str_is_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0; i < s.len;) {
        size_t n = str_utf8_len(p + i, s.len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}
