/* labels - the classes of a label column: texts in byte order, or numbers in numeric order. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

struct classes {
    enum column_kind kind; /* of the label column */
    enum column_as as;     /* and what its numbers mean */
    char **names;          /* as text; numbers as as_format() writes them */
    double *values;        /* COLUMN_NUMBER */
    size_t n;
};

void classes_done(struct classes *c);
/* The classes that occur, and each row's (CLASS_MISSING where the label is missing). *of_row is big
 * memory. ERR_DATA: more than ML_LIMIT_CLASSES. */
#define CLASS_MISSING UINT32_MAX
int classes_of(const struct column *label, size_t n_rows, struct classes *c, uint32_t **of_row,
               struct err *e) MUST_USE;
/* Which class each row's label is; CLASS_MISSING where it is missing, CLASS_UNKNOWN where it is not
 * among them. */
#define CLASS_UNKNOWN (UINT32_MAX - 1)
uint32_t *classes_encode(const struct classes *c, const struct column *label, size_t n_rows,
                         struct err *e) MUST_USE;

void classes_write(const struct classes *c, struct binw *w);
int classes_read(struct binr *r, struct classes *c, struct err *e) MUST_USE;
