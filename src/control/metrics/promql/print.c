#include "base/buf.h"
#include "base/number.h"
#include "promql/functions.h"
#include "promql/parse.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LINE_COLUMNS = 100 };

static void print_quoted(struct str s, struct buf *out)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";

    (void)buf_add(out, STR("\""));
    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.p[i];
        const char *name = c != '\0' ? strchr(from, c) : NULL;
        size_t n = str_utf8_len((const unsigned char *)s.p + i, s.len - i);

        if (name != NULL) {
            (void)buf_printf(out, "\\%c", to[name - from]);
        } else if (c < 0x20 || c == 0x7f || n == 0) {
            (void)buf_printf(out, "\\x%02x", c);
        } else {
            (void)buf_add(out, str_n(s.p + i, n));
        }
        i += n > 0 ? n : 1;
    }
    (void)buf_add(out, STR("\""));
}

static void print_name(struct str s, struct buf *out)
{
    if (label_name_is_plain(s)) {
        (void)buf_add(out, s);
    } else {
        print_quoted(s, out);
    }
}

static void print_names(const struct promql_names *names, struct buf *out)
{
    (void)buf_add(out, STR("("));
    for (size_t i = 0; i < names->len; i++) {
        (void)buf_add(out, i > 0 ? STR(", ") : STR_EMPTY);
        print_name(names->p[i], out);
    }
    (void)buf_add(out, STR(")"));
}

