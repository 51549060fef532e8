#include "base/number.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits without a point, and the place of the point: 1.25 is "125" at 1, 0.001 is "1" at -2. */
struct decimal {
    char digits[32];
    size_t len;
    int point;
};

static void trim_zeros(struct decimal *d)
{
    while (d->len > 1 && d->digits[d->len - 1] == '0') {
        d->len--;
    }
}

/* Decimals of few digits, which most measurements are: v * 10^k is whole for a small k, and of at
 * most 15 digits, so no shorter text and no other of that length reads back as v. */
static bool few_digits(double v, struct decimal *d)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

    for (int k = 0; k < 7; k++) {
        double scaled = v * powers[k];
        uint64_t whole;
        char text[24];
        size_t n = sizeof(text);

        if (!(scaled < 1e15)) {
            return false;
        }
        whole = (uint64_t)(scaled + 0.5);
        if ((double)whole / powers[k] != v) {
            continue;
        }
        do {
            text[--n] = (char)('0' + whole % 10);
            whole /= 10;
        } while (whole > 0);
        d->len = sizeof(text) - n;
        memcpy(d->digits, text + n, d->len);
        d->point = (int)d->len - k;
        trim_zeros(d);
        return true;
    }
    return false;
}

static void shortest(double v, struct decimal *d)
{
    char text[40];
    const char *exponent;

    if (few_digits(v, d)) {
        return;
    }
    for (int digits = v < 2.3e-308 ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    exponent = strchr(text, 'e');
    d->digits[0] = text[0];
    d->len = 1;
    for (const char *p = text + 2; p < exponent; p++) {
        d->digits[d->len++] = *p;
    }
    d->point = (int)strtol(exponent + 1, NULL, 10) + 1;
    trim_zeros(d);
}

static size_t special(double v, char *out)
{
    const char *name = isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf";

    memcpy(out, name, strlen(name) + 1);
    return strlen(name);
}

static size_t write_plain(const struct decimal *d, char *out)
{
    char *p = out;
    size_t before = d->point > 0 ? (size_t)d->point : 0;

    for (size_t i = 0; i < before; i++) {
        *p++ = i < d->len ? d->digits[i] : '0';
    }
    if (before == 0) {
        *p++ = '0';
    }
    if (d->len > before) {
        *p++ = '.';
        for (int i = d->point; i < 0; i++) {
            *p++ = '0';
        }
        memcpy(p, d->digits + before, d->len - before);
        p += d->len - before;
    }
    *p = '\0';
    return (size_t)(p - out);
}

static size_t write_exponent(const struct decimal *d, char *out)
{
    size_t n = 0;

    out[n++] = d->digits[0];
    if (d->len > 1) {
        out[n++] = '.';
        memcpy(out + n, d->digits + 1, d->len - 1);
        n += d->len - 1;
    }
    return n + (size_t)snprintf(out + n, 8, "e%+03d", d->point - 1);
}

enum style { PLAIN, SHORT, EXPONENT };

static size_t write_number(double v, enum style style, char *out)
{
    struct decimal d;
    size_t sign = signbit(v) && !isnan(v) ? 1 : 0;
    bool plain;

    if (!isfinite(v)) {
        return special(v, out);
    }
    shortest(fabs(v), &d);
    plain = style == PLAIN || (style == SHORT && (v == 0 || (d.point >= -3 && d.point <= 6)));
    out[0] = '-';
    return sign + (plain ? write_plain : write_exponent)(&d, out + sign);
}

size_t number_plain(double v, char out[NUMBER_TEXT_MAX])
{
    return write_number(v, PLAIN, out);
}

size_t number_short(double v, char out[NUMBER_TEXT_MAX])
{
    return write_number(v, SHORT, out);
}

size_t number_exponent(double v, char out[NUMBER_TEXT_MAX])
{
    return write_number(v, EXPONENT, out);
}
