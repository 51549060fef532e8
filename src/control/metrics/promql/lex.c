#include "promql/lex.h"
#include "promql/parse.h"

#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    enum promql_op op;
} signs[] = {
    /* longer ones first */
    {"==", PROMQL_EQ}, {"!=", PROMQL_NE}, {">=", PROMQL_GE}, {"<=", PROMQL_LE},
    {">", PROMQL_GT},  {"<", PROMQL_LT},  {"+", PROMQL_ADD}, {"-", PROMQL_SUB},
    {"*", PROMQL_MUL}, {"/", PROMQL_DIV}, {"%", PROMQL_MOD}, {"^", PROMQL_POW},
};

#undef promql_error
int promql_error(const struct promql_lex *l, size_t at, struct err *e, const char *fmt, ...)
{
    size_t line = 1, column = 1;
    char what[400];
    va_list ap;

    for (size_t i = 0; i < at && i < l->text.len; i++) {
        bool is_end = l->text.p[i] == '\n';

        line += is_end;
        column = is_end ? 1 : column + 1;
    }
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_set(e, ERR_INVALID, "%zu:%zu: parse error: %s", line, column, what);
}
#define promql_error(...) err_minus_one(promql_error(__VA_ARGS__))

const char *promql_token_text(const struct promql_lex *l)
{
    struct str s = str_first(str_from(l->text, l->from), l->to - l->from);

    if (l->token == TOKEN_END) {
        return "end of input";
    }
    return arena_printf(l->arena, "%s\"%.*s\"", l->token == TOKEN_NAME ? "identifier " : "",
                        (int)(s.len < 80 ? s.len : 80), s.p);
}

static int peek(const struct promql_lex *l, size_t ahead)
{
    return l->at + ahead < l->text.len ? (unsigned char)l->text.p[l->at + ahead] : 0;
}

static bool is_word(int c)
{
    return c < 128 && (isalnum(c) || c == '_');
}

/* --- numbers and durations --- */

int promql_duration(struct str s, int64_t *ms)
{
    static const struct {
        struct str unit;
        int64_t ms;
    } units[] = {{STR("y"), 365LL * 86400000},
                 {STR("w"), 7LL * 86400000},
                 {STR("d"), 86400000},
                 {STR("h"), 3600000},
                 {STR("m"), 60000},
                 {STR("s"), 1000},
                 {STR("ms"), 1}};
    int64_t sum = 0;
    size_t next = 0;

    if (s.len == 0) {
        return -1;
    }
    while (s.len > 0) {
        size_t digits = 0, letters, u;
        uint64_t n;
        int64_t part;

        while (digits < s.len && isdigit((unsigned char)s.p[digits])) {
            digits++;
        }
        letters = digits;
        while (letters < s.len && isalpha((unsigned char)s.p[letters])) {
            letters++;
        }
        for (u = next; u < ARRAY_LEN(units); u++) {
            if (str_eq(str_n(s.p + digits, letters - digits), units[u].unit)) {
                break;
            }
        }
        if (u == ARRAY_LEN(units) || str_to_u64(str_first(s, digits), &n) < 0 || n > INT64_MAX ||
            __builtin_mul_overflow((int64_t)n, units[u].ms, &part) ||
            __builtin_add_overflow(sum, part, &sum)) {
            return -1;
        }
        next = u + 1;
        s = str_from(s, letters);
    }
    *ms = sum;
    return 0;
}

/* Digits with single underscores between them: returns how many bytes, copies the digits. */
static size_t digits_of(struct str s, bool hex, char *out, size_t out_size, size_t *len)
{
    size_t i = 0;

    while (i < s.len) {
        unsigned char c = (unsigned char)s.p[i];
        bool is_digit = hex ? isxdigit(c) : isdigit(c);

        if (c == '_' && i > 0 && i + 1 < s.len && s.p[i - 1] != '_' &&
            (hex ? isxdigit((unsigned char)s.p[i + 1]) : isdigit((unsigned char)s.p[i + 1]))) {
            i++;
            continue;
        }
        if (!is_digit) {
            break;
        }
        if (*len + 1 < out_size) {
            out[(*len)++] = (char)c;
        }
        i++;
    }
    return i;
}

/* A whole number in base 16 or, after a leading 0, base 8, as Go reads it. */
static int based_number(struct str s, double *out)
{
    char digits[64];
    size_t len = 0, used;
    unsigned long long v;
    bool hex = s.len > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'X');

    if (s.len < 2 || s.p[0] != '0') {
        return -1;
    }
    s = str_from(s, hex ? 2 : 1);
    used = digits_of(s, hex, digits, sizeof(digits), &len);
    if (used != s.len || len == 0 || len > (hex ? 15u : 20u)) {
        return -1;
    }
    digits[len] = '\0';
    if (!hex && strspn(digits, "01234567") != len) {
        return -1;
    }
    v = strtoull(digits, NULL, hex ? 16 : 8);
    *out = (double)v;
    return 0;
}

