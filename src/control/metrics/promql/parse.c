#include "promql/parse.h"
#include "base/buf.h"
#include "base/limits.h"
#include "promql/functions.h"
#include "promql/lex.h"
#include "tsdb/tsdb.h"

#include <stdlib.h>
#include <string.h>

/* Binding, from loosest to tightest. A sign binds like * and /: -2^2 is -4, -a*b is (-a)*b. */
enum { OR_LEVEL = 1, AND_LEVEL, COMPARE_LEVEL, ADD_LEVEL, MUL_LEVEL, POW_LEVEL };

static const struct {
    const char *name;
    int level;
} ops[PROMQL_OPS] = {
    [PROMQL_ADD] = {"+", ADD_LEVEL},       [PROMQL_SUB] = {"-", ADD_LEVEL},
    [PROMQL_MUL] = {"*", MUL_LEVEL},       [PROMQL_DIV] = {"/", MUL_LEVEL},
    [PROMQL_MOD] = {"%", MUL_LEVEL},       [PROMQL_POW] = {"^", POW_LEVEL},
    [PROMQL_ATAN2] = {"atan2", MUL_LEVEL}, [PROMQL_EQ] = {"==", COMPARE_LEVEL},
    [PROMQL_NE] = {"!=", COMPARE_LEVEL},   [PROMQL_GT] = {">", COMPARE_LEVEL},
    [PROMQL_LT] = {"<", COMPARE_LEVEL},    [PROMQL_GE] = {">=", COMPARE_LEVEL},
    [PROMQL_LE] = {"<=", COMPARE_LEVEL},   [PROMQL_AND] = {"and", AND_LEVEL},
    [PROMQL_OR] = {"or", OR_LEVEL},        [PROMQL_UNLESS] = {"unless", AND_LEVEL},
};

static const struct {
    const char *name;
    bool takes;
} aggregations[PROMQL_AGGREGATIONS] = {
    [PROMQL_SUM] = {"sum", false},          [PROMQL_AVG] = {"avg", false},
    [PROMQL_MIN] = {"min", false},          [PROMQL_MAX] = {"max", false},
    [PROMQL_COUNT] = {"count", false},      [PROMQL_GROUP] = {"group", false},
    [PROMQL_STDDEV] = {"stddev", false},    [PROMQL_STDVAR] = {"stdvar", false},
    [PROMQL_TOPK] = {"topk", true},         [PROMQL_BOTTOMK] = {"bottomk", true},
    [PROMQL_QUANTILE] = {"quantile", true}, [PROMQL_COUNT_VALUES] = {"count_values", true},
};

const char *promql_op_name(enum promql_op op)
{
    return ops[op].name;
}

bool promql_op_compares(enum promql_op op)
{
    return ops[op].level == COMPARE_LEVEL;
}

bool promql_op_is_set(enum promql_op op)
{
    return op == PROMQL_AND || op == PROMQL_OR || op == PROMQL_UNLESS;
}

const char *promql_aggregation_name(enum promql_aggregation a)
{
    return aggregations[a].name;
}

bool promql_aggregation_takes(enum promql_aggregation a)
{
    return aggregations[a].takes;
}

/* --- the parser --- */

struct parser {
    struct promql_lex lex;
    struct arena *arena;
    unsigned depth;
};

static struct promql_node *parse_expr(struct parser *p, int level, struct err *e);

static struct promql_node *node_new(struct parser *p, enum promql_kind kind, enum promql_type type,
                                    size_t from)
{
    struct promql_node *n = arena_new(p->arena, struct promql_node);

    n->kind = kind;
    n->type = type;
    n->from = from;
    n->to = p->lex.to;
    return n;
}

