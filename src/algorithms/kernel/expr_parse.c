#include "algorithms/kernel/expr_ops.h"

#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int parse_level(struct expr_parser *p, unsigned level, struct err *e);

void expr_free(struct expr *x)
{
    if (x) {
        for (size_t i = 0; i < x->n_ops; i++) {
            free(x->ops[i].text);
            regex_free(x->ops[i].regex);
        }
        free(x->ops);
        free(x);
    }
}

bool expr_is_text(const struct expr *x)
{
    return x->ops[x->n_ops - 1].type.kind == COLUMN_TEXT;
}

enum column_as expr_as(const struct expr *x)
{
    return x->ops[x->n_ops - 1].type.as;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static int next(struct expr_parser *p, struct err *e)
{
    return expr_lex(p->source, &p->at, &p->token, e);
}

static int fail(const struct expr_parser *p, const char *wanted, struct err *e)
{
    if (p->token.type == TOKEN_END) {
        return err_set(e, ERR_INVALID, "it ends where %s is expected", wanted);
    }
    return err_set(e, ERR_INVALID, "character %zu: %s is expected, and not '%.*s'", p->token.at,
                   wanted, STR_ARG(str_first(p->token.raw, 60)));
}

static bool is_word(const struct expr_parser *p, const char *word)
{
    return p->token.type == TOKEN_NAME && str_eq_nocase(p->token.raw, str_of(word));
}

static bool is_sign(const struct expr_parser *p, const char *sign)
{
    return p->token.type == TOKEN_SIGN && str_eq_c(p->token.raw, sign);
}

static int need_sign(struct expr_parser *p, const char *sign, struct err *e)
{
    char wanted[4] = {'\'', sign[0], '\'', 0};

    return is_sign(p, sign) ? next(p, e) : fail(p, wanted, e);
}

/* --- grammar: precedence climbing, at most EXPR_DEPTH deep ------------------------------------ */

enum {
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_COMPARE,
    LEVEL_SUM,
    LEVEL_PRODUCT,
    LEVEL_MINUS,
    LEVEL_POWER
};

static int parse_args(struct expr_parser *p, unsigned *n, struct err *e)
{
    if (need_sign(p, "(", e) < 0) {
        return -1;
    }
    for (*n = 0; !is_sign(p, ")"); ++*n) {
        if (*n == EXPR_ARGS) {
            return err_set(e, ERR_INVALID, "a list has at most %d values", EXPR_ARGS);
        }
        if ((*n > 0 && need_sign(p, ",", e) < 0) || parse_level(p, LEVEL_OR, e) < 0) {
            return -1;
        }
    }
    return next(p, e);
}

static int unknown_function(struct str name, struct err *e)
{
    const char *names[128];
    size_t n = 0;
    const char *near;

    for (const struct expr_fn *const *table = expr_fns; *table; table++) {
        for (const struct expr_fn *f = *table; f->name && n < ARRAY_LEN(names); f++) {
            if (f->name[0] >= 'a' && strchr(f->name, ' ') == NULL) {
                names[n++] = f->name;
            }
        }
    }
    near = str_nearest(name, names, n);
    return err_set(e, ERR_INVALID, "there is no function '%.*s'%s%s%s",
                   STR_ARG(str_first(name, 60)), near ? ": did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
}

static int push_column(struct expr_parser *p, struct str name, struct err *e)
{
    const struct column *c = table_need(p->x->table, name, e);

    return c == NULL ? -1
                     : expr_push(p,
                                 (struct expr_op){
                                     .op = OP_COLUMN,
                                     .column = c,
                                     .type = {c->kind, c->kind == COLUMN_TEXT ? AS_REAL : c->as}},
                                 e);
}

static int push_number(struct expr_parser *p, double v, enum column_kind kind, enum column_as as,
                       struct err *e)
{
    return expr_push(p, (struct expr_op){.op = OP_NUMBER, .number = v, .type = {kind, as}}, e);
}

static int parse_name(struct expr_parser *p, struct err *e)
{
    struct str name = p->token.raw;
    const struct expr_fn *fn;
    unsigned n = 0;
    size_t at = p->token.at;

    if (is_word(p, "true") || is_word(p, "false")) {
        return push_number(p, is_word(p, "true"), COLUMN_NUMBER, AS_BOOL, e) < 0 ? -1 : next(p, e);
    }
    if (is_word(p, "missing") || is_word(p, "null")) {
        return push_number(p, NAN, (enum column_kind)0, AS_REAL, e) < 0 ? -1 : next(p, e);
    }
    if (next(p, e) < 0) {
        return -1;
    }
    if (!is_sign(p, "(")) {
        return push_column(p, name, e) < 0 ? err_wrap(e, "character %zu", at) : 0;
    }
    fn = expr_find(name);
    if (fn == NULL) {
        return unknown_function(name, e);
    }
    return parse_args(p, &n, e) < 0 ? -1 : expr_call(p, fn, n, e);
}

static int parse_primary(struct expr_parser *p, struct err *e)
{
    struct token t = p->token;
    char *text;
    int rc;

    switch (t.type) {
    case TOKEN_NAME:
        return parse_name(p, e);
    case TOKEN_QUOTED:
        text = expr_unquote(t.raw);
        rc = push_column(p, str_of(text), e);
        free(text);
        return rc < 0 ? err_wrap(e, "character %zu", t.at) : next(p, e);
    case TOKEN_TEXT:
        rc = expr_push(p,
                       (struct expr_op){.op = OP_TEXT,
                                        .text = expr_unquote(t.raw),
                                        .type = {COLUMN_TEXT, AS_REAL}},
                       e);
        return rc < 0 ? -1 : next(p, e);
    case TOKEN_NUMBER:
        rc = push_number(p, t.number, COLUMN_NUMBER, as_holds(AS_INT, t.number) ? AS_INT : AS_REAL,
                         e);
        return rc < 0 ? -1 : next(p, e);
    default:
        break;
    }
    if (!is_sign(p, "(")) {
        return fail(p, "a value", e);
    }
    return next(p, e) < 0 || parse_level(p, LEVEL_OR, e) < 0 ? -1 : need_sign(p, ")", e);
}

/* "is [not] missing", "[not] in (..)", "[not] between a and b", and signs, after a value. */
static int parse_comparison(struct expr_parser *p, bool *took, struct err *e)
{
    static const char *const signs[] = {"=", "==", "!=", "<>", "<", "<=", ">", ">="};
    static const char *const fns[] = {"=", "=", "!=", "!=", "<", "<=", ">", ">="};
    bool is = is_word(p, "is"), no;
    unsigned n = 0;

    *took = true;
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (is_sign(p, signs[i])) {
            return next(p, e) < 0 || parse_level(p, LEVEL_SUM, e) < 0
                       ? -1
                       : expr_call_named(p, fns[i], 2, e);
        }
    }
    if (is && next(p, e) < 0) {
        return -1;
    }
    no = is_word(p, "not");
    if (no && next(p, e) < 0) {
        return -1;
    }
    if (is) {
        if (!is_word(p, "missing") && !is_word(p, "null")) {
            return fail(p, "'missing'", e);
        }
        if (next(p, e) < 0 || expr_call_named(p, "is_missing", 1, e) < 0) {
            return -1;
        }
    } else if (is_word(p, "in")) {
        if (next(p, e) < 0 || parse_args(p, &n, e) < 0 || expr_call_named(p, "in", n + 1, e) < 0) {
            return -1;
        }
    } else if (is_word(p, "between")) {
        if (next(p, e) < 0 || parse_level(p, LEVEL_SUM, e) < 0) {
            return -1;
        }
        if (!is_word(p, "and")) {
            return fail(p, "'and'", e);
        }
        if (next(p, e) < 0 || parse_level(p, LEVEL_SUM, e) < 0 ||
            expr_call_named(p, "between", 3, e) < 0) {
            return -1;
        }
    } else if (no) {
        return fail(p, "'in' or 'between'", e);
    } else {
        *took = false;
        return 0;
    }
    return no ? expr_call_named(p, "not", 1, e) : 0;
}

/* A value and all operators behind it that bind at least as tightly. */
static int parse_operators(struct expr_parser *p, unsigned level, struct err *e)
{
    for (;;) {
        bool took = false;

        if (level <= LEVEL_OR && is_word(p, "or")) {
            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_AND, e) < 0 ||
                expr_call_named(p, "or", 2, e) < 0) {
                return -1;
            }
        } else if (level <= LEVEL_AND && is_word(p, "and")) {
            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_NOT, e) < 0 ||
                expr_call_named(p, "and", 2, e) < 0) {
                return -1;
            }
        } else if (level <= LEVEL_SUM && (is_sign(p, "+") || is_sign(p, "-"))) {
            bool minus = is_sign(p, "-");

            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_PRODUCT, e) < 0 ||
                expr_call_sum(p, minus, e) < 0) {
                return -1;
            }
        } else if (level <= LEVEL_PRODUCT &&
                   (is_sign(p, "*") || is_sign(p, "/") || is_sign(p, "%"))) {
            char name[2] = {p->token.raw.p[0], 0};

            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_MINUS, e) < 0 ||
                expr_call_named(p, name, 2, e) < 0) {
                return -1;
            }
        } else if (is_sign(p, "^")) { /* 2 ^ 3 ^ 2 = 2 ^ 9 */
            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_MINUS, e) < 0 ||
                expr_call_named(p, "^", 2, e) < 0) {
                return -1;
            }
        } else if (level <= LEVEL_COMPARE && parse_comparison(p, &took, e) < 0) {
            return -1;
        }
        if (!took) {
            return 0;
        }
    }
}

