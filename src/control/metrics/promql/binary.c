/* binary - operators between vectors, and between vectors and numbers. Series of both sides are
 * sorted into groups once, by the labels that must be equal; what matches is then looked at step by
 * step, as series come and go. */
#include "promql/eval.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double eval_arithmetic(enum promql_op op, double a, double b)
{
    switch (op) {
    case PROMQL_ADD:
        return a + b;
    case PROMQL_SUB:
        return a - b;
    case PROMQL_MUL:
        return a * b;
    case PROMQL_DIV:
        return a / b;
    case PROMQL_MOD:
        return fmod(a, b);
    case PROMQL_POW:
        return pow(a, b);
    default:
        return atan2(a, b);
    }
}

bool eval_compare(enum promql_op op, double a, double b)
{
    switch (op) {
    case PROMQL_EQ:
        return a == b;
    case PROMQL_NE:
        return a != b;
    case PROMQL_GT:
        return a > b;
    case PROMQL_LT:
        return a < b;
    case PROMQL_GE:
        return a >= b;
    default:
        return a <= b;
    }
}

/* What the operator makes of two values; `kept` is what a comparison lets through. */
static double combine(const struct promql_node *n, double a, double b, double kept)
{
    if (!promql_op_compares(n->op)) {
        return eval_arithmetic(n->op, a, b);
    }
    if (n->returns_bool) {
        return eval_compare(n->op, a, b) ? 1 : 0;
    }
    return eval_compare(n->op, a, b) ? kept : tsdb_stale();
}

/* As in Prometheus, where atan2 keeps it. */
static bool drops_name(const struct promql_node *n)
{
    return n->returns_bool || !(promql_op_compares(n->op) || n->op == PROMQL_ATAN2);
}

static bool has_value(const struct eval *ev, const double *v)
{
    for (size_t k = 0; k < ev->steps; k++) {
        if (!tsdb_is_stale(v[k])) {
            return true;
        }
    }
    return false;
}

/* --- a vector and a number --- */

struct mixed {
    struct eval *ev;
    const struct promql_node *node;
    bool number_first;
    double *number, *v;
    struct eval_table *table;
};

static int tell_mixed(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct mixed *m = ctx;

    for (size_t k = 0; k < m->ev->steps; k++) {
        m->v[k] = tsdb_is_stale(v[k]) ? v[k]
                  : m->number_first   ? combine(m->node, m->number[k], v[k], v[k])
                                      : combine(m->node, v[k], m->number[k], v[k]);
    }
    if (!has_value(m->ev, m->v)) {
        return 0;
    }
    return eval_table_tell(
        m->table, drops_name(m->node) ? eval_without_name(m->ev->query->arena, labels) : labels,
        m->v, e);
}

static int with_number(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                       struct err *e)
{
    bool first = n->children[0]->type == PROMQL_SCALAR;
    struct eval_table t = {.ev = ev};
    struct mixed m = {ev, n, first, eval_take(ev, ev->steps, e), NULL, &t};
    int result = -1;

    m.v = m.number != NULL ? eval_take(ev, ev->steps, e) : NULL;
    if (m.v != NULL && eval_scalar(ev, n->children[first ? 0 : 1], m.number, e) == 0) {
        result = eval_vector(ev, n->children[first ? 1 : 0], (struct eval_sink){tell_mixed, &m}, e);
    }
    result = result < 0 ? -1 : eval_table_tell_all(&t, out, e);
    eval_table_done(&t);
    eval_give(ev, m.number, ev->steps);
    eval_give(ev, m.v, ev->steps);
    return result;
}

/* --- two vectors --- */

struct side {
    struct eval_table all;
    size_t *group; /* of each series, from 1 */
};

struct matching {
    struct eval *ev;
    const struct promql_node *node;
    struct side left, right;
    struct map groups;
    size_t n_groups;
    struct labels *labels; /* of each group: what must be equal */
};

static void sort_side(struct matching *m, struct side *s)
{
    const struct promql_node *n = m->node;
    struct arena *a = m->ev->query->arena;
    struct buf key =
        BUF_MAX(LIMIT_SERIES_LABELS * (LIMIT_LABEL_NAME_BYTES + LIMIT_LABEL_VALUE_BYTES));

    s->group = xnew_array(size_t, s->all.len + 1);
    for (size_t i = 0; i < s->all.len; i++) {
        struct labels equal = n->on ? eval_only(a, s->all.p[i].labels, &n->matching)
                                    : eval_without(a, s->all.p[i].labels, &n->matching);
        struct str k = eval_key(equal, &key);

        s->group[i] = (size_t)(uintptr_t)map_get(&m->groups, k);
        if (s->group[i] == 0) {
            m->labels[m->n_groups] = equal;
            s->group[i] = ++m->n_groups;
            (void)map_put(&m->groups, k, (void *)(uintptr_t)s->group[i]);
        }
    }
    buf_done(&key);
}

