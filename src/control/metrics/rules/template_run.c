/* template_run - the tree of a template, worked out to text. */
#include "rules/template_priv.h"

#include "base/limits.h"

#include <string.h>

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static int run_pipe(struct template_run *r, const struct value *dot, const struct pipe *pipe,
                    struct value *out, struct err *e);
/* -1, or an enum flow. */
static int run_list(struct template_run *r, const struct value *dot, const struct node *list,
                    struct err *e);

static int step(struct template_run *r, struct err *e)
{
    if (++r->steps > TEMPLATE_STEPS || r->arena->used_bytes > TEMPLATE_MEMORY) {
        return err_set(e, ERR_LIMIT,
                       "a template needs more than %d steps or %zu MiB: range over less, with "
                       "topk or limitk in its query",
                       TEMPLATE_STEPS, TEMPLATE_MEMORY >> 20);
    }
    return r->values->is_over != NULL && r->values->is_over(r->values->ctx)
               ? err_set(e, ERR_TIMEOUT, "a template takes too long")
               : 0;
}

static int enter(struct template_run *r, struct err *e)
{
    return ++r->depth > TEMPLATE_DEPTH * 2
               ? err_set(e, ERR_LIMIT, "templates call each other more than %d deep",
                         TEMPLATE_DEPTH * 2)
               : 0;
}

/* --- variables --- */

/* `r->variables[0]` is $; each template that is called has its own. */
static struct variable *variable(struct template_run *r, struct str name)
{
    for (size_t i = r->n_variables; i > 0; i--) {
        if (str_eq(r->variables[i - 1].name, name)) {
            return &r->variables[i - 1];
        }
    }
    return NULL;
}

static int put_variable(struct template_run *r, struct str name, const struct value *v,
                        struct err *e)
{
    if (r->n_variables == TEMPLATE_VARIABLES) {
        return err_set(e, ERR_LIMIT, "a template has more than %d variables", TEMPLATE_VARIABLES);
    }
    r->variables[r->n_variables++] = (struct variable){name, *v};
    return 0;
}

/* As the declaration of a pipe says. */
static int set_variable(struct template_run *r, const struct pipe *pipe, size_t i,
                        const struct value *v, struct err *e)
{
    struct variable *known;

    if (!pipe->assigns) {
        return put_variable(r, pipe->variables[i], v, e);
    }
    known = variable(r, pipe->variables[i]);
    if (known == NULL) {
        return err_set(e, ERR_INVALID, "variable \"$%.*s\" is not declared",
                       STR_ARG(str_first(pipe->variables[i], 60)));
    }
    known->v = *v;
    return 0;
}

/* --- pipelines --- */

static int run_operand(struct template_run *r, const struct value *dot, const struct operand *o,
                       struct value *out, struct err *e);

static int call(struct template_run *r, const struct value *dot, const struct operand *o,
                const struct value *piped, struct value *out, struct err *e)
{
    const struct template_function *f = template_function(o->name);
    struct value args[TEMPLATE_ARGS] = {{.kind = VALUE_NONE}};
    size_t n = 0;
    bool is_and = f->name[0] == 'a', decides = f->fn == NULL;

    for (const struct operand *a = o->next; a != NULL; a = a->next) {
        if (run_operand(r, dot, a, &args[n++], e) < 0) {
            return -1;
        }
        if (decides && value_is_true(&args[n - 1]) != is_and) {
            *out = args[n - 1]; /* the rest is not looked at */
            return 0;
        }
    }
    if (piped != NULL) {
        args[n++] = *piped;
    }
    if (n < f->least || n > f->most) {
        return n < f->least ? err_set(e, ERR_INVALID, "%s takes %u argument(s) at least, not %zu",
                                      f->name, f->least, n)
                            : err_set(e, ERR_INVALID, "%s takes %u argument(s) at most, not %zu",
                                      f->name, f->most, n);
    }
    if (decides) {
        *out = args[n - 1];
        return 0;
    }
    return f->fn(r, args, n, out, e);
}

