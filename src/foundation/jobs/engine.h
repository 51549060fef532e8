/* engine - where containers of jobs run: one const table of functions per kind of place.
 *
 * Any thread, many calls at once. Every call may block (a message to the helper, an unpacking
 * image). A container id is "<job id>-<attempt>" and is started at most once. */
#pragma once
#include "jobs/pin.h"
#include "jobs/spec.h"
#include "runtime/runtime.h"

/* One container, ready to start. Lives for the call. */
struct job_launch {
    char id[65];
    const struct job_spec *spec;
    const struct job_image *image;
    uint32_t id_base;
    const char *const *args; /* NULL-terminated */
    const char *const *env;  /* "K=V"; holds secrets: never logged */
    char (*volume_ids)[65];  /* of spec->volumes */
    const char *const *devices;
    int64_t log_max_bytes; /* 0: no limit */
    const char *labels;    /* JSON: project, job, user, image, devices */
};

struct job_engine {
    const char *name;
    /* Returns when the process runs. ERR_UNAVAILABLE, ERR_TIMEOUT and ERR_NO_SPACE pass: the start
     * is tried again. Anything else is the job's own fault. After a failure the container may run
     * nevertheless (the answer was lost): `list` tells. */
    int (*start)(void *ctx, const struct job_launch *l, struct err *e);
    /* A process beside the container's own: see runtime_exec. NULL: this engine has none. */
    int (*exec)(void *ctx, const struct runtime_exec *x, struct runtime_process *out,
                struct err *e);
    int (*signal)(void *ctx, const char *id, int signal, struct err *e);
    /* All that run, and those that ended and were not removed; free(3). */
    int (*list)(void *ctx, struct runtime_status **out, size_t *n, struct err *e);
    int (*stats)(void *ctx, const char *id, struct runtime_status *out, struct err *e);
    /* Everything but the log and the samples. One that is not there is success. */
    int (*remove)(void *ctx, const char *id, struct err *e);
    int (*remove_log)(void *ctx, const char *id, struct err *e);
    int (*log_open)(void *ctx, const char *id, int *fd, struct err *e);
    /* The samples so far, also after its end. ERR_NOT_FOUND before the first. */
    int (*usage)(void *ctx, const char *id, struct arena *a, struct runtime_usage *out,
                 struct err *e);
};

/* Containers of this machine, by the runtime. */
struct engine_local {
    struct runtime *runtime;
    struct rootfs *rootfs;
};
extern const struct job_engine engine_local; /* ctx: struct engine_local * */
/* The name of a job as a host name: what a host name cannot hold becomes '-'. Never empty. */
void job_host_name(const char *name, char out[64]);
