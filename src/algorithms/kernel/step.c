#include "algorithms/kernel/step.h"

#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void step_done(struct step *s)
{
    for (size_t i = 0; i < MODULE_PARAMS; i++) {
        free(s->params[i]);
    }
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        free(s->in_refs[i]);
        for (size_t k = 0; k < STEP_COPIES; k++) {
            free(s->out_refs[i][k]);
        }
        value_done(&s->out[i]);
    }
    *s = (struct step){0};
}

/* "...: there is no X 'name' (did you mean 'near'? | it has a, b, c)" */
static int unknown(const char *what, struct str name, const char *owner, const char *const *names,
                   size_t n, struct err *e)
{
    const char *near = str_nearest(name, names, n);
    struct buf all = BUF_MAX(300);

    for (size_t i = 0; i < n; i++) {
        (void)buf_printf(&all, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    if (near) {
        err_set(e, ERR_INVALID, "%s has no %s '%.*s': did you mean '%s'?", owner, what,
                STR_ARG(str_first(name, 60)), near);
    } else {
        err_set(e, ERR_INVALID, "%s has no %s '%.*s'; there %s %s%s", owner, what,
                STR_ARG(str_first(name, 60)), n == 1 ? "is" : "are", n ? all.p : "none",
                all.failed ? ", ..." : "");
    }
    buf_done(&all);
    return -1;
}

const struct module *step_find_module(const struct module *const *modules, struct str name,
                                      struct err *e)
{
    const char *names[128];
    size_t n = 0;

    for (; modules[n] && n < ARRAY_LEN(names); n++) {
        if (str_eq_c(name, modules[n]->name)) {
            return modules[n];
        }
        names[n] = modules[n]->name;
    }
    (void)unknown("module", name, "strata-ml", names, n, e);
    return NULL;
}

static int port_index(const struct port *ports, struct str name)
{
    for (int i = 0; ports[i].name; i++) {
        if (str_eq_c(name, ports[i].name)) {
            return i;
        }
    }
    return -1;
}

static int param_index(const struct module *m, struct str name)
{
    for (int i = 0; m->params[i].name; i++) {
        if (str_eq_c(name, m->params[i].name)) {
            return i;
        }
    }
    return -1;
}

static int need_port(const struct module *m, const struct port *ports, const char *what,
                     struct str name, struct err *e)
{
    const char *names[MODULE_PORTS];
    size_t n = 0;
    int i = port_index(ports, name);

    if (i >= 0) {
        return i;
    }
    for (; ports[n].name; n++) {
        names[n] = ports[n].name;
    }
    return unknown(what, name, m->name, names, n, e);
}

int step_need_param(const struct module *m, struct str name, struct err *e)
{
    const char *names[MODULE_PARAMS];
    size_t n = 0;
    int i = param_index(m, name);

    if (i >= 0) {
        return i;
    }
    for (; m->params[n].name; n++) {
        names[n] = m->params[n].name;
    }
    return unknown("parameter", name, m->name, names, n, e);
}

int step_need_input(const struct module *m, struct str name, struct err *e)
{
    return need_port(m, m->inputs, "input", name, e);
}

bool step_has(const struct step *s, const char *param)
{
    return param_index(s->module, str_of(param)) >= 0;
}

static int set_once(char **slot, struct str value, const char *what, struct str name, struct err *e)
{
    if (*slot) {
        return err_set(e, ERR_INVALID, "%s %.*s is given twice", what, STR_ARG(name));
    }
    *slot = str_dup(value);
    return 0;
}

static int add_output(struct step *s, int port, struct str ref, struct err *e)
{
    for (size_t k = 0; k < STEP_COPIES; k++) {
        if (s->out_refs[port][k] == NULL) {
            s->out_refs[port][k] = str_dup(ref);
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "output %s goes to more than %d places",
                   s->module->outputs[port].name, STEP_COPIES);
}

/* One "--word NAME=VALUE". */
static int take_word(struct step *s, struct str word, struct str assignment, struct err *e)
{
    const struct module *m = s->module;
    struct str value = assignment, name = str_trim(str_cut(&value, '='));
    bool in = str_eq(word, STR("--in")), out = str_eq(word, STR("--out"));
    int i;

    if (!in && !out && !str_eq(word, STR("--param"))) {
        return err_set(e, ERR_INVALID,
                       "%s: '%.*s' is no option; write --in PORT=VALUE, --out PORT=VALUE or "
                       "--param NAME=VALUE",
                       m->name, STR_ARG(str_first(word, 60)));
    }
    if (value.p == NULL || name.len == 0 || (value.len == 0 && (in || out))) {
        return err_set(e, ERR_INVALID, "%s: write %.*s NAME=VALUE, not '%.*s'", m->name,
                       STR_ARG(word), STR_ARG(str_first(assignment, 60)));
    }
    if (in || out) {
        i = need_port(m, in ? m->inputs : m->outputs, in ? "input" : "output", name, e);
        if (i < 0) {
            return -1;
        }
        return in ? set_once(&s->in_refs[i], value, "input", name, e) : add_output(s, i, value, e);
    }
    i = step_need_param(m, name, e);
    if (i < 0 || param_check(&m->params[i], value, e) < 0) {
        return -1;
    }
    return set_once(&s->params[i], value, "parameter", name, e);
}

/* Two outputs into one name: one of them would be lost. */
static int check_distinct(const struct step *s, struct err *e)
{
    const char *seen[MODULE_PORTS * STEP_COPIES];
    size_t n = 0;

    for (size_t i = 0; i < MODULE_PORTS * STEP_COPIES; i++) {
        const char *ref = s->out_refs[i / STEP_COPIES][i % STEP_COPIES];

        for (size_t j = 0; ref && j < n; j++) {
            if (strcmp(seen[j], ref) == 0) {
                return err_set(e, ERR_INVALID, "%s: two outputs go to '%s'", s->module->name, ref);
            }
        }
        if (ref) {
            seen[n++] = ref;
        }
    }
    return 0;
}

static int check_complete(const struct step *s, struct err *e)
{
    const struct module *m = s->module;
    bool any = m->outputs[0].name == NULL;

    for (int i = 0; m->inputs[i].name; i++) {
        if (s->in_refs[i] == NULL && !(m->inputs[i].flags & PORT_OPTIONAL)) {
            return err_set(e, ERR_INVALID, "%s needs --in %s=... (a %s)", m->name,
                           m->inputs[i].name, value_type_name(m->inputs[i].type));
        }
    }
    for (int i = 0; m->params[i].name; i++) {
        if (s->params[i] == NULL && m->params[i].def == NULL) {
            return err_set(e, ERR_INVALID, "%s needs --param %s=...: %s", m->name,
                           m->params[i].name, m->params[i].help);
        }
    }
    for (int i = 0; m->outputs[i].name; i++) {
        any = any || s->out_refs[i][0] || (m->outputs[i].flags & PORT_OPTIONAL);
    }
    if (!any) {
        return err_set(e, ERR_INVALID, "%s: nothing would be kept; add --out %s=...", m->name,
                       m->outputs[0].name);
    }
    return 0;
}

int step_parse(struct step *s, const struct module *const *modules, char *const *words, size_t n,
               struct err *e)
{
    *s = (struct step){0};
    if (n == 0) {
        return err_set(e, ERR_INVALID, "a step begins with the name of a module");
    }
    s->module = step_find_module(modules, str_of(words[0]), e);
    if (s->module == NULL) {
        return -1;
    }
    for (size_t i = 1; i < n; i += 2) {
        if (take_word(s, str_of(words[i]), str_of(i + 1 < n ? words[i + 1] : ""), e) < 0) {
            step_done(s);
            return -1;
        }
    }
    if (check_distinct(s, e) < 0 || check_complete(s, e) < 0) {
        step_done(s);
        return -1;
    }
    return 0;
}

static int must_param(const struct step *s, const char *name)
{
    int i = param_index(s->module, str_of(name));

    assert(i >= 0);
    return i;
}

bool step_given(const struct step *s, const char *param)
{
    return s->params[must_param(s, param)] != NULL;
}

struct str step_text(const struct step *s, const char *param)
{
    int i = must_param(s, param);

    return str_of(s->params[i] ? s->params[i] : s->module->params[i].def);
}

double step_real(const struct step *s, const char *param)
{
    double v = 0;
    int rc = number_parse(step_text(s, param), &v);

    assert(rc == 0);
    (void)rc;
    return v;
}

int64_t step_int(const struct step *s, const char *param)
{
    return (int64_t)step_real(s, param);
}

bool step_true(const struct step *s, const char *param)
{
    return str_eq(step_text(s, param), STR("true"));
}

unsigned step_choice(const struct step *s, const char *param)
{
    struct str rest = str_of(s->module->params[must_param(s, param)].choices);
    struct str text = step_text(s, param);
    unsigned i = 0;

    while (rest.p && !str_eq(str_cut(&rest, '|'), text)) {
        i++;
    }
    return i;
}

static int must_port(const struct port *ports, const char *name, enum value_type type)
{
    int i = port_index(ports, str_of(name));

    assert(i >= 0 && ports[i].type == type);
    (void)type;
    return i;
}

const struct table *step_table(const struct step *s, const char *port)
{
    const struct value *v = s->in[must_port(s->module->inputs, port, VALUE_TABLE)];

    return v ? v->table : NULL;
}

const struct model *step_model(const struct step *s, const char *port)
{
    const struct value *v = s->in[must_port(s->module->inputs, port, VALUE_MODEL)];

    return v ? v->model : NULL;
}

struct transform *step_transform(const struct step *s, const char *port)
{
    const struct value *v = s->in[must_port(s->module->inputs, port, VALUE_TRANSFORM)];

    return v ? v->transform : NULL;
}

const char *step_file_in(const struct step *s, const char *port)
{
    int i = port_index(s->module->inputs, str_of(port));

    assert(i >= 0 && s->module->inputs[i].type == VALUE_FILE);
    return s->in_refs[i];
}

bool step_wants(const struct step *s, const char *port)
{
    int i = port_index(s->module->outputs, str_of(port));

    assert(i >= 0);
    return s->out_refs[i][0] != NULL;
}

void step_out_table(struct step *s, const char *port, struct table *t)
{
    s->out[must_port(s->module->outputs, port, VALUE_TABLE)] =
        (struct value){.type = VALUE_TABLE, .table = t};
}

void step_out_model(struct step *s, const char *port, struct model *m)
{
    s->out[must_port(s->module->outputs, port, VALUE_MODEL)] =
        (struct value){.type = VALUE_MODEL, .model = m};
}

void step_out_transform(struct step *s, const char *port, struct transform *x)
{
    s->out[must_port(s->module->outputs, port, VALUE_TRANSFORM)] =
        (struct value){.type = VALUE_TRANSFORM, .transform = x};
}

void step_out_report(struct step *s, const char *port, struct buf report)
{
    s->out[must_port(s->module->outputs, port, VALUE_REPORT)] =
        (struct value){.type = VALUE_REPORT, .report = report};
}