static int decimal_number(struct str s, double *out)
{
    char digits[256];
    size_t len = 0, i = digits_of(s, false, digits, sizeof(digits) - 8, &len), before = len;

    if (i < s.len && s.p[i] == '.') {
        digits[len++] = '.';
        i++;
        i += digits_of(str_from(s, i), false, digits, sizeof(digits) - 8, &len);
        if (len == before + 1 && before == 0) {
            return -1;
        }
    } else if (before == 0) {
        return -1;
    }
    if (i < s.len && (s.p[i] == 'e' || s.p[i] == 'E')) {
        size_t exponent;

        digits[len++] = 'e';
        i++;
        if (i < s.len && (s.p[i] == '+' || s.p[i] == '-')) {
            digits[len++] = s.p[i++];
        }
        exponent = digits_of(str_from(s, i), false, digits, sizeof(digits) - 1, &len);
        if (exponent == 0) {
            return -1;
        }
        i += exponent;
    }
    if (i != s.len) {
        return -1;
    }
    digits[len] = '\0';
    *out = strtod(digits, NULL);
    return 0;
}

static int lex_number(struct promql_lex *l, struct err *e)
{
    size_t n = 0;
    bool signed_exponent = false;
    struct str s;

    /* The longest run that may be a number or a duration; what it is shows in the end. */
    for (;; n++) {
        int c = peek(l, n);

        signed_exponent = (c == '+' || c == '-') && n > 0 && tolower(peek(l, n - 1)) == 'e' &&
                          tolower(peek(l, 1)) != 'x' && isdigit(peek(l, n + 1));
        if (!is_word(c) && c != '.' && !signed_exponent) {
            break;
        }
    }
    s = str_first(str_from(l->text, l->at), n);
    l->at += n;
    l->to = l->at;
    if (based_number(s, &l->number) == 0 || decimal_number(s, &l->number) == 0) {
        l->token = TOKEN_NUMBER;
        return 0;
    }
    if (promql_duration(s, &l->ms) == 0) {
        l->token = TOKEN_DURATION;
        l->number = (double)l->ms / 1000;
        return 0;
    }
    return promql_error(l, l->from, e, "bad number or duration syntax: \"%.*s\"",
                        (int)(s.len < 60 ? s.len : 60), s.p);
}

/* --- strings --- */

static int hex_digit(char c)
{
    return !isxdigit((unsigned char)c) ? -1
           : isdigit((unsigned char)c) ? c - '0'
                                       : (c | 0x20) - 'a' + 10;
}

