/* numbering - columns that only number the rows (rownames, id): whoever learns from them learns the
 * order of the table. */
#pragma once
#include "algorithms/kernel/progress.h"
#include "algorithms/kernel/table.h"

/* Whole numbers that rise by one, or with the gaps of a sample of the rows, and are named so. */
bool numbering_is(const struct column *c, size_t n_rows);
/* Of the columns that a selector (select.h) takes: those that only number the rows are left out and
 * told of, or when `spec` or `also` names them, or nothing else is there, only told of. The
 * selector that is left, for free(3); NULL and no error when `spec` selects nothing. */
char *numbering_leave_out(const struct table *t, struct str spec, struct str also,
                          const char *const *never, size_t n_never, struct progress *progress);
