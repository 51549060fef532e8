#include "tsdb/column.h"

#include <math.h>
#include <string.h>

enum { GROUP = 32, POWERS = 16 };

/* How a run is written: its first byte. The low bits of DECIMAL kinds hold the power of ten. */
enum {
    KIND_RAW = 0x00,      /* n x 8 bytes */
    KIND_CONSTANT = 0x01, /* 8 bytes */
    KIND_REGULAR = 0x02,  /* times: first, step */
    KIND_VALUES = 0x10,   /* +power: differences from the least */
    KIND_DELTAS = 0x20,   /* +power: from the one before */
    KIND_DELTAS2 = 0x30,  /* +power: from the difference before */
    KIND_SCALED = 0x40,   /* flag: first, factor; the run is (v - first) / factor */
    KIND_SPECIALS = 0x80  /* flag: a list of what is no decimal follows */
};

static const double powers[POWERS] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* --- small numbers --- */

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

static size_t varint_len(uint64_t v)
{
    return v == 0 ? 1 : (size_t)(63 - __builtin_clzll(v)) / 7 + 1;
}

void column_put_varint(uint64_t v, struct buf *out)
{
    char text[10];
    size_t n = 0;

    while (v >= 0x80) {
        text[n++] = (char)(v | 0x80);
        v >>= 7;
    }
    text[n++] = (char)v;
    (void)buf_add(out, str_n(text, n));
}

int column_get_varint(struct str *in, uint64_t *v)
{
    uint64_t r = 0;

    for (size_t i = 0; i < in->len && i < 10; i++) {
        unsigned char c = (unsigned char)in->p[i];

        if (i == 9 && c > 1) {
            return -1;
        }
        r |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80) {
            *in = str_from(*in, i + 1);
            *v = r;
            return 0;
        }
    }
    return -1;
}

/* --- groups of 32, each with the width that makes it smallest --- */

/*   width | 0x80 when some are wider      1 byte
 *   n x width bits, low ones first        ceil(n * width / 8) bytes
 *   how many are wider, then for each: its place, and its upper bits as a varint */

/* How a group is written smallest: the width, how many are wider, and the bytes behind the first.
 */
struct group_plan {
    unsigned width;
    size_t wider, size;
};

static unsigned bits_in(uint64_t v)
{
    return v == 0 ? 0 : 64 - (unsigned)__builtin_clzll(v);
}

/* A wide one costs its place and a byte for each 7 of its upper bits. What is wider is few, so it
 * is known by its bits alone, and few widths are looked at. */
static struct group_plan plan_group(const uint64_t *v, size_t n)
{
    enum { WIDER_MAX = 8 };
    unsigned char count[65] = {0}, wider[WIDER_MAX];
    struct group_plan best = {.size = SIZE_MAX};
    uint64_t all = 0;

    for (size_t i = 0; i < n; i++) {
        count[bits_in(v[i])]++;
        all |= v[i];
    }
    for (unsigned w = bits_in(all), above = 0;; w--) {
        size_t size = (n * w + 7) / 8 + (above > 0 ? 1 : 0);

        for (unsigned i = 0; i < above; i++) {
            size += 1 + (wider[i] - w + 6) / 7;
        }
        if (size <= best.size) {
            best = (struct group_plan){w, above, size};
        }
        if (w == 0 || above + count[w] > WIDER_MAX) {
            return best;
        }
        for (unsigned k = count[w]; k > 0; k--) {
            wider[above++] = (unsigned char)w;
        }
    }
}

static uint64_t low_bits(unsigned width)
{
    return width >= 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
}

static void put_group(const uint64_t *v, size_t n, struct buf *out)
{
    struct group_plan plan = plan_group(v, n);
    unsigned width = plan.width, held = 0;
    unsigned char packed[GROUP * 8 + 8];
    size_t len = 0;
    unsigned __int128 bits = 0;

    packed[len++] = (unsigned char)(width | (plan.wider > 0 ? 0x80 : 0));
    for (size_t i = 0; i < n; i++) {
        bits |= (unsigned __int128)(v[i] & low_bits(width)) << held;
        for (held += width; held >= 8; held -= 8) {
            packed[len++] = (unsigned char)bits;
            bits >>= 8;
        }
    }
    if (held > 0) {
        packed[len++] = (unsigned char)bits;
    }
    (void)buf_add(out, str_n((const char *)packed, len));
    if (plan.wider == 0) {
        return;
    }
    column_put_varint(plan.wider, out);
    for (size_t i = 0; i < n; i++) {
        uint64_t upper = width == 64 ? 0 : v[i] >> width;

        if (upper > 0) {
            char place = (char)i;

            (void)buf_add(out, str_n(&place, 1));
            column_put_varint(upper, out);
        }
    }
}

