/* plan - several named steps, one after the other, each as if it were alone: its files in
 * directories of its own, its part of the log between two lines that programs read
 * (docs/formats/progress.md, "A plan").
 *
 *   strata-ml plan -- read read_csv --param path=/volumes/data/x.csv --out
 * table=/out/read/table.arrow
 *                  -- split split --in table=/out/read/table.arrow --out
 * train=/out/split/train.arrow
 *
 * The first step that fails ends it: what it says on standard error is within its part. */
#pragma once
#include "algorithms/kernel/step.h"

/* `words` begin with "--". The exit code of the first that failed, told already, or 0; -1 when the
 * words are no plan. */
int plan_run(const struct module *const *modules, char *const *words, size_t n,
             struct threads *threads, struct progress *progress, struct err *e) MUST_USE;
