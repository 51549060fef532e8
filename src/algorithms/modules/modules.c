#include "algorithms/modules/modules.h"

/* In the order in which people look for them: the palette, `strata-ml list`. */
/* clang-format off */
const struct module *const modules_all[] = {
    /* data */
    &module_import_url,
    &module_import_s3,
    &module_import_postgres,
    &module_read_csv,
    &module_read_parquet,
    &module_read_jsonl,
    &module_read_arrow,
    &module_read_sqlite,
    &module_read_libsvm,
    &module_read_npy,
    &module_write_csv,
    &module_write_parquet,
    &module_write_jsonl,
    &module_write_libsvm,
    &module_split,
    /* transform */
    &module_select_columns,
    &module_edit_columns,
    &module_filter_rows,
    &module_compute_columns,
    &module_sql,
    &module_sort,
    &module_distinct,
    &module_sample,
    &module_join,
    &module_append_rows,
    &module_group_by,
    &module_impute,
    &module_standard_scaler,
    &module_min_max_scaler,
    &module_robust_scaler,
    &module_bin,
    &module_one_hot,
    &module_string_index,
    &module_tfidf,
    &module_pca,
    &module_apply_transform,
    &module_python_script,
    /* classification */
    &module_logistic_regression,
    &module_naive_bayes,
    &module_knn,
    &module_svm_linear,
    &module_svm_rbf,
    &module_decision_tree,
    &module_random_forest,
    &module_gbdt_classifier,
    &module_mlp,
    /* regression */
    &module_linear_regression,
    &module_gbdt_regressor,
    /* clustering */
    &module_kmeans,
    &module_dbscan,
    /* anomaly */
    &module_isolation_forest,
    /* recommendation */
    &module_als,
    &module_item_cf,
    &module_recommend,
    /* rules */
    &module_fp_growth,
    /* forecast */
    &module_holt_winters,
    &module_arima,
    &module_forecast,
    /* scoring */
    &module_predict,
    /* evaluation */
    &module_evaluate_binary,
    &module_evaluate_multiclass,
    &module_evaluate_regression,
    &module_evaluate_clustering,
    &module_evaluate_forecast,
    &module_summarize,
    &module_correlation,
    &module_permutation_importance,
    &module_cross_validate,
    &module_tune,
    NULL,
};

/* By `kind`, the number in files, which is never given twice. */
const struct model_type *const model_types[] = {
    &model_logistic_regression, /* 1 */
    &model_mlp, /* 2 */
    &model_gbdt_classifier, /* 10 */
    &model_gbdt_regressor, /* 11 */
    &model_random_forest, /* 12 */
    &model_decision_tree, /* 13 */
    &model_isolation_forest, /* 14 */
    &model_linear_regression, /* 20 */
    &model_naive_bayes, /* 21 */
    &model_knn, /* 22 */
    &model_svm_linear, /* 23 */
    &model_svm_rbf, /* 24 */
    &model_kmeans, /* 30 */
    &model_holt_winters, /* 31 */
    &model_als, /* 32 */
    &model_item_cf, /* 33 */
    &model_arima, /* 34 */
    NULL,
};

/* By `kind`, the number in files, which is never given twice. */
const struct transform_type *const transform_types[] = {
    &transform_scale, /* 1 */
    &transform_pca, /* 30 */
    &transform_impute, /* 50 */
    &transform_one_hot, /* 51 */
    &transform_string_index, /* 52 */
    &transform_bin, /* 53 */
    &transform_compute, /* 54 */
    &transform_tfidf, /* 55 */
    NULL,
};
/* clang-format on */
