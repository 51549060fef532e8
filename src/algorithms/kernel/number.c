#include "algorithms/kernel/number.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX_BYTES = 400, EXACT_DIGITS = 15, EXACT_POWER = 22 };

static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const double signs[] = {1, -1};

/* What a decimal is made of: digits x 10^power. */
struct decimal {
    uint64_t digits;
    int n_digits; /* that count: without leading zeroes */
    int power;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t scan_digits(struct str s, size_t i, bool fraction, struct decimal *d)
{
    for (; i < s.len && is_digit(s.p[i]); i++) {
        if (d->n_digits <= EXACT_DIGITS) {
            d->digits = d->digits * 10 + (uint64_t)(s.p[i] - '0');
            d->power -= fraction;
        }
        d->n_digits += d->digits > 0;
    }
    return i;
}

/* The exponent after 'e'; the position behind it, or 0 when there is none. */
static size_t scan_exponent(struct str s, size_t i, struct decimal *d)
{
    int sign = 1, v = 0;
    size_t first;

    if (i < s.len && (s.p[i] == '+' || s.p[i] == '-')) {
        sign = s.p[i++] == '-' ? -1 : 1;
    }
    first = i;
    for (; i < s.len && is_digit(s.p[i]); i++) {
        v = v < 100000 ? v * 10 + (s.p[i] - '0') : v;
    }
    d->power += sign * v;
    return i > first ? i : 0;
}

/* Checks the grammar; fills what the fast path needs. */
static int scan(struct str s, size_t i, struct decimal *d)
{
    size_t first = i;
    bool point = false;

    i = scan_digits(s, i, false, d);
    if (i < s.len && s.p[i] == '.') {
        point = true;
        i = scan_digits(s, i + 1, true, d);
    }
    if (i == first + point) {
        return -1; /* no digit at all */
    }
    if (i < s.len && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i = scan_exponent(s, i + 1, d);
    }
    return i == s.len ? 0 : -1;
}

static const uint32_t whole_powers[9] = {1,      10,      100,      1000,     10000,
                                         100000, 1000000, 10000000, 100000000};

/* The last k <= 8 bytes before `end` as digits, all at once: pairs, then pairs of pairs, then
 * those. All eight can be read. False: one of the k is none. */
static bool last_digits(const char *end, size_t k, uint64_t *v)
{
    uint64_t x;

    memcpy(&x, end - 8, sizeof(x));
    x = (le64toh(x) ^ 0x3030303030303030) & ~0ULL << 8 * (8 - k);
    if ((x | (x + 0x7676767676767676)) & 0x8080808080808080) {
        return false;
    }
    x = (x * (10 * 256 + 1)) >> 8 & 0x00ff00ff00ff00ff;
    x = (x * (100 * 65536 + 1)) >> 16 & 0x0000ffff0000ffff;
    *v = (x * (10000 * (1ULL << 32) + 1)) >> 32;
    return true;
}

/* The digits from i on; where they end. */
static size_t take_digits(struct str s, size_t i, uint64_t *digits)
{
    for (; i < s.len && is_digit(s.p[i]); i++) {
        *digits = *digits * 10 + (uint64_t)(s.p[i] - '0');
    }
    return i;
}

/* Digits with an optional point, short enough that every step is exact: nearly all numbers there
 * are. False: look closer. */
static bool parse_short(struct str s, size_t first, double *v)
{
    uint64_t digits = 0, fraction;
    size_t i = take_digits(s, first, &digits), n = i - first, k = 0;

    if (i < s.len && s.p[i] == '.') {
        k = s.len - i - 1;
        if (k > 0 && k <= 8 && s.len >= 8) {
            if (!last_digits(s.p + s.len, k, &fraction)) {
                return false;
            }
            digits = digits * whole_powers[k] + fraction;
            i = s.len;
        } else {
            i = take_digits(s, i + 1, &digits);
        }
    }
    if (i < s.len || n + k == 0 || n + k > EXACT_DIGITS) {
        return false;
    }
    *v = (double)(int64_t)digits / powers[k];
    return true;
}

static int parse_slowly(struct str s, double *out)
{
    char text[NUMBER_MAX_BYTES + 1];

    if (str_copy(s, text, sizeof(text)) < 0) {
        return -1;
    }
    *out = strtod(text, NULL); /* the locale is "C": nobody calls setlocale() */
    return 0;
}

int number_parse(struct str s, double *out)
{
    struct decimal d = {0};
    bool negative = s.len > 0 && s.p[0] == '-';
    size_t sign = s.len > 0 && (s.p[0] == '-' || s.p[0] == '+');
    double v;

    if (s.len == sign || s.len > NUMBER_MAX_BYTES) {
        return -1;
    }
    if (!is_digit(s.p[sign]) && s.p[sign] != '.') {
        struct str word = str_from(s, sign);

        if (!str_eq_nocase(word, STR("inf")) && !str_eq_nocase(word, STR("infinity"))) {
            return -1;
        }
        *out = negative ? -INFINITY : INFINITY;
        return 0;
    }
    if (parse_short(s, sign, &v)) {
        *out = v * signs[negative]; /* no branch: signs are hard to guess */
        return 0;
    }
    if (scan(s, sign, &d) < 0) {
        return -1;
    }
    /* Clinger 1990: both numbers are exact doubles, so one rounding is the right one. */
    if (d.n_digits > EXACT_DIGITS || d.power < -EXACT_POWER || d.power > EXACT_POWER) {
        return parse_slowly(s, out);
    }
    v = (double)d.digits;
    v = d.power < 0 ? v / powers[-d.power] : v * powers[d.power];
    *out = negative ? -v : v;
    return 0;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.p[i])) {
            return false;
        }
    }
    return true;
}

enum number_loss number_loss(struct str s, double v)
{
    bool sign = s.len > 0 && (s.p[0] == '-' || s.p[0] == '+');
    struct str digits = {s.p + sign, s.len - sign};
    char text[NUMBER_MAX_BYTES + 8];

    if (digits.len > 1 && digits.p[0] == '0' && is_digit(digits.p[1])) {
        return NUMBER_ZEROS;
    }
    if (digits.len <= EXACT_DIGITS || !all_digits(digits)) {
        return NUMBER_KEPT;
    }
    if (isinf(v)) {
        return NUMBER_ROUNDED;
    }
    (void)snprintf(text, sizeof(text), "%.0f", fabs(v));
    return str_eq_c(digits, text) ? NUMBER_KEPT : NUMBER_ROUNDED;
}

char *number_format(double v, char out[NUMBER_TEXT_BYTES])
{
    if (isnan(v)) {
        memcpy(out, "nan", 4);
        return out;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(out, NUMBER_TEXT_BYTES, "%.*g", digits, v);
        if (strtod(out, NULL) == v) {
            break;
        }
    }
    return out;
}

void number_json(struct jw *w, double v)
{
    char text[NUMBER_TEXT_BYTES];

    if (isfinite(v)) {
        jw_raw(w, str_of(number_format(v, text)));
    } else {
        jw_null(w);
    }
}

void number_json_kv(struct jw *w, const char *key, double v)
{
    jw_key(w, key);
    number_json(w, v);
}