size_t promql_unescape(struct str s, char quote, char out[4], size_t *n)
{
    static const char names[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    char c = s.len > 1 ? s.p[1] : '\0';
    const char *simple = c != '\0' ? strchr(names, c) : NULL;
    uint32_t v = 0;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;

    *n = 1;
    if (simple != NULL || (c == quote && c != '\0')) {
        out[0] = simple != NULL ? values[simple - names] : quote;
        return 2;
    }
    if (digits > 0) {
        for (size_t i = 0; i < digits; i++) {
            int d = i + 2 < s.len ? hex_digit(s.p[i + 2]) : -1;

            if (d < 0) {
                return 0;
            }
            v = v * 16 + (uint32_t)d;
        }
        if (c == 'x') {
            out[0] = (char)v;
            return 4;
        }
        *n = utf8_put(out, v);
        return *n > 0 ? 2 + digits : 0;
    }
    for (size_t i = 1; i < 4; i++) { /* \377 */
        if (i >= s.len || s.p[i] < '0' || s.p[i] > '7') {
            return 0;
        }
        v = v * 8 + (uint32_t)(s.p[i] - '0');
    }
    out[0] = (char)v;
    return v < 256 ? 4 : 0;
}

static int lex_string(struct promql_lex *l, struct err *e)
{
    char quote = l->text.p[l->at];
    size_t end = l->at + 1, len = 0;
    char *value;

    while (end < l->text.len && l->text.p[end] != quote) {
        end += l->text.p[end] == '\\' && quote != '`' ? 2 : 1;
    }
    value =
        arena_alloc(l->arena, end - l->at + 1); /* an escape is longer than what it stands for */

    for (l->at++; l->at < l->text.len && l->text.p[l->at] != quote;) {
        char c = l->text.p[l->at];
        size_t n = 1;

        if (c == '\n' && quote != '`') {
            break;
        }
        if (c == '\\' && quote != '`') {
            size_t used = promql_unescape(str_from(l->text, l->at), quote, value + len, &n);

            if (used == 0) {
                return promql_error(l, l->at, e, "unknown escape sequence in a string");
            }
            l->at += used;
        } else {
            value[len] = c;
            l->at++;
        }
        len += n;
    }
    if (l->at >= l->text.len || l->text.p[l->at] != quote) {
        return promql_error(l, l->from, e, "unterminated %s string",
                            quote == '`' ? "raw" : "quoted");
    }
    l->at++;
    l->to = l->at;
    l->token = TOKEN_STRING;
    l->word = str_n(value, len);
    return 0;
}

/* --- words and signs --- */

static void skip_space(struct promql_lex *l)
{
    for (;;) {
        int c = peek(l, 0);

        if (c == '#') {
            while (l->at < l->text.len && l->text.p[l->at] != '\n') {
                l->at++;
            }
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            l->at++;
        } else {
            return;
        }
    }
}

static void lex_name(struct promql_lex *l)
{
    static const struct {
        const char *word;
        enum promql_op op;
    } words[] = {
        {"and", PROMQL_AND}, {"or", PROMQL_OR}, {"unless", PROMQL_UNLESS}, {"atan2", PROMQL_ATAN2}};

    while (is_word(peek(l, 0)) || (peek(l, 0) == ':' && l->braces == 0 && l->square == 0)) {
        l->at++;
    }
    l->to = l->at;
    l->word = str_first(str_from(l->text, l->from), l->to - l->from);
    l->token = TOKEN_NAME;
    if (l->braces > 0) {
        return;
    }
    if (str_eq_nocase(l->word, STR("inf")) || str_eq_nocase(l->word, STR("nan"))) {
        l->token = TOKEN_NUMBER;
        l->number = str_eq_nocase(l->word, STR("inf")) ? (double)INFINITY : (double)NAN;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq_nocase(l->word, str_of(words[i].word))) {
            l->token = TOKEN_OPERATOR;
            l->op = words[i].op;
        }
    }
}

static bool lex_sign(struct promql_lex *l)
{
    static const struct {
        char sign;
        enum promql_token token;
    } single[] = {{'(', TOKEN_LEFT_PAREN},  {')', TOKEN_RIGHT_PAREN},  {'{', TOKEN_LEFT_BRACE},
                  {'}', TOKEN_RIGHT_BRACE}, {'[', TOKEN_LEFT_BRACKET}, {']', TOKEN_RIGHT_BRACKET},
                  {',', TOKEN_COMMA},       {':', TOKEN_COLON},        {'@', TOKEN_AT}};
    struct str rest = str_from(l->text, l->at);

    if (str_starts(rest, STR("=~")) || str_starts(rest, STR("!~"))) {
        l->token = rest.p[0] == '=' ? TOKEN_LIKE : TOKEN_NOT_LIKE;
        l->at += 2;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (str_starts(rest, str_of(signs[i].text))) {
            l->token = TOKEN_OPERATOR;
            l->op = signs[i].op;
            l->at += strlen(signs[i].text);
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        if (rest.p[0] == single[i].sign) {
            l->token = single[i].token;
            l->at++;
            return true;
        }
    }
    if (rest.p[0] == '=') {
        l->token = TOKEN_ASSIGN;
        l->at++;
        return true;
    }
    return false;
}

int promql_next(struct promql_lex *l, struct err *e)
{
    int c;

    skip_space(l);
    l->from = l->to = l->at;
    l->word = STR_EMPTY;
    if (l->at == l->text.len) {
        l->token = TOKEN_END;
        return 0;
    }
    c = peek(l, 0);
    if (c == '"' || c == '\'' || c == '`') {
        return lex_string(l, e);
    }
    if (l->braces == 0 && (isdigit(c) || (c == '.' && isdigit(peek(l, 1))))) {
        return lex_number(l, e);
    }
    if (c < 128 && (isalpha(c) || c == '_' || (c == ':' && l->braces == 0 && l->square == 0))) {
        lex_name(l);
        return 0;
    }
    if (!lex_sign(l)) {
        return promql_error(l, l->at, e, "unexpected character: %s",
                            c >= 0x20 && c < 0x7f ? arena_printf(l->arena, "'%c'", c)
                                                  : arena_printf(l->arena, "0x%02x", c));
    }
    l->to = l->at;
    l->braces += (l->token == TOKEN_LEFT_BRACE) - (l->token == TOKEN_RIGHT_BRACE);
    l->square += (l->token == TOKEN_LEFT_BRACKET) - (l->token == TOKEN_RIGHT_BRACKET);
    return 0;
}
