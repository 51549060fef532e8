/* labels - what names a time series: label sets, and the matchers and regular expressions that
 * choose among them.
 *
 *   {__name__="up", instance="n1:9100", job="node"}      sorted by name, each name once, no empty
 * value
 *
 * Threads: a set and a matcher are read by any; a regular expression is used by one thread at a
 * time. Memory: views; who builds a set says where its bytes live. Source:
 * https://prometheus.io/docs/concepts/data_model/ (3.x: names and values are UTF-8). */
#pragma once
#include "base/arena.h"

#define LABEL_NAME "__name__"

struct label {
    struct str name, value;
};

struct labels {
    struct label *p;
    size_t len;
};

/* The value of a label; empty when there is none, which is the same to every matcher. */
struct str labels_get(struct labels s, struct str name);
/* By name, value, name, value, ...: the order of series in blocks and answers. */
int labels_cmp(struct labels a, struct labels b);
bool labels_eq(struct labels a, struct labels b);
uint64_t labels_hash(struct labels s);
/* Mixes `s` into a hash. Not for hostile keys: whoever finds by it compares too. */
uint64_t labels_mix(uint64_t h, struct str s);
/* Sorts, drops labels without value. -1 when a name comes twice. */
int labels_normalize(struct labels *s, struct err *e) MUST_USE;
/* A copy, views and bytes in the arena. */
struct labels labels_copy(struct arena *a, struct labels s);
/* [a-zA-Z_][a-zA-Z0-9_]*: what needs no quotes. Metric names also take colons. */
bool label_name_is_plain(struct str s);
bool metric_name_is_plain(struct str s);
/* 1 to LIMIT_LABEL_NAME_BYTES of UTF-8. */
bool label_name_is_valid(struct str s);

/* --- regular expressions: RE2's syntax, anchored at both ends, '.' takes newlines ---
 * What RE2 does not have (look-around, back references, possessive and atomic groups, ...) is
 * refused. PCRE2 backtracks, so a match has a limit on its steps; RE2 has no such case. */

struct label_regex;

/* In the arena, and so is what it needs while matching. */
struct label_regex *label_regex_new(struct arena *a, struct str pattern, struct err *e) MUST_USE;
/* 1: matches. 0: does not. -1: needs too many steps; the error says how to mend it. */
int label_regex_match(struct label_regex *r, struct str s, struct err *e);
/* The strings it matches when they are few and plain ("a|b|c", "(?:a|b)c" is not), sorted, each
 * once; NULL otherwise. Valid as long as the expression. */
const struct str *label_regex_literals(const struct label_regex *r, size_t *n);
/* What every match begins with; may be empty. */
struct str label_regex_prefix(const struct label_regex *r);
/* Replaces $1, ${1}, $name, ${name} of a match of `s` (relabeling, label_replace): 1 with the
 * result in `out`, 0 when `s` does not match. Groups that are not there are empty, as in Go. */
struct buf;
int label_regex_expand(struct label_regex *r, struct str s, struct str template, struct buf *out,
                       struct err *e);
size_t label_regex_groups(const struct label_regex *r);
/* As Go's regexp has them: not anchored, '.' takes no newline. For label_regex_match() and for
 * _replace(), which gives `s` with every match replaced, a thousand at most. */
struct label_regex *label_regex_search_new(struct arena *a, struct str pattern,
                                           struct err *e) MUST_USE;
int label_regex_replace(struct label_regex *r, struct str s, struct str template, struct buf *out,
                        struct err *e) MUST_USE;

/* --- matchers --- */

enum label_match { LABEL_IS, LABEL_IS_NOT, LABEL_LIKE, LABEL_NOT_LIKE };

struct label_matcher {
    struct str name, value;
    enum label_match op;
    struct label_regex *regex; /* LIKE, NOT_LIKE */
};

/* Views are kept; a regular expression is compiled into the arena. */
int label_matcher_init(struct label_matcher *m, struct arena *a, struct str name,
                       enum label_match op, struct str value, struct err *e) MUST_USE;
/* 1, 0, -1 as label_regex_match(). */
int label_matcher_match(const struct label_matcher *m, struct str value, struct err *e);
/* 1 when every matcher takes the set. */
int label_matchers_match(const struct label_matcher *m, size_t n, struct labels s, struct err *e);
const char *label_match_sign(enum label_match op); /* "=", "!=", "=~", "!~" */