static int get_group(struct str *in, uint64_t *v, size_t n)
{
    unsigned width;
    size_t len;
    bool has_wider;
    uint64_t wider, mask;

    if (in->len < 1) {
        return -1;
    }
    width = (unsigned char)in->p[0] & 0x7f;
    has_wider = ((unsigned char)in->p[0] & 0x80) != 0;
    *in = str_from(*in, 1);
    len = (n * width + 7) / 8;
    if (width > 64 || in->len < len) {
        return -1;
    }
    mask = low_bits(width);
    for (size_t i = 0, bit = 0; i < n; i++, bit += width) {
        uint64_t word[2] = {0, 0};
        size_t byte = bit / 8, shift = bit % 8;

        if (byte + 16 <= in->len) {
            memcpy(word, in->p + byte, shift + width > 64 ? 16 : 8);
        } else {
            memcpy(word, in->p + byte, len - byte < 9 ? len - byte : 9);
        }
        v[i] = (word[0] >> shift | (shift > 0 ? word[1] << (64 - shift) : 0)) & mask;
    }
    *in = str_from(*in, len);
    if (!has_wider) {
        return 0;
    }
    if (column_get_varint(in, &wider) < 0 || wider > n) {
        return -1;
    }
    for (uint64_t i = 0, upper; i < wider; i++) {
        size_t place = in->len > 0 ? (unsigned char)in->p[0] : SIZE_MAX;

        *in = str_from(*in, 1);
        if (place >= n || column_get_varint(in, &upper) < 0 || width >= 64) {
            return -1;
        }
        v[place] |= upper << width;
    }
    return 0;
}

static void put_groups(const uint64_t *v, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i += GROUP) {
        put_group(v + i, n - i < GROUP ? n - i : GROUP, out);
    }
}

static size_t groups_size(const uint64_t *v, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i += GROUP) {
        size += 1 + plan_group(v + i, n - i < GROUP ? n - i : GROUP).size;
    }
    return size;
}

