/* scan - scanners, and the queue of what they are asked to look into. */
#pragma once
#include "supply_priv.h"

/* One (name.p != NULL) bare, or all inside an open array. */
int scanners_write(struct supply *s, struct str name, struct jw *w, struct err *e) MUST_USE;

/* --- scans.c --- */

/* null without one; of an index that of its images: one that goes on, one that failed, the last. */
int scan_write(struct supply *s, int64_t manifest_id, struct jw *w, struct err *e) MUST_USE;
/* The worker, until supply_close. */
int scan_worker_start(struct supply *s, struct err *e) MUST_USE;
void scan_worker_stop(struct supply *s);
