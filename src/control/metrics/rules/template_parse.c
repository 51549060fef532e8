/* template_parse - the text of a template, read to a tree. */
#include "rules/template_lex.h"

#include <string.h>

struct parser {
    struct template_lex lex;
    bool trims; /* white space of the text that follows goes */
    unsigned depth, loops;
    struct str variables[TEMPLATE_VARIABLES];
    size_t n_variables, first_variable; /* those before belong to another template */
    struct template *out;
};

static int pipeline(struct parser *p, const char *what, enum token_kind end, struct pipe **out);

static int enter(struct parser *p)
{
    return ++p->depth > TEMPLATE_DEPTH
               ? template_error(&p->lex, "more than %d blocks and parentheses stand in each other",
                                TEMPLATE_DEPTH)
               : 0;
}

static int unexpected(struct parser *p, const char *where)
{
    return template_error(&p->lex, "\"%.*s\" is too much in %s",
                          STR_ARG(str_first(p->lex.token.text, 40)), where);
}

/* The end of an action must be here. */
static int close_action(struct parser *p, const char *what)
{
    if (p->lex.token.kind != TOKEN_CLOSE) {
        return unexpected(p, what);
    }
    p->trims = p->lex.token.trims;
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

    for (; p->lex.token.kind == TOKEN_FIELD && (first || !p->lex.token.spaced); first = false) {
        if (o->n_fields == room) {
            struct str *more = arena_new_array(p->lex.arena, struct str, room * 2 + 4);

            if (room > 0) {
                memcpy(more, o->fields, room * sizeof(*more));
            }
            o->fields = more;
            room = room * 2 + 4;
        }
        o->fields[o->n_fields++] = p->lex.token.text;
        if (template_next(&p->lex) < 0) {
            return -1;
        }
    }
    return 0;
}

/* A word that is no keyword: a constant or a function. */
static int word(struct parser *p, struct operand *o)
{
    struct str w = p->lex.token.text;

    if (str_eq_c(w, "true") || str_eq_c(w, "false")) {
        o->kind = OPERAND_CONSTANT;
        o->constant = value_bool(w.p[0] == 't');
    } else if (str_eq_c(w, "nil")) {
        o->kind = OPERAND_CONSTANT;
    } else if (template_function(w) != NULL) {
        o->kind = OPERAND_FUNCTION;
        o->name = w;
    } else {
        return template_error(&p->lex, "function \"%.*s\" is not known in templates of alerts",
                              STR_ARG(str_first(w, 60)));
    }
    return template_next(&p->lex);
}

static int operand(struct parser *p, struct operand **out)
{
    struct operand *o = arena_new(p->lex.arena, struct operand);

    *out = o;
    switch (p->lex.token.kind) {
    case TOKEN_WORD:
        if (word(p, o) < 0) {
            return -1;
        }
        break;
    case TOKEN_CONSTANT:
        o->kind = OPERAND_CONSTANT;
        o->constant = p->lex.token.constant;
        if (template_next(&p->lex) < 0) {
            return -1;
        }
        break;
    case TOKEN_DOT:
        if (template_next(&p->lex) < 0) {
            return -1;
        }
        break;
    case TOKEN_FIELD: /* of the dot */
        return fields(p, o, true);
    case TOKEN_VARIABLE:
        if (!knows(p, p->lex.token.text)) {
            return template_error(&p->lex, "variable \"$%.*s\" is not known here",
                                  STR_ARG(str_first(p->lex.token.text, 60)));
        }
        o->kind = OPERAND_VARIABLE;
        o->name = p->lex.token.text;
        return template_next(&p->lex) < 0 ? -1 : fields(p, o, false);
    case TOKEN_LEFT:
        o->kind = OPERAND_PIPE;
        if (enter(p) < 0 || template_next(&p->lex) < 0 ||
            pipeline(p, "parentheses", TOKEN_RIGHT, &o->pipe) < 0) {
            return -1;
        }
        p->depth--;
        return template_next(&p->lex) < 0 ? -1 : fields(p, o, false);
    default:
        return unexpected(p, "a command");
    }
    if (p->lex.token.kind == TOKEN_FIELD && !p->lex.token.spaced) {
        return o->kind == OPERAND_FUNCTION ? fields(p, o, false) : unexpected(p, "a constant");
    }
    return 0;
}

