/* arrow_priv - what the files arrow_*.c share: the numbers of the format (Schema.fbs, Message.fbs,
 * File.fbs of Arrow columnar format 1.4) and the parts of a file once they are found. */
#pragma once
#include "algorithms/kernel/arrow.h"
#include "algorithms/kernel/flat.h"
#include "algorithms/kernel/ml_limits.h"

#define ARROW_MAGIC STR("ARROW1")
#define ARROW_KEY_TABLE "strata.table"           /* the schema of our files: version 1 */
#define ARROW_KEY_TRANSFORMS "strata.transforms" /* base64 of their list (table.md) */
#define ARROW_KEY_CHECKSUM "strata.xxh64" /* in the footer: of all bytes, this value as zeroes */

enum { ARROW_ALIGN = 64, ARROW_V4 = 3, ARROW_V5 = 4, ARROW_CHECKSUM_HEX = 16 };

enum arrow_header { ARROW_SCHEMA = 1, ARROW_DICTIONARY = 2, ARROW_BATCH = 3 };

enum arrow_kind {
    ARROW_NULL = 1,
    ARROW_INT = 2,
    ARROW_FLOAT = 3,
    ARROW_BINARY = 4,
    ARROW_UTF8 = 5,
    ARROW_BOOL = 6,
    ARROW_DECIMAL = 7,
    ARROW_DATE = 8,
    ARROW_TIME = 9,
    ARROW_TIMESTAMP = 10,
    ARROW_DURATION = 18,
    ARROW_LARGE_UTF8 = 20,
    ARROW_UTF8_VIEW = 24,
};

enum arrow_unit { ARROW_SECOND, ARROW_MILLI, ARROW_MICRO, ARROW_NANO };

struct arrow_type {
    enum arrow_kind kind;
    unsigned bits; /* of one value */
    bool is_signed;
    enum arrow_unit unit; /* date: MILLI or anything else for days */
    int scale;            /* decimal */
};

struct arrow_field {
    struct str name;
    struct arrow_type type; /* of the values */
    bool has_dictionary;
    int64_t dictionary;
    struct arrow_type index;
    size_t node, buffer, variadic; /* its first in a record batch */
};

/* A record batch, bare or as a dictionary. */
struct arrow_batch {
    bool is_dictionary, is_delta;
    int64_t id;
    uint64_t n_rows;
    struct str nodes, buffers, variadic; /* items of 16, 16 and 8 bytes */
    int codec;                           /* -1: not compressed, 0 LZ4 frame, 1 zstd */
    struct str body;
};

struct arrow_file {
    struct str bytes;
    struct shared *keep;
    struct arrow_field *fields;
    size_t n_fields;
    struct arrow_batch *batches;
    size_t n_batches, cap_batches;
    uint64_t n_rows;
};

/* arrow_file.c: finds the parts. *transforms: what our files note, or p is NULL. */
int arrow_open(struct arrow_file *f, struct str bytes, struct shared *keep, enum arrow_trust trust,
               struct str *transforms, struct err *e) MUST_USE;
void arrow_close(struct arrow_file *f);

/* arrow_schema.c */
int arrow_read_schema(struct arrow_file *f, const struct flat_table *schema,
                      struct err *e) MUST_USE;
/* The value of a key among key-value pairs (field `id` of `t`); p is NULL when it is not there. */
struct str arrow_metadata(const struct flat_table *t, unsigned id, const char *key);
const char *arrow_type_name(const struct arrow_type *type);
size_t arrow_buffers_of(const struct arrow_type *type);

/* arrow_array.c: one array of a batch. */
struct arrow_array {
    size_t n;
    struct str valid; /* bitmap; empty: all are */
    struct str data, offsets;
    struct str *views; /* ARROW_UTF8_VIEW: what the views point into */
    size_t n_views;
    void *owned[3]; /* unpacked buffers; big memory */
    void **owned_views;
};

int arrow_array_get(struct arrow_array *a, const struct arrow_batch *b, const struct arrow_type *t,
                    size_t node, size_t buffer, size_t variadic, struct err *e) MUST_USE;
void arrow_array_done(struct arrow_array *a);
bool arrow_is_valid(const struct arrow_array *a, size_t i);
/* Text i of an array of texts. ERR_DATA when it lies outside. */
int arrow_text(const struct arrow_array *a, const struct arrow_type *t, size_t i, struct str *out,
               struct err *e) MUST_USE;

/* arrow_number.c: whether the numbers fit; those of an array, missing ones as NaN. */
enum arrow_fit { ARROW_FITS, ARROW_NEEDS_TIME, ARROW_NEEDS_TEXT };
enum column_as arrow_as(const struct arrow_type *t);
enum arrow_fit arrow_numbers(const struct arrow_array *a, const struct arrow_type *t,
                             enum column_as as, double *out);
/* Value i as text, for what no number holds. `out` has AS_TEXT_BYTES. */
char *arrow_number_text(const struct arrow_array *a, const struct arrow_type *t, size_t i,
                        char *out);

/* arrow_read.c */
int arrow_read_column(struct arrow_file *f, const struct arrow_field *field, struct table *t,
                      struct err *e) MUST_USE;