static void add_child(struct parser *p, struct promql_node *n, struct promql_node *child)
{
    if ((n->n_children & (n->n_children - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
        size_t cap = n->n_children > 0 ? n->n_children * 2 : 1;
        struct promql_node **grown = arena_new_array(p->arena, struct promql_node *, cap);

        if (n->n_children > 0) {
            memcpy(grown, n->children, n->n_children * sizeof(struct promql_node *));
        }
        n->children = grown;
    }
    n->children[n->n_children++] = child;
    n->height = child->height >= n->height ? child->height + 1 : n->height;
    n->to = child->to > n->to ? child->to : n->to;
}

static int next(struct parser *p, struct err *e)
{
    return promql_next(&p->lex, e);
}

static int unexpected(struct parser *p, const char *where, const char *expected, struct err *e)
{
    return promql_error(&p->lex, p->lex.from, e, "unexpected %s in %s%s%s",
                        promql_token_text(&p->lex), where, expected[0] ? ", expected " : "",
                        expected);
}

static int take(struct parser *p, enum promql_token token, const char *where, const char *expected,
                struct err *e)
{
    if (p->lex.token != token) {
        return unexpected(p, where, expected, e);
    }
    return next(p, e);
}

static bool at_word(const struct parser *p, const char *word)
{
    return p->lex.token == TOKEN_NAME && str_eq_nocase(p->lex.word, str_of(word));
}

static void add_name(struct parser *p, struct promql_names *names, struct str name)
{
    if ((names->len & (names->len - 1)) == 0) {
        struct str *grown =
            arena_new_array(p->arena, struct str, names->len > 0 ? names->len * 2 : 1);

        if (names->len > 0) {
            memcpy(grown, names->p, names->len * sizeof(struct str));
        }
        names->p = grown;
    }
    names->p[names->len++] = name;
}

/* "(a, b,)" */
static int parse_labels(struct parser *p, struct promql_names *out, struct err *e)
{
    if (take(p, TOKEN_LEFT_PAREN, "grouping opts", "\"(\"", e) < 0) {
        return -1;
    }
    while (p->lex.token != TOKEN_RIGHT_PAREN) {
        struct promql_lex *l = &p->lex;
        bool is_name = l->token == TOKEN_NAME || l->token == TOKEN_STRING ||
                       (l->token == TOKEN_OPERATOR && l->word.len > 0);

        if (!is_name || l->word.len == 0 || str_find_char(l->word, '\0') >= 0 ||
            (l->token == TOKEN_NAME && str_find_char(l->word, ':') >= 0)) {
            return unexpected(p, "grouping opts", "label", e);
        }
        add_name(p, out, l->word);
        if (next(p, e) < 0) {
            return -1;
        }
        if (p->lex.token == TOKEN_COMMA) {
            if (next(p, e) < 0) {
                return -1;
            }
        } else if (p->lex.token != TOKEN_RIGHT_PAREN) {
            return unexpected(p, "grouping opts", "\",\" or \")\"", e);
        }
    }
    return next(p, e);
}

/* --- selectors --- */

static int add_matcher(struct parser *p, struct promql_node *n, struct str name,
                       enum label_match op, struct str value, size_t at, struct err *e)
{
    struct err why;

    if ((n->n_matchers & (n->n_matchers - 1)) == 0) {
        size_t cap = n->n_matchers > 0 ? n->n_matchers * 2 : 1;
        struct label_matcher *grown = arena_new_array(p->arena, struct label_matcher, cap);

        if (n->n_matchers > 0) {
            memcpy(grown, n->matchers, n->n_matchers * sizeof(struct label_matcher));
        }
        n->matchers = grown;
    }
    if (label_matcher_init(&n->matchers[n->n_matchers], p->arena, name, op, value, &why) < 0) {
        return promql_error(&p->lex, at, e, "%s", why.msg);
    }
    n->n_matchers++;
    return 0;
}

static int set_name(struct parser *p, struct promql_node *n, struct str name, size_t at,
                    struct err *e)
{
    bool named = n->has_name;

    for (size_t i = 0; i < n->n_matchers; i++) {
        named = named || str_eq(n->matchers[i].name, STR(LABEL_NAME));
    }
    if (named) {
        return promql_error(&p->lex, at, e,
                            "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                            STR_ARG(n->name), STR_ARG(name));
    }
    n->has_name = true;
    n->name = name;
    return add_matcher(p, n, STR(LABEL_NAME), LABEL_IS, name, at, e);
}

static int parse_matcher(struct parser *p, struct promql_node *n, struct err *e)
{
    struct promql_lex *l = &p->lex;
    struct str name = l->word;
    enum label_match match = LABEL_IS;
    bool quoted = l->token == TOKEN_STRING;
    size_t at = l->from;

    if ((l->token != TOKEN_NAME && !quoted) || l->word.len == 0) {
        return unexpected(p, "label matching", "identifier or \"}\"", e);
    }
    if (next(p, e) < 0) {
        return -1;
    }
    if (quoted && (l->token == TOKEN_COMMA || l->token == TOKEN_RIGHT_BRACE)) {
        return set_name(p, n, name, at, e);
    }
    switch (l->token) {
    case TOKEN_ASSIGN:
        match = LABEL_IS;
        break;
    case TOKEN_LIKE:
        match = LABEL_LIKE;
        break;
    case TOKEN_NOT_LIKE:
        match = LABEL_NOT_LIKE;
        break;
    default:
        if (l->token != TOKEN_OPERATOR || l->op != PROMQL_NE) {
            return unexpected(p, "label matching", "label matching operator", e);
        }
        match = LABEL_IS_NOT;
    }
    if (next(p, e) < 0) {
        return -1;
    }
    if (l->token != TOKEN_STRING) {
        return unexpected(p, "label matching", "string", e);
    }
    if (add_matcher(p, n, name, match, l->word, at, e) < 0) {
        return -1;
    }
    if (n->has_name && str_eq(name, STR(LABEL_NAME))) {
        return promql_error(l, at, e, "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                            STR_ARG(n->name), STR_ARG(l->word));
    }
    return next(p, e);
}

static int parse_braces(struct parser *p, struct promql_node *n, struct err *e)
{
    if (next(p, e) < 0) {
        return -1;
    }
    while (p->lex.token != TOKEN_RIGHT_BRACE) {
        if (parse_matcher(p, n, e) < 0) {
            return -1;
        }
        if (p->lex.token == TOKEN_COMMA) {
            if (next(p, e) < 0) {
                return -1;
            }
        } else if (p->lex.token != TOKEN_RIGHT_BRACE) {
            return unexpected(p, "label matching", "\",\" or \"}\"", e);
        }
    }
    n->to = p->lex.to;
    return next(p, e);
}

/* A selector whose name, when it has one outside of braces, was read already. */
static struct promql_node *parse_selector(struct parser *p, struct str name, size_t from, size_t to,
                                          struct err *e)
{
    struct promql_node *n = node_new(p, PROMQL_SELECTOR, PROMQL_VECTOR, from);

    n->to = to;
    if (name.len > 0 && set_name(p, n, name, from, e) < 0) {
        return NULL;
    }
    if (p->lex.token == TOKEN_LEFT_BRACE && parse_braces(p, n, e) < 0) {
        return NULL;
    }
    return n;
}

/* --- calls and aggregations --- */

/* "(a, b)": into the children of `n`. */
static int parse_arguments(struct parser *p, struct promql_node *n, const char *where,
                           struct err *e)
{
    size_t open = p->lex.from;

    if (take(p, TOKEN_LEFT_PAREN, where, "\"(\"", e) < 0) {
        return -1;
    }
    while (p->lex.token != TOKEN_RIGHT_PAREN) {
        struct promql_node *arg = parse_expr(p, OR_LEVEL, e);

        if (arg == NULL) {
            return -1;
        }
        add_child(p, n, arg);
        if (p->lex.token == TOKEN_COMMA) {
            if (next(p, e) < 0) {
                return -1;
            }
            if (p->lex.token == TOKEN_RIGHT_PAREN) {
                return promql_error(&p->lex, p->lex.from, e,
                                    "trailing commas not allowed in function call args");
            }
        } else if (p->lex.token == TOKEN_END) {
            return promql_error(&p->lex, open, e, "unclosed left parenthesis");
        } else if (p->lex.token != TOKEN_RIGHT_PAREN) {
            return unexpected(p, where, "\",\" or \")\"", e);
        }
    }
    n->to = p->lex.to;
    return next(p, e);
}

static int parse_grouping(struct parser *p, struct promql_node *n, struct err *e)
{
    n->without = at_word(p, "without");
    if (next(p, e) < 0 || parse_labels(p, &n->grouping, e) < 0) {
        return -1;
    }
    return 0;
}

static struct promql_node *parse_aggregation(struct parser *p, enum promql_aggregation a,
                                             size_t from, struct err *e)
{
    struct promql_node *n = node_new(p, PROMQL_AGGREGATE, PROMQL_VECTOR, from), *parameter;
    size_t wanted = aggregations[a].takes ? 2 : 1;
    bool has_grouping = at_word(p, "by") || at_word(p, "without");

    n->aggregation = a;
    if ((has_grouping && parse_grouping(p, n, e) < 0) ||
        parse_arguments(p, n, "aggregation", e) < 0) {
        return NULL;
    }
    if (!has_grouping && (at_word(p, "by") || at_word(p, "without"))) {
        if (parse_grouping(p, n, e) < 0) {
            return NULL;
        }
    }
    if (n->n_children != wanted) {
        (void)promql_error(
            &p->lex, n->from, e,
            "wrong number of arguments for aggregate expression provided, expected %zu, got %zu",
            wanted, n->n_children);
        return NULL;
    }
    if (wanted == 2) { /* the expression first, as everywhere in the tree */
        parameter = n->children[0];
        n->children[0] = n->children[1];
        n->children[1] = parameter;
    }
    return n;
}

static struct promql_node *parse_call(struct parser *p, struct str name, size_t from, struct err *e)
{
    const struct promql_function *f = promql_function_find(name);
    struct promql_node *n;

    if (f == NULL) {
        (void)promql_error(&p->lex, from, e, "unknown function with name \"%.*s\"",
                           (int)(name.len < 80 ? name.len : 80), name.p);
        return NULL;
    }
    n = node_new(p, PROMQL_CALL, f->returns, from);
    n->function = f;
    return parse_arguments(p, n, "function call", e) < 0 ? NULL : n;
}

/* What begins with a name: a selector, a call or an aggregation. */
static struct promql_node *parse_name(struct parser *p, struct err *e)
{
    struct str name = p->lex.word;
    size_t from = p->lex.from, to = p->lex.to;
    bool opens;

    if (next(p, e) < 0) {
        return NULL;
    }
    opens = p->lex.token == TOKEN_LEFT_PAREN;
    for (unsigned a = 0; a < PROMQL_AGGREGATIONS; a++) {
        if (str_eq_nocase(name, str_of(aggregations[a].name)) &&
            (opens || at_word(p, "by") || at_word(p, "without"))) {
            return parse_aggregation(p, (enum promql_aggregation)a, from, e);
        }
    }
    return opens ? parse_call(p, name, from, e) : parse_selector(p, name, from, to, e);
}

/* --- what stands behind an expression --- */

/* 292 years, as in Prometheus: however deep they are nested, no sum of them overflows. */
#define DURATION_MAX (INT64_MAX / 1000000)

static int duration(struct parser *p, const char *where, int64_t *ms, struct err *e)
{
    double v = p->lex.number * 1000;

    if (p->lex.token != TOKEN_DURATION && p->lex.token != TOKEN_NUMBER) {
        return unexpected(p, where, "number or duration", e);
    }
    if (!(v >= -(double)TSDB_TIME_MAX && v <= (double)TSDB_TIME_MAX)) {
        return promql_error(&p->lex, p->lex.from, e, "duration out of range");
    }
    *ms = p->lex.token == TOKEN_DURATION ? p->lex.ms : (int64_t)v;
    return next(p, e);
}

static int signed_duration(struct parser *p, const char *where, int64_t *ms, struct err *e)
{
    bool minus = p->lex.token == TOKEN_OPERATOR && p->lex.op == PROMQL_SUB;

    if ((minus || (p->lex.token == TOKEN_OPERATOR && p->lex.op == PROMQL_ADD)) && next(p, e) < 0) {
        return -1;
    }
    size_t at = p->lex.from;

    if (duration(p, where, ms, e) < 0) {
        return -1;
    }
    *ms = minus ? -*ms : *ms;
    if (where[0] != '@' && (*ms < -DURATION_MAX || *ms > DURATION_MAX)) {
        return promql_error(&p->lex, at, e, "duration out of range");
    }
    return 0;
}

/* Where offset and @ of `n` are kept; NULL where none may stand. */
static struct promql_node *shifted(struct promql_node *n)
{
    return n->kind == PROMQL_RANGE                                    ? n->children[0]
           : n->kind == PROMQL_SELECTOR || n->kind == PROMQL_SUBQUERY ? n
                                                                      : NULL;
}

static int parse_offset(struct parser *p, struct promql_node *n, struct err *e)
{
    struct promql_node *to = shifted(n);
    size_t at = p->lex.from;

    if (to == NULL) {
        return promql_error(
            &p->lex, n->from, e,
            "offset modifier must be preceded by an instant vector selector or range "
            "vector selector or a subquery");
    }
    if (to->offset_ms != 0) {
        return promql_error(&p->lex, at, e, "offset may not be set multiple times");
    }
    if (next(p, e) < 0 || signed_duration(p, "offset", &to->offset_ms, e) < 0) {
        return -1;
    }
    return 0;
}

static int parse_at(struct parser *p, struct promql_node *n, struct err *e)
{
    struct promql_node *to = shifted(n);
    bool start;

    if (to == NULL) {
        return promql_error(
            &p->lex, n->from, e,
            "@ modifier must be preceded by an instant vector selector or range vector "
            "selector or a subquery");
    }
    if (to->at != PROMQL_AT_NONE) {
        return promql_error(&p->lex, p->lex.from, e, "@ <timestamp> may not be set multiple times");
    }
    if (next(p, e) < 0) {
        return -1;
    }
    start = at_word(p, "start");
    if (start || at_word(p, "end")) {
        to->at = start ? PROMQL_AT_START : PROMQL_AT_END;
        return next(p, e) < 0 || take(p, TOKEN_LEFT_PAREN, "@", "\"(\"", e) < 0
                   ? -1
                   : take(p, TOKEN_RIGHT_PAREN, "@", "\")\"", e);
    }
    to->at = PROMQL_AT_TIME;
    return signed_duration(p, "@", &to->at_ms, e);
}

/* "[5m]", "[1h:5m]", "[1h:]" */
static struct promql_node *parse_range(struct parser *p, struct promql_node *n, struct err *e)
{
    size_t open = p->lex.from;
    struct promql_node *r;
    int64_t range_ms, step_ms = 0;
    bool is_subquery;

    if (next(p, e) < 0 || signed_duration(p, "range", &range_ms, e) < 0) {
        return NULL;
    }
    is_subquery = p->lex.token == TOKEN_COLON;
    if (is_subquery) {
        if (next(p, e) < 0) {
            return NULL;
        }
        if (p->lex.token != TOKEN_RIGHT_BRACKET) {
            if (signed_duration(p, "subquery", &step_ms, e) < 0) {
                return NULL;
            }
            if (step_ms <= 0) {
                (void)promql_error(&p->lex, open, e, "duration must be greater than 0");
                return NULL;
            }
        }
    }
    if (range_ms <= 0) {
        (void)promql_error(&p->lex, open, e, "duration must be greater than 0");
        return NULL;
    }
    if (!is_subquery && n->kind != PROMQL_SELECTOR) {
        (void)promql_error(&p->lex, n->from, e, "ranges only allowed for vector selectors");
        return NULL;
    }
    if (!is_subquery && (n->offset_ms != 0 || n->at != PROMQL_AT_NONE)) {
        (void)promql_error(&p->lex, n->from, e, "no %s modifiers allowed before range",
                           n->offset_ms != 0 ? "offset" : "@");
        return NULL;
    }
    r = node_new(p, is_subquery ? PROMQL_SUBQUERY : PROMQL_RANGE, PROMQL_MATRIX, n->from);
    r->range_ms = range_ms;
    r->step_ms = step_ms;
    add_child(p, r, n);
    return take(p, TOKEN_RIGHT_BRACKET, "range", "\"]\"", e) < 0 ? NULL : r;
}

static bool is_low(struct parser *p, const struct promql_node *n, struct err *e)
{
    if (n->height > LIMIT_QUERY_HEIGHT) {
        (void)promql_error(&p->lex, p->lex.from, e, "more than %d operations in a row",
                           LIMIT_QUERY_HEIGHT);
    }
    return n->height <= LIMIT_QUERY_HEIGHT;
}

static struct promql_node *parse_behind(struct parser *p, struct promql_node *n, struct err *e)
{
    while (n != NULL && is_low(p, n, e)) { /* [1h:][1h:][1h:]... nests as well */
        if (p->lex.token == TOKEN_LEFT_BRACKET) {
            n = parse_range(p, n, e);
        } else if (at_word(p, "offset")) {
            n = parse_offset(p, n, e) < 0 ? NULL : n;
        } else if (p->lex.token == TOKEN_AT) {
            n = parse_at(p, n, e) < 0 ? NULL : n;
        } else {
            return n;
        }
    }
    return NULL;
}

/* --- expressions --- */

static struct promql_node *parse_paren(struct parser *p, struct err *e)
{
    size_t open = p->lex.from;
    struct promql_node *n, *inner;

    if (next(p, e) < 0 || (inner = parse_expr(p, OR_LEVEL, e)) == NULL) {
        return NULL;
    }
    if (p->lex.token == TOKEN_END) {
        (void)promql_error(&p->lex, open, e, "unclosed left parenthesis");
        return NULL;
    }
    n = node_new(p, PROMQL_PAREN, inner->type, open);
    add_child(p, n, inner);
    n->to = p->lex.to;
    return take(p, TOKEN_RIGHT_PAREN, "parenthesis", "\")\"", e) < 0 ? NULL : n;
}

static struct promql_node *parse_sign(struct parser *p, struct err *e)
{
    bool minus = p->lex.op == PROMQL_SUB;
    size_t from = p->lex.from;
    struct promql_node *n, *inner;

    if (next(p, e) < 0 || (inner = parse_expr(p, POW_LEVEL, e)) == NULL) {
        return NULL;
    }
    if (inner->kind == PROMQL_NUMBER) {
        inner->number = minus ? -inner->number : inner->number;
        inner->from = from;
        return inner;
    }
    if (inner->type != PROMQL_SCALAR && inner->type != PROMQL_VECTOR) {
        (void)promql_error(&p->lex, from, e,
                           "unary expression only allowed on expressions of type scalar or instant "
                           "vector, got \"%s\"",
                           promql_type_name(inner->type));
        return NULL;
    }
    n = node_new(p, PROMQL_UNARY, inner->type, from);
    n->op = minus ? PROMQL_SUB : PROMQL_ADD;
    add_child(p, n, inner);
    return n;
}

static struct promql_node *parse_primary(struct parser *p, struct err *e)
{
    struct promql_lex *l = &p->lex;
    struct promql_node *n = NULL;

    switch (l->token) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
        n = node_new(p, PROMQL_NUMBER, PROMQL_SCALAR, l->from);
        n->number = l->number;
        n->is_seconds = l->token == TOKEN_DURATION;
        return next(p, e) < 0 ? NULL : n;
    case TOKEN_STRING:
        n = node_new(p, PROMQL_TEXT, PROMQL_STRING, l->from);
        n->text = l->word;
        return next(p, e) < 0 ? NULL : n;
    case TOKEN_NAME:
        return parse_name(p, e);
    case TOKEN_LEFT_BRACE:
        return parse_selector(p, STR_EMPTY, l->from, l->to, e);
    case TOKEN_LEFT_PAREN:
        return parse_paren(p, e);
    case TOKEN_END:
        (void)promql_error(l, l->from, e,
                           l->text.len == 0 || l->from == 0 ? "no expression found in input"
                                                            : "unexpected end of input");
        return NULL;
    default:
        (void)promql_error(l, l->from, e, "unexpected %s", promql_token_text(l));
        return NULL;
    }
}

/* "bool", "on (a)", "ignoring (a) group_left (b)" */
static int parse_matching(struct parser *p, struct promql_node *n, struct err *e)
{
    bool left;

    n->card = promql_op_is_set(n->op) ? PROMQL_MANY_TO_MANY : PROMQL_ONE_TO_ONE;
    if (at_word(p, "bool")) {
        n->returns_bool = true;
        if (!promql_op_compares(n->op)) {
            return promql_error(&p->lex, p->lex.from, e,
                                "bool modifier can only be used on comparison operators");
        }
        if (next(p, e) < 0) {
            return -1;
        }
    }
    if (!at_word(p, "on") && !at_word(p, "ignoring")) {
        return 0;
    }
    n->has_matching = true;
    n->on = at_word(p, "on");
    if (next(p, e) < 0 || parse_labels(p, &n->matching, e) < 0) {
        return -1;
    }
    left = at_word(p, "group_left");
    if (!left && !at_word(p, "group_right")) {
        return 0;
    }
    if (promql_op_is_set(n->op)) {
        return promql_error(&p->lex, p->lex.from, e, "no grouping allowed for \"%s\" operation",
                            ops[n->op].name);
    }
    n->card = left ? PROMQL_MANY_TO_ONE : PROMQL_ONE_TO_MANY;
    if (next(p, e) < 0) {
        return -1;
    }
    return p->lex.token == TOKEN_LEFT_PAREN ? parse_labels(p, &n->include, e) : 0;
}

static struct promql_node *parse_binary(struct parser *p, struct promql_node *left, struct err *e)
{
    enum promql_op op = p->lex.op;
    struct promql_node *n = node_new(p, PROMQL_BINARY, PROMQL_VECTOR, left->from), *right;

    n->op = op;
    if (next(p, e) < 0 || parse_matching(p, n, e) < 0) {
        return NULL;
    }
    /* ^ is right-associative, all others are left-associative. */
    right = parse_expr(p, op == PROMQL_POW ? POW_LEVEL : ops[op].level + 1, e);
    if (right == NULL) {
        return NULL;
    }
    add_child(p, n, left);
    add_child(p, n, right);
    n->type =
        left->type == PROMQL_SCALAR && right->type == PROMQL_SCALAR ? PROMQL_SCALAR : PROMQL_VECTOR;
    return n;
}

static struct promql_node *parse_expr(struct parser *p, int level, struct err *e)
{
    struct promql_node *n;

    if (++p->depth > LIMIT_QUERY_DEPTH) {
        (void)promql_error(&p->lex, p->lex.from, e, "more than %d levels of nesting",
                           LIMIT_QUERY_DEPTH);
        return NULL;
    }
    if (p->lex.token == TOKEN_OPERATOR && (p->lex.op == PROMQL_SUB || p->lex.op == PROMQL_ADD) &&
        p->lex.word.len == 0) {
        n = parse_sign(p, e);
    } else {
        n = parse_primary(p, e);
        n = n != NULL ? parse_behind(p, n, e) : NULL;
    }
    while (n != NULL && p->lex.token == TOKEN_OPERATOR && ops[p->lex.op].level >= level) {
        n = parse_binary(p, n, e);
        n = n != NULL && is_low(p, n, e) ? n : NULL;
    }
    p->depth--;
    return n;
}

struct promql_node *promql_parse(struct arena *a, struct str text, struct err *e)
{
    struct parser p = {.lex = {.text = text, .arena = a}, .arena = a};
    struct promql_node *n;

    if (text.len > LIMIT_QUERY_BYTES) {
        (void)err_set(e, ERR_LIMIT, "the query has %zu bytes; at most %d are taken", text.len,
                      (int)LIMIT_QUERY_BYTES);
        return NULL;
    }
    if (next(&p, e) < 0 || (n = parse_expr(&p, OR_LEVEL, e)) == NULL) {
        return NULL;
    }
    if (p.lex.token != TOKEN_END) {
        (void)promql_error(&p.lex, p.lex.from, e, "unexpected %s", promql_token_text(&p.lex));
        return NULL;
    }
    return promql_check(&p.lex, n, e) < 0 ? NULL : n;
}

struct promql_node *promql_parse_selector(struct arena *a, struct str text, struct err *e)
{
    struct promql_node *n = promql_parse(a, text, e);

    if (n != NULL && (n->kind != PROMQL_SELECTOR || n->offset_ms != 0 || n->at != PROMQL_AT_NONE)) {
        (void)err_set(e, ERR_INVALID,
                      "1:1: parse error: expected a selector, as in up{job=\"node\"}");
        return NULL;
    }
    return n;
}