static int command(struct parser *p, enum token_kind end, struct command **out)
{
    struct operand **last;
    size_t n = 0;

    *out = arena_new(p->lex.arena, struct command);
    last = &(*out)->operands;
    do {
        if (n > 0 && !p->lex.token.spaced) {
            return template_error(&p->lex, "a space is missing before \"%.*s\"",
                                  STR_ARG(str_first(p->lex.token.text, 40)));
        }
        if (++n > TEMPLATE_ARGS) {
            return template_error(&p->lex, "a function has more than %d arguments",
                                  TEMPLATE_ARGS - 1);
        }
        if (operand(p, last) < 0) {
            return -1;
        }
        last = &(*last)->next;
    } while (p->lex.token.kind != TOKEN_PIPE && p->lex.token.kind != end);
    return 0;
}

static int remember(struct parser *p, struct str variable)
{
    if (p->n_variables == TEMPLATE_VARIABLES) {
        return template_error(&p->lex, "more than %d variables", TEMPLATE_VARIABLES);
    }
    p->variables[p->n_variables++] = variable;
    return 0;
}

/* "$x :=", "$x =", and of a range "$i, $e :=": 0 also when there is none of these. */
static int declaration(struct parser *p, const char *what, struct pipe *out)
{
    bool in_range = strcmp(what, "range") == 0;
    struct token before = p->lex.token;
    size_t at = p->lex.at;

    while (p->lex.token.kind == TOKEN_VARIABLE && out->n_variables < 2) {
        out->variables[out->n_variables++] = p->lex.token.text;
        if (template_next(&p->lex) < 0) {
            return -1;
        }
        if (p->lex.token.kind == TOKEN_COMMA && in_range) {
            if (template_next(&p->lex) < 0) {
                return -1;
            }
            continue;
        }
        if (p->lex.token.kind != TOKEN_DECLARE && p->lex.token.kind != TOKEN_ASSIGN) {
            break;
        }
        out->assigns = p->lex.token.kind == TOKEN_ASSIGN;
        for (size_t i = 0; i < out->n_variables && !out->assigns; i++) {
            if (remember(p, out->variables[i]) < 0) {
                return -1;
            }
        }
        return template_next(&p->lex);
    }
    out->n_variables = 0; /* only a value */
    p->lex.token = before;
    p->lex.at = at;
    return 0;
}

