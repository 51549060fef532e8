#include "algorithms/kernel/parquet_priv.h"

#include <math.h>

/* --- values ------------------------------------------------------------------------------------
 */

bool parquet_is_there(const struct column *c, size_t row)
{
    return c->kind == COLUMN_TEXT ? c->codes[row] != DICT_MISSING : !isnan(c->numbers[row]);
}

static void put_u32(struct buf *b, uint32_t v)
{
    (void)buf_add(b, str_n((const char *)&v, 4));
}

/* n values of `width` bits, packed in groups of eight. */
struct packer {
    struct buf *to;
    uint64_t bits;
    unsigned n_bits;
};

static void pack(struct packer *p, uint64_t v, unsigned width)
{
    p->bits |= v << p->n_bits;
    p->n_bits += width;
    for (; p->n_bits >= 8; p->n_bits -= 8, p->bits >>= 8) {
        char c = (char)p->bits;

        (void)buf_add(p->to, str_n(&c, 1));
    }
}

/* One packed run; the last group is filled with zeroes. */
static void begin_packed(struct packer *p, struct buf *to, size_t n)
{
    *p = (struct packer){.to = to};
    thrift_put_varint(to, (n + 7) / 8 << 1 | 1);
}

static void end_packed(struct packer *p, size_t n, unsigned width)
{
    for (; n % 8 != 0; n++) {
        pack(p, 0, width);
    }
}

/* u32 length and a run: all there, or a bit a row. */
void parquet_put_levels(struct buf *page, const struct column *c, size_t from, size_t n)
{
    size_t missing = 0, at = page->len;
    uint32_t len;

    for (size_t i = 0; i < n; i++) {
        missing += !parquet_is_there(c, from + i);
    }
    put_u32(page, 0);
    if (missing == 0) {
        thrift_put_varint(page, (uint64_t)n << 1);
        (void)buf_add(page, STR("\1"));
    } else {
        struct packer p;

        begin_packed(&p, page, n);
        for (size_t i = 0; i < n; i++) {
            pack(&p, parquet_is_there(c, from + i), 1);
        }
        end_packed(&p, n, 1);
    }
    len = (uint32_t)(page->len - at - 4);
    flat_put(page, at, &len, 4);
}

static void put_number(struct buf *page, enum column_as as, double v)
{
    int64_t whole = as == AS_REAL ? 0 : (int64_t)v;
    int32_t day = (int32_t)whole;
    struct str s = as == AS_REAL   ? str_n((const char *)&v, 8)
                   : as == AS_DATE ? str_n((const char *)&day, 4)
                                   : str_n((const char *)&whole, 8);

    (void)buf_add(page, s);
}

void parquet_put_text(struct buf *page, struct str s)
{
    put_u32(page, (uint32_t)s.len);
    (void)buf_add(page, s);
}

void parquet_put_plain(struct buf *page, const struct column *c, enum column_as as, size_t from,
                       size_t n)
{
    struct packer p = {.to = page};
    size_t bits = 0;

    for (size_t i = from; i < from + n; i++) {
        if (!parquet_is_there(c, i)) {
            continue;
        }
        if (c->kind == COLUMN_TEXT) {
            parquet_put_text(page, dict_text(c->dict, c->codes[i]));
        } else if (as == AS_BOOL) {
            pack(&p, c->numbers[i] == 1, 1);
            bits++;
        } else {
            put_number(page, as, c->numbers[i]);
        }
    }
    end_packed(&p, bits, 1);
}

void parquet_put_indexes(struct buf *page, const struct column *c, const uint32_t *places,
                         size_t from, size_t n, unsigned width)
{
    struct packer p;
    size_t there = 0;
    char head = (char)width;

    for (size_t i = from; i < from + n; i++) {
        there += parquet_is_there(c, i);
    }
    (void)buf_add(page, str_n(&head, 1));
    begin_packed(&p, page, there);
    for (size_t i = from; i < from + n; i++) {
        if (parquet_is_there(c, i)) {
            pack(&p, places[c->codes[i]] - 1, width);
        }
    }
    end_packed(&p, there, width);
}
