#include "algorithms/kernel/arrow_priv.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/transform.h"
#include "base/hash.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a column is written: what its numbers are indeed, and how many are missing. */
struct planned {
    const struct column *column;
    enum column_as as;
    size_t missing;
};

/* Where a message lies: struct Block of File.fbs. */
struct block {
    int64_t offset;
    int32_t metadata, unused;
    int64_t body;
};

/* The buffers of one record batch, in order. */
struct layout {
    size_t n;
    int64_t (*parts)[2]; /* offset and length: struct Buffer */
    int64_t body;
};

struct writer {
    const struct table *t;
    struct binw *w;
    struct planned *columns;
    struct buf meta, transforms;
    struct block *dictionaries, batch;
    size_t n_dictionaries;
};

static int64_t padded(int64_t n)
{
    return (n + ARROW_ALIGN - 1) & ~(int64_t)(ARROW_ALIGN - 1);
}

static bool is_there(const struct column *c, size_t i)
{
    return c->kind == COLUMN_TEXT ? c->codes[i] != DICT_MISSING : !isnan(c->numbers[i]);
}

static struct planned plan(const struct column *c, size_t n_rows)
{
    struct planned p = {.column = c, .as = column_as_is(c, n_rows)};

    for (size_t i = 0; i < n_rows; i++) {
        p.missing += !is_there(c, i);
    }
    return p;
}

/* --- the schema --------------------------------------------------------------------------------
 */

static size_t add_int_type(struct buf *b, unsigned bits)
{
    struct flat_slot slots[] = {FLAT_I32(bits), FLAT_I8(1)};

    return flat_add_table(b, slots, ARRAY_LEN(slots));
}

static size_t add_unit_type(struct buf *b, int64_t unit)
{
    struct flat_slot slots[] = {FLAT_I16(unit)};

    return flat_add_table(b, slots, ARRAY_LEN(slots));
}

static size_t add_time_type(struct buf *b)
{
    struct flat_slot slots[] = {FLAT_I16(ARROW_MICRO), FLAT_REF};
    size_t at = flat_add_table(b, slots, ARRAY_LEN(slots));

    flat_link(b, slots[1].at, flat_add_text(b, STR("UTC")));
    return at;
}

static enum arrow_kind kind_of(const struct planned *p)
{
    static const enum arrow_kind kinds[] = {ARROW_FLOAT, ARROW_INT, ARROW_BOOL, ARROW_DATE,
                                            ARROW_TIMESTAMP};

    return p->column->kind == COLUMN_TEXT ? ARROW_LARGE_UTF8 : kinds[p->as];
}

static size_t add_type(struct buf *b, const struct planned *p)
{
    switch (kind_of(p)) {
    case ARROW_FLOAT:
        return add_unit_type(b, 2 /* DOUBLE */);
    case ARROW_INT:
        return add_int_type(b, 64);
    case ARROW_DATE:
        return add_unit_type(b, 0 /* DAY */);
    case ARROW_TIMESTAMP:
        return add_time_type(b);
    default:
        return flat_add_table(b, NULL, 0);
    }
}

static size_t add_dictionary(struct buf *b, size_t id)
{
    struct flat_slot slots[] = {FLAT_I64((int64_t)id), FLAT_REF, FLAT_I8(0)};
    size_t at = flat_add_table(b, slots, ARRAY_LEN(slots));

    flat_link(b, slots[1].at, add_int_type(b, 32));
    return at;
}

static size_t add_field(struct buf *b, const struct planned *p, size_t id)
{
    bool text = p->column->kind == COLUMN_TEXT;
    struct flat_slot slots[] = {FLAT_REF, FLAT_I8(1), FLAT_I8(kind_of(p)),
                                FLAT_REF, FLAT_REF,   FLAT_REF};
    size_t at, items;

    slots[4].size = text ? 4 : 0;
    at = flat_add_table(b, slots, ARRAY_LEN(slots));
    flat_link(b, slots[0].at, flat_add_text(b, str_of(p->column->name)));
    flat_link(b, slots[3].at, add_type(b, p));
    if (text) {
        flat_link(b, slots[4].at, add_dictionary(b, id));
    }
    flat_link(b, slots[5].at, flat_add_vector(b, 0, 4, 4, &items)); /* no children */
    return at;
}

