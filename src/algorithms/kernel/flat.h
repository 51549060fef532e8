/* flat - FlatBuffers, as much as Arrow's metadata needs: bounded reading and plain writing.
 *
 *   table:  i32 back to its vtable | fields at the offsets that the vtable says
 *   vtable: u16 its bytes | u16 the table's bytes | u16 offset per field, 0: the default
 *   ref:    u32 forward from itself to a table, a string or a vector (u32 count, items)
 *
 * Reading believes nothing: what lies outside sets `bad`, and defaults come out; a table that is
 * not there reads as one without fields. Nothing recurses. One thread each. */
#pragma once
#include "base/buf.h"

/* The bytes that tables lie in. */
struct flat_bytes {
    struct str s;
    bool bad;
};

struct flat_table {
    struct flat_bytes *in;
    size_t at; /* 0: no such table */
    size_t vtable, n_vtable, n_table;
};

/* The vector's items lie in `items`; n of them. */
struct flat_vector {
    struct flat_bytes *in;
    size_t at, n;
    struct str items;
};

struct flat_table flat_root(struct flat_bytes *b);
/* A signed number of 1, 2, 4 or 8 bytes. */
int64_t flat_int(const struct flat_table *t, unsigned field, size_t size, int64_t otherwise);
struct flat_table flat_sub(const struct flat_table *t, unsigned field);
struct str flat_text(const struct flat_table *t, unsigned field);
struct flat_vector flat_list(const struct flat_table *t, unsigned field, size_t item_bytes);
/* Item i of a vector of tables. */
struct flat_table flat_item(const struct flat_vector *v, size_t i);

/* --- writing --- */

/* A field of a table: size 0 leaves it out; a ref is linked when its target is there. */
struct flat_slot {
    size_t size;
    int64_t value;
    size_t at; /* out: where the field lies */
};

#define FLAT_NONE                                                                                  \
    {                                                                                              \
        0, 0, 0                                                                                    \
    }
#define FLAT_I8(v)                                                                                 \
    {                                                                                              \
        1, (v), 0                                                                                  \
    }
#define FLAT_I16(v)                                                                                \
    {                                                                                              \
        2, (v), 0                                                                                  \
    }
#define FLAT_I32(v)                                                                                \
    {                                                                                              \
        4, (v), 0                                                                                  \
    }
#define FLAT_I64(v)                                                                                \
    {                                                                                              \
        8, (v), 0                                                                                  \
    }
#define FLAT_REF                                                                                   \
    {                                                                                              \
        4, 0, 0                                                                                    \
    }

/* All return where the thing lies, for flat_link(). A message begins with flat_begin(), which
 * leaves room for the ref to its root. */
void flat_begin(struct buf *b);
size_t flat_add_table(struct buf *b, struct flat_slot *slots, size_t n);
size_t flat_add_text(struct buf *b, struct str s);
/* n items of `item_bytes` at `align`, to be filled by the caller: *items is where the first lies.
 */
size_t flat_add_vector(struct buf *b, size_t n, size_t item_bytes, size_t align, size_t *items);
void flat_put(struct buf *b, size_t at, const void *p, size_t len);
/* Makes the ref at `from` point to `to`; `from` 0 is the root. */
void flat_link(struct buf *b, size_t from, size_t to);
