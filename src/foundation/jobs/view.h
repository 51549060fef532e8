/* view - jobs as JSON for the API (docs/formats/api.md). */
#pragma once
#include "jobs/jobs_priv.h"

/* What only memory knows about a row right now. */
struct job_live {
    const char *reason;    /* of waiting, in the arena; or NULL: the row's */
    size_t queue_position; /* 0: not queued */
    int64_t log_bytes, memory_peak_bytes, cpu_usec;
};
/* `a` holds the reason. Cheap: no call to the engine. */
void job_live_of(struct jobs *j, const struct job_row *row, struct arena *a, struct job_live *out);

/* ?attempt=, the last when it is not given. ERR_NOT_FOUND: there was none. */
int job_attempt_of(const struct http_req *r, const struct job_row *row, int64_t *out,
                   struct err *e) MUST_USE;

/* An object with the fields that lists have; job_view_end closes it. */
void job_view_begin(const struct job_row *row, const struct job_live *live, struct jw *w);
void job_view_history(const struct job_history *h, size_t n, struct jw *w);
void job_view_nodes(struct jobs *j, struct jw *w);
