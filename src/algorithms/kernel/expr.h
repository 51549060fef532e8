/* expr - a small typed language over the columns of a table, for filters and computed columns:
 *
 *   price * quantity > 100 and (city in ('Taipei', 'Tainan') or `last order` is missing)
 *
 *   text -> expr_lex -> expr_parse: calls in postfix order, types checked -> expr_eval: whole
 *   columns, some rows at a time
 *
 * What is missing stays missing (SQL's three values of truth). docs/formats/expressions.md is the
 * manual. One thread. */
#pragma once
#include "algorithms/kernel/table.h"

struct expr;

/* Against the columns of `t`, which outlives it. ERR_INVALID says where and how to mend it. */
struct expr *expr_parse(struct str source, const struct table *t, struct err *e) MUST_USE;
void expr_free(struct expr *x);
DEFINE_SCOPED(struct expr, expr_free)

/* "real", "int", "bool", "date", "time" or "text"; AS_BOOL is what filters need. */
bool expr_is_text(const struct expr *x);
enum column_as expr_as(const struct expr *x);

/* The rows where it is true, in order; big memory. The expression is a bool. */
uint32_t *expr_rows(const struct expr *x, size_t *n, struct err *e) MUST_USE;
/* Its values as a new column of `to`, which has as many rows. */
int expr_add_column(const struct expr *x, struct table *to, struct str name,
                    struct err *e) MUST_USE;

/* Cuts the first of a list of "name = expression" off *rest; they are parted by ; or line ends
 * outside of quotes. `name` is for free(3). 1: there was one, 0: the end, -1: ERR_INVALID. */
int expr_next_assignment(struct str *rest, char **name, struct str *source, struct err *e) MUST_USE;
