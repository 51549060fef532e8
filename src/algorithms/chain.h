/* chain - several steps in one process, values handed on in memory.
 *
 *   strata-ml chain "read_csv --param path=/data/x.csv --out table=all"
 *                   "split --in table=all --out train=a --out test=b"
 *
 * What a port is connected to is a name in memory (letters, digits, - and _) or a file (anything
 * with a '/' or a '.'). Every step is checked, and every name must have been made by an earlier
 * step with the right type, before the first one runs. A value is freed after its last reader. */
#pragma once
#include "algorithms/kernel/step.h"

/* `modules` ends with NULL. A line that is empty or begins with # is skipped. */
int chain_run(const struct module *const *modules, char *const *lines, size_t n,
              struct threads *threads, struct progress *progress, struct err *e) MUST_USE;
/* One step whose ports are all files. */
int chain_run_one(const struct module *const *modules, char *const *words, size_t n,
                  struct threads *threads, struct progress *progress, struct err *e) MUST_USE;
