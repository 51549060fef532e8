#include "algorithms/modules/modules.h"

/* In the order in which people look for them: the palette, `strata-ml list`. */
const struct module *const modules_all[] = {
    /* data */
    &module_read_csv,
    &module_read_arrow,
    &module_read_parquet,
    &module_write_parquet,
    &module_split,
    /* transform */
    &module_standard_scaler,
    /* classification */
    &module_logistic_regression,
    &module_decision_tree,
    &module_random_forest,
    &module_gbdt_classifier,
    &module_mlp,
    /* regression */
    &module_gbdt_regressor,
    /* anomaly */
    &module_isolation_forest,
    /* scoring */
    &module_predict,
    /* evaluation */
    &module_evaluate_multiclass,
    NULL,
};

/* kind: 1 logistic_regression, 2 mlp; trees: 10 gbdt_classifier, 11 gbdt_regressor,
 * 12 random_forest, 13 decision_tree, 14 isolation_forest */
const struct model_type *const model_types[] = {
    &model_logistic_regression,
    &model_mlp,
    &model_gbdt_classifier,
    &model_gbdt_regressor,
    &model_random_forest,
    &model_decision_tree,
    &model_isolation_forest,
    NULL,
};

/* kind: 1 scale */
const struct transform_type *const transform_types[] = {
    &transform_scale,
    NULL,
};
