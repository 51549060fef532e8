#include "scrape/exposition.h"
#include "base/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int exposition_format_of(struct str content_type, enum exposition_format *out, struct err *e)
{
    struct str rest = content_type, type = str_trim(str_cut(&rest, ';'));

    if (str_eq_nocase(type, STR("text/plain"))) {
        *out = EXPOSITION_TEXT;
        return 0;
    }
    if (str_eq_nocase(type, STR("application/openmetrics-text"))) {
        *out = EXPOSITION_OPENMETRICS;
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "the answer is %s%.*s: expected text/plain or application/openmetrics-text; "
                   "when the target "
                   "names no type or a wrong one, set fallback_scrape_protocol",
                   type.len == 0 ? "of no type" : "", (int)(type.len < 80 ? type.len : 80), type.p);
}

void exposition_init(struct exposition *x, struct str page, enum exposition_format format)
{
    *x = (struct exposition){.in = page, .format = format};
}

/* --- lines --- */

static int mistake(const struct exposition *x, struct err *e, const char *what, struct str line)
{
    return err_set(e, ERR_INVALID, "line %u: %s: %.*s", x->line, what,
                   (int)(line.len < 120 ? line.len : 120), line.p);
}

static struct str skip_blanks(struct str s)
{
    while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = str_from(s, 1);
    }
    return s;
}

static struct str take_word(struct str *rest)
{
    size_t n = 0;

    while (n < rest->len && rest->p[n] != ' ' && rest->p[n] != '\t') {
        n++;
    }
    *rest = str_from(*rest, n);
    return str_n(rest->p - n, n);
}

/* How many bytes come before the first of `stop`. */
static size_t bytes_before(struct str s, const char *stop)
{
    size_t n = 0;

    while (n < s.len && (s.p[n] == '\0' || strchr(stop, s.p[n]) == NULL)) {
        n++;
    }
    return n;
}

/* Behind the quote that opens at s.p[0]: its length with both quotes, 0 when it does not end. */
static size_t quoted_len(struct str s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            return i + 1;
        }
    }
    return 0;
}

/* Length of the name and the braces at the front of a line; 0 when the braces do not close. */
static size_t series_len(struct str line)
{
    size_t i = 0;

    while (i < line.len && line.p[i] != '{' && line.p[i] != ' ' && line.p[i] != '\t') {
        i++;
    }
    if (i == line.len) {
        return i;
    }
    if (line.p[i] != '{') { /* "name {a="b"} 1" is legal */
        struct str behind = skip_blanks(str_from(line, i));

        if (behind.len == 0 || behind.p[0] != '{') {
            return i;
        }
        i = (size_t)(behind.p - line.p);
    }
    while (i < line.len && line.p[i] != '}') {
        if (line.p[i] == '"') {
            size_t n = quoted_len(str_from(line, i));

            if (n == 0) {
                return 0;
            }
            i += n;
        } else {
            i++;
        }
    }
    return i < line.len ? i + 1 : 0;
}

/* --- numbers --- */

static const char *skip_digits(const char *p, const char *end, uint64_t *m)
{
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        *m = *m * 10 + (uint64_t)(*p - '0');
    }
    return p;
}

/* The power of ten behind a mantissa; NULL: none that is exact. */
static const char *read_exponent(const char *p, const char *end, int decimals, int *exponent)
{
    uint64_t n = 0;
    bool down = false;
    const char *begun;

    if (p < end && (*p == 'e' || *p == 'E')) {
        down = p + 1 < end && p[1] == '-';
        begun = p + 1 + (p + 1 < end && (p[1] == '-' || p[1] == '+'));
        p = skip_digits(begun, end, &n);
        if (p == begun || p - begun > 3) {
            return NULL;
        }
    }
    *exponent = (down ? -(int)n : (int)n) - decimals;
    return *exponent >= -22 && *exponent <= 22 ? p : NULL;
}

/* A decimal as programs print it, at the front: how many bytes it is; 0: none. Exact, as the digits
 * are a whole number below 2^53, and the power of ten is exact too. */
