#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int damaged(const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: %s", what);
}

/* --- the schema --------------------------------------------------------------------------------
 */

enum { REQUIRED, OPTIONAL, REPEATED };

/* ConvertedType and LogicalType, as far as they matter, in one. */
enum meaning {
    MEANS_NOTHING,
    MEANS_TEXT,
    MEANS_DECIMAL,
    MEANS_DATE,
    MEANS_TIME,
    MEANS_TIMESTAMP,
    MEANS_UNSIGNED,
    MEANS_HALF,
    MEANS_UUID,
    MEANS_NULL,
    MEANS_OTHER
};

struct element {
    struct str name;
    int stored, length, repetition, children, scale;
    enum meaning meaning;
    enum arrow_unit unit;
};

static void take_converted(struct element *el, int64_t type)
{
    static const unsigned char meanings[] = {
        MEANS_TEXT,      MEANS_OTHER,    MEANS_OTHER,    MEANS_OTHER,    MEANS_TEXT,
        MEANS_DECIMAL,   MEANS_DATE,     MEANS_TIME,     MEANS_TIME,     MEANS_TIMESTAMP,
        MEANS_TIMESTAMP, MEANS_UNSIGNED, MEANS_UNSIGNED, MEANS_UNSIGNED, MEANS_UNSIGNED,
        MEANS_NOTHING,   MEANS_NOTHING,  MEANS_NOTHING,  MEANS_NOTHING,  MEANS_TEXT,
        MEANS_OTHER,     MEANS_OTHER};

    if (type >= 0 && type < (int64_t)ARRAY_LEN(meanings)) {
        el->meaning = (enum meaning)meanings[type];
        el->unit = type == 7 || type == 9 ? ARROW_MILLI : ARROW_MICRO;
    }
}

/* TimeUnit: a union of empty structs, 1 MILLIS, 2 MICROS, 3 NANOS. */
static void take_unit(struct thrift *t, struct element *el, const struct thrift_field *unit)
{
    if (!thrift_struct(t, unit)) {
        return;
    }
    for (struct thrift_field f = {0}; thrift_next(t, &f);) {
        el->unit = f.id >= 1 && f.id <= 3 ? (enum arrow_unit)f.id : el->unit;
        thrift_skip(t, &f);
    }
}

/* What is in the struct of one logical type. */
static void take_logical_parts(struct thrift *t, struct element *el)
{
    for (struct thrift_field f = {0}; thrift_next(t, &f);) {
        bool time = el->meaning == MEANS_TIME || el->meaning == MEANS_TIMESTAMP;

        if (el->meaning == MEANS_DECIMAL && f.id == 1) {
            el->scale = (int)thrift_int(t, &f);
        } else if (time && f.id == 2) {
            take_unit(t, el, &f);
        } else if (el->meaning == MEANS_UNSIGNED && f.id == 2) {
            el->meaning = thrift_bool(t, &f) ? MEANS_NOTHING : MEANS_UNSIGNED;
        } else {
            thrift_skip(t, &f);
        }
    }
}

static void take_logical(struct thrift *t, struct element *el, const struct thrift_field *logical)
{
    static const unsigned char meanings[] = {
        MEANS_OTHER, MEANS_TEXT,  MEANS_OTHER,     MEANS_OTHER, MEANS_TEXT,     MEANS_DECIMAL,
        MEANS_DATE,  MEANS_TIME,  MEANS_TIMESTAMP, MEANS_OTHER, MEANS_UNSIGNED, MEANS_NULL,
        MEANS_TEXT,  MEANS_OTHER, MEANS_UUID,      MEANS_HALF};

    if (!thrift_struct(t, logical)) {
        return;
    }
    for (struct thrift_field f = {0}; thrift_next(t, &f);) {
        if (f.type != THRIFT_STRUCT) {
            thrift_skip(t, &f);
            continue;
        }
        el->meaning = f.id > 0 && f.id < (int)ARRAY_LEN(meanings) ? (enum meaning)meanings[f.id]
                                                                  : MEANS_OTHER;
        take_logical_parts(t, el);
    }
}

static struct element take_element(struct thrift *t)
{
    struct element el = {.stored = -1, .name = STR_EMPTY};
    bool logical = false;