static int with_fields(struct template_run *r, const struct operand *o, struct value *v,
                       struct err *e)
{
    for (size_t i = 0; i < o->n_fields; i++) {
        struct value inner = *v;

        if (value_field(r, &inner, o->fields[i], v, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* One value; a function has no arguments here. */
static int run_operand(struct template_run *r, const struct value *dot, const struct operand *o,
                       struct value *out, struct err *e)
{
    struct operand alone;
    const struct variable *v;

    if (step(r, e) < 0) {
        return -1;
    }
    switch (o->kind) {
    case OPERAND_DOT:
        *out = *dot;
        break;
    case OPERAND_CONSTANT:
        *out = o->constant;
        return 0;
    case OPERAND_VARIABLE:
        v = variable(r, o->name);
        *out = v != NULL ? v->v : (struct value){.kind = VALUE_NONE};
        break;
    case OPERAND_FUNCTION:
        alone = *o;
        alone.next = NULL;
        if (call(r, dot, &alone, NULL, out, e) < 0) {
            return -1;
        }
        break;
    case OPERAND_PIPE:
        if (enter(r, e) < 0 || run_pipe(r, dot, o->pipe, out, e) < 0) {
            return -1;
        }
        r->depth--;
        break;
    }
    return with_fields(r, o, out, e);
}

static int run_command(struct template_run *r, const struct value *dot, const struct command *c,
                       const struct value *piped, struct value *out, struct err *e)
{
    const struct operand *first = c->operands;

    if (step(r, e) < 0) {
        return -1;
    }
    if (first->kind == OPERAND_FUNCTION && first->n_fields == 0) {
        return call(r, dot, first, piped, out, e);
    }
    if (first->next != NULL || piped != NULL) {
        return err_set(e, ERR_INVALID, "an argument is given to what is no function");
    }
    if (first->kind == OPERAND_CONSTANT && first->constant.kind == VALUE_NONE) {
        return err_set(e, ERR_INVALID, "nil is not a command");
    }
    return run_operand(r, dot, first, out, e);
}

static int run_pipe(struct template_run *r, const struct value *dot, const struct pipe *pipe,
                    struct value *out, struct err *e)
{
    struct value v = {.kind = VALUE_NONE}, piped;
    const struct value *before = NULL;

    for (const struct command *c = pipe->commands; c != NULL; c = c->next) {
        if (run_command(r, dot, c, before, &v, e) < 0) {
            return -1;
        }
        piped = v;
        before = &piped;
    }
    *out = v;
    return 0;
}

/* With the variable it declares. */
static int run_declaring(struct template_run *r, const struct value *dot, const struct pipe *pipe,
                         struct value *out, struct err *e)
{
    if (run_pipe(r, dot, pipe, out, e) < 0) {
        return -1;
    }
    return pipe->n_variables == 1 ? set_variable(r, pipe, 0, out, e) : 0;
}

/* --- blocks --- */

/* How many turns a range over the value has; -1 when it has none. */
static int64_t turns(const struct value *v)
{
    switch (v->kind) {
    case VALUE_NONE:
        return 0;
    case VALUE_INT:
        return v->whole > 0 ? v->whole : 0;
    case VALUE_LABELS:
        return (int64_t)v->labels.len;
    case VALUE_SAMPLES:
        return (int64_t)v->n_samples;
    case VALUE_ARGS:
        return (int64_t)v->n_args;
    default:
        return -1;
    }
}

static void turn(struct template_run *r, const struct value *v, int64_t i, struct value *key,
                 struct value *element)
{
    *key = value_int(i);
    switch (v->kind) {
    case VALUE_LABELS:
        *key = value_text(v->labels.p[i].name);
        *element = value_text(v->labels.p[i].value);
        return;
    case VALUE_SAMPLES:
        *element = (struct value){.kind = VALUE_SAMPLE, .samples = &v->samples[i], .n_samples = 1};
        return;
    case VALUE_ARGS:
        *key = value_text(str_of(arena_printf(r->arena, "arg%lld", (long long)i)));
        *element = v->args[i];
        return;
    default:
        *element = value_int(i);
    }
}

static int run_turn(struct template_run *r, const struct node *n, const struct value *v, int64_t i,
                    struct err *e)
{
    const struct pipe *pipe = n->pipe;
    size_t scope = r->n_variables;
    struct value key, element;
    int flow;

    turn(r, v, i, &key, &element);
    if ((pipe->n_variables == 1 && set_variable(r, pipe, 0, &element, e) < 0) ||
        (pipe->n_variables == 2 &&
         (set_variable(r, pipe, 0, &key, e) < 0 || set_variable(r, pipe, 1, &element, e) < 0))) {
        return -1;
    }
    flow = step(r, e) < 0 ? -1 : run_list(r, &element, n->list, e);
    r->n_variables = scope;
    return flow;
}

static int run_range(struct template_run *r, const struct value *dot, const struct node *n,
                     struct err *e)
{
    struct value v;
    int64_t count;

    if (run_pipe(r, dot, n->pipe, &v, e) < 0) {
        return -1;
    }
    count = turns(&v);
    if (count < 0) {
        return err_set(e, ERR_INVALID, "range goes over results of a query or labels, not a %s",
                       value_type(&v));
    }
    if (count == 0) {
        return n->otherwise == NULL ? FLOW_ON : run_list(r, dot, n->otherwise, e);
    }
    for (int64_t i = 0; i < count; i++) {
        int flow = run_turn(r, n, &v, i, e);

        if (flow < 0) {
            return -1;
        }
        if (flow == FLOW_BREAK) {
            break;
        }
    }
    return FLOW_ON;
}

static int run_choice(struct template_run *r, const struct value *dot, const struct node *n,
                      struct err *e)
{
    struct value v;

    if (run_declaring(r, dot, n->pipe, &v, e) < 0) {
        return -1;
    }
    if (value_is_true(&v)) {
        return run_list(r, n->kind == NODE_WITH ? &v : dot, n->list, e);
    }
    return n->otherwise == NULL ? FLOW_ON : run_list(r, dot, n->otherwise, e);
}

static int run_template(struct template_run *r, const struct value *dot, const struct node *n,
                        struct err *e)
{
    const struct definition *d = r->template->definitions;
    struct value v = {.kind = VALUE_NONE};
    int flow;

    while (d != NULL && !str_eq(d->name, n->text)) {
        d = d->next;
    }
    if (d == NULL) {
        return err_set(e, ERR_NOT_FOUND, "template \"%.*s\" is not defined",
                       STR_ARG(str_first(n->text, 60)));
    }
    if ((n->pipe != NULL && run_declaring(r, dot, n->pipe, &v, e) < 0) ||
        put_variable(r, STR_EMPTY, &v, e) < 0) {
        return -1;
    }
    flow = run_list(r, &v, d->list, e);
    return flow < 0 ? -1 : FLOW_ON;
}

/* One node, in a scope of its own when it is a block. */
static int run_node(struct template_run *r, const struct value *dot, const struct node *n,
                    struct err *e)
{
    size_t scope = r->n_variables;
    struct value v;
    int flow = FLOW_ON;

    switch (n->kind) {
    case NODE_TEXT:
        (void)buf_add(r->out, n->text);
        return FLOW_ON;
    case NODE_PIPE:
        if (run_declaring(r, dot, n->pipe, &v, e) < 0) {
            return -1;
        }
        if (n->pipe->n_variables == 0) {
            if (v.kind == VALUE_NONE) {
                (void)buf_add(r->out, STR("<no value>"));
            } else {
                value_put(r->out, &v);
            }
        }
        return FLOW_ON;
    case NODE_IF:
    case NODE_WITH:
        flow = run_choice(r, dot, n, e);
        break;
    case NODE_RANGE:
        flow = run_range(r, dot, n, e);
        break;
    case NODE_TEMPLATE:
        flow = run_template(r, dot, n, e);
        break;
    case NODE_BREAK:
        return FLOW_BREAK;
    case NODE_CONTINUE:
        return FLOW_CONTINUE;
    }
    r->n_variables = scope;
    return flow;
}

static int run_list(struct template_run *r, const struct value *dot, const struct node *list,
                    struct err *e)
{
    int flow = FLOW_ON;

    if (enter(r, e) < 0) {
        return -1;
    }
    for (const struct node *n = list; n != NULL && flow == FLOW_ON; n = n->next) {
        flow = step(r, e) < 0 ? -1 : run_node(r, dot, n, e);
        if (flow >= 0 && r->out->failed) {
            return err_set(e, ERR_LIMIT, "a label or annotation is longer than %zu bytes",
                           r->out->max);
        }
    }
    r->depth--;
    return flow;
}

static int run_text(struct template_run *r, struct str text, struct err *e)
{
    const struct rule_values *v = r->values;
    const struct value data = {.kind = VALUE_DATA};
    const struct value values[] = {
        data,
        {.kind = VALUE_LABELS, .labels = v->labels},
        {.kind = VALUE_LABELS, .labels = v->external},
        value_text(v->external_url),
        value_float(v->value),
    };
    static const char *const names[] = {"", "labels", "externalLabels", "externalURL", "value"};
    struct template t;

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)!put_variable(r, str_of(names[i]), &values[i], e); /* there is room */
    }
    if (template_parse(r->arena, text, &t, e) < 0) {
        return -1;
    }
    r->template = &t;
    return run_list(r, &data, t.list, e) < 0 ? -1 : 0;
}

int rule_template(struct str text, const struct rule_values *v, struct buf *out, struct err *e)
{
    struct arena a = {0};
    struct template_run r = {.values = v, .arena = &a, .out = out};
    int result;

    if (str_find(text, STR("{{")) < 0) { /* most labels */
        return buf_add(out, text) == 0
                   ? 0
                   : err_set(e, ERR_LIMIT, "a label or annotation is longer than %zu bytes",
                             out->max);
    }
    result = run_text(&r, text, e);
    arena_done(&a);
    return result;
}