static void print_duration(int64_t ms, struct buf *out)
{
    static const struct {
        const char *unit;
        int64_t ms;
        bool exact; /* only when nothing is left */
    } units[] = {{"y", 365LL * 86400000, true},
                 {"w", 7LL * 86400000, true},
                 {"d", 86400000, false},
                 {"h", 3600000, false},
                 {"m", 60000, false},
                 {"s", 1000, false},
                 {"ms", 1, false}};

    if (ms == 0) {
        (void)buf_add(out, STR("0s"));
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (ms >= units[i].ms && (!units[i].exact || ms % units[i].ms == 0)) {
            (void)buf_printf(out, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
            ms %= units[i].ms;
        }
    }
}

static void print_shift(const struct promql_node *n, struct buf *out)
{
    if (n->at == PROMQL_AT_TIME) {
        (void)buf_printf(out, " @ %s%" PRId64 ".%03d", n->at_ms < 0 ? "-" : "",
                         n->at_ms < 0 ? -(n->at_ms / 1000) : n->at_ms / 1000,
                         (int)(n->at_ms < 0 ? -(n->at_ms % 1000) : n->at_ms % 1000));
    } else if (n->at != PROMQL_AT_NONE) {
        (void)buf_add_c(out, n->at == PROMQL_AT_START ? " @ start()" : " @ end()");
    }
    if (n->offset_ms != 0) {
        (void)buf_add_c(out, n->offset_ms < 0 ? " offset -" : " offset ");
        print_duration(n->offset_ms < 0 ? -n->offset_ms : n->offset_ms, out);
    }
}

static void print_series(const struct promql_node *n, struct buf *out)
{
    bool bare = n->has_name && metric_name_is_plain(n->name), any = false;

    if (bare) {
        (void)buf_add(out, n->name);
        if (n->n_matchers == 1) {
            return;
        }
    }
    (void)buf_add(out, STR("{"));
    if (n->has_name && !bare) {
        print_quoted(n->name, out);
        any = true;
    }
    for (size_t i = 0; i < n->n_matchers; i++) {
        const struct label_matcher *m = &n->matchers[i];

        if (n->has_name && str_eq(m->name, STR(LABEL_NAME))) {
            continue;
        }
        (void)buf_add(out, any ? STR(",") : STR_EMPTY);
        print_name(m->name, out);
        (void)buf_add_c(out, label_match_sign(m->op));
        print_quoted(m->value, out);
        any = true;
    }
    (void)buf_add(out, STR("}"));
}

static void print_number(const struct promql_node *n, struct buf *out)
{
    char text[NUMBER_TEXT_MAX];

    if (n->is_seconds) {
        (void)buf_add(out, signbit(n->number) ? STR("-") : STR_EMPTY);
        print_duration((int64_t)(fabs(n->number) * 1000 + 0.5), out);
        return;
    }
    (void)buf_add(out, str_n(text, number_short(n->number, text)));
}

static void print_matching(const struct promql_node *n, struct buf *out)
{
    (void)buf_add_c(out, n->returns_bool ? " bool" : "");
    if (!n->has_matching || (!n->on && n->matching.len == 0)) {
        return;
    }
    (void)buf_add_c(out, n->on ? " on " : " ignoring ");
    print_names(&n->matching, out);
    if (n->card == PROMQL_MANY_TO_ONE || n->card == PROMQL_ONE_TO_MANY) {
        (void)buf_add_c(out, n->card == PROMQL_MANY_TO_ONE ? " group_left " : " group_right ");
        print_names(&n->include, out);
    }
}

static void print_aggregation(const struct promql_node *n, struct buf *out)
{
    (void)buf_add_c(out, promql_aggregation_name(n->aggregation));
    if (n->without || n->grouping.len > 0) {
        (void)buf_add_c(out, n->without ? " without " : " by ");
        print_names(&n->grouping, out);
        (void)buf_add(out, STR(" "));
    }
}

static void print_step(const struct promql_node *n, struct buf *out)
{
    (void)buf_add(out, STR("["));
    print_duration(n->range_ms, out);
    (void)buf_add(out, STR(":"));
    if (n->step_ms != 0) {
        print_duration(n->step_ms, out);
    }
    (void)buf_add(out, STR("]"));
    print_shift(n, out);
}

static void print_list(const struct promql_node *n, struct buf *out)
{
    (void)buf_add(out, STR("("));
    for (size_t i = 0; i < n->n_children; i++) {
        (void)buf_add(out, i > 0 ? STR(", ") : STR_EMPTY);
        promql_print(n->children[i], out);
    }
    (void)buf_add(out, STR(")"));
}

void promql_print(const struct promql_node *n, struct buf *out)
{
    switch (n->kind) {
    case PROMQL_NUMBER:
        print_number(n, out);
        break;
    case PROMQL_TEXT:
        print_quoted(n->text, out);
        break;
    case PROMQL_SELECTOR:
        print_series(n, out);
        print_shift(n, out);
        break;
    case PROMQL_RANGE:
        print_series(n->children[0], out);
        (void)buf_add(out, STR("["));
        print_duration(n->range_ms, out);
        (void)buf_add(out, STR("]"));
        print_shift(n->children[0], out);
        break;
    case PROMQL_SUBQUERY:
        promql_print(n->children[0], out);
        print_step(n, out);
        break;
    case PROMQL_CALL:
        (void)buf_add_c(out, n->function->name);
        print_list(n, out);
        break;
    case PROMQL_AGGREGATE:
        print_aggregation(n, out);
        (void)buf_add(out, STR("("));
        if (n->n_children > 1) {
            promql_print(n->children[1], out);
            (void)buf_add(out, STR(", "));
        }
        promql_print(n->children[0], out);
        (void)buf_add(out, STR(")"));
        break;
    case PROMQL_BINARY:
        if (n->op == PROMQL_POW && n->children[0]->kind == PROMQL_NUMBER &&
            isinf(n->children[0]->number)) {
            (void)buf_add(out, STR("Inf")); /* a sign would be read as one of the whole power */
        } else {
            promql_print(n->children[0], out);
        }
        (void)buf_printf(out, " %s", promql_op_name(n->op));
        print_matching(n, out);
        (void)buf_add(out, STR(" "));
        promql_print(n->children[1], out);
        break;
    case PROMQL_UNARY:
        (void)buf_add_c(out, promql_op_name(n->op));
        promql_print(n->children[0], out);
        break;
    case PROMQL_PAREN:
        print_list(n, out);
        break;
    }
}

/* --- many lines --- */

static void indent(unsigned level, struct buf *out)
{
    (void)buf_printf(out, "%*s", (int)level * 2, "");
}

/* Whether the expression is wider than a line: counted, so that deep trees are not printed again
 * and again in full. */
static bool is_wide(const struct promql_node *n)
{
    struct buf line = BUF_MAX(LINE_COLUMNS);
    bool wide;

    promql_print(n, &line);
    wide = line.failed;
    buf_done(&line);
    return wide;
}

static void format(const struct promql_node *n, unsigned level, struct buf *out);

static void format_inside(const struct promql_node *n, unsigned level, struct buf *out)
{
    (void)buf_add(out, STR("(\n"));
    if (n->kind == PROMQL_AGGREGATE && n->n_children > 1) {
        format(n->children[1], level + 1, out);
        (void)buf_add(out, STR(",\n"));
    }
    for (size_t i = 0; i < (n->kind == PROMQL_AGGREGATE ? 1 : n->n_children); i++) {
        (void)buf_add(out, i > 0 ? STR(",\n") : STR_EMPTY);
        format(n->children[i], level + 1, out);
    }
    (void)buf_add(out, STR("\n"));
    indent(level, out);
    (void)buf_add(out, STR(")"));
}

static void format(const struct promql_node *n, unsigned level, struct buf *out)
{
    bool one_line = n->n_children == 0 || n->kind == PROMQL_RANGE || !is_wide(n);

    if (one_line) {
        indent(level, out);
        promql_print(n, out);
        return;
    }
    if (n->kind == PROMQL_BINARY) {
        format(n->children[0], level + 1, out);
        (void)buf_add(out, STR("\n"));
        indent(level, out);
        (void)buf_add_c(out, promql_op_name(n->op));
        print_matching(n, out);
        (void)buf_add(out, STR("\n"));
        format(n->children[1], level + 1, out);
        return;
    }
    if (n->kind == PROMQL_SUBQUERY) {
        format(n->children[0], level, out);
        print_step(n, out);
        return;
    }
    if (n->kind == PROMQL_UNARY) {
        struct buf inner = BUF_MAX(out->max);

        format(n->children[0], level, &inner);
        indent(level, out);
        (void)buf_add_c(out, promql_op_name(n->op));
        (void)buf_add(out, str_from(buf_str(&inner), strspn(inner.p != NULL ? inner.p : "", " ")));
        buf_done(&inner);
        return;
    }
    indent(level, out);
    if (n->kind == PROMQL_AGGREGATE) {
        print_aggregation(n, out);
    } else if (n->kind == PROMQL_CALL) {
        (void)buf_add_c(out, n->function->name);
    }
    format_inside(n, level, out);
}

void promql_format(const struct promql_node *n, struct buf *out)
{
    format(n, 0, out);
}
