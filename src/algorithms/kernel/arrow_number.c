#include "algorithms/kernel/arrow_priv.h"

#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t per_second[] = {1, 1000, 1000000, 1000000000};

enum column_as arrow_as(const struct arrow_type *t)
{
    switch (t->kind) {
    case ARROW_INT:
        return AS_INT;
    case ARROW_BOOL:
        return AS_BOOL;
    case ARROW_DATE:
        return AS_DATE;
    case ARROW_TIMESTAMP:
        return AS_TIME;
    default:
        return AS_REAL; /* times of the day and durations are seconds */
    }
}

/* Value i of 8 to 64 bits. */
static int64_t int_at(const struct arrow_array *a, const struct arrow_type *t, size_t i)
{
    size_t width = t->bits / 8;
    uint64_t v = 0;
    unsigned unused = 64 - t->bits;

    memcpy(&v, a->data.p + width * i, width);
    return t->kind != ARROW_INT || t->is_signed ? (int64_t)(v << unused) >> unused : (int64_t)v;
}

static double half_at(const struct arrow_array *a, size_t i)
{
    uint16_t h;
    int exponent;
    double v;

    memcpy(&h, a->data.p + 2 * i, 2);
    exponent = h >> 10 & 31;
    v = exponent == 0    ? ldexp(h & 1023, -24)
        : exponent == 31 ? ((h & 1023) ? NAN : INFINITY)
                         : ldexp(1024 + (h & 1023), exponent - 25);
    return h >> 15 ? -v : v;
}

static double float_at(const struct arrow_array *a, const struct arrow_type *t, size_t i)
{
    double v;
    float f;

    if (t->bits == 16) {
        return half_at(a, i);
    }
    if (t->bits == 32) {
        memcpy(&f, a->data.p + 4 * i, 4);
        return f;
    }
    memcpy(&v, a->data.p + 8 * i, 8);
    return v;
}

/* A decimal is its digits and where the point stands; rounded once, by strtod(3). */
static double decimal_at(const struct arrow_array *a, const struct arrow_type *t, size_t i)
{
    size_t width = t->bits / 8;
    unsigned __int128 v = 0;
    bool negative = (unsigned char)a->data.p[width * i + width - 1] >> 7;
    char text[64], *p = text + sizeof(text) - 16;

    (void)snprintf(p, 16, "e%d", -t->scale);
    memcpy(&v, a->data.p + width * i, width);
    if (negative) {
        v = t->bits < 128 ? ((unsigned __int128)1 << t->bits) - v : -v;
    }
    do {
        *--p = (char)('0' + (int)(v % 10));
        v /= 10;
    } while (v > 0);
    if (negative) {
        *--p = '-';
    }
    return strtod(p, NULL); /* the locale is "C": nobody calls setlocale() */
}

/* Microseconds of a time in its unit; false when no number holds them. */
static bool micros(int64_t v, enum arrow_unit unit, double *out)
{
    int64_t us;

    if (unit == ARROW_NANO) {
        us = v / 1000 - (v % 1000 < 0); /* the digits behind are dropped */
    } else if (__builtin_mul_overflow(v, 1000000 / per_second[unit], &us)) {
        return false;
    }
    *out = (double)us;
    return as_holds(AS_TIME, *out) && (int64_t)*out == us;
}

/* Value i as a number of `as`; what it says about the column. */
static enum arrow_fit number_at(const struct arrow_array *a, const struct arrow_type *t,
                                enum column_as as, size_t i, double *out)
{
    int64_t v;