static int get_groups(struct str *in, uint64_t *v, size_t n)
{
    for (size_t i = 0; i < n; i += GROUP) {
        if (get_group(in, v + i, n - i < GROUP ? n - i : GROUP) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- whole numbers --- */

static uint64_t bits_of(double v)
{
    uint64_t b;

    memcpy(&b, &v, 8);
    return b;
}

static void put_u64(uint64_t v, struct buf *out)
{
    char text[8];

    for (int i = 0; i < 8; i++) {
        text[i] = (char)(v >> (8 * i));
    }
    (void)buf_add(out, str_n(text, 8));
}

static int get_u64(struct str *in, uint64_t *v)
{
    uint64_t r = 0;

    if (in->len < 8) {
        return -1;
    }
    for (int i = 0; i < 8; i++) {
        r |= (uint64_t)(unsigned char)in->p[i] << (8 * i);
    }
    *in = str_from(*in, 8);
    *v = r;
    return 0;
}

/* The numbers of a kind: what is packed. The first (and second) are packed as they are. */
static void derive(int kind, const int64_t *m, size_t n, int64_t least, uint64_t *out)
{
    if (kind == KIND_VALUES) {
        for (size_t i = 0; i < n; i++) {
            out[i] = (uint64_t)m[i] - (uint64_t)least;
        }
        return;
    }
    out[0] = zigzag(m[0]);
    if (n > 1) {
        out[1] = zigzag((int64_t)((uint64_t)m[1] - (uint64_t)m[0]));
    }
    for (size_t i = 2; i < n; i++) {
        uint64_t delta = (uint64_t)m[i] - (uint64_t)m[i - 1];
        uint64_t before = (uint64_t)m[i - 1] - (uint64_t)m[i - 2];

        out[i] = zigzag((int64_t)(kind == KIND_DELTAS ? delta : delta - before));
    }
}

static void restore(int kind, uint64_t *v, size_t n, int64_t least)
{
    uint64_t before = 0, step = 0;

    for (size_t i = 0; i < n; i++) {
        if (kind == KIND_VALUES) {
            v[i] += (uint64_t)least;
        } else if (kind == KIND_DELTAS) {
            before += (uint64_t)unzigzag(v[i]);
            v[i] = before;
        } else {
            uint64_t delta = step + (uint64_t)unzigzag(v[i]);

            before += delta;
            step = i > 0 ? delta : 0;
            v[i] = before;
        }
    }
}

/* The first one or two are as wide as a value, so they stand apart from the groups. */
static size_t heads_of(int kind, size_t n)
{
    size_t heads = kind == KIND_VALUES ? 0 : kind == KIND_DELTAS ? 1 : 2;

    return heads < n ? heads : n;
}

struct wholes {
    const int64_t *m;
    size_t n;
    int flags;
    int64_t first, least; /* first: SCALED */
    uint64_t factor;
};

/* Bytes of put_wholes(), without what all kinds have. */
static size_t wholes_size(int kind, const struct wholes *w)
{
    uint64_t derived[COLUMN_MAX];
    size_t size = kind == KIND_VALUES ? varint_len(zigzag(w->least)) : 0;
    size_t heads = heads_of(kind, w->n);

    derive(kind, w->m, w->n, w->least, derived);
    for (size_t i = 0; i < heads; i++) {
        size += varint_len(derived[i]);
    }
    return size + groups_size(derived + heads, w->n - heads);
}

static void put_wholes(int kind, const struct wholes *w, struct buf *out)
{
    uint64_t derived[COLUMN_MAX];
    char first = (char)(kind | w->flags);
    size_t heads = heads_of(kind, w->n);

    derive(kind, w->m, w->n, w->least, derived);
    (void)buf_add(out, str_n(&first, 1));
    if ((w->flags & KIND_SCALED) != 0) {
        column_put_varint(zigzag(w->first), out);
        column_put_varint(w->factor, out);
    }
    if (kind == KIND_VALUES) {
        column_put_varint(zigzag(w->least), out);
    }
    for (size_t i = 0; i < heads; i++) {
        column_put_varint(derived[i], out);
    }
    put_groups(derived + heads, w->n - heads, out);
}

static int get_wholes(int kind, int flags, struct str *in, uint64_t *v, size_t n)
{
    uint64_t least = 0, first = 0, factor = 1;
    size_t heads = heads_of(kind, n);

    if ((flags & KIND_SCALED) != 0 &&
        (column_get_varint(in, &first) < 0 || column_get_varint(in, &factor) < 0)) {
        return -1;
    }
    if (kind == KIND_VALUES && column_get_varint(in, &least) < 0) {
        return -1;
    }
    for (size_t i = 0; i < heads; i++) {
        if (column_get_varint(in, &v[i]) < 0) {
            return -1;
        }
    }
    if (get_groups(in, v + heads, n - heads) < 0) {
        return -1;
    }
    restore(kind, v, n, unzigzag(least));
    for (size_t i = 0; (flags & KIND_SCALED) != 0 && i < n; i++) {
        v[i] = v[i] * factor + (uint64_t)unzigzag(first);
    }
    return 0;
}

/* What all numbers differ by a multiple of: pages of memory, sectors, steps of a sensor. */
static uint64_t common_factor(const int64_t *m, size_t n)
{
    uint64_t g = 0;

    for (size_t i = 0; i < n && g != 1; i++) {
        uint64_t rest;

        if (m[i] > INT64_MAX / 4 || m[i] < -INT64_MAX / 4) {
            return 1;
        }
        rest = (uint64_t)(m[i] > m[0] ? m[i] - m[0] : m[0] - m[i]);
        while (rest != 0) {
            uint64_t left = g % rest;

            g = rest;
            rest = left;
        }
    }
    return g > 1 ? g : 1;
}

/* Writes the smallest of the three kinds behind what is in `out`. */
static void put_smallest(int flags, const int64_t *m, size_t n, struct buf *out)
{
    static const int kinds[] = {KIND_DELTAS, KIND_DELTAS2, KIND_VALUES};
    size_t best_size = SIZE_MAX;
    int best = KIND_DELTAS;
    uint64_t factor = common_factor(m, n);
    int64_t small[COLUMN_MAX];
    struct wholes w = {m, n, flags, m[0], m[0], 1};

    if (factor > 1) {
        for (size_t i = 0; i < n; i++) {
            small[i] = (m[i] - m[0]) / (int64_t)factor;
        }
        w = (struct wholes){small, n, flags | KIND_SCALED, m[0], small[0], factor};
    }
    for (size_t i = 0; i < n; i++) {
        w.least = w.m[i] < w.least ? w.m[i] : w.least;
    }
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        size_t size = wholes_size(kinds[k], &w);

        if (size < best_size) {
            best_size = size;
            best = kinds[k];
        }
    }
    put_wholes(best, &w, out);
}

static void put_deltas(int flags, const int64_t *m, size_t n, struct buf *out)
{
    put_wholes(KIND_DELTAS, &(struct wholes){m, n, flags, m[0], m[0], 1}, out);
}

/* --- values --- */

enum { WHOLE_MAX_BITS = 53 };

/* v as m / 10^power exactly, the same bits. */
static bool as_decimal(double v, unsigned power, int64_t *m)
{
    double scaled = v * powers[power];

    if (!(fabs(scaled) < (double)((int64_t)1 << WHOLE_MAX_BITS))) {
        return false;
    }
    *m = llrint(scaled);
    return bits_of((double)*m / powers[power]) == bits_of(v);
}

/* The least power of ten that makes v whole, from `power` on; -1 when there is none. */
static int power_of(double v, unsigned power)
{
    int64_t m;

    for (; power < POWERS; power++) {
        if (as_decimal(v, power, &m)) {
            return (int)power;
        }
    }
    return -1;
}

/* The power for the run. A value that has none, or that is too large for that of the others, is
 * special. */
static unsigned run_power(const double *v, size_t n)
{
    unsigned power = 0;
    size_t strange = 0;

    for (size_t i = 0; i < n && strange <= n / 8 + 1; i++) {
        int64_t m;
        int p;

        if (as_decimal(v[i], power, &m)) {
            continue;
        }
        p = power_of(v[i], power);
        strange += p < 0;
        power = p > 0 ? (unsigned)p : power;
    }
    return power;
}

static void put_raw(const double *v, size_t n, struct buf *out)
{
    char kind = KIND_RAW;

    (void)buf_add(out, str_n(&kind, 1));
    for (size_t i = 0; i < n; i++) {
        put_u64(bits_of(v[i]), out);
    }
}

typedef void put_wholes_fn(int flags, const int64_t *m, size_t n, struct buf *out);

static void put_values(const double *v, size_t n, put_wholes_fn *put, struct buf *out)
{
    int64_t m[COLUMN_MAX];
    uint16_t specials[COLUMN_MAX];
    size_t n_specials = 0, same = 1, start = out->len, place = 0;
    unsigned power;

    while (same < n && bits_of(v[same]) == bits_of(v[0])) {
        same++;
    }
    if (same == n) {
        char kind = KIND_CONSTANT;

        (void)buf_add(out, str_n(&kind, 1));
        put_u64(bits_of(v[0]), out);
        return;
    }
    m[0] = 0;
    power = run_power(v, n);
    for (size_t i = 0; i < n; i++) {
        if (!as_decimal(v[i], power, &m[i])) {
            m[i] = i > 0 ? m[i - 1] : 0;
            specials[n_specials++] = (uint16_t)i;
        }
    }
    if (n_specials > n / 2) {
        put_raw(v, n, out);
        return;
    }
    put((int)power | (n_specials > 0 ? KIND_SPECIALS : 0), m, n, out);
    if (n_specials > 0) {
        column_put_varint(n_specials, out);
        for (size_t i = 0; i < n_specials; i++) {
            column_put_varint(specials[i] - place, out);
            place = specials[i];
            put_u64(bits_of(v[place]), out);
        }
    }
    if (out->len - start > 1 + 8 * n) {
        out->len = start;
        put_raw(v, n, out);
    }
}

void column_put_values(const double *v, size_t n, struct buf *out)
{
    put_values(v, n, put_smallest, out);
}

void column_put_values_quick(const double *v, size_t n, struct buf *out)
{
    put_values(v, n, put_deltas, out);
}

static int get_specials(struct str *in, double *v, size_t n)
{
    uint64_t count, step, place = 0, bits;

    if (column_get_varint(in, &count) < 0 || count > n) {
        return -1;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (column_get_varint(in, &step) < 0 || step >= n || (place += step) >= n ||
            get_u64(in, &bits) < 0) {
            return -1;
        }
        memcpy(&v[place], &bits, 8);
    }
    return 0;
}

static int damaged(struct err *e)
{
    return err_set(e, ERR_IO, "a run of numbers is damaged");
}

static int read_raw(struct str *in, double *v, size_t n, bool constant)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < n; i++) {
        if ((i == 0 || !constant) && get_u64(in, &bits) < 0) {
            return -1;
        }
        memcpy(&v[i], &bits, 8);
    }
    return 0;
}

