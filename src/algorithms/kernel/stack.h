/* stack - the rows of many tables below each other, columns by their names. */
#pragma once
#include "algorithms/kernel/table.h"

/* Two columns of one name, of which one is text and one numbers; a column without any value is
 * whatever others are. */
struct stack_clash {
    const char *column;
    size_t text, number; /* parts that have it so */
};
/* One of them that `known` (or NULL) does not name: true and *clash. */
bool stack_find_clash(struct table *const *parts, size_t n, const struct map *known,
                      struct stack_clash *clash);

/* Empties the parts column by column, so that the sum of memory grows by one column. A column that
 * a part lacks is missing there; numbers of different meanings become real, dates and times times.
 * Each part's row of `each` (or NULL) follows in columns of its own. ERR_DATA, ERR_MEMORY. */
struct table *stack_tables(struct table *const *parts, size_t n, const struct table *each,
                           struct err *e) MUST_USE;
/* One column more: the value of row i of `from` in the rows up to ends[i]. ERR_DATA: its name is
 * there already. */
int stack_spread(struct table *to, const struct column *from, const size_t *ends, size_t n,
                 struct err *e) MUST_USE;
