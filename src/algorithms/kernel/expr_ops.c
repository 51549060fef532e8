#include "algorithms/kernel/expr_ops.h"

#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

int expr_push(struct expr_parser *p, struct expr_op op, struct err *e)
{
    struct expr *x = p->x;

    if (x->n_ops == EXPR_OPS || p->n == ARRAY_LEN(p->stack)) {
        free(op.text);
        regex_free(op.regex);
        return err_set(e, ERR_INVALID, "the expression is too long: split it into several columns");
    }
    x->ops[x->n_ops] = op;
    p->stack[p->n++] = (struct expr_operand){op.type, x->n_ops++};
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
static int as_literal(struct expr_parser *p, struct expr_operand *o, enum column_as as,
                      struct err *e)
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

static int find_unit(struct expr_parser *p, const struct expr_operand *o, unsigned *unit,
                     struct err *e)
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
static int unite_args(struct expr_parser *p, const struct expr_fn *fn, struct expr_operand *args,
                      unsigned n, struct expr_type *all, struct err *e)
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

static int find_pattern(struct expr_parser *p, const struct expr_operand *o, struct regex **regex,
                        struct err *e)
{
    const struct expr_op *op = &p->x->ops[o->op];

    if (op->op != OP_TEXT) {
        return err_set(e, ERR_INVALID, "a pattern is a text in quotes: regex_match(name, '^A')");
    }
    *regex = regex_new(str_of(op->text), e);
    return *regex ? 0 : -1;
}

static int check_args(struct expr_parser *p, const struct expr_fn *fn, struct expr_operand *args,
                      unsigned n, struct expr_op *call, struct err *e)
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

static struct expr_type result_of(const struct expr_fn *fn, const struct expr_operand *args,
                                  unsigned n, struct expr_type all)
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
int expr_call(struct expr_parser *p, const struct expr_fn *fn, unsigned n, struct err *e)
{
    struct expr_operand *args = p->stack + p->n - n;
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
    return expr_push(p, op, e);
}

const struct expr_fn *expr_find(struct str name)
{
    for (const struct expr_fn *const *table = expr_fns; *table; table++) {
        for (const struct expr_fn *f = *table; f->name; f++) {
            if (str_eq_nocase(name, str_of(f->name))) {
                return f;
            }
        }
    }
    return NULL;
}

int expr_call_named(struct expr_parser *p, const char *name, unsigned n, struct err *e)
{
    const struct expr_fn *fn = expr_find(str_of(name));

    return fn ? expr_call(p, fn, n, e) : err_set(e, ERR_INTERNAL, "%s: not found", name);
}

/* Whole days move dates: date + 7, date - date. All other sums are of numbers. */
int expr_call_sum(struct expr_parser *p, bool minus, struct err *e)
{
    struct expr_type a = p->stack[p->n - 2].type, b = p->stack[p->n - 1].type;
    bool date = a.kind == COLUMN_NUMBER && a.as == AS_DATE;

    if (minus && date && b.kind == COLUMN_NUMBER && b.as == AS_DATE) {
        return expr_call_named(p, "days between", 2, e);
    }
    if (date && b.kind == COLUMN_NUMBER && b.as == AS_INT) {
        return expr_call_named(p, minus ? "days before" : "days after", 2, e);
    }
    if (is_date(a) || is_date(b)) {
        return err_set(e, ERR_INVALID,
                       "%s and %s: whole days can be added to a date; use date_diff('hour', from, "
                       "to) for the time between two",
                       type_text(a), type_text(b));
    }
    if (!minus && a.kind == COLUMN_TEXT && b.kind == COLUMN_TEXT) {
        return expr_call_named(p, "concat", 2, e);
    }
    return expr_call_named(p, minus ? "-" : "+", 2, e);
}
