/* template_print - values as Go's fmt writes them. */
#include "rules/template_priv.h"

#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WIDTH_MAX = 10000, PRECISION_MAX = 400 };

const char *value_type(const struct value *v)
{
    static const char *const names[] = {
        [VALUE_NONE] = "nil",
        [VALUE_BOOL] = "bool",
        [VALUE_INT] = "int",
        [VALUE_FLOAT] = "float64",
        [VALUE_TEXT] = "string",
        [VALUE_LABELS] = "map[string]string",
        [VALUE_SAMPLE] = "*template.sample",
        [VALUE_SAMPLES] = "template.queryResult",
        [VALUE_ARGS] = "map[string]interface {}",
        [VALUE_DATA] = "struct",
        [VALUE_TIME] = "*time.Time",
        [VALUE_DURATION] = "*time.Duration",
    };

    return names[v->kind];
}

static void put_float(struct buf *out, double v)
{
    char text[NUMBER_TEXT_MAX];

    (void)buf_add(out, str_n(text, number_short(v, text)));
}

static void put_labels(struct buf *out, struct labels s)
{
    (void)buf_add(out, STR("map["));
    for (size_t i = 0; i < s.len; i++) {
        (void)buf_printf(out, "%s%.*s:%.*s", i > 0 ? " " : "", STR_ARG(s.p[i].name),
                         STR_ARG(s.p[i].value));
    }
    (void)buf_add(out, STR("]"));
}

/* 2015-06-23 13:19:44.128 +0000 UTC */
static void put_time(struct buf *out, double sec)
{
    int64_t ms = (int64_t)(sec * 1000);
    int part = (int)(((ms % 1000) + 1000) % 1000);
    time_t t = (time_t)((ms - part) / 1000);
    char text[64], fraction[16] = "";
    struct tm tm;

    (void)gmtime_r(&t, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    if (part > 0) {
        snprintf(fraction, sizeof(fraction), ".%03d", part);
        for (size_t n = strlen(fraction); fraction[n - 1] == '0'; n--) {
            fraction[n - 1] = '\0';
        }
    }
    (void)buf_printf(out, "%s%s +0000 UTC", text, fraction);
}

/* 1h2m3.5s, 250ms, 1.5µs */
static void put_duration(struct buf *out, double sec)
{
    double v = fabs(sec), s = fmod(v, 60);
    uint64_t minutes = (uint64_t)(v / 60);

    (void)buf_add(out, sec < 0 ? STR("-") : STR_EMPTY);
    if (v == 0 || v >= 1) {
        if (minutes >= 60) {
            (void)buf_printf(out, "%lluh", (unsigned long long)minutes / 60);
        }
        if (minutes > 0) {
            (void)buf_printf(out, "%llum", (unsigned long long)minutes % 60);
        }
        put_float(out, round(s * 1e9) / 1e9);
        (void)buf_add(out, STR("s"));
        return;
    }
    put_float(out, v >= 1e-3 ? round(v * 1e9) / 1e6 : v >= 1e-6 ? round(v * 1e9) / 1e3 : v * 1e9);
    (void)buf_add(out, v >= 1e-3 ? STR("ms") : v >= 1e-6 ? STR("\xc2\xb5s") : STR("ns"));
}

void value_put(struct buf *out, const struct value *v)
{
    switch (v->kind) {
    case VALUE_NONE:
        (void)buf_add(out, STR("<nil>"));
        break;
    case VALUE_BOOL:
        (void)buf_add(out, v->truth ? STR("true") : STR("false"));
        break;
    case VALUE_INT:
        (void)buf_printf(out, "%lld", (long long)v->whole);
        break;
    case VALUE_FLOAT:
        put_float(out, v->number);
        break;
    case VALUE_TEXT:
        (void)buf_add(out, v->text);
        break;
    case VALUE_LABELS:
        put_labels(out, v->labels);
        break;
    case VALUE_SAMPLE:
    case VALUE_SAMPLES:
        (void)buf_add(out, v->kind == VALUE_SAMPLES ? STR("[") : STR_EMPTY);
        for (size_t i = 0; i < v->n_samples; i++) {
            (void)buf_add(out, i > 0 ? STR(" {") : STR("{"));
            put_labels(out, v->samples[i].labels);
            (void)buf_add(out, STR(" "));
            put_float(out, v->samples[i].v);
            (void)buf_add(out, STR("}"));
        }
        (void)buf_add(out, v->kind == VALUE_SAMPLES ? STR("]") : STR_EMPTY);
        break;
    case VALUE_ARGS:
    case VALUE_DATA:
        (void)buf_add(out, STR("map["));
        for (size_t i = 0; v->kind == VALUE_ARGS && i < v->n_args; i++) {
            (void)buf_printf(out, "%sarg%zu:", i > 0 ? " " : "", i);
            if (v->args[i].kind != VALUE_ARGS) {
                value_put(out, &v->args[i]);
            }
        }
        (void)buf_add(out, STR("]"));
        break;
    case VALUE_TIME:
        put_time(out, v->number);
        break;
    case VALUE_DURATION:
        put_duration(out, v->number);
        break;
    }
}

void value_print(struct buf *out, const struct value *v, size_t n, bool line)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (line || (v[i].kind != VALUE_TEXT && v[i - 1].kind != VALUE_TEXT))) {
            (void)buf_add(out, STR(" "));
        }
        value_put(out, &v[i]);
    }
    (void)buf_add(out, line ? STR("\n") : STR_EMPTY);
}

