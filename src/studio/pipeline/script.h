/* script - what the job of python_script is. The image is the user's, with one layer of ours on
 * top: /strata-ml, which reads and writes tables there. */
#pragma once
#include "pipeline/pipeline_priv.h"

extern const char script_program[];

bool script_is(const struct module *m);
/* Our layer on top of the user's; in the arena. */
void script_add_layer(const struct step_image *ours, struct arena *a, struct job_image *image);
/* What its parameter says, in bytes. */
int64_t script_memory(const struct run *r, const struct run_node *n);
/* `command` and `resources` of the job's spec. */
void script_spec(const struct run *r, const struct step_group *g, int64_t memory_bytes,
                 struct arena *a, struct jw *w);
