#include "algorithms/kernel/check.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/select.h"
#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- schemas ---------------------------------------------------------------------------------- */

void schema_done(struct schema *s)
{
    table_free(s->table);
    free(s->label);
    *s = (struct schema){0};
}

static int add_empty(struct table *t, struct str name, enum column_kind kind, struct err *e)
{
    struct dict *d = NULL;

    if (kind == COLUMN_NUMBER) {
        return table_add_numbers(t, name, e) ? 0 : -1;
    }
    d = dict_new();
    if (table_add_text(t, name, d, e) == NULL) {
        dict_free(d);
        return -1;
    }
    return 0;
}

/* The columns without the rows. */
static struct table *columns_of(const struct table *t, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(0);

    for (size_t i = 0; i < t->n_columns; i++) {
        if (add_empty(out, str_of(t->columns[i].name), t->columns[i].kind, e) < 0) {
            return NULL;
        }
        out->columns[i].as = t->columns[i].as;
    }
    return TAKE(out);
}

static int schema_of_model(struct schema *s, const struct model *m, struct err *e)
{
    s->task = m->task;
    s->label = xstrdup(m->label);
    s->label_kind = m->task == TASK_CLASSES ? m->classes.kind : COLUMN_NUMBER;
    s->table = table_new(0);
    for (size_t i = 0; i < m->features.n; i++) {
        if (add_empty(s->table, str_of(m->features.names[i]),
                      m->features.categories[i].names && !m->features.categories[i].numbers
                          ? COLUMN_TEXT
                          : COLUMN_NUMBER,
                      e) < 0) {
            return -1;
        }
    }
    return 0;
}

int schema_of(struct schema *s, const struct value *v, struct err *e)
{
    *s = (struct schema){.type = v->type};
    if (v->type == VALUE_TABLE) {
        s->table = columns_of(v->table, e);
        s->rows = (int64_t)v->table->n_rows;
        return s->table ? 0 : -1;
    }
    return v->type == VALUE_MODEL ? schema_of_model(s, v->model, e) : 0;
}

void schema_json(const struct schema *s, struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "type", value_type_name(s->type));
    if (s->type == VALUE_MODEL && s->task != 0) {
        jw_kv_c(w, "task", model_task_name(s->task));
        jw_kv_c(w, "label", s->label ? s->label : "");
    }
    if (s->type == VALUE_TABLE) {
        jw_kv_bool(w, "open", s->open);
    }
    if (s->table) {
        jw_key(w, "columns");
        jw_array(w);
        for (size_t i = 0; i < s->table->n_columns; i++) {
            jw_object(w);
            jw_kv_c(w, "name", s->table->columns[i].name);
            jw_kv_c(w, "type", column_type_name(&s->table->columns[i]));
            jw_end(w);
        }
        jw_end(w);
    }
    jw_end(w);
}

/* --- mistakes --------------------------------------------------------------------------------- */

static struct mistake *next_mistake(struct check *c)
{
    return c->n_mistakes < CHECK_MISTAKES ? &c->mistakes[c->n_mistakes++] : NULL;
}

void check_mistake(struct check *c, const char *port, const char *param, const char *column,
                   const char *fmt, ...)
{
    struct mistake *m = next_mistake(c);
    char text[sizeof(((struct err *)NULL)->msg)];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (m) {
        *m = (struct mistake){.port = port,
                              .param = param,
                              .column = column ? xstrdup(column) : NULL,
                              .message = xstrdup(text)};
    }
}

