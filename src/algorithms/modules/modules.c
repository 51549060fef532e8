#include "algorithms/modules/modules.h"

/* In the order in which people look for them: the palette, `strata-ml list`. */
const struct module *const modules_all[] = {
    /* data */
    &module_read_csv,
    &module_split,
    /* transform */
    &module_standard_scaler,
    /* classification */
    &module_logistic_regression,
    &module_knn,
    &module_mlp,
    &module_naive_bayes,
    &module_svm_linear,
    &module_svm_rbf,
    /* regression */
    &module_linear_regression,
    /* scoring */
    &module_predict,
    /* evaluation */
    &module_evaluate_multiclass,
    NULL,
};

/* kind: 1 logistic_regression, 2 mlp; 20 linear_regression, 21 naive_bayes, 22 knn, 23 svm_linear,
 * 24 svm_rbf */
const struct model_type *const model_types[] = {
    &model_knn,
    &model_linear_regression,
    &model_logistic_regression,
    &model_mlp,
    &model_naive_bayes,
    &model_svm_linear,
    &model_svm_rbf,
    NULL,
};

/* kind: 1 scale */
const struct transform_type *const transform_types[] = {
    &transform_scale,
    NULL,
};
