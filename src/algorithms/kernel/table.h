/* table - named columns of equal length: numbers (double, missing is NaN) or text (codes into a
 * dictionary, missing is DICT_MISSING). What modules hand to each other.
 *
 *   column "when":  COLUMN_NUMBER as AS_TIME ---> data (shared.h) <--- the same column elsewhere
 *
 * Columns of several tables share their values, so selecting and copying costs nothing, and nobody
 * writes into a column but who has just added it, or has made it its own (table_own_numbers).
 *
 * A table remembers the transforms that were applied to it, in order, so that a model trained on
 * it can carry them and predict() knows what a table still needs.
 * Owned by one value; modules read their inputs and make new tables. One writer, then any reader.
 * On disk: table_file.h. */
#pragma once
#include "algorithms/kernel/as.h"
#include "algorithms/kernel/dict.h"

struct transform;

enum column_kind { COLUMN_NUMBER = 1, COLUMN_TEXT = 2 };

struct column {
    char *name;
    enum column_kind kind;
    enum column_as as; /* COLUMN_NUMBER: what the numbers mean */
    double *numbers;   /* COLUMN_NUMBER */
    uint32_t *codes;   /* COLUMN_TEXT */
    struct dict *dict;
    struct shared *data; /* numbers or codes lie in it */
};

struct table {
    struct column *columns;
    size_t n_columns, n_rows;
    struct map names;           /* name -> index + 1 */
    struct transform **applied; /* owned */
    size_t n_applied;
};

struct table *table_new(size_t n_rows) MUST_USE;
void table_free(struct table *t);
DEFINE_SCOPED(struct table, table_free)

/* "real", "int", "bool", "date", "time" or "text". */
const char *column_type_name(const struct column *c);
/* What the numbers are indeed: a column that calls itself int and holds 0.5 is AS_REAL. */
enum column_as column_as_is(const struct column *c, size_t n_rows);

/* New columns at the end, zeroed (text: code 0, so fill before use). The name is copied and must be
 * new. NULL: ERR_INVALID, ERR_DATA, ERR_MEMORY. Pointers hold until the next column is added. */
struct column *table_add_numbers(struct table *t, struct str name, struct err *e) MUST_USE;
/* Takes ownership of a reference to the dictionary on success. */
struct column *table_add_text(struct table *t, struct str name, struct dict *dict,
                              struct err *e) MUST_USE;
/* Around values that are there, one a row: both get references. */
struct column *table_put_numbers(struct table *t, struct str name, const double *numbers,
                                 struct shared *data, struct err *e) MUST_USE;
struct column *table_put_text(struct table *t, struct str name, const uint32_t *codes,
                              struct shared *data, struct dict *dict, struct err *e) MUST_USE;
/* A column of `from`, which has as many rows, by its own name or another; the values are shared. */
int table_add_copy(struct table *t, const struct column *from, struct err *e) MUST_USE;
struct column *table_add_as(struct table *t, struct str name, const struct column *from,
                            struct err *e) MUST_USE;
/* The column of numbers for writing: a copy takes its place when others read it too. Say in `as`
 * what the new numbers mean. */
struct column *table_own_numbers(struct table *t, struct str name, struct err *e) MUST_USE;

/* NULL when there is none. */
const struct column *table_column(const struct table *t, struct str name);
/* With the error that suggests the nearest name: "the table has no column 'agee': did you mean". */
const struct column *table_need(const struct table *t, struct str name, struct err *e) MUST_USE;
const struct column *table_need_numbers(const struct table *t, struct str name,
                                        struct err *e) MUST_USE;

/* A new table of some rows in the order given (every index < n_rows), with the same transforms. */
struct table *table_rows(const struct table *t, const uint32_t *rows, size_t n,
                         struct err *e) MUST_USE;
/* All of it, the values shared. */
struct table *table_copy(const struct table *t, struct err *e) MUST_USE;
/* Takes a reference of its own. */
int table_note_applied(struct table *t, struct transform *x, struct err *e) MUST_USE;
