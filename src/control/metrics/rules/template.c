#include "rules/template.h"
#include "base/limits.h"
#include "base/number.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_DEPTH = 16, MAX_ARGS = 8 };

struct value {
    bool is_number;
    double number;
    struct str text;
};

struct reader {
    struct str s; /* of one {{ }} */
    size_t at;
    unsigned depth;
    const struct rule_values *v;
    struct arena arena;
};

static int pipeline(struct reader *r, struct value *out, struct err *e);

static struct value of_text(struct str s)
{
    return (struct value){.text = s};
}

static struct value of_number(double v)
{
    return (struct value){.is_number = true, .number = v};
}

static struct str shown(struct reader *r, struct value v)
{
    char text[NUMBER_TEXT_MAX];

    return v.is_number ? arena_str(&r->arena, str_n(text, number_short(v.number, text))) : v.text;
}

static double numeric(struct value v)
{
    char text[64];

    if (v.is_number) {
        return v.number;
    }
    return str_copy(v.text, text, sizeof(text)) < 0 ? (double)NAN : strtod(text, NULL);
}

/* --- functions --- */

/* "%.4g", where C says "inf" and "nan". */
static struct value four_digits(struct reader *r, double v, const char *prefix, const char *unit)
{
    const char *text = isnan(v)   ? "NaN"
                       : isinf(v) ? (v > 0 ? "+Inf" : "-Inf")
                                  : arena_printf(&r->arena, "%.4g%s%s", v, prefix, unit);

    return of_text(str_of(text));
}

static struct value scaled(struct reader *r, double v, double base, const char *const *prefixes,
                           const char *unit)
{
    const char *prefix = "";

    for (size_t i = 0; prefixes[i] != NULL && fabs(v) >= base; i++) {
        prefix = prefixes[i];
        v /= base;
    }
    return four_digits(r, v, prefix, unit);
}

static struct value small(struct reader *r, double v, const char *unit)
{
    static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    const char *prefix = "";

    for (size_t i = 0; i < ARRAY_LEN(prefixes) && fabs(v) < 1; i++) {
        prefix = prefixes[i];
        v *= 1000;
    }
    return four_digits(r, v, prefix, unit);
}

static struct value humanize(struct reader *r, double v)
{
    static const char *const prefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y", NULL};

    if (v == 0 || !isfinite(v)) {
        return four_digits(r, v, "", "");
    }
    return fabs(v) >= 1 ? scaled(r, v, 1000, prefixes, "") : small(r, v, "");
}

static struct value humanize1024(struct reader *r, double v)
{
    static const char *const prefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi", NULL};

    return fabs(v) <= 1 || !isfinite(v) ? four_digits(r, v, "", "")
                                        : scaled(r, v, 1024, prefixes, "");
}

static struct value humanize_duration(struct reader *r, double v)
{
    const char *sign = v < 0 ? "-" : "";
    double positive = fabs(v);
    int64_t s;

    if (!isfinite(v) || positive > 9e18) {
        return four_digits(r, v, "", "");
    }
    if (v == 0) {
        return of_text(STR("0s"));
    }
    if (positive < 1) {
        return small(r, v, "s");
    }
    s = (int64_t)positive;
    if (s < 60) {
        return four_digits(r, v, "", "s");
    }
    if (s < 3600) {
        return of_text(str_of(
            arena_printf(&r->arena, "%s%lldm %llds", sign, (long long)s / 60, (long long)s % 60)));
    }
    if (s < 86400) {
        return of_text(
            str_of(arena_printf(&r->arena, "%s%lldh %lldm %llds", sign, (long long)s / 3600,
                                (long long)s / 60 % 60, (long long)s % 60)));
    }
    return of_text(
        str_of(arena_printf(&r->arena, "%s%lldd %lldh %lldm %llds", sign, (long long)s / 86400,
                            (long long)s / 3600 % 24, (long long)s / 60 % 60, (long long)s % 60)));
}

