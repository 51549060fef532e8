/* gbdt_regressor - numbers by gradient boosted trees (gbdt.h). */
#include "algorithms/modules/gbdt.h"
#include "algorithms/modules/modules.h"

const struct model_type model_gbdt_regressor = {
    .kind = 11,
    .module = "gbdt_regressor",
    .range = FEATURES_F64,
    .predict = gbdt_predict,
    .write = gbdt_write,
    .read = gbdt_read,
    .free = gbdt_free,
    .describe = gbdt_describe,
};

static const struct training_wants wants = {.type = &model_gbdt_regressor,
                                            .task = TASK_NUMBER,
                                            .kinds = FEATURES_WITH_TEXT,
                                            .missing_kept = true};

static const struct port inputs[] = {
    {"train", VALUE_TABLE, 0, "Rows with the number to predict."},
    {"valid", VALUE_TABLE, PORT_OPTIONAL, "Rows for the loss that is watched, and for early_stop."},
    {0},
};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_LABEL,
    TRAINING_FEATURES("@all"),
    TRAINING_CATEGORICAL,
    TRAINING_WEIGHT,
    {"objective", PARAM_CHOICE, "l2", 0, 0, "l2|l1|huber|quantile|poisson",
     "l2: the mean; l1: the median; huber: the mean, but far-off labels count little; quantile: "
     "what alpha says; poisson: counts, by the log of their mean."},
    {"alpha", PARAM_REAL, "0.9", 0.001, 0.999, NULL,
     "quantile: the share of labels below the prediction; huber: the share of residuals that count "
     "squared."},
    GBDT_PARAMS,
    {0},
};

static int run(struct step *s, struct err *e)
{
    static const enum gbdt_objective objectives[] = {GBDT_L2, GBDT_L1, GBDT_HUBER, GBDT_QUANTILE,
                                                     GBDT_POISSON};

    return gbdt_run(s, &wants, objectives[step_choice(s, "objective")], e);
}

static void check(struct check *c)
{
    gbdt_check(c, &wants);
}

const struct module module_gbdt_regressor = {
    .name = "gbdt_regressor",
    .title = "Boosted trees (numbers)",
    .description = "Learns a number by gradient boosted decision trees: a mean, a median, a "
                   "quantile or a rate of counts. Text columns are categories, and missing values "
                   "need no filling.",
    .category = "regression",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+10*cells+64*rows+16Ki*columns*cpus+128Mi",
    .run = run,
    .check = check,
};
