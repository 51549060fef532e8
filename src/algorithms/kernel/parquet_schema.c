#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <stdlib.h>

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
int parquet_take_schema(struct parquet_file *f, struct thrift *t, const struct thrift_field *field,
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
