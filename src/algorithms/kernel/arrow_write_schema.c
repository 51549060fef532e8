#include "algorithms/kernel/arrow_priv.h"

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

static enum arrow_kind kind_of(const struct arrow_planned *p)
{
    static const enum arrow_kind kinds[] = {ARROW_FLOAT, ARROW_INT, ARROW_BOOL, ARROW_DATE,
                                            ARROW_TIMESTAMP};

    return p->column->kind == COLUMN_TEXT ? ARROW_LARGE_UTF8 : kinds[p->as];
}

static size_t add_type(struct buf *b, const struct arrow_planned *p)
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

static size_t add_field(struct buf *b, const struct arrow_planned *p, size_t id)
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

size_t arrow_add_pair(struct buf *b, const char *key, struct str value, size_t *value_at)
{
    struct flat_slot slots[] = {FLAT_REF, FLAT_REF};
    size_t at = flat_add_table(b, slots, ARRAY_LEN(slots)), text;

    flat_link(b, slots[0].at, flat_add_text(b, str_of(key)));
    text = flat_add_text(b, value);
    flat_link(b, slots[1].at, text);
    *value_at = text + 4;
    return at;
}

size_t arrow_add_schema(struct buf *b, const struct arrow_planned *columns, size_t n,
                        struct str transforms)
{
    struct flat_slot slots[] = {FLAT_I16(0), FLAT_REF, FLAT_REF};
    size_t at = flat_add_table(b, slots, ARRAY_LEN(slots)), items, unused;

    flat_link(b, slots[1].at, flat_add_vector(b, n, 4, 4, &items));
    for (size_t i = 0; i < n; i++) {
        flat_link(b, items + 4 * i, add_field(b, &columns[i], i));
    }
    flat_link(b, slots[2].at, flat_add_vector(b, transforms.p ? 2 : 1, 4, 4, &items));
    flat_link(b, items, arrow_add_pair(b, ARROW_KEY_TABLE, STR("1"), &unused));
    if (transforms.p) {
        flat_link(b, items + 4, arrow_add_pair(b, ARROW_KEY_TRANSFORMS, transforms, &unused));
    }
    return at;
}
