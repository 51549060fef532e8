/* thrift - the compact protocol of Apache Thrift, as much as Parquet's metadata needs.
 *
 *   for (struct thrift_field f = {0}; thrift_next(&t, &f);) {
 *       switch (f.id) {
 *       case 1: rows = thrift_int(&t, &f); break;
 *       default: thrift_skip(&t, &f);
 *       }
 *   }
 *
 * Reading believes nothing: past the end, and where a field is of another type than asked for,
 * `bad` is set and zeroes come out. Nothing recurses: what is skipped keeps its own stack of at
 * most THRIFT_DEPTH levels. Writing goes to a buffer. One thread each. */
#pragma once
#include "base/buf.h"

enum { THRIFT_DEPTH = 32 };

enum thrift_type {
    THRIFT_STOP,
    THRIFT_TRUE,
    THRIFT_FALSE,
    THRIFT_I8,
    THRIFT_I16,
    THRIFT_I32,
    THRIFT_I64,
    THRIFT_DOUBLE,
    THRIFT_BINARY,
    THRIFT_LIST,
    THRIFT_SET,
    THRIFT_MAP,
    THRIFT_STRUCT
};

struct thrift {
    const char *p, *end;
    bool bad;
};

struct thrift_field {
    int id;
    enum thrift_type type;
};

/* The next field of a struct; false at its end. */
bool thrift_next(struct thrift *t, struct thrift_field *f);
int64_t thrift_int(struct thrift *t, const struct thrift_field *f);
bool thrift_bool(struct thrift *t, const struct thrift_field *f);
struct str thrift_binary(struct thrift *t, const struct thrift_field *f);
/* Whether the field is a struct: read it with thrift_next() and a field of its own. */
bool thrift_struct(struct thrift *t, const struct thrift_field *f);
/* How many items follow, each of *type; every item takes at least a byte. */
size_t thrift_list(struct thrift *t, const struct thrift_field *f, enum thrift_type *type);
void thrift_skip(struct thrift *t, const struct thrift_field *f);

/* --- writing; *last is the id of the field before in the same struct, 0 at its start --- */

void thrift_put_int(struct buf *b, int *last, int id, enum thrift_type type, int64_t v);
void thrift_put_bool(struct buf *b, int *last, int id, enum thrift_type truth);
void thrift_put_binary(struct buf *b, int *last, int id, struct str s);
void thrift_put_list(struct buf *b, int *last, int id, enum thrift_type type, size_t n);
void thrift_put_struct(struct buf *b, int *last, int id); /* ended by thrift_put_stop() */
void thrift_put_stop(struct buf *b);
/* Items of lists: without a head. */
void thrift_put_varint(struct buf *b, uint64_t v);
void thrift_put_zigzag(struct buf *b, int64_t v);
