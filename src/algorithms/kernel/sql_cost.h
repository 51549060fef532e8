/* sql_cost - what SQLite may have to do to prepare a query, before it runs: the server checks
 * queries and must not be filled by one.
 *
 * Preparing copies a name of WITH wherever it is used, and what is around a UNION ALL for each of
 * its parts, so that a short query can ask for 2^20 copies; and every * becomes all columns. The
 * bound is crude: it takes each comma for a table. */
#pragma once
#include "base/str.h"

#include <stdbool.h>

/* Whether it is certain that preparing needs little; `n_columns`: of all tables together. */
bool sql_is_cheap(struct str query, size_t n_columns);
