#include "algorithms/modules/modules.h"

/* In the order in which people look for them: the palette, `strata-ml list`. */
const struct module *const modules_all[] = {
    /* data */
    &module_read_csv,
    &module_split,
    /* transform */
    &module_standard_scaler,
    &module_pca,
    /* classification */
    &module_logistic_regression,
    &module_mlp,
    /* clustering */
    &module_kmeans,
    &module_dbscan,
    /* rules */
    &module_fp_growth,
    /* recommendation */
    &module_als,
    &module_recommend,
    /* series */
    &module_holt_winters,
    &module_forecast,
    /* scoring */
    &module_predict,
    /* evaluation */
    &module_evaluate_multiclass,
    NULL,
};

/* clang-format off */
/* kind: 1 logistic_regression, 2 mlp, 30 kmeans, 31 holt_winters, 32 als */
const struct model_type *const model_types[] = {
    &model_logistic_regression,
    &model_mlp,
    &model_kmeans,
    &model_holt_winters,
    &model_als,
    NULL,
};

/* kind: 1 scale, 30 pca */
const struct transform_type *const transform_types[] = {
    &transform_scale,
    &transform_pca,
    NULL,
};
/* clang-format on */