/* Key and value; *value_at is where the value's bytes lie. */
static size_t add_pair(struct buf *b, const char *key, struct str value, size_t *value_at)
{
    struct flat_slot slots[] = {FLAT_REF, FLAT_REF};
    size_t at = flat_add_table(b, slots, ARRAY_LEN(slots)), text;

    flat_link(b, slots[0].at, flat_add_text(b, str_of(key)));
    text = flat_add_text(b, value);
    flat_link(b, slots[1].at, text);
    *value_at = text + 4;
    return at;
}

static size_t add_schema(struct writer *w)
{
    struct buf *b = &w->meta;
    struct flat_slot slots[] = {FLAT_I16(0), FLAT_REF, FLAT_REF};
    size_t at = flat_add_table(b, slots, ARRAY_LEN(slots)), items, unused, vector;

    vector = flat_add_vector(b, w->t->n_columns, 4, 4, &items);
    flat_link(b, slots[1].at, vector);
    for (size_t i = 0; i < w->t->n_columns; i++) {
        flat_link(b, items + 4 * i, add_field(b, &w->columns[i], i));
    }
    vector = flat_add_vector(b, w->t->n_applied > 0 ? 2 : 1, 4, 4, &items);
    flat_link(b, slots[2].at, vector);
    flat_link(b, items, add_pair(b, ARROW_KEY_TABLE, STR("1"), &unused));
    if (w->t->n_applied > 0) {
        flat_link(b, items + 4,
                  add_pair(b, ARROW_KEY_TRANSFORMS, buf_str(&w->transforms), &unused));
    }
    return at;
}

/* --- messages ----------------------------------------------------------------------------------
 */

/* The ref to the header, which the caller links. */
static size_t begin_message(struct writer *w, enum arrow_header header, int64_t body)
{
    struct flat_slot slots[] = {FLAT_I16(ARROW_V5), FLAT_I8(header), FLAT_REF, FLAT_I64(body)};

    flat_begin(&w->meta);
    flat_link(&w->meta, 0, flat_add_table(&w->meta, slots, ARRAY_LEN(slots)));
    return slots[2].at;
}

static void write_zeros(struct writer *w, size_t n)
{
    static const char zeros[ARROW_ALIGN];

    binw_bytes(w->w, zeros, n);
}

/* Writes the metadata so that what follows is aligned. */
static struct block end_message(struct writer *w, int64_t body)
{
    int64_t start = (int64_t)w->w->len;
    int64_t end = padded(start + 8 + (int64_t)w->meta.len);
    struct block at = {.offset = start, .metadata = (int32_t)(end - start), .body = body};

    binw_u32(w->w, UINT32_MAX);
    binw_u32(w->w, (uint32_t)(end - start - 8));
    binw_bytes(w->w, w->meta.p, w->meta.len);
    write_zeros(w, (size_t)(end - (int64_t)w->w->len));
    return at;
}

static void add_part(struct layout *l, int64_t bytes)
{
    l->parts[l->n][0] = l->body;
    l->parts[l->n][1] = bytes;
    l->n++;
    l->body += padded(bytes);
}

/* nodes: n_nodes pairs of length and missing values. */
static size_t add_batch(struct buf *b, int64_t n_rows, int64_t (*nodes)[2], size_t n_nodes,
                        const struct layout *l)
{
    struct flat_slot slots[] = {FLAT_I64(n_rows), FLAT_REF, FLAT_REF};
    size_t at = flat_add_table(b, slots, ARRAY_LEN(slots)), items;

    flat_link(b, slots[1].at, flat_add_vector(b, n_nodes, 16, 8, &items));
    flat_put(b, items, nodes, 16 * n_nodes);
    flat_link(b, slots[2].at, flat_add_vector(b, l->n, 16, 8, &items));
    flat_put(b, items, l->parts, 16 * l->n);
    return at;
}

static void end_part(struct writer *w)
{
    write_zeros(w, (size_t)(padded((int64_t)w->w->len) - (int64_t)w->w->len));
}

