/* parse - from the text of a query to its checked tree, and back.
 *
 * Threads: any. Limits: LIMIT_QUERY_BYTES of text, LIMIT_QUERY_DEPTH levels; both are checked here.
 */
#pragma once
#include "promql/ast.h"

/* The tree, in the arena, with the types of all its parts checked. The text must live as long. The
 * error begins with line and column, "1:5: parse error: ...". */
struct promql_node *promql_parse(struct arena *a, struct str text, struct err *e) MUST_USE;
/* One selector, for match[]; NULL for any other expression, and with offset or @. */
struct promql_node *promql_parse_selector(struct arena *a, struct str text, struct err *e) MUST_USE;
/* Checks types, arguments and matching of the tree below `n`. */
struct promql_lex;
int promql_check(const struct promql_lex *l, struct promql_node *n, struct err *e) MUST_USE;

/* The canonical text on one line: what Prometheus prints for the expression. */
void promql_print(const struct promql_node *n, struct buf *out);
/* On many lines, broken where it is wider than 100 columns: format_query. */
void promql_format(const struct promql_node *n, struct buf *out);
/* A duration as Prometheus writes it, "1h30m", "0s"; -1 when it is none or exceeds 64 bits. */
int promql_duration(struct str s, int64_t *ms) MUST_USE;
/* The escape of Go's strings behind the backslash at s.p[0]: returns its length, its bytes in
 * `out`. 0: none. */
size_t promql_unescape(struct str s, char quote, char out[4], size_t *n);
