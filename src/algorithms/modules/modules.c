#include "algorithms/modules/modules.h"

/* In the order in which people look for them: the palette, `strata-ml list`. */
const struct module *const modules_all[] = {
    /* data */
    &module_read_csv,
    &module_read_parquet,
    &module_write_parquet,
    &module_split,
    /* transform */
    &module_select_columns,
    &module_edit_columns,
    &module_filter_rows,
    &module_compute_columns,
    &module_sort,
    &module_distinct,
    &module_sample,
    &module_join,
    &module_append_rows,
    &module_group_by,
    &module_sql,
    &module_impute,
    &module_standard_scaler,
    &module_min_max_scaler,
    &module_robust_scaler,
    &module_bin,
    &module_one_hot,
    &module_string_index,
    &module_tfidf,
    &module_apply_transform,
    /* classification */
    &module_logistic_regression,
    &module_decision_tree,
    &module_random_forest,
    &module_gbdt_classifier,
    &module_mlp,
    &module_svm_linear,
    &module_svm_rbf,
    &module_naive_bayes,
    &module_knn,
    /* regression */
    &module_linear_regression,
    &module_gbdt_regressor,
    /* anomaly */
    &module_isolation_forest,
    /* scoring */
    &module_predict,
    /* evaluation */
    &module_evaluate_binary,
    &module_evaluate_multiclass,
    &module_evaluate_regression,
    &module_evaluate_clustering,
    &module_evaluate_forecast,
    &module_cross_validate,
    &module_tune,
    &module_permutation_importance,
    &module_summarize,
    &module_correlation,
    NULL,
};

/* kind: 1 logistic_regression, 2 mlp; trees: 10 gbdt_classifier, 11 gbdt_regressor,
 * 12 random_forest, 13 decision_tree, 14 isolation_forest; linear: 20 linear_regression,
 * 21 naive_bayes, 22 knn, 23 svm_linear, 24 svm_rbf */
const struct model_type *const model_types[] = {
    &model_logistic_regression,
    &model_mlp,
    &model_linear_regression,
    &model_naive_bayes,
    &model_knn,
    &model_svm_linear,
    &model_svm_rbf,
    &model_gbdt_classifier,
    &model_gbdt_regressor,
    &model_random_forest,
    &model_decision_tree,
    &model_isolation_forest,
    NULL,
};

/* kind: 1 scale, 50 impute, 51 one_hot, 52 string_index, 53 bin, 54 compute, 55 tfidf */
const struct transform_type *const transform_types[] = {
    &transform_scale, &transform_impute,  &transform_one_hot, &transform_string_index,
    &transform_bin,   &transform_compute, &transform_tfidf,   NULL,
};
