#include "algorithms/modules/modules.h"

const struct module *const modules_all[] = {
    &module_read_csv,
    &module_read_arrow,
    &module_read_parquet,
    &module_write_parquet,
    &module_split,
    &module_standard_scaler,
    &module_logistic_regression,
    &module_mlp,
    &module_predict,
    &module_evaluate_multiclass,
    NULL,
};
