/* preview - what people see of a value before they open it: the first rows of a table and figures
 * of each column, what a model was trained on and what it finds important, a report as it is.
 * Written beside each output of a pipeline's step (docs/formats/preview.md). */
#pragma once
#include "algorithms/kernel/threads.h"
#include "algorithms/kernel/value.h"

/* One JSON document of at most ML_LIMIT_PREVIEW_BYTES (out->failed otherwise). Figures of columns
 * are exact but quantiles and the number of different numbers, which come from a sample of evenly
 * spaced rows when there are more than 65,536. */
void preview_json(const struct value *v, struct threads *threads, struct buf *out);
