/* importance - which features a model leans on: "importance":[["tenure",0.31],...] of a preview
 * (docs/formats/preview.md), falling, adding up to 1. */
#pragma once
#include "algorithms/kernel/features.h"
#include "base/json.h"

/* `size` of each feature is not negative. Writes the key and its value. */
void importance_json(const struct features *f, const double *size, struct jw *w);
