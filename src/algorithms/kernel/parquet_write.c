#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/codec.h"
#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = 65536, PAGE_BYTES = 1 << 20 };

struct writer {
    const struct table *t;
    enum column_as *as;
    enum parquet_codec codec;
    struct binw *w;
    struct buf groups; /* metadata of the row groups so far */
    struct buf head, page, packed;
    uint32_t *local; /* code of a text -> its place in the dictionary of a chunk + 1 */
    struct err *e;
};

/* What is noted of a column in one row group. */
struct noted {
    uint64_t dictionary, data, packed, unpacked;
    bool by_dictionary;
};

/* --- pages -------------------------------------------------------------------------------------
 */

static int pack(struct writer *w, struct str body)
{
    return w->codec == PARQUET_GZIP     ? codec_pack_gzip(body, &w->packed, w->e)
           : w->codec == PARQUET_SNAPPY ? codec_pack_snappy(body, &w->packed, w->e)
                                        : codec_pack_zstd(body, &w->packed, w->e);
}

/* The page in w->page with its head; `n` values. */
static int write_page(struct writer *w, struct noted *noted, bool dictionary, size_t n,
                      enum parquet_encoding encoding)
{
    struct str body = buf_str(&w->page);
    int last = 0, inner = 0;

    if (w->page.failed || body.len > INT32_MAX) {
        return err_set(w->e, ERR_DATA, "a text is too long for a page");
    }
    if (w->codec != PARQUET_PLAIN) {
        buf_clear(&w->packed);
        if (pack(w, body) < 0) {
            return -1;
        }
        body = buf_str(&w->packed);
    }
    buf_clear(&w->head);
    thrift_put_int(&w->head, &last, 1, THRIFT_I32, dictionary ? 2 : 0);
    thrift_put_int(&w->head, &last, 2, THRIFT_I32, (int64_t)w->page.len);
    thrift_put_int(&w->head, &last, 3, THRIFT_I32, (int64_t)body.len);
    thrift_put_struct(&w->head, &last, dictionary ? 7 : 5);
    thrift_put_int(&w->head, &inner, 1, THRIFT_I32, (int64_t)n);
    thrift_put_int(&w->head, &inner, 2, THRIFT_I32, encoding);
    if (!dictionary) {
        thrift_put_int(&w->head, &inner, 3, THRIFT_I32, PARQUET_ENC_RLE);
        thrift_put_int(&w->head, &inner, 4, THRIFT_I32, PARQUET_ENC_RLE);
    }
    thrift_put_stop(&w->head);
    thrift_put_stop(&w->head);
    binw_bytes(w->w, w->head.p, w->head.len);
    binw_bytes(w->w, body.p, body.len);
    noted->packed += w->head.len + body.len;
    noted->unpacked += w->head.len + w->page.len;
    return 0;
}

/* The texts of the rows, in the order they are first met; how many, 0: no dictionary is worth it.
 */
static uint32_t number_texts(struct writer *w, const struct column *c, size_t from, size_t n)
{
    uint32_t found = 0;

    memset(w->local, 0, c->dict->len * sizeof(*w->local));
    buf_clear(&w->page);
    for (size_t i = from; i < from + n; i++) {
        if (!parquet_is_there(c, i) || w->local[c->codes[i]] > 0) {
            continue;
        }
        parquet_put_text(&w->page, dict_text(c->dict, c->codes[i]));
        w->local[c->codes[i]] = ++found;
        if (found > n / 2 || w->page.len > 8 * PAGE_BYTES) {
            return 0;
        }
    }
    return found;
}

/* How many rows fit on a page. */
static size_t page_rows(const struct column *c, bool plain, size_t from, size_t n)
{
    size_t bytes = 0, rows = 0;

    for (; rows < n && rows < PAGE_ROWS && bytes < PAGE_BYTES; rows++) {
        if (plain && c->kind == COLUMN_TEXT && parquet_is_there(c, from + rows)) {
            bytes += 4 + dict_text(c->dict, c->codes[from + rows]).len;
        }
    }
    return rows;
}

