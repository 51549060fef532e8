#include "algorithms/kernel/expr_priv.h"

#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A value that an op before left behind. */
struct operand {
    struct expr_type type;
    size_t op; /* that made it */
};

struct parser {
    struct str source;
    size_t at;
    struct token token; /* the next one */
    struct expr *x;
    struct operand stack[EXPR_ARGS + EXPR_DEPTH * 4];
    size_t n, nesting;
};

static int parse_level(struct parser *p, unsigned level, struct err *e);

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

static int next(struct parser *p, struct err *e)
{
    return expr_lex(p->source, &p->at, &p->token, e);
}

static int fail(const struct parser *p, const char *wanted, struct err *e)
{
    if (p->token.type == TOKEN_END) {
        return err_set(e, ERR_INVALID, "it ends where %s is expected", wanted);
    }
    return err_set(e, ERR_INVALID, "character %zu: %s is expected, and not '%.*s'", p->token.at,
                   wanted, STR_ARG(str_first(p->token.raw, 60)));
}

static bool is_word(const struct parser *p, const char *word)
{
    return p->token.type == TOKEN_NAME && str_eq_nocase(p->token.raw, str_of(word));
}

static bool is_sign(const struct parser *p, const char *sign)
{
    return p->token.type == TOKEN_SIGN && str_eq_c(p->token.raw, sign);
}

static int need_sign(struct parser *p, const char *sign, struct err *e)
{
    char wanted[4] = {'\'', sign[0], '\'', 0};

    return is_sign(p, sign) ? next(p, e) : fail(p, wanted, e);
}

/* --- ops and their types ---------------------------------------------------------------------- */

static int push(struct parser *p, struct expr_op op, struct err *e)
{
    struct expr *x = p->x;

    if (x->n_ops == EXPR_OPS || p->n == ARRAY_LEN(p->stack)) {
        free(op.text);
        regex_free(op.regex);
        return err_set(e, ERR_INVALID, "the expression is too long: split it into several columns");
    }
    x->ops[x->n_ops] = op;
    p->stack[p->n++] = (struct operand){op.type, x->n_ops++};
    x->depth = p->n > x->depth ? p->n : x->depth;
    return 0;
}

static const char *type_text(struct expr_type t)
{
    return t.kind == 0 ? "missing" : t.kind == COLUMN_TEXT ? "text" : as_name(t.as);
}

static bool is_date(struct expr_type t)
{
    return t.kind == COLUMN_NUMBER && t.as >= AS_DATE;
}

/* A literal text beside a date or time is one: day >= '2024-01-01'. */
static int as_literal(struct parser *p, struct operand *o, enum column_as as, struct err *e)
{
    struct expr_op *op = &p->x->ops[o->op];
    double v = 0;

    if (op->op != OP_TEXT) {
        return 0;
    }
    if (as_parse(as, str_of(op->text), &v) < 0) {
        return err_set(e, ERR_INVALID, "'%.60s' is no %s: write '%s'", op->text, as_name(as),
                       as == AS_DATE ? "2024-02-29" : "2024-02-29T08:00:00Z");
    }
    free(op->text);
    *op = (struct expr_op){.op = OP_NUMBER, .number = v, .type = {COLUMN_NUMBER, as}};
    o->type = op->type;
    return 0;
}

static bool unite(struct expr_type *all, struct expr_type t)
{
    if (t.kind == 0 || all->kind == 0) {
        *all = all->kind == 0 ? t : *all;
        return true;
    }
    if (all->kind != t.kind || is_date(*all) != is_date(t)) {
        return false;
    }
    if (all->kind == COLUMN_NUMBER && all->as != t.as) {
        if (is_date(t)) {
            return false; /* a date and a time */
        }
        all->as = all->as == AS_REAL || t.as == AS_REAL ? AS_REAL : AS_INT;
    }
    return true;
}

static char letter_at(const char *args, unsigned i)
{
    size_t n = strlen(args);

    if (args[n - 1] == '+') {
        return args[i < n - 2 ? i : n - 2];
    }
    return i < n && args[i] != '?' ? args[i] : 0;
}