static struct value humanize_timestamp(struct reader *r, double v)
{
    time_t t = isfinite(v) && fabs(v) < 6e10 ? (time_t)floor(v) : 0;
    int ms = (int)((v - floor(v)) * 1000);
    char text[64], part[16] = "";
    struct tm tm;

    if (!isfinite(v) || fabs(v) >= 6e10) {
        return four_digits(r, v, "", "");
    }
    (void)gmtime_r(&t, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    if (ms > 0) {
        snprintf(part, sizeof(part), ".%03d", ms);
        for (size_t n = strlen(part); part[n - 1] == '0'; n--) {
            part[n - 1] = '\0';
        }
    }
    return of_text(str_of(arena_printf(&r->arena, "%s%s +0000 UTC", text, part)));
}

static struct value cased(struct reader *r, struct str s, char kind)
{
    char *copy = arena_strdup(&r->arena, s);

    for (size_t i = 0; i < s.len; i++) {
        bool begins = i == 0 || !(isalnum((unsigned char)copy[i - 1]) || copy[i - 1] == '_');

        if (kind == 'l') {
            copy[i] = (char)tolower((unsigned char)copy[i]);
        } else if (kind == 'u' || begins) {
            copy[i] = (char)toupper((unsigned char)copy[i]);
        }
    }
    return of_text(str_n(copy, s.len));
}

/* One verb of printf, from behind its '%': flags, width, precision and the letter. */
static int verb(struct reader *r, struct str *format, const struct value *v, struct buf *out,
                struct err *e)
{
    char spec[24] = "%", letter;
    size_t n = 0;

    while (n < format->len && strchr("+-# 0123456789.", format->p[n]) != NULL) {
        n++;
    }
    if (n == format->len || n > 8) {
        return err_set(e, ERR_INVALID, "printf: a verb is cut off or too long");
    }
    letter = format->p[n];
    memcpy(spec + 1, format->p, n);
    *format = str_from(*format, n + 1);
    if (letter == '%') {
        return buf_add(out, STR("%"));
    }
    if (v == NULL) {
        return err_set(e, ERR_INVALID, "printf: a value for %%%c is missing", letter);
    }
    if (strchr("feg", letter) != NULL && isfinite(numeric(*v))) {
        for (char *p = spec + 1; *p != '\0'; p++) { /* a width of at most 99 */
            if (isdigit((unsigned char)p[0]) && isdigit((unsigned char)p[1]) &&
                isdigit((unsigned char)p[2])) {
                return err_set(e, ERR_INVALID, "printf: a width of more than two digits");
            }
        }
        if (letter == 'g' && n == 0) {
            return buf_add(out, shown(r, of_number(numeric(*v))));
        }
        spec[n + 1] = letter;
        spec[n + 2] = '\0';
        return buf_printf(out, spec, numeric(*v));
    }
    if (letter == 'd' && v->is_number) {
        return buf_printf(out, "%.0f", trunc(v->number));
    }
    if (letter == 'q') {
        return buf_printf(out, "\"%.*s\"", STR_ARG(shown(r, *v)));
    }
    if (strchr("svfeg", letter) != NULL) {
        return buf_add(out, shown(r, *v));
    }
    return err_set(e, ERR_INVALID, "printf: %%%c is not known here", letter);
}

static int fn_printf(struct reader *r, const struct value *args, size_t n, struct value *out,
                     struct err *e)
{
    struct str format = args[0].text;
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    size_t used = 1;
    int result = 0;

    while (result == 0 && format.len > 0) {
        ptrdiff_t at = str_find_char(format, '%');

        (void)buf_add(&b, at < 0 ? format : str_first(format, (size_t)at));
        format = at < 0 ? STR_EMPTY : str_from(format, (size_t)at + 1);
        if (at >= 0) {
            bool percent = str_starts(format, STR("%"));

            result = verb(r, &format, used < n && !percent ? &args[used] : NULL, &b, e);
            used += !percent;
        }
    }
    *out = of_text(arena_str(&r->arena, buf_str(&b)));
    buf_done(&b);
    return result;
}

static int fn_regex(struct reader *r, const struct value *args, bool replaces, struct value *out,
                    struct err *e)
{
    struct str pattern = args[0].text, text = shown(r, args[replaces ? 2 : 1]);
    struct label_regex *regex;
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    int matched;

