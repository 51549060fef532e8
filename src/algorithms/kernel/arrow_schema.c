#include "algorithms/kernel/arrow_priv.h"

#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Type of Schema.fbs, in the order of its union. */
static const char *const names[] = {"none",
                                    "null",
                                    "int",
                                    "float",
                                    "binary",
                                    "utf8",
                                    "bool",
                                    "decimal",
                                    "date",
                                    "time",
                                    "timestamp",
                                    "interval",
                                    "list",
                                    "struct",
                                    "union",
                                    "fixed_size_binary",
                                    "fixed_size_list",
                                    "map",
                                    "duration",
                                    "large_binary",
                                    "large_utf8",
                                    "large_list",
                                    "run_end_encoded",
                                    "binary_view",
                                    "utf8_view",
                                    "list_view",
                                    "large_list_view"};

const char *arrow_type_name(const struct arrow_type *type)
{
    return (size_t)type->kind < ARRAY_LEN(names) ? names[type->kind] : "unknown";
}

size_t arrow_buffers_of(const struct arrow_type *type)
{
    switch (type->kind) {
    case ARROW_NULL:
        return 0;
    case ARROW_UTF8:
    case ARROW_LARGE_UTF8:
        return 3; /* validity, offsets, bytes */
    default:
        return 2;
    }
}

struct str arrow_metadata(const struct flat_table *t, unsigned id, const char *key)
{
    struct flat_vector pairs = flat_list(t, id, 4);

    for (size_t i = 0; i < pairs.n && !t->in->bad; i++) {
        struct flat_table pair = flat_item(&pairs, i);

        if (str_eq_c(flat_text(&pair, 0), key)) {
            return flat_text(&pair, 1);
        }
    }
    return (struct str){0};
}

static struct arrow_type int_type(const struct flat_table *t)
{
    return (struct arrow_type){.kind = ARROW_INT,
                               .bits = (unsigned)flat_int(t, 0, 4, 0),
                               .is_signed = flat_int(t, 1, 1, 0) != 0};
}

/* The type in fields 2 and 3 of a Field. */
static struct arrow_type type_of(const struct flat_table *field)
{
    struct flat_table t = flat_sub(field, 3);
    struct arrow_type out = {.kind = (enum arrow_kind)(uint8_t)flat_int(field, 2, 1, 0)};

    switch (out.kind) {
    case ARROW_INT:
        return int_type(&t);
    case ARROW_FLOAT:
        out.bits = 16U << ((unsigned)flat_int(&t, 0, 2, 0) & 3);
        break;
    case ARROW_BOOL:
        out.bits = 1;
        break;
    case ARROW_DECIMAL:
        out.bits = (unsigned)flat_int(&t, 2, 4, 128);
        out.scale = (int)flat_int(&t, 1, 4, 0);
        break;
    case ARROW_DATE:
        out.unit = (enum arrow_unit)flat_int(&t, 0, 2, ARROW_MILLI);
        out.bits = out.unit == ARROW_MILLI ? 64 : 32;
        break;
    case ARROW_TIME:
        out.unit = (enum arrow_unit)flat_int(&t, 0, 2, ARROW_MILLI);
        out.bits = (unsigned)flat_int(&t, 1, 4, 32);
        break;
    case ARROW_TIMESTAMP:
        out.unit = (enum arrow_unit)flat_int(&t, 0, 2, ARROW_SECOND);
        out.bits = 64;
        break;
    case ARROW_DURATION:
        out.unit = (enum arrow_unit)flat_int(&t, 0, 2, ARROW_MILLI);
        out.bits = 64;
        break;
    default:
        break;
    }
    return out;
}

/* Whether values of the type can be those of a column. */
static bool is_known(const struct arrow_type *t)
{
    switch (t->kind) {
    case ARROW_INT:
        return t->bits == 8 || t->bits == 16 || t->bits == 32 || t->bits == 64;
    case ARROW_FLOAT:
        return t->bits <= 64;
    case ARROW_DECIMAL:
        return (t->bits == 32 || t->bits == 64 || t->bits == 128) && t->scale >= -38 &&
               t->scale <= 76;
    case ARROW_TIME:
        return (t->bits == 32 || t->bits == 64) && t->unit <= ARROW_NANO;
    case ARROW_TIMESTAMP:
    case ARROW_DURATION:
        return t->unit <= ARROW_NANO;
    case ARROW_NULL:
    case ARROW_UTF8:
    case ARROW_BOOL:
    case ARROW_DATE:
    case ARROW_LARGE_UTF8:
    case ARROW_UTF8_VIEW:
        return true;
    default:
        return false;
    }
}

static int read_field(struct arrow_field *out, const struct flat_table *field, size_t i,
                      struct err *e)
{
    struct flat_table dictionary = flat_sub(field, 4);

    out->name = flat_text(field, 0);
    out->type = type_of(field);
    if (!is_known(&out->type)) {
        return err_set(e, ERR_DATA,
                       "column %zu ('%.*s') is of the type %s, which a table cannot hold: leave it "
                       "out, or make numbers or text of it",
                       i + 1, STR_ARG(str_first(out->name, 60)), arrow_type_name(&out->type));
    }
    if (dictionary.at > 0) {
        struct flat_table index = flat_sub(&dictionary, 1);

        out->has_dictionary = true;
        out->dictionary = flat_int(&dictionary, 0, 8, 0);
        /* "defaults to a signed 32-bit integer" */
        out->index = index.at > 0 ? int_type(&index)
                                  : (struct arrow_type){ARROW_INT, .bits = 32, .is_signed = true};
        if (!is_known(&out->index)) {
            return err_set(e, ERR_DATA, "damaged: column %zu has indexes of %u bits", i + 1,
                           out->index.bits);
        }
    }
    return 0;
}

/* Where each field's parts lie in a record batch: none of them has children. (Buffers of views
 * come on top: arrow_array.c.) */
static void place(struct arrow_file *f)
{
    size_t buffer = 0, variadic = 0;

    for (size_t i = 0; i < f->n_fields; i++) {
        struct arrow_field *field = &f->fields[i];
        const struct arrow_type *stored = field->has_dictionary ? &field->index : &field->type;

        field->node = i;
        field->buffer = buffer;
        field->variadic = variadic;
        buffer += arrow_buffers_of(stored);
        variadic += stored->kind == ARROW_UTF8_VIEW;
    }
}

int arrow_read_schema(struct arrow_file *f, const struct flat_table *schema, struct err *e)
{
    struct flat_vector fields = flat_list(schema, 1, 4);

    if (schema->in->bad || schema->at == 0) {
        return err_set(e, ERR_DATA, "damaged: it has no schema");
    }
    if (flat_int(schema, 0, 2, 0) != 0) {
        return err_set(e, ERR_DATA, "it was written by a big-endian machine: write it anew");
    }
    if (fields.n > ML_LIMIT_COLUMNS) {
        return err_set(e, ERR_DATA, "%zu columns are more than a table can have", fields.n);
    }
    f->fields = xnew_array(struct arrow_field, fields.n + 1);
    for (; f->n_fields < fields.n; f->n_fields++) {
        struct flat_table field = flat_item(&fields, f->n_fields);

        if (schema->in->bad) {
            return err_set(e, ERR_DATA, "damaged: column %zu has no description", f->n_fields + 1);
        }
        if (read_field(&f->fields[f->n_fields], &field, f->n_fields, e) < 0) {
            return -1;
        }
    }
    if (schema->in->bad) {
        return err_set(e, ERR_DATA, "damaged: its schema points outside of it");
    }
    place(f);
    return 0;
}
