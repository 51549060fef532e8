/* modules - the tables of all algorithms; one file each in this folder. One row a line, by name:
 * who adds one adds a line here and in modules.c. */
#pragma once
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/module.h"
#include "algorithms/kernel/transform.h"

/* clang-format off */
extern const struct module
    module_als,
    module_append_rows,
    module_apply_transform,
    module_bin,
    module_compute_columns,
    module_correlation,
    module_cross_validate,
    module_dbscan,
    module_decision_tree,
    module_distinct,
    module_edit_columns,
    module_evaluate_binary,
    module_evaluate_clustering,
    module_evaluate_forecast,
    module_evaluate_multiclass,
    module_evaluate_regression,
    module_filter_rows,
    module_forecast,
    module_fp_growth,
    module_gbdt_classifier,
    module_gbdt_regressor,
    module_group_by,
    module_holt_winters,
    module_import_postgres,
    module_import_s3,
    module_import_url,
    module_impute,
    module_isolation_forest,
    module_join,
    module_kmeans,
    module_knn,
    module_linear_regression,
    module_logistic_regression,
    module_min_max_scaler,
    module_mlp,
    module_naive_bayes,
    module_one_hot,
    module_pca,
    module_permutation_importance,
    module_predict,
    module_python_script,
    module_random_forest,
    module_read_arrow,
    module_read_csv,
    module_read_parquet,
    module_recommend,
    module_robust_scaler,
    module_sample,
    module_select_columns,
    module_sort,
    module_split,
    module_sql,
    module_standard_scaler,
    module_string_index,
    module_summarize,
    module_svm_linear,
    module_svm_rbf,
    module_tfidf,
    module_tune,
    module_write_parquet;

/* Numbers in files (`kind`) are never given twice; the last given is in modules.c. */
extern const struct model_type
    model_als,
    model_decision_tree,
    model_gbdt_classifier,
    model_gbdt_regressor,
    model_holt_winters,
    model_isolation_forest,
    model_kmeans,
    model_knn,
    model_linear_regression,
    model_logistic_regression,
    model_mlp,
    model_naive_bayes,
    model_random_forest,
    model_svm_linear,
    model_svm_rbf;

extern const struct transform_type
    transform_bin,
    transform_compute,
    transform_impute,
    transform_one_hot,
    transform_pca,
    transform_scale,
    transform_string_index,
    transform_tfidf;
/* clang-format on */

extern const struct module *const modules_all[]; /* ends with NULL */