    switch (t->kind) {
    case ARROW_FLOAT:
        *out = float_at(a, t, i);
        return ARROW_FITS;
    case ARROW_DECIMAL:
        *out = decimal_at(a, t, i);
        return ARROW_FITS;
    case ARROW_BOOL:
        *out = (unsigned char)a->data.p[i / 8] >> (i % 8) & 1;
        return ARROW_FITS;
    case ARROW_TIME:
    case ARROW_DURATION:
        *out = (double)int_at(a, t, i) / (double)per_second[t->unit];
        return ARROW_FITS;
    case ARROW_TIMESTAMP:
        return micros(int_at(a, t, i), t->unit, out) ? ARROW_FITS : ARROW_NEEDS_TEXT;
    case ARROW_DATE:
        v = int_at(a, t, i);
        if (t->bits == 64 && as == AS_TIME) {
            return micros(v, ARROW_MILLI, out) ? ARROW_FITS : ARROW_NEEDS_TEXT;
        }
        if (t->bits == 64 && v % 86400000 != 0) {
            return ARROW_NEEDS_TIME;
        }
        *out = (double)(t->bits == 64 ? v / 86400000 : v);
        return as_holds(AS_DATE, *out) ? ARROW_FITS : ARROW_NEEDS_TEXT;
    default:
        v = int_at(a, t, i);
        *out = t->is_signed ? (double)v : (double)(uint64_t)v;
        return fabs(*out) <= AS_LARGEST && (int64_t)*out == v ? ARROW_FITS : ARROW_NEEDS_TEXT;
    }
}

/* The commonest: signed words of 64 bits, none missing. */
static enum arrow_fit plain_words(const struct arrow_array *a, double *out)
{
    bool all = true;

    for (size_t i = 0; i < a->n; i++) {
        int64_t v;

        memcpy(&v, a->data.p + 8 * i, sizeof(v));
        out[i] = (double)v;
        all &= v <= (int64_t)AS_LARGEST && v >= -(int64_t)AS_LARGEST;
    }
    return all ? ARROW_FITS : ARROW_NEEDS_TEXT;
}

/* Times that a whole number makes microseconds, none missing. What lies further from 1970 than
 * 2^53 of them has no exact double: then each value is looked at by itself. */
static bool plain_times(const struct arrow_array *a, enum arrow_unit unit, double *out)
{
    int64_t by = 1000000 / per_second[unit], last = (int64_t)AS_LARGEST / by;
    bool all = true;

    for (size_t i = 0; i < a->n; i++) {
        int64_t v;

        memcpy(&v, a->data.p + 8 * i, sizeof(v));
        out[i] = (double)(int64_t)((uint64_t)v * (uint64_t)by);
        all &= v <= last && v >= -last;
    }
    return all;
}

enum arrow_fit arrow_numbers(const struct arrow_array *a, const struct arrow_type *t,
                             enum column_as as, double *out)
{
    enum arrow_fit worst = ARROW_FITS;

    if (t->kind == ARROW_INT && t->bits == 64 && t->is_signed && a->valid.len == 0) {
        return plain_words(a, out);
    }
    if (t->kind == ARROW_TIMESTAMP && as == AS_TIME && t->unit != ARROW_NANO && a->valid.len == 0 &&
        plain_times(a, t->unit, out)) {
        return ARROW_FITS;
    }
    for (size_t i = 0; i < a->n; i++) {
        out[i] = NAN;
        if (t->kind != ARROW_NULL && arrow_is_valid(a, i)) {
            enum arrow_fit fit = number_at(a, t, as, i, &out[i]);

            worst = fit > worst ? fit : worst;
        }
    }
    return worst;
}

char *arrow_number_text(const struct arrow_array *a, const struct arrow_type *t, size_t i,
                        char *out)
{
    int64_t v = int_at(a, t, i), us, second;

    if (t->kind == ARROW_INT && !t->is_signed) {
        (void)snprintf(out, AS_TEXT_BYTES, "%llu", (unsigned long long)v);
        return out;
    }
    if (t->kind == ARROW_DATE && t->bits == 32 && calendar_has_text(v)) {
        return calendar_format_date(v, out);
    }
    second = t->kind == ARROW_INT ? 1 : per_second[t->kind == ARROW_DATE ? ARROW_MILLI : t->unit];
    if (t->kind != ARROW_INT && (t->kind != ARROW_DATE || t->bits == 64) &&
        !__builtin_mul_overflow(v / (second > 1000000 ? 1000 : 1),
                                second > 1000000 ? 1 : 1000000 / second, &us) &&
        calendar_has_text(us / CALENDAR_DAY_US - 1) && calendar_has_text(us / CALENDAR_DAY_US)) {
        return calendar_format_time(us, out);
    }
    (void)snprintf(out, AS_TEXT_BYTES, "%lld", (long long)v);
    return out;
}
