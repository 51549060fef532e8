/* runtime - containers on this machine: OCI bundle, crun, shim, cgroups, exit.
 *
 *   jobs/engine_local -> runtime_start -> helper -> overlay + bundle + shim -> crun
 *                     <- sink (exited)  <- helper <- shim writes containers/<id>/exit
 *
 * A container survives a kill -9 of server and helper: the shim holds it and writes its output
 * to a file. runtime_list after a restart tells what is still there. On disk:
 * jobs/<container id>/{log,usage,exit,shim,...}: log and usage are 0640 root:strata.
 * Source: OCI runtime-spec 1.0. */
#pragma once
#include "base/str.h"
#include "helper/helper.h"

struct arena;
struct runtime;
struct rootfs_helper;

enum runtime_network { RUNTIME_NET_NONE, RUNTIME_NET_BRIDGE, RUNTIME_NET_HOST };

/* VOLUME_STUDIO: containers that have a whole volume to write only read it. */
#define RUNTIME_KEPT ".studio"
struct runtime_mount {
    char volume_id[65];  /* directory volumes/<volume_id> */
    const char *target;  /* absolute path in the container */
    const char *subpath; /* directory of the volume that is mounted; NULL or "": all of it */
    bool read_only;
};

struct runtime_spec {
    const char *id;          /* [a-z0-9-]{1,64}, unique for ever */
    const char *const *args; /* NULL-terminated */
    const char *const *env;  /* "K=V", NULL-terminated */
    const char *cwd;
    const char *user; /* of the image: "", "1000", "1000:1000", "name[:group]" */
    const char *hostname;
    const char (*chains)[65]; /* layers, lowest first */
    size_t n_chains;
    const struct runtime_mount *mounts;
    size_t n_mounts;
    uint32_t id_base; /* container 0..65535 is id_base.. on the host */
    int64_t cpu_milli, memory_bytes, pids;
    int64_t log_max_bytes;      /* what it writes beyond is dropped and counted; 0: no limit */
    const char *const *devices; /* host device nodes (GPU), NULL-terminated; or NULL */
    enum runtime_network network;
    const char *labels; /* whose it is, as JSON, for who measures: jobs/<id>/labels; or NULL */
};

/* The same rules for whoever takes a job: absolute, at most LIMIT_PATH_BYTES, no empty, "." or ".."
 * component, none longer than 255 bytes, no slash at the end. */
bool runtime_path_ok(struct str path);
/* What a command may be given: each string alone, and all together (execve(2)). The sentence counts
 * from 1, arguments as "argument 3" and variables by their name. */
int runtime_exec_check(const char *const *args, const char *const *env, struct err *e) MUST_USE;

enum runtime_end { RUNTIME_EXITED, RUNTIME_SIGNALED, RUNTIME_OOM, RUNTIME_LOST };

struct runtime_status {
    char id[65];
    bool running;
    enum runtime_end end; /* when not running */
    int code;             /* exit code or signal number */
    int64_t started_ms, ended_ms;
    int64_t memory_peak_bytes, cpu_usec; /* 0 when unknown */
    char detail[200];                    /* crun's own words when it could not start, else empty */
};

/* What a container had used at a moment: totals since its start, except the two of that moment.
 * RUNTIME_UNKNOWN: the host does not tell. */
#define RUNTIME_UNKNOWN (-1)
struct runtime_sample {
    int64_t at_ms;
    int64_t cpu_usec;
    int64_t memory_bytes; /* of that moment */
    int64_t memory_peak_bytes;
    int64_t io_read_bytes, io_write_bytes;
    int64_t processes; /* of that moment, with their threads: what `pids` limits */
};
/* Oldest first, `interval_ms` apart, and the last one at the container's end. */
struct runtime_usage {
    int64_t started_ms, interval_ms;
    struct runtime_sample *samples;
    size_t n; /* at most LIMIT_USAGE_SAMPLES */
};

/* Server side. The sink is called once per container that ended, on the helper client's thread: it
 * must not block and must not call back. */
typedef void runtime_sink(void *ctx, const struct runtime_status *s);
struct runtime *runtime_new(runtime_sink *sink, void *ctx) MUST_USE;
void runtime_free(struct runtime *r);
DEFINE_SCOPED(struct runtime, runtime_free)
void runtime_set_helper(struct runtime *r, struct helper_client *h);
/* The helper's events go here (helper_sink). */
void runtime_on_event(struct runtime *r, int event, struct str payload);

