#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"

#include <stdlib.h>
#include <string.h>

static int damaged(const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: %s", what);
}

/* --- row groups ----------------------------------------------------------------------------------
 */

static void take_chunk_metadata(struct thrift *t, struct parquet_chunk *c)
{
    int64_t data = 0, dictionary = 0, len = 0;

    for (struct thrift_field f = {0}; thrift_next(t, &f);) {
        switch (f.id) {
        case 4:
            c->codec = (int)thrift_int(t, &f);
            break;
        case 5:
            c->n_values = (uint64_t)thrift_int(t, &f);
            break;
        case 7:
            len = thrift_int(t, &f);
            break;
        case 9:
            data = thrift_int(t, &f);
            break;
        case 11:
            dictionary = thrift_int(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
    }
    c->start = (uint64_t)(dictionary > 0 && dictionary < data ? dictionary : data);
    c->len = (uint64_t)len;
}

static int take_chunk(struct parquet_file *f, struct thrift *t, struct parquet_chunk *c,
                      struct err *e)
{
    bool there = false;

    for (struct thrift_field field = {0}; thrift_next(t, &field);) {
        if (field.id == 1) {
            return err_set(e, ERR_DATA, "its columns lie in other files");
        }
        if (field.id == 3 && thrift_struct(t, &field)) {
            take_chunk_metadata(t, c);
            there = true;
        } else {
            thrift_skip(t, &field);
        }
    }
    if (t->bad || !there || c->start < 4 || c->start > f->bytes.len ||
        c->len > f->bytes.len - c->start) {
        return damaged("a column lies outside of it", e);
    }
    return 0;
}

static int take_group(struct parquet_file *f, struct thrift *t, struct err *e)
{
    enum thrift_type type = THRIFT_STRUCT;
    size_t n = 0;
    int64_t rows = -1;

    for (struct thrift_field field = {0}; thrift_next(t, &field);) {
        if (field.id == 1 && n == 0) {
            n = thrift_list(t, &field, &type);
            if (t->bad || n != f->n_leaves || type != THRIFT_STRUCT) {
                return damaged("a row group has not as many columns as the schema", e);
            }
            for (size_t i = 0; i < n; i++) {
                if (take_chunk(f, t, &f->chunks[f->n_groups * f->n_leaves + i], e) < 0) {
                    return -1;
                }
            }
        } else if (field.id == 3) {
            rows = thrift_int(t, &field);
        } else {
            thrift_skip(t, &field);
        }
    }
    if (t->bad || rows < 0 || n != f->n_leaves || (uint64_t)rows > ML_LIMIT_ROWS - f->n_rows) {
        return damaged("a row group is none, or has more rows than a table can", e);
    }
    f->group_rows[f->n_groups++] = (uint64_t)rows;
    f->n_rows += (uint64_t)rows;
    return 0;
}

static int take_groups(struct parquet_file *f, struct thrift *t, const struct thrift_field *field,
                       struct err *e)
{
    enum thrift_type type;
    size_t n = thrift_list(t, field, &type);

    if (t->bad || type != THRIFT_STRUCT || f->n_leaves == 0 || f->chunks ||
        n > (size_t)(t->end - t->p) / f->n_leaves) { /* every chunk takes a byte */
        return n == 0 && !t->bad ? 0 : damaged("its row groups are none", e);
    }
    f->chunks = big_alloc(n * f->n_leaves, sizeof(*f->chunks), "the metadata", e);
    f->group_rows = f->chunks ? big_alloc(n, sizeof(*f->group_rows), "the metadata", e) : NULL;
    if (f->group_rows == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (take_group(f, t, e) < 0) {
            return -1;
        }
    }
    return 0;
}

enum { WHOLE, COLUMNS_ONLY };

static int take_metadata(struct parquet_file *f, struct str metadata, int what,
                         struct parquet_report *r, struct err *e)
{
    struct thrift t = {.p = metadata.p, .end = metadata.p + metadata.len};
    bool schema = false;

    for (struct thrift_field field = {0}; thrift_next(&t, &field);) {
        if (field.id == 2 && !schema) {
            schema = true;
            if (parquet_take_schema(f, &t, &field, r, e) < 0) {
                return -1;
            }
        } else if (field.id == 3 && what == COLUMNS_ONLY) {
            r->rows = thrift_int(&t, &field);
        } else if (field.id == 4 && what == WHOLE) {
            if (take_groups(f, &t, &field, e) < 0) {
                return -1;
            }
        } else {
            thrift_skip(&t, &field);
        }
    }
    return t.bad || !schema ? damaged("its metadata is cut short", e) : 0;
}

size_t parquet_tail(struct str tail, uint64_t file_bytes, struct err *e)
{
    uint32_t len;

    if (str_ends(tail, STR("PARE"))) {
        err_set(e, ERR_DATA, "the file is encrypted");
        return 0;
    }
    if (file_bytes < 12 || tail.len != PARQUET_TAIL_BYTES || !str_ends(tail, PARQUET_MAGIC)) {
        damaged("it does not end as a Parquet file: is it all there?", e);
        return 0;
    }
    memcpy(&len, tail.p, 4);
    if (len == 0 || len > file_bytes - 12 || len > ML_LIMIT_ARROW_BYTES) {
        damaged("its metadata is longer than it", e);
        return 0;
    }
    return len;
}

int parquet_open(struct parquet_file *f, struct str bytes, struct parquet_report *r, struct err *e)
{
    struct str front =
        str_first(bytes, bytes.len > PARQUET_TAIL_BYTES ? bytes.len - PARQUET_TAIL_BYTES : 0);
    size_t len;

    *f = (struct parquet_file){.bytes = bytes};
    *r = (struct parquet_report){.names = BUF_MAX(300)};
    if (!str_starts(bytes, PARQUET_MAGIC) && !str_ends(bytes, STR("PARE"))) {
        return err_set(e, ERR_DATA, "not a Parquet file");
    }
    len = parquet_tail(str_from(bytes, front.len), bytes.len, e);
    return len > 0 ? take_metadata(f, str_from(front, front.len - len), WHOLE, r, e) : -1;
}

int parquet_open_columns(struct parquet_file *f, struct str metadata, struct parquet_report *r,
                         struct err *e)
{
    *f = (struct parquet_file){.bytes = STR_EMPTY};
    *r = (struct parquet_report){.names = BUF_MAX(300)};
    return take_metadata(f, metadata, COLUMNS_ONLY, r, e);
}

void parquet_close(struct parquet_file *f)
{
    free(f->columns);
    big_free(f->chunks);
    big_free(f->group_rows);
    *f = (struct parquet_file){0};
}
