/* checkpoint - what the head has in memory, in a file, so that a start reads little of the log.
 *
 *   checkpoint   records as in the log: head, pairs, series, pairs, series, ..., files, end
 *
 * Series are written some at a time while others grow: the log is read from the segment on that was
 * begun before, and samples that a series has already are passed over. */
#pragma once
#include "tsdb/tsdb_priv.h"

/* Any thread but the leader; not two at once. */
int checkpoint_write(struct tsdb *db, struct err *e) MUST_USE;
/* At the start. `first_segment`: of the log, to be read from. Without a file: 0, nothing. */
int checkpoint_load(struct tsdb *db, uint32_t *first_segment, struct err *e) MUST_USE;
/* What the bytes of one say, into the head. */
void checkpoint_parse(struct tsdb *db, struct str bytes, uint32_t *first_segment, bool *damaged);