static void write_dictionary(struct writer *w, size_t id)
{
    const struct dict *d = w->columns[id].column->dict;
    uint64_t bytes = d->len > 0 ? d->ends[d->len - 1] : 0;
    int64_t parts[3][2], node[1][2] = {{d->len, 0}};
    struct layout l = {.parts = parts};
    struct flat_slot slots[] = {FLAT_I64((int64_t)id), FLAT_REF, FLAT_I8(0)};
    size_t header;

    add_part(&l, 0);
    add_part(&l, 8 * (d->len + 1LL));
    add_part(&l, (int64_t)bytes);
    header = begin_message(w, ARROW_DICTIONARY, l.body);
    flat_link(&w->meta, header, flat_add_table(&w->meta, slots, ARRAY_LEN(slots)));
    flat_link(&w->meta, slots[1].at, add_batch(&w->meta, d->len, node, 1, &l));
    w->dictionaries[w->n_dictionaries++] = end_message(w, l.body);
    binw_u64(w->w, 0);
    binw_bytes(w->w, d->ends, d->len * sizeof(*d->ends));
    end_part(w);
    binw_bytes(w->w, d->bytes, bytes);
    end_part(w);
}

/* --- the values --------------------------------------------------------------------------------
 */

static bool is_true(const struct column *c, size_t i)
{
    return c->numbers[i] == 1;
}

/* A bit a row. */
static void write_bits(struct writer *w, const struct column *c,
                       bool (*bit)(const struct column *, size_t))
{
    unsigned char block[4096];

    for (size_t i = 0; i < w->t->n_rows; i += 8 * sizeof(block)) {
        size_t rest = w->t->n_rows - i, n = rest < 8 * sizeof(block) ? rest : 8 * sizeof(block);

        memset(block, 0, sizeof(block));
        for (size_t k = 0; k < n; k++) {
            block[k / 8] |= (unsigned char)(bit(c, i + k) << (k % 8));
        }
        binw_bytes(w->w, block, (n + 7) / 8);
    }
}

/* Whole numbers of 4 or 8 bytes; what is missing is 0, which every reader takes. */
static void write_whole(struct writer *w, const struct column *c, size_t width)
{
    char block[8192];
    size_t used = 0;

    for (size_t i = 0; i < w->t->n_rows; i++) {
        int64_t v = !is_there(c, i)          ? 0
                    : c->kind == COLUMN_TEXT ? (int64_t)c->codes[i]
                                             : (int64_t)c->numbers[i];

        memcpy(block + used, &v, width);
        used += width;
        if (used == sizeof(block)) {
            binw_bytes(w->w, block, used);
            used = 0;
        }
    }
    binw_bytes(w->w, block, used);
}

static size_t bits_of(const struct planned *p)
{
    static const unsigned char bits[] = {64, 64, 1, 32, 64};

    return p->column->kind == COLUMN_TEXT ? 32 : bits[p->as];
}

static void write_values(struct writer *w, const struct planned *p)
{
    const struct column *c = p->column;

    if (c->kind == COLUMN_TEXT && p->missing == 0) {
        binw_u32s(w->w, c->codes, w->t->n_rows);
    } else if (c->kind == COLUMN_NUMBER && p->as == AS_REAL) {
        binw_f64s(w->w, c->numbers, w->t->n_rows);
    } else if (c->kind == COLUMN_NUMBER && p->as == AS_BOOL) {
        write_bits(w, c, is_true);
    } else {
        write_whole(w, c, bits_of(p) / 8);
    }
}

static void write_batch(struct writer *w)
{
    size_t n = w->t->n_columns;
    int64_t rows = (int64_t)w->t->n_rows;
    SCOPED(freep) void *nodes_memory = xcalloc(n + 1, 16);
    SCOPED(freep) void *parts_memory = xcalloc(2 * n + 1, 16);
    int64_t(*nodes)[2] = nodes_memory;
    struct layout l = {.parts = parts_memory};
    size_t header;

    for (size_t i = 0; i < n; i++) {
        const struct planned *p = &w->columns[i];

        nodes[i][0] = rows;
        nodes[i][1] = (int64_t)p->missing;
        add_part(&l, p->missing > 0 ? (rows + 7) / 8 : 0);
        add_part(&l, (rows * (int64_t)bits_of(p) + 7) / 8);
    }
    header = begin_message(w, ARROW_BATCH, l.body);
    flat_link(&w->meta, header, add_batch(&w->meta, rows, nodes, n, &l));
    w->batch = end_message(w, l.body);
    for (size_t i = 0; i < n; i++) {
        if (w->columns[i].missing > 0) {
            write_bits(w, w->columns[i].column, is_there);
            end_part(w);
        }
        write_values(w, &w->columns[i]);
        end_part(w);
    }
}

