/* output_check - whether what a container made is what its port says: a table is an Arrow file with
 * the columns that a script promised, a model and a transform are files of strata-ml. Modules of
 * our own are believed.
 *
 * Files are hostile: they are read by the readers that checks before a run use. */
#pragma once
#include "pipeline/pipeline_priv.h"

/* ERR_INVALID: it is something else. Fills o->columns of a table that is known by now. */
int output_check(const struct run *r, const struct run_node *n, size_t port,
                 const struct volume_file_info *f, struct step_output *o, struct err *e) MUST_USE;
/* Whether a step of the run is connected to it. */
bool output_is_needed(const struct run *r, const struct run_node *n, size_t port);