static int fill_sides(struct matching *m, struct err *e)
{
    if (eval_table_fill(m->ev, m->node->children[0], &m->left.all, e) < 0 ||
        eval_table_fill(m->ev, m->node->children[1], &m->right.all, e) < 0) {
        return -1;
    }
    m->labels =
        arena_new_array(m->ev->query->arena, struct labels, m->left.all.len + m->right.all.len + 1);
    sort_side(m, &m->left);
    sort_side(m, &m->right);
    return 0;
}

static void matching_done(struct matching *m)
{
    eval_table_done(&m->left.all);
    eval_table_done(&m->right.all);
    free(m->left.group);
    free(m->right.group);
    map_done(&m->groups);
}

/* "{a="1", b="2"}", for messages. */
static const char *shown(struct arena *a, struct labels s)
{
    struct buf b = BUF_MAX(2000);
    const char *text;

    (void)buf_add(&b, STR("{"));
    for (size_t i = 0; i < s.len; i++) {
        (void)buf_printf(&b, "%s%.*s=\"%.*s\"", i > 0 ? ", " : "", STR_ARG(s.p[i].name),
                         STR_ARG(s.p[i].value));
    }
    (void)buf_add(&b, STR("}"));
    text = arena_strdup(a, buf_str(&b));
    buf_done(&b);
    return text;
}

/* Marks of a side at one step: which group has a value, and whose. */
static void mark(const struct side *s, size_t step, size_t n_groups, size_t *series)
{
    memset(series, 0, (n_groups + 1) * sizeof(size_t));
    for (size_t i = 0; i < s->all.len; i++) {
        if (!tsdb_is_stale(s->all.p[i].v[step])) {
            series[s->group[i]] = i + 1;
        }
    }
}

/* and, or, unless: takes values away, then tells what is left. */
static int sets(struct matching *m, struct eval_sink out, struct err *e)
{
    size_t *there = xnew_array(size_t, m->n_groups + 1);
    bool is_or = m->node->op == PROMQL_OR;
    struct side *changed = is_or ? &m->right : &m->left, *other = is_or ? &m->left : &m->right;
    struct eval_table merged = {.ev = m->ev};
    int result = 0;

    for (size_t k = 0; k < m->ev->steps; k++) {
        mark(other, k, m->n_groups, there);
        for (size_t i = 0; i < changed->all.len; i++) {
            bool matched = there[changed->group[i]] > 0;

            if (m->node->op == PROMQL_AND ? !matched : matched) {
                changed->all.p[i].v[k] = tsdb_stale();
            }
        }
    }
    free(there);
    for (size_t i = 0; is_or && result == 0 && i < other->all.len; i++) {
        result = eval_table_tell(&merged, other->all.p[i].labels, other->all.p[i].v, e);
    }
    for (size_t i = 0; result == 0 && i < changed->all.len; i++) {
        const struct eval_series *s = &changed->all.p[i];

        result = has_value(m->ev, s->v) ? eval_table_tell(&merged, s->labels, s->v, e) : 0;
    }
    result = result < 0 ? -1 : eval_table_tell_all(&merged, out, e);
    eval_table_done(&merged);
    return result;
}

/* --- one to one, many to one --- */

static struct labels result_labels(const struct matching *m, struct labels many, struct labels one)
{
    const struct promql_node *n = m->node;
    struct arena *a = m->ev->query->arena;
    struct labels s = many;

    if (n->card == PROMQL_ONE_TO_ONE && n->on) {
        struct labels only = eval_only(a, s, &n->matching);
        bool named = labels_get(only, STR(LABEL_NAME)).len > 0;

        return named && drops_name(n) ? eval_without_name(a, only) : only;
    }
    if (n->card == PROMQL_ONE_TO_ONE) {
        struct str name = labels_get(s, STR(LABEL_NAME));

        s = eval_without(a, s, &n->matching);
        return name.len > 0 && !drops_name(n) ? eval_with(a, s, STR(LABEL_NAME), name) : s;
    }
    s = drops_name(n) ? eval_without_name(a, s) : s;
    for (size_t i = 0; i < n->include.len; i++) {
        s = eval_with(a, s, n->include.p[i], labels_get(one, n->include.p[i]));
    }
    return s;
}

static int found_twice(const struct matching *m, const char *hand, size_t group, struct labels x,
                       struct labels y, struct err *e)
{
    struct arena *a = m->ev->query->arena;

    return err_set(
        e, ERR_INVALID,
        "found duplicate series for the match group %s on the %s hand-side of the operation: [%s, "
        "%s];many-to-many matching not allowed: matching labels must be unique on one side",
        shown(a, m->labels[group - 1]), hand, shown(a, x), shown(a, y));
}

/* The one series of each group at this step. */
static int mark_one(const struct matching *m, const struct side *one, size_t step, size_t *series,
                    struct err *e)
{
    memset(series, 0, (m->n_groups + 1) * sizeof(size_t));
    for (size_t i = 0; i < one->all.len; i++) {
        size_t group = one->group[i];

        if (tsdb_is_stale(one->all.p[i].v[step])) {
            continue;
        }
        if (series[group] > 0) {
            return found_twice(m, one == &m->right ? "right" : "left", group,
                               one->all.p[series[group] - 1].labels, one->all.p[i].labels, e);
        }
        series[group] = i + 1;
    }
    return 0;
}