    for (struct thrift_field f = {0}; thrift_next(t, &f);) {
        switch (f.id) {
        case 1:
            el.stored = (int)thrift_int(t, &f);
            break;
        case 2:
            el.length = (int)thrift_int(t, &f);
            break;
        case 3:
            el.repetition = (int)thrift_int(t, &f);
            break;
        case 4:
            el.name = thrift_binary(t, &f);
            break;
        case 5:
            el.children = (int)thrift_int(t, &f);
            break;
        case 6:
            if (!logical) {
                take_converted(&el, thrift_int(t, &f));
            } else {
                thrift_skip(t, &f);
            }
            break;
        case 7:
            el.scale = (int)thrift_int(t, &f);
            break;
        case 10:
            logical = true;
            take_logical(t, &el, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
    }
    return el;
}

static void set_number(struct parquet_column *c, enum arrow_kind kind, unsigned bits)
{
    c->type = (struct arrow_type){.kind = kind, .bits = bits, .is_signed = true};
    c->as = arrow_as(&c->type);
}

static bool set_whole(struct parquet_column *c, const struct element *el, unsigned bits)
{
    static const enum arrow_kind kinds[] = {
        [MEANS_NOTHING] = ARROW_INT,         [MEANS_DECIMAL] = ARROW_DECIMAL,
        [MEANS_DATE] = ARROW_DATE,           [MEANS_TIME] = ARROW_TIME,
        [MEANS_TIMESTAMP] = ARROW_TIMESTAMP, [MEANS_UNSIGNED] = ARROW_INT};
    size_t meaning = (size_t)el->meaning;

    if (el->meaning == MEANS_NULL) {
        meaning = MEANS_NOTHING;
    } else if (meaning >= ARRAY_LEN(kinds) || kinds[meaning] == 0) {
        return false;
    }
    set_number(c, kinds[meaning], bits);
    c->type.is_signed = el->meaning != MEANS_UNSIGNED;
    c->type.scale = el->scale;
    c->type.unit = el->meaning == MEANS_DATE ? ARROW_SECOND : el->unit;
    return el->meaning != MEANS_DATE || bits == 32;
}

/* Bytes: text, a decimal of up to 16 of them, a half, or a UUID. */
static bool set_bytes(struct parquet_column *c, const struct element *el)
{
    c->width = c->stored == PARQUET_FIXED ? (size_t)el->length : 0;
    if (c->stored == PARQUET_FIXED && (el->length < 1 || el->length > (int)ML_LIMIT_CELL_BYTES)) {
        return false;
    }
    switch (el->meaning) {
    case MEANS_DECIMAL:
        set_number(c, ARROW_DECIMAL, 128);
        c->type.scale = el->scale;
        c->big_endian = true;
        return c->width <= 16;
    case MEANS_HALF:
        set_number(c, ARROW_FLOAT, 16);
        return c->width == 2;
    case MEANS_UUID:
        c->text = c->uuid = true;
        return c->width == 16;
    case MEANS_TEXT:
    case MEANS_NOTHING: /* old writers say nothing of their texts */
    case MEANS_NULL:
        c->text = true;
        return true;
    default:
        return false;
    }
}

/* False: a table cannot hold it. */
static bool set_type(struct parquet_column *c, const struct element *el)
{
    c->stored = (enum parquet_type)el->stored;
    if (el->scale < -38 || el->scale > 76) {
        return false;
    }
    switch (c->stored) {
    case PARQUET_BOOLEAN:
        set_number(c, ARROW_INT, 8);
        c->as = AS_BOOL;
        c->width = 1;
        return true;
    case PARQUET_INT32:
        c->width = 4;
        return set_whole(c, el, 32);
    case PARQUET_INT64:
        c->width = 8;
        return set_whole(c, el, 64);
    case PARQUET_INT96: /* a time of Impala and old Spark */
        set_number(c, ARROW_TIMESTAMP, 64);
        c->type.unit = ARROW_MICRO;
        c->width = 12;
        return true;
    case PARQUET_FLOAT:
        set_number(c, ARROW_FLOAT, 32);
        c->width = 4;
        return true;
    case PARQUET_DOUBLE:
        set_number(c, ARROW_FLOAT, 64);
        c->width = 8;
        return true;
    case PARQUET_BYTES:
    case PARQUET_FIXED:
        return set_bytes(c, el);
    }
    return false;
}

static void leave_out(struct parquet_report *r, struct str name)
{
    (void)buf_printf(&r->names, "%s%.*s", r->left_out > 0 ? ", " : "",
                     STR_ARG(str_first(name, 60)));
    r->left_out++;
}

/* A leaf right below the root is a column; what lies deeper belongs to one that is left out. */
static int add_leaf(struct parquet_file *f, const struct element *el, bool top,
                    struct parquet_report *r)
{
    struct parquet_column c = {
        .name = el->name, .leaf = f->n_leaves++, .optional = el->repetition == OPTIONAL};

    if (!top) {
        return 0;
    }
    if (el->repetition == REPEATED || !set_type(&c, el)) {
        leave_out(r, el->name);
        return 0;
    }
    f->columns[f->n_columns++] = c;
    return 0;
}

/* Elements are the tree in depth-first order, each with the number of its children. */
static int take_schema(struct parquet_file *f, struct thrift *t, const struct thrift_field *field,
                       struct parquet_report *r, struct err *e)
{
    enum thrift_type type;
    size_t n = thrift_list(t, field, &type), left = 0;
    uint64_t below = 0; /* elements still to come below the group at hand */

    if (t->bad || type != THRIFT_STRUCT || n == 0 || n > 4 * (size_t)ML_LIMIT_COLUMNS) {
        return damaged("its schema is none", e);
    }
    free(f->columns);
    f->columns = xnew_array(struct parquet_column, n);
    f->n_columns = f->n_leaves = 0;
    for (size_t i = 0; i < n && !t->bad; i++) {
        struct element el = take_element(t);
        bool top = below == 0;

        if (el.children < 0 || (size_t)el.children > n) {
            return damaged("its schema is no tree", e);
        }
        if (i == 0) {
            left = (size_t)el.children;
            continue;
        }
        left -= top && left > 0;
        below = below - !top + (uint64_t)el.children;
        if (el.children == 0) {
            (void)add_leaf(f, &el, top, r);
        } else if (top) {
            leave_out(r, el.name);
        }
    }
    return left == 0 && below == 0 && !t->bad ? 0 : damaged("its schema is no tree", e);
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
    f->chunks = xnew_array(struct parquet_chunk, n * f->n_leaves + 1);
    f->group_rows = xnew_array(uint64_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (take_group(f, t, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int take_metadata(struct parquet_file *f, struct thrift *t, struct parquet_report *r,
                         struct err *e)
{
    bool schema = false;

    for (struct thrift_field field = {0}; thrift_next(t, &field);) {
        if (field.id == 2 && !schema) {
            schema = true;
            if (take_schema(f, t, &field, r, e) < 0) {
                return -1;
            }
        } else if (field.id == 4) {
            if (take_groups(f, t, &field, e) < 0) {
                return -1;
            }
        } else {
            thrift_skip(t, &field);
        }
    }
    return t->bad || !schema ? damaged("its metadata is cut short", e) : 0;
}

int parquet_open(struct parquet_file *f, struct str bytes, struct parquet_report *r, struct err *e)
{
    uint32_t len;
    struct thrift t;

    *f = (struct parquet_file){.bytes = bytes};
    *r = (struct parquet_report){.names = BUF_MAX(300)};
    if (str_ends(bytes, STR("PARE"))) {
        return err_set(e, ERR_DATA, "the file is encrypted");
    }
    if (!str_starts(bytes, PARQUET_MAGIC)) {
        return err_set(e, ERR_DATA, "not a Parquet file");
    }
    if (bytes.len < 12 || !str_ends(bytes, PARQUET_MAGIC)) {
        return damaged("it begins as a Parquet file and does not end as one: is it all there?", e);
    }
    memcpy(&len, bytes.p + bytes.len - 8, 4);
    if (len > bytes.len - 12 || len > ML_LIMIT_ARROW_BYTES) {
        return damaged("its metadata is longer than it", e);
    }
    t.end = bytes.p + bytes.len - 8;
    t.p = t.end - len;
    t.bad = false;
    return take_metadata(f, &t, r, e);
}

void parquet_close(struct parquet_file *f)
{
    free(f->columns);
    free(f->chunks);
    free(f->group_rows);
    *f = (struct parquet_file){0};
}
