#include "jobs/outcome.h"

#include "base/clock.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

enum { CODE_NOT_EXECUTABLE = 126, CODE_NOT_FOUND = 127, CODE_OOM = 137, CODE_TIMEOUT = 124 };

const char *job_stop_name(enum job_stop s)
{
    static const char *const names[JOB_STOPS] = {"", "cancel", "timeout"};

    return names[s];
}

const char *job_exit_kind_name(enum job_exit_kind k)
{
    static const char *const names[JOB_EXIT_KINDS] = {NULL, "exit", "signal", "oom", "timeout"};

    return names[k];
}

static void set_text(struct job_outcome *out, const char *text, const char *detail)
{
    (void)snprintf(out->text, sizeof(out->text), "%s%s%s", text, detail[0] ? ": " : "", detail);
}

static void exited(int code, const char *detail, struct job_outcome *out)
{
    char text[80];

    out->kind = JOB_EXIT_CODE;
    out->code = code;
    out->state = code == 0 ? JOB_SUCCEEDED : JOB_FAILED;
    (void)snprintf(text, sizeof(text), "exit code %d%s", code,
                   detail[0] != '\0'             ? ""
                   : code == CODE_NOT_FOUND      ? ": command not found"
                   : code == CODE_NOT_EXECUTABLE ? ": the command cannot be executed"
                                                 : "");
    set_text(out, text, detail);
}

static void signaled(int sig, const char *detail, struct job_outcome *out)
{
    const char *name = sigabbrev_np(sig);
    const char *what = sigdescr_np(sig);
    char text[80];

    out->kind = JOB_EXIT_SIGNAL;
    out->code = sig;
    out->state = JOB_FAILED;
    if (name) {
        (void)snprintf(text, sizeof(text), "killed by SIG%s (%s)", name, what);
    } else {
        (void)snprintf(text, sizeof(text), "killed by signal %d", sig);
    }
    set_text(out, text, detail);
}

/* Half as much again, as it is written in a spec. */
static unsigned long long more_memory_mib(int64_t limit_bytes)
{
    uint64_t limit = (uint64_t)limit_bytes;

    return (limit + limit / 2 + MIB - 1) / MIB;
}

static void out_of_memory(int64_t peak_bytes, int64_t limit_bytes, struct job_outcome *out)
{
    char used[16], limit[16], text[64];

    out->kind = JOB_EXIT_OOM;
    out->code = CODE_OOM;
    out->state = JOB_FAILED;
    (void)str_format_bytes(limit_bytes, limit);
    if (peak_bytes > 0) {
        (void)snprintf(text, sizeof(text), ": used %s of %s", str_format_bytes(peak_bytes, used),
                       limit);
    } else {
        (void)snprintf(text, sizeof(text), " (limit %s)", limit);
    }
    (void)snprintf(out->text, sizeof(out->text),
                   "killed: out of memory%s; try resources.memory: %lluMi", text,
                   more_memory_mib(limit_bytes));
}

static void timed_out(int64_t timeout_ms, struct job_outcome *out)
{
    char limit[32];

    out->kind = JOB_EXIT_TIMEOUT;
    out->code = CODE_TIMEOUT;
    out->state = JOB_FAILED;
    (void)snprintf(out->text, sizeof(out->text), "stopped: it ran longer than its timeout of %s",
                   clock_format_duration(timeout_ms, limit));
}

static void never_started(const struct err *why, int64_t timeout_ms, struct job_outcome *out)
{
    char limit[32];

    out->kind = JOB_EXIT_TIMEOUT;
    out->code = CODE_TIMEOUT;
    (void)snprintf(out->text, sizeof(out->text),
                   "stopped: it could not be started within its timeout of %s: %.300s",
                   clock_format_duration(timeout_ms, limit), why->msg);
}

static void cancelled(const struct job_bounds *b, struct job_outcome *out)
{
    out->state = JOB_CANCELLED;
    (void)snprintf(out->text, sizeof(out->text), "cancelled by %s",
                   b->stop_by ? b->stop_by : "someone");
}

void job_outcome_of_status(const struct runtime_status *s, const struct job_bounds *b,
                           struct job_outcome *out)
{
    *out = (struct job_outcome){0};
    switch (s->end) {
    case RUNTIME_EXITED:
        exited(s->code, s->detail, out);
        break;
    case RUNTIME_SIGNALED:
        signaled(s->code, s->detail, out);
        break;
    case RUNTIME_OOM:
        out_of_memory(s->memory_peak_bytes, b->memory_bytes, out);
        break;
    case RUNTIME_LOST:
    default:
        out->state = JOB_LOST;
        set_text(out, "its container is gone without an exit code (was the machine restarted?)",
                 s->detail);
    }
    if (b->stop == JOB_STOP_CANCEL) {
        cancelled(b, out);
    } else if (b->stop == JOB_STOP_TIMEOUT && s->end != RUNTIME_OOM) {
        timed_out(b->timeout_ms, out);
    }
}

void job_outcome_of_error(const struct err *why, const struct job_bounds *b,
                          struct job_outcome *out)
{
    *out = (struct job_outcome){.state = JOB_FAILED};
    if (b->stop == JOB_STOP_CANCEL) {
        cancelled(b, out);
        return;
    }
    (void)snprintf(out->text, sizeof(out->text), "%.*s", (int)sizeof(out->text) - 1, why->msg);
    if (b->stop == JOB_STOP_TIMEOUT) {
        never_started(why, b->timeout_ms, out);
        return;
    }
    if (why->kind == ERR_INVALID && strstr(why->msg, "command ") != NULL) {
        out->kind = JOB_EXIT_CODE;
        out->code = strstr(why->msg, "not found") != NULL ? CODE_NOT_FOUND : CODE_NOT_EXECUTABLE;
    }
}
