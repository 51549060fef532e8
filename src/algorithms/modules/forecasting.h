/* forecasting - what the modules holt_winters and forecast share: the body of the model. */
#pragma once
#include "algorithms/kernel/smoothing.h"
#include "algorithms/kernel/table.h"

struct series_model {
    struct smoothing s;
    char *time; /* name of the column, or "" when steps have no time */
    enum column_as time_as;
    double last, delta; /* the last time, and from one to the next */
};
