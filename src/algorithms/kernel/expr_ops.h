/* expr_ops - from values and functions to typed ops in postfix order: what the grammar
 * (expr_parse.c) calls. Private to expr. */
#pragma once
#include "algorithms/kernel/expr_priv.h"

/* A value that an op before left behind. */
struct expr_operand {
    struct expr_type type;
    size_t op; /* that made it */
};

struct expr_parser {
    struct str source;
    size_t at;
    struct token token; /* the next one */
    struct expr *x;
    struct expr_operand stack[EXPR_ARGS + EXPR_DEPTH * 4];
    size_t n, nesting;
};

/* A value, and a function of the last n of them. ERR_INVALID: too long, or types that do not fit.
 */
int expr_push(struct expr_parser *p, struct expr_op op, struct err *e) MUST_USE;
int expr_call(struct expr_parser *p, const struct expr_fn *fn, unsigned n, struct err *e) MUST_USE;

/* NULL when there is none. */
const struct expr_fn *expr_find(struct str name);
/* One that there is. */
int expr_call_named(struct expr_parser *p, const char *name, unsigned n, struct err *e) MUST_USE;
/* + and -: of numbers, texts, dates and days. */
int expr_call_sum(struct expr_parser *p, bool minus, struct err *e) MUST_USE;