static size_t front_number(struct str s, double *out)
{
    static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    enum { DIGITS_MAX = 19 }; /* of a uint64_t */
    const char *end = s.p + s.len, *p = s.p, *begun, *point = NULL;
    bool negative = s.len > 0 && *p == '-';
    uint64_t m = 0;
    int exponent;

    p += negative || (s.len > 0 && *p == '+');
    begun = p;
    p = skip_digits(p, end, &m);
    if (p < end && *p == '.') {
        point = p;
        p = skip_digits(p + 1, end, &m);
    }
    if (p - begun == (point != NULL) || p - begun - (point != NULL) > DIGITS_MAX ||
        m > (uint64_t)1 << 53) {
        return 0;
    }
    p = read_exponent(p, end, point != NULL ? (int)(p - point - 1) : 0, &exponent);
    if (p == NULL) {
        return 0;
    }
    *out = exponent < 0 ? (double)m / powers[-exponent] : (double)m * powers[exponent];
    *out = negative ? -*out : *out;
    return (size_t)(p - s.p);
}

static int read_number(struct str s, double *out)
{
    char text[128], *end;
    struct str word = s;

    if (s.len > 0 && front_number(s, out) == s.len) {
        return 0;
    }
    if (s.len == 0 || str_copy(s, text, sizeof(text)) < 0) {
        return -1;
    }
    if (word.p[0] == '+' || word.p[0] == '-') {
        word = str_from(word, 1);
    }
    if (str_eq_nocase(word, STR("inf")) || str_eq_nocase(word, STR("infinity"))) {
        *out = s.p[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return 0;
    }
    if (str_eq_nocase(s, STR("nan"))) {
        uint64_t quiet =
            0x7ff8000000000001ULL; /* what Prometheus stores; other NaNs mean something */

        memcpy(out, &quiet, 8);
        return 0;
    }
    if (strspn(text, "+-.0123456789eExXabcdefABCDEFpP") != s.len || word.len == 0 ||
        !((word.p[0] >= '0' && word.p[0] <= '9') || word.p[0] == '.')) {
        return -1;
    }
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out) ? 0 : -1;
}

static int read_time(const struct exposition *x, struct str s, int64_t *ms)
{
    double v;
    bool minus = s.len > 0 && s.p[0] == '-';
    uint64_t n;

    if (x->format == EXPOSITION_OPENMETRICS) {
        if (read_number(s, &v) < 0 || !(fabs(v) < 9.2e15)) {
            return -1;
        }
        *ms = (int64_t)(v * 1000);
        return 0;
    }
    if (str_to_u64(str_from(s, minus), &n) < 0 || n > INT64_MAX) {
        return -1;
    }
    *ms = minus ? -(int64_t)n : (int64_t)n;
    return 0;
}

/* --- the lines of a page --- */

/* Nearly all lines of nearly all pages: the series that is expected, a blank, a plain number. */
static bool read_expected(struct exposition *x)
{
    struct str line = str_from(x->in, x->at);
    size_t n = x->expected.len, digits;

    x->is_expected = false;
    if (n == 0 || line.len <= n || line.p[n] != ' ' || memcmp(line.p, x->expected.p, n) != 0) {
        return false;
    }
    digits = front_number(str_from(line, n + 1), &x->value);
    n += 1 + digits;
    if (digits == 0 || n == line.len || line.p[n] != '\n') {
        return false;
    }
    x->series = str_first(line, x->expected.len);
    x->has_time = x->has_exemplar = false;
    x->is_expected = true;
    x->at += n + 1;
    x->line++;
    return true;
}

static int read_sample(struct exposition *x, struct str line, struct err *e)
{
    size_t n = series_len(line);
    struct str rest, word;

    if (n == 0) {
        return mistake(x, e, "expected a name, or \"}\" behind the labels", line);
    }
    x->series = str_first(line, n);
    rest = skip_blanks(str_from(line, n));
    word = take_word(&rest);
    if (read_number(word, &x->value) < 0) {
        return mistake(x, e, "expected a number behind the series", line);
    }
    rest = skip_blanks(rest);
    x->has_time = rest.len > 0 && rest.p[0] != '#';
    if (x->has_time) {
        word = take_word(&rest);
        if (read_time(x, word, &x->time_ms) < 0) {
            return mistake(x, e, "expected a time behind the value", line);
        }
        rest = skip_blanks(rest);
    }
    x->has_exemplar = rest.len > 0 && x->format == EXPOSITION_OPENMETRICS && rest.p[0] == '#';
    if (rest.len > 0 && !x->has_exemplar) {
        return mistake(x, e, "nothing is expected behind the time", line);
    }
    return EXPOSITION_SAMPLE;
}

