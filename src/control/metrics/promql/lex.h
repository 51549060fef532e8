/* lex - the words of PromQL. The parser says in which surroundings it reads: between braces and in
 * lists of labels an identifier has no colon, and keywords are names.
 * Limits: the text by its caller. Bytes that are no UTF-8 are refused outside of strings. */
#pragma once
#include "promql/ast.h"

enum promql_token {
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_DURATION,
    TOKEN_STRING,
    TOKEN_NAME,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_AT,
    TOKEN_OPERATOR, /* op */
    TOKEN_ASSIGN,   /* = */
    TOKEN_LIKE,     /* =~ */
    TOKEN_NOT_LIKE  /* !~ */
};

struct promql_lex {
    struct str text;
    struct arena *arena;
    size_t at; /* behind the token */
    int square, braces;

    enum promql_token token;
    size_t from, to; /* of the token */
    struct str word; /* NAME; STRING: its value */
    double number;   /* NUMBER, and DURATION in seconds */
    int64_t ms;      /* DURATION */
    enum promql_op op;
};

/* Reads the next token into `l`. The error begins with line and column. */
int promql_next(struct promql_lex *l, struct err *e) MUST_USE;
/* An error at byte `at`: "1:5: parse error: ...". */
int promql_error(const struct promql_lex *l, size_t at, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
#define promql_error(...) err_minus_one(promql_error(__VA_ARGS__))
/* What stands there, for messages: `identifier "foo"`, `end of input`. In the arena. */
const char *promql_token_text(const struct promql_lex *l);
