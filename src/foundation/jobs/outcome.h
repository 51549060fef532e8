/* outcome - how an attempt ended, in words for people: from the container's status, or from the
 * error of its start. Pure functions. */
#pragma once
#include "jobs/jobs.h"
#include "runtime/runtime.h"

/* Why we ended it ourselves, kept in the row so that a restart remembers. */
enum job_stop { JOB_STOP_NONE, JOB_STOP_CANCEL, JOB_STOP_TIMEOUT, JOB_STOPS };
const char *job_stop_name(enum job_stop s);

/* `code`: EXIT the exit code, SIGNAL the signal's number, OOM 137, TIMEOUT 124. NONE: no process of
 * the job ever ran (or nobody knows how it ended). */
enum job_exit_kind {
    JOB_EXIT_NONE,
    JOB_EXIT_CODE,
    JOB_EXIT_SIGNAL,
    JOB_EXIT_OOM,
    JOB_EXIT_TIMEOUT,
    JOB_EXIT_KINDS
};
const char *job_exit_kind_name(enum job_exit_kind k); /* "exit", ...; NULL for NONE */

struct job_outcome {
    enum job_state state; /* SUCCEEDED, FAILED, CANCELLED or LOST */
    enum job_exit_kind kind;
    int code;
    char text[400]; /* also the reason of the state */
};

struct job_bounds {
    enum job_stop stop;
    const char *stop_by; /* who cancelled */
    int64_t memory_bytes, timeout_ms;
};

void job_outcome_of_status(const struct runtime_status *s, const struct job_bounds *b,
                           struct job_outcome *out);
/* Nothing ran: command not found, a hostile layer, a secret that is gone. */
void job_outcome_of_error(const struct err *why, const struct job_bounds *b,
                          struct job_outcome *out);
