/* modules - the tables of all algorithms; one file each in this folder. One row a line, by name:
 * who adds one adds a line here and in modules.c. */
#pragma once
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/module.h"
#include "algorithms/kernel/transform.h"

/* clang-format off */
extern const struct module
    module_als,
    module_dbscan,
    module_evaluate_multiclass,
    module_forecast,
    module_fp_growth,
    module_holt_winters,
    module_kmeans,
    module_logistic_regression,
    module_mlp,
    module_pca,
    module_predict,
    module_read_csv,
    module_recommend,
    module_split,
    module_standard_scaler;

/* Numbers in files (`kind`) are never given twice; the last given is in modules.c. */
extern const struct model_type
    model_als,
    model_holt_winters,
    model_kmeans,
    model_logistic_regression,
    model_mlp;

extern const struct transform_type
    transform_pca,
    transform_scale;
/* clang-format on */

extern const struct module *const modules_all[]; /* ends with NULL */
