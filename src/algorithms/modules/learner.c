#include "algorithms/modules/learner.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { LEARNERS_MAX = 128 };

void learner_done(struct learner *l)
{
    step_done(&l->step);
    *l = (struct learner){0};
}

/* Learns from "train" alone, and is not one that takes a learner itself. */
static bool is_learner(const struct module *m)
{
    bool takes_one = false, reads = m->inputs[0].name && strcmp(m->inputs[0].name, "train") == 0;

    for (int i = 0; m->params[i].name; i++) {
        takes_one = takes_one || strcmp(m->params[i].name, "learner") == 0;
    }
    for (int i = 1; reads && m->inputs[i].name; i++) {
        reads = m->inputs[i].flags & PORT_OPTIONAL;
    }
    return reads && !takes_one && m->outputs[0].name && m->outputs[0].type == VALUE_MODEL;
}

static const struct module *find(struct str name, struct err *e)
{
    const struct module *learners[LEARNERS_MAX + 1] = {0};
    const struct module *m;
    size_t n = 0;

    for (size_t i = 0; modules_all[i] && n < LEARNERS_MAX; i++) {
        if (is_learner(modules_all[i])) {
            learners[n++] = modules_all[i];
        }
    }
    m = step_find_module(learners, name, e);
    if (m == NULL) {
        err_wrap(e, "learner");
    }
    return m;
}

/* Calls fn for each "name=value" of a text in which ';' separates. */
static int each_param(struct str text,
                      int (*fn)(void *ctx, struct str name, struct str value, struct err *e),
                      void *ctx, struct err *e)
{
    while (text.p) {
        struct str value = str_trim(str_cut(&text, ';')), whole = value;
        struct str name = str_trim(str_cut(&value, '='));

        if (whole.len == 0) {
            continue;
        }
        if (value.p == NULL || name.len == 0) {
            return err_set(e, ERR_INVALID,
                           "learner_params: write name=value;name=value, not '%.*s'",
                           STR_ARG(str_first(whole, 60)));
        }
        if (fn(ctx, name, str_trim(value), e) < 0) {
            return err_wrap(e, "learner_params");
        }
    }
    return 0;
}

int learner_set(struct learner *l, struct str name, struct str value, struct err *e)
{
    int i = step_need_param(l->step.module, name, e);

    if (i < 0 || param_check(&l->step.module->params[i], value, e) < 0) {
        return -1;
    }
    free(l->step.params[i]);
    l->step.params[i] = str_dup(value);
    return 0;
}

static int set_given(void *ctx, struct str name, struct str value, struct err *e)
{
    if (str_eq(name, STR("label_col"))) {
        return err_set(e, ERR_INVALID, "label_col is a parameter of its own");
    }
    return learner_set(ctx, name, value, e);
}

/* What rows are weighed by is the learner's business too; what they are dealt by is not learned
 * from. The learner's own value of feature_cols comes in `features`, and goes with those left out.
 */
static int given_columns(const struct step *s, const struct step *learner, char **features,
                         struct str *weight, struct err *e)
{
    static const char *const dealt[] = {"group_col", "time_col"};

    *weight = step_has(s, "weight_col") ? step_text(s, "weight_col") : STR_EMPTY;
    if (weight->len > 0 && !step_has(learner, "weight_col")) {
        return err_set(e, ERR_INVALID, "weight_col: %s takes no weights", learner->module->name);
    }
    for (size_t i = 0; i < ARRAY_LEN(dealt); i++) {
        struct str name = step_has(s, dealt[i]) ? step_text(s, dealt[i]) : STR_EMPTY;

        if (name.len > 0 && *features) {
            char *with = NULL;

            if (asprintf(&with, "%s,-%.*s", *features, STR_ARG(name)) < 0) {
                return err_set(e, ERR_MEMORY, "no memory for the features");
            }
            free(*features);
            *features = with;
        }
    }
    return 0;
}

static int set_columns(struct learner *l, const struct step *s, struct err *e)
{
    bool has = step_has(&l->step, "feature_cols");
    SCOPED(freep) char *features = has ? str_dup(step_text(&l->step, "feature_cols")) : NULL;
    struct str weight;

    return given_columns(s, &l->step, &features, &weight, e) < 0 ||
                   (weight.len > 0 && learner_set(l, STR("weight_col"), weight, e) < 0) ||
                   (features && learner_set(l, STR("feature_cols"), str_of(features), e) < 0)
               ? -1
               : 0;
}

/* What the learner says of the columns, before it runs for the first time. */
static int check_columns_of(struct learner *l, const struct table *train, struct err *e)
{
    const struct value v = {.type = VALUE_TABLE, .table = (struct table *)train};
    struct schema schema = {0};
    struct check c;
    int rc = schema_of(&schema, &v, e);

    check_init(&c, l->step.module);
    for (int i = 0; rc == 0 && l->step.module->params[i].name; i++) {
        if (l->step.params[i]) {
            check_set_param(&c, str_of(l->step.module->params[i].name), str_of(l->step.params[i]));
        }
    }
    if (rc == 0) {
        check_set_input(&c, STR("train"), &schema, STR("train"));
        check_run(&c);
        l->task = c.out[0].task;
    }
    if (c.n_mistakes > 0) {
        rc = err_set(e, ERR_INVALID, "%s: %s%s%s", l->step.module->name,
                     c.mistakes[0].param ? c.mistakes[0].param : "",
                     c.mistakes[0].param ? ": " : "", c.mistakes[0].message);
    }
    check_done(&c);
    schema_done(&schema);
    return rc;
}

