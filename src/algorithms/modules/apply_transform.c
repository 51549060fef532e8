/* apply_transform - what was fitted on one table, done to another. */
#include "algorithms/kernel/check.h"
#include "algorithms/modules/modules.h"

static const struct port inputs[] = {
    {"transform", VALUE_TRANSFORM, 0, "What a module fitted."},
    {"table", VALUE_TABLE, 0, "The rows to change."},
    {0},
};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows changed."}, {0}};
static const struct param params[] = {{0}};

static int run(struct step *s, struct err *e)
{
    struct transform *x = step_transform(s, "transform");
    struct table *t = transform_apply(x, step_table(s, "table"), e);

    if (t == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu rows by %s", t->n_rows, x->type->module);
    step_out_table(s, "table", t);
    return 0;
}

/* What a transform makes of columns is known only when it is there. */
static void check(struct check *c)
{
    check_out_table(c, "table", /* unknown */ NULL, /* open */ true);
}

const struct module module_apply_transform = {
    .name = "apply_transform",
    .title = "Apply a transform",
    .description = "Does to the rows of a table what another step learned on its own: scales, "
                   "fills, encodes or computes columns in exactly the same way.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+24*cells+64Mi",
    .memory_spilled = "64Mi+48*rows",
    .run = run,
    .check = check,
};
