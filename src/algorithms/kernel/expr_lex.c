#include "algorithms/kernel/expr_priv.h"

#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Letters of ASCII and all that is not ASCII: names in any script. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static size_t number_len(struct str s)
{
    size_t i = 0;

    while (i < s.len && (is_digit(s.p[i]) || s.p[i] == '.')) {
        i++;
    }
    if (i + 1 < s.len && (s.p[i] == 'e' || s.p[i] == 'E')) {
        size_t k = i + 1 + (s.p[i + 1] == '-' || s.p[i + 1] == '+');

        if (k < s.len && is_digit(s.p[k])) {
            for (i = k; i < s.len && is_digit(s.p[i]);) {
                i++;
            }
        }
    }
    return i;
}

/* Up to and with the closing quote; 0 when there is none. */
static size_t quoted_len(struct str s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.p[i] == s.p[0]) {
            if (i + 1 < s.len && s.p[i + 1] == s.p[0]) {
                i++;
            } else {
                return i + 1;
            }
        }
    }
    return 0;
}

static size_t sign_len(struct str s)
{
    static const char *const two[] = {"==", "!=", "<>", "<=", ">="};

    for (size_t i = 0; i < ARRAY_LEN(two); i++) {
        if (str_starts(s, str_of(two[i]))) {
            return 2;
        }
    }
    return strchr("+-*/%^=<>(),", s.p[0]) && s.p[0] ? 1 : 0;
}

static int lex_number(struct token *t, struct str s, struct err *e)
{
    *t = (struct token){TOKEN_NUMBER, str_first(s, number_len(s)), 0, t->at};
    if (number_parse(t->raw, &t->number) < 0) {
        return err_set(e, ERR_INVALID, "character %zu: '%.*s' is not a number", t->at,
                       STR_ARG(str_first(t->raw, 60)));
    }
    return 0;
}

static int lex_quoted(struct token *t, struct str s, struct err *e)
{
    size_t len = quoted_len(s);

    if (len == 0) {
        return err_set(e, ERR_INVALID, "character %zu: the quote %c is never closed", t->at,
                       s.p[0]);
    }
    t->type = s.p[0] == '`' ? TOKEN_QUOTED : TOKEN_TEXT;
    t->raw = str_first(s, len);
    return 0;
}

int expr_lex(struct str source, size_t *at, struct token *t, struct err *e)
{
    struct str s;
    int rc = 0;

    while (*at < source.len && is_space(source.p[*at])) {
        ++*at;
    }
    s = str_from(source, *at);
    *t = (struct token){.type = TOKEN_END, .raw = str_first(s, 0), .at = *at + 1};
    if (s.len == 0) {
        return 0;
    }
    if (is_digit(s.p[0]) || (s.p[0] == '.' && s.len > 1 && is_digit(s.p[1]))) {
        rc = lex_number(t, s, e);
    } else if (s.p[0] == '\'' || s.p[0] == '"' || s.p[0] == '`') {
        rc = lex_quoted(t, s, e);
    } else if (is_letter(s.p[0])) {
        size_t n = 1;

        while (n < s.len && (is_letter(s.p[n]) || is_digit(s.p[n]) || s.p[n] == '.')) {
            n++;
        }
        t->type = TOKEN_NAME;
        t->raw = str_first(s, n);
    } else {
        t->type = TOKEN_SIGN;
        t->raw = str_first(s, sign_len(s));
        if (t->raw.len == 0) {
            rc = err_set(e, ERR_INVALID,
                         "character %zu: '%c' means nothing here; names with such characters stand "
                         "in `backquotes`",
                         t->at, s.p[0] >= ' ' && s.p[0] < 127 ? s.p[0] : '?');
        }
    }
    *at += t->raw.len;
    return rc;
}

char *expr_unquote(struct str raw)
{
    char *out = xcalloc(raw.len, 1);
    size_t n = 0;

    for (size_t i = 1; i + 1 < raw.len; i++) {
        out[n++] = raw.p[i];
        i += raw.p[i] == raw.p[0];
    }
    return out;
}

/* Where the next ; or line end outside of quotes is. */
static size_t assignment_end(struct str s)
{
    char quote = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '\'' || c == '"' || c == '`') {
            quote = c;
        } else if (c == ';' || c == '\n') {
            return i;
        }
    }
    return s.len;
}

int expr_next_assignment(struct str *rest, char **name, struct str *source, struct err *e)
{
    struct str one = STR_EMPTY;
    struct token t = {0}, is = {0};
    size_t at = 0;

    while (one.len == 0 && rest->len > 0) {
        size_t end = assignment_end(*rest);

        one = str_trim(str_first(*rest, end));
        one = one.len == 1 && one.p[0] == '\r' ? STR_EMPTY : one;
        *rest = str_from(*rest, end + 1);
    }
    if (one.len == 0) {
        return 0;
    }
    if (expr_lex(one, &at, &t, e) < 0 || expr_lex(one, &at, &is, e) < 0) {
        return -1;
    }
    if ((t.type != TOKEN_NAME && t.type != TOKEN_QUOTED) || !str_eq(is.raw, STR("="))) {
        return err_set(e, ERR_INVALID,
                       "'%.*s' gives no column: write name = expression, one a line or parted by ;",
                       STR_ARG(str_first(one, 80)));
    }
    *name = t.type == TOKEN_QUOTED ? expr_unquote(t.raw) : str_dup(t.raw);
    *source = str_trim(str_from(one, at));
    return 1;
}
