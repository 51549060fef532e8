#include "rules/template_lex.h"

#include "base/utf8.h"
#include "promql/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int(template_error)(struct template_lex *l, const char *fmt, ...)
{
    unsigned line = 1;
    va_list ap;

    for (size_t i = 0; i < l->at && i < l->text.len; i++) {
        line += l->text.p[i] == '\n';
    }
    va_start(ap, fmt);
    (void)!err_setv(l->e, ERR_INVALID, fmt, ap);
    va_end(ap);
    return line > 1 ? err_wrap(l->e, "line %u of the template", line) : -1;
}

bool template_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

char template_look(const struct template_lex *l, size_t ahead)
{
    return l->at + ahead < l->text.len ? l->text.p[l->at + ahead] : '\0';
}

bool template_stands(const struct template_lex *l, const char *what)
{
    return str_starts(str_from(l->text, l->at), str_of(what));
}

static void take(struct template_lex *l, enum token_kind kind, size_t n)
{
    l->token.kind = kind;
    l->token.text = str_n(l->text.p + l->at, n);
    l->at += n;
}

static size_t word_length(const struct template_lex *l, size_t from)
{
    size_t n = from;

    while (is_letter(template_look(l, n)) || is_digit(template_look(l, n))) {
        n++;
    }
    return n - from;
}

/* How long a string is as it is written, without its end. */
static size_t written_length(const struct template_lex *l, char quote)
{
    size_t n = 0;

    while (l->at + n < l->text.len && template_look(l, n) != quote) {
        n += template_look(l, n) == '\\' && quote != '`' ? 2 : 1;
    }
    return n;
}

/* "text", `text` or 'c'. */
static int quoted(struct template_lex *l)
{
    char quote = l->text.p[l->at++];
    char *text =
        arena_alloc(l->arena, written_length(l, quote) + 5); /* what escapes give is less */
    size_t n = 0, more, used;

    for (;;) {
        char c = template_look(l, 0);

        if (l->at >= l->text.len || (c == '\n' && quote != '`')) {
            return template_error(l, "a string has no end");
        }
        l->at++;
        if (c == quote) {
            break;
        }
        if (c != '\\' || quote == '`') {
            text[n++] = c;
            continue;
        }
        used = promql_unescape(str_from(l->text, l->at - 1), quote, text + n, &more);
        if (used == 0) {
            return template_error(l, "a string has a backslash before what Go does not know");
        }
        l->at += used - 1;
        n += more;
    }
    l->token.kind = TOKEN_CONSTANT;
    l->token.constant = value_text(str_n(text, n));
    if (quote == '\'') {
        const unsigned char *u = (const unsigned char *)text;
        size_t len = n == 0 ? 0 : str_utf8_len(u, n);

        if (len == 0 || len != n) {
            return template_error(l, "a character in single quotes is one");
        }
        l->token.constant = value_int(utf8_get(u, len));
    }
    return 0;
}

static int number(struct template_lex *l)
{
    char text[64], *end, *digits, *first;
    size_t from = l->at, n = 0;
    int base;

    while (l->at - from < sizeof(text) - 1) {
        char c = template_look(l, 0);
        bool sign = (c == '+' || c == '-') &&
                    (l->at == from || strchr("eEpP", l->text.p[l->at - 1]) != NULL);

        if (!is_digit(c) && !is_letter(c) && c != '.' && !sign) {
            break;
        }
        if (c != '_') {
            text[n++] = c;
        }
        l->at++;
    }
    text[n] = '\0';
    digits = text + (text[0] == '-' || text[0] == '+');
    base = digits[0] != '0' || digits[1] == '\0' ? 10
           : (digits[1] | 0x20) == 'x'           ? 16
           : (digits[1] | 0x20) == 'b'           ? 2
                                                 : 8;
    first = digits + (base == 2 || (base == 8 && (digits[1] | 0x20) == 'o') ? 2 : 0);
    l->token.kind = TOKEN_CONSTANT;
    if (strpbrk(digits, base == 16 ? ".pP" : ".eE") != NULL) {
        l->token.constant = value_float(strtod(text, &end));
    } else {
        errno = 0;
        l->token.constant = value_int(strtoll(first, &end, base));
        if (errno != 0 || first[0] == '-' || first[0] == '+') {
            end = text;
        }
        if (text[0] == '-') {
            l->token.constant.whole = -l->token.constant.whole;
        }
    }
    return end == text || end == first || *end != '\0'
               ? template_error(l, "\"%s\" is no number", text)
               : 0;
}

/* The next token of an action, into l->token. */
int template_next(struct template_lex *l)
{
    size_t from = l->at;
    char c;

    while (l->at < l->text.len && template_is_space(l->text.p[l->at])) {
        l->at++;
    }
    l->token = (struct token){.spaced = l->at > from};
    c = template_look(l, 0);
    if (l->at >= l->text.len) {
        return template_error(l, "{{ has no }}");
    }
    if (template_stands(l, "}}") || (l->token.spaced && template_stands(l, "-}}"))) {
        l->token.trims = c == '-';
        take(l, TOKEN_CLOSE, c == '-' ? 3 : 2);
        return 0;
    }
    if (c == '"' || c == '`' || c == '\'') {
        return quoted(l);
    }
    if (c == '$' || (c == '.' && is_letter(template_look(l, 1)))) {
        l->at++;
        take(l, c == '$' ? TOKEN_VARIABLE : TOKEN_FIELD, word_length(l, 0));
        return 0;
    }
    if (is_digit(c) ||
        ((c == '-' || c == '+' || c == '.') &&
         (is_digit(template_look(l, 1)) || (c != '.' && template_look(l, 1) == '.')))) {
        return number(l);
    }
    if (is_letter(c)) {
        take(l, TOKEN_WORD, word_length(l, 0));
        return 0;
    }
    if (template_stands(l, ":=")) {
        take(l, TOKEN_DECLARE, 2);
        return 0;
    }
    switch (c) {
    case '.':
        take(l, TOKEN_DOT, 1);
        return 0;
    case '|':
        take(l, TOKEN_PIPE, 1);
        return 0;
    case '(':
        take(l, TOKEN_LEFT, 1);
        return 0;
    case ')':
        take(l, TOKEN_RIGHT, 1);
        return 0;
    case '=':
        take(l, TOKEN_ASSIGN, 1);
        return 0;
    case ',':
        take(l, TOKEN_COMMA, 1);
        return 0;
    default:
        return template_error(l, "\"%.*s\" cannot be read in a template",
                              STR_ARG(str_first(str_from(l->text, l->at), 40)));
    }
}
