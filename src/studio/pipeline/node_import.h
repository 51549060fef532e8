/* node_import - a node whose data comes from the network: the server brings it (importer.h) under
 * the name that its job has or would have.
 *
 *   queued -> the importer's thread -> .studio/tmp/<job>/file.bin           -> succeeded
 *                                   -> .studio/tmp/<job>-rows/rows.bin -> a job that reads them
 *
 * Runner thread only. Nothing of it is on disk before the file is: after a restart the node has no
 * job, and all is brought anew. */
#pragma once
#include "pipeline/runner.h"

bool node_is_import(const struct run *r, const struct run_node *n);
/* Why it is not spared; NULL: it may be, since it is no import, or promises a checksum. */
const char *node_import_why(const struct run *r, const struct run_node *n);
/* One look: begins it, tells its progress, takes what came. */
int node_import(struct pipelines *s, struct run *r, struct run_node *n, struct err *e) MUST_USE;
/* Its job has ended: the rows that were brought are not needed any more. */
void node_import_clean(struct pipelines *s, const struct run *r, const struct run_node *n);
/* Of the job that reads the rows: words of its command, and where they are mounted. */
void node_import_words(const struct run *r, const struct run_node *n, struct jw *w);
void node_import_mount(const struct run *r, const struct run_node *n, struct arena *a,
                       struct jw *w);
