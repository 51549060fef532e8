/* scan - scanners, and the queue of what they are asked to look into. */
#pragma once
#include "supply_priv.h"

struct fetch_answer;

struct scanner {
    const char *name, *url, *auth; /* in the arena; auth NULL: none */
};
int scanner_add(struct supply *s, struct str name, struct str url, struct str auth,
                struct err *e) MUST_USE;
int scanner_drop(struct supply *s, struct str name, struct err *e) MUST_USE;
/* One (name.p != NULL) bare, or all inside an open array. */
int scanners_write(struct supply *s, struct str name, struct jw *w, struct err *e) MUST_USE;
/* p == NULL: the one that was added first. ERR_NOT_FOUND. */
int scanner_get(struct supply *s, struct arena *a, struct str name, struct scanner *out,
                struct err *e) MUST_USE;
struct scanner_request {
    const char *path, *type, *accept; /* type NULL: a GET */
    struct str body;
};
/* The caller frees *out with fetch_answer_done, also after -1. */
int scanner_ask(struct supply *s, struct arena *a, const struct scanner *to,
                const struct scanner_request *ask, struct fetch_answer *out,
                struct err *e) MUST_USE;

/* --- scans.c --- */

/* Takes the place of the one before; durable. user_id 0: the project's rule has it done. */
int scan_start(struct supply *s, const struct artifact *of, int64_t user_id, struct str by,
               struct err *e) MUST_USE;
/* null without one; of an index that of its images: one that goes on, one that failed, the last. */
int scan_write(struct supply *s, int64_t manifest_id, struct jw *w, struct err *e) MUST_USE;
/* The worker, until supply_close. */
int scan_worker_start(struct supply *s, struct err *e) MUST_USE;
void scan_worker_stop(struct supply *s);
