/* template_parse - the text of a template, read to a tree. */
#include "rules/template_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum token_kind {
    TOKEN_CLOSE, /* }} */
    TOKEN_WORD,
    TOKEN_FIELD, /* .name */
    TOKEN_VARIABLE,
    TOKEN_CONSTANT,
    TOKEN_DOT,
    TOKEN_PIPE,
    TOKEN_LEFT,
    TOKEN_RIGHT,
    TOKEN_DECLARE,
    TOKEN_ASSIGN,
    TOKEN_COMMA
};

struct token {
    enum token_kind kind;
    bool spaced;     /* white space before it */
    bool trims;      /* CLOSE: "-}}" */
    struct str text; /* as written; of FIELD and VARIABLE without the sign */
    struct value constant;
};

struct parser {
    struct arena *a;
    struct str s;
    size_t at;
    struct token token; /* the one to be looked at */
    bool trims;         /* white space of the text that follows goes */
    unsigned depth, loops;
    struct str variables[TEMPLATE_VARIABLES];
    size_t n_variables, first_variable; /* those before belong to another template */
    struct template *out;
    struct err *e;
};

static int pipeline(struct parser *p, const char *what, enum token_kind end, struct pipe **out);

/* The mistake, with the line in the text when there are several. */
static int PRINTF_LIKE(2, 3) refuse(struct parser *p, const char *fmt, ...)
{
    unsigned line = 1;
    va_list ap;

    for (size_t i = 0; i < p->at && i < p->s.len; i++) {
        line += p->s.p[i] == '\n';
    }
    va_start(ap, fmt);
    (void)!err_setv(p->e, ERR_INVALID, fmt, ap);
    va_end(ap);
    return line > 1 ? err_wrap(p->e, "line %u of the template", line) : -1;
}

static int enter(struct parser *p)
{
    return ++p->depth > TEMPLATE_DEPTH
               ? refuse(p, "more than %d blocks and parentheses stand in each other",
                        TEMPLATE_DEPTH)
               : 0;
}

/* --- tokens --- */

static bool is_space(char c)
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

static char look(const struct parser *p, size_t ahead)
{
    return p->at + ahead < p->s.len ? p->s.p[p->at + ahead] : '\0';
}

static bool stands(const struct parser *p, const char *what)
{
    return str_starts(str_from(p->s, p->at), str_of(what));
}

static void take(struct parser *p, enum token_kind kind, size_t n)
{
    p->token.kind = kind;
    p->token.text = str_n(p->s.p + p->at, n);
    p->at += n;
}

static size_t word_length(const struct parser *p, size_t from)
{
    size_t n = from;

    while (is_letter(look(p, n)) || is_digit(look(p, n))) {
        n++;
    }
    return n - from;
}