static void mistake_fix(struct jw *w, const struct mistake *m)
{
    jw_key(w, "fix");
    jw_object(w);
    if (m->fix_value) {
        jw_key(w, "param");
        jw_object(w);
        jw_kv_c(w, "name", m->param);
        jw_kv_c(w, "value", m->fix_value);
    } else {
        jw_key(w, "insert");
        jw_object(w);
        jw_kv_c(w, "module", m->fix_module);
        jw_kv_c(w, "port", m->port);
        jw_key(w, "params");
        jw_object(w);
        jw_kv_c(w, "cols", m->column ? m->column : "@all");
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

void check_mistakes_json(const struct check *c, struct str node, struct jw *w)
{
    for (size_t i = 0; i < c->n_mistakes; i++) {
        const struct mistake *m = &c->mistakes[i];

        jw_object(w);
        jw_kv_str(w, "node", node);
        if (m->port) {
            jw_kv_c(w, "port", m->port);
        }
        if (m->param) {
            jw_kv_c(w, "param", m->param);
        }
        if (m->column) {
            jw_kv_c(w, "column", m->column);
        }
        jw_kv_c(w, "message", m->message);
        if (m->fix_value || m->fix_module) {
            mistake_fix(w, m);
        }
        jw_end(w);
    }
}

/* --- a check ---------------------------------------------------------------------------------- */

void check_init(struct check *c, const struct module *m)
{
    *c = (struct check){.step = {.module = m}};
}

void check_done(struct check *c)
{
    step_done(&c->step);
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        schema_done(&c->out[i]);
    }
    for (size_t i = 0; i < c->n_mistakes; i++) {
        free(c->mistakes[i].column);
        free(c->mistakes[i].message);
        free(c->mistakes[i].fix_value);
    }
    *c = (struct check){0};
}

void check_set_param(struct check *c, struct str name, struct str value)
{
    struct err e = {0};
    const struct module *m = c->step.module;
    int i = step_need_param(m, name, &e);

    if (i < 0) {
        check_mistake(c, NULL, NULL, NULL, "%s", e.msg);
    } else if (param_check(&m->params[i], value, &e) < 0) {
        check_mistake(c, NULL, m->params[i].name, NULL, "%s", e.msg);
    } else {
        free(c->step.params[i]);
        c->step.params[i] = str_dup(value);
    }
}

void check_set_input(struct check *c, struct str port, const struct schema *s, struct str from)
{
    struct err e = {0};
    const struct module *m = c->step.module;
    int i = step_need_input(m, port, &e);

    if (i < 0) {
        check_mistake(c, NULL, NULL, NULL, "%s", e.msg);
        return;
    }
    if (s->type != VALUE_NONE && s->type != m->inputs[i].type) {
        check_mistake(c, m->inputs[i].name, NULL, NULL, "input %s takes a %s, and %.*s is a %s",
                      m->inputs[i].name, value_type_name(m->inputs[i].type), STR_ARG(from),
                      value_type_name(s->type));
        return;
    }
    c->in[i] = s;
}

static void check_complete(struct check *c, const bool *refused)
{
    const struct module *m = c->step.module;

    for (int i = 0; m->inputs[i].name; i++) {
        if (c->in[i] == NULL && !refused[i] && !(m->inputs[i].flags & PORT_OPTIONAL)) {
            check_mistake(c, m->inputs[i].name, NULL, NULL,
                          "input %s is not connected: %s needs a %s there", m->inputs[i].name,
                          m->title, value_type_name(m->inputs[i].type));
        }
    }
    for (int i = 0; m->params[i].name; i++) {
        if (c->step.params[i] == NULL && m->params[i].def == NULL) {
            check_mistake(c, NULL, m->params[i].name, NULL, "parameter %s needs a value: %s",
                          m->params[i].name, m->params[i].help);
        }
    }
}

void check_run(struct check *c)
{
    const struct module *m = c->step.module;
    bool refused[MODULE_PORTS] = {0};
    size_t before = c->n_mistakes;

    for (size_t k = 0; k < before; k++) {
        for (int i = 0; c->mistakes[k].port && m->inputs[i].name; i++) {
            refused[i] = refused[i] || strcmp(m->inputs[i].name, c->mistakes[k].port) == 0;
        }
    }
    check_complete(c, refused);
    for (int i = 0; m->outputs[i].name; i++) {
        c->out[i].type = m->outputs[i].type;
        c->out[i].open = true;
    }
    if (c->n_mistakes == 0 && m->check) {
        m->check(c);
    }
    for (int i = 0; c->n_mistakes > 0 && m->outputs[i].name; i++) {
        schema_done(&c->out[i]); /* its type is certain, and nothing else */
        c->out[i].type = m->outputs[i].type;
        c->out[i].open = true;
    }
}

/* --- for modules ------------------------------------------------------------------------------ */

static int port_at(const struct port *ports, const char *name)
{
    int i = 0;

    while (ports[i].name && strcmp(ports[i].name, name) != 0) {
        i++;
    }
    assert(ports[i].name);
    return i;
}

static const struct schema *input(const struct check *c, const char *port)
{
    return c->in[port_at(c->step.module->inputs, port)];
}

const struct table *check_table(const struct check *c, const char *port)
{
    const struct schema *s = input(c, port);

    return s ? s->table : NULL;
}

bool check_open(const struct check *c, const char *port)
{
    const struct schema *s = input(c, port);

    return s == NULL || s->open || s->table == NULL;
}

/* The name as the user's parameter would be right, when one is near. */
static char *near_column(const struct table *t, struct str name)
{
    SCOPED(freep) const char **names = xnew_array(const char *, t->n_columns + 1);
    const char *near;

    for (size_t i = 0; i < t->n_columns; i++) {
        names[i] = t->columns[i].name;
    }
    near = str_nearest(name, names, t->n_columns);
    return near ? xstrdup(near) : NULL;
}

static bool kind_fits(const struct column *col, enum check_kind kind)
{
    return kind == CHECK_ANY || (kind == CHECK_NUMBERS) == (col->kind == COLUMN_NUMBER);
}

static void wrong_kind(struct check *c, const char *port, const char *param,
                       const struct column *col)
{
    bool text = col->kind == COLUMN_TEXT;

    check_mistake(c, port, param, col->name, "column '%s' holds %s, and %s needed here: %s",
                  col->name, text ? "text" : "numbers", text ? "numbers are" : "text is",
                  text ? "name another, or encode it first (string_index)" : "name another");
}

/* All of them in one mistake, that one module in front mends. */
static void wrong_kinds(struct check *c, const char *port, const char *param,
                        const struct column *const *cols, size_t n, const char *fix_module)
{
    enum { NAMED = 5 };
    bool text = cols[0]->kind == COLUMN_TEXT;
    SCOPED(freep) char *names = xstrdup(cols[0]->name), *said = xasprintf("'%s'", cols[0]->name);
    size_t before = c->n_mistakes;

    for (size_t i = 1; i < n; i++) {
        char *more = xasprintf("%s,%s", names, cols[i]->name);
        char *says = i < NAMED ? xasprintf("%s, '%s'", said, cols[i]->name) : NULL;

        free(names);
        names = more;
        if (says) {
            free(said);
            said = says;
        }
    }
    check_mistake(c, port, param, names, "column%s %s%s %s %s, and %s needed here: leave %s out%s",
                  n > 1 ? "s" : "", said, n > NAMED ? " and others" : "", n > 1 ? "hold" : "holds",
                  text ? "text" : "numbers", text ? "numbers are" : "text is",
                  n > 1 ? "them" : "it",
                  text ? " (@numeric) or encode first (one_hot, string_index)" : " (@text)");
    if (c->n_mistakes > before) {
        c->mistakes[before].fix_module = fix_module;
    }
}

const struct column *check_column(struct check *c, const char *port, const char *param,
                                  enum check_kind kind)
{
    const struct table *t = check_table(c, port);
    struct str name = step_text(&c->step, param);
    struct err e = {0};
    const struct column *col;
    size_t before = c->n_mistakes;

    if (t == NULL || name.len == 0) {
        return NULL;
    }
    col = table_need(t, name, &e);
    if (col == NULL && check_open(c, port)) {
        return NULL;
    }
    if (col == NULL) {
        check_mistake(c, port, param, NULL, "%s", e.msg);
        if (c->n_mistakes > before) {
            c->mistakes[before].fix_value = near_column(t, name);
        }
        return NULL;
    }
    if (!kind_fits(col, kind)) {
        wrong_kind(c, port, param, col);
        return NULL;
    }
    return col;
}

void check_kinds(struct check *c, const char *port, const struct table *features)
{
    const struct table *t = check_open(c, port) ? NULL : check_table(c, port);

    for (size_t i = 0; features && t && i < features->n_columns; i++) {
        const struct column *want = &features->columns[i];
        const struct column *have = table_column(t, str_of(want->name));

        if (have && have->kind != want->kind) {
            check_mistake(c, port, NULL, want->name,
                          "column '%s' holds %s, and the model was trained on %s", want->name,
                          column_type_name(have), column_type_name(want));
        }
    }
}

uint32_t *check_columns(struct check *c, const char *port, const char *param, enum check_kind kind,
                        const char *const *never, size_t n_never, const char *fix_module, size_t *n)
{
    const struct table *t = check_table(c, port);
    struct err e = {0};
    SCOPED(freep) uint32_t *found = NULL;
    SCOPED(freep) const struct column **wrong = NULL;
    size_t before = c->n_mistakes, n_wrong = 0;

    *n = 0;
    if (t == NULL) {
        return NULL;
    }
    found = select_columns(t, step_text(&c->step, param), never, n_never, n, &e);
    if (found == NULL && !check_open(c, port)) {
        check_mistake(c, port, param, NULL, "%s", e.msg);
    }
    wrong = xnew_array(const struct column *, *n + 1);
    for (size_t i = 0; found && i < *n; i++) {
        if (!kind_fits(&t->columns[found[i]], kind)) {
            wrong[n_wrong++] = &t->columns[found[i]];
        }
    }
    if (n_wrong > 0) {
        wrong_kinds(c, port, param, wrong, n_wrong, fix_module);
    }
    return c->n_mistakes == before ? TAKE(found) : NULL;
}

static struct schema *output(struct check *c, const char *port)
{
    struct schema *s = &c->out[port_at(c->step.module->outputs, port)];

    schema_done(s);
    return s;
}

void check_out_table(struct check *c, const char *port, struct table *t, bool open)
{
    *output(c, port) = (struct schema){.type = VALUE_TABLE, .table = t, .open = open || !t};
}

struct table *check_copy(const struct check *c, const char *port)
{
    const struct table *t = check_table(c, port);
    struct err e = {0};

    return t ? columns_of(t, &e) : NULL;
}

struct table *check_some(const struct check *c, const char *port, const uint32_t *columns, size_t n)
{
    const struct table *t = check_table(c, port);
    SCOPED(table_freep) struct table *out = table_new(0);
    struct err e = {0};

    for (size_t i = 0; t && i < n; i++) {
        if (table_add_copy(out, &t->columns[columns[i]], &e) < 0) {
            return NULL;
        }
    }
    return TAKE(out);
}

void check_out_same(struct check *c, const char *port, const char *in)
{
    check_out_table(c, port, check_copy(c, in), check_open(c, in));
}

void check_out_model(struct check *c, const char *port, enum model_task task,
                     const struct column *label, struct table *features)
{
    *output(c, port) = (struct schema){.type = VALUE_MODEL,
                                       .task = task,
                                       .table = features,
                                       .open = features == NULL,
                                       .label = xstrdup(label ? label->name : ""),
                                       .label_kind = label ? label->kind : COLUMN_NUMBER};
}

void check_out_transform(struct check *c, const char *port)
{
    *output(c, port) = (struct schema){.type = VALUE_TRANSFORM};
}

void check_out_report(struct check *c, const char *port)
{
    *output(c, port) = (struct schema){.type = VALUE_REPORT};
}

void check_add_column(struct check *c, struct table *t, const char *param, struct str name,
                      enum column_kind kind)
{
    struct err e = {0};

    if (t && add_empty(t, name, kind, &e) < 0) {
        check_mistake(c, NULL, param, NULL, "%s", e.msg);
    }
}

void check_add_as(struct check *c, struct table *t, const char *param, struct str name,
                  enum column_as as)
{
    size_t before = t ? t->n_columns : 0;

    check_add_column(c, t, param, name, COLUMN_NUMBER);
    if (t && t->n_columns > before) {
        t->columns[before].as = as;
    }
}
