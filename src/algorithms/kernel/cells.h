/* cells - a table that grows row by row from values whose types are seen only as they come: JSON,
 * SQLite.
 *
 *   cells_number(c, column, ...) ... cells_end_row(c)   ->   cells_table(c)
 *
 * A column is what its values are: real, int while all are whole, bool; text, or dates or times
 * when every text is one. Values of several types make text; a number among them is written as
 * number.h writes it. A column that is not set in a row is missing there, and costs nothing until
 * it is set again. Memory is that of the resulting table. One thread. */
#pragma once
#include "algorithms/kernel/table.h"

struct cells;

struct cells *cells_new(void) MUST_USE;
void cells_free(struct cells *c);
DEFINE_SCOPED(struct cells, cells_free)

/* The number of the column of that name, a new one when there was none; `hint` is looked at first.
 * ERR_DATA: a name that a table cannot have, or too many columns. */
int cells_column(struct cells *c, struct str name, size_t hint, size_t *column,
                 struct err *e) MUST_USE;
size_t cells_columns(const struct cells *c);
/* Takes back columns from `first` up, which have no value yet. */
void cells_drop_columns(struct cells *c, size_t first);
size_t cells_rows(const struct cells *c);
const char *cells_name(const struct cells *c, size_t column);
/* Whatever comes, the column is text (and no date). */
void cells_keep_text(struct cells *c, size_t column);
bool cells_is_text(const struct cells *c, size_t column);
/* Whether a text came to it, or a number that is kept as one. */
bool cells_has_text(const struct cells *c, size_t column);
/* Whether the column has a value in the current row. */
bool cells_is_set(const struct cells *c, size_t column);

/* `spelled` is a whole number of digits that a double may not hold, or empty. */
int cells_number(struct cells *c, size_t column, double v, bool is_whole, struct str spelled,
                 struct err *e) MUST_USE;
int cells_bool(struct cells *c, size_t column, bool v, struct err *e) MUST_USE;
/* UTF-8 without NUL, as the caller has checked. */
int cells_text(struct cells *c, size_t column, struct str s, struct err *e) MUST_USE;
/* ERR_DATA past ML_LIMIT_ROWS. */
int cells_end_row(struct cells *c, struct err *e) MUST_USE;
/* Empties the cells. Columns without any value are real. */
struct table *cells_table(struct cells *c, struct err *e) MUST_USE;
