/* csv_priv - what csv.c (records) and csv_value.c (the values of columns) share. */
#pragma once
#include "algorithms/kernel/csv.h"
#include "algorithms/kernel/csv_header.h"
#include "algorithms/kernel/csv_scan.h"
#include "algorithms/kernel/ml_limits.h"

struct csv_column {
    char *name;
    enum column_kind kind;
    enum column_as as;
    bool fixed;        /* by the user */
    bool seen;         /* a value has said what the column is */
    uint64_t n_values; /* numbers of this pass */
    double *numbers;
    uint32_t *codes;
    struct dict *dict;
};

struct csv_reader {
    const struct csv_options *o;
    struct str text;
    struct csv_scan scan;
    const char *rested; /* the text before it was read, and has left memory if it is mapped */
    struct csv_column *columns;
    size_t n_columns;
    size_t n_rows, cap_rows;
    struct str nulls[ML_LIMIT_NULL_VALUES];
    size_t n_nulls;
    bool null_start[256]; /* first bytes of nulls */
    struct buf cell, utf8;
    struct csv_report report;
    bool conflict; /* a column of numbers was none: another pass is needed */
};

/* The text of a cell as UTF-8. */
struct str csv_text(struct csv_reader *r, const struct csv_cell *c);
/* ERR_DATA when the text of that column is no text. */
int csv_check_text(const struct csv_reader *r, size_t column, struct str s, struct err *e) MUST_USE;
/* What the user said about columns. */
int csv_fix_types(struct csv_reader *r, struct err *e) MUST_USE;
/* A cell of the current record into row n_rows of column i; without `keep` only its type is looked
 * at. */
int csv_store(struct csv_reader *r, size_t i, const struct csv_cell *cell, bool keep,
              struct err *e) MUST_USE;