int column_get_values(struct str *in, double *v, size_t n, struct err *e)
{
    uint64_t m[COLUMN_MAX];
    int first, kind;
    double power;

    if (in->len == 0 || n == 0 || n > COLUMN_MAX) {
        return damaged(e);
    }
    first = (unsigned char)in->p[0];
    *in = str_from(*in, 1);
    if (first == KIND_RAW || first == KIND_CONSTANT) {
        return read_raw(in, v, n, first == KIND_CONSTANT) < 0 ? damaged(e) : 0;
    }
    kind = first & 0x30;
    if (kind < KIND_VALUES || get_wholes(kind, first, in, m, n) < 0) {
        return damaged(e);
    }
    power = powers[first & 0x0f];
    if ((first & 0x0f) == 0) {
        for (size_t i = 0; i < n; i++) {
            v[i] = (double)(int64_t)m[i];
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            v[i] = (double)(int64_t)m[i] / power;
        }
    }
    return (first & KIND_SPECIALS) != 0 && get_specials(in, v, n) < 0 ? damaged(e) : 0;
}

/* --- times --- */

void column_put_times(const int64_t *ms, size_t n, struct buf *out)
{
    uint64_t step = n > 1 ? (uint64_t)ms[1] - (uint64_t)ms[0] : 0;
    bool regular = true;
    char kind = KIND_REGULAR;

    for (size_t i = 2; i < n && regular; i++) {
        regular = (uint64_t)ms[i] - (uint64_t)ms[i - 1] == step;
    }
    if (!regular) {
        put_smallest(0, ms, n, out);
        return;
    }
    (void)buf_add(out, str_n(&kind, 1));
    column_put_varint(zigzag(ms[0]), out);
    column_put_varint(zigzag((int64_t)step), out);
}