static bool fits(char want, struct expr_type t)
{
    if (t.kind == 0) {
        return true;
    }
    switch (want) {
    case 'n':
        return t.kind == COLUMN_NUMBER && !is_date(t);
    case 'b':
        return t.kind == COLUMN_NUMBER && t.as == AS_BOOL;
    case 't':
    case 'u':
    case 'p':
        return t.kind == COLUMN_TEXT;
    case 'd':
        return is_date(t);
    default:
        return true;
    }
}

static const char *want_text(char want)
{
    return want == 'n'   ? "a number"
           : want == 'b' ? "true or false"
           : want == 'd' ? "a date or time"
                         : "text";
}

static int find_unit(struct parser *p, const struct operand *o, unsigned *unit, struct err *e)
{
    const struct expr_op *op = &p->x->ops[o->op];

    for (unsigned i = 0; op->op == OP_TEXT && expr_units[i]; i++) {
        if (strcmp(op->text, expr_units[i]) == 0) {
            *unit = i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID,
                   "a unit is one of 'second', 'minute', 'hour', 'day', 'week', 'month', 'year'");
}

/* The common type of those arguments that are 'a'; dates written as text are made dates. */
static int unite_args(struct parser *p, const struct expr_fn *fn, struct operand *args, unsigned n,
                      struct expr_type *all, struct err *e)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; is_date(args[i].type) && k < n; k++) {
            if (letter_at(fn->args, i) == 'a' && letter_at(fn->args, k) == 'a' &&
                as_literal(p, &args[k], args[i].type.as, e) < 0) {
                return -1;
            }
        }
    }
    for (unsigned i = 0; i < n; i++) {
        struct expr_type before = *all;

        if (letter_at(fn->args, i) == 'a' && !unite(all, args[i].type)) {
            return err_set(e, ERR_INVALID, "%s: %s and %s do not go together", fn->name,
                           type_text(before), type_text(args[i].type));
        }
    }
    return 0;
}

static int find_pattern(struct parser *p, const struct operand *o, struct regex **regex,
                        struct err *e)
{
    const struct expr_op *op = &p->x->ops[o->op];

    if (op->op != OP_TEXT) {
        return err_set(e, ERR_INVALID, "a pattern is a text in quotes: regex_match(name, '^A')");
    }
    *regex = regex_new(str_of(op->text), e);
    return *regex ? 0 : -1;
}

static int check_args(struct parser *p, const struct expr_fn *fn, struct operand *args, unsigned n,
                      struct expr_op *call, struct err *e)
{
    size_t len = strlen(fn->args), least, most;
    char last = fn->args[len - 1];

    least = last == '+' ? len - 1 : last == '?' ? len - 2 : len;
    most = last == '+' ? EXPR_ARGS + 1 : last == '?' ? len - 1 : len;
    if (n < least || n > most) {
        return err_set(e, ERR_INVALID, "%s takes %s%zu values, and gets %u", fn->name,
                       most > least ? "at least " : "", least, n);
    }
    for (unsigned i = 0; i < n; i++) {
        char want = letter_at(fn->args, i);

        if ((want == 'u' && find_unit(p, &args[i], &call->unit, e) < 0) ||
            (want == 'p' && find_pattern(p, &args[i], &call->regex, e) < 0)) {
            return -1;
        }
        if (!fits(want, args[i].type)) {
            const struct column *c = p->x->ops[args[i].op].column;

            return err_set(e, ERR_INVALID, "%s needs %s, and %s%.100s%s is %s", fn->name,
                           want_text(want), c ? "column '" : "value ", c ? c->name : "",
                           c ? "'" : "", type_text(args[i].type));
        }
    }
    return 0;
}

static struct expr_type result_of(const struct expr_fn *fn, const struct operand *args, unsigned n,
                                  struct expr_type all)
{
    struct expr_type t = {COLUMN_NUMBER, AS_INT};