/* "# TYPE name counter", "# HELP name text", "# UNIT name unit"; 0: a comment. */
static int read_meta(struct exposition *x, struct str line)
{
    static const struct {
        struct str word;
        enum exposition_kind kind;
    } words[] = {{STR("TYPE"), EXPOSITION_TYPE},
                 {STR("HELP"), EXPOSITION_HELP},
                 {STR("UNIT"), EXPOSITION_UNIT}};
    struct str rest = skip_blanks(str_from(line, 1)), word = take_word(&rest);

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_eq(word, words[i].word)) {
            continue;
        }
        rest = skip_blanks(rest);
        if (rest.len > 0 && rest.p[0] == '"') {
            size_t n = quoted_len(rest);

            x->name = n > 2 ? str_first(str_from(rest, 1), n - 2) : STR_EMPTY;
            rest = str_from(rest, n);
        } else {
            x->name = take_word(&rest);
        }
        x->text = skip_blanks(rest);
        return x->name.len > 0 ? (int)words[i].kind : 0;
    }
    return 0;
}

/* The line at x->at without its end, which may lack in the last one. */
static struct str take_line(struct exposition *x)
{
    struct str rest = str_from(x->in, x->at);
    const char *end = rest.len > 0 ? memchr(rest.p, '\n', rest.len) : NULL;
    size_t n = end != NULL ? (size_t)(end - rest.p) : rest.len;

    x->at += n + (end != NULL);
    x->line++;
    return str_first(rest, n);
}

int exposition_next(struct exposition *x, struct err *e)
{
    if (read_expected(x)) {
        return EXPOSITION_SAMPLE;
    }
    while (x->at < x->in.len) {
        struct str line = take_line(x);
        int kind;

        if (x->format == EXPOSITION_TEXT) {
            if (line.len > 0 && line.p[line.len - 1] == '\r') {
                line.len--;
            }
            line = skip_blanks(line);
        }
        if (line.len == 0) {
            if (x->format == EXPOSITION_OPENMETRICS) {
                return mistake(x, e, "OpenMetrics has no empty lines", line);
            }
            continue;
        }
        if (line.p[0] != '#') {
            return read_sample(x, line, e);
        }
        if (x->format == EXPOSITION_OPENMETRICS && str_eq(line, STR("# EOF"))) {
            if (x->at < x->in.len) {
                return mistake(x, e, "nothing is expected behind # EOF", str_from(x->in, x->at));
            }
            return EXPOSITION_END;
        }
        kind = read_meta(x, line);
        if (kind != 0) {
            return kind;
        }
    }
    if (x->format == EXPOSITION_OPENMETRICS) {
        return mistake(x, e, "the page ends without # EOF, so a part of it may be missing",
                       STR_EMPTY);
    }
    return EXPOSITION_END;
}

/* --- labels --- */

/* What the quotes hold: a view, or a copy without the escapes. */
static struct str unquote(struct str s, struct arena *a)
{
    char *to;
    size_t n = 0;

    if (str_find_char(s, '\\') < 0) {
        return s;
    }
    to = arena_alloc(a, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (c == '\\' && i + 1 < s.len && strchr("\\\"n", s.p[i + 1]) != NULL) {
            c = s.p[++i] == 'n' ? '\n' : s.p[i];
        }
        to[n++] = c;
    }
    return str_n(to, n);
}

static int bad_series(struct str series, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "%s: %.*s", what, (int)(series.len < 120 ? series.len : 120),
                   series.p);
}

struct pairs {
    struct label p[LIMIT_SERIES_LABELS];
    size_t len;
};

