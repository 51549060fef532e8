#include "algorithms/kernel/dry.h"

#include <string.h>

static bool inputs_known(const struct check *c)
{
    for (int i = 0; c->step.module->inputs[i].name; i++) {
        if (c->in[i] && (c->in[i]->table == NULL || c->in[i]->open)) {
            return false;
        }
    }
    return true;
}

/* The parameter that the sentence begins with, or NULL. */
static const char *param_of(const struct module *m, const char *sentence)
{
    for (int i = 0; m->params[i].name; i++) {
        size_t n = strlen(m->params[i].name);

        if (strncmp(sentence, m->params[i].name, n) == 0 && sentence[n] == ':') {
            return m->params[i].name;
        }
    }
    return NULL;
}

static void take_outputs(struct check *c)
{
    struct err e = {0};

    for (int i = 0; c->step.module->outputs[i].name; i++) {
        struct value *v = &c->step.out[i];

        if (v->type != VALUE_NONE) {
            schema_done(&c->out[i]);
            if (schema_of(&c->out[i], v, &e) < 0) { /* no memory: nothing is known */
                c->out[i].open = true;
            }
        }
        value_done(v);
    }
}

void check_dry(struct check *c)
{
    SCOPED(threads_closep) struct threads *threads = NULL;
    struct progress progress;
    struct value in[MODULE_PORTS] = {0};
    struct err e = {0};

    if (!inputs_known(c)) {
        return;
    }
    threads = threads_open(1);
    progress_init(&progress, PROGRESS_NONE);
    progress_begin(&progress, c->step.module->name, 1, 1);
    for (int i = 0; c->step.module->inputs[i].name; i++) {
        if (c->in[i]) {
            in[i] = (struct value){.type = VALUE_TABLE, .table = c->in[i]->table}; /* borrowed */
            c->step.in[i] = &in[i];
        }
    }
    c->step.threads = threads;
    c->step.progress = &progress;
    if (c->step.module->run(&c->step, &e) < 0) {
        const char *param = param_of(c->step.module, e.msg);

        check_mistake(c, NULL, param, NULL, "%s", e.msg + (param ? strlen(param) + 2 : 0));
    } else {
        take_outputs(c);
    }
    memset(c->step.in, 0, sizeof(c->step.in));
    c->step.threads = NULL;
    c->step.progress = NULL;
}