void column_put_times_again(struct column_times *last, const int64_t *ms, size_t n, struct buf *out)
{
    size_t start = out->len;

    if (n == last->n && memcmp(ms, last->ms, n * sizeof(*ms)) == 0) {
        (void)buf_add(out, str_n(last->coded, last->len));
        return;
    }
    column_put_times(ms, n, out);
    last->n = 0;
    if (n <= ARRAY_LEN(last->ms) && !out->failed && out->len - start <= sizeof(last->coded)) {
        last->n = n;
        last->len = out->len - start;
        memcpy(last->ms, ms, n * sizeof(*ms));
        memcpy(last->coded, out->p + start, last->len);
    }
}

int column_get_times(struct str *in, int64_t *ms, size_t n, struct err *e)
{
    uint64_t m[COLUMN_MAX], start, step;
    int kind;

    if (in->len == 0 || n == 0 || n > COLUMN_MAX) {
        return damaged(e);
    }
    kind = (unsigned char)in->p[0];
    *in = str_from(*in, 1);
    if (kind == KIND_REGULAR) {
        if (column_get_varint(in, &start) < 0 || column_get_varint(in, &step) < 0) {
            return damaged(e);
        }
        for (size_t i = 0; i < n; i++) {
            ms[i] = (int64_t)((uint64_t)unzigzag(start) + (uint64_t)i * (uint64_t)unzigzag(step));
        }
        return 0;
    }
    if ((kind & 0x30) < KIND_VALUES || (kind & 0x8f) != 0 ||
        get_wholes(kind & 0x30, kind, in, m, n) < 0) {
        return damaged(e);
    }
    for (size_t i = 0; i < n; i++) {
        ms[i] = (int64_t)m[i];
    }
    return 0;
}
