/* modules - the tables of all algorithms; one file each in this folder. One row a line, by name:
 * who adds one adds a line here and in modules.c. */
#pragma once
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/module.h"
#include "algorithms/kernel/transform.h"

/* clang-format off */
extern const struct module
    module_decision_tree,
    module_evaluate_multiclass,
    module_gbdt_classifier,
    module_gbdt_regressor,
    module_isolation_forest,
    module_logistic_regression,
    module_mlp,
    module_predict,
    module_random_forest,
    module_read_arrow,
    module_read_csv,
    module_read_parquet,
    module_split,
    module_standard_scaler,
    module_write_parquet;

/* Numbers in files (`kind`) are never given twice; the last given is in modules.c. */
extern const struct model_type
    model_decision_tree,
    model_gbdt_classifier,
    model_gbdt_regressor,
    model_isolation_forest,
    model_logistic_regression,
    model_mlp,
    model_random_forest;

extern const struct transform_type
    transform_scale;
/* clang-format on */

extern const struct module *const modules_all[]; /* ends with NULL */
