#include "promql/series.h"
#include "base/limits.h"
#include "promql/parse.h"
#include "tsdb/tsdb.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int promql_parse_labels(struct arena *a, struct str text, struct labels *out, struct err *e)
{
    struct promql_node *n;

    text = str_trim(text);
    *out = (struct labels){NULL, 0};
    if (str_eq(text, STR("{}"))) {
        return 0;
    }
    n = promql_parse_selector(a, text, e);
    if (n == NULL) {
        return -1;
    }
    out->p = arena_new_array(a, struct label, n->n_matchers + 1);
    for (size_t i = 0; i < n->n_matchers; i++) {
        if (n->matchers[i].op != LABEL_IS) {
            return err_set(e, ERR_INVALID, "a series is named by labels with '=', not '%s': %.*s",
                           label_match_sign(n->matchers[i].op), STR_ARG(text));
        }
        out->p[out->len++] = (struct label){n->matchers[i].name, n->matchers[i].value};
    }
    return labels_normalize(out, e);
}

/* --- values --- */

struct words {
    struct arena *arena;
    struct promql_series *out;
    size_t cap;
};

static int put(struct words *w, struct promql_point p, struct err *e)
{
    struct promql_series *s = w->out;

    if (s->len == LIMIT_TEST_POINTS) {
        return err_set(e, ERR_LIMIT, "a series of a test has at most %d values", LIMIT_TEST_POINTS);
    }
    if (s->len == w->cap) {
        struct promql_point *grown = arena_new_array(w->arena, struct promql_point, w->cap * 2 + 8);

        if (s->len > 0) {
            memcpy(grown, s->points, s->len * sizeof(*grown));
        }
        s->points = grown;
        w->cap = w->cap * 2 + 8;
    }
    s->points[s->len++] = p;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number at the front of *s, with its sign: "-1.5e3", "+Inf", "NaN". */
static bool take_number(struct str *s, double *v)
{
    char text[64], *end;
    size_t n = s->len > 0 && (s->p[0] == '+' || s->p[0] == '-');
    struct str rest = str_from(*s, n);

    if (str_eq_nocase(str_first(rest, 3), STR("inf")) ||
        str_eq_nocase(str_first(rest, 3), STR("nan"))) {
        n += 3;
    }
    while (n < s->len && (is_digit(s->p[n]) || s->p[n] == '.')) {
        n++;
    }
    if (n + 1 < s->len && (s->p[n] == 'e' || s->p[n] == 'E')) {
        size_t m = n + 1 + (s->p[n + 1] == '+' || s->p[n + 1] == '-');

        while (m < s->len && is_digit(s->p[m])) {
            n = ++m;
        }
    }
    if (n == 0 || str_copy(str_first(*s, n), text, sizeof(text)) < 0) {
        return false;
    }
    *v = strtod(text, &end);
    *s = str_from(*s, n);
    return *end == '\0' && end != text;
}

static bool take_times(struct str *s, uint64_t *times)
{
    if (s->len < 2 || s->p[0] != 'x' || str_to_u64(str_from(*s, 1), times) < 0) {
        return false;
    }
    *s = STR_EMPTY;
    return true;
}

static int put_many(struct words *w, struct promql_point p, double step, uint64_t n, struct err *e)
{
    for (uint64_t i = 0; i < n; i++) {
        if (put(w, p, e) < 0) {
            return -1;
        }
        p.v += step;
    }
    return 0;
}

static int put_word(struct words *w, struct str word, struct err *e)
{
    struct str s = word;
    uint64_t times = 0;
    double v = 0, step = 0;

    if (str_eq(s, STR("stale"))) {
        return put(w, (struct promql_point){true, tsdb_stale()}, e);
    }
    if (str_starts(s, STR("_"))) {
        s = str_from(s, 1);
        if (s.len == 0 || take_times(&s, &times)) {
            return put_many(w, (struct promql_point){false, 0}, 0, word.len == 1 ? 1 : times, e);
        }
    } else if (str_starts(s, STR("{{"))) {
        return err_set(e, ERR_INVALID, "native histograms are not stored here: %.*s",
                       STR_ARG(str_first(s, 60)));
    } else if (take_number(&s, &v)) {
        bool steps = s.len > 0 && (s.p[0] == '+' || s.p[0] == '-') && take_number(&s, &step);

        if (s.len == 0 && !steps) {
            return put(w, (struct promql_point){true, v}, e);
        }
        if (take_times(&s, &times)) {
            return put_many(w, (struct promql_point){true, v}, step, times + 1, e);
        }
    }
    return err_set(e, ERR_INVALID,
                   "\"%.*s\" is no value: write a number, 1+2x3, 1x3, _, _x3 or stale",
                   STR_ARG(str_first(word, 60)));
}

int promql_parse_points(struct arena *a, struct str text, struct promql_series *out, struct err *e)
{
    struct words w = {a, out, 0};
    size_t at = 0;

    out->points = NULL;
    out->len = 0;
    while (at < text.len) {
        size_t from = at;

        while (at < text.len && strchr(" \t\r\n", text.p[at]) == NULL) {
            at++;
        }
        if (at > from && put_word(&w, str_n(text.p + from, at - from), e) < 0) {
            return -1;
        }
        at += at == from;
    }
    return 0;
}

static bool opens_labels(struct str s)
{
    s = str_trim(s);
    return str_starts(s, STR("{")) && !str_starts(s, STR("{{"));
}

/* Where the labels end: behind the brace, or at the first space. */
static size_t labels_end(struct str s)
{
    char quote = 0;
    bool braces = false;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (quote != 0) {
            i += c == '\\' && quote != '`';
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'' || c == '`') {
            quote = c;
        } else if (c == '{') {
            braces = true;
        } else if (c == '}') {
            return i + 1;
        } else if (!braces && (c == ' ' || c == '\t') && !opens_labels(str_from(s, i))) {
            return i;
        }
    }
    return s.len;
}

int promql_parse_series(struct arena *a, struct str text, struct promql_series *out, struct err *e)
{
    size_t end;

    text = str_trim(text);
    end = labels_end(text);
    if (promql_parse_labels(a, str_first(text, end), &out->labels, e) < 0) {
        return -1;
    }
    return promql_parse_points(a, str_from(text, end), out, e);
}