int learner_init(struct learner *l, const struct step *s, struct err *e)
{
    *l = (struct learner){0};
    l->step.module = find(step_text(s, "learner"), e);
    if (l->step.module == NULL) {
        return -1;
    }
    if (!step_has(&l->step, "label_col")) {
        return err_set(e, ERR_INVALID,
                       "learner: %s learns without a label, so nothing tells how "
                       "good it is",
                       l->step.module->name);
    }
    if (learner_set(l, STR("label_col"), step_text(s, "label_col"), e) < 0 ||
        each_param(step_text(s, "learner_params"), set_given, l, e) < 0 ||
        set_columns(l, s, e) < 0 || check_columns_of(l, step_table(s, "train"), e) < 0) {
        return -1;
    }
    if (l->task != TASK_CLASSES && l->task != TASK_NUMBER) {
        return err_set(e, ERR_INVALID, "learner: %s predicts neither classes nor numbers",
                       l->step.module->name);
    }
    return 0;
}

struct model *learner_train(const struct learner *l, const struct table *train,
                            struct threads *threads, struct err *e)
{
    const struct value in = {.type = VALUE_TABLE, .table = (struct table *)train};
    struct progress quiet;
    struct step s = {.module = l->step.module, .threads = threads, .progress = &quiet};
    struct model *m = NULL;

    progress_init(&quiet, PROGRESS_NONE);
    progress_begin(&quiet, s.module->name, 1, 1);
    for (size_t i = 0; i < MODULE_PARAMS; i++) {
        s.params[i] = l->step.params[i] ? xstrdup(l->step.params[i]) : NULL;
    }
    s.out_refs[0][0] = xstrdup("model");
    s.in[0] = &in;
    if (s.module->run(&s, e) == 0) {
        m = s.out[0].model;
        s.out[0] = (struct value){0};
    }
    step_done(&s);
    return m;
}

static int set_checked(void *ctx, struct str name, struct str value, struct err *e)
{
    if (str_eq(name, STR("label_col"))) {
        return err_set(e, ERR_INVALID, "label_col is a parameter of its own");
    }
    check_set_param(ctx, name, value);
    return 0;
}

/* The inner mistake says what is wrong; the parameter it is told of is ours. */
static void adopt(struct check *c, const struct mistake *m)
{
    bool label = m->param && strcmp(m->param, "label_col") == 0;
    size_t before = c->n_mistakes;

    check_mistake(c, m->port ? "train" : NULL, label ? "label_col" : "learner_params", m->column,
                  "%s%s%s", m->param && !label ? m->param : "", m->param && !label ? ": " : "",
                  m->message);
    if (c->n_mistakes > before) {
        c->mistakes[before].fix_value = label && m->fix_value ? xstrdup(m->fix_value) : NULL;
        c->mistakes[before].fix_module = m->fix_module;
    }
}

static void check_columns_given(struct check *c, struct check *inner)
{
    bool has = step_has(&inner->step, "feature_cols");
    SCOPED(freep) char *features = has ? str_dup(step_text(&inner->step, "feature_cols")) : NULL;
    struct str weight;
    struct err e = {0};

    if (given_columns(&c->step, &inner->step, &features, &weight, &e) < 0) {
        check_mistake(c, NULL, "weight_col", NULL, "%s", e.msg);
        return;
    }
    if (weight.len > 0) {
        check_set_param(inner, STR("weight_col"), weight);
    }
    if (features) {
        check_set_param(inner, STR("feature_cols"), str_of(features));
    }
}

void learner_check(struct check *c, const char *model)
{
    struct err e = {0};
    const struct module *m = find(step_text(&c->step, "learner"), &e);
    struct check inner;

    if (m == NULL) {
        check_mistake(c, NULL, "learner", NULL, "%s", e.msg);
        return;
    }
    check_init(&inner, m);
    if (!step_has(&inner.step, "label_col")) {
        check_mistake(c, NULL, "learner", NULL, "%s learns without a label", m->name);
        check_done(&inner);
        return;
    }
    check_set_param(&inner, STR("label_col"), step_text(&c->step, "label_col"));
    if (each_param(step_text(&c->step, "learner_params"), set_checked, &inner, &e) < 0) {
        check_mistake(c, NULL, "learner_params", NULL, "%s", e.msg);
    }
    check_columns_given(c, &inner);
    if (c->in[0]) {
        check_set_input(&inner, STR("train"), c->in[0], STR("train"));
        check_run(&inner);
    }
    for (size_t i = 0; i < inner.n_mistakes; i++) {
        adopt(c, &inner.mistakes[i]);
    }
    if (model && inner.n_mistakes == 0) {
        for (int i = 0; c->step.module->outputs[i].name; i++) {
            if (strcmp(c->step.module->outputs[i].name, model) == 0) {
                schema_done(&c->out[i]);
                c->out[i] = inner.out[0];
                inner.out[0] = (struct schema){0};
            }
        }
    }
    check_done(&inner);
}
