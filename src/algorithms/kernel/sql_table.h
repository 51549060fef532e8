/* sql_table - tables as SQLite sees them: virtual tables that read our columns where they lie, and
 * an index per column, sorted when a query first asks for equal values. Dates and times are ISO
 * text there, so that SQLite's functions know them. */
#pragma once
#include "algorithms/kernel/table.h"

struct sqlite3;

/* "select * from <name>" from now on. `t` outlives the connection. */
int sql_table_add(struct sqlite3 *db, const char *name, const struct table *t,
                  struct err *e) MUST_USE;
/* The type that a declared column type stands for; false when there is none (an expression). */
bool sql_table_type(const char *declared, enum column_kind *kind, enum column_as *as);