/* Returns when the process runs. Errors: command not found or not executable (ERR_INVALID), the
 * host is not ready (ERR_UNAVAILABLE; message says what to mend). Afterwards runtime_remove is due.
 */
int runtime_start(struct runtime *r, const struct runtime_spec *s, struct err *e) MUST_USE;
/* A container that is gone already is success. */
int runtime_signal(struct runtime *r, const char *id, int signal, struct err *e) MUST_USE;
int runtime_list(struct runtime *r, struct runtime_status **out, size_t *n, struct err *e) MUST_USE;
int runtime_stats(struct runtime *r, const char *id, struct runtime_status *out,
                  struct err *e) MUST_USE;

/* Another process in a running container, beside its own and never with more: user, groups,
 * capabilities, no_new_privs, seccomp, limits, directory and environment are those of the
 * container's own process (at a terminal, TERM besides). */
enum runtime_terminal { RUNTIME_PIPES, RUNTIME_TTY };
struct runtime_exec {
    const char *id;          /* of the container */
    const char *const *args; /* NULL-terminated; empty: the first of /bin/bash and /bin/sh there */
    enum runtime_terminal terminal;
};
/* The caller's descriptors, all non-blocking, all closed by him. `in` and `out` of a terminal are
 * the same (TIOCSWINSZ), `err` is -1 then. Closing `keeper` (or dying) ends the process with all
 * of its session: SIGHUP, after 2 s SIGKILL. */
struct runtime_process {
    int keeper; /* becomes readable at the end: runtime_exec_end_read */
    int in, out, err;
};
/* Returns when the process runs. ERR_INVALID: the command is not there or is no program.
 * ERR_CONFLICT: the container does not run. */
int runtime_exec(struct runtime *r, const struct runtime_exec *x, struct runtime_process *out,
                 struct err *e) MUST_USE;
struct runtime_exec_end {
    enum runtime_end end;    /* LOST: somebody killed the keeper */
    int code;                /* exit code or signal number */
    bool container_is_ended; /* and so took it along */
};
/* Never blocks. 1: *out is the end. 0: it still runs. */
int runtime_exec_end_read(int keeper, struct runtime_exec_end *out) MUST_USE;

/* Unmounts and deletes everything but the log and the samples. */
int runtime_remove(struct runtime *r, const char *id, struct err *e) MUST_USE;
/* After runtime_remove: the log, the samples and their directory. None is success. */
int runtime_remove_log(struct runtime *r, const char *id, struct err *e) MUST_USE;
/* The log, opened for reading; the caller closes it. ERR_NOT_FOUND before the start. */
int runtime_log_open(const char *id, int *fd, struct err *e) MUST_USE;
/* The samples so far, in the arena. None before the first one: ERR_NOT_FOUND. */
int runtime_usage(const char *id, struct arena *a, struct runtime_usage *out,
                  struct err *e) MUST_USE;
#define RUNTIME_USAGE_INTERVAL_MS 1000 /* of the first samples */

/* Helper side. `instance` names the cgroup strata-<instance> and crun's --root. */
struct runtime_helper;
struct runtime_helper *runtime_helper_new(struct rootfs_helper *rootfs, const char *instance,
                                          struct err *e) MUST_USE;
void runtime_helper_free(struct runtime_helper *r);
DEFINE_SCOPED(struct runtime_helper, runtime_helper_free)
/* Re-adopts the containers of this instance and watches their shims. */
int runtime_helper_adopt(struct runtime_helper *r, struct helper_server *s, struct err *e) MUST_USE;
extern const struct helper_operation runtime_operations[];

/* What `strata doctor` checks; also run at every start. Rows: name, ok/warn/fail, what is, how to
 * mend. */
enum doctor_level { DOCTOR_OK, DOCTOR_MENDED, DOCTOR_WARN, DOCTOR_FAIL };
typedef void doctor_row(void *ctx, const char *check, enum doctor_level level, const char *found,
                        const char *mend);
enum doctor_mode { DOCTOR_LOOK, DOCTOR_MEND };
/* As root. Returns the number of DOCTOR_FAIL rows. */
int runtime_doctor(enum doctor_mode mode, doctor_row *row, void *ctx);
