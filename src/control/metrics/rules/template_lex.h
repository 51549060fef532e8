/* template_lex - the words between {{ and }}. */
#pragma once
#include "rules/template_priv.h"

enum token_kind {
    TOKEN_CLOSE, /* }} */
    TOKEN_WORD,
    TOKEN_FIELD, /* .name */
    TOKEN_VARIABLE,
    TOKEN_CONSTANT,
    TOKEN_DOT,
    TOKEN_PIPE,
    TOKEN_LEFT,
    TOKEN_RIGHT,
    TOKEN_DECLARE,
    TOKEN_ASSIGN,
    TOKEN_COMMA
};

struct token {
    enum token_kind kind;
    bool spaced;     /* white space before it */
    bool trims;      /* CLOSE: "-}}" */
    struct str text; /* as written; of FIELD and VARIABLE without the sign */
    struct value constant;
};

struct template_lex {
    struct arena *arena;
    struct str text; /* of the template */
    size_t at;
    struct token token; /* the last one read */
    struct err *e;
};

/* Reads the next token of an action. */
int template_next(struct template_lex *l) MUST_USE;
/* A mistake where the reader is, with its line when the text has several. */
int template_error(struct template_lex *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define template_error(...) err_minus_one(template_error(__VA_ARGS__))

/* For what stands between actions. */
bool template_is_space(char c);
char template_look(const struct template_lex *l, size_t ahead);
bool template_stands(const struct template_lex *l, const char *what);
