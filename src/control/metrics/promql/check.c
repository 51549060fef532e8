#include "promql/functions.h"
#include "promql/lex.h"
#include "promql/parse.h"

#include <string.h>

const char *promql_type_name(enum promql_type t)
{
    static const char *const names[] = {"none", "scalar", "instant vector", "range vector",
                                        "string"};

    return names[t];
}

static int expect(const struct promql_lex *l, const struct promql_node *n, enum promql_type t,
                  const char *where, struct err *e)
{
    if (n->type != t) {
        return promql_error(l, n->from, e, "expected type %s in %s, got %s", promql_type_name(t),
                            where, promql_type_name(n->type));
    }
    return 0;
}

static int check_call(const struct promql_lex *l, const struct promql_node *n, struct err *e)
{
    const struct promql_function *f = n->function;
    size_t least = f->n_args - f->n_optional;

    if (n->n_children < least || (n->n_children > f->n_args && !f->any_more)) {
        bool few = n->n_children < least;

        return promql_error(l, n->from, e, "expected %s%zu argument(s) in call to \"%s\", got %zu",
                            f->n_optional == 0 && !f->any_more ? ""
                            : few                              ? "at least "
                                                               : "at most ",
                            few ? least : (size_t)f->n_args, f->name, n->n_children);
    }
    if (f->histograms) {
        return promql_error(
            l, n->from, e,
            "%s is about native histograms, which are not stored here; classic ones "
            "have _bucket, _sum and _count",
            f->name);
    }
    for (size_t i = 0; i < n->n_children; i++) {
        enum promql_type t = f->args[i < f->n_args ? i : f->n_args - 1];

        if (expect(l, n->children[i], t, arena_printf(l->arena, "call to function \"%s\"", f->name),
                   e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int check_aggregation(const struct promql_lex *l, const struct promql_node *n, struct err *e)
{
    if (expect(l, n->children[0], PROMQL_VECTOR, "aggregation expression", e) < 0) {
        return -1;
    }
    return n->n_children < 2
               ? 0
               : expect(l, n->children[1],
                        n->aggregation == PROMQL_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR,
                        "aggregation parameter", e);
}

static bool has_name(const struct promql_names *names, struct str name)
{
    for (size_t i = 0; i < names->len; i++) {
        if (str_eq(names->p[i], name)) {
            return true;
        }
    }
    return false;
}

/* Where the operator stands. */
static size_t operator_at(const struct promql_lex *l, const struct promql_node *n)
{
    size_t at = n->children[0]->to;

    while (at < l->text.len && strchr(" \t\r\n", l->text.p[at]) != NULL) {
        at++;
    }
    return at;
}

static int check_binary(const struct promql_lex *l, const struct promql_node *n, struct err *e)
{
    const struct promql_node *a = n->children[0], *b = n->children[1];
    bool scalars = a->type == PROMQL_SCALAR && b->type == PROMQL_SCALAR;
    bool vectors = a->type == PROMQL_VECTOR && b->type == PROMQL_VECTOR;

    for (int i = 0; i < 2; i++) {
        if (n->children[i]->type != PROMQL_SCALAR && n->children[i]->type != PROMQL_VECTOR) {
            return promql_error(
                l, n->children[i]->from, e,
                "binary expression must contain only scalar and instant vector types");
        }
    }
    if (scalars && promql_op_compares(n->op) && !n->returns_bool) {
        return promql_error(l, operator_at(l, n), e,
                            "comparisons between scalars must use BOOL modifier");
    }
    if (promql_op_is_set(n->op) && !vectors) {
        return promql_error(l, n->from, e,
                            "set operator \"%s\" not allowed in binary scalar expression",
                            promql_op_name(n->op));
    }
    if (n->has_matching && !vectors && (n->matching.len > 0 || n->card > PROMQL_ONE_TO_ONE)) {
        return promql_error(l, n->from, e, "vector matching only allowed between instant vectors");
    }
    for (size_t i = 0; n->on && i < n->include.len; i++) {
        if (has_name(&n->matching, n->include.p[i])) {
            return promql_error(l, operator_at(l, n), e,
                                "label \"%.*s\" must not occur in ON and GROUP clause at once",
                                STR_ARG(n->include.p[i]));
        }
    }
    return 0;
}

static int check_selector(const struct promql_lex *l, const struct promql_node *n, struct err *e)
{
    for (size_t i = 0; i < n->n_matchers; i++) {
        if (label_matcher_match(&n->matchers[i], STR_EMPTY, e) == 0) {
            return 0; /* not every series: those that lack the label are left out */
        }
    }
    return promql_error(l, n->from, e,
                        "vector selector must contain at least one non-empty matcher");
}

int promql_check(const struct promql_lex *l, struct promql_node *n, struct err *e)
{
    for (size_t i = 0; i < n->n_children; i++) {
        if (promql_check(l, n->children[i], e) < 0) {
            return -1;
        }
    }
    switch (n->kind) {
    case PROMQL_CALL:
        return check_call(l, n, e);
    case PROMQL_AGGREGATE:
        return check_aggregation(l, n, e);
    case PROMQL_BINARY:
        return check_binary(l, n, e);
    case PROMQL_SELECTOR:
        return check_selector(l, n, e);
    case PROMQL_SUBQUERY:
        return n->children[0]->type == PROMQL_VECTOR || n->children[0]->type == PROMQL_SCALAR
                   ? 0
                   : promql_error(l, n->from, e,
                                  "subquery is only allowed on instant vector, got %s instead",
                                  promql_type_name(n->children[0]->type));
    default:
        return 0;
    }
}