    if (!replaces) {
        pattern = str_of(arena_printf(&r->arena, "(?s:.*)(?:%.*s)(?s:.*)", STR_ARG(pattern)));
        regex = label_regex_new(&r->arena, pattern, e);
        matched = regex == NULL ? -1 : label_regex_match(regex, text, e);
        *out = of_text(matched > 0 ? STR("true") : STR("false"));
        return matched < 0 ? -1 : 0;
    }
    regex = label_regex_new(&r->arena, pattern, e);
    matched = regex == NULL ? -1 : label_regex_expand(regex, text, args[1].text, &b, e);
    *out = of_text(matched > 0 ? arena_str(&r->arena, buf_str(&b)) : text);
    buf_done(&b);
    return matched < 0 ? -1 : 0;
}

static const struct {
    const char *name;
    size_t n_args;
} functions[] = {
    {"printf", 0},
    {"humanize", 1},
    {"humanize1024", 1},
    {"humanizeDuration", 1},
    {"humanizePercentage", 1},
    {"humanizeTimestamp", 1},
    {"title", 1},
    {"toUpper", 1},
    {"toLower", 1},
    {"index", 2},
    {"match", 2},
    {"reReplaceAll", 3},
    {"print", 1},
};

static int call(struct reader *r, struct str name, const struct value *args, size_t n,
                struct value *out, struct err *e)
{
    size_t i = 0;