static int write_chunk(struct writer *w, size_t column, size_t from, size_t n, struct noted *noted)
{
    const struct column *c = &w->t->columns[column];
    uint32_t texts = c->kind == COLUMN_TEXT ? number_texts(w, c, from, n) : 0;
    unsigned width = texts > 1 ? 32 - (unsigned)__builtin_clz(texts - 1) : 1;

    *noted = (struct noted){.by_dictionary = texts > 0, .dictionary = w->w->len};
    if (texts > 0 && write_page(w, noted, true, texts, PARQUET_ENC_PLAIN) < 0) {
        return -1;
    }
    noted->data = w->w->len;
    for (size_t end = from + n; from < end;) {
        size_t rows = page_rows(c, texts == 0, from, end - from);

        buf_clear(&w->page);
        parquet_put_levels(&w->page, c, from, rows);
        if (texts > 0) {
            parquet_put_indexes(&w->page, c, w->local, from, rows, width);
        } else {
            parquet_put_plain(&w->page, c, w->as[column], from, rows);
        }
        if (write_page(w, noted, false, rows,
                       texts > 0 ? PARQUET_ENC_RLE_DICTIONARY : PARQUET_ENC_PLAIN) < 0) {
            return -1;
        }
        from += rows;
    }
    return 0;
}

/* --- metadata ----------------------------------------------------------------------------------
 */

static enum parquet_type stored_as(const struct writer *w, size_t column)
{
    static const enum parquet_type types[] = {PARQUET_DOUBLE, PARQUET_INT64, PARQUET_BOOLEAN,
                                              PARQUET_INT32, PARQUET_INT64};

    return w->t->columns[column].kind == COLUMN_TEXT ? PARQUET_BYTES : types[w->as[column]];
}

static void note_chunk(struct writer *w, size_t column, size_t rows, const struct noted *noted)
{
    struct buf *b = &w->groups;
    int chunk = 0, last = 0;

    thrift_put_int(b, &chunk, 2, THRIFT_I64, 0); /* no metadata besides what follows */
    thrift_put_struct(b, &chunk, 3);
    thrift_put_int(b, &last, 1, THRIFT_I32, stored_as(w, column));
    thrift_put_list(b, &last, 2, THRIFT_I32, 2);
    thrift_put_zigzag(b, PARQUET_ENC_RLE);
    thrift_put_zigzag(b, noted->by_dictionary ? PARQUET_ENC_RLE_DICTIONARY : PARQUET_ENC_PLAIN);
    thrift_put_list(b, &last, 3, THRIFT_BINARY, 1);
    thrift_put_varint(b, strlen(w->t->columns[column].name));
    (void)buf_add_c(b, w->t->columns[column].name);
    thrift_put_int(b, &last, 4, THRIFT_I32, w->codec);
    thrift_put_int(b, &last, 5, THRIFT_I64, (int64_t)rows);
    thrift_put_int(b, &last, 6, THRIFT_I64, (int64_t)noted->unpacked);
    thrift_put_int(b, &last, 7, THRIFT_I64, (int64_t)noted->packed);
    thrift_put_int(b, &last, 9, THRIFT_I64, (int64_t)noted->data);
    if (noted->by_dictionary) {
        thrift_put_int(b, &last, 11, THRIFT_I64, (int64_t)noted->dictionary);
    }
    thrift_put_stop(b);
    thrift_put_stop(b);
}

static int write_group(struct writer *w, size_t from, size_t n)
{
    uint64_t unpacked = 0;
    int last = 0;

    thrift_put_list(&w->groups, &last, 1, THRIFT_STRUCT, w->t->n_columns);
    for (size_t i = 0; i < w->t->n_columns; i++) {
        struct noted noted;

        if (write_chunk(w, i, from, n, &noted) < 0) {
            return err_wrap(w->e, "column '%s'", w->t->columns[i].name);
        }
        note_chunk(w, i, n, &noted);
        unpacked += noted.unpacked;
    }
    thrift_put_int(&w->groups, &last, 2, THRIFT_I64, (int64_t)unpacked);
    thrift_put_int(&w->groups, &last, 3, THRIFT_I64, (int64_t)n);
    thrift_put_stop(&w->groups);
    return 0;
}

/* LogicalType of a time: adjusted to UTC, microseconds. */
static void put_time_type(struct buf *b, int *last)
{
    int type = 0, parts = 0, unit = 0;

    thrift_put_struct(b, last, 10);
    thrift_put_struct(b, &type, 8);
    thrift_put_bool(b, &parts, 1, THRIFT_TRUE);
    thrift_put_struct(b, &parts, 2);
    thrift_put_struct(b, &unit, 2);
    for (int i = 0; i < 4; i++) { /* MICROS, the unit, TIMESTAMP, the union */
        thrift_put_stop(b);
    }
}

