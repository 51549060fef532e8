#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/failure.h"

#include <string.h>

static int damaged(const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: %s", what);
}

static int wrong_encoding(const struct parquet_page *p, struct err *e)
{
    return err_set(e, ERR_DATA, "a page is encoded in a way (%d) that its type has not",
                   (int)p->encoding);
}

static int too_short(struct err *e)
{
    return damaged("a page has fewer values than it says", e);
}

/* --- texts and bytes -----------------------------------------------------------------------------
 */

/* u32 length and bytes each, or `width` bytes each. */
static int plain_texts(struct str in, size_t width, size_t n, struct str *out, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t len = (uint32_t)width;

        if (width == 0) {
            if (in.len < 4) {
                return too_short(e);
            }
            memcpy(&len, in.p, 4);
            in = str_from(in, 4);
        }
        if (len > in.len) {
            return too_short(e);
        }
        out[i] = str_first(in, len);
        in = str_from(in, len);
    }
    return 0;
}

/* All lengths, then all bytes. */
static int length_texts(struct str in, size_t n, struct str *out, struct err *e)
{
    SCOPED(big_freep) int64_t *lens = big_alloc(n, sizeof(*lens), "the lengths of texts", e);

    if (lens == NULL) {
        return -1;
    }
    if (parquet_deltas(&in, lens, n) < 0) {
        return too_short(e);
    }
    for (size_t i = 0; i < n; i++) {
        if (lens[i] < 0 || (uint64_t)lens[i] > in.len) {
            return too_short(e);
        }
        out[i] = str_first(in, (size_t)lens[i]);
        in = str_from(in, (size_t)lens[i]);
    }
    return 0;
}

/* The beginnings, taken from the text before, and the rests of n texts make whole ones. */
static int join_texts(const int64_t *fronts, size_t n, struct str *texts, struct buf *scratch,
                      struct err *e)
{
    size_t total = 0, before = 0;
    char *to;

    for (size_t i = 0; i < n; i++) {
        if (fronts[i] < 0 || (uint64_t)fronts[i] > before) {
            return damaged("a text begins as one that is too short", e);
        }
        before = (size_t)fronts[i] + texts[i].len;
        if (before > scratch->max - total) {
            return err_set(e, ERR_DATA, "a page of texts is longer than %zu bytes", scratch->max);
        }
        total += before;
    }
    buf_clear(scratch);
    to = buf_reserve(scratch, total + 1);
    for (size_t i = 0; to && i < n; i++) {
        size_t front = (size_t)fronts[i], len = front + texts[i].len;

        if (front > 0) {
            memcpy(to, texts[i - 1].p, front);
        }
        if (texts[i].len > 0) {
            memcpy(to + front, texts[i].p, texts[i].len);
        }
        texts[i] = str_n(to, len);
        to += len;
    }
    return to ? 0 : damaged("a page of texts is too long", e);
}

static int delta_texts(struct str in, size_t n, struct str *out, struct buf *scratch, struct err *e)
{
    SCOPED(big_freep) int64_t *fronts = big_alloc(n, sizeof(*fronts), "the lengths of texts", e);

    if (fronts == NULL) {
        return -1;
    }
    if (parquet_deltas(&in, fronts, n) < 0) {
        return too_short(e);
    }
    return length_texts(in, n, out, e) < 0 ? -1 : join_texts(fronts, n, out, scratch, e);
}

/* Byte k of every value, then byte k + 1 of every value. */
static int split_bytes(struct str in, size_t width, size_t n, unsigned char *out, struct err *e)
{
    if (in.len / width < n) {
        return too_short(e);
    }
    for (size_t k = 0; k < width; k++) {
        for (size_t i = 0; i < n; i++) {
            out[i * width + k] = (unsigned char)in.p[k * n + i];
        }
    }
    return 0;
}

static int split_texts(const struct parquet_column *c, struct str in, size_t n, struct str *out,
                       struct buf *scratch, struct err *e)
{
    char *to;

    if (in.len / c->width < n) {
        return too_short(e);
    }
    buf_clear(scratch);
    to = buf_reserve(scratch, n * c->width + 1);
    if (to == NULL || split_bytes(in, c->width, n, (unsigned char *)to, e) < 0) {
        return damaged("a page of texts is too long", e);
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = str_n(to + i * c->width, c->width);
    }
    return 0;
}

static int check_widths(const struct parquet_column *c, const struct str *texts, size_t n,
                        struct err *e)
{
    for (size_t i = 0; c->width > 0 && i < n; i++) {
        if (texts[i].len != c->width) {
            return damaged("a value has not as many bytes as its type", e);
        }
    }
    return 0;
}

int parquet_texts(const struct parquet_column *c, const struct parquet_page *p, size_t n,
                  struct str *texts, struct buf *scratch, struct err *e)
{
    int rc;