static int parse_prefix(struct expr_parser *p, unsigned level, struct err *e)
{
    if (is_word(p, "not") && level <= LEVEL_NOT) {
        return next(p, e) < 0 || parse_level(p, LEVEL_NOT, e) < 0 ? -1
                                                                  : expr_call_named(p, "not", 1, e);
    }
    if (is_sign(p, "-")) {
        return next(p, e) < 0 || parse_level(p, LEVEL_MINUS, e) < 0
                   ? -1
                   : expr_call_named(p, "negate", 1, e);
    }
    return parse_primary(p, e);
}

static int parse_level(struct expr_parser *p, unsigned level, struct err *e)
{
    int rc;

    if (p->nesting == EXPR_DEPTH) {
        return err_set(e, ERR_INVALID, "it is nested more than %d deep", EXPR_DEPTH);
    }
    p->nesting++;
    rc = parse_prefix(p, level, e) < 0 || parse_operators(p, level, e) < 0 ? -1 : 0;
    p->nesting--;
    return rc;
}

struct expr *expr_parse(struct str source, const struct table *t, struct err *e)
{
    SCOPED(expr_freep) struct expr *x = xnew(struct expr);
    SCOPED(freep) struct expr_parser *p = xnew(struct expr_parser);

    if (source.len > EXPR_SOURCE_BYTES || str_find_char(source, '\0') >= 0) {
        err_set(e, ERR_INVALID, "an expression has at most %d bytes and no NUL", EXPR_SOURCE_BYTES);
        return NULL;
    }
    x->table = t;
    x->ops = xnew_array(struct expr_op, EXPR_OPS);
    *p = (struct expr_parser){.source = source, .x = x};
    if (next(p, e) < 0 || parse_level(p, LEVEL_OR, e) < 0) {
        return NULL;
    }
    if (p->token.type != TOKEN_END) {
        (void)fail(p, "an operator or the end", e);
        return NULL;
    }
    if (p->stack[0].type.kind == 0) { /* nothing but `missing` */
        x->ops[x->n_ops - 1].type.kind = COLUMN_NUMBER;
    }
    return TAKE(x);
}