static int pipeline(struct parser *p, const char *what, enum token_kind end, struct pipe **out)
{
    struct pipe *pipe = arena_new(p->lex.arena, struct pipe);
    struct command **last = &pipe->commands;

    if (declaration(p, what, pipe) < 0) {
        return -1;
    }
    for (;;) {
        if (p->lex.token.kind == end || p->lex.token.kind == TOKEN_PIPE) {
            return template_error(&p->lex, "a value is missing in %s", what);
        }
        if (p->lex.token.kind == TOKEN_CLOSE) {
            return template_error(&p->lex, "a parenthesis has no end");
        }
        if (command(p, end, last) < 0) {
            return -1;
        }
        if (last != &pipe->commands &&
            ((*last)->operands->kind == OPERAND_CONSTANT ||
             ((*last)->operands->kind == OPERAND_DOT && (*last)->operands->n_fields == 0))) {
            return template_error(&p->lex, "only a function stands behind a pipe");
        }
        last = &(*last)->next;
        if (p->lex.token.kind == end) {
            *out = pipe;
            return 0;
        }
        if (template_next(&p->lex) <
            0) { /* the pipe; Go lets the last one have nothing behind it */
            return -1;
        }
        if (p->lex.token.kind == end) {
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
    struct node *n = arena_new(p->lex.arena, struct node);

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
    return *how == ENDED_TEXT ? template_error(&p->lex, "a block has no {{ end }}") : 0;
}

static bool is_word(const struct parser *p, const char *w)
{
    return p->lex.token.kind == TOKEN_WORD && str_eq_c(p->lex.token.text, w);
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

        if (template_next(&p->lex) < 0 || control(p, inner) < 0) {
            return -1;
        }
    } else if (how == ENDED_ELSE) {
        if (close_action(p, "else") < 0 || body(p, &n->otherwise, &how) < 0) {
            return -1;
        }
        if (how == ENDED_ELSE) {
            return template_error(&p->lex, "a block has two {{ else }}");
        }
    }
    p->n_variables = scope;
    p->depth--;
    return 0;
}

/* The name behind define, block and template. */
static int name_of(struct parser *p, const char *what, struct str *out)
{
    if (p->lex.token.kind != TOKEN_CONSTANT || p->lex.token.constant.kind != VALUE_TEXT) {
        return template_error(&p->lex, "%s has a name in quotes", what);
    }
    *out = p->lex.token.constant.text;
    return template_next(&p->lex);
}

/* The list of a template with a name; a later one takes the place of an earlier one. */
static int define(struct parser *p, struct str name)
{
    struct definition *d = arena_new(p->lex.arena, struct definition);
    size_t n = p->n_variables, first = p->first_variable;
    unsigned loops = p->loops;
    enum ended how;

    p->first_variable = n;
    p->loops = 0;
    if (enter(p) < 0 || close_action(p, "define") < 0 || body(p, &d->list, &how) < 0) {
        return -1;
    }
    if (how == ENDED_ELSE) {
        return template_error(&p->lex, "{{ else }} stands in no block");
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
    if (p->lex.token.kind != TOKEN_CLOSE || defines) {
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

    if (template_next(&p->lex) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        if (is_word(p, controls[i].word)) {
            n = add(p, last, controls[i].kind);
            return template_next(&p->lex) < 0 ? -1 : control(p, n);
        }
    }
    if (is_word(p, "end")) {
        *how = ENDED_END;
        return template_next(&p->lex) < 0 ? -1 : close_action(p, "end");
    }
    if (is_word(p, "else")) { /* what follows is looked at by its block */
        *how = ENDED_ELSE;
        return template_next(&p->lex);
    }
    if (is_word(p, "break") || is_word(p, "continue")) {
        if (p->loops == 0) {
            return template_error(&p->lex, "{{ %.*s }} stands in no range",
                                  STR_ARG(p->lex.token.text));
        }
        (void)add(p, last, p->lex.token.text.p[0] == 'b' ? NODE_BREAK : NODE_CONTINUE);
        return template_next(&p->lex) < 0 ? -1 : close_action(p, "break");
    }
    if (is_word(p, "template") || is_word(p, "block")) {
        const char *what = p->lex.token.text.p[0] == 'b' ? "block" : "template";

        n = add(p, last, NODE_TEMPLATE);
        return template_next(&p->lex) < 0 ? -1 : invoke(p, n, what);
    }
    if (is_word(p, "define")) {
        if (p->depth > 1) {
            return template_error(&p->lex, "{{ define }} stands in a block");
        }
        return template_next(&p->lex) < 0 || name_of(p, "define", &name) < 0 ? -1 : define(p, name);
    }
    n = add(p, last, NODE_PIPE);
    return pipeline(p, "an action", TOKEN_CLOSE, &n->pipe) < 0 ? -1 : close_action(p, "an action");
}

/* Behind "{{" and its trim marker: 1 when it is a comment, which is gone over. */
static int comment(struct parser *p)
{
    ptrdiff_t end;

    if (!template_stands(&p->lex, "/*")) {
        return 0;
    }
    end = str_find(str_from(p->lex.text, p->lex.at + 2), STR("*/"));
    if (end < 0) {
        return template_error(&p->lex, "a comment has no end");
    }
    p->lex.at += (size_t)end + 4;
    p->trims = template_is_space(template_look(&p->lex, 0)) &&
               str_starts(str_from(p->lex.text, p->lex.at + 1), STR("-}}"));
    if (!p->trims && !template_stands(&p->lex, "}}")) {
        return template_error(&p->lex, "behind a comment stands }} alone");
    }
    p->lex.at += p->trims ? 4 : 2;
    return 1;
}

/* What stands before the next action. */
static void text(struct parser *p, struct node ***last)
{
    struct str rest = str_from(p->lex.text, p->lex.at), s;
    ptrdiff_t open = str_find(rest, STR("{{"));

    s = open < 0 ? rest : str_first(rest, (size_t)open);
    p->lex.at += s.len;
    while (p->trims && s.len > 0 && template_is_space(s.p[0])) {
        s = str_from(s, 1);
    }
    p->trims = false;
    if (template_stands(&p->lex, "{{-") && template_is_space(template_look(&p->lex, 3))) {
        while (s.len > 0 && template_is_space(s.p[s.len - 1])) {
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
        if (p->lex.at >= p->lex.text.len) {
            break;
        }
        p->lex.at +=
            template_stands(&p->lex, "{{-") && template_is_space(template_look(&p->lex, 3)) ? 4 : 2;
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
        .lex = {.arena = a, .text = text, .e = e},
        .variables = {STR("labels"), STR("externalLabels"), STR("externalURL"), STR("value")},
        .n_variables = 4,
        .out = out};
    enum ended how;

    *out = (struct template){NULL, NULL};
    if (list(&p, &out->list, &how) < 0) {
        return -1;
    }
    return how == ENDED_TEXT ? 0
                             : template_error(&p.lex, "{{ %s }} stands in no block",
                                              how == ENDED_END ? "end" : "else");
}

int rule_template_check(struct str text, struct err *e)
{
    struct arena a = {0};
    struct template t;
    int result = template_parse(&a, text, &t, e);

    arena_done(&a);
    return result;
}
