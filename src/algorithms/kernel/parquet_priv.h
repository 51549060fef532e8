/* parquet_priv - what the files parquet_*.c share: the numbers of parquet.thrift, and a file's
 * parts once they are found. */
#pragma once
#include "algorithms/kernel/arrow_priv.h"
#include "algorithms/kernel/parquet.h"
#include "algorithms/kernel/thrift.h"

#define PARQUET_MAGIC STR("PAR1")

enum parquet_type {
    PARQUET_BOOLEAN,
    PARQUET_INT32,
    PARQUET_INT64,
    PARQUET_INT96,
    PARQUET_FLOAT,
    PARQUET_DOUBLE,
    PARQUET_BYTES,
    PARQUET_FIXED
};

enum parquet_encoding {
    PARQUET_ENC_PLAIN = 0,
    PARQUET_ENC_PLAIN_DICTIONARY = 2,
    PARQUET_ENC_RLE = 3,
    PARQUET_ENC_BIT_PACKED = 4,
    PARQUET_ENC_DELTA = 5,
    PARQUET_ENC_DELTA_LENGTH = 6,
    PARQUET_ENC_DELTA_BYTES = 7,
    PARQUET_ENC_RLE_DICTIONARY = 8,
    PARQUET_ENC_SPLIT = 9
};

enum { PARQUET_CODEC_LZ4_RAW = 7 };

/* What the stored values are made of, and what the column is. */
struct parquet_column {
    struct str name;
    size_t leaf; /* which chunk of a row group */
    enum parquet_type stored;
    size_t width; /* of one stored value; 0: each has its own length */
    bool optional;
    bool big_endian; /* decimals in bytes */
    bool text, uuid;
    enum column_as as;
    struct arrow_type type; /* of the values, once they are `type.bits` wide */
};

struct parquet_chunk {
    uint64_t start, len; /* of its pages */
    uint64_t n_values;
    int codec;
};

struct parquet_file {
    struct str bytes;
    struct parquet_column *columns; /* those that a table can hold */
    size_t n_columns, n_leaves;
    struct parquet_chunk *chunks; /* n_groups x n_leaves */
    uint64_t *group_rows;
    size_t n_groups;
    uint64_t n_rows;
};

/* parquet_meta.c */
int parquet_open(struct parquet_file *f, struct str bytes, struct parquet_report *r,
                 struct err *e) MUST_USE;
void parquet_close(struct parquet_file *f);
/* Only the columns: of the metadata alone. */
int parquet_open_columns(struct parquet_file *f, struct str metadata, struct parquet_report *r,
                         struct err *e) MUST_USE;
/* parquet_schema.c: the columns that a table can hold; those left out are named in the report. */
int parquet_take_schema(struct parquet_file *f, struct thrift *t, const struct thrift_field *field,
                        struct parquet_report *r, struct err *e) MUST_USE;

/* parquet_page.c: the pages of a chunk, one after the other. */
struct parquet_page {
    bool dictionary;
    enum parquet_encoding encoding;
    size_t n;           /* values, missing ones too */
    struct str levels;  /* which of them are there; p NULL: all are */
    bool levels_packed; /* BIT_PACKED, of old writers */
    struct str values;
};

/* Room for an unpacked page, which the pages of all columns of a thread use in turn. */
struct parquet_room {
    void *bytes; /* big memory */
    size_t len;
};

struct parquet_pages {
    const struct parquet_file *file;
    const struct parquet_chunk *chunk;
    const struct parquet_column *column;
    struct str rest;
    uint64_t seen; /* values so far */
    struct parquet_room *room;
};

void parquet_pages_init(struct parquet_pages *p, const struct parquet_file *f,
                        const struct parquet_column *c, size_t group, struct parquet_room *room);
/* 1: a page, which lies in the room until the next; 0: the end. */
int parquet_next_page(struct parquet_pages *p, struct parquet_page *page, struct err *e) MUST_USE;

/* parquet_bits.c: runs and packed bits, and deltas. */
struct parquet_runs {
    struct str in;
    unsigned width;
    bool bad;
    uint64_t left; /* of the run at hand */
    bool packed;
    uint32_t value;
    size_t bit; /* of a packed run: where the next value begins, in bits of `packed_in` */
    struct str packed_in;
};

void parquet_runs_init(struct parquet_runs *r, struct str in, unsigned width);
/* n values; -1 when there are fewer. */
int parquet_runs_get(struct parquet_runs *r, uint32_t *out, size_t n) MUST_USE;
/* The same of values of one bit, into bits that are 0 so far, from the lowest of the first byte on.
 */
int parquet_runs_bits(struct parquet_runs *r, unsigned char *out, size_t n) MUST_USE;
/* DELTA_BINARY_PACKED: n values; *in goes on behind them. -1 when damaged. */
int parquet_deltas(struct str *in, int64_t *out, size_t n) MUST_USE;

/* parquet_value.c: n values of a page, none of them missing. `texts` has room for n: views of the
 * page, or of `scratch`, which they stay in until the next call. */
int parquet_texts(const struct parquet_column *c, const struct parquet_page *p, size_t n,
                  struct str *texts, struct buf *scratch, struct err *e) MUST_USE;
/* As an array for arrow_numbers(): the page's own bytes, or made in `room` of n x 16 bytes. */
int parquet_numbers(const struct parquet_column *c, const struct parquet_page *p, size_t n,
                    struct str *texts, struct buf *scratch, unsigned char *room, struct str *out,
                    struct err *e) MUST_USE;

/* parquet_levels.c: a bit for each row of a page that has a value, in `there` of n / 8 + 1 bytes;
 * *n: how many have. */
int parquet_levels(const struct parquet_page *p, unsigned char *there, size_t *n,
                   struct err *e) MUST_USE;
/* Values to the rows that have one, NaN or DICT_MISSING to the n others. */
void parquet_spread_numbers(double *to, const void *from, const unsigned char *there, size_t n);
void parquet_spread_codes(uint32_t *to, const uint32_t *from, const unsigned char *there, size_t n);

/* parquet_column.c: a column from its first page to its last; any thread, one column each. */
struct parquet_build {
    const struct parquet_file *file;
    const struct parquet_column *column;
    void *place;         /* of its values */
    struct shared *data; /* what that lies in */
    bool text;
    double *numbers; /* at `place`, or */
    uint32_t *codes;
    struct dict *dict;
    struct err err;
    int rc;
};
/* What reading a column needs, one of each thread: used again, since fresh memory costs as much
 * as what is done in it. */
struct parquet_work;
struct parquet_work *parquet_work_new(void);
void parquet_work_free(struct parquet_work *w);
void parquet_build(struct parquet_build *b, struct parquet_work *w);
void parquet_build_done(struct parquet_build *b);

/* parquet_place.c: place and data of each. */
int parquet_places(struct parquet_build *builds, size_t n, struct err *e) MUST_USE;

/* parquet_pack.c: n rows of a column from row `from` on, appended to a page. */
void parquet_put_text(struct buf *page, struct str s);
void parquet_put_levels(struct buf *page, const struct column *c, size_t from, size_t n);
void parquet_put_plain(struct buf *page, const struct column *c, enum column_as as, size_t from,
                       size_t n);
/* `places`: of each code, its place in the dictionary + 1. */
void parquet_put_indexes(struct buf *page, const struct column *c, const uint32_t *places,
                         size_t from, size_t n, unsigned width);
bool parquet_is_there(const struct column *c, size_t row);
