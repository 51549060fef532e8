/* manifest - the modules described for programs and people, from their const tables
 * (docs/formats/module-manifest.md). */
#pragma once
#include "algorithms/kernel/module.h"
#include "base/buf.h"

/* {"schema":2,"program":"strata-ml","modules":[...]}; `only` NULL: all. */
void manifest_json(const struct module *const *modules, const struct module *only, struct buf *out);
/* The modules alone, as one array. */
void manifest_array(const struct module *const *modules, struct buf *out);
/* Usage of one module. */
void manifest_help(const struct module *m, struct buf *out);