/* A code point as UTF-8. */
static size_t put_rune(char *out, unsigned long c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        c = 0xfffd;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* What stands behind a backslash, into `out` of at least 4 bytes: its length, 0 for a mistake. */
static size_t escape(struct parser *p, char *out)
{
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    char c = look(p, 0), digits[9] = "", *end;
    const char *known = c == '\0' ? NULL : strchr(from, c);
    size_t n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : is_digit(c) ? 3 : 0;
    unsigned long code;

    if (known != NULL) {
        p->at++;
        out[0] = to[known - from];
        return 1;
    }
    p->at += n != 3;
    if (n == 0 || p->at + n > p->s.len) {
        return 0;
    }
    memcpy(digits, p->s.p + p->at, n);
    code = strtoul(digits, &end, n == 3 ? 8 : 16);
    if (end != digits + n || digits[0] == '-' || digits[0] == '+' || is_space(digits[0])) {
        return 0;
    }
    p->at += n;
    if (n > 3) {
        return put_rune(out, code);
    }
    out[0] = (char)code;
    return code > 255 ? 0 : 1;
}

/* "text", `text` or 'c'. */
static int quoted(struct parser *p)
{
    char quote = p->s.p[p->at++];
    char *text = arena_alloc(p->a, p->s.len - p->at + 5);
    size_t n = 0;

    for (;;) {
        char c = look(p, 0);

        if (p->at >= p->s.len || (c == '\n' && quote != '`')) {
            return refuse(p, "a string has no end");
        }
        p->at++;
        if (c == quote) {
            break;
        }
        if (c != '\\' || quote == '`') {
            text[n++] = c;
            continue;
        }
        size_t more = escape(p, text + n);

        if (more == 0) {
            return refuse(p, "a backslash in a string is followed by what Go does not know");
        }
        n += more;
    }
    p->token.kind = TOKEN_CONSTANT;
    p->token.constant = value_text(str_n(text, n));
    if (quote == '\'') {
        const unsigned char *u = (const unsigned char *)text;
        size_t len = n == 0 ? 0 : str_utf8_len(u, n);

        if (len == 0 || len != n) {
            return refuse(p, "a character in single quotes is one");
        }
        p->token.constant =
            value_int(len == 1   ? u[0]
                      : len == 2 ? (u[0] & 0x1f) << 6 | (u[1] & 0x3f)
                      : len == 3 ? (u[0] & 0x0f) << 12 | (u[1] & 0x3f) << 6 | (u[2] & 0x3f)
                                 : (u[0] & 0x07) << 18 | (u[1] & 0x3f) << 12 | (u[2] & 0x3f) << 6 |
                                       (u[3] & 0x3f));
    }
    return 0;
}

static int number(struct parser *p)
{
    char text[64], *end, *digits, *first;
    size_t from = p->at, n = 0;
    int base;

    while (p->at - from < sizeof(text) - 1) {
        char c = look(p, 0);
        bool sign =
            (c == '+' || c == '-') && (p->at == from || strchr("eEpP", p->s.p[p->at - 1]) != NULL);

        if (!is_digit(c) && !is_letter(c) && c != '.' && !sign) {
            break;
        }
        if (c != '_') {
            text[n++] = c;
        }
        p->at++;
    }
    text[n] = '\0';
    digits = text + (text[0] == '-' || text[0] == '+');
    base = digits[0] != '0' || digits[1] == '\0' ? 10
           : (digits[1] | 0x20) == 'x'           ? 16
           : (digits[1] | 0x20) == 'b'           ? 2
                                                 : 8;
    first = digits + (base == 2 || (base == 8 && (digits[1] | 0x20) == 'o') ? 2 : 0);
    p->token.kind = TOKEN_CONSTANT;
    if (strpbrk(digits, base == 16 ? ".pP" : ".eE") != NULL) {
        p->token.constant = value_float(strtod(text, &end));
    } else {
        errno = 0;
        p->token.constant = value_int(strtoll(first, &end, base));
        if (errno != 0 || first[0] == '-' || first[0] == '+') {
            end = text;
        }
        if (text[0] == '-') {
            p->token.constant.whole = -p->token.constant.whole;
        }
    }
    return end == text || end == first || *end != '\0' ? refuse(p, "\"%s\" is no number", text) : 0;
}

/* The next token of an action, into p->token. */
static int advance(struct parser *p)
{
    size_t from = p->at;
    char c;

    while (p->at < p->s.len && is_space(p->s.p[p->at])) {
        p->at++;
    }
    p->token = (struct token){.spaced = p->at > from};
    c = look(p, 0);
    if (p->at >= p->s.len) {
        return refuse(p, "{{ has no }}");
    }
    if (stands(p, "}}") || (p->token.spaced && stands(p, "-}}"))) {
        p->token.trims = c == '-';
        take(p, TOKEN_CLOSE, c == '-' ? 3 : 2);
        return 0;
    }
    if (c == '"' || c == '`' || c == '\'') {
        return quoted(p);
    }
    if (c == '$' || (c == '.' && is_letter(look(p, 1)))) {
        p->at++;
        take(p, c == '$' ? TOKEN_VARIABLE : TOKEN_FIELD, word_length(p, 0));
        return 0;
    }
    if (is_digit(c) || ((c == '-' || c == '+' || c == '.') &&
                        (is_digit(look(p, 1)) || (c != '.' && look(p, 1) == '.')))) {
        return number(p);
    }
    if (is_letter(c)) {
        take(p, TOKEN_WORD, word_length(p, 0));
        return 0;
    }
    if (stands(p, ":=")) {
        take(p, TOKEN_DECLARE, 2);
        return 0;
    }
    switch (c) {
    case '.':
        take(p, TOKEN_DOT, 1);
        return 0;
    case '|':
        take(p, TOKEN_PIPE, 1);
        return 0;
    case '(':
        take(p, TOKEN_LEFT, 1);
        return 0;
    case ')':
        take(p, TOKEN_RIGHT, 1);
        return 0;
    case '=':
        take(p, TOKEN_ASSIGN, 1);
        return 0;
    case ',':
        take(p, TOKEN_COMMA, 1);
        return 0;
    default:
        return refuse(p, "\"%.*s\" cannot be read in a template",
                      STR_ARG(str_first(str_from(p->s, p->at), 40)));
    }
}

static int unexpected(struct parser *p, const char *where)
{
    return refuse(p, "\"%.*s\" is too much in %s", STR_ARG(str_first(p->token.text, 40)), where);
}

/* The end of an action must be here. */
static int close_action(struct parser *p, const char *what)
{
    if (p->token.kind != TOKEN_CLOSE) {
        return unexpected(p, what);
    }
    p->trims = p->token.trims;
    return 0;
}

/* --- pipelines --- */

static bool knows(const struct parser *p, struct str variable)
{
    if (variable.len == 0) {
        return true; /* $ */
    }
    for (size_t i = p->first_variable; i < p->n_variables; i++) {
        if (str_eq(p->variables[i], variable)) {
            return true;
        }
    }
    return false;
}

/* .A.B; `first` may stand behind a space: it begins the operand. */
static int fields(struct parser *p, struct operand *o, bool first)
{
    size_t room = 0;

    for (; p->token.kind == TOKEN_FIELD && (first || !p->token.spaced); first = false) {
        if (o->n_fields == room) {
            struct str *more = arena_new_array(p->a, struct str, room * 2 + 4);

            if (room > 0) {
                memcpy(more, o->fields, room * sizeof(*more));
            }
            o->fields = more;
            room = room * 2 + 4;
        }
        o->fields[o->n_fields++] = p->token.text;
        if (advance(p) < 0) {
            return -1;
        }
    }
    return 0;
}

/* A word that is no keyword: a constant or a function. */
static int word(struct parser *p, struct operand *o)
{
    struct str w = p->token.text;

    if (str_eq_c(w, "true") || str_eq_c(w, "false")) {
        o->kind = OPERAND_CONSTANT;
        o->constant = value_bool(w.p[0] == 't');
    } else if (str_eq_c(w, "nil")) {
        o->kind = OPERAND_CONSTANT;
    } else if (template_function(w) != NULL) {
        o->kind = OPERAND_FUNCTION;
        o->name = w;
    } else {
        return refuse(p, "function \"%.*s\" is not known in templates of alerts",
                      STR_ARG(str_first(w, 60)));
    }
    return advance(p);
}

static int operand(struct parser *p, struct operand **out)
{
    struct operand *o = arena_new(p->a, struct operand);

    *out = o;
    switch (p->token.kind) {
    case TOKEN_WORD:
        if (word(p, o) < 0) {
            return -1;
        }
        break;
    case TOKEN_CONSTANT:
        o->kind = OPERAND_CONSTANT;
        o->constant = p->token.constant;
        if (advance(p) < 0) {
            return -1;
        }
        break;
    case TOKEN_DOT:
        if (advance(p) < 0) {
            return -1;
        }
        break;
    case TOKEN_FIELD: /* of the dot */
        return fields(p, o, true);
    case TOKEN_VARIABLE:
        if (!knows(p, p->token.text)) {
            return refuse(p, "variable \"$%.*s\" is not known here",
                          STR_ARG(str_first(p->token.text, 60)));
        }
        o->kind = OPERAND_VARIABLE;
        o->name = p->token.text;
        return advance(p) < 0 ? -1 : fields(p, o, false);
    case TOKEN_LEFT:
        o->kind = OPERAND_PIPE;
        if (enter(p) < 0 || advance(p) < 0 ||
            pipeline(p, "parentheses", TOKEN_RIGHT, &o->pipe) < 0) {
            return -1;
        }
        p->depth--;
        return advance(p) < 0 ? -1 : fields(p, o, false);
    default:
        return unexpected(p, "a command");
    }
    if (p->token.kind == TOKEN_FIELD && !p->token.spaced) {
        return o->kind == OPERAND_FUNCTION ? fields(p, o, false) : unexpected(p, "a constant");
    }
    return 0;
}

static int command(struct parser *p, enum token_kind end, struct command **out)
{
    struct operand **last;
    size_t n = 0;

    *out = arena_new(p->a, struct command);
    last = &(*out)->operands;
    do {
        if (n > 0 && !p->token.spaced) {
            return refuse(p, "a space is missing before \"%.*s\"",
                          STR_ARG(str_first(p->token.text, 40)));
        }
        if (++n > TEMPLATE_ARGS) {
            return refuse(p, "a function has more than %d arguments", TEMPLATE_ARGS - 1);
        }
        if (operand(p, last) < 0) {
            return -1;
        }
        last = &(*last)->next;
    } while (p->token.kind != TOKEN_PIPE && p->token.kind != end);
    return 0;
}

static int remember(struct parser *p, struct str variable)
{
    if (p->n_variables == TEMPLATE_VARIABLES) {
        return refuse(p, "more than %d variables", TEMPLATE_VARIABLES);
    }
    p->variables[p->n_variables++] = variable;
    return 0;
}

/* "$x :=", "$x =", and of a range "$i, $e :=": 0 also when there is none of these. */
static int declaration(struct parser *p, const char *what, struct pipe *out)
{
    bool in_range = strcmp(what, "range") == 0;
    struct token before = p->token;
    size_t at = p->at;

    while (p->token.kind == TOKEN_VARIABLE && out->n_variables < 2) {
        out->variables[out->n_variables++] = p->token.text;
        if (advance(p) < 0) {
            return -1;
        }
        if (p->token.kind == TOKEN_COMMA && in_range) {
            if (advance(p) < 0) {
                return -1;
            }
            continue;
        }
        if (p->token.kind != TOKEN_DECLARE && p->token.kind != TOKEN_ASSIGN) {
            break;
        }
        out->assigns = p->token.kind == TOKEN_ASSIGN;
        for (size_t i = 0; i < out->n_variables && !out->assigns; i++) {
            if (remember(p, out->variables[i]) < 0) {
                return -1;
            }
        }
        return advance(p);
    }
    out->n_variables = 0; /* only a value */
    p->token = before;
    p->at = at;
    return 0;
}

static int pipeline(struct parser *p, const char *what, enum token_kind end, struct pipe **out)
{
    struct pipe *pipe = arena_new(p->a, struct pipe);
    struct command **last = &pipe->commands;

    if (declaration(p, what, pipe) < 0) {
        return -1;
    }
    for (;;) {
        if (p->token.kind == end || p->token.kind == TOKEN_PIPE) {
            return refuse(p, "a value is missing in %s", what);
        }
        if (p->token.kind == TOKEN_CLOSE) {
            return refuse(p, "a parenthesis has no end");
        }
        if (command(p, end, last) < 0) {
            return -1;
        }
        if (last != &pipe->commands &&
            ((*last)->operands->kind == OPERAND_CONSTANT ||
             ((*last)->operands->kind == OPERAND_DOT && (*last)->operands->n_fields == 0))) {
            return refuse(p, "only a function stands behind a pipe");
        }
        last = &(*last)->next;
        if (p->token.kind == end) {
            *out = pipe;
            return 0;
        }
        if (advance(p) < 0) { /* the pipe; Go lets the last one have nothing behind it */
            return -1;
        }
        if (p->token.kind == end) {
            *out = pipe;
            return 0;
        }
    }
}

/* --- blocks --- */

enum ended { ENDED_TEXT, ENDED_END, ENDED_ELSE };

static int list(struct parser *p, struct node **out, enum ended *how);

static struct node *add(struct parser *p, struct node ***last, enum node_kind kind)
{
    struct node *n = arena_new(p->a, struct node);

    n->kind = kind;
    **last = n;
    *last = &n->next;
    return n;
}

/* A list up to its end or else. The action's variables go with it. */
static int body(struct parser *p, struct node **out, enum ended *how)
{
    if (list(p, out, how) < 0) {
        return -1;
    }
    return *how == ENDED_TEXT ? refuse(p, "a block has no {{ end }}") : 0;
}

static bool is_word(const struct parser *p, const char *w)
{
    return p->token.kind == TOKEN_WORD && str_eq_c(p->token.text, w);
}

/* if, with, range: the token is what follows the word. */
static int control(struct parser *p, struct node *n)
{
    static const char *const names[] = {
        [NODE_IF] = "if", [NODE_WITH] = "with", [NODE_RANGE] = "range"};
    const char *name = names[n->kind];
    size_t scope = p->n_variables;
    enum ended how;

    if (enter(p) < 0 || pipeline(p, name, TOKEN_CLOSE, &n->pipe) < 0 || close_action(p, name) < 0) {
        return -1;
    }
    p->loops += n->kind == NODE_RANGE;
    if (body(p, &n->list, &how) < 0) {
        return -1;
    }
    p->loops -= n->kind == NODE_RANGE;
    if (how == ENDED_ELSE && n->kind != NODE_RANGE && is_word(p, name)) { /* {{ else if ... }} */
        struct node **last = &n->otherwise;
        struct node *inner = add(p, &last, n->kind);

        if (advance(p) < 0 || control(p, inner) < 0) {
            return -1;
        }
    } else if (how == ENDED_ELSE) {
        if (close_action(p, "else") < 0 || body(p, &n->otherwise, &how) < 0) {
            return -1;
        }
        if (how == ENDED_ELSE) {
            return refuse(p, "a block has two {{ else }}");
        }
    }
    p->n_variables = scope;
    p->depth--;
    return 0;
}

/* The name behind define, block and template. */
static int name_of(struct parser *p, const char *what, struct str *out)
{
    if (p->token.kind != TOKEN_CONSTANT || p->token.constant.kind != VALUE_TEXT) {
        return refuse(p, "%s has a name in quotes", what);
    }
    *out = p->token.constant.text;
    return advance(p);
}

/* The list of a template with a name; a later one takes the place of an earlier one. */
static int define(struct parser *p, struct str name)
{
    struct definition *d = arena_new(p->a, struct definition);
    size_t n = p->n_variables, first = p->first_variable;
    unsigned loops = p->loops;
    enum ended how;

    p->first_variable = n;
    p->loops = 0;
    if (enter(p) < 0 || close_action(p, "define") < 0 || body(p, &d->list, &how) < 0) {
        return -1;
    }
    if (how == ENDED_ELSE) {
        return refuse(p, "{{ else }} stands in no block");
    }
    p->n_variables = n;
    p->first_variable = first;
    p->loops = loops;
    p->depth--;
    d->name = name;
    d->next = p->out->definitions;
    p->out->definitions = d;
    return 0;
}

/* {{ template "name" }}, {{ template "name" pipeline }}; block defines it too. */
static int invoke(struct parser *p, struct node *n, const char *what)
{
    bool defines = what[0] == 'b';
    size_t scope = p->n_variables;

    if (name_of(p, what, &n->text) < 0) {
        return -1;
    }
    if (p->token.kind != TOKEN_CLOSE || defines) {
        if (pipeline(p, what, TOKEN_CLOSE, &n->pipe) < 0) {
            return -1;
        }
    }
    p->n_variables = scope;
    return defines ? define(p, n->text) : close_action(p, what);
}

/* One action. *how is set when it ends the list. */
static int action(struct parser *p, struct node ***last, enum ended *how)
{
    static const struct {
        const char *word;
        enum node_kind kind;
    } controls[] = {{"if", NODE_IF}, {"with", NODE_WITH}, {"range", NODE_RANGE}};
    struct node *n;
    struct str name;

    if (advance(p) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        if (is_word(p, controls[i].word)) {
            n = add(p, last, controls[i].kind);
            return advance(p) < 0 ? -1 : control(p, n);
        }
    }
    if (is_word(p, "end")) {
        *how = ENDED_END;
        return advance(p) < 0 ? -1 : close_action(p, "end");
    }
    if (is_word(p, "else")) { /* what follows is looked at by its block */
        *how = ENDED_ELSE;
        return advance(p);
    }
    if (is_word(p, "break") || is_word(p, "continue")) {
        if (p->loops == 0) {
            return refuse(p, "{{ %.*s }} stands in no range", STR_ARG(p->token.text));
        }
        (void)add(p, last, p->token.text.p[0] == 'b' ? NODE_BREAK : NODE_CONTINUE);
        return advance(p) < 0 ? -1 : close_action(p, "break");
    }
    if (is_word(p, "template") || is_word(p, "block")) {
        const char *what = p->token.text.p[0] == 'b' ? "block" : "template";

        n = add(p, last, NODE_TEMPLATE);
        return advance(p) < 0 ? -1 : invoke(p, n, what);
    }
    if (is_word(p, "define")) {
        if (p->depth > 1) {
            return refuse(p, "{{ define }} stands in a block");
        }
        return advance(p) < 0 || name_of(p, "define", &name) < 0 ? -1 : define(p, name);
    }
    n = add(p, last, NODE_PIPE);
    return pipeline(p, "an action", TOKEN_CLOSE, &n->pipe) < 0 ? -1 : close_action(p, "an action");
}

/* Behind "{{" and its trim marker: 1 when it is a comment, which is gone over. */
static int comment(struct parser *p)
{
    ptrdiff_t end;

    if (!stands(p, "/*")) {
        return 0;
    }
    end = str_find(str_from(p->s, p->at + 2), STR("*/"));
    if (end < 0) {
        return refuse(p, "a comment has no end");
    }
    p->at += (size_t)end + 4;
    p->trims = is_space(look(p, 0)) && str_starts(str_from(p->s, p->at + 1), STR("-}}"));
    if (!p->trims && !stands(p, "}}")) {
        return refuse(p, "behind a comment stands }} alone");
    }
    p->at += p->trims ? 4 : 2;
    return 1;
}

/* What stands before the next action. */
static void text(struct parser *p, struct node ***last)
{
    struct str rest = str_from(p->s, p->at), s;
    ptrdiff_t open = str_find(rest, STR("{{"));

    s = open < 0 ? rest : str_first(rest, (size_t)open);
    p->at += s.len;
    while (p->trims && s.len > 0 && is_space(s.p[0])) {
        s = str_from(s, 1);
    }
    p->trims = false;
    if (stands(p, "{{-") && is_space(look(p, 3))) {
        while (s.len > 0 && is_space(s.p[s.len - 1])) {
            s.len--;
        }
    }
    if (s.len > 0) {
        add(p, last, NODE_TEXT)->text = s;
    }
}

static int list(struct parser *p, struct node **out, enum ended *how)
{
    struct node **last = out;

    if (enter(p) < 0) {
        return -1;
    }
    *out = NULL;
    *how = ENDED_TEXT;
    for (;;) {
        int is_comment;

        text(p, &last);
        if (p->at >= p->s.len) {
            break;
        }
        p->at += stands(p, "{{-") && is_space(look(p, 3)) ? 4 : 2;
        is_comment = comment(p);
        if (is_comment < 0 || (is_comment == 0 && action(p, &last, how) < 0)) {
            return -1;
        }
        if (*how != ENDED_TEXT) {
            break;
        }
    }
    p->depth--;
    return 0;
}

int template_parse(struct arena *a, struct str text, struct template *out, struct err *e)
{
    struct parser p = {
        .a = a,
        .s = text,
        .variables = {STR("labels"), STR("externalLabels"), STR("externalURL"), STR("value")},
        .n_variables = 4,
        .out = out,
        .e = e};
    enum ended how;

    *out = (struct template){NULL, NULL};
    if (list(&p, &out->list, &how) < 0) {
        return -1;
    }
    return how == ENDED_TEXT
               ? 0
               : refuse(&p, "{{ %s }} stands in no block", how == ENDED_END ? "end" : "else");
}

int rule_template_check(struct str text, struct err *e)
{
    struct arena a = {0};
    struct template t;
    int result = template_parse(&a, text, &t, e);

    arena_done(&a);
    return result;
}