/* --- printf --- */

struct verb {
    bool plus, minus, sharp, space, zero;
    int width, precision; /* -1: none */
    char letter[5];       /* one character, of UTF-8 */
};

static size_t runes(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static void fill(struct buf *out, const char *with, int n)
{
    for (; n > 0; n--) {
        (void)buf_add(out, str_n(with, 1));
    }
}

/* `s` in the width of the verb. */
static void pad(struct buf *out, const struct verb *f, struct str s)
{
    int more = f->width - (int)runes(s);

    fill(out, f->zero ? "0" : " ", f->minus ? 0 : more);
    (void)buf_add(out, s);
    fill(out, " ", f->minus ? more : 0);
}

/* A number with its sign ("+1.5", "-3") as the flags want it. */
static void pad_signed(struct buf *out, const struct verb *f, struct str s)
{
    char sign = s.p[0];
    int more = f->width - (int)s.len;

    if (sign == '+' && f->space && !f->plus) {
        sign = ' ';
    }
    if (sign == '+' && !f->plus) {
        pad(out, f, str_from(s, 1));
        return;
    }
    if (!f->zero || more <= 0) {
        more = f->minus ? 0 : more;
        fill(out, " ", more);
    }
    (void)buf_add(out, str_n(&sign, 1));
    if (f->zero && more > 0) {
        fill(out, "0", more);
    }
    (void)buf_add(out, str_from(s, 1));
    fill(out, " ", f->minus ? f->width - (int)s.len : 0);
}

static bool one_float(struct buf *out, struct verb *f, double v)
{
    char c = f->letter[0] == 'F' ? 'f' : f->letter[0] == 'v' ? 'g' : f->letter[0];
    char format[8] = {'%', '+', '.', '*', c, '\0'}, text[NUMBER_TEXT_MAX + PRECISION_MAX + 8];
    size_t n;

    if (c == '\0' || strchr("eEfgG", c) == NULL) {
        return false;
    }
    if (!isfinite(v)) {
        const char *name = isnan(v) ? f->plus ? "+NaN" : "NaN" : v > 0 ? "+Inf" : "-Inf";

        f->zero = false;
        pad(out, f, str_of(name));
        return true;
    }
    if (f->precision < 0 && (c == 'g' || c == 'G')) {
        text[0] = '+';
        n = number_short(v, text + 1) + 1;
        pad_signed(out, f, text[1] == '-' ? str_n(text + 1, n - 1) : str_n(text, n));
        return true;
    }
    n = (size_t)snprintf(text, sizeof(text), format, f->precision < 0 ? 6 : f->precision, v);
    pad_signed(out, f, str_n(text, n < sizeof(text) ? n : sizeof(text) - 1));
    return true;
}

static bool one_int(struct buf *out, struct verb *f, int64_t v)
{
    static const char small[] = "0123456789abcdef", large[] = "0123456789ABCDEF";
    char c = f->letter[0];
    unsigned base = c == 'd' || c == 'v' ? 10 : c == 'x' || c == 'X' ? 16 : c == 'o' ? 8 : 2;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char text[PRECISION_MAX + 80];
    size_t at = sizeof(text);

    if (c == '\0' || strchr("dvxXob", c) == NULL) {
        return false;
    }
    do {
        text[--at] = (c == 'X' ? large : small)[left % base];
        left /= base;
    } while (left > 0);
    while (f->precision > 0 && sizeof(text) - at < (size_t)f->precision) {
        text[--at] = '0';
    }
    if (f->sharp && base == 16) {
        text[--at] = c;
        text[--at] = '0';
    }
    text[--at] = v < 0 ? '-' : '+';
    f->zero = f->zero && f->precision < 0;
    pad_signed(out, f, str_n(text + at, sizeof(text) - at));
    return true;
}

/* strconv.Quote */
static void put_quoted(struct buf *out, struct str s)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";

    (void)buf_add(out, STR("\""));
    for (size_t i = 0, n; i<s.len; i += n> 0 ? n : 1) {
        const char *known = s.p[i] == '\0' ? NULL : strchr(from, s.p[i]);

        n = str_utf8_len((const unsigned char *)s.p + i, s.len - i);
        if (known != NULL) {
            (void)buf_printf(out, "\\%c", to[known - from]);
        } else if (n == 0 || (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) {
            (void)buf_printf(out, "\\x%02x", (unsigned char)s.p[i]);
        } else {
            (void)buf_add(out, str_n(s.p + i, n));
        }
    }
    (void)buf_add(out, STR("\""));
}

static bool one_text(struct buf *out, struct verb *f, struct str s)
{
    char c = f->letter[0];
    struct buf b = BUF_MAX(out->max);

    if (c == '\0' || strchr("svqxX", c) == NULL) {
        return false;
    }
    for (size_t i = 0, n = 0; f->precision >= 0 && i < s.len; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
        if (n > (size_t)f->precision) {
            s.len = i;
        }
    }
    if (c == 'q') {
        put_quoted(&b, s);
    } else if (c == 'x' || c == 'X') {
        for (size_t i = 0; i < s.len; i++) {
            (void)buf_printf(&b, c == 'x' ? "%02x" : "%02X", (unsigned char)s.p[i]);
        }
    } else {
        (void)buf_add(&b, s);
    }
    pad(out, f, buf_str(&b));
    buf_done(&b);
    return true;
}

/* False: the verb is not one of such values. */
static bool one_value(struct buf *out, struct verb *f, const struct value *v)
{
    struct buf b = BUF_MAX(out->max);
    struct str s;

    switch (v->kind) {
    case VALUE_FLOAT:
        return one_float(out, f, v->number);
    case VALUE_INT:
        return one_int(out, f, v->whole);
    case VALUE_TEXT:
        return one_text(out, f, v->text);
    case VALUE_BOOL:
        if (f->letter[0] != 't' && f->letter[0] != 'v') {
            return false;
        }
        pad(out, f, v->truth ? STR("true") : STR("false"));
        return true;
    default:
        if (f->letter[0] != 'v' && (f->letter[0] != 's' || v->kind == VALUE_NONE)) {
            return false;
        }
        value_put(&b, v);
        s = buf_str(&b);
        pad(out, f, s);
        buf_done(&b);
        return true;
    }
}

/* %!d(float64=1.5) */
static void bad_verb(struct buf *out, struct verb *f, const struct value *v)
{
    (void)buf_printf(out, "%%!%s(", f->letter);
    if (v->kind != VALUE_NONE) {
        (void)buf_printf(out, "%s=", value_type(v));
    }
    f->letter[0] = 'v';
    f->letter[1] = '\0';
    (void)one_value(out, f, v);
    (void)buf_add(out, STR(")"));
}

/* Digits, or a '*' that takes a whole number from the arguments. */
static int count(struct str *s, int most, const struct value *v, size_t n, size_t *used)
{
    int out = -1;

    if (s->len > 0 && s->p[0] == '*') {
        *s = str_from(*s, 1);
        if (*used < n && v[*used].kind == VALUE_INT) {
            int64_t w = v[*used].whole;

            out = w < -most || w > most ? most : (int)w;
        }
        ++*used;
        return out;
    }
    while (s->len > 0 && s->p[0] >= '0' && s->p[0] <= '9') {
        out = (out < 0 ? 0 : out) * 10 + (s->p[0] - '0');
        out = out > most ? most : out;
        *s = str_from(*s, 1);
    }
    return out;
}

/* What stands behind a '%', which `*s` is moved over. */
static void one_verb(struct buf *out, struct str *s, const struct value *v, size_t n, size_t *used)
{
    struct verb f = {.width = -1, .precision = -1};
    size_t len;

    for (; s->len > 0 && s->p[0] != '\0' && strchr("+-# 0", s->p[0]) != NULL;
         *s = str_from(*s, 1)) {
        f.plus |= s->p[0] == '+';
        f.minus |= s->p[0] == '-';
        f.sharp |= s->p[0] == '#';
        f.space |= s->p[0] == ' ';
        f.zero |= s->p[0] == '0';
    }
    f.width = count(s, WIDTH_MAX, v, n, used);
    if (f.width < -1) {
        f.minus = true;
        f.width = -f.width;
    }
    f.zero = f.zero && !f.minus;
    if (s->len > 0 && s->p[0] == '.') {
        *s = str_from(*s, 1);
        f.precision = count(s, PRECISION_MAX, v, n, used);
        f.precision = f.precision < 0 ? 0 : f.precision;
    }
    if (s->len == 0) {
        (void)buf_add(out, STR("%!(NOVERB)"));
        return;
    }
    len = str_utf8_len((const unsigned char *)s->p, s->len);
    len = len == 0 ? 1 : len;
    memcpy(f.letter, s->p, len);
    *s = str_from(*s, len);
    if (f.letter[0] == '%') {
        (void)buf_add(out, STR("%"));
    } else if (*used >= n) {
        (void)buf_printf(out, "%%!%s(MISSING)", f.letter);
    } else {
        const struct value *arg = &v[(*used)++];

        if (f.letter[0] == 'T') {
            pad(out, &f, str_of(value_type(arg)));
        } else if (!one_value(out, &f, arg)) {
            bad_verb(out, &f, arg);
        }
    }
}

void value_printf(struct buf *out, struct str format, const struct value *v, size_t n)
{
    size_t used = 0;

    while (format.len > 0 && !out->failed) {
        ptrdiff_t at = str_find_char(format, '%');

        (void)buf_add(out, at < 0 ? format : str_first(format, (size_t)at));
        format = at < 0 ? STR_EMPTY : str_from(format, (size_t)at + 1);
        if (at >= 0) {
            one_verb(out, &format, v, n, &used);
        }
    }
    if (used < n) {
        (void)buf_add(out, STR("%!(EXTRA "));
        for (size_t i = used; i < n; i++) {
            (void)buf_printf(out, "%s%s=", i > used ? ", " : "", value_type(&v[i]));
            value_put(out, &v[i]);
        }
        (void)buf_add(out, STR(")"));
    }
}