/* --- the file ----------------------------------------------------------------------------------
 */

static size_t add_blocks(struct buf *b, const struct block *blocks, size_t n)
{
    size_t items, at = flat_add_vector(b, n, sizeof(*blocks), 8, &items);

    flat_put(b, items, blocks, n * sizeof(*blocks));
    return at;
}

/* The footer carries the checksum of all bytes, its own value taken as zeroes. */
static void write_footer(struct writer *w)
{
    static const char zeros[ARROW_CHECKSUM_HEX + 1] = "0000000000000000";
    struct buf *b = &w->meta;
    struct flat_slot slots[] = {FLAT_I16(ARROW_V5), FLAT_REF, FLAT_REF, FLAT_REF, FLAT_REF};
    struct checksum sum;
    char hex[ARROW_CHECKSUM_HEX + 1], tail[4 + 6] = {0};
    size_t items, value;
    uint32_t len;

    flat_begin(b);
    flat_link(b, 0, flat_add_table(b, slots, ARRAY_LEN(slots)));
    flat_link(b, slots[1].at, add_schema(w));
    flat_link(b, slots[2].at, add_blocks(b, w->dictionaries, w->n_dictionaries));
    flat_link(b, slots[3].at, add_blocks(b, &w->batch, 1));
    flat_link(b, slots[4].at, flat_add_vector(b, 1, 4, 4, &items));
    flat_link(b, items, add_pair(b, ARROW_KEY_CHECKSUM, str_n(zeros, ARROW_CHECKSUM_HEX), &value));
    len = (uint32_t)b->len;
    memcpy(tail, &len, 4);
    memcpy(tail + 4, ARROW_MAGIC.p, ARROW_MAGIC.len);
    sum = w->w->sum;
    checksum_add(&sum, b->p, b->len);
    checksum_add(&sum, tail, sizeof(tail));
    (void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)checksum_value(&sum));
    flat_put(b, value, hex, ARROW_CHECKSUM_HEX);
    binw_bytes(w->w, b->p, b->len);
    binw_bytes(w->w, tail, sizeof(tail));
}

static int write_all(struct writer *w, struct err *e)
{
    static const char magic[8] = "ARROW1";
    size_t header;

    binw_bytes(w->w, magic, sizeof(magic));
    header = begin_message(w, ARROW_SCHEMA, 0);
    flat_link(&w->meta, header, add_schema(w));
    (void)end_message(w, 0);
    for (size_t i = 0; i < w->t->n_columns; i++) {
        if (w->columns[i].column->kind == COLUMN_TEXT) {
            write_dictionary(w, i);
        }
    }
    write_batch(w);
    binw_u32(w->w, UINT32_MAX); /* the end, for who reads it as a stream */
    binw_u32(w->w, 0);
    write_footer(w);
    return w->meta.failed || w->transforms.failed
               ? err_set(e, ERR_DATA, "the names and transforms of the table are too long")
               : 0;
}

static int encode_transforms(struct writer *w, struct err *e)
{
    SCOPED(buf_done) struct buf bytes = BUF_MAX(ML_LIMIT_ARROW_BYTES / 2);
    SCOPED(binw_closep) struct binw *to = binw_open_memory(&bytes);

    if (w->t->n_applied == 0) {
        return 0;
    }
    transform_write_list(w->t->applied, w->t->n_applied, to);
    return binw_commit(to, e) < 0 || base64_add(&w->transforms, buf_str(&bytes)) < 0 ? -1 : 0;
}

int arrow_write(const struct table *t, struct binw *to, struct err *e)
{
    struct writer w = {.t = t,
                       .w = to,
                       .columns = xnew_array(struct planned, t->n_columns + 1),
                       .meta = BUF_MAX(ML_LIMIT_ARROW_BYTES),
                       .transforms = BUF_MAX(ML_LIMIT_ARROW_BYTES),
                       .dictionaries = xnew_array(struct block, t->n_columns + 1)};
    int rc = encode_transforms(&w, e);

    for (size_t i = 0; rc == 0 && i < t->n_columns; i++) {
        w.columns[i] = plan(&t->columns[i], t->n_rows);
    }
    rc = rc == 0 ? write_all(&w, e) : rc;
    buf_done(&w.meta);
    buf_done(&w.transforms);
    free(w.columns);
    free(w.dictionaries);
    return rc;
}