    while (i < ARRAY_LEN(functions) && !str_eq_c(name, functions[i].name)) {
        i++;
    }
    if (i == ARRAY_LEN(functions)) {
        return err_set(e, ERR_INVALID,
                       "\"%.*s\" is not known in templates here; there are $labels, $value, "
                       "printf, humanize, humanizeDuration and a few more",
                       STR_ARG(name));
    }
    if (functions[i].n_args > 0 ? n != functions[i].n_args : n == 0) {
        return err_set(e, ERR_INVALID, "%s takes %zu argument(s), not %zu", functions[i].name,
                       functions[i].n_args, n);
    }
    switch (i) {
    case 0:
        return fn_printf(r, args, n, out, e);
    case 1:
        *out = humanize(r, numeric(args[0]));
        return 0;
    case 2:
        *out = humanize1024(r, numeric(args[0]));
        return 0;
    case 3:
        *out = humanize_duration(r, numeric(args[0]));
        return 0;
    case 4:
        *out = four_digits(r, numeric(args[0]) * 100, "", "%");
        return 0;
    case 5:
        *out = humanize_timestamp(r, numeric(args[0]));
        return 0;
    case 6:
        *out = cased(r, shown(r, args[0]), 't');
        return 0;
    case 7:
        *out = cased(r, shown(r, args[0]), 'u');
        return 0;
    case 8:
        *out = cased(r, shown(r, args[0]), 'l');
        return 0;
    case 9: /* of $labels alone: the first argument is looked at by its reader */
        *out = of_text(labels_get(r->v->labels, args[1].text));
        return 0;
    case 12:
        *out = of_text(shown(r, args[0]));
        return 0;
    default:
        return fn_regex(r, args, i == 11, out, e);
    }
}

/* --- reading --- */

static void skip_space(struct reader *r)
{
    while (r->at < r->s.len && isspace((unsigned char)r->s.p[r->at])) {
        r->at++;
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$';
}

static struct str word(struct reader *r)
{
    size_t from = r->at;

    while (r->at < r->s.len && is_word(r->s.p[r->at])) {
        r->at++;
    }
    return str_n(r->s.p + from, r->at - from);
}

static int text_literal(struct reader *r, struct value *out, struct err *e)
{
    char quote = r->s.p[r->at++];
    char *text = arena_alloc(&r->arena, r->s.len + 1);
    size_t n = 0;

    while (r->at < r->s.len && r->s.p[r->at] != quote) {
        char c = r->s.p[r->at++];

        if (c == '\\' && quote == '"' && r->at < r->s.len) {
            c = r->s.p[r->at++];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        text[n++] = c;
    }
    if (r->at == r->s.len) {
        return err_set(e, ERR_INVALID, "a string has no end");
    }
    r->at++;
    *out = of_text(str_n(text, n));
    return 0;
}

static struct str all_labels(struct reader *r, struct labels s)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct str text;

    (void)buf_add(&b, STR("map["));
    for (size_t i = 0; i < s.len; i++) {
        (void)buf_printf(&b, "%s%.*s:%.*s", i > 0 ? " " : "", STR_ARG(s.p[i].name),
                         STR_ARG(s.p[i].value));
    }
    (void)buf_add(&b, STR("]"));
    text = arena_str(&r->arena, buf_str(&b));
    buf_done(&b);
    return text;
}

/* $labels.x, .Labels.x, $value, ...; false: none of these. */
static bool variable(struct reader *r, struct str w, struct value *out)
{
    static const struct {
        const char *names[2];
        char kind;
    } variables[] = {{{"$labels", ".Labels"}, 'l'},
                     {{"$externalLabels", ".ExternalLabels"}, 'e'},
                     {{"$value", ".Value"}, 'v'},
                     {{"$externalURL", ".ExternalURL"}, 'u'}};

    for (size_t i = 0; i < ARRAY_LEN(variables) * 2; i++) {
        struct str name = str_of(variables[i / 2].names[i % 2]);
        char kind = variables[i / 2].kind;
        struct labels s = kind == 'l' ? r->v->labels : r->v->external;
        bool whole = str_eq(w, name);

        if (kind == 'v' && whole) {
            *out = of_number(r->v->value);
            return true;
        }
        if (kind == 'u' && whole) {
            *out = of_text(r->v->external_url);
            return true;
        }
        if ((kind == 'l' || kind == 'e') && str_starts(w, name) &&
            (whole || w.p[name.len] == '.')) {
            *out = of_text(whole ? all_labels(r, s) : labels_get(s, str_from(w, name.len + 1)));
            return true;
        }
    }
    return false;
}

/* 1: one was read; 0: there is none. A name that is a function is left in *name. */
static int operand(struct reader *r, struct value *out, struct str *name, struct err *e)
{
    struct str w;
    char text[64], *end;
    char c;

    *name = STR_EMPTY;
    skip_space(r);
    c = r->at < r->s.len ? r->s.p[r->at] : '|';
    if (c == '|' || c == ')') {
        return 0;
    }
    if (c == '"' || c == '`') {
        return text_literal(r, out, e) < 0 ? -1 : 1;
    }
    if (c == '(') {
        r->at++;
        if (pipeline(r, out, e) < 0) {
            return -1;
        }
        if (r->at == r->s.len || r->s.p[r->at++] != ')') {
            return err_set(e, ERR_INVALID, "a parenthesis has no end");
        }
        return 1;
    }
    r->at += c == '-' || c == '+';
    w = word(r);
    if (c == '-' || c == '+') {
        w = str_n(w.p - 1, w.len + 1);
    }
    if (variable(r, w, out)) {
        return 1;
    }
    if (str_copy(w, text, sizeof(text)) == 0 && w.len > 0 && !isalpha((unsigned char)text[0])) {
        *out = of_number(strtod(text, &end));
        if (*end == '\0') {
            return 1;
        }
    }
    if (w.len == 0 || !isalpha((unsigned char)w.p[0])) {
        return err_set(e, ERR_INVALID, "\"%.*s\" cannot be read in a template",
                       STR_ARG(str_first(str_from(r->s, r->at - w.len), 40)));
    }
    *name = w;
    return 1;
}

/* A function with arguments, or a value; what came through the pipe is the last argument. */
static int command(struct reader *r, const struct value *piped, struct value *out, struct err *e)
{
    struct value args[MAX_ARGS];
    struct str name, other;
    size_t n = 0;
    int more = operand(r, out, &name, e);

    if (more <= 0) {
        return more < 0 ? -1 : err_set(e, ERR_INVALID, "a command is missing in a template");
    }
    for (;;) {
        more = operand(r, &args[n], &other, e);
        if (more <= 0) {
            break;
        }
        if (other.len > 0 || n + 2 == MAX_ARGS || name.len == 0) {
            return err_set(e, ERR_INVALID, "\"%.*s\" is too much here",
                           STR_ARG(str_first(r->s, 60)));
        }
        n++;
    }
    if (more < 0) {
        return -1;
    }
    if (piped != NULL) {
        args[n++] = *piped;
    }
    if (name.len == 0) {
        return piped == NULL ? 0 : err_set(e, ERR_INVALID, "only a function stands behind a pipe");
    }
    return call(r, name, args, n, out, e);
}

static int pipeline(struct reader *r, struct value *out, struct err *e)
{
    struct value v;

    if (++r->depth > MAX_DEPTH) {
        return err_set(e, ERR_LIMIT, "a template has more than %d parentheses", MAX_DEPTH);
    }
    if (command(r, NULL, &v, e) < 0) {
        return -1;
    }
    while (r->at < r->s.len && r->s.p[r->at] == '|') {
        struct value piped = v;

        r->at++;
        if (command(r, &piped, &v, e) < 0) {
            return -1;
        }
    }
    r->depth--;
    *out = v;
    return 0;
}

/* What stands between {{ and }}. */
static int action(struct str s, const struct rule_values *v, struct buf *out, struct err *e)
{
    struct reader r = {.s = s, .v = v};
    struct value value;
    int result = 0;

    skip_space(&r);
    if (!str_starts(str_from(s, r.at), STR("/*"))) {
        result = pipeline(&r, &value, e);
        if (result == 0 && r.at < s.len) {
            result = err_set(e, ERR_INVALID, "\"%.*s\" is too much in a template",
                             STR_ARG(str_first(str_from(s, r.at), 40)));
        }
        if (result == 0 && buf_add(out, shown(&r, value)) < 0) {
            result =
                err_set(e, ERR_LIMIT, "a label or annotation is longer than %zu bytes", out->max);
        }
    }
    arena_done(&r.arena);
    return result;
}

static struct str trim_end(struct str s)
{
    while (s.len > 0 && isspace((unsigned char)s.p[s.len - 1])) {
        s.len--;
    }
    return s;
}

int rule_template(struct str text, const struct rule_values *v, struct buf *out, struct err *e)
{
    bool trims = false;

    for (;;) {
        ptrdiff_t open = str_find(text, STR("{{")), end;
        struct str before = open < 0 ? text : str_first(text, (size_t)open), inner;

        while (trims && before.len > 0 && isspace((unsigned char)before.p[0])) {
            before = str_from(before, 1);
        }
        if (open < 0) {
            return buf_add(out, before) == 0
                       ? 0
                       : err_set(e, ERR_LIMIT, "a label or annotation is longer than %zu bytes",
                                 out->max);
        }
        text = str_from(text, (size_t)open + 2);
        end = str_find(text, STR("}}"));
        if (end < 0) {
            return err_set(e, ERR_INVALID, "{{ has no }} in \"%.*s\"",
                           STR_ARG(str_first(text, 60)));
        }
        inner = str_first(text, (size_t)end);
        text = str_from(text, (size_t)end + 2);
        if (inner.len > 1 && inner.p[0] == '-' && isspace((unsigned char)inner.p[1])) {
            before = trim_end(before);
            inner = str_from(inner, 1);
        }
        trims = inner.len > 1 && inner.p[inner.len - 1] == '-' &&
                isspace((unsigned char)inner.p[inner.len - 2]);
        inner = trims ? str_first(inner, inner.len - 1) : inner;
        (void)buf_add(out, before);
        if (action(inner, v, out, e) < 0) {
            return -1;
        }
    }
}
