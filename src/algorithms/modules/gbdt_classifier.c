/* gbdt_classifier - classes by gradient boosted trees (gbdt.h). */
#include "algorithms/modules/gbdt.h"
#include "algorithms/modules/modules.h"

const struct model_type model_gbdt_classifier = {
    .kind = 10,
    .module = "gbdt_classifier",
    .range = FEATURES_F64,
    .predict = gbdt_predict,
    .write = gbdt_write,
    .read = gbdt_read,
    .free = gbdt_free,
    .describe = gbdt_describe,
};

static const struct training_wants wants = {.type = &model_gbdt_classifier,
                                            .task = TASK_CLASSES,
                                            .kinds = FEATURES_WITH_TEXT,
                                            .missing_kept = true};

static const struct port inputs[] = {
    {"train", VALUE_TABLE, 0, "Rows with their labels."},
    {"valid", VALUE_TABLE, PORT_OPTIONAL, "Rows for the loss that is watched, and for early_stop."},
    {0},
};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_LABEL,
    TRAINING_FEATURES("@all"),
    TRAINING_CATEGORICAL,
    TRAINING_WEIGHT,
    TRAINING_CLASS_WEIGHT,
    GBDT_PARAMS,
    {0},
};

static int run(struct step *s, struct err *e)
{
    return gbdt_run(s, &wants, GBDT_CLASSES, e);
}

static void check(struct check *c)
{
    gbdt_check(c, &wants);
}

const struct module module_gbdt_classifier = {
    .name = "gbdt_classifier",
    .title = "Boosted trees (classes)",
    .description = "Learns two or more classes by gradient boosted decision trees. Text columns "
                   "are categories, and missing values need no filling.",
    .category = "classification",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+10*cells+64*rows+16Ki*columns*cpus+128Mi",
    .run = run,
    .check = check,
};
