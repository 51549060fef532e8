#include "algorithms/kernel/npy_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/utf8.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The values of one column in the file. */
struct npy_view {
    const char *at;
    size_t step, n;
    struct npy_type type;
};

static uint64_t bits_at(const struct npy_view *v, size_t row)
{
    const unsigned char *p = (const unsigned char *)v->at + row * v->step;
    uint64_t bits = 0;

    for (size_t i = 0; i < v->type.bytes; i++) {
        bits |= (uint64_t)p[v->type.swapped ? v->type.bytes - 1 - i : i] << (8 * i);
    }
    return bits;
}

static int64_t signed_of(uint64_t bits, size_t bytes)
{
    unsigned shift = 64 - 8 * (unsigned)bytes;

    return (int64_t)(bits << shift) >> shift;
}

/* IEEE 754 binary16. */
static double half_of(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023), v;

    if (exponent == 31) {
        v = fraction == 0 ? INFINITY : NAN;
    } else {
        v = exponent == 0 ? ldexp(fraction, -24) : ldexp(fraction + 1024, exponent - 25);
    }
    return bits >> 15 ? -v : v;
}

static double float_of(uint64_t bits, size_t bytes)
{
    uint32_t narrow = (uint32_t)bits;
    double v;
    float f;

    if (bytes == 2) {
        return half_of(bits);
    }
    if (bytes == 4) {
        memcpy(&f, &narrow, sizeof(f));
        return (double)f;
    }
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* Microseconds, or days of the unit D. -1: it is none that a column holds. */
static int time_of(int64_t ticks, char unit, double *v)
{
    int64_t us = ticks;
    bool bad = (unit == 's' && __builtin_mul_overflow(ticks, 1000000, &us)) ||
               (unit == 'm' && __builtin_mul_overflow(ticks, 1000, &us)) ||
               (unit == 'n' && ticks % 1000 != 0);

    if (ticks == INT64_MIN) { /* NaT */
        *v = NAN;
        return 0;
    }
    us = unit == 'n' ? ticks / 1000 : us;
    *v = (double)us;
    return !bad && (int64_t)*v == us && as_holds(unit == 'D' ? AS_DATE : AS_TIME, *v) ? 0 : -1;
}

static double number_at(const struct npy_view *v, size_t row)
{
    uint64_t bits = bits_at(v, row);

    switch (v->type.kind) {
    case 'b':
        return bits != 0;
    case 'i':
        return (double)signed_of(bits, v->type.bytes);
    case 'u':
        return (double)bits;
    default:
        return float_of(bits, v->type.bytes);
    }
}

static enum column_as as_of(const struct npy_type *t)
{
    return t->kind == 'b'                     ? AS_BOOL
           : t->kind == 'i' || t->kind == 'u' ? AS_INT
           : t->kind == 'M'                   ? t->unit == 'D' ? AS_DATE : AS_TIME
                                              : AS_REAL;
}

static bool is_text(const struct npy_type *t)
{
    return t->kind == 'U' || t->kind == 'S';
}

/* An integer that a double does not hold? */
static bool is_too_long(const struct npy_view *v)
{
    if (v->type.bytes < 8 || (v->type.kind != 'i' && v->type.kind != 'u')) {
        return false;
    }
    for (size_t r = 0; r < v->n; r++) {
        uint64_t bits = bits_at(v, r);
        uint64_t size = v->type.kind == 'i' && bits >> 63 ? 0 - bits : bits;

        if (size > (1ULL << 53)) {
            return true;
        }
    }
    return false;
}

/* --- columns ---------------------------------------------------------------------------------- */

static int add_numbers(struct table *t, struct str name, const struct npy_view *v, struct err *e)
{
    struct column *c = table_add_numbers(t, name, e);

    if (c == NULL) {
        return -1;
    }
    c->as = as_of(&v->type);
    for (size_t r = 0; r < v->n; r++) {
        if (v->type.kind != 'M') {
            c->numbers[r] = number_at(v, r);
        } else if (time_of(signed_of(bits_at(v, r), 8), v->type.unit, &c->numbers[r]) < 0) {
            return err_set(e, ERR_DATA,
                           "row %zu, column '%s': a time is one from 1684 to 2255, no finer than "
                           "a microsecond",
                           r + 1, c->name);
        }
    }
    return 0;
}

/* The characters of one value; what fills it up at the end is no part of it. */
static int text_at(const struct npy_view *v, size_t row, struct buf *to)
{
    const unsigned char *p = (const unsigned char *)v->at + row * v->step;
    size_t n = v->type.bytes;

    buf_clear(to);
    if (v->type.kind == 'S') {
        while (n > 0 && p[n - 1] == 0) {
            n--;
        }
        (void)buf_add(to, str_n((const char *)p, n));
        return str_find_char(buf_str(to), '\0') < 0 && utf8_check(buf_str(to)) < 0 ? 0 : -1;
    }
    while (n > 0 && (p[n - 1] | p[n - 2] | p[n - 3] | p[n - 4]) == 0) {
        n -= 4;
    }
    for (size_t i = 0; i < n; i += 4) {
        const unsigned char *q = p + i;
        uint32_t c = v->type.swapped
                         ? (uint32_t)q[0] << 24 | (uint32_t)q[1] << 16 | (uint32_t)q[2] << 8 | q[3]
                         : (uint32_t)q[3] << 24 | (uint32_t)q[2] << 16 | (uint32_t)q[1] << 8 | q[0];
        char bytes[4];
        size_t len = c == 0 ? 0 : utf8_put(bytes, c);

        if (len == 0) {
            return -1;
        }
        (void)buf_add(to, str_n(bytes, len));
    }
    return to->failed ? -1 : 0;
}

static int whole_at(const struct npy_view *v, size_t row, struct buf *to)
{
    uint64_t bits = bits_at(v, row);

    buf_clear(to);
    return v->type.kind == 'i' ? buf_printf(to, "%" PRId64, (int64_t)bits)
                               : buf_printf(to, "%" PRIu64, bits);
}

static int fill_texts(uint32_t *codes, struct dict *dict, struct str name, const struct npy_view *v,
                      struct buf *scratch, struct err *e)
{
    for (size_t r = 0; r < v->n; r++) {
        if ((is_text(&v->type) ? text_at(v, r, scratch) : whole_at(v, r, scratch)) < 0) {
            return err_set(e, ERR_DATA, "row %zu, column '%.*s' is no text: %s", r + 1,
                           STR_ARG(name),
                           v->type.kind == 'S' ? "bytes are UTF-8 without NUL"
                                               : "it has a character that is none");
        }
        if (dict_intern(dict, buf_str(scratch), &codes[r], e) < 0) {
            return err_wrap(e, "column '%.*s'", STR_ARG(name));
        }
    }
    return 0;
}

static int add_texts(struct table *t, struct str name, const struct npy_view *v, struct err *e)
{
    SCOPED(buf_done) struct buf scratch = BUF_MAX(ML_LIMIT_CELL_BYTES + 64);
    SCOPED(dict_freep) struct dict *dict = dict_new();
    SCOPED(big_freep) uint32_t *codes = big_alloc(v->n, sizeof(*codes), "a column of text", e);
    struct shared *data;
    struct column *c;

    if (codes == NULL || fill_texts(codes, dict, name, v, &scratch, e) < 0) {
        return -1;
    }
    dict_seal(dict);
    data = shared_of_big(codes);
    c = table_put_text(t, name, TAKE(codes), data, dict, e);
    shared_unref(data);
    return c ? 0 : -1;
}

/* Column `i` of the table: a field, or a column of the array. */
static int add_column(struct table *t, const struct npy_shape *s, const char *data, size_t i,
                      struct err *e)
{
    const struct npy_field *f = &s->fields[s->fields[0].name ? i : 0];
    SCOPED(freep) char *made = xasprintf("column_%zu", i + 1);
    struct str name = str_of(f->name ? f->name : made);
    size_t bytes = s->item_bytes, rows = t->n_rows;
    struct npy_view v = {.n = rows, .type = f->type};

    if (f->name) {
        v.at = data + f->offset;
        v.step = bytes;
    } else {
        v.at = data + i * bytes * (s->fortran ? rows : 1);
        v.step = s->fortran ? bytes : bytes * (size_t)s->dims[1];
    }
    if (name.len == 0 || utf8_check(name) >= 0) {
        return err_set(e, ERR_DATA, "the name of field %zu is empty or not UTF-8", i + 1);
    }
    return is_text(&v.type) || is_too_long(&v) ? add_texts(t, name, &v, e)
                                               : add_numbers(t, name, &v, e);
}

static struct table *columns_of(const struct npy_shape *s, const char *data, size_t rows,
                                struct err *e)
{
    SCOPED(table_freep) struct table *t = table_new(rows);

    for (size_t i = 0; i < npy_n_columns(s); i++) {
        if (add_column(t, s, data, i, e) < 0) {
            return NULL;
        }
    }
    return TAKE(t);
}

struct table *npy_columns(struct str head, uint64_t *rows, struct err *e)
{
    SCOPED(npy_shape_done) struct npy_shape s = {0};

    if (npy_shape_parse(&s, head, e) < 0) {
        return NULL;
    }
    *rows = s.dims[0];
    return columns_of(&s, "", 0, e);
}

struct table *npy_read(struct str bytes, struct err *e)
{
    SCOPED(npy_shape_done) struct npy_shape s = {0};
    uint64_t want;

    if (npy_shape_parse(&s, bytes, e) < 0) {
        return NULL;
    }
    /* Rows and columns are 31 and 16 bits, an item 26. */
    if (__builtin_mul_overflow(s.dims[0] * s.dims[1], (uint64_t)s.item_bytes, &want) ||
        want != bytes.len - s.head_bytes) {
        (void)err_set(e, ERR_DATA,
                      "damaged: %llu rows of %llu values of %zu bytes are promised, and %zu bytes "
                      "are there",
                      (unsigned long long)s.dims[0], (unsigned long long)s.dims[1], s.item_bytes,
                      bytes.len - s.head_bytes);
        return NULL;
    }
    return columns_of(&s, bytes.p + s.head_bytes, (size_t)s.dims[0], e);
}