    switch (p->encoding) {
    case PARQUET_ENC_PLAIN:
    case PARQUET_ENC_PLAIN_DICTIONARY: /* what old writers call the values of a dictionary */
        return plain_texts(p->values, c->width, n, texts, e);
    case PARQUET_ENC_DELTA_LENGTH:
        rc = length_texts(p->values, n, texts, e);
        break;
    case PARQUET_ENC_DELTA_BYTES:
        rc = delta_texts(p->values, n, texts, scratch, e);
        break;
    case PARQUET_ENC_SPLIT:
        return c->width > 0 ? split_texts(c, p->values, n, texts, scratch, e)
                            : wrong_encoding(p, e);
    default:
        return wrong_encoding(p, e);
    }
    return rc < 0 ? -1 : check_widths(c, texts, n, e);
}

/* --- numbers -------------------------------------------------------------------------------------
 */

/* Two's complement, the first byte first, to sixteen bytes the other way round. */
static int to_decimals(const struct str *texts, size_t n, unsigned char *out, struct err *e)
{
    for (size_t i = 0; i < n; i++, out += 16) {
        struct str s = texts[i];

        if (s.len > 16) {
            return err_set(e, ERR_DATA, "a decimal has more than 38 digits");
        }
        memset(out, s.len > 0 && s.p[0] & 0x80 ? 0xff : 0, 16);
        for (size_t k = 0; k < s.len; k++) {
            out[k] = (unsigned char)s.p[s.len - 1 - k];
        }
    }
    return 0;
}

/* Nanoseconds of the day and the Julian day, to microseconds since 1970. */
static void to_micros(struct str in, size_t n, unsigned char *out)
{
    enum { JULIAN_1970 = 2440588 };

    for (size_t i = 0; i < n; i++) {
        int64_t nanos, us;
        uint32_t day;

        memcpy(&nanos, in.p + 12 * i, 8);
        memcpy(&day, in.p + 12 * i + 8, 4);
        us = ((int64_t)day - JULIAN_1970) * CALENDAR_DAY_US + nanos / 1000;
        memcpy(out + 8 * i, &us, 8);
    }
}

static int plain_bools(struct str in, size_t n, unsigned char *out, struct err *e)
{
    if (in.len < (n + 7) / 8) {
        return too_short(e);
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = (unsigned char)in.p[i / 8] >> (i % 8) & 1;
    }
    return 0;
}

/* u32 length, then runs of one bit. */
static int run_bools(struct str in, size_t n, unsigned char *out, struct err *e)
{
    struct parquet_runs r;

    parquet_runs_init(&r, str_from(in, 4), 1);
    for (size_t i = 0; i < n; i++) {
        uint32_t v;

        if (in.len < 4 || parquet_runs_get(&r, &v, 1) < 0) {
            return too_short(e);
        }
        out[i] = v == 1;
    }
    return 0;
}

static int plain_numbers(const struct parquet_column *c, struct str in, size_t n,
                         unsigned char *room, struct str *out, struct err *e)
{
    if (c->stored == PARQUET_BOOLEAN) {
        return plain_bools(in, n, room, e);
    }
    if (in.len / c->width < n) {
        return too_short(e);
    }
    if (c->stored == PARQUET_INT96) {
        to_micros(in, n, room);
    } else {
        *out = str_first(in, n * c->width);
    }
    return 0;
}

/* Of 64 bits, to 32 when the type has no more. */
static int delta_numbers(const struct parquet_column *c, struct str in, size_t n,
                         unsigned char *out, struct err *e)
{
    int64_t *wide = (int64_t *)(void *)out;

    if (parquet_deltas(&in, wide, n) < 0) {
        return too_short(e);
    }
    for (size_t i = 0; c->stored == PARQUET_INT32 && i < n; i++) {
        int32_t v = (int32_t)wide[i];

        memcpy(out + 4 * i, &v, 4);
    }
    return 0;
}

int parquet_numbers(const struct parquet_column *c, const struct parquet_page *p, size_t n,
                    struct str *texts, struct buf *scratch, unsigned char *room, struct str *out,
                    struct err *e)
{
    bool whole = c->stored == PARQUET_INT32 || c->stored == PARQUET_INT64;

    *out = str_n((const char *)room, n * 16);
    if (c->stored == PARQUET_BYTES || c->stored == PARQUET_FIXED) {
        if (parquet_texts(c, p, n, texts, scratch, e) < 0) {
            return -1;
        }
        for (size_t i = 0; !c->big_endian && i < n; i++) {
            memcpy(room + c->width * i, texts[i].p, c->width);
        }
        return c->big_endian ? to_decimals(texts, n, room, e) : 0;
    }
    if (p->encoding == PARQUET_ENC_PLAIN || p->encoding == PARQUET_ENC_PLAIN_DICTIONARY) {
        return plain_numbers(c, p->values, n, room, out, e);
    }
    if (p->encoding == PARQUET_ENC_RLE && c->stored == PARQUET_BOOLEAN) {
        return run_bools(p->values, n, room, e);
    }
    if (p->encoding == PARQUET_ENC_DELTA && whole) {
        return delta_numbers(c, p->values, n, room, e);
    }
    if (p->encoding == PARQUET_ENC_SPLIT && c->stored != PARQUET_BOOLEAN &&
        c->stored != PARQUET_INT96) {
        return split_bytes(p->values, c->width, n, room, e);
    }
    return wrong_encoding(p, e);
}
