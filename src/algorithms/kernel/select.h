/* select - which columns a parameter means: names separated by commas, with the words @all,
 * @numeric, @date (dates and times) and @text for groups, and "-name" to leave one out.
 * "@numeric,-id" */
#pragma once
#include "algorithms/kernel/table.h"

/* Indexes of columns in the order of the table, without those in `never` (NULL entries are
 * skipped). The result is for free(3). ERR_INVALID: an unknown name (the nearest is suggested), a
 * column that may not be used, or no column left. */
uint32_t *select_columns(const struct table *t, struct str spec, const char *const *never,
                         size_t n_never, size_t *n, struct err *e) MUST_USE;