    switch (fn->result) {
    case 'a':
        return all.kind ? all : (struct expr_type){COLUMN_NUMBER, AS_REAL};
    case 't':
        return (struct expr_type){COLUMN_TEXT, AS_REAL};
    case 'b':
        t.as = AS_BOOL;
        return t;
    case 'D':
        t.as = AS_DATE;
        return t;
    case 'r':
        t.as = AS_REAL;
        return t;
    case 'n':
        for (unsigned i = 0; i < n; i++) {
            t.as =
                args[i].type.kind == COLUMN_NUMBER && args[i].type.as == AS_REAL ? AS_REAL : t.as;
        }
        return t;
    default:
        return t;
    }
}

/* The call of a function on the last n values. */
static int call(struct parser *p, const struct expr_fn *fn, unsigned n, struct err *e)
{
    struct operand *args = p->stack + p->n - n;
    struct expr_type all = {0};
    struct expr_op op = {.op = OP_CALL, .fn = fn, .n_args = n};
    bool text = false;

    if (check_args(p, fn, args, n, &op, e) < 0 || unite_args(p, fn, args, n, &all, e) < 0) {
        regex_free(op.regex);
        return -1;
    }
    op.type = result_of(fn, args, n, all);
    text = all.kind == COLUMN_TEXT || (all.kind == 0 && fn->numbers == NULL);
    op.run = text ? fn->texts : fn->numbers;
    if (op.run == NULL) {
        regex_free(op.regex);
        return err_set(e, ERR_INVALID, "%s needs %s", fn->name, text ? "numbers" : "text");
    }
    for (unsigned i = 0; i < n && i < ARRAY_LEN(op.as); i++) {
        op.as[i] = args[i].type.as;
    }
    p->n -= n;
    return push(p, op, e);
}

static const struct expr_fn *find(struct str name)
{
    for (const struct expr_fn *f = expr_fns; f->name; f++) {
        if (str_eq_nocase(name, str_of(f->name))) {
            return f;
        }
    }
    return NULL;
}

static int call_named(struct parser *p, const char *name, unsigned n, struct err *e)
{
    return call(p, find(str_of(name)), n, e);
}

/* Whole days move dates: date + 7, date - date. All other sums are of numbers. */
static int call_sum(struct parser *p, bool minus, struct err *e)
{
    struct expr_type a = p->stack[p->n - 2].type, b = p->stack[p->n - 1].type;
    bool date = a.kind == COLUMN_NUMBER && a.as == AS_DATE;

    if (minus && date && b.kind == COLUMN_NUMBER && b.as == AS_DATE) {
        return call_named(p, "days between", 2, e);
    }
    if (date && b.kind == COLUMN_NUMBER && b.as == AS_INT) {
        return call_named(p, minus ? "days before" : "days after", 2, e);
    }
    if (is_date(a) || is_date(b)) {
        return err_set(e, ERR_INVALID,
                       "%s and %s: whole days can be added to a date; use date_diff('hour', from, "
                       "to) for the time between two",
                       type_text(a), type_text(b));
    }
    if (!minus && a.kind == COLUMN_TEXT && b.kind == COLUMN_TEXT) {
        return call_named(p, "concat", 2, e);
    }
    return call_named(p, minus ? "-" : "+", 2, e);
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

static int parse_args(struct parser *p, unsigned *n, struct err *e)
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

    for (const struct expr_fn *f = expr_fns; f->name && n < ARRAY_LEN(names); f++) {
        if (f->name[0] >= 'a' && strchr(f->name, ' ') == NULL) {
            names[n++] = f->name;
        }
    }
    near = str_nearest(name, names, n);
    return err_set(e, ERR_INVALID, "there is no function '%.*s'%s%s%s",
                   STR_ARG(str_first(name, 60)), near ? ": did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
}

static int push_column(struct parser *p, struct str name, struct err *e)
{
    const struct column *c = table_need(p->x->table, name, e);

    return c == NULL
               ? -1
               : push(p,
                      (struct expr_op){.op = OP_COLUMN,
                                       .column = c,
                                       .type = {c->kind, c->kind == COLUMN_TEXT ? AS_REAL : c->as}},
                      e);
}

static int push_number(struct parser *p, double v, enum column_kind kind, enum column_as as,
                       struct err *e)
{
    return push(p, (struct expr_op){.op = OP_NUMBER, .number = v, .type = {kind, as}}, e);
}

static int parse_name(struct parser *p, struct err *e)
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
    fn = find(name);
    if (fn == NULL) {
        return unknown_function(name, e);
    }
    return parse_args(p, &n, e) < 0 ? -1 : call(p, fn, n, e);
}