static int add_pair(struct pairs *list, struct str name, struct str value, struct str series,
                    struct err *e)
{
    if (list->len == LIMIT_SERIES_LABELS) {
        return err_set(e, ERR_LIMIT, "a series has more than %d labels: %.*s", LIMIT_SERIES_LABELS,
                       (int)(series.len < 120 ? series.len : 120), series.p);
    }
    if (!label_name_is_valid(name) || !str_is_utf8(value) ||
        (value.len == 0 && str_eq(name, STR(LABEL_NAME))) || value.len > LIMIT_LABEL_VALUE_BYTES) {
        return bad_series(series, "a label is empty, too long or no UTF-8", e);
    }
    list->p[list->len++] = (struct label){name, value};
    return 0;
}

/* One of "name="value"" or ""metric name"" at the front of *rest. */
static int read_pair(struct str *rest, struct pairs *list, struct arena *a, struct str series,
                     struct err *e)
{
    bool quoted = rest->p[0] == '"';
    size_t n = quoted ? quoted_len(*rest) : bytes_before(*rest, "= \t,}");
    struct str name =
                   quoted ? str_first(str_from(*rest, 1), n > 2 ? n - 2 : 0) : str_first(*rest, n),
               value;

    name = quoted ? unquote(name, a) : name;
    *rest = skip_blanks(str_from(*rest, n));
    if (quoted && rest->len > 0 && (rest->p[0] == ',' || rest->p[0] == '}')) {
        return add_pair(list, STR(LABEL_NAME), name, series, e);
    }
    if (!quoted && !label_name_is_plain(name)) {
        return bad_series(series, "expected the name of a label", e);
    }
    if (rest->len == 0 || rest->p[0] != '=') {
        return bad_series(series, "expected \"=\" behind the name of a label", e);
    }
    *rest = skip_blanks(str_from(*rest, 1));
    n = rest->len > 0 && rest->p[0] == '"' ? quoted_len(*rest) : 0;
    if (n == 0) {
        return bad_series(series, "expected a value in quotes", e);
    }
    value = unquote(str_first(str_from(*rest, 1), n - 2), a);
    *rest = skip_blanks(str_from(*rest, n));
    return add_pair(list, name, value, series, e);
}

static int read_pairs(struct str rest, struct pairs *list, struct arena *a, struct str series,
                      struct err *e)
{
    for (rest = skip_blanks(str_from(rest, 1)); rest.len > 0 && rest.p[0] != '}';
         rest = skip_blanks(rest)) {
        if (read_pair(&rest, list, a, series, e) < 0) {
            return -1;
        }
        if (rest.len > 0 && rest.p[0] == ',') {
            rest = str_from(rest, 1);
        } else if (rest.len == 0 || rest.p[0] != '}') {
            return bad_series(series, "expected \",\" or \"}\" behind a label", e);
        }
    }
    return rest.len == 1 ? 0 : bad_series(series, "expected \"}\" behind the labels", e);
}

int exposition_labels(struct str series, struct arena *a, struct labels *out, struct err *e)
{
    struct pairs list = {.len = 0};
    ptrdiff_t brace = str_find_char(series, '{');
    struct str name = str_trim(brace < 0 ? series : str_first(series, (size_t)brace));
    size_t named = 0;

    if (name.len > 0) {
        if (!metric_name_is_plain(name)) {
            return bad_series(series, "expected the name of a metric", e);
        }
        list.p[list.len++] = (struct label){STR(LABEL_NAME), name};
    }
    if (brace >= 0 && read_pairs(str_from(series, (size_t)brace), &list, a, series, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < list.len; i++) {
        named += str_eq(list.p[i].name, STR(LABEL_NAME));
    }
    if (named != 1) {
        return bad_series(series, "expected one name of a metric", e);
    }
    out->p = arena_new_array(a, struct label, list.len);
    out->len = list.len;
    memcpy(out->p, list.p, list.len * sizeof(struct label));
    return labels_normalize(out, e) < 0
               ? err_wrap(e, "%.*s", (int)(series.len < 120 ? series.len : 120), series.p)
               : 0;
}
