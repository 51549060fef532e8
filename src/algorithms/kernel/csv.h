/* csv - text tables (RFC 4180 and what people really write) into columns.
 *
 *   bytes -> csv_scan: records of cells -> kinds guessed from the first rows -> columns
 *
 * The first value of a column says what it is (as.h): int when it is written as a whole number,
 * real, bool for true and false, date, time, else text; an int column becomes real with the first
 * number that is no int, and any column text with the first value that does not fit. One pass over
 * the text; a second one only when a column turns out to be text after the first rows. Integers
 * that a double does not hold and numbers with leading zeros (ids, postal codes) make a column
 * text: as numbers, two of them could become one. Memory is that of the resulting table and one
 * record. Line ends are LF, CRLF or CR; a line break inside quotes belongs to the cell; empty lines
 * are skipped in tables of more than one column; a UTF-8 byte order mark is skipped. Errors are
 * ERR_DATA and name line and column. */
#pragma once
#include "algorithms/kernel/table.h"

enum csv_header { CSV_HEADER_AUTO, CSV_HEADER_YES, CSV_HEADER_NO };
enum csv_bad_row { CSV_BAD_ERROR, CSV_BAD_SKIP, CSV_BAD_NULL };
enum csv_encoding { CSV_UTF8, CSV_LATIN1 };

struct csv_options {
    char delim;             /* 0: the one of , ; tab | that fits the first lines best */
    char quote;             /* 0: none */
    enum csv_header header; /* auto: csv_header.h; ERR_DATA when it cannot be told */
    enum csv_bad_row bad_row;
    enum csv_encoding encoding;
    struct str null_values;    /* comma-separated; unquoted cells only */
    struct str types;          /* "name:type,..." with the names of as.h and "text" */
    struct str text_columns;   /* comma-separated names that are text whatever they hold */
    struct str number_columns; /* names where anything but a number is an error, and an integer that
                                  a double does not hold */
    const struct map *texts;   /* more of text_columns, by name; or NULL */
    bool is_mapped;    /* the text is a map of a file (map_file): what was read leaves memory */
    bool may_lack;     /* columns that the user names need not be there */
    uint64_t max_rows; /* 0: all */
};

enum { CSV_ODD_BYTES = 48 };

struct csv_report {
    char delim;
    bool header;
    uint64_t skipped; /* bad records left out */
    uint64_t mended;  /* bad records filled or cut */
    /* Columns of numbers that are text, because a number would not read back as it is written, and
     * where the first was seen. */
    size_t as_text, as_text_column;
    uint64_t as_text_line;
    /* Columns that one value made text, after others of another type or because of the commas in a
     * number; the first of them. */
    size_t odd, odd_column;
    uint64_t odd_line, odd_after; /* values of another type before it */
    char odd_value[CSV_ODD_BYTES];
};

struct table *csv_read(struct str text, const struct csv_options *o, struct csv_report *r,
                       struct err *e) MUST_USE;