static void put_element(struct writer *w, struct buf *b, size_t column)
{
    const struct column *c = &w->t->columns[column];
    bool text = c->kind == COLUMN_TEXT;
    int converted = text ? 0 : w->as[column] == AS_DATE ? 6 : w->as[column] == AS_TIME ? 10 : -1;
    int last = 0, type = 0;

    thrift_put_int(b, &last, 1, THRIFT_I32, stored_as(w, column));
    thrift_put_int(b, &last, 3, THRIFT_I32, 1 /* OPTIONAL */);
    thrift_put_binary(b, &last, 4, str_of(c->name));
    if (converted >= 0) {
        thrift_put_int(b, &last, 6, THRIFT_I32, converted);
    }
    if (!text && w->as[column] == AS_TIME) {
        put_time_type(b, &last);
    } else if (converted >= 0) { /* STRING or DATE */
        thrift_put_struct(b, &last, 10);
        thrift_put_struct(b, &type, text ? 1 : 6);
        thrift_put_stop(b);
        thrift_put_stop(b);
    }
    thrift_put_stop(b);
}

static void write_footer(struct writer *w, size_t n_groups)
{
    struct buf b = BUF_MAX(ML_LIMIT_ARROW_BYTES);
    int last = 0, root = 0;
    uint32_t len;

    thrift_put_int(&b, &last, 1, THRIFT_I32, 2);
    thrift_put_list(&b, &last, 2, THRIFT_STRUCT, w->t->n_columns + 1);
    thrift_put_binary(&b, &root, 4, STR("schema"));
    thrift_put_int(&b, &root, 5, THRIFT_I32, (int64_t)w->t->n_columns);
    thrift_put_stop(&b);
    for (size_t i = 0; i < w->t->n_columns; i++) {
        put_element(w, &b, i);
    }
    thrift_put_int(&b, &last, 3, THRIFT_I64, (int64_t)w->t->n_rows);
    thrift_put_list(&b, &last, 4, THRIFT_STRUCT, n_groups);
    (void)buf_add(&b, buf_str(&w->groups));
    thrift_put_binary(&b, &last, 6, STR("strata-ml " STRATA_VERSION));
    thrift_put_stop(&b);
    len = (uint32_t)b.len;
    (void)buf_add(&b, str_n((const char *)&len, 4));
    (void)buf_add(&b, PARQUET_MAGIC);
    w->groups.failed = w->groups.failed || b.failed;
    binw_bytes(w->w, b.p, b.len);
    buf_done(&b);
}

static int write_all(struct writer *w, size_t group_rows)
{
    size_t n_groups = 0, longest = 0;

    for (size_t i = 0; i < w->t->n_columns; i++) {
        const struct column *c = &w->t->columns[i];

        w->as[i] = column_as_is(c, w->t->n_rows);
        longest = c->kind == COLUMN_TEXT && c->dict->len > longest ? c->dict->len : longest;
    }
    w->local = big_alloc(longest, sizeof(*w->local), "the texts of a column", w->e);
    if (w->local == NULL) {
        return -1;
    }
    binw_bytes(w->w, PARQUET_MAGIC.p, PARQUET_MAGIC.len);
    for (size_t from = 0; from < w->t->n_rows; from += group_rows, n_groups++) {
        size_t left = w->t->n_rows - from;

        if (write_group(w, from, left < group_rows ? left : group_rows) < 0) {
            return -1;
        }
    }
    write_footer(w, n_groups);
    return w->groups.failed ? err_set(w->e, ERR_DATA, "the metadata of the table is too long") : 0;
}

int parquet_write(const struct table *t, enum parquet_codec codec, size_t group_rows,
                  struct binw *to, struct err *e)
{
    struct writer w = {.t = t,
                       .as = xnew_array(enum column_as, t->n_columns + 1),
                       .codec = codec,
                       .w = to,
                       .groups = BUF_MAX(ML_LIMIT_ARROW_BYTES),
                       .head = BUF_MAX(1024),
                       .page = BUF_MAX(1 * GIB),
                       .packed = BUF_MAX(2 * GIB),
                       .e = e};
    int rc = write_all(&w, group_rows);

    buf_done(&w.groups);
    buf_done(&w.head);
    buf_done(&w.page);
    buf_done(&w.packed);
    big_free(w.local);
    free(w.as);
    return rc;
}
