/* npy - arrays as numpy.save() writes them (format 1.0, 2.0 and 3.0).
 *
 *   93 NUMPY | version | length | {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }\n |
 * data
 *
 * One dimension is a column, two are rows of columns, a structured type has a column a field.
 * Taken: bool, int and uint of 1 to 8 bytes, float of 2 to 8, texts of fixed length (U, S),
 * datetime64 of days to nanoseconds; either byte order. Integers that a double does not hold make a
 * column of text. Objects are pickles, which run code: refused. Nothing is believed. */
#pragma once
#include "algorithms/kernel/table.h"

struct table *npy_read(struct str bytes, struct err *e) MUST_USE;

/* Before a run. How many bytes of a file its head takes, told by its first NPY_FIRST_BYTES; 0:
 * ERR_DATA. Of the head, the columns without rows; *rows: how many the file has. */
enum { NPY_FIRST_BYTES = 12 };
size_t npy_head(struct str first, struct err *e);
struct table *npy_columns(struct str head, uint64_t *rows, struct err *e) MUST_USE;
