/* format_query and parse_query: a query as text and as a tree, for builders of queries. */
#include "metrics_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/number.h"
#include "promql/functions.h"
#include "promql/promql.h"

enum { TREE_LEVELS = 25 }; /* two levels of JSON each */

static int read_tree(struct ask *a, struct promql_node **out, struct err *e)
{
    *out = promql_parse(&a->arena, ask_str(a, "query"), e);
    return *out == NULL ? err_wrap(e, "invalid parameter \"query\"") : 0;
}

static int format(struct ask *a, struct err *e)
{
    SCOPED(answer_done) struct answer out = {0};
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_ANSWER_PIECE_BYTES / 8);
    struct promql_node *n;

    if (read_tree(a, &n, e) < 0) {
        return -1;
    }
    promql_format(n, &text);
    if (text.failed) {
        return err_set(e, ERR_INVALID, "the formatted query takes more than %d MiB",
                       (int)(LIMIT_ANSWER_PIECE_BYTES / 8 / MIB));
    }
    answer_json(&out, a->req);
    put_text(&out.buf, buf_str(&text));
    return answer_json_end(&out, NULL, e);
}

/* --- a tree as JSON --- */

static void write_node(struct jw *w, const struct promql_node *n);

static void write_names(struct jw *w, const char *key, const struct promql_names *names)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < names->len; i++) {
        jw_str(w, names->p[i]);
    }
    jw_end(w);
}

static void write_child(struct jw *w, const char *key, const struct promql_node *n)
{
    jw_key(w, key);
    if (n != NULL) {
        write_node(w, n);
    } else {
        jw_null(w);
    }
}

/* Offset and @ of a selector or a subquery. */
static void write_when(struct jw *w, const struct promql_node *n)
{
    jw_kv_i64(w, "offset", n->offset_ms);
    jw_key(w, "timestamp");
    if (n->at == PROMQL_AT_TIME) {
        jw_i64(w, n->at_ms);
    } else {
        jw_null(w);
    }
    jw_kv_c(w, "startOrEnd",
            n->at == PROMQL_AT_START ? "start"
            : n->at == PROMQL_AT_END ? "end"
                                     : NULL);
}

static void write_selector(struct jw *w, const struct promql_node *n)
{
    jw_kv_str(w, "name", n->has_name ? n->name : STR_EMPTY);
    write_when(w, n);
    jw_key(w, "matchers");
    jw_array(w);
    for (size_t i = 0; i < n->n_matchers; i++) {
        const struct label_matcher *m = &n->matchers[i];

        jw_object(w);
        jw_kv_str(w, "name", m->name);
        jw_kv_c(w, "type", label_match_sign(m->op));
        jw_kv_str(w, "value", m->value);
        jw_end(w);
    }
    jw_end(w);
}

static void write_binary(struct jw *w, const struct promql_node *n)
{
    static const char *const cards[] = {[PROMQL_ONE_TO_ONE] = "one-to-one",
                                        [PROMQL_MANY_TO_ONE] = "many-to-one",
                                        [PROMQL_ONE_TO_MANY] = "one-to-many",
                                        [PROMQL_MANY_TO_MANY] = "many-to-many"};

    jw_kv_c(w, "op", promql_op_name(n->op));
    write_child(w, "lhs", n->children[0]);
    write_child(w, "rhs", n->children[1]);
    jw_key(w, "matching");
    if (n->children[0]->type == PROMQL_VECTOR && n->children[1]->type == PROMQL_VECTOR) {
        jw_object(w);
        jw_kv_c(w, "card", cards[n->card]);
        write_names(w, "labels", &n->matching);
        jw_kv_bool(w, "on", n->on);
        write_names(w, "include", &n->include);
        jw_end(w);
    } else {
        jw_null(w);
    }
    jw_kv_bool(w, "bool", n->returns_bool);
}