/* A series of the many side, and the series of the other that it was last combined with. */
struct pair {
    size_t one;    /* from 1 */
    size_t result; /* from 1: in the table of results */
};

struct pairing {
    struct matching *m;
    const struct side *many, *one;
    struct pair *pairs;
    size_t *partner; /* of each group at this step */
    size_t *matched; /* of each group: the step + 1 when something matched last */
    struct eval_table results;
    double *none;
};

static int open_result(struct pairing *p, size_t i, size_t partner, struct err *e)
{
    struct eval_table *t = &p->results;
    struct labels s =
        result_labels(p->m, p->many->all.p[i].labels, p->one->all.p[partner - 1].labels);
    struct buf key =
        BUF_MAX(LIMIT_SERIES_LABELS * (LIMIT_LABEL_NAME_BYTES + LIMIT_LABEL_VALUE_BYTES));
    int result = eval_table_tell(t, s, p->none, e);

    if (result == 0) {
        p->pairs[i].one = partner;
        p->pairs[i].result = (size_t)(uintptr_t)map_get(&t->by_labels, eval_key(s, &key));
    }
    buf_done(&key);
    return result;
}

static int pair_step(struct pairing *p, size_t i, size_t step, struct err *e)
{
    struct matching *m = p->m;
    const struct promql_node *n = m->node;
    size_t group = p->many->group[i], partner = p->partner[group];
    double many = p->many->all.p[i].v[step], one, v, *cell;

    if (tsdb_is_stale(many) || partner == 0) {
        return 0;
    }
    one = p->one->all.p[partner - 1].v[step];
    v = n->card == PROMQL_ONE_TO_MANY ? combine(n, one, many, one) : combine(n, many, one, many);
    if (tsdb_is_stale(v)) {
        return 0;
    }
    if (n->card == PROMQL_ONE_TO_ONE && p->matched[group] == step + 1) {
        return err_set(e, ERR_INVALID,
                       "multiple matches for labels: many-to-one matching must be explicit "
                       "(group_left/group_right)");
    }
    p->matched[group] = step + 1;
    if (p->pairs[i].one != partner && open_result(p, i, partner, e) < 0) {
        return -1;
    }
    assert(p->results.p != NULL); /* open_result() made one */
    cell = &p->results.p[p->pairs[i].result - 1].v[step];
    if (!tsdb_is_stale(*cell)) {
        return err_set(e, ERR_INVALID,
                       "multiple matches for labels: grouping labels must ensure unique matches");
    }
    *cell = v;
    return 0;
}

static bool any_at(const struct side *s, size_t step)
{
    for (size_t i = 0; i < s->all.len; i++) {
        if (!tsdb_is_stale(s->all.p[i].v[step])) {
            return true;
        }
    }
    return false;
}

static int pair_all(struct pairing *p, struct err *e)
{
    const struct matching *m = p->m;

    for (size_t k = 0; k < m->ev->steps; k++) {
        if (!any_at(p->many, k)) {
            continue; /* whatever the other side has, twice or not: nothing matches */
        }
        if (eval_go_on(m->ev, e) < 0 || mark_one(m, p->one, k, p->partner, e) < 0) {
            return -1;
        }
        for (size_t i = 0; i < p->many->all.len; i++) {
            if (pair_step(p, i, k, e) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int pairs(struct matching *m, struct eval_sink out, struct err *e)
{
    bool right_many = m->node->card == PROMQL_ONE_TO_MANY;
    struct pairing p = {.m = m,
                        .many = right_many ? &m->right : &m->left,
                        .one = right_many ? &m->left : &m->right,
                        .results = {.ev = m->ev}};
    int result = -1;

    p.none = eval_take(m->ev, m->ev->steps, e);
    if (p.none != NULL) {
        for (size_t k = 0; k < m->ev->steps; k++) {
            p.none[k] = tsdb_stale();
        }
        p.pairs = xnew_array(struct pair, p.many->all.len + 1);
        p.partner = xnew_array(size_t, m->n_groups + 1);
        p.matched = xnew_array(size_t, m->n_groups + 1);
        result = pair_all(&p, e);
    }
    result = result < 0 ? -1 : eval_table_tell_all(&p.results, out, e);
    free(p.pairs);
    free(p.partner);
    free(p.matched);
    eval_table_done(&p.results);
    eval_give(m->ev, p.none, m->ev->steps);
    return result;
}

int eval_binary(struct eval *ev, const struct promql_node *n, struct eval_sink out, struct err *e)
{
    struct matching m = {.ev = ev, .node = n, .left.all.ev = ev, .right.all.ev = ev};
    int result;

    if (n->children[0]->type == PROMQL_SCALAR || n->children[1]->type == PROMQL_SCALAR) {
        return with_number(ev, n, out, e);
    }
    result = fill_sides(&m, e);
    if (result == 0) {
        result = promql_op_is_set(n->op) ? sets(&m, out, e) : pairs(&m, out, e);
    }
    matching_done(&m);
    return result;
}
