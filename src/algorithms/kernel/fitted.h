/* fitted - what transforms that work on some columns by name have in common. Their errors are
 * ERR_DATA: it is the table that does not fit. */
#pragma once
#include "algorithms/kernel/table.h"

struct binr;
struct binw;

/* The column that the transform was fitted on, of the same kind. */
const struct column *fitted_need(const struct table *t, const char *name, enum column_kind kind,
                                 struct err *e) MUST_USE;
/* Names of columns in files. The list is for fitted_free(); NULL when the bytes are damaged or a
 * name is there twice. */
void fitted_write(char *const *names, size_t n, struct binw *w);
char **fitted_read(struct binr *r, size_t *n, struct err *e) MUST_USE;
void fitted_free(char **names, size_t n);
/* name -> position + 1, for map_done(). */
struct map fitted_index(char *const *names, size_t n);