static void write_call(struct jw *w, const struct promql_node *n)
{
    const struct promql_function *f = n->function;

    jw_key(w, "func");
    jw_object(w);
    jw_kv_c(w, "name", f->name);
    jw_key(w, "argTypes");
    jw_array(w);
    for (unsigned i = 0; i < f->n_args; i++) {
        jw_str(w, str_of(promql_type_name(f->args[i])));
    }
    jw_end(w);
    jw_kv_i64(w, "variadic", f->any_more ? -1 : (int64_t)f->n_optional);
    jw_kv_c(w, "returnType", promql_type_name(f->returns));
    jw_end(w);
    jw_key(w, "args");
    jw_array(w);
    for (size_t i = 0; i < n->n_children; i++) {
        write_node(w, n->children[i]);
    }
    jw_end(w);
}

static void write_aggregate(struct jw *w, const struct promql_node *n)
{
    jw_kv_c(w, "op", promql_aggregation_name(n->aggregation));
    write_child(w, "expr", n->children[0]);
    write_child(w, "param", n->n_children > 1 ? n->children[1] : NULL);
    write_names(w, "grouping", &n->grouping);
    jw_kv_bool(w, "without", n->without);
}

static void write_rest(struct jw *w, const struct promql_node *n)
{
    char text[NUMBER_TEXT_MAX];

    switch (n->kind) {
    case PROMQL_NUMBER:
        jw_kv_str(w, "val", str_n(text, number_plain(n->number, text)));
        return;
    case PROMQL_TEXT:
        jw_kv_str(w, "val", n->text);
        return;
    case PROMQL_SELECTOR:
        write_selector(w, n);
        return;
    case PROMQL_RANGE:
        jw_kv_i64(w, "range", n->range_ms);
        write_selector(w, n->children[0]);
        return;
    case PROMQL_SUBQUERY:
        write_child(w, "expr", n->children[0]);
        jw_kv_i64(w, "range", n->range_ms);
        jw_kv_i64(w, "step", n->step_ms);
        write_when(w, n);
        return;
    case PROMQL_CALL:
        write_call(w, n);
        return;
    case PROMQL_AGGREGATE:
        write_aggregate(w, n);
        return;
    case PROMQL_BINARY:
        write_binary(w, n);
        return;
    case PROMQL_UNARY:
        jw_kv_c(w, "op", promql_op_name(n->op));
        write_child(w, "expr", n->children[0]);
        return;
    case PROMQL_PAREN:
        write_child(w, "expr", n->children[0]);
        return;
    }
}

/* Recurses at most TREE_LEVELS deep. */
static void write_node(struct jw *w, const struct promql_node *n)
{
    static const char *const kinds[] = {
        [PROMQL_NUMBER] = "numberLiteral",    [PROMQL_TEXT] = "stringLiteral",
        [PROMQL_SELECTOR] = "vectorSelector", [PROMQL_RANGE] = "matrixSelector",
        [PROMQL_SUBQUERY] = "subquery",       [PROMQL_CALL] = "call",
        [PROMQL_AGGREGATE] = "aggregation",   [PROMQL_BINARY] = "binaryExpr",
        [PROMQL_UNARY] = "unaryExpr",         [PROMQL_PAREN] = "parenExpr"};

    jw_object(w);
    jw_kv_c(w, "type", kinds[n->kind]);
    write_rest(w, n);
    jw_end(w);
}

static int tree(struct ask *a, struct err *e)
{
    SCOPED(answer_done) struct answer out = {0};
    struct promql_node *n;
    struct jw w;

    if (read_tree(a, &n, e) < 0) {
        return -1;
    }
    if (n->height > TREE_LEVELS) {
        return err_set(e, ERR_INVALID, "the query is %u levels high; a tree is shown up to %d",
                       n->height, TREE_LEVELS);
    }
    answer_json(&out, a->req);
    w = JW(&out.buf);
    write_node(&w, n);
    return answer_json_end(&out, NULL, e);
}

static int serve(struct http_req *req, int (*how)(struct ask *a, struct err *e), struct err *e)
{
    struct ask a = {0};
    int result = ask_init(&a, req, e) < 0 ? -1 : how(&a, e);

    ask_done(&a);
    return result;
}

int prom_format_query(struct http_req *req, struct err *e)
{
    return serve(req, format, e);
}

int prom_parse_query(struct http_req *req, struct err *e)
{
    return serve(req, tree, e);
}
