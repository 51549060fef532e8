/* expr_priv - what lexer, parser, functions and evaluation of expressions share. */
#pragma once
#include "algorithms/kernel/expr.h"
#include "algorithms/kernel/regex.h"

enum {
    EXPR_SOURCE_BYTES = 65536, /* a longer one is no sentence any more */
    EXPR_OPS = 4096,
    EXPR_DEPTH = 64, /* parentheses and calls within each other */
    EXPR_ARGS = 256, /* of one call, values of one list */
    EXPR_ROWS = 1024 /* at a time: what a core's cache holds of some columns */
};

enum token_type { TOKEN_END, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_NAME, TOKEN_QUOTED, TOKEN_SIGN };

struct token {
    enum token_type type;
    struct str raw; /* in the source */
    double number;
    size_t at; /* 1-based character of the source */
};

/* The token at *at, which moves behind it. */
int expr_lex(struct str source, size_t *at, struct token *t, struct err *e) MUST_USE;
/* What stands between the quotes of a TEXT or QUOTED, doubled quotes made one; for free(3). */
char *expr_unquote(struct str raw);

/* Numbers or text of some rows. A missing text has p NULL. */
struct vec {
    const double *numbers;
    const struct str *texts;
    double *own_numbers; /* where results go */
    struct str *own_texts;
};

struct expr_type {
    enum column_kind kind; /* 0: `missing`, which is of every type */
    enum column_as as;
};

struct eval;
struct expr_op;
typedef void (*expr_run)(struct eval *v, const struct expr_op *op, const struct vec *a,
                         const struct vec *out, size_t n);

/* A function or operator. `args`: one letter each, behind the last, + means that it repeats and ?
 * that it may be left out: n number   b bool   t text   d date or time   a any, all of the same
 * type   u unit (literal) `result`: the same letters for fixed types (r real, i int, b bool, t
 * text, D date), or 'a' for the common type of the a's, 'n' for int when all numbers are whole,
 * else real. */
struct expr_fn {
    const char *name, *args;
    char result;
    expr_run numbers, texts; /* by the kind of the first argument that is no unit or condition */
};

/* Tables that end with a zero row; after the last of them NULL. */
extern const struct expr_fn *const expr_fns[];
extern const struct expr_fn expr_text_fns[], expr_date_fns[];

/* The head of such a function. */
#define EXPR_RUN(name)                                                                             \
    static void name(struct eval *v, const struct expr_op *op, const struct vec *a,                \
                     const struct vec *out, size_t n)
#define EXPR_UNUSED (void)v, (void)op

enum op_type { OP_NUMBER, OP_TEXT, OP_COLUMN, OP_CALL };

struct expr_op {
    enum op_type op;
    struct expr_type type;
    double number;               /* OP_NUMBER */
    char *text;                  /* OP_TEXT; owned */
    const struct column *column; /* OP_COLUMN */
    const struct expr_fn *fn;    /* OP_CALL */
    expr_run run;
    unsigned n_args, unit;
    struct regex *regex;  /* owned */
    enum column_as as[3]; /* of the first arguments */
};

struct expr {
    const struct table *table;
    struct expr_op *ops; /* postfix */
    size_t n_ops, depth; /* most values at a time */
};

/* --- of an evaluation, for functions --- */

/* Memory for a text of this length until the next rows; NULL after a failure. */
char *eval_text(struct eval *v, size_t len);

enum expr_unit { UNIT_SECOND, UNIT_MINUTE, UNIT_HOUR, UNIT_DAY, UNIT_WEEK, UNIT_MONTH, UNIT_YEAR };
extern const char *const expr_units[]; /* ends with NULL */