static int parse_primary(struct parser *p, struct err *e)
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
        rc = push(p,
                  (struct expr_op){
                      .op = OP_TEXT, .text = expr_unquote(t.raw), .type = {COLUMN_TEXT, AS_REAL}},
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
static int parse_comparison(struct parser *p, bool *took, struct err *e)
{
    static const char *const signs[] = {"=", "==", "!=", "<>", "<", "<=", ">", ">="};
    static const char *const fns[] = {"=", "=", "!=", "!=", "<", "<=", ">", ">="};
    bool is = is_word(p, "is"), no;
    unsigned n = 0;

    *took = true;
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (is_sign(p, signs[i])) {
            return next(p, e) < 0 || parse_level(p, LEVEL_SUM, e) < 0 ? -1
                                                                      : call_named(p, fns[i], 2, e);
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
        if (next(p, e) < 0 || call_named(p, "is_missing", 1, e) < 0) {
            return -1;
        }
    } else if (is_word(p, "in")) {
        if (next(p, e) < 0 || parse_args(p, &n, e) < 0 || call_named(p, "in", n + 1, e) < 0) {
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
            call_named(p, "between", 3, e) < 0) {
            return -1;
        }
    } else if (no) {
        return fail(p, "'in' or 'between'", e);
    } else {
        *took = false;
        return 0;
    }
    return no ? call_named(p, "not", 1, e) : 0;
}

/* A value and all operators behind it that bind at least as tightly. */
static int parse_operators(struct parser *p, unsigned level, struct err *e)
{
    for (;;) {
        bool took = false;

        if (level <= LEVEL_OR && is_word(p, "or")) {
            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_AND, e) < 0 ||
                call_named(p, "or", 2, e) < 0) {
                return -1;
            }
        } else if (level <= LEVEL_AND && is_word(p, "and")) {
            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_NOT, e) < 0 ||
                call_named(p, "and", 2, e) < 0) {
                return -1;
            }
        } else if (level <= LEVEL_SUM && (is_sign(p, "+") || is_sign(p, "-"))) {
            bool minus = is_sign(p, "-");

            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_PRODUCT, e) < 0 ||
                call_sum(p, minus, e) < 0) {
                return -1;
            }
        } else if (level <= LEVEL_PRODUCT &&
                   (is_sign(p, "*") || is_sign(p, "/") || is_sign(p, "%"))) {
            char name[2] = {p->token.raw.p[0], 0};

            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_MINUS, e) < 0 ||
                call_named(p, name, 2, e) < 0) {
                return -1;
            }
        } else if (is_sign(p, "^")) { /* 2 ^ 3 ^ 2 = 2 ^ 9 */
            took = true;
            if (next(p, e) < 0 || parse_level(p, LEVEL_MINUS, e) < 0 ||
                call_named(p, "^", 2, e) < 0) {
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

static int parse_prefix(struct parser *p, unsigned level, struct err *e)
{
    if (is_word(p, "not") && level <= LEVEL_NOT) {
        return next(p, e) < 0 || parse_level(p, LEVEL_NOT, e) < 0 ? -1 : call_named(p, "not", 1, e);
    }
    if (is_sign(p, "-")) {
        return next(p, e) < 0 || parse_level(p, LEVEL_MINUS, e) < 0 ? -1
                                                                    : call_named(p, "negate", 1, e);
    }
    return parse_primary(p, e);
}

static int parse_level(struct parser *p, unsigned level, struct err *e)
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
    SCOPED(freep) struct parser *p = xnew(struct parser);

    if (source.len > EXPR_SOURCE_BYTES || str_find_char(source, '\0') >= 0) {
        err_set(e, ERR_INVALID, "an expression has at most %d bytes and no NUL", EXPR_SOURCE_BYTES);
        return NULL;
    }
    x->table = t;
    x->ops = xnew_array(struct expr_op, EXPR_OPS);
    *p = (struct parser){.source = source, .x = x};
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
