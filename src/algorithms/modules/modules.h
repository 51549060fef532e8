/* modules - the table of all algorithms; one file each in this folder. */
#pragma once
#include "algorithms/kernel/module.h"

extern const struct module module_read_csv, module_split, module_standard_scaler,
    module_logistic_regression, module_mlp, module_predict, module_evaluate_multiclass,
    module_read_arrow, module_read_parquet, module_write_parquet;

extern const struct module *const modules_all[]; /* ends with NULL */
