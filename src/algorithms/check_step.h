/* check_step - what one step would make, without running it: `strata-ml --schema-only MODULE ...`.
 * Inputs are files, of which only the columns are asked for. */
#pragma once
#include "algorithms/kernel/module.h"
#include "base/buf.h"

/* {"ok":true,"mistakes":[...],"outputs":{"table":{...}}}: docs/formats/module-manifest.md. `words`
 * are those of a run; --out is not looked at. -1: an input file cannot be read. *ok: no mistake. */
int check_step_json(const struct module *const *modules, char *const *words, size_t n,
                    struct buf *out, bool *ok, struct err *e) MUST_USE;
